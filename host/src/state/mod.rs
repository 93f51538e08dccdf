//! The durable state behind one seam.
//!
//! [`Store`] has one write operation: expectations and writes, atomic over named tables, durable on return. Two
//! implementations pass one conformance suite: [`SledStore`] and the in-memory [`MemoryStore`] whose `crash` keeps every
//! acknowledged batch and any prefix of the others. Only this module opens sled.
//!
//! A read may see a batch an instant before it is durable. Nothing may act on the outside because of what it merely
//! read: every effect follows a commit of its own, whose expectations fail if the row moved.

mod batch;

use async_trait::async_trait;

pub use batch::{Batch, CommitError, Error, Expect, Key, KeyBuilder, Revision, Stored, Table};

/// The seam.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Applies all writes of the batch if all its expectations hold, else none. Durable on return, against power loss
    /// too. Dropping the future does not take the batch back.
    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError>;

    fn get(&self, table: Table, key: &Key) -> Result<Option<Stored>, Error>;

    /// Rows of `table` whose key begins with `prefix` and is greater than `after` (where given), in key order, at most
    /// `limit`.
    fn scan(&self, table: Table, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Stored)>, Error>;

    /// The lease of this opening: one larger than any before. Every row carries the lease it was written under.
    fn lease(&self) -> u64;
}
