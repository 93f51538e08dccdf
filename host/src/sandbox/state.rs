//! What a store holds beside the guest: the limiter, and what one call has used and left behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::admission::Shift;
use super::error::Error;
use super::limiter::Limiter;
use super::limits::Limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// A line that a guest wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub level: Level,
    pub message: String,
}

/// What the host knows of one entry of a reference table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup {
    /// The entry as JSON text.
    Found(String),
    KnownMissing,
    UnknownTable,
    /// Not known yet: ends the call as [`Error::ReferencePending`].
    Pending,
}

/// The scheme's reference tables, at one revision for the length of a call.
pub trait References: Send + Sync {
    fn lookup(&self, table: &str, key: &str) -> Lookup;
}

/// A scheme without reference tables.
pub struct NoReferences;

impl References for NoReferences {
    fn lookup(&self, _: &str, _: &str) -> Lookup {
        Lookup::UnknownTable
    }
}

/// The data of a store.
pub struct RunState {
    pub limiter: Limiter,
    /// While the guest has a core.
    pub shift: Option<Shift>,
    pub call: CallState,
    /// Really borrowed for the length of one transform; [`super::run`] sees to it that the store does not outlive it.
    pub references: &'static dyn References,
}

/// What belongs to one document; replaced for each, also where the instance stays.
pub struct CallState {
    pub limits: Limits,
    pub host_call_fuel: u64,
    pub host_calls: u64,
    pub lookup_bytes: u64,
    pub lookups: BTreeMap<(String, String), Lookup>,
    pub log: Log,
    /// Whole seconds since 1970, UTC: where the guest's clock stands.
    pub received_at_s: u64,
    pub random: Random,
    /// Why the host ended the call, where it did. wasmtime's error only carries it out.
    pub ended: Option<Error>,
}

/// The log of one call, within its caps.
#[derive(Debug, Default)]
pub struct Log {
    pub lines: Vec<LogLine>,
    pub dropped: u64,
    bytes: u64,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Log {
    /// Keeps the line, or counts it as dropped. Never fails: logging must not change an outcome.
    pub fn write(&mut self, level: Level, message: &str, limits: &Limits) {
        let bytes = self.bytes.saturating_add(message.len() as u64);
        if self.lines.len() as u64 >= limits.log_lines_limit || bytes > limits.log_limit_bytes {
            self.dropped += 1;
            return;
        }
        self.bytes = bytes;
        self.lines.push(LogLine { level, message: message.into() });
    }

    /// What a guest prints becomes a log line at each line feed.
    pub fn print(&mut self, level: Level, bytes: &[u8], limits: &Limits) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let part = if level == Level::Info { &mut self.out } else { &mut self.err };
            // A line that never ends is kept to one byte over the cap, so that it is dropped as too long.
            let room = super::engine::to_usize(limits.log_limit_bytes.saturating_add(1)).saturating_sub(part.len());
            part.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line(level, limits);
            }
        }
    }

    /// The unfinished lines of both streams.
    pub fn finish(&mut self, limits: &Limits) {
        for level in [Level::Info, Level::Warn] {
            self.end_line(level, limits);
        }
    }

    fn end_line(&mut self, level: Level, limits: &Limits) {
        let part = if level == Level::Info { &mut self.out } else { &mut self.err };
        let line = String::from_utf8_lossy(&std::mem::take(part)).trim_end().to_owned();
        if !line.is_empty() {
            self.write(level, &line, limits);
        }
    }
}

/// Bytes that look random and are the same for the same document: SHA-256 of seed and counter.
pub struct Random {
    /// Hashed when somebody asks: hardly any mapping does, and every document has one of these.
    key: String,
    seed: Option<[u8; 32]>,
    counter: u64,
}

impl Random {
    pub fn seeded(key: &str) -> Self {
        Self { key: key.to_owned(), seed: None, counter: 0 }
    }

    pub fn fill(&mut self, mut bytes: &mut [u8]) {
        let key = &self.key;
        let seed = *self.seed.get_or_insert_with(|| {
            Sha256::digest([b"crossdock wasi random 1\0".as_slice(), key.as_bytes()].concat()).into()
        });
        while !bytes.is_empty() {
            let block = Sha256::new().chain_update(seed).chain_update(self.counter.to_le_bytes()).finalize();
            self.counter += 1;
            let (now, later) = bytes.split_at_mut(bytes.len().min(block.len()));
            now.copy_from_slice(&block[..now.len()]);
            bytes = later;
        }
    }

    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
