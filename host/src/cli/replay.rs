//! `crossdock replay`: a capsule once more, offline. The report goes to standard output.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::bench::captured;
use crate::bench::replay::{self, Fuel, Standing, Verdict};
use crate::capsule::{Capsule, Outcome};
use crate::sandbox::Module;

use super::capsule_module::{self, Components};
use super::shown::{self, Palette, grouped, safe};
use super::transform::ClassArg;
use super::transform_project::{EXIT_FAILED, Stop};

/// Runs a capsule again: with its own module the same bytes and the same fuel, with another one what is different.
#[derive(Debug, Args)]
#[command(after_help = "\
The component is the one that the capsule carries, or the one of its digest beside the capsule,
here, or below either in target/components or modules.

Exit codes:
  0  the same came out; of fuel that can be compared, as much was used
  1  something else came out
  2  the capsule or the command line cannot be used
  3  the component is not there, or was refused

Example: crossdock replay 166001.capsule --module target/components/my-mapping.wasm")]
pub struct Replay {
    /// The capsule
    #[arg(value_name = "X.capsule")]
    capsule: PathBuf,
    /// This component, instead of the capsule's
    #[arg(long, value_name = "M.wasm")]
    module: Option<PathBuf>,
    /// The class of --module, where it is not that of the capsule's
    #[arg(long, value_enum, requires = "module")]
    class: Option<ClassArg>,
    #[command(flatten)]
    components: Components,
    /// Keep compiled components here, instead of in the user's cache
    #[arg(long, value_name = "DIR")]
    artefacts: Option<PathBuf>,
    /// Run nothing: write the capsule as a case below this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["module", "folders", "artefacts"])]
    as_case: Option<PathBuf>,
    /// For people, or one JSON object
    #[arg(long, value_enum, default_value = "text", alias = "output")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

impl Replay {
    pub fn run(&self) -> ExitCode {
        ExitCode::from(self.try_run().unwrap_or_else(Stop::tell))
    }

    fn try_run(&self) -> Result<u8, Stop> {
        let capsule = capsule_module::read(&self.capsule)?;
        if let Some(folder) = &self.as_case {
            return write_case(&capsule, folder);
        }
        let named = self.module.as_deref().map(|module| (module, self.class));
        let (laboratory, module) =
            self.components.open(&capsule, (&self.capsule, None), named, self.artefacts.as_deref())?;
        let replayed = replay::replay(&laboratory, &module, &capsule);
        let mut out = io::stdout().lock();
        let printed = match self.format {
            Format::Text => {
                let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
                text(&mut out, &capsule, &module, &replayed, &Palette::of(colour))
            }
            Format::Json => json(&mut out, &capsule, &module, &replayed),
        };
        printed.and_then(|()| out.flush()).map_err(|error| Stop::usage(format!("standard output: {error}")))?;
        Ok(if replayed.holds() { 0 } else { EXIT_FAILED })
    }
}

fn write_case(capsule: &Capsule, folder: &std::path::Path) -> Result<u8, Stop> {
    let path = captured::write(capsule, folder).map_err(Stop::usage)?;
    println!("{}", path.display());
    if let Outcome::Fault { code, .. } = &capsule.run.outcome {
        eprintln!("crossdock: the run ended in the fault {code}: write expected.json yourself");
    }
    if capsule.masked.is_none() {
        eprintln!("crossdock: the capsule is not masked, so the case holds personal data");
    }
    Ok(0)
}

fn text(
    out: &mut impl Write,
    capsule: &Capsule,
    module: &Module,
    replayed: &replay::Replay,
    palette: &Palette,
) -> io::Result<()> {
    let said = module.description();
    let with = if replayed.same_module { "the same module" } else { "another module" };
    writeln!(out, "{} with {with}, {}@{} ({})", capsule.name(), said.name, said.version, module.digest().short())?;
    match &replayed.verdict {
        Verdict::Same => writeln!(out, "  outcome  {}, byte for byte the same", named(&replayed.found))?,
        Verdict::OtherBytes => {
            writeln!(out, "  outcome  {}, the same values in other bytes", named(&replayed.found))?;
        }
        Verdict::Differs(differences) => {
            writeln!(
                out,
                "  outcome  {}, where the capsule has {}",
                named(&replayed.found),
                named(&capsule.run.outcome)
            )?;
            shown::differences(out, differences, palette)?;
        }
        Verdict::Unanswered { problem } => writeln!(out, "  outcome  none: {}", safe(problem))?,
    }
    let Fuel { recorded, found, standing } = replayed.fuel;
    let fuel = match standing {
        Standing::Same => format!("{}, the same", grouped(found)),
        Standing::Differs => format!("{}, where the capsule has {}", grouped(found), grouped(recorded)),
        Standing::OtherModule => format!("{}, the capsule's module took {}", grouped(found), grouped(recorded)),
        Standing::NotComparable => format!(
            "not comparable: the capsule was taken with wasmtime {}; that, or the sandbox's settings, is another here",
            capsule.engine.wasmtime
        ),
    };
    writeln!(out, "  fuel     {fuel}")?;
    if replayed.verdict != Verdict::Same {
        let Palette { dim, plain, .. } = palette;
        for line in &replayed.run.logs {
            writeln!(out, "     {dim}{:?}: {}{plain}", line.level, safe(&line.message))?;
        }
    }
    Ok(())
}

/// `emits 2 bills`, `skips (status_cancelled)`.
fn named(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Emit(bills) if bills.len() == 1 => "emits 1 bill".into(),
        Outcome::Emit(bills) => format!("emits {} bills", bills.len()),
        Outcome::Skip(why) => format!("skips ({})", why.code),
        Outcome::Reject(why) => format!("rejects ({})", why.code),
        Outcome::Fault { code, message } => format!("fault {code} ({})", safe(message)),
    }
}

fn json(out: &mut impl Write, capsule: &Capsule, module: &Module, replayed: &replay::Replay) -> io::Result<()> {
    let said = module.description();
    let (verdict, differences, problem) = match &replayed.verdict {
        Verdict::Same => ("same", Vec::new(), None),
        Verdict::OtherBytes => ("other_bytes", Vec::new(), None),
        Verdict::Differs(differences) => ("differs", differences.clone(), None),
        Verdict::Unanswered { problem } => ("unanswered", Vec::new(), Some(problem)),
    };
    let differences: Vec<serde_json::Value> = differences
        .iter()
        .map(|difference| json!({ "at": difference.at, "expected": difference.expected, "found": difference.found }))
        .collect();
    let whole = json!({
        "capsule": capsule.name(),
        "module": { "name": said.name, "version": said.version, "digest": module.digest().to_string() },
        "same_module": replayed.same_module,
        "holds": replayed.holds(),
        "verdict": verdict,
        "differences": differences,
        "problem": problem,
        "outcome": replayed.found,
        "fuel": replayed.fuel,
        "memory_bytes": replayed.run.memory_bytes,
        "logs": replayed.run.logs,
    });
    serde_json::to_writer(&mut *out, &whole)?;
    out.write_all(b"\n")
}
