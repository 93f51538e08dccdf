//! Runs strangers' components. Sees documents and parameters; never a credential, a socket, the store or the clock.
//!
//! A reader may rely on this: a module is scanned before it is compiled, compiled where it can do no harm, and run with
//! a bound on everything it can use. Each bound has a setting ([`Settings`], [`Limits`]), an error of its own
//! ([`Error`]) and a test; `docs/limits.md` lists them. The same component over the same document gives the same bytes
//! and burns the same fuel. What one guest does, another does not notice.

mod admission;
mod artefacts;
mod bindings;
mod compile;
pub mod contract;
mod engine;
mod error;
mod host;
mod identity;
mod limiter;
mod limits;
mod line;
mod module;
mod outcome;
mod prescan;
mod run;
mod settings;
mod state;
mod wasi;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

pub use compile::{Compiler, child as compile_child};
pub use error::Error;
pub use identity::{RunSettings, WASMTIME, settings_hash};
pub use limiter::{Denial, Resource};
pub use limits::Limits;
pub use module::{CompileFacts, Description, Module};
pub use prescan::Facts;
pub use run::{Call, Context, Isolation, Run};
pub use settings::{ClassLimits, ModuleClass, Settings};
pub use state::{Level, LogLine, Lookup, NoReferences, References};

use admission::Gate;
use artefacts::{Artefacts, Kept};
use engine::Ticker;
use line::{Client, Share};
use module::Loaded;
use run::{Desk, Runner};

use crate::model::{Digest, TenantId};

/// Modules and refusals remembered; beyond it, those that nobody holds are forgotten.
const SLOTS_KEPT: usize = 1_024;

/// Loads modules and runs documents through them. Cheap to clone; the last clone ends its thread when dropped.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
    /// Of whoever runs documents through this clone, among those of the same tenant.
    priority: u8,
}

struct Inner {
    settings: Settings,
    settings_json: Vec<u8>,
    /// Guests of both classes compute on the same cores.
    cores: Arc<Gate>,
    standard: Lane,
    interpreter: Lane,
    artefacts: Artefacts,
    compiler: Compiler,
    /// Two components compile at a time, for compiling is what takes memory: one that documents wait for, and one that
    /// only a person waits for. So nobody's upload holds up a scheme.
    compiling: Mutex<()>,
    aside: Arc<Gate>,
    slots: Mutex<Slots>,
    ticker: Mutex<Option<Ticker>>,
}

type Slots = HashMap<(Digest, ModuleClass), Arc<Mutex<Slot>>>;

/// An engine with its slots and the gate before them. One per class, so that interpreters cannot take the others' places.
struct Lane {
    engine: Engine,
    gate: Arc<Gate>,
}

impl Lane {
    fn new(settings: &Settings, class: ModuleClass) -> Result<Self, Error> {
        let places = engine::admitted(settings, class);
        // Whatever one tenant does, there is a slot that it cannot have, where there are two.
        let each = settings.tenant_concurrency.min(places - 1).max(1);
        let gate = Gate::new(places, each, settings.tenant_weights.clone());
        Ok(Self { engine: engine::running_engine(settings, class)?, gate })
    }
}

/// What is known of one module. Its lock makes a second load of the same bytes wait for the first.
#[derive(Default)]
struct Slot {
    module: Weak<Loaded>,
    /// The same bytes will be refused again, and finding out may have cost minutes.
    refusal: Option<(Error, Duration)>,
}

/// What loading a module for the first time found out: it depends on its bytes and on the settings alone.
#[derive(Serialize, Deserialize)]
struct Note {
    seen: Facts,
    description: Description,
}

/// What loading a component took of the compiler's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Of compiling it, whenever that was.
    pub compiling: Duration,
    /// It was known already, whoever had it compiled.
    pub known: bool,
}

impl Sandbox {
    /// `artefacts` is a directory of this node that only the engine's user can write.
    pub fn new(settings: Settings, artefacts: Dir, compiler: Compiler) -> Result<Self, Error> {
        if let Some(problem) = settings.problems().first() {
            return Err(Error::Internal { problem: problem.to_string() });
        }
        let standard = Lane::new(&settings, ModuleClass::Standard)?;
        let interpreter = Lane::new(&settings, ModuleClass::Interpreter)?;
        let cores = Gate::new(engine::computing(&settings), u32::MAX, settings.tenant_weights.clone());
        let ticker = Ticker::start(vec![standard.engine.weak(), interpreter.engine.weak()], cores.clone())?;
        let settings_json =
            serde_json::to_vec(&settings).map_err(|error| Error::Internal { problem: error.to_string() })?;
        let inner = Inner {
            settings,
            settings_json,
            cores,
            standard,
            interpreter,
            artefacts: Artefacts::open(artefacts)?,
            compiler,
            compiling: Mutex::new(()),
            aside: Gate::new(1, 1, BTreeMap::new()),
            slots: Mutex::new(HashMap::new()),
            ticker: Mutex::new(Some(ticker)),
        };
        Ok(Self { inner: Arc::new(inner), priority: line::PRIORITY })
    }

    /// The same sandbox for documents of this priority, from 0 to 9.
    pub fn with_priority(&self, priority: u8) -> Self {
        Self { priority, ..self.clone() }
    }

    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The class under which a component is to be loaded: interpreter where the operator allows such modules, and this one
    /// is over what the standard class may have. Reads the component and compiles nothing.
    pub fn class_of(&self, component: &[u8]) -> ModuleClass {
        let settings = &self.inner.settings;
        let fits = || prescan::scan(component, &settings.standard).is_ok();
        if settings.interpreter_modules && !fits() { ModuleClass::Interpreter } else { ModuleClass::Standard }
    }

    /// What the pre-scan finds in a component, or the first limit of the class that it is over. Reads it and compiles
    /// nothing.
    pub fn scan(&self, component: &[u8], class: ModuleClass) -> Result<Facts, Error> {
        prescan::scan(component, self.inner.settings.class(class))
    }

    /// Makes a component ready to run. Blocking, for minutes at worst; off the async threads, please. The same bytes are
    /// compiled once, however many ask at once.
    pub fn load(&self, component: &[u8], class: ModuleClass) -> Result<Module, Error> {
        self.load_for(component, class, None).0
    }

    /// The same, with what compiling it cost or would have cost.
    pub fn load_at_cost(&self, component: &[u8], class: ModuleClass) -> (Result<Module, Error>, Cost) {
        self.load_for(component, class, None)
    }

    /// The same for a component that no document waits for: where it has to be compiled it is, beside what documents
    /// wait for, and tenants take turns.
    pub fn load_aside(&self, component: &[u8], class: ModuleClass, tenant: &TenantId) -> Result<Module, Error> {
        self.load_for(component, class, Some(&Client { tenant: Some(tenant.clone()), priority: self.priority })).0
    }

    /// What a tenant has of the slots and the cores, from now on: so many turns for one of a tenant of weight 1, and at
    /// most so many guests at once.
    pub fn set_share(&self, tenant: &TenantId, weight: u32, most: u32) {
        let Inner { cores, standard, interpreter, aside, .. } = &*self.inner;
        for gate in [&standard.gate, &interpreter.gate] {
            gate.set_share(tenant, Share { weight, most });
        }
        for gate in [cores, aside] {
            gate.set_share(tenant, Share { weight, most: u32::MAX });
        }
    }

    /// Whether a component that is kept can be loaded without being compiled.
    pub fn is_compiled(&self, digest: &Digest, class: ModuleClass) -> bool {
        self.kept(digest, class).is_ok_and(|kept| kept.is_some())
    }

    /// `aside` is whom it is compiled for, where no document waits for it.
    fn load_for(&self, component: &[u8], class: ModuleClass, aside: Option<&Client>) -> (Result<Module, Error>, Cost) {
        let digest = Digest::of(component);
        let slot = self.slot(digest, class);
        let mut slot = locked(&slot);
        if let Some(module) = slot.module.upgrade() {
            let compiling = module.compile.cost;
            return (Ok(Module(module)), Cost { compiling, known: true });
        }
        if let Some((refusal, compiling)) = &slot.refusal {
            return (Err(refusal.clone()), Cost { compiling: *compiling, known: true });
        }
        let mut cost = Cost { compiling: Duration::ZERO, known: false };
        let loaded = self.load_anew(component, digest, class, aside, &mut cost);
        match &loaded {
            Ok(module) => slot.module = Arc::downgrade(&module.0),
            Err(error @ (Error::ModuleRefused { .. } | Error::CompileLimit { .. })) => {
                slot.refusal = Some((error.clone(), cost.compiling))
            }
            Err(_) => {} // May be different the next time.
        }
        (loaded, cost)
    }

    /// Runs documents of one tenant through a module, one [`Run`] for each, in order. Blocking.
    pub fn transform(
        &self,
        module: &Module,
        calls: &[Call<'_>],
        isolation: Isolation,
        limits: &Limits,
        references: &dyn References,
    ) -> Vec<Run> {
        let Some(first) = calls.first() else { return Vec::new() };
        let client = Client { tenant: Some(first.context.tenant.clone()), priority: self.priority };
        let desk = Desk { slots: &self.lane(module.class()).gate, cores: &self.inner.cores, client: &client };
        Runner { settings: &self.inner.settings, desk, module, limits, references }.run(calls, isolation)
    }

    /// Ends the thread behind the deadlines. Guests that start afterwards have none, so this is the last thing to call;
    /// dropping the last clone does the same.
    pub fn shutdown(&self) {
        drop(locked(&self.inner.ticker).take());
    }

    fn load_anew(
        &self,
        component: &[u8],
        digest: Digest,
        class: ModuleClass,
        aside: Option<&Client>,
        cost: &mut Cost,
    ) -> Result<Module, Error> {
        let started = Instant::now();
        let inner = &self.inner;
        let limits = inner.settings.class(class);
        let lane = self.lane(class);
        let noted = inner.artefacts.noted(&digest, class, &lane.engine, &inner.settings_json);
        let noted = noted.and_then(|note| serde_json::from_slice::<Note>(&note).ok());
        let is_noted = noted.is_some();
        let seen = match &noted {
            Some(note) => note.seen,
            None => prescan::scan(component, limits)?,
        };
        let (compiled, artefact_bytes) = self.compiled(component, digest, class, aside, cost)?;
        let (pre, imports) = module::link(&compiled)?;
        let description = match noted {
            Some(note) => note.description,
            None => {
                let engine = Client::engine();
                let desk = Desk { slots: &lane.gate, cores: &inner.cores, client: aside.unwrap_or(&engine) };
                let description = module::describe(run::describe(&pre, &inner.settings, class, &desk)?)?;
                let note = Note { seen, description };
                let bytes =
                    serde_json::to_vec(&note).map_err(|error| Error::Internal { problem: error.to_string() })?;
                inner.artefacts.note(&digest, class, &lane.engine, &inner.settings_json, &bytes)?;
                note.description
            }
        };
        Ok(Module(Arc::new(Loaded {
            digest,
            class,
            size: component.len() as u64,
            description,
            compile: CompileFacts {
                cached: cost.known,
                noted: is_noted,
                elapsed: started.elapsed(),
                cost: cost.compiling,
                artefact_bytes,
                seen,
            },
            imports,
            exports: module::exports(&compiled),
            pre,
        })))
    }

    /// The component as native code: from the artefact store if it is there, else compiled and put there.
    fn compiled(
        &self,
        component: &[u8],
        digest: Digest,
        class: ModuleClass,
        aside: Option<&Client>,
        cost: &mut Cost,
    ) -> Result<(Component, u64), Error> {
        if let Some((compiled, kept)) = self.mapped(&digest, class)? {
            *cost = Cost { compiling: kept.cost, known: true };
            return Ok((compiled, kept.artefact_bytes));
        }
        let (inner, engine) = (&self.inner, &self.lane(class).engine);
        let mut compile = || {
            let began = Instant::now();
            let made = compile::compile(&inner.compiler, component, class, &inner.settings, engine);
            *cost = Cost { compiling: began.elapsed(), known: false };
            made
        };
        let artefact = match aside {
            Some(client) => {
                let _turn = inner.aside.enter(client);
                compile()?
            }
            None => {
                let _turn = locked(&inner.compiling);
                compile()?
            }
        };
        // SAFETY: the bytes come straight from wasmtime's compiler, in this process or through the pipe of a child that
        // this process started from the product's own binary.
        let compiled = unsafe { Component::deserialize(engine, &artefact) }.map_err(|error| does_not_load(&error))?;
        inner.artefacts.write(&digest, class, engine, &artefact, cost.compiling)?;
        // From its file like at every later start: what is mapped there, the kernel can take back and read again.
        let compiled = self.mapped(&digest, class)?.map_or(compiled, |(mapped, _)| mapped);
        Ok((compiled, artefact.len() as u64))
    }

    /// What lies compiled in the artefact store, mapped from its file.
    fn mapped(&self, digest: &Digest, class: ModuleClass) -> Result<Option<(Component, Kept)>, Error> {
        let Some(kept) = self.kept(digest, class)? else { return Ok(None) };
        // SAFETY: the keyed hash was verified over exactly this file, for this module and this engine's settings, under a key that
        // only this node has. So it is what this node's compiler wrote. The file is not written to again, and whoever else
        // could write to it could read the key beside it.
        match unsafe { Component::deserialize_file(&self.lane(class).engine, kept.path()) } {
            Ok(compiled) => Ok(Some((compiled, kept))),
            Err(error) => {
                tracing::warn!(module = %digest, "a compiled module does not load; it is made again: {error:#}");
                self.inner.artefacts.remove(digest, class)?;
                Ok(None)
            }
        }
    }

    fn kept(&self, digest: &Digest, class: ModuleClass) -> Result<Option<Kept>, Error> {
        let limit_bytes = self.inner.settings.class(class).artefact_limit_bytes;
        self.inner.artefacts.read(digest, class, &self.lane(class).engine, limit_bytes)
    }

    fn slot(&self, digest: Digest, class: ModuleClass) -> Arc<Mutex<Slot>> {
        let mut slots = locked(&self.inner.slots);
        if slots.len() >= SLOTS_KEPT {
            // Keeps what is loaded, and what somebody is loading right now.
            slots.retain(|_, slot| {
                Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|slot| slot.module.strong_count() > 0)
            });
        }
        slots.entry((digest, class)).or_default().clone()
    }

    fn lane(&self, class: ModuleClass) -> &Lane {
        match class {
            ModuleClass::Standard => &self.inner.standard,
            ModuleClass::Interpreter => &self.inner.interpreter,
        }
    }
}

/// A fresh artefact loads, unless what the module declares (its memory, its tables, its globals) is more than a slot holds.
fn does_not_load(error: &wasmtime::Error) -> Error {
    let said = format!("{error:#}");
    // wasmtime has no type for this; the corpus of hostile modules notices when its words change.
    if said.contains("does not fit in pooling allocator") {
        return Error::refused(format!("it does not fit into a slot: {}", error.root_cause()));
    }
    Error::Internal { problem: format!("a fresh artefact does not load: {said}") }
}

/// Nothing behind these locks is left half done by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
