//! Carries out what a person wants done with one document.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Digest;
use crate::pipeline::command::{Command, CommandError, Order};
use crate::pipeline::ledger::Error as LedgerError;
use crate::pipeline::round::commit_round;
use crate::pipeline::step::{Moment, RetryMode};
use crate::state::Table;

use super::{Desk, Office, OfficeError};

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
        Ok(desk.order(order, (self.now)()).await??)
    }
}

impl Desk {
    /// Has the driver carry the order out, where one is at work.
    pub(super) async fn order(&self, order: Order, now: Timestamp) -> Result<Result<u64, CommandError>, LedgerError> {
        let handle = self.handle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(handle) = handle {
            return Ok(handle.command(order).await);
        }
        // Nobody is at work: the state changes now, and what follows from it is taken up at the next start.
        let key = order.key.clone();
        let subject = self.ledger.subject(&key)?;
        let (version, work) = match order.work(subject.as_ref()) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let moment = Moment { now, dice: 0, at_work_since: now };
        let settled = commit_round(&self.ledger, &self.destination, &self.rules, moment, &[work], None).await;
        let mut settled = match settled {
            Err(LedgerError::Conflict(Table::Bodies)) => return Ok(Err(CommandError::Changed(key))),
            settled => settled?,
        };
        Ok(match settled.refusals.remove(&0) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(version),
        })
    }
}
