//! One request as it came in, and one answer before a fault has had its way with it.

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// As on the wire, not decoded: K3Cloud signs these very characters.
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// `ok`, or in a word why not; the journal counts by it.
    pub outcome: String,
    /// What the journal may show of the request. Never a secret, a signature or a session.
    pub note: Value,
}

impl Reply {
    pub fn json(body: String, outcome: impl Into<String>, note: Value) -> Self {
        Self {
            status: 200,
            content_type: "application/json;charset=UTF-8",
            headers: Vec::new(),
            body,
            outcome: outcome.into(),
            note,
        }
    }

    pub fn text(status: u16, body: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/plain;charset=UTF-8",
            headers: Vec::new(),
            body: body.into(),
            outcome: outcome.into(),
            note: Value::Null,
        }
    }

    pub fn html(status: u16, body: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self { content_type: "text/html;charset=UTF-8", ..Self::text(status, body, outcome) }
    }
}
