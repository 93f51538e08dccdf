//! `crossdock run`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::daemon::{self, DryRun, DryRunLine, Engine, PassOptions, Progress, Standing};
use crate::telemetry;

use super::exit::{self, Exit};
use super::serve::said;
use super::{ConfigArguments, log_warnings, program, runtime, sabotage, stop_on_signals};

/// Reads each scheme's source up to now, works off what came, and ends. With `--dry-run` it reads, transforms and asks
/// the target, says for each document what would happen, writes nothing and keeps no cursor.
#[derive(Debug, Args)]
#[command(after_help = format!(
    "{}\n\nExamples:\n  crossdock run saleout\n  crossdock run saleout --dry-run --limit 20", exit::HELP
))]
pub struct Arguments {
    /// Only this scheme
    scheme: Option<String>,
    #[command(flatten)]
    config: ConfigArguments,
    /// Write nothing; show what would be created, exists, or differs
    #[arg(long)]
    dry_run: bool,
    /// Documents of each scheme that a dry run looks at
    #[arg(long, default_value_t = 100, requires = "dry_run")]
    limit: usize,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn start(arguments: &Arguments) -> Result<(), ExitCode> {
    let mut config = arguments.config.load()?;
    if let Err(error) = telemetry::init(config.engine.log_format, &config.engine.log_level) {
        eprintln!("crossdock: {error}");
        return Err(Exit::Usage.into());
    }
    log_warnings(&config);
    // A dry run opens a store of its own that is thrown away: it may run beside an engine, and leaves no trace.
    let scratch = if arguments.dry_run {
        let scratch = tempfile::tempdir().map_err(|error| {
            eprintln!("crossdock: {error}");
            ExitCode::from(Exit::Failed)
        })?;
        config.engine.data_dir = scratch.path().to_owned();
        Some(scratch)
    } else {
        None
    };
    let engine = Engine::open(&config, program()?, None, sabotage()).map_err(|error| said(&error))?;
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        if scratch.is_some() { dry(&engine, arguments).await } else { pass(&engine, arguments).await }
    });
    if let Err(error) = engine.store.close() {
        eprintln!("crossdock: {error}");
        return Err(Exit::Failed.into());
    }
    result
}

async fn pass(engine: &Engine, arguments: &Arguments) -> Result<(), ExitCode> {
    let stop = stop_on_signals().map_err(|error| {
        eprintln!("crossdock: {error}");
        ExitCode::from(Exit::Failed)
    })?;
    let reporter = Reporter::new();
    let report = |progress: &Progress| reporter.show(progress);
    let options = PassOptions { scheme: arguments.scheme.as_deref(), progress: &report, stop };
    let result = daemon::run_pass(engine, &options).await;
    reporter.finish();
    match result {
        Ok(done) => {
            for one in done {
                println!("{}: {} read, {} finished, {} parked", one.scheme, one.received, one.finished, one.parked);
            }
            Ok(())
        }
        Err(problems) => {
            for problem in problems {
                eprintln!("crossdock: {problem}");
            }
            Err(Exit::Failed.into())
        }
    }
}

async fn dry(engine: &Engine, arguments: &Arguments) -> Result<(), ExitCode> {
    let mut failed = false;
    let mut found = false;
    for scheme in &engine.schemes {
        if arguments.scheme.as_deref().is_some_and(|name| name != scheme.config.name.as_str()) {
            continue;
        }
        found = true;
        match daemon::dry_run(engine, scheme, arguments.limit).await {
            Ok(run) => print_dry(scheme.config.name.as_str(), &run),
            Err(fault) => {
                eprintln!("crossdock: {}: {fault}", scheme.config.name);
                failed = true;
            }
        }
    }
    if !found {
        eprintln!("crossdock: there is no such scheme");
        return Err(Exit::Usage.into());
    }
    if failed { Err(Exit::Failed.into()) } else { Ok(()) }
}

fn print_dry(scheme: &str, run: &DryRun) {
    let mut out = std::io::stdout().lock();
    for DryRunLine { key, standing, .. } in &run.lines {
        let line = match standing {
            Standing::Create { target } => format!("create   {target}"),
            Standing::Exists { target } => format!("exists   {target}"),
            Standing::Differs { target, differences } => {
                let shown: Vec<String> = differences
                    .iter()
                    .map(|one| format!("{}: {} there, {} here", one.field, one.found, one.intended))
                    .collect();
                format!("differs  {target}: {}", shown.join("; "))
            }
            Standing::Skip(reason) => format!("skip     {}: {}", reason.code, reason.message),
            Standing::Reject(reason) => {
                format!("reject   {}: {} {}", reason.code, reason.message, reason.field.as_deref().unwrap_or(""))
            }
            Standing::Fault(fault) => format!("fault    {fault}"),
        };
        // Standard output may be a pipe that somebody closed; there is nobody left to tell.
        let _ = writeln!(out, "{scheme} {key}: {}", telemetry::mask_text(line.trim_end()));
    }
    if run.cut {
        eprintln!("crossdock: there are more documents; raise --limit to see them");
    }
}

/// A bar on a terminal; elsewhere a plain line every few seconds.
struct Reporter {
    bar: Option<ProgressBar>,
    last: Mutex<Option<Instant>>,
}

const LINE_INTERVAL: Duration = Duration::from_secs(5);

impl Reporter {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, last: Mutex::new(None) }
    }

    fn show(&self, progress: &Progress) {
        let Progress { scheme, received, finished, parked, backlog } = progress;
        let line = format!("{scheme}: {received} read, {finished} finished, {parked} parked, {backlog} under way");
        if let Some(bar) = &self.bar {
            bar.set_message(line);
            bar.tick();
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) {
            *last = Some(Instant::now());
            eprintln!("{line}");
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
