//! `crossdock serve`: every scheme on its schedule until told to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::pipeline::step::Sabotage;
use crate::telemetry::{AlertSettings, Alerts};

use super::alerts::Webhook;
use super::compaction::{self, Compactor};
use super::control;
use super::crew::{Crew, Registers, WATCH_INTERVAL};
use super::engine::{Engine, OpenError};
use super::errands;
use super::health::{self, Health};
use super::office::Seat;
use super::reconcile::Auditors;
use super::register::Register;
use super::retention::Retention;
use super::scheme::Scheme;
use super::traffic;

/// How long a shutdown waits for requests under way before it abandons them. Abandoning is safe: they are intents, and
/// the next start asks what became of them.
const GRACE: Duration = Duration::from_secs(20);

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

    let registers = Registers {
        office: Arc::new(engine.office()),
        watchers: Register::default(),
        backfills: Arc::default(),
        auditors: Auditors::default(),
        members: Register::default(),
        predecessors: Register::default(),
        gates: engine.gates.clone(),
        alerts: alerts.clone(),
        stale_after: Duration::try_from(config.engine.stale_after).unwrap_or(Duration::MAX),
    };
    let health = Arc::new(Health {
        schemes: registers.watchers.clone(),
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
    let scheme_stop = stop.child_token();
    let compactor = Arc::new(Compactor {
        store: engine.store.clone(),
        settings: config.compaction.clone(),
        keep_free_bytes: config.engine.low_disk_bytes,
        metrics: engine.metrics.clone(),
        last_bytes: AtomicU64::new(0),
        stop: scheme_stop.clone(),
    });
    let router = control::router(registers.office.clone(), engine.store.clone())
        .merge(errands::router(registers.backfills.clone(), registers.auditors.clone()))
        .merge(compaction::router(compactor.clone()));
    servers.spawn(async move { axum::serve(socket, router).with_graceful_shutdown(ended.cancelled_owned()).await });

    let mut drivers = JoinSet::new();
    drivers.spawn(compactor.run());
    for keeper in engine.library.keepers(&|_| true, &scheme_stop) {
        drivers.spawn(keeper);
    }
    let down_after = Duration::try_from(config.engine.down_after).unwrap_or(Duration::MAX);
    let traffic = traffic::Watch { gates: engine.gates.clone(), alerts: alerts.clone(), down_after };
    tasks.spawn(traffic.run(WATCH_INTERVAL, scheme_stop.clone()));
    // All of them are there before the first one begins, for some wait for others.
    let seated: Vec<(Scheme, Seat)> = engine.schemes.into_iter().map(|scheme| (scheme, Seat::default())).collect();
    seated.iter().for_each(|(scheme, seat)| registers.announce(scheme, seat));
    let mut crews = Vec::new();
    for (scheme, seat) in seated {
        crews.push(Crew::start(scheme, &seat, &registers, &scheme_stop).await);
    }
    let retention = Retention {
        settings: config.retention.clone(),
        members: registers.members.clone(),
        library: engine.library.clone(),
        metrics: engine.metrics.clone(),
        now: engine.now.clone(),
    };
    drivers.spawn(retention.run(scheme_stop.clone()));
    tracing::info!(%address, control = %control::socket_path(&engine.data_dir).display(), "serving");
    ready(address);

    stop.cancelled().await;
    tracing::info!("stopping: no new requests, waiting for those under way");
    let others = tokio::time::timeout(GRACE, async { while drivers.join_next().await.is_some() {} });
    let crews = futures::future::join_all(crews.into_iter().map(|crew| crew.stop(GRACE)));
    let _ = tokio::join!(others, crews);
    drivers.abort_all();
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
