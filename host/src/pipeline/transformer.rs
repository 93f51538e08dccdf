//! What the driver needs of the sandbox, as a trait, so that the driver can be tested without compiling a component.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::fault::Fault;
use crate::model::{Digest, Document, Outcome};

use super::reference::{Catalogue, Revision};

/// One document to be transformed.
#[derive(Debug, Clone)]
pub struct Task {
    pub document: Arc<Document>,
    /// When this version was first received; the guest sees it instead of a clock.
    pub received_at: Timestamp,
    /// Run with a longer wall clock: an earlier run ended at it.
    pub patient: bool,
    /// Only a reference table that was fetched since then proves that an entry is missing.
    pub waits_since: Option<Timestamp>,
    /// The module that a person chose for this version, instead of the scheme's.
    pub module: Option<Digest>,
}

/// What came of one task.
#[derive(Debug, Clone)]
pub struct Ran {
    pub verdict: Result<Outcome, Fault>,
    /// The one that ran: the scheme's may be another by the time this is put away.
    pub module: Digest,
    pub fuel: u64,
    pub memory_bytes: u64,
    pub logs: Vec<String>,
    /// The revisions of the reference tables that it looked things up in.
    pub tables: BTreeMap<String, Revision>,
    /// The look-up that ended it, because its answer is not known yet.
    pub missed: Option<Miss>,
}

/// A look-up that cannot be answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    pub table: String,
    pub key: String,
    /// When the tables that lack it were opened.
    pub at: Timestamp,
}

impl Ran {
    /// Where the module could not be run at all.
    pub fn failed(module: Digest, fault: Fault) -> Self {
        let (logs, tables) = (Vec::new(), BTreeMap::new());
        Self { verdict: Err(fault), module, fuel: 0, memory_bytes: 0, logs, tables, missed: None }
    }
}

/// Runs one scheme's module. Blocking; called on threads that may block.
pub trait Transformer: Send + Sync + 'static {
    /// One result for each task, in their order; for the first few only, and at least one, where what they emitted is
    /// enough to hold in memory. The rest are given again.
    fn run(&self, tasks: &[Task]) -> Vec<Ran>;
    /// The digest of the module that the next document runs with, where nobody chose another one for it.
    fn module(&self) -> Digest;
    /// The reference tables that the module looks things up in.
    fn catalogue(&self) -> Option<&Catalogue> {
        None
    }
}
