//! The operator's door into a running engine: HTTP over a Unix socket in the data directory, readable by its owner
//! alone. Whoever can open the socket could open the store as well, so there is no second lock on it.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::registry::{Actor, Registry};
use crate::state::SledStore;

use super::capsule_desk::CapsuleRequest;
use super::office::{BulkRequest, CommandRequest, Filter, Office, OfficeError, PauseRequest};
use super::reference_desk::{TableFilter, TableQuestion};
use super::witness::Witness;

/// A command may carry a document, which a scheme may let be large; whoever can send it could fill the disk as well.
const BODY_LIMIT_BYTES: usize = 64 << 20;

/// The socket's name within the data directory.
pub const SOCKET_NAME: &str = "control.sock";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ShowRequest {
    pub scheme: Option<String>,
    pub key: String,
    pub unmask: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PauseCall {
    pub what: PauseRequest,
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Problem {
    pub message: String,
}

pub(super) fn router(office: Arc<Office>, registry: Option<Registry>, store: Arc<SledStore>) -> axum::Router {
    let backup = axum::Router::new().route("/backup", post(backup)).with_state(store);
    let counter = Arc::new(Counter { office: office.clone(), registry, actor: Actor::console() });
    let orders = axum::Router::new()
        .route("/documents/show", post(show))
        .route("/documents/command", post(command).layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES)))
        .route("/documents/bulk", post(bulk))
        .route("/documents/capsule", post(capsule))
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .with_state(counter);
    axum::Router::new()
        .route("/documents/search", post(search))
        .route("/references/list", post(tables))
        .route("/references/show", post(table))
        .route("/references/refresh", post(refresh))
        .route("/pauses", get(pauses))
        .with_state(office)
        .merge(orders)
        .merge(backup)
}

/// Where the owner of the socket gives orders.
struct Counter {
    office: Arc<Office>,
    registry: Option<Registry>,
    actor: Actor,
}

impl Counter {
    fn witness(&self) -> Witness<'_> {
        Witness { office: &self.office, registry: self.registry.as_ref(), actor: &self.actor }
    }
}

/// Binds the socket. A socket that a killed engine left is removed: the store's lock has shown that nobody else runs.
pub(super) fn bind(data_dir: &Path) -> std::io::Result<tokio::net::UnixListener> {
    let path = socket_path(data_dir);
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = tokio::net::UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

pub(super) fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_NAME)
}

async fn search(State(office): State<Arc<Office>>, Json(filter): Json<Filter>) -> Response {
    aside(move || office.search(None, &filter)).await
}

/// Walking the ledger blocks: keep it off the threads that answer others.
async fn aside<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> Result<T, OfficeError> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => answer(result),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn show(State(counter): State<Arc<Counter>>, Json(request): Json<ShowRequest>) -> Response {
    answer(counter.witness().show(None, request.scheme.as_deref(), &request.key, request.unmask).await)
}

async fn command(State(counter): State<Arc<Counter>>, Json(request): Json<CommandRequest>) -> Response {
    answer(counter.witness().command(None, &request).await)
}

async fn bulk(State(counter): State<Arc<Counter>>, Json(request): Json<BulkRequest>) -> Response {
    answer(counter.witness().bulk(None, &request).await)
}

async fn capsule(State(counter): State<Arc<Counter>>, Json(request): Json<CapsuleRequest>) -> Response {
    if let Err(error) = counter.witness().note_capsule(None, &request).await {
        return answer(Err::<(), _>(error));
    }
    aside(move || counter.office.capsule(None, &request)).await
}

async fn tables(State(office): State<Arc<Office>>, Json(filter): Json<TableFilter>) -> Response {
    aside(move || office.tables(None, &filter)).await
}

async fn table(State(office): State<Arc<Office>>, Json(question): Json<TableQuestion>) -> Response {
    aside(move || office.table(None, &question)).await
}

async fn refresh(State(office): State<Arc<Office>>, Json(filter): Json<TableFilter>) -> Response {
    answer(office.refresh(None, &filter).await)
}

async fn pause(State(counter): State<Arc<Counter>>, Json(call): Json<PauseCall>) -> Response {
    answer(counter.witness().pause(None, &call.what, &call.reason).await)
}

async fn resume(State(counter): State<Arc<Counter>>, Json(what): Json<PauseRequest>) -> Response {
    answer(counter.witness().resume(None, &what).await)
}

async fn pauses(State(office): State<Arc<Office>>) -> Response {
    answer(Ok(office.pauses(None)))
}

/// The backup as it is written. It ends early where it fails: without its end no file is a backup.
async fn backup(State(store): State<Arc<SledStore>>) -> Response {
    let (sender, mut chunks) = mpsc::channel::<Bytes>(8);
    tokio::task::spawn_blocking(move || {
        let out = BufWriter::with_capacity(CHUNK_BYTES, Chunks(sender));
        if let Err(error) = store.backup(Timestamp::now(), out) {
            tracing::error!("a backup failed: {error}");
        }
    });
    let body =
        futures::stream::poll_fn(move |context| chunks.poll_recv(context).map(|chunk| chunk.map(io::Result::Ok)));
    axum::body::Body::from_stream(body).into_response()
}

const CHUNK_BYTES: usize = 256 << 10;

/// Hands what is written to whoever asked for it, no faster than they take it.
struct Chunks(mpsc::Sender<Bytes>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes it any more"))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answer<T: Serialize>(result: Result<T, OfficeError>) -> Response {
    match result {
        Ok(value) => axum::Json(value).into_response(),
        Err(
            error @ (OfficeError::Ledger(_)
            | OfficeError::Command(_)
            | OfficeError::NotFetched(_)
            | OfficeError::Capsule(_)
            | OfficeError::OperatorsPause(_)
            | OfficeError::Audit(_)
            | OfficeError::Registry(_)
            | OfficeError::StandsStill(..)),
        ) => problem(StatusCode::CONFLICT, error.to_string()),
        Err(error) => problem(StatusCode::NOT_FOUND, error.to_string()),
    }
}

pub(super) fn problem(status: StatusCode, message: String) -> Response {
    (status, axum::Json(Problem { message })).into_response()
}
