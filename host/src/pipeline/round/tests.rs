//! One round against the store: who owns a target key, and what a batch holds together.

use super::super::rig::{Plan, target_connection, tenant};
use super::*;
use crate::fault::Code;
use crate::model::SchemeId;
use crate::pipeline::step::Emitted;
use crate::state::MemoryStore;

fn ledger(store: &Arc<MemoryStore>, scheme: &str) -> Ledger {
    Ledger::new(store.clone(), tenant(), SchemeId::new(scheme).unwrap())
}

/// Receives a document and writes one bill for it, in one round.
async fn emit(ledger: &Ledger, key: &DocumentKey, bill: &str) -> Settled {
    emit_into(ledger, key, bill, None).await
}

async fn emit_into(ledger: &Ledger, key: &DocumentKey, bill: &str, form: Option<&str>) -> Settled {
    let plan = Plan::new();
    let operation = OperationName::new("BatchSave").unwrap();
    let destination = Destination { connection: target_connection(), operation, number_space: form.map(str::to_owned) };
    let now = (plan.now)();
    let moment = Moment { now, dice: 0, at_work_since: now };
    let digest = Digest::of("body");
    let emitted = vec![Emitted { key: TargetKey::new(bill).unwrap(), body: digest, taken_by: None, frozen: None }];
    let verdict = Verdict::Emit(emitted);
    let works = [
        Work::new(key.clone(), Event::Received { body: digest, cancelled: false, fault: None }),
        Work::new(key.clone(), Event::Transformed { version: 1, module: digest, fuel: 1, verdict }),
    ];
    commit_round(ledger, &destination, &plan.rules, moment, &works, None).await.unwrap()
}

fn parked(ledger: &Ledger, key: &DocumentKey) -> Option<Code> {
    let subject = ledger.subject(key).unwrap().unwrap();
    subject.parked().last().map(|(_, fault)| fault.code)
}

#[tokio::test(start_paused = true)]
async fn another_schemes_document_of_the_same_key_is_another_document() {
    // With a key too long to be written together with the scheme's name, it passed for one's own.
    for key in ["d".to_owned(), "d".repeat(512)] {
        let store = Arc::new(MemoryStore::new());
        let key = DocumentKey::new(key).unwrap();
        let (first, second) = (ledger(&store, "first"), ledger(&store, "second"));
        emit(&first, &key, "A").await;
        emit(&second, &key, "A").await;
        assert_eq!((parked(&first, &key), parked(&second, &key)), (None, Some(Code::TargetKeyTaken)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_number_of_another_form_is_another_bill() {
    let store = Arc::new(MemoryStore::new());
    let key = DocumentKey::new("d").unwrap();
    let (out, back, again) = (ledger(&store, "out"), ledger(&store, "back"), ledger(&store, "again"));
    emit_into(&out, &key, "1001", Some("SAL_OUTSTOCK")).await;
    emit_into(&back, &key, "1001", Some("SAL_RETURNSTOCK")).await;
    emit_into(&again, &key, "1001", Some("SAL_OUTSTOCK")).await;
    assert_eq!((parked(&out, &key), parked(&back, &key)), (None, None));
    assert_eq!(parked(&again, &key), Some(Code::TargetKeyTaken));
}

#[tokio::test(start_paused = true)]
async fn a_long_history_shows_its_newest_lines() {
    let store = Arc::new(MemoryStore::new());
    let key = DocumentKey::new("d").unwrap();
    let ledger = ledger(&store, "first");
    emit(&ledger, &key, "A").await;
    for (limit, expected) in [(1, 1), (2, 2), (9, 2)] {
        let lines = ledger.history(&key, 2, limit).unwrap();
        assert_eq!(lines.len(), expected);
        assert!(
            matches!(lines.last().unwrap().event, Event::Transformed { .. }),
            "of {limit} lines the newest is missing"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_between_our_look_and_our_commit_is_seen_in_the_second_look() {
    let store = Arc::new(MemoryStore::new());
    let key = DocumentKey::new("d").unwrap();
    let (first, second) = (ledger(&store, "first"), ledger(&store, "second"));
    store.hold();
    let (one, two) = (emit(&first, &key, "A"), emit(&second, &key, "A"));
    let release = async { store.release() };
    tokio::join!(one, two, release);
    assert_eq!((parked(&first, &key), parked(&second, &key)), (None, Some(Code::TargetKeyTaken)));
}

#[tokio::test(start_paused = true)]
async fn the_events_of_one_round_build_on_each_other_and_are_one_batch() {
    let store = Arc::new(MemoryStore::new());
    let key = DocumentKey::new("d").unwrap();
    let ledger = ledger(&store, "first");
    let settled = emit(&ledger, &key, "A").await;
    assert_eq!(settled.changed, 2);
    assert_eq!(ledger.history(&key, 2, 10).unwrap().len(), 2);
    assert!(matches!(settled.actions.last(), Some((_, Action::Enqueue { .. }))));
    assert!(ledger.open(None, 10).unwrap()[0].1.work);
}

#[test]
fn works_with_large_bodies_go_into_several_batches_and_small_ones_into_one() {
    let work = |bytes: usize| {
        let key = DocumentKey::new("d").unwrap();
        let mut work = Work::new(key, Event::Restarted);
        work.bodies.push((Digest::of("body"), "x".repeat(bytes).into()));
        work
    };
    let portion_of = |sizes: &[usize]| portion(&sizes.iter().map(|bytes| work(*bytes)).collect::<Vec<_>>());
    assert_eq!(portion_of(&[1_000; 500]), 500);
    assert_eq!(portion_of(&[BATCH_BYTES / 2, BATCH_BYTES / 2, 1]), 2);
    assert_eq!(portion_of(&[BATCH_BYTES + 1, 1]), 1, "at least one");
    assert_eq!(portion_of(&[]), 0);
}
