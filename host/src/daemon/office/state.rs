//! What state a document is in, in one word.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::pipeline::subject::{End, Fate, Phase, Version};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    Received,
    Held,
    Writing,
    /// A write whose fate is being asked.
    Verifying,
    Parked,
    Written,
    Unchanged,
    Skipped,
    Ignored,
    Superseded,
    Discarded,
}

impl DocumentState {
    pub const ALL: [DocumentState; 11] = [
        DocumentState::Received,
        DocumentState::Held,
        DocumentState::Writing,
        DocumentState::Verifying,
        DocumentState::Parked,
        DocumentState::Written,
        DocumentState::Unchanged,
        DocumentState::Skipped,
        DocumentState::Ignored,
        DocumentState::Superseded,
        DocumentState::Discarded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            DocumentState::Received => "received",
            DocumentState::Held => "held",
            DocumentState::Writing => "writing",
            DocumentState::Verifying => "verifying",
            DocumentState::Parked => "parked",
            DocumentState::Written => "written",
            DocumentState::Unchanged => "unchanged",
            DocumentState::Skipped => "skipped",
            DocumentState::Ignored => "ignored",
            DocumentState::Superseded => "superseded",
            DocumentState::Discarded => "discarded",
        }
    }

    pub(super) fn is_open(self) -> bool {
        match self {
            DocumentState::Received
            | DocumentState::Held
            | DocumentState::Writing
            | DocumentState::Verifying
            | DocumentState::Parked => true,
            DocumentState::Written
            | DocumentState::Unchanged
            | DocumentState::Skipped
            | DocumentState::Ignored
            | DocumentState::Superseded
            | DocumentState::Discarded => false,
        }
    }

    pub fn of(version: &Version) -> Self {
        match &version.phase {
            Phase::Received { .. } => DocumentState::Received,
            Phase::Held => DocumentState::Held,
            Phase::Writing { targets } if targets.iter().any(|t| matches!(t.fate, Fate::Asking { .. })) => {
                DocumentState::Verifying
            }
            Phase::Writing { .. } => DocumentState::Writing,
            Phase::Parked { .. } => DocumentState::Parked,
            Phase::Done { end, .. } => match end {
                End::Written => DocumentState::Written,
                End::Unchanged => DocumentState::Unchanged,
                End::Skipped(_) => DocumentState::Skipped,
                End::Ignored => DocumentState::Ignored,
                End::Superseded { .. } => DocumentState::Superseded,
                End::Discarded { .. } => DocumentState::Discarded,
            },
        }
    }
}
