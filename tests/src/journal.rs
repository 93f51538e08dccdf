//! What was asked and how it ended: counters for ever, the last requests one by one. Never a secret.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

/// Requests kept one by one; older ones live on in the counters.
const KEPT: usize = 5000;

#[derive(Debug, Default)]
pub struct Journal {
    counters: BTreeMap<(String, String, String), u64>,
    total: u64,
    last: VecDeque<Value>,
}

/// One finished request.
#[derive(Debug)]
pub struct Entry<'a> {
    pub at: Timestamp,
    pub system: &'a str,
    pub operation: &'a str,
    pub outcome: &'a str,
    pub faults: Vec<&'static str>,
    pub note: Value,
}

impl Journal {
    pub fn record(&mut self, entry: Entry<'_>) {
        self.total += 1;
        let key = (entry.system.to_owned(), entry.operation.to_owned(), entry.outcome.to_owned());
        *self.counters.entry(key).or_default() += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(json!({
            "n": self.total, "at": entry.at.to_string(), "system": entry.system, "operation": entry.operation,
            "outcome": entry.outcome, "faults": entry.faults, "note": entry.note,
        }));
    }

    pub fn counters(&self) -> Value {
        let counters: Vec<_> = self
            .counters
            .iter()
            .map(|((system, operation, outcome), count)| {
                json!({"system": system, "operation": operation, "outcome": outcome, "count": count})
            })
            .collect();
        json!({"total": self.total, "counters": counters})
    }

    pub fn last(&self) -> Value {
        json!({"total": self.total, "requests": self.last})
    }
}
