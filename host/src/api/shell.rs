//! What lies around every route: the request's id, a place among the requests under way, a limit of time, and the one
//! place where answers that refuse become problem documents.
//!
//! A handler runs in a task of its own. So a caller that hangs up, or that waits no longer, does not leave a change half
//! done; and a panic ends that request and nothing else. Work that changes nothing can ask whether anybody still waits.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::access;
use super::problem::{Answer, Code, Problem};
use super::server::Peer;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest path that makes sense is some 2 KiB: a document key of 512 bytes, percent-encoded, below its names.
const URI_LIMIT_BYTES: usize = 8 << 10;
/// When to come again where all places are taken.
const COME_AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Shell {
    pub tasks: TaskTracker,
    pub places: Arc<Semaphore>,
    pub timeout: Duration,
}

impl Shell {
    pub fn new(requests_limit: usize, timeout: Duration) -> Self {
        Self { tasks: TaskTracker::new(), places: Arc::new(Semaphore::new(requests_limit)), timeout }
    }
}

/// Cancelled where the caller hung up, or has its answer: for work that is for the caller alone and changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Gone(pub CancellationToken);

impl<S: Sync> FromRequestParts<S> for Gone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let gone = parts.extensions.get::<Gone>().cloned();
        gone.ok_or_else(|| Problem::internal("a handler asks who waits where nobody was let in"))
    }
}

/// The outermost layer.
pub async fn around(State(shell): State<Shell>, request: Request, next: Next) -> Response {
    let id = format!("{:032x}", rand::random::<u128>());
    let from = request.extensions().get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default();
    // Paths name schemes and documents; a query may hold a filter's words, and is not said.
    let span = tracing::info_span!("request", %id, %from, method = %request.method(), path = request.uri().path());
    let response = admitted(&shell, request, next).instrument(span.clone()).await;
    let response = finished(response, &id);
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), "answered"));
    response
}

async fn admitted(shell: &Shell, mut request: Request, next: Next) -> Response {
    let gone = Gone::default();
    let _guard = gone.0.clone().drop_guard();
    request.extensions_mut().insert(gone);
    if request.uri().to_string().len() > URI_LIMIT_BYTES {
        return Problem::invalid(format!("the address is longer than {URI_LIMIT_BYTES} bytes"))
            .closing()
            .into_response();
    }
    let Ok(place) = shell.places.clone().try_acquire_owned() else {
        let problem = Problem::new(Code::TooManyRequests, "the engine has as many requests under way as it takes");
        return problem.retry_after(COME_AGAIN).into_response();
    };
    let route = request.extensions().get::<MatchedPath>();
    let rule = route.and_then(|route| access::rule_of(request.method(), route.as_str()));
    let own_time = rule.is_some_and(|rule| rule.own_time);
    let work = async move {
        let response = next.run(request).await;
        drop(place);
        response
    };
    let task = shell.tasks.spawn(work.in_current_span());
    let ended = if own_time { Ok(task.await) } else { tokio::time::timeout(shell.timeout, task).await };
    match ended {
        Ok(Ok(response)) => response,
        Ok(Err(error)) if error.is_panic() => {
            Problem::internal("a request's task panicked, a defect of Crossdock's").into_response()
        }
        Ok(Err(_)) => Problem::new(Code::Unavailable, "the engine is stopping").into_response(),
        Err(_) => Problem::new(Code::Unavailable, "the answer takes longer than the engine lets a caller wait")
            .retry_after(COME_AGAIN)
            .closing()
            .into_response(),
    }
}

/// Tells problems, and sees that nothing that refuses leaves without one.
fn finished(mut response: Response, id: &str) -> Response {
    let problem = response.extensions_mut().remove::<Problem>();
    let problem = problem.or_else(|| unexplained(&response));
    let mut response = match problem {
        Some(problem) => {
            let allow = response.headers_mut().remove(ALLOW);
            let mut told = problem.told(id);
            told.headers_mut().extend(allow.map(|allow| (ALLOW, allow)));
            told
        }
        None => response,
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    guarded(headers);
    response
}

/// What no answer of a page for programs needs a browser or a cache to do with it.
fn guarded(headers: &mut HeaderMap) {
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("content-security-policy", HeaderValue::from_static("default-src 'none'"));
}

/// A refusal by the framework itself: an address or a method that no route has.
fn unexplained(response: &Response) -> Option<Problem> {
    let status = response.status();
    let problem = match status {
        StatusCode::NOT_MODIFIED => return None,
        status if !status.is_client_error() && !status.is_server_error() => return None,
        StatusCode::NOT_FOUND => Problem::new(Code::NotFound, "no route has this address"),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(Code::MethodNotAllowed, "this address has other methods"),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::PayloadTooLarge, "the body is too large").closing(),
        status if status.is_client_error() => Problem::invalid("the request cannot be read"),
        _ => Problem::internal(format!("a route answered {status} without a word")),
    };
    Some(problem)
}
