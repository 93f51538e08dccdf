//! Writes of which nobody can say at once whether they happened.

use std::time::{Duration, Instant};

use crossdock::connectors::{Answer, Error, Finding, Resend, Target};
use serde_json::json;
use vendor_sim::{FaultName, Method};

use super::{NOT_ASKABLE, READS_ONLY};
use crate::matrix::{Cell, Subject, runs};
use crate::rig::{Bench, PAGE_SIZE, World, fault, told};
use crate::sources::read;
use crate::targets::{create, create_well, find, trouble};

pub fn response_lost(subject: Subject) -> Cell {
    match subject {
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(response_is_lost),
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts | Subject::JdyLists => {
            Cell::NotApplicable(READS_ONLY)
        }
    }
}

pub fn commit_after_drop(subject: Subject) -> Cell {
    match subject {
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(commits_after_the_drop),
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts | Subject::JdyLists => {
            Cell::NotApplicable(READS_ONLY)
        }
    }
}

pub fn shown_late(subject: Subject) -> Cell {
    match subject {
        Subject::K3cloudBills | Subject::JdyBills => runs!(shows_late),
        Subject::WangdiantongTrades => Cell::NotApplicable(NOT_ASKABLE),
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => Cell::NotApplicable(
            "a source that shows a record late is met by the scheme's lag and sweep, not by its connector",
        ),
        Subject::JdyLists => Cell::NotApplicable("a table is fetched anew on a schedule and on a miss"),
    }
}

pub fn cut_off(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_is_cut),
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(target_is_cut),
        Subject::JdyLists => runs!(list_is_cut),
    }
}

/// What the pipeline does about a write in doubt comes to one bill.
async fn check_settled(world: &World, target: &dyn Target, number: &str) {
    let job = world.job(number);
    if target.capabilities().askable {
        assert!(matches!(find(target, &job).await, Finding::Ours { next: None, .. }));
    } else {
        assert_eq!(target.capabilities().resend, Resend::SafeUpsert);
        create_well(target, &job).await;
    }
    assert_eq!(world.held(number).1, 1);
}

async fn response_is_lost(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    world.once(FaultName::DropAfterCommit, 0);
    let error = trouble(create(&*target, &world.jobs(&["A1"])).await);
    assert!(matches!(error, Error::AnswerLost { .. }) && error.may_have_written(), "{error}");
    assert_eq!(world.held("A1"), (1, 1));
    check_settled(&world, &*target, "A1").await;

    // Nor does a connection that closed before tell that nothing happened.
    world.once(FaultName::DropBefore, 0);
    let error = trouble(create(&*target, &world.jobs(&["A2"])).await);
    assert!(error.may_have_written(), "{error}");
    for (name, number) in [(FaultName::Http500, "A3"), (FaultName::Http502, "A4")] {
        world.order(fault(bench.subject, name).value("after_commit").times(1));
        let error = trouble(create(&*target, &world.jobs(&[number])).await);
        assert!(matches!(error, Error::Server { .. }) && error.may_have_written(), "{error}");
        check_settled(&world, &*target, number).await;
    }
}

async fn commits_after_the_drop(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target_with("", "");
    world.order(fault(bench.subject, FaultName::CommitAfterDrop).value(300).times(1));
    let error = trouble(create(&*target, &world.jobs(&["A1"])).await);
    assert!(matches!(error, Error::AnswerLost { .. }) && error.may_have_written(), "{error}");
    if target.capabilities().askable {
        let finding = find(&*target, &world.job("A1")).await;
        // Until then the vendor rightly says that there is none; so "absent" counts only after the request's deadline.
        if world.held("A1").1 == 0 {
            assert_eq!(finding, Finding::Absent);
        }
    }
    assert!(target.request_timeout() >= Duration::from_secs(60), "the deadline covers the whole exchange");
    let began = Instant::now();
    while world.held("A1").1 == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "the late bill never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check_settled(&world, &*target, "A1").await;
}

async fn shows_late(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    world.order(fault(bench.subject, FaultName::ShowLate).value(60_000).times(1));
    let answers = create(&*target, &world.jobs(&["A1"])).await.unwrap();
    match bench.subject {
        // Whether it is audited could not be seen, so nothing is claimed.
        Subject::K3cloudBills => assert_eq!(answers, [Answer::Unmentioned]),
        _ => assert!(matches!(answers[..], [Answer::Done { .. }]), "{answers:?}"),
    }
    assert_eq!(world.held("A1"), (1, 1));
    assert_eq!(find(&*target, &world.job("A1")).await, Finding::Absent, "the list does not show it yet");
    world.admin(&Method::POST, "clock", &json!({"offset_seconds": 61}));
    assert!(matches!(find(&*target, &world.job("A1")).await, Finding::Ours { next: None, .. }));
}

async fn source_is_cut(bench: &Bench) {
    let world = bench.with_documents(2 * PAGE_SIZE + 1).await;
    let source = world.source("");
    world.once(FaultName::Truncate, 1);
    let cut = read(&*source).await;
    assert!(matches!(cut.error(), Error::AnswerLost { .. }), "{}", cut.error());
    world.check_nothing_invented(&cut);
    world.check_read_at_least_once(&read(&*world.source("")).await);
}

async fn target_is_cut(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    world.once(FaultName::Truncate, 0);
    let error = trouble(create(&*target, &world.jobs(&["A1"])).await);
    assert!(matches!(error, Error::AnswerLost { .. }) && error.may_have_written(), "{error}");
    assert_eq!(world.held("A1"), (1, 1));
    check_settled(&world, &*target, "A1").await;
}

async fn list_is_cut(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let lists = world.lists("");
    world.once(FaultName::Truncate, 1);
    let error = lists.fetch("kingdee_jdy.material").await.unwrap_err();
    told(&error);
    assert!(matches!(error, Error::AnswerLost { .. }), "{error}");
    assert!(lists.fetch("kingdee_jdy.material").await.unwrap().len() > 100);
}
