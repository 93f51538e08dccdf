//! Carries out what a person wants done with one document.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Digest, TenantId};
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
    /// The newest parked one, where none is named.
    pub version: Option<u64>,
    pub wish: Wish,
    /// Who wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Another try, with the scheme's module or with this one.
    Retry {
        mode: RetryMode,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module: Option<Digest>,
    },
    Discard {
        reason: String,
    },
    /// Another body in the place of a parked version's.
    Edit {
        body: String,
    },
    /// Nothing stays of the document but its fingerprint; of whichever version is named.
    Erase {
        reason: String,
    },
}

impl Office {
    /// Returns the version that it applied to: with an edit, the one that the person's body became.
    pub async fn command(&self, tenant: Option<&TenantId>, request: &CommandRequest) -> Result<u64, OfficeError> {
        let CommandRequest { version, wish, by, .. } = request;
        let (desk, key, _) = self.find(tenant, request.scheme.as_deref(), &request.key)?;
        self.may_try(&desk, wish)?;
        let command = match wish {
            Wish::Retry { mode, module } => Command::Retry { mode: *mode, module: *module },
            Wish::Discard { reason } => Command::Discard { reason: reason.clone() },
            Wish::Edit { body } => {
                let Works { document_limit_bytes, .. } = desk.at_work()?;
                Command::Edit { body: usable(body, *document_limit_bytes)? }
            }
            Wish::Erase { reason } => return self.erase(&desk, &key, reason, by.as_deref()).await,
        };
        let order = Order { key, version: *version, command, by: by.clone() };
        let applied = desk.order(order, (self.now)()).await?;
        Ok(if matches!(wish, Wish::Edit { .. }) { applied + 1 } else { applied })
    }
}

impl Office {
    /// Whether the tenant's policy lets the desk's documents be tried with the module that was chosen, if one was.
    pub(super) fn may_try(&self, desk: &Desk, wish: &Wish) -> Result<(), OfficeError> {
        let Wish::Retry { module: Some(module), .. } = wish else { return Ok(()) };
        let Some(registry) = &self.registry else { return Ok(()) };
        registry.may_try(&desk.tenant, &desk.scheme, module).map_err(OfficeError::Registry)
    }
}

/// A body as the source could have served it. Its key is the document's, whatever it says: nobody reads it out again.
fn usable(body: &str, limit: usize) -> Result<Arc<str>, OfficeError> {
    let refuse = |problem: String| Err(OfficeError::NotUsable(problem));
    if body.len() > limit {
        return refuse(format!(
            "the body has {} bytes, and the scheme takes {limit} (document_limit_bytes)",
            body.len()
        ));
    }
    match serde_json::from_str(body) {
        Ok(serde_json::Value::Object(_)) => Ok(body.into()),
        Ok(_) => refuse("the body is JSON, but no object".into()),
        Err(error) => refuse(format!("the body is not JSON: {error}")),
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
        let (rules, destination) = self.terms(matches!(order.command, Command::Erase { .. }))?;
        // The state changes now, and what follows from it is taken up at the next start.
        let key = order.key.clone();
        let (version, work) = order.work(self.ledger.subject(&key)?.as_ref())?;
        let moment = Moment { now, dice: 0, at_work_since: now };
        let settled = commit_round(&self.ledger, &destination, &rules, moment, &[work], None).await;
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
