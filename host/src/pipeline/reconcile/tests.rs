//! A comparison after everything that can happen behind the ledger's back.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use tokio_util::sync::CancellationToken;

use super::super::retention::{self, Keep, Member};
use super::super::rig::*;
use super::*;
use crate::model::TargetKey;
use crate::state::{KeyBuilder, MemoryStore, Store, Stored, Table};

/// The day that the rig's target says all bills are of.
fn at(hour: i32) -> Timestamp {
    "2026-10-31T00:00:00+08:00".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(1) * hour
}

struct Desk {
    rig: Rig,
    store: Arc<MemoryStore>,
    archive: Arc<Archive>,
}

impl Desk {
    /// Nine documents, d0 to d8, read and written.
    async fn new(plan: Plan) -> Self {
        let store = Arc::new(MemoryStore::new());
        let rig = plan.start(store.clone());
        let archive = Arc::new(Archive::new(SignedDuration::from_hours(7)).in_pages_of(4));
        let mut documents = Vec::new();
        for number in 0..9 {
            let (key, body) = (format!("d{number}"), format!("body {number}"));
            archive.put(&key, &body, at(number * 2));
            documents.push(document(&key, &body));
        }
        rig.handle.page(documents).await.unwrap();
        rig.handle.idle().await;
        Self { rig, store, archive }
    }

    async fn lines(&self) -> Vec<Line> {
        let (sender, mut receiver) = mpsc::channel(1_000);
        let parts = self.rig.plan.parts(self.store.clone());
        let stretch = Stretch { from: at(0), to: at(24) };
        reconcile(&parts, Arc::new(self.archive.clone()), &stretch, sender).await;
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        lines
    }

    /// The entries by bill, or by document where there is none; and the totals.
    async fn compare(&self) -> (BTreeMap<String, Entry>, Totals) {
        let mut entries = BTreeMap::new();
        let mut totals = None;
        for line in self.lines().await {
            match line {
                Line::Progress { .. } => {}
                Line::Entry(entry) => {
                    let name = entry.bill.clone().or(entry.document.clone()).unwrap();
                    assert!(entries.insert(name, entry).is_none(), "told twice");
                }
                Line::Totals(last) => totals = Some(last),
                Line::Unfinished(why) => panic!("not finished: {why}"),
            }
        }
        (entries, totals.unwrap())
    }

    fn everything(&self) -> Vec<(Table, crate::state::Key, Stored)> {
        let all = KeyBuilder::new().build();
        let rows = |table| self.store.scan(table, &all, None, usize::MAX).unwrap();
        Table::ALL
            .into_iter()
            .flat_map(|table| rows(table).into_iter().map(move |(key, row)| (table, key, row)))
            .collect()
    }
}

fn key(name: &str) -> TargetKey {
    TargetKey::new(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn untouched_books_agree() {
    let desk = Desk::new(Plan::new()).await;
    let (entries, totals) = desk.compare().await;
    assert_eq!(entries, BTreeMap::new());
    assert_eq!((totals.documents, totals.listed, totals.agrees, totals.differences()), (9, 9, 9, 0));
    assert_eq!(totals.unanswered, Vec::<String>::new());
}

/// What retention left still finds a bill that is gone, changed or somebody else's.
#[tokio::test(start_paused = true)]
async fn reduced_documents_are_compared_with_what_the_module_makes_of_them_today() {
    let desk = Desk::new(Plan::new()).await;
    super::super::rig::pass(Duration::from_secs(7_200)).await;
    let member = Member { ledger: desk.rig.ledger.clone(), handle: desk.rig.handle.clone() };
    let keep = Keep { time: Some(SignedDuration::from_hours(1)), bytes: None };
    let now = (desk.rig.plan.now)();
    let passed = retention::pass(&[member], &keep, now, &CancellationToken::new()).await.unwrap();
    assert_eq!((passed.reduced, passed.removed), (9, 18));
    let (entries, totals) = desk.compare().await;
    assert_eq!((entries.len(), totals.agrees), (0, 9), "{entries:?}");
    desk.rig.plan.target.tamper(|bills| {
        bills.retain(|(bill, _)| *bill != key("T-d1"));
        bills.iter_mut().filter(|(bill, _)| *bill == key("T-d2")).for_each(|(_, body)| body.push('!'));
        bills.push((key("by hand"), "somebody's".into()));
    });
    let (entries, totals) = desk.compare().await;
    let told: Vec<(&str, Class)> = entries.iter().map(|(bill, entry)| (bill.as_str(), entry.class)).collect();
    assert_eq!(told, [("T-d1", Class::Missing), ("T-d2", Class::Differs), ("by hand", Class::Foreign)]);
    assert_eq!(totals.agrees, 7);
}

#[tokio::test(start_paused = true)]
async fn finds_exactly_what_was_done_behind_the_ledgers_back() {
    let desk = Desk::new(Plan::new()).await;
    desk.rig.plan.target.tamper(|bills| {
        bills.retain(|(bill, _)| *bill != key("T-d1"));
        bills.iter_mut().filter(|(bill, _)| *bill == key("T-d2")).for_each(|(_, body)| body.push('!'));
        bills.push((key("by hand"), "somebody's".into()));
        bills.push((key("T-d9"), "T-d9|body 9".into()));
    });
    // Never received; one of them was entered by hand already.
    desk.archive.put("d9", "body 9", at(20));
    desk.archive.put("d10", "body 10", at(21));
    // Changed since, deleted, and gone to another day.
    desk.archive.put("d3", "body 3, changed", at(22));
    desk.archive.remove("d4");
    desk.archive.put("d5", "body 5, tomorrow", at(30));
    let (entries, totals) = desk.compare().await;
    let told: Vec<(&str, Class, &str)> =
        entries.iter().map(|(name, entry)| (name.as_str(), entry.class, entry.reason.as_str())).collect();
    let has = |name: &str, class: Class, words: &str| {
        assert!(
            told.iter().any(|(n, c, r)| *n == name && *c == class && r.contains(words)),
            "{name} {words}: {told:#?}"
        );
    };
    has("T-d1", Class::Missing, "not there any more");
    has("T-d10", Class::Missing, "never received");
    has("T-d2", Class::Differs, "other now");
    has("T-d3", Class::Differs, "not received yet");
    has("by hand", Class::Foreign, "not written by the ledger");
    has("T-d9", Class::Foreign, "never received");
    has("T-d4", Class::NotServed, "deleted");
    has("T-d5", Class::NotServed, "changed since");
    assert_eq!(told.len(), 8, "{told:#?}");
    assert_eq!((totals.agrees, totals.differences()), (4, 8));
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_or_waits_is_missing_with_its_reason() {
    let mut desk = Desk::new(Plan::new()).await;
    desk.archive.put("refused", "bad", at(20));
    desk.archive.put("waits", "body", at(21));
    desk.rig.handle.page(vec![document("refused", "bad")]).await.unwrap();
    desk.rig.handle.idle().await;
    desk.rig.pause(target_scope()).await;
    desk.rig.handle.page(vec![document("waits", "body")]).await.unwrap();
    pass(Duration::from_secs(1)).await;
    // Nobody is at work when the target is open again.
    desk.rig.stop.cancel();
    (&mut desk.rig.task).await.unwrap().unwrap();
    desk.rig.gates.resume(&target_scope()).await.unwrap();
    let (entries, _) = desk.compare().await;
    assert_eq!(entries["T-refused"].code.as_deref(), Some("target_refused"), "{entries:#?}");
    assert!(entries["T-waits"].reason.starts_with("waiting"), "{entries:#?}");
}

#[tokio::test(start_paused = true)]
async fn changes_nothing_anywhere() {
    let desk = Desk::new(Plan::new()).await;
    desk.rig.plan.target.tamper(|bills| bills.retain(|(bill, _)| *bill != key("T-d1")));
    desk.archive.put("d9", "body 9", at(20));
    let (rows, requests, bills) = (desk.everything(), desk.rig.plan.target.requests(), desk.rig.plan.target.bills());
    let (_, totals) = desk.compare().await;
    assert_eq!(totals.differences(), 2);
    // Values, revisions and leases.
    assert_eq!(desk.everything(), rows);
    assert_eq!((desk.rig.plan.target.requests(), desk.rig.plan.target.bills()), (requests, bills));
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_it_with_the_pauses_reason() {
    let desk = Desk::new(Plan::new()).await;
    for scope in [scheme_scope(), target_scope()] {
        desk.rig.pause(scope.clone()).await;
        let lines = desk.lines().await;
        let Some(Line::Unfinished(why)) = lines.last() else { panic!("{lines:?}") };
        assert!(why.contains("is paused") && why.contains("a test"), "{why}");
        desk.rig.gates.resume(&scope).await.unwrap();
    }
    assert_eq!(desk.compare().await.1.differences(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_in_the_middle_is_asked_again_and_counts_once() {
    let desk = Desk::new(Plan::new()).await;
    let down = connectors::Error::Server { host: "source".into(), status: 502, detail: "bad gateway".into() };
    desk.archive.faults.lock().unwrap().push_back((1, down));
    let (entries, totals) = desk.compare().await;
    assert_eq!((entries.len(), totals.documents, totals.agrees), (0, 9, 9));
}

#[tokio::test(start_paused = true)]
async fn whoever_asked_and_went_ends_it() {
    let desk = Desk::new(Plan::new()).await;
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let parts = desk.rig.plan.parts(desk.store.clone());
    let stretch = Stretch { from: at(0), to: at(24) };
    desk.archive.seen();
    reconcile(&parts, Arc::new(desk.archive.clone()), &stretch, sender).await;
    assert_eq!(desk.archive.windows().len(), 1, "it went on for nobody");
}

#[test]
fn every_count_is_of_its_class() {
    let mut totals = Totals::default();
    for class in Class::ALL {
        totals.add(class);
        assert_eq!(totals.count(class), 1, "{class:?}");
    }
    assert_eq!(totals.differences(), 4);
}
