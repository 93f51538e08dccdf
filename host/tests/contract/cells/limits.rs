//! Too many calls, and too large an answer.

use std::time::Duration;

use crossdock::connectors::{Error, Finding};
use crossdock::fault::Disposition;
use serde_json::json;
use vendor_sim::{FaultName, Options};

use crate::matrix::{Cell, Subject, runs};
use crate::rig::{Bench, PAGE_SIZE, fault, options, told};
use crate::sources::read;
use crate::targets::{create, create_well, find, look_up, trouble};

/// Longer than every answer of these tests, and less than the vendor is told to send.
const SMALL_LIMIT_MIB: u64 = 17;

pub fn with_wait(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins => runs!(source_waits),
        Subject::U8Saleouts => runs!(calls_are_used_up),
        Subject::WangdiantongTrades => runs!(target_waits),
        Subject::K3cloudBills | Subject::JdyBills | Subject::JdyLists => {
            Cell::NotApplicable("the vendor has no way to say how long")
        }
    }
}

pub fn without_wait(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_slows_down),
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(target_slows_down),
        Subject::JdyLists => runs!(list_slows_down),
    }
}

pub fn huge(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_is_huge),
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(target_is_huge),
        Subject::JdyLists => runs!(list_is_huge),
    }
}

#[track_caller]
fn check_throttled(error: &Error, expected: Option<u64>) {
    let Error::Throttled { wait, .. } = error else { panic!("not throttled: {error}") };
    assert_eq!(*wait, expected.map(Duration::from_secs));
    let after_ms = expected.map(|seconds| seconds * 1000);
    assert_eq!(error.fault().disposition, Disposition::Retry { after_ms });
    assert!(!error.may_have_written(), "a throttled request was not carried out");
}

async fn source_waits(bench: &Bench) {
    source_is_throttled(bench, Some(17), options(3 * PAGE_SIZE), "").await;
}

/// The vendor names no code for it, so it is one that the settings know.
async fn source_slows_down(bench: &Bench) {
    let mut options = options(3 * PAGE_SIZE);
    options.u8.call_limit_code = "30099".to_owned();
    let settings = if bench.subject == Subject::U8Saleouts { "throttle_codes = [\"30099\"]" } else { "" };
    source_is_throttled(bench, None, options, settings).await;
}

async fn source_is_throttled(bench: &Bench, wait: Option<u64>, options: Options, settings: &str) {
    let world = bench.start(options).await;
    let source = world.source(settings);
    world.order(fault(bench.subject, FaultName::Throttle).value(wait.unwrap_or(0)).times(1).after(2));
    let throttled = read(&*source).await;
    check_throttled(throttled.error(), wait);
    world.check_nothing_invented(&throttled);
    let again = read(&*source).await;
    let both: Vec<_> = throttled.bodies.iter().chain(&again.bodies).cloned().collect();
    assert!(world.held_in_window().iter().all(|body| both.contains(body)), "the two reads together have everything");
    assert!(again.summary().passes > 0);
}

/// The calls of a token are counted here, and the wait is until its end.
async fn calls_are_used_up(bench: &Bench) {
    let world = bench.with_documents(2 * PAGE_SIZE).await;
    let read = read(&*world.source("calls_per_token = 10")).await;
    let Error::Throttled { wait: Some(wait), .. } = read.error() else { panic!("{}", read.error()) };
    assert!((1..=7200).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(read.bodies.len(), 9, "what the ten calls brought was handed over");
    world.check_nothing_invented(&read);
    assert_eq!(
        world.requests("saleout/get") + world.requests("saleoutlist/batch_get"),
        10,
        "and no call more was made"
    );
}

async fn target_waits(bench: &Bench) {
    target_is_throttled(bench, Some(17)).await;
}

async fn target_slows_down(bench: &Bench) {
    target_is_throttled(bench, None).await;
}

async fn target_is_throttled(bench: &Bench, wait: Option<u64>) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    world.order(fault(bench.subject, FaultName::Throttle).value(wait.unwrap_or(0)).times(1));
    check_throttled(&trouble(create(&*target, &world.jobs(&["A1"])).await), wait);
    assert_eq!(world.held("A1"), (0, 0));
    create_well(&*target, &world.job("A1")).await;
    if target.capabilities().askable {
        let question = fault(bench.subject, FaultName::Throttle).operation(bench.subject.question());
        world.order(question.value(0).times(1));
        check_throttled(&look_up(&*target, &world.jobs(&["A1"])).await.unwrap_err(), None);
    }
}

async fn list_slows_down(bench: &Bench) {
    let world = bench.with_documents(0).await;
    world.order(fault(bench.subject, FaultName::Throttle).value(0).times(1).after(1));
    let error = world.lists("").fetch("kingdee_jdy.material").await.unwrap_err();
    told(&error);
    check_throttled(&error, None);
}

/// Asked again for smaller pages, and given up at a single row.
async fn source_is_huge(bench: &Bench) {
    let world = bench.with_documents(2 * PAGE_SIZE + 3).await;
    world.order(fault(bench.subject, FaultName::Huge).value(40).times(2).after(1));
    let halved = read(&*world.source("")).await;
    world.check_read_at_least_once(&halved);
    world.order(fault(bench.subject, FaultName::Huge).value(SMALL_LIMIT_MIB));
    let swollen = read(&*world.source("")).await;
    let Error::TooLarge { limit_bytes } = swollen.error() else { panic!("{}", swollen.error()) };
    assert_eq!(*limit_bytes, 16 << 20);
    assert!(swollen.bodies.is_empty());
}

async fn target_is_huge(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    world.order(fault(bench.subject, FaultName::Huge).value(40).times(1));
    let error = trouble(create(&*target, &world.jobs(&["A1"])).await);
    assert!(matches!(error, Error::TooLarge { .. }) && error.may_have_written(), "{error}");
    assert_eq!(world.held("A1"), (1, 1), "and it was carried out");
    if target.capabilities().askable {
        let question = fault(bench.subject, FaultName::Huge).operation(bench.subject.question());
        world.order(question.value(json!(SMALL_LIMIT_MIB)).times(1));
        let error = look_up(&*target, &world.jobs(&["A1"])).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "never absent: {error}");
        assert!(matches!(find(&*target, &world.job("A1")).await, Finding::Ours { .. }));
    }
}

async fn list_is_huge(bench: &Bench) {
    let world = bench.with_documents(0).await;
    world.order(fault(bench.subject, FaultName::Huge).value(40).times(1).after(1));
    let lists = world.lists("");
    let error = lists.fetch("kingdee_jdy.material").await.unwrap_err();
    told(&error);
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert!(lists.fetch("kingdee_jdy.material").await.unwrap().len() > 100);
}
