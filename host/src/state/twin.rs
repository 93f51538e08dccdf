//! The two stores against each other, and what only the one on disk can do.

use futures::executor::block_on;
use proptest::prelude::*;

use super::conformance::{OnDisk, Subject, contents, key, open};
use super::*;

#[derive(Debug, Clone)]
enum Act {
    /// Commits go in together, so that the store on disk groups them.
    Commit(Vec<Vec<Write>>),
    Reopen,
}

#[derive(Debug, Clone)]
struct Write {
    table: Table,
    name: &'static str,
    /// `None` removes.
    length_bytes: Option<usize>,
    expect: Option<Guess>,
}

/// What a caller believes of a row before it writes.
#[derive(Debug, Clone, Copy)]
enum Guess {
    Absent,
    AsRead,
    Revision(u64),
}

fn write() -> impl Strategy<Value = Write> {
    let table = prop::sample::select(vec![Table::Subjects, Table::Bodies, Table::Cursors]);
    let name = prop::sample::select(vec!["a", "b", "ab", "c"]);
    let length =
        prop::option::weighted(0.8, prop_oneof![8 => 0..200_usize, 1 => Just(64 << 10), 2 => 65_000..90_000_usize]);
    let guess = prop::option::weighted(
        0.5,
        prop_oneof![2 => Just(Guess::AsRead), 1 => Just(Guess::Absent), 1 => (0..12_u64).prop_map(Guess::Revision)],
    );
    (table, name, length, guess).prop_map(|(table, name, length_bytes, expect)| Write {
        table,
        name,
        length_bytes,
        expect,
    })
}

fn act() -> impl Strategy<Value = Act> {
    let commits = prop::collection::vec(prop::collection::vec(write(), 0..4), 1..5);
    prop_oneof![8 => commits.prop_map(Act::Commit), 1 => Just(Act::Reopen)]
}

fn batch_of(writes: &[Write], seen: &dyn Store, fill: u8) -> Batch {
    let mut batch = Batch::new();
    for write in writes {
        let expectation = write.expect.map(|guess| match guess {
            Guess::Absent => Expect::Absent,
            Guess::Revision(revision) => Expect::At(Revision(revision)),
            Guess::AsRead => match seen.get(write.table, &key(write.name)).unwrap() {
                Some(row) => Expect::At(row.revision),
                None => Expect::Absent,
            },
        });
        if let Some(expectation) = expectation {
            batch.expect(write.table, key(write.name), expectation);
        }
        match write.length_bytes {
            Some(length) => batch.put(write.table, key(write.name), vec![fill; length]),
            None => batch.remove(write.table, key(write.name)),
        };
    }
    batch
}

fn run_together(store: &dyn Store, batches: &[Batch]) -> Vec<String> {
    let commits = batches.iter().map(|batch| store.commit(batch.clone()));
    block_on(futures::future::join_all(commits)).iter().map(|outcome| format!("{outcome:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_on_disk_and_its_twin_never_differ(acts in prop::collection::vec(act(), 1..14)) {
        let mut disk = OnDisk::fresh();
        let mut memory = MemoryStore::new();
        for (number, act) in acts.iter().enumerate() {
            match act {
                Act::Commit(commits) => {
                    let batches: Vec<_> = commits.iter().map(|writes| batch_of(writes, &memory, number as u8)).collect();
                    prop_assert_eq!(run_together(&*disk.store(), &batches), run_together(&memory, &batches));
                }
                Act::Reopen => {
                    disk.reopen();
                    memory = memory.reopen();
                }
            }
            prop_assert_eq!(disk.store().lease(), memory.lease());
            prop_assert!(contents(&*disk.store()) == contents(&memory), "contents differ after act {}", number);
        }
    }
}

#[test]
fn a_store_that_is_open_cannot_be_opened_again() {
    let mut disk = OnDisk::fresh();
    assert!(matches!(open(disk.path()).map(drop), Err(Error::InUse)));
    disk.close();
    let again = open(disk.path()).unwrap();
    assert_eq!(again.lease(), 2, "the refused opening took no lease");
}

#[test]
fn closing_commits_what_is_queued_and_refuses_the_rest() {
    let disk = OnDisk::fresh();
    let store = disk.sled().clone();
    let mut batch = Batch::new();
    batch.put(Table::Subjects, key("queued"), "1");
    let mut queued = store.commit(batch.clone());
    assert!(futures::FutureExt::now_or_never(&mut queued).is_none());
    store.close().unwrap();
    block_on(queued).unwrap();
    assert!(matches!(block_on(store.commit(batch)), Err(CommitError::Store(Error::Closed))));
    assert!(matches!(store.get(Table::Subjects, &key("queued")), Err(Error::Closed)));
    store.close().unwrap();

    let found = open(disk.path()).unwrap();
    assert!(found.get(Table::Subjects, &key("queued")).unwrap().is_some());
}

#[test]
fn large_values_lie_in_files_only_as_long_as_a_row_names_them() {
    let mut disk = OnDisk::fresh();
    let files = |disk: &OnDisk| std::fs::read_dir(disk.path().join("blobs")).unwrap().count();
    let mut batch = Batch::new();
    batch.put(Table::Bodies, key("inline"), vec![1; 64 << 10]);
    batch.put(Table::Bodies, key("kept"), vec![2; 100_000]).put(Table::Bodies, key("replaced"), vec![3; 100_000]);
    batch.put(Table::Subjects, key("removed"), vec![4; 100_000]).put(Table::Owners, key("twin"), vec![2; 100_000]);
    block_on(disk.store().commit(batch)).unwrap();
    assert_eq!(files(&disk), 3);

    let mut batch = Batch::new();
    batch.put(Table::Bodies, key("replaced"), "small").remove(Table::Subjects, key("removed"));
    batch.remove(Table::Owners, key("twin"));
    block_on(disk.store().commit(batch)).unwrap();
    // What a group left over goes before the next one is answered.
    block_on(disk.store().commit(batch_of_one("next"))).unwrap();
    assert_eq!(files(&disk), 1, "while the store is open");
    disk.reopen();
    assert_eq!(files(&disk), 1);
    assert_eq!(disk.store().get(Table::Bodies, &key("kept")).unwrap().unwrap().value, vec![2; 100_000]);
}

fn batch_of_one(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Cursors, key(name), "1");
    batch
}

#[test]
fn a_reader_never_loses_a_large_value_under_its_hands() {
    let disk = OnDisk::fresh();
    let put = |round: u64| {
        let mut batch = Batch::new();
        batch.put(Table::Bodies, key("a"), vec![round as u8; 70_000 + round as usize]);
        block_on(disk.store().commit(batch)).unwrap();
    };
    put(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|scans| {
                let (store, stop) = (disk.store(), &stop);
                scope.spawn(move || {
                    let mut read = 0_u64;
                    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                        let value = match scans {
                            0 => store.get(Table::Bodies, &key("a")).unwrap().unwrap().value,
                            _ => store.scan(Table::Bodies, &Key::default(), None, 9).unwrap().remove(0).1.value,
                        };
                        assert!(value.iter().all(|byte| usize::from(*byte) == (value.len() - 70_000) % 256));
                        read += 1;
                    }
                    read
                })
            })
            .collect();
        for round in 1..150 {
            put(round);
            if round % 50 == 0 {
                disk.sled().backup(jiff::Timestamp::UNIX_EPOCH, std::io::sink()).unwrap();
            }
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    // Readers keep files from going; once nobody reads, two groups take all of them along.
    for name in ["one", "two", "three"] {
        block_on(disk.store().commit(batch_of_one(name))).unwrap();
    }
    assert_eq!(std::fs::read_dir(disk.path().join("blobs")).unwrap().count(), 1);
}

#[test]
fn a_store_that_lost_its_rows_is_damaged_and_not_new() {
    let mut disk = OnDisk::fresh();
    disk.close();
    std::fs::remove_dir_all(disk.path().join("store")).unwrap();
    let error = open(disk.path()).map(drop).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn a_log_that_sled_cannot_read_is_damaged_or_refused_and_never_a_new_store() {
    for junk in [vec![0xA5; 600_000], Vec::new(), vec![0; 600_000]] {
        let mut disk = OnDisk::fresh();
        let mut batch = Batch::new();
        batch.put(Table::Subjects, key("a"), vec![7; 5_000]);
        block_on(disk.store().commit(batch)).unwrap();
        disk.close();
        std::fs::write(disk.path().join("store/db"), &junk).unwrap();
        let error = open(disk.path()).map(drop).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("backup"), "says what to do: {error}");
    }
}

#[test]
fn a_store_whose_first_opening_never_ended_may_be_removed() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("store")).unwrap();
    // sled's settings without the version, and four bytes for a checksum.
    std::fs::write(temp.path().join("store/conf"), "segment_size: 524288\nuse_compression: false\n0000").unwrap();
    let error = open(temp.path()).map(drop).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("remove it"), "{error}");
}

#[test]
fn a_path_that_is_not_the_opened_folder_is_refused() {
    let one = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let dir = cap_std::fs::Dir::open_ambient_dir(one.path(), cap_std::ambient_authority()).unwrap();
    let error = SledStore::open(&dir, other.path(), &Settings::default()).map(drop).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
}

#[test]
fn health_and_size_tell_what_happened() {
    let disk = OnDisk::fresh();
    let before = disk.sled().size_on_disk().unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Bodies, key("a"), vec![1; 2 << 20]);
    block_on(disk.store().commit(batch)).unwrap();
    let health = disk.sled().health();
    assert!(health.failure.is_none() && !health.stalled, "{health:?}");
    assert_eq!(health.queued, 0);
    assert!(disk.sled().size_on_disk().unwrap() >= before + (2 << 20));

    disk.fail_next_commit();
    assert!(block_on(disk.store().commit(Batch::new())).is_err());
    assert!(matches!(disk.sled().health().failure, Some(Error::Failed { .. })));
    assert!(matches!(disk.sled().close(), Err(Error::Failed { .. })), "closing does not hide it");
}
