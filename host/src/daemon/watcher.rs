//! Turns what the pipeline tells into metrics, alerts and log lines.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use crate::fault::{Code, Fault};
use crate::model::{ConnectionName, SchemeId, TenantId};
use crate::pipeline::gate::{Gates, Scope};
use crate::pipeline::quota::Exceeded;
use crate::pipeline::subject::End;
use crate::pipeline::watch::{Hold, Stage, Watcher};
use crate::telemetry::{self, Alert, AlertKind, Alerts, Metrics, SchemeRef, mask_text};

pub struct SchemeWatcher {
    pub tenant: TenantId,
    pub scheme: SchemeRef,
    pub source_connection: ConnectionName,
    pub target_connection: ConnectionName,
    pub metrics: Metrics,
    pub alerts: Option<Alerts>,
    pub seen: Mutex<Seen>,
}

/// What the health page and the progress bar show.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub read_to: Option<Timestamp>,
    pub polled_at: Option<Timestamp>,
    /// When the next run begins, while it is waited for.
    pub next_run: Option<Timestamp>,
    /// The scheme whose run must come before the next one of this.
    pub waits_for: Option<SchemeId>,
    /// When the run after the last completed one is due by its schedule.
    pub due: Option<Timestamp>,
    /// Masked: the health page shows it to whoever asks.
    pub last_fault: Option<String>,
    /// Why the scheme does nothing any more until a restart.
    pub stopped: Option<String>,
    pub received: u64,
    pub finished: u64,
    pub parked: u64,
    pub backlog: u64,
    /// Documents that wait for a reference table.
    pub waiting: u64,
    /// Documents wait because their tenant has used its share.
    pub throttled: Option<Exceeded>,
    /// Why nothing is read although it is time to: the reason, and the same in words.
    pub held: Option<(&'static str, String)>,
}

/// Parked documents beyond which the webhook is told; told again only after the count fell below it.
const PARKED_ALERT: u64 = 10;

impl SchemeWatcher {
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// The scheme's driver or its reader ended before it was told to: said in the log, on the health page and by alert,
    /// and not taken back before a restart.
    pub fn stopped(&self, why: &str) {
        let why = mask_text(why);
        tracing::error!(scheme = %self.scheme, "the scheme stopped: {why}");
        // The first reason: what follows it is mostly its echo.
        self.lock().stopped.get_or_insert_with(|| why.clone());
        self.paused(&Scope::Scheme(self.tenant.clone(), self.scheme.scheme.clone()), &why);
    }

    /// The next run begins then.
    pub fn next_run(&self, at: Timestamp) {
        let mut seen = self.lock();
        (seen.next_run, seen.waits_for) = (Some(at), None);
        // Before the first run, the schedule's first time is what there is to be late for.
        seen.due.get_or_insert(at);
    }

    /// The next run is due, and another scheme's must come first.
    pub fn waits_for(&self, scheme: &SchemeId) {
        let mut seen = self.lock();
        if seen.waits_for.as_ref() != Some(scheme) {
            tracing::info!(scheme = %self.scheme.scheme, "the next run waits for that of {scheme}");
            (seen.next_run, seen.waits_for) = (None, Some(scheme.clone()));
        }
    }

    /// A run has begun.
    pub fn running(&self) {
        let mut seen = self.lock();
        (seen.next_run, seen.waits_for) = (None, None);
    }

    /// A run was completed, and the next one is due then.
    pub fn due(&self, at: Timestamp) {
        self.lock().due = Some(at);
    }

    /// Brings the pauses' numbers and alert up to date; they also end, or were there before a restart.
    pub fn look_at(&self, gates: &Gates) {
        let blocked = |connection| gates.blocked_by(&self.tenant, connection, &self.scheme.scheme).is_some();
        let paused = blocked(&self.source_connection) || blocked(&self.target_connection);
        let held = paused || self.lock().stopped.is_some();
        self.metrics.set_scheme_paused(&self.scheme, held);
        for connection in [&self.source_connection, &self.target_connection] {
            let paused = gates.is_paused(&Scope::Connection(self.tenant.clone(), connection.clone()));
            self.metrics.set_connection_paused(&self.tenant, connection, paused);
        }
        if let Some(alerts) = self.alerts.as_ref().filter(|_| !held) {
            alerts.clear(AlertKind::SchemePaused, &self.scheme);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Watcher for SchemeWatcher {
    fn received(&self, documents: usize, _new: usize) {
        self.lock().received += documents as u64;
    }

    fn finished(&self, end: &End) {
        self.lock().finished += 1;
        let outcome = match end {
            End::Written => telemetry::Outcome::Written,
            End::Unchanged | End::Ignored => telemetry::Outcome::Unchanged,
            End::Skipped(_) => telemetry::Outcome::Skipped,
            End::Superseded { .. } | End::Discarded { .. } => telemetry::Outcome::Discarded,
        };
        self.metrics.document_done(&self.scheme, outcome);
    }

    fn parked(&self, code: Code) {
        let outcome = if code == Code::Rejected { telemetry::Outcome::Rejected } else { telemetry::Outcome::Parked };
        self.metrics.document_done(&self.scheme, outcome);
    }

    fn parked_total(&self, count: u64) {
        self.lock().parked = count;
        self.metrics.set_parked(&self.scheme, count);
        let Some(alerts) = &self.alerts else { return };
        if count >= PARKED_ALERT {
            alerts.raise(Alert::ParkedGrowing { scheme: self.scheme.clone(), count });
        } else {
            alerts.clear(AlertKind::ParkedGrowing, &self.scheme);
        }
    }

    fn backlog(&self, count: u64) {
        self.lock().backlog = count;
        self.metrics.set_backlog(&self.scheme, count);
    }

    fn waiting(&self, count: u64) {
        self.lock().waiting = count;
        self.metrics.set_waiting(&self.scheme, count);
    }

    fn fuel(&self, fuel: u64) {
        self.metrics.fuel(&self.scheme, fuel);
    }

    fn stage(&self, stage: Stage, took: Duration) {
        let stage = match stage {
            Stage::Poll => telemetry::Stage::Poll,
            Stage::Commit => telemetry::Stage::Commit,
            Stage::Transform => telemetry::Stage::Transform,
            Stage::Write => telemetry::Stage::Write,
            Stage::Verify => telemetry::Stage::Verify,
        };
        self.metrics.stage(&self.scheme, stage, took);
    }

    fn faulted(&self, fault: &Fault) {
        self.lock().last_fault = Some(mask_text(&fault.to_string()));
        if let Some(internal) = &fault.internal {
            tracing::debug!(scheme = %self.scheme.scheme, code = %fault.code, internal = mask_text(internal), "fault");
        }
    }

    fn held(&self, hold: Option<&Hold>) {
        let held = hold.map(|hold| (hold.reason(), mask_text(&hold.to_string())));
        let mut seen = self.lock();
        let (before, now) = (seen.held.as_ref().map(|(reason, _)| *reason), held.as_ref().map(|(reason, _)| *reason));
        if before != now {
            match &held {
                Some((reason, words)) => {
                    tracing::warn!(scheme = %self.scheme.scheme, reason, "reading is held back: {words}");
                }
                None => tracing::info!(scheme = %self.scheme.scheme, "reading goes on"),
            }
            self.metrics.set_reading_held(&self.scheme, now);
        }
        seen.held = held;
    }

    fn paused(&self, scope: &Scope, reason: &str) {
        if let Scope::Connection(tenant, connection) = scope {
            self.metrics.set_connection_paused(tenant, connection, true);
        }
        self.metrics.set_scheme_paused(&self.scheme, true);
        if let Some(alerts) = &self.alerts {
            let reason = format!("{scope}: {reason}");
            alerts.raise(Alert::SchemePaused { scheme: self.scheme.clone(), reason });
        }
    }

    fn throttled(&self, exceeded: Option<&Exceeded>) {
        let mut seen = self.lock();
        let quota = |exceeded: Option<&Exceeded>| exceeded.map(|exceeded| exceeded.quota.clone());
        let (before, now) = (quota(seen.throttled.as_ref()), quota(exceeded));
        if before != now {
            match exceeded {
                Some(exceeded) => {
                    tracing::warn!(scheme = %self.scheme, quota = exceeded.quota, limit = exceeded.limit, "documents wait: the tenant has used its share");
                }
                None => tracing::info!(scheme = %self.scheme, "documents wait no longer for the tenant's share"),
            }
        }
        seen.throttled = exceeded.cloned();
    }

    fn read_to(&self, instant: Timestamp) {
        self.lock().read_to = Some(instant);
    }

    fn polled(&self, result: Result<(), &Fault>) {
        let outcome = result.map_err(|fault| fault.code);
        self.metrics.request(&self.tenant, &self.source_connection, outcome);
        let mut seen = self.lock();
        match result {
            Ok(()) => {
                seen.polled_at = Some(Timestamp::now());
                seen.last_fault = None;
            }
            Err(fault) => seen.last_fault = Some(mask_text(&fault.to_string())),
        }
    }
}
