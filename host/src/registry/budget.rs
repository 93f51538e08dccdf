//! What a tenant spent on compiling within the last hour.
//!
//! Kept by the minute in one row: what was spent in a minute counts until an hour after that minute's end, so never too
//! short, and at most a minute too long.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::TenantId;
use crate::state::{Batch, Key, Table};

use super::rows::{encode, under};
use super::{Error, Registry};

const MINUTE_SECONDS: i64 = 60;
/// A minute, and the hour after it.
const COUNTS_SECONDS: i64 = 61 * MINUTE_SECONDS;

/// Milliseconds by the minute they were spent in, which is counted from the epoch.
type Spent = BTreeMap<i64, u64>;

/// How a tenant's budget stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CompileBudget {
    pub limit_seconds: u64,
    /// Of the last hour, rounded up.
    pub used_seconds: u64,
    /// When the oldest of it counts no more.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resets_at: Option<Timestamp>,
}

fn key(tenant: &TenantId) -> Key {
    under(Some(tenant), "spent").build()
}

impl Registry {
    /// What the engine used, and no change that anybody made: not in the audit log.
    pub async fn compile_spend(&self, tenant: &TenantId, time: Duration) -> Result<(), Error> {
        let _turn = self.inner.turns.take(Some(tenant)).await;
        let now = (self.inner.now)();
        let mut spent = self.spent(tenant, now)?;
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let minute = spent.entry(now.as_second().div_euclid(MINUTE_SECONDS)).or_default();
        *minute = minute.saturating_add(millis);
        let mut batch = Batch::new();
        batch.put(Table::Compiling, key(tenant), encode(&spent)).on_account_of(tenant.clone());
        self.commit(batch).await
    }

    /// Refused where nothing is left. What is begun with something left may take longer than that.
    pub fn compile_left(&self, tenant: &TenantId) -> Result<CompileBudget, Error> {
        let found = self.tenant(tenant)?.ok_or_else(|| Error::not_found("tenant", tenant))?;
        let spent = self.spent(tenant, (self.inner.now)())?;
        let used_seconds = spent.values().sum::<u64>().div_ceil(1_000);
        let oldest = spent.keys().next();
        let free = oldest.map(|minute| minute * MINUTE_SECONDS + COUNTS_SECONDS);
        let resets_at = free.and_then(|second| Timestamp::from_second(second).ok());
        let limit_seconds = found.quotas.compile_seconds_per_hour;
        if used_seconds >= limit_seconds {
            let quota = "compile_seconds_per_hour";
            return Err(Error::Quota { quota, limit: limit_seconds, used: used_seconds, resets_at });
        }
        Ok(CompileBudget { limit_seconds, used_seconds, resets_at })
    }

    pub(super) fn compile_spent(&self, tenant: &TenantId) -> Result<Duration, Error> {
        let millis: u64 = self.spent(tenant, (self.inner.now)())?.values().sum();
        Ok(Duration::from_millis(millis))
    }

    fn spent(&self, tenant: &TenantId, now: Timestamp) -> Result<Spent, Error> {
        let mut spent: Spent = self.read(Table::Compiling, &key(tenant))?.unwrap_or_default();
        let now = now.as_second();
        // A clock that was set back must not keep a tenant out until it is where it was.
        spent.retain(|minute, _| {
            let begin = minute * MINUTE_SECONDS;
            now < begin + COUNTS_SECONDS && begin < now + COUNTS_SECONDS
        });
        Ok(spent)
    }
}
