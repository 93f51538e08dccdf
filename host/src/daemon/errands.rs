//! The control socket's pages for work that takes its time: backfills and comparisons.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Json, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures::StreamExt;

use super::backfill::{BackfillError, BackfillRequest, Backfills};
use super::control::problem;
use super::reconcile::{Auditors, ReconcileRequest};

pub(super) fn router(backfills: Arc<Backfills>, auditors: Auditors) -> axum::Router {
    let compare = axum::Router::new().route("/reconcile", post(compare)).with_state(auditors);
    axum::Router::new().route("/backfill", post(backfill)).with_state(backfills).merge(compare)
}

async fn backfill(State(backfills): State<Arc<Backfills>>, Json(request): Json<BackfillRequest>) -> Response {
    match backfills.answer(&request).await {
        Ok(progress) => axum::Json(progress).into_response(),
        Err(error @ (BackfillError::Refused(_) | BackfillError::SchemeStopped | BackfillError::Ledger(_))) => {
            problem(StatusCode::CONFLICT, error.to_string())
        }
        Err(error @ (BackfillError::NoSuchScheme(..) | BackfillError::Ambiguous(_))) => {
            problem(StatusCode::NOT_FOUND, error.to_string())
        }
    }
}

/// One JSON object a line, as the comparison goes on.
async fn compare(State(auditors): State<Auditors>, Json(request): Json<ReconcileRequest>) -> Response {
    let auditor = match auditors.named(&request.scheme) {
        Ok(auditor) => auditor,
        Err(error) => return problem(StatusCode::NOT_FOUND, error),
    };
    let lines = auditor.lines(request.stretch).map(|line| {
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        Ok::<Bytes, serde_json::Error>(text.into())
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
