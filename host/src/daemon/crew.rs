//! One scheme at work: its reader, the clerk of its backfills, its driver, and whoever watches the clock for it.
//!
//! A crew is told to stop in order: first nothing more is read, then the driver puts away what is under way, and only
//! then the scheme counts as stopped. What does not end in time is abandoned, which is safe: requests that left are
//! intents in the ledger, and whoever starts the scheme next asks what became of them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pipeline::driver;
use crate::pipeline::gate::Gates;
use crate::pipeline::ledger::Ledger;
use crate::pipeline::retention::Member;
use crate::state::Batch;
use crate::telemetry::{Alert, AlertKind, Alerts, SchemeRef};

use super::backfill::Backfills;
use super::office::{Desk, Office, Seat};
use super::reader::{After, Predecessor, Reader};
use super::reconcile::Auditors;
use super::register::Register;
use super::scheme::Scheme;
use super::watcher::SchemeWatcher;

/// How often stale cursors and pauses are looked for.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// Where everybody finds the schemes.
#[derive(Clone)]
pub(super) struct Registers {
    pub office: Arc<Office>,
    pub watchers: Register<Arc<SchemeWatcher>>,
    pub backfills: Arc<Backfills>,
    pub auditors: Auditors,
    pub members: Register<Member>,
    pub predecessors: Register<Predecessor>,
    pub gates: Gates,
    pub alerts: Option<Alerts>,
    pub stale_after: Duration,
}

impl Registers {
    /// The scheme is there, at work or about to be: its documents are answered for, and others wait for its runs.
    pub fn announce(&self, scheme: &Scheme, seat: &Seat) {
        let name = &scheme.watcher.scheme;
        self.office.desks.put(name, Arc::new(Desk::of(scheme, seat.clone())));
        self.watchers.put(name, scheme.watcher.clone());
        self.auditors.put(scheme);
        let predecessor = Predecessor {
            name: scheme.config.name.clone(),
            lag: scheme.reading.lag,
            ledger: scheme.reading.ledger.clone(),
            watcher: scheme.watcher.clone(),
        };
        self.predecessors.put(name, predecessor);
    }

    /// The scheme does nothing any more, and nobody is to wait for it. Its documents are still answered for.
    pub fn withdraw(&self, name: &SchemeRef) {
        self.watchers.remove(name);
        self.auditors.remove(name);
        self.predecessors.remove(name);
        self.members.remove(name);
        self.backfills.close(name);
        if let Some(alerts) = &self.alerts {
            for kind in [AlertKind::SchemePaused, AlertKind::ParkedGrowing, AlertKind::CursorStale] {
                alerts.clear(kind, name);
            }
        }
    }
}

/// The tasks of a scheme, and how they are told to end.
pub(super) struct Team<T> {
    ledger: Ledger,
    /// Ends reading.
    pub reading: CancellationToken,
    /// Ends everything.
    pub driving: CancellationToken,
    pub readers: JoinSet<T>,
    pub drivers: JoinSet<T>,
}

impl<T: Send + 'static> Team<T> {
    pub fn new(ledger: Ledger, stop: &CancellationToken) -> Self {
        let driving = stop.child_token();
        // Without its driver nothing can take what a reader reads: it ends as well, and leaves the vendor alone.
        Self { ledger, reading: driving.child_token(), driving, readers: JoinSet::new(), drivers: JoinSet::new() }
    }

    /// Ends all tasks within `grace`. After it none of them holds a permit, or a turn on a road, and nothing that one of
    /// them began reaches the ledger. Says whether everything under way came to its end.
    pub async fn stop(mut self, grace: Duration) -> bool {
        self.reading.cancel();
        let end = async {
            while self.readers.join_next().await.is_some() {}
            self.driving.cancel();
            while self.drivers.join_next().await.is_some() {}
        };
        let drained = tokio::time::timeout(grace, end).await.is_ok();
        self.driving.cancel();
        self.readers.shutdown().await;
        self.drivers.shutdown().await;
        // A commit that was given up is carried out all the same, and what comes behind it in its tenant's line sees it.
        // A store that has failed carries nothing out any more, and says so elsewhere.
        let _ = self.ledger.commit(Batch::new()).await;
        drained
    }
}

pub(super) struct Crew {
    name: SchemeRef,
    seat: Seat,
    team: Team<()>,
}

impl Crew {
    /// Puts the scheme to work until it is told to stop, or `stop` is cancelled.
    pub async fn start(scheme: Scheme, seat: &Seat, registers: &Registers, stop: &CancellationToken) -> Self {
        registers.announce(&scheme, seat);
        let Scheme { config: settings, parts, reading, watcher, .. } = scheme;
        let (name, ledger) = (watcher.scheme.clone(), reading.ledger.clone());
        let mut team = Team::new(ledger.clone(), stop);
        let (driving, ended) = (team.driving.clone(), team.reading.clone());
        // Whoever changes the ledger while nobody is at work is waited for.
        let mut at_work = seat.lock().await;
        let (handle, driver) = driver::start(parts, driving.clone());
        *at_work = Some(handle.clone());
        drop(at_work);
        registers.members.put(&name, Member { ledger, handle: handle.clone() });
        let (failed, reader_stop) = (watcher.clone(), ended.clone());
        team.drivers.spawn(async move {
            let driver = async { driver.await.map_err(|error| error.to_string()) };
            to_its_end(&failed, driver).await;
            reader_stop.cancel();
        });
        let (alerts, gates, stale_after) = (registers.alerts.clone(), registers.gates.clone(), registers.stale_after);
        team.drivers.spawn(watch(watcher.clone(), alerts, gates.clone(), stale_after, driving.clone()));
        let hindrance = Box::new(move || gates.low_disk());
        let clerk = registers.backfills.open(reading.clone(), handle.clone(), hindrance, ended.clone());
        let stopped = watcher.clone();
        team.readers.spawn(async move { to_its_end(&stopped, clerk).await });
        let predecessors = registers.predecessors.clone();
        let after = settings.when.after.clone().map(|scheme| -> After {
            let name = SchemeRef { tenant: settings.tenant.clone(), scheme };
            Box::new(move || predecessors.get(&name))
        });
        let reader = Reader { settings, reading, handle, watcher: watcher.clone(), after };
        team.readers.spawn(async move { to_its_end(&watcher, reader.run(ended)).await });
        Self { name, seat: seat.clone(), team }
    }

    /// Stops the scheme within `grace`; after it nothing of it is at work. Says whether everything under way came to its
    /// end.
    pub async fn stop(self, grace: Duration) -> bool {
        let Self { name, seat, team } = self;
        let drained = team.stop(grace).await;
        if !drained {
            tracing::warn!(scheme = %name, "requests are still under way; the next start asks what became of them");
        }
        *seat.lock().await = None;
        drained
    }
}

/// Runs a task of a scheme. Where it fails or panics, whoever looks at the engine can see that the scheme stopped.
async fn to_its_end(watcher: &SchemeWatcher, task: impl Future<Output = Result<(), String>>) {
    match AssertUnwindSafe(task).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => watcher.stopped(&error),
        // What it said stands in the log; a panic's words are for no page that strangers may read.
        Err(_) => watcher.stopped("internal: a task of the scheme panicked, a defect of Crossdock's"),
    }
}

/// Raises and clears what depends on time: a stale cursor, a pause that has ended.
async fn watch(
    watcher: Arc<SchemeWatcher>,
    alerts: Option<Alerts>,
    gates: Gates,
    stale_after: Duration,
    stop: CancellationToken,
) {
    let began = Timestamp::now();
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        watcher.look_at(&gates);
        let Some(alerts) = &alerts else { continue };
        let scheme = &watcher.scheme;
        // A cursor is not late before its next run is due: a nightly one stands still all day.
        let seen = watcher.seen();
        let moved = seen.read_to.unwrap_or(began).max(seen.due.unwrap_or(began));
        let age = Duration::try_from(Timestamp::now().duration_since(moved)).unwrap_or_default();
        if age > stale_after {
            alerts.raise(Alert::CursorStale { scheme: scheme.clone(), age });
        } else {
            alerts.clear(AlertKind::CursorStale, scheme);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::watcher::Seen;
    use super::*;
    use crate::model::{ConnectionName, SchemeId, TenantId};
    use crate::state::MemoryStore;
    use crate::telemetry::{Metrics, SchemeRef};

    fn watcher() -> SchemeWatcher {
        let tenant = TenantId::new("acme").unwrap();
        SchemeWatcher {
            scheme: SchemeRef { tenant: tenant.clone(), scheme: SchemeId::new("saleout").unwrap() },
            tenant,
            source_connection: ConnectionName::new("jst").unwrap(),
            target_connection: ConnectionName::new("k3").unwrap(),
            metrics: Metrics::new(),
            alerts: None,
            seen: std::sync::Mutex::new(Seen::default()),
        }
    }

    #[tokio::test]
    async fn a_task_that_panics_or_fails_stops_its_scheme_where_everybody_sees_it() {
        let panicked = watcher();
        to_its_end(&panicked, async { panic!("13812345678") }).await;
        let why = panicked.seen().stopped.expect("a panic went unseen");
        assert!(why.starts_with("internal") && !why.contains("13812345678"), "{why}");

        let failed = watcher();
        to_its_end(&failed, async { Err("the disk is full".to_owned()) }).await;
        to_its_end(&failed, async { Err("the store is closed".to_owned()) }).await;
        assert_eq!(failed.seen().stopped.as_deref(), Some("the disk is full"), "the first reason is the cause");

        let well = watcher();
        to_its_end(&well, async { Ok(()) }).await;
        assert_eq!(well.seen().stopped, None);
    }

    #[tokio::test]
    async fn a_stopped_scheme_does_not_count_as_resumed_because_nothing_is_paused() {
        let gates = Gates::open(Arc::new(MemoryStore::new())).unwrap();
        let watcher = watcher();
        watcher.stopped("the disk is full");
        watcher.look_at(&gates);
        let line = r#"crossdock_scheme_paused{tenant="acme",scheme="saleout"} 1"#;
        let text = watcher.metrics.encode();
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}
