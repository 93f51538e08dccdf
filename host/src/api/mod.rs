//! The HTTP API: what people and their programs manage while the engine runs, under `/v1`.
//!
//! Whoever calls is a stranger. Every connection, head, body and answer has a limit (`server.rs`, `shell.rs`,
//! `extract.rs`, `upload/`); who may do what stands in one table (`access.rs`) that is asked before anything else
//! (`gate.rs`); everything that is refused is told in one form (`problem.rs`). What the routes do, they leave to the
//! registry and the daemon: nothing is decided here.

mod access;
mod convert;
mod extract;
mod gate;
mod openapi;
mod page;
mod peers;
mod problem;
mod routes;
mod server;
mod shell;
#[cfg(test)]
mod tests;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access::{Least, RULES, Right, Rule, Takes, Verb};
pub use openapi::document;
pub use problem::{Code, Problem, ProblemDocument};
pub use upload::Report;

use crate::config;
use crate::daemon::{Floor, Office};
use crate::registry::{self, Registry};
use crate::sandbox::Sandbox;
use shell::Shell;
use upload::Uploads;

/// What the API may take of the machine, as `[api]` has it.
#[derive(Debug, Clone)]
pub struct Limits {
    pub connections: usize,
    pub connections_of_peer: usize,
    pub first_byte_timeout: Duration,
    pub request_timeout: Duration,
    pub header_timeout: Duration,
    /// Uploads at once.
    pub uploads: usize,
    pub upload_bytes: u64,
    pub upload_piece_timeout: Duration,
    pub upload_timeout: Duration,
}

impl Limits {
    /// As `[api]` has them.
    pub fn of(settings: &config::Api) -> Self {
        let long = |duration: jiff::SignedDuration| Duration::try_from(duration).unwrap_or(Duration::MAX);
        Self {
            connections: settings.connections_limit,
            connections_of_peer: settings.connections_of_peer_limit,
            first_byte_timeout: long(settings.first_byte_timeout),
            request_timeout: long(settings.request_timeout),
            header_timeout: long(settings.header_timeout),
            uploads: settings.uploads_limit,
            upload_bytes: settings.upload_limit_bytes,
            upload_piece_timeout: long(settings.header_timeout),
            upload_timeout: long(settings.upload_timeout),
        }
    }
}

/// Everything that the routes stand on.
pub struct Api {
    registry: Registry,
    floor: Arc<Floor>,
    office: Arc<Office>,
    sandbox: Sandbox,
    uploads: Uploads,
    now: registry::Now,
    started_at: Timestamp,
}

/// What an [`Api`] is made of.
pub struct Parts<'a> {
    pub registry: Registry,
    pub floor: Arc<Floor>,
    pub office: Arc<Office>,
    pub sandbox: Sandbox,
    pub now: registry::Now,
    /// Unfinished uploads lie here.
    pub data_dir: &'a Path,
    pub limits: &'a Limits,
}

impl Api {
    pub fn new(parts: Parts<'_>) -> Arc<Self> {
        let Parts { registry, floor, office, sandbox, now, data_dir, limits } = parts;
        let uploads = upload::Limits {
            at_once: limits.uploads,
            bytes: limits.upload_bytes,
            piece_timeout: limits.upload_piece_timeout,
            timeout: limits.upload_timeout,
            ..upload::Limits::default()
        };
        let started_at = now();
        Arc::new(Self { registry, floor, office, sandbox, uploads: Uploads::new(data_dir, uploads), now, started_at })
    }

    /// Serves until `stop`, and until the requests under way then have ended.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, limits: Limits, stop: CancellationToken) {
        // One request at a time on a connection; more of them are those whose caller did not wait.
        let shell = Shell::new(limits.connections.saturating_mul(2), limits.request_timeout);
        let (routes, _) = routes::all().split_for_parts();
        let router = routes
            .route_layer(middleware::from_fn_with_state(self.clone(), gate::authorise))
            .layer(middleware::from_fn_with_state(shell.clone(), shell::around))
            .with_state(self);
        let of_connections = server::Limits {
            connections_of_peer: limits.connections_of_peer,
            first_byte_timeout: limits.first_byte_timeout,
            connections: limits.connections,
            header_timeout: limits.header_timeout,
            write_timeout: limits.request_timeout,
        };
        server::serve(listener, router, of_connections, stop).await;
        shell.tasks.close();
        shell.tasks.wait().await;
    }
}
