//! A folder of cases, run natively.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Host, difference, with_host};
use crate::{Context, Document, Outcome, Reason, Text, Transform, from_str, run, to_string};

/// A folder with one folder a case:
///
/// | file | holds |
/// |---|---|
/// | `input.json` | the source document, byte for byte as the vendor wrote it |
/// | `expected.json` | `{"emit":[{"key":…,"body":{…}}]}`, `{"skip":{"code":…,"field":…}}` or `{"reject":{"code":…,"field":…}}`; a `message` too, where it is worth pinning |
/// | `parameters.json` | the parameters, where they are not those of the module's `parameters.example.json` |
/// | `case.json` | what else deviates: `key` of the document, `received_at`, `tables` (name → key → entry) |
///
/// The document's key is read from the field that [`Cases::key_field`] names, unless `case.json` has one. Bodies are
/// compared by value with exact decimals ([`difference`]).
#[derive(Debug)]
pub struct Cases {
    folder: PathBuf,
    parameters: PathBuf,
    key_field: String,
}

/// When a case's document was received, where `case.json` does not say.
const RECEIVED_AT: &str = "2026-11-01T00:00:00Z";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Deviations {
    key: Option<String>,
    received_at: Option<String>,
    #[serde(default)]
    tables: BTreeMap<String, BTreeMap<String, Box<RawValue>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Expected {
    Emit(Vec<Bill>),
    Skip(Why),
    Reject(Why),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bill {
    key: String,
    body: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Cases {
    /// The folder `cases` and the file `parameters.example.json` of a crate: `Cases::of(env!("CARGO_MANIFEST_DIR"))`.
    pub fn of(crate_folder: impl AsRef<Path>) -> Self {
        let folder = crate_folder.as_ref();
        Self {
            folder: folder.join("cases"),
            parameters: folder.join("parameters.example.json"),
            key_field: "key".into(),
        }
    }

    /// The field at the top of the source document that is its key in the source system: `io_id`.
    pub fn key_field(mut self, name: &str) -> Self {
        self.key_field = name.into();
        self
    }

    /// Runs every case and says how many there were.
    ///
    /// # Panics
    /// Where a case fails or cannot be read, with all of them and the story of each; and where there is no case at all.
    pub fn run<T: Transform>(&self) -> usize {
        let mut folders: Vec<PathBuf> = fs::read_dir(&self.folder)
            .unwrap_or_else(|error| panic!("{}: {error}", self.folder.display()))
            .filter_map(|entry| entry.ok().map(|entry| entry.path()).filter(|path| path.is_dir()))
            .collect();
        folders.sort();
        assert!(!folders.is_empty(), "{} holds no case", self.folder.display());
        let failures: Vec<String> = folders
            .iter()
            .filter_map(|folder| {
                let problem = self.run_one::<T>(folder).err()?;
                Some(format!("case {}: {problem}", folder.file_name().unwrap_or_default().display()))
            })
            .collect();
        assert!(
            failures.is_empty(),
            "{} of {} cases failed\n\n{}",
            failures.len(),
            folders.len(),
            failures.join("\n\n")
        );
        folders.len()
    }

    fn run_one<T: Transform>(&self, folder: &Path) -> Result<(), String> {
        let input = read(&folder.join("input.json"))?;
        let expected = read(&folder.join("expected.json"))?;
        let own = folder.join("parameters.json");
        let parameters = read(if own.exists() { &own } else { &self.parameters })?;
        let deviations = folder.join("case.json");
        let deviations: Deviations = if deviations.exists() {
            from_str(&read(&deviations)?).map_err(|why| format!("case.json: {why}"))?
        } else {
            Deviations::default()
        };

        let key = match deviations.key {
            Some(key) => key,
            None => self.key_of(&input)?,
        };
        let context = Context {
            tenant: "example".into(),
            scheme: "example".into(),
            source: T::SOURCE.into(),
            target: T::TARGET.into(),
            parameters,
            received_at: deviations.received_at.unwrap_or_else(|| RECEIVED_AT.into()),
        };
        let mut host = Host::default();
        for (table, entries) in &deviations.tables {
            host = entries
                .iter()
                .fold(host.with_table(table), |host, (key, entry)| host.with_entry(table, key, entry.get()));
        }
        let (outcome, lines) = with_host(host, || run::<T>(&context, &Document { key, body: input }));
        check(&expected, outcome).map_err(|problem| match lines.is_empty() {
            true => problem,
            false => format!("{problem}\nthe log said {lines:?}"),
        })
    }

    fn key_of(&self, input: &str) -> Result<String, String> {
        let hint = "give the document's key in case.json";
        let fields: BTreeMap<String, &RawValue> =
            from_str(input).map_err(|why| format!("input.json: {why}; {hint}"))?;
        let raw = fields.get(&self.key_field).ok_or_else(|| format!("input.json has no {}; {hint}", self.key_field))?;
        let key: Text<'_> = from_str(raw.get()).map_err(|why| format!("input.json: {why}; {hint}"))?;
        Ok(key.as_str().into())
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn check(expected: &str, outcome: Outcome) -> Result<(), String> {
    let wanted: Expected = from_str(expected).map_err(|why| format!("expected.json: {why}"))?;
    let pin_message = matches!(&wanted, Expected::Skip(why) | Expected::Reject(why) if why.message.is_some());
    let story = format!("{outcome:?}");
    let why =
        |reason: Reason| Why { code: reason.code, field: reason.field, message: pin_message.then_some(reason.message) };
    let found = match outcome {
        Outcome::Emit(bills) => Expected::Emit(
            bills
                .into_iter()
                .map(|bill| {
                    let body =
                        RawValue::from_string(bill.body).map_err(|error| format!("a body is not JSON: {error}"))?;
                    Ok(Bill { key: bill.key, body })
                })
                .collect::<Result<_, String>>()?,
        ),
        Outcome::Skip(reason) => Expected::Skip(why(reason)),
        Outcome::Reject(reason) => Expected::Reject(why(reason)),
    };
    let [wanted, found] = [wanted, found].map(|side| to_string(&side).map_err(|why| why.to_string()));
    match difference(&wanted?, &found?) {
        None => Ok(()),
        Some(difference) => Err(format!("{difference}\nthe outcome was {story}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(body: &str) -> Outcome {
        Outcome::Emit(vec![crate::TargetDocument { key: "1".into(), body: body.into() }])
    }

    #[test]
    fn a_case_passes_by_value_and_fails_by_the_last_digit() {
        let expected = r#"{"emit":[{"key":"1","body":{"price":0.10,"no":"1"}}]}"#;
        assert_eq!(check(expected, outcome(r#"{"no":"1","price":0.1}"#)), Ok(()));
        assert!(check(expected, outcome(r#"{"no":"1","price":0.1000000000000000000000001}"#)).is_err());
        assert!(check(expected, Outcome::skip("x", "", None)).is_err());
    }

    #[test]
    fn a_reason_is_compared_by_code_and_field_and_by_message_where_one_is_given() {
        let skip = || Outcome::skip("status_cancelled", "void", Some("/status"));
        assert_eq!(check(r#"{"skip":{"code":"status_cancelled","field":"/status"}}"#, skip()), Ok(()));
        assert!(check(r#"{"skip":{"code":"status_cancelled"}}"#, skip()).is_err());
        assert!(check(r#"{"skip":{"code":"status_cancelled","field":"/status","message":"x"}}"#, skip()).is_err());
        assert!(check(r#"{"reject":{"code":"status_cancelled","field":"/status"}}"#, skip()).is_err());
    }
}
