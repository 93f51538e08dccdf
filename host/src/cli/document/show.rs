//! `crossdock document show`: everything that is known of one document.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use crate::daemon::DocumentView;

use super::list::line;
use super::{Desk, Format, Place, fail, print};

#[derive(Debug, Args)]
pub struct Arguments {
    /// The document's key
    key: String,
    #[command(flatten)]
    place: Place,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// Show names, phones, addresses and identity numbers
    #[arg(long)]
    unmask: bool,
    /// For people, or one JSON object
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub async fn show(arguments: &Arguments) -> Result<(), ExitCode> {
    let door = Desk::open(&arguments.place).await?;
    let view = door.show(arguments.scheme.as_deref(), &arguments.key, arguments.unmask).await?;
    let mut text = String::new();
    match arguments.format {
        Format::Json => {
            text = serde_json::to_string_pretty(&view).map_err(|error| fail(&error))?;
            text.push('\n');
        }
        Format::Text => written(&mut text, &view).expect("a string takes all that is written to it"),
    }
    print(&text)?;
    door.close()
}

fn written(out: &mut String, view: &DocumentView) -> std::fmt::Result {
    for version in &view.versions {
        writeln!(out, "{}", line(&version.summary))?;
        if let Some(edited) = &version.edited {
            let by = edited.by.as_deref().unwrap_or("somebody");
            writeln!(out, "  edited from v{} by {by} at {}", edited.from, edited.at)?;
        }
        if let Some(module) = &version.chosen_module {
            writeln!(out, "  to be run with module {module}")?;
        }
        if let Some(module) = &version.module {
            writeln!(out, "  module {module}, fuel {}", version.fuel)?;
        }
        if let Some(at) = version.removed_at {
            let how = if version.erased { "erased" } else { "removed by retention" };
            writeln!(out, "  body, bills and history were {how} at {at}")?;
        }
        if let Some(body) = &version.body {
            writeln!(out, "  source {body}")?;
        }
        for emitted in &version.emitted {
            writeln!(out, "  emitted {emitted}")?;
        }
    }
    for entry in &view.history {
        writeln!(out, "{} {}", entry.at, entry.event)?;
        if let Some(memory_bytes) = entry.memory_bytes {
            writeln!(out, "  memory {memory_bytes} bytes")?;
        }
        for (table, revision) in &entry.tables {
            writeln!(out, "  looked up in {table}, revision {revision}")?;
        }
        for log in &entry.logs {
            writeln!(out, "  log {log}")?;
        }
    }
    Ok(())
}
