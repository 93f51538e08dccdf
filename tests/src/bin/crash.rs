//! `make crash` and `make sabotage`: kills at random instants, and proof that the test would notice a broken promise.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use vendor_sim::proof::arguments::{Where, seed_or_new};
use vendor_sim::proof::kills::Plan;
use vendor_sim::proof::programs::Programs;
use vendor_sim::proof::{Result, table};

/// Kills the engine again and again at random instants, over a target that takes a number twice. Nothing may be lost or
/// doubled.
#[derive(Debug, Parser)]
#[command(name = "crash", version)]
struct Arguments {
    #[command(flatten)]
    paths: Where,
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// The same seed gives the same documents and pauses; a new one each time where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Each gap must be hit and each finding made this often
    #[arg(long, default_value_t = 5)]
    at_least: usize,
    /// Break this promise; the engine must be built with `--features failpoints`
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
    /// Break each promise in turn, and succeed only where every run turns red
    #[arg(long, conflicts_with = "sabotage")]
    expect_red: bool,
    /// Leave the data directory and the logs where they are, and say where
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sabotage {
    /// Requests leave before their intent is committed
    NoIntent,
    /// A lost answer counts as "not written" without asking
    NoVerify,
    /// "Absent" is believed at once
    NoSettle,
}

impl Sabotage {
    fn name(self) -> &'static str {
        match self {
            Self::NoIntent => "no-intent",
            Self::NoVerify => "no-verify",
            Self::NoSettle => "no-settle",
        }
    }
}

const STORIES: usize = 20;
/// Kills within which a broken promise must show.
const RED_WITHIN: usize = 60;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("crash: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let programs = arguments.paths.programs()?;
    let seed = seed_or_new(arguments.seed);
    if arguments.expect_red {
        return every_sabotage_turns_red(&programs, seed);
    }
    let sabotage = arguments.sabotage.map(|sabotage| sabotage.name().to_owned());
    let at_least = if sabotage.is_some() { 0 } else { arguments.at_least };
    let plan = Plan { seed, kills: arguments.kills, sabotage, at_least, time_limit: None };
    let outcome = plan.run(&programs, &mut |line| println!("{line}"))?;
    print!("\n{}\n{}", table::render(&outcome.rows()), outcome.books.stories(STORIES));
    let missed = outcome.missed(plan.at_least);
    for one in &missed {
        println!("NOT REACHED: {one}");
    }
    // A sabotaged run ends in the middle of its work; only what is there twice or nowhere counts against it.
    let good = match plan.sabotage {
        None => outcome.books.balance() && missed.is_empty(),
        Some(_) => outcome.books.doubled.is_empty() && outcome.books.lost.is_empty(),
    };
    println!("{}", outcome.books.verdict());
    if arguments.keep {
        eprintln!("crash: kept in {}", outcome.world.keep().display());
    }
    Ok(good)
}

fn every_sabotage_turns_red(programs: &Programs, seed: u64) -> Result<bool> {
    let mut all_red = true;
    for sabotage in [Sabotage::NoIntent, Sabotage::NoVerify, Sabotage::NoSettle] {
        let name = sabotage.name();
        let plan = Plan { seed, kills: RED_WITHIN, sabotage: Some(name.to_owned()), at_least: 0, time_limit: None };
        let outcome = plan.run(programs, &mut |line| println!("{name}: {line}"))?;
        let (kills, doubled) = (outcome.kills, outcome.books.doubled.len());
        match outcome.books.doubled.first() {
            Some(story) => println!("{name}: red as it must be after {kills} kills, {doubled} doubled: {story}"),
            None => println!("{name}: STAYED GREEN over {kills} kills: the crash test would not notice"),
        }
        all_red &= doubled > 0;
    }
    println!("{}", if all_red { "Every broken promise was noticed." } else { "A BROKEN PROMISE WENT UNNOTICED." });
    Ok(all_red)
}
