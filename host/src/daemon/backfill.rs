//! Backfills of an engine: the task that reads one beside the live reading, and the counter where people order one.
//!
//! A scheme's clerk is the only one who moves its backfill. Orders come to it one at a time and are answered once they
//! are durable. A backfill that was running when the engine ended runs again after the next start.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::model::{SchemeId, TenantId};
use crate::pipeline::backfill::{Backfill, Bounds, Ended, Order, Progress, Refusal, Surroundings, decide};
use crate::pipeline::driver::{self, Handle};
use crate::pipeline::ledger::Error as LedgerError;
use crate::pipeline::poll::{Error, Reading};
use crate::state::Batch;
use crate::telemetry::{SchemeRef, is_named, mask_text};

use super::engine::Engine;
use super::pass::{Keepers, given_up, paused};
use super::scheme::Scheme;

#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    #[error("there is no scheme {0}; there are: {1}")]
    NoSuchScheme(String, String),
    #[error("more than one tenant has a scheme {0}: write TENANT/{0}")]
    Ambiguous(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the scheme has stopped; its log says why")]
    SchemeStopped,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What a person wants of a scheme's backfill; only to look at it where there is no order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackfillRequest {
    pub scheme: String,
    pub order: Option<Order>,
}

/// How people reach one scheme's clerk.
#[derive(Clone)]
struct Counter {
    orders: mpsc::Sender<(Order, oneshot::Sender<Result<Progress, Refusal>>)>,
    progress: watch::Receiver<Option<Progress>>,
}

/// Says why nothing may be read now.
pub type Hindrance = Box<dyn Fn() -> Option<Fault> + Send + Sync>;

/// The backfills of a running engine, by scheme.
#[derive(Default)]
pub struct Backfills {
    counters: Mutex<HashMap<(TenantId, SchemeId), Counter>>,
}

impl Backfills {
    /// The scheme's clerk, whose future ends when `stop` is cancelled. What it answers is asked for here.
    pub fn open(
        &self,
        reading: Reading,
        driver: Handle,
        hindrance: Hindrance,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let (orders, inbox) = mpsc::channel(4);
        let (sender, progress) = watch::channel(None);
        let name = (reading.tenant.clone(), reading.scheme.clone());
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Counter { orders, progress });
        let clerk = Clerk { reading, driver, inbox, progress: sender };
        async move {
            match clerk.work(&*hindrance, &stop).await {
                // The driver has ended, and says why.
                Ok(()) | Err(Error::Stopped) => Ok(()),
                Err(error) => Err(format!("the backfill stopped: {error}")),
            }
        }
    }

    /// The scheme is gone.
    pub fn close(&self, scheme: &SchemeRef) {
        let name = (scheme.tenant.clone(), scheme.scheme.clone());
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }

    /// Carries out the order, durably, and says how the backfill stands; `None` where there never was one.
    pub async fn answer(&self, request: &BackfillRequest) -> Result<Option<Progress>, BackfillError> {
        let counter = self.counter(&request.scheme)?;
        let Some(order) = request.order.clone() else { return Ok(counter.progress.borrow().clone()) };
        let (done, answer) = oneshot::channel();
        counter.orders.send((order, done)).await.map_err(|_| BackfillError::SchemeStopped)?;
        Ok(Some(answer.await.map_err(|_| BackfillError::SchemeStopped)??))
    }

    fn counter(&self, scheme: &str) -> Result<Counter, BackfillError> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = counters.iter().filter(|((tenant, name), _)| is_named(tenant, name, scheme));
        match (found.next(), found.next()) {
            (Some((_, counter)), None) => Ok(counter.clone()),
            (Some(_), Some(_)) => Err(BackfillError::Ambiguous(scheme.into())),
            (None, _) => {
                let mut known: Vec<&str> = counters.keys().map(|(_, name)| name.as_str()).collect();
                known.sort_unstable();
                Err(BackfillError::NoSuchScheme(scheme.into(), known.join(", ")))
            }
        }
    }
}

type Asked = (Order, oneshot::Sender<Result<Progress, Refusal>>);

struct Clerk {
    reading: Reading,
    driver: Handle,
    inbox: mpsc::Receiver<Asked>,
    progress: watch::Sender<Option<Progress>>,
}

/// What a run of the backfill was interrupted by.
enum Next {
    Ended(Result<Ended, Error>),
    Asked(Asked),
}

impl Clerk {
    async fn work(
        mut self,
        hindrance: &(dyn Fn() -> Option<Fault> + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        while !stop.is_cancelled() {
            let standing = self.reading.ledger.backfill()?;
            self.progress.send_replace(standing.as_ref().map(|backfill| self.reading.progress(backfill)));
            match standing {
                Some(backfill) if backfill.is_running() => {
                    if self.wait_at_the_gate(&backfill, stop).await? {
                        self.run(backfill, hindrance, stop).await?;
                    }
                }
                _ => {
                    tokio::select! {
                        biased;
                        Some(asked) = self.inbox.recv() => self.carry_out(standing.as_ref(), asked).await?,
                        () = stop.cancelled() => return Ok(()),
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the gate is open. Orders are taken while it is shut; after one, everything is looked at anew.
    async fn wait_at_the_gate(&mut self, backfill: &Backfill, stop: &CancellationToken) -> Result<bool, Error> {
        let gates = self.reading.gates.clone();
        loop {
            let change = gates.change();
            tokio::pin!(change);
            change.as_mut().enable();
            let Reading { tenant, connection, scheme, .. } = &self.reading;
            let Some(pause) = gates.blocked_by(tenant, connection, scheme) else { return Ok(true) };
            let waiting = Some(mask_text(&format!("{} is paused: {}", pause.scope, pause.reason)));
            self.progress.send_replace(Some(Progress { waiting, ..self.reading.progress(backfill) }));
            tokio::select! {
                biased;
                () = change => {}
                Some(asked) = self.inbox.recv() => {
                    self.carry_out(Some(backfill), asked).await?;
                    return Ok(false);
                }
                () = stop.cancelled() => return Ok(false),
            }
        }
    }

    /// Runs the backfill until it ends, the gate shuts, or an order changes it.
    async fn run(
        &mut self,
        mut backfill: Backfill,
        hindrance: &(dyn Fn() -> Option<Fault> + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let name = self.reading.scheme.clone();
        tracing::info!(scheme = %name, from = %backfill.from, to = %backfill.to, read_to = %backfill.read_to, "backfilling");
        let halt = stop.child_token();
        let hindrance = || hindrance();
        let around = Surroundings { driver: &self.driver, progress: &self.progress, hindrance: &hindrance };
        let run = self.reading.backfill(&mut backfill, &around, &halt);
        tokio::pin!(run);
        loop {
            let next = tokio::select! {
                biased;
                ended = &mut run => Next::Ended(ended),
                Some(asked) = self.inbox.recv() => Next::Asked(asked),
            };
            let (order, done) = match next {
                Next::Ended(ended) => {
                    let ended = ended?;
                    if matches!(ended, Ended::Done | Ended::Failed) {
                        tracing::info!(scheme = %name, ?ended, "the backfill ended");
                    }
                    return Ok(());
                }
                Next::Asked(asked) => asked,
            };
            let shown = self.progress.borrow().clone();
            let standing = shown.as_ref().map(|progress| &progress.backfill);
            match (decide(standing, &order, bounds(&self.reading)), shown.as_ref()) {
                // Said again of what is under way: the window goes on.
                (Ok(wanted), Some(shown)) if wanted == shown.backfill => {
                    let _ = done.send(Ok(shown.clone()));
                }
                (Ok(_), _) => {
                    halt.cancel();
                    let _ = run.await?;
                    // Decided again over what the run left: it may have ended in this very moment.
                    let standing = self.reading.ledger.backfill()?;
                    return carry_out(&self.reading, &self.driver, &self.progress, standing.as_ref(), (order, done))
                        .await;
                }
                (Err(refusal), _) => {
                    let _ = done.send(Err(refusal));
                }
            }
        }
    }

    async fn carry_out(&self, standing: Option<&Backfill>, asked: Asked) -> Result<(), Error> {
        carry_out(&self.reading, &self.driver, &self.progress, standing, asked).await
    }
}

async fn carry_out(
    reading: &Reading,
    driver: &Handle,
    progress: &watch::Sender<Option<Progress>>,
    standing: Option<&Backfill>,
    (order, done): Asked,
) -> Result<(), Error> {
    let decided = decide(standing, &order, bounds(reading));
    if let Ok(backfill) = &decided {
        driver.backfill(backfill.clone()).await.map_err(|_| Error::Stopped)?;
        progress.send_replace(Some(reading.progress(backfill)));
    }
    // Whoever asked may have gone; the order is carried out all the same.
    let _ = done.send(decided.map(|backfill| reading.progress(&backfill)));
    Ok(())
}

fn bounds(reading: &Reading) -> Bounds {
    Bounds { start_at: reading.start_at, horizon: reading.horizon(), now: (reading.now)() }
}

/// A scheme of an engine that nobody runs.
pub fn scheme_named<'a>(engine: &'a Engine, name: &str) -> Result<&'a Scheme, BackfillError> {
    let mut found = engine.schemes.iter().filter(|scheme| is_named(&scheme.config.tenant, &scheme.config.name, name));
    match (found.next(), found.next()) {
        (Some(scheme), None) => Ok(scheme),
        (Some(_), Some(_)) => Err(BackfillError::Ambiguous(name.into())),
        (None, _) => {
            let known: Vec<&str> = engine.schemes.iter().map(|scheme| scheme.config.name.as_str()).collect();
            Err(BackfillError::NoSuchScheme(name.into(), known.join(", ")))
        }
    }
}

/// How the scheme's backfill stands, after the order where there is one. For an engine that nobody runs.
pub async fn backfill_at_rest(scheme: &Scheme, order: Option<&Order>) -> Result<Option<Progress>, BackfillError> {
    let ledger = &scheme.reading.ledger;
    let standing = ledger.backfill()?;
    let Some(order) = order else { return Ok(standing.map(|backfill| scheme.reading.progress(&backfill))) };
    let backfill = decide(standing.as_ref(), order, bounds(&scheme.reading))?;
    let mut batch = Batch::new();
    ledger.put_backfill(&mut batch, &backfill);
    ledger.commit(batch).await?;
    Ok(Some(scheme.reading.progress(&backfill)))
}

/// Runs a backfill in the foreground, works off what came, and ends; `stop` ends it sooner, to be resumed.
pub async fn run_backfill(
    engine: &Engine,
    scheme: &Scheme,
    progress: &watch::Sender<Option<Progress>>,
    stop: &CancellationToken,
) -> Result<Progress, String> {
    // Not the caller's: how far the backfill came is still to be kept after it was told to stop.
    let ended = CancellationToken::new();
    let (handle, driver) = driver::start(scheme.parts.clone(), ended.clone());
    let driver = tokio::spawn(driver);
    let keepers = Keepers::start(engine, &[scheme]);
    let said = read(scheme, &handle, progress, stop).await;
    // What came in is worked off even where the reading failed; a pause leaves it for later.
    let said = tokio::select! {
        biased;
        () = handle.idle() => said,
        () = paused(scheme) => said,
        () = stop.cancelled() => said,
        why = given_up(engine, scheme, &handle) => said.and(Err(why)),
    };
    keepers.stop().await;
    ended.cancel();
    driver.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let standing = scheme.reading.ledger.backfill().map_err(|error| error.to_string())?;
    said?;
    standing.map(|backfill| scheme.reading.progress(&backfill)).ok_or_else(|| Refusal::Nothing.to_string())
}

async fn read(
    scheme: &Scheme,
    handle: &Handle,
    progress: &watch::Sender<Option<Progress>>,
    stop: &CancellationToken,
) -> Result<(), String> {
    let reading = &scheme.reading;
    let standing = reading.ledger.backfill().map_err(|error| error.to_string())?;
    let Some(mut backfill) = standing.filter(Backfill::is_running) else { return Err(Refusal::Nothing.to_string()) };
    let around = Surroundings { driver: handle, progress, hindrance: &|| None };
    let said = match reading.backfill(&mut backfill, &around, stop).await {
        Ok(Ended::Done | Ended::Failed) => return Ok(()),
        Ok(Ended::Paused(pause)) => Err(mask_text(&format!("{} is paused: {}", pause.scope, pause.reason))),
        Ok(Ended::Stopped) => Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    // Nobody runs it any more; left as running, the next engine would go on with it unasked.
    let standing = reading.ledger.backfill().map_err(|error| error.to_string())?;
    if let Ok(stopped) = decide(standing.as_ref(), &Order::Stop, bounds(reading)) {
        handle.backfill(stopped).await.map_err(|_| "the scheme's driver has stopped".to_owned())?;
    }
    said
}

#[cfg(test)]
mod tests;
