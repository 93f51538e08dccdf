//! What one scheme sees: its tables under the names that its module uses, opened at one instant for the length of a call.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::sandbox::{Lookup, References};

use super::super::tally::Follower;
use super::edition::{Edition, Entries, Revision};
use super::table::FetchedTable;

/// A scheme's tables.
#[derive(Clone, Default)]
pub struct Catalogue {
    fixed: BTreeMap<String, Arc<Entries>>,
    fetched: BTreeMap<String, Arc<FetchedTable>>,
    /// Wakes whoever waits for a table. `None` where nothing is fetched.
    changes: Option<Follower>,
}

impl Catalogue {
    pub fn new(
        fixed: BTreeMap<String, Arc<Entries>>,
        fetched: BTreeMap<String, Arc<FetchedTable>>,
        changes: Follower,
    ) -> Self {
        let changes = (!fetched.is_empty()).then_some(changes);
        Self { fixed, fetched, changes }
    }

    /// The newest edition of each table, for some calls that begin now.
    pub fn open(&self, now: Timestamp) -> Opened {
        let mut tables: BTreeMap<String, Held> =
            self.fixed.iter().map(|(name, entries)| (name.clone(), Held::Fixed(entries.clone()))).collect();
        let fetched = self.fetched.iter();
        tables.extend(fetched.map(|(name, table)| (name.clone(), Held::Fetched(table.clone(), table.edition()))));
        Opened { tables, now }
    }

    /// Grows when a fetch of one of these tables went well.
    pub fn generation(&self) -> u64 {
        self.fetched.values().map(|table| table.generation()).sum()
    }

    /// Follows the fetches that end. `None` where nothing is fetched.
    pub fn changes(&self) -> Option<Follower> {
        self.changes.clone()
    }

    pub fn fetched(&self) -> impl Iterator<Item = (&str, &Arc<FetchedTable>)> {
        self.fetched.iter().map(|(name, table)| (name.as_str(), table))
    }

    pub fn fixed(&self) -> impl Iterator<Item = (&str, &Arc<Entries>)> {
        self.fixed.iter().map(|(name, entries)| (name.as_str(), entries))
    }
}

enum Held {
    Fixed(Arc<Entries>),
    Fetched(Arc<FetchedTable>, Option<Arc<Edition>>),
}

/// A scheme's tables at one instant.
pub struct Opened {
    tables: BTreeMap<String, Held>,
    now: Timestamp,
}

impl Opened {
    /// For documents that wait since `waits_since`; they have not waited where it is `None`.
    pub fn view(&self, waits_since: Option<Timestamp>) -> View<'_> {
        View { opened: self, waits_since, quiet: false }
    }

    /// The same, for somebody who only looks: what is missed is not asked for.
    pub fn quiet_view(&self, waits_since: Option<Timestamp>) -> View<'_> {
        View { opened: self, waits_since, quiet: true }
    }

    /// When they were opened.
    pub fn at(&self) -> Timestamp {
        self.now
    }

    /// The revision of a table; `None` where there is none, or it was never fetched.
    pub fn revision(&self, table: &str) -> Option<&Revision> {
        match self.tables.get(table)? {
            Held::Fixed(entries) => Some(entries.revision()),
            Held::Fetched(_, edition) => edition.as_ref().map(|edition| edition.entries.revision()),
        }
    }
}

/// The tables as some documents see them.
pub struct View<'a> {
    opened: &'a Opened,
    waits_since: Option<Timestamp>,
    quiet: bool,
}

impl View<'_> {
    /// Whether the edition proves that a key which it does not hold is missing.
    fn proves(&self, table: &FetchedTable, edition: &Edition, key: &str) -> bool {
        match self.waits_since {
            Some(since) => edition.fetched_at >= since,
            // Somebody else asked for it, and the answer is still fresh.
            None => {
                let stale_at = edition.fetched_at.checked_add(table.miss_interval()).unwrap_or(Timestamp::MAX);
                edition.missing.contains(key) && self.opened.now < stale_at
            }
        }
    }
}

impl References for View<'_> {
    fn lookup(&self, table: &str, key: &str) -> Lookup {
        let (table, edition) = match self.opened.tables.get(table) {
            None => return Lookup::UnknownTable,
            Some(Held::Fixed(entries)) => {
                return entries.get(key).map_or(Lookup::KnownMissing, |value| Lookup::Found(value.to_owned()));
            }
            Some(Held::Fetched(table, edition)) => (table, edition),
        };
        if let Some(edition) = edition {
            match edition.entries.get(key) {
                Some(value) => return Lookup::Found(value.to_owned()),
                None if self.proves(table, edition, key) => return Lookup::KnownMissing,
                None => {}
            }
        }
        if !self.quiet {
            table.miss(key);
        }
        Lookup::Pending
    }
}
