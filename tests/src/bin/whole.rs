//! `make bench-whole`: Crossdock and what people would use instead, moving the same documents.

use std::process::ExitCode;

use clap::Parser;

use vendor_sim::proof::Result;
use vendor_sim::proof::arguments::Where;
use vendor_sim::proof::whole::crossdock::{Dock, Setup};
use vendor_sim::proof::whole::{Load, Run};

/// Moves documents past a plain simulator and says how many a second, and what that cost.
#[derive(Debug, Parser)]
#[command(name = "whole", version)]
struct Arguments {
    #[command(flatten)]
    paths: Where,
    /// Documents of each run
    #[arg(long, default_value_t = 100_000)]
    documents: u64,
    /// Milliseconds that each page and each save takes on top
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Runs of each mover
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Requests under way at once on each connection
    #[arg(long, default_value_t = 8)]
    in_flight: u32,
    /// Further keys of the scheme, such as 'isolation = "batch"'; may be given several times
    #[arg(long = "scheme", value_name = "KEY = VALUE")]
    scheme: Vec<String>,
    /// Further keys of [engine]; may be given several times
    #[arg(long = "engine-key", value_name = "KEY = VALUE")]
    engine_keys: Vec<String>,
    /// Leave the data directory and the logs where they are, and say where
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("whole: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let programs = arguments.paths.programs()?;
    let load = Load { documents: arguments.documents, delay_ms: arguments.delay_ms };
    let setup = Setup {
        engine: arguments.engine_keys.join("\n"),
        scheme: arguments.scheme.join("\n"),
        in_flight: arguments.in_flight,
    };
    for _ in 0..arguments.rounds {
        let mut dock = Dock::new(&programs, load, load.simulator(&programs)?, &setup)?;
        dock.prepare()?;
        let run = dock.run()?;
        tell(&run);
        if arguments.keep {
            println!("kept in {}", dock.keep().display());
        }
    }
    Ok(())
}

fn tell(run: &Run) {
    println!(
        "crossdock {:>8.0} documents/s  {:.2} s  engine {:.2} s CPU  simulator {:.2} s CPU  {} MiB",
        run.documents_a_second(),
        run.took.as_secs_f64(),
        run.mover.as_secs_f64(),
        run.simulator.as_secs_f64(),
        run.peak_kib >> 10,
    );
    for (name, stage) in &run.stages {
        let each = stage.seconds / stage.count as f64 * 1e3;
        println!("    {name:<10} {:>8} times  {:>8.3} s  {each:>8.3} ms each", stage.count, stage.seconds);
    }
}
