//! The way from many callers to the one committer: bounded, a line for each tenant and in order within it, closed once.
//!
//! A batch with large values joins no group before those lie in files of their own (see [`super::filer`]). It keeps its place
//! meanwhile, and what its tenant sent after it waits behind it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::batch::{Batch, CommitError, Error, Revision};
use super::row::{Digest, INLINE_LIMIT_BYTES};
use crate::model::TenantId;

/// What may wait or be in work at once, in KiB. Callers beyond it wait for room: a slow disk must slow the pipeline and
/// not fill the memory.
const ROOM_KIB: u32 = 64 << 10;
/// What one tenant may have of it, so that there is room for the others while it waits for its own to be written.
const TENANT_ROOM_KIB: u32 = ROOM_KIB / 2;
/// What a batch costs at least, in KiB: at most 1,024 batches wait, however small.
const LEAST_COST_KIB: u32 = 64;

/// Batches in one group. More would make the first of them wait for the last ones' bytes.
const GROUP_LIMIT: usize = 64;
/// Bytes of rows in one group, in KiB, beyond which nobody's second batch joins: what a small batch waits for is one group in
/// work, and that must not be a tenant's whole room.
const GROUP_KIB: u32 = 8 << 10;
/// How long a group waits for its usual company at most, and how long after the last one came.
const GROUP_WINDOW: Duration = Duration::from_millis(3);
const GROUP_LULL: Duration = Duration::from_micros(250);

pub(super) type Answer = Result<Revision, CommitError>;

pub(super) struct Request {
    pub batch: Batch,
    pub answer: oneshot::Sender<Answer>,
    /// Given back when it is dropped: after the answer, since a group in work takes memory too.
    pub room: Room,
    files: Files,
}

/// Where the large values of a batch are.
enum Files {
    Awaited,
    BeingWritten(Ticket),
    /// In files, durable, in the order of its writes; or why they are not.
    There(Result<Vec<Digest>, Error>),
}

/// Of one batch whose large values are being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Of the tenant, and of all.
pub(super) type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Request {
    /// Of the large values, in the order of the batch's writes.
    pub fn take_files(&mut self) -> Result<Vec<Digest>, Error> {
        match std::mem::replace(&mut self.files, Files::There(Ok(Vec::new()))) {
            Files::There(files) => files,
            Files::Awaited | Files::BeingWritten(_) => {
                Err(Error::Failed { detail: "a batch came before its files".into() })
            }
        }
    }

    fn is_ready(&self) -> bool {
        matches!(self.files, Files::There(_))
    }
}

pub(super) struct Queue {
    line: Mutex<Line>,
    /// A batch can join a group, or nothing more comes.
    arrived: Condvar,
    /// A batch came whose large values want to be written, or nothing more comes.
    wanted: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Line {
    /// No line is empty.
    lines: HashMap<Option<TenantId>, VecDeque<Request>>,
    /// Whose batch is next: each tenant that waits, once.
    turns: VecDeque<Option<TenantId>>,
    /// Of every tenant that ever came; there are as many as the configuration names.
    accounts: HashMap<Option<TenantId>, Account>,
    tickets: u64,
    closed: bool,
    /// Size of the group before: so many callers are likely to come back at once.
    last_group: usize,
}

struct Account {
    room: Arc<Semaphore>,
    /// Its last ticket.
    filed: u64,
}

impl Queue {
    pub fn new() -> Self {
        let room = Arc::new(Semaphore::new(ROOM_KIB as usize));
        Self { line: Mutex::default(), arrived: Condvar::new(), wanted: Condvar::new(), room }
    }

    /// Waits for room, then queues. Once this returns the batch will be tried, whoever still waits for the answer.
    pub async fn submit(&self, batch: Batch) -> Result<oneshot::Receiver<Answer>, Error> {
        let cost = cost_kib(&batch);
        let own = self.lock().room_of(&batch.tenant)?;
        // First its own: who has none left stands in nobody else's way.
        let own = own.acquire_many_owned(cost).await.map_err(|_| Error::Closed)?;
        let shared = Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| Error::Closed)?;
        let (answer, receiver) = oneshot::channel();
        let mut line = self.lock();
        if line.closed {
            return Err(Error::Closed);
        }
        let has_large = large_values(&batch).next().is_some();
        let files = if has_large { Files::Awaited } else { Files::There(Ok(Vec::new())) };
        line.push(Request { batch, answer, room: (own, shared), files });
        drop(line);
        if has_large {
            self.wanted.notify_one();
        } else {
            self.arrived.notify_one();
        }
        Ok(receiver)
    }

    /// The next group, or `None` once the queue is closed and empty. What came while the groups before were applied and
    /// synced is the group: that is the window. Only where the group before had company does this wait a moment for the
    /// same company, so a lone caller never waits for nobody.
    pub fn gather(&self) -> Option<Vec<Request>> {
        let mut line = self.lock();
        while line.ready() == 0 {
            if line.closed && line.turns.is_empty() {
                return None;
            }
            line = self.arrived.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        let usual = line.last_group.min(GROUP_LIMIT);
        let deadline = Instant::now() + GROUP_WINDOW;
        while line.ready() < usual && !line.closed && Instant::now() < deadline {
            let (back, lull) = self.arrived.wait_timeout(line, GROUP_LULL).unwrap_or_else(PoisonError::into_inner);
            line = back;
            if lull.timed_out() {
                break;
            }
        }
        let group = line.group();
        line.last_group = group.len();
        Some(group)
    }

    /// Large values that are to lie in files before their batch joins a group, of the tenant whose last were longest ago.
    /// `None` once the queue is closed and none wait.
    pub fn next_to_file(&self) -> Option<(Ticket, Vec<Bytes>)> {
        let mut line = self.lock();
        loop {
            if let Some(next) = line.next_to_file() {
                return Some(next);
            }
            if line.closed {
                return None;
            }
            line = self.wanted.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What became of them. Whether anybody still wants to know: their batch may have been refused meanwhile.
    pub fn filed(&self, ticket: Ticket, outcome: Result<Vec<Digest>, Error>) -> bool {
        let mut line = self.lock();
        let mut requests = line.lines.values_mut().flatten();
        let found = requests.find(|request| matches!(request.files, Files::BeingWritten(other) if other == ticket));
        let is_wanted = found.map(|request| request.files = Files::There(outcome)).is_some();
        drop(line);
        self.arrived.notify_one();
        is_wanted
    }

    pub fn queued(&self) -> usize {
        self.lock().waiting()
    }

    /// Takes no more. What is queued is still gathered.
    pub fn close(&self) {
        let mut line = self.lock();
        line.closed = true;
        line.accounts.values().for_each(|account| account.room.close());
        drop(line);
        self.room.close();
        self.arrived.notify_all();
        self.wanted.notify_all();
    }

    /// Takes no more and answers all that wait that the store is closed.
    pub fn refuse(&self) {
        self.close();
        let mut line = self.lock();
        line.turns.clear();
        let refused = std::mem::take(&mut line.lines);
        drop(line);
        // Who waits for files to be written waits for nothing now.
        self.arrived.notify_all();
        for request in refused.into_values().flatten() {
            // The caller may have gone; then nobody needs to know.
            let _ = request.answer.send(Err(Error::Closed.into()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn room_of(&mut self, tenant: &Option<TenantId>) -> Result<Arc<Semaphore>, Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        let new = || Account { room: Arc::new(Semaphore::new(TENANT_ROOM_KIB as usize)), filed: 0 };
        Ok(self.accounts.entry(tenant.clone()).or_insert_with(new).room.clone())
    }

    /// Batches that can join a group: those without one in front of them that cannot.
    fn ready(&self) -> usize {
        self.lines.values().map(|line| line.iter().take_while(|request| request.is_ready()).count()).sum()
    }

    fn next_to_file(&mut self) -> Option<(Ticket, Vec<Bytes>)> {
        let is_awaited = |request: &Request| matches!(request.files, Files::Awaited);
        let filed = |tenant: &Option<TenantId>| self.accounts.get(tenant).map_or(0, |account| account.filed);
        let lines = self.lines.iter().filter(|(_, line)| line.iter().any(is_awaited));
        let tenant = lines.map(|(tenant, _)| tenant).min_by_key(|tenant| filed(tenant))?.clone();
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        if let Some(account) = self.accounts.get_mut(&tenant) {
            account.filed = ticket.0;
        }
        let request = self.lines.get_mut(&tenant)?.iter_mut().find(|request| is_awaited(request))?;
        request.files = Files::BeingWritten(ticket);
        Some((ticket, large_values(&request.batch).cloned().collect()))
    }

    fn waiting(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum()
    }

    fn push(&mut self, request: Request) {
        let tenant = request.batch.tenant.clone();
        let line = self.lines.entry(tenant.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(tenant);
        }
        line.push_back(request);
    }

    /// The first batch of every tenant, whatever it weighs; then, tenant by tenant, as many more as a group may hold.
    fn group(&mut self) -> Vec<Request> {
        let mut group: Vec<Request> = Vec::new();
        let (firsts, mut kib) = (self.turns.iter().filter(|tenant| self.first(tenant).is_some()).count(), 0);
        while group.len() < GROUP_LIMIT {
            let mut turns = self.turns.iter().enumerate();
            let Some((at, next)) = turns.find_map(|(at, tenant)| Some((at, self.first(tenant)?))) else { break };
            kib += rows_kib(&next.batch);
            if group.len() >= firsts && kib > GROUP_KIB {
                break;
            }
            group.extend(self.pop(at));
        }
        group
    }

    /// A tenant's first batch, where it can join a group.
    fn first(&self, tenant: &Option<TenantId>) -> Option<&Request> {
        self.lines.get(tenant).and_then(VecDeque::front).filter(|request| request.is_ready())
    }

    /// Whose turn it was goes to the end, where it has more.
    fn pop(&mut self, at: usize) -> Option<Request> {
        let tenant = self.turns.remove(at)?;
        let line = self.lines.get_mut(&tenant)?;
        let request = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        request
    }
}

/// Values that lie in files of their own, in the order of the batch's writes.
fn large_values(batch: &Batch) -> impl Iterator<Item = &Bytes> {
    batch.writes.iter().filter_map(|(_, _, value)| value.as_ref()).filter(|value| value.len() > INLINE_LIMIT_BYTES)
}

/// What a batch weighs in a group, where its large values lie in files already.
fn rows_kib(batch: &Batch) -> u32 {
    kib(bytes_of(batch) - large_values(batch).map(Bytes::len).sum::<usize>())
}

/// What it takes of the room.
fn cost_kib(batch: &Batch) -> u32 {
    kib(bytes_of(batch))
}

fn bytes_of(batch: &Batch) -> usize {
    batch.writes.iter().map(|(_, key, value)| key.0.len() + value.as_ref().map_or(0, |v| v.len())).sum()
}

fn kib(bytes: usize) -> u32 {
    // One batch larger than all of its tenant's room takes all of it, and goes alone.
    u32::try_from(bytes >> 10).unwrap_or(TENANT_ROOM_KIB).clamp(LEAST_COST_KIB, TENANT_ROOM_KIB)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::state::{KeyBuilder, Table};

    fn batch(bytes: usize) -> Batch {
        batch_of("acme", bytes)
    }

    fn batch_of(tenant: &str, bytes: usize) -> Batch {
        let mut batch = Batch::new();
        batch.on_account_of(TenantId::new(tenant).unwrap());
        // None of them is large by itself.
        let parts = bytes.div_ceil(INLINE_LIMIT_BYTES);
        for part in 0..parts {
            let key = KeyBuilder::new().text("k").number(part as u64).build();
            batch.put(Table::Bodies, key, vec![0; INLINE_LIMIT_BYTES.min(bytes - part * INLINE_LIMIT_BYTES)]);
        }
        batch
    }

    /// One with a value that wants a file.
    fn large_of(tenant: &str, byte: u8) -> Batch {
        let mut batch = batch_of(tenant, 1);
        batch.put(Table::Bodies, KeyBuilder::new().text("large").build(), vec![byte; INLINE_LIMIT_BYTES + 1]);
        batch
    }

    fn submit_large(queue: &Queue, tenant: &str, byte: u8) -> oneshot::Receiver<Answer> {
        queue.submit(large_of(tenant, byte)).now_or_never().unwrap().unwrap()
    }

    fn submit_now(queue: &Queue, bytes: usize) -> Option<oneshot::Receiver<Answer>> {
        submit_of(queue, "acme", bytes)
    }

    fn submit_of(queue: &Queue, tenant: &str, bytes: usize) -> Option<oneshot::Receiver<Answer>> {
        queue.submit(batch_of(tenant, bytes)).now_or_never().map(|submitted| submitted.unwrap())
    }

    /// The tenants of the next group, in its order.
    fn tenants(queue: &Queue) -> String {
        let group = queue.gather().unwrap();
        group.iter().filter_map(|request| request.batch.tenant.as_ref()).map(TenantId::as_str).collect()
    }

    #[test]
    fn makes_callers_wait_when_it_is_full_and_lets_them_in_again() {
        let queue = Queue::new();
        let mut waiting: Vec<_> = std::iter::from_fn(|| submit_now(&queue, 10)).take(5_000).collect();
        assert_eq!(waiting.len(), (TENANT_ROOM_KIB / LEAST_COST_KIB) as usize);
        let group = queue.gather().unwrap();
        assert_eq!(group.len(), GROUP_LIMIT);
        assert!(submit_now(&queue, 10).is_none(), "a group in work still takes room");
        drop(group);
        waiting.push(submit_now(&queue, 10).expect("room came back"));
    }

    #[test]
    fn counts_the_bytes_that_wait_too() {
        let queue = Queue::new();
        let waiting: Vec<_> = std::iter::from_fn(|| submit_now(&queue, 8_000_000)).take(100).collect();
        assert_eq!(waiting.len(), 4, "a tenant's room holds four such batches");
    }

    #[test]
    fn lets_a_batch_larger_than_all_room_in_alone() {
        let queue = Queue::new();
        let _waiting = submit_now(&queue, 65 << 20).expect("goes alone");
        assert!(submit_now(&queue, 1).is_none());
    }

    #[test]
    fn a_tenant_that_has_filled_its_room_leaves_the_others_theirs() {
        let queue = Queue::new();
        let _waiting: Vec<_> = std::iter::from_fn(|| submit_of(&queue, "b", 1 << 20)).take(5_000).collect();
        let mut more = Box::pin(queue.submit(batch_of("b", 1)));
        assert!((&mut more).now_or_never().is_none());
        assert!(submit_of(&queue, "a", 1).is_some(), "`b`, which waits for its own room, is not in its way");
    }

    #[test]
    fn a_small_batch_is_in_the_next_group_whatever_another_tenant_has_in_front_of_it() {
        let queue = Queue::new();
        let mut waiting: Vec<_> = (0..6).filter_map(|_| submit_of(&queue, "b", 5 << 20)).collect();
        waiting.extend(submit_of(&queue, "a", 1));
        waiting.extend(submit_of(&queue, "c", 1));
        assert_eq!(tenants(&queue), "bac", "a group holds no second batch of five mebibytes");
        waiting.extend(submit_of(&queue, "a", 1));
        assert_eq!([tenants(&queue), tenants(&queue)], ["ba", "b"]);
    }

    #[test]
    fn tenants_take_turns_in_a_group() {
        let queue = Queue::new();
        let many = (0..GROUP_LIMIT + 3).filter_map(|_| submit_of(&queue, "b", 1));
        let mut waiting: Vec<_> = many.collect();
        waiting.extend((0..3).filter_map(|_| submit_of(&queue, "a", 1)));
        assert_eq!(tenants(&queue), format!("bababa{}", "b".repeat(GROUP_LIMIT - 6)));
        assert_eq!(tenants(&queue), "bbbbbb");
    }

    #[test]
    fn a_batch_waits_for_its_files_and_with_it_what_its_tenant_sent_after_it_and_nobody_else() {
        let queue = Queue::new();
        let mut waiting = vec![submit_large(&queue, "b", 1)];
        waiting.extend(submit_of(&queue, "b", 1));
        waiting.extend(submit_of(&queue, "a", 1));
        assert_eq!(tenants(&queue), "a");
        let (ticket, values) = queue.next_to_file().unwrap();
        assert_eq!(values, [vec![1; INLINE_LIMIT_BYTES + 1]]);
        waiting.extend(submit_of(&queue, "a", 1));
        assert_eq!(tenants(&queue), "a");
        assert!(queue.filed(ticket, Ok(vec![[7; 32]])));
        let mut group = queue.gather().unwrap();
        assert_eq!(
            group.iter_mut().map(|request| request.take_files().unwrap()).collect::<Vec<_>>(),
            [vec![[7; 32]], vec![]]
        );
    }

    #[test]
    fn in_a_group_a_batch_weighs_its_rows_alone() {
        let mut batch = batch_of("a", 10 << 20);
        let alone = rows_kib(&batch);
        batch.put(Table::Bodies, KeyBuilder::new().build(), vec![0; 40 << 20]);
        assert_eq!((rows_kib(&batch), cost_kib(&batch)), (alone, TENANT_ROOM_KIB));
    }

    #[test]
    fn tenants_take_turns_where_files_are_written() {
        let queue = Queue::new();
        let _b = [1, 2, 3].map(|byte| submit_large(&queue, "b", byte));
        let next = || queue.next_to_file().unwrap().1[0][0];
        assert_eq!(next(), 1);
        let _a = [11, 12].map(|byte| submit_large(&queue, "a", byte));
        assert_eq!([next(), next(), next(), next()], [11, 2, 12, 3]);
    }

    #[test]
    fn a_closed_queue_still_writes_the_files_of_what_it_holds_and_a_refused_one_does_not() {
        let queue = Queue::new();
        let _waiting = [1, 2].map(|byte| submit_large(&queue, "b", byte));
        queue.close();
        let (ticket, _) = queue.next_to_file().unwrap();
        assert!(queue.filed(ticket, Ok(vec![[1; 32]])));
        assert_eq!(queue.gather().map(|group| group.len()), Some(1));
        let (ticket, _) = queue.next_to_file().unwrap();
        assert!(queue.next_to_file().is_none());
        queue.refuse();
        assert!(!queue.filed(ticket, Ok(vec![[1; 32]])), "its batch was refused");
        assert!(queue.gather().is_none());
    }

    #[test]
    fn hands_out_what_is_queued_before_it_says_closed() {
        let queue = Queue::new();
        let _waiting = submit_now(&queue, 1);
        queue.close();
        assert_eq!(queue.gather().map(|group| group.len()), Some(1));
        assert!(queue.gather().is_none());
        assert!(matches!(queue.submit(batch(1)).now_or_never(), Some(Err(Error::Closed))));
    }

    #[test]
    fn answers_everyone_who_waits_when_it_refuses() {
        let queue = Queue::new();
        let mut waiting = submit_now(&queue, 1).unwrap();
        queue.refuse();
        assert!(matches!(waiting.try_recv(), Ok(Err(CommitError::Store(Error::Closed)))));
        assert!(queue.gather().is_none());
    }
}
