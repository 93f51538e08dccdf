//! Who of several waiting goes next: the more urgent first, and nobody for ever last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Priorities run from 0 to this.
const HIGHEST: u8 = 9;

/// So many turns at once, the others in a queue.
///
/// Whoever waits stands in the queue as if it had come `priority` tenths of the longest wait earlier. So a more urgent
/// one overtakes those who came shortly before it, and who has waited for nine tenths of the longest wait is overtaken
/// by nobody.
#[derive(Debug)]
pub struct Turns {
    inner: Arc<Inner>,
    /// What one step of priority is worth.
    head_start: Duration,
}

#[derive(Debug)]
struct Inner(Mutex<State>);

#[derive(Debug)]
struct State {
    begin: Instant,
    free: u32,
    /// By the time of arrival that counts, then by order.
    waiting: BTreeMap<(Duration, u64), oneshot::Sender<Turn>>,
    arrivals: u64,
}

/// One turn; given back when dropped.
#[derive(Debug)]
pub struct Turn(Option<Arc<Inner>>);

impl Turns {
    pub fn new(at_once: u32, longest_wait: Duration) -> Self {
        let state = State { begin: Instant::now(), free: at_once, waiting: BTreeMap::new(), arrivals: 0 };
        Self { inner: Arc::new(Inner(Mutex::new(state))), head_start: longest_wait / u32::from(HIGHEST + 1) }
    }

    /// Waits for a turn. Whoever stops waiting leaves the queue, and a turn that was on its way to it goes on to the next.
    pub async fn take(&self, priority: u8) -> Turn {
        let waiting = {
            let mut state = self.inner.lock();
            if state.free > 0 {
                state.free -= 1;
                return Turn(Some(self.inner.clone()));
            }
            let head_start = self.head_start * u32::from(HIGHEST - priority.min(HIGHEST));
            let place = (state.begin.elapsed() + head_start, state.arrivals);
            let (sender, receiver) = oneshot::channel();
            state.arrivals += 1;
            state.waiting.insert(place, sender);
            Waiting { inner: &self.inner, place, receiver }
        };
        waiting.turn().await
    }
}

/// A place in the queue.
struct Waiting<'a> {
    inner: &'a Arc<Inner>,
    place: (Duration, u64),
    receiver: oneshot::Receiver<Turn>,
}

impl Waiting<'_> {
    async fn turn(mut self) -> Turn {
        (&mut self.receiver).await.expect("a place in the queue is given a turn or given up by whoever waits")
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.inner.lock().waiting.remove(&self.place);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(inner) = self.0.take() else { return };
        loop {
            let mut state = inner.lock();
            let Some((_, next)) = state.waiting.pop_first() else {
                state.free += 1;
                return;
            };
            drop(state);
            match next.send(Turn(Some(inner.clone()))) {
                Ok(()) => return,
                // It stopped waiting in this very moment. The turn is ours still, and must not be given back twice.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;

    use super::*;

    const LONGEST_WAIT: Duration = Duration::from_secs(10);

    /// One turn at once, taken; what waits for it says its name once it has had it.
    struct Rig {
        turns: Arc<Turns>,
        held: Option<Turn>,
        names: (mpsc::UnboundedSender<&'static str>, mpsc::UnboundedReceiver<&'static str>),
    }

    impl Rig {
        async fn new() -> Self {
            let turns = Arc::new(Turns::new(1, LONGEST_WAIT));
            let held = Some(turns.take(0).await);
            Self { turns, held, names: mpsc::unbounded_channel() }
        }

        async fn wait(&self, name: &'static str, priority: u8) -> JoinHandle<()> {
            let (turns, names) = (self.turns.clone(), self.names.0.clone());
            let before = self.turns.inner.lock().arrivals;
            let task = tokio::spawn(async move {
                let turn = turns.take(priority).await;
                let _ = names.send(name);
                drop(turn);
            });
            while self.turns.inner.lock().arrivals == before {
                tokio::task::yield_now().await;
            }
            task
        }

        async fn order(mut self, count: usize) -> Vec<&'static str> {
            self.held = None;
            let mut order = Vec::new();
            while order.len() < count {
                order.extend(self.names.1.recv().await);
            }
            let state = self.turns.inner.lock();
            assert_eq!((state.free, state.waiting.len()), (1, 0), "every turn came back once");
            order
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_urgent_goes_first_and_equals_in_the_order_they_came() {
        let rig = Rig::new().await;
        for (name, priority) in [("low", 1), ("first", 5), ("second", 5), ("high", 9)] {
            rig.wait(name, priority).await;
        }
        assert_eq!(rig.order(4).await, ["high", "first", "second", "low"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_for_long_is_overtaken_by_nobody() {
        let rig = Rig::new().await;
        rig.wait("low", 0).await;
        tokio::time::advance(LONGEST_WAIT * 9 / 10 - Duration::from_millis(1)).await;
        rig.wait("soon enough", 9).await;
        tokio::time::advance(Duration::from_millis(2)).await;
        rig.wait("too late", 9).await;
        assert_eq!(rig.order(3).await, ["soon enough", "low", "too late"]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_waiting_leaves_no_gap_and_takes_no_turn_along() {
        let rig = Rig::new().await;
        let gone = rig.wait("gone", 9).await;
        rig.wait("stays", 0).await;
        gone.abort();
        let _ = gone.await;
        assert_eq!(rig.turns.inner.lock().waiting.len(), 1);
        assert_eq!(rig.order(1).await, ["stays"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_comes_to_somebody_who_has_just_gone_goes_on() {
        let turns = Turns::new(1, LONGEST_WAIT);
        let held = turns.take(0).await;
        let mut waiting = Box::pin(turns.take(0));
        assert!(futures::poll!(&mut waiting).is_pending());
        // The turn is in the channel, and nobody takes it out.
        drop(held);
        drop(waiting);
        assert_eq!(turns.inner.lock().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_as_allowed_go_at_once() {
        let turns = Turns::new(2, LONGEST_WAIT);
        let (first, second) = (turns.take(0).await, turns.take(0).await);
        let mut third = Box::pin(turns.take(9));
        assert!(futures::poll!(&mut third).is_pending());
        drop(first);
        drop(third.await);
        drop(second);
        assert_eq!(turns.inner.lock().free, 2);
    }
}
