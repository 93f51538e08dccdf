//! Documents that wait for a table: a driver with a module that looks things up, beside a library at work.

use super::super::super::driver::Rest;
use super::super::super::rig::{FakeModule, Plan, Rig, document};
use super::super::super::subject::{Phase, Waits};
use super::*;

/// A driver whose module looks up what a body `needs:KEY` names.
fn start(house: &House, store: Arc<MemoryStore>) -> Rig {
    plan(house).start(store)
}

fn plan(house: &House) -> Plan {
    let looks_up = Some((house.catalogue.clone(), house.now.clone()));
    let module = FakeModule { looks_up, ..FakeModule::default() };
    Plan { now: house.now.clone(), module: Arc::new(module), ..Plan::new() }
}

fn needs(number: u32, key: &str) -> crate::connectors::SourceDocument {
    document(&format!("d{number}"), &format!("needs:{key}"))
}

fn waits(rig: &Rig, key: &str) -> Option<Waits> {
    let subject = rig.subject(key);
    let latest = subject.latest().unwrap();
    assert!(latest.waits.is_none() || matches!(latest.phase, Phase::Received { .. }), "{latest:?}");
    latest.waits.clone()
}

#[tokio::test(start_paused = true)]
async fn documents_that_miss_a_key_wait_together_and_are_written_after_one_fetch() {
    let house = House::fetched().await;
    let rig = start(&house, Arc::new(MemoryStore::new()));
    house.vendor.add("M-2");
    rig.handle.page((0..7).map(|number| needs(number, "M-2")).collect()).await.unwrap();
    assert_eq!(rig.handle.rests().await, Rest::Waits);
    assert!((0..7).all(|number| waits(&rig, &format!("d{number}")).is_some()));
    assert_eq!(rig.plan.target.requests(), 0);
    rig.handle.idle().await;
    assert!((0..7).all(|number| rig.is_done(&format!("d{number}"))));
    assert_eq!((rig.plan.target.bills().len(), house.vendor.fetches()), (7, 2));
    let subject = rig.subject("d0");
    let history = rig.ledger.history(&crate::model::DocumentKey::new("d0").unwrap(), subject.events, 10).unwrap();
    let used: Vec<_> = history.iter().flat_map(|line| line.tables.get(MATERIAL)).collect();
    assert_eq!(used.last(), Some(&house.status().revision.as_ref().unwrap()), "what the outcome rests on");
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_no_fetch_brings_is_told_to_the_module_as_missing() {
    let house = House::fetched().await;
    let rig = start(&house, Arc::new(MemoryStore::new()));
    rig.handle.page(vec![needs(1, "M-9"), needs(2, "M-1")]).await.unwrap();
    rig.handle.idle().await;
    assert_eq!((rig.parked("d1"), house.vendor.fetches()), (Some(Code::Rejected), 2));
    // The next one of the same key, a moment later.
    rig.handle.page(vec![needs(3, "M-9")]).await.unwrap();
    rig.handle.idle().await;
    assert_eq!((rig.parked("d3"), house.vendor.fetches()), (Some(Code::Rejected), 2));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_document_that_waits_holds_nothing_back_but_itself() {
    let house = House::open(Arc::new(MemoryStore::new()), Arc::default(), clock());
    house.vendor.fail((0..1_000).map(|_| down()));
    let mut plan = plan(&house);
    plan.flow.backlog_limit = 3;
    let rig = plan.start(Arc::new(MemoryStore::new()));
    // More than the backlog may be, so that a page behind them would never be taken.
    rig.handle.page((0..9).map(|number| needs(number, "M-1")).collect()).await.unwrap();
    assert_eq!(rig.handle.rests().await, Rest::Waits);
    rig.handle.page(vec![document("free", "one"), document("d0", "two")]).await.unwrap();
    assert_eq!(rig.handle.rests().await, Rest::Waits);
    assert!(rig.is_done("free"));
    assert!(rig.is_done("d0"), "a newer version of a document that waits takes its place");
    let events = rig.subject("d1").events;
    tokio::time::sleep(HOUR * 12).await;
    assert_eq!(rig.subject("d1").events, events, "waiting is written down once");
    assert!(waits(&rig, "d1").is_some());

    // Nothing of it is lost with the engine.
    let store = rig.crash(0).await;
    let rig = start(&house, store);
    assert_eq!(rig.handle.rests().await, Rest::Waits);
    assert!(waits(&rig, "d1").is_some());
    house.vendor.add("M-1");
    house.vendor.errors.lock().unwrap().clear();
    rig.handle.idle().await;
    assert!((1..9).all(|number| rig.is_done(&format!("d{number}"))));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_comes_between_a_run_and_its_commit_is_not_slept_through() {
    let house = House::fetched().await;
    let store = Arc::new(MemoryStore::new());
    let rig = start(&house, store.clone());
    rig.handle.page(vec![needs(1, "M-1")]).await.unwrap();
    rig.handle.idle().await;
    house.vendor.add("M-2");
    // The page becomes durable, the verdict does not: the store holds it while the table is fetched.
    let page = rig.handle.page(vec![needs(2, "M-2")]);
    store.hold();
    let release = async {
        while store.unacknowledged() == 0 {
            tokio::task::yield_now().await;
        }
        store.acknowledge(1);
        while store.unacknowledged() == 0 {
            tokio::task::yield_now().await;
        }
        house.library.refresh(&id()).await.unwrap();
        store.release();
    };
    let (page, ()) = tokio::join!(page, release);
    page.unwrap();
    let began = (house.now)();
    rig.handle.idle().await;
    assert!(rig.is_done("d2"));
    assert!((house.now)().duration_since(began) < SignedDuration::from_secs(5), "it waited for another fetch");
    assert_eq!(house.vendor.fetches(), 2);
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_person_who_adds_the_key_and_retries_is_not_told_what_was_known_before() {
    use super::super::super::command::{Command, Order};
    use super::super::super::step::RetryMode;
    let house = House::fetched().await;
    let rig = start(&house, Arc::new(MemoryStore::new()));
    rig.handle.page(vec![needs(1, "M-9")]).await.unwrap();
    rig.handle.idle().await;
    assert_eq!(rig.parked("d1"), Some(Code::Rejected));
    house.vendor.add("M-9");
    let key = crate::model::DocumentKey::new("d1").unwrap();
    rig.handle.command(Order::new(key, Command::retry(RetryMode::Plain))).await.unwrap();
    rig.handle.idle().await;
    assert!(rig.is_done("d1"));
    assert_eq!(house.vendor.fetches(), 3);
    house.end().await;
}
