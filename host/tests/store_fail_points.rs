//! Failures at named places of a commit. They are global to a process, so they have this one to themselves.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use cap_std::fs::Dir;
use crossdock::model::TenantId;
use crossdock::state::{Batch, CommitError, Error, Expect, Key, KeyBuilder, Settings, SledStore, Store, Table};
use futures::FutureExt;
use futures::executor::block_on;

fn open(path: &Path, stall_after_ms: u64) -> SledStore {
    let dir = Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap();
    SledStore::open(&dir, path, &Settings { stall_after_ms, ..Settings::default() }).unwrap()
}

fn key(name: &str) -> Key {
    KeyBuilder::new().text(name).build()
}

fn put(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Subjects, key(name), "1").put(Table::Owners, key(name), vec![1; 70_000]);
    batch
}

/// Nothing of it wants a file.
fn small(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Subjects, key(name), "1").put(Table::Owners, key(name), "1");
    batch
}

fn removal(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.remove(Table::Bodies, key(name));
    batch
}

fn holds(store: &SledStore, name: &str) -> bool {
    let subjects = store.get(Table::Subjects, &key(name)).unwrap().is_some();
    let owners = store.get(Table::Owners, &key(name)).unwrap().is_some();
    assert_eq!(subjects, owners, "batch `{name}` is torn");
    subjects
}

/// Fails one commit at `point`; afterwards the store is closed, and opened again it holds what was acknowledged.
fn check(point: &str, action: &str, there_afterwards: Option<bool>) {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 10_000);
    block_on(store.commit(put("before"))).unwrap();

    fail::cfg(point, action).unwrap();
    let failed = block_on(store.commit(put("failed")));
    assert!(matches!(failed, Err(CommitError::Store(Error::Failed { .. }))), "{point}: {failed:?}");
    fail::remove(point);
    let refused = block_on(store.commit(put("after")));
    assert!(matches!(refused, Err(CommitError::Store(Error::Closed))), "{point}: {refused:?}");
    assert!(matches!(store.health().failure, Some(Error::Failed { .. })));
    drop(store);

    let store = open(temp.path(), 10_000);
    assert!(holds(&store, "before"), "{point}");
    assert!(!holds(&store, "after"), "{point}");
    let there = holds(&store, "failed");
    assert!(there_afterwards.is_none_or(|expected| there == expected), "{point}: {there}");
    block_on(store.commit(put("again"))).unwrap();
    scenario.teardown();
}

#[test]
fn a_failure_before_a_file_stands_leaves_nothing() {
    check("state::after_filing", "return", Some(false));
    check("state::after_filing", "panic", Some(false));
}

#[test]
fn a_failure_before_applying_leaves_nothing() {
    check("state::before_apply", "return", Some(false));
}

#[test]
fn a_failure_after_applying_is_never_acknowledged() {
    check("state::after_apply", "return", None);
}

#[test]
fn a_failure_after_flushing_is_never_acknowledged() {
    check("state::after_flush", "return", None);
}

#[test]
fn a_failure_after_syncing_leaves_everything() {
    check("state::after_sync", "return", Some(true));
}

#[test]
fn a_panic_in_the_committer_is_an_answer_and_not_a_silence() {
    check("state::before_apply", "panic", Some(false));
    check("state::after_apply", "panic", None);
}

/// A thread of the store's, halted at a point.
struct Halt {
    point: &'static str,
    reached: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Halt {
    fn at(point: &'static str) -> Self {
        let (has_reached, reached) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let halt = move || {
            has_reached.send(()).ok();
            may_go_on.lock().unwrap().recv().ok();
        };
        fail::cfg_callback(point, halt).unwrap();
        Self { point, reached, go_on }
    }

    fn wait(&self) {
        self.reached.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    fn release(self) {
        fail::remove(self.point);
        drop(self.go_on);
    }
}

#[test]
fn nothing_is_acknowledged_before_the_sync() {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 10_000);
    for point in ["state::before_apply", "state::after_apply", "state::after_flush"] {
        let halt = Halt::at(point);
        let mut commit = store.commit(put(point));
        assert!((&mut commit).now_or_never().is_none());
        halt.wait();
        assert!((&mut commit).now_or_never().is_none(), "acknowledged at {point}");
        assert_eq!(holds(&store, point), point != "state::before_apply", "a read may see it before it is durable");
        halt.release();
        block_on(commit).unwrap();
    }
    scenario.teardown();
}

#[test]
fn what_comes_while_a_group_is_synced_is_the_next_group() {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 10_000);
    let halt = Halt::at("state::after_flush");
    let names: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let mut commits: Vec<_> = names.iter().map(|name| store.commit(small(name))).collect();
    assert!((&mut commits[0]).now_or_never().is_none());
    halt.wait();
    // The second is applied while the first is synced.
    let applying = Halt::at("state::before_apply");
    assert!((&mut commits[1]).now_or_never().is_none());
    applying.wait();
    assert!(commits[2..].iter_mut().all(|commit| commit.now_or_never().is_none()));
    assert_eq!(store.health().queued, 38);
    applying.release();
    halt.release();
    let revisions: Vec<_> = block_on(futures::future::join_all(commits)).into_iter().map(|r| r.unwrap().0).collect();
    assert_eq!(revisions, (1..=40).collect::<Vec<_>>(), "in the order in which they came");
    store.close().unwrap();
    assert_eq!((store.health().groups, store.health().batches), (3, 40));
    scenario.teardown();
}

#[test]
fn a_commit_that_hangs_is_seen_to_hang() {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 0);
    assert!(!store.health().stalled);
    let halt = Halt::at("state::after_apply");
    let mut commit = store.commit(put("a"));
    assert!((&mut commit).now_or_never().is_none());
    halt.wait();
    let health = store.health();
    assert!(health.stalled && health.committing_for.is_some(), "{health:?}");
    halt.release();
    block_on(commit).unwrap();
    store.close().unwrap();
    assert!(!store.health().stalled);
    scenario.teardown();
}

#[test]
fn a_dropped_commit_still_happens() {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 10_000);
    let halt = Halt::at("state::before_apply");
    let mut commit = store.commit(put("dropped"));
    assert!((&mut commit).now_or_never().is_none());
    halt.wait();
    drop(commit);
    halt.release();
    block_on(store.commit(put("next"))).unwrap();
    assert!(holds(&store, "dropped"));
    scenario.teardown();
}

#[test]
fn a_tenants_large_values_hold_up_nobody_elses_batch() {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 10_000);
    let of = |tenant: &str, mut batch: Batch| {
        batch.on_account_of(TenantId::new(tenant).unwrap());
        batch
    };
    let halt = Halt::at("state::after_filing");
    let mut large = store.commit(of("b", put("large")));
    let mut behind = store.commit(of("b", small("behind")));
    assert!((&mut large).now_or_never().is_none());
    halt.wait();
    assert!((&mut behind).now_or_never().is_none());
    block_on(store.commit(of("a", small("a")))).unwrap();
    assert!(!holds(&store, "large") && !holds(&store, "behind"), "in their order");
    halt.release();
    let revisions = [block_on(large).unwrap(), block_on(behind).unwrap()];
    assert!(revisions.is_sorted() && holds(&store, "large") && holds(&store, "behind"));
    scenario.teardown();
}

#[test]
fn a_file_that_a_batch_waits_for_is_not_removed_with_the_last_row_that_named_it() {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 10_000);
    let value = vec![7; 70_000];
    let named = |name: &str| {
        let mut batch = Batch::new();
        batch.put(Table::Bodies, key(name), value.clone());
        batch
    };
    block_on(store.commit(named("first"))).unwrap();
    let halt = Halt::at("state::after_filing");
    let mut second = named("second");
    second.on_account_of(TenantId::new("b").unwrap());
    let mut second = store.commit(second);
    assert!((&mut second).now_or_never().is_none());
    halt.wait();
    block_on(store.commit(removal("first"))).unwrap();
    // Whatever is to be removed is, before the group after that.
    block_on(store.commit(small("next"))).unwrap();
    block_on(store.commit(small("and next"))).unwrap();
    halt.release();
    block_on(second).unwrap();
    assert_eq!(store.get(Table::Bodies, &key("second")).unwrap().unwrap().value, value);
    scenario.teardown();
}

#[test]
fn the_file_of_a_batch_in_conflict_goes_again() {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 10_000);
    block_on(store.commit(small("there"))).unwrap();
    let mut batch = put("new");
    batch.expect(Table::Subjects, key("there"), Expect::Absent);
    assert!(matches!(block_on(store.commit(batch)), Err(CommitError::Conflict { .. })));
    block_on(store.commit(small("next"))).unwrap();
    block_on(store.commit(small("and next"))).unwrap();
    assert_eq!(std::fs::read_dir(temp.path().join("blobs")).unwrap().count(), 0);
    scenario.teardown();
}

/// Two rows need one file. The second goes with a group that a crash may still take back: until it cannot, the file stays.
#[test]
fn no_file_goes_while_a_crash_could_bring_back_a_row_that_needs_it() {
    let scenario = fail::FailScenario::setup();
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path(), 10_000);
    let mut batch = Batch::new();
    batch.put(Table::Bodies, key("one"), vec![7; 70_000]).put(Table::Bodies, key("two"), vec![7; 70_000]);
    block_on(store.commit(batch)).unwrap();
    block_on(store.commit(removal("one"))).unwrap();
    // Behind whatever follows from it.
    block_on(store.commit(small("next"))).unwrap();
    let halt = Halt::at("state::after_apply");
    let collecting = Halt::at("state::before_collect");
    let mut second = store.commit(removal("two"));
    assert!((&mut second).now_or_never().is_none());
    halt.wait();
    assert!(
        collecting.reached.recv_timeout(Duration::from_millis(300)).is_err(),
        "files would go before the group is settled"
    );
    halt.release();
    collecting.wait();
    collecting.release();
    block_on(second).unwrap();
    block_on(store.commit(small("and next"))).unwrap();
    block_on(store.commit(small("the last"))).unwrap();
    assert_eq!(std::fs::read_dir(temp.path().join("blobs")).unwrap().count(), 0);
    scenario.teardown();
}
