//! What handlers take from a request, each with a problem of its own where it is not usable.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use futures::StreamExt;
use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::Segment;

use super::problem::{Answer, Code, Entry, Problem};

/// A scheme with its parameters has some 50 KiB; an uploaded table, the largest body, is told its own limit.
pub const JSON_LIMIT_BYTES: usize = 1 << 20;
/// For a whole JSON body to come.
const JSON_TIMEOUT: Duration = Duration::from_secs(20);

/// The names in a path.
pub struct Names<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        found.map(|Path(names)| Names(names)).map_err(|error| {
            // The framework's words name types; what is wrong stands behind them.
            let text = error.body_text();
            let said = text.strip_prefix("Invalid URL: ").unwrap_or(&text).to_owned();
            Problem::invalid(format!("the address is not usable: {said}"))
        })
    }
}

/// What is asked in the query.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let found = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        found.map(|axum::extract::Query(query)| Query(query)).map_err(|error| {
            let text = error.body_text();
            let said = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned();
            Problem::invalid(format!("the query is not usable: {said}"))
        })
    }
}

/// The revision that the caller believes to change, from `If-Match: "7"`; zero, from `If-None-Match: *`, where it believes
/// that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected(pub Option<u64>);

impl<S: Sync> FromRequestParts<S> for Expected {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let text = |name: HeaderName| {
            let mut values = parts.headers.get_all(name).iter();
            let first = values.next().map(|value| value.to_str().unwrap_or_default().trim().to_owned());
            (first, values.next().is_some())
        };
        let (matched, more) = text(IF_MATCH);
        let (unmatched, more_none) = text(IF_NONE_MATCH);
        let expected = match (matched.as_deref(), unmatched.as_deref()) {
            _ if more || more_none => None,
            (None, None) => return Ok(Self(None)),
            (None, Some("*")) => Some(0),
            (Some(tag), None) => {
                let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                number.and_then(|number| number.parse().ok()).filter(|number| *number > 0)
            }
            _ => None,
        };
        let usage =
            "write If-Match: \"REVISION\", as the ETag had it, or If-None-Match: * for what is not to be there yet";
        expected.map(|expected| Self(Some(expected))).ok_or_else(|| Problem::invalid(usage))
    }
}

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        is_json(request.headers())?;
        let bytes = whole(request, JSON_LIMIT_BYTES, JSON_TIMEOUT).await?;
        // A list of values in the fields' order would be taken for them.
        if !bytes.trim_ascii_start().starts_with(b"{") && !bytes.trim_ascii().is_empty() {
            return Err(Problem::invalid("the body is not a JSON object"));
        }
        read(&bytes).map(Body)
    }
}

/// The essence of `Content-Type`, in lower case.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

pub fn is_json(headers: &HeaderMap) -> Answer<()> {
    is_plain(headers)?;
    if media_type(headers).as_deref() == Some("application/json") {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "send the body as application/json").closing())
}

/// Nothing is unpacked here: some kilobytes can unpack to gigabytes.
pub fn is_plain(headers: &HeaderMap) -> Answer<()> {
    let packed = headers.get_all(CONTENT_ENCODING).iter().any(|value| value != "identity");
    if packed {
        let text = "send the body without Content-Encoding; nothing is unpacked";
        return Err(Problem::new(Code::UnsupportedMediaType, text).closing());
    }
    Ok(())
}

/// Says so where the announced length is over the limit, before a byte is read.
pub fn announced(headers: &HeaderMap, limit: u64) -> Answer<()> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    Ok(())
}

pub fn too_large(limit: u64) -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("the body is over {limit} bytes")).closing()
}

pub fn too_slow(detail: &str) -> Problem {
    Problem::new(Code::UploadTimeout, detail).closing()
}

/// The body, at most so long, in at most this time.
async fn whole(request: Request, limit: usize, patience: Duration) -> Answer<Vec<u8>> {
    announced(request.headers(), limit as u64)?;
    let mut stream = request.into_body().into_data_stream();
    let read = async {
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| Problem::invalid("the body ends early").closing())?;
            if bytes.len() + piece.len() > limit {
                return Err(too_large(limit as u64));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    let late = || too_slow("the body did not come in time");
    tokio::time::timeout(patience, read).await.unwrap_or_else(|_| Err(late()))
}

/// JSON of which every object has each of its fields once, read into what it should be.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem::invalid(format!("the body is not UTF-8 at byte {}", error.valid_up_to())))?;
    once_each(text)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let detail = clipped(&error.inner().to_string());
        let entry = Entry { pointer, detail: detail.clone(), remedy: String::new() };
        Problem::invalid(format!("the body is not what this route takes: {detail}")).with_errors(vec![entry])
    })
}

/// Two parsers make two things of a field that stands twice, so it is neither.
fn once_each(text: &str) -> Answer<()> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let walked = Once.deserialize(&mut reader).and_then(|()| reader.end());
    walked.map_err(|error| Problem::invalid(format!("the body is not usable JSON: {}", clipped(&error.to_string()))))
}

/// A parser's words may quote what was sent, and with it a secret.
fn clipped(text: &str) -> String {
    crate::telemetry::mask_text(&text.chars().take(300).collect::<String>())
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => {
            format!("/{}", key.replace('~', "~0").replace('/', "~1"))
        }
        Segment::Unknown => String::new(),
    };
    path.iter().map(step).collect()
}

struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Once)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                let name: String = name.chars().take(80).collect();
                return Err(serde::de::Error::custom(format!("the field {name:?} stands twice")));
            }
            fields.next_value_seed(Once)?;
        }
        Ok(())
    }
}

/// How much of a list, and from where.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Entries at most; a page of large ones is shorter, and has a `next`.
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<u64>,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl PageQuery {
    pub fn limit(&self) -> Answer<usize> {
        limit(self.limit)
    }
}

const PAGE: u64 = 100;
const PAGE_LIMIT: u64 = 500;

pub fn limit(wanted: Option<u64>) -> Answer<usize> {
    let wanted = wanted.unwrap_or(PAGE);
    if !(1..=PAGE_LIMIT).contains(&wanted) {
        return Err(Problem::invalid(format!("the query limit is from 1 to {PAGE_LIMIT}")));
    }
    Ok(usize::try_from(wanted).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given {
        #[allow(dead_code)]
        count: u64,
        #[allow(dead_code)]
        nested: Option<Vec<Given>>,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_with_its_place() {
        for (body, place, word) in [
            (&b"{\"count\": \"x\"}"[..], "/count", "invalid type"),
            (b"{\"count\": 1, \"nested\": [{\"count\": -1}]}", "/nested/0/count", "-1"),
            (b"{\"count\": 1e400}", "/count", "out of range"),
            (b"{\"count\": 99999999999999999999999}", "/count", "1e+23"),
            (b"{\"cuont\": 1}", "/cuont", "unknown field"),
            (b"[]", "", "invalid length"),
        ] {
            let problem = read::<Given>(body).unwrap_err();
            let told = format!("{problem:?}");
            assert!(told.contains(&format!("pointer: {place:?}")) && told.contains(word), "{told}");
        }
    }

    #[test]
    fn json_that_two_parsers_read_differently_is_refused() {
        let deep = [b"[".repeat(1_000), b"]".repeat(1_000)].concat();
        for (body, word) in [
            (&b"{\"a\": 1, \"a\": 2}"[..], "stands twice"),
            (b"{\"x\": [{\"b\": {}, \"\\u0062\": 1}]}", "stands twice"),
            (&deep, "recursion limit"),
            (b"{} {}", "trailing"),
            (b"{\"a\": \xff}", "not UTF-8 at byte 6"),
            (b"", "EOF"),
            (b"NaN", "expected"),
        ] {
            let problem = read::<Value>(body).unwrap_err();
            assert!(problem.detail().contains(word), "{problem:?}");
        }
        assert!(read::<Value>(b"{\"a\": {\"a\": [1, 1, 1e400]}}").is_ok());
    }
}
