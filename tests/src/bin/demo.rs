//! `make demo`: documents of every scheme, an engine killed in the middle, and the books.

use std::process::ExitCode;

use clap::Parser;

use vendor_sim::proof::arguments::{Where, seed_or_new};
use vendor_sim::proof::demo::{Load, Part, Plan};
use vendor_sim::proof::schemes::{SALEOUT, STOCKIN, TRADE};
use vendor_sim::proof::{Result, table};

/// Moves documents of three schemes at once, kills the engine in the middle, and shows that the books of each balance.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Arguments {
    #[command(flatten)]
    paths: Where,
    /// Sale-outs of 聚水潭; the other two sources have a fifth of it each
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
    let fifth = (arguments.documents / 5).max(1);
    let loads = [(SALEOUT, arguments.documents), (STOCKIN, fifth), (TRADE, fifth)];
    let loads = loads.map(|(scheme, documents)| Load { scheme, documents }).to_vec();
    let plan = Plan { seed: seed_or_new(arguments.seed), loads };
    let outcome = plan.run(&arguments.paths.programs()?, &mut |line| println!("{line}"))?;
    outcome.parts.iter().for_each(show);
    if arguments.keep {
        eprintln!("demo: kept in {}", outcome.world.keep().display());
    }
    let torn: Vec<&str> =
        outcome.parts.iter().filter(|part| !part.books.balance()).map(|part| part.scheme.name()).collect();
    println!();
    match torn.as_slice() {
        [] => println!("The books of all three schemes balance."),
        some => println!("THE BOOKS DO NOT BALANCE: {}.", some.join(", ")),
    }
    Ok(torn.is_empty())
}

fn show(part: &Part) {
    let Part { scheme, books, in_doubt, cleared_up } = part;
    let mut rows = books.rows();
    let after = format!("of {} writes in doubt at the kill", table::count(*in_doubt));
    let place = rows.iter().position(|row| row.0 == "doubled").unwrap_or(rows.len());
    rows.insert(place, ("  after the kill", table::count(*cleared_up), after));
    println!("\n{}: {}", scheme.name(), scheme.title());
    print!("{}{}", table::render(&rows), books.stories(STORIES));
    println!("{}", books.verdict());
}
