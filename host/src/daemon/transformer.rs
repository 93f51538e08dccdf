//! Runs a scheme's module for the pipeline.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Digest, Outcome, SchemeId, TenantId};
use crate::pipeline::transformer::{Ran, Task, Transformer};
use crate::sandbox::{Call, Context, Isolation, Level, Limits, Lookup, Module, References, Run, Sandbox};

/// A retry after a deadline gets this many times the wall clock: what a busy machine took is not the guest's fault.
const PATIENCE: u64 = 5;
/// Emitted bytes after which a run ends early. Fifty documents may emit eight mebibytes each: without this one module
/// could make the host hold gigabytes, and take every other tenant down with it.
const HELD_LIMIT_BYTES: usize = 16 << 20;
/// Documents that share an instance in batch isolation before the held bytes are counted.
const BATCH_STEP: usize = 10;

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
        let step = match self.isolation {
            Isolation::Document => 1,
            Isolation::Batch => BATCH_STEP,
        };
        until_full(calls.chunks(step), |calls| {
            let runs = self.sandbox.transform(&self.module, calls, self.isolation, &self.limits, references);
            runs.into_iter().map(ran).collect()
        })
    }

    fn module(&self) -> Digest {
        self.module.digest()
    }
}

/// Runs one chunk after another until what came of them is enough to hold.
fn until_full<T>(chunks: impl Iterator<Item = T>, run: impl Fn(T) -> Vec<Ran>) -> Vec<Ran> {
    let (mut all, mut held_bytes) = (Vec::new(), 0);
    for chunk in chunks {
        let ran = run(chunk);
        held_bytes += ran.iter().map(emitted_bytes).sum::<usize>();
        all.extend(ran);
        if held_bytes >= HELD_LIMIT_BYTES {
            break;
        }
    }
    all
}

fn emitted_bytes(ran: &Ran) -> usize {
    match &ran.verdict {
        Ok(Outcome::Emit(bills)) => bills.iter().map(|bill| bill.body.len()).sum(),
        Ok(Outcome::Skip(_) | Outcome::Reject(_)) | Err(_) => 0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TargetDocument, TargetKey};

    fn emits(bytes: usize) -> Ran {
        let bill = TargetDocument { key: TargetKey::new("k").unwrap(), body: "x".repeat(bytes) };
        Ran { verdict: Ok(Outcome::Emit(vec![bill])), fuel: 1, memory_bytes: 1, logs: Vec::new() }
    }

    #[test]
    fn a_module_that_emits_as_much_as_it_may_does_not_fill_the_hosts_memory() {
        let ran = until_full(0..50, |_| vec![emits(8 << 20)]);
        assert_eq!(ran.len(), 2, "so many outputs of eight mebibytes are held at once");
        assert_eq!(until_full(0..50, |_| vec![emits(10_000)]).len(), 50);
        assert_eq!(until_full(0..50, |_| vec![emits(64 << 20)]).len(), 1, "at least one");
    }
}
