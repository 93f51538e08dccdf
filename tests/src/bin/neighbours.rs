//! `make neighbours`: what a tenant's documents wait for another tenant's endless loops, floods and gigabytes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use vendor_sim::proof::Result;
use vendor_sim::proof::arguments::{Where, seed_or_new};
use vendor_sim::proof::latency::Latencies;
use vendor_sim::proof::neighbours::{Half, Outcome, Plan};

/// Measures a quiet tenant's documents beside a noisy one, in turns of quiet and noise, and checks that each tenant's
/// documents came to the end that is theirs. How long anything took decides nothing; it is printed.
#[derive(Debug, Parser)]
#[command(name = "neighbours", version)]
struct Arguments {
    #[command(flatten)]
    paths: Where,
    /// Times that it is quiet and then noisy
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Rejected documents of a mebibyte over all rounds
    #[arg(long, default_value_t = 1_000)]
    mebibytes: usize,
    /// The same seed gives the same documents; a new one each time where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Leave the data directory and the logs where they are, and say where
    #[arg(long)]
    keep: bool,
}

const STORIES: usize = 20;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("neighbours: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let rounds = arguments.rounds.max(1);
    let plan = Plan {
        seed: seed_or_new(arguments.seed),
        rounds,
        half: Duration::from_secs(15),
        pause: Duration::from_millis(50),
        small: 10,
        large: arguments.mebibytes.div_ceil(rounds),
    };
    let outcome = plan.run(&arguments.paths.programs()?, &mut |line| println!("{line}"))?;
    show(&outcome);
    for story in outcome.wrong.iter().take(STORIES) {
        println!("  {story}");
    }
    let good = outcome.wrong.is_empty();
    println!(
        "\n{}",
        if good { "Every document came to the end that is its own." } else { "THIS IS NOT AS IT MUST BE." }
    );
    if arguments.keep {
        eprintln!("neighbours: kept in {}", outcome.tenants.directory.keep().display());
    }
    Ok(good)
}

fn show(outcome: &Outcome) {
    println!("\n         seconds  documents     available to written     left the source to written");
    for half in &outcome.halves {
        let name = if half.noisy { "noisy" } else { "quiet" };
        let figures = |of: &Latencies| format!("p50 {:>5} ms  p99 {:>5} ms", of.percentile(50), of.percentile(99));
        let (lasted, count) = (half.lasted.as_secs(), half.whole.len());
        println!("  {name}  {lasted:>7}  {count:>9}   {}   {}", figures(&half.whole), figures(&half.own));
    }
    /// One of the two spans that a half has measured.
    type Span = fn(&Half) -> &Latencies;
    let kinds: [(&str, Span); 2] =
        [("available to written", |half| &half.whole), ("left the source to written", |half| &half.own)];
    println!("\nmedians over the rounds");
    for (name, of) in kinds {
        for percent in [50, 99] {
            let (quiet, noisy) = outcome.medians(of, percent);
            // In hundredths, so that no rounding makes it look better.
            let ratio = (noisy * 100).div_ceil(quiet.max(1));
            let ratio = format!("{}.{:02}", ratio / 100, ratio % 100);
            println!("  {name:<27} p{percent}  quiet {quiet:>5} ms  noisy {noisy:>5} ms  {ratio:>6} times");
        }
    }
    let (mebibytes, peak) = (outcome.volume_bytes >> 20, outcome.usage.peak_kib >> 10);
    println!("\n{mebibytes} MiB of rejected documents; the engine had {peak} MiB at most");
}
