//! What is looked at once a second while an engine works.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::proof::engine::Engine;
use crate::proof::process::{bytes_below, usage};
use crate::proof::{Failure, Result};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    pub second: u64,
    /// Documents that came to an end, as the engine counts them, and those that wait for one.
    pub done: u64,
    pub backlog: u64,
    pub resident_kib: u64,
    pub descriptors: u64,
    pub store_bytes: u64,
    pub log_bytes: u64,
}

pub struct Sampler {
    data: PathBuf,
    logs: PathBuf,
    began: Instant,
    due: Instant,
    pub samples: Vec<Sample>,
}

impl Sampler {
    /// `directory` is where a proof keeps its engine's data and logs.
    pub fn new(directory: &Path) -> Self {
        let (data, logs) = (directory.join("data"), directory.join("logs"));
        Self { data, logs, began: Instant::now(), due: Instant::now(), samples: Vec::new() }
    }

    /// Looks, where a second has passed since the last time. An engine that has ended is a failure.
    pub fn look(&mut self, engine: &mut Engine) -> Result<()> {
        if Instant::now() < self.due {
            return Ok(());
        }
        if let Some(status) = engine.has_ended() {
            return Err(engine.tell(Failure::new(format!("the engine ended by itself: {status}"))));
        }
        self.due = Instant::now() + PAUSE;
        let usage = usage(engine.id())?;
        self.samples.push(Sample {
            second: self.began.elapsed().as_secs(),
            done: engine.counted("crossdock_documents_total", &[])?,
            backlog: engine.counted("crossdock_backlog_documents", &[])?,
            resident_kib: usage.resident_kib,
            descriptors: usage.descriptors,
            store_bytes: bytes_below(&self.data),
            log_bytes: bytes_below(&self.logs),
        });
        Ok(())
    }

    /// As the last look found it.
    pub fn last(&self) -> Sample {
        self.samples.last().copied().unwrap_or_default()
    }

    /// The most that a figure ever was.
    pub fn most(&self, of: fn(&Sample) -> u64) -> u64 {
        self.samples.iter().map(of).max().unwrap_or(0)
    }
}
