//! Reference tables that a tenant uploaded: each upload is a new revision of the whole table.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::model::{Digest, TenantId};
use crate::state::{Key, Table};

use super::revision::{self, History};
use super::rows::{encode, under};
use super::{Actor, Error, Registry, Tenant, text};

/// A hundred thousand entries of a hundred bytes. A table that a scheme uses is in memory.
pub const TABLE_LIMIT_BYTES: usize = 16 << 20;
/// The smallest entry takes a hundred bytes of memory, whatever it holds. No account has so many materials.
pub const TABLE_LIMIT_ENTRIES: usize = 200_000;
/// The same as in the sandbox's look-ups: a key that is longer is never asked for.
const KEY_LIMIT_BYTES: usize = 512;

/// Key to JSON text, as modules see it.
pub type Entries = BTreeMap<String, String>;

/// Entries that are in order, as they are kept.
#[derive(Debug, Clone)]
pub struct TableContent {
    bytes: Bytes,
    digest: Digest,
    entries: u64,
    size: u64,
}

impl TableContent {
    /// Refuses entries that a table may not have. It takes its time for a large table: off the async threads, please.
    pub fn of(entries: &Entries) -> Result<Self, Error> {
        let size = check(entries)?;
        let bytes = Bytes::from(encode(entries));
        Ok(Self { digest: Digest::of(&bytes), bytes, entries: entries.len() as u64, size })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableRow {
    pub name: String,
    pub entries: u64,
    /// Of keys and values together.
    pub size: u64,
    pub digest: Digest,
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
    /// A token's id.
    pub changed_by: String,
}

const HISTORY: History = History { table: Table::UploadedTables };

fn key(tenant: &TenantId, name: &str) -> Key {
    under(Some(tenant), "now").text(name).build()
}

fn entries_key(tenant: &TenantId, name: &str) -> Key {
    under(Some(tenant), "entries").text(name).build()
}

impl Registry {
    /// The same entries again change nothing.
    pub async fn put_table(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &str,
        content: TableContent,
        expected: Option<u64>,
    ) -> Result<TableRow, Error> {
        text::key_part("/name", name)?;
        let TableContent { bytes, digest, entries, size } = content;
        self.change_of(actor, tenant, |draft, found| {
            let before: Option<TableRow> = draft.get(Table::UploadedTables, &key(tenant, name))?;
            super::expect_revision(expected, before.as_ref().map_or(0, |row| row.revision))?;
            if let Some(before) = before.as_ref().filter(|before| before.digest == digest) {
                return Ok(before.clone());
            }
            if before.is_none() {
                let used = draft.registry.count(Table::UploadedTables, under(Some(tenant), "now"))?;
                super::within("tables", found.quotas.tables, used, 1)?;
            }
            let own = before.as_ref().map_or(0, |before| before.size);
            // A smaller one is taken whatever the others have.
            if size > own {
                let used = draft.registry.table_bytes(tenant)?;
                super::within("table_bytes", found.quotas.table_bytes, used - own, size)?;
            }
            let last = match &before {
                Some(row) => row.revision,
                None => HISTORY.last(draft, tenant, name)?,
            };
            let row = TableRow {
                name: name.to_owned(),
                entries,
                size,
                digest,
                revision: last + 1,
                changed_at: draft.at,
                changed_by: actor.token.clone(),
            };
            HISTORY.put(draft, tenant, name, row.revision, &row)?;
            draft.put(Table::UploadedTables, key(tenant, name), &row);
            draft.put_bytes(Table::UploadedTables, entries_key(tenant, name), bytes.clone());
            let detail = json!({ "revision": row.revision, "entries": row.entries, "digest": row.digest });
            draft.log(if before.is_some() { "table.change" } else { "table.create" }, name, detail);
            Ok(row)
        })
        .await
    }

    /// Refused where a table of this name could not be taken, whatever is in it. One that is there may become smaller.
    pub fn room_for_table(&self, tenant: &Tenant, name: &str) -> Result<(), Error> {
        if self.table(&tenant.id, name)?.is_some() {
            return Ok(());
        }
        let used = self.count(Table::UploadedTables, under(Some(&tenant.id), "now"))?;
        super::within("tables", tenant.quotas.tables, used, 1)?;
        super::within("table_bytes", tenant.quotas.table_bytes, self.table_bytes(&tenant.id)?, 1)
    }

    pub fn table(&self, tenant: &TenantId, name: &str) -> Result<Option<TableRow>, Error> {
        if name.contains('\0') {
            return Ok(None);
        }
        self.read(Table::UploadedTables, &key(tenant, name))
    }

    pub fn table_entries(&self, tenant: &TenantId, name: &str) -> Result<Option<Entries>, Error> {
        if name.contains('\0') {
            return Ok(None);
        }
        self.read(Table::UploadedTables, &entries_key(tenant, name))
    }

    /// The entries as they are kept: an object of key and JSON text.
    pub fn table_content(&self, tenant: &TenantId, name: &str) -> Result<Option<Bytes>, Error> {
        if name.contains('\0') {
            return Ok(None);
        }
        Ok(self.store().get(Table::UploadedTables, &entries_key(tenant, name))?.map(|row| row.value))
    }

    /// Of all its tables.
    pub(super) fn table_bytes(&self, tenant: &TenantId) -> Result<u64, Error> {
        Ok(self.tables(tenant, None, usize::MAX)?.iter().map(|table| table.size).sum())
    }

    /// In the order of their names.
    pub fn tables(&self, tenant: &TenantId, after: Option<&str>, limit: usize) -> Result<Vec<TableRow>, Error> {
        self.list(Table::UploadedTables, under(Some(tenant), "now"), after, limit)
    }

    pub fn table_revisions(
        &self,
        tenant: &TenantId,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TableRow>, Error> {
        if name.contains('\0') {
            return Ok(Vec::new());
        }
        revision::list(self, HISTORY, tenant, name, after, limit)
    }

    pub async fn delete_table(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &str,
        expected: Option<u64>,
    ) -> Result<(), Error> {
        if name.contains('\0') {
            return Err(Error::not_found("table", name));
        }
        self.change_of(actor, tenant, |draft, _| {
            let Some(row) = draft.get::<TableRow>(Table::UploadedTables, &key(tenant, name))? else {
                return Err(Error::not_found("table", name));
            };
            super::expect_revision(expected, row.revision)?;
            let schemes = draft.registry.schemes(tenant, None, usize::MAX)?;
            let uses = schemes.iter().filter(|scheme| scheme.tables().contains(&name));
            let by: Vec<String> = uses.map(|scheme| format!("scheme {}", scheme.name)).collect();
            if !by.is_empty() {
                return Err(Error::InUse { what: "table", id: name.to_owned(), by });
            }
            draft.remove(Table::UploadedTables, key(tenant, name));
            draft.remove(Table::UploadedTables, entries_key(tenant, name));
            HISTORY.end(draft, tenant, name, row.revision)?;
            draft.log("table.delete", name, json!({ "revision": row.revision }));
            Ok(())
        })
        .await
    }
}

/// The size of keys and values together.
fn check(entries: &Entries) -> Result<u64, Error> {
    if entries.len() > TABLE_LIMIT_ENTRIES {
        let remedy = format!("upload at most {TABLE_LIMIT_ENTRIES} entries");
        return Err(Error::invalid("/entries", "has too many entries", remedy));
    }
    let size: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > TABLE_LIMIT_BYTES {
        let remedy = format!("upload at most {TABLE_LIMIT_BYTES} bytes");
        return Err(Error::invalid("/entries", "is too large", remedy));
    }
    for (key, value) in entries {
        let shown: String = key.chars().take(40).collect();
        let pointer = format!("/entries/{}", shown.replace('~', "~0").replace('/', "~1"));
        if key.is_empty() || key.len() > KEY_LIMIT_BYTES || key.chars().any(char::is_control) {
            let remedy = format!("use keys of 1 to {KEY_LIMIT_BYTES} bytes without control characters");
            return Err(Error::invalid(pointer, "is no usable key", remedy));
        }
        if serde_json::from_str::<&RawValue>(value).is_err() {
            return Err(Error::invalid(pointer, "is not JSON", "write each value as JSON: a text in quotes"));
        }
    }
    Ok(size as u64)
}
