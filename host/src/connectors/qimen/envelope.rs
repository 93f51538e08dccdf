//! The gateway's two envelopes, and what its error codes mean to us.
//!
//! Custom scenarios answer `{"response":{…}}` for success and failure alike; the ordinary gateway answers
//! `{"error_response":{…}}` with other field names. Both come with HTTP 200.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::connectors::http::Reply;
use crate::connectors::{Error, text};

/// A success: the text of the `response` object, for the connector to read.
#[derive(Debug)]
pub struct Answered {
    pub response: String,
    /// The page as it came, for [`Error::Unreadable`].
    pub bytes: Bytes,
}

impl Answered {
    pub fn unreadable(&self, detail: impl Into<String>) -> Error {
        Error::Unreadable { detail: detail.into(), bytes: self.bytes.clone() }
    }
}

/// A value that vendors write as a number in one release and as text in the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "serde_json::Value")]
pub struct Loose(pub Option<String>);

impl From<serde_json::Value> for Loose {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Loose(None),
            serde_json::Value::String(text) => Loose(Some(text)),
            other => Loose(Some(other.to_string())),
        }
    }
}

impl Loose {
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }
    pub fn number(&self) -> Option<i64> {
        self.as_str().trim().parse().ok()
    }
}

impl fmt::Display for Loose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Deserialize)]
struct Root<'a> {
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error_response: Option<&'a RawValue>,
}

/// The verdict's fields of either envelope.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Verdict {
    flag: Loose,
    code: Loose,
    #[serde(alias = "msg")]
    message: Loose,
    sub_code: Loose,
    #[serde(alias = "sub_msg")]
    sub_message: Loose,
    request_id: Loose,
}

/// Reads an answer: the `response` of a success, or the error that a failure is.
pub fn read(reply: &Reply, clock_tolerance_seconds: u32) -> Result<Answered, Error> {
    let text = match text::decode(&reply.body) {
        Ok(text) => text,
        Err(_) if !reply.is_success() => return Err(reply.server_error()),
        Err(error) => return Err(error),
    };
    let unreadable = |detail: String| Error::Unreadable { detail, bytes: reply.body.clone() };
    let root: Root<'_> = match serde_json::from_str(&text) {
        Ok(root) => root,
        Err(_) if !reply.is_success() => return Err(reply.server_error()),
        Err(error) => return Err(unreadable(format!("not the gateway's JSON: {error}"))),
    };
    let (body, failed) = match (root.error_response, root.response) {
        (Some(body), _) => (body, true),
        (None, Some(body)) => (body, false),
        (None, None) if !reply.is_success() => return Err(reply.server_error()),
        (None, None) => return Err(unreadable("neither response nor error_response".into())),
    };
    let verdict: Verdict =
        serde_json::from_str(body.get()).map_err(|error| unreadable(format!("not a response object: {error}")))?;
    // One generation of the vendor's classes calls an empty flag a success, another tests for "failure", and a code
    // without either has been seen only on failures.
    let flagged = verdict.flag.as_str() == "failure";
    let coded = verdict.flag.as_str().is_empty() && !matches!(verdict.code.as_str(), "" | "0");
    if failed || flagged || coded {
        return Err(failure(reply, &verdict, clock_tolerance_seconds));
    }
    if !reply.is_success() {
        return Err(reply.server_error());
    }
    Ok(Answered { response: body.get().to_owned(), bytes: reply.body.clone() })
}

fn failure(reply: &Reply, verdict: &Verdict, clock_tolerance_seconds: u32) -> Error {
    let detail = words(verdict);
    let code = match verdict.sub_code.as_str() {
        "" => verdict.code.to_string(),
        sub_code => format!("{}/{sub_code}", verdict.code),
    };
    let credentials = || Error::CredentialsRefused { detail: detail.clone() };
    let clock_or_credentials = || reply.clock_error(clock_tolerance_seconds).unwrap_or_else(credentials);
    let unknown = || Error::Unknown { code: code.clone(), message: detail.clone() };
    let server = || reply.vendor_failed(detail.clone());
    let throttled = || Error::Throttled { wait: ban(&detail), detail: detail.clone() };
    match verdict.code.number() {
        // Calls over a limit: of the user, the session, the partner, the application, its frequency.
        Some(4..=8) => throttled(),
        Some(10) => server(),
        // Permissions of the application, the user or the partner, and forbidden requests: a person grants them.
        Some(11..=13 | 42) => credentials(),
        Some(15 | 50) => provider(verdict, &detail, reply),
        Some(24 | 26..=29) => credentials(),
        // A wrong signature or timestamp: our clock, where it is that far off, else the key.
        Some(25 | 30 | 31) => clock_or_credentials(),
        // What the settings name does not exist, or the request is not what the interface wants: more calls won't help.
        Some(9 | 21..=23 | 32..=34 | 40 | 41 | 43) => unknown(),
        _ => provider(verdict, &detail, reply),
    }
}

/// A failure that the ERP behind the gateway raised, or the gateway about the ERP.
fn provider(verdict: &Verdict, detail: &str, reply: &Reply) -> Error {
    let sub_code = verdict.sub_code.as_str();
    if sub_code.starts_with("isp.call-limited") || sub_code.starts_with("accesscontrol.limited") {
        return Error::Throttled { wait: ban(detail), detail: detail.to_owned() };
    }
    if sub_code == "sign-check-failure" {
        return Error::CredentialsRefused { detail: detail.to_owned() };
    }
    // No answer from the ERP, or none that the gateway understood: whether it acted is not known.
    if sub_code.is_empty() || sub_code.starts_with("isp.") {
        return reply.vendor_failed(detail.to_owned());
    }
    Error::Refused { code: sub_code.to_owned(), message: detail.to_owned() }
}

/// The vendor's words, the more telling ones first.
fn words(verdict: &Verdict) -> String {
    let mut words = String::new();
    for part in [&verdict.sub_message, &verdict.message] {
        if !part.as_str().is_empty() {
            words.push_str(if words.is_empty() { "" } else { "; " });
            words.push_str(&text::excerpt(part.as_str()));
        }
    }
    if words.is_empty() {
        words.push_str("the vendor gave no words");
    }
    words.push_str(&format!(" (code {}", verdict.code));
    for (name, part) in [("sub_code", &verdict.sub_code), ("request_id", &verdict.request_id)] {
        if !part.as_str().is_empty() {
            words.push_str(&format!(", {name} {}", text::excerpt(part.as_str())));
        }
    }
    words.push(')');
    words
}

/// The wait in "This ban will last for 2 more seconds", which can be the rest of a day.
fn ban(detail: &str) -> Option<Duration> {
    let (_, rest) = detail.split_once("ban will last for ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str, skew_seconds: i64) -> Reply {
        let now: jiff::Timestamp = "2026-01-15T02:30:00Z".parse().unwrap();
        Reply {
            host: "gateway".into(),
            status,
            headers: Default::default(),
            body: Bytes::from(body.to_owned()),
            date: Some(now - jiff::SignedDuration::from_secs(skew_seconds)),
            received_at: now,
            hearing: Default::default(),
        }
    }

    fn fails(body: &str) -> Error {
        read(&reply(200, body, 0), 300).unwrap_err()
    }

    fn coded(code: u32, sub_code: &str) -> String {
        format!(
            r#"{{"response":{{"flag":"failure","code":{code},"message":"m","sub_code":"{sub_code}","sub_message":"s"}}}}"#
        )
    }

    #[test]
    fn hands_out_the_response_of_a_success() {
        let page = r#"{"response":{"request_id":"1","datas":[1.10, 2]}}"#;
        let answered = read(&reply(200, page, 0), 300).unwrap();
        assert_eq!(answered.response, r#"{"request_id":"1","datas":[1.10, 2]}"#);
    }

    #[test]
    fn waits_as_long_as_the_ban_says_in_both_envelopes() {
        let custom = r#"{"response":{"flag":"failure","code":7,"message":"App Call Limited","sub_code":"accesscontrol.limited-by-app-api-access-count","sub_message":"This ban will last for 2 more seconds"}}"#;
        let ordinary = r#"{"error_response":{"code":7,"msg":"App Call Limited","sub_code":"accesscontrol.limited-by-app-access-count","sub_msg":"This ban will last for 31062 more seconds"}}"#;
        for (body, seconds) in [(custom, 2), (ordinary, 31062)] {
            let error = fails(body);
            assert!(matches!(error, Error::Throttled { wait: Some(wait), .. } if wait.as_secs() == seconds), "{error}");
        }
        assert!(matches!(fails(&coded(15, "isp.call-limited")), Error::Throttled { wait: None, .. }));
    }

    #[test]
    fn tells_a_wrong_clock_from_a_wrong_key() {
        for code in [25, 31] {
            let body = coded(code, "");
            assert!(matches!(read(&reply(200, &body, 0), 300).unwrap_err(), Error::CredentialsRefused { .. }));
            let error = read(&reply(200, &body, -900), 300).unwrap_err();
            assert!(matches!(error, Error::ClockWrong { skew_seconds: -900, .. }), "{error}");
        }
        assert!(matches!(read(&reply(200, &coded(29, ""), 900), 300).unwrap_err(), Error::CredentialsRefused { .. }));
    }

    #[test]
    fn every_kind_of_failure_becomes_what_happens_next() {
        for code in [22, 21, 40, 41] {
            assert!(matches!(fails(&coded(code, "")), Error::Unknown { .. }), "{code}");
        }
        for body in [coded(10, ""), coded(15, "isp.top-remote-connection-timeout"), coded(15, "")] {
            assert!(matches!(fails(&body), Error::Server { .. }), "{body}");
        }
        let refused = fails(&coded(15, "1012"));
        assert!(matches!(&refused, Error::Refused { code, .. } if code == "1012"), "{refused}");
        assert!(matches!(fails(&coded(15, "sign-check-failure")), Error::CredentialsRefused { .. }));
        assert!(matches!(fails(r#"{"response":{"code":"25","message":"x"}}"#), Error::CredentialsRefused { .. }));
    }

    #[test]
    fn what_is_not_an_envelope_is_unreadable_or_a_server_error() {
        for body in ["", "<html>", "[]", "{}", r#"{"response":3}"#, r#"{"response":{}"#] {
            assert!(matches!(fails(body), Error::Unreadable { .. }), "{body}");
            let error = read(&reply(502, body, 0), 300).unwrap_err();
            assert!(matches!(error, Error::Server { status: 502, .. } | Error::Unreadable { .. }), "{body}: {error}");
        }
        let gateway = read(&reply(403, &coded(29, ""), 0), 300).unwrap_err();
        assert!(matches!(gateway, Error::CredentialsRefused { .. }), "a readable verdict counts more than the status");
    }
}
