//! Runs a scheme's module for the pipeline.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Digest, SchemeId, TenantId};
use crate::pipeline::transformer::{Ran, Task, Transformer};
use crate::sandbox::{Call, Context, Isolation, Level, Limits, Lookup, Module, References, Run, Sandbox};

/// A retry after a deadline gets this many times the wall clock: what a busy machine took is not the guest's fault.
const PATIENCE: u64 = 5;

pub struct SandboxTransformer {
    pub sandbox: Sandbox,
    pub module: Module,
    pub isolation: Isolation,
    pub limits: Limits,
    pub tenant: TenantId,
    pub scheme: SchemeId,
    pub source: Arc<str>,
    pub target: Arc<str>,
    pub parameters: Arc<str>,
    pub references: Arc<Tables>,
}

impl Transformer for SandboxTransformer {
    fn run(&self, tasks: &[Task]) -> Vec<Ran> {
        let contexts: Vec<Context> = tasks
            .iter()
            .map(|task| Context {
                tenant: self.tenant.clone(),
                scheme: self.scheme.clone(),
                source: self.source.clone(),
                target: self.target.clone(),
                parameters: self.parameters.clone(),
                received_at: task.received_at,
            })
            .collect();
        let calls: Vec<Call<'_>> = tasks
            .iter()
            .zip(&contexts)
            .map(|(task, context)| Call {
                context,
                document: &task.document,
                deadline_ms: task.patient.then(|| self.limits.deadline_ms.saturating_mul(PATIENCE)),
            })
            .collect();
        let references: &dyn References = &*self.references;
        let runs = self.sandbox.transform(&self.module, &calls, self.isolation, &self.limits, references);
        runs.into_iter().map(ran).collect()
    }

    fn module(&self) -> Digest {
        self.module.digest()
    }
}

fn ran(run: Run) -> Ran {
    let mut logs: Vec<String> =
        run.logs.iter().map(|line| format!("{}: {}", level(line.level), line.message)).collect();
    if run.logs_dropped > 0 {
        logs.push(format!("({} more lines were over the cap)", run.logs_dropped));
    }
    Ran { verdict: run.verdict.map_err(|error| error.fault()), fuel: run.fuel, memory_bytes: run.memory_bytes, logs }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// Static reference tables: the configuration's files, read once at start.
#[derive(Debug, Clone, Default)]
pub struct Tables(pub HashMap<String, HashMap<String, String>>);

impl References for Tables {
    fn lookup(&self, table: &str, key: &str) -> Lookup {
        match self.0.get(table) {
            None => Lookup::UnknownTable,
            Some(entries) => entries.get(key).cloned().map_or(Lookup::KnownMissing, Lookup::Found),
        }
    }
}
