//! What a thing was before: its revisions, each with who made it and when.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::TenantId;
use crate::state::{Key, KeyBuilder, Table};

use super::change::Draft;
use super::rows::{decode, under};
use super::{Error, Registry};

/// Revisions that are kept of one thing. The audit log keeps that there were others.
const REVISIONS_LIMIT: usize = 500;

/// The same, once it is deleted: enough to see what it was, for no quota counts what is gone.
const DELETED_REVISIONS_LIMIT: usize = 20;
/// Bytes after which a list ends. A revision of a scheme may be a mebibyte, which takes many times as much in memory.
const LIST_BYTES: usize = 4 << 20;
/// Rows that one look brings: so many may be over it.
const LIST_STEP: usize = 4;

/// Whose revisions.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    pub table: Table,
}

impl History {
    fn prefix(tenant: &TenantId, name: &str) -> KeyBuilder {
        under(Some(tenant), "then").text(name)
    }

    fn end_key(tenant: &TenantId, name: &str) -> Key {
        under(Some(tenant), "last").text(name).build()
    }

    /// The last revision of the thing that had this name before; zero where none had.
    pub fn last(self, draft: &mut Draft<'_>, tenant: &TenantId, name: &str) -> Result<u64, Error> {
        Ok(draft.get(self.table, &Self::end_key(tenant, name))?.unwrap_or(0))
    }

    /// What the thing of this name was at the end, before it was deleted.
    pub fn ended<T: DeserializeOwned>(
        self,
        draft: &mut Draft<'_>,
        tenant: &TenantId,
        name: &str,
    ) -> Result<Option<T>, Error> {
        let last = self.last(draft, tenant, name)?;
        draft.get(self.table, &Self::prefix(tenant, name).number(last).build())
    }

    /// Adds a revision, and forgets the oldest where there are too many.
    pub fn put<T: Serialize>(
        self,
        draft: &mut Draft<'_>,
        tenant: &TenantId,
        name: &str,
        revision: u64,
        row: &T,
    ) -> Result<(), Error> {
        let prefix = Self::prefix(tenant, name);
        let kept = draft.registry.store().keys(self.table, &prefix.clone().build(), None, usize::MAX)?;
        let over = (kept.len() + 1).saturating_sub(REVISIONS_LIMIT);
        for (old, _) in kept.into_iter().take(over) {
            draft.remove(self.table, old);
        }
        draft.put(self.table, prefix.number(revision).build(), row);
        Ok(())
    }

    /// The thing goes; its newest revisions stay, and the next of this name goes on counting.
    pub fn end(self, draft: &mut Draft<'_>, tenant: &TenantId, name: &str, revision: u64) -> Result<(), Error> {
        let prefix = Self::prefix(tenant, name).build();
        let kept = draft.registry.store().keys(self.table, &prefix, None, usize::MAX)?;
        let over = kept.len().saturating_sub(DELETED_REVISIONS_LIMIT);
        for (old, _) in kept.into_iter().take(over) {
            draft.remove(self.table, old);
        }
        draft.put(self.table, Self::end_key(tenant, name), &revision);
        Ok(())
    }
}

/// Names under which something was and is not any more.
pub(super) fn ended(registry: &Registry, history: History, tenant: &TenantId) -> Result<Vec<String>, Error> {
    let names = |kind: &str| -> Result<Vec<String>, Error> {
        let keys = registry.store().keys(history.table, &under(Some(tenant), kind).build(), None, usize::MAX)?;
        Ok(keys.iter().filter_map(|(key, _)| last_part(key)).collect())
    };
    let now = names("now")?;
    Ok(names("last")?.into_iter().filter(|name| !now.contains(name)).collect())
}

fn last_part(key: &Key) -> Option<String> {
    let parts = key.as_bytes().strip_suffix(&[0])?;
    String::from_utf8(parts.rsplit(|byte| *byte == 0).next()?.to_vec()).ok()
}

/// Revisions after `after`, oldest first: at most `limit`, and fewer where they are large. Whoever wants to know whether
/// there are more asks for what follows the last one.
pub(super) fn list<T: DeserializeOwned>(
    registry: &Registry,
    history: History,
    tenant: &TenantId,
    name: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<T>, Error> {
    let prefix = History::prefix(tenant, name);
    let mut last = prefix.clone().number(after).build();
    let (prefix, mut found, mut bytes) = (prefix.build(), Vec::new(), 0);
    while found.len() < limit && bytes < LIST_BYTES {
        let step = LIST_STEP.min(limit - found.len());
        let rows = registry.store().scan(history.table, &prefix, Some(&last), step)?;
        let is_end = rows.len() < step;
        for (key, row) in rows {
            bytes += row.value.len();
            found.push(decode(history.table, &row.value)?);
            last = key;
        }
        if is_end {
            break;
        }
    }
    Ok(found)
}
