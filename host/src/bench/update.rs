//! Writes what came out into a case as what is expected. Whoever asks for that has seen the difference before.

use std::path::{Path, PathBuf};

use crossdock_guest::testing::Expected;
use serde_json::Value;
use serde_json::value::RawValue;

use super::case::Answered;

/// Why an expectation could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {problem}", path.display())]
    Case { path: PathBuf, problem: String },
}

/// Writes the case's expectation and says where. `exact` pins a bill's very bytes.
pub fn update(answered: &Answered, exact: bool) -> Result<Option<PathBuf>, Error> {
    let Some(outcome) = &answered.outcome else { return Ok(None) };
    let case = &answered.case;
    let expected = Expected::of(outcome, case.expected.as_ref(), exact).to_json();
    let (path, text) = if case.place.is_dir() {
        (case.place.join("expected.json"), pretty(&expected, "") + "\n")
    } else {
        (case.place.clone(), whole(&case.place, &expected)?)
    };
    std::fs::write(&path, text).map_err(|source| Error::File { path: path.clone(), source })?;
    Ok(Some(path))
}

/// The case's file with another expectation. What else is in it keeps its bytes: the input's matter, and its fuel.
fn whole(place: &Path, expected: &str) -> Result<String, Error> {
    let problem = |problem: String| Error::Case { path: place.into(), problem };
    let text = std::fs::read_to_string(place).map_err(|source| Error::File { path: place.into(), source })?;
    let mut members: Vec<(String, String)> = members(&text).map_err(|error| problem(error.to_string()))?;
    members.retain(|(name, _)| name != "expected");
    members.push(("expected".into(), pretty(expected, "  ")));
    let lines: Vec<String> =
        members.iter().map(|(name, text)| format!("  {}: {text}", Value::from(name.as_str()))).collect();
    Ok(format!("{{\n{}\n}}\n", lines.join(",\n")))
}

/// An object's members in its own order, each as its own text.
fn members(text: &str) -> serde_json::Result<Vec<(String, String)>> {
    // `Map` keeps the order (`preserve_order`), the second reading the bytes.
    let names: serde_json::Map<String, Value> = serde_json::from_str(text)?;
    let texts: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_str(text)?;
    Ok(names.keys().filter_map(|name| Some((name.clone(), texts.get(name)?.get().to_owned()))).collect())
}

/// Indented, every number as it was written.
pub(super) fn pretty(json: &str, indent: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|_| Value::from(json));
    serde_json::to_string_pretty(&value).expect("a value is JSON").replace('\n', &format!("\n{indent}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_guest::testing::Cases;
    use crossdock_guest::{Outcome, TargetDocument};

    fn answered(folder: &Path, body: &str) -> Answered {
        let cases = Cases::of(folder).folder(folder).read().unwrap();
        let case = cases.into_iter().next().unwrap().unwrap();
        let bill = TargetDocument { key: "1".into(), body: body.into() };
        Answered { case, outcome: Some(Outcome::Emit(vec![bill])) }
    }

    #[test]
    fn a_folder_gets_its_expectation_with_every_digit() {
        let dir = tempfile::tempdir().unwrap();
        let case = dir.path().join("one");
        std::fs::create_dir(&case).unwrap();
        std::fs::write(case.join("input.json"), r#"{"key":"1"}"#).unwrap();
        let path = update(&answered(dir.path(), r#"{"b":1.50,"a":10000000000000000000000000001}"#), false).unwrap();
        assert_eq!(path, Some(case.join("expected.json")));
        let text = std::fs::read_to_string(case.join("expected.json")).unwrap();
        assert!(text.contains("\"b\": 1.50,\n") && text.contains("\"a\": 10000000000000000000000000001\n"), "{text}");
    }

    #[test]
    fn a_file_keeps_the_bytes_of_everything_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("one.json");
        let input = "{ \"key\" : \"1\",\n\t\"qty\": 1.50 }";
        std::fs::write(&file, format!("{{\"input\": {input}, \"expected\": {{\"emit\":[]}}, \"fuel\": 9}}")).unwrap();
        update(&answered(dir.path(), r#"{"a":1.50}"#), true).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(&format!("\"input\": {input}")), "{text}");
        let again = answered(dir.path(), r#"{"a":1.50}"#);
        assert_eq!(again.case.fuel, Some(9));
        let found = again.case.expected.unwrap();
        assert!(found.differences(again.outcome.as_ref().unwrap()).is_empty(), "{text}");
        assert!(text.contains(r#""text": "{\"a\":1.50}""#), "{text}");
    }
}
