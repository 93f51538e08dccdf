//! Reads documents from a file as people have them: an array, one object, or one a line; bodies byte for byte.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Document, DocumentKey};

/// A document whose key is not a field of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair<'a> {
    key: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// `key_field` names the field that holds the key; without one, documents must be `{"key", "body"}` pairs.
pub fn read(text: &str, key_field: Option<&str>) -> Result<Vec<Document>, String> {
    let bodies = bodies(text)?;
    if bodies.is_empty() {
        return Err("holds no documents".into());
    }
    bodies
        .into_iter()
        .enumerate()
        .map(|(at, body)| document(body, key_field).map_err(|problem| format!("document {}: {problem}", at + 1)))
        .collect()
}

fn bodies(text: &str) -> Result<Vec<&RawValue>, String> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| format!("not a JSON array: {error}"));
    }
    // One object over many lines and many objects over one line each are both a stream of values.
    serde_json::Deserializer::from_str(text)
        .into_iter::<&RawValue>()
        .collect::<Result<_, _>>()
        .map_err(|error| format!("not JSON: {error}"))
}

fn document(body: &RawValue, key_field: Option<&str>) -> Result<Document, String> {
    let (key, body) = match serde_json::from_str::<Pair<'_>>(body.get()) {
        Ok(pair) => (pair.key, pair.body.get()),
        Err(_) => (key_of(body.get(), key_field)?, body.get()),
    };
    let key = DocumentKey::new(key).map_err(|error| error.to_string())?;
    Ok(Document { key, body: body.to_owned() })
}

fn key_of(body: &str, key_field: Option<&str>) -> Result<String, String> {
    let Some(field) = key_field else {
        return Err(
            "the key field of this source is not known: name it with --key-field, or write {\"key\", \"body\"}".into(),
        );
    };
    let value: serde_json::Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    match value.get(field) {
        Some(serde_json::Value::String(key)) => Ok(key.clone()),
        Some(serde_json::Value::Number(key)) => Ok(key.to_string()),
        Some(_) => Err(format!("its key field {field:?} is neither text nor a number")),
        None => Err(format!("has no key field {field:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let read = read(text, Some("io_id")).unwrap();
        let read: Vec<_> = read.iter().map(|document| (document.key.as_str(), document.body.as_str())).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn an_array_an_object_lines_and_pairs_are_all_documents() {
        let one = r#"{"io_id":7, "qty": 1.50}"#;
        check(&format!("[{one}, {one}]"), &[("7", one), ("7", one)]);
        check("{\n  \"io_id\": \"a\"\n}\n", &[("a", "{\n  \"io_id\": \"a\"\n}")]);
        check(&format!("{one}\n{one}\n"), &[("7", one), ("7", one)]);
        check(r#"[{"key":"k","body":{"x": 1.0}}]"#, &[("k", r#"{"x": 1.0}"#)]);
    }

    #[test]
    fn digits_survive_in_bodies_and_keys() {
        check(
            r#"{"io_id":12345678901234567890123,"n":1e400}"#,
            &[("12345678901234567890123", r#"{"io_id":12345678901234567890123,"n":1e400}"#)],
        );
    }

    #[test]
    fn what_cannot_be_a_document_is_named() {
        for (text, says) in [
            ("", "no documents"),
            ("[]", "no documents"),
            ("[{},", "not a JSON array"),
            ("{\"io_id\":1} x", "not JSON"),
            (r#"[{"io_id":1},{"x":1}]"#, "document 2: has no key field"),
            (r#"{"io_id":null}"#, "neither text nor a number"),
            (r#"{"io_id":""}"#, "is empty"),
        ] {
            let problem = read(text, Some("io_id")).unwrap_err();
            assert!(problem.contains(says), "{text}: {problem}");
        }
        assert!(read(r#"{"io_id":1}"#, None).unwrap_err().contains("--key-field"));
    }
}
