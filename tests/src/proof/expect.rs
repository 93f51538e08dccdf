//! What the target must hold for a document, field by field, and whether it does.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;

/// What must become of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Nothing is to be written.
    Skip { why: String },
    /// It cannot be written as it is.
    Reject(Why),
    Bill {
        /// By which the target knows it.
        number: String,
        fields: Fields,
    },
}

/// Why a document must be rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub missing: String,
    /// What the reason that a person reads must name.
    pub names: Vec<String>,
}

/// By path: `FDate`, `SubHeadEntity.FSettleCurrID.FNumber`, `FEntity[0].FRealQty`.
pub type Fields = BTreeMap<String, Want>;

#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// Exactly this text; an empty one may be left out.
    Text(String),
    /// Exactly this text, as a text.
    Code(String),
    Amount(Decimal),
    Flag(bool),
    /// A local time, `2026-01-15 10:30:00`.
    Time(String),
}

impl Want {
    pub fn code(text: &str) -> Self {
        Self::Code(text.to_owned())
    }
}

impl Why {
    pub fn missing(what: &str) -> Self {
        Self { missing: what.to_owned(), names: Vec::new() }
    }

    pub fn naming(self, names: &[&str]) -> Self {
        Self { names: names.iter().map(|&name| name.to_owned()).collect(), ..self }
    }
}

/// Every field in which a bill at the target is not what it must be: one line each.
pub fn differences(expected: &Fields, held: &Value) -> Vec<String> {
    let mut found = BTreeMap::new();
    flatten("", held, &mut found);
    let mut lines = Vec::new();
    for (path, want) in expected {
        let ours = found.remove(path.as_str());
        if !matches(want, ours.as_ref()) {
            let shown = ours.map_or("nothing".to_owned(), |value| value.to_string());
            lines.push(format!("{path} must be {want:?} and is {shown}"));
        }
    }
    lines.extend(found.into_iter().map(|(path, value)| format!("{path} must not be there and is {value}")));
    lines
}

fn matches(want: &Want, found: Option<&Value>) -> bool {
    match (want, found) {
        (Want::Text(text), None) => text.is_empty(),
        (_, None) => false,
        (Want::Text(text), Some(found)) => text_of(found).as_ref() == Some(text),
        (Want::Code(text), Some(found)) => found.as_str() == Some(text),
        (Want::Amount(amount), Some(found)) => text_of(found).as_deref().and_then(decimal) == Some(*amount),
        (Want::Flag(flag), Some(found)) => *found == Value::Bool(*flag),
        (Want::Time(time), Some(found)) => text_of(found).map(|text| text.replace('T', " ")).as_ref() == Some(time),
    }
}

/// Down to texts, numbers, flags and nulls. An empty list or object stands for itself: it must not be there either.
fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                flatten(&below, value, found);
            }
        }
        Value::Array(rows) if !rows.is_empty() => {
            rows.iter().enumerate().for_each(|(row, value)| flatten(&format!("{path}[{row}]"), value, found));
        }
        other => drop(found.insert(path.to_owned(), other.clone())),
    }
}

/// Exact: from the digits.
pub fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

/// A text, or a number's digits. `None` for what is neither.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub fn filled(value: &Value) -> Option<String> {
    text_of(value).filter(|text| !text.trim().is_empty())
}
