//! A vendor that says no, with HTTP 200 and in its own words.

use crossdock::connectors::{Answer, DUPLICATE_NUMBER, Error, Finding, Resend};
use crossdock::fault::Disposition;
use vendor_sim::FaultName;

use super::READS_ONLY;
use crate::matrix::{Cell, Subject, runs};
use crate::rig::{Bench, PAGE_SIZE, fault, options, told};
use crate::sources::read;
use crate::targets::{create, create_well, find, refusal, trouble};

pub fn inside(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_is_refused),
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(target_is_refused),
        Subject::JdyLists => runs!(list_is_refused),
    }
}

pub fn duplicate(subject: Subject) -> Cell {
    match subject {
        Subject::K3cloudBills => runs!(number_is_taken),
        Subject::JdyBills => runs!(number_is_taken_or_not),
        Subject::WangdiantongTrades => runs!(push_is_an_upsert),
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts | Subject::JdyLists => {
            Cell::NotApplicable(READS_ONLY)
        }
    }
}

pub fn half(subject: Subject) -> Cell {
    match subject {
        Subject::K3cloudBills => runs!(every_second_bill),
        Subject::WangdiantongTrades => runs!(every_second_trade),
        Subject::JdyBills => Cell::NotApplicable("one bill a request, so that no request can be half refused"),
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts | Subject::JdyLists => {
            Cell::NotApplicable(READS_ONLY)
        }
    }
}

async fn source_is_refused(bench: &Bench) {
    let world = bench.with_documents(2 * PAGE_SIZE).await;
    let source = world.source("");
    world.once(FaultName::Refuse, 1);
    let refused = read(&*source).await;
    let error = refused.error();
    let expected = match bench.subject {
        Subject::JushuitanSaleouts => matches!(error, Error::Refused { code, .. } if code == "invalid-parameter"),
        Subject::WangdiantongStockins => matches!(error, Error::Refused { code, .. } if code == "2830"),
        // The U8 behind the platform failed: to be asked again.
        _ => matches!(error, Error::Server { status: 200, .. }) && error.to_string().contains("20005"),
    };
    assert!(expected, "{error:?}");
    assert!(error.to_string().contains("失败") || error.to_string().contains("不合法"), "the vendor's words: {error}");

    world.once(FaultName::Html, 1);
    let page = read(&*source).await;
    let Error::Unreadable { bytes, .. } = page.error() else { panic!("{}", page.error()) };
    assert!(bytes.starts_with(b"<!DOCTYPE html>"), "the page is kept");
    world.check_read_at_least_once(&read(&*world.source("")).await);
}

async fn target_is_refused(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    world.once(FaultName::Refuse, 0);
    let (code, message) = refusal(create(&*target, &world.jobs(&["A1"])).await);
    let expected = match bench.subject {
        Subject::K3cloudBills => ("8", "数据包不合法"),
        Subject::WangdiantongTrades => ("2830", "参数值不合法"),
        _ => ("2000000001", "业务处理失败"),
    };
    assert_eq!(code, expected.0);
    assert!(message.contains(expected.1), "the vendor's words: {message}");
    assert_eq!(world.held("A1"), (0, 0));

    // What a proxy or a firewall says with a 200 proves nothing about the write.
    for (name, number) in [(FaultName::Html, "A2"), (FaultName::ResponseError, "A3"), (FaultName::Firewall, "A4")] {
        world.order(fault(bench.subject, name).value("after_commit").times(1));
        let error = trouble(create(&*target, &world.jobs(&[number])).await);
        assert!(error.may_have_written(), "{name}: {error}");
        assert!(matches!(error, Error::Unreadable { .. } | Error::Server { .. }), "{name}: {error}");
        assert_eq!(world.held(number).1, 1, "{name}");
    }
    create_well(&*target, &world.job("A1")).await;
}

async fn list_is_refused(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let lists = world.lists("");
    world.once(FaultName::Refuse, 1);
    let error = lists.fetch("kingdee_jdy.material").await.unwrap_err();
    told(&error);
    assert!(
        matches!(&error, Error::Refused { code, message } if code == "2000000001" && message.contains("失败")),
        "{error}"
    );
    world.once(FaultName::Html, 1);
    let error = lists.fetch("kingdee_jdy.material").await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
}

async fn number_is_taken(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    create_well(&*target, &world.job("A1")).await;
    let (code, _) = refusal(create(&*target, &world.jobs(&["A1"])).await);
    assert_eq!(code, DUPLICATE_NUMBER);
    assert!(matches!(find(&*target, &world.job("A1")).await, Finding::Ours { next: None, .. }));
    assert_eq!(world.held("A1"), (1, 1));
    // The same number with other content is somebody else's, and says in what it differs.
    let mut other = world.job("A1");
    other.body = other.body.replace("SKU001", "SKU003");
    let Finding::Differs { differences, .. } = find(&*target, &other).await else { panic!("called ours") };
    assert!(!differences.is_empty());
}

/// Only an account with a rule for numbers refuses the second one. Without, nobody does, and two bills are never ours.
async fn number_is_taken_or_not(bench: &Bench) {
    let mut strict = options(0);
    strict.jdy.unique_billno = true;
    let world = bench.start(strict).await;
    let target = world.target();
    create_well(&*target, &world.job("A1")).await;
    let (code, _) = refusal(create(&*target, &world.jobs(&["A1"])).await);
    assert_eq!(code, DUPLICATE_NUMBER);
    assert!(matches!(find(&*target, &world.job("A1")).await, Finding::Ours { .. }));

    let world = bench.with_documents(0).await;
    let target = world.target();
    assert_eq!(target.capabilities().resend, Resend::Never);
    create_well(&*target, &world.job("A1")).await;
    create_well(&*target, &world.job("A1")).await;
    assert_eq!(world.held("A1"), (2, 2));
    let Finding::Differs { differences, .. } = find(&*target, &world.job("A1")).await else { panic!("called ours") };
    assert!(differences.iter().any(|difference| difference.found.contains("2 bills")), "{differences:?}");
}

async fn push_is_an_upsert(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    assert_eq!(target.capabilities().resend, Resend::SafeUpsert);
    create_well(&*target, &world.job("A1")).await;
    create_well(&*target, &world.job("A1")).await;
    assert_eq!(world.held("A1"), (2, 1), "pushed twice, there once");
}

async fn every_second_bill(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    world.order(fault(bench.subject, FaultName::RefuseEvery).value(2).times(1));
    let numbers = ["A1", "A2", "A3", "A4"];
    let answers = create(&*target, &world.jobs(&numbers)).await.unwrap();
    for (index, (number, answer)) in numbers.iter().zip(&answers).enumerate() {
        let refused = index % 2 == 1;
        match answer {
            Answer::Done { next: None, .. } => assert!(!refused, "{number}"),
            Answer::Refused { message, saved: None, .. } => {
                assert!(refused && message.contains("单据保存失败"), "{number}: {message}");
            }
            other => panic!("{number}: {other:?}"),
        }
        assert_eq!(world.held(number).1, usize::from(!refused), "{number}");
    }
    // One that is saved and mentioned nowhere is neither.
    world.order(fault(bench.subject, FaultName::Unmentioned).value(2).times(1));
    let answers = create(&*target, &world.jobs(&["B1", "B2"])).await.unwrap();
    assert!(matches!(answers[..], [Answer::Done { .. }, Answer::Unmentioned]), "{answers:?}");
    assert!(matches!(find(&*target, &world.job("B2")).await, Finding::Ours { .. }));
}

/// The vendor names no trade of a refused push, and may have kept those before the bad one. So whatever the call says, no
/// trade is called written that is not there, and sent alone, each gets its own answer.
async fn every_second_trade(bench: &Bench) {
    for keep_before_failure in [true, false] {
        let mut options = options(0);
        options.wangdiantong.keep_before_failure = keep_before_failure;
        let world = bench.start(options).await;
        let target = world.target();
        let numbers = ["A1", "A2", "A3", "A4"];
        let mut jobs = world.jobs(&numbers);
        for job in [1, 3] {
            jobs[job].body = jobs[job].body.replace("\"paid\":100", "\"paid\":99");
        }
        match create(&*target, &jobs).await {
            Ok(answers) => {
                for (number, answer) in numbers.iter().zip(&answers) {
                    let done = matches!(answer, Answer::Done { .. });
                    assert!(!done || world.held(number).1 == 1, "{number} is called written and is not there");
                }
            }
            Err(error) => assert!(matches!(error, Error::Refused { .. }), "{error}"),
        }
        for (index, job) in jobs.iter().enumerate() {
            if index % 2 == 0 {
                create_well(&*target, job).await;
                continue;
            }
            let (code, message) = refusal(create(&*target, std::slice::from_ref(job)).await);
            assert!(code == "2830" && message.contains("金额不平"), "{code}: {message}");
        }
        let held = numbers.map(|number| world.held(number).1);
        assert_eq!(held, [1, 0, 1, 0]);
    }
    let refused = Error::Refused { code: String::new(), message: String::new() };
    assert_eq!(refused.fault().disposition, Disposition::Park, "a refusal is a document's own trouble");
}
