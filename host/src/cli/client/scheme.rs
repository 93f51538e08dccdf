//! `crossdock scheme`: made, changed, switched, paused; their modules compared, exchanged and taken back.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::output::{self, digest, field, instant, number};
use super::{Ask, Body, Common, Error, HELP, Server};

/// Schemes: what is read where, mapped by which module, and written where.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Schemes {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the tenant's schemes and how they stand
    List {
        /// At most so many
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Show one scheme, its settings and how it stands
    Show { name: String },
    /// Make or change a scheme; a new one is off
    #[command(after_help = "Example: crossdock scheme put saleout --module saleout@1.0.0 --file saleout.json --enable")]
    Put(Put),
    /// Replace a scheme's parameters, and nothing else of it
    Parameters {
        name: String,
        /// A JSON object; - is standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        expected: Expected,
    },
    /// Switch a scheme on
    Enable {
        name: String,
        #[command(flatten)]
        expected: Expected,
    },
    /// Switch a scheme off; it keeps its ledger
    Disable {
        name: String,
        #[command(flatten)]
        expected: Expected,
    },
    /// Let no request of the scheme begin; returns when none is under way
    Pause {
        name: String,
        /// Why; shown wherever the pause is
        #[arg(long)]
        reason: String,
    },
    /// Let a paused scheme go on
    Resume { name: String },
    /// Run the last documents through another module as well, and say what differs; nothing is written
    #[command(after_help = "Example: crossdock scheme compare saleout --module saleout@1.1.0 --last 200\n\
                            Exit codes: 0 nothing differs; 1 something differs, or it did not work; 2 arguments not usable.")]
    Compare {
        name: String,
        /// name@version, or the digest
        #[arg(long)]
        module: String,
        /// How many of the newest documents
        #[arg(long, default_value_t = 100)]
        last: u64,
    },
    /// Run another module from the next document on, without stopping the scheme
    Activate {
        name: String,
        /// name@version, or the digest
        #[arg(long)]
        module: String,
        /// Why; kept with the revision
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        expected: Expected,
    },
    /// Run the module before again, from the next document on
    Rollback {
        name: String,
        #[command(flatten)]
        expected: Expected,
    },
    /// What it was before, who changed it and when
    Revisions { name: String },
    /// Delete a scheme that is off; its documents stay, and a scheme made under its name again goes on with them
    Delete {
        name: String,
        #[command(flatten)]
        expected: Expected,
    },
}

#[derive(Debug, Args)]
struct Put {
    name: String,
    /// name@version, or the digest
    #[arg(long)]
    module: String,
    /// The settings, a JSON object as a [[scheme]] block has them without name, tenant, module and enabled; - is standard
    /// input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Switch it on
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Switch it off
    #[arg(long)]
    disable: bool,
    /// Why; kept with the revision
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    expected: Expected,
}

#[derive(Debug, Args)]
struct Expected {
    /// Only if it is at this revision still
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
}

pub fn run(arguments: &Schemes) -> ExitCode {
    let mut differs = false;
    let code = super::run(|| schemes(arguments, &mut differs));
    match differs {
        true => crate::cli::exit::Exit::Failed.into(),
        false => code,
    }
}

async fn schemes(arguments: &Schemes, differs: &mut bool) -> Result<(), Error> {
    let Common { server, output } = &arguments.common;
    let (server, output) = (server.open()?, *output);
    match &arguments.command {
        Command::List { limit } => {
            super::list(
                &server,
                output,
                &server.of_tenant(&["schemes"])?,
                *limit,
                &[
                    ("SCHEME", |one| field(one, "/name")),
                    ("STATE", |one| field(one, "/state")),
                    ("MODULE", |one| field(one, "/module_ref")),
                    ("MANAGED BY", |one| field(one, "/managed_by")),
                    ("BACKLOG", |one| field(one, "/backlog")),
                    ("PARKED", |one| field(one, "/parked")),
                    ("READ TO", |one| instant(one, "/read_to")),
                    ("REASON", |one| field(one, "/reason")),
                ],
            )
            .await
        }
        Command::Show { name } => {
            let found = server.get(&server.of_tenant(&["schemes", name])?).await?.body;
            output::one(output, &found, written)
        }
        Command::Put(put) => {
            let mut body = json!({ "module": put.module, "settings": super::read_json(&put.file)?, "note": put.note });
            if put.enable || put.disable {
                body["enabled"] = json!(put.enable);
            }
            let ask = Ask { body: Body::Json(body), expected: put.expected.if_revision, ..Ask::default() };
            let answer = server.ask(Method::PUT, &server.of_tenant(&["schemes", &put.name])?, ask).await?.body;
            output::one(output, &answer, written)
        }
        Command::Parameters { name, file, expected } => {
            let body = Body::Json(super::read_json(file)?);
            let ask = Ask { body, expected: expected.if_revision, ..Ask::default() };
            let path = server.of_tenant(&["schemes", name, "parameters"])?;
            let answer = server.ask(Method::PUT, &path, ask).await?.body;
            output::one(output, &answer, written)
        }
        Command::Enable { name, expected } => act(&server, output, name, "enable", expected, None, "switched on").await,
        Command::Disable { name, expected } => {
            act(&server, output, name, "disable", expected, None, "switched off").await
        }
        Command::Pause { name, reason } => {
            let none = Expected { if_revision: None };
            act(&server, output, name, "pause", &none, Some(json!({ "reason": reason })), "paused").await
        }
        Command::Resume { name } => {
            let path = server.of_tenant(&["schemes", name, "resume"])?;
            let answer = server.ask(Method::POST, &path, Ask::default()).await?.body;
            output::done(output, &answer, &format!("scheme {name} {}", super::resumed(&answer)))
        }
        Command::Compare { name, module, last } => {
            let body = Body::Json(json!({ "module": module, "last": last }));
            let path = server.of_tenant(&["schemes", name, "compare"])?;
            let report = server.ask(Method::POST, &path, Ask { body, ..Ask::default() }).await?.body;
            *differs = report.get("clean") != Some(&Value::Bool(true));
            output::one(output, &report, compared)
        }
        Command::Activate { name, module, note, expected } => {
            let body = json!({ "module": module, "note": note });
            act(
                &server,
                output,
                name,
                "activate",
                expected,
                Some(body),
                &format!("runs {module} from the next document on"),
            )
            .await
        }
        Command::Rollback { name, expected } => {
            act(&server, output, name, "rollback", expected, None, "runs the module before from the next document on")
                .await
        }
        Command::Revisions { name } => {
            let path = server.of_tenant(&["schemes", name, "revisions"])?;
            super::list(
                &server,
                output,
                &path,
                usize::MAX,
                &[
                    ("REVISION", |one| field(one, "/revision")),
                    ("AT", |one| instant(one, "/changed_at")),
                    ("BY", |one| field(one, "/changed_by")),
                    ("MODULE", |one| field(one, "/module_ref")),
                    ("DIGEST", |one| digest(one, "/module")),
                    ("ENABLED", |one| field(one, "/enabled")),
                    ("NOTE", |one| field(one, "/note")),
                ],
            )
            .await
        }
        Command::Delete { name, expected } => {
            let ask = Ask { expected: expected.if_revision, ..Ask::default() };
            let answer = server.ask(Method::DELETE, &server.of_tenant(&["schemes", name])?, ask).await?.body;
            output::done(output, &answer, &format!("scheme {name} deleted"))
        }
    }
}

/// One of the acts below a scheme's address.
async fn act(
    server: &Server,
    output: super::Output,
    name: &str,
    act: &str,
    expected: &Expected,
    body: Option<Value>,
    words: &str,
) -> Result<(), Error> {
    let body = body.map_or(Body::Nothing, Body::Json);
    let ask = Ask { body, expected: expected.if_revision, ..Ask::default() };
    let answer = server.ask(Method::POST, &server.of_tenant(&["schemes", name, act])?, ask).await?.body;
    output::done(output, &answer, &format!("scheme {name} {words}{}", super::warnings(&answer).trim_end()))
}

fn written(found: &Value) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let rows = vec![
        row("scheme", field(found, "/status/name")),
        row("state", field(found, "/status/state")),
        row("reason", field(found, "/status/reason")),
        row("paused by", field(found, "/status/paused_by")),
        row("managed by", field(found, "/status/managed_by")),
        row("module", format!("{} {}", field(found, "/status/module_ref"), digest(found, "/status/module"))),
        row("before", digest(found, "/scheme/previous_module")),
        row("revision", field(found, "/scheme/revision")),
        row("changed", instant(found, "/scheme/changed_at")),
        row("by", field(found, "/scheme/changed_by")),
        row("note", field(found, "/scheme/note")),
        row("read to", instant(found, "/status/read_to")),
        row("next run", instant(found, "/status/next_run")),
        row("received", field(found, "/status/received")),
        row("finished", field(found, "/status/finished")),
        row("backlog", field(found, "/status/backlog")),
        row("parked", field(found, "/status/parked")),
        row("last fault", field(found, "/status/last_fault")),
        row("held", field(found, "/status/held")),
        row(
            "waits for",
            found.pointer("/status/throttled").filter(|one| one.is_object()).map_or("-".into(), output::exceeded),
        ),
    ];
    let mut text = output::aligned(rows) + &super::warnings(found);
    if let Some(settings) = found.pointer("/scheme/settings") {
        text.push_str(&format!("settings {settings:#}\n"));
    }
    text
}

fn compared(report: &Value) -> String {
    let count = |at: &str| report.pointer(at).and_then(Value::as_u64).map_or_else(|| "-".into(), number);
    let fuel = |whose: &str| {
        let at = |what: &str| count(&format!("/{whose}_fuel/{what}"));
        let share = report.pointer(&format!("/{whose}_fuel/p99_permille")).and_then(Value::as_u64).unwrap_or(0);
        format!("p50 {}, p99 {} ({}.{}% of the limit)", at("p50"), at("p99"), share / 10, share % 10)
    };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut text = output::aligned(vec![
        row("documents", count("/documents")),
        row("differing", count("/differing")),
        row("outcomes changed", count("/changed_outcomes")),
        row("undecided", count("/undecided")),
        row("there are", count("/available")),
        row("fuel now", fuel("present")),
        row("fuel then", fuel("candidate")),
    ]);
    for one in report.get("differences").and_then(Value::as_array).into_iter().flatten() {
        let outcome = |whose: &str| {
            let code = field(one, &format!("/{whose}/code"));
            let code = if code == "-" { String::new() } else { format!(" {code}") };
            format!("{}{code}", field(one, &format!("/{whose}/outcome")))
        };
        let line = format!(
            "{} v{}: {} -> {} {}",
            field(one, "/key"),
            field(one, "/version"),
            outcome("present"),
            outcome("candidate"),
            field(one, "/fields")
        );
        text.push_str(&format!("{}\n", output::plain(&line)));
    }
    let left_out = report.get("differences_left_out").and_then(Value::as_u64).unwrap_or(0);
    if left_out > 0 {
        text.push_str(&format!("and {left_out} more\n"));
    }
    let clean = report.get("clean") == Some(&Value::Bool(true));
    text.push_str(if clean { "clean: nothing differs\n" } else { "not clean\n" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_says_which_quota_its_documents_wait_for_and_until_when() {
        let throttled = json!({ "quota": "fuel_per_minute", "limit": 5_000, "used": 6_000,
            "since": "2026-11-22T08:00:05Z", "until": "2026-11-22T08:01:00Z" });
        let waits = |throttled: Value| {
            let text = written(&json!({ "status": { "throttled": throttled } }));
            text.lines().find_map(|line| line.strip_prefix("waits for")).unwrap().trim().to_owned()
        };
        let expected = "fuel_per_minute: 6,000 of 5,000 used, since 2026-11-22T08:00:05Z, until 2026-11-22T08:01:00Z";
        assert_eq!((waits(throttled).as_str(), waits(Value::Null).as_str()), (expected, "-"));
    }
}
