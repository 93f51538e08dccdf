//! `crossdock table`: reference tables that were uploaded.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::output::{self, digest, field, instant, number, size};
use super::{Ask, Body, Common, Error, HELP};
use crate::config;

/// Reference tables that modules look things up in, uploaded whole.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Tables {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the tenant's tables
    List {
        /// At most so many
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Show a table's entries, a key and its value a line
    Show { name: String },
    /// Upload a table whole; the same entries again change nothing
    #[command(after_help = "Examples: crossdock table put shops --file shops.json\n          \
                            crossdock table put shops --file shops.csv --key shop --value warehouse")]
    Put {
        name: String,
        /// A JSON object of keys and values, or CSV with a header where it ends in .csv
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Of CSV: the column of the key
        #[arg(long, value_name = "COLUMN")]
        key: Option<String>,
        /// Of CSV: the column of the value; the whole row where it is left out
        #[arg(long, value_name = "COLUMN", requires = "key")]
        value: Option<String>,
        /// Only if it is at this revision still
        #[arg(long, value_name = "N")]
        if_revision: Option<u64>,
    },
    /// Delete a table that no scheme uses
    Delete { name: String },
}

pub fn run(arguments: &Tables) -> ExitCode {
    super::run(|| tables(arguments))
}

async fn tables(arguments: &Tables) -> Result<(), Error> {
    let Common { server, output } = &arguments.common;
    let output = *output;
    match &arguments.command {
        Command::List { limit } => {
            let server = server.open()?;
            super::list(
                &server,
                output,
                &server.of_tenant(&["tables"])?,
                *limit,
                &[
                    ("TABLE", |one| field(one, "/name")),
                    ("ENTRIES", |one| field(one, "/entries")),
                    ("SIZE", |one| size(one, "/size")),
                    ("REVISION", |one| field(one, "/revision")),
                    ("DIGEST", |one| digest(one, "/digest")),
                    ("CHANGED", |one| instant(one, "/changed_at")),
                    ("BY", |one| field(one, "/changed_by")),
                ],
            )
            .await
        }
        Command::Show { name } => {
            let server = server.open()?;
            let path = server.of_tenant(&["tables", name])?;
            let mut after: Option<String> = None;
            loop {
                let mut query = vec![("limit", "500".to_owned())];
                query.extend(after.take().map(|after| ("after", after)));
                let page = server.ask(Method::GET, &path, Ask { query, ..Ask::default() }).await?.body;
                let items = page.get("items").and_then(Value::as_object).into_iter().flatten();
                let lines = items.map(|(key, value)| match output {
                    super::Output::Json => format!("{}\n", serde_json::json!({ "key": key, "value": value })),
                    super::Output::Text => format!("{} {value}\n", output::plain(key)),
                });
                output::print(&lines.collect::<String>())?;
                after = page.get("next").and_then(Value::as_str).map(ToOwned::to_owned);
                if after.is_none() {
                    return Ok(());
                }
            }
        }
        Command::Put { name, file, key, value, if_revision } => {
            // Sent as it was read: a price must not pass through a binary fraction.
            let text = config::read_table(file, key.as_deref(), value.as_deref()).map_err(Error::Usage)?;
            let server = server.open()?;
            let body = Body::Bytes { content_type: "application/json".into(), bytes: text.into_bytes() };
            let ask = Ask { body, expected: *if_revision, ..Ask::default() };
            let answer = server.ask(Method::PUT, &server.of_tenant(&["tables", name])?, ask).await?.body;
            let entries = answer.get("entries").and_then(Value::as_u64).map_or_else(|| "-".into(), number);
            let words = format!("table {name}: {entries} entries, revision {}", field(&answer, "/revision"));
            output::done(output, &answer, &words)
        }
        Command::Delete { name } => {
            let server = server.open()?;
            let path = server.of_tenant(&["tables", name])?;
            let answer = server.ask(Method::DELETE, &path, Ask::default()).await?.body;
            output::done(output, &answer, &format!("table {name} deleted"))
        }
    }
}
