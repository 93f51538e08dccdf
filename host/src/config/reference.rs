//! `reference`: the tables that a scheme's module looks things up in, from a connection or from a file.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use jiff::SignedDuration;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use toml::de::DeValue;

use crate::model::{ConnectionName, TenantId, is_no_part_of_a_name};

use super::csv::{self, Record};
use super::problem::{Place, closest};
use super::scheme::{Known, find};
use super::section::{Section, one_of};
use super::{Connection, Objection};

/// A hundred thousand materials with their units are about ten megabytes.
const FILE_LIMIT_BYTES: u64 = 64 << 20;
/// Mistakes of one file that are told at once. A file of another shape has one on every line.
const FILE_PROBLEMS_LIMIT: usize = 20;
/// Materials are added during the day, and a document that misses one brings a refresh of its own.
const REFRESH: SignedDuration = SignedDuration::from_hours(6);
/// As long as somebody who adds a material and looks at the document again is willing to wait.
const MISS_INTERVAL: SignedDuration = SignedDuration::from_mins(1);
/// The longest name a table may have; it becomes a part of a key.
const NAME_LIMIT_BYTES: usize = 128;

const REMEDY: &str = "write reference = { \"kingdee_jdy.material\" = { connection = \"jdy\", refresh = \"6h\" } }, or \
                      { \"warehouses\" = { file = \"warehouses.csv\", key = \"code\", value = \"warehouse\" } }";

/// A table that modules look things up in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The name that modules use: `kingdee_jdy.material`.
    pub table: String,
    pub from: ReferenceFrom,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceFrom {
    /// As the file was when the configuration was loaded: key → JSON text.
    File { file: PathBuf, entries: Arc<BTreeMap<String, String>> },
    /// A table that the tenant uploaded. Its entries are where all schemes share them.
    Uploaded { table: String },
    Connection {
        connection: ConnectionName,
        /// The age at which the table is fetched anew.
        refresh: SignedDuration,
        /// The least time between two fetches because of keys that were not found.
        miss_interval: SignedDuration,
    },
}

/// Judges whether a connection serves a table.
pub type CheckReference<'a> = &'a dyn Fn(&Connection, &str) -> Vec<Objection>;

pub(super) fn read(
    scheme: &Section<'_>,
    directory: &Path,
    tenant: Option<&TenantId>,
    known: &Known<'_>,
    check: CheckReference<'_>,
) -> Vec<Reference> {
    let Some(tables) = scheme.section("reference", REMEDY) else { return Vec::new() };
    let mut found = Vec::new();
    for (name, value) in tables.table {
        let table = name.get_ref();
        if table.is_empty() || table.len() > NAME_LIMIT_BYTES || table.chars().any(is_no_part_of_a_name) {
            let message = format!("{table:?} cannot be the name of a table");
            scheme.report.add(name.span(), message, "use the name that the module looks up, at most 128 characters");
            continue;
        }
        let DeValue::Table(keys) = value.get_ref() else {
            tables.wrong(value, table, "a table", REMEDY);
            continue;
        };
        let one = Section::new(format!("`{table}` of {}", tables.name), keys, value.span(), scheme.report);
        let from = match (keys.contains_key("file"), keys.contains_key("connection")) {
            (true, false) => from_file(&one, directory),
            (false, true) => from_connection(&one, table, tenant, known, check),
            (both, _) => {
                let what = if both { "both `file` and `connection`" } else { "neither `file` nor `connection`" };
                scheme.report.add(value.span(), format!("{} has {what}", one.name), REMEDY);
                continue;
            }
        };
        one.finish();
        found.extend(from.map(|from| Reference { table: table.to_string(), from }));
    }
    found
}

fn from_connection(
    section: &Section<'_>,
    table: &str,
    tenant: Option<&TenantId>,
    known: &Known<'_>,
    check: CheckReference<'_>,
) -> Option<ReferenceFrom> {
    let name = section.require("connection", "name one of the [[connection]] blocks", |text| {
        ConnectionName::new(text).map_err(|error| error.to_string())
    });
    let second = SignedDuration::from_secs(1);
    let refresh = section.duration("refresh", second..=SignedDuration::from_hours(31 * 24)).unwrap_or(REFRESH);
    let miss_interval = section.duration("miss_interval", second..=SignedDuration::from_hours(1));
    let miss_interval = miss_interval.unwrap_or(MISS_INTERVAL);
    let name = name?;
    if let Some(connection) = find(section, &name, tenant?, known) {
        section.object(check(connection, table));
    }
    Some(ReferenceFrom::Connection { connection: name, refresh, miss_interval })
}

fn from_file(section: &Section<'_>, directory: &Path) -> Option<ReferenceFrom> {
    let (name, span) = section.text("file", REMEDY)?;
    let file = directory.join(name);
    let is_csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let columns = is_csv.then(|| Columns {
        key: section.require("key", "name the column of the key: key = \"code\"", |text| Ok(text.to_owned())),
        value: section.parse("value", "name the column of the value, or leave it out for the whole row", |text| {
            Ok(text.to_owned())
        }),
    });
    let bytes = match read_bytes(directory, name) {
        Ok(bytes) => bytes,
        Err(problem) => {
            let message = format!("`file` of {}: cannot read {}: {problem}", section.name, file.display());
            let remedy = "name a .csv or .json file beside this one or below it, that the engine may read";
            section.report.add(span, message, remedy);
            return None;
        }
    };
    let entries = entries_of(&bytes, columns.as_ref());
    match entries {
        Ok(entries) => Some(ReferenceFrom::File { file, entries: Arc::new(entries) }),
        Err(problems) => {
            let more = problems.len().saturating_sub(FILE_PROBLEMS_LIMIT);
            for Fault { line, message, remedy } in problems.into_iter().take(FILE_PROBLEMS_LIMIT) {
                let more = if more > 0 { format!(" (and {more} more in this file)") } else { String::new() };
                let place = Place { file: file.clone(), position: Some((line, 1)) };
                section.report.add_at(place, format!("{message}{more}"), remedy);
            }
            None
        }
    }
}

/// The columns of a CSV file that were asked for, where they could be read.
struct Columns {
    key: Option<String>,
    value: Option<String>,
}

/// One mistake of a table's file.
struct Fault {
    line: usize,
    message: String,
    remedy: String,
}

impl Fault {
    fn new(line: usize, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { line, message: message.into(), remedy: remedy.into() }
    }
}

/// Only what lies in the configuration's folder or below: a tenant's configuration may name a tenant's tables, and no
/// other file of the machine.
fn read_bytes(directory: &Path, name: &str) -> Result<Vec<u8>, String> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let words = |error: std::io::Error| error.to_string();
    let folder = Dir::open_ambient_dir(directory, ambient_authority()).map_err(words)?;
    let file = folder.open(name).map_err(words)?;
    let found = file.metadata().map_err(words)?;
    if !found.is_file() {
        return Err("it is not a file".into());
    }
    if found.len() > FILE_LIMIT_BYTES {
        return Err(format!("it has {} bytes, the limit is {FILE_LIMIT_BYTES}", found.len()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT_BYTES).read_to_end(&mut bytes).map_err(words)?;
    Ok(bytes)
}

/// A table's file as one JSON object, each value as it was written: CSV where it ends in `.csv`. For whoever uploads it.
/// Everything that is wrong with it is said at once, a line each.
pub fn read_table(file: &Path, key: Option<&str>, value: Option<&str>) -> Result<String, String> {
    let shown = file.display();
    let is_csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let columns = match (is_csv, key) {
        (true, None) => return Err(format!("{shown} is CSV: name the column of the key with --key")),
        (false, Some(_)) => return Err(format!("{shown} is not CSV: it has no columns")),
        (true, Some(key)) => Some(Columns { key: Some(key.to_owned()), value: value.map(ToOwned::to_owned) }),
        (false, None) => None,
    };
    let size = std::fs::metadata(file).map_err(|error| format!("cannot read {shown}: {error}"))?.len();
    if size > FILE_LIMIT_BYTES {
        return Err(format!("{shown} has {size} bytes, the limit is {FILE_LIMIT_BYTES}"));
    }
    let bytes = std::fs::read(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let entries = entries_of(&bytes, columns.as_ref()).map_err(|faults| {
        let line = |fault: &Fault| format!("{shown}:{}: {} ({})", fault.line, fault.message, fault.remedy);
        faults.iter().take(FILE_PROBLEMS_LIMIT).map(line).collect::<Vec<_>>().join("\n")
    })?;
    let mut text = String::from("{");
    for (index, (key, value)) in entries.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        text.push_str(&format!("{separator}{}:{value}", serde_json::Value::from(key.as_str())));
    }
    text.push('}');
    Ok(text)
}

fn entries_of(bytes: &[u8], columns: Option<&Columns>) -> Result<BTreeMap<String, String>, Vec<Fault>> {
    // Excel begins UTF-8 with a mark; nobody else sees it.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        vec![Fault::new(line, "this is not UTF-8", "save the file as UTF-8; in Excel, \"CSV UTF-8\"")]
    })?;
    match columns {
        Some(columns) => from_csv(text, columns),
        None => from_json(text),
    }
}

fn from_csv(text: &str, columns: &Columns) -> Result<BTreeMap<String, String>, Vec<Fault>> {
    let records = csv::records(text)
        .map_err(|broken| vec![Fault::new(broken.line, broken.problem, "double a quote within a quoted field")])?;
    let Some((header, rows)) = records.split_first() else {
        return Err(vec![Fault::new(1, "this file is empty", "begin with a line of column names")]);
    };
    let mut problems = Vec::new();
    let names: Vec<&str> = header.fields.iter().map(|name| name.trim()).collect();
    let mut column = |wanted: &Option<String>| {
        let wanted = wanted.as_deref()?;
        let place = names.iter().position(|name| *name == wanted);
        if place.is_none() {
            let remedy = match closest(wanted, &names) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("use {}", one_of(&names)),
            };
            problems.push(Fault::new(header.line, format!("this file has no column {wanted:?}"), remedy));
        }
        place
    };
    let (key, value) = (column(&columns.key), column(&columns.value));
    for (place, name) in names.iter().enumerate() {
        if names[..place].contains(name) {
            problems.push(Fault::new(header.line, format!("two columns are called {name:?}"), "rename one of them"));
        }
    }
    // Without its columns nothing can be said of the rows.
    let (Some(key), true) = (key, problems.is_empty()) else { return Err(problems) };
    let mut entries = BTreeMap::new();
    let mut lines = HashMap::<&str, usize>::new();
    for Record { line, fields } in rows {
        if fields.len() != names.len() {
            let message = format!("this row has {} fields, the header has {}", fields.len(), names.len());
            problems.push(Fault::new(*line, message, "give each column one field; quote a field that holds a comma"));
            continue;
        }
        let found = fields[key].trim();
        if found.is_empty() {
            problems.push(Fault::new(*line, "this row has no key", "fill it in, or take the row out"));
            continue;
        }
        if let Some(first) = lines.insert(found, *line) {
            problems.push(duplicate(*line, found, first));
            continue;
        }
        let json = match value {
            Some(value) => serde_json::Value::from(fields[value].trim()),
            None => {
                let pairs = names.iter().zip(fields);
                pairs.map(|(name, field)| ((*name).to_owned(), serde_json::Value::from(field.trim()))).collect()
            }
        };
        entries.insert(found.to_owned(), json.to_string());
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

fn duplicate(line: usize, key: &str, first: usize) -> Fault {
    Fault::new(line, format!("the key {key:?} stands on line {first} already"), "keep one of the two")
}

fn from_json(text: &str) -> Result<BTreeMap<String, String>, Vec<Fault>> {
    struct Object<'t>(&'t str);
    impl<'t> Visitor<'t> for Object<'t> {
        type Value = Vec<(String, usize, &'t str)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("one object, { \"key\": value, … }")
        }
        fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &'t RawValue>()? {
                let value = value.get();
                // The value is a slice of the text: where it begins tells its line.
                pairs.push((key, value.as_ptr() as usize - self.0.as_ptr() as usize, value));
            }
            Ok(pairs)
        }
    }
    let remedy = "mend the JSON at this place";
    let broken = |error: serde_json::Error| {
        // serde_json appends the position to its message; it stands in front already.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        vec![Fault::new(error.line().max(1), format!("this is not a table in JSON: {message}"), remedy)]
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let pairs = reader.deserialize_map(Object(text)).map_err(broken)?;
    reader.end().map_err(broken)?;
    let mut problems = Vec::new();
    let mut entries = BTreeMap::new();
    let mut lines = HashMap::new();
    let (mut line, mut counted) = (1, 0);
    for (key, at, value) in pairs {
        line += text[counted..at].matches('\n').count();
        counted = at;
        if let Some(first) = lines.insert(key.clone(), line) {
            problems.push(duplicate(line, &key, first));
        }
        entries.insert(key, value.to_owned());
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}
