//! `crossdock audit`: who did what, from where, and when.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::output::{self, field, instant};
use super::{Common, Error, HELP};

/// Who did what, from where, and when; the oldest first.
#[derive(Debug, Args)]
#[command(after_help = format!("{HELP}\n\nExample: crossdock audit --action scheme --since 2026-11-01T00:00:00Z"))]
pub struct Audit {
    #[command(flatten)]
    common: Common,
    /// The operator's own log, of what is done beside and above the tenants
    #[arg(long)]
    operator: bool,
    /// Only these acts: scheme for all on schemes, scheme.activate for those alone
    #[arg(long)]
    action: Option<String>,
    /// Only acts on this: a scheme's name, a token's id
    #[arg(long)]
    object: Option<String>,
    /// Only acts of this token, by its id
    #[arg(long)]
    token: Option<String>,
    /// Only from then on
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only before then
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// At most so many
    #[arg(long, default_value_t = 500)]
    limit: usize,
}

pub fn run(arguments: &Audit) -> ExitCode {
    super::run(|| audit(arguments))
}

async fn audit(arguments: &Audit) -> Result<(), Error> {
    let Audit { common, operator, action, object, token, since, until, limit } = arguments;
    let server = common.server.open()?;
    let path = if *operator { vec!["v1", "audit"] } else { server.of_tenant(&["audit"])? };
    let words = [("action", action), ("object", object), ("token", token)];
    let instants = [("since", since), ("until", until)];
    let mut query: Vec<(&'static str, String)> =
        words.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    query.extend(instants.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.to_string()))));
    let found = server.list(&path, query, *limit).await?;
    output::list(
        common.output,
        &found,
        &[
            ("NUMBER", |one| field(one, "/number")),
            ("AT", |one| instant(one, "/at")),
            ("WHO", |one| format!("{} ({})", field(one, "/actor/name"), field(one, "/actor/token"))),
            ("FROM", |one| field(one, "/actor/from")),
            ("ACTION", |one| field(one, "/action")),
            ("OBJECT", |one| field(one, "/object")),
            ("DETAIL", |one| field(one, "/detail")),
        ],
    )?;
    super::note_more(found.len(), *limit);
    Ok(())
}
