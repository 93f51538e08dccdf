//! 聚水潭's list of sale-outs and 金蝶云星空's saving of bills, reduced to what moving documents costs a client.
//!
//! It is for measuring, where the simulator must never be what is measured: the paths and shapes are those of the strict
//! simulators, and behind them is next to nothing. No signature is checked unless that is asked for, no rule enforced, no
//! document kept. Each page is put together from ready-made documents, and a save is answered from the bills' numbers alone. What it does keep is
//! what a measurement has to be believed by: how many distinct bills came, and how many came twice.

mod admin;
mod source;
mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Error;
use crate::jushuitan_qimen::Jushuitan;
use crate::kingdee_k3cloud::K3Cloud;
use crate::system::System as _;

use source::Source;
use target::Target;

/// A save of a thousand bills of a hundred lines is 30 MB.
const REQUEST_LIMIT_BYTES: usize = 64 << 20;
/// What K3Cloud's addresses begin with.
const SITE: &str = "/k3cloud/";

#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    pub documents: u64,
    /// When the last document was modified.
    pub to: Timestamp,
    /// Pages are signed, and saves come with the session of a log-in that is.
    pub signed: bool,
    /// How long each page and each save takes.
    pub delay: Option<Duration>,
    /// Keep the text of every bill, so that two clients' can be compared.
    pub keep_bills: bool,
}

/// A simulator that answers until its process ends.
pub struct Running {
    /// The line that the binary prints.
    pub ready: Value,
}

struct Plain {
    source: Source,
    target: Target,
    delay: Option<Duration>,
}

pub async fn start(options: &Options) -> Result<Running, Error> {
    let listen = |source| Error::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
    let origin = format!("http://{}", listener.local_addr().map_err(listen)?);
    let source = Source::new(options.documents, options.to, options.signed);
    let none = crate::Options { documents: 0, ..crate::Options::default() };
    let ready = json!({
        "ready": true,
        "admin_url": format!("{origin}/admin/"),
        "systems": {
            "jushuitan_qimen": Jushuitan::new(&none).ready(&origin),
            "kingdee_k3cloud": K3Cloud::new(&none).ready(&origin),
        },
        "window": source.window(),
    });
    let plain =
        Arc::new(Plain { source, target: Target::new(options.keep_bills, options.signed), delay: options.delay });
    let router = Router::new().fallback(handle).with_state(plain);
    // Without this, an answer in two writes waits for the client's acknowledgement; a refusal costs only time.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Running { ready })
}

async fn handle(State(plain): State<Arc<Plain>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_LIMIT_BYTES).await else {
        return respond(Err((413, "request too large or broken off".to_owned())));
    };
    let path = parts.uri.path();
    let answer = if let Some(page) = path.strip_prefix("/admin/").filter(|_| parts.method == Method::GET) {
        admin::answer(&plain, page)
    } else if let Some(service) = path.strip_prefix(SITE) {
        let session = parts.headers.get("kdservice-sessionid").and_then(|id| id.to_str().ok());
        plain.target.answer(service, session.unwrap_or_default(), &body)
    } else if crate::qimen::claims(path) {
        plain.source.answer(parts.uri.query().unwrap_or_default(), &body)
    } else {
        Err((404, "no system lives here".to_owned()))
    };
    if let Some(delay) = plain.delay.filter(|_| !path.starts_with("/admin/") && !path.contains(".AuthService.")) {
        tokio::time::sleep(delay).await;
    }
    respond(answer)
}

/// An answer, or a status and what is wrong with the request. Whoever gets one has left what is simulated here.
type Answer = Result<String, (u16, String)>;

fn respond(answer: Answer) -> Response {
    let (status, kind, text) = match answer {
        Ok(text) => (200, "application/json;charset=UTF-8", text),
        Err((status, text)) => (status, "text/plain;charset=UTF-8", text),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
