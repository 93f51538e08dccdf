//! Counts memory and table elements over the whole store, and remembers what it denied.
//!
//! wasmtime's own `StoreLimits` counts per memory: a component with three memories got three times its limit.

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

use super::settings::ClassLimits;

/// Denials kept of one call; a guest that asks in a loop tells nothing new.
const DENIALS_KEPT: usize = 16;

/// Something a guest asked for and did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    pub resource: Resource,
    pub limit: u64,
    /// What the store would have held.
    pub wanted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Memory,
    Table,
}

#[derive(Debug)]
pub struct Limiter {
    memory: Count,
    table: Count,
    instances: usize,
    memories: usize,
    tables: usize,
    denials: Vec<Denial>,
}

#[derive(Debug)]
struct Count {
    resource: Resource,
    limit: u64,
    used: u64,
}

impl Count {
    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<(), Option<Denial>> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Err(None); // Over what the module itself declared: its own affair.
        }
        let more = desired.saturating_sub(current) as u64;
        let wanted = self.used.saturating_add(more);
        if wanted > self.limit {
            return Err(Some(Denial { resource: self.resource, limit: self.limit, wanted }));
        }
        self.used = wanted;
        Ok(())
    }

    /// The allocator, or a check that comes before ours, said no. What was granted stays counted: wasmtime also comes
    /// here without having asked (a growth past 4 GiB), and a guest that could have its count lowered would use it.
    fn failed(&self) -> Denial {
        Denial { resource: self.resource, limit: self.limit, wanted: self.limit.saturating_add(1) }
    }
}

impl Limiter {
    pub fn new(memory_limit_bytes: u64, table_elements_limit: u64, class: &ClassLimits) -> Self {
        let count = |resource, limit| Count { resource, limit, used: 0 };
        let each = super::engine::to_usize;
        Self {
            memory: count(Resource::Memory, memory_limit_bytes),
            table: count(Resource::Table, table_elements_limit),
            instances: each(class.instances),
            memories: each(class.memories),
            tables: each(class.tables),
            denials: Vec::new(),
        }
    }

    pub fn memory_bytes(&self) -> u64 {
        self.memory.used
    }

    pub fn denials(&self) -> &[Denial] {
        &self.denials
    }

    /// For the next document of a batch: what is held stays counted, what was denied is forgotten.
    pub fn take_denials(&mut self) -> Vec<Denial> {
        std::mem::take(&mut self.denials)
    }

    fn answer(&mut self, granted: Result<(), Option<Denial>>) -> wasmtime::Result<bool> {
        if let Err(Some(denial)) = granted
            && self.denials.len() < DENIALS_KEPT
        {
            self.denials.push(denial);
        }
        Ok(granted.is_ok())
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = self.memory.grow(current, desired, maximum);
        self.answer(granted)
    }
    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let denial = self.memory.failed();
        self.answer(Err(Some(denial))).map(drop)
    }
    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = self.table.grow(current, desired, maximum);
        self.answer(granted)
    }
    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let denial = self.table.failed();
        self.answer(Err(Some(denial))).map(drop)
    }
    fn instances(&self) -> usize {
        self.instances
    }
    fn memories(&self) -> usize {
        self.memories
    }
    fn tables(&self) -> usize {
        self.tables
    }
}
