//! What goes through the seam: tables, keys, expectations, writes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{SchemeId, TenantId};

/// The named tables. The number is the first byte of every stored key and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// The store's own: format, lease.
    Meta = 0,
    /// One row per source key of a scheme: its versions and what became of each.
    Subjects = 1,
    /// Source bodies and emitted bodies, by digest, under their scheme.
    Bodies = 2,
    /// Who owns a (connection, operation, target key).
    Owners = 3,
    /// How far a scheme has read.
    Cursors = 4,
    /// What is paused, and why.
    Pauses = 5,
    /// Subjects that need work: parked or unfinished, by scheme, so that nothing has to scan the whole ledger.
    Open = 6,
    /// What happened to one document: attempts, answers, log lines, in order.
    History = 7,
    /// Pages that could not be read, kept for a person.
    BadPages = 8,
    // 9 was meant for totals and never written; it is not to be used again.
    /// Reference tables that were fetched, by connection.
    References = 10,
    // What people manage through the API, by tenant; `registry` knows these rows.
    /// Who the tenants are, what each may use.
    Tenants = 11,
    /// Bearer tokens, by the hash of their secret.
    Tokens = 12,
    /// Public keys that a tenant's modules are signed with.
    SigningKeys = 13,
    /// Uploaded modules, and every name and version that was ever taken.
    Modules = 14,
    /// The bytes of uploaded modules.
    Components = 15,
    /// Modules that were refused, and what was spent on compiling.
    Compiling = 16,
    /// Connections with their sealed secrets, and who changed them when.
    Connections = 17,
    /// Reference tables that were uploaded.
    UploadedTables = 18,
    /// Schemes, and who changed them when.
    Schemes = 19,
    /// Who did what, numbered by tenant; rows are added and never changed.
    Audit = 20,
}

impl Table {
    pub const ALL: [Table; 20] = [
        Table::Meta,
        Table::Subjects,
        Table::Bodies,
        Table::Owners,
        Table::Cursors,
        Table::Pauses,
        Table::Open,
        Table::History,
        Table::BadPages,
        Table::References,
        Table::Tenants,
        Table::Tokens,
        Table::SigningKeys,
        Table::Modules,
        Table::Components,
        Table::Compiling,
        Table::Connections,
        Table::UploadedTables,
        Table::Schemes,
        Table::Audit,
    ];
}

/// A key within a table. Build it with [`KeyBuilder`], so that parts cannot run into one another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Key(pub(crate) Vec<u8>);

impl Key {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    pub fn starts_with(&self, prefix: &Key) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

/// Joins parts into a key: each text is ended by a zero byte (identifiers hold no control characters), each number is
/// eight bytes big-endian, so that keys sort as their parts do and no part can pose as two.
#[derive(Debug, Clone, Default)]
pub struct KeyBuilder(Vec<u8>);

impl KeyBuilder {
    pub fn new() -> Self {
        Self::default()
    }
    /// The beginning of every key that belongs to a scheme.
    pub fn scheme(tenant: &TenantId, scheme: &SchemeId) -> Self {
        Self::new().text(tenant.as_str()).text(scheme.as_str())
    }
    /// # Panics
    /// Where the text holds a zero byte, which no identifier can.
    pub fn text(mut self, part: &str) -> Self {
        assert!(!part.as_bytes().contains(&0), "a key part holds a zero byte");
        self.0.extend_from_slice(part.as_bytes());
        self.0.push(0);
        self
    }
    pub fn number(mut self, part: u64) -> Self {
        self.0.extend_from_slice(&part.to_be_bytes());
        self
    }
    pub fn build(self) -> Key {
        Key(self.0)
    }
}

/// When a row was last written: a count of batches over the store's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Revision(pub u64);

/// A row as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub value: Bytes,
    pub revision: Revision,
    /// The lease under which it was written.
    pub lease: u64,
}

/// What must be true of a row for its batch to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Absent,
    At(Revision),
}

/// Expectations and writes that stand or fall together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// On whose account it is; absent for the engine's own.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) expectations: Vec<(Table, Key, Expect)>,
    /// `None` removes. The last write of one key wins.
    pub(crate) writes: Vec<(Table, Key, Option<Bytes>)>,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }
    /// Says on whose account it is: tenants wait each in a line of their own.
    pub fn on_account_of(&mut self, tenant: TenantId) -> &mut Self {
        self.tenant = Some(tenant);
        self
    }
    pub fn expect(&mut self, table: Table, key: Key, expectation: Expect) -> &mut Self {
        self.expectations.push((table, key, expectation));
        self
    }
    pub fn put(&mut self, table: Table, key: Key, value: impl Into<Bytes>) -> &mut Self {
        self.writes.push((table, key, Some(value.into())));
        self
    }
    pub fn remove(&mut self, table: Table, key: Key) -> &mut Self {
        self.writes.push((table, key, None));
        self
    }
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
    /// Whether it can be in conflict.
    pub fn expects(&self) -> bool {
        !self.expectations.is_empty()
    }
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// An expectation did not hold. Nothing was written.
    #[error("conflict in {table:?}")]
    Conflict { table: Table, key: Key, found: Option<Revision> },
    /// The store failed. Whether the batch is durable is not known; the store takes no further batches.
    #[error(transparent)]
    Store(#[from] Error),
}

/// The store itself failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("the disk is full: {detail}")]
    DiskFull { detail: String },
    #[error("the store cannot be opened: {detail}")]
    Open { detail: String },
    /// Another process holds the store.
    #[error("the store is in use by another process")]
    InUse,
    #[error("the store has format {found}, this Crossdock knows formats up to {known}: use a newer Crossdock")]
    Newer { found: u32, known: u32 },
    /// Corrupt or missing data that the store should have.
    #[error("the store is damaged: {detail}")]
    Damaged { detail: String },
    #[error("the store failed: {detail}")]
    Failed { detail: String },
    /// An earlier failure closed the store.
    #[error("the store is closed after an earlier failure")]
    Closed,
}
