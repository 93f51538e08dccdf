//! How hard one connection may press its vendor.

use std::sync::Mutex;
use std::time::Duration;

use super::Error;
use super::settings::SettingProblem;
use super::turns::{Turn, Turns};
use serde::Deserialize;
use tokio::time::Instant;

/// The `limits` table of a connection. One connection's sources and targets share them, for the vendor counts by key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a second in the long run.
    pub requests_per_second: f64,
    /// Requests that may leave at once after a quiet time.
    pub burst: u32,
    /// Requests under way at the same time.
    pub max_in_flight: u32,
    /// How long a request may wait for its turn before it is given back as throttled, unsent.
    pub queue_timeout_ms: u64,
    /// How long one exchange may take, from connecting to the last byte.
    pub timeout_ms: u64,
    /// Bytes of one answer, after decompression.
    pub response_limit_bytes: u64,
    /// Seconds that the two clocks may differ before a refused signature is blamed on them.
    pub clock_tolerance_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Jushuitan's own interface allows five a second; no vendor here states a lower figure.
            requests_per_second: 4.0,
            burst: 4,
            max_in_flight: 4,
            queue_timeout_ms: 10_000,
            // A batch save of twenty bills with audit takes some ten seconds on a busy site.
            timeout_ms: 60_000,
            // Fifty sale-outs of a hundred lines each are about 4 MiB.
            response_limit_bytes: 16 << 20,
            // Taobao allows ten minutes and K3Cloud is not documented; half of that is surely a wrong clock.
            clock_tolerance_seconds: 300,
        }
    }
}

impl Limits {
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
    pub fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.queue_timeout_ms)
    }
    /// The longest that one send can take: its turn, then the exchange.
    pub fn longest_send(&self) -> Duration {
        self.queue_timeout() + self.timeout()
    }

    pub fn problems(&self, path: &str) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        let mut check = |good: bool, name: &str, message: &str, remedy: &str| {
            if !good {
                problems.push(SettingProblem::new(format!("{path}.{name}"), message, remedy));
            }
        };
        let rate = self.requests_per_second;
        check(
            rate.is_finite() && (0.001..=1000.0).contains(&rate),
            "requests_per_second",
            "must lie between 0.001 and 1000",
            "take the vendor's figure, or leave it out for 4",
        );
        check(self.burst >= 1, "burst", "must be at least 1", "leave it out for 4");
        check(
            (1..=1000).contains(&self.max_in_flight),
            "max_in_flight",
            "must lie between 1 and 1000",
            "leave it out for 4",
        );
        check(
            (1_000..=600_000).contains(&self.timeout_ms),
            "timeout_ms",
            "must lie between one second and ten minutes",
            "leave it out for 60000",
        );
        check(
            self.queue_timeout_ms <= 600_000,
            "queue_timeout_ms",
            "must be at most ten minutes",
            "leave it out for 10000",
        );
        check(
            (1 << 10..=1 << 30).contains(&self.response_limit_bytes),
            "response_limit_bytes",
            "must lie between 1 KiB and 1 GiB",
            "leave it out for 16 MiB",
        );
        problems
    }
}

/// Lets requests through no faster than the limits say.
#[derive(Debug)]
pub struct Gate {
    pace: Mutex<Pace>,
    in_flight: Turns,
    queue_timeout: Duration,
}

impl Gate {
    pub fn new(limits: &Limits) -> Self {
        Self {
            pace: Mutex::new(Pace::new(limits.requests_per_second, limits.burst)),
            in_flight: Turns::new(limits.max_in_flight, limits.queue_timeout()),
            queue_timeout: limits.queue_timeout(),
        }
    }

    /// Waits for a turn, at most the queue timeout; it is held while the request is under way. `priority`: see [`Turns`].
    pub async fn enter(&self, priority: u8) -> Result<Turn, Error> {
        let deadline = Instant::now() + self.queue_timeout;
        let throttled = |wait, detail: &str| Error::Throttled { wait, detail: detail.into() };
        let turn = tokio::time::timeout_at(deadline, self.in_flight.take(priority))
            .await
            .map_err(|_| throttled(None, "this connection's max_in_flight is in use"))?;
        let leaves = {
            let mut pace = self.pace.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            pace.reserve(Instant::now(), deadline)
        };
        match leaves {
            Ok(at) => {
                tokio::time::sleep_until(at).await;
                Ok(turn)
            }
            Err(wait) => Err(throttled(Some(wait), "this connection's requests_per_second is used up")),
        }
    }
}

/// The cell rate rule (GCRA): the time at which the next request would be exactly on pace, and how far ahead of it
/// one may go.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    ahead: Duration,
    on_pace: Option<Instant>,
}

impl Pace {
    fn new(requests_per_second: f64, burst: u32) -> Self {
        let interval = Duration::from_secs_f64(1.0 / requests_per_second);
        Self { interval, ahead: interval.saturating_mul(burst.saturating_sub(1)), on_pace: None }
    }

    /// When the request may leave, or, where that is after `deadline`, how long to wait before asking again.
    fn reserve(&mut self, now: Instant, deadline: Instant) -> Result<Instant, Duration> {
        let on_pace = self.on_pace.map_or(now, |at| at.max(now));
        let turn = on_pace.checked_sub(self.ahead).map_or(now, |at| at.max(now));
        if turn > deadline && turn > now {
            return Err(turn - now);
        }
        self.on_pace = Some(on_pace + self.interval);
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_burst_through_and_then_keeps_the_pace() {
        let now = Instant::now();
        let far = now + Duration::from_secs(60);
        let mut pace = Pace::new(2.0, 3);
        let waits: Vec<_> = (0..5).map(|_| (pace.reserve(now, far).unwrap() - now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 500, 1000]);
        let later = now + Duration::from_secs(10);
        assert_eq!(pace.reserve(later, far), Ok(later), "a quiet time earns the burst back");
    }

    #[test]
    fn a_turn_after_the_deadline_is_given_back_and_takes_no_place() {
        let now = Instant::now();
        let mut pace = Pace::new(1.0, 1);
        assert_eq!(pace.reserve(now, now), Ok(now));
        assert_eq!(pace.reserve(now, now), Err(Duration::from_secs(1)));
        assert_eq!(pace.reserve(now, now), Err(Duration::from_secs(1)));
        let next = now + Duration::from_secs(1);
        assert_eq!(pace.reserve(next, next), Ok(next));
    }

    #[tokio::test]
    async fn a_request_over_the_limits_is_given_back_unsent() {
        let limits = Limits { max_in_flight: 1, queue_timeout_ms: 0, ..Limits::default() };
        let gate = Gate::new(&limits);
        let held = gate.enter(5).await.unwrap();
        let error = gate.enter(5).await.unwrap_err();
        assert!(matches!(error, Error::Throttled { .. }) && !error.may_have_written(), "{error}");
        drop(held);
        drop(gate.enter(5).await.unwrap());
    }

    #[test]
    fn names_every_unusable_limit() {
        let limits = Limits {
            requests_per_second: 0.0,
            burst: 0,
            max_in_flight: 0,
            timeout_ms: 0,
            response_limit_bytes: 0,
            ..Limits::default()
        };
        let paths: Vec<_> = limits.problems("connection.limits").into_iter().map(|p| p.path).collect();
        assert_eq!(paths.len(), 5, "{paths:?}");
        assert!(Limits::default().problems("x").is_empty());
    }
}
