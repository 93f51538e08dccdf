//! `crossdock backfill`: through the running engine; in the foreground where none runs.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::daemon::{self, BackfillRequest, Client, Engine};
use crate::pipeline::backfill::{Order, Progress, State};
use crate::telemetry;

use super::exit::{self, Exit};
use super::reporter::Reporter;
use super::serve::said;
use super::stretch::{StretchArguments, wall};
use super::{ConfigArguments, program, runtime, sabotage, stop_on_signals};

/// Reads what the source modified in a span of the past, in windows of the vendor's longest, beside the live reading: the
/// cursor stays where it is, and the live reader goes first. What was read before is recognised and not processed again.
///
/// Where an engine runs it does the work, and this command shows how it goes. Ctrl-C stops the backfill after the page
/// under way, to be resumed; with --detach it leaves the engine at it. Where no engine runs, the work is done here.
///
/// A crash or a stop costs at most the reading of one window. An engine goes on by itself after a restart; a backfill
/// that was stopped goes on with --resume, or with the same --from and --to.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["from", "resume", "status", "cancel"]),
    after_help = format!(
        "{}\n\nExamples:\n  crossdock backfill saleout --from 2026-10-01 --to 2026-10-31\n  \
         crossdock backfill saleout --status\n  crossdock backfill saleout --resume", exit::HELP
    )
)]
pub struct Arguments {
    /// The scheme
    scheme: String,
    #[command(flatten)]
    stretch: StretchArguments,
    #[command(flatten)]
    config: ConfigArguments,
    /// Go back further than the scheme's start_at: what is older was perhaps entered by hand, and would be entered twice
    #[arg(long, requires = "from")]
    before_start_at: bool,
    /// Go on with the backfill that is not finished
    #[arg(long)]
    resume: bool,
    /// Say how the last backfill stands, and do nothing
    #[arg(long)]
    status: bool,
    /// Give the backfill up that is not finished; what it read stays read
    #[arg(long)]
    cancel: bool,
    /// Ctrl-C leaves the running engine at it
    #[arg(long, conflicts_with_all = ["status", "cancel"])]
    detach: bool,
    /// The last word, for people or as one JSON object
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// How often a running engine is asked how it goes.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);

pub fn run(arguments: &Arguments) -> ExitCode {
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("crossdock: {error}");
    Exit::Failed.into()
}

impl Arguments {
    fn order(&self) -> Option<Order> {
        match self.stretch.ends() {
            Some((from, to)) => Some(Order::Begin { from, to, before_start_at: self.before_start_at }),
            None if self.resume => Some(Order::Resume),
            None if self.cancel => Some(Order::Cancel),
            None => None,
        }
    }

    /// Whether the command stays until the backfill ends.
    fn follows(&self) -> bool {
        !self.status && !self.cancel
    }
}

fn start(arguments: &Arguments) -> Result<(), ExitCode> {
    let runtime = runtime()?;
    let client = runtime.block_on(async {
        match config::data_dir(&arguments.config.config) {
            Some(data_dir) => Client::connect(&data_dir).await.map_err(|error| fail(&error)),
            None => Ok(None),
        }
    })?;
    match client {
        Some(client) => runtime.block_on(with_engine(arguments, &client)),
        None => alone(arguments, &runtime),
    }
}

async fn with_engine(arguments: &Arguments, client: &Client) -> Result<(), ExitCode> {
    let ask = |order| BackfillRequest { scheme: arguments.scheme.clone(), order };
    let stop = stop_on_signals().map_err(|error| fail(&error))?;
    let mut progress = client.backfill(&ask(arguments.order())).await.map_err(|error| fail(&error))?;
    if !arguments.follows() {
        return conclude(arguments, progress.as_ref());
    }
    let reporter = Reporter::windows();
    loop {
        match &progress {
            Some(now) if now.backfill.is_running() => show(&reporter, &arguments.scheme, now),
            _ => break,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = stop.cancelled() => {
                reporter.finish();
                if arguments.detach {
                    eprintln!("crossdock: the engine goes on; --status says how far it is");
                    return Ok(());
                }
                let stopped = client.backfill(&ask(Some(Order::Stop))).await;
                // Finished in this very moment, where the engine says that there is nothing to stop.
                progress = match stopped {
                    Ok(stopped) => stopped,
                    Err(_) => client.backfill(&ask(None)).await.map_err(|error| fail(&error))?,
                };
                return conclude(arguments, progress.as_ref());
            }
        }
        let looked = client.backfill(&ask(None)).await;
        progress = looked.map_err(|error| {
            reporter.finish();
            eprintln!("crossdock: the engine goes on with the backfill after its next start");
            fail(&error)
        })?;
    }
    reporter.finish();
    conclude(arguments, progress.as_ref())
}

fn alone(arguments: &Arguments, runtime: &tokio::runtime::Runtime) -> Result<(), ExitCode> {
    if arguments.detach {
        eprintln!("crossdock: no engine runs that the work could be left to; leave --detach out");
        return Err(Exit::Usage.into());
    }
    let config = arguments.config.load()?;
    if let Err(error) = telemetry::init(config.engine.log_format, &config.engine.log_level) {
        eprintln!("crossdock: {error}");
        return Err(Exit::Usage.into());
    }
    let engine = Engine::open(&config, program()?, None, sabotage()).map_err(|error| said(&error))?;
    let result = runtime.block_on(in_the_foreground(arguments, &engine));
    engine.store.close().map_err(|error| fail(&error))?;
    conclude(arguments, result?.as_ref())
}

async fn in_the_foreground(arguments: &Arguments, engine: &Engine) -> Result<Option<Progress>, ExitCode> {
    let scheme = daemon::scheme_named(engine, &arguments.scheme).map_err(|error| fail(&error))?;
    let stop = stop_on_signals().map_err(|error| fail(&error))?;
    let order = arguments.order();
    let progress = daemon::backfill_at_rest(scheme, order.as_ref()).await.map_err(|error| fail(&error))?;
    if !arguments.follows() {
        return Ok(progress);
    }
    let reporter = Reporter::windows();
    let (sender, seen) = watch::channel(progress);
    let shown = CancellationToken::new();
    let watching = watch_progress(&reporter, &arguments.scheme, seen, &shown);
    let working = async {
        let result = daemon::run_backfill(engine, scheme, &sender, &stop).await;
        shown.cancel();
        result
    };
    let (result, ()) = tokio::join!(working, watching);
    reporter.finish();
    result.map(Some).map_err(|problem| {
        eprintln!("crossdock: {}: {problem}", arguments.scheme);
        resume_hint(&arguments.scheme);
        Exit::Failed.into()
    })
}

async fn watch_progress(
    reporter: &Reporter,
    scheme: &str,
    seen: watch::Receiver<Option<Progress>>,
    ended: &CancellationToken,
) {
    loop {
        if let Some(progress) = seen.borrow().as_ref() {
            show(reporter, scheme, progress);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = ended.cancelled() => return,
        }
    }
}

fn show(reporter: &Reporter, scheme: &str, progress: &Progress) {
    let Progress { backfill, windows_left, in_window, waiting } = progress;
    let total = backfill.windows_done + windows_left;
    reporter.share(backfill.windows_done, total);
    let waiting = waiting.as_deref().map(|what| format!("; waiting: {what}")).unwrap_or_default();
    reporter.show(&format!(
        "{scheme}: {} of {total} windows, up to {}, {} documents received{waiting}",
        backfill.windows_done,
        wall(backfill.read_to),
        backfill.documents + in_window,
    ));
}

fn resume_hint(scheme: &str) {
    eprintln!("crossdock: go on with `crossdock backfill {scheme} --resume`");
}

/// Says how it ended; what is not done is a failure for whoever waited for it.
fn conclude(arguments: &Arguments, progress: Option<&Progress>) -> Result<(), ExitCode> {
    let scheme = &arguments.scheme;
    if arguments.format == Format::Json {
        println!("{}", serde_json::to_string(&progress).map_err(|error| fail(&error))?);
    }
    let Some(Progress { backfill, windows_left, waiting, .. }) = progress else {
        if arguments.format == Format::Text {
            println!("{scheme}: there was no backfill");
        }
        return Ok(());
    };
    let state = match &backfill.state {
        State::Running => "running".to_owned(),
        State::Stopped => "stopped".to_owned(),
        State::Failed(fault) => format!("failed, {fault}"),
        State::Cancelled => "cancelled".to_owned(),
        State::Done => "done".to_owned(),
    };
    if arguments.format == Format::Text {
        let done = backfill.windows_done;
        println!(
            "{scheme}: {state}; {} to {}, read up to {}: {done} of {} windows, {} documents received",
            wall(backfill.from),
            wall(backfill.to),
            wall(backfill.read_to),
            done + windows_left,
            backfill.documents,
        );
        if let Some(what) = waiting {
            println!("{scheme}: waiting: {what}");
        }
    }
    if !arguments.follows() || backfill.state == State::Done {
        return Ok(());
    }
    if backfill.is_unfinished() {
        resume_hint(scheme);
    }
    Err(Exit::Failed.into())
}
