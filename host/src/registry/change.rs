//! The one way in which something is changed: look, decide, and write it together with its line in the audit log.
//!
//! Every row that a change looks at with [`Draft::get`] is expected unchanged when it is written, and so is the end of
//! the tenant's audit log. So two changes at once never both hold what the other has just made untrue, quotas among it:
//! the second finds a conflict, looks again and decides anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedMutexGuard;

use crate::model::TenantId;
use crate::state::{Batch, CommitError, Expect, Key, Table};

use super::audit::{self, Entry};
use super::rows::{decode, encode};
use super::tenant::Tenant;
use super::{Actor, Error, Registry, Role};

/// A change meets others only of the operator's, for a tenant's own wait for their turn.
const TRIES: usize = 16;

/// A change being made up.
pub(super) struct Draft<'r> {
    pub registry: &'r Registry,
    pub actor: &'r Actor,
    pub at: Timestamp,
    scope: Option<&'r TenantId>,
    batch: Batch,
    head: audit::Head,
    entry: Option<Entry>,
}

impl Registry {
    /// Runs `make` until what it looked at is still so when it is written. It names what it did with [`Draft::log`]; where
    /// it did not, nothing is written.
    pub(super) async fn change<T>(
        &self,
        actor: &Actor,
        scope: Option<&TenantId>,
        make: impl Fn(&mut Draft<'_>) -> Result<T, Error> + Send + Sync,
    ) -> Result<T, Error> {
        let _turn = self.inner.turns.take(scope).await;
        for _ in 0..TRIES {
            let at = (self.inner.now)();
            let head = audit::head(self, scope)?;
            let mut draft = Draft { registry: self, actor, at, scope, batch: Batch::new(), head, entry: None };
            let made = make(&mut draft)?;
            let Some(batch) = draft.finish() else { return Ok(made) };
            match self.inner.store.commit(batch).await {
                Ok(_) => return Ok(made),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Error::Busy)
    }

    /// As [`Registry::change`], within a tenant that is there. A suspended one's people change nothing.
    pub(super) async fn change_of<T>(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        make: impl Fn(&mut Draft<'_>, &Tenant) -> Result<T, Error> + Send + Sync,
    ) -> Result<T, Error> {
        self.change(actor, Some(tenant), |draft| {
            let found = draft.tenant(tenant)?;
            if found.suspended && actor.role < Role::Operator {
                return Err(Error::Suspended { tenant: tenant.to_string() });
            }
            let made = make(draft, &found)?;
            // What changes nothing has no line, and is not counted.
            if draft.entry.is_some() && actor.role < Role::Operator {
                self.has_changes_left(tenant, found.quotas.changes_per_minute, draft.at)?;
            }
            Ok(made)
        })
        .await
    }
}

impl Draft<'_> {
    /// The row, which must be the same when the change is written.
    pub fn get<T: DeserializeOwned>(&mut self, table: Table, key: &Key) -> Result<Option<T>, Error> {
        let found = self.registry.store().get(table, key)?;
        let expected = found.as_ref().map_or(Expect::Absent, |row| Expect::At(row.revision));
        self.batch.expect(table, key.clone(), expected);
        found.map(|row| decode(table, &row.value)).transpose()
    }

    /// Nothing else is done in that tenant until this is written, or this is decided anew.
    pub fn hold_log(&mut self, tenant: &TenantId) -> Result<(), Error> {
        self.get::<u64>(Table::Audit, &audit::head_key(Some(tenant))).map(drop)
    }

    pub fn put<T: Serialize>(&mut self, table: Table, key: Key, value: &T) {
        self.batch.put(table, key, encode(value));
    }

    pub fn put_bytes(&mut self, table: Table, key: Key, bytes: Bytes) {
        self.batch.put(table, key, bytes);
    }

    pub fn remove(&mut self, table: Table, key: Key) {
        self.batch.remove(table, key);
    }

    /// What was done, in the words of the audit log: `scheme.activate` of `saleout`. `detail` never holds a secret.
    pub fn log(&mut self, action: &str, object: impl ToString, detail: serde_json::Value) {
        self.entry = Some(Entry { action: action.into(), object: object.to_string(), detail });
    }

    fn finish(mut self) -> Option<Batch> {
        let Some(entry) = self.entry.take() else {
            debug_assert!(self.batch.is_empty(), "a change without a line in the audit log");
            return None;
        };
        audit::append(&mut self.batch, self.scope, self.head, self.at, self.actor, entry);
        if let Some(tenant) = self.scope {
            self.batch.on_account_of(tenant.clone());
        }
        Some(self.batch)
    }
}

/// Who changes something of a tenant's just now. One at a time, so that they do not work in vain; an asynchronous lock,
/// and nothing else is taken under it.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Option<TenantId>, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    pub async fn take(&self, scope: Option<&TenantId>) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody else holds or awaits these.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(scope.cloned()).or_default().clone()
        };
        turn.lock_owned().await
    }
}
