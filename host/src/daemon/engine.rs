//! Assembles an engine from a configuration: opens the store, builds the sandbox, loads modules, joins connections.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use jiff::Timestamp;

use crate::config::{self, Config, LoadOptions, ModuleSource, Objection, Problems};
use crate::connectors::{self, Caller, Connection, Http, ReferenceSource};
use crate::model::{ConnectionName, ModuleRef, System, TenantId};
use crate::pipeline::driver::Now;
use crate::pipeline::gate::{Gates, Scope};
use crate::pipeline::reference::{Library, Wanted};
use crate::pipeline::step::Sabotage;
use crate::sandbox::{self, Compiler, Module, Sandbox};
use crate::state::{self, SledStore, Store};
use crate::telemetry::{Alerts, Metrics, SchemeRef};

use super::advice;
use super::capsule_desk::ModulePlaces;
use super::office::Office;
use super::placed_modules::PlacedModules;
use super::references;
use super::scheme::{FreshSource, Scheme, Shared};

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
    /// All of them, one a line.
    #[error("{}", .0.join("\n"))]
    Schemes(Vec<String>),
}

/// An engine, ready to be served, run once, or asked.
pub struct Engine {
    pub schemes: Vec<Scheme>,
    pub gates: Gates,
    pub library: Library,
    pub metrics: Metrics,
    pub store: Arc<SledStore>,
    pub now: Now,
    /// What is open of the data directory, for the control socket's place.
    pub data_dir: PathBuf,
    pub module_places: ModulePlaces,
}

/// Loads a configuration with every layer's judgement of it.
pub fn load(path: &Path, allow_inline_secrets: bool) -> Result<Config, Problems> {
    with_judgement(allow_inline_secrets, |options| config::load(path, options))
}

/// Calls `body` with load options that carry the judgement of the layers above `config`.
pub fn with_judgement<R>(allow_inline_secrets: bool, body: impl FnOnce(&LoadOptions<'_>) -> R) -> R {
    let env = |name: &str| std::env::var(name).ok();
    let http = Http::new(None);
    let check_connection = |system: System, table: &toml::Table| match Connection::parse(system, table.clone()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(objection).collect(),
    };
    let check_sandbox = |table: &toml::Table| sandbox_objections(table.clone());
    let check_scheme = |scheme: &config::Scheme, source: &config::Connection, target: &config::Connection| {
        let Ok(http) = &http else { return Vec::new() };
        let mut objections = Vec::from_iter(advice::on_schedule(scheme));
        // A connection that does not parse is complained of at its own place.
        if let Ok(connection) = Connection::parse(source.system, source.settings.clone()) {
            let (operation, options) = (&scheme.source.operation, scheme.source.options.clone());
            match connection.source_from(http, operation, options, Some(scheme.start_at)) {
                Ok(source) => objections.extend(advice::on_source(&*source)),
                Err(problems) => objections.extend(problems.into_iter().map(objection)),
            }
        }
        if let Ok(connection) = Connection::parse(target.system, target.settings.clone()) {
            objections.extend(advice::on_references(scheme, &connection, http));
            match connection.target(http, &scheme.target.operation, scheme.target.options.clone()) {
                Ok(target) => objections.extend(advice::on_target(scheme, &*target)),
                Err(problems) => objections.extend(problems.into_iter().map(objection)),
            }
        }
        objections
    };
    let check_reference = |connection: &config::Connection, table: &str| {
        let Ok(http) = &http else { return Vec::new() };
        let Ok(parsed) = Connection::parse(connection.system, connection.settings.clone()) else { return Vec::new() };
        serves(&parsed, http, table).err().into_iter().collect()
    };
    body(&LoadOptions {
        allow_inline_secrets,
        check_connection: &check_connection,
        check_sandbox: &check_sandbox,
        check_scheme: &check_scheme,
        check_reference: &check_reference,
        ..LoadOptions::new(&env)
    })
}

/// The source of a connection's table, where it has it.
fn serves(connection: &Connection, http: &Http, table: &str) -> Result<Arc<dyn ReferenceSource>, Objection> {
    let Some(source) = connection.references(http) else {
        let message = format!("{} serves no reference tables", connection.system());
        let remedy = "keep the table in a file: { file = \"t.csv\", key = \"code\" }";
        return Err(Objection::new("connection", message, remedy));
    };
    if source.tables().contains(&table) {
        return Ok(source);
    }
    let remedy = format!("it serves {}", source.tables().join(", "));
    Err(Objection::new("connection", format!("it serves no table {table:?}"), remedy))
}

/// Connectors begin a path with what they were given: `connection.app_key`, `source.status`. A scheme's table holds
/// `source` and `target`; a connection's is the connection itself.
fn objection(problem: connectors::SettingProblem) -> Objection {
    let path = problem.path.strip_prefix("connection.").unwrap_or(&problem.path);
    Objection::new(path, problem.message, problem.remedy)
}

/// serde stops at the first problem, so what it names is taken out and the rest is read again.
fn sandbox_objections(mut table: toml::Table) -> Vec<Objection> {
    const REMEDY: &str = "docs/limits.md lists every limit with its default";
    let mut objections = Vec::new();
    loop {
        let error = match table.clone().try_into::<sandbox::Settings>() {
            Ok(settings) => {
                let problems = settings.problems().into_iter().map(|problem| problem.to_string());
                objections.extend(problems.map(|problem| {
                    let words = problem.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    let key = words.into_iter().find(|word| table.contains_key(*word)).unwrap_or_default().to_owned();
                    Objection::new(&key, problem, REMEDY)
                }));
                return objections;
            }
            Err(error) => error,
        };
        // Its words quote the key, or end in "in `standard.functions`".
        let text = error.to_string();
        let quoted = text.split('`').skip(1).step_by(2);
        let key = quoted.filter_map(|word| word.split('.').next()).find(|key| table.contains_key(*key));
        objections.push(Objection::new(key.unwrap_or_default(), error.message(), REMEDY));
        if key.is_none_or(|key| table.remove(key).is_none()) {
            return objections;
        }
    }
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
        let http = Http::new(None).map_err(|error| OpenError::Http(error.to_string()))?;
        let metrics = Metrics::new();
        let now: Now = Arc::new(Timestamp::now);
        let module_places = ModulePlaces::of(config);
        let shared = Shared {
            store: shared_store,
            gates: gates.clone(),
            sandbox: sandbox.clone(),
            modules: Arc::new(PlacedModules::new(module_places.clone(), sandbox.clone())),
            settings,
            metrics: metrics.clone(),
            alerts: alerts.clone(),
            now: now.clone(),
            sabotage,
        };
        let mut assembly = Assembly {
            config,
            http,
            gates: gates.clone(),
            sandbox,
            connections: HashMap::new(),
            modules: HashMap::new(),
            named: None,
            problems: Vec::new(),
        };
        let enabled: Vec<&config::Scheme> = config.schemes.iter().filter(|scheme| scheme.enabled).collect();
        let wanted = enabled.iter().flat_map(|scheme| assembly.references(scheme)).collect();
        let users = enabled.iter().flat_map(|scheme| {
            let user = SchemeRef { tenant: scheme.tenant.clone(), scheme: scheme.name.clone() };
            references::fetched(scheme).map(move |(id, _)| (Scope::Connection(id.tenant, id.connection), user.clone()))
        });
        let reporter = references::Reporter { metrics: metrics.clone(), alerts, users: users.collect() };
        let store_of_tables = shared.store.clone();
        let library = Library::open(store_of_tables, gates.clone(), now.clone(), Arc::new(reporter), wanted)?;
        let schemes: Vec<Scheme> =
            enabled.iter().filter_map(|scheme| assembly.scheme(&shared, &library, scheme)).collect();
        if !assembly.problems.is_empty() {
            return Err(OpenError::Schemes(assembly.problems));
        }
        Ok(Self { schemes, gates, library, metrics, store, now, data_dir: path, module_places })
    }

    /// The office that answers for these schemes, with nobody at work yet.
    pub fn office(&self) -> Office {
        Office::new(self)
    }
}

fn fresh_source(http: Http, connection: Arc<Connection>, endpoint: config::Endpoint) -> FreshSource {
    Arc::new(move || {
        let made = connection.source(&http, &endpoint.operation, endpoint.options.clone());
        made.map_err(|problems| problems.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; "))
    })
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

/// A scheme's share of its connections; reading and writing are one caller.
fn caller(config: &config::Scheme) -> Caller {
    Caller { name: config.name.as_str().into(), priority: config.priority }
}

/// Collects what goes wrong, so that all of it can be said at once.
struct Assembly<'a> {
    config: &'a Config,
    http: Http,
    gates: Gates,
    sandbox: Sandbox,
    connections: HashMap<(TenantId, ConnectionName), Option<Arc<Connection>>>,
    modules: HashMap<PathBuf, Option<Module>>,
    /// The modules of the module directory by what they call themselves; read at the first need.
    named: Option<HashMap<String, PathBuf>>,
    problems: Vec<String>,
}

impl Assembly<'_> {
    /// The tables that a scheme wants fetched.
    fn references(&mut self, scheme: &config::Scheme) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (id, rhythm) in references::fetched(scheme) {
            // A connection that does not parse is complained of once.
            let Some((_, connection)) = self.connection(&id.tenant, &id.connection) else { continue };
            match serves(&connection, &self.http, &id.table) {
                Ok(source) => wanted.push(Wanted { id, rhythm, source }),
                Err(objection) => self.problems.push(format!(
                    "scheme {}: reference {id}: {} ({})",
                    scheme.name, objection.message, objection.remedy
                )),
            }
        }
        wanted
    }

    fn scheme(&mut self, shared: &Shared, library: &Library, config: &config::Scheme) -> Option<Scheme> {
        let place = format!("scheme {}", config.name);
        let source_connection = self.connection(&config.tenant, &config.source.connection);
        let target_connection = self.connection(&config.tenant, &config.target.connection);
        let module = self.module(&place, &config.module);
        let ((source_system, source_connection), (target_system, target_connection)) =
            (source_connection?, target_connection?);
        let http = self.http.with_caller(caller(config));
        let (operation, options) = (&config.source.operation, config.source.options.clone());
        let source = source_connection.source_from(&http, operation, options, Some(config.start_at));
        let source = self.keep(&format!("{place}, source"), source);
        let target = target_connection.target(&http, &config.target.operation, config.target.options.clone());
        let target = self.keep(&format!("{place}, target"), target);
        let (source, target, module) = (source?, target?, module?);
        let describes = |what: &str, said: &str, is: String| {
            (said != is).then(|| format!("{place}: the module {what} {said}, the scheme {what} {is}"))
        };
        let described = module.description();
        let misfits = [
            describes("reads", &described.source, format!("{source_system}:{}", config.source.operation)),
            describes("writes", &described.target, format!("{target_system}:{}", config.target.operation)),
        ];
        let misfits: Vec<String> = misfits.into_iter().flatten().collect();
        if !misfits.is_empty() {
            self.problems.extend(misfits);
            return None;
        }
        let systems = (source_system, target_system);
        let catalogue = references::catalogue(config, library);
        let fresh = fresh_source(http, source_connection, config.source.clone());
        Some(Scheme::assemble(shared, config, systems, (source, fresh), target, module, catalogue))
    }

    fn keep<T>(&mut self, place: &str, result: Result<T, Vec<connectors::SettingProblem>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problems) => {
                self.problems.extend(
                    problems.iter().map(|one| format!("{place}: {}: {} ({})", one.path, one.message, one.remedy)),
                );
                None
            }
        }
    }

    fn connection(&mut self, tenant: &TenantId, name: &ConnectionName) -> Option<(System, Arc<Connection>)> {
        let config = self.config.connection(tenant, name)?;
        let key = (tenant.clone(), name.clone());
        if !self.connections.contains_key(&key) {
            let parsed = Connection::parse(config.system, config.settings.clone());
            let parsed = self.keep(&format!("connection {name}"), parsed).map(Arc::new);
            if let Some(connection) = &parsed {
                connection.road().set_name(Scope::Connection(tenant.clone(), name.clone()).to_string());
                self.gates.attach_road(tenant, name, connection.road().clone());
            }
            self.connections.insert(key.clone(), parsed);
        }
        let connection = self.connections.get(&key)?.clone()?;
        Some((config.system, connection))
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
        let loaded = std::fs::read(path).map_err(|error| error.to_string()).and_then(|bytes| {
            self.sandbox.load(&bytes, self.sandbox.class_of(&bytes)).map_err(|error| error.fault().to_string())
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
