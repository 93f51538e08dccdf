//! What the driver needs of the sandbox, as a trait, so that the driver can be tested without compiling a component.

use std::sync::Arc;

use jiff::Timestamp;

use crate::fault::Fault;
use crate::model::{Digest, Document, Outcome};

/// One document to be transformed.
#[derive(Debug, Clone)]
pub struct Task {
    pub document: Arc<Document>,
    /// When this version was first received; the guest sees it instead of a clock.
    pub received_at: Timestamp,
    /// Run with a longer wall clock: an earlier run ended at it.
    pub patient: bool,
}

/// What came of one task.
#[derive(Debug, Clone)]
pub struct Ran {
    pub verdict: Result<Outcome, Fault>,
    pub fuel: u64,
    pub memory_bytes: u64,
    pub logs: Vec<String>,
}

/// Runs one scheme's module. Blocking; called on threads that may block.
pub trait Transformer: Send + Sync + 'static {
    /// One result for each task, in their order; for the first few only, and at least one, where what they emitted is
    /// enough to hold in memory. The rest are given again.
    fn run(&self, tasks: &[Task]) -> Vec<Ran>;
    /// The module's digest, stored with each outcome.
    fn module(&self) -> Digest;
}
