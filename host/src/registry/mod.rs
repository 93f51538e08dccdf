//! What people manage while the engine runs: tenants, tokens, signing keys, modules, connections, reference tables,
//! schemes, and the audit log of it all. Typed rows over the store's seam, and nothing else: it knows no HTTP, no sandbox
//! and no connector.
//!
//! A reader may rely on:
//! - A change and its line in the audit log are one batch; what changed nothing has no line.
//! - Of two changes at once, the second is decided anew on what the first left.
//! - A secret goes in and comes out only in [`Registry::opened_connection`] and [`Registry::settings_after`]; it is in no
//!   error, no log, no list, and not readable in the store.
//! - A tenant's rows are found under its id alone.
//!
//! It refuses to decide who may do what, except that nobody gives more than he has and that people of a suspended tenant
//! change nothing.

mod actor;
mod audit;
mod budget;
mod change;
mod clearance;
mod compare;
mod connection;
mod error;
mod key_files;
mod metered;
mod module;
mod pace;
mod refusal;
mod revision;
mod rotation;
mod rows;
mod scheme;
mod seal;
mod secrets;
mod signing_key;
mod table;
mod tenant;
mod tenant_change;
#[cfg(test)]
mod tests;
mod text;
mod token;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

pub use actor::{Actor, Role};
pub use audit::{AuditFilter, AuditPage, AuditRow};
pub use budget::CompileBudget;
pub use compare::{Compare, Looked};
pub use connection::{ConnectionRow, ConnectionSettings, OpenedConnection};
pub use error::Error;
pub use key_files::{KeyFiles, RotationError};
pub use metered::Metered;
pub use module::{ModuleRow, Put};
pub use refusal::{REFUSALS_LIMIT, Refusal};
pub use rotation::Rotated;
pub use scheme::{SchemePut, SchemeRow};
pub use seal::{Keyring, SealError, SealKey};
pub use signing_key::{SigningKey, signed_message};
pub use table::{Entries, TABLE_LIMIT_BYTES, TABLE_LIMIT_ENTRIES, TableContent, TableRow};
pub use tenant::{NewTenant, Policy, Quotas, Tenant, Used};
pub use tenant_change::{PolicyChange, QuotasChange, TenantChange};
pub use token::{NewToken, Rights, Token, TokenText, Unauthenticated};

use crate::model::{ConnectionName, SchemeId, TenantId};
use crate::state::{Batch, CommitError, Store};

/// The clock, as a function, so that tests can set it.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What stands in the configuration file: names that are taken, and that nobody changes here.
#[derive(Debug, Clone, Default)]
pub struct FileNames {
    pub connections: BTreeSet<(TenantId, ConnectionName)>,
    pub schemes: BTreeSet<(TenantId, SchemeId)>,
}

/// All of it. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    keyring: RwLock<Arc<Keyring>>,
    now: Now,
    file: FileNames,
    turns: change::Turns,
}

impl Registry {
    pub fn open(store: Arc<dyn Store>, keyring: Keyring, now: Now) -> Result<Self, Error> {
        Self::open_beside(store, keyring, now, FileNames::default())
    }

    /// As [`Registry::open`], beside a configuration file that has names of its own.
    pub fn open_beside(store: Arc<dyn Store>, keyring: Keyring, now: Now, file: FileNames) -> Result<Self, Error> {
        let turns = change::Turns::default();
        let registry =
            Self { inner: Arc::new(Inner { store, keyring: RwLock::new(Arc::new(keyring)), now, file, turns }) };
        // A row that cannot be read shows now, and not when a scheme next needs it.
        registry.is_fully_sealed()?;
        Ok(registry)
    }

    /// The names that stand in the configuration file.
    pub fn file_names(&self) -> &FileNames {
        &self.inner.file
    }

    fn keyring(&self) -> Arc<Keyring> {
        self.inner.keyring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace_keyring(&self, make: impl FnOnce(&Keyring) -> Keyring) {
        let mut keyring = self.inner.keyring.write().unwrap_or_else(PoisonError::into_inner);
        *keyring = Arc::new(make(&keyring));
    }

    /// For what the engine notes of itself, which expects nothing.
    async fn commit(&self, batch: Batch) -> Result<(), Error> {
        match self.inner.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => Err(Error::Busy),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// Zero is expected of what is not there yet.
fn expect_revision(expected: Option<u64>, found: u64) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != found => Err(Error::Conflict { expected, found }),
        _ => Ok(()),
    }
}

/// Whether there is room for `more`.
fn within(quota: &'static str, limit: u64, used: u64, more: u64) -> Result<(), Error> {
    if used.saturating_add(more) > limit {
        return Err(Error::Quota { quota, limit, used, resets_at: None });
    }
    Ok(())
}
