//! Recorded look-ups as reference tables.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Asked;
use crate::sandbox::{Lookup, References};

/// Answers what was answered before. What was not asked then is not known: it ends the run, and is remembered.
pub struct Answers {
    by_key: BTreeMap<(String, String), Lookup>,
    missed: Mutex<Option<(String, String)>>,
}

impl Answers {
    pub fn new(lookups: &[Asked]) -> Self {
        let of = |asked: &Asked| ((asked.table.clone(), asked.key.clone()), asked.answer.clone());
        Self { by_key: lookups.iter().map(of).collect(), missed: Mutex::new(None) }
    }

    /// The first look-up that was not recorded.
    pub fn missed(&self) -> Option<(String, String)> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl References for Answers {
    fn lookup(&self, table: &str, key: &str) -> Lookup {
        let asked = (table.to_owned(), key.to_owned());
        if let Some(answer) = self.by_key.get(&asked) {
            return answer.clone();
        }
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(asked);
        Lookup::Pending
    }
}
