use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::executor::block_on;

use super::super::conformance::{OnDisk, Subject as _, contents, key, open};
use super::super::{Batch, Key, KeyBuilder, Store, Table};
use super::*;

/// As fast as it goes, and however full the machine's disk is.
fn pace() -> Pace {
    Pace { bytes_per_second: u64::MAX, keep_free_bytes: 0 }
}

fn commit(store: &SledStore, table: Table, key: Key, value: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    block_on(store.commit(batch)).unwrap();
}

/// A store in which most of what was written has gone again.
fn churned() -> OnDisk {
    let disk = OnDisk::fresh();
    for round in 0..6_u8 {
        for first in (0..2_000_u64).step_by(500) {
            let mut batch = Batch::new();
            for number in first..first + 500 {
                batch.put(Table::Bodies, KeyBuilder::new().number(number).build(), vec![round; 2_000]);
            }
            block_on(disk.sled().commit(batch)).unwrap();
        }
    }
    for first in (0..1_800_u64).step_by(600) {
        let mut batch = Batch::new();
        for number in first..first + 600 {
            batch.remove(Table::Bodies, KeyBuilder::new().number(number).build());
        }
        block_on(disk.sled().commit(batch)).unwrap();
    }
    commit(disk.sled(), Table::Bodies, key("large"), vec![7; 200_000]);
    disk
}

fn folders(disk: &OnDisk) -> Vec<String> {
    let entries = std::fs::read_dir(disk.path()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("store"));
    names.sort();
    names
}

#[test]
fn a_rewritten_store_holds_the_same_in_less_space_and_goes_on() {
    let mut disk = churned();
    let before = contents(&**disk.sled());
    let done = disk.sled().rewrite(&pace(), &|_| true).unwrap();
    assert!(done.after_bytes * 2 < done.before_bytes, "{done:?}");
    assert_eq!(contents(&**disk.sled()), before, "revisions and leases of rows included");
    assert_eq!(folders(&disk), ["store-2"]);
    let lease = disk.sled().lease();
    commit(disk.sled(), Table::Cursors, key("after"), b"goes on".to_vec());
    let after = contents(&**disk.sled());
    disk.reopen();
    assert_eq!(contents(&**disk.sled()), after);
    assert_eq!(disk.sled().lease(), lease + 1);

    disk.sled().rewrite(&pace(), &|_| true).unwrap();
    assert_eq!(folders(&disk), ["store-3"], "again, and as often as one likes");
    assert_eq!(contents(&**disk.sled()), after);
}

#[test]
fn no_commit_is_lost_that_is_made_while_the_store_is_rewritten() {
    let mut disk = churned();
    let store = Arc::clone(disk.sled());
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = std::thread::spawn({
        let (store, stop, acknowledged) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&acknowledged));
        move || {
            // Rows that the walk meets early and late, new ones, ones that go, and a large one now and then.
            for round in 1_u64.. {
                let mut batch = Batch::new();
                for table in [Table::Subjects, Table::BadPages] {
                    batch.put(table, KeyBuilder::new().number(round).build(), round.to_be_bytes().to_vec());
                    batch.remove(table, KeyBuilder::new().number(round.saturating_sub(300)).build());
                }
                batch.put(Table::History, key("h"), vec![b'h'; if round % 10 == 0 { 66_000 } else { 60 }]);
                block_on(store.commit(batch)).unwrap();
                acknowledged.store(round, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        }
    });
    for _ in 0..4 {
        let seen = acknowledged.load(Ordering::SeqCst);
        while acknowledged.load(Ordering::SeqCst) < seen + 20 {
            std::thread::yield_now();
        }
        store.rewrite(&pace(), &|_| true).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    drop(store);
    let last = acknowledged.load(Ordering::SeqCst);
    let check = |store: &SledStore| {
        for table in [Table::Subjects, Table::BadPages] {
            let rows = store.scan(table, &Key::default(), None, 10_000).unwrap();
            let numbers: Vec<u64> =
                rows.iter().map(|(_, row)| u64::from_be_bytes(row.value.as_ref().try_into().unwrap())).collect();
            let expected: Vec<u64> = (last.saturating_sub(299).max(1)..=last).collect();
            assert_eq!(numbers, expected, "{table:?}");
        }
    };
    check(disk.sled());
    disk.reopen();
    check(disk.sled());
}

/// Bytes that do not pack.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    })
    .take(count)
    .collect()
}

#[test]
fn a_rewrite_that_is_told_to_stop_leaves_the_store_as_it_was() {
    let disk = churned();
    let before = contents(&**disk.sled());
    // A store of this size has less than a stride of rows: it asks once there is one more.
    for number in 0..40_u64 {
        commit(disk.sled(), Table::History, KeyBuilder::new().number(number).build(), noise(number, 60_000));
    }
    let stopped = disk.sled().rewrite(&pace(), &|_| false);
    assert!(matches!(stopped, Err(RewriteError::Stopped)), "{stopped:?}");
    assert_eq!(folders(&disk), ["store"]);
    assert_eq!(contents(&**disk.sled()).len(), before.len() + 40);
    disk.sled().rewrite(&pace(), &|_| true).unwrap();
}

#[test]
fn a_rewrite_does_not_begin_where_the_disk_has_no_room_for_it() {
    let disk = churned();
    let greedy = Pace { keep_free_bytes: 1 << 60, ..pace() };
    let refused = disk.sled().rewrite(&greedy, &|_| true);
    assert!(matches!(refused, Err(RewriteError::NoRoom { .. })), "{refused:?}");
    assert_eq!(folders(&disk), ["store"]);
}

#[test]
fn nothing_is_switched_to_that_could_not_be_synced() {
    let mut disk = churned();
    let before = contents(&**disk.sled());
    disk.sled().fail_syncs();
    let failed = disk.sled().rewrite(&pace(), &|_| true);
    assert!(matches!(failed, Err(RewriteError::Store(_))), "{failed:?}");
    assert_eq!(folders(&disk), ["store"]);
    disk.reopen();
    assert_eq!(contents(&**disk.sled()), before);
}

#[test]
fn a_rewrite_and_a_backup_do_not_run_at_once() {
    let disk = churned();
    let other = Tap::open(disk.sled().core()).unwrap();
    assert!(matches!(disk.sled().rewrite(&pace(), &|_| true), Err(RewriteError::Busy)));
    drop(other);
    disk.sled().rewrite(&pace(), &|_| true).unwrap();
}

/// Whoever deletes the note, or the folder that it names, does not get an empty store, nor an older one.
#[test]
fn a_store_whose_note_or_folder_is_gone_is_refused() {
    let mut disk = churned();
    disk.sled().rewrite(&pace(), &|_| true).unwrap();
    disk.close();
    let note = std::fs::read(disk.path().join("lease")).unwrap();
    let refused = || match open(disk.path()) {
        Err(Error::Damaged { detail }) => detail,
        other => panic!("opened: {:?}", other.map(|_| ())),
    };
    std::fs::remove_file(disk.path().join("lease")).unwrap();
    assert!(refused().contains("store-2"), "{}", refused());
    std::fs::write(disk.path().join("lease"), note).unwrap();
    std::fs::rename(disk.path().join("store-2"), disk.path().join("elsewhere")).unwrap();
    assert!(refused().contains("store-2"), "{}", refused());
    std::fs::rename(disk.path().join("elsewhere"), disk.path().join("store-2")).unwrap();
    open(disk.path()).unwrap();
}
