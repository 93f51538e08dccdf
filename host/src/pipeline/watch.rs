//! What the pipeline tells about itself while it works. The daemon turns it into metrics and alerts.

use std::time::Duration;

use crate::fault::{Code, Fault};

use super::driver::Backlog;
use super::gate::Scope;
use super::quota::Exceeded;
use super::subject::End;

/// The stages whose time is measured, each for a whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Poll,
    Commit,
    Transform,
    Write,
    Verify,
}

/// Why nothing is read although it is time to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// What was read before is to be worked off first.
    Backlog(Backlog),
    /// The disk is nearly full.
    Disk(Fault),
    /// The source counts as down; so long until a probe.
    Down(Duration),
    /// The tenant's ledger is as large as it may be.
    Quota(Exceeded),
}

impl Hold {
    /// One of [`crate::telemetry::HOLD_REASONS`].
    pub fn reason(&self) -> &'static str {
        match self {
            Hold::Backlog(_) => "backlog",
            Hold::Disk(_) => "disk",
            Hold::Down(_) => "down",
            Hold::Quota(_) => "quota",
        }
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Hold::Backlog(Backlog { documents, resume, .. }) => {
                write!(f, "{documents} documents are unfinished; reading goes on at {resume}")
            }
            Hold::Disk(fault) => write!(f, "{fault}"),
            Hold::Quota(exceeded) => write!(f, "{}", exceeded.fault()),
            Hold::Down(wait) => write!(f, "the source counts as down; a probe leaves in {} s", wait.as_secs()),
        }
    }
}

/// Listens to one scheme. Called often and from the scheme's own task: must return at once.
pub trait Watcher: Send + Sync + 'static {
    fn received(&self, _documents: usize, _new: usize) {}
    fn finished(&self, _end: &End) {}
    fn parked(&self, _code: Code) {}
    /// Versions that wait for a person, in the whole scheme.
    fn parked_total(&self, _count: u64) {}
    /// Documents that the engine has still to work on.
    fn backlog(&self, _count: u64) {}
    /// Errands held in memory.
    fn errands(&self, _count: usize) {}
    /// Documents that wait for a reference table, beside the backlog.
    fn waiting(&self, _count: u64) {}
    fn fuel(&self, _fuel: u64) {}
    fn stage(&self, _stage: Stage, _took: Duration) {}
    fn faulted(&self, _fault: &Fault) {}
    /// Reading is held back, or no longer.
    fn held(&self, _hold: Option<&Hold>) {}
    fn paused(&self, _scope: &Scope, _reason: &str) {}
    /// Documents wait because their tenant has used its share, or no longer.
    fn throttled(&self, _exceeded: Option<&Exceeded>) {}
    /// Everything before this instant is in the ledger.
    fn read_to(&self, _instant: jiff::Timestamp) {}
    /// A read of the source ended, well or not.
    fn polled(&self, _result: Result<(), &Fault>) {}
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deaf;

impl Watcher for Deaf {}
