//! Runs a scheme's module for the pipeline.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, Outcome, SchemeId, TenantId};
use crate::pipeline::driver::Now;
use crate::pipeline::quota::Meter;
use crate::pipeline::reference::{Catalogue, Opened};
use crate::pipeline::transformer::{Miss, Ran, Task, Transformer};
use crate::sandbox::{Call, Context, Error, Isolation, Level, Limits, Lookup, Module, ModuleClass, Run, Sandbox};

use super::modules::Modules;

/// A retry after a deadline gets this many times the wall clock: what a busy machine took is not the guest's fault.
const PATIENCE: u64 = 5;
/// Emitted bytes after which a run ends early. Fifty documents may emit eight mebibytes each: without this one module
/// could make the host hold gigabytes, and take every other tenant down with it.
const HELD_LIMIT_BYTES: usize = 16 << 20;
/// Documents that share an instance in batch isolation before the held bytes are counted.
const BATCH_STEP: usize = 10;

/// A scheme's limits for a module of each class: an interpreter has more fuel than a mapping, unless the scheme says so
/// itself.
pub type LimitsOf = Arc<dyn Fn(ModuleClass) -> Limits + Send + Sync>;

pub struct SandboxTransformer {
    pub sandbox: Sandbox,
    /// The scheme's module of now. It is exchanged between two calls of the sandbox: a call that runs ends with the one
    /// that it began with.
    pub module: RwLock<Module>,
    /// Where the modules are that people choose for single documents.
    pub modules: Arc<dyn Modules>,
    pub isolation: Isolation,
    pub limits: LimitsOf,
    pub tenant: TenantId,
    pub scheme: SchemeId,
    pub source: Arc<str>,
    pub target: Arc<str>,
    pub parameters: Arc<str>,
    pub catalogue: Catalogue,
    /// Of the tenant's, for what it uses.
    pub meter: Meter,
    pub now: Now,
}

impl SandboxTransformer {
    /// The scheme's module of now.
    pub fn current(&self) -> Module {
        self.module.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From the next call of the sandbox on, this is the scheme's module.
    pub fn exchange(&self, module: Module) {
        *self.module.write().unwrap_or_else(PoisonError::into_inner) = module;
    }

    /// What surrounds a document that was received then.
    pub fn context(&self, received_at: jiff::Timestamp) -> Context {
        Context {
            tenant: self.tenant.clone(),
            scheme: self.scheme.clone(),
            source: self.source.clone(),
            target: self.target.clone(),
            parameters: self.parameters.clone(),
            received_at,
        }
    }

    /// The module for a document: the one that was chosen for it, where one was. Blocking.
    fn module_for(&self, chosen: Option<&Digest>) -> Result<Module, Fault> {
        let Some(digest) = chosen else { return Ok(self.current()) };
        let module = self.modules.module(digest).map_err(of_one_document)?;
        self.fits(&module)?;
        Ok(module)
    }

    /// Whether the module goes from where this scheme's source is to where its target is.
    pub fn fits(&self, module: &Module) -> Result<(), Fault> {
        let said = module.description();
        if said.source == *self.source && said.target == *self.target {
            return Ok(());
        }
        let problem = format!(
            "the module {module:?} goes from {} to {}, its scheme from {} to {}",
            said.source, said.target, self.source, self.target
        );
        Err(Fault::park(Code::ModuleMissing, problem))
    }

    fn chunk(&self, tasks: &[Task], opened: &Opened) -> Vec<Ran> {
        let Some(first) = tasks.first() else { return Vec::new() };
        // Once for each call of the sandbox: nobody's run has two modules.
        let module = match self.module_for(first.module.as_ref()) {
            Ok(module) => module,
            Err(fault) => {
                let digest = first.module.unwrap_or_else(|| self.current().digest());
                return tasks.iter().map(|_| Ran::failed(digest, fault.clone())).collect();
            }
        };
        let limits = (self.limits)(module.class());
        let contexts: Vec<Context> = tasks.iter().map(|task| self.context(task.received_at)).collect();
        let calls: Vec<Call<'_>> = tasks
            .iter()
            .zip(&contexts)
            .map(|(task, context)| Call {
                context,
                document: &task.document,
                deadline_ms: task.patient.then(|| limits.deadline_ms.saturating_mul(PATIENCE)),
            })
            .collect();
        let view = opened.view(first.waits_since);
        let runs = self.sandbox.transform(&module, &calls, self.isolation, &limits, &view);
        let fuel = runs.iter().map(|run| run.fuel).sum();
        self.meter.charge((self.now)(), runs.len() as u64, fuel);
        runs.into_iter().map(|run| ran(run, module.digest(), opened)).collect()
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

impl Transformer for SandboxTransformer {
    fn run(&self, tasks: &[Task]) -> Vec<Ran> {
        let step = match self.isolation {
            Isolation::Document => 1,
            Isolation::Batch => BATCH_STEP,
        };
        // Opened once: what is fetched while they run is for the next ones.
        let opened = self.catalogue.open((self.now)());
        // The first one runs whatever the meter says: whoever called has asked it, and something has to come of it.
        let goes_on = || self.meter.exceeded((self.now)()).is_none();
        until_full(alike(tasks, step).into_iter(), |range| self.chunk(&tasks[range], &opened), goes_on)
    }

    fn catalogue(&self) -> Option<&Catalogue> {
        Some(&self.catalogue)
    }

    fn module(&self) -> Digest {
        self.current().digest()
    }
}

/// Tasks in a row that see the reference tables alike and run with the same module, at most `step` together.
fn alike(tasks: &[Task], step: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut begin = 0;
    let same = |one: &Task, next: &Task| one.waits_since == next.waits_since && one.module == next.module;
    for group in tasks.chunk_by(same) {
        let end = begin + group.len();
        ranges.extend((begin..end).step_by(step).map(|at| at..end.min(at + step)));
        begin = end;
    }
    ranges
}

/// Runs one chunk after another until what came of them is enough to hold, or the next one is to wait.
fn until_full<T>(chunks: impl Iterator<Item = T>, run: impl Fn(T) -> Vec<Ran>, goes_on: impl Fn() -> bool) -> Vec<Ran> {
    let (mut all, mut held_bytes) = (Vec::new(), 0);
    for chunk in chunks {
        let ran = run(chunk);
        held_bytes += ran.iter().map(emitted_bytes).sum::<usize>();
        all.extend(ran);
        if held_bytes >= HELD_LIMIT_BYTES || !goes_on() {
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
        let (module, logs, tables) = (Digest::of("m"), Vec::new(), BTreeMap::new());
        Ran { verdict, module, fuel: 1, memory_bytes: 1, logs, tables, missed: None }
    }

    #[test]
    fn a_module_that_emits_as_much_as_it_may_does_not_fill_the_hosts_memory() {
        let ran = until_full(0..50, |_| vec![emits(8 << 20)], || true);
        assert_eq!(ran.len(), 2, "so many outputs of eight mebibytes are held at once");
        assert_eq!(until_full(0..50, |_| vec![emits(10_000)], || true).len(), 50);
        assert_eq!(until_full(0..50, |_| vec![emits(64 << 20)], || true).len(), 1, "at least one");
    }

    #[test]
    fn a_run_ends_early_where_the_tenant_has_used_its_share_and_never_before_its_first_document() {
        let used = std::cell::Cell::new(0);
        let run = |_| {
            used.set(used.get() + 1);
            vec![emits(1)]
        };
        assert_eq!(until_full(0..50, run, || used.get() < 3).len(), 3);
        assert_eq!(until_full(0..50, run, || false).len(), 1);
    }

    #[test]
    fn documents_with_different_modules_do_not_share_a_call() {
        let document = crate::model::Document { key: crate::model::DocumentKey::new("d").unwrap(), body: "{}".into() };
        let task = |module: Option<&str>| Task {
            document: Arc::new(document.clone()),
            received_at: jiff::Timestamp::UNIX_EPOCH,
            patient: false,
            waits_since: None,
            module: module.map(Digest::of),
        };
        let tasks = [task(None), task(None), task(Some("a")), task(Some("b")), task(None)];
        assert_eq!(alike(&tasks, 10), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(alike(&tasks, 1).len(), 5);
    }
}
