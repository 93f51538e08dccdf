//! The whole way, measured: Crossdock and what people would use instead move the same documents from the same simulator
//! to the same simulator.
//!
//! Every run has a simulator of its own (`vendor-sim --plain`), and its count is what a run is believed by: as many
//! distinct bills as there are documents, and none twice. Time is from the start of the mover's process until it has
//! moved everything; processor time is the kernel's, the mover's and the simulator's apart.

pub mod crossdock;
pub mod peers;
pub mod plan;
pub mod report;
pub mod spent;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::programs::Programs;
use super::simulator::Simulator;
use super::{Failure, Result};

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub documents: u64,
    /// Added to each page and each save.
    pub delay_ms: u64,
}

/// Documents in a page and in a save.
pub const BATCH: u64 = 50;

/// One mover's way through one load.
#[derive(Debug, Clone)]
pub struct Run {
    pub documents: u64,
    pub took: Duration,
    /// Processor time of the mover, with all processes that it started and waited for, and of the simulator.
    pub mover: Duration,
    pub simulator: Duration,
    /// Of Crossdock alone: the kernel tells none of a process that has ended.
    pub peak_kib: Option<u64>,
    /// What the mover itself says of its stages, where it does.
    pub stages: BTreeMap<String, Stage>,
}

/// A part of a document's way: how often it was taken, and how long that was altogether.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stage {
    pub count: u64,
    pub seconds: f64,
}

impl Run {
    pub fn documents_a_second(&self) -> f64 {
        self.documents as f64 / self.took.as_secs_f64()
    }
}

/// What the simulator has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Counts {
    pub pages: u64,
    pub rows: u64,
    pub saves: u64,
    pub bills: u64,
    pub doubled: u64,
}

impl Load {
    /// `more` are further arguments.
    pub fn simulator(&self, programs: &Programs, more: &[&str]) -> Result<Simulator> {
        let mut arguments = vec!["--plain".to_owned(), "--documents".to_owned(), self.documents.to_string()];
        if self.delay_ms > 0 {
            arguments.extend(["--delay-ms".to_owned(), self.delay_ms.to_string()]);
        }
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        Simulator::start(programs, &arguments)
    }

    /// Every document moved, and none twice.
    pub fn check(&self, counts: Counts) -> Result<()> {
        if counts.bills == self.documents && counts.doubled == 0 {
            return Ok(());
        }
        let Counts { bills, doubled, .. } = counts;
        Err(Failure::new(format!("{bills} bills of {} documents, {doubled} twice", self.documents)))
    }
}
