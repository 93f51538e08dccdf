//! What one scheme may use, where it differs from the engine's own limits.

use super::section::Section;

/// Overrides; `None` leaves the engine's own. The names are those that a fault's `limit` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Units of wasmtime's fuel for one document.
    pub fuel: Option<u64>,
    pub deadline_ms: Option<u64>,
    pub memory_limit_bytes: Option<u64>,
    /// Elements of all tables of one instance.
    pub table_elements_limit: Option<u64>,
    /// Bytes of one call's target documents together.
    pub output_limit_bytes: Option<u64>,
    pub output_documents_limit: Option<u64>,
    /// Calls of the host's functions in one call.
    pub host_calls_limit: Option<u64>,
    /// Bytes of one call's look-up answers together.
    pub lookup_limit_bytes: Option<u64>,
    pub log_lines_limit: Option<u64>,
    /// Bytes of one call's log lines together.
    pub log_limit_bytes: Option<u64>,
}

pub(super) fn read(scheme: &Section<'_>) -> Limits {
    let Some(section) = scheme.section("limits", "write limits = { fuel = 200000000, deadline_ms = 2000 }") else {
        return Limits::default();
    };
    let limits = Limits {
        // Ten thousand do not start a Rust guest; a million million is two minutes of pure arithmetic.
        fuel: section.number("fuel", 10_000..=1_000_000_000_000),
        // Two ticks of the 10 ms clock at least, else a call may end before it begins.
        deadline_ms: section.number("deadline_ms", 20..=600_000),
        // One page of 64 KiB is the smallest memory; a gibibyte is more than a whole pool should spend on one.
        memory_limit_bytes: section.number("memory_limit_bytes", 64 << 10..=1 << 30),
        table_elements_limit: section.number("table_elements_limit", 1..=1_000_000),
        output_limit_bytes: section.number("output_limit_bytes", 1 << 10..=64 << 20),
        output_documents_limit: section.number("output_documents_limit", 1..=100_000),
        host_calls_limit: section.number("host_calls_limit", 1..=10_000_000),
        lookup_limit_bytes: section.number("lookup_limit_bytes", 1 << 10..=64 << 20),
        log_lines_limit: section.number("log_lines_limit", 0..=100_000),
        log_limit_bytes: section.number("log_limit_bytes", 0..=1 << 20),
    };
    section.finish();
    limits
}
