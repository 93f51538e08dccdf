//! One server's API, with a token.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH};
use reqwest::{Method, Response, redirect};
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use crate::config::Secret;
use crate::daemon;

/// Longer than the server takes over anything: a comparison, an upload over a slow line.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one answer that is read whole. A page of documents is a few megabytes at most.
const ANSWER_LIMIT_BYTES: usize = 256 << 20;
/// Entries that are asked for at once; the server gives no more.
const PAGE: usize = 500;

/// Why the server did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be asked for.
    #[error("{0}")]
    Usage(String),
    #[error("{server} cannot be reached: {why}")]
    Unreachable { server: String, why: String },
    /// In the server's words.
    #[error("{}", .0.told())]
    Problem(Box<Problem>),
    #[error("{server} answered with what is no answer of Crossdock's API: {why}")]
    Strange { server: String, why: String },
    #[error("{0}")]
    File(String),
}

/// The problem document.
#[derive(Debug, Deserialize)]
pub struct Problem {
    pub title: String,
    pub status: u16,
    #[serde(default)]
    pub detail: String,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub instance: String,
    #[serde(default)]
    pub errors: Vec<Entry>,
    #[serde(default)]
    pub resets_at: Option<String>,
}

/// One place that is wrong.
#[derive(Debug, Deserialize)]
pub struct Entry {
    #[serde(default)]
    pub pointer: String,
    pub detail: String,
    #[serde(default)]
    pub remedy: String,
}

impl Problem {
    fn told(&self) -> String {
        let mut text = format!("{}: {} ({})", self.title, self.detail, self.code);
        for Entry { pointer, detail, remedy } in &self.errors {
            // Of the whole body it was said already.
            if !(pointer.is_empty() && *detail == self.detail) {
                let separator = if pointer.is_empty() { "" } else { ": " };
                text.push_str(&format!("\n  {pointer}{separator}{detail}"));
            }
            if !remedy.is_empty() {
                text.push_str(&format!("\n    mend: {remedy}"));
            }
        }
        if let Some(at) = &self.resets_at {
            text.push_str(&format!("\n  there is room again at {at}"));
        }
        match self.status {
            401 => text.push_str("\n  mend: log in with a token that is valid: crossdock login"),
            500.. => text.push_str(&format!("\n  the engine's log says more under {}", self.instance)),
            _ => {}
        }
        text
    }
}

/// What was answered, and of which revision it is.
#[derive(Debug)]
pub struct Answer {
    pub revision: Option<u64>,
    pub body: Value,
}

pub struct Server {
    http: reqwest::Client,
    base: Url,
    tenant: Option<String>,
}

/// A request to be made up.
#[derive(Default)]
pub struct Ask {
    pub query: Vec<(&'static str, String)>,
    /// The revision that is expected.
    pub expected: Option<u64>,
    pub body: Body,
}

#[derive(Default)]
pub enum Body {
    #[default]
    Nothing,
    Json(Value),
    Bytes {
        content_type: String,
        bytes: Vec<u8>,
    },
}

impl Server {
    /// `tenant` wins over the token's own.
    pub fn new(server: &str, token: &Secret, insecure_http: bool, tenant: Option<&str>) -> Result<Self, Error> {
        let base = base_url(server, insecure_http)?;
        daemon::install_tls();
        let text = format!("Bearer {}", token.expose());
        let mut bearer = HeaderValue::from_str(&text).map_err(|_| Error::Usage("the token is not usable".into()))?;
        bearer.set_sensitive(true);
        let mut http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            // A token goes where its owner said and nowhere else.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| Error::Usage(format!("no client: {error}")))?;
        // `cd1~TENANT~ID~SECRET`; the operator's has none.
        let own = token.expose().split('~').nth(1).filter(|tenant| !tenant.is_empty());
        let tenant = tenant.or(own).map(ToOwned::to_owned);
        Ok(Self { http, base, tenant })
    }

    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// Below the tenant's address.
    pub fn of_tenant<'a>(&'a self, rest: &[&'a str]) -> Result<Vec<&'a str>, Error> {
        let usage = || Error::Usage("an operator's token belongs to no tenant: say which with --tenant".into());
        let tenant = self.tenant.as_deref().ok_or_else(usage)?;
        Ok(["v1", "tenants", tenant].into_iter().chain(rest.iter().copied()).collect())
    }

    pub async fn ask(&self, method: Method, path: &[&str], ask: Ask) -> Result<Answer, Error> {
        let response = self.send(method, path, ask).await?;
        let revision = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        let revision = revision.and_then(|tag| tag.trim_matches('"').parse().ok());
        let bytes = self.whole(response).await?;
        if bytes.is_empty() {
            return Ok(Answer { revision, body: Value::Null });
        }
        let body = serde_json::from_slice(&bytes).map_err(|error| self.strange(&error))?;
        Ok(Answer { revision, body })
    }

    pub async fn get(&self, path: &[&str]) -> Result<Answer, Error> {
        self.ask(Method::GET, path, Ask::default()).await
    }

    /// Entries of a list, at most `limit`, from as many pages as it takes.
    pub async fn list(
        &self,
        path: &[&str],
        query: Vec<(&'static str, String)>,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let mut found: Vec<Value> = Vec::new();
        let mut after: Option<String> = None;
        while found.len() < limit {
            let mut query = query.clone();
            query.push(("limit", PAGE.min(limit - found.len()).to_string()));
            query.extend(after.take().map(|after| ("after", after)));
            let mut page = self.ask(Method::GET, path, Ask { query, ..Ask::default() }).await?.body;
            match page.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => found.extend(items),
                _ => return Err(self.strange(&"a list without items")),
            }
            after = page.get("next").and_then(Value::as_str).map(ToOwned::to_owned);
            if after.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Writes an answer to `out` as it comes.
    pub async fn download(&self, path: &[&str], out: &mut impl Write) -> Result<u64, Error> {
        let mut response = self.send(Method::GET, path, Ask::default()).await?;
        let mut length = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            length += chunk.len() as u64;
            out.write_all(&chunk).map_err(|error| Error::File(error.to_string()))?;
        }
        Ok(length)
    }

    async fn send(&self, method: Method, path: &[&str], ask: Ask) -> Result<Response, Error> {
        let mut url = self.base.clone();
        // Each part is escaped as a whole, so that no name leads elsewhere.
        if path.iter().any(|part| part.is_empty() || [".", ".."].contains(part)) {
            return Err(Error::Usage(format!("{:?} is no name", path.last().copied().unwrap_or_default())));
        }
        url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(path);
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut request = self.http.request(method, url);
        if let Some(revision) = ask.expected {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        request = match ask.body {
            Body::Nothing => request,
            Body::Json(value) => request.header(CONTENT_TYPE, "application/json").body(value.to_string()),
            Body::Bytes { content_type, bytes } => request.header(CONTENT_TYPE, content_type).body(bytes),
        };
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = self.whole(response).await?;
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Err(Error::Problem(Box::new(problem))),
            Err(_) => Err(self.strange(&format!("HTTP {status}"))),
        }
    }

    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_LIMIT_BYTES {
                return Err(self.strange(&"it does not end"));
            }
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        // The innermost reason is the one that a person can do something about.
        let mut why: &dyn std::error::Error = error;
        while let Some(source) = why.source() {
            why = source;
        }
        Error::Unreachable { server: self.base.to_string(), why: why.to_string() }
    }

    fn strange(&self, why: &dyn std::fmt::Display) -> Error {
        Error::Strange { server: self.base.to_string(), why: why.to_string() }
    }
}

/// The server's address; a token travels unencrypted to this machine alone, unless that was asked for.
fn base_url(server: &str, insecure_http: bool) -> Result<Url, Error> {
    let remedy = "write it as https://crossdock.example.com";
    let url =
        Url::parse(server).map_err(|error| Error::Usage(format!("{server:?} is no address: {error}; {remedy}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Error::Usage(format!("{server:?} is no http or https address; {remedy}")));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(Error::Usage(format!("an address without a user, a query or a fragment is needed; {remedy}")));
    }
    if url.scheme() == "http" && !is_loopback(&url) && !insecure_http {
        let host = url.host_str().unwrap_or_default();
        return Err(Error::Usage(format!(
            "over http the token would cross the network to {host} unencrypted; use https, or --insecure-http where \
             that is what you want"
        )));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_unencrypted_to_this_machine_alone() {
        for good in ["http://127.0.0.1:8788", "http://localhost", "http://[::1]:1", "https://x.example/crossdock"] {
            assert!(base_url(good, false).is_ok(), "{good}");
        }
        for bad in ["http://x.example", "http://127.0.0.1.example", "http://localhost.example", "http://10.0.0.1"] {
            assert!(matches!(base_url(bad, false), Err(Error::Usage(_))), "{bad}");
            assert!(base_url(bad, true).is_ok(), "{bad}");
        }
        for bad in ["", "x", "ftp://x", "https://u:p@x", "https://x/?a=1", "https://x/#a", "file:///etc/passwd"] {
            assert!(base_url(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_problem_is_told_with_each_place_and_how_to_mend_it() {
        let text = r#"{"type":"/v1/errors/x","title":"The settings are not usable","status":422,"detail":"2 problems",
            "code":"configuration_invalid","instance":"r1","errors":[
            {"pointer":"/settings/schedule","detail":"is no schedule","remedy":"write every 5m"},
            {"pointer":"","detail":"2 problems"}]}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        let expected = "The settings are not usable: 2 problems (configuration_invalid)\n  \
                        /settings/schedule: is no schedule\n    mend: write every 5m";
        assert_eq!(problem.told(), expected);
        let unknown = Problem { status: 401, ..serde_json::from_str(text).unwrap() };
        assert!(unknown.told().ends_with("crossdock login"));
    }

    #[test]
    fn a_tenant_is_the_tokens_own_unless_another_is_named() {
        let server = |token: &str, tenant| Server::new("http://127.0.0.1:1", &Secret::new(token), false, tenant);
        let path = |token: &str, tenant| match server(token, tenant).unwrap().of_tenant(&["modules"]) {
            Ok(path) => path.join("/"),
            Err(error) => error.to_string(),
        };
        assert_eq!(path("cd1~acme~id~secret", None), "v1/tenants/acme/modules");
        assert_eq!(path("cd1~~id~secret", Some("b")), "v1/tenants/b/modules");
        assert!(path("cd1~~id~secret", None).contains("--tenant"));
        assert!(server("a\nb", None).is_err(), "a header takes no line's end");
    }
}
