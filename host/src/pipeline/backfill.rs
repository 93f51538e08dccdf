//! Reads a span of the past beside the live reading, window by window, and remembers durably how far it came.
//!
//! It neither reads nor moves the cursor. What it brings goes the way of every page: the ledger knows a version by its
//! bytes, so what was read before is not processed again. Its own row moves after each window, when everything of the
//! window is durable; a stop, a fault or a crash costs at most the reading of one window, which is read again from its
//! start.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::connectors::Span;
use crate::fault::{Disposition, Fault};
use crate::telemetry::mask_text;

use super::backoff;
use super::driver::Handle;
use super::gate::Pause;
use super::poll::{Error, Manner, Reading};

/// One backfill of a scheme, as the ledger keeps it. A scheme has one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    pub from: Timestamp,
    pub to: Timestamp,
    /// What was modified from `from` up to here has been read and is durable.
    pub read_to: Timestamp,
    pub windows_done: u64,
    /// Documents that came with those windows, known ones included.
    pub documents: u64,
    pub begun_at: Timestamp,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Goes on by itself, after a restart too.
    Running,
    /// A person stopped it; it goes on where a person says so.
    Stopped,
    /// It met what does not pass by itself; a person mends that and resumes it.
    Failed(Fault),
    Cancelled,
    Done,
}

impl Backfill {
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Whether something of it is left to read, and nobody gave it up.
    pub fn is_unfinished(&self) -> bool {
        match self.state {
            State::Running | State::Stopped | State::Failed(_) => true,
            State::Cancelled | State::Done => false,
        }
    }
}

/// What a person wants of a scheme's backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Reads the span; goes on with an unfinished backfill that began at the same instant.
    Begin {
        from: Timestamp,
        to: Timestamp,
        /// Without it nothing from before the scheme's `start_at` is asked for.
        before_start_at: bool,
    },
    Resume,
    Stop,
    Cancel,
}

/// Why an order is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the span is empty: {from} is not before {to}")]
    Empty { from: Timestamp, to: Timestamp },
    #[error("the span begins at {from}, and vendors may show changes late, so nothing after {horizon} is read yet")]
    NotYet { from: Timestamp, horizon: Timestamp },
    #[error(
        "{from} is before the scheme's start_at, {start_at}: what is older was perhaps entered by hand, and would be \
         entered twice; say --before-start-at where you know that it was not"
    )]
    BeforeStart { from: Timestamp, start_at: Timestamp },
    #[error("a backfill from {from} to {to} is not finished, it has come to {read_to}: resume it, or cancel it first")]
    Unfinished { from: Timestamp, to: Timestamp, read_to: Timestamp },
    #[error("there is no unfinished backfill")]
    Nothing,
}

/// The bounds that an order is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub start_at: Timestamp,
    /// Up to where a window may reach now.
    pub horizon: Timestamp,
    pub now: Timestamp,
}

/// The row that an order makes of the one that stands.
pub fn decide(standing: Option<&Backfill>, order: &Order, bounds: Bounds) -> Result<Backfill, Refusal> {
    let unfinished = standing.filter(|backfill| backfill.is_unfinished());
    let with = |state| unfinished.map(|backfill| Backfill { state, ..backfill.clone() }).ok_or(Refusal::Nothing);
    match *order {
        Order::Begin { from, to, before_start_at } => begin(unfinished, (from, to), before_start_at, bounds),
        Order::Resume => with(State::Running),
        // One that failed has stopped by itself; its reason stays.
        Order::Stop => {
            unfinished.filter(|backfill| backfill.is_running()).ok_or(Refusal::Nothing).and(with(State::Stopped))
        }
        Order::Cancel => with(State::Cancelled),
    }
}

fn begin(
    unfinished: Option<&Backfill>,
    (from, to): (Timestamp, Timestamp),
    before_start_at: bool,
    bounds: Bounds,
) -> Result<Backfill, Refusal> {
    let Bounds { start_at, horizon, now } = bounds;
    // Vendors count in whole seconds: outwards, for what is read twice costs nothing.
    let floor = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
    let from = floor(from);
    let to = to.checked_add(SignedDuration::from_nanos(999_999_999)).map_or(to, floor);
    if from >= to {
        return Err(Refusal::Empty { from, to });
    }
    if from < start_at && !before_start_at {
        return Err(Refusal::BeforeStart { from, start_at });
    }
    let end = to.min(horizon);
    if from >= end {
        return Err(Refusal::NotYet { from, horizon });
    }
    match unfinished {
        None => Ok(Backfill {
            from,
            to: end,
            read_to: from,
            windows_done: 0,
            documents: 0,
            begun_at: now,
            state: State::Running,
        }),
        // Said again, perhaps some days later with an end that has moved on.
        Some(standing) if standing.from == from && standing.to <= end => {
            Ok(Backfill { to: end, state: State::Running, ..standing.clone() })
        }
        Some(&Backfill { from, to, read_to, .. }) => Err(Refusal::Unfinished { from, to, read_to }),
    }
}

/// A backfill as people watch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    #[serde(flatten)]
    pub backfill: Backfill,
    /// Windows from `read_to` to the end.
    pub windows_left: u64,
    /// Documents of the window that is being read.
    pub in_window: u64,
    /// What it waits for; masked.
    pub waiting: Option<String>,
}

/// How a run of a backfill ended. Its row says how far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// Told to stop; the row still says that it is running.
    Stopped,
    Paused(Pause),
    /// The row says so as well.
    Failed,
}

/// What surrounds a run.
pub struct Surroundings<'a> {
    pub driver: &'a Handle,
    pub progress: &'a watch::Sender<Option<Progress>>,
    /// Asked before each window: why nothing may be read now.
    pub hindrance: &'a (dyn Fn() -> Option<Fault> + Sync),
}

/// The longest wait after a fault that passes by itself.
const RETRY_CAP: Duration = Duration::from_secs(60);

impl Reading {
    pub fn progress(&self, backfill: &Backfill) -> Progress {
        Progress { backfill: backfill.clone(), windows_left: self.windows_left(backfill), in_window: 0, waiting: None }
    }

    fn windows_left(&self, backfill: &Backfill) -> u64 {
        let left = backfill.to.duration_since(backfill.read_to);
        if !left.is_positive() {
            return 0;
        }
        match self.source.window_limit() {
            Some(limit) if limit.is_positive() => {
                left.unsigned_abs().as_secs().max(1).div_ceil(limit.unsigned_abs().as_secs().max(1))
            }
            Some(_) | None => 1,
        }
    }

    /// Reads on to the end of the backfill, or until it is told to stop, meets a pause, or meets what does not pass by
    /// itself. What passes is waited for, however long it takes.
    pub async fn backfill(
        &self,
        backfill: &mut Backfill,
        around: &Surroundings<'_>,
        stop: &CancellationToken,
    ) -> Result<Ended, Error> {
        let mut failures: u32 = 0;
        while backfill.read_to < backfill.to {
            around.progress.send_replace(Some(self.progress(backfill)));
            let read = match (around.hindrance)() {
                Some(fault) => Err(Error::Fault(fault)),
                None => self.backfill_window(backfill, around, stop).await,
            };
            match read {
                Ok(()) => failures = 0,
                Err(Error::Fault(fault)) => {
                    failures = failures.saturating_add(1);
                    let name = &self.scheme;
                    tracing::warn!(scheme = %name, failures, "the backfill's reading failed: {}", mask_text(&fault.to_string()));
                    if let Some(ended) = self.backfill_failed(backfill, fault, failures, around, stop).await? {
                        return Ok(ended);
                    }
                }
                Err(Error::Stopped) if stop.is_cancelled() => return Ok(Ended::Stopped),
                Err(Error::Stopped) => {
                    let pause = self.gates.blocked_by(&self.tenant, &self.connection, &self.scheme);
                    return pause.map(Ended::Paused).ok_or(Error::Stopped);
                }
                Err(error @ Error::Ledger(_)) => return Err(error),
            }
        }
        backfill.state = State::Done;
        self.keep(backfill, around).await?;
        Ok(Ended::Done)
    }

    async fn backfill_window(
        &self,
        backfill: &mut Backfill,
        around: &Surroundings<'_>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let start = backfill.read_to;
        let end = self.window_end(start, backfill.to);
        let tell = |documents: usize| {
            around.progress.send_modify(|progress| {
                if let Some(progress) = progress {
                    progress.in_window += documents as u64;
                }
            });
        };
        let summary = self.read(&Span::Window { start, end }, around.driver, stop, Manner::Aside(&tell)).await?;
        backfill.read_to = end;
        backfill.windows_done += 1;
        backfill.documents += summary.documents;
        self.keep(backfill, around).await
    }

    /// `None` where it goes on. What concerns this span alone must not pause the live reading.
    async fn backfill_failed(
        &self,
        backfill: &mut Backfill,
        fault: Fault,
        failures: u32,
        around: &Surroundings<'_>,
        stop: &CancellationToken,
    ) -> Result<Option<Ended>, Error> {
        let after_ms = match fault.disposition {
            Disposition::Retry { after_ms } => after_ms,
            Disposition::PauseConnection => {
                self.pause_for(&fault).await?;
                let pause = self.gates.blocked_by(&self.tenant, &self.connection, &self.scheme);
                // Resumed already: then it is tried again.
                return Ok(pause.map(Ended::Paused));
            }
            Disposition::Park
            | Disposition::Verify
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => {
                backfill.state = State::Failed(Fault { message: mask_text(&fault.message), ..fault });
                self.keep(backfill, around).await?;
                return Ok(Some(Ended::Failed));
            }
        };
        let who = format!("{} {} backfill {}", self.tenant, self.scheme, (self.now)());
        let own = backoff::wait(Duration::from_secs(1), RETRY_CAP, failures, &who);
        let wait = own.max(Duration::from_millis(after_ms.unwrap_or(0)));
        around.progress.send_modify(|progress| {
            if let Some(progress) = progress {
                progress.waiting = Some(mask_text(&fault.to_string()));
            }
        });
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => Ok(None),
            () = stop.cancelled() => Ok(Some(Ended::Stopped)),
        }
    }

    async fn keep(&self, backfill: &Backfill, around: &Surroundings<'_>) -> Result<(), Error> {
        around.driver.backfill(backfill.clone()).await.map_err(|_| Error::Stopped)?;
        around.progress.send_replace(Some(self.progress(backfill)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
