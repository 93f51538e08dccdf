//! The ledger as `crossdock document list --format json` prints it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Failure, Result};

/// The newest version of one document.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub scheme: String,
    pub key: String,
    pub version: u64,
    pub state: String,
    pub code: Option<String>,
    pub message: Option<String>,
    pub targets: Vec<Bill>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Bill {
    pub key: String,
    pub attempts: u32,
    /// The target was asked what became of it.
    pub verified: bool,
    pub state: String,
}

/// By document key. A proof looks at one scheme at a time.
pub type Entries = BTreeMap<String, Entry>;

/// One JSON object a line, of one scheme.
pub fn parse(lines: &str) -> Result<Entries> {
    Ok(parse_all(lines)?.into_values().flatten().collect())
}

/// One JSON object a line, by scheme.
pub fn parse_all(lines: &str) -> Result<BTreeMap<String, Entries>> {
    let mut all = BTreeMap::<String, Entries>::new();
    for line in lines.lines() {
        let entry: Entry = serde_json::from_str(line)
            .map_err(|error| Failure::new(format!("`document list` printed {line:?}, which is no entry: {error}")))?;
        all.entry(entry.scheme.clone()).or_default().insert(entry.key.clone(), entry);
    }
    Ok(all)
}

impl Entry {
    /// Whether the engine has something left to do with it.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state.as_str(), "received" | "held" | "writing" | "verifying")
    }

    /// Whether it stands for a bill of one of these numbers, written or not.
    pub fn has_bill_of(&self, numbers: &BTreeSet<&str>) -> bool {
        let taken = self.code.as_deref() == Some("target_key_taken");
        !taken && self.targets.iter().any(|bill| numbers.contains(bill.key.as_str()))
    }

    /// Bills whose fate nobody knows.
    pub fn in_doubt(&self) -> impl Iterator<Item = &Bill> {
        self.targets.iter().filter(|bill| matches!(bill.state.as_str(), "sent" | "asking" | "to be sent again"))
    }

    /// In one line, for the story of a failure.
    pub fn story(&self) -> String {
        let bills: Vec<String> = self
            .targets
            .iter()
            .map(|bill| {
                let asked = if bill.verified { ", asked about" } else { "" };
                format!("{} {} after {} attempts{asked}", bill.key, bill.state, bill.attempts)
            })
            .collect();
        let told = [self.code.as_deref(), self.message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        format!("version {} is {} [{}] {told}", self.version, self.state, bills.join(", "))
    }
}
