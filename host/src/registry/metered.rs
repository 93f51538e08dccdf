//! What tenants used of their quotas by the minute, kept so that a restart of the engine gives nobody a fresh minute.

use serde::{Deserialize, Serialize};

use crate::model::TenantId;
use crate::state::{Batch, Key, Table};

use super::rows::{encode, under};
use super::{Error, Registry};

/// What was used within one second, which is counted from the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metered {
    pub second: i64,
    pub documents: u64,
    pub fuel: u64,
}

fn key(tenant: &TenantId) -> Key {
    under(Some(tenant), "metered").build()
}

impl Registry {
    /// Of some tenants, in place of what was kept of them. What the engine counted, and no change that anybody made: not in
    /// the audit log.
    pub async fn keep_meters(&self, meters: &[(TenantId, Vec<Metered>)]) -> Result<(), Error> {
        let mut batch = Batch::new();
        for (tenant, seconds) in meters {
            batch.put(Table::Compiling, key(tenant), encode(seconds));
        }
        self.commit(batch).await
    }

    pub fn metered(&self, tenant: &TenantId) -> Result<Vec<Metered>, Error> {
        Ok(self.read(Table::Compiling, &key(tenant))?.unwrap_or_default())
    }
}
