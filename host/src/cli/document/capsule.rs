//! `crossdock document capsule`: the file goes to standard output, what should be known about it to standard error.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::capsule::mask::Rules;
use crate::daemon::CapsuleRequest;

use super::super::exit::Exit;
use super::{Desk, Place, fail};

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document capsule 166001 > 166001.capsule\n         \
                        crossdock replay 166001.capsule")]
pub struct Arguments {
    /// The document's key
    key: String,
    #[command(flatten)]
    place: Place,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// The version; the newest transformed one where none is named
    #[arg(long)]
    version: Option<u64>,
    /// Rules of your own for what is masked, beside the built-in ones; docs/guides/capsules.md
    #[arg(long, value_name = "RULES", conflicts_with = "raw")]
    mask: Option<PathBuf>,
    /// Mask nothing: the file holds names, telephone numbers and addresses
    #[arg(long)]
    raw: bool,
    /// Put the component in as well, so that the file replays where the component is not
    #[arg(long)]
    with_module: bool,
}

pub async fn capture(arguments: &Arguments) -> Result<(), ExitCode> {
    let rules = if arguments.raw { None } else { Some(rules(arguments)?) };
    let request = CapsuleRequest {
        scheme: arguments.scheme.clone(),
        key: arguments.key.clone(),
        version: arguments.version,
        rules,
        with_module: arguments.with_module,
    };
    let door = Desk::open(&arguments.place).await?;
    let answer = door.capsule(&request).await;
    door.close()?;
    let answer = answer?;
    let mut out = io::stdout().lock();
    out.write_all(answer.capsule.as_bytes()).and_then(|()| out.flush()).map_err(|error| fail(&error))?;
    for note in &answer.notes {
        eprintln!("crossdock: {note}");
    }
    if arguments.raw {
        eprintln!("crossdock: this capsule holds personal data; leave --raw out for one that can be handed on");
    }
    Ok(())
}

/// The rules' text, read here: a mistake in it is the command line's, and nothing is asked of the engine.
fn rules(arguments: &Arguments) -> Result<String, ExitCode> {
    let Some(path) = &arguments.mask else { return Ok(String::new()) };
    let unusable = |problem: &dyn std::fmt::Display| -> ExitCode {
        eprintln!("crossdock: {}: {problem}", path.display());
        Exit::Usage.into()
    };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
    Rules::parse(&text).map_err(|error| unusable(&error))?;
    Ok(text)
}
