//! The way from many callers to the one committer: bounded, a line for each tenant and in order within it, closed once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::batch::{Batch, CommitError, Error, Revision};
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
/// Bytes in one group, in KiB, beyond which nobody's second batch joins: what a small batch waits for is one group in work,
/// and that must not be a tenant's whole room.
const GROUP_KIB: u32 = 8 << 10;
/// How long a group waits for its usual company at most, and how long after the last one came.
const GROUP_WINDOW: Duration = Duration::from_millis(3);
const GROUP_LULL: Duration = Duration::from_micros(250);

pub(super) type Answer = Result<Revision, CommitError>;

pub(super) struct Request {
    batch: Batch,
    answer: oneshot::Sender<Answer>,
    room: Room,
}

/// Of the tenant, and of all.
pub(super) type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Request {
    /// The room is given back when it is dropped: after the answer, since a group in work takes memory too.
    pub fn into_parts(self) -> (Batch, oneshot::Sender<Answer>, Room) {
        (self.batch, self.answer, self.room)
    }
}

pub(super) struct Queue {
    line: Mutex<Line>,
    arrived: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Line {
    /// No line is empty.
    lines: HashMap<Option<TenantId>, VecDeque<Request>>,
    /// Whose batch is next: each tenant that waits, once.
    turns: VecDeque<Option<TenantId>>,
    /// Of every tenant that ever came; there are as many as the configuration names.
    rooms: HashMap<Option<TenantId>, Arc<Semaphore>>,
    closed: bool,
    /// Size of the group before: so many callers are likely to come back at once.
    last_group: usize,
}

impl Queue {
    pub fn new() -> Self {
        Self { line: Mutex::default(), arrived: Condvar::new(), room: Arc::new(Semaphore::new(ROOM_KIB as usize)) }
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
        line.push(Request { batch, answer, room: (own, shared) });
        drop(line);
        self.arrived.notify_one();
        Ok(receiver)
    }

    /// The next group, or `None` once the queue is closed and empty. What came while the groups before were applied and
    /// synced is the group: that is the window. Only where the group before had company does this wait a moment for the
    /// same company, so a lone caller never waits for nobody.
    pub fn gather(&self) -> Option<Vec<Request>> {
        let mut line = self.lock();
        while line.turns.is_empty() {
            if line.closed {
                return None;
            }
            line = self.arrived.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        let usual = line.last_group.min(GROUP_LIMIT);
        let deadline = Instant::now() + GROUP_WINDOW;
        while line.waiting() < usual && !line.closed && Instant::now() < deadline {
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

    pub fn queued(&self) -> usize {
        self.lock().waiting()
    }

    /// Takes no more. What is queued is still gathered.
    pub fn close(&self) {
        let mut line = self.lock();
        line.closed = true;
        line.rooms.values().for_each(|room| room.close());
        drop(line);
        self.room.close();
        self.arrived.notify_all();
    }

    /// Takes no more and answers all that wait that the store is closed.
    pub fn refuse(&self) {
        self.close();
        let mut line = self.lock();
        line.turns.clear();
        let refused = std::mem::take(&mut line.lines);
        drop(line);
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
        let room = self.rooms.entry(tenant.clone());
        Ok(room.or_insert_with(|| Arc::new(Semaphore::new(TENANT_ROOM_KIB as usize))).clone())
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
        let (firsts, mut kib) = (self.turns.len(), 0);
        while group.len() < GROUP_LIMIT {
            let Some(tenant) = self.turns.front() else { break };
            let Some(next) = self.lines.get(tenant).and_then(VecDeque::front) else { break };
            kib += cost_kib(&next.batch);
            if group.len() >= firsts && kib > GROUP_KIB {
                break;
            }
            group.extend(self.pop());
        }
        group
    }

    /// Whose turn it was goes to the end, where it has more.
    fn pop(&mut self) -> Option<Request> {
        let tenant = self.turns.pop_front()?;
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

fn cost_kib(batch: &Batch) -> u32 {
    let bytes: usize =
        batch.writes.iter().map(|(_, key, value)| key.0.len() + value.as_ref().map_or(0, |v| v.len())).sum();
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
        batch.put(Table::Bodies, KeyBuilder::new().text("k").build(), vec![0; bytes]);
        batch
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
        let waiting: Vec<_> = std::iter::from_fn(|| submit_now(&queue, 8 << 20)).take(100).collect();
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
