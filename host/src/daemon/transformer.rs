//! Runs a scheme's module for the pipeline.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, Outcome, SchemeId, TenantId};
use crate::pipeline::driver::Now;
use crate::pipeline::reference::{Catalogue, Opened};
use crate::pipeline::transformer::{Miss, Ran, Task, Transformer};
use crate::sandbox::{Call, Context, Error, Isolation, Level, Limits, Lookup, Module, Run, Sandbox};

/// A retry after a deadline gets this many times the wall clock: what a busy machine took is not the guest's fault.
const PATIENCE: u64 = 5;
/// Emitted bytes after which a run ends early. Fifty documents may emit eight mebibytes each: without this one module
/// could make the host hold gigabytes, and take every other tenant down with it.
const HELD_LIMIT_BYTES: usize = 16 << 20;
/// Documents that share an instance in batch isolation before the held bytes are counted.
const BATCH_STEP: usize = 10;

/// Where the modules come from that people choose for single documents.
pub trait Modules: Send + Sync + 'static {
    /// The module of this digest, or why it cannot be had. May compile: blocking.
    fn module(&self, digest: &Digest) -> Result<Module, Fault>;
}

pub struct SandboxTransformer {
    pub sandbox: Sandbox,
    pub module: Module,
    pub modules: Arc<dyn Modules>,
    pub isolation: Isolation,
    pub limits: Limits,
    pub tenant: TenantId,
    pub scheme: SchemeId,
    pub source: Arc<str>,
    pub target: Arc<str>,
    pub parameters: Arc<str>,
    pub catalogue: Catalogue,
    pub now: Now,
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
        let step = match self.isolation {
            Isolation::Document => 1,
            Isolation::Batch => BATCH_STEP,
        };
        // Opened once: what is fetched while they run is for the next ones.
        let opened = self.catalogue.open((self.now)());
        until_full(alike(tasks, step).into_iter(), |range| {
            let first = &tasks[range.start];
            let view = opened.view(first.waits_since);
            let module = match self.chosen(first.module) {
                Ok(module) => module,
                Err((digest, fault)) => return range.map(|_| Ran::failed(digest, fault.clone())).collect(),
            };
            let runs = self.sandbox.transform(&module, &calls[range], self.isolation, &self.limits, &view);
            runs.into_iter().map(|run| ran(run, module.digest(), &opened)).collect()
        })
    }

    fn catalogue(&self) -> Option<&Catalogue> {
        Some(&self.catalogue)
    }

    fn module(&self) -> Digest {
        self.module.digest()
    }
}

impl SandboxTransformer {
    /// The scheme's module, or the one that a person chose, where it fits the scheme.
    fn chosen(&self, digest: Option<Digest>) -> Result<Module, (Digest, Fault)> {
        let Some(digest) = digest.filter(|digest| *digest != self.module.digest()) else {
            return Ok(self.module.clone());
        };
        let module = self.modules.module(&digest).map_err(|fault| (digest, of_one_document(fault)))?;
        let misfit = |problem: String| (digest, Fault::park(Code::ModuleMissing, problem));
        let (own, other) = (self.module.description(), module.description());
        if (&own.source, &own.target) != (&other.source, &other.target) {
            return Err(misfit(format!(
                "module {digest} is for {} to {}, and this scheme for {} to {}",
                other.source, other.target, own.source, own.target
            )));
        }
        // The scheme's limits are those of its own module's class.
        if module.class() != self.module.class() {
            return Err(misfit(format!("module {digest} is of another class than the scheme's module")));
        }
        Ok(module)
    }
}

/// A module that somebody chose for one document stops that document, never the scheme.
fn of_one_document(fault: Fault) -> Fault {
    match fault.disposition {
        Disposition::Retry { .. } | Disposition::Park => fault,
        Disposition::Verify
        | Disposition::PauseConnection
        | Disposition::PauseScheme
        | Disposition::StopScheme
        | Disposition::RefuseStart => Fault { disposition: Disposition::Park, ..fault },
    }
}

/// Tasks in a row that see the reference tables alike and run with one module, at most `step` together.
fn alike(tasks: &[Task], step: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut begin = 0;
    for group in tasks.chunk_by(|one, next| one.waits_since == next.waits_since && one.module == next.module) {
        let end = begin + group.len();
        ranges.extend((begin..end).step_by(step).map(|at| at..end.min(at + step)));
        begin = end;
    }
    ranges
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

/// Characters kept of a key that was looked up: a module may ask for anything.
const MISSED_LIMIT: usize = 200;

fn ran(run: Run, module: Digest, opened: &Opened) -> Ran {
    let clip = |text: &str| text.chars().take(MISSED_LIMIT).collect::<String>();
    let missed = match &run.verdict {
        Err(Error::ReferencePending { table, key }) => {
            Some(Miss { table: clip(table), key: clip(key), at: opened.at() })
        }
        Ok(_) | Err(_) => None,
    };
    let known = run.lookups.iter().filter(|(_, _, answer)| *answer != Lookup::UnknownTable);
    let tables: BTreeMap<_, _> =
        known.filter_map(|(table, _, _)| Some((table.clone(), opened.revision(table)?.clone()))).collect();
    let mut logs: Vec<String> =
        run.logs.iter().map(|line| format!("{}: {}", level(line.level), line.message)).collect();
    if run.logs_dropped > 0 {
        logs.push(format!("({} more lines were over the cap)", run.logs_dropped));
    }
    let verdict = run.verdict.map_err(|error| error.fault());
    Ran { verdict, module, fuel: run.fuel, memory_bytes: run.memory_bytes, logs, tables, missed }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TargetDocument, TargetKey};

    fn emits(bytes: usize) -> Ran {
        let bill = TargetDocument { key: TargetKey::new("k").unwrap(), body: "x".repeat(bytes) };
        let verdict = Ok(Outcome::Emit(vec![bill]));
        let module = Digest::of("module");
        Ran { verdict, module, fuel: 1, memory_bytes: 1, logs: Vec::new(), tables: BTreeMap::new(), missed: None }
    }

    #[test]
    fn a_module_that_emits_as_much_as_it_may_does_not_fill_the_hosts_memory() {
        let ran = until_full(0..50, |_| vec![emits(8 << 20)]);
        assert_eq!(ran.len(), 2, "so many outputs of eight mebibytes are held at once");
        assert_eq!(until_full(0..50, |_| vec![emits(10_000)]).len(), 50);
        assert_eq!(until_full(0..50, |_| vec![emits(64 << 20)]).len(), 1, "at least one");
    }
}
