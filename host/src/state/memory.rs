//! The store's twin without a disk, for tests: the same answers, and a crash that can be steered.
//!
//! It has no threads and no timers, so what happens depends on the caller alone. Batches take effect in the order in
//! which they are submitted. They are acknowledged at once, or after [`MemoryStore::hold`] when
//! [`MemoryStore::acknowledge`] says so; [`MemoryStore::crash`] keeps the acknowledged ones and as many of the others as
//! the test chooses, which is all that a power cut can do to the real one. After [`MemoryStore::queue`] they take effect
//! only with [`MemoryStore::take_up`], as the real one's do when its committer comes to them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::batch::{Batch, CommitError, Error, Expect, Key, Revision, Stored, Table};
use super::{Receipt, Store};

type Rows = BTreeMap<(Table, Key), Stored>;
type Answer = Result<Revision, CommitError>;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    lease: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// With every acknowledged batch.
    durable: Rows,
    durable_revision: Revision,
    /// With every batch that took effect.
    visible: Rows,
    visible_revision: Revision,
    unacknowledged: VecDeque<Pending>,
    held: bool,
    /// Submitted and without effect yet.
    queued: VecDeque<(Batch, oneshot::Sender<Answer>)>,
    queues: bool,
    /// How many commits from now fails; zero for none.
    fails_at: usize,
    closed: bool,
}

#[derive(Debug)]
struct Pending {
    revision: Revision,
    writes: Vec<(Table, Key, Option<Bytes>)>,
    /// `None` where the commit has already been told that it failed.
    answer: Option<oneshot::Sender<Answer>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store with lease 1 that acknowledges at once.
    pub fn new() -> Self {
        Self { lease: 1, inner: Mutex::new(Inner::holding(Rows::new(), Revision(0))) }
    }

    /// From now on commits take effect and stay unacknowledged until [`MemoryStore::acknowledge`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Acknowledges what is held and from now on again at once.
    pub fn release(&self) {
        self.lock().held = false;
        self.acknowledge(usize::MAX);
    }

    /// From now on batches take effect with [`MemoryStore::take_up`] alone.
    pub fn queue(&self) {
        self.lock().queues = true;
    }

    /// The first `count` of the queued batches take effect, in the order in which they were submitted; says how many.
    pub fn take_up(&self, count: usize) -> usize {
        let mut inner = self.lock();
        let mut taken = 0;
        while taken < count
            && let Some((batch, answer)) = inner.queued.pop_front()
        {
            inner.take_effect(batch, answer, self.lease);
            taken += 1;
        }
        taken
    }

    /// Batches without effect yet.
    pub fn queued(&self) -> usize {
        self.lock().queued.len()
    }

    /// Acknowledges the first `count` of the held commits, in commit order; says how many there were.
    pub fn acknowledge(&self, count: usize) -> usize {
        let mut inner = self.lock();
        if inner.closed {
            return 0;
        }
        let count = count.min(inner.unacknowledged.len());
        for _ in 0..count {
            inner.acknowledge_first(self.lease);
        }
        count
    }

    /// Commits that took effect and are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.lock().unacknowledged.len()
    }

    /// The row as a crash at this instant would surely leave it, also of a store that was closed.
    pub fn durable(&self, table: Table, key: &Key) -> Option<Stored> {
        self.lock().durable.get(&(table, key.clone())).cloned()
    }

    /// The `n`-th commit from now (1 is the very next) that has no conflict fails and closes the store. As on a disk,
    /// its fate is open: it is one of the unacknowledged that [`MemoryStore::crash`] may keep.
    pub fn fail_next(&self, n: usize) {
        self.lock().fails_at = n;
    }

    /// Ends this store as a power cut would and answers the one that is found afterwards: every acknowledged batch and
    /// the first `keep` of the others. Commits that still wait are answered [`Error::Closed`].
    pub fn crash(&self, keep: usize) -> MemoryStore {
        self.crash_choosing(|_| keep)
    }

    /// [`MemoryStore::crash`], with the number of unacknowledged batches given to whoever chooses how many to keep.
    pub fn crash_choosing(&self, choose: impl FnOnce(usize) -> usize) -> MemoryStore {
        let mut inner = self.lock();
        let keep = choose(inner.unacknowledged.len()).min(inner.unacknowledged.len());
        let mut rows = inner.durable.clone();
        let mut revision = inner.durable_revision;
        for pending in inner.unacknowledged.iter().take(keep) {
            apply(&mut rows, pending, self.lease);
            revision = pending.revision;
        }
        inner.close();
        MemoryStore { lease: self.lease + 1, inner: Mutex::new(Inner::holding(rows, revision)) }
    }

    /// What a restart without a crash finds: everything.
    pub fn reopen(&self) -> MemoryStore {
        self.crash(usize::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn holding(rows: Rows, revision: Revision) -> Self {
        Self {
            durable: rows.clone(),
            durable_revision: revision,
            visible: rows,
            visible_revision: revision,
            unacknowledged: VecDeque::new(),
            held: false,
            queued: VecDeque::new(),
            queues: false,
            fails_at: 0,
            closed: false,
        }
    }

    fn commit(&mut self, batch: Batch, lease: u64) -> Result<oneshot::Receiver<Answer>, CommitError> {
        if self.closed {
            return Err(Error::Closed.into());
        }
        if batch.writes.iter().any(|(table, ..)| *table == Table::Meta) {
            return Err(Error::Failed { detail: "the table Meta is the store's own".into() }.into());
        }
        let (answer, receiver) = oneshot::channel();
        match self.queues {
            true => self.queued.push_back((batch, answer)),
            false => self.take_effect(batch, answer, lease),
        }
        Ok(receiver)
    }

    fn take_effect(&mut self, batch: Batch, answer: oneshot::Sender<Answer>, lease: u64) {
        for (table, key, expectation) in batch.expectations {
            let found = self.visible.get(&(table, key.clone())).map(|row| row.revision);
            let holds = match expectation {
                Expect::Absent => found.is_none(),
                Expect::At(revision) => found == Some(revision),
            };
            if !holds {
                return tell(Some(answer), Err(CommitError::Conflict { table, key, found }));
            }
        }
        let revision = Revision(self.visible_revision.0 + 1);
        let pending = Pending { revision, writes: batch.writes, answer: Some(answer) };
        apply(&mut self.visible, &pending, lease);
        self.visible_revision = revision;
        self.unacknowledged.push_back(pending);

        if self.fails_at > 0 {
            self.fails_at -= 1;
            if self.fails_at == 0 {
                return self.fail();
            }
        }
        if !self.held {
            self.acknowledge_first(lease);
        }
    }

    fn acknowledge_first(&mut self, lease: u64) {
        let Some(pending) = self.unacknowledged.pop_front() else { return };
        apply(&mut self.durable, &pending, lease);
        self.durable_revision = pending.revision;
        tell(pending.answer, Ok(pending.revision));
    }

    /// Closes the store; every batch that was in work hears of the failure.
    fn fail(&mut self) {
        self.closed = true;
        for pending in &mut self.unacknowledged {
            tell(pending.answer.take(), Err(Error::Failed { detail: "injected".into() }.into()));
        }
        self.refuse_queued();
    }

    fn close(&mut self) {
        self.closed = true;
        for pending in &mut self.unacknowledged {
            tell(pending.answer.take(), Err(Error::Closed.into()));
        }
        self.refuse_queued();
    }

    fn refuse_queued(&mut self) {
        for (_, answer) in self.queued.drain(..) {
            tell(Some(answer), Err(Error::Closed.into()));
        }
    }

    fn refuse_closed(&self) -> Result<(), Error> {
        if self.closed { Err(Error::Closed) } else { Ok(()) }
    }
}

fn apply(rows: &mut Rows, pending: &Pending, lease: u64) {
    for (table, key, value) in &pending.writes {
        let place = (*table, key.clone());
        match value {
            Some(value) => rows.insert(place, Stored { value: value.clone(), revision: pending.revision, lease }),
            None => rows.remove(&place),
        };
    }
}

fn tell(answer: Option<oneshot::Sender<Answer>>, outcome: Answer) {
    if let Some(answer) = answer {
        // The caller may have dropped its future; the batch stands all the same.
        let _ = answer.send(outcome);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn submit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.lock().commit(batch, self.lease).map(Receipt)
    }

    fn get(&self, table: Table, key: &Key) -> Result<Option<Stored>, Error> {
        let inner = self.lock();
        inner.refuse_closed()?;
        Ok(inner.visible.get(&(table, key.clone())).cloned())
    }

    fn scan(&self, table: Table, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Stored)>, Error> {
        let inner = self.lock();
        inner.refuse_closed()?;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.clone())),
            _ => Bound::Included((table, prefix.clone())),
        };
        let rows = inner.visible.range((start, Bound::Unbounded));
        let ours = rows.take_while(|((found, key), _)| *found == table && key.starts_with(prefix));
        Ok(ours.take(limit).map(|((_, key), row)| (key.clone(), row.clone())).collect())
    }

    fn keys(
        &self,
        table: Table,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Revision)>, Error> {
        let rows = self.scan(table, prefix, after, limit)?;
        Ok(rows.into_iter().map(|(key, row)| (key, row.revision)).collect())
    }

    fn lease(&self) -> u64 {
        self.lease
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::state::KeyBuilder;

    fn put(name: &str) -> Batch {
        let mut batch = Batch::new();
        batch.put(Table::Subjects, key(name), name.to_owned());
        batch
    }

    fn key(name: &str) -> Key {
        KeyBuilder::new().text(name).build()
    }

    fn names(store: &MemoryStore) -> Vec<String> {
        let rows = store.scan(Table::Subjects, &Key::default(), None, 100).unwrap();
        rows.into_iter().map(|(_, row)| String::from_utf8(row.value.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_crash_keeps_what_was_acknowledged_and_the_chosen_prefix_of_the_rest() {
        for (keep, expected) in [(0, "a b"), (1, "a b c"), (2, "a b c d"), (9, "a b c d")] {
            let store = MemoryStore::new();
            store.commit(put("a")).now_or_never().unwrap().unwrap();
            store.hold();
            let mut held: Vec<_> = ["b", "c", "d"].map(|name| store.commit(put(name))).into_iter().collect();
            assert!(held.iter_mut().all(|commit| commit.now_or_never().is_none()));
            assert_eq!(names(&store), ["a", "b", "c", "d"], "seen before it is durable");
            assert_eq!(store.acknowledge(1), 1);
            assert_eq!(held.remove(0).now_or_never().unwrap().unwrap(), Revision(2));

            let found = store.crash(keep);
            assert_eq!(names(&found), expected.split(' ').collect::<Vec<_>>(), "keep {keep}");
            assert_eq!(found.lease(), 2);
            for lost in held {
                assert!(matches!(lost.now_or_never(), Some(Err(CommitError::Store(Error::Closed)))));
            }
            assert!(matches!(store.get(Table::Subjects, &key("a")), Err(Error::Closed)));
        }
    }

    #[test]
    fn a_chooser_learns_how_much_is_unacknowledged() {
        let store = MemoryStore::new();
        store.hold();
        let mut first = store.commit(put("a"));
        assert!((&mut first).now_or_never().is_none());
        let found = store.crash_choosing(|open| {
            assert_eq!(open, 1);
            open
        });
        assert_eq!(names(&found), ["a"]);
    }

    #[test]
    fn releasing_acknowledges_what_is_held_and_what_comes() {
        let store = MemoryStore::new();
        store.hold();
        let mut first = store.commit(put("a"));
        assert!((&mut first).now_or_never().is_none());
        store.release();
        assert_eq!(first.now_or_never().unwrap().unwrap(), Revision(1));
        assert_eq!(store.commit(put("b")).now_or_never().unwrap().unwrap(), Revision(2));
        assert_eq!(store.unacknowledged(), 0);
    }

    #[test]
    fn the_fate_of_a_failed_commit_is_open() {
        for (keep, expected) in [(0, vec!["a"]), (1, vec!["a", "b"])] {
            let store = MemoryStore::new();
            store.fail_next(2);
            store.commit(put("a")).now_or_never().unwrap().unwrap();
            let failed = store.commit(put("b")).now_or_never().unwrap();
            assert!(matches!(failed, Err(CommitError::Store(Error::Failed { .. }))));
            assert!(matches!(store.commit(put("c")).now_or_never(), Some(Err(CommitError::Store(Error::Closed)))));
            assert_eq!(names(&store.crash(keep)), expected);
        }
    }
}
