//! When a vendor counts as down: a circuit breaker. It knows no clock and no dice; both are handed in.
//!
//! *Closed*, requests leave. A run of failures, or a large share of failures within a window, opens it. *Open*, nothing
//! leaves until a wait is over that is drawn anew each time, under a ceiling that doubles. Then it is *half open*: one
//! request leaves as a probe. An answer closes the breaker, a failure opens it again.
//!
//! Only what says that nobody is at home is a failure: no connection, no answer in time, a server error. A refusal, wrong
//! credentials and a plea to slow down are answers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::settings::SettingProblem;

/// The `breaker` table of a connection's `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Share of failures that opens it, of the answers and failures within `window_ms`; 100 leaves it to the run.
    pub failure_percent: u32,
    pub window_ms: u64,
    /// The first wait's ceiling, and the highest.
    pub wait_ms: u64,
    pub longest_wait_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // A scheme has four requests to its target under way: one hiccup of the network can take all four.
            failures: 5,
            // A vendor that fails every other request is more hindrance than help; a bad node behind a load balancer
            // of three or more stays below it.
            failure_percent: 50,
            window_ms: 60_000,
            wait_ms: 5_000,
            // A vendor that is back is noticed within five minutes, and one that is away all night is asked a hundred
            // times, not thousands.
            longest_wait_ms: 300_000,
        }
    }
}

/// Outcomes within the window below which no share is drawn: two failures of three say little.
const SHARE_OUTCOMES: usize = 10;
/// Outcomes remembered at most. At more than four a second they reach back less far than the window.
const WINDOW_OUTCOMES: usize = 256;

impl Settings {
    pub fn problems(&self, path: &str) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        let mut check = |good: bool, name: &str, message: &str, remedy: &str| {
            if !good {
                problems.push(SettingProblem::new(format!("{path}.{name}"), message, remedy));
            }
        };
        check((1..=1000).contains(&self.failures), "failures", "must lie between 1 and 1000", "leave it out for 5");
        let percent = 1..=100;
        check(
            percent.contains(&self.failure_percent),
            "failure_percent",
            "must lie between 1 and 100",
            "leave it out for 50",
        );
        check(
            (1_000..=3_600_000).contains(&self.window_ms),
            "window_ms",
            "must lie between one second and one hour",
            "leave it out for 60000",
        );
        check(
            (100..=self.longest_wait_ms.max(100)).contains(&self.wait_ms),
            "wait_ms",
            "must lie between 100 and longest_wait_ms",
            "leave it out for 5000",
        );
        check(
            (100..=3_600_000).contains(&self.longest_wait_ms),
            "longest_wait_ms",
            "must lie between 100 and one hour",
            "leave it out for 300000",
        );
        problems
    }
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Closed,
    /// Nothing leaves before `until`.
    Open {
        until: Instant,
    },
    /// One request may leave, or is under way.
    HalfOpen,
}

/// What became of a request that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Answered,
    Failed,
    /// Nobody waited for it to its end, or it never left after all.
    Unheard,
}

/// The right to send one request; says to which time it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    epoch: u64,
}

#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    state: State,
    /// Counts the changes of `state`, so that what left before the last one is not mistaken for what left after it.
    epoch: u64,
    /// Failures since the last answer.
    run: u32,
    /// Answers since the last failure, as far as they count.
    answers: u32,
    outcomes: VecDeque<(Instant, bool)>,
    /// Times it opened without a good while in between: the exponent of the next wait's ceiling.
    trips: u32,
    opened: u64,
    /// Since when it has not been closed.
    down_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

impl Breaker {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Closed,
            epoch: 0,
            run: 0,
            answers: 0,
            outcomes: VecDeque::new(),
            trips: 0,
            opened: 0,
            down_since: None,
        }
    }

    pub fn position(&self, now: Instant) -> Position {
        match self.state {
            State::Closed => Position::Closed,
            State::Open { until } if now < until => Position::Open { until },
            State::Open { .. } | State::Probing => Position::HalfOpen,
        }
    }

    /// Since when it has not been closed.
    pub fn down_since(&self) -> Option<Instant> {
        self.down_since
    }

    /// Times it was opened by failures of a closed connection.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Whether [`Breaker::admit`] would let a request leave.
    pub fn admits(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until,
            State::Probing => false,
        }
    }

    /// Lets a request leave, where one may.
    pub fn admit(&mut self, now: Instant) -> Option<Admission> {
        if !self.admits(now) {
            return None;
        }
        if self.state != State::Closed {
            self.turn(State::Probing);
        }
        Some(Admission { epoch: self.epoch })
    }

    /// Whether a request that was admitted may still leave.
    pub fn still_admits(&self, admission: Admission) -> bool {
        admission.epoch == self.epoch
    }

    /// Takes note of what became of a request. `dice` is any number; it draws the wait. Whether the position changed.
    pub fn report(&mut self, admission: Admission, verdict: Verdict, now: Instant, dice: u64) -> bool {
        if admission.epoch != self.epoch {
            return false;
        }
        match (self.state, verdict) {
            (State::Closed, Verdict::Answered) => {
                self.note(now, true);
                (self.run, self.answers) = (0, self.answers.saturating_add(1));
                // As many answers in a row as failures would open it: this outage is over, and the next is another.
                if self.answers >= self.settings.failures {
                    self.trips = 0;
                }
                false
            }
            (State::Closed, Verdict::Failed) => {
                self.note(now, false);
                (self.run, self.answers) = (self.run.saturating_add(1), 0);
                if self.run < self.settings.failures && !self.fails_too_often() {
                    return false;
                }
                self.opened += 1;
                self.down_since = Some(now);
                self.open(now, dice);
                true
            }
            (State::Probing, Verdict::Answered) => {
                self.close();
                true
            }
            (State::Probing, Verdict::Failed) => {
                self.open(now, dice);
                true
            }
            // The wait is over already, so the next request is the probe.
            (State::Probing, Verdict::Unheard) => {
                self.turn(State::Open { until: now });
                true
            }
            (State::Closed, Verdict::Unheard) | (State::Open { .. }, _) => false,
        }
    }

    /// A person says that the vendor is back. Whether that changed anything.
    pub fn reset(&mut self) -> bool {
        self.trips = 0;
        let was_closed = self.state == State::Closed;
        self.close();
        !was_closed
    }

    fn close(&mut self) {
        self.turn(State::Closed);
        (self.run, self.answers, self.down_since) = (0, 0, None);
        self.outcomes.clear();
    }

    fn open(&mut self, now: Instant, dice: u64) {
        let Settings { wait_ms, longest_wait_ms, .. } = self.settings;
        let ceiling = wait_ms.saturating_mul(1 << self.trips.min(20)).min(longest_wait_ms);
        self.trips = self.trips.saturating_add(1);
        // Full jitter: engines that saw one vendor fall do not come back to it in step.
        let wait = Duration::from_millis(dice % (ceiling + 1));
        self.turn(State::Open { until: now + wait });
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }

    fn note(&mut self, now: Instant, answered: bool) {
        let window = Duration::from_millis(self.settings.window_ms);
        while self.outcomes.len() >= WINDOW_OUTCOMES
            || self.outcomes.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > window)
        {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((now, answered));
    }

    fn fails_too_often(&self) -> bool {
        let all = self.outcomes.len();
        let failed = self.outcomes.iter().filter(|(_, answered)| !answered).count();
        all >= SHARE_OUTCOMES && failed * 100 > all * self.settings.failure_percent as usize
    }
}

#[cfg(test)]
mod tests;
