//! What a scheme is to be: what the configuration file or the registry says of it, judged as a whole. Everything here
//! blocks, and changes nothing.

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use crate::config::{self, LoadOptions, ModuleSource, Objection, SingleScheme, UploadedTables, scheme_from};
use crate::connectors::is_allowed;
use crate::fault::{Code, Fault};
use crate::model::{ConnectionName, Digest, SchemeId, System, TenantId};
use crate::registry::{Registry, SchemeRow};
use crate::sandbox::Module;
use crate::telemetry::SchemeRef;

use super::super::judgement::with_judgement;
use super::super::modules::{Modules, StoredModules};
use super::super::schema::{Misfit, misfits};
use super::{At, Floor, FloorError, ManagedBy, Print, Shown};

/// Rows that one look brings. A tenant has some dozen schemes.
const PAGE: usize = 1_000;

pub(super) enum Wanted {
    /// There is no such scheme.
    Nothing,
    /// There was one, and its documents are there still.
    Deleted,
    /// It is there and is not to run.
    Off(Shown),
    /// It is to run and cannot.
    Broken(Shown, Vec<Objection>),
    Run(Box<Blueprint>),
}

pub(super) struct Blueprint {
    pub config: config::Scheme,
    pub connections: Vec<config::Connection>,
    pub print: Print,
    pub module: Digest,
    pub shown: Shown,
}

/// What a tenant's scheme may name.
struct Surroundings {
    connections: Vec<config::Connection>,
    others: Vec<config::Scheme>,
    tables: UploadedTables,
    /// Of the tables that the scheme names.
    revisions: Vec<(String, u64)>,
}

impl Floor {
    /// All that `check` would say of a connection with these settings. Blocking.
    pub fn judge_connection(&self, tenant: &TenantId, system: System, settings: &toml::Table) -> Vec<Objection> {
        let name = ConnectionName::new("connection").expect("a plain word is an identifier");
        let connection =
            config::Connection { tenant: tenant.clone(), name, system, settings: settings.clone(), guarded: true };
        let mut objections = with_judgement(false, |options| config::judge_connection(&connection, options));
        objections.extend(self.out_of_reach(settings));
        objections
    }

    /// An address that tenants' connections do not reach. Names are judged when they are used.
    fn out_of_reach(&self, settings: &toml::Table) -> Option<Objection> {
        let url = Url::parse(settings.get("base_url")?.as_str()?).ok()?;
        let address = match url.host()? {
            Host::Ipv4(address) => IpAddr::from(address),
            Host::Ipv6(address) => IpAddr::from(address),
            Host::Domain(_) => return None,
        };
        let networks = self.config.api.as_ref().map_or(&[][..], |api| &api.networks);
        (!is_allowed(address, networks)).then(|| {
            let message = "is an address that only the engine's own network can reach";
            Objection::new("base_url", message, "ask the operator to allow it: `networks` of [api]")
        })
    }

    /// All that `check` would say of the scheme, and whether its module fits. Paths begin at its settings; what is
    /// against the module has the path `module`. Blocking, and it may compile a module.
    pub fn judge_scheme(&self, tenant: &TenantId, name: &SchemeId, row: &SchemeRow) -> Vec<Objection> {
        let Some(registry) = &self.registry else { return Vec::new() };
        let name = SchemeRef { tenant: tenant.clone(), scheme: name.clone() };
        let judged = match self.read(registry, &name, row) {
            Ok(judged) => judged,
            Err(error) => return vec![unreadable(&error)],
        };
        let (scheme, mut objections, around) = judged;
        let stored = StoredModules {
            sandbox: self.workshop.shared.sandbox.clone(),
            registry: registry.clone(),
            tenant: tenant.clone(),
        };
        let fits = stored.module(&row.module).and_then(|module| {
            objections.extend(on_parameters(row, &module));
            match &scheme {
                Some(scheme) => fits(scheme, &around.connections, &module),
                None => Ok(()),
            }
        });
        if let Err(fault) = fits {
            objections.push(Objection::new("module", fault.to_string(), "name a module that was made for both ends"));
        }
        objections
    }

    /// What is to become of the scheme.
    pub(super) fn wanted(&self, name: &SchemeRef) -> Result<Wanted, FloorError> {
        let tenant = match &self.registry {
            Some(registry) => registry.tenant(&name.tenant)?,
            None => None,
        };
        let suspended = tenant.is_some_and(|tenant| tenant.suspended);
        if let Some(config) = self.file_scheme(name) {
            return Ok(self.wanted_of_file(name, config, suspended));
        }
        let Some(registry) = &self.registry else { return Ok(Wanted::Nothing) };
        let Some(row) = registry.scheme(&name.tenant, &name.scheme)? else {
            let was_there = registry.deleted_schemes(&name.tenant)?.contains(&name.scheme);
            return Ok(if was_there { Wanted::Deleted } else { Wanted::Nothing });
        };
        let shown = Shown::of_row(&row, suspended);
        if shown.at == At::Rest {
            return Ok(Wanted::Off(shown));
        }
        let (scheme, objections, around) = match self.read(registry, name, &row) {
            Ok(read) => read,
            Err(error) => return Ok(Wanted::Broken(shown, vec![unreadable(&error)])),
        };
        let Some(config) = scheme else { return Ok(Wanted::Broken(shown, objections)) };
        let print = Print::Stored { settings: row.settings.clone(), tables: around.revisions };
        let (connections, module) = (around.connections, row.module);
        Ok(Wanted::Run(Box::new(Blueprint { config, connections, print, module, shown })))
    }

    fn wanted_of_file(&self, name: &SchemeRef, config: &config::Scheme, suspended: bool) -> Wanted {
        let module = self.file_modules.get(name);
        let shown = self.shown_of_file(config);
        let why = off(config.enabled, suspended);
        let (None, Some(module)) = (why, module) else {
            return Wanted::Off(Shown { at: At::Rest, reason: why.map(str::to_owned), ..shown });
        };
        let connections = self.config.connections.iter().filter(|one| one.tenant == name.tenant).cloned().collect();
        let (config, print, module) = (config.clone(), Print::File, module.digest());
        Wanted::Run(Box::new(Blueprint { config, connections, print, module, shown }))
    }

    pub(super) fn show_file(&self, config: &config::Scheme, reason: Option<&str>) {
        let name = SchemeRef { tenant: config.tenant.clone(), scheme: config.name.clone() };
        let at = if reason.is_some() { At::Rest } else { At::Standstill };
        let shown = Shown { at, reason: reason.map(str::to_owned), ..self.shown_of_file(config) };
        self.shown.put(&name, shown);
    }

    fn shown_of_file(&self, config: &config::Scheme) -> Shown {
        let name = SchemeRef { tenant: config.tenant.clone(), scheme: config.name.clone() };
        let module = self.file_modules.get(&name).map(|module| {
            let said = module.description();
            (module.digest(), format!("{}@{}", said.name, said.version).parse().ok())
        });
        let ends = [&config.source.connection, &config.target.connection].into_iter().cloned();
        let tables = super::super::reference_desk::connections(&config.reference);
        Shown {
            managed_by: ManagedBy::File,
            enabled: config.enabled,
            revision: None,
            module,
            connections: ends.chain(tables).collect(),
            at: At::Standstill,
            reason: None,
        }
    }

    /// The blueprint's module, ready to run. It may have to be compiled.
    pub(super) fn module(&self, blueprint: &Blueprint) -> Result<Module, Fault> {
        let name = SchemeRef { tenant: blueprint.config.tenant.clone(), scheme: blueprint.config.name.clone() };
        match (&blueprint.print, self.file_modules.get(&name)) {
            (Print::File, Some(module)) => Ok(module.clone()),
            (print, _) => self.modules(&name.tenant, print).module(&blueprint.module),
        }
    }

    /// Where the scheme's modules are found.
    pub(super) fn modules(&self, tenant: &TenantId, print: &Print) -> Arc<dyn Modules> {
        let shared = &self.workshop.shared;
        match (print, &self.registry) {
            (Print::Stored { .. }, Some(registry)) => {
                let (sandbox, registry) = (shared.sandbox.clone(), registry.clone());
                Arc::new(StoredModules { sandbox, registry, tenant: tenant.clone() })
            }
            (Print::File | Print::Stored { .. }, _) => shared.file_modules.clone(),
        }
    }

    /// The row as a scheme, where it is in order, with all that is to be said of it.
    #[allow(clippy::type_complexity)]
    fn read(
        &self,
        registry: &Registry,
        name: &SchemeRef,
        row: &SchemeRow,
    ) -> Result<(Option<config::Scheme>, Vec<Objection>, Surroundings), FloorError> {
        let around = self.surroundings(registry, name, row)?;
        let single = SingleScheme {
            tenant: &name.tenant,
            name: &name.scheme,
            module: &ModuleSource::Named(row.module_ref.clone()),
            enabled: row.enabled,
            settings: &row.settings,
            connections: &around.connections,
            others: &around.others,
            tables: &around.tables,
        };
        let read = with_judgement(false, |options| scheme_from(&single, options));
        Ok(match read {
            Ok((scheme, warnings)) => (Some(scheme), warnings, around),
            Err(objections) => (None, objections, around),
        })
    }

    fn surroundings(&self, registry: &Registry, name: &SchemeRef, row: &SchemeRow) -> Result<Surroundings, FloorError> {
        let tenant = &name.tenant;
        let of_file = self.config.connections.iter().filter(|one| one.tenant == *tenant).cloned();
        let mut connections: Vec<config::Connection> = of_file.collect();
        for named in row.connections() {
            let Ok(named) = ConnectionName::new(named) else { continue };
            if connections.iter().any(|known| known.name == named) {
                continue;
            }
            let Some(opened) = registry.opened_connection(tenant, &named)? else { continue };
            let (system, settings) = (opened.row.system, opened.settings.expose().clone());
            connections.push(config::Connection {
                tenant: tenant.clone(),
                name: named,
                system,
                settings,
                guarded: true,
            });
        }
        let (mut tables, mut revisions) = (UploadedTables::new(), Vec::new());
        for table in row.tables() {
            // Looked up before the entries are: where those are newer, the scheme is made once more.
            let Some(found) = registry.table(tenant, table)? else { continue };
            tables.insert(table.to_owned());
            revisions.push((table.to_owned(), found.revision));
        }
        revisions.sort();
        revisions.dedup();
        let mut others: Vec<config::Scheme> =
            self.config.schemes.iter().filter(|one| one.tenant == *tenant).cloned().collect();
        // Of them it is only who waits for whom that counts, and only where this one waits for somebody.
        if waits_for(row).is_some() {
            let rows = registry.schemes(tenant, None, PAGE)?;
            others.extend(rows.iter().filter(|other| other.name != name.scheme).filter_map(|row| another(tenant, row)));
        }
        Ok(Surroundings { connections, others, tables, revisions })
    }
}

impl Shown {
    /// Of a scheme of the registry's, with nobody at work.
    pub(super) fn of_row(row: &SchemeRow, suspended: bool) -> Self {
        let off = off(row.enabled, suspended);
        Self {
            managed_by: ManagedBy::Api,
            enabled: row.enabled,
            revision: Some(row.revision),
            module: Some((row.module, Some(row.module_ref.clone()))),
            connections: row.connections().into_iter().filter_map(|name| ConnectionName::new(name).ok()).collect(),
            at: if off.is_some() { At::Rest } else { At::Standstill },
            reason: off.map(str::to_owned),
        }
    }
}

/// Why it is not to run.
fn off(enabled: bool, suspended: bool) -> Option<&'static str> {
    match (enabled, suspended) {
        (_, true) => Some("the tenant is suspended"),
        (false, false) => Some("it is switched off"),
        (true, false) => None,
    }
}

fn waits_for(row: &SchemeRow) -> Option<SchemeId> {
    let after = row.settings.get("when")?.get("after")?.as_str()?;
    SchemeId::new(after).ok()
}

/// Another scheme of the tenant, without a judgement of it. `None` where it cannot be read: nobody can wait for it then.
fn another(tenant: &TenantId, row: &SchemeRow) -> Option<config::Scheme> {
    let mut settings = row.settings.clone();
    let keys = settings.as_object_mut()?;
    keys.retain(|key, _| !["when", "reference", "parameters"].contains(&key.as_str()));
    let names = row.connections().into_iter().filter_map(|name| ConnectionName::new(name).ok());
    let connections: Vec<config::Connection> = names
        .map(|name| config::Connection {
            tenant: tenant.clone(),
            name,
            system: System::JushuitanQimen,
            settings: toml::Table::new(),
            guarded: true,
        })
        .collect();
    let single = SingleScheme {
        tenant,
        name: &row.name,
        module: &ModuleSource::Named(row.module_ref.clone()),
        enabled: row.enabled,
        settings: &settings,
        connections: &connections,
        others: &[],
        tables: &UploadedTables::new(),
    };
    let (mut scheme, _) = scheme_from(&single, &LoadOptions::new(&|_| None)).ok()?;
    scheme.when.after = waits_for(row);
    Some(scheme)
}

/// Whether the module goes from where the scheme's source is to where its target is.
fn fits(scheme: &config::Scheme, connections: &[config::Connection], module: &Module) -> Result<(), Fault> {
    let said = module.description();
    let end = |endpoint: &config::Endpoint| {
        let found = connections.iter().find(|one| one.name == endpoint.connection);
        found.map(|one| format!("{}:{}", one.system, endpoint.operation)).unwrap_or_default()
    };
    let (source, target) = (end(&scheme.source), end(&scheme.target));
    if said.source == source && said.target == target {
        return Ok(());
    }
    let problem =
        format!("the module goes from {} to {}, the scheme from {source} to {target}", said.source, said.target);
    Err(Fault::park(Code::ModuleRefused, problem))
}

/// What the module's own schema has against the scheme's parameters.
fn on_parameters(row: &SchemeRow, module: &Module) -> Vec<Objection> {
    let none = serde_json::json!({});
    let parameters = row.settings.get("parameters").unwrap_or(&none);
    let found = misfits(&module.description().parameters_schema, parameters);
    let objection = |one: Misfit| Objection {
        path: std::iter::once("parameters".to_owned()).chain(one.path).collect(),
        ..Objection::new("", one.problem, "write it as the module's parameters-schema says: `crossdock module show`")
    };
    found.into_iter().map(objection).collect()
}

fn unreadable(error: &FloorError) -> Objection {
    Objection::new("", format!("cannot be read: {error}"), "mend what is said, and send the scheme again")
}
