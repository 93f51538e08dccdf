//! The cell rate rule (GCRA): the time at which the next request would be exactly on pace, and how far ahead of it one
//! may go.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    ahead: Duration,
    on_pace: Option<Instant>,
}

impl Pace {
    pub fn new(requests_per_second: f64, burst: u32) -> Self {
        let interval = Duration::from_secs_f64(1.0 / requests_per_second);
        Self { interval, ahead: interval.saturating_mul(burst.saturating_sub(1)), on_pace: None }
    }

    /// When the next request may leave; `now`, or later.
    pub fn next(&self, now: Instant) -> Instant {
        self.on_pace.and_then(|at| at.checked_sub(self.ahead)).map_or(now, |at| at.max(now))
    }

    /// A request leaves.
    pub fn take(&mut self, now: Instant) {
        self.on_pace = Some(self.on_pace.map_or(now, |at| at.max(now)) + self.interval);
    }

    /// One did not leave after all.
    pub fn give_back(&mut self) {
        self.on_pace = self.on_pace.and_then(|at| at.checked_sub(self.interval));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Requests that leave as soon as they may, from `now` on.
    fn leave(pace: &mut Pace, now: Instant, count: usize) -> Vec<Duration> {
        let mut at = now;
        let leaves = |_| {
            at = pace.next(at);
            pace.take(at);
            at - now
        };
        (0..count).map(leaves).collect()
    }

    #[test]
    fn lets_a_burst_through_and_then_keeps_the_pace() {
        let now = Instant::now();
        let mut pace = Pace::new(2.0, 3);
        let millis: Vec<_> = leave(&mut pace, now, 5).iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 0, 0, 500, 1000]);
        let later = now + Duration::from_secs(10);
        assert_eq!(pace.next(later), later, "a quiet time earns the burst back");
        assert_eq!(leave(&mut pace, later, 4)[3], Duration::from_millis(500), "and no more than that");
    }

    #[test]
    fn what_did_not_leave_takes_no_place() {
        let now = Instant::now();
        let mut pace = Pace::new(1.0, 1);
        pace.take(now);
        assert_eq!(pace.next(now), now + Duration::from_secs(1));
        pace.give_back();
        assert_eq!(pace.next(now), now);
    }

    proptest! {
        #[test]
        fn in_no_stretch_of_time_do_more_leave_than_the_burst_and_the_pace(
            gaps in proptest::collection::vec(0..3_000_u64, 1..60),
            burst in 1..8_u32,
        ) {
            let (begin, rate) = (Instant::now(), 4.0);
            let mut pace = Pace::new(rate, burst);
            let mut now = begin;
            let mut left = Vec::new();
            for gap in gaps {
                now = pace.next(now + Duration::from_millis(gap % 400));
                pace.take(now);
                left.push(now);
            }
            for (first, from) in left.iter().enumerate() {
                for (count, to) in left[first..].iter().enumerate() {
                    let allowed = (*to - *from).as_millis() as usize * 4 / 1_000 + burst as usize;
                    prop_assert!(count < allowed, "{} requests within {:?}", count + 1, *to - *from);
                }
            }
        }
    }
}
