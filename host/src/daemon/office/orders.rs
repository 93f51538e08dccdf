//! Carries out what a person wants done with one document.

use serde::{Deserialize, Serialize};

use crate::pipeline::driver::{Command, CommandError};
use crate::pipeline::round::{Work, commit_round};
use crate::pipeline::step::{Event, Moment, RetryMode};

use super::desk::Works;
use super::{Office, OfficeError};

/// What a person wants done with a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommandRequest {
    pub scheme: Option<String>,
    pub key: String,
    pub version: Option<u64>,
    /// Discard with this reason; retry where absent.
    pub discard: Option<String>,
    pub retry: Option<RetryMode>,
}

impl Office {
    /// Returns the version that the command applied to.
    pub async fn command(&self, request: &CommandRequest) -> Result<u64, OfficeError> {
        let command = match (&request.discard, request.retry) {
            (Some(reason), None) => Command::Discard { reason: reason.clone() },
            (None, Some(mode)) => Command::Retry(mode),
            _ => return Err(OfficeError::NotUsable("either retry or discard".into())),
        };
        let (desk, key, subject) = self.find(request.scheme.as_deref(), &request.key)?;
        // Held to the end where nobody is at work, so that nobody begins meanwhile.
        let seat = desk.seat.lock().await;
        if let Some(handle) = seat.clone() {
            drop(seat);
            return Ok(handle.command(key, request.version, command).await?);
        }
        let Works { destination, rules, .. } = desk.at_work()?;
        // Nobody is at work: the state changes now, and what follows from it is taken up at the next start.
        let newest = subject.newest_to_command();
        let version = request.version.or(newest).ok_or_else(|| CommandError::NothingParked(key.clone()))?;
        let event = match command {
            Command::Retry(mode) => Event::Retry { version, mode },
            Command::Discard { reason } => Event::Discard { version, reason },
        };
        let now = (self.now)();
        let moment = Moment { now, dice: 0, at_work_since: now };
        let works = [Work::new(key, event)];
        let mut settled = commit_round(&desk.ledger, destination, rules, moment, &works, None).await?;
        match settled.refusals.remove(&0) {
            Some(refusal) => Err(CommandError::from(refusal).into()),
            None => Ok(version),
        }
    }
}
