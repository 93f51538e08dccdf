//! One scheme, assembled: everything its driver and its reader need.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use jiff::SignedDuration;

use crate::config;
use crate::connectors::{Source, Target};
use crate::model::System;
use crate::pipeline::driver::{Flow, Now, Parts};
use crate::pipeline::gate::Gates;
use crate::pipeline::lane::Lane;
use crate::pipeline::ledger::Ledger;
use crate::pipeline::poll::{Reading, Sweep};
use crate::pipeline::reference::Catalogue;
use crate::pipeline::round::Destination;
use crate::pipeline::step::{OnChange, Rules, Sabotage};
use crate::sandbox;
use crate::state::Store;
use crate::telemetry::{Alerts, Metrics, SchemeRef};

use super::modules::Modules;
use super::transformer::SandboxTransformer;
use super::watcher::{SchemeWatcher, Seen};

/// A scheme that can be started.
pub struct Scheme {
    pub config: config::Scheme,
    pub parts: Parts,
    pub transformer: Arc<SandboxTransformer>,
    pub reading: Reading,
    pub watcher: Arc<SchemeWatcher>,
    pub fresh_source: FreshSource,
}

/// Makes the scheme's source once more, on the same connection and its limits. A source may remember what it handed
/// over and pass it over afterwards, so who only looks needs one of his own.
pub type FreshSource = Arc<dyn Fn() -> Result<Arc<dyn Source>, String> + Send + Sync>;

/// What all schemes of an engine share.
pub struct Shared {
    pub store: Arc<dyn Store>,
    pub gates: Gates,
    pub sandbox: sandbox::Sandbox,
    /// Of schemes in the configuration file.
    pub file_modules: Arc<dyn Modules>,
    pub settings: sandbox::Settings,
    pub metrics: Metrics,
    pub alerts: Option<Alerts>,
    pub now: Now,
    pub sabotage: Sabotage,
}

/// Wall-clock ends of a document's runs before it parks: three alone, the later two with a longer clock.
const DEADLINE_TRIES: u32 = 3;

impl Scheme {
    pub fn assemble(
        shared: &Shared,
        config: &config::Scheme,
        systems: (System, System),
        (source, fresh_source): (Arc<dyn Source>, FreshSource),
        target: Arc<dyn Target>,
        (module, modules): (sandbox::Module, Arc<dyn Modules>),
        catalogue: Catalogue,
    ) -> Self {
        let (tenant, scheme) = (config.tenant.clone(), config.name.clone());
        let ledger = Ledger::new(shared.store.clone(), tenant.clone(), scheme.clone());
        let watcher = Arc::new(SchemeWatcher {
            tenant: tenant.clone(),
            scheme: SchemeRef { tenant: tenant.clone(), scheme: scheme.clone() },
            source_connection: config.source.connection.clone(),
            target_connection: config.target.connection.clone(),
            metrics: shared.metrics.clone(),
            alerts: shared.alerts.clone(),
            seen: std::sync::Mutex::new(Seen::default()),
        });
        let (settings, own, most) = (shared.settings.clone(), config.limits, config.document_limit_bytes);
        let transformer = Arc::new(SandboxTransformer {
            sandbox: shared.sandbox.with_priority(config.priority),
            module: RwLock::new(module),
            modules,
            isolation: match config.isolation {
                config::Isolation::Document => sandbox::Isolation::Document,
                config::Isolation::Batch => sandbox::Isolation::Batch,
            },
            limits: Arc::new(move |class| limits(&settings, class, &own, most)),
            tenant: tenant.clone(),
            scheme: scheme.clone(),
            source: format!("{}:{}", systems.0, config.source.operation).into(),
            target: format!("{}:{}", systems.1, config.target.operation).into(),
            parameters: config.parameters.clone().into(),
            catalogue,
            meter: shared.gates.meter(&tenant),
            now: shared.now.clone(),
        });
        let parts = Parts {
            tenant: tenant.clone(),
            scheme: scheme.clone(),
            source_connection: config.source.connection.clone(),
            destination: Destination {
                connection: config.target.connection.clone(),
                operation: config.target.operation.clone(),
                number_space: target.number_space().map(str::to_owned),
            },
            rules: rules(config, &*target, shared.sabotage),
            flow: flow(config, &*target),
            document_limit_bytes: usize::try_from(config.document_limit_bytes).unwrap_or(usize::MAX),
            ledger: ledger.clone(),
            gates: shared.gates.clone(),
            target,
            transformer: transformer.clone(),
            watcher: watcher.clone(),
            now: shared.now.clone(),
        };
        let reading = Reading {
            tenant,
            scheme,
            connection: config.source.connection.clone(),
            by_row_version: source.reads_by_row_version(),
            source,
            start_at: config.start_at,
            lag: config.lag,
            sweep: Some(Sweep { every: config.sweep.every, over: config.sweep.over }),
            ledger,
            gates: shared.gates.clone(),
            lane: Lane::default(),
            watcher: watcher.clone(),
            now: shared.now.clone(),
        };
        Self { config: config.clone(), parts, transformer, reading, watcher, fresh_source }
    }
}

/// The scheme's rules as the step function wants them.
pub fn rules(config: &config::Scheme, target: &dyn Target, sabotage: Sabotage) -> Rules {
    let capabilities = target.capabilities();
    Rules {
        on_change: match config.on_change {
            config::OnChange::Update => OnChange::Update,
            config::OnChange::Ignore => OnChange::Ignore,
            config::OnChange::Park => OnChange::Park,
        },
        settle: duration(config.settle),
        retry_base: duration(config.retry.base),
        retry_cap: duration(config.retry.cap),
        give_up_after: duration(config.retry.give_up_after),
        deadline_tries: DEADLINE_TRIES,
        target_askable: capabilities.askable,
        target_resend: capabilities.resend,
        target_updatable: capabilities.updatable,
        sabotage,
    }
}

fn flow(config: &config::Scheme, target: &dyn Target) -> Flow {
    let limit = target.capabilities().batch_limit;
    let write_batch = config.batch_size.unwrap_or(limit).min(limit).max(1);
    Flow {
        write_batch,
        backlog_limit: config.backlog.limit,
        backlog_resume: config.backlog.resume,
        priority: config.priority,
        ..Flow::default()
    }
}

fn limits(
    settings: &sandbox::Settings,
    class: sandbox::ModuleClass,
    own: &config::Limits,
    document_limit_bytes: u64,
) -> sandbox::Limits {
    let default = sandbox::Limits::of(settings, class);
    sandbox::Limits {
        fuel: own.fuel.unwrap_or(default.fuel),
        deadline_ms: own.deadline_ms.unwrap_or(default.deadline_ms),
        memory_limit_bytes: own.memory_limit_bytes.unwrap_or(default.memory_limit_bytes),
        table_elements_limit: own.table_elements_limit.unwrap_or(default.table_elements_limit),
        // A document that the scheme takes must fit through the boundary with its parameters beside it.
        input_limit_bytes: default.input_limit_bytes.max(document_limit_bytes),
        output_limit_bytes: own.output_limit_bytes.unwrap_or(default.output_limit_bytes),
        output_documents_limit: own.output_documents_limit.unwrap_or(default.output_documents_limit),
        host_calls_limit: own.host_calls_limit.unwrap_or(default.host_calls_limit),
        lookup_limit_bytes: own.lookup_limit_bytes.unwrap_or(default.lookup_limit_bytes),
        log_lines_limit: own.log_lines_limit.unwrap_or(default.log_lines_limit),
        log_limit_bytes: own.log_limit_bytes.unwrap_or(default.log_limit_bytes),
    }
}

fn duration(signed: SignedDuration) -> Duration {
    Duration::try_from(signed).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_a_scheme_replaces_the_default_of_its_modules_class() {
        let settings = sandbox::Settings::default();
        let own = config::Limits {
            fuel: Some(1),
            deadline_ms: Some(2),
            memory_limit_bytes: Some(3),
            table_elements_limit: Some(4),
            output_limit_bytes: Some(5),
            output_documents_limit: Some(6),
            host_calls_limit: Some(7),
            lookup_limit_bytes: Some(8),
            log_lines_limit: Some(9),
            log_limit_bytes: Some(10),
        };
        let found = limits(&settings, sandbox::ModuleClass::Standard, &own, 64 << 20);
        let expected = sandbox::Limits {
            fuel: 1,
            deadline_ms: 2,
            memory_limit_bytes: 3,
            table_elements_limit: 4,
            input_limit_bytes: 64 << 20,
            output_limit_bytes: 5,
            output_documents_limit: 6,
            host_calls_limit: 7,
            lookup_limit_bytes: 8,
            log_lines_limit: 9,
            log_limit_bytes: 10,
        };
        assert_eq!(found, expected);
        for class in [sandbox::ModuleClass::Standard, sandbox::ModuleClass::Interpreter] {
            let found = limits(&settings, class, &config::Limits::default(), 1);
            assert_eq!(found, sandbox::Limits::of(&settings, class));
        }
        let fuel = |class| limits(&settings, class, &config::Limits::default(), 1).fuel;
        assert!(fuel(sandbox::ModuleClass::Interpreter) > fuel(sandbox::ModuleClass::Standard));
    }
}
