//! What a person asks for one document, and the event that it becomes.

use std::sync::Arc;

use crate::model::{Digest, DocumentKey};

use super::erasure::Clearance;
use super::round::Work;
use super::step::{Event, Refusal, RetryMode};
use super::subject::Subject;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `module`: the version runs with this one from now on, and not with the scheme's.
    Retry {
        mode: RetryMode,
        module: Option<Digest>,
    },
    Discard {
        reason: String,
    },
    /// Another body in the place of a parked version's.
    Edit {
        body: Arc<str>,
    },
    /// Nothing stays of the document but its fingerprint.
    Erase {
        reason: String,
        clearance: Clearance,
    },
}

/// A command, for whom, and who gave it.
#[derive(Debug, Clone)]
pub struct Order {
    pub key: DocumentKey,
    /// The newest parked one, where none is named.
    pub version: Option<u64>,
    pub command: Command,
    pub by: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the scheme has no document {0}")]
    NoSuchDocument(DocumentKey),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("document {0} has no parked version")]
    NothingParked(DocumentKey),
    /// What was looked up for the command is out of date.
    #[error("document {0} changed meanwhile; ask again")]
    Changed(DocumentKey),
    #[error("the scheme has stopped: {0}")]
    Stopped(String),
}

impl Command {
    /// Another try with the scheme's module.
    pub fn retry(mode: RetryMode) -> Self {
        Command::Retry { mode, module: None }
    }
}

impl Order {
    /// Of nobody in particular, for the newest parked version.
    pub fn new(key: DocumentKey, command: Command) -> Self {
        Self { key, version: None, command, by: None }
    }

    /// What the order comes to for a document as it stands now, and the version that it is about.
    pub fn work(self, subject: Option<&Subject>) -> Result<(u64, Work), CommandError> {
        let Order { key, version, command, by } = self;
        let Some(subject) = subject else { return Err(CommandError::NoSuchDocument(key)) };
        if let Command::Erase { reason, clearance } = command {
            // Between the look and now it may have taken in what nobody looked for.
            if clearance.events != subject.events {
                return Err(CommandError::Changed(key));
            }
            let latest = subject.latest().map_or(0, |latest| latest.number);
            let mut work = Work::new(key, Event::Erased { reason, by });
            work.clearance = Some(clearance);
            return Ok((latest, work));
        }
        let Some(version) = version.or_else(|| subject.newest_to_command()) else {
            return Err(CommandError::NothingParked(key));
        };
        let (event, bodies) = match command {
            Command::Retry { mode, module } => (Event::Retry { version, mode, module, by }, Vec::new()),
            Command::Discard { reason } => (Event::Discard { version, reason, by }, Vec::new()),
            Command::Edit { body } => {
                let digest = Digest::of(body.as_bytes());
                (Event::Edited { version, body: digest, by }, vec![(digest, body)])
            }
            Command::Erase { .. } => unreachable!("answered above"),
        };
        Ok((version, Work { bodies, ..Work::new(key, event) }))
    }
}
