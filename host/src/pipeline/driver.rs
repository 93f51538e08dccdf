//! One scheme's driver: a task that owns the scheme's queues, takes events in rounds, commits each round, and only then
//! does what the step function asked for.
//!
//! A reader may rely on this: whatever leaves for a vendor was committed before as an intent; whatever came back is
//! durable before anything follows from it, though not before the next round is stepped (`commits.rs`); and the ledger is
//! touched by this task alone.

mod arrivals;
mod commits;
mod departures;
mod handle;
mod intake;
mod recovery;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connectors::{self, Caller, Pass, Road, Target};
use crate::model::{ConnectionName, Digest, DocumentKey, SchemeId, TargetKey, TenantId};
use crate::state::Table;

use super::bisection::Bill;
use super::command::{CommandError, Order};
use super::erasure::Clearance;
use super::gate::{Gates, Scope};
use super::laps::Laps;
use super::ledger::{Cursor, Error, Ledger, Tally};
use super::queues::{Bodies, Errand, Queues};
use super::quota::{Exceeded, Meter};
use super::reference::Catalogue;
use super::round::{Destination, Prepared, Settled, Work, commit_prepared, prepare_round};
use super::step::{Action, Event, Moment, Rules};
use super::subject::Phase;
use super::tally::Follower;
use super::transformer::{Ran, Transformer};
use super::watch::{Stage, Watcher};

use commits::{Commit, first_durable};
use handle::{Asked, Request};
pub use handle::{Backlog, Handle, Rest};
pub(super) use intake::stand_in_key;

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

/// Starts a driver. The future ends when `stop` is cancelled and everything under way is answered and committed, or
/// with the error that stopped it.
pub fn start(parts: Parts, stop: CancellationToken) -> (Handle, impl Future<Output = Result<(), Error>> + Send) {
    // Few: a page waits here while a round commits, and each page may be large.
    let (requests, pages) = mpsc::channel(4);
    let (orders, commands) = mpsc::channel(16);
    let (rest_sender, rest) = watch::channel(Rest::Busy);
    let (backlog_sender, backlog) = watch::channel(Backlog::default());
    let meter = parts.gates.meter(&parts.tenant);
    let parts = Parts { ledger: parts.ledger.remembering(), ..parts };
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
        commits: VecDeque::new(),
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
    /// Rounds that are not durable yet, in their order.
    commits: VecDeque<Commit>,
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
            } else if self.running.is_empty() && self.commits.is_empty() {
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
                || !self.commits.is_empty()
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
                durable = first_durable(&mut self.commits) => {
                    durable?;
                    self.settled().await?;
                }
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

    /// Brings an event to every document that the engine has something left to do with.
    async fn tell_unfinished(&mut self, event: &Event) -> Result<(), Error> {
        self.settle_all().await?;
        let mut after = None;
        loop {
            let open = self.parts.ledger.open(after.as_ref(), 500)?;
            let Some((last, _)) = open.last() else { return Ok(()) };
            after = Some(last.clone());
            let works: Vec<Work> =
                open.into_iter().filter(|(_, open)| open.work).map(|(key, _)| Work::new(key, event.clone())).collect();
            self.round(&works).await?;
        }
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

    /// When the next round is stepped.
    fn moment(&mut self) -> Moment {
        let now = (self.parts.now)();
        self.rounds += 1;
        // During an outage nobody tries, whatever a probe meets with.
        let at_work_since = if self.is_shut() { now } else { self.at_work_since };
        Moment { now, dice: self.dice(now), at_work_since }
    }

    /// Commits a round, waits for it, and files what follows from it and from those before. `Send` actions are left to the
    /// caller.
    async fn round(&mut self, works: &[Work]) -> Result<Settled, Error> {
        let moment = self.moment();
        let Parts { ledger, destination, rules, .. } = &self.parts;
        let prepared = prepare_round(ledger, destination, rules, moment, works, None)?;
        self.commit(works, None, moment, prepared).await
    }

    async fn commit(
        &mut self,
        works: &[Work],
        cursor: Option<&Cursor>,
        moment: Moment,
        prepared: Prepared,
    ) -> Result<Settled, Error> {
        let began = Instant::now();
        let Parts { ledger, destination, rules, .. } = &self.parts;
        self.pass_instants("before", works, cursor);
        let mut settled = commit_prepared(ledger, destination, rules, moment, works, cursor, prepared).await?;
        self.pass_instants("after", works, cursor);
        self.parts.watcher.stage(Stage::Commit, began.elapsed());
        // Those before it are durable as well.
        self.settle_all().await?;
        self.reckon(&settled);
        // Whom a person has sent on need not wait behind a million others.
        let is_order = works.iter().any(|work| matches!(work.event, Event::Retry { .. } | Event::Edited { .. }));
        self.file(&mut settled, is_order)?;
        Ok(settled)
    }

    /// Counts what a round changes.
    fn reckon(&mut self, settled: &Settled) {
        self.tally += settled.change;
        self.meter.kept(settled.kept_bytes);
        if settled.change.parked != 0 {
            self.parts.watcher.parked_total(count(self.tally.parked) as u64);
        }
    }

    /// Files what follows from a round that is durable, all but `Send` actions.
    fn file(&mut self, settled: &mut Settled, is_order: bool) -> Result<(), Error> {
        let now = (self.parts.now)();
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
                    self.parts.ledger.forget(&key);
                }
                send @ Action::Send { .. } => sends.push((key, send)),
            }
        }
        settled.actions = sends;
        Ok(())
    }

    /// Around a round's commit.
    fn pass_instants(&self, _side: &str, _works: &[Work], _cursor: Option<&Cursor>) {
        #[cfg(feature = "failpoints")]
        for effect in super::instant::effects(_works, _cursor.is_some()) {
            super::instant::pass!(self.parts.scheme, format!("{effect}.{_side}"));
        }
    }

    /// Spreads retries: other for each scheme, moment and round, and the same when a story is told again.
    fn dice(&self, now: Timestamp) -> u32 {
        let Parts { tenant, scheme, .. } = &self.parts;
        let digest = Digest::of(format!("{tenant} {scheme} {now} {}", self.rounds));
        let [a, b, c, d, ..] = *digest.as_bytes();
        u32::from_be_bytes([a, b, c, d])
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
        // Its history and bodies are looked up where they lie.
        self.settle_all().await?;
        let key = order.key.clone();
        let subject = self.parts.ledger.subject(&key)?;
        let (version, work) = match order.work(subject.as_ref()) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let works = [work];
        let mut settled = match self.round(&works).await {
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
