//! `make soak` and `make load`: an engine under load, a picture of it, and what is wrong with it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use vendor_sim::proof::arguments::{Where, seed_or_new};
use vendor_sim::proof::soak::{Plan, backlog, picture};
use vendor_sim::proof::{Failure, Result};

/// Moves documents of three schemes past vendors that misbehave, looks at the engine once a second, and draws what it saw.
/// Fails where the books do not balance, or memory or open files grow with every document.
#[derive(Debug, Parser)]
#[command(name = "soak", version)]
struct Arguments {
    #[command(flatten)]
    paths: Where,
    /// Documents over all three schemes
    #[arg(long, default_value_t = 9_000)]
    documents: usize,
    /// Documents a second
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// So many minutes at that rate, instead of a number of documents
    #[arg(long, conflicts_with = "documents")]
    minutes: Option<usize>,
    /// All documents are there at the start, and the vendors behave
    #[arg(long, conflicts_with_all = ["rate", "minutes"])]
    at_once: bool,
    /// Instead: so many documents come in while their target is away, and the engine starts once more over them
    #[arg(long, conflicts_with_all = ["documents", "rate", "minutes", "at_once"])]
    backlog: Option<usize>,
    /// Where the picture goes
    #[arg(long, default_value = "target/soak/soak.svg")]
    picture: PathBuf,
    /// The same seed gives the same documents; a new one each time where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Leave the data directory and the logs where they are, and say where
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("soak: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    match arguments.backlog {
        Some(documents) => pile_up(arguments, documents),
        None => move_all(arguments),
    }
}

fn pile_up(arguments: &Arguments, documents: usize) -> Result<bool> {
    let plan = backlog::Plan { documents };
    let outcome = plan.run(&arguments.paths.programs()?, &mut |line| println!("{line}"))?;
    let title = format!("{documents} documents wait for their target");
    save(&arguments.picture, &picture::svg(&title, &outcome.samples, &[]))?;
    println!("\n{title}\n{}", picture::text(&outcome.samples, &[]));
    println!("the picture: {}", arguments.picture.display());
    let wrong = outcome.wrong(documents);
    wrong.iter().for_each(|one| println!("WRONG: {one}"));
    if wrong.is_empty() {
        println!("All of them wait in the ledger, and the engine's memory stays within its bound.");
    }
    if arguments.keep {
        eprintln!("soak: kept in {}", outcome.world.keep().display());
    }
    Ok(wrong.is_empty())
}

fn move_all(arguments: &Arguments) -> Result<bool> {
    let rate = usize::try_from(arguments.rate).unwrap_or(usize::MAX);
    let plan = Plan {
        seed: seed_or_new(arguments.seed),
        documents: arguments.minutes.map_or(arguments.documents, |minutes| minutes * 60 * rate),
        pause: (!arguments.at_once).then(|| Duration::from_secs(1) / arguments.rate),
        faults: !arguments.at_once,
    };
    let outcome = plan.run(&arguments.paths.programs()?, &mut |line| println!("{line}"))?;
    let pace = if arguments.at_once { "all at once".to_owned() } else { format!("{rate} a second") };
    let title = format!("{} documents of three schemes, {pace}, seed {}", plan.documents, plan.seed);
    save(&arguments.picture, &picture::svg(&title, &outcome.samples, &outcome.taken))?;
    println!("\n{title}\n{}", picture::text(&outcome.samples, &outcome.taken));
    println!("the picture: {}", arguments.picture.display());
    let wrong = outcome.wrong();
    wrong.iter().for_each(|one| println!("WRONG: {one}"));
    if wrong.is_empty() {
        println!("The books balance, and nothing grows without end.");
    }
    if arguments.keep {
        eprintln!("soak: kept in {}", outcome.world.keep().display());
    }
    Ok(wrong.is_empty())
}

fn save(path: &Path, text: &str) -> Result<()> {
    let failed = |error| Failure::during(&format!("writing {}", path.display()), error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}
