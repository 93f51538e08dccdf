//! What a reconciliation says: entries for a person, counts for the books.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connectors::Difference;

use super::judge::Class;

/// What is to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// One document or bill that a person may want to look at. Masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub class: Class,
    /// The document's key; none for a bill that no document has.
    pub document: Option<String>,
    /// The bill's number; none for a document without one.
    pub bill: Option<String>,
    pub reason: String,
    /// The fault's code, where the document is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// The counts, and what could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Documents that the source served for the span.
    pub documents: u64,
    /// Bills that the target listed for the days of the span.
    pub listed: u64,
    /// Of those, bills that the ledger knows by another scheme.
    pub of_other_schemes: u64,
    pub agrees: u64,
    pub missing: u64,
    pub differs: u64,
    pub foreign: u64,
    pub not_served: u64,
    pub left_out: u64,
    pub not_asked: u64,
    /// What this could not answer, in words.
    pub unanswered: Vec<String>,
}

impl Totals {
    pub fn count(&self, class: Class) -> u64 {
        match class {
            Class::Agrees => self.agrees,
            Class::Missing => self.missing,
            Class::Differs => self.differs,
            Class::Foreign => self.foreign,
            Class::NotServed => self.not_served,
            Class::LeftOut => self.left_out,
            Class::NotAsked => self.not_asked,
        }
    }

    pub fn differences(&self) -> u64 {
        Class::ALL.into_iter().filter(|class| class.is_difference()).map(|class| self.count(class)).sum()
    }

    pub(super) fn add(&mut self, class: Class) {
        *match class {
            Class::Agrees => &mut self.agrees,
            Class::Missing => &mut self.missing,
            Class::Differs => &mut self.differs,
            Class::Foreign => &mut self.foreign,
            Class::NotServed => &mut self.not_served,
            Class::LeftOut => &mut self.left_out,
            Class::NotAsked => &mut self.not_asked,
        } += 1;
    }
}

/// What a reconciliation says while it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// How far the source was read, and how many documents came.
    Progress { read_to: Timestamp, documents: u64 },
    /// Everything but what agrees.
    Entry(Entry),
    /// The last line of one that came to its end.
    Totals(Totals),
    /// The last line of one that did not, and why.
    Unfinished(String),
}
