//! What the layers above the configuration have to say of it, before anything is opened.

use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Config, LoadOptions, Objection, Problems};
use crate::connectors::{self, Connection, Http, ReferenceSource};
use crate::model::System;
use crate::sandbox;

use super::advice;

/// Loads a configuration with every layer's judgement of it.
pub fn load(path: &Path, allow_inline_secrets: bool) -> Result<Config, Problems> {
    with_judgement(allow_inline_secrets, |options| config::load(path, options))
}

/// Calls `body` with load options that carry the judgement of the layers above `config`.
pub fn with_judgement<R>(allow_inline_secrets: bool, body: impl FnOnce(&LoadOptions<'_>) -> R) -> R {
    let env = |name: &str| std::env::var(name).ok();
    let http = Http::new(None);
    let check_connection = |system: System, table: &toml::Table| match Connection::parse(system, table.clone()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(objection).collect(),
    };
    let check_sandbox = |table: &toml::Table| sandbox_objections(table.clone());
    let check_scheme = |scheme: &config::Scheme, source: &config::Connection, target: &config::Connection| {
        let Ok(http) = &http else { return Vec::new() };
        let mut objections = Vec::from_iter(advice::on_schedule(scheme));
        // A connection that does not parse is complained of at its own place.
        if let Ok(connection) = Connection::parse(source.system, source.settings.clone()) {
            let (operation, options) = (&scheme.source.operation, scheme.source.options.clone());
            match connection.source_from(http, operation, options, Some(scheme.start_at)) {
                Ok(source) => objections.extend(advice::on_source(&*source)),
                Err(problems) => objections.extend(problems.into_iter().map(objection)),
            }
        }
        if let Ok(connection) = Connection::parse(target.system, target.settings.clone()) {
            objections.extend(advice::on_references(scheme, &connection, http));
            match connection.target(http, &scheme.target.operation, scheme.target.options.clone()) {
                Ok(target) => objections.extend(advice::on_target(scheme, &*target)),
                Err(problems) => objections.extend(problems.into_iter().map(objection)),
            }
        }
        objections
    };
    let check_reference = |connection: &config::Connection, table: &str| {
        let Ok(http) = &http else { return Vec::new() };
        let Ok(parsed) = Connection::parse(connection.system, connection.settings.clone()) else { return Vec::new() };
        serves(&parsed, http, table).err().into_iter().collect()
    };
    body(&LoadOptions {
        allow_inline_secrets,
        check_connection: &check_connection,
        check_sandbox: &check_sandbox,
        check_scheme: &check_scheme,
        check_reference: &check_reference,
        ..LoadOptions::new(&env)
    })
}

/// The source of a connection's table, where it has it.
pub(super) fn serves(connection: &Connection, http: &Http, table: &str) -> Result<Arc<dyn ReferenceSource>, Objection> {
    let Some(source) = connection.references(http) else {
        let message = format!("{} serves no reference tables", connection.system());
        let remedy = "keep the table in a file: { file = \"t.csv\", key = \"code\" }";
        return Err(Objection::new("connection", message, remedy));
    };
    if source.tables().contains(&table) {
        return Ok(source);
    }
    let remedy = format!("it serves {}", source.tables().join(", "));
    Err(Objection::new("connection", format!("it serves no table {table:?}"), remedy))
}

/// Connectors begin a path with what they were given: `connection.app_key`, `source.status`. A scheme's table holds
/// `source` and `target`; a connection's is the connection itself.
fn objection(problem: connectors::SettingProblem) -> Objection {
    let path = problem.path.strip_prefix("connection.").unwrap_or(&problem.path);
    Objection::new(path, problem.message, problem.remedy)
}

/// serde stops at the first problem, so what it names is taken out and the rest is read again.
fn sandbox_objections(mut table: toml::Table) -> Vec<Objection> {
    const REMEDY: &str = "docs/limits.md lists every limit with its default";
    let mut objections = Vec::new();
    loop {
        let error = match table.clone().try_into::<sandbox::Settings>() {
            Ok(settings) => {
                let problems = settings.problems().into_iter().map(|problem| problem.to_string());
                objections.extend(problems.map(|problem| {
                    let words = problem.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    let key = words.into_iter().find(|word| table.contains_key(*word)).unwrap_or_default().to_owned();
                    Objection::new(&key, problem, REMEDY)
                }));
                return objections;
            }
            Err(error) => error,
        };
        // Its words quote the key, or end in "in `standard.functions`".
        let text = error.to_string();
        let quoted = text.split('`').skip(1).step_by(2);
        let key = quoted.filter_map(|word| word.split('.').next()).find(|key| table.contains_key(*key));
        objections.push(Objection::new(key.unwrap_or_default(), error.message(), REMEDY));
        if key.is_none_or(|key| table.remove(key).is_none()) {
            return objections;
        }
    }
}
