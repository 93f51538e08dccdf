//! JSON that a configuration brings along: the parameters.

use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::problem::{Place, Report};
use super::section::Section;

/// Parameters go into every call of the module, so they are small.
const PARAMETERS_LIMIT_BYTES: u64 = 1 << 20;

/// The scheme's parameters as JSON text: the file's own bytes, or what stands inline.
pub(super) fn parameters(section: &Section<'_>, directory: &Path) -> Option<String> {
    let remedy = "write parameters = { file = \"saleout.parameters.json\" }, or the parameters themselves as a table";
    let Some(value) = section.get("parameters") else { return Some("{}".into()) };
    let DeValue::Table(table) = value.get_ref() else {
        section.wrong(value, "parameters", "a table", remedy);
        return None;
    };
    match table.get("file").map(|file| file.get_ref()) {
        Some(DeValue::String(file)) if table.len() == 1 => {
            read_object(&directory.join(file.as_ref()), PARAMETERS_LIMIT_BYTES, value, section.report)
        }
        _ => inline(value, section.report).map(|json| json.to_string()),
    }
}

/// The text of a file that holds one JSON object.
fn read_object(file: &Path, limit_bytes: u64, named_at: &Spanned<DeValue<'_>>, report: &Report<'_>) -> Option<String> {
    let text = match read_text(file, limit_bytes) {
        Ok(text) => text,
        Err(problem) => {
            let message = format!("cannot read {}: {problem}", file.display());
            report.add(named_at.span(), message, "name a JSON file, relative to this one, that the engine may read");
            return None;
        }
    };
    let place = |line, column| Place { file: file.into(), position: Some((line, column)) };
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::Object(_)) => Some(text),
        Ok(_) => {
            report.add_at(place(1, 1), "this is not a JSON object", "write { \"name\": value, … }");
            None
        }
        Err(error) => {
            // serde_json appends the position to its message; it stands in front already.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            let place = place(error.line().max(1), error.column().max(1));
            report.add_at(place, format!("this is not JSON: {message}"), "mend the JSON at this place");
            None
        }
    }
}

fn read_text(file: &Path, limit_bytes: u64) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > limit_bytes {
        return Err(format!("it has {size} bytes, the limit is {limit_bytes}"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

/// TOML as JSON, numbers digit for digit: a price must not pass through a binary fraction.
fn inline(value: &Spanned<DeValue<'_>>, report: &Report<'_>) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number_of(&number.to_string(), value, report)?,
            Err(_) => number_of("", value, report)?,
        },
        DeValue::Float(number) => number_of(number.as_str(), value, report)?,
        DeValue::Array(array) => Value::Array(array.iter().filter_map(|value| inline(value, report)).collect()),
        DeValue::Table(table) => {
            let entries = table.iter();
            Value::Object(
                entries.filter_map(|(key, value)| Some((key.get_ref().to_string(), inline(value, report)?))).collect(),
            )
        }
    })
}

fn number_of(digits: &str, value: &Spanned<DeValue<'_>>, report: &Report<'_>) -> Option<serde_json::Value> {
    // TOML allows a sign that JSON does not.
    let number = serde_json::from_str::<serde_json::Number>(digits.trim_start_matches('+')).ok();
    if number.is_none() {
        report.add(value.span(), "JSON has no such number", "write a plain decimal number, or a text in quotes");
    }
    number.map(serde_json::Value::Number)
}
