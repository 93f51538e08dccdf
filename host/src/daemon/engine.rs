//! Assembles an engine from a configuration: opens the store, builds the sandbox, loads modules, joins connections.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use jiff::Timestamp;

use crate::config::{self, Config, ModuleSource};
use crate::connectors::Http;
use crate::model::{ConnectionName, ModuleRef};
use crate::pipeline::driver::Now;
use crate::pipeline::gate::Gates;
use crate::pipeline::ledger::Ledger;
use crate::pipeline::reference::Library;
use crate::pipeline::step::Sabotage;
use crate::registry::{self, Registry};
use crate::sandbox::{self, Compiler, Module, Sandbox};
use crate::state::{self, SledStore, Store};
use crate::telemetry::{Alerts, Metrics, SchemeRef};

use super::floor::all_tenants;
use super::modules::{FileModules, ModulePlaces};
use super::office::{Desk, Office, Seat};
use super::references;
use super::register::Register;
use super::registry_of;
use super::scheme::{Scheme, Shared};
use super::workshop::Workshop;

/// Why an engine could not be assembled. Everything that can be found is found before the first task starts.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path}: {source}")]
    DataDirectory { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] state::Error),
    #[error(transparent)]
    Ledger(#[from] crate::pipeline::ledger::Error),
    #[error("the HTTP client: {0}")]
    Http(String),
    #[error("the sandbox: {0}")]
    Sandbox(String),
    #[error("the registry: {0}")]
    Registry(#[from] registry::Error),
    /// All of them, one a line.
    #[error("{}", .0.join("\n"))]
    Schemes(Vec<String>),
}

/// An engine, ready to be served, run once, or asked.
pub struct Engine {
    pub schemes: Vec<Scheme>,
    pub(super) workshop: Arc<Workshop>,
    /// What people manage; without `[api]` there is none.
    pub registry: Option<Registry>,
    pub gates: Gates,
    pub library: Library,
    pub metrics: Metrics,
    pub store: Arc<SledStore>,
    pub now: Now,
    /// What is open of the data directory, for the control socket's place.
    pub data_dir: PathBuf,
}

fn sandbox_settings(table: &toml::Table) -> Result<sandbox::Settings, Vec<String>> {
    let settings: sandbox::Settings =
        table.clone().try_into().map_err(|error: toml::de::Error| vec![error.message().to_owned()])?;
    let problems: Vec<String> = settings.problems().iter().map(ToString::to_string).collect();
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

impl Engine {
    /// Opens everything. `program` is the binary that compiles components in a child process.
    pub fn open(
        config: &Config,
        program: PathBuf,
        alerts: Option<Alerts>,
        sabotage: Sabotage,
    ) -> Result<Self, OpenError> {
        let path = config.engine.data_dir.clone();
        let directory = data_directory(&path)?;
        let store = Arc::new(SledStore::open(&directory, &path, &state::Settings::default())?);
        let shared_store: Arc<dyn Store> = store.clone();
        let gates = Gates::open(shared_store.clone())?;
        let reserve = state::Reserve { bytes: config.engine.low_disk_bytes, percent: config.engine.low_disk_percent };
        gates.attach_disk(state::Disk::of(path.clone(), reserve));
        let settings = sandbox_settings(&config.sandbox).map_err(OpenError::Schemes)?;
        let artefacts = subdirectory(&directory, &path, "artefacts")?;
        let sandbox = Sandbox::new(settings.clone(), artefacts, Compiler::Child { program })
            .map_err(|error| OpenError::Sandbox(error.fault().to_string()))?;
        let networks = config.api.as_ref().map(|api| api.networks.clone()).unwrap_or_default();
        let http = Http::with_networks(None, networks.into());
        let http = http.map_err(|error| OpenError::Http(error.to_string()))?;
        let metrics = Metrics::new();
        let now: Now = Arc::new(Timestamp::now);
        let shared = Shared {
            store: shared_store,
            gates: gates.clone(),
            sandbox: sandbox.clone(),
            file_modules: Arc::new(FileModules { sandbox: sandbox.clone(), places: ModulePlaces::of(config) }),
            settings,
            metrics: metrics.clone(),
            alerts: alerts.clone(),
            now: now.clone(),
            sabotage,
        };
        let users = Register::default();
        let reporter = Arc::new(references::Reporter { metrics: metrics.clone(), alerts, users: users.clone() });
        let store_of_tables = shared.store.clone();
        let library = Library::open(store_of_tables, gates.clone(), now.clone(), reporter, Vec::new())?;
        let registry = registry_of::open(config, &directory, shared.store.clone(), now.clone())?;
        let workshop = Arc::new(Workshop::new(shared, http, library.clone(), users, registry.clone()));
        let mut assembly =
            Assembly { config, workshop: &workshop, modules: HashMap::new(), named: None, problems: Vec::new() };
        let enabled = config.schemes.iter().filter(|scheme| scheme.enabled);
        let schemes: Vec<Scheme> = enabled.filter_map(|scheme| assembly.scheme(scheme)).collect();
        if !assembly.problems.is_empty() {
            return Err(OpenError::Schemes(assembly.problems));
        }
        Ok(Self { schemes, workshop, registry, gates, library, metrics, store, now, data_dir: path })
    }

    /// The office that answers for these schemes, with nobody at work yet. Of the registry's schemes the documents can be
    /// looked at. Blocking.
    pub fn office(&self) -> Office {
        let office = Office::new(self);
        if let Some(registry) = &self.registry
            && let Err(error) = self.seat_stored(&office, registry)
        {
            tracing::error!("the registry's schemes cannot be read, and their documents not be looked at: {error}");
        }
        office
    }

    fn seat_stored(&self, office: &Office, registry: &Registry) -> Result<(), registry::Error> {
        for tenant in all_tenants(registry)? {
            let of_row = |row: registry::SchemeRow| {
                let connections = row.connections().into_iter().filter_map(|name| ConnectionName::new(name).ok());
                (row.name.clone(), connections.collect())
            };
            let rows = registry.schemes(&tenant.id, None, usize::MAX)?.into_iter().map(of_row);
            let deleted = registry.deleted_schemes(&tenant.id)?.into_iter().map(|name| (name, Vec::new()));
            for (scheme, connections) in rows.chain(deleted) {
                let tenant = tenant.id.clone();
                let name = SchemeRef { tenant: tenant.clone(), scheme: scheme.clone() };
                let ledger = Ledger::new(self.workshop.shared.store.clone(), tenant.clone(), scheme.clone());
                let why = "no engine runs it".to_owned();
                let desk = Desk::standing(tenant, scheme, ledger, Seat::default(), connections, why);
                office.desks.put(&name, Arc::new(desk));
            }
        }
        Ok(())
    }
}

fn data_directory(path: &Path) -> Result<Dir, OpenError> {
    let fail = |source| OpenError::DataDirectory { path: path.into(), source };
    std::fs::create_dir_all(path).map_err(fail)?;
    Dir::open_ambient_dir(path, ambient_authority()).map_err(fail)
}

fn subdirectory(directory: &Dir, path: &Path, name: &str) -> Result<Dir, OpenError> {
    let fail = |source| OpenError::DataDirectory { path: path.join(name), source };
    directory.create_dir_all(name).map_err(fail)?;
    directory.open_dir(name).map_err(fail)
}

/// Puts the schemes of a configuration file together. Collects what goes wrong, so that all of it can be said at once.
struct Assembly<'a> {
    config: &'a Config,
    workshop: &'a Workshop,
    modules: HashMap<PathBuf, Option<Module>>,
    /// The modules of the module directory by what they call themselves; read at the first need.
    named: Option<HashMap<String, PathBuf>>,
    problems: Vec<String>,
}

impl Assembly<'_> {
    fn scheme(&mut self, config: &config::Scheme) -> Option<Scheme> {
        let module = self.module(&format!("scheme {}", config.name), &config.module);
        let connection = |name: &ConnectionName| self.config.connection(&config.tenant, name).cloned();
        let modules = self.workshop.shared.file_modules.clone();
        match self.workshop.scheme(config, &connection, module?, modules) {
            Ok(scheme) => Some(scheme),
            Err(problems) => {
                // What is wrong with a connection is said by each scheme that uses it.
                for problem in problems {
                    if !self.problems.contains(&problem) {
                        self.problems.push(problem);
                    }
                }
                None
            }
        }
    }

    fn module(&mut self, place: &str, source: &ModuleSource) -> Option<Module> {
        let path = match source {
            ModuleSource::File(path) => path.clone(),
            ModuleSource::Named(name) => self.find(place, name)?,
        };
        self.load_module(place, &path)
    }

    fn load_module(&mut self, place: &str, path: &Path) -> Option<Module> {
        if let Some(known) = self.modules.get(path) {
            return known.clone();
        }
        let sandbox = &self.workshop.shared.sandbox;
        let loaded = std::fs::read(path).map_err(|error| error.to_string()).and_then(|bytes| {
            sandbox.load(&bytes, sandbox.class_of(&bytes)).map_err(|error| error.fault().to_string())
        });
        let module = match loaded {
            Ok(module) => Some(module),
            Err(problem) => {
                self.problems.push(format!("{place}: module {}: {problem}", path.display()));
                None
            }
        };
        self.modules.insert(path.into(), module.clone());
        module
    }

    /// The file in the module directory that describes itself by this name and version.
    fn find(&mut self, place: &str, wanted: &ModuleRef) -> Option<PathBuf> {
        if self.named.is_none() {
            self.named = Some(self.read_module_directory(place));
        }
        let named = self.named.as_ref()?;
        let found = named.get(&wanted.to_string()).cloned();
        if found.is_none() {
            let mut known: Vec<&str> = named.keys().map(String::as_str).collect();
            known.sort_unstable();
            let directory = self.config.engine.module_dir.display();
            self.problems.push(format!("{place}: no module {wanted} in {directory}; there are: {}", known.join(", ")));
        }
        found
    }

    fn read_module_directory(&mut self, place: &str) -> HashMap<String, PathBuf> {
        let directory = &self.config.engine.module_dir;
        let mut paths: Vec<PathBuf> = match std::fs::read_dir(directory) {
            Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
            Err(error) => {
                self.problems.push(format!("{place}: {}: {error}", directory.display()));
                return HashMap::new();
            }
        };
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
        paths.sort();
        let mut named = HashMap::new();
        for path in paths {
            if let Some(module) = self.load_module(place, &path) {
                let description = module.description();
                named.insert(format!("{}@{}", description.name, description.version), path);
            }
        }
        named
    }
}
