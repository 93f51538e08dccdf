//! What anybody on the listen address may ask: is it alive, and its numbers. No document, no name of a person, no secret.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;

use crate::model::SchemeId;
use crate::pipeline::gate::Gates;
use crate::pipeline::reference::{Library, Status};
use crate::state::SledStore;
use crate::telemetry::{Metrics, TableNumbers, mask_text};

use super::floor::Floor;
use super::register::Register;
use super::traffic;
use super::watcher::SchemeWatcher;

pub(super) struct Health {
    pub schemes: Register<Arc<SchemeWatcher>>,
    pub gates: Gates,
    pub library: Library,
    pub metrics: Metrics,
    pub store: Arc<SledStore>,
    pub floor: Arc<Floor>,
}

pub(super) fn router(health: Arc<Health>) -> axum::Router {
    axum::Router::new().route("/healthz", get(healthz)).route("/metrics", get(metrics)).with_state(health)
}

/// 200 while every scheme can work; 503 where the store failed, or a scheme stopped, stands still or has not begun since the
/// start. Paused is healthy: somebody said so.
async fn healthz(State(health): State<Arc<Health>>) -> Response {
    let now = Timestamp::now();
    // Of one that could not even be put together it is only the name: its reasons are for those who may see it.
    let standing = health.floor.standing_still();
    let mut stopped: Vec<String> = standing.iter().map(|name| format!("{}/{}", name.tenant, name.scheme)).collect();
    let store_failed = health.store.health().failure.is_some();
    let schemes: Vec<serde_json::Value> = health
        .schemes
        .entries()
        .iter()
        .map(|watcher| {
            let seen = watcher.seen();
            stopped.extend(seen.stopped.as_ref().map(|why| format!("{}: {why}", watcher.scheme)));
            let age = seen.read_to.map(|read_to| now.duration_since(read_to).as_secs());
            json!({
                "tenant": watcher.tenant.as_str(), "scheme": watcher.scheme.scheme.as_str(),
                "cursor_age_seconds": age, "backlog": seen.backlog, "parked": seen.parked,
                "waiting": seen.waiting,
                "received": seen.received, "last_fault": seen.last_fault,
                "next_run": seen.next_run.map(|at| at.to_string()),
                "held": seen.held.as_ref().map(|(reason, words)| format!("{reason}: {words}")),
                "throttled": seen.throttled,
                "waits_for": seen.waits_for.as_ref().map(SchemeId::as_str),
            })
        })
        .collect();
    let references: Vec<serde_json::Value> =
        health.library.tables().iter().map(|table| reference(table.status(), now)).collect();
    let pauses: Vec<String> =
        health.gates.pauses().iter().map(|pause| mask_text(&format!("{}: {}", pause.scope, pause.reason))).collect();
    let starting = health.floor.is_starting();
    let healthy = stopped.is_empty() && !store_failed && !starting;
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "healthy": healthy, "starting": starting, "store_failed": store_failed, "stopped": stopped, "paused": pauses, "schemes": schemes,
        "references": references, "connections": traffic::connections(&health.gates), "disk": traffic::disk(&health.gates),
    });
    (status, axum::Json(body)).into_response()
}

/// A table that cannot be fetched is its vendor's trouble: shown, and no reason to call the engine ill.
fn reference(status: Status, now: Timestamp) -> serde_json::Value {
    json!({
        "tenant": status.id.tenant.as_str(), "connection": status.id.connection.as_str(), "table": status.id.table,
        "entries": status.entries, "revision": status.revision,
        "age_seconds": status.fetched_at.map(|at| now.duration_since(at).as_secs()),
        "problem": status.failure.map(|failure| mask_text(&failure.fault.to_string())),
    })
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let now = Timestamp::now();
    for watcher in health.schemes.entries() {
        if let Some(read_to) = watcher.seen().read_to {
            let age = std::time::Duration::try_from(now.duration_since(read_to)).unwrap_or_default();
            health.metrics.set_cursor_age(&watcher.scheme, age);
        }
    }
    for table in health.library.tables() {
        let Status { id, entries, fetched_at, failure, .. } = table.status();
        let age = fetched_at.map(|at| std::time::Duration::try_from(now.duration_since(at)).unwrap_or_default());
        let failures = failure.map_or(0, |failure| failure.count.into());
        let numbers = TableNumbers { entries: entries as u64, age, failures };
        health.metrics.set_table(&id.tenant, &id.connection, &id.table, numbers);
    }
    traffic::measure(&health.gates, &health.metrics);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], health.metrics.encode()).into_response()
}
