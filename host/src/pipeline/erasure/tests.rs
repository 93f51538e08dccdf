use std::time::Duration;

use bytes::Bytes;

use super::super::command::{Command, CommandError, Order};
use super::super::ledger::BadPage;
use super::super::rig::*;
use super::super::step::Refusal;
use super::*;
use crate::fault::{Code, Fault};
use crate::state::{Key, Store, Table};

fn key(name: &str) -> DocumentKey {
    DocumentKey::new(name).unwrap()
}

async fn take(rig: &Rig, name: &str, body: &str) {
    rig.handle.page(vec![document(name, body)]).await.unwrap();
    rig.handle.rests().await;
}

/// While something is paused, nothing comes to rest.
async fn take_paused(rig: &Rig, name: &str, body: &str) {
    rig.handle.page(vec![document(name, body)]).await.unwrap();
    pass(Duration::from_secs(1)).await;
}

/// The documents that the module faults over next, in these words.
fn fault(rig: &Rig, words: &str) {
    rig.plan.module.faults.lock().unwrap().push_back(Fault::park(Code::GuestTrap, words));
}

async fn order(rig: &Rig, erasure: &Erasure, name: &str) -> Result<u64, CommandError> {
    let clearance = erasure.clearance(&key(name)).await.unwrap();
    let command = Command::Erase { reason: "asked for".into(), clearance };
    rig.handle.command(Order { by: Some("li".into()), ..Order::new(key(name), command) }).await
}

async fn erase(rig: &Rig, name: &str) -> Result<u64, CommandError> {
    let erasure = Erasure::prepare(&rig.ledger, &[key(name)]).await.unwrap();
    order(rig, &erasure, name).await
}

/// The tables in whose rows the words stand.
fn found(rig: &Rig, words: &str) -> Vec<Table> {
    let holds = |bytes: &[u8]| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    let rows = |table: &Table| rig.store.scan(*table, &Key::default(), None, 1_000_000).unwrap();
    let tables = Table::ALL.iter().filter(|table| rows(table).iter().any(|(_, stored)| holds(&stored.value)));
    tables.copied().collect()
}

fn bodies(rig: &Rig) -> usize {
    rig.ledger.bodies(None, 1_000).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn no_row_holds_a_word_of_an_erased_document_and_it_is_known_again() {
    let rig = Rig::new();
    take(&rig, "d", "zhang san's first").await;
    fault(&rig, "unreachable, says zhang san");
    take(&rig, "d", "zhang san's second").await;
    take(&rig, "other", "wang wu's").await;
    assert!(!found(&rig, "zhang san").is_empty());
    assert_eq!(erase(&rig, "d").await, Ok(2));
    assert_eq!(found(&rig, "zhang san"), []);
    let line = rig.ledger.history(&key("d"), 1_000, 1_000).unwrap();
    let event = Event::Erased { reason: "asked for".into(), by: Some("li".into()) };
    assert_eq!(line.into_iter().map(|line| line.event).collect::<Vec<_>>(), [event]);
    assert!(!found(&rig, "wang wu").is_empty(), "somebody else's");

    let requests = rig.plan.target.requests();
    take(&rig, "d", "zhang san's second").await;
    assert_eq!((rig.subject("d").versions.len(), rig.plan.target.requests()), (2, requests), "read again: nothing new");
    assert_eq!(found(&rig, "zhang san"), [], "and nothing of it is kept");
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_a_later_run_replaced_and_versions_that_the_row_forgot_go_as_well() {
    let rig = Rig::new();
    rig.pause(target_scope()).await;
    for number in 0..300 {
        // Each supersedes the one before, whose bill is in the history alone by then.
        take_paused(&rig, "d", &format!("zhang san {number}")).await;
    }
    let lines = rig.ledger.lines_after(&key("d"), None, 10_000).unwrap().len();
    assert!(lines > LINES_AT_ONCE, "{lines} are too few to show anything");
    rig.gates.resume(&target_scope()).await.unwrap();
    rig.handle.idle().await;
    assert_eq!(erase(&rig, "d").await, Ok(300));
    assert_eq!((found(&rig, "zhang san"), bodies(&rig)), (Vec::new(), 0));
    assert_eq!(rig.ledger.lines_after(&key("d"), None, 10).unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_another_document_names_stays_until_that_one_is_erased() {
    for together in [false, true] {
        let rig = Rig::new();
        take(&rig, "d", "alike").await;
        take(&rig, "e", "alike").await;
        let (d, e) = (key("d"), key("e"));
        if together {
            let mut erasure = Erasure::prepare(&rig.ledger, &[d.clone(), e.clone()]).await.unwrap();
            order(&rig, &erasure, "d").await.unwrap();
            erasure.erased(&d);
            assert!(rig.ledger.body(Digest::of("alike")).unwrap().is_some(), "the other one may yet be refused");
            order(&rig, &erasure, "e").await.unwrap();
        } else {
            erase(&rig, "d").await.unwrap();
            assert!(rig.ledger.body(Digest::of("alike")).unwrap().is_some());
            erase(&rig, "e").await.unwrap();
        }
        assert_eq!((found(&rig, "alike"), bodies(&rig)), (Vec::new(), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_changed_since_it_was_looked_up_is_not_erased_by_that_look() {
    let rig = Rig::new();
    take(&rig, "d", "alike").await;
    let before = Erasure::prepare(&rig.ledger, &[key("d")]).await.unwrap();
    // The document itself has another body now, which nobody looked up.
    take(&rig, "d", "another").await;
    assert_eq!(order(&rig, &before, "d").await, Err(CommandError::Changed(key("d"))));
    let before = Erasure::prepare(&rig.ledger, &[key("d")]).await.unwrap();
    // Somebody else names its body now.
    take(&rig, "e", "another").await;
    assert_eq!(order(&rig, &before, "d").await, Err(CommandError::Changed(key("d"))));
    erase(&rig, "d").await.unwrap();
    assert_eq!(rig.ledger.body(Digest::of("another")).unwrap().as_deref(), Some("another"));
    assert_eq!(rig.ledger.body(Digest::of("alike")).unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_write_under_way_is_not_erased_and_a_document_that_is_not_there_neither() {
    let rig = Rig::new();
    rig.pause(target_scope()).await;
    take_paused(&rig, "d", "one").await;
    assert_eq!(erase(&rig, "d").await, Err(CommandError::Refused(Refusal::BeingWritten(1))));
    assert!(rig.ledger.body(Digest::of("one")).unwrap().is_some());
    assert_eq!(erase(&rig, "nobody").await, Err(CommandError::NoSuchDocument(key("nobody"))));
}

#[tokio::test(start_paused = true)]
async fn a_document_that_waits_for_its_turn_is_never_run() {
    let rig = Rig::new();
    rig.pause(scheme_scope()).await;
    take_paused(&rig, "d", "one").await;
    erase(&rig, "d").await.unwrap();
    rig.gates.resume(&scheme_scope()).await.unwrap();
    rig.handle.idle().await;
    assert_eq!((rig.plan.target.requests(), bodies(&rig)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn pages_that_could_not_be_read_go_where_they_speak_of_the_document() {
    let rig = Rig::new();
    take(&rig, "order-17", "one").await;
    for text in ["<html>order-17, zhang san</html>", "<html>order-18</html>"] {
        let page = BadPage { at: (rig.plan.now)(), detail: "no JSON".into(), digest: Digest::of(text) };
        rig.handle.bad_page(page, Bytes::from(text)).await.unwrap();
        pass(Duration::from_secs(1)).await;
    }
    erase(&rig, "order-17").await.unwrap();
    assert_eq!(found(&rig, "zhang san"), []);
    assert_eq!((rig.ledger.bad_pages(10).unwrap().len(), found(&rig, "order-18").len()), (1, 1));
}
