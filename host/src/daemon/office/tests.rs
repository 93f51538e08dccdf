//! The office on the store alone: two tenants, each with a scheme of the same name, and nobody at work.

mod bulk;
mod orders;
mod policy;
mod search;
mod tenants;
mod witness;

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use super::desk::Works;
use super::*;
use crate::connectors::Resend;
use crate::fault::Fault;
use crate::model::{Digest, OperationName, Reason, SchemeId};
use crate::pipeline::ledger::Ledger;
use crate::pipeline::reference::{Catalogue, Deaf};
use crate::pipeline::round::{Destination, Work, commit_round};
use crate::pipeline::step::{Event, Moment, OnChange, RetryMode, Rules, Sabotage, Verdict};
use crate::pipeline::tally::Tally;
use crate::sandbox::tests::{guests, sandbox};
use crate::sandbox::{Isolation, Limits, Module, ModuleClass};
use crate::state::{MemoryStore, Store};
use crate::telemetry::SchemeRef;

use super::super::modules::Modules;
use super::super::transformer::SandboxTransformer;

const ACME: &str = "acme";
const BETA: &str = "beta";
const SCHEME: &str = "saleout";

struct NoModules;

impl Modules for NoModules {
    fn component(&self, _: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        Ok(None)
    }
    fn module(&self, digest: &Digest) -> Result<Module, Fault> {
        Err(super::super::modules::missing(digest, "nowhere"))
    }
    fn place(&self) -> String {
        "nowhere".into()
    }
}

struct Rig {
    office: Office,
    store: Arc<MemoryStore>,
    /// Milliseconds that the clock has gone on.
    clock: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn rules() -> Rules {
    Rules {
        on_change: OnChange::Park,
        settle: std::time::Duration::from_secs(60),
        retry_base: std::time::Duration::from_millis(100),
        retry_cap: std::time::Duration::from_secs(10),
        give_up_after: std::time::Duration::from_secs(86_400),
        deadline_tries: 3,
        target_askable: true,
        target_resend: Resend::Never,
        target_updatable: true,
        sabotage: Sabotage::None,
    }
}

impl Office {
    /// An order for many, without a witness.
    async fn bulk(&self, tenant: Option<&TenantId>, request: &BulkRequest) -> Result<BulkAnswer, OfficeError> {
        self.carry_out(self.meant(tenant, request)?, request).await
    }
}

impl Rig {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let shared: Arc<dyn Store> = store.clone();
        let clock = Arc::new(AtomicI64::new(0));
        let ticks = clock.clone();
        let begin: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let now: Now = Arc::new(move || {
            Timestamp::from_millisecond(begin.as_millisecond() + ticks.load(Ordering::SeqCst)).unwrap()
        });
        let gates = Gates::open(shared.clone()).unwrap();
        let library = Library::open(shared.clone(), gates.clone(), now.clone(), Arc::new(Deaf), Vec::new()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let desks = [ACME, BETA].map(|name| {
            let (tenant, scheme) = (tenant(name), SchemeId::new(SCHEME).unwrap());
            let desk = desk(&tenant, &scheme, shared.clone(), &gates, &now);
            (SchemeRef { tenant, scheme }, Arc::new(desk))
        });
        let office = Office {
            desks: desks.into_iter().collect(),
            gates,
            data_dir: dir.path().into(),
            library,
            now,
            registry: None,
        };
        Self { office, store, clock, _dir: dir }
    }

    fn tick(&self) -> Timestamp {
        self.clock.fetch_add(1_000, Ordering::SeqCst);
        (self.office.now)()
    }

    async fn take(&self, of: &str, key: &str, event: Event, bodies: &[&str]) {
        let now = self.tick();
        let desk = self.office.chosen(Some(&tenant(of)), None).unwrap().remove(0);
        let works = desk.at_work().unwrap();
        let moment = Moment { now, dice: 0, at_work_since: now };
        let mut work = Work::new(DocumentKey::new(key).unwrap(), event);
        work.bodies = bodies.iter().map(|body| (Digest::of(body), Arc::from(*body))).collect();
        commit_round(&desk.ledger, &works.destination, &works.rules, moment, &[work], None).await.unwrap();
    }

    async fn received(&self, of: &str, key: &str, body: &str) {
        let event = Event::Received { body: Digest::of(body), cancelled: false, fault: None };
        self.take(of, key, event, &[body]).await;
    }

    async fn verdict(&self, of: &str, key: &str, verdict: Verdict) {
        let version = self.subject(of, key).latest().unwrap().number;
        let event = Event::Transformed { version, module: Digest::of("module"), fuel: 5, verdict };
        self.take(of, key, event, &[]).await;
    }

    /// A document that the module rejected in these words.
    async fn parked(&self, of: &str, key: &str, words: &str) {
        self.received(of, key, &format!("{{\"of\":\"{of} {key}\"}}")).await;
        let reason = Reason { code: "empty".into(), message: words.into(), field: None };
        self.verdict(of, key, Verdict::Reject(reason)).await;
    }

    async fn skipped(&self, of: &str, key: &str) {
        self.received(of, key, &format!("{{\"of\":\"{of} {key}\"}}")).await;
        let reason = Reason { code: "not_ours".into(), message: "no".into(), field: None };
        self.verdict(of, key, Verdict::Skip(reason)).await;
    }

    fn ledger(&self, of: &str) -> Ledger {
        Ledger::new(self.store.clone(), tenant(of), SchemeId::new(SCHEME).unwrap())
    }

    fn subject(&self, of: &str, key: &str) -> Subject {
        self.ledger(of).subject(&DocumentKey::new(key).unwrap()).unwrap().unwrap_or_default()
    }

    fn state(&self, of: &str, key: &str) -> DocumentState {
        DocumentState::of(self.subject(of, key).latest().unwrap())
    }
}

fn desk(tenant: &TenantId, scheme: &SchemeId, store: Arc<dyn Store>, gates: &Gates, now: &Now) -> Desk {
    let module = sandbox().load(&guests::guest(guests::ECHO), ModuleClass::Standard).unwrap();
    let limits = Limits::of(sandbox().settings(), ModuleClass::Standard);
    let transformer = SandboxTransformer {
        sandbox: sandbox().clone(),
        module: RwLock::new(module),
        modules: Arc::new(NoModules),
        isolation: Isolation::Document,
        limits: Arc::new(move |_| limits.clone()),
        tenant: tenant.clone(),
        scheme: scheme.clone(),
        source: "a:b".into(),
        target: "c:d".into(),
        parameters: "{}".into(),
        catalogue: Catalogue::new(BTreeMap::new(), BTreeMap::new(), Tally::default().follow()),
        meter: gates.meter(tenant),
        now: now.clone(),
    };
    let connection = crate::model::ConnectionName::new("k3").unwrap();
    let operation = OperationName::new("BatchSave").unwrap();
    let connections = vec![connection.clone()];
    let works = Works {
        rules: rules(),
        destination: Destination { connection, operation, number_space: None },
        transformer: Arc::new(transformer),
        references: Vec::new(),
        document_limit_bytes: 100,
    };
    let ledger = Ledger::new(store, tenant.clone(), scheme.clone());
    let (tenant, scheme) = (tenant.clone(), scheme.clone());
    Desk { tenant, scheme, ledger, seat: Seat::default(), works: Ok(works), connections }
}

fn retry() -> Wish {
    Wish::Retry { mode: RetryMode::Plain, module: None }
}

fn wish(key: &str, wish: Wish) -> CommandRequest {
    CommandRequest { scheme: None, key: key.into(), version: None, wish, by: Some("li".into()) }
}
