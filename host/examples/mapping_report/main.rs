//! Runs the programs of `make bench` in turns, and writes what they say as a page with pictures.
//!
//! ```text
//! target/release/examples/mapping_report input --directory DIRECTORY --parameters FILE
//! target/release/examples/mapping_report run --directory DIRECTORY --output docs/benchmarks/mapping.md PROGRAM …
//! ```

#![allow(clippy::unwrap_used)]

mod machine;
mod page;
mod picture;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Parser};
use crossdock_bench_measure::{Figure, File};
use vendor_sim::Options;

/// What everything else is compared with.
const FLOOR: &str = "native, the transform's source";
/// A page, as vendors serve them.
const DOCUMENTS: usize = 50;

/// Compares the mapping of one document in Crossdock's sandbox, natively, and in what people use instead
#[derive(Parser)]
enum Task {
    /// Writes the documents that every program maps
    Input(Input),
    /// Runs the programs and writes the page
    Run(Run),
}

#[derive(Args)]
struct Input {
    /// Where the programs find what they need, and where they may write
    #[arg(long)]
    directory: PathBuf,
    /// Parameters of the transform
    #[arg(long)]
    parameters: PathBuf,
    /// How long each variant runs in a round
    #[arg(long, default_value_t = 300)]
    milliseconds: u64,
}

#[derive(Args)]
struct Run {
    #[arg(long)]
    directory: PathBuf,
    /// How often each program is run
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// A page of Markdown about compiling, to stand at the end
    #[arg(long)]
    compiling: Option<PathBuf>,
    /// The page to write; the pictures go beside it
    #[arg(long)]
    output: PathBuf,
    /// Each is a process of its own: what one does to its memory or to its features does not reach the next
    programs: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Input(input) => write_input(&input),
        Task::Run(run) => bench(&run),
    };
    if let Err(problem) = &done {
        eprintln!("bench: {problem}");
    }
    done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Sale-outs that all become bills, the same in every run.
fn write_input(input: &Input) -> Result<(), String> {
    let parameters = read(&input.parameters)?;
    let options = Options {
        documents: DOCUMENTS,
        seed: 7,
        skip_percent: 0,
        reject_percent: 0,
        refuse_percent: 0,
        ..Options::default()
    };
    let documents = vendor_sim::jushuitan_qimen::documents(&options);
    let file = File { documents, parameters, expected: Vec::new(), milliseconds: input.milliseconds };
    let text = serde_json::to_vec(&file).map_err(|error| error.to_string())?;
    write(&input.directory.join("input.json"), &text)
}

fn bench(run: &Run) -> Result<(), String> {
    let mut rounds = Vec::new();
    for round in 0..run.rounds {
        let mut figures = BTreeMap::new();
        // Each has its turn at every place, so that none is always the one that comes after the longest. The first of the
        // first round says what the others must make.
        for turn in 0..run.programs.len() {
            let program = &run.programs[(round + turn) % run.programs.len()];
            for figure in told_by(program, run)? {
                figures.insert(figure.name, figure.nanoseconds_a_document);
            }
        }
        let floor = figures.get(FLOOR).ok_or("the native program has not run")?;
        eprintln!("round {} of {}: native {:.1} µs", round + 1, run.rounds, floor / 1_000.0);
        rounds.push(figures);
    }
    let file: File =
        serde_json::from_str(&read(&run.directory.join("input.json"))?).map_err(|error| error.to_string())?;
    let bytes = file.documents.iter().map(|(_, body)| body.len()).sum::<usize>() / file.documents.len();
    let rows = page::rows(&rounds, FLOOR);
    let compiling = run.compiling.as_deref().map(read).transpose()?;
    let text =
        page::text(&rows, &page::Method { rounds: run.rounds, milliseconds: file.milliseconds, bytes, compiling });
    write(&run.output, text.as_bytes())?;
    let (whole, parts): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| !row.name.starts_with(page::PART));
    write(&run.output.with_extension("svg"), picture::bars(&whole).as_bytes())?;
    write(&run.output.with_file_name("mapping-parts.svg"), picture::bars(&parts).as_bytes())
}

fn told_by(program: &Path, run: &Run) -> Result<Vec<Figure>, String> {
    let name = program.display();
    let output = Command::new(program).arg(&run.directory).output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{name}: {error}: {line}"))).collect()
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}
