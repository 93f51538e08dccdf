//! `make demo`: 2,000 documents, an engine killed in the middle, and the books.

use std::process::ExitCode;

use clap::Parser;

use vendor_sim::proof::arguments::{Where, seed_or_new};
use vendor_sim::proof::demo::Plan;
use vendor_sim::proof::{Result, table};

/// Moves sale-outs from one vendor to another, kills the engine in the middle, and shows that the books balance.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Arguments {
    #[command(flatten)]
    paths: Where,
    #[arg(long, default_value_t = 2_000)]
    documents: usize,
    /// The same seed gives the same documents; a new one each time where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Leave the data directory and the logs where they are, and say where
    #[arg(long)]
    keep: bool,
}

/// Documents told about when the books do not balance.
const STORIES: usize = 20;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("demo: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let plan = Plan { seed: seed_or_new(arguments.seed), documents: arguments.documents };
    let outcome = plan.run(&arguments.paths.programs()?, &mut |line| println!("{line}"))?;
    let mut rows = outcome.books.rows();
    let after = format!("of {} writes in doubt at the kill", table::count(outcome.in_doubt));
    rows.insert(8, ("  after the kill", table::count(outcome.cleared_up), after));
    print!("\n{}\n{}", table::render(&rows), outcome.books.stories(STORIES));
    println!("{}", outcome.books.verdict());
    if arguments.keep {
        eprintln!("demo: kept in {}", outcome.world.keep().display());
    }
    Ok(outcome.books.balance())
}
