//! What a thing was before: its revisions, each with who made it and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{PageRoom, TenantId};
use crate::state::{Key, KeyBuilder, Table};

use super::change::Draft;
use super::rows::{decode, encode, under};
use super::{Error, Registry};

/// How much is kept of what one thing was.
#[derive(Debug, Clone, Copy)]
struct Keeps {
    revisions: usize,
    /// Of their rows together. The newest stays, however large.
    bytes: usize,
}

/// What is kept of a thing that is there; the audit log keeps that there was more. No quota counts it, so it must be little
/// beside what they do count: a scheme of fifty kilobytes has its last hundred and fifty, one of a mebibyte its last seven.
const KEPT: Keeps = Keeps { revisions: 500, bytes: 8 << 20 };

/// The same, once it is deleted: enough to see what it was.
const KEPT_OF_DELETED: Keeps = Keeps { revisions: 20, bytes: 1 << 20 };
/// Deleted things of one kind of which anything is kept: whoever makes and deletes one after the other must not fill the
/// store.
const DELETED_LIMIT: usize = 50;
/// Rows that one look brings. A revision of a scheme may be a mebibyte, which takes many times as much in memory.
const STEP: usize = 4;

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

    /// Adds a revision, and forgets the oldest where there are too many or they are too large.
    pub fn put<T: Serialize>(
        self,
        draft: &mut Draft<'_>,
        tenant: &TenantId,
        name: &str,
        revision: u64,
        row: &T,
    ) -> Result<(), Error> {
        let key = Self::prefix(tenant, name).number(revision).build();
        let row = encode(row);
        let mut rows = self.sizes(draft.registry, tenant, name)?;
        rows.push((key.clone(), row.len()));
        self.forget(draft, rows, KEPT);
        draft.put_bytes(self.table, key, row.into());
        Ok(())
    }

    /// The thing goes; its newest revisions stay, and the next of this name goes on counting.
    pub fn end(self, draft: &mut Draft<'_>, tenant: &TenantId, name: &str, revision: u64) -> Result<(), Error> {
        let rows = self.sizes(draft.registry, tenant, name)?;
        self.forget(draft, rows, KEPT_OF_DELETED);
        self.forget_ended(draft, tenant, name)?;
        draft.put(self.table, Self::end_key(tenant, name), &revision);
        Ok(())
    }

    /// The rows of one thing and their sizes, oldest first.
    fn sizes(self, registry: &Registry, tenant: &TenantId, name: &str) -> Result<Vec<(Key, usize)>, Error> {
        let prefix = Self::prefix(tenant, name).build();
        let mut sizes: Vec<(Key, usize)> = Vec::new();
        loop {
            let last = sizes.last().map(|(key, _)| key);
            let rows = registry.store().scan(self.table, &prefix, last, STEP)?;
            let is_end = rows.len() < STEP;
            sizes.extend(rows.into_iter().map(|(key, row)| (key, row.value.len())));
            if is_end {
                return Ok(sizes);
            }
        }
    }

    /// The oldest of these, until the rest is what is kept.
    fn forget(self, draft: &mut Draft<'_>, rows: Vec<(Key, usize)>, keeps: Keeps) {
        let mut bytes = 0;
        let newest = rows.iter().rev().take(keeps.revisions).take_while(|(_, size)| {
            bytes += size;
            bytes <= keeps.bytes
        });
        let over = rows.len().saturating_sub(newest.count().max(1));
        for (old, _) in rows.into_iter().take(over) {
            draft.remove(self.table, old);
        }
    }

    /// Beside the one that ends now, those that were changed last are remembered. What is looked at is what is kept, however
    /// many names there were.
    fn forget_ended(self, draft: &mut Draft<'_>, tenant: &TenantId, name: &str) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Changed {
            changed_at: Timestamp,
        }
        let prefix = under(Some(tenant), "then").build();
        let mut kept: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        for (key, _) in draft.registry.store().keys(self.table, &prefix, None, usize::MAX)? {
            if let Some(of) = name_after(&prefix, &key) {
                kept.entry(of).or_default().push(key);
            }
        }
        let alive = names(draft.registry, self, tenant, "now")?;
        kept.retain(|other, _| other != name && !alive.contains(other));
        let mut others = Vec::new();
        for rows in kept.into_values() {
            let newest = rows.last().map(|newest| draft.registry.read::<Changed>(self.table, newest)).transpose()?;
            others.push((newest.flatten().map(|newest| newest.changed_at), rows));
        }
        others.sort_by_key(|(changed_at, _)| *changed_at);
        let over = (others.len() + 1).saturating_sub(DELETED_LIMIT);
        for row in others.into_iter().take(over).flat_map(|(_, rows)| rows) {
            draft.remove(self.table, row);
        }
        Ok(())
    }
}

/// Names under which something was and is not any more.
pub(super) fn ended(registry: &Registry, history: History, tenant: &TenantId) -> Result<Vec<String>, Error> {
    let now = names(registry, history, tenant, "now")?;
    Ok(names(registry, history, tenant, "last")?.into_iter().filter(|name| !now.contains(name)).collect())
}

fn names(registry: &Registry, history: History, tenant: &TenantId, kind: &str) -> Result<BTreeSet<String>, Error> {
    let prefix = under(Some(tenant), kind).build();
    let keys = registry.store().keys(history.table, &prefix, None, usize::MAX)?;
    Ok(keys.iter().filter_map(|(key, _)| name_after(&prefix, key)).collect())
}

fn name_after(prefix: &Key, key: &Key) -> Option<String> {
    let rest = key.as_bytes().strip_prefix(prefix.as_bytes())?;
    let name = rest.split(|byte| *byte == 0).next()?;
    String::from_utf8(name.to_vec()).ok()
}

/// Revisions after `after`, oldest first: at most `limit`, and what one page takes. Whoever wants to know whether
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
    let (prefix, mut found, mut room) = (prefix.build(), Vec::new(), PageRoom::default());
    while found.len() < limit {
        let step = STEP.min(limit - found.len());
        let rows = registry.store().scan(history.table, &prefix, Some(&last), step)?;
        let is_end = rows.len() < step;
        for (key, row) in rows {
            if !room.takes(row.value.len()) {
                return Ok(found);
            }
            found.push(decode(history.table, &row.value)?);
            last = key;
        }
        if is_end {
            break;
        }
    }
    Ok(found)
}
