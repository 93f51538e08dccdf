//! `make crash` and `make sabotage`: kills at random instants, and proof that the test would notice a broken promise.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use vendor_sim::proof::Result;
use vendor_sim::proof::arguments::{Where, seed_or_new};
use vendor_sim::proof::kills::Plan;
use vendor_sim::proof::matrix;
use vendor_sim::proof::programs::Programs;

/// Kills the engine again and again at random instants, while three schemes run over targets that take a number twice.
/// Nothing may be lost or doubled.
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
    /// Each gap must be hit and each finding made this often, in every scheme
    #[arg(long, default_value_t = 5)]
    at_least: usize,
    /// Break this promise; the engine must be built with `--features failpoints`
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
    /// Break each promise in turn, and succeed only where every run turns red
    #[arg(long, conflicts_with = "sabotage")]
    expect_red: bool,
    /// Instead of kills at random, one death at every named instant before and after each effect, in every scheme; the
    /// engine must be built with `--features failpoints`
    #[arg(long, conflicts_with_all = ["sabotage", "expect_red"])]
    matrix: bool,
    /// Leave the data directory and the logs where they are, and say where
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sabotage {
    /// Requests leave before their intent is committed
    #[value(name = "no-intent")]
    Intent,
    /// A lost answer counts as "not written" without asking
    #[value(name = "no-verify")]
    Verify,
    /// "Absent" is believed at once
    #[value(name = "no-settle")]
    Settle,
}

impl Sabotage {
    fn name(self) -> &'static str {
        match self {
            Self::Intent => "no-intent",
            Self::Verify => "no-verify",
            Self::Settle => "no-settle",
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
    if arguments.matrix {
        return die_everywhere(&programs, seed, arguments.keep);
    }
    let sabotage = arguments.sabotage.map(|sabotage| sabotage.name().to_owned());
    let at_least = if sabotage.is_some() { 0 } else { arguments.at_least };
    let plan = Plan { seed, kills: arguments.kills, sabotage, time_limit: None };
    let outcome = plan.run(&programs, &mut |line| println!("{line}"))?;
    print!("\n{}", outcome.render(STORIES));
    let missed = outcome.missed(at_least);
    for one in &missed {
        println!("NOT REACHED: {one}");
    }
    // A sabotaged run ends in the middle of its work; only what is there twice or nowhere counts against it.
    let good = match plan.sabotage {
        None => outcome.balance() && missed.is_empty(),
        Some(_) => outcome.doubled().is_empty() && outcome.lost() == 0,
    };
    println!("\n{}", if good { "Nothing was lost, nothing is there twice." } else { "THIS RUN PROVES NOTHING GOOD." });
    if arguments.keep {
        eprintln!("crash: kept in {}", outcome.world.keep().display());
    }
    Ok(good)
}

fn die_everywhere(programs: &Programs, seed: u64, keep: bool) -> Result<bool> {
    println!("seed {seed}: dying at every instant");
    let outcome = matrix::run(programs, seed, &mut |line| println!("{line}"))?;
    print!("\n{}", outcome.render(STORIES));
    let missed = outcome.missed();
    for one in &missed {
        println!("NOT REACHED: {one}");
    }
    let good = outcome.balance() && missed.is_empty();
    println!(
        "\n{}",
        if good { "Died everywhere; nothing was lost, nothing is there twice." } else { "THE MATRIX IS RED." }
    );
    if keep {
        eprintln!("crash: kept in {}", outcome.world.keep().display());
    }
    Ok(good)
}

fn every_sabotage_turns_red(programs: &Programs, seed: u64) -> Result<bool> {
    let mut all_red = true;
    for sabotage in [Sabotage::Intent, Sabotage::Verify, Sabotage::Settle] {
        let name = sabotage.name();
        let plan = Plan { seed, kills: RED_WITHIN, sabotage: Some(name.to_owned()), time_limit: None };
        let outcome = plan.run(programs, &mut |line| println!("{name}: {line}"))?;
        let (kills, stories) = (outcome.kills, outcome.doubled());
        let doubled = stories.len();
        match stories.first() {
            Some(story) => println!("{name}: red as it must be after {kills} kills, {doubled} doubled: {story}"),
            None => println!("{name}: STAYED GREEN over {kills} kills: the crash test would not notice"),
        }
        all_red &= doubled > 0;
    }
    println!("{}", if all_red { "Every broken promise was noticed." } else { "A BROKEN PROMISE WENT UNNOTICED." });
    Ok(all_red)
}
