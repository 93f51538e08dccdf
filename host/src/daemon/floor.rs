//! The schemes that run, as a set that changes while the engine runs: those of the configuration file, which stay as they are,
//! and those of the registry, which people change.
//!
//! Whoever changed the registry calls `settle_…`, and what runs becomes what the registry says. A reader may rely on:
//! - Changes of one tenant are carried out one after another, and wait for nobody else's.
//! - A change that has begun is carried out to its end, whether or not whoever asked for it still waits.
//! - A scheme that cannot be put together stands still, with its reason, and keeps nobody else from anything.
//! - A change of the module alone takes place between two documents. Every other change stops the scheme in order and
//!   starts it as after a restart of the engine: what it does not know the fate of, it asks about.

mod begin;
mod blueprint;
mod compare;
mod meters;
mod rebuild;
mod settle;
mod status;
mod tables;
mod tenants;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Config, Objection};
use crate::fault::Fault;
use crate::model::{ConnectionName, Digest, ModuleRef, SchemeId, TenantId};
use crate::pipeline::reference::TableId;
use crate::registry::{self, Registry};
use crate::sandbox::Module;
use crate::telemetry::SchemeRef;

use super::crew::{Crew, Registers};
use super::office::Seat;
use super::register::Register;
use super::scheme::Scheme;
use super::transformer::SandboxTransformer;
use super::workshop::Workshop;

pub use compare::{CompareError, CompareReport, Compared, DocumentDifference, FuelUse};
pub use status::{ConnectionStatus, ManagedBy, SchemeState, SchemeStatus, TenantUse};
use tables::Tables;
pub(super) use tenants::all_tenants;

/// How long stopping waits for requests under way before it abandons them. Abandoning is safe: they are intents, and the
/// next start asks what became of them.
pub(super) const GRACE: Duration = Duration::from_secs(20);

/// Why something could not be brought about.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The operator's, and changed in the configuration file alone.
    #[error("it stands in the configuration file")]
    ManagedByFile,
    #[error("the scheme stands still: {}", said(.0))]
    Objections(Vec<Objection>),
    #[error("the scheme stands still: {0}")]
    StandsStill(String),
    #[error("the scheme goes on with the module that it had: {0}")]
    Module(Fault),
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error("the engine is stopping")]
    Stopping,
}

fn said(objections: &[Objection]) -> String {
    let one = |objection: &Objection| match objection.pointer() {
        pointer if pointer.is_empty() => objection.message.clone(),
        pointer => format!("{pointer}: {}", objection.message),
    };
    objections.iter().map(one).collect::<Vec<_>>().join("; ")
}

pub struct Floor {
    workshop: Arc<Workshop>,
    registers: Registers,
    /// What people manage; without it the schemes of the file are all there is.
    registry: Option<Registry>,
    config: Arc<Config>,
    /// The modules of the file's schemes, which stay what they were at the start.
    file_modules: HashMap<SchemeRef, Module>,
    /// Each tenant's schemes, under a lock that whoever changes one of them holds.
    tenants: Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<Places>>>>,
    /// How each scheme stands, for whoever looks.
    shown: Register<Shown>,
    tables: Tables,
    /// Comparisons, one of each tenant at a time.
    comparing: Mutex<HashMap<TenantId, Arc<tokio::sync::Semaphore>>>,
    /// Every scheme was made what it is to be, once since the start.
    has_begun: AtomicBool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

type Places = BTreeMap<SchemeId, Place>;

/// One scheme's.
#[derive(Default)]
struct Place {
    seat: Seat,
    working: Option<Working>,
}

/// A scheme at work, and what it was made from.
struct Working {
    crew: Crew,
    print: Print,
    transformer: Arc<SandboxTransformer>,
    tables: Vec<TableId>,
    connections: Vec<ConnectionName>,
}

/// What a scheme was made from, its module aside. One that is made from the same need not be made anew.
#[derive(Debug, Clone, PartialEq)]
enum Print {
    File,
    /// The settings, and the revisions of the uploaded tables that they name.
    Stored {
        settings: serde_json::Value,
        tables: Vec<(String, u64)>,
    },
}

/// How a scheme stands.
#[derive(Debug, Clone)]
struct Shown {
    managed_by: ManagedBy,
    enabled: bool,
    revision: Option<u64>,
    /// The one that runs, or would.
    module: Option<(Digest, Option<ModuleRef>)>,
    connections: Vec<ConnectionName>,
    at: At,
    /// Why it does not run; of one that runs, what could not be brought about.
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It is not to run.
    Rest,
    /// It is to run, and nobody has put it to work yet; or, with a reason, it cannot be put together.
    Standstill,
    Work,
}

impl Floor {
    /// With nobody at work yet. `schemes` are those of the configuration file; whatever is cancelled with `stop` ends.
    pub(super) fn new(
        config: Arc<Config>,
        workshop: Arc<Workshop>,
        registers: Registers,
        registry: Option<Registry>,
        schemes: &[Scheme],
        stop: CancellationToken,
    ) -> Arc<Self> {
        let named = |scheme: &Scheme| (scheme.watcher.scheme.clone(), scheme.transformer.current());
        Arc::new(Self {
            tables: Tables::new(workshop.library.clone(), stop.clone()),
            workshop,
            registers,
            registry,
            config,
            file_modules: schemes.iter().map(named).collect(),
            tenants: Mutex::default(),
            shown: Register::default(),
            comparing: Mutex::default(),
            has_begun: AtomicBool::new(false),
            stop,
            tasks: TaskTracker::new(),
        })
    }

    /// Whether there are schemes that nobody has looked at since the start: what is to run may not run yet.
    pub fn is_starting(&self) -> bool {
        !self.has_begun.load(Ordering::Acquire)
    }

    /// Puts the file's schemes to work, and begins to do so with the registry's. What of those cannot be read keeps
    /// nobody from anything.
    pub(super) async fn start(self: &Arc<Self>, schemes: Vec<Scheme>) {
        // Before anybody runs: nobody is to have more than its share for a moment.
        let suspended = self.apply_shares().await;
        // All of them are there before the first one begins, for some wait for others.
        let (idle, active): (Vec<_>, Vec<_>) =
            schemes.into_iter().partition(|scheme| suspended.contains(&scheme.config.tenant));
        for scheme in idle {
            self.show_file(&scheme.config, Some("the tenant is suspended"));
        }
        for scheme in &active {
            let tenant = self.tenant(&scheme.config.tenant);
            let seat = tenant.lock().await.entry(scheme.config.name.clone()).or_default().seat.clone();
            self.registers.announce(scheme, &seat);
        }
        for scheme in active {
            let tenant = self.tenant(&scheme.config.tenant);
            let mut places = tenant.lock().await;
            let place = places.entry(scheme.config.name.clone()).or_default();
            self.show_file(&scheme.config, None);
            self.put_to_work(place, scheme, Print::File).await;
        }
        self.start_stored();
        self.keep_meters();
        self.rebuild_modules();
    }

    /// Stops everything, and returns once nothing is at work any more.
    pub(super) async fn end(&self) {
        let tenants: Vec<_> = self.lock_tenants().values().cloned().collect();
        let each = tenants.into_iter().map(|tenant| async move {
            let mut places = tenant.lock().await;
            let working = places.values_mut().filter_map(|place| place.working.take());
            futures::future::join_all(working.map(|working| working.crew.stop(GRACE))).await;
        });
        let crews = tokio::time::timeout(GRACE, futures::future::join_all(each));
        self.tasks.close();
        let (_, ()) = tokio::join!(crews, self.tables.end());
        // A change that is still being carried out notices that everything was told to stop.
        let _ = tokio::time::timeout(GRACE, self.tasks.wait()).await;
        if let Some(registry) = &self.registry {
            self.keep_meters_once(registry, &mut HashMap::new()).await;
        }
    }

    fn tenant(&self, tenant: &TenantId) -> Arc<tokio::sync::Mutex<Places>> {
        self.lock_tenants().entry(tenant.clone()).or_default().clone()
    }

    fn lock_tenants(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<tokio::sync::Mutex<Places>>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file_scheme(&self, name: &SchemeRef) -> Option<&config::Scheme> {
        self.config.scheme(&name.tenant, &name.scheme)
    }

    /// In a task of its own: whoever waits for it may go, and it is carried out all the same.
    async fn owned<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, FloorError>> + Send + 'static,
    ) -> Result<T, FloorError> {
        if self.stop.is_cancelled() {
            return Err(FloorError::Stopping);
        }
        self.tasks.spawn(work).await.unwrap_or(Err(FloorError::Stopping))
    }

    /// Work that blocks, off the threads that answer others.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, FloorError> {
        let floor = self.clone();
        tokio::task::spawn_blocking(move || work(&floor)).await.map_err(|_| FloorError::Stopping)
    }
}
