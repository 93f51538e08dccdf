//! How many lines a tenant's people add to its audit log within a minute. The log itself is what is counted, so a restart
//! gives nobody a fresh start; lines of the operator's are nobody's share.

use jiff::{SignedDuration, Timestamp};

use crate::model::TenantId;
use crate::state::Table;

use super::audit::{self, AuditRow};
use super::rows::decode;
use super::{Error, Registry, Role};

const WINDOW: SignedDuration = SignedDuration::from_secs(60);
/// Lines that one look brings, from the end of the log on. Most tenants have fewer in a minute.
const LOOK: u64 = 32;
/// Lines that are counted for whoever looks at what is used.
const SHOWN_LIMIT: u64 = 10_000;

impl Registry {
    /// Refused where the tenant's people have changed as much as they may for now. For acts whose line is written when they
    /// are done: what is done is never left out of the log.
    pub fn may_change(&self, tenant: &TenantId) -> Result<(), Error> {
        let found = self.tenant(tenant)?.ok_or_else(|| Error::not_found("tenant", tenant))?;
        self.has_changes_left(tenant, found.quotas.changes_per_minute, (self.inner.now)())
    }

    pub(super) fn has_changes_left(&self, tenant: &TenantId, limit: u64, now: Timestamp) -> Result<(), Error> {
        let counted = self.of_late(tenant, limit, now)?;
        let used = counted.len() as u64;
        if used < limit {
            return Ok(());
        }
        // The oldest of those that are too many.
        let oldest = limit.checked_sub(1).and_then(|at| counted.get(usize::try_from(at).ok()?));
        let resets_at = oldest.and_then(|oldest| oldest.checked_add(WINDOW).ok());
        Err(Error::Quota { quota: "changes_per_minute", limit, used, resets_at })
    }

    pub(super) fn changes_of_late(&self, tenant: &TenantId) -> Result<u64, Error> {
        Ok(self.of_late(tenant, SHOWN_LIMIT, (self.inner.now)())?.len() as u64)
    }

    /// When its people added the lines of the last minute, the newest first; `most` of them, and some more at most.
    fn of_late(&self, tenant: &TenantId, most: u64, now: Timestamp) -> Result<Vec<Timestamp>, Error> {
        // A clock that was set back must not keep a tenant out until it is where it was.
        let is_old = |row: &AuditRow| row.at > now || now.duration_since(row.at) >= WINDOW;
        let (mut counted, mut end) = (Vec::new(), self.audit_end(Some(tenant))?);
        while end > 0 && (counted.len() as u64) < most {
            let begin = end.saturating_sub(LOOK);
            let lines = audit::line_prefix(Some(tenant));
            let after = lines.clone().number(begin).build();
            let count = usize::try_from(end - begin).unwrap_or(usize::MAX);
            let rows = self.store().scan(Table::Audit, &lines.build(), Some(&after), count)?;
            for (_, row) in rows.iter().rev() {
                let row: AuditRow = decode(Table::Audit, &row.value)?;
                if is_old(&row) {
                    return Ok(counted);
                }
                if row.actor.role < Role::Operator {
                    counted.push(row.at);
                }
            }
            end = begin;
        }
        Ok(counted)
    }
}
