//! `[compaction]`: when the store's files are written anew.

use jiff::SignedDuration;

use super::section::Section;

/// When the store's files are written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// Once they take so many times what their rows do. `None`: only when somebody asks.
    pub ratio: Option<u64>,
    /// Smaller files are left alone.
    pub from_bytes: u64,
    pub bytes_per_second: u64,
    pub every: SignedDuration,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            // Rows written once take twice to three times themselves in files; five times is room that nothing uses.
            ratio: Some(5),
            from_bytes: 1 << 30,
            // A gigabyte of rows in half a minute, and most of any disk's time left for commits.
            bytes_per_second: 32 << 20,
            every: SignedDuration::from_hours(6),
        }
    }
}

pub(super) fn read(section: Section<'_>) -> Compaction {
    let usual = Compaction::default();
    // Zero says "never": below three a store would be written anew for what sled takes for itself.
    let ratio = section.number("ratio", 0..=1_000);
    if let Some(ratio @ 1..3) = ratio {
        let span = section.table.get("ratio").map_or(section.span.clone(), |value| value.span());
        let message =
            format!("`ratio` of [compaction] is {ratio}, and a store that was just written takes nearly three");
        section.report.add(span, message, "write 3 or more, or 0 for never");
    }
    let from_bytes = section.number("from_bytes", 0..=1 << 50);
    let bytes_per_second = section.number("bytes_per_second", 1 << 20..=1 << 40);
    let every = section.duration("every", SignedDuration::from_secs(1)..=SignedDuration::from_hours(24 * 7));
    section.finish();
    Compaction {
        ratio: ratio.map_or(usual.ratio, |ratio| (ratio > 0).then_some(ratio)),
        from_bytes: from_bytes.unwrap_or(usual.from_bytes),
        bytes_per_second: bytes_per_second.unwrap_or(usual.bytes_per_second),
        every: every.unwrap_or(usual.every),
    }
}
