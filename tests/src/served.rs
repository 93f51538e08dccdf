//! The record of what left a source: every version of every document, and how often.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

#[derive(Debug, Default)]
pub struct Served {
    entries: Vec<Entry>,
    /// Where (document, version) stands in `entries`.
    at: HashMap<(usize, u32), usize>,
}

#[derive(Debug)]
struct Entry {
    facts: Map<String, Value>,
    count: u64,
    /// How often in an answer that no fault touched: only these surely reached the client.
    intact: u64,
}

impl Served {
    /// `facts` are asked for at the version's first leaving only.
    pub fn note(&mut self, document: usize, version: u32, intact: bool, facts: impl FnOnce() -> Map<String, Value>) {
        let at = *self.at.entry((document, version)).or_insert_with(|| {
            self.entries.push(Entry { facts: facts(), count: 0, intact: 0 });
            self.entries.len() - 1
        });
        self.entries[at].count += 1;
        self.entries[at].intact += u64::from(intact);
    }

    /// In the order of first leaving.
    pub fn listed(&self) -> Value {
        let listed = self.entries.iter().map(|entry| {
            let mut facts = entry.facts.clone();
            facts.insert("count".to_owned(), json!(entry.count));
            facts.insert("intact".to_owned(), json!(entry.intact));
            Value::Object(facts)
        });
        Value::Array(listed.collect())
    }
}
