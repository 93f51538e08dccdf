//! A batch is an optimisation: what it says of a document is what a fresh instance says of it.

use super::guests::{ECHO, guest_with};
use super::*;

/// Counts its documents in a global. A key that begins with `t` traps, with `c` tells the count as a log line of that
/// length; everything else is echoed.
fn counting() -> Vec<u8> {
    guest_with(
        "",
        "(global $seen (mut i32) (i32.const 0))",
        &format!(
            "(global.set $seen (i32.add (global.get $seen) (i32.const 1)))
             (call $log (i32.const 0) (i32.const 100) (global.get $seen))
             (if (i32.eq (i32.load8_u (local.get $key)) (i32.const 116)) (then unreachable))
             {ECHO}"
        ),
    )
}

/// How many documents the instance of each run had seen.
fn seen(runs: &[Run]) -> Vec<usize> {
    runs.iter().map(|run| run.logs[0].message.len()).collect()
}

#[test]
fn a_batch_shares_one_instance_and_says_so() {
    let module = sandbox().load(&counting(), ModuleClass::Standard).unwrap();
    let documents = ["a", "b", "c"].map(|key| document(key, "{}"));
    let alone = run_all(&module, &documents, Isolation::Document, &limits());
    let shared = run_all(&module, &documents, Isolation::Batch, &limits());
    assert_eq!((seen(&alone), seen(&shared)), (vec![1, 1, 1], vec![1, 2, 3]));
    for (alone, shared) in alone.iter().zip(&shared) {
        assert_eq!(emitted(alone), emitted(shared));
        assert!(!alone.fuel_shared && shared.fuel_shared);
    }
}

#[test]
fn a_fault_in_a_batch_is_judged_alone_and_the_rest_goes_on_in_a_fresh_instance() {
    let module = sandbox().load(&counting(), ModuleClass::Standard).unwrap();
    let documents = ["a", "b", "trap", "c", "d"].map(|key| document(key, "{}"));
    let runs = run_all(&module, &documents, Isolation::Batch, &limits());
    assert_eq!(seen(&runs), [1, 2, 1, 1, 2]);
    assert_eq!(fault(&runs[2]).0, "guest_trap");
    assert!(!runs[2].fuel_shared, "the verdict is that of a fresh instance");
    for (run, key) in [(0, "a"), (1, "b"), (3, "c"), (4, "d")] {
        assert_eq!(emitted(&runs[run])[0].0, key);
    }
}

#[test]
fn a_document_that_fails_only_in_a_used_instance_gets_its_outcome() {
    let once = guest_with(
        "",
        "(global $seen (mut i32) (i32.const 0))",
        &format!("(if (global.get $seen) (then unreachable)) (global.set $seen (i32.const 1)) {ECHO}"),
    );
    let module = sandbox().load(&once, ModuleClass::Standard).unwrap();
    for run in run_all(&module, &["a", "b", "c"].map(|key| document(key, "{}")), Isolation::Batch, &limits()) {
        emitted(&run);
    }
}

#[test]
fn each_document_of_a_batch_has_the_whole_tank() {
    let module = sandbox().load(&counting(), ModuleClass::Standard).unwrap();
    let fuel = run_all(&module, &[document("a", "{}")], Isolation::Document, &limits())[0].fuel + 100;
    let documents: Vec<_> = (0..20).map(|n| document(&format!("k{n}"), "{}")).collect();
    for run in run_all(&module, &documents, Isolation::Batch, &Limits { fuel, ..limits() }) {
        assert!(run.verdict.is_ok() && run.fuel <= fuel && run.fuel_shared);
    }
}

#[test]
fn what_a_document_logged_and_was_denied_stays_with_it() {
    let denied = guest_with(
        "",
        "",
        &format!(
            "(if (i32.eq (i32.load8_u (local.get $key)) (i32.const 100)) (then (drop (memory.grow (i32.const 9000))))) {ECHO}"
        ),
    );
    let module = sandbox().load(&denied, ModuleClass::Standard).unwrap();
    let runs = run_all(&module, &["a", "d", "b"].map(|key| document(key, "{}")), Isolation::Batch, &limits());
    assert_eq!(runs.iter().map(|run| run.denials.len()).collect::<Vec<_>>(), [0, 1, 0]);
}

#[test]
fn a_document_over_its_cap_does_not_end_the_instance() {
    let module = sandbox().load(&counting(), ModuleClass::Standard).unwrap();
    let documents = [document("a", "{}"), document("b", "[1,2,3,4]"), document("c", "{}")];
    let runs = run_all(&module, &documents, Isolation::Batch, &Limits { input_limit_bytes: 5, ..limits() });
    assert_eq!(fault(&runs[1]).0, "document_too_large");
    assert_eq!((runs[0].logs[0].message.len(), runs[2].logs[0].message.len()), (1, 2));
}
