//! The one HTTP client.
//!
//! Every exchange with a vendor goes through [`Line::send`], so there is one place that bounds time and bytes, tells a
//! request that surely never left from one that may have been carried out, and keeps credentials out of logs and
//! errors: addresses appear as their host alone, headers and bodies not at all. It follows no redirect (a credential
//! would travel to wherever the answer points), asks no environment variable for a proxy, speaks HTTP/1.1 only (K3Cloud
//! sites answer 502 to HTTP/2), and repeats nothing by itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, Url};
use tracing::Instrument as _;

use super::clock::{Clock, SystemClock};
use super::limits::Limits;
use super::reach::{self, Guard, Networks};
use super::road::{Hearing, Pass, Road, Turn};
use super::turns::Caller;
use super::{Error, text};
use crate::config::Secret;

/// A connection is worth waiting for only shortly: a site that does not even accept one is down, and the pipeline has
/// better things to do than to hold a worker for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are given up before the vendors' servers do it (IIS after 120 s, gateways after 60 s): a request
/// sent into a connection that closes at that instant counts as one that may have been carried out.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// What all connections share: the pool, the TLS set-up, the clock. Cloning is cheap.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    /// For connections that go to the public internet and to these networks alone. Without it, they go nowhere.
    guarded: Option<(reqwest::Client, Networks)>,
    clock: Arc<dyn Clock>,
    caller: Caller,
}

/// As a scheme's where it says nothing.
const PRIORITY: u8 = 5;
/// A defect of Crossdock's, and no request.
const NO_GUARD: &str = "tenants' connections are not used here";
/// The caller of what is no scheme's own, such as a reference table. No scheme has this name.
const ENGINE: &str = "!engine";

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

/// Why no client could be built: above all the operator's proxy address.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up: {0}")]
pub struct SetupError(String);

impl Http {
    /// `proxy` is the operator's, from the configuration; none is taken from the environment.
    pub fn new(proxy: Option<&str>) -> Result<Self, SetupError> {
        Self::with_clock(proxy, Arc::new(SystemClock))
    }

    /// The same, where tenants' connections may reach these networks beside the public internet.
    pub fn with_networks(proxy: Option<&str>, networks: Networks) -> Result<Self, SetupError> {
        let http = Self::new(proxy)?;
        // No proxy: it would resolve the names, and reach what it reaches.
        let client = client(None, Some(Guard(networks.clone())))?;
        Ok(Self { guarded: Some((client, networks)), ..http })
    }

    pub fn with_clock(proxy: Option<&str>, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client(proxy, None)?;
        let caller = Caller { name: ENGINE.into(), priority: PRIORITY };
        Ok(Self { client, guarded: None, clock, caller })
    }

    /// The same, for a caller with its own share of each connection that it uses.
    pub fn with_caller(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn client(proxy: Option<&str>, guard: Option<Guard>) -> Result<reqwest::Client, SetupError> {
    let guard = guard.map(Arc::new);
    let builder = || -> Result<reqwest::ClientBuilder, SetupError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("crossdock/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .gzip(true)
            .no_proxy();
        if let Some(guard) = &guard {
            builder = builder.dns_resolver(guard.clone());
        }
        let Some(proxy) = proxy else { return Ok(builder) };
        // The address may carry a password, so the library's own words are not passed on.
        let proxy = reqwest::Proxy::all(proxy).map_err(|_| SetupError("the proxy's address is not usable".into()))?;
        Ok(builder.proxy(proxy))
    };
    match builder()?.build() {
        Ok(client) => Ok(client),
        // A machine without certificate authorities can still talk to a vendor on its own network; https then
        // refuses every certificate instead of the whole engine refusing to start.
        Err(error) => {
            tracing::warn!(error = chain(&error.without_url()), "no certificate authorities: https will not work");
            let bare = builder()?.tls_certs_only([]).build();
            bare.map_err(|error| SetupError(chain(&error.without_url())))
        }
    }
}

/// One request.
pub struct Request {
    pub method: Method,
    pub url: Url,
    /// The interface's name, for the log.
    pub operation: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What of it proves who asks. Should the answer quote it, it is blanked before anybody sees the answer.
    pub private: Vec<Secret>,
}

/// One answer, whatever its status.
pub struct Reply {
    pub host: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What the vendor's clock said, from the `Date` header.
    pub date: Option<Timestamp>,
    /// What ours said when the answer's head arrived.
    pub received_at: Timestamp,
    pub(super) hearing: Hearing,
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Seconds our clock is ahead of the vendor's.
    pub fn skew_seconds(&self) -> Option<i64> {
        Some(self.received_at.as_second() - self.date?.as_second())
    }

    /// The clocks as the cause of a refused signature or timestamp, where they differ by more than `tolerance_seconds`.
    pub fn clock_error(&self, tolerance_seconds: u32) -> Option<Error> {
        let skew_seconds = self.skew_seconds()?;
        (skew_seconds.unsigned_abs() > u64::from(tolerance_seconds))
            .then(|| Error::ClockWrong { host: self.host.clone(), skew_seconds })
    }

    /// For a status that is not a success and a body that says nothing better.
    pub fn server_error(&self) -> Error {
        self.vendor_failed(text::excerpt(&String::from_utf8_lossy(&self.body)))
    }

    /// The answer of a vendor that is not able to answer. Counts towards the vendor being down.
    pub fn vendor_failed(&self, detail: String) -> Error {
        self.hearing.set_failed(true);
        Error::Server { host: self.host.clone(), status: self.status, detail }
    }

    /// What looked like a failure of the vendor's is its answer all the same.
    pub fn vendor_answered(&self) {
        self.hearing.set_failed(false);
    }
}

/// One caller's use of a connection: the shared client, on the connection's road.
#[derive(Clone, Debug)]
pub struct Line {
    http: Http,
    limits: Arc<Limits>,
    road: Road,
}

impl Line {
    pub fn new(http: &Http, limits: Arc<Limits>, road: Road) -> Self {
        Self { http: http.clone(), limits, road }
    }

    pub fn now(&self) -> Timestamp {
        self.http.now()
    }
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Waits for its turn, sends, and reads the whole answer. [`Error::Unreachable`], [`Error::Throttled`] and
    /// [`Error::CircuitOpen`] mean that nothing left this machine; [`Error::AnswerLost`] and [`Error::TooLarge`] that it
    /// may have been carried out.
    pub async fn send(&self, request: Request) -> Result<Reply, Error> {
        let mut turn = match Pass::carried(&self.road) {
            Some(turn) => turn,
            None => self.road.enter(&self.http.caller).await?,
        };
        turn.leave().await?;
        let host = host_of(&request.url);
        let span = tracing::info_span!(
            "vendor_request",
            host = host,
            operation = request.operation,
            status = tracing::field::Empty,
            bytes = tracing::field::Empty,
            ms = tracing::field::Empty,
        );
        let started = Instant::now();
        let result = self.exchange(host, request).instrument(span.clone()).await;
        let result = heard(turn, result);
        span.record("ms", u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        if let Ok(reply) = &result {
            span.record("status", reply.status);
            span.record("bytes", reply.body.len());
        }
        span.in_scope(|| match &result {
            Ok(_) => tracing::debug!("the vendor answered"),
            Err(error) => tracing::info!(%error, "the exchange failed"),
        });
        result
    }

    async fn exchange(&self, host: String, request: Request) -> Result<Reply, Error> {
        let timeout = self.limits.timeout();
        let private = request.private;
        let lost = |error: reqwest::Error| {
            let (host, detail) = (host.clone(), chain(&error.without_url()));
            Error::AnswerLost { host, after: timeout, detail }
        };
        let client = match self.road.is_guarded() {
            false => &self.http.client,
            true => {
                // Never by the other client instead: it goes wherever it is told.
                let Some((client, networks)) = &self.http.guarded else {
                    return Err(Error::Unreachable { host, detail: NO_GUARD.into() });
                };
                // A name is judged where it is resolved; an address is never resolved.
                if address_of(&request.url).is_some_and(|address| !reach::is_allowed(address, networks)) {
                    return Err(Error::Unreachable { host, detail: reach::NOT_ALLOWED.into() });
                }
                client
            }
        };
        let sending = client
            .request(request.method, request.url)
            .headers(request.headers)
            .timeout(timeout)
            .body(request.body)
            .send();
        let mut response = match sending.await {
            Ok(response) => response,
            // Only these two are sure: the request could not be built, or no connection came about.
            Err(error) if error.is_connect() || error.is_builder() => {
                return Err(Error::Unreachable { host, detail: chain(&error.without_url()) });
            }
            Err(error) => return Err(lost(error)),
        };
        let received_at = self.http.now();
        let limit_bytes = self.limits.response_limit_bytes;
        if response.content_length().is_some_and(|length| length > limit_bytes) {
            return Err(Error::TooLarge { limit_bytes });
        }
        // Chunks arrive decompressed, so a small answer that unpacks into a large one stops here too.
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if (body.len() + chunk.len()) as u64 > limit_bytes {
                return Err(Error::TooLarge { limit_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        let date = response.headers().get(DATE).and_then(|value| parse_date(value.to_str().ok()?));
        Ok(Reply {
            host,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: text::without(body.freeze(), &private),
            date,
            received_at,
            hearing: Hearing::default(),
        })
    }
}

/// Tells the road what the exchange says of the vendor, as far as it is clear before the answer is read.
fn heard(turn: Turn, result: Result<Reply, Error>) -> Result<Reply, Error> {
    match result {
        Ok(reply) => Ok(Reply { hearing: turn.answered(), ..reply }),
        Err(error) => {
            match error.is_outage() {
                true => turn.failed(),
                false => drop(turn.answered()),
            }
            Err(error)
        }
    }
}

fn parse_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// The host, where it is written as an address.
fn address_of(url: &Url) -> Option<std::net::IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}

fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "no host".to_owned(),
    }
}

/// An error with its causes, each said once. The library's own first line says little more than "error sending request",
/// and some of its causes say their own causes as well.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if said.last().is_some_and(|last| words.starts_with(last.as_str())) {
            said.pop();
        }
        if !said.iter().any(|before| before.contains(&words)) {
            said.push(words);
        }
        cause = error.source();
    }
    said.join(": ")
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
