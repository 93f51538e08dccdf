//! `crossdock document capsule`: the capsule goes to a file or to standard output, what should be known about it to
//! standard error.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::capsule::mask::Rules;
use crate::daemon::CapsuleRequest;

use super::super::exit::Exit;
use super::{Desk, Place, fail};

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document capsule 166001 --output 166001.capsule\n         \
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
    /// Write it here, once it is complete; to standard output where no file is named
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
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
    match &arguments.output {
        Some(path) => written(path, &answer.capsule).map_err(|error| fail(&format!("{}: {error}", path.display())))?,
        None => {
            let mut out = io::stdout().lock();
            out.write_all(answer.capsule.as_bytes()).and_then(|()| out.flush()).map_err(|error| fail(&error))?;
        }
    }
    for note in &answer.notes {
        eprintln!("crossdock: {note}");
    }
    if arguments.raw {
        eprintln!("crossdock: this capsule holds personal data; leave --raw out for one that can be handed on");
    }
    Ok(())
}

/// The file is there as a whole or not at all: a shell's `>` makes an empty one before anything is asked.
fn written(path: &Path, capsule: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(capsule.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
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
