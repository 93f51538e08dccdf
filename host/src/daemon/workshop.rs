//! Puts schemes together from their settings, their connections and a module. Whoever shares a connection shares its
//! session, its limits and its road.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config;
use crate::connectors::{Caller, Connection, Http, SettingProblem};
use crate::model::{ConnectionName, TenantId};
use crate::pipeline::gate::Scope;
use crate::pipeline::reference::{Library, Wanted};
use crate::registry::Registry;
use crate::sandbox::Module;

use super::judgement::serves;
use super::modules::Modules;
use super::references;
use super::register::Register;
use super::scheme::{FreshSource, Scheme, Shared};
use super::uploaded::Uploaded;

/// Finds the settings of a connection of one tenant.
pub(super) type Settings<'a> = &'a dyn Fn(&ConnectionName) -> Option<config::Connection>;

pub(super) struct Workshop {
    pub shared: Shared,
    pub http: Http,
    pub library: Library,
    /// The connections whose tables each scheme uses.
    pub users: Register<Vec<Scope>>,
    uploaded: Uploaded,
    connections: Mutex<HashMap<(TenantId, ConnectionName), Arc<Connection>>>,
}

impl Workshop {
    pub fn new(
        shared: Shared,
        http: Http,
        library: Library,
        users: Register<Vec<Scope>>,
        registry: Option<Registry>,
    ) -> Self {
        Self { shared, http, library, users, uploaded: Uploaded::new(registry), connections: Mutex::default() }
    }

    /// The scheme, ready to be started, or all that is in its way. Blocking: it reads what the ledger keeps of its tables.
    pub fn scheme(
        &self,
        config: &config::Scheme,
        connections: Settings<'_>,
        module: Module,
        modules: Arc<dyn Modules>,
    ) -> Result<Scheme, Vec<String>> {
        let place = format!("scheme {}", config.name);
        let opened = [&config.source.connection, &config.target.connection].map(|name| self.open(name, connections));
        let [source_end, target_end] = opened;
        let ends = match (source_end, target_end) {
            (Ok(source), Ok(target)) => (source, target),
            (one, other) => return Err([one, other].into_iter().filter_map(Result::err).flatten().collect()),
        };
        let http = self.http.with_caller(caller(config));
        let (operation, options) = (&config.source.operation, config.source.options.clone());
        let source = ends.0.source_from(&http, operation, options, Some(config.start_at));
        let target = ends.1.target(&http, &config.target.operation, config.target.options.clone());
        let (source, target) = match (source, target) {
            (Ok(source), Ok(target)) => (source, target),
            (source, target) => {
                let source = said(&format!("{place}, source"), source.err());
                return Err(source.into_iter().chain(said(&format!("{place}, target"), target.err())).collect());
            }
        };
        let systems = (ends.0.system(), ends.1.system());
        let described = module.description();
        let misfit = |what: &str, said: &str, is: String| {
            (said != is).then(|| format!("{place}: the module {what} {said}, the scheme {what} {is}"))
        };
        let mut problems: Vec<String> = Vec::new();
        problems.extend(misfit("reads", &described.source, format!("{}:{}", systems.0, config.source.operation)));
        problems.extend(misfit("writes", &described.target, format!("{}:{}", systems.1, config.target.operation)));
        let wanted = self.wanted(config, connections).map_err(|found| problems.extend(found)).unwrap_or_default();
        if !problems.is_empty() {
            return Err(problems);
        }
        for wanted in wanted {
            self.library.add(wanted).map_err(|error| vec![format!("{place}: {error}")])?;
        }
        let catalogue = references::catalogue(config, &self.library, &self.uploaded);
        let catalogue = catalogue.map_err(|error| vec![format!("{place}: {error}")])?;
        let fresh = fresh_source(http, ends.0, config.source.clone());
        Ok(Scheme::assemble(&self.shared, config, systems, (source, fresh), target, (module, modules), catalogue))
    }

    /// The tables that a scheme wants fetched.
    fn wanted(&self, config: &config::Scheme, connections: Settings<'_>) -> Result<Vec<Wanted>, Vec<String>> {
        let (mut wanted, mut problems) = (Vec::new(), Vec::new());
        for (id, rhythm) in references::fetched(config) {
            match self.open(&id.connection, connections) {
                Ok(connection) => match serves(&connection, &self.http, &id.table) {
                    Ok(source) => wanted.push(Wanted { id, rhythm, source }),
                    Err(objection) => problems.push(format!(
                        "scheme {}: reference {id}: {} ({})",
                        config.name, objection.message, objection.remedy
                    )),
                },
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(wanted) } else { Err(problems) }
    }

    fn open(&self, name: &ConnectionName, connections: Settings<'_>) -> Result<Arc<Connection>, Vec<String>> {
        let Some(config) = connections(name) else { return Err(vec![format!("there is no connection {name}")]) };
        self.connection(&config).map_err(|problems| said(&format!("connection {name}"), Some(problems)))
    }

    /// The connection, opened where nobody uses it yet.
    pub fn connection(&self, config: &config::Connection) -> Result<Arc<Connection>, Vec<SettingProblem>> {
        let key = (config.tenant.clone(), config.name.clone());
        let mut connections = self.lock();
        if let Some(open) = connections.get(&key) {
            return Ok(open.clone());
        }
        let connection = Arc::new(Connection::parse(config.system, config.settings.clone())?);
        connection.road().set_name(Scope::Connection(key.0.clone(), key.1.clone()).to_string());
        if config.guarded {
            connection.road().guard();
        }
        self.shared.gates.attach_road(&key.0, &key.1, connection.road().clone());
        connections.insert(key, connection.clone());
        Ok(connection)
    }

    pub fn open_connections(&self) -> Vec<(TenantId, ConnectionName)> {
        self.lock().keys().cloned().collect()
    }

    /// Forgets the connection: whoever opens it next has its settings of then. Nobody may be using it.
    pub fn close(&self, tenant: &TenantId, name: &ConnectionName) {
        if self.lock().remove(&(tenant.clone(), name.clone())).is_some() {
            self.shared.gates.detach_road(tenant, name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TenantId, ConnectionName), Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn said(place: &str, problems: Option<Vec<SettingProblem>>) -> Vec<String> {
    let problems = problems.unwrap_or_default();
    problems.iter().map(|one| format!("{place}: {}: {} ({})", one.path, one.message, one.remedy)).collect()
}

fn fresh_source(http: Http, connection: Arc<Connection>, endpoint: config::Endpoint) -> FreshSource {
    Arc::new(move || {
        let made = connection.source(&http, &endpoint.operation, endpoint.options.clone());
        made.map_err(|problems| problems.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; "))
    })
}

/// A scheme's share of its connections; reading and writing are one caller.
fn caller(config: &config::Scheme) -> Caller {
    Caller { name: config.name.as_str().into(), priority: config.priority }
}
