//! `crossdock run`: one pass in the foreground. Reads up to now, works off what came, and ends.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fault::Disposition;
use crate::pipeline::driver::{self, Rest};
use crate::pipeline::poll;
use crate::pipeline::reference::TableId;
use crate::telemetry::{is_named, mask_text};

use super::engine::Engine;
use super::references;
use super::scheme::Scheme;

/// What a pass reports while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    pub scheme: String,
    pub received: u64,
    pub finished: u64,
    pub parked: u64,
    pub backlog: u64,
}

pub struct PassOptions<'a> {
    /// Only this scheme.
    pub scheme: Option<&'a str>,
    /// Called a few times a second.
    pub progress: &'a (dyn Fn(&Progress) + Sync),
    pub stop: CancellationToken,
}

/// Tries of a read that fails in a way that passes by itself.
const READ_TRIES: u32 = 5;
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Runs one pass of each scheme, one after another. `Err` lists what did not work; what did is done all the same.
pub async fn run_pass(engine: &Engine, options: &PassOptions<'_>) -> Result<Vec<Progress>, Vec<String>> {
    let chosen: Vec<&Scheme> = engine
        .schemes
        .iter()
        .filter(|scheme| options.scheme.is_none_or(|name| is_named(&scheme.config.tenant, &scheme.config.name, name)))
        .collect();
    if chosen.is_empty() {
        let known: Vec<&str> = engine.schemes.iter().map(|scheme| scheme.config.name.as_str()).collect();
        return Err(vec![format!("there is no such scheme; there are: {}", known.join(", "))]);
    }
    let mut done = Vec::new();
    let mut problems = Vec::new();
    let keepers = Keepers::start(engine, &chosen);
    for scheme in chosen {
        if let Err(problem) = one(engine, scheme, options).await {
            problems.push(format!("{}: {problem}", scheme.config.name));
        }
        done.push(progress(scheme));
    }
    keepers.stop().await;
    if problems.is_empty() { Ok(done) } else { Err(problems) }
}

/// Keeps the reference tables of some schemes for as long as it stands.
pub(super) struct Keepers {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Keepers {
    pub fn start(engine: &Engine, schemes: &[&Scheme]) -> Self {
        let stop = CancellationToken::new();
        let used =
            |id: &TableId| schemes.iter().any(|scheme| references::fetched(&scheme.config).any(|(of, _)| of == *id));
        let tasks = engine.library.keepers(&used, &stop).into_iter().collect();
        Self { stop, tasks }
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn one(engine: &Engine, scheme: &Scheme, options: &PassOptions<'_>) -> Result<(), String> {
    let stop = options.stop.child_token();
    let (handle, driver) = driver::start(scheme.parts.clone(), stop.clone());
    let driver = tokio::spawn(driver);
    let work = async {
        let read = read(scheme, &handle, &stop).await;
        // What came in is worked off even where the reading failed; a pause leaves it for later.
        tokio::select! {
            () = handle.idle() => read,
            () = paused(scheme) => read,
            () = stop.cancelled() => read,
            why = given_up(engine, scheme, &handle) => read.and(Err(why)),
        }
    };
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let read = loop {
        tokio::select! {
            read = &mut work => break read,
            _ = ticks.tick() => (options.progress)(&progress(scheme)),
        }
    };
    stop.cancel();
    let driven = driver.await.map_err(|error| error.to_string())?;
    (options.progress)(&progress(scheme));
    driven.map_err(|error| error.to_string())?;
    read
}

async fn read(scheme: &Scheme, handle: &driver::Handle, stop: &CancellationToken) -> Result<(), String> {
    let mut tries = 0;
    if let Some(fault) = scheme.reading.gates.low_disk() {
        return Err(fault.to_string());
    }
    loop {
        match scheme.reading.pass(handle, stop).await {
            Ok(()) => return Ok(()),
            Err(poll::Error::Stopped) => {
                let pause = scheme.parts.gates.blocked_by(
                    &scheme.parts.tenant,
                    &scheme.parts.source_connection,
                    &scheme.parts.scheme,
                );
                return match pause {
                    Some(pause) => Err(format!("{} is paused: {}", pause.scope, pause.reason)),
                    None if stop.is_cancelled() => Err("stopped".into()),
                    None => Err("the scheme's driver has stopped".into()),
                };
            }
            Err(poll::Error::Fault(fault)) => {
                tries += 1;
                let Disposition::Retry { after_ms } = fault.disposition else { return Err(fault.to_string()) };
                if tries >= READ_TRIES {
                    return Err(format!("{fault} (tried {tries} times)"));
                }
                let wait = Duration::from_millis(after_ms.unwrap_or(0)) + scheme.parts.rules.retry_base * tries;
                tracing::warn!(scheme = %scheme.config.name, tries, "reading failed, trying again: {}", mask_text(&fault.to_string()));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => return Err("stopped".into()),
                }
            }
            Err(poll::Error::Ledger(error)) => return Err(error.to_string()),
        }
    }
}

/// Completes with the reasons when nothing is left but documents that wait for a reference table which does not come.
pub(super) async fn given_up(engine: &Engine, scheme: &Scheme, handle: &driver::Handle) -> String {
    let Some(catalogue) = scheme.parts.transformer.catalogue() else { return std::future::pending().await };
    let reasons = engine.library.despair(catalogue).await;
    match handle.rests().await {
        Rest::Waits => {
            let waiting = scheme.watcher.seen().waiting;
            format!("{waiting} documents wait for reference tables: {}", reasons.join("; "))
        }
        // All was done without the table; whoever waits for that sees it.
        Rest::Idle | Rest::Busy => std::future::pending().await,
    }
}

/// Completes when the scheme's writing side is paused.
pub(super) async fn paused(scheme: &Scheme) {
    let parts = &scheme.parts;
    loop {
        let change = parts.gates.change();
        tokio::pin!(change);
        change.as_mut().enable();
        if parts.gates.blocked_by(&parts.tenant, &parts.destination.connection, &parts.scheme).is_some() {
            return;
        }
        change.await;
    }
}

fn progress(scheme: &Scheme) -> Progress {
    let seen = scheme.watcher.seen();
    Progress {
        scheme: scheme.config.name.to_string(),
        received: seen.received,
        finished: seen.finished,
        parked: seen.parked,
        backlog: seen.backlog,
    }
}
