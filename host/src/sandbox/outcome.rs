//! Turns what a guest answered into an outcome the rest of the host can rely on, or says what is wrong with it.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::bindings::crossdock::transform::types as wire;
use super::error::Error;
use super::limits::Limits;
use crate::model::{Outcome, Reason, TargetDocument, TargetKey};

/// What `serde_json` and the vendors' own parsers can read without overflowing.
const JSON_DEPTH_LIMIT: usize = 127;
const REASON_CODE_LIMIT_BYTES: usize = 64;
const REASON_MESSAGE_LIMIT_BYTES: usize = 4 << 10;
const REASON_FIELD_LIMIT_BYTES: usize = 512;

pub fn check(outcome: wire::Outcome, limits: &Limits) -> Result<Outcome, Error> {
    match outcome {
        wire::Outcome::Emit(documents) => emit(documents, limits).map(Outcome::Emit),
        wire::Outcome::Skip(why) => reason(why).map(Outcome::Skip),
        wire::Outcome::Reject(why) => reason(why).map(Outcome::Reject),
    }
}

fn emit(documents: Vec<wire::TargetDocument>, limits: &Limits) -> Result<Vec<TargetDocument>, Error> {
    if documents.is_empty() {
        return Err(Error::EmptyEmit);
    }
    let (limit, used) = (limits.output_documents_limit, documents.len() as u64);
    if used > limit {
        return Err(Error::TooManyTargetDocuments { limit, used });
    }
    let (limit, used) =
        (limits.output_limit_bytes, documents.iter().map(|d| (d.key.len() + d.body.len()) as u64).sum());
    if used > limit {
        return Err(Error::OutputTooLarge { limit, used });
    }
    // Two of one name take two.
    let mut keys = (documents.len() > 1).then(|| HashSet::with_capacity(documents.len()));
    documents
        .into_iter()
        .map(|document| {
            let key = TargetKey::new(&document.key).map_err(|error| invalid(error.to_string()))?;
            if keys.as_mut().is_some_and(|keys| !keys.insert(key.clone())) {
                return Err(invalid(format!("the module emitted two bills with the key {key}")));
            }
            check_json(&document.body).map_err(|problem| invalid(format!("the body of bill {key} {problem}")))?;
            Ok(TargetDocument { key, body: document.body })
        })
        .collect()
}

fn reason(why: wire::Reason) -> Result<Reason, Error> {
    let code_is_fine = (1..=REASON_CODE_LIMIT_BYTES).contains(&why.code.len())
        && why.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !code_is_fine {
        let seen: String = why.code.chars().take(REASON_CODE_LIMIT_BYTES).collect();
        return Err(invalid(format!("the reason's code {seen:?} must be snake_case of 1 to 64 bytes")));
    }
    if let Some(field) = &why.field
        && (field.len() > REASON_FIELD_LIMIT_BYTES || !(field.is_empty() || field.starts_with('/')))
    {
        let seen: String = field.chars().take(80).collect();
        return Err(invalid(format!("the reason's field {seen:?} must be a JSON Pointer of at most 512 bytes")));
    }
    let mut message = why.message;
    message.truncate(message.floor_char_boundary(REASON_MESSAGE_LIMIT_BYTES));
    Ok(Reason { code: why.code, message, field: why.field })
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::OutcomeInvalid { problem: problem.into() }
}

/// JSON that a reader with a bounded stack can take.
pub fn check_json(text: &str) -> Result<(), String> {
    // One walk without recursion, that knows no words for what is wrong.
    if crossdock_guest::is_json(text) {
        return Ok(());
    }
    // `RawValue` is skipped over without recursion, so depth has to be counted apart.
    serde_json::from_str::<&RawValue>(text).map_err(|error| format!("is not JSON: {error}"))?;
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > JSON_DEPTH_LIMIT {
                    return Err(format!("is nested deeper than {JSON_DEPTH_LIMIT}"));
                }
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_checked_for_form_and_depth() {
        for good in ["{}", "1.50", r#""[[{\"""#, &format!("{}{}", "[".repeat(127), "]".repeat(127))] {
            assert_eq!(check_json(good), Ok(()), "{good}");
            assert!(serde_json::from_str::<serde_json::Value>(good).is_ok(), "{good}");
        }
        for bad in ["", "{", "{} {}", "{'a':1}", "NaN", "01", &format!("{}{}", "[".repeat(128), "]".repeat(128))] {
            assert!(check_json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reason_is_checked_and_its_message_cut_at_a_letter() {
        let why = |code: &str, message: String, field: Option<&str>| wire::Reason {
            code: code.into(),
            message,
            field: field.map(str::to_owned),
        };
        for code in ["", "No", "a-b", &"x".repeat(65)] {
            assert!(matches!(reason(why(code, String::new(), None)), Err(Error::OutcomeInvalid { .. })), "{code}");
        }
        assert!(reason(why("x", String::new(), Some("items"))).is_err());
        assert!(reason(why("x", String::new(), Some("/items/0"))).is_ok());
        let cut = reason(why(&"x".repeat(64), "单".repeat(2000), None)).unwrap();
        assert_eq!(cut.message.len(), 4095);
    }
}
