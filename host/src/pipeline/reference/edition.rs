//! What a table holds, as it was at one time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// Which content a table has: the beginning of the content's SHA-256. The same content is the same revision, wherever
/// and whenever it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Revision(String);

impl Revision {
    fn of(content: &[u8]) -> Self {
        Self(Digest::of(content).short())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Key → JSON text. Never changes; another content is another one.
#[derive(Debug)]
pub struct Entries {
    by_key: HashMap<String, String>,
    revision: Revision,
    /// Of [`Entries::content`].
    bytes: usize,
}

impl Entries {
    /// With the bytes that it is stored as.
    pub fn with_content(entries: BTreeMap<String, String>) -> (Self, Vec<u8>) {
        // Sorted by key, so that the order in which a vendor lists its rows makes no other revision.
        let content = serde_json::to_vec(&entries).expect("texts always have a JSON form");
        let revision = Revision::of(&content);
        (Self { by_key: entries.into_iter().collect(), revision, bytes: content.len() }, content)
    }

    pub fn new(entries: BTreeMap<String, String>) -> Self {
        Self::with_content(entries).0
    }

    pub fn from_content(content: &[u8]) -> Result<Self, serde_json::Error> {
        let by_key = serde_json::from_slice(content)?;
        Ok(Self { by_key, revision: Revision::of(content), bytes: content.len() })
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.by_key.get(key).map(String::as_str)
    }
    /// The first entries in the order of their keys.
    pub fn first(&self, count: usize) -> Vec<(&str, &str)> {
        let mut all: Vec<(&str, &str)> =
            self.by_key.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        all.sort_unstable();
        all.truncate(count);
        all
    }
    pub fn len(&self) -> usize {
        self.by_key.len()
    }
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
    pub fn revision(&self) -> &Revision {
        &self.revision
    }
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// One fetch's result.
#[derive(Debug)]
pub struct Edition {
    pub entries: Entries,
    /// When the fetch began: what was added to the source before then is in it.
    pub fetched_at: Timestamp,
    /// When this content was first seen.
    pub changed_at: Timestamp,
    /// Keys that were asked for before the fetch began, and that it did not bring.
    pub missing: HashSet<String>,
}
