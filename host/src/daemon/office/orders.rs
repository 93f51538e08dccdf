//! Carries out what a person wants done with one document.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Digest;
use crate::pipeline::command::{Command, CommandError, Order};
use crate::pipeline::ledger::Error as LedgerError;
use crate::pipeline::round::commit_round;
use crate::pipeline::step::{Moment, RetryMode};
use crate::state::Table;

use super::desk::{Desk, Works};
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
    /// Retry with this module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Digest>,
    /// Who wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Office {
    /// Returns the version that the command applied to.
    pub async fn command(&self, request: &CommandRequest) -> Result<u64, OfficeError> {
        let command = match (&request.discard, request.retry) {
            (Some(reason), None) => Command::Discard { reason: reason.clone() },
            (None, Some(mode)) => Command::Retry { mode, module: request.module },
            _ => return Err(OfficeError::NotUsable("either retry or discard".into())),
        };
        let (desk, key, _) = self.find(request.scheme.as_deref(), &request.key)?;
        let order = Order { key, version: request.version, command, by: request.by.clone() };
        desk.order(order, (self.now)()).await
    }
}

impl Desk {
    /// Has the driver carry the order out, where one is at work. Returns the version that it applied to.
    pub(super) async fn order(&self, order: Order, now: Timestamp) -> Result<u64, OfficeError> {
        // Held to the end where nobody is at work, so that nobody begins meanwhile.
        let seat = self.seat.lock().await;
        if let Some(handle) = seat.clone() {
            drop(seat);
            return Ok(handle.command(order).await?);
        }
        let Works { destination, rules, .. } = self.at_work()?;
        // The state changes now, and what follows from it is taken up at the next start.
        let key = order.key.clone();
        let (version, work) = order.work(self.ledger.subject(&key)?.as_ref())?;
        let moment = Moment { now, dice: 0, at_work_since: now };
        let settled = commit_round(&self.ledger, destination, rules, moment, &[work], None).await;
        let mut settled = match settled {
            Err(LedgerError::Conflict(Table::Bodies)) => return Err(CommandError::Changed(key).into()),
            settled => settled?,
        };
        match settled.refusals.remove(&0) {
            Some(refusal) => Err(CommandError::from(refusal).into()),
            None => Ok(version),
        }
    }
}
