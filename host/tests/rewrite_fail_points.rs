//! A rewrite of the store that is killed, or fails, at each of its instants. Fail points are global to a process, so these
//! have this one to themselves.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use cap_std::fs::Dir;
use crossdock::state::{Batch, Key, KeyBuilder, Pace, RewriteError, Settings, SledStore, Store, Stored, Table};
use futures::executor::block_on;

/// In the order in which a rewrite gets to them.
const POINTS: [&str; 7] = ["begun", "copied", "caught_up", "synced", "noted", "switched", "removed"];

fn open(path: &Path) -> SledStore {
    let dir = Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap();
    SledStore::open(&dir, path, &Settings::default()).unwrap()
}

fn pace() -> Pace {
    Pace { bytes_per_second: u64::MAX, keep_free_bytes: 0 }
}

fn put(store: &SledStore, table: Table, number: u64, value: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put(table, KeyBuilder::new().number(number).build(), value);
    block_on(store.commit(batch)).unwrap();
}

fn furnished(path: &Path) -> SledStore {
    fs::create_dir(path).unwrap();
    let store = open(path);
    for number in 0..40 {
        put(&store, Table::Bodies, number, vec![number as u8; 9_000]);
        put(&store, Table::Subjects, number % 7, vec![number as u8; 90]);
    }
    put(&store, Table::Owners, 1, vec![5; 100_000]);
    store
}

fn contents(store: &SledStore) -> Vec<(Key, Stored)> {
    let tables = [Table::Subjects, Table::Bodies, Table::Owners, Table::History];
    tables.iter().flat_map(|table| store.scan(*table, &Key::default(), None, usize::MAX).unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn stores(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("store")).collect()
}

struct Place {
    _temp: tempfile::TempDir,
    path: PathBuf,
    killed: PathBuf,
}

fn place() -> Place {
    let temp = tempfile::tempdir().unwrap();
    let (path, killed) = (temp.path().join("data"), temp.path().join("killed"));
    Place { _temp: temp, path, killed }
}

/// The files as they stand at the instant are what a kill would leave: nobody writes while they are copied.
fn check_killed_at(point: &str) {
    let scenario = fail::FailScenario::setup();
    let Place { _temp, path, killed } = place();
    let store = furnished(&path);
    let expected = contents(&store);
    let (from, to) = (path.clone(), killed.clone());
    fail::cfg_callback(format!("rewrite::{point}"), move || copy(&from, &to)).unwrap();
    store.rewrite(&pace(), &|_| true).unwrap();
    scenario.teardown();
    assert_eq!(contents(&store), expected, "{point}: the one that lived");

    let after = open(&killed);
    assert_eq!(contents(&after), expected, "killed at {point}");
    assert_eq!(stores(&killed).len(), 1, "killed at {point}: exactly one store is left");
    assert_eq!(after.lease(), store.lease() + 1);
    put(&after, Table::History, 1, b"goes on".to_vec());
    after.close().unwrap();
    assert_eq!(contents(&open(&killed)).len(), expected.len() + 1, "killed at {point}");
    // And from there it can be rewritten like any other.
    let again = open(&killed);
    again.rewrite(&pace(), &|_| true).unwrap();
    assert_eq!(contents(&again).len(), expected.len() + 1);
}

#[test]
fn a_kill_at_any_instant_of_a_rewrite_leaves_exactly_one_store_with_everything() {
    for point in POINTS {
        check_killed_at(point);
    }
}

#[test]
fn a_rewrite_that_fails_before_the_switch_leaves_the_store_in_use() {
    for point in &POINTS[..4] {
        let scenario = fail::FailScenario::setup();
        let Place { _temp, path, .. } = place();
        let store = furnished(&path);
        fail::cfg(format!("rewrite::{point}"), "return").unwrap();
        let failed = store.rewrite(&pace(), &|_| true);
        assert!(matches!(failed, Err(RewriteError::Store(_))), "{point}: {failed:?}");
        scenario.teardown();
        put(&store, Table::History, 1, b"goes on".to_vec());
        assert_eq!(stores(&path), ["store"], "{point}");
        let expected = contents(&store);
        store.rewrite(&pace(), &|_| true).unwrap();
        store.close().unwrap();
        assert_eq!(contents(&open(&path)), expected, "{point}");
    }
}

/// Between the walk and the switch, and within the walk, the store takes commits; one of them comes at the worst moment.
#[test]
fn what_is_committed_between_the_walk_and_the_switch_is_in_the_new_store() {
    for point in ["begun", "copied"] {
        let scenario = fail::FailScenario::setup();
        let Place { _temp, path, .. } = place();
        let store = furnished(&path);
        let (reached, has_reached) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let halt = move || {
            reached.send(()).ok();
            may_go_on.lock().unwrap().recv().ok();
        };
        fail::cfg_callback(format!("rewrite::{point}"), halt).unwrap();
        std::thread::scope(|scope| {
            let rewrite = scope.spawn(|| store.rewrite(&pace(), &|_| true));
            has_reached.recv_timeout(Duration::from_secs(20)).unwrap();
            put(&store, Table::History, 7, b"meanwhile".to_vec());
            let mut batch = Batch::new();
            batch.remove(Table::Bodies, KeyBuilder::new().number(3).build());
            block_on(store.commit(batch)).unwrap();
            drop(go_on);
            rewrite.join().unwrap().unwrap();
        });
        scenario.teardown();
        let expected = contents(&store);
        assert!(store.get(Table::History, &KeyBuilder::new().number(7).build()).unwrap().is_some(), "{point}");
        assert!(store.get(Table::Bodies, &KeyBuilder::new().number(3).build()).unwrap().is_none(), "{point}");
        store.close().unwrap();
        assert_eq!(contents(&open(&path)), expected, "{point}");
    }
}

#[test]
fn nothing_is_switched_to_before_it_is_synced() {
    let scenario = fail::FailScenario::setup();
    let Place { _temp, path, .. } = place();
    let store = furnished(&path);
    let expected = contents(&store);
    fail::cfg_callback("rewrite::caught_up", || fail::cfg("state::sync_fails", "return").unwrap()).unwrap();
    let failed = store.rewrite(&pace(), &|_| true);
    assert!(matches!(failed, Err(RewriteError::Store(_))), "{failed:?}");
    scenario.teardown();
    assert_eq!(stores(&path), ["store"]);
    assert_eq!(contents(&store), expected);
}

#[test]
fn a_file_stays_while_a_reader_is_between_its_row_and_its_file() {
    let scenario = fail::FailScenario::setup();
    let Place { _temp, path, .. } = place();
    let store = furnished(&path);
    let (reached, has_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    fail::cfg_callback("state::before_file", move || {
        reached.send(()).ok();
        may_go_on.lock().unwrap().recv().ok();
    })
    .unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| store.get(Table::Owners, &KeyBuilder::new().number(1).build()));
        has_reached.recv_timeout(Duration::from_secs(20)).unwrap();
        for number in 0..3 {
            put(&store, Table::Owners, 1, vec![number; 80_000]);
        }
        drop(go_on);
        assert_eq!(reader.join().unwrap().unwrap().unwrap().value, vec![5; 100_000]);
    });
    scenario.teardown();
    put(&store, Table::Owners, 2, b"next".to_vec());
    put(&store, Table::Owners, 3, b"next".to_vec());
    assert_eq!(fs::read_dir(path.join("blobs")).unwrap().count(), 1, "once nobody reads, the files go");
}
