//! One case as it stands on disk: a folder, or one file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Expected;
use crate::{Document, Text, from_str};

/// When a case's document was received, where the case does not say.
const RECEIVED_AT: &str = "2026-11-01T00:00:00Z";
/// The tenant and the scheme of every case.
pub const EXAMPLE: &str = "example";

/// A document, what surrounds it, and what is expected of it. [`Cases`](super::Cases) says how it stands on disk.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name, or the file's without `.json`.
    pub name: String,
    /// The folder, or the file.
    pub place: PathBuf,
    /// What the source served, byte for byte.
    pub document: Document,
    /// JSON text.
    pub parameters: String,
    /// RFC 3339, whole seconds, UTC.
    pub received_at: String,
    /// Name → key → entry as JSON text.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// `None` where nobody has said yet what should come out.
    pub expected: Option<Expected>,
    /// The most fuel that the document may take. Only the sandbox counts it.
    pub fuel: Option<u64>,
}

/// What a case that says nothing about it gets.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub parameters: PathBuf,
    pub key_field: String,
}

/// What deviates in a case that is a folder: `case.json`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Deviations {
    key: Option<String>,
    received_at: Option<String>,
    fuel: Option<u64>,
    #[serde(default)]
    tables: Tables,
}

type Tables = BTreeMap<String, BTreeMap<String, Box<RawValue>>>;

/// A case that is one file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    key: Option<String>,
    received_at: Option<String>,
    fuel: Option<u64>,
    #[serde(default)]
    tables: Tables,
    parameters: Option<Box<RawValue>>,
    input: Box<RawValue>,
    expected: Option<Box<RawValue>>,
}

impl Case {
    pub(super) fn read(place: &Path, defaults: &Defaults) -> Result<Self, String> {
        if place.is_dir() { Self::folder(place, defaults) } else { Self::file(place, defaults) }
    }

    /// True for what lies in a folder of cases and is one.
    pub(super) fn is_one(place: &Path) -> bool {
        place.is_dir() || place.extension().is_some_and(|extension| extension == "json")
    }

    pub(super) fn name_of(place: &Path) -> String {
        let name = if place.is_dir() { place.file_name() } else { place.file_stem() };
        name.unwrap_or_default().to_string_lossy().into_owned()
    }

    fn folder(place: &Path, defaults: &Defaults) -> Result<Self, String> {
        let optional = |name: &str| {
            let path = place.join(name);
            if path.exists() { read(&path).map(Some) } else { Ok(None) }
        };
        if !place.join("input.json").exists() {
            return Err("it has no input.json: put the source document there, byte for byte".into());
        }
        let input = read(&place.join("input.json"))?;
        let deviations: Deviations = match optional("case.json")? {
            Some(text) => parse(&text, "case.json")?,
            None => Deviations::default(),
        };
        let own = optional("parameters.json")?.map(|text| checked(text, "parameters.json")).transpose()?;
        let expected = optional("expected.json")?;
        let expected =
            expected.map(|text| Expected::read(&text).map_err(|why| format!("expected.json: {why}"))).transpose()?;
        Ok(Self {
            name: Self::name_of(place),
            place: place.into(),
            document: Document { key: key(deviations.key, &input, "input.json", defaults)?, body: input },
            parameters: own.map_or_else(|| defaults.parameters(), Ok)?,
            received_at: deviations.received_at.unwrap_or_else(|| RECEIVED_AT.into()),
            tables: texts(deviations.tables),
            expected,
            fuel: deviations.fuel,
        })
    }

    fn file(place: &Path, defaults: &Defaults) -> Result<Self, String> {
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let whole: Whole = parse(&read(place)?, &name)?;
        let input = whole.input.get().to_owned();
        let expected = whole.expected.map(|text| Expected::read(text.get()));
        Ok(Self {
            name: Self::name_of(place),
            place: place.into(),
            document: Document { key: key(whole.key, &input, "input", defaults)?, body: input },
            parameters: whole.parameters.map_or_else(|| defaults.parameters(), |raw| Ok(raw.get().into()))?,
            received_at: whole.received_at.unwrap_or_else(|| RECEIVED_AT.into()),
            tables: texts(whole.tables),
            expected: expected.transpose().map_err(|why| format!("{name}: expected: {why}"))?,
            fuel: whole.fuel,
        })
    }
}

impl Defaults {
    /// A module without parameters has no file of them.
    fn parameters(&self) -> Result<String, String> {
        if !self.parameters.exists() {
            return Ok("{}".into());
        }
        let name = self.parameters.file_name().unwrap_or_default().to_string_lossy();
        checked(read(&self.parameters)?, &name)
    }
}

fn key(own: Option<String>, input: &str, name: &str, defaults: &Defaults) -> Result<String, String> {
    if let Some(key) = own {
        return Ok(key);
    }
    let field = &defaults.key_field;
    let hint = "give the document's key as `key` of the case";
    let fields: BTreeMap<String, &RawValue> = from_str(input).map_err(|why| format!("{name}: {why}; {hint}"))?;
    let raw = fields.get(field).ok_or_else(|| format!("{name} has no {field}; {hint}"))?;
    let key: Text<'_> = from_str(raw.get()).map_err(|why| format!("{name}: {field}: {why}; {hint}"))?;
    Ok(key.as_str().into())
}

fn texts(tables: Tables) -> BTreeMap<String, BTreeMap<String, String>> {
    let entries = |entries: BTreeMap<String, Box<RawValue>>| {
        entries.into_iter().map(|(key, entry)| (key, entry.get().to_owned())).collect()
    };
    tables.into_iter().map(|(table, found)| (table, entries(found))).collect()
}

fn parse<T: for<'a> Deserialize<'a>>(text: &str, name: &str) -> Result<T, String> {
    from_str(text).map_err(|why| format!("{name}: {why}"))
}

/// JSON of whatever shape: the module judges it.
fn checked(text: String, name: &str) -> Result<String, String> {
    from_str::<&RawValue>(&text).map_err(|why| format!("{name}: {why}"))?;
    Ok(text)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
