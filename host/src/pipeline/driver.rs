//! One scheme's driver: a task that owns the scheme's queues, takes events in rounds, commits each round, and only then
//! does what the step function asked for.
//!
//! A reader may rely on this: whatever leaves for a vendor was committed before as an intent; whatever came back is
//! committed before anything follows from it; and the ledger is touched by this task alone.

mod arrivals;
mod departures;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connectors::{self, Caller, Pass, Road, SourceDocument, Target};
use crate::fault::{Code, Fault};
use crate::model::{ConnectionName, Digest, DocumentKey, SchemeId, TargetKey, TenantId};
use crate::state::{Batch, Table};

use super::backfill::Backfill;
use super::bisection::Bill;
use super::command::{CommandError, Order};
use super::erasure::Clearance;
use super::gate::{Gates, Scope};
use super::instant;
use super::laps::Laps;
use super::ledger::{BadPage, Cursor, Error, Ledger, Tally};
use super::queues::{Bodies, Errand, Queues};
use super::quota::{Exceeded, Meter};
use super::reference::Catalogue;
use super::retention;
use super::round::{Destination, Settled, Work, commit_round, portion};
use super::step::{Action, Event, Moment, Rules};
use super::subject::Phase;
use super::tally::Follower;
use super::transformer::{Ran, Transformer};
use super::watch::{Stage, Watcher};

/// The clock, as a function, so that tests can set it.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How much of a scheme may be under way at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Documents one call of the sandbox takes.
    pub transform_batch: usize,
    /// Calls of the sandbox at once.
    pub transforms_at_once: usize,
    /// Bills one request takes; never more than the target's own limit.
    pub write_batch: usize,
    /// Requests to the target at once.
    pub writes_at_once: usize,
    /// Unfinished documents in the ledger from which on no further page is taken, and at which pages are taken again.
    pub backlog_limit: usize,
    pub backlog_resume: usize,
    /// Errands held in memory; what comes beyond them waits in the ledger.
    pub errands_limit: usize,
    /// Among the schemes that use the target's connection, from 0 to 9.
    pub priority: u8,
    /// Bytes of bodies kept in memory between two stages.
    pub body_cache_bytes: usize,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            // Enough to make the cost of an instance small in batch isolation, few enough that a slow module's page
            // does not hold a thread for long.
            transform_batch: 50,
            transforms_at_once: 2,
            write_batch: 20,
            writes_at_once: 4,
            // A day of a large shop. More than that is worked off no sooner for being read sooner, and an outage that
            // lasts so long is better waited out at the source.
            backlog_limit: 20_000,
            backlog_resume: 10_000,
            // Forty requests of fifty bills: more than enough to fill a request. An errand is about two hundred bytes.
            errands_limit: 2_000,
            priority: 5,
            body_cache_bytes: 32 << 20,
        }
    }
}

/// What a driver works with.
#[derive(Clone)]
pub struct Parts {
    pub tenant: TenantId,
    pub scheme: SchemeId,
    pub source_connection: ConnectionName,
    pub destination: Destination,
    pub rules: Rules,
    pub flow: Flow,
    /// A longer source document is parked, not transformed.
    pub document_limit_bytes: usize,
    pub ledger: Ledger,
    pub gates: Gates,
    pub target: Arc<dyn Target>,
    pub transformer: Arc<dyn Transformer>,
    pub watcher: Arc<dyn Watcher>,
    pub now: Now,
}

/// What others ask of a driver.
#[derive(Debug)]
enum Request {
    Page { documents: Vec<SourceDocument>, done: oneshot::Sender<()> },
    Cursor { cursor: Cursor, done: oneshot::Sender<()> },
    Backfill { backfill: Backfill, done: oneshot::Sender<()> },
    BadPage { page: BadPage, bytes: Bytes, done: oneshot::Sender<()> },
    Reduce { keys: Vec<DocumentKey>, before: Timestamp, done: oneshot::Sender<u64> },
}

/// A person's order, apart from the pages: a full backlog holds pages back, and must not hold back whoever clears it.
#[derive(Debug)]
struct Asked {
    order: Order,
    done: oneshot::Sender<Result<u64, CommandError>>,
}

/// A handle to a running driver. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    orders: mpsc::Sender<Asked>,
    rest: watch::Receiver<Rest>,
    backlog: watch::Receiver<Backlog>,
}

/// What a scheme has still to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Unfinished documents in the ledger; not those that wait for a reference table, which hold nothing else back.
    pub documents: usize,
    /// No page is taken until it is worked off to the lower mark.
    pub is_full: bool,
    /// That mark.
    pub resume: usize,
}

/// How much a driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Busy,
    /// Only documents that wait for a reference table.
    Waits,
    Idle,
}

impl Handle {
    /// Commits a page; returns once it is durable. `Err` where the driver has stopped.
    pub async fn page(&self, documents: Vec<SourceDocument>) -> Result<(), connectors::SinkClosed> {
        self.ask(|done| Request::Page { documents, done }).await
    }

    /// Moves the cursor, durably, after every page handed over before.
    pub async fn cursor(&self, cursor: Cursor) -> Result<(), connectors::SinkClosed> {
        self.ask(|done| Request::Cursor { cursor, done }).await
    }

    /// Moves a backfill on, durably, after every page handed over before.
    pub async fn backfill(&self, backfill: Backfill) -> Result<(), connectors::SinkClosed> {
        self.ask(|done| Request::Backfill { backfill, done }).await
    }

    /// Completes once fewer than so many documents are unfinished. `Err` where the driver has stopped.
    pub async fn room(&self, backlog: usize) -> Result<(), connectors::SinkClosed> {
        let mut seen = self.backlog.clone();
        seen.wait_for(|seen| seen.documents < backlog).await.map(|_| ()).map_err(|_| connectors::SinkClosed)
    }

    pub fn backlog(&self) -> Backlog {
        *self.backlog.borrow()
    }

    /// Completes once pages are taken. `Err` where the driver has stopped.
    pub async fn takes_pages(&self) -> Result<(), connectors::SinkClosed> {
        let mut seen = self.backlog.clone();
        seen.wait_for(|seen| !seen.is_full).await.map(|_| ()).map_err(|_| connectors::SinkClosed)
    }

    pub async fn bad_page(&self, page: BadPage, bytes: Bytes) -> Result<(), connectors::SinkClosed> {
        self.ask(|done| Request::BadPage { page, bytes, done }).await
    }

    /// Takes bodies' names and history of those of the documents away that were finished before then; says of how many.
    /// `Err` where the driver has stopped.
    pub async fn reduce(&self, keys: Vec<DocumentKey>, before: Timestamp) -> Result<u64, connectors::SinkClosed> {
        let (done, answer) = oneshot::channel();
        let request = Request::Reduce { keys, before, done };
        self.requests.send(request).await.map_err(|_| connectors::SinkClosed)?;
        answer.await.map_err(|_| connectors::SinkClosed)
    }

    /// Returns the version it applied to.
    pub async fn command(&self, order: Order) -> Result<u64, CommandError> {
        let stopped = || CommandError::Stopped("its task has ended".into());
        let (done, answer) = oneshot::channel();
        self.orders.send(Asked { order, done }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Completes when the driver has nothing to do, now or later.
    pub async fn idle(&self) {
        let mut rest = self.rest.clone();
        // An error means that the driver is gone, and with it everything it had to do.
        let _ = rest.wait_for(|rest| *rest == Rest::Idle).await;
    }

    /// Completes when the driver has nothing to do, or nothing but wait for a reference table.
    pub async fn rests(&self) -> Rest {
        let mut rest = self.rest.clone();
        rest.wait_for(|rest| *rest != Rest::Busy).await.map_or(Rest::Idle, |rest| *rest)
    }

    async fn ask(&self, request: impl FnOnce(oneshot::Sender<()>) -> Request) -> Result<(), connectors::SinkClosed> {
        let (done, answer) = oneshot::channel();
        self.requests.send(request(done)).await.map_err(|_| connectors::SinkClosed)?;
        answer.await.map_err(|_| connectors::SinkClosed)
    }
}

/// Starts a driver. The future ends when `stop` is cancelled and everything under way is answered and committed, or
/// with the error that stopped it.
pub fn start(parts: Parts, stop: CancellationToken) -> (Handle, impl Future<Output = Result<(), Error>> + Send) {
    // Few: a page waits here while a round commits, and each page may be large.
    let (requests, pages) = mpsc::channel(4);
    let (orders, commands) = mpsc::channel(16);
    let (rest_sender, rest) = watch::channel(Rest::Busy);
    let (backlog_sender, backlog) = watch::channel(Backlog::default());
    let meter = parts.gates.meter(&parts.tenant);
    let driver = Driver {
        quota_changes: meter.changes(),
        meter,
        throttled: None,
        bodies: Bodies::new(parts.flow.body_cache_bytes),
        at_work_since: (parts.now)(),
        road: parts.gates.road(&parts.tenant, &parts.destination.connection),
        caller: Caller { name: parts.scheme.as_str().into(), priority: parts.flow.priority },
        clock_seen: ((parts.now)(), tokio::time::Instant::now()),
        parts,
        queues: Queues::default(),
        laps: Laps::default(),
        under_way: HashMap::new(),
        in_runs: HashSet::new(),
        awaited: None,
        pass: None,
        running: JoinSet::new(),
        transforms_running: 0,
        writes_running: 0,
        asks_running: 0,
        on_the_wire: HashSet::new(),
        target_not_before: None,
        was_shut: false,
        tally: Tally::default(),
        is_full: false,
        rounds: 0,
        rest: rest_sender,
        backlog_seen: backlog_sender,
        pages,
        commands,
    };
    (Handle { requests, orders, rest, backlog }, driver.run(stop))
}

/// What a spawned task brings back.
enum Finished {
    Transformed {
        took: Duration,
        results: Vec<(DocumentKey, u64, Ran)>,
        /// Not run: what came of those before them is to be put away first.
        left: Vec<(DocumentKey, u64)>,
        /// Of the reference tables, when it began.
        generation: u64,
    },
    Wrote {
        took: Duration,
        shipments: Vec<Shipment>,
        result: Result<Vec<connectors::Answer>, connectors::Error>,
    },
    Asked {
        took: Duration,
        asked_at: Timestamp,
        questions: Vec<Bill>,
        result: Result<Vec<connectors::Finding>, connectors::Error>,
    },
}

/// One bill of one request.
struct Shipment {
    key: DocumentKey,
    version: u64,
    target: TargetKey,
    attempt: u32,
    deadline: Timestamp,
}

impl Shipment {
    fn bill(&self) -> Bill {
        (self.key.clone(), self.version, self.target.clone())
    }
}

/// A turn on the target's road, while it is waited for.
type Awaited = Pin<Box<dyn Future<Output = Pass> + Send>>;

struct Driver {
    parts: Parts,
    /// The way to the target, and who this scheme is on it.
    road: Option<Road>,
    caller: Caller,
    queues: Queues,
    /// Takes up what the queues had no room for.
    laps: Laps,
    /// Documents in runs and requests under way, and in how many.
    under_way: HashMap<DocumentKey, usize>,
    /// The versions in runs.
    in_runs: HashSet<(DocumentKey, u64)>,
    /// The next exchange with the target needs a pass. It is there before anything is intended.
    awaited: Option<Awaited>,
    pass: Option<Pass>,
    bodies: Bodies,
    running: JoinSet<Finished>,
    transforms_running: usize,
    writes_running: usize,
    asks_running: usize,
    /// Target keys in requests under way: two versions of one key never share, nor race.
    on_the_wire: HashSet<TargetKey>,
    /// After a whole request failed, the target is left alone until then.
    target_not_before: Option<Timestamp>,
    /// What the tenant uses, and who says when it may use another share.
    meter: Meter,
    quota_changes: Follower,
    /// Why documents wait that could be run, where their tenant has used its share.
    throttled: Option<Exceeded>,
    /// Since when writes may leave: the start, or the end of the last pause or outage.
    at_work_since: Timestamp,
    was_shut: bool,
    tally: Tally,
    /// The backlog has reached its limit, and is not yet worked off to the lower mark.
    is_full: bool,
    /// The clock at the last turn, and a clock that nobody sets.
    clock_seen: (Timestamp, tokio::time::Instant),
    /// Rounds so far; with the scheme's name and the clock, the seed of the dice.
    rounds: u64,
    rest: watch::Sender<Rest>,
    backlog_seen: watch::Sender<Backlog>,
    pages: mpsc::Receiver<Request>,
    commands: mpsc::Receiver<Asked>,
}

/// Bytes of documents that one call of the sandbox takes, beyond which no further one joins: they are read from the ledger
/// here, on a thread that serves others too, and held until the call is over.
const TRANSFORM_BYTES: usize = 4 << 20;

/// How often is looked whether there is room on the disk again.
const DISK_LOOK: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);
/// What the clock may be ahead of itself between two turns: a slew, and the coarseness of clocks.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// Requests and results taken into one round at most. A round is one batch of the store.
const ROUND_LIMIT: usize = 64;

impl Driver {
    async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        self.recover().await?;
        let gates = self.parts.gates.clone();
        let transformer = self.parts.transformer.clone();
        let mut tables = transformer.catalogue().and_then(Catalogue::changes);
        loop {
            let change = gates.change();
            tokio::pin!(change);
            change.as_mut().enable();
            let now = (self.parts.now)();
            self.watch_the_clock(now).await?;
            self.queues.wake(now);
            let generation = self.generation();
            self.laps.wake_for_tables(generation);
            self.target_not_before = self.target_not_before.filter(|at| *at > now);
            let is_shut = self.is_shut();
            if self.was_shut && !is_shut {
                self.at_work_since = now;
            }
            self.was_shut = is_shut;
            // Looked at once a turn: cancelled between two looks, it would close every way out of the wait below.
            let takes = !stop.is_cancelled();
            if takes {
                self.refill().await?;
                self.dispatch().await?;
                // What was obsolete has gone without a trace, and nobody else would wake this driver for the rest.
                while self.has_room_for_more() {
                    self.refill().await?;
                    self.dispatch().await?;
                }
            } else if self.running.is_empty() {
                return Ok(());
            } else {
                // Nothing leaves any more, and what is under way may need the road for its own next request.
                (self.awaited, self.pass) = (None, None);
            }
            self.show_backlog();
            self.parts.watcher.backlog(self.backlog() as u64);
            self.parts.watcher.errands(self.queues.len());
            let waiting = count(self.tally.waiting);
            self.parts.watcher.waiting(waiting as u64);
            let busy = !self.queues.is_empty()
                || self.laps.are_due()
                || !self.running.is_empty()
                || !self.pages.is_empty()
                || !self.commands.is_empty();
            let rest = match waiting {
                _ if busy => Rest::Busy,
                0 => Rest::Idle,
                1.. => Rest::Waits,
            };
            self.rest.send_if_modified(|now| std::mem::replace(now, rest) != rest);
            let awaits = waiting > 0;
            let is_throttled = self.throttled.is_some();
            let wake = sleep_until(self.next_wake(), (self.parts.now)());
            let takes_pages = takes && !self.is_full && !self.parts.gates.is_work_held();
            tokio::select! {
                biased;
                Some(order) = self.commands.recv(), if takes => self.commanded(order).await?,
                Some(finished) = self.running.join_next() => self.finished(finished).await?,
                pass = awaited(&mut self.awaited), if takes => (self.awaited, self.pass) = (None, Some(pass)),
                Some(request) = self.pages.recv(), if takes_pages => self.requested(request).await?,
                () = wake => {}
                () = next_fetch(&mut tables), if awaits => {}
                () = self.quota_changes.grown(), if is_throttled => {}
                () = &mut change => {}
                () = stop.cancelled(), if takes => {}
            }
        }
    }

    /// A clock that was set ahead must not make anything in doubt count as settled.
    async fn watch_the_clock(&mut self, now: Timestamp) -> Result<(), Error> {
        let (before, since) = std::mem::replace(&mut self.clock_seen, (now, tokio::time::Instant::now()));
        let leapt = Duration::try_from(now.duration_since(before)).unwrap_or_default();
        if leapt <= since.elapsed() + CLOCK_TOLERANCE {
            return Ok(());
        }
        tracing::warn!(scheme = %self.parts.scheme, "the clock was set ahead; what is in doubt settles anew");
        let deadline = departures::ends_by(now, self.parts.target.request_timeout());
        self.tell_unfinished(&Event::ClockLeapt { deadline }).await
    }

    /// Of the scheme's reference tables.
    fn generation(&self) -> u64 {
        self.parts.transformer.catalogue().map_or(0, Catalogue::generation)
    }

    fn backlog(&self) -> usize {
        count(self.tally.working)
    }

    fn show_backlog(&mut self) {
        let Flow { backlog_limit, backlog_resume, .. } = self.parts.flow;
        // Two marks, or reading would stop and go with every document.
        let resume = backlog_resume.min(backlog_limit.saturating_sub(1));
        let documents = self.backlog();
        self.is_full = documents >= backlog_limit || (self.is_full && documents > resume);
        let backlog = Backlog { documents, is_full: self.is_full, resume };
        self.backlog_seen.send_if_modified(|seen| std::mem::replace(seen, backlog) != backlog);
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let waits = !self.queues.writes.is_empty() || !self.queues.asks.is_empty();
        let resting = self.target_not_before.filter(|_| waits);
        // Nobody says when there is room on the disk again.
        let held = self.parts.gates.is_work_held();
        let look = held.then(|| (self.parts.now)().checked_add(DISK_LOOK).unwrap_or(Timestamp::MAX));
        let share = self.throttled.as_ref().and_then(|exceeded| exceeded.until);
        [self.queues.next_wake(), resting, look, share].into_iter().flatten().min()
    }

    /// Counts what an earlier run left unfinished, and has it taken up.
    async fn recover(&mut self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let open = self.parts.ledger.open(after.as_ref(), 500)?;
            let Some((last, _)) = open.last() else { break };
            after = Some(last.clone());
            open.iter().for_each(|(_, open)| self.tally.add(*open));
            tokio::task::yield_now().await;
        }
        self.laps.wake();
        self.parts.watcher.parked_total(count(self.tally.parked) as u64);
        Ok(())
    }

    /// Brings an event to every document that the engine has something left to do with.
    async fn tell_unfinished(&mut self, event: &Event) -> Result<(), Error> {
        let mut after = None;
        loop {
            let open = self.parts.ledger.open(after.as_ref(), 500)?;
            let Some((last, _)) = open.last() else { return Ok(()) };
            after = Some(last.clone());
            let works: Vec<Work> =
                open.into_iter().filter(|(_, open)| open.work).map(|(key, _)| Work::new(key, event.clone())).collect();
            self.round(&works, None).await?;
        }
    }

    /// Takes up what has had no room in memory, once most of what had is worked off.
    async fn refill(&mut self) -> Result<(), Error> {
        while self.has_room_for_more() {
            let Some(keys) = self.laps.next(&self.parts.ledger)? else { return Ok(()) };
            let queued = self.queues.documents();
            let is_held = |key: &DocumentKey| queued.contains(key) || self.under_way.contains_key(key);
            let (held, free): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_held);
            self.take_up_newer(&held)?;
            let works: Vec<Work> = free.into_iter().map(|key| Work::new(key, Event::Restarted)).collect();
            self.round(&works, None).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn has_room_for_more(&self) -> bool {
        // What is taken up is committed first.
        !self.parts.gates.is_work_held()
            && self.laps.are_due()
            && self.queues.len() < self.parts.flow.errands_limit.div_ceil(2)
    }

    /// Of a document that memory knows, a newer version may have been left behind: what memory holds is then an older
    /// one's, comes to nothing, and brings nobody back to the document.
    fn take_up_newer(&mut self, held: &[DocumentKey]) -> Result<(), Error> {
        let now = (self.parts.now)();
        let known = self.queues.to_transform();
        for key in held {
            let Some(subject) = self.parts.ledger.subject(key)? else { continue };
            let received = subject.versions.iter().filter_map(|version| match version.phase {
                Phase::Received { tries } => Some((version.number, tries > 0)),
                _ => None,
            });
            for (version, alone) in received {
                let one = (key.clone(), version);
                if !self.in_runs.contains(&one) && !known.contains(&one) {
                    self.queues.push(Errand::Transform { key: one.0, version, alone }, None, now);
                }
            }
        }
        Ok(())
    }

    /// Whether nothing may leave for the target, for a reason that is no document's.
    fn is_shut(&self) -> bool {
        self.is_paused() || self.parts.gates.is_work_held() || self.road.as_ref().is_some_and(Road::is_down)
    }

    fn begins<'a>(&mut self, documents: impl IntoIterator<Item = &'a DocumentKey>) {
        for key in documents {
            *self.under_way.entry(key.clone()).or_default() += 1;
        }
    }

    fn ends<'a>(&mut self, documents: impl IntoIterator<Item = &'a DocumentKey>) {
        for key in documents {
            if let Some(runs) = self.under_way.get_mut(key) {
                *runs -= 1;
                if *runs == 0 {
                    self.under_way.remove(key);
                }
            }
        }
    }

    /// Commits a round and files what follows from it. `Send` actions are left to the caller.
    async fn round(&mut self, works: &[Work], cursor: Option<&Cursor>) -> Result<Settled, Error> {
        let now = (self.parts.now)();
        self.rounds += 1;
        // During an outage nobody tries, whatever a probe meets with.
        let at_work_since = if self.is_shut() { now } else { self.at_work_since };
        let moment = Moment { now, dice: self.dice(now), at_work_since };
        // Whom a person has sent on need not wait behind a million others.
        let is_order = works.iter().any(|work| matches!(work.event, Event::Retry { .. } | Event::Edited { .. }));
        let began = Instant::now();
        let Parts { ledger, destination, rules, .. } = &self.parts;
        self.pass_instants("before", works, cursor);
        let mut settled = commit_round(ledger, destination, rules, moment, works, cursor).await?;
        self.pass_instants("after", works, cursor);
        self.parts.watcher.stage(Stage::Commit, began.elapsed());
        let mut sends = Vec::new();
        for (key, action) in settled.actions.drain(..) {
            match action {
                Action::Transform { not_before: None, alone: false, .. }
                    if !is_order && self.queues.len() >= self.parts.flow.errands_limit =>
                {
                    self.laps.leave_behind();
                }
                Action::Transform { version, not_before, alone } => {
                    self.queues.push(Errand::Transform { key, version, alone }, not_before, now);
                }
                // Taken up again when the tables change.
                Action::Await { .. } => {}
                Action::Enqueue { version, target, not_before } => {
                    self.queues.push(Errand::Write { key, version, target }, not_before, now);
                }
                Action::Ask { version, target, not_before } => {
                    self.queues.push(Errand::Ask { key, version, target }, not_before, now);
                }
                Action::Parked { version, code } => {
                    self.queues.bisection.forget(&key, version);
                    self.parts.watcher.parked(code);
                }
                Action::Finished { version } => {
                    self.queues.bisection.forget(&key, version);
                    let end = self.parts.ledger.subject(&key)?.and_then(|subject| {
                        match subject.version(version).map(|version| version.phase.clone()) {
                            Some(Phase::Done { end, .. }) => Some(end),
                            Some(
                                Phase::Received { .. } | Phase::Held | Phase::Writing { .. } | Phase::Parked { .. },
                            )
                            | None => None,
                        }
                    });
                    if let Some(end) = end {
                        self.parts.watcher.finished(&end);
                    }
                }
                send @ Action::Send { .. } => sends.push((key, send)),
            }
        }
        settled.actions = sends;
        self.tally += settled.change;
        self.meter.kept(settled.kept_bytes);
        if settled.change.parked != 0 {
            self.parts.watcher.parked_total(count(self.tally.parked) as u64);
        }
        Ok(settled)
    }

    /// Around a round's commit.
    fn pass_instants(&self, _side: &str, _works: &[Work], _cursor: Option<&Cursor>) {
        #[cfg(feature = "failpoints")]
        for effect in instant::effects(_works, _cursor.is_some()) {
            instant::pass!(self.parts.scheme, format!("{effect}.{_side}"));
        }
    }

    /// Spreads retries: other for each scheme, moment and round, and the same when a story is told again.
    fn dice(&self, now: Timestamp) -> u32 {
        let Parts { tenant, scheme, .. } = &self.parts;
        let digest = Digest::of(format!("{tenant} {scheme} {now} {}", self.rounds));
        let [a, b, c, d, ..] = *digest.as_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    async fn requested(&mut self, first: Request) -> Result<(), Error> {
        // Before anybody is answered: who hands over a page and then waits for idle must not see the idle of before.
        self.rest.send_replace(Rest::Busy);
        let mut next = Some(first);
        let mut works = Vec::new();
        let mut dones = Vec::new();
        while let Some(request) = next {
            match request {
                Request::Page { documents, done } => {
                    works.extend(documents.into_iter().map(|document| self.received(document)));
                    dones.push(done);
                }
                Request::Cursor { cursor, done } => {
                    // After every page before it, in the same batch as those still open.
                    self.commit_pages(&works, Some(&cursor)).await?;
                    works.clear();
                    dones.push(done);
                    if let Some(read_to) = cursor.read_to {
                        self.parts.watcher.read_to(read_to);
                    }
                }
                Request::Backfill { backfill, done } => {
                    self.commit_pages(&works, None).await?;
                    works.clear();
                    let mut batch = Batch::new();
                    self.parts.ledger.put_backfill(&mut batch, &backfill);
                    instant::pass!(self.parts.scheme, "backfill.before");
                    self.parts.ledger.commit(batch).await?;
                    instant::pass!(self.parts.scheme, "backfill.after");
                    dones.push(done);
                }
                Request::BadPage { page, bytes, done } => {
                    let mut batch = Batch::new();
                    self.parts.ledger.put_bad_page(&mut batch, &page, bytes);
                    self.parts.ledger.commit(batch).await?;
                    dones.push(done);
                }
                Request::Reduce { keys, before, done } => {
                    let reduced = retention::reduce(&self.parts.ledger, &keys, before, (self.parts.now)()).await?;
                    self.meter.kept(-i64::try_from(reduced.bytes).unwrap_or(i64::MAX));
                    let _ = done.send(reduced.documents);
                }
            }
            next = if dones.len() < ROUND_LIMIT { self.pages.try_recv().ok() } else { None };
        }
        if !works.is_empty() {
            self.commit_pages(&works, None).await?;
        }
        // As with idle: who looks for room after its page must see that page.
        self.show_backlog();
        for done in dones {
            let _ = done.send(());
        }
        Ok(())
    }

    /// As many rounds as it takes for works that carry large bodies; the cursor goes with the last.
    async fn rounds(&mut self, works: &[Work], cursor: Option<&Cursor>) -> Result<Settled, Error> {
        let (first, mut rest) = works.split_at(portion(works));
        let mut all = self.round(first, cursor.filter(|_| rest.is_empty())).await?;
        while !rest.is_empty() {
            let (next, later) = rest.split_at(portion(rest));
            let settled = self.round(next, cursor.filter(|_| later.is_empty())).await?;
            all.changed += settled.changed;
            all.actions.extend(settled.actions);
            rest = later;
        }
        Ok(all)
    }

    async fn commit_pages(&mut self, works: &[Work], cursor: Option<&Cursor>) -> Result<(), Error> {
        let settled = self.rounds(works, cursor).await?;
        if !works.is_empty() {
            self.parts.watcher.received(works.len(), settled.changed);
        }
        Ok(())
    }

    fn received(&mut self, document: SourceDocument) -> Work {
        let SourceDocument { key, body, cancelled } = document;
        let digest = Digest::of(&body);
        let body: Arc<str> = body.into();
        let limit = self.parts.document_limit_bytes;
        let (key, fault) = match key {
            Ok(key) if body.len() > limit => {
                let fault = Fault::park(Code::DocumentTooLarge, "the document is larger than the scheme takes")
                    .with_limit("document_limit_bytes", limit as u64, body.len() as u64);
                (key, Some(fault))
            }
            Ok(key) => (key, None),
            Err(problem) => (stand_in_key(&digest), Some(Fault::park(Code::KeyMissing, problem))),
        };
        if fault.is_none() {
            self.bodies.keep(digest, body.clone());
        }
        let mut work = Work::new(key, Event::Received { body: digest, cancelled, fault });
        work.bodies.push((digest, body));
        work
    }

    async fn commanded(&mut self, asked: Asked) -> Result<(), Error> {
        self.rest.send_replace(Rest::Busy);
        let Asked { order, done } = asked;
        let answer = self.carry_out(order).await?;
        // Whoever asked may have gone; the command is carried out all the same.
        let _ = done.send(answer);
        Ok(())
    }

    async fn carry_out(&mut self, order: Order) -> Result<Result<u64, CommandError>, Error> {
        let key = order.key.clone();
        let subject = self.parts.ledger.subject(&key)?;
        let (version, work) = match order.work(subject.as_ref()) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let works = [work];
        let mut settled = match self.round(&works, None).await {
            Err(Error::Conflict(Table::Bodies)) => return Ok(Err(CommandError::Changed(key))),
            settled => settled?,
        };
        if let Some(refusal) = settled.refusals.remove(&0) {
            return Ok(Err(refusal.into()));
        }
        for digest in works.iter().flat_map(|work| &work.clearance).flat_map(Clearance::digests) {
            self.bodies.forget(digest);
        }
        Ok(Ok(version))
    }

    fn scope(&self) -> Scope {
        Scope::Scheme(self.parts.tenant.clone(), self.parts.scheme.clone())
    }
}

fn count(tally: i64) -> usize {
    usize::try_from(tally).unwrap_or(0)
}

/// Never, where no pass is waited for.
async fn awaited(pass: &mut Option<Awaited>) -> Pass {
    match pass {
        Some(pass) => pass.await,
        None => std::future::pending().await,
    }
}

/// Never, where nothing waits for its time.
async fn sleep_until(at: Option<Timestamp>, now: Timestamp) {
    let Some(at) = at else { return std::future::pending().await };
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
}

/// Never, where no table is fetched.
async fn next_fetch(tables: &mut Option<Follower>) {
    match tables {
        Some(tables) => tables.grown().await,
        None => std::future::pending().await,
    }
}

/// The key of a document that has none: no vendor's key begins with an exclamation mark and has 64 hex digits.
pub(super) fn stand_in_key(digest: &Digest) -> DocumentKey {
    DocumentKey::new(format!("!{digest}")).expect("a digest in hex is a usable key")
}
