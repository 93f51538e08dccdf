//! How hard one connection may press its vendor.

use std::time::Duration;

use serde::Deserialize;

use super::breaker;
use super::settings::SettingProblem;

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
    /// When the vendor counts as down.
    pub breaker: breaker::Settings,
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
            breaker: breaker::Settings::default(),
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
        problems.extend(self.breaker.problems(&format!("{path}.breaker")));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
