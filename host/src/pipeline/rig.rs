//! What tests of the driver and the reader stand on: a target and a module that can be told to misbehave, a store in
//! memory, and a clock that is tokio's, so that an hour passes at once and nothing sleeps.

mod archive;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connectors::{
    Answer, Caller, Capabilities, Error as VendorError, Failure, Finding, Job, Listed, Resend, Road, SourceDocument,
    Step, Target,
};
use crate::fault::{Code, Fault};
use crate::model::{
    ConnectionName, Digest, DocumentKey, OperationName, Outcome, Reason, SchemeId, TargetDocument, TargetKey, TenantId,
};
use crate::sandbox::{Lookup, References};
use crate::state::MemoryStore;

pub use archive::{Archive, Seen};

use super::driver::{Flow, Handle, Now, Parts, start};
use super::gate::{Gates, Pause, Scope};
use super::ledger::{Error, Ledger};
use super::reference::{Catalogue, Opened, Revision};
use super::round::Destination;
use super::step::{OnChange, Rules, Sabotage};
use super::subject::{Phase, Subject};
use super::transformer::{Miss, Ran, Task, Transformer};
use super::watch::Watcher;

pub const SETTLE: Duration = Duration::from_secs(60);
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request to the target meets with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Luck {
    Good,
    /// Carried out after so long; no answer comes back.
    Lost {
        carried_out_after: Option<Duration>,
    },
    Unreachable,
    Throttled(Duration),
    CredentialsRefused,
    /// Carried out, and the answer is one bill short.
    OneShort,
    /// A call of two requests, of which the second brings this for its bills.
    SecondHalf(Failure),
}

#[derive(Default)]
struct Books {
    bills: Vec<(TargetKey, String)>,
    /// Steps and keys of the requests, as they arrived.
    requests: Vec<(Step, Vec<TargetKey>)>,
    luck: VecDeque<Luck>,
}

/// A target without uniqueness: what is written twice stands twice, unless it takes upserts.
pub struct FakeTarget {
    books: Arc<Mutex<Books>>,
    upsert: bool,
    pub latency: Mutex<Duration>,
    /// Where its requests travel, if not through the air.
    pub road: Mutex<Option<Road>>,
    /// Requests wait for a permit before they are carried out.
    pub open: Semaphore,
}

impl FakeTarget {
    pub fn new(upsert: bool) -> Arc<Self> {
        Arc::new(Self {
            books: Arc::default(),
            upsert,
            latency: Mutex::new(Duration::from_millis(10)),
            road: Mutex::default(),
            open: Semaphore::new(1_000_000),
        })
    }
    /// The keys of each request, as they arrived.
    pub fn sent(&self) -> Vec<Vec<String>> {
        let books = self.books.lock().unwrap();
        books.requests.iter().map(|(_, keys)| keys.iter().map(ToString::to_string).collect()).collect()
    }
    pub fn requests(&self) -> usize {
        self.books.lock().unwrap().requests.len()
    }
    pub fn bills(&self) -> Vec<(String, String)> {
        let books = self.books.lock().unwrap();
        let mut bills: Vec<_> = books.bills.iter().map(|(key, body)| (key.to_string(), body.clone())).collect();
        bills.sort();
        bills
    }
    /// What somebody does at the target without telling anybody.
    pub fn tamper(&self, change: impl FnOnce(&mut Vec<(TargetKey, String)>)) {
        change(&mut self.books.lock().unwrap().bills);
    }
    pub fn expect(&self, luck: impl IntoIterator<Item = Luck>) {
        self.books.lock().unwrap().luck.extend(luck);
    }
    pub fn be_good(&self) {
        self.books.lock().unwrap().luck.clear();
    }

    /// What becomes of a request that has left.
    async fn take(&self, step: Step, jobs: &[Job]) -> Result<Vec<Answer>, VendorError> {
        let luck = {
            let mut books = self.books.lock().unwrap();
            books.requests.push((step, jobs.iter().map(|job| job.key.clone()).collect()));
            books.luck.pop_front().unwrap_or(Luck::Good)
        };
        let host = || "target".to_owned();
        let latency = *self.latency.lock().unwrap();
        self.open.acquire().await.unwrap().forget();
        if jobs.iter().any(|job| job.body.contains("bad")) {
            tokio::time::sleep(latency).await;
            return Err(VendorError::Refused { code: "7".into(), message: "a bill is bad".into() });
        }
        let (books, taken, upsert) = (self.books.clone(), jobs.to_vec(), self.upsert);
        // The target's own work: it goes on when whoever asked has died.
        let work = |after: Duration| {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                carry_out(&books, step, &taken, upsert);
            })
        };
        match luck {
            Luck::Good => {
                work(latency / 2);
                tokio::time::sleep(latency).await;
                Ok(jobs.iter().map(|job| Answer::Done { id: Some(job.key.to_string()), next: None }).collect())
            }
            Luck::OneShort => {
                work(latency / 2);
                tokio::time::sleep(latency).await;
                Ok(jobs.iter().skip(1).map(|job| Answer::Done { id: Some(job.key.to_string()), next: None }).collect())
            }
            Luck::SecondHalf(failure) => {
                let half = jobs.len() / 2;
                carry_out(&self.books, step, &jobs[..half], self.upsert);
                tokio::time::sleep(latency).await;
                let done = |job: &Job| Answer::Done { id: Some(job.key.to_string()), next: None };
                let failed = jobs[half..].iter().map(|_| Answer::Failed(failure.clone()));
                Ok(jobs[..half].iter().map(done).chain(failed).collect())
            }
            Luck::Lost { carried_out_after } => {
                carried_out_after.map(work);
                tokio::time::sleep(latency).await;
                Err(VendorError::AnswerLost { host: host(), after: latency, detail: "reset".into() })
            }
            Luck::Unreachable => Err(VendorError::Unreachable { host: host(), detail: "refused".into() }),
            Luck::Throttled(wait) => Err(VendorError::Throttled { wait: Some(wait), detail: "slow down".into() }),
            Luck::CredentialsRefused => Err(VendorError::CredentialsRefused { detail: "expired".into() }),
        }
    }
}

fn carry_out(books: &Mutex<Books>, step: Step, jobs: &[Job], upsert: bool) {
    let mut books = books.lock().unwrap();
    for job in jobs {
        let stands = books.bills.iter().any(|(key, _)| *key == job.key);
        match step {
            Step::Create if upsert && stands => {}
            Step::Create => books.bills.push((job.key.clone(), job.body.clone())),
            _ => books
                .bills
                .iter_mut()
                .filter(|(key, _)| *key == job.key)
                .for_each(|(_, body)| body.clone_from(&job.body)),
        }
    }
}

#[async_trait]
impl Target for FakeTarget {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch_limit: 64,
            updatable: true,
            askable: true,
            resend: Resend::Never,
            recognised_by: "key".into(),
        }
    }

    fn key_of(&self, body: &str) -> Result<TargetKey, String> {
        TargetKey::new(body.split('|').next().unwrap_or_default()).map_err(|error| error.to_string())
    }

    fn check_change(&self, before: &str, after: &str) -> Result<(), String> {
        match after.contains("frozen") {
            true => Err(format!("{before} cannot become {after}")),
            false => Ok(()),
        }
    }

    async fn write(&self, step: Step, jobs: &[Job]) -> Result<Vec<Answer>, VendorError> {
        let road = self.road.lock().unwrap().clone();
        let Some(road) = road else { return self.take(step, jobs).await };
        let crossing = road.set_out(&Caller { name: "rig".into(), priority: 5 }).await?;
        let result = self.take(step, jobs).await;
        crossing.end(!result.as_ref().is_err_and(VendorError::is_outage));
        result
    }

    async fn look_up(&self, jobs: &[Job]) -> Result<Vec<Finding>, VendorError> {
        let latency = *self.latency.lock().unwrap();
        let road = self.road.lock().unwrap().clone();
        if let Some(road) = road {
            road.set_out(&Caller { name: "rig".into(), priority: 5 }).await?.end(true);
        }
        tokio::time::sleep(latency / 2).await;
        let books = self.books.lock().unwrap();
        let find = |job: &Job| match books.bills.iter().find(|(key, _)| *key == job.key) {
            None => Finding::Absent,
            Some((key, body)) if *body == job.body => Finding::Ours { id: key.to_string(), next: None },
            Some((key, _)) => {
                Finding::Differs { id: key.to_string(), next: Some(Step::Update), differences: Vec::new() }
            }
        };
        Ok(jobs.iter().map(find).collect())
    }

    /// All bills are of one day, the last before the rig's clock begins.
    async fn bills_of(&self, day: jiff::civil::Date) -> Result<Option<Vec<Listed>>, VendorError> {
        let books = self.books.lock().unwrap();
        let bills = books.bills.iter().filter(|_| day == jiff::civil::date(2026, 10, 31));
        Ok(Some(bills.map(|(key, _)| Listed { number: key.to_string(), keys: vec![key.clone()] }).collect()))
    }

    fn request_timeout(&self) -> Duration {
        REQUEST_TIMEOUT
    }

    async fn probe(&self) -> Result<(), VendorError> {
        Ok(())
    }
}

/// Makes one bill `T-KEY` of each document; `same` in a body sends it to the one bill of that name.
#[derive(Default)]
pub struct FakeModule {
    /// Taken by the next runs, one each.
    pub faults: Mutex<VecDeque<Fault>>,
    pub panics: bool,
    /// Results that one run gives at most, where that is not 0.
    pub run_limit: usize,
    /// What a body `needs:KEY` looks its key up in: the first fetched table, as it is at the clock's time.
    pub looks_up: Option<(Catalogue, Now)>,
}

impl FakeModule {
    /// What a look-up that finds nothing makes of the document.
    fn look_up(&self, task: &Task, opened: &Opened) -> Option<Ran> {
        let key = task.document.body.strip_prefix("needs:")?;
        let (table, _) = self.catalogue()?.fetched().next()?;
        let tables = self.tables(Some(opened));
        let (verdict, missed) = match opened.view(task.waits_since).lookup(table, key) {
            Lookup::Found(_) => return None,
            Lookup::Pending => {
                let missed = Miss { table: table.into(), key: key.into(), at: opened.at() };
                (Err(Fault::retry(Code::ReferencePending, None, "wait")), Some(missed))
            }
            Lookup::KnownMissing | Lookup::UnknownTable => {
                let reason = Reason { code: "missing".into(), message: "no such key".into(), field: None };
                (Ok(Outcome::Reject(reason)), None)
            }
        };
        let module = self.module();
        Some(Ran { verdict, module, fuel: 1, memory_bytes: 1, logs: Vec::new(), tables, missed })
    }

    fn tables(&self, opened: Option<&Opened>) -> BTreeMap<String, Revision> {
        let tables = self.catalogue().into_iter().flat_map(Catalogue::fetched);
        let used = |(table, _): (&str, _)| Some((table.to_owned(), opened?.revision(table)?.clone()));
        tables.filter_map(used).collect()
    }
}

impl Transformer for FakeModule {
    fn run(&self, tasks: &[Task]) -> Vec<Ran> {
        assert!(!self.panics, "the module's host is broken");
        let opened = self.looks_up.as_ref().map(|(catalogue, now)| catalogue.open(now()));
        let one = |task: &Task| {
            if let Some(ran) = opened.as_ref().and_then(|opened| self.look_up(task, opened)) {
                return ran;
            }
            let fault = self.faults.lock().unwrap().pop_front();
            let name = if task.document.body.contains("same") { "same" } else { task.document.key.as_str() };
            let key = TargetKey::new(format!("T-{name}")).unwrap();
            let body = format!("{key}|{}", task.document.body);
            let verdict = fault.map_or(Ok(Outcome::Emit(vec![TargetDocument { key, body }])), Err);
            Ran {
                verdict,
                module: task.module.unwrap_or_else(|| self.module()),
                fuel: 1,
                memory_bytes: 1,
                logs: Vec::new(),
                tables: self.tables(opened.as_ref()),
                missed: None,
            }
        };
        let limit = if self.run_limit == 0 { tasks.len() } else { self.run_limit };
        tasks.iter().take(limit).map(one).collect()
    }
    fn module(&self) -> Digest {
        Digest::of("module")
    }
    fn catalogue(&self) -> Option<&Catalogue> {
        self.looks_up.as_ref().map(|(catalogue, _)| catalogue)
    }
}

/// Counts the driver's turns, and what it holds at most; a driver that spins is stopped, for paused time would never pass.
#[derive(Default)]
pub struct Turns {
    turns: AtomicU64,
    pub most_errands: AtomicUsize,
    /// Called when pages are committed and not yet acknowledged.
    pub on_received: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Turns {
    pub fn count(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }
}

impl Watcher for Turns {
    fn received(&self, _documents: usize, _new: usize) {
        if let Some(hook) = &*self.on_received.lock().unwrap() {
            hook();
        }
    }
    fn backlog(&self, _count: u64) {
        assert!(self.turns.fetch_add(1, Ordering::Relaxed) < 100_000, "the driver spins");
    }
    fn errands(&self, count: usize) {
        self.most_errands.fetch_max(count, Ordering::Relaxed);
    }
}

pub fn clock() -> Now {
    let begin = tokio::time::Instant::now();
    let epoch: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    Arc::new(move || epoch + SignedDuration::try_from(begin.elapsed()).unwrap())
}

pub fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub fn scheme() -> SchemeId {
    SchemeId::new("saleout").unwrap()
}

pub fn source_connection() -> ConnectionName {
    ConnectionName::new("jst").unwrap()
}

pub fn target_connection() -> ConnectionName {
    ConnectionName::new("k3").unwrap()
}

pub fn document(key: &str, body: &str) -> SourceDocument {
    SourceDocument { key: Ok(DocumentKey::new(key).unwrap()), body: body.into(), cancelled: false }
}

/// Everything a driver needs, before it is started.
#[derive(Clone)]
pub struct Plan {
    pub now: Now,
    pub rules: Rules,
    pub flow: Flow,
    pub target: Arc<FakeTarget>,
    pub module: Arc<FakeModule>,
}

impl Plan {
    pub fn new() -> Self {
        let rules = Rules {
            on_change: OnChange::Update,
            settle: SETTLE,
            retry_base: Duration::from_millis(200),
            retry_cap: Duration::from_secs(30),
            give_up_after: Duration::from_secs(86_400),
            deadline_tries: 3,
            target_askable: true,
            target_resend: Resend::Never,
            target_updatable: true,
            sabotage: Sabotage::None,
        };
        let flow = Flow { transform_batch: 3, write_batch: 4, ..Flow::default() };
        Self { now: clock(), rules, flow, target: FakeTarget::new(false), module: Arc::default() }
    }

    /// With a target that cannot be asked and takes upserts.
    pub fn of_upserts() -> Self {
        let mut plan = Self { target: FakeTarget::new(true), ..Self::new() };
        (plan.rules.target_askable, plan.rules.target_resend) = (false, Resend::SafeUpsert);
        plan
    }

    /// Starts a driver over the store.
    pub fn start(&self, store: Arc<MemoryStore>) -> Rig {
        let parts = self.parts(store.clone());
        let Parts { ledger, gates, .. } = parts.clone();
        let turns = Arc::new(Turns::default());
        let stop = CancellationToken::new();
        let (handle, run) = start(Parts { watcher: turns.clone(), ..parts }, stop.clone());
        Rig { plan: self.clone(), store, ledger, gates, handle, turns, stop, task: tokio::spawn(run) }
    }

    /// What a driver over the store works with.
    pub fn parts(&self, store: Arc<MemoryStore>) -> Parts {
        let ledger = Ledger::new(store.clone(), tenant(), scheme());
        let gates = Gates::open(store).unwrap();
        if let Some(road) = &*self.target.road.lock().unwrap() {
            gates.attach_road(&tenant(), &target_connection(), road.clone());
        }
        let operation = OperationName::new("BatchSave").unwrap();
        Parts {
            tenant: tenant(),
            scheme: scheme(),
            source_connection: source_connection(),
            destination: Destination { connection: target_connection(), operation, number_space: None },
            rules: self.rules.clone(),
            flow: self.flow.clone(),
            document_limit_bytes: 1_000,
            ledger,
            gates,
            target: self.target.clone(),
            transformer: self.module.clone(),
            watcher: Arc::new(Turns::default()),
            now: self.now.clone(),
        }
    }
}

/// A running driver and what surrounds it.
pub struct Rig {
    pub plan: Plan,
    pub store: Arc<MemoryStore>,
    pub ledger: Ledger,
    pub gates: Gates,
    pub handle: Handle,
    pub turns: Arc<Turns>,
    pub stop: CancellationToken,
    pub task: JoinHandle<Result<(), Error>>,
}

impl Rig {
    pub fn new() -> Self {
        Plan::new().start(Arc::new(MemoryStore::new()))
    }

    pub fn subject(&self, key: &str) -> Subject {
        self.ledger.subject(&DocumentKey::new(key).unwrap()).unwrap().unwrap_or_default()
    }

    pub fn parked(&self, key: &str) -> Option<Code> {
        self.subject(key).parked().last().map(|(_, fault)| fault.code)
    }

    pub fn is_done(&self, key: &str) -> bool {
        self.subject(key).latest().is_some_and(|latest| matches!(latest.phase, Phase::Done { .. }))
    }

    pub async fn pause(&self, scope: Scope) {
        let pause = Pause { scope, since: (self.plan.now)(), reason: "a test".into(), code: None, by: None };
        self.gates.pause(pause, true).await.unwrap();
    }

    /// Stops as a shutdown does.
    pub async fn shut_down(self) -> Arc<MemoryStore> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        Arc::new(self.store.reopen())
    }

    /// Stops as a power cut does; of what was being committed, the first `keep` batches are found afterwards.
    pub async fn crash(self, keep: usize) -> Arc<MemoryStore> {
        let store = Arc::new(self.store.crash(keep));
        self.task.abort();
        let _ = self.task.await;
        store
    }
}

pub fn scheme_scope() -> Scope {
    Scope::Scheme(tenant(), scheme())
}

pub fn target_scope() -> Scope {
    Scope::Connection(tenant(), target_connection())
}

pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
