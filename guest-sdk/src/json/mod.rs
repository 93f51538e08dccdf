//! JSON both ways, with the field that failed named by JSON Pointer.
//!
//! A good document is read by [`reader`] and written by [`writer`], which do what serde_json does and cost less: most of
//! the time that a component takes goes there. Only a document that cannot be read is read again, by serde_json, with its
//! path tracked; so a good document pays nothing for the good message of a bad one. Messages never repeat a value, because
//! values are personal data.

pub(crate) mod raw;
mod reader;
#[cfg(test)]
mod same;
mod scan;
mod text_only;
pub(crate) mod writer;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

pub use scan::is_json;

use crate::decimal::{NOT_A_NUMBER, NotExact};
use crate::{Document, Rejection};

impl Document {
    /// Reads the body into a typed struct, borrowing from it where the struct borrows.
    ///
    /// Fields that the struct does not name are passed over. See [`Rejection`] for what can go wrong and its codes.
    pub fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Rejection> {
        from_str(&self.body)
    }
}

/// Reads JSON text into a typed value. See [`Document::parse`].
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Rejection> {
    from_str_at(text, String::new)
}

/// Like [`from_str`], for the text of a value that stands at the JSON Pointer `at` of the document, which is asked for
/// only where the text cannot be read.
pub(crate) fn from_str_at<'de, T: Deserialize<'de>>(
    text: &'de str,
    at: impl FnOnce() -> String,
) -> Result<T, Rejection> {
    match reader::read(text) {
        Some(value) => Ok(value),
        None => by_serde_json(text, at),
    }
}

/// Has the last word where [`reader`] could not read the text.
#[cold]
fn by_serde_json<'de, T: Deserialize<'de>>(text: &'de str, at: impl FnOnce() -> String) -> Result<T, Rejection> {
    serde_json::from_str(text).map_err(|error| explain::<T>(text, &at(), &error))
}

/// Writes a value as compact JSON, with each [`Decimal`](crate::Decimal) as the exact number.
///
/// Refuses only what JSON cannot hold, such as a map whose keys are not strings: code `body_unwritable`.
pub fn to_string(value: &impl Serialize) -> Result<String, Rejection> {
    writer::write(value).map_err(|error| Rejection::new("body_unwritable", error.to_string()))
}

/// For `#[serde(default, deserialize_with = "crossdock_guest::blank_as_none")]`: reads `""` as `None`, like a missing
/// or null field. Some vendors write an optional amount or date so.
pub fn blank_as_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    match raw::Raw::deserialize(deserializer)?.get() {
        "null" | "\"\"" => Ok(None),
        text => match reader::read(text) {
            Some(value) => Ok(Some(value)),
            None => serde_json::from_str(text).map(Some).map_err(serde::de::Error::custom),
        },
    }
}

#[cold]
fn explain<'de, T: Deserialize<'de>>(text: &'de str, at: &str, error: &serde_json::Error) -> Rejection {
    if !error.is_data() {
        return malformed(error);
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => malformed(error),
        Err(error) => explain_field(text, at, error.path(), &error.inner().to_string()),
    }
}

fn malformed(error: &serde_json::Error) -> Rejection {
    Rejection::new(
        "malformed_json",
        format!("the document is not valid JSON: line {}, column {}", error.line(), error.column()),
    )
}

/// serde_json words its errors as `REASON at line L column C`, and serde the reason as `missing field `NAME`` or
/// `invalid type: FOUND, expected WANTED`; tests below hold them to it. `FOUND` is the value, so it is left out.
fn explain_field(text: &str, at: &str, path: &serde_path_to_error::Path, error: &str) -> Rejection {
    let reason = error.split(" at line ").next().unwrap_or(error);
    let mut segments: Vec<Cow<'_, str>> = path.iter().filter_map(segment).collect();
    if let Some(name) = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        segments.push(name.into());
    }
    let pointer = pointer(at, &segments);
    let name = if pointer.is_empty() { "the document" } else { &pointer };
    let wanted = reason.rsplit_once("expected ").map_or("another value", |(_, wanted)| wanted);

    let rejection = match find(text, &segments) {
        None => return Rejection::missing(pointer),
        Some("null") => Rejection::new("field_null", format!("{name} is null, expected {wanted}")),
        Some(found) if reason.starts_with("invalid type") => {
            Rejection::new("field_type", format!("{name} is {}, expected {wanted}", kind(found)))
        }
        Some(_) if reason == NOT_A_NUMBER => Rejection::new("not_a_number", format!("{name} {reason}")),
        Some(_) if reason == NotExact::MESSAGE => Rejection::new("number_not_exact", format!("{name} {reason}")),
        Some(_) if reason.starts_with("invalid ") || reason.starts_with("unknown ") => {
            Rejection::new("field_invalid", format!("{name} is not valid, expected {wanted}"))
        }
        Some(_) => Rejection::new("field_invalid", format!("{name}: {reason}")),
    };
    rejection.at(pointer)
}

fn segment(segment: &Segment) -> Option<Cow<'_, str>> {
    match segment {
        Segment::Seq { index } => Some(index.to_string().into()),
        Segment::Map { key } => Some(key.as_str().into()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The pointer of what lies at `segments` below the pointer `at`.
pub(crate) fn pointer(at: &str, segments: &[impl AsRef<str>]) -> String {
    let mut pointer = at.to_owned();
    for segment in segments {
        pointer.push('/');
        for part in segment.as_ref().split_inclusive(['~', '/']) {
            match part.strip_suffix(['~', '/']) {
                None => pointer.push_str(part),
                Some(plain) => {
                    pointer.push_str(plain);
                    pointer.push_str(if part.ends_with('~') { "~0" } else { "~1" });
                }
            }
        }
    }
    pointer
}

/// The text of the value at a path, or `None` where there is no such field.
fn find<'a>(text: &'a str, segments: &[Cow<'_, str>]) -> Option<&'a str> {
    let mut found = text.trim_ascii();
    for segment in segments {
        let inner: &RawValue = if found.starts_with('[') {
            let rows: Vec<&RawValue> = serde_json::from_str(found).ok()?;
            rows.get(segment.parse::<usize>().ok()?)?
        } else {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(found).ok()?;
            fields.get(segment.as_ref())?
        };
        found = inner.get();
    }
    Some(found)
}

fn kind(found: &str) -> &'static str {
    match found.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Date, Decimal, Text};

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Bill<'a> {
        #[serde(borrow)]
        no: Text<'a>,
        day: Option<Date>,
        #[serde(default, deserialize_with = "blank_as_none")]
        discount: Option<Decimal>,
        items: Vec<Item<'a>>,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Item<'a> {
        #[serde(borrow, rename = "sku/id~")]
        sku: Text<'a>,
        qty: Decimal,
    }

    #[track_caller]
    fn check(body: &str, code: &str, field: Option<&str>, message: &str) {
        let rejection = from_str::<Bill<'_>>(body).expect_err(body);
        assert_eq!((rejection.code(), rejection.field(), rejection.message()), (code, field, message), "{body}");
    }

    #[test]
    fn names_the_field_that_is_missing_null_or_of_another_type() {
        let row = |qty: &str| format!(r#"{{"no":1,"items":[{{"sku/id~":"a","qty":1}},{{"sku/id~":"b"{qty}}}]}}"#);
        let at = Some("/items/1/qty");
        check(&row(""), "field_missing", at, "/items/1/qty is missing");
        check(&row(r#","qty":null"#), "field_null", at, "/items/1/qty is null, expected a decimal number");
        check(&row(r#","qty":true"#), "field_type", at, "/items/1/qty is a boolean, expected a decimal number");
        check(&row(r#","qty":[1]"#), "field_type", at, "/items/1/qty is an array, expected a decimal number");
        check(&row(r#","qty":"two""#), "not_a_number", at, "/items/1/qty is not a decimal number");
        check(&row(r#","qty":1e99"#), "number_not_exact", at, &format!("/items/1/qty {}", NotExact::MESSAGE));
    }

    #[test]
    fn names_fields_at_the_top_and_escapes_them_as_rfc_6901_asks() {
        check("{}", "field_missing", Some("/no"), "/no is missing");
        check(r#"{"no":1}"#, "field_missing", Some("/items"), "/items is missing");
        check(r#"{"no":1,"items":null}"#, "field_null", Some("/items"), "/items is null, expected a sequence");
        check(r#"{"no":1,"items":{}}"#, "field_type", Some("/items"), "/items is an object, expected a sequence");
        check(
            r#"{"no":1,"items":[{"qty":1}]}"#,
            "field_missing",
            Some("/items/0/sku~1id~0"),
            "/items/0/sku~1id~0 is missing",
        );
    }

    #[test]
    fn a_message_never_repeats_the_value() {
        for body in [
            r#"{"no":1,"day":"王小明","items":[]}"#,
            r#"{"no":1,"items":"王小明"}"#,
            r#"{"no":1,"items":[{"sku/id~":"a","qty":"王小明"}]}"#,
            r#"{"no":1,"discount":"王小明","items":[]}"#,
        ] {
            let rejection = from_str::<Bill<'_>>(body).expect_err(body);
            assert!(!rejection.message().contains("王小明"), "{rejection}");
            assert!(rejection.field().is_some(), "{rejection}");
        }
    }

    #[test]
    fn malformed_json_is_located_by_line_and_column() {
        check(
            "{\n \"no\": 1,\n \"items\": [}",
            "malformed_json",
            None,
            "the document is not valid JSON: line 3, column 12",
        );
        check("", "malformed_json", None, "the document is not valid JSON: line 1, column 0");
        check(r#"{"no":1,"items":[]} x"#, "malformed_json", None, "the document is not valid JSON: line 1, column 21");
    }

    #[test]
    fn a_blank_optional_amount_is_none_and_a_wrong_one_is_named() {
        let discount = |text: &str| {
            from_str::<Bill<'_>>(&format!(r#"{{"no":1,"discount":{text},"items":[]}}"#)).map(|bill| bill.discount)
        };
        assert_eq!(discount("\"\"").expect("blank"), None);
        assert_eq!(discount("null").expect("null"), None);
        assert_eq!(discount("\"0.50\"").expect("an amount").unwrap_or_default().to_string(), "0.50");
        let why = discount("\"x\"").expect_err("not an amount");
        assert_eq!((why.code(), why.field()), ("not_a_number", Some("/discount")));
    }
}
