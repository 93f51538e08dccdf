//! `crossdock serve`: every scheme on its schedule until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::pipeline::step::Sabotage;
use crate::registry::Registry;
use crate::sandbox::Sandbox;
use crate::state::Store;
use crate::telemetry::{AlertSettings, Alerts};

use super::alerts::Webhook;
use super::compaction::{self, Compactor};
use super::control;
use super::crew::{Registers, WATCH_INTERVAL};
use super::engine::{Engine, OpenError};
use super::errands;
use super::floor::{Floor, GRACE};
use super::health::{self, Health};
use super::office::Office;
use super::reconcile::Auditors;
use super::register::Register;
use super::registry_desk::{self, RegistryDesk};
use super::retention::Retention;
use super::traffic;

/// What a surface above the engine works with.
#[derive(Clone)]
pub struct FloorParts {
    pub floor: Arc<Floor>,
    pub office: Arc<Office>,
    pub registry: Registry,
    pub sandbox: Sandbox,
    pub store: Arc<dyn Store>,
    pub config: Arc<Config>,
    /// Where the health page answers.
    pub listen: SocketAddr,
}

/// A surface that is open, and takes requests once it is polled.
pub struct Surfaced {
    pub address: SocketAddr,
    /// Ends when its token is cancelled.
    pub serving: BoxFuture<'static, ()>,
}

/// Opens what people reach the engine by; the engine does not know what that is. It is asked only where there is a registry.
pub type Surface =
    Box<dyn FnOnce(FloorParts, CancellationToken) -> BoxFuture<'static, Result<Surfaced, OpenError>> + Send>;

/// Serves until `stop` is cancelled. `ready` is called with the listening address, and the surface's where there is one,
/// once everything runs.
pub async fn serve(
    config: Config,
    program: std::path::PathBuf,
    sabotage: Sabotage,
    stop: CancellationToken,
    surface: Option<Surface>,
    ready: impl FnOnce(SocketAddr, Option<SocketAddr>),
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
        tokio::task::spawn_blocking(move || {
            let engine = Engine::open(&config, program, alerts, sabotage)?;
            let office = engine.office();
            Ok::<_, OpenError>((engine, office))
        })
        .await
    };
    let (engine, office) = opened.map_err(|error| OpenError::Sandbox(error.to_string()))??;
    let at = |source| OpenError::DataDirectory { path: engine.data_dir.clone(), source };
    let listener = TcpListener::bind(config.engine.listen)
        .await
        .map_err(|error| OpenError::Http(format!("cannot listen on {}: {error}", config.engine.listen)))?;
    let address = listener.local_addr().map_err(at)?;
    let socket = control::bind(&engine.data_dir).map_err(at)?;

    let registers = Registers {
        office: Arc::new(office),
        watchers: Register::default(),
        backfills: Arc::default(),
        auditors: Auditors::default(),
        members: Register::default(),
        predecessors: Register::default(),
        gates: engine.gates.clone(),
        alerts: alerts.clone(),
        stale_after: Duration::try_from(config.engine.stale_after).unwrap_or(Duration::MAX),
    };
    let http_stop = CancellationToken::new();
    let mut servers = JoinSet::new();
    let mut surfaces = JoinSet::new();
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
    let bootstrap = RegistryDesk::of(&engine, &config)
        .map_err(|source| OpenError::DataDirectory { path: engine.data_dir.clone(), source })?;
    let router = control::router(registers.office.clone(), engine.registry.clone(), engine.store.clone())
        .merge(errands::router(registers.backfills.clone(), registers.auditors.clone()))
        .merge(compaction::router(compactor.clone()))
        .merge(registry_desk::router(bootstrap.clone()));
    let mut drivers = JoinSet::new();
    drivers.spawn(compactor.run());
    let down_after = Duration::try_from(config.engine.down_after).unwrap_or(Duration::MAX);
    let traffic = traffic::Watch { gates: engine.gates.clone(), alerts: alerts.clone(), down_after };
    tasks.spawn(traffic.run(WATCH_INTERVAL, scheme_stop.clone()));
    let shared_config = Arc::new(config.clone());
    let (workshop, registry) = (engine.workshop.clone(), engine.registry.clone());
    let floor = Floor::new(
        shared_config.clone(),
        workshop,
        registers.clone(),
        registry.clone(),
        &engine.schemes,
        scheme_stop.clone(),
    );
    // Before anybody can ask for them: what is in the registry can be shown and paused from the first instant.
    floor.announce_stored().await;
    servers.spawn(async move { axum::serve(socket, router).with_graceful_shutdown(ended.cancelled_owned()).await });
    let health = Arc::new(Health {
        schemes: registers.watchers.clone(),
        gates: engine.gates.clone(),
        library: engine.library.clone(),
        metrics: engine.metrics.clone(),
        store: engine.store.clone(),
        floor: floor.clone(),
    });
    let ended = http_stop.clone();
    servers.spawn(async move {
        axum::serve(listener, health::router(health)).with_graceful_shutdown(ended.cancelled_owned()).await
    });
    // Open before anything runs: where it cannot be, nothing has begun.
    let surface = match (surface, registry) {
        (Some(surface), Some(registry)) => {
            let parts = FloorParts {
                floor: floor.clone(),
                office: registers.office.clone(),
                registry,
                sandbox: engine.workshop.shared.sandbox.clone(),
                store: engine.store.clone(),
                config: shared_config,
                listen: address,
            };
            Some(surface(parts, http_stop.clone()).await?)
        }
        _ => None,
    };
    floor.start(engine.schemes).await;
    tasks.spawn(bootstrap.go_on());
    let retention = Retention {
        settings: config.retention.clone(),
        members: registers.members.clone(),
        library: engine.library.clone(),
        metrics: engine.metrics.clone(),
        now: engine.now.clone(),
    };
    drivers.spawn(retention.run(scheme_stop.clone()));
    tracing::info!(%address, control = %control::socket_path(&engine.data_dir).display(), "serving");
    let surface_address = surface.as_ref().map(|surface| surface.address);
    if let Some(Surfaced { serving, .. }) = surface {
        surfaces.spawn(serving);
    }
    ready(address, surface_address);

    stop.cancelled().await;
    tracing::info!("stopping: no new requests, waiting for those under way");
    let others = tokio::time::timeout(GRACE, async { while drivers.join_next().await.is_some() {} });
    let _ = tokio::join!(others, floor.end());
    drivers.abort_all();
    http_stop.cancel();
    tasks.abort_all();
    let ended = async {
        while servers.join_next().await.is_some() {}
        while surfaces.join_next().await.is_some() {}
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
    servers.abort_all();
    surfaces.shutdown().await;
    let _ = std::fs::remove_file(control::socket_path(&engine.data_dir));
    let store = engine.store;
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    if let Ok(Err(error)) = closed {
        tracing::error!("the store did not close cleanly: {error}");
    }
    Ok(())
}
