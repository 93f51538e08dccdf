//! Runs one document, or a batch of them, and reports what happened.
//!
//! Fuel and outcome are defined on a fresh instance. A batch is an optimisation: it reuses one instance, its fuel is
//! reported as shared, and a document that fails in it runs again alone, where the verdict counts.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wasmtime::{PoolConcurrencyLimitError, Store, StoreContextMut, Trap, UpdateDeadline, WasmBacktrace};

use super::admission::{Core, Gate, Pass, Shift};
use super::bindings::crossdock::transform::types as wire;
use super::bindings::{Description as WireDescription, Transform, TransformPre};
use super::engine::to_usize;
use super::error::Error;
use super::limiter::{Denial, Limiter, Resource};
use super::limits::Limits;
use super::line::Client;
use super::module::Module;
use super::outcome;
use super::settings::{ClassLimits, ModuleClass, Settings};
use super::state::{CallState, Log, LogLine, Lookup, NoReferences, Random, References, RunState};
use crate::model::{Document, Outcome, SchemeId, TenantId};

/// Bytes that the shape of an outcome takes beside its texts, when it is lifted.
const LIFT_OVERHEAD_BYTES: u64 = 1 << 20;
/// A trap's text as it is kept: the reason and the innermost functions.
const TRAP_TEXT_LIMIT_BYTES: usize = 1 << 10;
const TRAP_FRAMES: usize = 8;

/// How documents share instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A fresh instance for each document.
    #[default]
    Document,
    /// One instance for the documents of a batch.
    Batch,
}

/// What surrounds a document, as the contract's `context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub tenant: TenantId,
    pub scheme: SchemeId,
    /// `system:operation`
    pub source: Arc<str>,
    /// `system:operation`
    pub target: Arc<str>,
    /// JSON text.
    pub parameters: Arc<str>,
    /// When this version of the document was first received; handed over in whole seconds.
    pub received_at: Timestamp,
}

/// One document to run.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub context: &'a Context,
    pub document: &'a Document,
    /// Instead of the limits' own: a retry after a missed deadline gets longer.
    pub deadline_ms: Option<u64>,
}

/// What happened to one document.
#[derive(Debug, Clone)]
pub struct Run {
    pub verdict: Result<Outcome, Error>,
    pub fuel: u64,
    /// The instance had run other documents before; fuel differs a little from a fresh one's.
    pub fuel_shared: bool,
    /// Linear memory that the instance held at the end.
    pub memory_bytes: u64,
    pub logs: Vec<LogLine>,
    pub logs_dropped: u64,
    pub denials: Vec<Denial>,
    /// Each key that was asked for, with its answer, ordered by table and key.
    pub lookups: Vec<(String, String, Lookup)>,
    pub elapsed: Duration,
}

impl Run {
    fn without_guest(error: Error) -> Self {
        Self {
            verdict: Err(error),
            fuel: 0,
            fuel_shared: false,
            memory_bytes: 0,
            logs: Vec::new(),
            logs_dropped: 0,
            denials: Vec::new(),
            lookups: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }
}

/// Where a client's guests wait for a slot, and then for a core.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub slots: &'a Arc<Gate>,
    pub cores: &'a Arc<Gate>,
    pub client: &'a Client,
}

impl Desk<'_> {
    fn slot(&self) -> Pass {
        self.slots.enter(self.client)
    }

    fn core(&self) -> Core {
        Core::enter(self.cores, self.client)
    }
}

/// What a run keeps from one document to the next. Its core is dropped before its slot: who waits for a slot holds no core.
struct Place {
    core: Option<Core>,
    _slot: Pass,
}

/// Everything that the documents of one transform have in common.
pub(super) struct Runner<'a> {
    pub settings: &'a Settings,
    pub desk: Desk<'a>,
    pub module: &'a Module,
    pub limits: &'a Limits,
    pub references: &'a dyn References,
}

/// An instance between documents of a batch.
struct Live {
    store: Store<RunState>,
    instance: Transform,
}

impl Runner<'_> {
    pub fn run(&self, calls: &[Call<'_>], isolation: Isolation) -> Vec<Run> {
        match isolation {
            Isolation::Document => self.each(calls),
            Isolation::Batch => self.batch(calls),
        }
    }

    fn each(&self, calls: &[Call<'_>]) -> Vec<Run> {
        let mut place: Option<Place> = None;
        calls
            .iter()
            .map(|call| {
                if let Some(error) = self.too_large(call) {
                    return Run::without_guest(error);
                }
                place.take_if(|place| place.core.as_ref().is_none_or(Core::has_had_its_turn));
                let place = place.get_or_insert_with(|| {
                    let slot = self.desk.slot();
                    Place { core: Some(self.desk.core()), _slot: slot }
                });
                self.fresh(&mut place.core, call)
            })
            .collect()
    }

    fn batch(&self, calls: &[Call<'_>]) -> Vec<Run> {
        // One place for the whole batch: the live instance keeps its slot between two documents, so a place given back
        // there would let somebody in for whom there is no slot.
        let _slot = self.desk.slot();
        let (mut live, mut core) = (None, None);
        calls
            .iter()
            .map(|call| {
                if let Some(error) = self.too_large(call) {
                    return Run::without_guest(error);
                }
                if let Some(core) = core.as_mut().filter(|core| Core::has_had_its_turn(core)) {
                    core.give_way();
                }
                let run = caught(|| self.shared(&mut live, &mut core, call)).unwrap_or_else(Run::without_guest);
                match &run.verdict {
                    Ok(_) => run,
                    // A document that waits for a table has no verdict yet, here or alone.
                    Err(Error::ReferencePending { .. }) => {
                        live = None;
                        run
                    }
                    Err(_) => {
                        live = None; // Gives the slot back before the next one is taken.
                        self.fresh(&mut core, call)
                    }
                }
            })
            .collect()
    }

    /// Runs a document in an instance of its own, below a slot that the caller holds.
    fn fresh(&self, core: &mut Option<Core>, call: &Call<'_>) -> Run {
        caught(|| {
            let mut live = None;
            let run = self.shared(&mut live, core, call);
            Run { fuel_shared: false, ..run }
        })
        .unwrap_or_else(Run::without_guest)
    }

    /// Runs a document in the live instance, or makes one. After an error the instance is not to be used again. The core
    /// comes back, unless the host panics.
    fn shared(&self, live: &mut Option<Live>, core: &mut Option<Core>, call: &Call<'_>) -> Run {
        let started = Instant::now();
        let (mut store, instance) = match live.take() {
            Some(Live { store, instance }) => (store, Some(instance)),
            None => (self.store(call), None),
        };
        let deadline_ms = call.deadline_ms.unwrap_or(self.limits.deadline_ms);
        let held = core.take().unwrap_or_else(|| self.desk.core());
        let shift = Shift::begin(held, Duration::from_millis(deadline_ms));
        let answer = prepare(&mut store, self.limits.fuel, shift).and_then(|()| {
            store.data_mut().call = self.call_state(call);
            let instance = match instance {
                Some(instance) => instance,
                None => self.module.0.pre.instantiate(&mut store)?,
            };
            let received_at = call.context.received_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let context = wire_context(call.context, &received_at);
            let answer = instance.call_transform(&mut store, context, wire_document(call.document))?;
            Ok((instance, answer))
        });
        let fuel_left = store.get_fuel().unwrap_or(0);
        let (held, worked) = end_shift(&mut store);
        *core = held;
        let verdict = match answer {
            // Fuel is looked at where functions and loops begin, so the last stretch may run into the red. A tank that is
            // empty at the end counts as exhausted, wherever that was.
            Ok(_) if fuel_left == 0 => Err(Error::FuelExhausted { limit: self.limits.fuel }),
            Ok((instance, answer)) => outcome::check(answer, self.limits).map(|outcome| (instance, outcome)),
            Err(error) => {
                let facts = Facts { limits: self.limits, deadline_ms, worked, fuel_left };
                Err(classify(&error, store.data_mut(), self.settings, &facts))
            }
        };
        let state = store.data_mut();
        state.call.log.finish(self.limits);
        let log = std::mem::take(&mut state.call.log);
        let lookups = std::mem::take(&mut state.call.lookups);
        let mut run = Run {
            verdict: Err(Error::Internal { problem: "no verdict was reached".into() }),
            fuel: self.limits.fuel.saturating_sub(fuel_left),
            fuel_shared: true,
            memory_bytes: state.limiter.memory_bytes(),
            logs: log.lines,
            logs_dropped: log.dropped,
            denials: state.limiter.take_denials(),
            lookups: lookups.into_iter().map(|((table, key), answer)| (table, key, answer)).collect(),
            elapsed: Duration::ZERO,
        };
        run.verdict = verdict.map(|(instance, outcome)| {
            *live = Some(Live { store, instance });
            outcome
        });
        run.elapsed = started.elapsed();
        run
    }

    fn too_large(&self, call: &Call<'_>) -> Option<Error> {
        let (limit, used) = (self.limits.input_limit_bytes, call.document.body.len() as u64);
        if used > limit {
            return Some(Error::DocumentTooLarge { limit, used });
        }
        let (limit, used) = (self.settings.parameters_limit_bytes, call.context.parameters.len() as u64);
        (used > limit).then_some(Error::ParametersTooLarge { limit, used })
    }

    fn store(&self, call: &Call<'_>) -> Store<RunState> {
        let class = self.settings.class(self.module.class());
        // SAFETY: only the lifetime changes. The reference goes into a store that lives in `batch` or `each`, both of
        // which end, and drop the store, while `self` and with it the borrow of `references` is alive. Nothing takes the
        // reference out of the store: `host::lookup` calls it and keeps only owned answers.
        let references = unsafe { std::mem::transmute::<&dyn References, &'static dyn References>(self.references) };
        store(&self.module.0.pre, self.call_state(call), references, self.settings, class)
    }

    fn call_state(&self, call: &Call<'_>) -> CallState {
        let received_at_s = u64::try_from(call.context.received_at.as_second()).unwrap_or(0);
        call_state(self.limits.clone(), self.settings, received_at_s, call.document.key.as_str())
    }
}

/// Asks a module what it is, with fuel of its own, no tables and a clock that stands at 1970.
pub(super) fn describe(
    pre: &TransformPre<RunState>,
    settings: &Settings,
    class: ModuleClass,
    desk: &Desk<'_>,
) -> Result<WireDescription, Error> {
    let limits = Limits { fuel: settings.describe_fuel, ..Limits::of(settings, class) };
    let _slot = desk.slot();
    caught(|| {
        let mut store = store(
            pre,
            call_state(limits.clone(), settings, 0, "describe"),
            &NoReferences,
            settings,
            settings.class(class),
        );
        let shift = Shift::begin(desk.core(), Duration::from_millis(limits.deadline_ms));
        let said = prepare(&mut store, limits.fuel, shift)
            .and_then(|()| pre.instantiate(&mut store)?.call_describe(&mut store));
        let fuel_left = store.get_fuel().unwrap_or(0);
        let (_, worked) = end_shift(&mut store);
        match said {
            Ok(_) if fuel_left == 0 => Err(Error::FuelExhausted { limit: limits.fuel }),
            Ok(said) => Ok(said),
            Err(error) => {
                let facts = Facts { limits: &limits, deadline_ms: limits.deadline_ms, worked, fuel_left };
                Err(classify(&error, store.data_mut(), settings, &facts))
            }
        }
    })?
}

fn store(
    pre: &TransformPre<RunState>,
    call: CallState,
    references: &'static dyn References,
    settings: &Settings,
    class: &ClassLimits,
) -> Store<RunState> {
    let memory_limit_bytes = call.limits.memory_limit_bytes.min(settings.memory_ceiling_bytes);
    // What one crossing may carry must hold the largest outcome that this call may give.
    let crossing_bytes =
        settings.hostcall_bytes.max(call.limits.output_limit_bytes.saturating_add(LIFT_OVERHEAD_BYTES));
    let limiter = Limiter::new(memory_limit_bytes, call.limits.table_elements_limit, class);
    let mut store = Store::new(pre.engine(), RunState { limiter, shift: None, call, references });
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(to_usize(crossing_bytes));
    store.set_max_component_handles(to_usize(settings.handles_limit));
    store.epoch_deadline_callback(at_a_tick);
    store
}

fn call_state(limits: Limits, settings: &Settings, received_at_s: u64, key: &str) -> CallState {
    CallState {
        limits,
        host_call_fuel: settings.host_call_fuel,
        host_calls: 0,
        lookup_bytes: 0,
        lookups: BTreeMap::new(),
        log: Log::default(),
        received_at_s,
        random: Random::seeded(key),
        ended: None,
    }
}

fn prepare(store: &mut Store<RunState>, fuel: u64, shift: Shift) -> wasmtime::Result<()> {
    store.data_mut().shift = Some(shift);
    store.set_epoch_deadline(1);
    store.set_fuel(fuel)
}

/// Whoever computes at a tick lets others have the core. The guest stands still meanwhile, on this thread's stack, and
/// notices nothing: neither its fuel nor what it computes hangs on when that is.
fn at_a_tick(mut store: StoreContextMut<'_, RunState>) -> wasmtime::Result<UpdateDeadline> {
    let shift = store.data_mut().shift.as_mut();
    if shift.is_some_and(Shift::go_on) { Ok(UpdateDeadline::Continue(1)) } else { Err(Trap::Interrupt.into()) }
}

/// Takes the core back from the guest; says how long it had one.
fn end_shift(store: &mut Store<RunState>) -> (Option<Core>, Duration) {
    store.data_mut().shift.take().map_or((None, Duration::ZERO), |shift| {
        let (core, worked) = shift.end();
        (Some(core), worked)
    })
}

/// A panic of the host's own within a call is one document's misfortune.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Error> {
    // Nothing that the closure leaves half done is used again: the store dies with it, the gate counts by drop.
    panic::catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".into());
        Error::Internal { problem: format!("panic: {said}") }
    })
}

struct Facts<'a> {
    limits: &'a Limits,
    deadline_ms: u64,
    worked: Duration,
    fuel_left: u64,
}

fn classify(error: &wasmtime::Error, state: &mut RunState, settings: &Settings, facts: &Facts<'_>) -> Error {
    if let Some(ended) = state.call.ended.take() {
        return ended;
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Error::Internal { problem: format!("{error:#}") };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return Error::FuelExhausted { limit: facts.limits.fuel },
        Some(Trap::Interrupt) => {
            return Error::DeadlinePassed {
                limit_ms: facts.deadline_ms,
                elapsed_ms: u64::try_from(facts.worked.as_millis()).unwrap_or(u64::MAX),
                fuel_left: facts.fuel_left,
            };
        }
        Some(Trap::StackOverflow) => return Error::StackOverflow { limit: settings.stack_limit_bytes },
        _ => {}
    }
    // wasmtime's type for this is private; a test notices when its words change.
    let root = error.root_cause().to_string();
    if root.contains("fuel allocated for hostcalls has been exhausted") {
        let limit = settings.hostcall_bytes.max(facts.limits.output_limit_bytes.saturating_add(LIFT_OVERHEAD_BYTES));
        return Error::CrossingTooLarge { limit };
    }
    let trap = trap_text(error, root);
    match state.limiter.denials().last() {
        Some(Denial { resource: Resource::Memory, limit, wanted }) => {
            Error::MemoryExhausted { limit: *limit, wanted: *wanted, trap }
        }
        Some(Denial { resource: Resource::Table, limit, wanted }) => {
            Error::TableExhausted { limit: *limit, wanted: *wanted, trap }
        }
        None => Error::Trap { trap },
    }
}

fn trap_text(error: &wasmtime::Error, root: String) -> String {
    let mut text = root;
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let names: Vec<&str> =
            backtrace.frames().iter().filter_map(|frame| frame.func_name()).take(TRAP_FRAMES).collect();
        if !names.is_empty() {
            text.push_str(" in ");
            text.push_str(&names.join(" < "));
        }
    }
    text.truncate(text.floor_char_boundary(TRAP_TEXT_LIMIT_BYTES));
    text
}

fn wire_context<'a>(context: &'a Context, received_at: &'a str) -> wire::Context<'a> {
    wire::Context {
        tenant: context.tenant.as_str(),
        scheme: context.scheme.as_str(),
        source: &context.source,
        target: &context.target,
        parameters: &context.parameters,
        received_at,
    }
}

fn wire_document(document: &Document) -> wire::Document<'_> {
    wire::Document { key: document.key.as_str(), body: &document.body }
}
