//! Guests whose toolchain drags WASI in.

use super::guests::{WIT, core_text, stranger};
use super::*;

/// The part of WASI 0.2 that these tests import, in the words of its own WIT.
const IO: &str = "package wasi:io@0.2.3;
interface error { resource error { to-debug-string: func() -> string; } }
interface poll { resource pollable { ready: func() -> bool; block: func(); } poll: func(in: list<borrow<pollable>>) -> list<u32>; }
interface streams {
  use error.{error}; use poll.{pollable};
  variant stream-error { last-operation-failed(error), closed }
  resource input-stream { read: func(len: u64) -> result<list<u8>, stream-error>; subscribe: func() -> pollable; }
  resource output-stream {
    check-write: func() -> result<u64, stream-error>;
    write: func(contents: list<u8>) -> result<_, stream-error>;
    blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
    blocking-flush: func() -> result<_, stream-error>;
    splice: func(src: borrow<input-stream>, len: u64) -> result<u64, stream-error>;
  }
}";
const CLOCKS: &str = "package wasi:clocks@0.2.3;
interface monotonic-clock { type instant = u64; type duration = u64; now: func() -> instant; resolution: func() -> duration; }
interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; resolution: func() -> datetime; }";
const RANDOM: &str = "package wasi:random@0.2.3;
interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }
interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }";
const CLI: &str = "package wasi:cli@0.2.3;
interface environment { get-environment: func() -> list<tuple<string, string>>; get-arguments: func() -> list<string>; initial-cwd: func() -> option<string>; }
interface exit { exit: func(status: result); }
interface stdin { use wasi:io/streams@0.2.3.{input-stream}; get-stdin: func() -> input-stream; }
interface stdout { use wasi:io/streams@0.2.3.{output-stream}; get-stdout: func() -> output-stream; }
interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }";
const SOCKETS: &str = "package wasi:sockets@0.2.3; interface network { resource network; }
interface instance-network { use network.{network}; instance-network: func() -> network; }";

/// A guest of our world that also imports these interfaces.
fn guest(interfaces: &[&str], imports: &str, body: &str) -> Vec<u8> {
    let wanted: String = interfaces.iter().map(|interface| format!("import {interface}@0.2.3;")).collect();
    let world = format!("package test:guest; world w {{ include crossdock:transform/transform@1.0.0; {wanted} }}");
    stranger(&[WIT, IO, CLOCKS, RANDOM, CLI, SOCKETS, &world], &core_text(imports, HEX, body))
}

/// Emits sixteen bytes at an address as JSON: a string of letters from `a` to `p`.
const HEX: &str = r#"(func $emit_bytes (param $k i32) (param $kl i32) (param $from i32) (result i32) (local $n i32)
  (i32.store8 (i32.const 3000) (i32.const 34)) (i32.store8 (i32.const 3033) (i32.const 34))
  (loop $l
    (i32.store8 (i32.add (i32.const 3001) (i32.mul (local.get $n) (i32.const 2)))
      (i32.add (i32.const 97) (i32.shr_u (i32.load8_u (i32.add (local.get $from) (local.get $n))) (i32.const 4))))
    (i32.store8 (i32.add (i32.const 3002) (i32.mul (local.get $n) (i32.const 2)))
      (i32.add (i32.const 97) (i32.and (i32.load8_u (i32.add (local.get $from) (local.get $n))) (i32.const 15))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $l (i32.lt_u (local.get $n) (i32.const 16))))
  (call $emit (local.get $k) (local.get $kl) (i32.const 3000) (i32.const 34)))"#;

fn letters(bytes: &[u8]) -> String {
    let letter = |nibble: u8| char::from(b'a' + nibble);
    let text: String = bytes.iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect();
    format!("\"{text}\"")
}

#[test]
fn the_clock_stands_at_received_at() {
    let clock = guest(
        &["wasi:clocks/wall-clock", "wasi:clocks/monotonic-clock"],
        r#"(import "wasi:clocks/wall-clock@0.2.3" "now" (func $now (param i32)))
           (import "wasi:clocks/monotonic-clock@0.2.3" "now" (func $mono (result i64)))"#,
        "(call $now (i32.const 2000)) (i64.store (i32.const 2008) (call $mono)) (call $emit_bytes (local.get $key) (local.get $key_len) (i32.const 2000))",
    );
    let received = "2026-11-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second().to_le_bytes();
    let expected = letters(&[received, [0; 8]].concat());
    assert_eq!(emitted(&run(&clock, &limits()))[0].1, expected);
}

#[test]
fn randomness_is_the_documents_own_and_the_same_each_time() {
    let dice = guest(
        &["wasi:random/random"],
        r#"(import "wasi:random/random@0.2.3" "get-random-u64" (func $dice (result i64)))"#,
        "(i64.store (i32.const 2000) (call $dice)) (i64.store (i32.const 2008) (call $dice)) (call $emit_bytes (local.get $key) (local.get $key_len) (i32.const 2000))",
    );
    let module = sandbox().load(&dice, ModuleClass::Standard).unwrap();
    let documents = ["a", "b", "a"].map(|key| document(key, "{}"));
    let alone = run_all(&module, &documents, Isolation::Document, &limits());
    let shared = run_all(&module, &documents, Isolation::Batch, &limits());
    let drawn: Vec<String> = alone.iter().map(|run| emitted(run)[0].1.clone()).collect();
    assert_eq!(drawn[0], drawn[2]);
    assert_ne!(drawn[0], drawn[1]);
    assert_ne!(drawn[0][1..17], drawn[0][17..33], "two draws are two numbers");
    for (alone, shared) in alone.iter().zip(&shared) {
        assert_eq!(emitted(alone), emitted(shared));
    }
}

#[test]
fn random_bytes_are_capped() {
    let dice = |count: u32| {
        guest(
            &["wasi:random/random"],
            r#"(import "wasi:random/random@0.2.3" "get-random-bytes" (func $dice (param i64 i32)))"#,
            &format!(
                "(call $dice (i64.const {count}) (i32.const 2000)) (call $emit_bytes (local.get $key) (local.get $key_len) (i32.load (i32.const 2000)))"
            ),
        )
    };
    assert!(run(&dice(65_536), &limits()).verdict.is_ok());
    assert_eq!(fault(&run(&dice(65_537), &limits())).0, "guest_wasi_unsupported");
}

#[test]
fn what_a_guest_prints_becomes_log_lines() {
    let prints = guest(
        &["wasi:cli/stdout", "wasi:cli/stderr", "wasi:io/streams"],
        r#"(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
           (import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
           (import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
           (import "wasi:io/streams@0.2.3" "[resource-drop]output-stream" (func $drop (param i32)))"#,
        "(local.set $i (call $stdout))
         (i64.store (i32.const 2000) (i64.const 0x0a646c_6c_65_68_0a6f))
         (call $write (local.get $i) (i32.const 2000) (i32.const 8) (i32.const 2100))
         (call $write (local.get $i) (local.get $key) (local.get $key_len) (i32.const 2100))
         (call $drop (local.get $i))
         (call $write (call $stderr) (local.get $body) (local.get $body_len) (i32.const 2100))
         (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))",
    );
    let run = run_document(&prints, &limits(), &document("end", "{}"));
    let lines: Vec<_> = run.logs.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(lines, [(Level::Info, "o"), (Level::Info, "helld"), (Level::Info, "end"), (Level::Warn, "{}")]);
}

#[test]
fn a_flood_on_stdout_is_capped_like_any_log() {
    let floods = guest(
        &["wasi:cli/stdout", "wasi:io/streams"],
        r#"(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
           (import "wasi:io/streams@0.2.3" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))"#,
        "(local $out i32)
         (local.set $out (call $stdout))
         (memory.fill (i32.const 196608) (i32.const 65) (i32.const 65536))
         (loop $l
           (call $write (local.get $out) (i32.const 196608) (i32.const 65536) (i32.const 2100))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $l (i32.lt_u (local.get $i) (i32.const 100))))
         (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))",
    );
    let run = run(&floods, &limits());
    assert_eq!((run.verdict.is_ok(), run.logs.len(), run.logs_dropped), (true, 0, 1));
}

#[test]
fn there_is_no_environment_no_arguments_and_no_input() {
    let looks = guest(
        &["wasi:cli/environment", "wasi:cli/stdin", "wasi:io/streams"],
        r#"(import "wasi:cli/environment@0.2.3" "get-environment" (func $env (param i32)))
           (import "wasi:cli/environment@0.2.3" "get-arguments" (func $args (param i32)))
           (import "wasi:cli/environment@0.2.3" "initial-cwd" (func $cwd (param i32)))
           (import "wasi:cli/stdin@0.2.3" "get-stdin" (func $stdin (result i32)))
           (import "wasi:io/streams@0.2.3" "[method]input-stream.read" (func $read (param i32 i64 i32)))"#,
        "(call $env (i32.const 2000)) (if (i32.load (i32.const 2004)) (then unreachable))
         (call $args (i32.const 2000)) (if (i32.load (i32.const 2004)) (then unreachable))
         (call $cwd (i32.const 2000)) (if (i32.load8_u (i32.const 2000)) (then unreachable))
         (call $read (call $stdin) (i64.const 100) (i32.const 2000))
         (if (i32.ne (i32.load8_u (i32.const 2000)) (i32.const 1)) (then unreachable))
         (if (i32.ne (i32.load8_u (i32.const 2004)) (i32.const 1)) (then unreachable))
         (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))",
    );
    assert!(run(&looks, &limits()).verdict.is_ok());
}

#[test]
fn exit_is_no_outcome() {
    let quits = guest(
        &["wasi:cli/exit"],
        r#"(import "wasi:cli/exit@0.2.3" "exit" (func $exit (param i32)))"#,
        "(call $exit (i32.const 0)) unreachable",
    );
    let run = run(&quits, &limits());
    assert_eq!((fault(&run).0.as_str(), run.verdict.unwrap_err()), ("guest_trap", Error::Exited { code: 0 }));
}

#[test]
fn a_function_that_makes_no_sense_here_ends_the_call_when_it_is_called_and_not_before() {
    let imports = r#"(import "wasi:cli/stdin@0.2.3" "get-stdin" (func $stdin (result i32)))
           (import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
           (import "wasi:io/streams@0.2.3" "[method]output-stream.splice" (func $splice (param i32 i32 i64 i32)))"#;
    let interfaces = ["wasi:cli/stdin", "wasi:cli/stdout", "wasi:io/streams"];
    let quiet = guest(
        &interfaces,
        imports,
        "(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))",
    );
    assert!(run(&quiet, &limits()).verdict.is_ok());
    let calls = guest(
        &interfaces,
        imports,
        "(call $splice (call $stdout) (call $stdin) (i64.const 1) (i32.const 2000)) unreachable",
    );
    let run = run(&calls, &limits());
    assert_eq!(fault(&run).0, "guest_wasi_unsupported");
    assert!(run.verdict.unwrap_err().to_string().contains("wasi:io/streams#[method]output-stream.splice"));
}

#[test]
fn sockets_are_refused_at_load_by_name() {
    let talks = guest(
        &["wasi:sockets/instance-network"],
        r#"(import "wasi:sockets/instance-network@0.2.3" "instance-network" (func $net (result i32)))"#,
        "(drop (call $net)) unreachable",
    );
    let said = sandbox().load(&talks, ModuleClass::Standard).unwrap_err().to_string();
    assert!(said.contains("wasi:sockets/instance-network@0.2.3"), "{said}");
}

#[test]
fn handles_are_capped() {
    let hoards = |count: u32| {
        guest(
            &["wasi:cli/stdout"],
            r#"(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))"#,
            &format!(
                "(loop $l (drop (call $stdout)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (br_if $l (i32.lt_u (local.get $i) (i32.const {count}))))
                 (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))"
            ),
        )
    };
    assert!(run(&hoards(900), &limits()).verdict.is_ok());
    assert_eq!(fault(&run(&hoards(1_001), &limits())).0, "guest_trap");
}
