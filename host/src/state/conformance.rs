//! What every store must do, run against each of them. A new implementation is one more `Subject`.

use std::path::Path;
use std::sync::Arc;

use cap_std::fs::Dir;
use futures::FutureExt;
use futures::executor::block_on;
use proptest::prelude::*;

use super::*;
use crate::model::{SchemeId, TenantId};

/// A store that can be opened again and made to fail.
pub(super) trait Subject {
    fn fresh() -> Self;
    fn store(&self) -> Arc<dyn Store>;
    fn reopen(&mut self);
    fn fail_next_commit(&self);
}

pub(super) struct OnDisk {
    temp: tempfile::TempDir,
    store: Option<Arc<SledStore>>,
}

pub(super) fn open(path: &Path) -> Result<SledStore, Error> {
    let dir = Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap();
    SledStore::open(&dir, path, &Settings::default())
}

impl OnDisk {
    pub fn path(&self) -> &Path {
        self.temp.path()
    }
    pub fn sled(&self) -> &Arc<SledStore> {
        self.store.as_ref().unwrap()
    }
    pub fn close(&mut self) {
        // The result belongs to the tests that ask for it: after an injected failure it is that failure.
        let _ = self.store.take().map(|store| store.close());
    }
}

impl Subject for OnDisk {
    fn fresh() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let store = Some(Arc::new(open(temp.path()).unwrap()));
        Self { temp, store }
    }
    fn store(&self) -> Arc<dyn Store> {
        self.sled().clone()
    }
    fn reopen(&mut self) {
        self.close();
        self.store = Some(Arc::new(open(self.temp.path()).unwrap()));
    }
    fn fail_next_commit(&self) {
        self.sled().fail_syncs();
    }
}

struct InMemory(Arc<MemoryStore>);

impl Subject for InMemory {
    fn fresh() -> Self {
        Self(Arc::new(MemoryStore::new()))
    }
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
    fn reopen(&mut self) {
        self.0 = Arc::new(self.0.reopen());
    }
    fn fail_next_commit(&self) {
        self.0.fail_next(1);
    }
}

macro_rules! conformance {
    ($($sentence:ident)*) => {
        mod on_disk { $( #[test] fn $sentence() { super::$sentence::<super::OnDisk>(); } )* }
        mod in_memory { $( #[test] fn $sentence() { super::$sentence::<super::InMemory>(); } )* }
    };
}

conformance! {
    a_batch_over_two_tables_is_readable_whole
    an_expected_absence_or_revision_decides
    a_conflict_leaves_nothing_and_says_what_it_found
    expectations_alone_can_be_committed
    the_last_write_of_a_key_wins
    a_batch_sees_those_ahead_of_it_in_its_group
    a_scan_goes_in_key_order_from_after_to_limit_within_its_prefix
    a_scan_sees_a_batch_whole
    keys_are_those_of_the_scan_without_their_values
    tables_do_not_see_one_another
    revisions_and_leases_grow_over_reopenings
    the_same_is_there_after_reopening
    large_values_come_back_whole
    a_large_value_can_become_small_and_go
    a_batch_of_many_megabytes_is_one_batch
    no_increment_is_lost_among_many_tasks
    a_dropped_commit_is_there_whole_or_not_at_all
    a_store_that_failed_acknowledges_nothing
    the_stores_own_table_is_refused
}

pub(super) fn key(name: &str) -> Key {
    KeyBuilder::new().text(name).build()
}

fn batch(build: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new();
    build(&mut batch);
    batch
}

fn commit(store: &dyn Store, build: impl FnOnce(&mut Batch)) -> Result<Revision, CommitError> {
    block_on(store.commit(batch(build)))
}

fn put(store: &dyn Store, table: Table, name: &str, value: impl Into<bytes::Bytes>) -> Revision {
    commit(store, |batch| {
        batch.put(table, key(name), value);
    })
    .unwrap()
}

fn read(store: &dyn Store, table: Table, name: &str) -> Option<Stored> {
    store.get(table, &key(name)).unwrap()
}

fn value(store: &dyn Store, table: Table, name: &str) -> Option<bytes::Bytes> {
    read(store, table, name).map(|row| row.value)
}

fn a_batch_over_two_tables_is_readable_whole<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let revision = commit(&*store, |batch| {
        batch.put(Table::Subjects, key("a"), "1").put(Table::Owners, key("b"), "2");
    })
    .unwrap();
    let expected = |value: &'static str| Some(Stored { value: value.into(), revision, lease: store.lease() });
    assert_eq!(read(&*store, Table::Subjects, "a"), expected("1"));
    assert_eq!(read(&*store, Table::Owners, "b"), expected("2"));
}

fn an_expected_absence_or_revision_decides<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let expecting = |expectation, value: &'static str| {
        commit(&*store, |batch| {
            batch.expect(Table::Subjects, key("a"), expectation).put(Table::Subjects, key("a"), value);
        })
    };
    let first = expecting(Expect::Absent, "1").unwrap();
    assert!(expecting(Expect::Absent, "2").is_err());
    let second = expecting(Expect::At(first), "3").unwrap();
    assert!(expecting(Expect::At(first), "4").is_err());
    assert_eq!(value(&*store, Table::Subjects, "a").unwrap(), "3");

    commit(&*store, |batch| {
        batch.remove(Table::Subjects, key("a"));
    })
    .unwrap();
    assert!(expecting(Expect::At(second), "5").is_err());
    expecting(Expect::Absent, "6").unwrap();
    assert_eq!(value(&*store, Table::Subjects, "a").unwrap(), "6");
}

fn a_conflict_leaves_nothing_and_says_what_it_found<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let first = put(&*store, Table::Subjects, "a", "1");
    let refused = commit(&*store, |batch| {
        batch
            .expect(Table::Owners, key("free"), Expect::Absent)
            .expect(Table::Subjects, key("a"), Expect::At(Revision(first.0 + 7)))
            .expect(Table::Subjects, key("missing"), Expect::At(first))
            .put(Table::Subjects, key("a"), "2")
            .put(Table::Owners, key("b"), vec![1; 100_000])
            .remove(Table::Subjects, key("a"));
    });
    match refused {
        Err(CommitError::Conflict { table: Table::Subjects, key: found_key, found }) => {
            assert_eq!((found_key, found), (key("a"), Some(first)));
        }
        other => panic!("{other:?}"),
    }
    let refused = commit(&*store, |batch| {
        batch.expect(Table::Subjects, key("missing"), Expect::At(first)).put(Table::Owners, key("b"), "2");
    });
    assert!(matches!(refused, Err(CommitError::Conflict { found: None, .. })));
    assert_eq!(value(&*store, Table::Subjects, "a").unwrap(), "1");
    assert_eq!(read(&*store, Table::Owners, "b"), None);
    assert_eq!(put(&*store, Table::Owners, "c", "3"), Revision(first.0 + 1), "a conflict takes no revision");
}

fn expectations_alone_can_be_committed<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let first = put(&*store, Table::Subjects, "a", "1");
    let only = |expectation| {
        commit(&*store, |batch| {
            batch.expect(Table::Subjects, key("a"), expectation);
        })
    };
    assert_eq!(only(Expect::At(first)).unwrap(), Revision(first.0 + 1));
    assert!(only(Expect::Absent).is_err());
}

fn the_last_write_of_a_key_wins<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    commit(&*store, |batch| {
        batch
            .put(Table::Subjects, key("a"), "1")
            .remove(Table::Subjects, key("a"))
            .put(Table::Subjects, key("a"), "2")
            .put(Table::Subjects, key("b"), "3")
            .remove(Table::Subjects, key("b"));
    })
    .unwrap();
    assert_eq!(value(&*store, Table::Subjects, "a").unwrap(), "2");
    assert_eq!(read(&*store, Table::Subjects, "b"), None);
}

/// Polls all commits before any can be answered, so that a store which groups has them in one group or two.
fn a_batch_sees_those_ahead_of_it_in_its_group<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let expecting = |expectation, value: &'static str| {
        batch(|batch| {
            batch.expect(Table::Subjects, key("a"), expectation).put(Table::Subjects, key("a"), value);
        })
    };
    let outcomes = block_on(futures::future::join_all([
        store.commit(expecting(Expect::Absent, "1")),
        store.commit(expecting(Expect::Absent, "2")),
        store.commit(expecting(Expect::At(Revision(1)), "3")),
        store.commit(batch(|batch| {
            batch.remove(Table::Subjects, key("a"));
        })),
        store.commit(expecting(Expect::At(Revision(2)), "4")),
        store.commit(expecting(Expect::Absent, "5")),
    ]));
    let told: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Ok(revision) => Ok(revision.0),
            Err(CommitError::Conflict { found, .. }) => Err(found.map(|found| found.0)),
            Err(CommitError::Store(error)) => panic!("{error}"),
        })
        .collect();
    assert_eq!(told, [Ok(1), Err(Some(1)), Ok(2), Ok(3), Err(None), Ok(4)]);
    assert_eq!(value(&*store, Table::Subjects, "a").unwrap(), "5");
}

fn a_scan_goes_in_key_order_from_after_to_limit_within_its_prefix<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let numbered = |name: &str, number: u64| KeyBuilder::new().text(name).number(number).build();
    commit(&*store, |batch| {
        for number in [300, 2, 1, 256] {
            batch.put(Table::History, numbered("b", number), number.to_string());
        }
        batch.put(Table::History, numbered("a", 9), "a9").put(Table::History, numbered("ba", 9), "ba9");
        batch.put(Table::Cursors, numbered("b", 3), "other table");
    })
    .unwrap();
    let scan = |prefix: &Key, after: Option<&Key>, limit| -> Vec<String> {
        let rows = store.scan(Table::History, prefix, after, limit).unwrap();
        assert!(rows.is_sorted_by_key(|(key, _)| key.clone()));
        rows.into_iter().map(|(_, row)| String::from_utf8(row.value.to_vec()).unwrap()).collect()
    };
    let b = key("b");
    assert_eq!(scan(&b, None, 10), ["1", "2", "256", "300"]);
    assert_eq!(scan(&b, None, 2), ["1", "2"]);
    assert_eq!(scan(&b, None, 0), [""; 0]);
    assert_eq!(scan(&b, Some(&numbered("b", 2)), 10), ["256", "300"]);
    assert_eq!(scan(&b, Some(&numbered("b", 3)), 1), ["256"], "`after` need not exist");
    assert_eq!(scan(&b, Some(&numbered("b", 300)), 10), [""; 0]);
    assert_eq!(scan(&b, Some(&numbered("a", 9)), 1), ["1"], "an `after` before the prefix takes nothing away");
    assert_eq!(scan(&b, Some(&key("c")), 10), [""; 0]);
    assert_eq!(scan(&Key::default(), None, 10), ["a9", "1", "2", "256", "300", "ba9"]);
}

fn a_scan_sees_a_batch_whole<S: Subject>() {
    const ROWS: u64 = 300;
    let subject = S::fresh();
    let store = subject.store();
    let rewrite = |value: u64| {
        commit(&*store, |batch| {
            for number in 0..ROWS {
                batch.put(Table::History, KeyBuilder::new().number(number).build(), value.to_string());
            }
        })
        .unwrap()
    };
    rewrite(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                let rows = store.scan(Table::History, &Key::default(), None, usize::MAX).unwrap();
                assert_eq!(rows.len() as u64, ROWS);
                let revision = rows[0].1.revision;
                assert!(rows.iter().all(|(_, row)| row.revision == revision), "a scan saw a part of a batch");
            }
        });
        for value in 1..60 {
            rewrite(value);
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        reader.join().unwrap();
    });
}

fn tables_do_not_see_one_another<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let tables = || Table::ALL.into_iter().filter(|table| *table != Table::Meta);
    commit(&*store, |batch| {
        for table in tables() {
            batch.put(table, key("same"), format!("{table:?}")).put(table, Key(vec![255; 4]), "last");
        }
    })
    .unwrap();
    for table in tables() {
        assert_eq!(value(&*store, table, "same").unwrap(), format!("{table:?}"));
        assert_eq!(store.scan(table, &Key::default(), None, 100).unwrap().len(), 2);
    }
    commit(&*store, |batch| {
        batch.remove(Table::Subjects, key("same"));
    })
    .unwrap();
    assert_eq!(tables().filter(|table| read(&*store, *table, "same").is_some()).count(), Table::ALL.len() - 2);
}

fn revisions_and_leases_grow_over_reopenings<S: Subject>() {
    let mut subject = S::fresh();
    let mut last = Revision(0);
    for lease in 1..5 {
        let store = subject.store();
        assert_eq!(store.lease(), lease);
        for name in ["a", "b"] {
            let revision = put(&*store, Table::Subjects, name, "x");
            assert_eq!(revision, Revision(last.0 + 1));
            last = revision;
            assert_eq!(
                read(&*store, Table::Subjects, name).map(|row| (row.revision, row.lease)),
                Some((revision, lease))
            );
        }
        drop(store);
        subject.reopen();
    }
}

fn the_same_is_there_after_reopening<S: Subject>() {
    let mut subject = S::fresh();
    let store = subject.store();
    put(&*store, Table::Subjects, "a", "1");
    put(&*store, Table::Bodies, "large", vec![7; 200_000]);
    put(&*store, Table::Owners, "gone", "2");
    commit(&*store, |batch| {
        batch.remove(Table::Owners, key("gone"));
    })
    .unwrap();
    let before = contents(&*store);
    drop(store);
    subject.reopen();
    assert_eq!(contents(&*subject.store()), before);
}

/// Every row of every table.
pub(super) fn contents(store: &dyn Store) -> Vec<(Table, Key, Stored)> {
    let tables = Table::ALL.into_iter().filter(|table| *table != Table::Meta);
    let rows = |table| store.scan(table, &Key::default(), None, usize::MAX).unwrap();
    tables.flat_map(|table| rows(table).into_iter().map(move |(key, row)| (table, key, row))).collect()
}

fn large_values_come_back_whole<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let sizes = [0, 1, 64 << 10, (64 << 10) + 1, 5 << 20];
    let bytes = |size: usize| (0..size).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
    commit(&*store, |batch| {
        for size in sizes {
            batch.put(Table::Bodies, key(&size.to_string()), bytes(size));
        }
    })
    .unwrap();
    for size in sizes {
        assert!(value(&*store, Table::Bodies, &size.to_string()).unwrap() == bytes(size), "{size} bytes");
    }
    assert_eq!(store.scan(Table::Bodies, &Key::default(), None, 10).unwrap().len(), sizes.len());
}

fn a_large_value_can_become_small_and_go<S: Subject>() {
    let mut subject = S::fresh();
    let large = vec![3; 100_000];
    put(&*subject.store(), Table::Bodies, "a", large.clone());
    put(&*subject.store(), Table::Bodies, "b", large.clone());
    put(&*subject.store(), Table::Bodies, "a", "small");
    subject.reopen();
    assert_eq!(value(&*subject.store(), Table::Bodies, "a").unwrap(), "small");
    assert_eq!(value(&*subject.store(), Table::Bodies, "b").unwrap(), large, "another row has the same value");
    commit(&*subject.store(), |batch| {
        batch.remove(Table::Bodies, key("b"));
    })
    .unwrap();
    subject.reopen();
    assert_eq!(read(&*subject.store(), Table::Bodies, "b"), None);
    put(&*subject.store(), Table::Bodies, "c", large.clone());
    assert_eq!(value(&*subject.store(), Table::Bodies, "c").unwrap(), large);
}

fn a_batch_of_many_megabytes_is_one_batch<S: Subject>() {
    let mut subject = S::fresh();
    let revision = commit(&*subject.store(), |batch| {
        for number in 0..300 {
            batch.put(Table::Bodies, KeyBuilder::new().number(number).build(), vec![number as u8; 60_000]);
        }
    })
    .unwrap();
    subject.reopen();
    let rows = subject.store().scan(Table::Bodies, &Key::default(), None, 1_000).unwrap();
    assert_eq!(rows.len(), 300);
    assert!(rows.iter().all(|(_, row)| row.revision == revision && row.value.len() == 60_000));
}

fn no_increment_is_lost_among_many_tasks<S: Subject>() {
    const TASKS: u64 = 16;
    const INCREMENTS: u64 = 12;
    let subject = S::fresh();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks: Vec<_> = (0..TASKS).map(|_| runtime.spawn(increment(subject.store(), INCREMENTS))).collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let row = read(&*subject.store(), Table::Cursors, "counter").unwrap();
    assert_eq!(row.value, (TASKS * INCREMENTS).to_string());
    assert_eq!(row.revision, Revision(TASKS * INCREMENTS));
}

async fn increment(store: Arc<dyn Store>, times: u64) {
    for _ in 0..times {
        loop {
            let row = store.get(Table::Cursors, &key("counter")).unwrap();
            let (expectation, count) = match &row {
                None => (Expect::Absent, 0),
                Some(row) => {
                    (Expect::At(row.revision), std::str::from_utf8(&row.value).unwrap().parse::<u64>().unwrap())
                }
            };
            let next = batch(|batch| {
                batch.expect(Table::Cursors, key("counter"), expectation);
                batch.put(Table::Cursors, key("counter"), (count + 1).to_string());
            });
            match store.commit(next).await {
                Ok(_) => break,
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => panic!("{error}"),
            }
        }
    }
}

fn a_dropped_commit_is_there_whole_or_not_at_all<S: Subject>() {
    let mut subject = S::fresh();
    for number in 0..20 {
        let name = number.to_string();
        let store = subject.store();
        let dropped = store.commit(batch(|batch| {
            batch.put(Table::Subjects, key(&name), "1").put(Table::Owners, key(&name), vec![1; 70_000]);
        }));
        if number % 2 == 0 {
            drop(dropped);
        } else {
            drop(dropped.now_or_never());
        }
    }
    subject.reopen();
    let store = subject.store();
    for number in 0..20 {
        let name = number.to_string();
        let found = (read(&*store, Table::Subjects, &name).is_some(), read(&*store, Table::Owners, &name).is_some());
        assert_eq!(found.0, found.1, "batch {number} is torn");
        assert_eq!(found.0, number % 2 == 1, "polled once is queued, never polled is not");
    }
}

fn a_store_that_failed_acknowledges_nothing<S: Subject>() {
    let mut subject = S::fresh();
    let store = subject.store();
    put(&*store, Table::Subjects, "before", "1");
    subject.fail_next_commit();
    let failed = commit(&*store, |batch| {
        batch.put(Table::Subjects, key("failed"), "2");
    });
    assert!(matches!(failed, Err(CommitError::Store(Error::Failed { .. }))), "{failed:?}");
    for _ in 0..2 {
        let refused = commit(&*store, |batch| {
            batch.put(Table::Subjects, key("after"), "3");
        });
        assert!(matches!(refused, Err(CommitError::Store(Error::Closed))), "{refused:?}");
    }
    assert!(matches!(store.get(Table::Subjects, &key("before")), Err(Error::Closed)));
    assert!(matches!(store.scan(Table::Subjects, &Key::default(), None, 1), Err(Error::Closed)));
    drop(store);
    subject.reopen();
    let store = subject.store();
    assert_eq!(value(&*store, Table::Subjects, "before").unwrap(), "1");
    assert_eq!(read(&*store, Table::Subjects, "after"), None);
}

fn keys_are_those_of_the_scan_without_their_values<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    for (number, length) in [(1, 10), (2, 100_000), (3, 0), (4, 10)] {
        commit(&*store, |batch| {
            batch.put(Table::Bodies, KeyBuilder::new().text("a").number(number).build(), vec![7; length]);
            batch.put(Table::Bodies, KeyBuilder::new().text("b").number(number).build(), vec![7; length]);
        })
        .unwrap();
    }
    let prefix = key("a");
    let mut after = None;
    for limit in [1, 2, 9, 9] {
        let rows = store.scan(Table::Bodies, &prefix, after.as_ref(), limit).unwrap();
        let keys = store.keys(Table::Bodies, &prefix, after.as_ref(), limit).unwrap();
        let expected: Vec<_> = rows.into_iter().map(|(key, row)| (key, row.revision)).collect();
        assert_eq!(keys, expected);
        after = keys.last().map(|(key, _)| key.clone()).or(after);
    }
    assert_eq!(store.keys(Table::Bodies, &prefix, after.as_ref(), 9).unwrap(), []);
}

fn the_stores_own_table_is_refused<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let refused = commit(&*store, |batch| {
        batch.put(Table::Meta, key("lease"), "9");
    });
    assert!(matches!(refused, Err(CommitError::Store(Error::Failed { .. }))));
    put(&*store, Table::Subjects, "a", "the store stays open");
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Number(u64),
}

fn build(parts: &[Part]) -> Key {
    let join = |builder: KeyBuilder, part: &Part| match part {
        Part::Text(text) => builder.text(text),
        Part::Number(number) => builder.number(*number),
    };
    parts.iter().fold(KeyBuilder::new(), join).build()
}

/// Keys of one shape, as a table's keys are: the same kinds of parts in the same order.
fn two_of_one_shape() -> impl Strategy<Value = (Vec<Part>, Vec<Part>)> {
    prop::collection::vec(any::<bool>(), 1..5).prop_flat_map(|shape| {
        let parts = |shape: &[bool]| -> Vec<BoxedStrategy<Part>> {
            let part = |text: &bool| match text {
                true => "[a-c\u{1}é]{0,3}".prop_map(Part::Text).boxed(),
                false => prop_oneof![0..3_u64, any::<u64>()].prop_map(Part::Number).boxed(),
            };
            shape.iter().map(part).collect()
        };
        (parts(&shape), parts(&shape))
    })
}

proptest! {
    #[test]
    fn two_keys_of_one_shape_are_equal_only_if_their_parts_are((left, right) in two_of_one_shape()) {
        prop_assert_eq!(build(&left) == build(&right), left == right);
    }

    #[test]
    fn a_key_is_under_a_prefix_only_if_its_parts_begin_with_it((left, right) in two_of_one_shape(), cut in 0..5_usize) {
        let prefix = &right[..cut.min(right.len())];
        prop_assert_eq!(build(&left).starts_with(&build(prefix)), left.starts_with(prefix));
    }

    #[test]
    fn keys_sort_as_their_parts_do((left, right) in two_of_one_shape()) {
        let by_parts = left.iter().zip(&right).map(|pair| match pair {
            (Part::Text(left), Part::Text(right)) => left.cmp(right),
            (Part::Number(left), Part::Number(right)) => left.cmp(right),
            _ => unreachable!("one shape"),
        });
        let expected = by_parts.fold(std::cmp::Ordering::Equal, |so_far, next| so_far.then(next));
        prop_assert_eq!(build(&left).cmp(&build(&right)), expected);
    }
}

#[test]
#[should_panic(expected = "zero byte")]
fn a_key_part_with_a_zero_byte_is_refused() {
    let _ = KeyBuilder::new().text("a\0b");
}

#[test]
fn one_schemes_keys_are_never_under_anothers() {
    let scheme = |tenant: &str, scheme: &str| {
        KeyBuilder::scheme(&TenantId::new(tenant).unwrap(), &SchemeId::new(scheme).unwrap()).build()
    };
    assert!(!scheme("a", "bc").starts_with(&scheme("a", "b")));
    assert!(!scheme("ab", "c").starts_with(&scheme("a", "b")));
}
