//! Reads a scheme's source when it is time: on its schedule, once its conditions hold, unless it is paused or held back. One run at a time: a run that takes longer than its interval delays the next.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::fault::{Code, Disposition};
use crate::model::{Digest, SchemeId};
use crate::pipeline::backoff;
use crate::pipeline::driver;
use crate::pipeline::ledger::{self, Ledger};
use crate::pipeline::poll;
use crate::telemetry::mask_text;

use super::watcher::SchemeWatcher;

/// After a fault that passes, the next read comes no later than this even where the schedule is slower.
const RETRY_CAP: Duration = Duration::from_secs(60);
/// How often is looked whether another scheme has had its run.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Reader {
    pub settings: config::Scheme,
    pub reading: poll::Reading,
    pub handle: driver::Handle,
    pub watcher: Arc<SchemeWatcher>,
    /// Whom this scheme's runs wait for, as it is now: it may be started anew meanwhile, or gone.
    pub after: Option<After>,
}

/// Finds the scheme whose run must come first.
pub(super) type After = Box<dyn Fn() -> Option<Predecessor> + Send + Sync>;

/// Another scheme whose run must come first.
#[derive(Clone)]
pub(super) struct Predecessor {
    pub name: SchemeId,
    pub lag: SignedDuration,
    pub ledger: Ledger,
    pub watcher: Arc<SchemeWatcher>,
}

impl Predecessor {
    /// Whether it completed a run that began after `instant`, and worked off what it read. Its cursor says so across a
    /// restart: a completed run leaves it at the run's beginning less the lag.
    fn passed_since(&self, instant: Option<Timestamp>) -> Result<bool, ledger::Error> {
        let began = began(&self.ledger, self.lag)?;
        let since = began.is_some_and(|began| instant.is_none_or(|instant| began > instant));
        Ok(since && self.watcher.seen().backlog == 0)
    }
}

/// When the last completed run began, as the cursor tells it.
fn began(ledger: &Ledger, lag: SignedDuration) -> Result<Option<Timestamp>, ledger::Error> {
    Ok(ledger.cursor()?.read_to.map(|read_to| read_to.saturating_add(lag).unwrap_or(read_to)))
}

/// Why waiting ended without a run.
enum Ended {
    Stopped,
    Ledger(ledger::Error),
}

impl From<ledger::Error> for Ended {
    fn from(error: ledger::Error) -> Self {
        Ended::Ledger(error)
    }
}

impl Reader {
    /// Until `stop` is cancelled, or the ledger fails.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), String> {
        match self.read(&stop).await {
            Ok(()) | Err(Ended::Stopped) => Ok(()),
            Err(Ended::Ledger(error)) => Err(format!("reading stopped: {error}")),
        }
    }

    async fn read(&self, stop: &CancellationToken) -> Result<(), Ended> {
        let schedule = &self.settings.schedule;
        let mut passed = began(&self.reading.ledger, self.reading.lag)?;
        // A time of day that came while the engine was down is made up for. An interval begins with the engine.
        let mut last = passed.filter(|_| schedule.interval().is_none());
        let mut failures: u32 = 0;
        loop {
            let now = (self.reading.now)();
            let due = schedule.next_after(now, last);
            let late = if failures == 0 { self.lateness(due) } else { SignedDuration::ZERO };
            let mut begins = due.saturating_add(late).unwrap_or(due);
            if failures > 0 {
                let who = format!("{} {} {now}", self.settings.tenant, self.settings.name);
                let wait = backoff::wait(Duration::from_secs(1), RETRY_CAP, failures, &who);
                let retry = now.saturating_add(SignedDuration::try_from(wait).unwrap_or_default()).unwrap_or(now);
                begins = begins.min(retry).max(now);
            }
            self.watcher.next_run(begins);
            self.sleep_until(begins, stop).await?;
            self.conditions(passed, stop).await?;
            self.open_gate(stop).await?;
            // The lateness is not part of the interval, else runs would drift.
            let began = (self.reading.now)();
            let last_before = last.replace(began.saturating_sub(late).unwrap_or(began));
            self.watcher.running();
            match self.reading.pass(&self.handle, stop).await {
                Ok(()) => {
                    failures = 0;
                    passed = Some(began);
                    self.watcher.due(self.opens(schedule.next_after(began, last)));
                }
                Err(poll::Error::Stopped) if stop.is_cancelled() => return Ok(()),
                Err(poll::Error::Stopped) => failures = 0,
                // Somebody else has the probe, and the run is still due.
                Err(poll::Error::Fault(fault)) if fault.code == Code::CircuitOpen => last = last_before,
                Err(poll::Error::Fault(fault)) => {
                    failures = failures.saturating_add(1);
                    let said = mask_text(&fault.to_string());
                    tracing::warn!(scheme = %self.settings.name, failures, "reading failed: {said}");
                    if let Disposition::Retry { after_ms: Some(wait) } = fault.disposition {
                        wait_or_stop(Duration::from_millis(wait), stop).await?;
                    }
                }
                Err(poll::Error::Ledger(error)) => return Err(error.into()),
            }
        }
    }

    /// How much after `due` this run begins: other for each scheme and run, the same when asked again.
    fn lateness(&self, due: Timestamp) -> SignedDuration {
        let millis = u64::try_from(self.settings.jitter.as_millis()).unwrap_or(0);
        let digest = Digest::of(format!("{} {} {due}", self.settings.tenant, self.settings.name));
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        let dice = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        SignedDuration::from_millis(i64::try_from(dice % (millis + 1)).unwrap_or(0))
    }

    fn opens(&self, instant: Timestamp) -> Timestamp {
        self.settings.when.between.as_ref().map_or(instant, |between| between.opens(instant))
    }

    /// Waits until the run may begin. Each condition is looked at again after the wait for the other.
    async fn conditions(&self, passed: Option<Timestamp>, stop: &CancellationToken) -> Result<(), Ended> {
        loop {
            let now = (self.reading.now)();
            let opens = self.opens(now);
            if opens > now {
                self.watcher.next_run(opens);
                self.sleep_until(opens, stop).await?;
                continue;
            }
            let Some(after) = self.after.as_ref().and_then(|look| look()) else { return Ok(()) };
            if after.passed_since(passed)? {
                return Ok(());
            }
            self.watcher.waits_for(&after.name);
            wait_or_stop(LOOK_INTERVAL, stop).await?;
        }
    }

    /// Looks at the clock again and again: it may be set while this waits, and a laptop may sleep.
    async fn sleep_until(&self, instant: Timestamp, stop: &CancellationToken) -> Result<(), Ended> {
        /// How long a clock that was set can go unnoticed.
        const LONGEST: Duration = Duration::from_secs(60);
        loop {
            let left = Duration::try_from(instant.duration_since((self.reading.now)())).unwrap_or_default();
            if left.is_zero() {
                return Ok(());
            }
            wait_or_stop(left.min(LONGEST), stop).await?;
        }
    }

    /// Waits while the source is paused or counts as down, the disk is nearly full, or too much is unfinished.
    async fn open_gate(&self, stop: &CancellationToken) -> Result<(), Ended> {
        let poll::Reading { gates, tenant, connection, scheme, .. } = &self.reading;
        loop {
            let change = gates.change();
            tokio::pin!(change);
            change.as_mut().enable();
            if gates.blocked_by(tenant, connection, scheme).is_none() {
                let Some(hold) = self.reading.hold(&self.handle) else {
                    self.reading.watcher.held(None);
                    return Ok(());
                };
                self.reading.watcher.held(Some(&hold));
                wait_or_stop(poll::HOLD_LOOK, stop).await?;
                continue;
            }
            tokio::select! {
                biased;
                () = change => {}
                () = stop.cancelled() => return Err(Ended::Stopped),
            }
        }
    }
}

async fn wait_or_stop(wait: Duration, stop: &CancellationToken) -> Result<(), Ended> {
    tokio::select! {
        biased;
        () = tokio::time::sleep(wait) => Ok(()),
        () = stop.cancelled() => Err(Ended::Stopped),
    }
}

#[cfg(test)]
mod tests;
