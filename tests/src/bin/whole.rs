//! `make bench-whole`: Crossdock and what people would use instead, moving the same documents.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use vendor_sim::proof::arguments::Where;
use vendor_sim::proof::whole::crossdock::Setup;
use vendor_sim::proof::whole::plan::{Mover, Ours, Plan};
use vendor_sim::proof::whole::{Load, peers, report};
use vendor_sim::proof::{Failure, Result};

/// Moves documents past a plain simulator, with every mover in turns, and says how many a second and what that cost.
/// Fails where a mover cannot be run, unless it was left out by name; faucet alone is missed with a loud line.
#[derive(Debug, Parser)]
#[command(name = "whole", version)]
struct Arguments {
    #[command(flatten)]
    paths: Where,
    /// Documents of each run
    #[arg(long, default_value_t = 100_000)]
    documents: u64,
    /// Documents of each run in which every page and save takes longer; 0 for none of these runs
    #[arg(long, default_value_t = 5_000)]
    slow_documents: u64,
    /// By so many milliseconds
    #[arg(long, default_value_t = 20)]
    delay_ms: u64,
    /// Runs of each mover
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// These movers alone: crossdock, crossdock-batch, crossdock-signed, native, native-sync, node, asyncio, faucet, dlt
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// All but these
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Requests under way at once on each of Crossdock's connections
    #[arg(long, default_value_t = 8)]
    in_flight: u32,
    /// Further keys of Crossdock's scheme; may be given several times
    #[arg(long = "scheme", value_name = "KEY = VALUE")]
    scheme: Vec<String>,
    /// Further keys of its [engine]; may be given several times
    #[arg(long = "engine-key", value_name = "KEY = VALUE")]
    engine_keys: Vec<String>,
    /// Where the peers were installed
    #[arg(long, default_value = "target/bench-whole")]
    peers: PathBuf,
    /// Where the movers' scripts are
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/whole"))]
    scripts: PathBuf,
    /// Write the page here, and its picture beside it
    #[arg(long)]
    output: Option<PathBuf>,
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
    let Wanted { movers, versions, absent } = wanted(arguments)?;
    let fast = Load { documents: arguments.documents, delay_ms: 0 };
    let slow = Load { documents: arguments.slow_documents, delay_ms: arguments.delay_ms };
    let loads = [fast, slow].into_iter().filter(|load| load.documents > 0).collect();
    let plan = Plan { movers, loads, rounds: arguments.rounds };
    let rows = plan.run(&programs, &mut |line| println!("{line}"))?;
    let (tables, stages) = (report::tables(&rows, "crossdock"), report::stages(&rows));
    let tables = format!("{tables}{absent}\n### Crossdock by stage\n\n{stages}");
    println!("\n{tables}");
    let Some(output) = &arguments.output else { return Ok(()) };
    let machine = report::machine();
    let page = include_str!("../proof/whole/page.md");
    let page = page.replace("{rounds}", &arguments.rounds.to_string()).replace("{machine}", &machine);
    let page = page.replace("{versions}", &versions).replace("{tables}", tables.trim_end());
    save(output, &page)?;
    save(&output.with_extension("svg"), &report::svg(&rows))?;
    println!("written: {}", output.display());
    Ok(())
}

struct Wanted {
    movers: Vec<Mover>,
    /// As a list.
    versions: String,
    /// Those that are missed, a line each.
    absent: String,
}

fn wanted(arguments: &Arguments) -> Result<Wanted> {
    let wanted = |name: &str| {
        let named = |list: &[String]| list.iter().any(|one| one == name);
        (arguments.only.is_empty() || named(&arguments.only)) && !named(&arguments.without)
    };
    let setup = |more: &str| Setup {
        engine: arguments.engine_keys.join("\n"),
        scheme: [arguments.scheme.join("\n").as_str(), more].join("\n"),
        in_flight: arguments.in_flight,
    };
    let (fresh, batch) = ("isolation = \"document\"", "isolation = \"batch\"");
    let ours = [
        Ours { name: "crossdock", what: "an instance for each document", setup: setup(fresh), signed: false },
        Ours { name: "crossdock-batch", what: "an instance for each batch", setup: setup(batch), signed: false },
        Ours { name: "crossdock-signed", what: "as crossdock, signatures checked", setup: setup(fresh), signed: true },
    ];
    let mut movers: Vec<Mover> = ours.into_iter().filter(|ours| wanted(ours.name)).map(Mover::Ours).collect();
    let (mut versions, mut absent, mut missing) = (String::new(), String::new(), Vec::new());
    for peer in peers::all(&arguments.scripts, &arguments.peers.canonicalize().unwrap_or(arguments.peers.clone())) {
        if !wanted(peer.name) {
            versions.push_str(&format!("- {}: NOT MEASURED, left out by name\n", peer.name));
            continue;
        }
        match peer.version() {
            Ok(version) => {
                versions.push_str(&format!("- {}: {version}\n", peer.name));
                movers.push(Mover::Peer(peer));
            }
            Err(failure) if peer.is_optional => {
                eprintln!("whole: NOT RUN: {failure}; `make whole-peers` installs it, or says why it cannot");
                let why = "it is not installed here: `make whole-peers` does that, or says why it cannot";
                absent.push_str(&format!("{}: not run, because {why}.\n", peer.name));
                versions.push_str(&format!("- {}: NOT RUN\n", peer.name));
            }
            Err(failure) => missing.push(failure.to_string()),
        }
    }
    if missing.is_empty() {
        return Ok(Wanted { movers, versions, absent });
    }
    let remedy = "`make bench-whole` installs them; --without NAME,NAME leaves them out";
    Err(Failure::new(format!("{}\n{remedy}", missing.join("\n"))))
}

fn save(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| Failure::during(&format!("writing {}", path.display()), error))
}
