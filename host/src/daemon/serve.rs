//! `crossdock serve`: every scheme on its schedule until told to stop.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::model::{SchemeId, TenantId};
use crate::pipeline::driver;
use crate::pipeline::gate::Gates;
use crate::pipeline::retention::Member;
use crate::pipeline::step::Sabotage;
use crate::telemetry::{Alert, AlertKind, AlertSettings, Alerts};

use super::alerts::Webhook;
use super::backfill::Backfills;
use super::compaction::{self, Compactor};
use super::control;
use super::engine::{Engine, OpenError};
use super::errands;
use super::health::{self, Health};
use super::reader::{Predecessor, Reader};
use super::reconcile::Auditors;
use super::retention::Retention;
use super::scheme::Scheme;
use super::traffic;
use super::watcher::SchemeWatcher;

/// How long a shutdown waits for requests under way before it abandons them. Abandoning is safe: they are intents, and
/// the next start asks what became of them.
const GRACE: Duration = Duration::from_secs(20);
/// How often stale cursors and pauses are looked for.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// Serves until `stop` is cancelled. `ready` is called with the listening address once everything runs.
pub async fn serve(
    config: Config,
    program: std::path::PathBuf,
    sabotage: Sabotage,
    stop: CancellationToken,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), OpenError> {
    let mut tasks = JoinSet::new();
    let alerts = match config.engine.webhook.clone() {
        Some(address) => {
            let webhook = Webhook::new(address).map_err(OpenError::Http)?;
            let (alerts, worker) = Alerts::new(Arc::new(webhook), AlertSettings::default());
            tasks.spawn(worker.run());
            Some(alerts)
        }
        None => None,
    };
    let opened = {
        let (config, alerts) = (config.clone(), alerts.clone());
        // Opening replays the store's log and may compile modules: neither belongs on an async thread.
        tokio::task::spawn_blocking(move || Engine::open(&config, program, alerts, sabotage)).await
    };
    let engine = opened.map_err(|error| OpenError::Sandbox(error.to_string()))??;
    let at = |source| OpenError::DataDirectory { path: engine.data_dir.clone(), source };
    let listener = TcpListener::bind(config.engine.listen)
        .await
        .map_err(|error| OpenError::Http(format!("cannot listen on {}: {error}", config.engine.listen)))?;
    let address = listener.local_addr().map_err(at)?;
    let socket = control::bind(&engine.data_dir).map_err(at)?;

    let office = Arc::new(engine.office());
    let health = Arc::new(Health {
        schemes: engine.schemes.iter().map(|scheme| scheme.watcher.clone()).collect(),
        gates: engine.gates.clone(),
        library: engine.library.clone(),
        metrics: engine.metrics.clone(),
        store: engine.store.clone(),
    });
    let http_stop = CancellationToken::new();
    let mut servers = JoinSet::new();
    let ended = http_stop.clone();
    servers.spawn(async move {
        axum::serve(listener, health::router(health)).with_graceful_shutdown(ended.cancelled_owned()).await
    });
    let ended = http_stop.clone();
    let backfills = Arc::new(Backfills::default());
    let auditors = Auditors::of(&engine.schemes);
    let scheme_stop = stop.child_token();
    let compactor = Arc::new(Compactor {
        store: engine.store.clone(),
        settings: config.compaction.clone(),
        keep_free_bytes: config.engine.low_disk_bytes,
        metrics: engine.metrics.clone(),
        last_bytes: AtomicU64::new(0),
        stop: scheme_stop.clone(),
    });
    let router = control::router(office.clone(), engine.store.clone())
        .merge(errands::router(backfills.clone(), auditors))
        .merge(compaction::router(compactor.clone()));
    servers.spawn(async move { axum::serve(socket, router).with_graceful_shutdown(ended.cancelled_owned()).await });

    let mut drivers = JoinSet::new();
    drivers.spawn(compactor.run());
    let mut members = BTreeMap::<TenantId, Vec<Member>>::new();
    for keeper in engine.library.keepers(&|_| true, &scheme_stop) {
        drivers.spawn(keeper);
    }
    let down_after = Duration::try_from(config.engine.down_after).unwrap_or(Duration::MAX);
    let traffic = traffic::Watch { gates: engine.gates.clone(), alerts: alerts.clone(), down_after };
    tasks.spawn(traffic.run(WATCH_INTERVAL, scheme_stop.clone()));
    let runs: HashMap<_, _> = engine.schemes.iter().map(predecessor).collect();
    for scheme in engine.schemes {
        let Scheme { config: settings, parts, reading, watcher, .. } = scheme;
        let after = settings.when.after.as_ref();
        let after = after.and_then(|name| runs.get(&(settings.tenant.clone(), name.clone()))).cloned();
        let (handle, driver) = driver::start(parts, scheme_stop.clone());
        office.attach(&settings.tenant, &settings.name, handle.clone());
        let member = Member { ledger: reading.ledger.clone(), handle: handle.clone() };
        members.entry(settings.tenant.clone()).or_default().push(member);
        let stale_after = Duration::try_from(config.engine.stale_after).unwrap_or(Duration::MAX);
        let (gates, ended) = (engine.gates.clone(), scheme_stop.clone());
        tasks.spawn(watch(watcher.clone(), alerts.clone(), gates, stale_after, ended));
        // Without its driver nothing can take what a reader reads: it ends as well, and leaves the vendor alone.
        let ended = scheme_stop.child_token();
        let (failed, reader_stop) = (watcher.clone(), ended.clone());
        drivers.spawn(async move {
            let driver = async { driver.await.map_err(|error| error.to_string()) };
            to_its_end(&failed, driver).await;
            reader_stop.cancel();
        });
        let gates = engine.gates.clone();
        let clerk = backfills.open(reading.clone(), handle.clone(), Box::new(move || gates.low_disk()), ended.clone());
        let stopped = watcher.clone();
        drivers.spawn(async move { to_its_end(&stopped, clerk).await });
        let reader = Reader { settings, reading, handle, watcher: watcher.clone(), after };
        drivers.spawn(async move { to_its_end(&watcher, reader.run(ended)).await });
    }
    let retention = Retention {
        settings: config.retention.clone(),
        members,
        library: engine.library.clone(),
        metrics: engine.metrics.clone(),
        now: engine.now.clone(),
    };
    drivers.spawn(retention.run(scheme_stop.clone()));
    tracing::info!(%address, control = %control::socket_path(&engine.data_dir).display(), "serving");
    ready(address);

    stop.cancelled().await;
    tracing::info!("stopping: no new requests, waiting for those under way");
    let drained = tokio::time::timeout(GRACE, async { while drivers.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!("requests are still under way; the next start asks what became of them");
        drivers.abort_all();
    }
    http_stop.cancel();
    tasks.abort_all();
    let _ = tokio::time::timeout(Duration::from_secs(2), async { while servers.join_next().await.is_some() {} }).await;
    servers.abort_all();
    let _ = std::fs::remove_file(control::socket_path(&engine.data_dir));
    let store = engine.store;
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    if let Ok(Err(error)) = closed {
        tracing::error!("the store did not close cleanly: {error}");
    }
    Ok(())
}

/// The scheme, for those whose runs wait for its.
fn predecessor(scheme: &Scheme) -> ((TenantId, SchemeId), Predecessor) {
    let Scheme { config, reading, watcher, .. } = scheme;
    let predecessor = Predecessor {
        name: config.name.clone(),
        lag: reading.lag,
        ledger: reading.ledger.clone(),
        watcher: watcher.clone(),
    };
    ((config.tenant.clone(), config.name.clone()), predecessor)
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
