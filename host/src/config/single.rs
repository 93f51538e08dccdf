//! One scheme that stands in no file: its settings came as JSON, through the API.
//!
//! The same code reads it that reads a `[[scheme]]` block, so that both mean the same: the JSON is written as TOML, and
//! what that code has against a place of the TOML is said of the place in the JSON. What a file may take from the
//! machine it lies on is refused: modules, parameters and tables in files are the operator's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::{SchemeId, TenantId};

use super::problem::Report;
use super::section::Section;
use super::{
    Connection, LoadOptions, ModuleSource, Objection, Reference, ReferenceFrom, Scheme, Severity, conditions,
    connection, scheme,
};

/// Settings nest three or four deep.
const DEPTH_LIMIT: usize = 32;
/// Parameters go into every call of the module, so they are small.
const PARAMETERS_LIMIT_BYTES: usize = 1 << 20;

/// The names of the tables that a tenant uploaded.
pub type UploadedTables = BTreeSet<String>;

/// A scheme to be, and what there is beside it.
#[derive(Clone, Copy)]
pub struct SingleScheme<'a> {
    pub tenant: &'a TenantId,
    pub name: &'a SchemeId,
    pub module: &'a ModuleSource,
    pub enabled: bool,
    /// The keys of a `[[scheme]]` block without `name`, `tenant`, `module` and `enabled`.
    pub settings: &'a Value,
    /// Every connection that the tenant has.
    pub connections: &'a [Connection],
    /// The tenant's other schemes.
    pub others: &'a [Scheme],
    pub tables: &'a UploadedTables,
}

/// Reads the scheme, with what is usable and most likely not meant; or says everything that is wrong with it. The paths
/// of objections begin at the settings.
pub fn scheme_from(
    single: &SingleScheme<'_>,
    options: &LoadOptions<'_>,
) -> Result<(Scheme, Vec<Objection>), Vec<Objection>> {
    let Value::Object(settings) = single.settings else {
        let remedy = "write { \"source\": …, \"target\": …, \"schedule\": … }";
        return Err(vec![Objection::new("", "the settings are not an object", remedy)]);
    };
    let mut objections = Vec::new();
    for key in ["name", "tenant", "module", "enabled"] {
        if settings.contains_key(key) {
            objections.push(Objection::new(
                key,
                "does not belong into the settings",
                "take it out; it has its own place",
            ));
        }
    }
    let mut settings = settings.clone();
    settings.retain(|key, _| !["name", "tenant", "module", "enabled"].contains(&key.as_str()));
    let parameters = take_parameters(&mut settings, &mut objections);
    let uploaded = take_tables(&mut settings, single.tables, &mut objections);
    check_values(&Value::Object(settings.clone()), &mut Vec::new(), &mut objections);
    if !objections.is_empty() {
        return Err(objections);
    }

    let mut text = String::new();
    for (key, value) in [("name", single.name.as_str()), ("tenant", single.tenant.as_str())] {
        let _ = writeln!(text, "{key} = {}", quoted(value));
    }
    let _ = writeln!(text, "module = \"a@1\"\nenabled = {}", single.enabled);
    for (key, value) in &settings {
        let _ = write!(text, "{} = ", quoted(key));
        write_value(&mut text, value);
        text.push('\n');
    }
    let (found, said) = read(&text, single, options);
    let is_usable = said.iter().all(|objection| objection.severity == Severity::Warning);
    let (Some(mut scheme), true) = (found, is_usable) else { return Err(said) };
    scheme.module = single.module.clone();
    scheme.parameters = parameters;
    scheme.reference.extend(uploaded);
    Ok((scheme, said))
}

/// Judges one connection that stands in no file, as a `[[connection]]` block would be.
pub fn judge_connection(connection: &Connection, options: &LoadOptions<'_>) -> Vec<Objection> {
    (options.check_connection)(connection.system, &connection.settings)
}

fn read(text: &str, single: &SingleScheme<'_>, options: &LoadOptions<'_>) -> (Option<Scheme>, Vec<Objection>) {
    let nowhere = Path::new("");
    let report = Report::new(nowhere, text);
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        // Only what TOML cannot say and JSON can: numbers of a kind that no key has.
        Err(error) => {
            let message = format!("cannot be read: {}", error.message());
            return (None, vec![Objection::new("", message, "use texts, whole numbers, true and false")]);
        }
    };
    let places = Places::of(&root);
    let connections: Vec<connection::Found> = single.connections.iter().map(connection::Found::of).collect();
    let known = scheme::Known { connections: &connections, module_dir: None };
    let section = Section::new(format!("scheme \"{}\"", single.name), root.get_ref(), 0..0, &report);
    let found = scheme::read(section, nowhere, &known, options);
    let scheme = found.and_then(|found| {
        let mut all: Vec<scheme::Found> = single.others.iter().map(scheme::Found::of).collect();
        let place = all.len();
        all.push(found);
        conditions::check_one(&all[place], &all, &report);
        all.pop().and_then(|found| found.scheme)
    });
    let objections = report.into_spans().into_iter().map(|(span, problem)| Objection {
        severity: problem.severity,
        path: span.map(|span| places.find(&span)).unwrap_or_default(),
        message: problem.message,
        remedy: problem.remedy,
    });
    (scheme, objections.collect())
}

/// The parameters as JSON text, number for number as they were written.
fn take_parameters(settings: &mut Map<String, Value>, objections: &mut Vec<Objection>) -> String {
    let Some(parameters) = settings.remove("parameters") else { return "{}".into() };
    let text = parameters.to_string();
    let mut object = |message: &str, remedy: &str| objections.push(Objection::new("parameters", message, remedy));
    match &parameters {
        Value::Object(object_) if object_.len() == 1 && object_.get("file").is_some_and(Value::is_string) => {
            object("name a file of the engine's machine", "write the parameters themselves");
        }
        Value::Object(_) if text.len() > PARAMETERS_LIMIT_BYTES => {
            let remedy = format!("write at most {PARAMETERS_LIMIT_BYTES} bytes");
            object("are too long", &remedy);
        }
        Value::Object(_) => {}
        _ => object("are not an object", "write { \"name\": value, … }"),
    }
    text
}

/// The references to uploaded tables; those to connections stay where they are.
fn take_tables(
    settings: &mut Map<String, Value>,
    tables: &UploadedTables,
    objections: &mut Vec<Objection>,
) -> Vec<Reference> {
    let Some(Value::Object(references)) = settings.get_mut("reference") else { return Vec::new() };
    let mut found = Vec::new();
    references.retain(|name, from| {
        let path = || vec!["reference".to_owned(), name.clone()];
        let mut object = |message: String, remedy: &str| {
            let objection = Objection::new("", message, remedy);
            objections.push(Objection { path: path(), ..objection });
        };
        let Value::Object(from) = from else { return true };
        if from.contains_key("file") {
            object(
                "names a file of the engine's machine".into(),
                "upload the table, and write { \"table\": \"its name\" }",
            );
            return false;
        }
        let Some(table) = from.get("table") else { return true };
        match table.as_str().filter(|table| from.len() == 1 && tables.contains(*table)) {
            Some(table) => {
                let from = ReferenceFrom::Uploaded { table: table.to_owned() };
                found.push(Reference { table: name.clone(), from });
            }
            None if from.len() > 1 => {
                object("has other keys beside `table`".into(), "write { \"table\": \"its name\" }")
            }
            None => object(format!("names the table {table}, which is not there"), "upload it, or name another"),
        }
        false
    });
    if references.is_empty() {
        settings.remove("reference");
    }
    found
}

/// No key that means anything is nearly as long, and every objection names the keys that lead to it.
const KEY_LIMIT_BYTES: usize = 256;
/// Nobody mends more at once.
const OBJECTIONS_LIMIT: usize = 200;

/// What TOML has no words for, and what is nested too deeply for anybody's settings.
fn check_values(value: &Value, path: &mut Vec<String>, objections: &mut Vec<Objection>) {
    let object = |message: &str, remedy: &str| Objection { path: path.clone(), ..Objection::new("", message, remedy) };
    // A stranger's settings: refusing them must not take more than they do.
    if objections.len() >= OBJECTIONS_LIMIT {
        return;
    }
    if path.len() > DEPTH_LIMIT {
        objections.push(object("is nested too deeply", "write it as docs/configuration.md shows it"));
        return;
    }
    match value {
        Value::Null => objections.push(object("is null", "write a value, or leave the key out")),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                check_values(item, path, objections);
                path.pop();
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                if key.len() > KEY_LIMIT_BYTES {
                    let problem = Objection::new("", "has a key that is far too long", "take the key out");
                    objections.push(Objection { path: path.clone(), ..problem });
                    return;
                }
                path.push(key.clone());
                check_values(value, path, objections);
                path.pop();
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("\"\""),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(string) => text.push_str(&quoted(string)),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_value(text, item);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(object) => {
            text.push('{');
            for (index, (key, value)) in object.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { " " });
                text.push_str(&quoted(key));
                text.push_str(" = ");
                write_value(text, value);
            }
            text.push_str(" }");
        }
    }
}

/// A text in TOML's own quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Which value stands where in the text.
struct Places(Vec<(Range<usize>, Vec<String>)>);

impl Places {
    fn of(root: &Spanned<DeTable<'_>>) -> Self {
        let mut places = Self(Vec::new());
        places.add_table(root.get_ref(), &mut Vec::new());
        places
    }

    fn add_table(&mut self, table: &DeTable<'_>, path: &mut Vec<String>) {
        for (key, value) in table.iter() {
            path.push(key.get_ref().to_string());
            self.0.push((key.span(), path.clone()));
            self.add(value, path);
            path.pop();
        }
    }

    fn add(&mut self, value: &Spanned<DeValue<'_>>, path: &mut Vec<String>) {
        self.0.push((value.span(), path.clone()));
        match value.get_ref() {
            DeValue::Table(table) => self.add_table(table, path),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    self.add(item, path);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// The innermost value that the span lies in; the settings themselves where it lies in none.
    fn find(&self, span: &Range<usize>) -> Vec<String> {
        let around =
            self.0.iter().filter(|(place, _)| !span.is_empty() && place.start <= span.start && span.end <= place.end);
        around.min_by_key(|(place, _)| place.len()).map(|(_, path)| path.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "single_tests.rs"]
mod tests;
