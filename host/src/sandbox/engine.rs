//! The one place that configures wasmtime, and the thread that makes its clock tick.

use std::sync::{Arc, mpsc};
use std::thread;

use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, OperatorCost, PoolingAllocationConfig, Strategy,
    WasmBacktraceDetails,
};

use super::admission::{Gate, TICK};
use super::error::Error;
use super::settings::{ModuleClass, Settings};

/// `memory.grow` is free by default although the kernel has to find and clear the pages.
const FUEL_PER_GROWN_PAGE: u8 = 255;
/// Slots beyond the admitted guests. An exhausted pool is an error, a full gate only a wait.
const SPARE_SLOTS: u32 = 2;
/// Room for one instance's own bookkeeping in the pool; Python's 109 instances take a few hundred KiB.
const INSTANCE_METADATA_LIMIT_BYTES: usize = 4 << 20;

/// Of each memory slot, what is written over when an instance ends; the kernel resets the rest. A Rust guest's whole memory
/// is less, so its next instance meets no page that is not there: faults were two thirds of what an instance cost.
const REWRITTEN_BYTES: usize = 384 << 10;
/// Of each table's slot: two thousand functions, of which a Rust guest has some hundreds.
const REWRITTEN_TABLE_BYTES: usize = 16 << 10;

/// What both the parent and the compiling child use, so that the child's artefacts fit the parent's engine. Everything
/// that a mapping does not need is off, because most advisories of the last years sit there.
pub fn base_config(settings: &Settings) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(to_usize(settings.stack_limit_bytes))
        // Tenants share pooled stacks.
        .async_stack_zeroing(true)
        .wasm_component_model(true)
        .wasm_gc(false)
        .gc_support(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_stack_switching(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .concurrency_support(false)
        .shared_memory(false)
        // Every node computes the same bits.
        .cranelift_nan_canonicalization(true)
        // Registration of unwind tables can be quadratic with many modules loaded.
        .native_unwind_info(false)
        .signals_based_traps(true)
        .memory_init_cow(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    let mut cost = OperatorCost::new();
    cost.variable.memory_grow_per_page = FUEL_PER_GROWN_PAGE;
    config.operator_cost(cost);
    config
}

/// The engine that runs guests of one class: [`base_config`] and a pool of slots made for the class.
pub fn running_engine(settings: &Settings, class: ModuleClass) -> Result<Engine, Error> {
    let limits = settings.class(class);
    let slots = admitted(settings, class).saturating_add(SPARE_SLOTS);
    let each = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(each(limits.instances)))
        .total_memories(slots.saturating_mul(each(limits.memories)))
        .total_tables(slots.saturating_mul(each(limits.tables)))
        .total_stacks(slots)
        .max_core_instances_per_component(each(limits.instances))
        .max_memories_per_component(each(limits.memories))
        .max_tables_per_component(each(limits.tables))
        .max_component_instance_size(INSTANCE_METADATA_LIMIT_BYTES)
        .max_core_instance_size(INSTANCE_METADATA_LIMIT_BYTES)
        .max_memories_per_module(1)
        .max_tables_per_module(each(limits.tables))
        // One guest may put everything into one table.
        .table_elements(to_usize(settings.table_elements_limit))
        .max_memory_size(to_usize(settings.memory_ceiling_bytes))
        .max_unused_warm_slots(slots)
        .decommit_batch_size(1)
        // Every byte of a slot is reset, whatever the guest did with it: the first ones by us, the others by the kernel.
        .linear_memory_keep_resident(REWRITTEN_BYTES)
        .table_keep_resident(REWRITTEN_TABLE_BYTES)
        .pagemap_scan(Enabled::No);
    if settings.pagemap_scan {
        pool.pagemap_scan(Enabled::Auto).linear_memory_keep_resident(to_usize(settings.pagemap_resident_bytes));
    }
    let mut config = base_config(settings);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).map_err(|error| Error::Internal { problem: format!("no engine: {error:#}") })
}

/// Guests of a class that may run at once.
pub fn admitted(settings: &Settings, class: ModuleClass) -> u32 {
    match class {
        ModuleClass::Standard => settings.concurrency,
        ModuleClass::Interpreter => settings.interpreter_concurrency,
    }
}

/// Guests that compute at once.
pub fn computing(settings: &Settings) -> u32 {
    if settings.computing > 0 {
        return settings.computing;
    }
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores - 1).unwrap_or(u32::MAX).max(1)
}

pub(super) fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Advances the epoch of its engines every [`TICK`], while any guest has a core: a thousand wakes a second are nothing
/// beside a guest that computes, and a good part of what an engine at rest would need. Ends, and is waited for, when dropped.
pub struct Ticker {
    cores: Arc<Gate>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    pub fn start(engines: Vec<EngineWeak>, cores: Arc<Gate>) -> Result<Self, Error> {
        let occupied = cores.clone();
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sandbox-epoch".into())
            .spawn(move || {
                while occupied.until_occupied() && stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                    for engine in engines.iter().filter_map(EngineWeak::upgrade) {
                        engine.increment_epoch();
                    }
                }
            })
            .map_err(|error| Error::Internal { problem: format!("no epoch thread: {error}") })?;
        Ok(Self { cores, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.cores.dismiss();
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic, and if it did there is nothing left to undo.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::line::Client;
    use super::*;

    #[test]
    fn the_clock_stands_still_while_nobody_computes() {
        let cores = Gate::new(2, u32::MAX, BTreeMap::new());
        let ticker = Ticker::start(Vec::new(), cores.clone()).unwrap();
        let until_rests = |rests: bool| {
            while cores.is_waited_for() != rests {
                thread::yield_now();
            }
        };
        until_rests(true);
        for _ in 0..3 {
            let computes = [cores.enter(&Client::engine()), cores.enter(&Client::engine())];
            until_rests(false);
            drop(computes);
            until_rests(true);
        }
        drop(ticker);
    }
}
