//! Answers whose bytes are not what their header says.

use crossdock::connectors::{Error, Finding};
use vendor_sim::{Fault, FaultName};

use crate::matrix::{Cell, Subject, runs};
use crate::rig::{Bench, PAGE_SIZE, fault, told};
use crate::sources::read;
use crate::targets::{create, create_well, find, trouble};

pub fn gbk(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_in_gbk),
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(target_in_gbk),
        Subject::JdyLists => runs!(list_in_gbk),
    }
}

pub fn control_characters(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_with_controls),
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(target_with_controls),
        Subject::JdyLists => runs!(list_with_controls),
    }
}

#[track_caller]
fn check_kept(error: &Error, words: &str) {
    let Error::Unreadable { detail, bytes } = error else { panic!("{error}") };
    assert!(detail.contains("looks like GBK"), "{detail}");
    assert!(encoding_rs::GBK.decode(bytes).0.contains(words), "the bytes are kept as they came");
}

async fn source_in_gbk(bench: &Bench) {
    let world = bench.with_documents(2 * PAGE_SIZE).await;
    let source = world.source("");
    world.once(FaultName::Gbk, 1);
    let unreadable = read(&*source).await;
    let words = if bench.subject == Subject::WangdiantongStockins { "仓" } else { "店" };
    let words = if bench.subject == Subject::U8Saleouts { "仓" } else { words };
    check_kept(unreadable.error(), words);
    world.check_nothing_invented(&unreadable);
    world.check_read_at_least_once(&read(&*world.source("")).await);
}

/// The answer to a success is plain English; a refusal in GBK could have been anything, so the write is in doubt.
async fn target_in_gbk(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    world.order(fault(bench.subject, FaultName::RefuseEvery).value(1).times(1));
    world.once(FaultName::Gbk, 0);
    let error = trouble(create(&*target, &world.jobs(&["A1"])).await);
    assert!(error.may_have_written(), "{error}");
    check_kept(&error, if bench.subject == Subject::WangdiantongTrades { "异常" } else { "保存失败" });
    if target.capabilities().askable {
        assert_eq!(find(&*target, &world.job("A1")).await, Finding::Absent);
    }
    create_well(&*target, &world.job("A1")).await;
}

async fn list_in_gbk(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let lists = world.lists("");
    world.once(FaultName::Gbk, 1);
    let error = lists.fetch("kingdee_jdy.material").await.unwrap_err();
    told(&error);
    check_kept(&error, "停产商品");
    assert!(lists.fetch("kingdee_jdy.material").await.unwrap().len() > 100);
}

/// In every answer, those of log-ins among them.
fn everywhere(subject: Subject) -> Fault {
    Fault::new(FaultName::ControlCharacters).system(subject.system().as_str())
}

async fn source_with_controls(bench: &Bench) {
    let world = bench.with_documents(2 * PAGE_SIZE + 1).await;
    world.order(everywhere(bench.subject));
    let read = read(&*world.source("")).await;
    world.check_read_once(&read);
}

async fn target_with_controls(bench: &Bench) {
    let world = bench.with_documents(0).await;
    world.order(everywhere(bench.subject));
    let target = world.target();
    create_well(&*target, &world.job("A1")).await;
    if target.capabilities().askable {
        assert!(matches!(find(&*target, &world.job("A1")).await, Finding::Ours { next: None, .. }));
    }
}

async fn list_with_controls(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let clean = world.lists("").fetch("kingdee_jdy.stock").await.unwrap();
    world.order(everywhere(bench.subject));
    assert_eq!(world.lists("").fetch("kingdee_jdy.stock").await.unwrap(), clean);
}
