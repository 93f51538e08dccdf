//! One TOML file says what the engine does: connections, schemes, and the rules between them.
//!
//! [`load`] finds every mistake at once, each with its place and how to mend it, and answers with a configuration only
//! where there is none. What only a connector or the sandbox can judge is handed to them through [`LoadOptions`], and
//! their objections come back with the line they are about. It fetches secrets from where they are kept; it never
//! prints one, never opens a connection, and never writes.

mod api;
mod calendar;
mod compaction;
mod conditions;
mod connection;
mod csv;
mod duration;
mod engine;
mod json;
mod limits;
mod module;
mod problem;
mod reference;
mod retention;
mod schedule;
mod scheme;
mod secret;
mod section;
mod single;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use api::{Api, CredentialsKey};
pub use calendar::Calendar;
pub use compaction::Compaction;
pub use conditions::{Conditions, DayTime};
pub use connection::{Connection, is_secret};
pub use engine::Engine;
pub use limits::Limits;
pub use module::ModuleSource;
pub use problem::{Objection, Place, Problem, Problems, Severity};
pub use reference::{CheckReference, Reference, ReferenceFrom};
pub use retention::{Keep, Retention};
pub use schedule::Schedule;
pub use scheme::{Endpoint, Isolation, OnChange, Retry, Scheme, Sweep};
pub use secret::Secret;
pub use single::{SingleScheme, UploadedTables, judge_connection, scheme_from};

use crate::model::{ConnectionName, OperationName, SchemeId, System, TenantId};
use problem::Report;
use section::Section;

/// A configuration without a mistake.
#[derive(Debug, Clone)]
pub struct Config {
    pub engine: Engine,
    /// The sandbox's own settings, as it checked them.
    pub sandbox: toml::Table,
    pub connections: Vec<Connection>,
    pub schemes: Vec<Scheme>,
    pub retention: Retention,
    pub compaction: Compaction,
    /// The API for tenants; off where it is not spoken of.
    pub api: Option<Api>,
    /// What can be used and most likely was not meant.
    pub warnings: Problems,
}

impl Config {
    pub fn connection(&self, tenant: &TenantId, name: &ConnectionName) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.tenant == *tenant && connection.name == *name)
    }
    pub fn scheme(&self, tenant: &TenantId, name: &SchemeId) -> Option<&Scheme> {
        self.schemes.iter().find(|scheme| scheme.tenant == *tenant && scheme.name == *name)
    }
}

/// Judges the options of one end of a scheme.
pub type CheckEndpoint<'a> = &'a dyn Fn(System, &OperationName, &toml::Table) -> Vec<Objection>;
/// Judges a scheme whose parts are each in order: whether they fit one another.
pub type CheckScheme<'a> = &'a dyn Fn(&Scheme, &Connection, &Connection) -> Vec<Objection>;

/// What a configuration is loaded with: the outside, and the judgement of the layers above.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    pub allow_inline_secrets: bool,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A connection's own settings, secrets in plain text among them: an objection must not quote them.
    pub check_connection: &'a dyn Fn(System, &toml::Table) -> Vec<Objection>,
    pub check_source: CheckEndpoint<'a>,
    pub check_target: CheckEndpoint<'a>,
    /// The `[sandbox]` table.
    pub check_sandbox: &'a dyn Fn(&toml::Table) -> Vec<Objection>,
    /// A scheme with its source and its target connection; paths begin at the scheme's table.
    pub check_scheme: CheckScheme<'a>,
    /// A connection and a table that is to be read from it; paths begin at the table's entry in `reference`.
    pub check_reference: CheckReference<'a>,
}

impl<'a> LoadOptions<'a> {
    /// Inline secrets refused, and nobody above who objects.
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            allow_inline_secrets: false,
            env,
            check_connection: &|_, _| Vec::new(),
            check_source: &|_, _, _| Vec::new(),
            check_target: &|_, _, _| Vec::new(),
            check_sandbox: &|_| Vec::new(),
            check_scheme: &|_, _, _| Vec::new(),
            check_reference: &|_, _| Vec::new(),
        }
    }
}

/// Where the engine of the file at `path` keeps its data, whatever else is wrong with the file. For those who only have
/// to find a running engine: they need no secret, and a half-edited scheme must not keep anybody from a pause.
pub fn data_dir(path: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(path).ok()?;
    let (root, _) = DeTable::parse_recoverable(&text);
    let data_dir = root.get_ref().get("engine")?.get_ref().get("data_dir")?.get_ref().as_str()?;
    (!data_dir.is_empty()).then(|| path.parent().unwrap_or(Path::new("")).join(data_dir))
}

/// Reads the file at `path`. Relative paths in it are relative to it.
pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Config, Problems> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let place = Place { file: path.into(), position: None };
        Problems::one(place, format!("cannot be read: {error}"), "name a readable TOML file in UTF-8")
    })?;
    let report = Report::new(path, &text);
    let (root, errors) = DeTable::parse_recoverable(&text);
    for error in &errors {
        let remedy = "mend the TOML here; what follows is checked once the whole file can be read";
        report.add(error.span().unwrap_or(0..0), format!("not TOML: {}", error.message()), remedy);
    }
    // What the parser guessed after a syntax error would be blamed for keys that are there.
    if !errors.is_empty() {
        return Err(report.into_problems());
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let config = read(&root, directory, options, &report);
    match config {
        Some(config) if !report.has_mistakes() => Ok(Config { warnings: report.into_problems(), ..config }),
        _ => Err(report.into_problems()),
    }
}

fn read<'a>(
    root: &'a Spanned<DeTable<'a>>,
    directory: &Path,
    options: &LoadOptions<'_>,
    report: &'a Report<'a>,
) -> Option<Config> {
    let root = Section::new("the file", root.get_ref(), 0..0, report);
    let remedy = "begin with [engine] and data_dir = \"/var/lib/crossdock\"";
    if !root.table.contains_key("engine") {
        root.missing("engine", remedy);
    }
    let engine = root.section("engine", remedy);
    let engine = engine.and_then(|section| engine::read(section.named("[engine]"), directory, options));

    let sandbox = match root.section("sandbox", "write [sandbox]") {
        Some(section) => {
            let section = section.named("[sandbox]");
            let table = section.rest();
            section.object((options.check_sandbox)(&table));
            table
        }
        None => toml::Table::new(),
    };

    let mut connections: Vec<connection::Found> = Vec::new();
    for section in blocks(&root, "connection") {
        let at = section.table.get("name").map_or(section.span.clone(), |name| name.span());
        let Some(found) = connection::read(section, directory, options) else { continue };
        if connections.iter().any(|other| other.name == found.name && other.tenant == found.tenant) {
            let message = format!("the tenant \"{}\" has two connections named \"{}\"", found.tenant, found.name);
            report.add(at, message, "give one of them another name");
        }
        connections.push(found);
    }

    let module_dir = engine.as_ref().map(|engine| engine.module_dir.as_path());
    let known = scheme::Known { connections: &connections, module_dir };
    let mut schemes: Vec<scheme::Found> = Vec::new();
    for section in blocks(&root, "scheme") {
        let at = section.table.get("name").map_or(section.span.clone(), |name| name.span());
        let Some(found) = scheme::read(section, directory, &known, options) else { continue };
        if schemes.iter().any(|other| other.name == found.name && other.tenant == found.tenant) {
            let message = format!("the tenant \"{}\" has two schemes named \"{}\"", found.tenant, found.name);
            report.add(at, message, "give one of them another name; its ledger is kept under it");
        }
        schemes.push(found);
    }
    conditions::check(&schemes, report);
    let tenants: Vec<&TenantId> =
        connections.iter().map(|found| &found.tenant).chain(schemes.iter().map(|found| &found.tenant)).collect();
    let retention = root.section("retention", "write [retention]");
    let retention = retention.map(|section| retention::read(section.named("[retention]"), &tenants));
    let compaction = root.section("compaction", "write [compaction]");
    let compaction = compaction.map(|section| compaction::read(section.named("[compaction]")));
    let api = root.section("api", "write [api]");
    let api = api.and_then(|section| api::read(section.named("[api]"), directory, options));
    root.finish();
    Some(Config {
        engine: engine?,
        sandbox,
        connections: connections.into_iter().map(|found| found.connection).collect::<Option<_>>()?,
        schemes: schemes.into_iter().map(|found| found.scheme).collect::<Option<_>>()?,
        retention: retention.unwrap_or_default(),
        compaction: compaction.unwrap_or_default(),
        api,
        warnings: Problems::default(),
    })
}

/// The `[[key]]` blocks.
fn blocks<'a>(root: &Section<'a>, key: &'static str) -> Vec<Section<'a>> {
    let remedy = format!("write it as [[{key}]], with two brackets");
    let Some(value) = root.get(key) else { return Vec::new() };
    let DeValue::Array(array) = value.get_ref() else {
        root.wrong(value, key, "a list of tables", &remedy);
        return Vec::new();
    };
    let mut sections = Vec::new();
    for (index, block) in array.iter().enumerate() {
        match block.get_ref() {
            DeValue::Table(table) => {
                sections.push(Section::new(format!("{key} number {}", index + 1), table, block.span(), root.report));
            }
            _ => root.wrong(block, key, "a list of tables", &remedy),
        }
    }
    sections
}
