//! The host's side of the contract, in process, for `cargo test` off WebAssembly: look-ups answer from a map, log lines
//! are gathered, and [`Cases`] runs a folder of cases. It has no limits but that of the log and counts no fuel; the
//! sandbox does that.

mod case;
mod cases;
mod exact;
mod expected;

use std::cell::RefCell;
use std::collections::BTreeMap;

pub use crate::log::Level;
pub use case::{Case, EXAMPLE};
pub use cases::{Cases, Unreadable};
pub use exact::{Difference, differences};
pub use expected::{Bill, Expected, Why};

/// What the host would answer: tables by name, each a map from key to JSON text. A table that is not there is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    tables: BTreeMap<String, BTreeMap<String, String>>,
}

impl Host {
    /// Adds a table without entries: every look-up in it finds nothing.
    pub fn with_table(mut self, table: &str) -> Self {
        self.tables.entry(table.into()).or_default();
        self
    }
    /// Adds one entry, as JSON text.
    pub fn with_entry(mut self, table: &str, key: &str, json: &str) -> Self {
        self.tables.entry(table.into()).or_default().insert(key.into(), json.into());
        self
    }
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
    static LINES: RefCell<Vec<(Level, String)>> = RefCell::default();
}

/// Runs `body` with this host and gives back its result and the lines it logged. Without it, on the same thread, there
/// are no tables and lines go nowhere that anybody looks.
pub fn with_host<T>(host: Host, body: impl FnOnce() -> T) -> (T, Vec<(Level, String)>) {
    HOST.set(host);
    LINES.take();
    let result = body();
    HOST.take();
    (result, LINES.take())
}

/// What the host keeps of one call's log; more is dropped.
const LOG_LINES_LIMIT: usize = 100;
const LOG_LIMIT_BYTES: usize = 16 << 10;

pub(crate) fn record(level: Level, message: String) {
    LINES.with_borrow_mut(|lines| {
        let bytes: usize = lines.iter().map(|(_, line)| line.len()).sum();
        if lines.len() < LOG_LINES_LIMIT && bytes + message.len() <= LOG_LIMIT_BYTES {
            lines.push((level, message));
        }
    });
}

pub(crate) fn answer(table: &str, key: &str) -> Option<Option<String>> {
    HOST.with_borrow(|host| host.tables.get(table).map(|entries| entries.get(key).cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_what_was_logged_and_starts_afresh_each_time() {
        let (_, lines) = with_host(Host::default(), || crate::log::warn("one"));
        assert_eq!(lines, [(Level::Warn, "one".to_owned())]);
        let (_, lines) = with_host(Host::default(), || ());
        assert_eq!(lines, []);
    }

    #[test]
    fn keeps_as_much_of_a_flood_of_lines_as_the_host_does() {
        let (_, lines) = with_host(Host::default(), || {
            crate::log::info("x".repeat(1 << 20));
            (0..1_000).for_each(crate::log::info);
        });
        assert_eq!((lines.len(), lines[0].1.as_str()), (100, "0"));
    }
}
