//! Takes requests, lets the ordered faults strike, and asks the right system for its answer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::SignedDuration;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::confidential;
use crate::fault::{FaultBook, FaultName, Matched};
use crate::journal::{Entry, Journal};
use crate::jushuitan_qimen::Jushuitan;
use crate::kingdee_jdy::Jdy;
use crate::kingdee_k3cloud::K3Cloud;
use crate::request::{Reply, Request};
use crate::system::{System, Turn};
use crate::wangdiantong_qimen::Wangdiantong;
use crate::wire::{Link, Port};
use crate::yonyou_u8::U8;
use crate::{Error, Options, Running, admin};

/// A BatchSave of a thousand long bills is 10 MB; more than this is a client gone wild.
const REQUEST_LIMIT_BYTES: usize = 64 << 20;

/// Status line and headers take at least so much, so that half a body more is never the whole answer.
const SHORTEST_HEAD_BYTES: usize = 124;

pub struct Server {
    pub slots: Vec<Slot>,
    pub faults: Mutex<FaultBook>,
    pub journal: Mutex<Journal>,
    pub clock: Clock,
    /// What requests carried and nobody may print.
    confidential: Mutex<BTreeSet<String>>,
    chance: Mutex<ChaCha8Rng>,
    /// Requests that are carried out after their connection is gone.
    late: Mutex<JoinSet<()>>,
    stop: watch::Receiver<bool>,
}

/// One system and its name, which is needed without waiting for its lock.
pub struct Slot {
    pub name: &'static str,
    pub system: Mutex<Box<dyn System>>,
}

/// A panic elsewhere must not turn every later request into a second failure.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub async fn start(options: Options) -> Result<Running, Error> {
    if options.from >= options.to {
        return Err(Error::EmptyWindow { from: options.from, to: options.to });
    }
    let listener =
        TcpListener::bind(options.listen).await.map_err(|source| Error::Listen { address: options.listen, source })?;
    let address = listener.local_addr().map_err(|source| Error::Listen { address: options.listen, source })?;
    let (stop, stopped) = watch::channel(false);

    let systems: Vec<Box<dyn System>> = vec![
        Box::new(Jushuitan::new(&options)),
        Box::new(K3Cloud::new(&options)),
        Box::new(Wangdiantong::new(&options)),
        Box::new(U8::new(&options)),
        Box::new(Jdy::new(&options)),
    ];
    let slots: Vec<_> =
        systems.into_iter().map(|system| Slot { name: system.name(), system: Mutex::new(system) }).collect();
    let origin = format!("http://{address}");
    let credentials: serde_json::Map<_, _> =
        slots.iter().map(|slot| (slot.name.to_owned(), lock(&slot.system).ready(&origin))).collect();
    let ready = json!({"ready": true, "admin_url": format!("{origin}/admin/"), "systems": credentials});

    let server = Arc::new(Server {
        slots,
        // Streams of their own, so that ordering one fault more does not change what the documents look like.
        faults: Mutex::new(FaultBook::new(options.faults, ChaCha8Rng::seed_from_u64(options.seed ^ 0xfa01))),
        journal: Mutex::default(),
        clock: Clock::default(),
        confidential: Mutex::default(),
        chance: Mutex::new(ChaCha8Rng::seed_from_u64(options.seed ^ 0xc4a4)),
        late: Mutex::default(),
        stop: stopped.clone(),
    });
    let router = Router::new().fallback(handle).with_state(server.clone());
    let running = server.clone();
    let serving = tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<Link>();
        let ended = wait_for_stop(stopped);
        // Serving ends only when it is told to; accepting never fails for good.
        let _ = axum::serve(Port(listener), service).with_graceful_shutdown(ended).await;
        let mut late = std::mem::take(&mut *lock(&server.late));
        late.shutdown().await;
    });
    Ok(Running { addr: address, ready, server: running, stop, serving })
}

async fn wait_for_stop(mut stop: watch::Receiver<bool>) {
    // An error means that the handle is gone, which is as good as an order to stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn handle(State(server): State<Arc<Server>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_LIMIT_BYTES).await else {
        return respond(Reply::text(413, "request too large or broken off", "broken_request"));
    };
    let request = Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    if let Some(page) = request.path.strip_prefix("/admin/") {
        return respond(admin::answer(&server, &parts.method, page, &request.query, &request.body));
    }
    let Some(index) = server.slots.iter().position(|slot| lock(&slot.system).claims(&request)) else {
        return respond(Reply::text(404, "no system lives here", "no_system"));
    };
    // `wire.rs` gives every connection its link; without one a fault that cuts would be left out silently.
    let Some(ConnectInfo(link)) = parts.extensions.get::<ConnectInfo<Link>>().cloned() else {
        return respond(Reply::text(500, "the connection has no link", "no_link"));
    };
    server.serve(index, request, link).await
}

impl Server {
    async fn serve(self: Arc<Self>, index: usize, request: Request, link: Link) -> Response {
        let slot = &self.slots[index];
        let operation = lock(&slot.system).operation(&request);
        let faults = lock(&self.faults).take(slot.name, &operation);
        lock(&self.confidential).extend(confidential::of(&request));

        if faults.get(FaultName::Timeout).is_some() {
            self.note(slot.name, &operation, &faults, "fault:timeout", Value::Null);
            return self.hang(link).await;
        }
        if faults.get(FaultName::DropBefore).is_some() {
            self.note(slot.name, &operation, &faults, "fault:drop_before", Value::Null);
            return cut(&link);
        }
        if let Some(delay_ms) = faults.number(FaultName::CommitAfterDrop, 1000) {
            let server = self.clone();
            lock(&self.late).spawn(async move {
                tokio::time::sleep(milliseconds(delay_ms)).await;
                server.carry_out(index, &operation, &request, &faults);
            });
            return cut(&link);
        }
        if let Some(status) = faults.number(FaultName::Echo, 500) {
            let status = u16::try_from(status).unwrap_or(500);
            self.note(slot.name, &operation, &faults, "fault:echo", Value::Null);
            return respond(Reply::text(status, confidential::quote(&request), "fault:echo"));
        }
        if let Some(reply) = instead(&faults, false) {
            self.note(slot.name, &operation, &faults, &reply.outcome, Value::Null);
            return respond(reply);
        }

        if let Some(delay_ms) = faults.number(FaultName::Stall, 1000) {
            // The server drops this future when the client goes away.
            tokio::time::sleep(milliseconds(delay_ms)).await;
        }
        let reply = if let Some(delay_ms) = faults.number(FaultName::LateCommit, 1000) {
            let (answered, answer) = oneshot::channel();
            let (server, faults) = (self.clone(), faults.clone());
            lock(&self.late).spawn(async move {
                tokio::time::sleep(milliseconds(delay_ms)).await;
                // Nobody listens any more where the client has gone away.
                let _ = answered.send(server.carry_out(index, &operation, &request, &faults));
            });
            let Ok(reply) = answer.await else { return cut(&link) };
            reply
        } else {
            self.carry_out(index, &operation, &request, &faults)
        };

        if faults.get(FaultName::TimeoutAfterCommit).is_some() {
            return self.hang(link).await;
        }
        if faults.get(FaultName::DropAfterCommit).is_some() {
            return cut(&link);
        }
        if let Some(delay_ms) = faults.number(FaultName::LateAnswer, 1000) {
            tokio::select! {
                () = tokio::time::sleep(milliseconds(delay_ms)) => {}
                () = wait_for_stop(self.stop.clone()) => return cut(&link),
            }
        }
        if let Some(reply) = instead(&faults, true) {
            return respond(reply);
        }
        if faults.get(FaultName::Truncate).is_some() {
            link.cut_after(SHORTEST_HEAD_BYTES + reply.body.len() / 2);
        }
        distort(reply, &faults)
    }

    /// The one place where a system acts, and where that is written down.
    fn carry_out(&self, index: usize, operation: &str, request: &Request, faults: &Matched) -> Reply {
        let slot = &self.slots[index];
        let now = self.clock.now();
        let skew = SignedDuration::from_secs(faults.number(FaultName::ClockSkew, 3600).unwrap_or(0));
        let judged_by = now.checked_add(skew).unwrap_or(now);
        let mut reply = if let Some(wait_seconds) = faults.number(FaultName::Throttle, 1) {
            lock(&slot.system).throttled(request, wait_seconds)
        } else if faults.get(FaultName::Refuse).is_some() {
            lock(&slot.system).refused(request)
        } else {
            let mut chance = lock(&self.chance);
            let mut turn = Turn { now, judged_by, faults, chance: &mut chance };
            lock(&slot.system).answer(request, &mut turn)
        };
        // The clock that judged is the one that the answer shows; else a client that compares would be told a lie.
        reply.headers.push(("date", judged_by.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()));
        self.note(slot.name, operation, faults, &reply.outcome, reply.note.clone());
        reply
    }

    pub fn secrets(&self) -> BTreeSet<String> {
        let mut secrets = lock(&self.confidential).clone();
        secrets.extend(self.slots.iter().flat_map(|slot| lock(&slot.system).secrets()));
        secrets
    }

    fn note(&self, system: &str, operation: &str, faults: &Matched, outcome: &str, note: Value) {
        let at = self.clock.now();
        lock(&self.journal).record(Entry { at, system, operation, outcome, faults: faults.names(), note });
    }

    /// Ends when the client goes away (the server drops this future) or the simulator stops.
    async fn hang(&self, link: Link) -> Response {
        wait_for_stop(self.stop.clone()).await;
        cut(&link)
    }
}

fn cut(link: &Link) -> Response {
    link.cut();
    respond(Reply::text(200, "never seen", "cut"))
}

fn milliseconds(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}

/// The answer of something that stands before the vendor, or of the vendor when it is broken.
fn instead(faults: &Matched, after_commit: bool) -> Option<Reply> {
    let strikes = |name| faults.get(name).is_some() && faults.says(name, "after_commit") == after_commit;
    if strikes(FaultName::Http500) {
        return Some(Reply::text(500, "Internal Server Error: 服务器内部错误", "fault:http_500"));
    }
    if strikes(FaultName::Http502) {
        let page = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>";
        return Some(Reply::html(502, page, "fault:http_502"));
    }
    if strikes(FaultName::Html) {
        let page = "<!DOCTYPE html><html><body><form action=\"/login\">请登录</form></body></html>";
        return Some(Reply::html(200, page, "fault:html"));
    }
    if strikes(FaultName::ResponseError) {
        return Some(Reply::text(200, "response_error:系统繁忙，请稍后再试", "fault:response_error"));
    }
    if strikes(FaultName::Firewall) {
        let actions = json!([{"actionname": "showConfirm", "params": [{"message": "检测到可疑的请求数据，已被拦截"}]}]);
        return Some(Reply::json(actions.to_string(), "fault:firewall", Value::Null));
    }
    None
}

/// Faults that spoil the answer's text.
fn distort(mut reply: Reply, faults: &Matched) -> Response {
    if faults.get(FaultName::ControlCharacters).is_some() {
        // Behind the opening quote of every value: raw, as a careless vendor writes them.
        reply.body = reply.body.replace("\":\"", "\":\"\u{1}\u{b}");
    }
    if let Some(mebibytes) = faults.number(FaultName::Huge, 40) {
        let padding = "x".repeat(usize::try_from(mebibytes).unwrap_or(0) << 20);
        reply.body = format!("{{\"padding\":\"{padding}\",\"answer\":{}}}", reply.body);
    }
    if faults.get(FaultName::Gbk).is_some() {
        let bytes = encoding_rs::GBK.encode(&reply.body).0.into_owned();
        reply.body.clear();
        return build(&reply, Body::from(bytes));
    }
    respond(reply)
}

fn respond(mut reply: Reply) -> Response {
    let body = Body::from(std::mem::take(&mut reply.body));
    build(&reply, body)
}

fn build(reply: &Reply, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(*name, value);
        }
    }
    response
}
