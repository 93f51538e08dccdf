//! How the store is doing, and the watchdog that says so when a commit hangs.
//!
//! sled has a known deadlock under load without a fix. Nothing can undo one from inside, so a commit that takes too long
//! is said loudly, in the log and to whoever asks, and a person or a supervisor restarts the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::batch::Error;

/// A look at the store.
#[derive(Debug, Clone)]
pub struct Health {
    /// Why the store closed, where a failure closed it.
    pub failure: Option<Error>,
    /// Batches that wait for the committer.
    pub queued: usize,
    /// How long the oldest work has been under way: up to two groups are, one that is applied and one that is synced, and the
    /// files of one batch.
    pub committing_for: Option<Duration>,
    /// It has been in work for too long.
    pub stalled: bool,
    /// Groups made durable since the store was opened, and batches in them.
    pub groups: u64,
    pub batches: u64,
    /// The longest that a group took, of those that ended.
    pub slowest_group: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Pulse {
    work: Mutex<Work>,
    stop: Condvar,
}

/// A group, or the files of a batch, in work, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Beat(u64);

#[derive(Debug, Default)]
struct Work {
    next: u64,
    started: BTreeMap<Beat, Instant>,
    /// The group that was said to hang.
    said: Option<Beat>,
    groups: u64,
    batches: u64,
    slowest_group: Duration,
    stopping: bool,
}

impl Pulse {
    pub fn begin(&self, now: Instant) -> Beat {
        let mut work = self.lock();
        work.next += 1;
        let beat = Beat(work.next);
        work.started.insert(beat, now);
        beat
    }

    pub fn end(&self, beat: Beat, now: Instant, batches: usize) {
        let mut work = self.lock();
        if let Some(started) = work.started.remove(&beat) {
            let took = now.saturating_duration_since(started);
            work.slowest_group = work.slowest_group.max(took);
            if work.said.take_if(|said| *said == beat).is_some() {
                tracing::warn!(took_ms = took.as_millis() as u64, "the store's commit ended after all");
            }
        }
        if batches > 0 {
            work.groups += 1;
            work.batches += batches as u64;
        }
    }

    pub fn health(&self, now: Instant, stall_after: Duration, queued: usize, failure: Option<Error>) -> Health {
        let work = self.lock();
        let committing_for = work.started.values().next().map(|started| now.saturating_duration_since(*started));
        Health {
            failure,
            queued,
            committing_for,
            stalled: committing_for.is_some_and(|time| time >= stall_after),
            groups: work.groups,
            batches: work.batches,
            slowest_group: work.slowest_group,
        }
    }

    /// How long the oldest group in work has hung, where that has not been said yet.
    fn newly_stalled(&self, now: Instant, stall_after: Duration) -> Option<Duration> {
        let mut work = self.lock();
        let (&beat, &started) = work.started.first_key_value()?;
        let time = now.saturating_duration_since(started);
        let news = time >= stall_after && work.said != Some(beat);
        if news {
            work.said = Some(beat);
        }
        news.then_some(time)
    }

    /// Starts the thread that watches. It ends with [`Pulse::stop`].
    pub fn watch(self: &Arc<Self>, stall_after: Duration) -> std::io::Result<JoinHandle<()>> {
        let pulse = Arc::clone(self);
        let look_every = (stall_after / 4).max(Duration::from_millis(10));
        std::thread::Builder::new().name("state-watchdog".into()).spawn(move || {
            loop {
                if let Some(time) = pulse.newly_stalled(Instant::now(), stall_after) {
                    let hung_ms = time.as_millis() as u64;
                    tracing::error!(
                        hung_ms,
                        "the store's commit hangs; nothing is acknowledged; restart the engine if this stays"
                    );
                }
                let work = pulse.lock();
                if work.stopping {
                    return;
                }
                drop(pulse.stop.wait_timeout(work, look_every));
            }
        })
    }

    pub fn stop(&self) {
        self.lock().stopping = true;
        self.stop.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn says_once_that_a_commit_hangs() {
        let pulse = Pulse::default();
        let start = Instant::now();
        assert_eq!(pulse.newly_stalled(start + LIMIT, LIMIT), None, "nothing is in work");

        let first = pulse.begin(start);
        assert_eq!(pulse.newly_stalled(start + LIMIT - Duration::from_millis(1), LIMIT), None);
        assert!(!pulse.health(start, LIMIT, 0, None).stalled);
        assert!(pulse.health(start + LIMIT, LIMIT, 0, None).stalled);
        assert_eq!(pulse.newly_stalled(start + LIMIT, LIMIT), Some(LIMIT));
        assert_eq!(pulse.newly_stalled(start + LIMIT * 2, LIMIT), None, "said already");

        let second = pulse.begin(start + LIMIT);
        assert_eq!(pulse.health(start + LIMIT, LIMIT, 0, None).committing_for, Some(LIMIT), "the oldest");
        pulse.end(first, start + LIMIT * 2, 3);
        pulse.end(second, start + LIMIT * 2, 0);
        let health = pulse.health(start + LIMIT * 3, LIMIT, 0, None);
        assert!(!health.stalled);
        assert_eq!((health.groups, health.batches, health.slowest_group), (1, 3, LIMIT * 2));
        pulse.begin(start);
        assert_eq!(pulse.newly_stalled(start + LIMIT, LIMIT), Some(LIMIT), "the next one is news again");
    }
}
