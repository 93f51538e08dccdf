//! `crossdock compact`: in the running engine, while it works; on the store itself where none runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::daemon::{Client, CompactionLine};
use crate::state::Pace;

use super::backup::{data_dir, fail, open};
use super::exit::{self, Exit};
use super::runtime;

/// Writes the store's files anew, so that they take no more disk than the ledger needs. The engine goes on meanwhile; it
/// does the same by itself where [compaction] says so. Stopped half-way, the store is as it was.
#[derive(Debug, Args)]
#[command(after_help = format!("{ROOM}\n\n{}\n\nExample: crossdock compact --config crossdock.toml", exit::HELP))]
pub struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "crossdock.toml", env = "CROSSDOCK_CONFIG")]
    config: PathBuf,
}

const ROOM: &str = "The engine, where one runs, goes on meanwhile. The new files need room beside the old ones.";

/// Where no engine runs nobody is in the way; some room stays for whoever else writes to the disk.
const AT_REST: Pace = Pace { bytes_per_second: u64::MAX, keep_free_bytes: 64 << 20 };

pub fn run(arguments: &Arguments) -> ExitCode {
    compact(arguments).err().unwrap_or(ExitCode::SUCCESS)
}

fn compact(arguments: &Arguments) -> Result<(), ExitCode> {
    let data_dir = data_dir(&arguments.config)?;
    let failed = |error: &dyn std::fmt::Display| fail(Exit::Failed, &error.to_string());
    let mut shown = Shown::default();
    let client: Result<bool, ExitCode> = runtime()?.block_on(async {
        let Some(client) = Client::connect(&data_dir).await.map_err(|error| failed(&error))? else { return Ok(false) };
        client.compact(|line| shown.take(line)).await.map_err(|error| failed(&error))?;
        Ok(true)
    });
    let client = client?;
    if !client {
        let store = open(&data_dir)?;
        let seen = std::cell::RefCell::new(&mut shown);
        let done = store.rewrite(&AT_REST, &|progress| seen.borrow_mut().take(progress.into()));
        shown.take(done.into());
        store.close().map_err(|error| failed(&error))?;
    }
    match shown.end {
        Some(Ok(words)) => {
            println!("{words}");
            Ok(())
        }
        Some(Err(why)) => Err(fail(Exit::Failed, &why)),
        None => Err(fail(Exit::Failed, "the engine ended before it said how it went; the store is whole in any case")),
    }
}

/// What was heard so far.
#[derive(Default)]
struct Shown {
    percent: u64,
    end: Option<Result<String, String>>,
}

impl Shown {
    fn take(&mut self, line: CompactionLine) -> bool {
        match line {
            CompactionLine::Progress { done_bytes, of_bytes } => {
                let percent = (done_bytes.saturating_mul(100) / of_bytes.max(1)).min(99);
                if percent >= self.percent + 10 {
                    self.percent = percent;
                    eprintln!("crossdock: {percent} % of the rows are written");
                }
            }
            CompactionLine::Done { before_bytes, after_bytes, held_ms } => {
                self.end = Some(Ok(format!(
                    "{before_bytes} bytes of files became {after_bytes}; commits waited {held_ms} ms for the switch"
                )));
            }
            CompactionLine::Failed(why) => self.end = Some(Err(why)),
        }
        true
    }
}
