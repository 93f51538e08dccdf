//! What a driver holds in memory, takes from its reader, and does with a full disk.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::super::quota::Quota;
use super::*;
use crate::state::{Batch, Disk, Reserve, Room};

fn small() -> Plan {
    let mut plan = Plan::new();
    plan.flow.errands_limit = 20;
    plan
}

fn held(rig: &Rig) -> usize {
    rig.turns.most_errands.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_in_memory_waits_in_the_ledger_and_is_taken_up_in_time() {
    let rig = small().start(Arc::new(MemoryStore::new()));
    rig.pause(target_scope()).await;
    for number in 0..20 {
        let documents = (0..30).map(|n| document(&format!("d{}", number * 30 + n), "one")).collect();
        rig.handle.page(documents).await.unwrap();
    }
    pass(HOUR).await;
    assert_eq!(rig.handle.backlog().documents, 600);
    let in_runs = rig.plan.flow.transform_batch * rig.plan.flow.transforms_at_once;
    assert!(held(&rig) <= 20 + in_runs, "{} errands in memory", held(&rig));
    // A newer version of one that memory may know nothing of.
    rig.handle.page(vec![document("d599", "two")]).await.unwrap();
    rig.gates.resume(&target_scope()).await.unwrap();
    rig.handle.idle().await;
    assert_eq!((rig.plan.target.bills().len(), rig.handle.backlog().documents), (600, 0));
    assert!(rig.plan.target.bills().contains(&bill("d599", "two")));
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_a_large_backlog_is_taken_up_page_by_page() {
    let plan = small();
    let rig = plan.start(Arc::new(MemoryStore::new()));
    rig.handle.page(page(5)).await.unwrap();
    // Some whose fate nobody knows, and some that nobody has looked at.
    rig.plan.target.open.forget_permits(usize::MAX >> 4);
    rig.handle.page((5..700).map(|n| document(&format!("d{n}"), "one")).collect()).await.unwrap();
    pass(HOUR).await;
    let store = rig.crash(9).await;
    plan.target.open.add_permits(1_000);
    let rig = plan.start(store);
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills().len(), 700);
    // One page of the index comes whole.
    assert!(held(&rig) <= 10 + 500, "{} errands in memory", held(&rig));
}

#[tokio::test(start_paused = true)]
async fn whom_a_person_sends_on_does_not_wait_behind_all_others() {
    let rig = small().start(Arc::new(MemoryStore::new()));
    rig.handle.page(vec![document("bad", "bad")]).await.unwrap();
    rig.handle.idle().await;
    assert_eq!(rig.parked("bad"), Some(Code::TargetRefused));
    rig.pause(target_scope()).await;
    rig.handle.page(page(600)).await.unwrap();
    pass(HOUR).await;
    let retry = Command::retry(RetryMode::Plain);
    rig.handle.command(Order::new(DocumentKey::new("bad").unwrap(), retry)).await.unwrap();
    pass(HOUR).await;
    assert!(matches!(rig.subject("bad").latest().unwrap().phase, Phase::Writing { .. }), "{:?}", rig.subject("bad"));
}

#[tokio::test(start_paused = true)]
async fn reading_stops_at_the_backlogs_limit_and_goes_on_at_the_lower_mark() {
    let mut plan = Plan::new();
    (plan.flow.backlog_limit, plan.flow.backlog_resume, plan.flow.write_batch) = (8, 4, 1);
    plan.flow.writes_at_once = 1;
    let rig = plan.start(Arc::new(MemoryStore::new()));
    rig.plan.target.open.forget_permits(usize::MAX >> 4);
    rig.handle.page(page(8)).await.unwrap();
    let next = rig.handle.page(vec![document("next", "one")]);
    tokio::pin!(next);
    for unfinished in [8, 7, 6, 5] {
        assert!(tokio::time::timeout(HOUR, &mut next).await.is_err(), "a page was taken at {unfinished}");
        let backlog = rig.handle.backlog();
        assert_eq!((backlog.documents, backlog.is_full, backlog.resume), (unfinished, true, 4));
        rig.plan.target.open.add_permits(1);
    }
    next.await.unwrap();
    assert!(!rig.handle.backlog().is_full);
    rig.plan.target.open.add_permits(100);
    rig.handle.idle().await;
}

#[tokio::test(start_paused = true)]
async fn on_a_disk_without_room_nothing_begins_and_what_is_under_way_is_kept() {
    let free = Arc::new(AtomicU64::new(1_000));
    let shown = free.clone();
    let disk = Disk::measured_by(Reserve { bytes: 100, percent: 0 }, move || {
        Some(Room { free_bytes: shown.load(Ordering::Relaxed), total_bytes: 1_000 })
    });
    let rig = Rig::new();
    rig.gates.attach_disk(disk);
    rig.plan.target.open.forget_permits(usize::MAX >> 4);
    rig.handle.page(page(30)).await.unwrap();
    pass(Duration::from_secs(5)).await;
    assert_eq!(rig.plan.target.requests(), 4);
    // Low, and not critical: what is stored is worked off.
    free.store(60, Ordering::Relaxed);
    rig.plan.target.open.add_permits(1);
    pass(Duration::from_secs(5)).await;
    assert_eq!(rig.plan.target.requests(), 5);
    free.store(20, Ordering::Relaxed);
    pass(Duration::from_secs(5)).await;
    rig.plan.target.open.add_permits(1_000);
    pass(HOUR).await;
    assert_eq!(
        (rig.plan.target.requests(), rig.plan.target.bills().len()),
        (5, 20),
        "answers are kept, nothing begins"
    );
    let next = rig.handle.page(vec![document("next", "one")]);
    tokio::pin!(next);
    assert!(tokio::time::timeout(HOUR, &mut next).await.is_err(), "a page was taken");
    free.store(1_000, Ordering::Relaxed);
    next.await.unwrap();
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills().len(), 31);
}

#[tokio::test(start_paused = true)]
async fn on_a_disk_without_room_what_an_earlier_run_left_is_not_taken_up_either() {
    let plan = Plan::new();
    let rig = plan.start(Arc::new(MemoryStore::new()));
    // Requests under way, whose fate the next start has to note as unknown.
    rig.plan.target.open.forget_permits(usize::MAX >> 4);
    rig.handle.page(page(30)).await.unwrap();
    pass(Duration::from_secs(5)).await;
    let store = rig.crash(9).await;
    plan.target.open.add_permits(1_000);
    let free = Arc::new(AtomicU64::new(20));
    let shown = free.clone();
    let rig = plan.start(store);
    rig.gates.attach_disk(Disk::measured_by(Reserve { bytes: 100, percent: 0 }, move || {
        Some(Room { free_bytes: shown.load(Ordering::Relaxed), total_bytes: 1_000 })
    }));
    let before = rig.ledger.commit(Batch::new()).await.unwrap();
    pass(HOUR).await;
    let after = rig.ledger.commit(Batch::new()).await.unwrap();
    assert_eq!(after.0 - before.0, 1, "something was committed meanwhile");
    free.store(1_000, Ordering::Relaxed);
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills().len(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_that_has_no_room_is_taken_up_although_memory_still_holds_an_older_one() {
    let mut plan = small();
    (plan.flow.write_batch, plan.flow.writes_at_once) = (1, 1);
    let rig = plan.start(Arc::new(MemoryStore::new()));
    rig.pause(target_scope()).await;
    rig.handle.page(page(20)).await.unwrap();
    pass(HOUR).await;
    // Twenty bills fill the memory, and the newer versions make every one of them obsolete.
    rig.handle.page((0..20).map(|n| document(&format!("d{n}"), "two")).collect()).await.unwrap();
    rig.gates.resume(&target_scope()).await.unwrap();
    rig.handle.idle().await;
    assert_eq!(rig.handle.backlog().documents, 0, "idle, and something is left");
    let mut expected: Vec<_> = (0..20).map(|n| bill(&format!("d{n}"), "two")).collect();
    expected.sort();
    assert_eq!(rig.plan.target.bills(), expected);
}

#[tokio::test(start_paused = true)]
async fn who_has_used_its_share_waits_with_what_is_to_be_run_and_goes_on_by_itself() {
    let rig = Rig::new();
    let (meter, now) = (rig.gates.meter(&tenant()), rig.plan.now.clone());
    meter.set(Quota { documents_per_minute: Some(5), ..Quota::default() });
    // Planned before: it is written, whatever the meter says.
    rig.pause(target_scope()).await;
    rig.handle.page(vec![document("early", "one")]).await.unwrap();
    pass(Duration::from_secs(1)).await;
    meter.charge(now(), 5, 0);
    rig.handle.page(vec![document("late", "one")]).await.unwrap();
    rig.gates.resume(&target_scope()).await.unwrap();
    pass(Duration::from_secs(50)).await;
    assert_eq!(rig.plan.target.bills(), [bill("early", "one")]);
    assert_eq!(rig.handle.backlog().documents, 1);
    pass(Duration::from_secs(10)).await;
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills(), [bill("early", "one"), bill("late", "one")]);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_nothing_waits_until_it_is_another() {
    let rig = Rig::new();
    let meter = rig.gates.meter(&tenant());
    meter.set(Quota { concurrent_calls: Some(0), ..Quota::default() });
    rig.handle.page(page(3)).await.unwrap();
    pass(HOUR).await;
    assert_eq!((rig.plan.target.bills().len(), rig.handle.backlog().documents), (0, 3));
    meter.set(Quota { concurrent_calls: Some(1), ..Quota::default() });
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills().len(), 3);
}
