//! `crossdock document list`: a line for each document that is meant.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use crate::daemon::{DocumentState, Filter, Summary};

use super::{Desk, Format, Place, fail, print, states};

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document list --state parked --scheme saleout")]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    /// Go on after the list that ended with this
    #[arg(long, value_name = "TOKEN")]
    after: Option<String>,
    /// At most so many documents
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// For people, or one JSON object a line
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Which documents are meant.
#[derive(Debug, Args)]
pub struct Which {
    /// Only documents of this scheme
    #[arg(long)]
    scheme: Option<String>,
    /// Only documents in this state; may be repeated
    #[arg(long, value_parser = states())]
    state: Vec<DocumentState>,
    /// Only documents whose keys begin so
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<String>,
    /// Only documents parked, skipped or waiting with this code
    #[arg(long)]
    code: Option<String>,
    /// Only versions received from then on
    #[arg(long, value_name = "TIME")]
    received_from: Option<Timestamp>,
    /// Only versions received before then
    #[arg(long, value_name = "TIME")]
    received_to: Option<Timestamp>,
    /// Only documents that something happened to from then on
    #[arg(long, value_name = "TIME")]
    changed_from: Option<Timestamp>,
    /// Only documents that nothing has happened to since then
    #[arg(long, value_name = "TIME")]
    changed_to: Option<Timestamp>,
}

impl Which {
    pub fn filter(&self) -> Filter {
        Filter {
            scheme: self.scheme.clone(),
            states: self.state.clone(),
            key_prefix: self.key_prefix.clone(),
            code: self.code.clone(),
            received_from: self.received_from,
            received_to: self.received_to,
            changed_from: self.changed_from,
            changed_to: self.changed_to,
            after: None,
            limit: None,
        }
    }
}

pub async fn list(arguments: &Arguments) -> Result<(), ExitCode> {
    let door = Desk::open(&arguments.place).await?;
    let mut filter = Filter { after: arguments.after.clone(), ..arguments.which.filter() };
    let mut left = arguments.limit;
    // A call looks at so many documents and no further, however few of them are meant.
    while left > 0 {
        filter.limit = Some(left);
        let found = door.search(&filter).await?;
        left = left.saturating_sub(found.documents.len());
        let mut text = String::new();
        for one in &found.documents {
            match arguments.format {
                Format::Json => text.push_str(&serde_json::to_string(one).map_err(|error| fail(&error))?),
                Format::Text => text.push_str(&line(one)),
            }
            text.push('\n');
        }
        print(&text)?;
        filter.after = found.next;
        if filter.after.is_none() {
            break;
        }
    }
    if let (Some(token), Format::Text) = (&filter.after, arguments.format) {
        eprintln!("crossdock: {} shown; there may be more: --limit, or --after {token}", arguments.limit - left);
    }
    door.close()
}

pub(super) fn line(one: &Summary) -> String {
    let Summary { scheme, key, version, state, message, targets, .. } = one;
    let targets: Vec<String> = targets.iter().map(|bill| format!("{} {}", bill.key, bill.state)).collect();
    let mut line = format!("{scheme} {key} v{version} {}", state.as_str());
    if !targets.is_empty() {
        line.push_str(&format!(" [{}]", targets.join(", ")));
    }
    if let Some(message) = message {
        line.push_str(&format!(" {message}"));
    }
    line
}
