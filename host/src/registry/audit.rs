//! The audit log: every change, by whom, from where, and when. Rows are added and never changed or removed; each tenant's
//! are numbered from one without a gap, and so are the operator's own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{PageRoom, TenantId};
use crate::state::{Batch, Expect, Key, KeyBuilder, Revision, Table};

use super::rows::{decode, encode, under};
use super::{Actor, Error, Registry};

/// Rows that one answer looks at, at most, where a filter passes over most of them.
const SEARCH_LIMIT: usize = 10_000;
/// Rows that one look brings. A line of a connection with very many secrets is a hundred kilobytes.
const SCAN_ROWS: usize = 64;

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Counts the tenant's rows.
    pub number: u64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub actor: Actor,
    /// `scheme.activate`.
    pub action: String,
    /// What it was done to: the scheme's name.
    pub object: String,
    /// What else is worth knowing, never a secret.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

/// Which rows are wanted; everything where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// `scheme` means `scheme.activate` and all others of schemes, `scheme.activate` only that.
    pub action: Option<String>,
    pub object: Option<String>,
    /// A token's id.
    pub token: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    fn takes(&self, row: &AuditRow) -> bool {
        let action = |wanted: &String| {
            row.action == *wanted || row.action.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        self.action.as_ref().is_none_or(action)
            && self.object.as_ref().is_none_or(|wanted| row.object == *wanted)
            && self.token.as_ref().is_none_or(|wanted| row.actor.token == *wanted)
            && self.since.is_none_or(|since| row.at >= since)
            && self.until.is_none_or(|until| row.at < until)
    }
}

/// Some of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    pub rows: Vec<AuditRow>,
    /// The number after which the next page begins; `None` at the end.
    pub next: Option<u64>,
}

/// Where a tenant's log ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    last: u64,
    at: Option<Revision>,
}

/// What a change says of itself.
pub(super) struct Entry {
    pub action: String,
    pub object: String,
    pub detail: serde_json::Value,
}

pub(super) fn head(registry: &Registry, scope: Option<&TenantId>) -> Result<Head, Error> {
    let row = registry.store().get(Table::Audit, &head_key(scope))?;
    let last = row.as_ref().map(|row| decode(Table::Audit, &row.value)).transpose()?;
    Ok(Head { last: last.unwrap_or(0), at: row.map(|row| row.revision) })
}

/// The next line. The batch fails as a conflict where somebody else wrote one since the end was looked up.
pub(super) fn append(
    batch: &mut Batch,
    scope: Option<&TenantId>,
    head: Head,
    at: Timestamp,
    actor: &Actor,
    entry: Entry,
) {
    let number = head.last + 1;
    let Entry { action, object, detail } = entry;
    let row = AuditRow { number, at, actor: actor.clone(), action, object, detail };
    let (end, line) = (head_key(scope), line_prefix(scope).number(number).build());
    let expected = head.at.map_or(Expect::Absent, Expect::At);
    batch.expect(Table::Audit, end.clone(), expected).put(Table::Audit, end, encode(&number));
    batch.expect(Table::Audit, line.clone(), Expect::Absent).put(Table::Audit, line, encode(&row));
}

pub(super) fn head_key(scope: Option<&TenantId>) -> Key {
    under(scope, "end").build()
}

pub(super) fn line_prefix(scope: Option<&TenantId>) -> KeyBuilder {
    under(scope, "line")
}

impl Registry {
    /// For acts that change nothing here: unmasked reads, retries, discards, erasures, pauses. `None` is the operator's
    /// own log.
    pub async fn record(
        &self,
        actor: &Actor,
        tenant: Option<&TenantId>,
        action: &str,
        object: &str,
        detail: serde_json::Value,
    ) -> Result<(), Error> {
        self.change(actor, tenant, |draft| {
            draft.log(action, object, detail.clone());
            Ok(())
        })
        .await
    }

    /// Rows with numbers greater than `after`, in order, at most `limit`, and what one page takes.
    pub fn audit(
        &self,
        tenant: Option<&TenantId>,
        after: u64,
        limit: usize,
        filter: &AuditFilter,
    ) -> Result<AuditPage, Error> {
        let prefix = line_prefix(tenant).build();
        let (mut rows, mut seen, mut last, mut room) = (Vec::new(), 0, after, PageRoom::default());
        'page: while rows.len() < limit && seen < SEARCH_LIMIT {
            let from = line_prefix(tenant).number(last).build();
            let found = self.store().scan(Table::Audit, &prefix, Some(&from), SCAN_ROWS)?;
            let is_last = found.len() < SCAN_ROWS;
            for (_, stored) in found {
                let row: AuditRow = decode(Table::Audit, &stored.value)?;
                let is_meant = filter.takes(&row);
                if is_meant && !room.takes(stored.value.len()) {
                    break 'page;
                }
                (seen, last) = (seen + 1, row.number);
                if is_meant {
                    rows.push(row);
                    if rows.len() == limit {
                        break;
                    }
                }
            }
            if is_last && rows.len() < limit {
                return Ok(AuditPage { rows, next: None });
            }
        }
        let is_end = head(self, tenant)?.last <= last;
        Ok(AuditPage { rows, next: (!is_end).then_some(last) })
    }

    /// The number of the newest row; zero where there is none.
    pub fn audit_end(&self, tenant: Option<&TenantId>) -> Result<u64, Error> {
        Ok(head(self, tenant)?.last)
    }
}
