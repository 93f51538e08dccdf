//! Erases documents: what the ledger holds of them goes, and their fingerprint stays.

use crate::model::DocumentKey;
use crate::pipeline::command::{Command, CommandError, Order};
use crate::pipeline::erasure::Erasure;
use crate::pipeline::step::{Event, Moment, Refusal, step};
use crate::pipeline::subject::Subject;

use super::desk::Desk;
use super::{Office, OfficeError};

/// Times it is looked up anew what may go, where the document, or one that shares a body with it, changed meanwhile.
const TRIES: u32 = 8;

impl Office {
    pub(super) async fn erase(
        &self,
        desk: &Desk,
        key: &DocumentKey,
        reason: &str,
        by: Option<&str>,
    ) -> Result<u64, OfficeError> {
        let mut tries = 0;
        loop {
            let mut erasure = Erasure::prepare(&desk.ledger, std::slice::from_ref(key)).await?;
            tries += 1;
            match self.erase_prepared(desk, &mut erasure, key, (reason, by)).await {
                Err(OfficeError::Command(CommandError::Changed(_))) if tries < TRIES => {}
                result => return result,
            }
        }
    }

    /// One of the documents that were looked up together.
    pub(super) async fn erase_prepared(
        &self,
        desk: &Desk,
        erasure: &mut Erasure,
        key: &DocumentKey,
        (reason, by): (&str, Option<&str>),
    ) -> Result<u64, OfficeError> {
        // Before the first line of a long history goes.
        let subject = desk.ledger.subject(key)?.unwrap_or_default();
        let event = Event::Erased { reason: reason.into(), by: by.map(Into::into) };
        self.judge(desk, &subject, &event)?.map_err(CommandError::from)?;
        let clearance = erasure.clearance(key).await?;
        let command = Command::Erase { reason: reason.into(), clearance };
        let order = Order { by: by.map(Into::into), ..Order::new(key.clone(), command) };
        let version = desk.order(order, (self.now)()).await?;
        erasure.erased(key);
        Ok(version)
    }

    /// What the step would say, were the event taken now.
    pub(super) fn judge(
        &self,
        desk: &Desk,
        subject: &Subject,
        event: &Event,
    ) -> Result<Result<(), Refusal>, OfficeError> {
        let now = (self.now)();
        let moment = Moment { now, dice: 0, at_work_since: now };
        let (rules, _) = desk.terms(matches!(event, Event::Erased { .. }))?;
        Ok(step(subject, event, moment, &rules).map(drop))
    }
}
