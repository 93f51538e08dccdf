use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::conformance::{OnDisk, Subject as _, contents, key, open};
use super::super::{Batch, Key, KeyBuilder, Store, Table};
use super::*;

fn at() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn commit(store: &dyn Store, table: Table, key: Key, value: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    futures::executor::block_on(store.commit(batch)).unwrap();
}

/// A store with small and large values, some overwritten, some gone.
fn furnished() -> OnDisk {
    let disk = OnDisk::fresh();
    let mut batch = Batch::new();
    for number in 0..1_500_u64 {
        batch.put(Table::Subjects, KeyBuilder::new().number(number).build(), number.to_be_bytes().to_vec());
    }
    futures::executor::block_on(disk.sled().commit(batch)).unwrap();
    for (name, length) in [("a", 70_000), ("b", 200_000), ("a", 90_000), ("c", 70_000)] {
        commit(&**disk.sled(), Table::Bodies, key(name), vec![b'x'; length]);
    }
    let mut batch = Batch::new();
    batch.remove(Table::Bodies, key("c"));
    futures::executor::block_on(disk.sled().commit(batch)).unwrap();
    disk
}

fn backed_up(store: &SledStore) -> Vec<u8> {
    let mut out = Vec::new();
    let said = store.backup(at(), &mut out).unwrap();
    assert_eq!(verify_backup(out.as_slice()).unwrap(), said);
    out
}

fn restored(backup: &[u8]) -> (tempfile::TempDir, SledStore) {
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
    restore_backup(backup, &dir, folder.path()).unwrap();
    let store = open(folder.path()).unwrap();
    (folder, store)
}

#[test]
fn what_is_restored_is_what_was_there() {
    let disk = furnished();
    let backup = backed_up(disk.sled());
    let (_folder, store) = restored(&backup);
    assert_eq!(contents(&store), contents(&**disk.sled()), "revisions and leases of rows included");
    assert!(store.lease() > disk.sled().lease(), "whoever held the old store cannot pose as this one's owner");
    // It is a store like any other: taken on, and backed up again.
    commit(&store, Table::Cursors, key("after"), b"goes on".to_vec());
    let (_again, twice) = restored(&backed_up(&store));
    assert_eq!(contents(&twice), contents(&store));
}

#[test]
fn a_backup_taken_under_load_is_one_moment_and_holds_all_that_was_acknowledged_before_it() {
    let disk = furnished();
    let store = Arc::clone(disk.sled());
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = std::thread::spawn({
        let (store, stop, acknowledged) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&acknowledged));
        move || {
            // Two rows far apart, so that the walk meets one early and the other late; a large one with each tenth.
            for round in 1_u64.. {
                let mut batch = Batch::new();
                batch.put(Table::Subjects, KeyBuilder::new().number(0).build(), round.to_be_bytes().to_vec());
                batch.put(Table::BadPages, key("last"), round.to_be_bytes().to_vec());
                let new = KeyBuilder::new().number(round % 1_000).build();
                batch.put(Table::History, new, vec![b'h'; if round % 10 == 0 { 66_000 } else { 60 }]);
                futures::executor::block_on(store.commit(batch)).unwrap();
                acknowledged.store(round, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        }
    });
    let mut moments = Vec::new();
    for _ in 0..5 {
        while acknowledged.load(Ordering::SeqCst) <= moments.last().copied().unwrap_or(0) {
            std::thread::yield_now();
        }
        let before = acknowledged.load(Ordering::SeqCst);
        let (_folder, restored) = restored(&backed_up(&store));
        let number = |table, key| {
            let stored = restored.get(table, &key).unwrap().unwrap();
            u64::from_be_bytes(stored.value.as_ref().try_into().unwrap())
        };
        let (early, late) =
            (number(Table::Subjects, KeyBuilder::new().number(0).build()), number(Table::BadPages, key("last")));
        assert_eq!(early, late, "half of a batch");
        assert!(early >= before, "{before} was acknowledged before the backup began, and {early} is there");
        contents(&restored);
        moments.push(early);
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    assert!(moments.is_sorted(), "{moments:?}");
}

#[test]
fn a_damaged_or_cut_off_backup_is_refused() {
    let disk = OnDisk::fresh();
    commit(&**disk.sled(), Table::Bodies, key("a"), vec![b'x'; 70_000]);
    let backup = backed_up(disk.sled());
    for length in (0..backup.len()).step_by(997).chain([backup.len() - 1]) {
        let refused = verify_backup(&backup[..length]);
        assert!(matches!(refused, Err(BackupError::Damaged(_))), "{length} of {}: {refused:?}", backup.len());
    }
    for place in (0..backup.len()).step_by(991) {
        let mut other = backup.clone();
        other[place] ^= 1;
        assert!(verify_backup(other.as_slice()).is_err(), "the byte at {place} was another");
    }
    let newer = String::from_utf8_lossy(&backup[..200]).replace("\"store_format\":1", "\"store_format\":9");
    assert!(matches!(verify_backup(newer.as_bytes()), Err(BackupError::Newer(_) | BackupError::Damaged(_))));
}

#[test]
fn a_store_is_never_restored_over_another_and_half_a_restore_is_no_store() {
    let backup = backed_up(furnished().sled());
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
    for length in [MAGIC.len() + 200, backup.len() / 2, backup.len() - 1] {
        let half = restore_backup(&backup[..length], &dir, folder.path());
        assert!(matches!(half, Err(BackupError::Damaged(_))), "{half:?}");
        let opened = open(folder.path()).map(|_| ());
        assert!(matches!(opened, Err(Error::Damaged { .. })), "{length}: {opened:?}");
        let again = restore_backup(backup.as_slice(), &dir, folder.path());
        assert!(matches!(again, Err(BackupError::NotEmpty)), "{again:?}");
        dir.remove_dir_all(note::FIRST).unwrap();
    }
    restore_backup(backup.as_slice(), &dir, folder.path()).unwrap();
    assert!(open(folder.path()).is_ok());
}

#[test]
fn one_backup_at_a_time() {
    let disk = furnished();
    let first = Tap::open(disk.sled().core()).unwrap();
    assert!(matches!(disk.sled().backup(at(), io::sink()), Err(BackupError::Busy)));
    drop(first);
    disk.sled().backup(at(), io::sink()).unwrap();
}

/// Writes so many bytes and then fails, as a full disk does.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_backup_that_fails_costs_the_store_nothing() {
    let disk = furnished();
    assert!(matches!(disk.sled().backup(at(), Full(10_000)), Err(BackupError::File(_))));
    commit(&**disk.sled(), Table::Cursors, key("after"), b"goes on".to_vec());
    let (_folder, store) = restored(&backed_up(disk.sled()));
    assert_eq!(contents(&store), contents(&**disk.sled()));
}
