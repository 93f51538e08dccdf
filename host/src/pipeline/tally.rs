//! A number that grows, and those who wait for it to grow.
//!
//! tokio's `watch` does the same and wakes those who wait in a random order. Here they are woken in the order in which
//! they came, so that the same story can be told again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicU64,
    grown: Notify,
}

impl Tally {
    pub fn add_one(&self) {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        self.0.grown.notify_waiters();
    }

    /// Somebody who has seen everything so far.
    pub fn follow(&self) -> Follower {
        Follower { seen: self.count(), tally: self.clone() }
    }

    fn count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }
}

/// Follows a [`Tally`].
#[derive(Debug, Clone)]
pub struct Follower {
    tally: Tally,
    seen: u64,
}

impl Follower {
    /// Completes once the number has grown since the last look. Dropped before, it has seen nothing.
    pub async fn grown(&mut self) {
        loop {
            let grown = self.tally.0.grown.notified();
            tokio::pin!(grown);
            grown.as_mut().enable();
            let count = self.tally.count();
            if std::mem::replace(&mut self.seen, count) != count {
                return;
            }
            grown.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn what_was_counted_before_the_wait_is_not_missed_and_is_seen_once() {
        let tally = Tally::default();
        let mut follower = tally.follow();
        assert!(follower.grown().now_or_never().is_none());
        tally.add_one();
        tally.add_one();
        assert!(follower.grown().now_or_never().is_some());
        assert!(follower.grown().now_or_never().is_none());
        assert!(tally.follow().grown().now_or_never().is_none());
    }

    #[tokio::test]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_came() {
        let tally = Tally::default();
        let (sender, mut woken) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..20 {
            let (mut follower, sender) = (tally.follow(), sender.clone());
            tokio::spawn(async move {
                follower.grown().await;
                sender.send(number).unwrap();
            });
        }
        drop(sender);
        tokio::task::yield_now().await;
        tally.add_one();
        let mut order = Vec::new();
        while let Some(number) = woken.recv().await {
            order.push(number);
        }
        assert_eq!(order, (0..20).collect::<Vec<_>>());
    }
}
