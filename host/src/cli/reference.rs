//! `crossdock reference`: through the running engine; on the store itself where none runs.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::daemon::{self, Origin, TableContent, TableFilter, TableQuestion, TableView};

use super::document::Door;
use super::exit::{self, Exit};
use super::{ConfigArguments, runtime};

/// Reference tables: what modules look things up in.
#[derive(Debug, Subcommand)]
#[command(after_help = exit::HELP)]
pub enum Command {
    /// List the tables with their age, revision and waiting documents
    List(ListArguments),
    /// Fetch tables now, whatever their age
    Refresh(RefreshArguments),
    /// Show one table and its entries
    Show(ShowArguments),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Only tables that this scheme uses
    #[arg(long)]
    scheme: Option<String>,
    /// For people, or one JSON object a line
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock reference refresh kingdee_jdy.material")]
pub struct RefreshArguments {
    /// The table; all that are fetched where none is named
    table: Option<String>,
    #[command(flatten)]
    config: ConfigArguments,
    /// Only tables that this scheme uses
    #[arg(long)]
    scheme: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock reference show kingdee_jdy.material --key SKU001")]
pub struct ShowArguments {
    /// The table
    table: String,
    #[command(flatten)]
    config: ConfigArguments,
    /// Only this entry; exit code 1 where the table has none
    #[arg(long)]
    key: Option<String>,
    /// Needed where several schemes have a table of this name
    #[arg(long)]
    scheme: Option<String>,
    /// At most so many entries, in the order of their keys
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// For people, or one JSON object
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub fn run(command: &Command) -> ExitCode {
    match start(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn start(command: &Command) -> Result<(), ExitCode> {
    runtime()?.block_on(async {
        match command {
            Command::List(arguments) => list(arguments).await,
            Command::Refresh(arguments) => refresh(arguments).await,
            Command::Show(arguments) => show(arguments).await,
        }
    })
}

/// Says what went wrong, in the words of whoever said it.
fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("crossdock: {error}");
    Exit::Failed.into()
}

async fn list(arguments: &ListArguments) -> Result<(), ExitCode> {
    let door = Door::open(&arguments.config).await?;
    let filter = TableFilter { table: None, scheme: arguments.scheme.clone() };
    let views = match &door {
        Door::Client(client) => client.tables(&filter).await.map_err(|error| fail(&error))?,
        Door::Office(office, _) => office.tables(None, &filter).map_err(|error| fail(&error))?,
    };
    for view in &views {
        match arguments.format {
            Format::Json => println!("{}", serde_json::to_string(view).map_err(|error| fail(&error))?),
            Format::Text => println!("{}", lines(view, Timestamp::now())),
        }
    }
    if views.is_empty() {
        eprintln!("crossdock: no scheme has reference tables");
    }
    door.close()
}

async fn refresh(arguments: &RefreshArguments) -> Result<(), ExitCode> {
    let door = Door::open(&arguments.config).await?;
    let filter = TableFilter { table: arguments.table.clone(), scheme: arguments.scheme.clone() };
    let refreshed = match &door {
        Door::Client(client) => client.refresh(&filter).await.map_err(|error| fail(&error)),
        Door::Office(office, engine) => {
            daemon::refresh_alone(engine, office, &filter).await.map_err(|error| fail(&error))
        }
    };
    for view in refreshed.iter().flatten().filter(|view| matches!(view.origin, Origin::Connection { .. })) {
        println!("{}", lines(view, Timestamp::now()));
    }
    door.close()?;
    refreshed.map(drop)
}

async fn show(arguments: &ShowArguments) -> Result<(), ExitCode> {
    let door = Door::open(&arguments.config).await?;
    let question = TableQuestion {
        filter: TableFilter { table: Some(arguments.table.clone()), scheme: arguments.scheme.clone() },
        key: arguments.key.clone(),
        limit: arguments.limit,
    };
    let content = match &door {
        Door::Client(client) => client.table(&question).await.map_err(|error| fail(&error))?,
        Door::Office(office, _) => office.table(None, &question).map_err(|error| fail(&error))?,
    };
    door.close()?;
    let TableContent { view, entries } = &content;
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&content).map_err(|error| fail(&error))?),
        Format::Text => {
            println!("{}", lines(view, Timestamp::now()));
            for (key, value) in entries {
                println!("  {key}: {value}");
            }
        }
    }
    match &arguments.key {
        Some(key) if entries.is_empty() => Err(fail(&format!("{} has no entry {key:?}", view.table))),
        None if entries.len() < view.entries => {
            eprintln!("crossdock: {} of {} entries shown: --limit or --key", entries.len(), view.entries);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A table in a line, and a second one where something is wrong with it.
fn lines(view: &TableView, now: Timestamp) -> String {
    let TableView { table, origin, schemes, revision, entries, waiting, .. } = view;
    let revision = revision.as_ref().map_or("none yet".to_owned(), ToString::to_string);
    let schemes: Vec<&str> = schemes.iter().map(|scheme| scheme.as_str()).collect();
    let used = format!("for {}", schemes.join(", "));
    let count = if *entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    match origin {
        Origin::File(file) => format!("{table}: {count}, revision {revision}, file {}, {used}", file.display()),
        Origin::Uploaded(name) => format!("{table}: {count}, revision {revision}, uploaded as {name}, {used}"),
        Origin::Connection { connection, fetched_at, due_at, fetching, paused, failure, .. } => {
            let age = fetched_at.map_or("never fetched".to_owned(), |at| format!("fetched {} ago", span(at, now)));
            let next = match paused {
                Some(_) => "paused".to_owned(),
                None if *fetching => "being fetched".to_owned(),
                None if *due_at <= now => "due".to_owned(),
                None => format!("next in {}", span(now, *due_at)),
            };
            let mut line = format!(
                "{table}: {count}, revision {revision}, connection {connection}, {age}, {next}, {waiting} waiting, {used}"
            );
            if let Some(paused) = paused {
                line.push_str(&format!("\n  paused: {paused}"));
            }
            if let Some(failure) = failure {
                let (count, at) = (failure.count, span(failure.at, now));
                line.push_str(&format!("\n  failed {count} times, last {at} ago: {}", failure.fault));
            }
            line
        }
    }
}

/// Whole seconds, and from a minute on whole minutes: an age, not a measurement.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).max(SignedDuration::ZERO).as_secs();
    let parts = [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("m", seconds / 60 % 60)];
    let parts: Vec<String> =
        parts.iter().filter(|(_, count)| *count > 0).map(|(unit, count)| format!("{count}{unit}")).collect();
    if parts.is_empty() { format!("{seconds}s") } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_as_people_tell_it() {
        let now: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        for (seconds, told) in [(0, "0s"), (59, "59s"), (60, "1m"), (3_725, "1h 2m"), (90_000, "1d 1h")] {
            assert_eq!(span(now - SignedDuration::from_secs(seconds), now), told);
        }
        assert_eq!(span(now + SignedDuration::from_secs(5), now), "0s", "a clock that was set back");
    }
}
