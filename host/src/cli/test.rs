//! `crossdock test`: a transform's cases in the sandbox that production uses, offline.
//!
//! The report goes to standard output, in the format that was asked for; building, and what was written, to standard error.

mod json;
mod junit;
mod text;
mod watch;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use crossdock_guest::testing::Unreadable;

use crate::bench::baseline::{Above, Baseline};
use crate::bench::captured;
use crate::bench::case::{self, Answered, CaseRun, Specimen, Used, Verdict};
use crate::bench::forecast::Fit;
use crate::bench::update;
use crate::sandbox::{Limits, Module};

use super::shown::DIFFERENCES_LIMIT;
use super::transform::IsolationArg;
use super::transform_project::{EXIT_FAILED, ProjectArguments, Stop};

/// Runs a transform's cases in the sandbox that production uses: its limits, its settings, no network.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A case is a folder below `cases` with input.json and expected.json, or a file NAME.json with both; docs/guides/testing.md.
A capsule is a captured run of production, NAME.capsule; docs/guides/capsules.md.

Exit codes:
  0  every case gave what it should, within its fuel
  1  at least one did not
  2  there is no case, or the command line or a file that it names cannot be used
  3  the transform could not be built, or the module was refused")]
pub struct Test {
    #[command(flatten)]
    project: ProjectArguments,
    /// Run the capsules of this folder, instead of the project's cases
    #[arg(long, value_name = "DIR", conflicts_with_all = ["update", "cases"])]
    from_capsules: Option<PathBuf>,
    /// Run only cases whose name holds this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write what came out into the cases, after showing the difference
    #[arg(long)]
    update: bool,
    /// With --update, pin each bill's very bytes
    #[arg(long, requires = "update")]
    exact: bool,
    /// Fail when a case burns more than is recorded in this file
    #[arg(long, value_name = "FILE")]
    fuel_baseline: Option<PathBuf>,
    /// How much more it may burn, in per cent
    #[arg(long, value_name = "N", default_value_t = 5)]
    fuel_margin: u32,
    /// Record this run in the baseline's file
    #[arg(long, requires = "fuel_baseline")]
    update_fuel_baseline: bool,
    /// Fuel of one document, instead of the default
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// `batch` runs each case in an instance that has run it before
    #[arg(long, value_enum, default_value = "document")]
    isolation: IsolationArg,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Run again whenever a file of the directory changes, until interrupted
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// JUnit's XML, for CI.
    Junit,
}

/// Everything that a report says.
pub struct Report<'a> {
    module: &'a Module,
    limits: &'a Limits,
    runs: &'a [CaseRun],
    above: &'a [Above],
    margin: u32,
    forecast: Forecast,
}

/// How many lines a document may have until it meets a limit.
enum Forecast {
    Lines {
        fuel: u64,
        input: Option<u64>,
        fuel_a_line: u64,
        fuel_besides: u64,
        cases: usize,
    },
    /// Why nothing can be foretold.
    None(&'static str),
}

impl Test {
    pub fn run(&self) -> ExitCode {
        if self.watch {
            return watch::run(&self.project.directory, || self.once());
        }
        ExitCode::from(self.once())
    }

    fn once(&self) -> u8 {
        self.try_once().unwrap_or_else(Stop::tell)
    }

    fn try_once(&self) -> Result<u8, Stop> {
        if self.fuel_baseline.is_some() && matches!(self.isolation, IsolationArg::Batch) {
            return Err(Stop::usage("fuel is defined on a fresh instance: leave --isolation or --fuel-baseline out"));
        }
        let baseline = self.baseline()?;
        let (laboratory, module) = self.project.open()?;
        let limits = laboratory.limits(&module);
        let limits = Limits { fuel: self.fuel.unwrap_or(limits.fuel), ..limits };
        let cases = self.cases(&module)?;
        let answered = case::run(&laboratory, &module, cases, self.isolation.into(), &limits);
        let (runs, answers): (Vec<CaseRun>, Vec<Option<Answered>>) = answered.into_iter().unzip();

        let fuel = |run: &CaseRun| Some((run.name.clone(), run.used?.fuel));
        let burnt: Vec<(String, u64)> = runs.iter().filter_map(fuel).collect();
        let above = baseline.above(burnt.iter().map(|(name, fuel)| (name.as_str(), *fuel)), self.fuel_margin);
        let report = Report {
            module: &module,
            limits: &limits,
            runs: &runs,
            above: if self.update_fuel_baseline { &[] } else { &above },
            margin: self.fuel_margin,
            forecast: Forecast::from(&runs, &limits),
        };
        self.print(&report).map_err(|error| Stop::usage(format!("standard output: {error}")))?;
        if let (Some(path), true) = (&self.fuel_baseline, self.update_fuel_baseline) {
            let recorded = Baseline { cases: burnt.into_iter().collect() };
            recorded.write(path).map_err(Stop::usage)?;
            eprintln!("{}: recorded the fuel of {} cases", path.display(), recorded.cases.len());
        }
        let updated = if self.update { self.update(&runs, &answers)? } else { 0 };
        let failed = runs.iter().filter(|run| run.verdict != Verdict::Passed).count();
        Ok(if failed > updated || !report.above.is_empty() { EXIT_FAILED } else { 0 })
    }

    /// What is recorded; nothing where no file is named, or where it is written anew.
    fn baseline(&self) -> Result<Baseline, Stop> {
        match &self.fuel_baseline {
            Some(path) if !self.update_fuel_baseline => Baseline::read(path).map_err(Stop::usage),
            _ => Ok(Baseline::default()),
        }
    }

    fn cases(&self, module: &Module) -> Result<Vec<Result<Specimen, Unreadable>>, Stop> {
        let mut cases = match &self.from_capsules {
            Some(folder) => captured::read_all(folder).map_err(Stop::usage)?,
            None => self.project.cases(module)?.into_iter().map(|case| case.map(Specimen::from)).collect(),
        };
        if let Some(filter) = &self.filter {
            cases.retain(|case| match case {
                Ok(specimen) => specimen.case.name.contains(filter),
                Err(unreadable) => unreadable.name.contains(filter),
            });
            if cases.is_empty() {
                return Err(Stop::usage(format!("no case's name holds {filter:?}")));
            }
        }
        Ok(cases)
    }

    fn print(&self, report: &Report<'_>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Text => {
                let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
                text::print(&mut out, report, colour)?;
            }
            Format::Json => json::print(&mut out, report)?,
            Format::Junit => junit::print(&mut out, report)?,
        }
        out.flush()
    }

    /// Writes the expectations that did not hold, and says how many.
    fn update(&self, runs: &[CaseRun], answers: &[Option<Answered>]) -> Result<usize, Stop> {
        let mut updated = 0;
        for (run, answered) in runs.iter().zip(answers) {
            let (Verdict::Differs(_) | Verdict::NoExpectation, Some(answered)) = (&run.verdict, answered) else {
                continue;
            };
            let written = update::update(answered, self.exact).map_err(Stop::usage)?;
            if let Some(path) = written {
                eprintln!("{}: written", path.display());
                updated += 1;
            }
        }
        if updated > 0 {
            eprintln!("{updated} expectations written; read them before you commit them");
        }
        Ok(updated)
    }
}

impl Report<'_> {
    /// Where this case is above the baseline.
    fn above(&self, run: &CaseRun) -> Option<&Above> {
        self.above.iter().find(|above| above.case == run.name)
    }

    fn passed(&self, run: &CaseRun) -> bool {
        run.verdict == Verdict::Passed && self.above(run).is_none()
    }
}

impl Forecast {
    fn from(runs: &[CaseRun], limits: &Limits) -> Self {
        let emitted: Vec<Used> = runs.iter().filter_map(|run| run.used).filter(|used| used.emitted).collect();
        if emitted.is_empty() {
            return Forecast::None("no case emits a bill");
        }
        let points =
            |of: fn(&Used) -> u64| -> Vec<(u64, u64)> { emitted.iter().map(|used| (used.lines, of(used))).collect() };
        let Some(fuel) = Fit::through(&points(|used| used.fuel)) else {
            return Forecast::None("all cases that emit have as many lines; add one with ten times as many");
        };
        let (fuel_a_line, fuel_besides) = fuel.parts();
        let input = Fit::through(&points(|used| used.input_bytes)).map(|fit| fit.reaches(limits.input_limit_bytes));
        Forecast::Lines { fuel: fuel.reaches(limits.fuel), input, fuel_a_line, fuel_besides, cases: emitted.len() }
    }
}

/// Hundredths of a per cent that `used` is of `limit`.
fn share(used: u64, limit: u64) -> String {
    let share = u128::from(used) * 10_000 / u128::from(limit.max(1));
    format!("{}.{:02} %", share / 100, share % 100)
}

/// What a failed case says, in lines without indent: for every format.
fn story(run: &CaseRun, above: Option<&Above>, margin: u32) -> Vec<String> {
    let mut lines = match &run.verdict {
        Verdict::Passed => Vec::new(),
        Verdict::Differs(differences) => {
            let mut lines: Vec<String> = differences.iter().take(DIFFERENCES_LIMIT).map(ToString::to_string).collect();
            if differences.len() > DIFFERENCES_LIMIT {
                lines.push(format!("and {} differences more", differences.len() - DIFFERENCES_LIMIT));
            }
            lines
        }
        Verdict::FuelAboveCase { allowed } => {
            let fuel = run.used.map_or(0, |used| used.fuel);
            vec![format!(
                "it took {fuel} fuel, and the case allows {allowed}; make it cheaper, or raise `fuel` in the case"
            )]
        }
        Verdict::NoExpectation => {
            vec!["it says nowhere what is expected; --update writes what came out, for you to read".into()]
        }
        Verdict::Fault { code, message } => vec![format!("{message}; docs/errors/{code}.md says what to do")],
        Verdict::Unreadable { problem } => vec![problem.clone()],
    };
    if let Some(Above { recorded, fuel, .. }) = above {
        lines.push(format!("it took {fuel} fuel, more than {margin} % above the {recorded} of the baseline"));
    }
    lines
}

/// The directory's own files that matter to its cases: what is generated and what others own does not.
fn is_watched(path: &Path) -> bool {
    let ignored = ["target", ".git", "node_modules", ".venv", "dist", "__pycache__"];
    !path.file_name().is_some_and(|name| ignored.iter().any(|ignored| name == *ignored))
}
