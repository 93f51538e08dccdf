//! One scheme's driver: a task that owns the scheme's queues, takes events in rounds, commits each round, and only then
//! does what the step function asked for.
//!
//! A reader may rely on this: whatever leaves for a vendor was committed before as an intent; whatever came back is
//! committed before anything follows from it; and the ledger is touched by this task alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connectors::{self, Job, SourceDocument, Step, Target};
use crate::fault::{Code, Disposition, Fault};
use crate::model::{ConnectionName, Digest, Document, DocumentKey, Outcome, SchemeId, TargetKey, TenantId};
use crate::state::Batch;

use super::gate::{Gates, Pause, Permit, Scope};
use super::ledger::{BadPage, Cursor, Error, Ledger};
use super::queues::{Bodies, Errand, Queues};
use super::round::{Destination, Settled, Work, commit_round};
use super::step::{Action, Emitted, Event, Moment, Refusal, RetryMode, Rules, Sabotage, Verdict};
use super::subject::{Fate, Phase, Subject};
use super::transformer::{Ran, Task, Transformer};
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
    /// Documents under way beyond which no further page is taken.
    pub backlog_limit: usize,
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
            backlog_limit: 2_000,
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
    BadPage { page: BadPage, bytes: Bytes, done: oneshot::Sender<()> },
}

/// A person's command, apart from the pages: a full backlog holds pages back, and must not hold back whoever clears it.
#[derive(Debug)]
struct Order {
    key: DocumentKey,
    version: Option<u64>,
    command: Command,
    done: oneshot::Sender<Result<u64, CommandError>>,
}

/// What a person asks for one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Retry(RetryMode),
    Discard { reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the scheme has no document {0}")]
    NoSuchDocument(DocumentKey),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("document {0} has no parked version")]
    NothingParked(DocumentKey),
    #[error("the scheme has stopped: {0}")]
    Stopped(String),
}

/// A handle to a running driver. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    orders: mpsc::Sender<Order>,
    idle: watch::Receiver<bool>,
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

    pub async fn bad_page(&self, page: BadPage, bytes: Bytes) -> Result<(), connectors::SinkClosed> {
        self.ask(|done| Request::BadPage { page, bytes, done }).await
    }

    /// Returns the version it applied to. Without `version`, the newest parked one.
    pub async fn command(&self, key: DocumentKey, version: Option<u64>, command: Command) -> Result<u64, CommandError> {
        let stopped = || CommandError::Stopped("its task has ended".into());
        let (done, answer) = oneshot::channel();
        let order = Order { key, version, command, done };
        self.orders.send(order).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Completes when the driver has nothing to do, now or later.
    pub async fn idle(&self) {
        let mut idle = self.idle.clone();
        // An error means that the driver is gone, and with it everything it had to do.
        let _ = idle.wait_for(|idle| *idle).await;
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
    let (idle_sender, idle) = watch::channel(false);
    let driver = Driver {
        bodies: Bodies::new(parts.flow.body_cache_bytes),
        parts,
        queues: Queues::default(),
        running: JoinSet::new(),
        transforms_running: 0,
        writes_running: 0,
        asks_running: 0,
        on_the_wire: HashSet::new(),
        target_not_before: None,
        parked_total: 0,
        rounds: 0,
        idle: idle_sender,
        pages,
        commands,
    };
    (Handle { requests, orders, idle }, driver.run(stop))
}

/// What a spawned task brings back.
enum Finished {
    Transformed {
        took: Duration,
        results: Vec<(DocumentKey, u64, Ran)>,
    },
    Wrote {
        took: Duration,
        shipments: Vec<Shipment>,
        result: Result<Vec<connectors::Answer>, connectors::Error>,
    },
    Asked {
        took: Duration,
        asked_at: Timestamp,
        questions: Vec<(DocumentKey, u64, TargetKey)>,
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

struct Driver {
    parts: Parts,
    queues: Queues,
    bodies: Bodies,
    running: JoinSet<Finished>,
    transforms_running: usize,
    writes_running: usize,
    asks_running: usize,
    /// Target keys in requests under way: two versions of one key never share, nor race.
    on_the_wire: HashSet<TargetKey>,
    /// After a whole request failed, the target is left alone until then.
    target_not_before: Option<Timestamp>,
    parked_total: i64,
    /// Rounds so far; with the scheme's name and the clock, the seed of the dice.
    rounds: u64,
    idle: watch::Sender<bool>,
    pages: mpsc::Receiver<Request>,
    commands: mpsc::Receiver<Order>,
}

/// Requests and results taken into one round at most. A round is one batch of the store.
const ROUND_LIMIT: usize = 64;

impl Driver {
    async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        self.recover().await?;
        let gates = self.parts.gates.clone();
        loop {
            let change = gates.change();
            tokio::pin!(change);
            change.as_mut().enable();
            let now = (self.parts.now)();
            self.queues.wake(now);
            self.target_not_before = self.target_not_before.filter(|at| *at > now);
            if !stop.is_cancelled() {
                self.dispatch().await?;
            } else if self.running.is_empty() {
                return Ok(());
            }
            self.parts.watcher.backlog(self.backlog() as u64);
            let now_idle =
                self.queues.is_empty() && self.running.is_empty() && self.pages.is_empty() && self.commands.is_empty();
            self.idle.send_if_modified(|idle| std::mem::replace(idle, now_idle) != now_idle);
            let wake = sleep_until(self.next_wake(), (self.parts.now)());
            let takes = !stop.is_cancelled();
            let takes_pages = takes && self.backlog() < self.parts.flow.backlog_limit;
            tokio::select! {
                biased;
                Some(order) = self.commands.recv(), if takes => self.commanded(order).await?,
                Some(finished) = self.running.join_next() => self.finished(finished).await?,
                Some(request) = self.pages.recv(), if takes_pages => self.requested(request).await?,
                () = wake => {}
                () = &mut change => {}
                () = stop.cancelled(), if takes => {}
            }
        }
    }

    fn backlog(&self) -> usize {
        self.queues.len()
            + self.transforms_running * self.parts.flow.transform_batch
            + self.writes_running * self.parts.flow.write_batch
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let waits = !self.queues.writes.is_empty() || !self.queues.asks.is_empty();
        let resting = self.target_not_before.filter(|_| waits);
        [self.queues.next_wake(), resting].into_iter().flatten().min()
    }

    /// Takes up what an earlier run left unfinished.
    async fn recover(&mut self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let open = self.parts.ledger.open(after.as_ref(), 500)?;
            let Some((last, _)) = open.last() else { break };
            after = Some(last.clone());
            self.parked_total += open.iter().map(|(_, open)| i64::from(open.parked)).sum::<i64>();
            let works: Vec<Work> = open
                .into_iter()
                .filter(|(_, open)| open.work)
                .map(|(key, _)| Work::new(key, Event::Restarted))
                .collect();
            self.round(&works, None).await?;
        }
        self.parts.watcher.parked_total(u64::try_from(self.parked_total).unwrap_or(0));
        Ok(())
    }

    /// Commits a round and files what follows from it. `Send` actions are left to the caller.
    async fn round(&mut self, works: &[Work], cursor: Option<&Cursor>) -> Result<Settled, Error> {
        let now = (self.parts.now)();
        self.rounds += 1;
        let moment = Moment { now, dice: self.dice(now) };
        let began = Instant::now();
        let Parts { ledger, destination, rules, .. } = &self.parts;
        let mut settled = commit_round(ledger, destination, rules, moment, works, cursor).await?;
        self.parts.watcher.stage(Stage::Commit, began.elapsed());
        let mut sends = Vec::new();
        for (key, action) in settled.actions.drain(..) {
            match action {
                Action::Transform { version, not_before, alone } => {
                    self.queues.push(Errand::Transform { key, version, alone }, not_before, now);
                }
                Action::Enqueue { version, target, not_before } => {
                    self.queues.push(Errand::Write { key, version, target }, not_before, now);
                }
                Action::Ask { version, target, not_before } => {
                    self.queues.push(Errand::Ask { key, version, target }, not_before, now);
                }
                Action::Parked { version, code } => {
                    self.queues.solo.remove(&(key, version));
                    self.parts.watcher.parked(code);
                }
                Action::Finished { version } => {
                    self.queues.solo.remove(&(key.clone(), version));
                    let end = self.parts.ledger.subject(&key)?.and_then(|subject| {
                        match subject.version(version).map(|version| version.phase.clone()) {
                            Some(Phase::Done { end, .. }) => Some(end),
                            _ => None,
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
        if settled.parked_change != 0 {
            self.parked_total += settled.parked_change;
            self.parts.watcher.parked_total(u64::try_from(self.parked_total).unwrap_or(0));
        }
        Ok(settled)
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
        self.idle.send_replace(false);
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
                Request::BadPage { page, bytes, done } => {
                    let mut batch = Batch::new();
                    self.parts.ledger.put_bad_page(&mut batch, &page, bytes);
                    self.parts.ledger.commit(batch).await?;
                    dones.push(done);
                }
            }
            next = if dones.len() < ROUND_LIMIT { self.pages.try_recv().ok() } else { None };
        }
        if !works.is_empty() {
            self.commit_pages(&works, None).await?;
        }
        for done in dones {
            let _ = done.send(());
        }
        Ok(())
    }

    async fn commit_pages(&mut self, works: &[Work], cursor: Option<&Cursor>) -> Result<(), Error> {
        let settled = self.round(works, cursor).await?;
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

    async fn commanded(&mut self, order: Order) -> Result<(), Error> {
        self.idle.send_replace(false);
        let Order { key, version, command, done } = order;
        let answer = self.carry_out(key, version, command).await?;
        // Whoever asked may have gone; the command is carried out all the same.
        let _ = done.send(answer);
        Ok(())
    }

    async fn carry_out(
        &mut self,
        key: DocumentKey,
        version: Option<u64>,
        command: Command,
    ) -> Result<Result<u64, CommandError>, Error> {
        let Some(subject) = self.parts.ledger.subject(&key)? else {
            return Ok(Err(CommandError::NoSuchDocument(key)));
        };
        let newest_parked = subject.parked().map(|(version, _)| version.number).last();
        let Some(version) = version.or(newest_parked) else {
            return Ok(Err(CommandError::NothingParked(key)));
        };
        let event = match command {
            Command::Retry(mode) => Event::Retry { version, mode },
            Command::Discard { reason } => Event::Discard { version, reason },
        };
        let mut settled = self.round(&[Work::new(key, event)], None).await?;
        Ok(match settled.refusals.remove(&0) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(version),
        })
    }

    async fn finished(&mut self, first: Result<Finished, tokio::task::JoinError>) -> Result<(), Error> {
        let mut works = Vec::new();
        let mut pauses = Vec::new();
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(finished) = next {
            match finished {
                Ok(finished) => self.digest(finished, &mut works, &mut pauses),
                // A panic in a task of ours is our defect. Its documents are unfinished in the ledger, and a restart
                // takes them up again; until then the scheme stops, loudly.
                Err(error) => {
                    let detail = format!("a task of the scheme died: {error}");
                    return Err(Error::Store(crate::state::Error::Failed { detail }));
                }
            }
            taken += 1;
            next = if taken < ROUND_LIMIT { self.running.try_join_next() } else { None };
        }
        let sabotage = self.parts.rules.sabotage;
        let settled = self.round(&works, None).await?;
        debug_assert!(sabotage == Sabotage::NoIntent || settled.actions.is_empty(), "only a dispatch sends");
        for (scope, fault) in pauses {
            let now = (self.parts.now)();
            let pause =
                Pause { scope: scope.clone(), since: now, reason: fault.message.clone(), code: Some(fault.code) };
            tracing::error!(scheme = %self.parts.scheme, %scope, code = %fault.code, reason = %fault.message, "paused");
            self.parts.gates.pause(pause, false).await?;
            self.parts.watcher.paused(&scope, &fault.message);
        }
        Ok(())
    }

    fn digest(&mut self, finished: Finished, works: &mut Vec<Work>, pauses: &mut Vec<(Scope, Fault)>) {
        match finished {
            Finished::Transformed { took, results } => {
                self.transforms_running -= 1;
                self.parts.watcher.stage(Stage::Transform, took);
                for (key, version, ran) in results {
                    works.push(self.transformed(key, version, ran, pauses));
                }
            }
            Finished::Wrote { took, shipments, result } => {
                self.writes_running -= 1;
                self.parts.watcher.stage(Stage::Write, took);
                for shipment in &shipments {
                    self.on_the_wire.remove(&shipment.target);
                }
                self.wrote(shipments, result, works, pauses);
            }
            Finished::Asked { took, asked_at, questions, result } => {
                self.asks_running -= 1;
                self.parts.watcher.stage(Stage::Verify, took);
                match result {
                    Ok(findings) => {
                        let findings = findings.into_iter().map(Some).chain(std::iter::repeat(None));
                        works.extend(questions.into_iter().zip(findings).map(|((key, version, target), finding)| {
                            let event = match finding {
                                Some(finding) => Event::Found { version, target, asked_at, finding: finding.into() },
                                None => Event::AskFailed { version, target, fault: unmentioned() },
                            };
                            Work::new(key, event)
                        }));
                    }
                    Err(error) => {
                        let mut fault = error.fault();
                        self.vendor_fault(&fault, pauses);
                        // As with writes: one question can make the target refuse all that were put with it.
                        if fault.disposition == Disposition::Park && questions.len() > 1 {
                            self.queues.solo.extend(questions.iter().map(|(key, version, _)| (key.clone(), *version)));
                            fault.disposition = Disposition::Retry { after_ms: None };
                        }
                        works.extend(questions.into_iter().map(|(key, version, target)| {
                            Work::new(key, Event::AskFailed { version, target, fault: fault.clone() })
                        }));
                    }
                }
            }
        }
    }

    fn transformed(&mut self, key: DocumentKey, version: u64, ran: Ran, pauses: &mut Vec<(Scope, Fault)>) -> Work {
        self.parts.watcher.fuel(ran.fuel);
        let mut bodies = Vec::new();
        let verdict = match ran.verdict {
            Ok(Outcome::Skip(reason)) => Verdict::Skip(reason),
            Ok(Outcome::Reject(reason)) => Verdict::Reject(reason),
            Ok(Outcome::Emit(documents)) => {
                let mut emitted = Vec::new();
                let mut mismatch = None;
                for document in documents {
                    match self.parts.target.key_of(&document.body) {
                        Ok(key) if key == document.key => {}
                        Ok(key) => mismatch = Some(format!("says {}, its body says {key}", document.key)),
                        Err(problem) => mismatch = Some(format!("says {}, its body: {problem}", document.key)),
                    }
                    let digest = Digest::of(&document.body);
                    let body: Arc<str> = document.body.into();
                    self.bodies.keep(digest, body.clone());
                    bodies.push((digest, body));
                    emitted.push(Emitted { key: document.key, body: digest, taken_by: None });
                }
                match mismatch {
                    Some(problem) => Verdict::Fault(Fault::park(Code::TargetKeyMismatch, problem)),
                    None => Verdict::Emit(emitted),
                }
            }
            Err(fault) => {
                self.parts.watcher.faulted(&fault);
                match fault.disposition {
                    Disposition::Retry { .. } | Disposition::Verify | Disposition::Park => {}
                    // Nothing of the vendor's: whatever it says, it is this scheme that cannot go on.
                    Disposition::PauseConnection
                    | Disposition::PauseScheme
                    | Disposition::StopScheme
                    | Disposition::RefuseStart => pauses.push((self.scope(), fault.clone())),
                }
                Verdict::Fault(fault)
            }
        };
        let module = self.parts.transformer.module();
        let event = Event::Transformed { version, module, fuel: ran.fuel, verdict };
        Work { key, event, logs: ran.logs, bodies }
    }

    fn wrote(
        &mut self,
        shipments: Vec<Shipment>,
        result: Result<Vec<connectors::Answer>, connectors::Error>,
        works: &mut Vec<Work>,
        pauses: &mut Vec<(Scope, Fault)>,
    ) {
        if self.parts.rules.sabotage == Sabotage::NoIntent {
            works.extend(shipments.iter().map(|one| {
                let (version, target, deadline) = (one.version, one.target.clone(), one.deadline);
                Work::new(one.key.clone(), Event::Dispatched { version, target, deadline })
            }));
        }
        let error = match result {
            Ok(answers) => {
                // A job without an answer is a job that the answer does not mention.
                let answers = answers.into_iter().chain(std::iter::repeat(connectors::Answer::Unmentioned));
                works.extend(shipments.into_iter().zip(answers).map(|(one, answer)| {
                    let Shipment { key, version, target, attempt, .. } = one;
                    Work::new(key, Event::Answered { version, target, attempt, answer: answer.into() })
                }));
                return;
            }
            Err(error) => error,
        };
        let may_have_written = error.may_have_written();
        let mut fault = error.fault();
        self.vendor_fault(&fault, pauses);
        tracing::warn!(scheme = %self.parts.scheme, code = %fault.code, may_have_written, "a write failed: {fault}");
        // One bad bill can make a target refuse all that travelled with it: send each alone before blaming any.
        if fault.disposition == Disposition::Park && shipments.len() > 1 {
            self.queues.solo.extend(shipments.iter().map(|one| (one.key.clone(), one.version)));
            fault.disposition = Disposition::Retry { after_ms: None };
        }
        works.extend(shipments.into_iter().map(|one| {
            let Shipment { key, version, target, attempt, .. } = one;
            Work::new(key, Event::Failed { version, target, attempt, fault: fault.clone(), may_have_written })
        }));
    }

    /// What a vendor's fault means beyond the documents it hit.
    fn vendor_fault(&mut self, fault: &Fault, pauses: &mut Vec<(Scope, Fault)>) {
        self.parts.watcher.faulted(fault);
        let Parts { tenant, destination, rules, .. } = &self.parts;
        match fault.disposition {
            Disposition::PauseConnection => {
                pauses.push((Scope::Connection(tenant.clone(), destination.connection.clone()), fault.clone()));
            }
            Disposition::PauseScheme | Disposition::StopScheme | Disposition::RefuseStart => {
                pauses.push((self.scope(), fault.clone()));
            }
            Disposition::Retry { after_ms } => {
                let asked = after_ms.map(Duration::from_millis).unwrap_or(rules.retry_base);
                let wait = jiff::SignedDuration::try_from(asked).unwrap_or(jiff::SignedDuration::ZERO);
                // Never shorter than another request was told to wait.
                let until = (self.parts.now)().checked_add(wait).unwrap_or(Timestamp::MAX);
                self.target_not_before = self.target_not_before.max(Some(until));
            }
            Disposition::Park | Disposition::Verify => {}
        }
    }

    /// Starts whatever may start.
    async fn dispatch(&mut self) -> Result<(), Error> {
        while self.transforms_running < self.parts.flow.transforms_at_once && self.start_transform()? {}
        // One question at a time: it carries many keys, and what comes back frees what waits behind it.
        while self.asks_running < 1 && self.start_ask()? {}
        while self.writes_running < self.parts.flow.writes_at_once && self.start_write().await? {}
        Ok(())
    }

    fn scope(&self) -> Scope {
        Scope::Scheme(self.parts.tenant.clone(), self.parts.scheme.clone())
    }

    /// Asked for only once it is clear what will be sent: giving a permit back wakes whoever waits at a gate, this
    /// driver too, and a driver that takes one to find nothing to do would wake itself for ever.
    fn permit(&self) -> Option<Permit> {
        self.parts.gates.enter(&self.parts.tenant, &self.parts.destination.connection, &self.parts.scheme)
    }

    fn is_paused(&self) -> bool {
        let Parts { gates, tenant, destination, scheme, .. } = &self.parts;
        gates.blocked_by(tenant, &destination.connection, scheme).is_some()
    }

    fn body(&self, digest: &Digest) -> Result<Arc<str>, Error> {
        if let Some(body) = self.bodies.get(digest) {
            return Ok(body);
        }
        let body = self.parts.ledger.body(*digest)?;
        body.map(Into::into)
            .ok_or_else(|| Error::Store(crate::state::Error::Damaged { detail: format!("body {digest} is missing") }))
    }

    fn start_transform(&mut self) -> Result<bool, Error> {
        if self.queues.transforms.is_empty() || self.parts.gates.is_paused(&self.scope()) {
            return Ok(false);
        }
        let mut keys = Vec::new();
        let mut tasks = Vec::new();
        while let Some((key, version, alone)) = self.queues.transforms.pop_front() {
            if alone && !tasks.is_empty() {
                self.queues.transforms.push_front((key, version, alone));
                break;
            }
            let Some(subject) = self.parts.ledger.subject(&key)? else { continue };
            let Some(found) = subject.version(version) else { continue };
            let Phase::Received { tries } = found.phase else { continue };
            let document = Arc::new(Document { key: key.clone(), body: self.body(&found.body)?.to_string() });
            tasks.push(Task { document, received_at: found.received_at, patient: tries > 0 });
            keys.push((key, version));
            if alone || tasks.len() >= self.parts.flow.transform_batch {
                break;
            }
        }
        if tasks.is_empty() {
            return Ok(false);
        }
        let transformer = self.parts.transformer.clone();
        self.transforms_running += 1;
        self.running.spawn_blocking(move || {
            let began = Instant::now();
            let ran = transformer.run(&tasks).into_iter().chain(std::iter::repeat_with(no_result));
            let results = keys.into_iter().zip(ran).map(|((key, version), ran)| (key, version, ran)).collect();
            Finished::Transformed { took: began.elapsed(), results }
        });
        Ok(true)
    }

    fn start_ask(&mut self) -> Result<bool, Error> {
        let now = (self.parts.now)();
        if self.queues.asks.is_empty() || self.target_not_before.is_some_and(|at| at > now) || self.is_paused() {
            return Ok(false);
        }
        let (mut questions, mut jobs) = (Vec::new(), Vec::new());
        // As many keys as one question can carry within the length of a request line that every server takes.
        while jobs.len() < 50 {
            let Some((key, version, target)) = self.queues.asks.pop_front() else { break };
            let subject = self.parts.ledger.subject(&key)?;
            let Some(write) = subject.as_ref().and_then(|subject| find_write(subject, version, &target)) else {
                continue;
            };
            if !matches!(write.fate, Fate::Asking { .. }) || questions.iter().any(|(_, _, asked)| *asked == target) {
                continue;
            }
            let solo = self.queues.solo.contains(&(key.clone(), version));
            if solo && !jobs.is_empty() {
                self.queues.asks.push_front((key, version, target));
                break;
            }
            let id = subject.as_ref().and_then(|subject| subject.targets.get(&target)).and_then(|held| held.id.clone());
            jobs.push(Job { key: target.clone(), body: self.body(&write.body)?.to_string(), id });
            questions.push((key, version, target));
            if solo {
                break;
            }
        }
        if jobs.is_empty() {
            return Ok(false);
        }
        let Some(permit) = self.permit() else {
            // Paused in this very moment, from another thread.
            self.queues.asks.extend(questions);
            return Ok(false);
        };
        let target = self.parts.target.clone();
        // Taken before the question leaves: what it shows is at least as new as this.
        let asked_at = (self.parts.now)();
        self.asks_running += 1;
        self.running.spawn(async move {
            let began = Instant::now();
            let result = target.look_up(&jobs).await;
            drop(permit);
            Finished::Asked { took: began.elapsed(), asked_at, questions, result }
        });
        Ok(true)
    }

    async fn start_write(&mut self) -> Result<bool, Error> {
        let now = (self.parts.now)();
        let limit = self.parts.flow.write_batch.min(self.parts.target.capabilities().batch_limit).max(1);
        let more_may_join = self.transforms_running > 0 && self.queues.writes.len() < limit;
        let resting = self.target_not_before.is_some_and(|at| at > now);
        if self.queues.writes.is_empty() || more_may_join || resting || self.is_paused() {
            return Ok(false);
        }
        let timeout = self.parts.target.request_timeout();
        let deadline = now
            .checked_add(jiff::SignedDuration::try_from(timeout).unwrap_or(jiff::SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX);
        let Some((step, picked)) = self.pick_writes(limit)? else { return Ok(false) };
        let Some(permit) = self.permit() else {
            self.queues.writes.extend(picked);
            return Ok(false);
        };
        let (mut jobs, mut shipments) = (Vec::new(), Vec::new());
        if self.parts.rules.sabotage == Sabotage::NoIntent {
            for (key, version, target) in picked {
                let Some(subject) = self.parts.ledger.subject(&key)? else { continue };
                let Some(write) = find_write(&subject, version, &target) else { continue };
                let id = subject.targets.get(&target).and_then(|held| held.id.clone());
                jobs.push(Job { key: target.clone(), body: self.body(&write.body)?.to_string(), id });
                shipments.push(Shipment { key, version, target, attempt: write.attempt + 1, deadline });
            }
        } else {
            let works: Vec<Work> = picked
                .into_iter()
                .map(|(key, version, target)| Work::new(key, Event::Dispatched { version, target, deadline }))
                .collect();
            let settled = self.round(&works, None).await?;
            for (key, action) in settled.actions {
                let Action::Send { version, target, body, id, attempt, .. } = action else { continue };
                jobs.push(Job { key: target.clone(), body: self.body(&body)?.to_string(), id });
                shipments.push(Shipment { key, version, target, attempt, deadline });
            }
        }
        if jobs.is_empty() {
            return Ok(true);
        }
        fail::fail_point!("pipeline::after_intent");
        self.on_the_wire.extend(shipments.iter().map(|one| one.target.clone()));
        let target = self.parts.target.clone();
        self.writes_running += 1;
        self.running.spawn(async move {
            let began = Instant::now();
            let result = target.write(step, &jobs).await;
            fail::fail_point!("pipeline::after_answer");
            drop(permit);
            Finished::Wrote { took: began.elapsed(), shipments, result }
        });
        Ok(true)
    }

    /// Bills that may share one request: one step, distinct target keys, none of them already under way.
    fn pick_writes(&mut self, limit: usize) -> Result<Option<(Step, Vec<(DocumentKey, u64, TargetKey)>)>, Error> {
        let mut step = None;
        let mut picked: Vec<(DocumentKey, u64, TargetKey)> = Vec::new();
        let mut left = Vec::new();
        while picked.len() < limit {
            let Some((key, version, target)) = self.queues.writes.pop_front() else { break };
            let Some(subject) = self.parts.ledger.subject(&key)? else { continue };
            let Some(write) = find_write(&subject, version, &target) else { continue };
            if write.fate != Fate::Ready {
                continue;
            }
            let busy = self.on_the_wire.contains(&target) || picked.iter().any(|(_, _, other)| *other == target);
            let solo = self.queues.solo.contains(&(key.clone(), version));
            if busy || step.is_some_and(|step| step != write.step) || (solo && !picked.is_empty()) {
                left.push((key, version, target));
                // Looking further than a few requests ahead costs more than it finds.
                if left.len() > limit * 4 {
                    break;
                }
                continue;
            }
            step = Some(write.step);
            picked.push((key, version, target));
            if solo {
                break;
            }
        }
        for item in left.into_iter().rev() {
            self.queues.writes.push_front(item);
        }
        Ok(step.filter(|_| !picked.is_empty()).map(|step| (step, picked)))
    }
}

fn find_write<'a>(subject: &'a Subject, version: u64, target: &TargetKey) -> Option<&'a super::subject::TargetWrite> {
    match &subject.version(version)?.phase {
        Phase::Writing { targets } => targets.iter().find(|write| write.key == *target),
        _ => None,
    }
}

fn unmentioned() -> Fault {
    Fault::retry(Code::ResponseUnreadable, None, "the target's answer does not mention this bill")
}

/// What stands in for a result that the sandbox owes: a defect of ours, not the document's.
fn no_result() -> Ran {
    let fault = Fault::new(Code::Internal, Disposition::StopScheme, "the sandbox gave no result for this document");
    Ran { verdict: Err(fault), fuel: 0, memory_bytes: 0, logs: Vec::new() }
}

/// Never, where nothing waits for its time.
async fn sleep_until(at: Option<Timestamp>, now: Timestamp) {
    let Some(at) = at else { return std::future::pending().await };
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
}

/// The key of a document that has none: no vendor's key begins with an exclamation mark and has 64 hex digits.
fn stand_in_key(digest: &Digest) -> DocumentKey {
    DocumentKey::new(format!("!{digest}")).expect("a digest in hex is a usable key")
}

#[cfg(test)]
mod tests;
