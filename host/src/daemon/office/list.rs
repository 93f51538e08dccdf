//! Lists the ledger's documents, a line each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::DocumentKey;
use crate::pipeline::subject::{End, Fate, Phase, Subject, TargetWrite, Version};
use crate::telemetry::mask_text;

use super::{Desk, DocumentState, Office, OfficeError};

/// Which documents to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Filter {
    #[serde(default)]
    pub scheme: Option<String>,
    /// Every state where empty.
    #[serde(default)]
    pub states: Vec<DocumentState>,
    /// Begin after this key.
    #[serde(default)]
    pub after: Option<String>,
    #[serde(default)]
    pub limit: Option<usize>,
}

/// One line of a list: the newest version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub scheme: String,
    pub key: String,
    pub version: u64,
    pub state: DocumentState,
    pub code: Option<String>,
    pub message: Option<String>,
    pub received_at: Timestamp,
    pub targets: Vec<Bill>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    pub key: String,
    pub attempts: u32,
    /// The target was asked what became of it.
    pub verified: bool,
    pub state: String,
}

/// Documents in one list where nothing is said.
const LIST_LIMIT: usize = 100;

impl Office {
    pub fn list(&self, filter: &Filter) -> Result<Vec<Summary>, OfficeError> {
        let limit = filter.limit.unwrap_or(LIST_LIMIT);
        let mut found = Vec::new();
        for desk in self.chosen(filter.scheme.as_deref())? {
            let mut after = filter.after.as_deref().and_then(|key| DocumentKey::new(key).ok());
            // The index of unfinished documents answers for the states that it holds, without a walk over the rest.
            let only_open = !filter.states.is_empty() && filter.states.iter().all(|state| state.is_open());
            while found.len() < limit {
                let keys: Vec<(DocumentKey, Subject)> = if only_open {
                    let mut subjects = Vec::new();
                    for (key, _) in desk.ledger.open(after.as_ref(), 500)? {
                        let subject = desk.ledger.subject(&key)?.unwrap_or_default();
                        subjects.push((key, subject));
                    }
                    subjects
                } else {
                    desk.ledger.subjects(after.as_ref(), 500)?
                };
                let Some((last, _)) = keys.last() else { break };
                after = Some(last.clone());
                for (key, subject) in &keys {
                    let Some(version) = shown(subject, &filter.states) else { continue };
                    found.push(desk.summary(key, version));
                }
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

impl Desk {
    pub(super) fn summary(&self, key: &DocumentKey, version: &Version) -> Summary {
        let mut summary = summary(self.scheme.as_str(), key, version);
        if let Some((code, message)) = self.waits(version) {
            (summary.code, summary.message) = (Some(code.to_string()), Some(message));
        }
        summary
    }
}

/// The newest version in one of the states; the newest of all where none is named.
fn shown<'a>(subject: &'a Subject, states: &[DocumentState]) -> Option<&'a Version> {
    let wanted = |version: &&Version| states.is_empty() || states.contains(&DocumentState::of(version));
    subject.versions.iter().rev().find(wanted)
}

pub(super) fn bills(version: &Version) -> &[TargetWrite] {
    match &version.phase {
        Phase::Writing { targets } | Phase::Parked { targets, .. } | Phase::Done { targets, .. } => targets,
        Phase::Received { .. } | Phase::Held => &[],
    }
}

fn summary(scheme: &str, key: &DocumentKey, version: &Version) -> Summary {
    let (code, message) = match &version.phase {
        Phase::Parked { fault, .. } => (Some(fault.code.to_string()), Some(mask_text(&fault.to_string()))),
        Phase::Done { end: End::Skipped(reason), .. } => (Some(reason.code.clone()), Some(mask_text(&reason.message))),
        Phase::Done { end: End::Discarded { reason }, .. } => (None, Some(reason.clone())),
        Phase::Done { end: End::Superseded { by }, .. } => (None, Some(format!("by version {by}"))),
        Phase::Done { end: End::Written | End::Unchanged | End::Ignored, .. }
        | Phase::Received { .. }
        | Phase::Held
        | Phase::Writing { .. } => (None, None),
    };
    let targets = bills(version)
        .iter()
        .map(|write| Bill {
            key: write.key.to_string(),
            attempts: write.attempt,
            verified: write.verified,
            state: match &write.fate {
                Fate::Ready => "ready",
                Fate::Intended { .. } => "sent",
                Fate::Asking { .. } => "asking",
                Fate::Resend { .. } => "to be sent again",
                Fate::Written => "written",
                Fate::Unchanged => "unchanged",
                Fate::Stopped { .. } => "stopped",
            }
            .into(),
        })
        .collect();
    Summary {
        scheme: scheme.into(),
        key: key.to_string(),
        version: version.number,
        state: DocumentState::of(version),
        code,
        message,
        received_at: version.received_at,
        targets,
    }
}
