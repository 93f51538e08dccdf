//! Pages of a source, of a list, and of the list by which a target is asked.

use crossdock::connectors::{Error, Finding, ReferenceSource};
use vendor_sim::{Fault, FaultName, MoverTarget, Options};

use super::NOT_ASKABLE;
use crate::matrix::{Cell, Subject, runs};
use crate::rig::{Bench, PAGE_SIZE, World, fault, options, told};
use crate::sources::read;
use crate::targets::{create_well, find, look_up};

pub fn first(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_first),
        Subject::K3cloudBills | Subject::JdyBills => runs!(found_on_the_first),
        Subject::JdyLists => runs!(list_first),
        Subject::WangdiantongTrades => Cell::NotApplicable(NOT_ASKABLE),
    }
}

pub fn empty(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_empty),
        Subject::K3cloudBills | Subject::JdyBills => runs!(nothing_found),
        Subject::JdyLists => runs!(list_empty),
        Subject::WangdiantongTrades => Cell::NotApplicable(NOT_ASKABLE),
    }
}

pub fn last(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_last),
        Subject::K3cloudBills => runs!(found_on_the_last_k3cloud),
        Subject::JdyBills => runs!(found_on_the_last_jdy),
        Subject::JdyLists => runs!(list_last),
        Subject::WangdiantongTrades => Cell::NotApplicable(NOT_ASKABLE),
    }
}

pub fn moving(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_moves),
        Subject::JdyBills => runs!(found_while_rows_move),
        Subject::JdyLists => runs!(list_moves),
        Subject::K3cloudBills => Cell::NotApplicable(
            "bills are asked for by number and come in the order of their ids, and neither changes for a bill that is there",
        ),
        Subject::WangdiantongTrades => Cell::NotApplicable(NOT_ASKABLE),
    }
}

async fn source_first(bench: &Bench) {
    let world = bench.with_documents(PAGE_SIZE - 3).await;
    for way in bench.subject.ways() {
        let source = world.source(way);
        source.probe().await.unwrap();
        let read = read(&*source).await;
        assert_eq!(read.bodies.len(), PAGE_SIZE - 3);
        assert_eq!(read.totals[0], Some(7), "the vendor's own count");
        world.check_read_once(&read);
    }
}

async fn source_empty(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let read = read(&*world.source("")).await;
    assert_eq!(read.summary().documents, 0);
    assert!(read.bodies.is_empty());
}

/// One row on the last page, and a last page that is full.
async fn source_last(bench: &Bench) {
    for documents in [2 * PAGE_SIZE + 1, 2 * PAGE_SIZE] {
        let world = bench.with_documents(documents).await;
        let read = read(&*world.source("")).await;
        assert_eq!(read.bodies.len(), documents);
        world.check_read_once(&read);
    }
}

/// To a place that was not read yet, to one that was, and again and again.
async fn source_moves(bench: &Bench) {
    for mover_target in [MoverTarget::Now, MoverTarget::WindowEnd] {
        let world = bench.start(Options { mover_target, ..options(3 * PAGE_SIZE + 5) }).await;
        world.once(FaultName::MoveRows, 2);
        let read = read(&*world.source("")).await;
        assert!(read.summary().passes > 1, "the pass during which a row moved does not count");
        world.check_read_at_least_once(&read);
    }
    let world = bench.with_documents(8 * PAGE_SIZE).await;
    world.order(fault(bench.subject, FaultName::MoveRows));
    let read = read(&*world.source("")).await;
    assert!(matches!(read.error(), Error::Disturbed { .. }), "{}", read.error());
}

async fn found_on_the_first(bench: &Bench) {
    let world = bench.with_documents(0).await;
    for (number, way) in bench.subject.ways().iter().enumerate() {
        let target = world.target_with(way, "");
        target.probe().await.unwrap();
        let job = world.job(&format!("A{number}"));
        create_well(&*target, &job).await;
        assert!(matches!(find(&*target, &job).await, Finding::Ours { next: None, .. }), "{way}");
    }
}

async fn nothing_found(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    assert_eq!(find(&*target, &world.job("A1")).await, Finding::Absent);
    create_well(&*target, &world.job("A10")).await;
    assert_eq!(find(&*target, &world.job("A1")).await, Finding::Absent, "a longer number is another one");
}

/// The smallest page that the settings allow holds a hundred lines; the bills asked for have more.
async fn found_on_the_last_k3cloud(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target_with("", "query_limit = 100\nbatch_size = 100");
    let numbers: Vec<String> = (0..60).map(|number| format!("B{number:03}")).collect();
    let jobs = world.jobs(&numbers.iter().map(String::as_str).collect::<Vec<_>>());
    crate::targets::create(&*target, &jobs).await.unwrap();
    let findings = look_up(&*target, &jobs).await.unwrap();
    assert!(findings.iter().all(|finding| matches!(finding, Finding::Ours { .. })), "{findings:?}");
    assert!(world.requests("executebillquery") > 2, "120 lines are more than one page");
}

/// The newest bill comes first, so the oldest stands on the last page.
async fn found_on_the_last_jdy(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target_with("", "page_size = 2\nsearch = false");
    for number in ["A1", "A2", "A3", "A4", "A5"] {
        create_well(&*target, &world.job(number)).await;
    }
    for number in ["A1", "A3", "A5"] {
        let finding = find(&*target, &world.job(number)).await;
        assert!(matches!(finding, Finding::Ours { .. }), "{number}: {finding:?}");
    }
}

async fn found_while_rows_move(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target_with("", "page_size = 2\nsearch = false");
    for number in ["A1", "A2", "A3", "A4", "A5"] {
        create_well(&*target, &world.job(number)).await;
    }
    world.order(list_fault(bench.subject).times(1).after(1));
    assert!(matches!(find(&*target, &world.job("A1")).await, Finding::Ours { .. }));
    world.order(list_fault(bench.subject));
    let error = look_up(&*target, &world.jobs(&["A1"])).await.unwrap_err();
    assert!(matches!(error, Error::Disturbed { .. }), "never absent: {error}");
}

fn list_fault(subject: Subject) -> Fault {
    Fault::new(FaultName::MoveRows).system(subject.system().as_str()).operation(subject.question())
}

async fn fetch(world: &World, lists: &dyn ReferenceSource, table: &str) -> Result<Vec<(String, String)>, Error> {
    let result = lists.fetch(&format!("kingdee_jdy.{table}")).await;
    match &result {
        Err(error) => told(error),
        Ok(entries) => {
            let held = world.page("documents")[table].clone();
            let key = if table == "unit" { "name" } else { "number" };
            assert_eq!(entries.len(), held.as_array().unwrap().len());
            for entry in held.as_array().unwrap() {
                let found = entries.iter().find(|(own, _)| entry[key] == own.as_str());
                let value: serde_json::Value = serde_json::from_str(&found.unwrap().1).unwrap();
                assert_eq!((&value["id"], &value["name"]), (&entry["id"], &entry["name"]));
            }
        }
    }
    result
}

async fn list_first(bench: &Bench) {
    let world = bench.with_documents(0).await;
    for way in bench.subject.ways() {
        for table in ["unit", "stock"] {
            assert!(!fetch(&world, &*world.lists(way), table).await.unwrap().is_empty(), "{way}");
        }
    }
}

async fn list_empty(bench: &Bench) {
    let mut options = options(0);
    options.jdy.empty_tables = true;
    let world = bench.start(options).await;
    for table in ["material", "stock", "unit"] {
        assert_eq!(fetch(&world, &*world.lists(""), table).await.unwrap(), []);
    }
}

/// The vendor cuts a page down without a word, in both generations.
async fn list_last(bench: &Bench) {
    for (page_size_limit, generation) in [(100, "v1"), (7, "v1"), (7, "v2")] {
        let mut options = options(0);
        options.jdy.page_size_limit = page_size_limit;
        let world = bench.start(options).await;
        let lists = world.lists(&format!("generation = \"{generation}\""));
        assert!(fetch(&world, &*lists, "material").await.unwrap().len() > 100);
    }
}

async fn list_moves(bench: &Bench) {
    let world = bench.with_documents(0).await;
    world.once(FaultName::MoveRows, 1);
    fetch(&world, &*world.lists(""), "material").await.unwrap();
    world.order(fault(bench.subject, FaultName::MoveRows));
    let error = fetch(&world, &*world.lists(""), "material").await.unwrap_err();
    assert!(matches!(error, Error::Disturbed { .. }), "{error}");
}
