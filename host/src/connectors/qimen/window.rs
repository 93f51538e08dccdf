//! Reading a window whose records move while it is read: what several ERPs behind the gateway have in common.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::connectors::SourceDocument;
use crate::model::Digest;

/// What shows that a pass over a window missed nothing: the vendor's count never changed, as many records came as it
/// says, and none came twice. A record that moved from a page not yet read to one already read would be missed, and
/// then either a number or a key gives it away.
#[derive(Debug)]
pub struct Tally {
    expected: u64,
    rows: u64,
    keys: HashSet<Digest>,
    moved: bool,
}

impl Tally {
    pub fn new(expected: u64) -> Self {
        Self { expected, rows: 0, keys: HashSet::new(), moved: false }
    }

    /// One page: the count that stands on it, where one does, and its records.
    pub fn add<'a>(&mut self, count: Option<u64>, documents: impl IntoIterator<Item = &'a SourceDocument>) {
        self.moved |= count.is_some_and(|count| count != self.expected);
        for document in documents {
            self.rows += 1;
            let identity = document.key.as_ref().map_or(document.body.as_str(), |key| key.as_str());
            self.moved |= !self.keys.insert(Digest::of(identity));
        }
    }

    pub fn is_undisturbed(&self) -> bool {
        !self.moved && self.rows == self.expected
    }
}

/// Whole seconds, outwards: the vendors know no smaller unit, and what is read twice costs nothing.
pub fn whole_seconds(start: Timestamp, end: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let floor = Timestamp::from_second(start.as_second() - i64::from(start.subsec_nanosecond() < 0)).ok()?;
    let ceiling = Timestamp::from_second(end.as_second() + i64::from(end.subsec_nanosecond() > 0)).ok()?;
    Some((floor, ceiling))
}
