//! Rows as JSON, and their keys: each begins with the tenant, so that no prefix reaches into another's.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::TenantId;
use crate::state::{Key, KeyBuilder, Store, Table};

use super::{Error, Registry};

/// The beginning of a tenant's keys of one kind. The operator's own have the empty text, which is no tenant's.
pub(super) fn under(tenant: Option<&TenantId>, kind: &str) -> KeyBuilder {
    KeyBuilder::new().text(tenant.map_or("", TenantId::as_str)).text(kind)
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Only our own plain structures come here: no maps with keys that are not text, nothing that can refuse.
    serde_json::to_vec(value).expect("a row of the registry always has a JSON form")
}

pub(super) fn decode<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, Error> {
    // serde_json quotes what it could not read in some of its messages; a row's place is enough to find it.
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Row { table, detail: format!("line {} column {}", error.line(), error.column()) })
}

impl Registry {
    pub(super) fn read<T: DeserializeOwned>(&self, table: Table, key: &Key) -> Result<Option<T>, Error> {
        self.store().get(table, key)?.map(|row| decode(table, &row.value)).transpose()
    }

    /// Rows under `prefix`, in key order; `after` is the key's last part of the row before.
    pub(super) fn list<T: DeserializeOwned>(
        &self,
        table: Table,
        prefix: KeyBuilder,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<T>, Error> {
        // A part with a zero byte is the end of no row's key.
        let after = after.map(|after| after.split('\0').next().unwrap_or_default());
        let after = after.map(|after| prefix.clone().text(after).build());
        let rows = self.store().scan(table, &prefix.build(), after.as_ref(), limit)?;
        rows.iter().map(|(_, row)| decode(table, &row.value)).collect()
    }

    pub(super) fn count(&self, table: Table, prefix: KeyBuilder) -> Result<u64, Error> {
        Ok(self.store().keys(table, &prefix.build(), None, usize::MAX)?.len() as u64)
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.inner.store
    }
}
