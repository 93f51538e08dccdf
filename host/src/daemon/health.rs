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
use crate::state::SledStore;
use crate::telemetry::{Metrics, mask_text};

use super::watcher::SchemeWatcher;

pub(super) struct Health {
    pub schemes: Vec<Arc<SchemeWatcher>>,
    pub gates: Gates,
    pub metrics: Metrics,
    pub store: Arc<SledStore>,
}

pub(super) fn router(health: Arc<Health>) -> axum::Router {
    axum::Router::new().route("/healthz", get(healthz)).route("/metrics", get(metrics)).with_state(health)
}

/// 200 while every scheme can work; 503 where the store failed or a scheme stopped. Paused is healthy: somebody said so.
async fn healthz(State(health): State<Arc<Health>>) -> Response {
    let now = Timestamp::now();
    let mut stopped = Vec::new();
    let store_failed = health.store.health().failure.is_some();
    let schemes: Vec<serde_json::Value> = health
        .schemes
        .iter()
        .map(|watcher| {
            let seen = watcher.seen();
            stopped.extend(seen.stopped.as_ref().map(|why| format!("{}: {why}", watcher.scheme.scheme)));
            let age = seen.read_to.map(|read_to| now.duration_since(read_to).as_secs());
            json!({
                "tenant": watcher.tenant.as_str(), "scheme": watcher.scheme.scheme.as_str(),
                "cursor_age_seconds": age, "backlog": seen.backlog, "parked": seen.parked,
                "received": seen.received, "last_fault": seen.last_fault,
                "next_run": seen.next_run.map(|at| at.to_string()),
                "waits_for": seen.waits_for.as_ref().map(SchemeId::as_str),
            })
        })
        .collect();
    let pauses: Vec<String> =
        health.gates.pauses().iter().map(|pause| mask_text(&format!("{}: {}", pause.scope, pause.reason))).collect();
    let healthy = stopped.is_empty() && !store_failed;
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "healthy": healthy, "store_failed": store_failed, "stopped": stopped, "paused": pauses, "schemes": schemes,
    });
    (status, axum::Json(body)).into_response()
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let now = Timestamp::now();
    for watcher in &health.schemes {
        if let Some(read_to) = watcher.seen().read_to {
            let age = std::time::Duration::try_from(now.duration_since(read_to)).unwrap_or_default();
            health.metrics.set_cursor_age(&watcher.scheme, age);
        }
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], health.metrics.encode()).into_response()
}
