//! `crossdock document bulk`: one order for all documents that a filter means.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::daemon::{BulkAnswer, BulkRequest, Named, Wish};

use super::list::Which;
use super::orders::{By, Chosen, ON_DISK, mode, module};
use super::{Desk, Format, Place, fail, print};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try all of them again
    Retry(RetryArguments),
    /// Give all of them up
    Discard(ReasonArguments),
    /// Erase all of them
    Erase(ReasonArguments),
}

#[derive(Debug, Args)]
pub struct Common {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    /// Say what would happen, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// For people, or one JSON object
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document bulk retry --state parked --code guest_trap --dry-run")]
pub struct RetryArguments {
    #[command(flatten)]
    common: Common,
    /// Ask the target first whether the bills are there
    #[arg(long, conflicts_with = "i_checked")]
    after_verify: bool,
    /// You looked into the target yourself, and none of the bills is there
    #[arg(long)]
    i_checked: bool,
    /// Run them with this module, and not with their scheme's: name@version, or the digest
    #[arg(long, value_parser = module)]
    module: Option<Chosen>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: crossdock document bulk discard --state parked --code rejected --reason 'entered by hand'"
)]
pub struct ReasonArguments {
    #[command(flatten)]
    common: Common,
    /// Why; kept with each document
    #[arg(long)]
    reason: String,
}

pub async fn run(command: &Command) -> Result<(), ExitCode> {
    let (common, mut wish, chosen) = match command {
        Command::Retry(arguments) => {
            let RetryArguments { common, after_verify, i_checked, module } = arguments;
            (common, Wish::Retry { mode: mode(*after_verify, *i_checked), module: None }, module.as_ref())
        }
        Command::Discard(arguments) => (&arguments.common, Wish::Discard { reason: arguments.reason.clone() }, None),
        Command::Erase(arguments) => (&arguments.common, Wish::Erase { reason: arguments.reason.clone() }, None),
    };
    let filter = common.which.filter();
    let is_erasure = matches!(wish, Wish::Erase { .. });
    let door = Desk::open(&common.place).await?;
    if let Wish::Retry { module, .. } = &mut wish {
        *module = door.module(chosen).await?;
    }
    let mut request = BulkRequest { filter, wish, dry_run: common.dry_run, by: common.by.name() };
    let mut sum = BulkAnswer::default();
    loop {
        let answer = door.bulk(&request).await.inspect_err(|_| unfinished(&sum))?;
        request.filter.after = answer.next.clone();
        sum.add(answer);
        if request.filter.after.is_none() {
            break;
        }
    }
    match common.format {
        Format::Json => print(&format!("{}\n", serde_json::to_string(&sum).map_err(|error| fail(&error))?))?,
        Format::Text => print(&written(&sum, common.dry_run))?,
    }
    if is_erasure && !common.dry_run && sum.granted > 0 {
        eprintln!("crossdock: {ON_DISK}");
    }
    door.close()
}

fn unfinished(sum: &BulkAnswer) {
    eprintln!("crossdock: {} were done before this; the same order goes on with the rest", sum.granted);
}

fn written(sum: &BulkAnswer, dry_run: bool) -> String {
    let BulkAnswer { matched, granted, first, refused, .. } = sum;
    let mut text = match dry_run {
        true => format!("{matched} documents are meant; {granted} would be done{}\n", names(first, *granted)),
        false => format!("{matched} documents were meant; {granted} are done{}\n", names(first, *granted)),
    };
    for group in refused {
        let (count, message) = (group.count, &group.message);
        text.push_str(&format!("{count} refused, {}{}\n  {message}\n", group.reason, names(&group.first, count)));
    }
    text
}

fn names(first: &[Named], count: u64) -> String {
    if first.is_empty() {
        return String::new();
    }
    let names: Vec<String> = first.iter().map(|one| format!("{} {} v{}", one.scheme, one.key, one.version)).collect();
    let more = if count > first.len() as u64 { ", …" } else { "" };
    format!(": {}{more}", names.join(", "))
}
