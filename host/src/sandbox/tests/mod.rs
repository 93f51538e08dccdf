//! Hostile guests and honest ones, each a few lines of text.

mod batches;
mod fairness;
mod frozen;
pub(crate) mod guests;
mod limits;
mod modules;
mod outcomes;
mod wasi;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::*;
use crate::model::{Document, DocumentKey, Outcome, SchemeId, TenantId};

/// A sandbox with small limits, shared by the tests that need no other settings.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SHARED: OnceLock<(Sandbox, tempfile::TempDir)> = OnceLock::new();
    &SHARED.get_or_init(|| sandbox_with(small())).0
}

/// Few slots, so that tests do not map terabytes.
fn small() -> Settings {
    Settings { concurrency: 2, interpreter_concurrency: 1, ..Settings::default() }
}

fn sandbox_with(settings: Settings) -> (Sandbox, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (sandbox_in(dir.path(), settings), dir)
}

fn sandbox_in(dir: &std::path::Path, settings: Settings) -> Sandbox {
    let dir = Dir::open_ambient_dir(dir, ambient_authority()).unwrap();
    Sandbox::new(settings, dir, Compiler::InProcess).unwrap()
}

fn limits() -> Limits {
    Limits::of(sandbox().settings(), ModuleClass::Standard)
}

fn context() -> Context {
    Context {
        tenant: TenantId::new("acme").unwrap(),
        scheme: SchemeId::new("saleout").unwrap(),
        source: "a:b".into(),
        target: "c:d".into(),
        parameters: "{}".into(),
        received_at: "2026-11-01T08:00:00.75+08:00".parse().unwrap(),
    }
}

fn document(key: &str, body: &str) -> Document {
    Document { key: DocumentKey::new(key).unwrap(), body: body.into() }
}

/// Reference tables by table and key.
#[derive(Default)]
struct Tables(BTreeMap<(&'static str, &'static str), Lookup>);

impl References for Tables {
    fn lookup(&self, table: &str, key: &str) -> Lookup {
        self.0
            .iter()
            .find(|(asked, _)| **asked == (table, key))
            .map_or(Lookup::UnknownTable, |(_, answer)| answer.clone())
    }
}

/// Runs one document through a component, alone.
fn run(component: &[u8], limits: &Limits) -> Run {
    run_document(component, limits, &document("k1", r#"{"amount":1.50}"#))
}

fn run_document(component: &[u8], limits: &Limits, document: &Document) -> Run {
    let module = sandbox().load(component, ModuleClass::Standard).unwrap();
    run_all(&module, std::slice::from_ref(document), Isolation::Document, limits).remove(0)
}

fn run_all(module: &Module, documents: &[Document], isolation: Isolation, limits: &Limits) -> Vec<Run> {
    run_with(sandbox(), module, documents, isolation, limits, &NoReferences)
}

fn run_with(
    sandbox: &Sandbox,
    module: &Module,
    documents: &[Document],
    isolation: Isolation,
    limits: &Limits,
    references: &dyn References,
) -> Vec<Run> {
    let context = context();
    let calls: Vec<Call<'_>> =
        documents.iter().map(|document| Call { context: &context, document, deadline_ms: None }).collect();
    sandbox.transform(module, &calls, isolation, limits, references)
}

fn emitted(run: &Run) -> Vec<(String, String)> {
    match &run.verdict {
        Ok(Outcome::Emit(documents)) => documents.iter().map(|d| (d.key.to_string(), d.body.clone())).collect(),
        other => panic!("expected bills, got {other:?}\nlog: {:?}", run.logs),
    }
}

/// The code, the limit's name, its value, and whether what was used is past it.
fn fault(run: &Run) -> (String, Option<(String, u64)>) {
    let fault = run.verdict.as_ref().expect_err("the guest was not stopped").fault();
    let limit = fault.limit.map(|hit| {
        assert!(hit.used >= hit.limit, "{hit:?}");
        (hit.name, hit.limit)
    });
    (fault.code.to_string(), limit)
}

fn check_fault(run: &Run, code: &str, limit: &str, value: u64) {
    assert_eq!(fault(run), (code.into(), Some((limit.into(), value))), "{:?}", run.verdict);
}

#[test]
fn a_document_goes_through_and_every_digit_survives() {
    let run = run(&guests::guest(guests::ECHO), &limits());
    assert_eq!(emitted(&run), [("k1".to_owned(), r#"{"amount":1.50}"#.to_owned())]);
    assert!(run.fuel > 0 && !run.fuel_shared);
    assert_eq!(run.memory_bytes, 4 * 65_536);
}

#[test]
fn the_same_bytes_burn_the_same_fuel() {
    let module = sandbox().load(&guests::guest(guests::ECHO), ModuleClass::Standard).unwrap();
    let documents = [document("k1", "{}"), document("other", "[1,2,3]"), document("k1", "{}")];
    let runs = run_all(&module, &documents, Isolation::Document, &limits());
    assert_eq!(runs[0].fuel, runs[2].fuel);
    assert_eq!(emitted(&runs[0]), emitted(&runs[2]));
}

#[test]
fn the_context_arrives_with_received_at_in_whole_seconds_utc() {
    let run = run(
        &guests::guest(
            "(call $log (i32.const 1) (local.get $received) (local.get $received_len)) (call $log (i32.const 3) (local.get $tenant) (local.get $tenant_len)) (call $say (i32.const 1) (i32.const 100) (i32.const 4))",
        ),
        &limits(),
    );
    let lines: Vec<_> = run.logs.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(lines, [(Level::Info, "2026-11-01T00:00:00Z"), (Level::Error, "acme")]);
    assert!(matches!(run.verdict, Ok(Outcome::Skip(reason)) if reason.code == "echo"));
}

#[test]
fn what_one_guest_does_its_neighbour_does_not_notice() {
    let bomb = guests::guest("(loop $l (br $l)) unreachable");
    let echo = sandbox().load(&guests::guest(guests::ECHO), ModuleClass::Standard).unwrap();
    let before = run_all(&echo, &[document("k", "{}")], Isolation::Document, &limits()).remove(0);
    let during = std::thread::scope(|scope| {
        let busy = scope.spawn(|| run(&bomb, &limits()));
        let during: Vec<Run> =
            (0..20).map(|_| run_all(&echo, &[document("k", "{}")], Isolation::Document, &limits()).remove(0)).collect();
        assert_eq!(fault(&busy.join().unwrap()).0, "guest_fuel_exhausted");
        during
    });
    for run in during {
        assert_eq!((emitted(&run), run.fuel), (emitted(&before), before.fuel));
    }
}

#[test]
fn a_panic_of_the_hosts_costs_one_document_and_no_more() {
    struct Panics(Arc<Tables>);
    impl References for Panics {
        fn lookup(&self, table: &str, key: &str) -> Lookup {
            assert_ne!(key, "k2", "a defect of the host's");
            self.0.lookup(table, key)
        }
    }
    let module = sandbox().load(&looks_up_its_key(), ModuleClass::Standard).unwrap();
    let tables = Tables(BTreeMap::from([
        (("a:b", "k1"), Lookup::Found("1".into())),
        (("a:b", "k3"), Lookup::Found("3".into())),
    ]));
    let documents = [document("k1", "{}"), document("k2", "{}"), document("k3", "{}")];
    for isolation in [Isolation::Document, Isolation::Batch] {
        let runs =
            run_with(sandbox(), &module, &documents, isolation, &limits(), &Panics(Arc::new(Tables(tables.0.clone()))));
        assert_eq!(emitted(&runs[0])[0].1, "1");
        assert!(
            matches!(&runs[1].verdict, Err(Error::Internal { problem }) if problem.contains("a defect of the host's"))
        );
        assert_eq!(emitted(&runs[2])[0].1, "3");
    }
}

/// Emits the answer of a look-up of the document's key in the table that is named like the source.
fn looks_up_its_key() -> Vec<u8> {
    guests::guest(
        "(call $lookup (local.get $source) (local.get $source_len) (local.get $key) (local.get $key_len) (i32.const 4096))
         (if (i32.load8_u (i32.const 4096)) (then (return (call $say (i32.const 2) (i32.const 100) (i32.const 4)))))
         (if (i32.eqz (i32.load8_u (i32.const 4100))) (then (return (call $say (i32.const 1) (i32.const 100) (i32.const 4)))))
         (call $emit (local.get $key) (local.get $key_len) (i32.load (i32.const 4104)) (i32.load (i32.const 4108)))",
    )
}

#[test]
fn no_byte_of_one_guest_is_readable_by_the_next_with_and_without_pagemap_scan() {
    // Traps if any byte of its fresh megabyte is set, then sets them all.
    let curious = guests::guest(&format!(
        "(drop (memory.grow (i32.const 16)))
         (local.set $i (i32.const 262144))
         (loop $l
           (if (i64.ne (i64.load (local.get $i)) (i64.const 0)) (then unreachable))
           (local.set $i (i32.add (local.get $i) (i32.const 8)))
           (br_if $l (i32.lt_u (local.get $i) (i32.const 1310720))))
         (memory.fill (i32.const 262144) (i32.const 65) (i32.const 1048576))
         {}",
        guests::ECHO
    ));
    for pagemap_scan in [false, true] {
        let (sandbox, _dir) = sandbox_with(Settings { pagemap_scan, pagemap_resident_bytes: 4 << 20, ..small() });
        let module = sandbox.load(&curious, ModuleClass::Standard).unwrap();
        let documents: Vec<_> = (0..20).map(|n| document(&format!("k{n}"), "{}")).collect();
        for run in run_with(&sandbox, &module, &documents, Isolation::Document, &limits(), &NoReferences) {
            assert!(run.verdict.is_ok(), "pagemap_scan {pagemap_scan}: {:?}", run.verdict);
        }
    }
}
