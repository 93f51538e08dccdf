//! The way from many callers to the one committer: bounded, in order, closed once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::batch::{Batch, CommitError, Error, Revision};

/// What may wait or be in work at once, in KiB. Callers beyond it wait for room: a slow disk must slow the pipeline and
/// not fill the memory.
const ROOM_KIB: u32 = 64 << 10;
/// What a batch costs at least, in KiB: at most 1,024 batches wait, however small.
const LEAST_COST_KIB: u32 = 64;

/// Batches in one group. More would make the first of them wait for the last ones' bytes.
const GROUP_LIMIT: usize = 64;
/// How long a group waits for its usual company at most, and how long after the last one came.
const GROUP_WINDOW: Duration = Duration::from_millis(3);
const GROUP_LULL: Duration = Duration::from_micros(250);

pub(super) type Answer = Result<Revision, CommitError>;

pub(super) struct Request {
    batch: Batch,
    answer: oneshot::Sender<Answer>,
    room: OwnedSemaphorePermit,
}

impl Request {
    /// The room is given back when it is dropped: after the answer, since a group in work takes memory too.
    pub fn into_parts(self) -> (Batch, oneshot::Sender<Answer>, OwnedSemaphorePermit) {
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
    requests: VecDeque<Request>,
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
        let room = Arc::clone(&self.room).acquire_many_owned(cost_kib(&batch)).await.map_err(|_| Error::Closed)?;
        let (answer, receiver) = oneshot::channel();
        let mut line = self.lock();
        if line.closed {
            return Err(Error::Closed);
        }
        line.requests.push_back(Request { batch, answer, room });
        drop(line);
        self.arrived.notify_one();
        Ok(receiver)
    }

    /// The next group, or `None` once the queue is closed and empty. What came while the group before was being synced
    /// is the group: the sync is the window. Only where the group before had company does this wait a moment for the
    /// same company, so a lone caller never waits for nobody.
    pub fn gather(&self) -> Option<Vec<Request>> {
        let mut line = self.lock();
        while line.requests.is_empty() {
            if line.closed {
                return None;
            }
            line = self.arrived.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        let usual = line.last_group.min(GROUP_LIMIT);
        let deadline = Instant::now() + GROUP_WINDOW;
        while line.requests.len() < usual && !line.closed && Instant::now() < deadline {
            let (back, lull) = self.arrived.wait_timeout(line, GROUP_LULL).unwrap_or_else(PoisonError::into_inner);
            line = back;
            if lull.timed_out() {
                break;
            }
        }
        let size = line.requests.len().min(GROUP_LIMIT);
        line.last_group = size;
        Some(line.requests.drain(..size).collect())
    }

    pub fn queued(&self) -> usize {
        self.lock().requests.len()
    }

    /// Takes no more. What is queued is still gathered.
    pub fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }

    /// Takes no more and answers all that wait that the store is closed.
    pub fn refuse(&self) {
        self.close();
        let refused = std::mem::take(&mut self.lock().requests);
        for request in refused {
            // The caller may have gone; then nobody needs to know.
            let _ = request.answer.send(Err(Error::Closed.into()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost_kib(batch: &Batch) -> u32 {
    let bytes: usize =
        batch.writes.iter().map(|(_, key, value)| key.0.len() + value.as_ref().map_or(0, |v| v.len())).sum();
    // One batch larger than all the room takes all of it, and goes alone.
    u32::try_from(bytes >> 10).unwrap_or(ROOM_KIB).clamp(LEAST_COST_KIB, ROOM_KIB)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::state::{KeyBuilder, Table};

    fn batch(bytes: usize) -> Batch {
        let mut batch = Batch::new();
        batch.put(Table::Bodies, KeyBuilder::new().text("k").build(), vec![0; bytes]);
        batch
    }

    fn submit_now(queue: &Queue, bytes: usize) -> Option<oneshot::Receiver<Answer>> {
        queue.submit(batch(bytes)).now_or_never().map(|submitted| submitted.unwrap())
    }

    #[test]
    fn makes_callers_wait_when_it_is_full_and_lets_them_in_again() {
        let queue = Queue::new();
        let mut waiting: Vec<_> = std::iter::from_fn(|| submit_now(&queue, 10)).take(5_000).collect();
        assert_eq!(waiting.len(), (ROOM_KIB / LEAST_COST_KIB) as usize);
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
        assert_eq!(waiting.len(), 8, "the room holds eight such batches");
    }

    #[test]
    fn lets_a_batch_larger_than_all_room_in_alone() {
        let queue = Queue::new();
        let _waiting = submit_now(&queue, 65 << 20).expect("goes alone");
        assert!(submit_now(&queue, 1).is_none());
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
