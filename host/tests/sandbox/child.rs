//! The binary as the sandbox and as a developer sees it: compiling in a child that can be killed, and
//! `crossdock transform`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crossdock::sandbox::{ClassLimits, Compiler, Error, ModuleClass, Sandbox, Settings};
use serde_json::{Value, json};

use super::{PROGRAM, guests};

fn load_with(program: &str, component: &[u8], standard: ClassLimits) -> Result<(), Error> {
    let dir = tempfile::tempdir().unwrap();
    let artefacts = Dir::open_ambient_dir(dir.path(), ambient_authority()).unwrap();
    let settings = Settings { concurrency: 1, interpreter_concurrency: 1, standard, ..Settings::default() };
    let sandbox = Sandbox::new(settings, artefacts, Compiler::Child { program: program.into() }).unwrap();
    sandbox.load(component, ModuleClass::Standard).map(|module| assert!(!module.compile_facts().cached))
}

fn load(component: &[u8], standard: ClassLimits) -> Result<(), Error> {
    load_with(PROGRAM, component, standard)
}

/// Valid, half a megabyte, and seven seconds and a gigabyte of compiling: one function of a hundred thousand additions.
fn bomb() -> Vec<u8> {
    let straight =
        format!("(func (param i32) (result i32) (local.get 0) {})", "(i32.const 1) (i32.add)".repeat(100_000));
    guests::component("", &guests::core_text("", &straight, guests::ECHO))
}

/// The pre-scan would refuse the bomb; here it is let through.
fn careless() -> ClassLimits {
    ClassLimits { body_limit_bytes: 4 << 20, ..ClassLimits::standard() }
}

fn check_limit(limits: ClassLimits, limit: &str) {
    let error = load(&bomb(), limits).unwrap_err();
    assert!(matches!(&error, Error::CompileLimit { limit_name, .. } if *limit_name == limit), "{error:?}");
    assert_eq!(error.fault().code.as_str(), "module_compile_limit");
}

#[test]
fn a_component_compiled_in_the_child_runs_in_the_parent() {
    load(&guests::guest(guests::ECHO), ClassLimits::standard()).unwrap();
}

#[test]
fn a_bomb_that_takes_too_much_time_is_killed_by_its_own_limit() {
    check_limit(ClassLimits { child_cpu_s: 1, ..careless() }, "child_cpu_s");
}

#[test]
fn a_bomb_that_takes_too_much_memory_dies_of_it_in_the_child() {
    check_limit(ClassLimits { child_address_space_bytes: 256 << 20, ..careless() }, "child_address_space_bytes");
}

#[test]
fn a_bomb_that_takes_too_long_is_killed_by_the_parent() {
    check_limit(ClassLimits { child_wall_ms: 300, ..careless() }, "child_wall_ms");
}

#[test]
fn an_artefact_over_its_limit_is_not_taken() {
    let error =
        load(&guests::guest(guests::ECHO), ClassLimits { artefact_limit_bytes: 1_000, ..ClassLimits::standard() });
    assert!(
        matches!(error, Err(Error::CompileLimit { limit_name: "artefact_limit_bytes", limit: 1_000, .. })),
        "{error:?}"
    );
}

#[test]
fn what_the_compiler_says_of_an_invalid_component_reaches_the_tenant() {
    let invalid = wat::parse_str("(component (core module (func (result i32))))").unwrap();
    let error = load(&invalid, ClassLimits::standard()).unwrap_err();
    assert_eq!(error.fault().code.as_str(), "module_refused");
    assert!(error.to_string().contains("type mismatch"), "{error}");
}

#[test]
fn a_compiler_that_does_not_start_or_does_not_compile_is_our_fault() {
    for program in ["/nonexistent/crossdock", "/bin/false"] {
        let error = load_with(program, &guests::guest(guests::ECHO), ClassLimits::standard()).unwrap_err();
        assert!(matches!(error, Error::Internal { .. }), "{error:?}");
    }
}

struct Desk(tempfile::TempDir);

impl Desk {
    fn new(component: &[u8], documents: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.put("m.wasm", component);
        desk.put("docs.json", documents);
        desk
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }
    fn transform(&self, more: &[&str]) -> Output {
        let path = |name| Path::to_str(&self.path(name)).unwrap().to_owned();
        Command::new(PROGRAM)
            .args(["transform", "--module", &path("m.wasm"), "--input", &path("docs.json"), "--format", "json"])
            .args(more)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn transform_prints_one_line_a_document_and_keeps_every_digit() {
    let desk = Desk::new(&guests::guest(guests::ECHO), "[{\"id\":\"a\",\n \"n\":1.50},{\"id\":2,\"n\":1e400}]");
    let output = desk.transform(&["--key-field", "id"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("1.50") && text.contains("1e400"), "{text}");
    let lines = lines(&output);
    assert_eq!((lines.len(), &lines[0]["key"], &lines[0]["outcome"]), (2, &json!("a"), &json!("emit")));
    assert_eq!(lines[1]["documents"][0]["key"], "2");
    assert!(lines[0]["fuel"].as_u64().unwrap() > 0 && lines[0]["memory_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn transform_tells_a_fault_from_a_refusal_from_a_mistake() {
    let pairs = r#"[{"key":"k","body":{"a":1}}]"#;
    let trap = Desk::new(&guests::guest("unreachable"), pairs);
    let output = trap.transform(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let fault = &lines(&output)[0]["fault"];
    assert_eq!((&fault["class"], &fault["code"]), (&json!("guest"), &json!("guest_trap")));

    let spin = Desk::new(&guests::guest("(loop $l (br $l)) unreachable"), pairs);
    let output = spin.transform(&["--fuel", "50000"]);
    let fault = &lines(&output)[0]["fault"];
    assert_eq!((&fault["limit"], &fault["limit_name"]), (&json!(50_000), &json!("fuel")));

    let refused = Desk::new(&wat::parse_str("(module)").unwrap(), pairs).transform(&[]);
    assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(3), true));
    let usage = Desk::new(&guests::guest(guests::ECHO), "{").transform(&[]);
    assert_eq!((usage.status.code(), usage.stdout.is_empty()), (Some(2), true));
    let keyless = Desk::new(&guests::guest(guests::ECHO), r#"[{"a":1}]"#).transform(&[]);
    assert!(String::from_utf8(keyless.stderr).unwrap().contains("--key-field"));
    assert_eq!(Desk::new(b"", "").transform(&["--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn transform_answers_look_ups_from_a_file_and_passes_parameters() {
    // Emits the entry of the document's key in the table that the parameters are named like.
    let looks = guests::guest(
        "(call $log (i32.const 1) (local.get $parameters) (local.get $parameters_len))
         (call $lookup (local.get $scheme) (local.get $scheme_len) (local.get $key) (local.get $key_len) (i32.const 4096))
         (if (i32.load8_u (i32.const 4096)) (then (return (call $say (i32.const 2) (i32.const 100) (i32.const 4)))))
         (if (i32.eqz (i32.load8_u (i32.const 4100))) (then (return (call $say (i32.const 1) (i32.const 100) (i32.const 4)))))
         (call $emit (local.get $key) (local.get $key_len) (i32.load (i32.const 4104)) (i32.load (i32.const 4108)))",
    );
    let desk = Desk::new(&looks, "{\"key\":\"k\",\"body\":{}}\n{\"key\":\"missing\",\"body\":{}}\n");
    desk.put("r.json", r#"{"local":{"k":{"rate":1.10}}}"#);
    desk.put("p.json", r#"{"org":"100"}"#);
    for isolation in ["document", "batch"] {
        let output = desk.transform(&["--reference", "r.json", "--parameters", "p.json", "--isolation", isolation]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8(output.stdout.clone()).unwrap().contains(r#"{"rate":1.10}"#));
        let lines = lines(&output);
        assert_eq!((&lines[0]["outcome"], &lines[1]["outcome"]), (&json!("emit"), &json!("skip")));
        assert_eq!(lines[1]["reason"]["code"], "echo");
        assert!(String::from_utf8(output.stderr).unwrap().contains(r#"{"org":"100"}"#));
    }
}
