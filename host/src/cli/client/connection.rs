//! `crossdock connection`. A secret comes from a file, the environment or standard input, and never from an argument,
//! which every user of the machine can read.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::output::{self, field, instant};
use super::{Answer, Ask, Body, Common, Error, HELP, Server};
use crate::config;
use crate::model::System;

/// Connections: a system, its address and its credentials, which are sealed and never shown again.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Connections {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the tenant's connections and how they stand
    List {
        /// At most so many
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Show one connection, without its secrets
    Show { name: String },
    /// Make or change a connection
    #[command(
        after_help = "Examples: crossdock connection put k3 --system kingdee_k3cloud --file k3.json --secret app_secret=env:K3\n          \
                            crossdock connection put k3 --secret app_secret=file:new.txt   (the rest stays as it is)"
    )]
    Put(Put),
    /// What it was before, who changed it and when
    Revisions { name: String },
    /// Let no request begin over it; returns when none is under way
    Pause {
        name: String,
        /// Why; shown wherever the pause is
        #[arg(long)]
        reason: String,
    },
    /// Let requests begin again
    Resume { name: String },
    /// Delete a connection that no scheme uses
    Delete { name: String },
}

#[derive(Debug, Args)]
struct Put {
    name: String,
    /// The vendor's product; as it was where this is left out
    #[arg(long, value_parser = system)]
    system: Option<System>,
    /// The settings, a JSON object; - is standard input. They replace all settings but secrets that are not named
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// One setting that is no secret; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// One secret: KEY=env:VARIABLE, KEY=file:PATH or KEY=stdin; may be repeated
    #[arg(long, value_name = "KEY=FROM")]
    secret: Vec<String>,
    /// Only if it is at this revision still
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
}

/// Where a secret comes from.
#[derive(Debug, Clone)]
enum From {
    Env(String),
    File(PathBuf),
    Stdin,
}

fn system(text: &str) -> Result<System, String> {
    let named = System::ALL.into_iter().find(|system| system.as_str() == text);
    named.ok_or_else(|| format!("write one of {}", System::ALL.map(System::as_str).join(", ")))
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    if config::is_secret(last(key)) {
        return Err(format!(
            "{key} is a secret: hand it over as --secret {key}=env:NAME, so that no list of processes shows it"
        ));
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn secret(text: &str) -> Result<(String, From), String> {
    let usage = "write it as KEY=env:VARIABLE, KEY=file:PATH or KEY=stdin";
    // What follows may be the secret itself, by mistake: it is not quoted.
    let (key, from) = text.split_once('=').ok_or(usage)?;
    if !config::is_secret(last(key)) {
        return Err(format!("{key} is no secret by its name: use --set"));
    }
    let from = match from.split_once(':') {
        Some(("env", name)) => From::Env(name.to_owned()),
        Some(("file", path)) => From::File(path.into()),
        None if from == "stdin" => From::Stdin,
        _ => return Err(usage.into()),
    };
    Ok((key.to_owned(), from))
}

/// The key itself, of one that is nested: `login.password`.
fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

pub fn run(arguments: &Connections) -> ExitCode {
    super::run(|| connections(arguments))
}

async fn connections(arguments: &Connections) -> Result<(), Error> {
    let Common { server, output } = &arguments.common;
    let (server, output) = (server.open()?, *output);
    match &arguments.command {
        Command::List { limit } => {
            super::list(
                &server,
                output,
                &server.of_tenant(&["connections"])?,
                *limit,
                &[
                    ("CONNECTION", |one| field(one, "/name")),
                    ("SYSTEM", |one| field(one, "/system")),
                    ("MANAGED BY", |one| field(one, "/managed_by")),
                    ("REVISION", |one| field(one, "/revision")),
                    ("BREAKER", |one| field(one, "/breaker")),
                    ("SCHEMES", |one| field(one, "/schemes")),
                    ("PAUSED", |one| field(one, "/paused")),
                ],
            )
            .await
        }
        Command::Show { name } => {
            let found = server.get(&server.of_tenant(&["connections", name])?).await?.body;
            output::one(output, &found, written)
        }
        Command::Put(put) => {
            let answer = put.put(&server).await?.body;
            output::one(output, &answer, written)
        }
        Command::Revisions { name } => {
            let path = server.of_tenant(&["connections", name, "revisions"])?;
            super::list(
                &server,
                output,
                &path,
                usize::MAX,
                &[
                    ("REVISION", |one| field(one, "/revision")),
                    ("AT", |one| instant(one, "/changed_at")),
                    ("BY", |one| field(one, "/changed_by")),
                    ("SYSTEM", |one| field(one, "/system")),
                    ("SECRETS", |one| field(one, "/secrets")),
                ],
            )
            .await
        }
        Command::Pause { name, reason } => {
            let path = server.of_tenant(&["connections", name, "pause"])?;
            let body = Body::Json(json!({ "reason": reason }));
            let answer = server.ask(Method::POST, &path, Ask { body, ..Ask::default() }).await?.body;
            output::done(output, &answer, &format!("connection {name} paused"))
        }
        Command::Resume { name } => {
            let path = server.of_tenant(&["connections", name, "resume"])?;
            let answer = server.ask(Method::POST, &path, Ask::default()).await?.body;
            output::done(output, &answer, &format!("connection {name} {}", super::resumed(&answer)))
        }
        Command::Delete { name } => {
            let path = server.of_tenant(&["connections", name])?;
            let answer = server.ask(Method::DELETE, &path, Ask::default()).await?.body;
            output::done(output, &answer, &format!("connection {name} deleted"))
        }
    }
}

impl Put {
    async fn put(&self, server: &Server) -> Result<Answer, Error> {
        let path = server.of_tenant(&["connections", &self.name])?;
        // Read here and not by clap, which would quote what it refuses.
        let given: Vec<(String, String)> =
            self.set.iter().map(|one| setting(one)).collect::<Result<_, _>>().map_err(Error::Usage)?;
        let secrets = self.secrets()?;
        let (mut settings, system, expected) = match &self.file {
            Some(file) => match super::read_json(file)? {
                Value::Object(settings) => (settings, None, None),
                _ => return Err(Error::Usage(format!("{} is not a JSON object", file.display()))),
            },
            // Without a file, what is not named stays as it is, unless somebody changes it meanwhile.
            None => match server.get(&path).await {
                Ok(found) => {
                    let settings = found.body.pointer("/connection/settings").and_then(Value::as_object).cloned();
                    (settings.unwrap_or_default(), found.body.pointer("/connection/system").cloned(), found.revision)
                }
                Err(Error::Problem(problem)) if problem.status == 404 => (Map::new(), None, None),
                Err(error) => return Err(error),
            },
        };
        for (key, value) in &given {
            // A number or a truth value where it reads as one, as in a file.
            let value = match serde_json::from_str::<Value>(value) {
                Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
                _ => Value::String(value.clone()),
            };
            place(&mut settings, key, value);
        }
        for (key, secret) in secrets {
            place(&mut settings, &key, Value::String(secret));
        }
        let system = self.system.map(|system| json!(system.as_str())).or(system);
        let system = system.ok_or_else(|| Error::Usage("say which product it is: --system".into()))?;
        let body = Body::Json(json!({ "system": system, "settings": settings }));
        server.ask(Method::PUT, &path, Ask { body, expected: self.if_revision.or(expected), ..Ask::default() }).await
    }

    fn secrets(&self) -> Result<Vec<(String, String)>, Error> {
        let read = |one: &String| {
            let (key, from) = secret(one).map_err(Error::Usage)?;
            let text = match &from {
                From::Env(name) => std::env::var(name)
                    .map_err(|_| Error::Usage(format!("{key}: the environment has no variable {name}")))?,
                From::File(path) => text_of(super::read_bytes(path)?, &key)?,
                From::Stdin => text_of(super::read_bytes("-".as_ref())?, &key)?,
            };
            // The line end that editors leave.
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            if text.is_empty() {
                return Err(Error::Usage(format!("{key}: the secret is empty")));
            }
            Ok((key, text))
        };
        self.secret.iter().map(read).collect()
    }
}

fn text_of(bytes: Vec<u8>, key: &str) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::Usage(format!("{key}: the secret is no text in UTF-8")))
}

/// At a key that may be nested: `login.password`.
fn place(settings: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(settings.insert(key.to_owned(), value)),
        Some((first, rest)) => {
            let inner = settings.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                place(inner, rest, value);
            }
        }
    }
}

fn written(found: &Value) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("connection", field(found, "/status/name")),
        row("system", field(found, "/status/system")),
        row("managed by", field(found, "/status/managed_by")),
        row("revision", field(found, "/status/revision")),
        row("changed", instant(found, "/connection/changed_at")),
        row("by", field(found, "/connection/changed_by")),
        row("schemes", field(found, "/status/schemes")),
        row("breaker", field(found, "/status/breaker")),
        row("paused", field(found, "/status/paused")),
        row("paused by", field(found, "/status/paused_by")),
    ];
    let settings = found.pointer("/connection/settings").and_then(Value::as_object).into_iter().flatten();
    rows.extend(
        settings.map(|(key, value)| row(key, value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))),
    );
    let secrets = found.pointer("/connection/secrets").and_then(Value::as_array).into_iter().flatten();
    let secrets = secrets.filter_map(Value::as_str).map(|at| at.trim_start_matches('/').replace('/', "."));
    rows.extend(secrets.map(|key| row(&key, "(sealed)".into())));
    output::aligned(rows) + &super::warnings(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_taken_from_an_argument() {
        for bad in ["app_secret=hunter2", "login.password=hunter2", "token=x"] {
            let said = setting(bad).unwrap_err();
            assert!(said.contains("--secret") && !said.contains("hunter2"), "{said}");
        }
        assert!(setting("base_url=https://a.example/?x=1").is_ok());
        for bad in ["app_secret=hunter2", "app_secret", "app_secret=hunter2:x"] {
            let said = secret(bad).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert!(matches!(secret("app_secret=env:A"), Ok((key, From::Env(name))) if key == "app_secret" && name == "A"));
        assert!(matches!(secret("login.password=stdin"), Ok((_, From::Stdin))));
        assert!(secret("base_url=env:A").is_err(), "what is no secret by its name would not be sealed");
    }

    #[test]
    fn a_nested_key_is_placed_where_it_belongs() {
        let mut settings = Map::from_iter([("login".to_owned(), json!({ "user": "u" }))]);
        place(&mut settings, "login.password", json!("p"));
        place(&mut settings, "a.b.c", json!(1));
        assert_eq!(
            Value::Object(settings),
            json!({ "login": { "user": "u", "password": "p" }, "a": { "b": { "c": 1 } } })
        );
    }
}
