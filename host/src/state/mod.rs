//! The durable state behind one seam.
//!
//! [`Store`] has one write operation: expectations and writes, atomic over named tables, durable on return. Two
//! implementations pass one conformance suite: [`SledStore`] and the in-memory [`MemoryStore`] whose `crash` keeps every
//! acknowledged batch and any prefix of the others. Only this module opens sled. `docs/decisions/store.md` says why it
//! is built like this.
//!
//! A reader may rely on:
//! - A batch is there whole or not at all, for a scan, after a kill and after a power cut.
//! - Batches are applied in one order, each checked against all before it; its revision is its place in that order.
//! - What `commit` acknowledged is there at every later opening.
//! - A store that failed once acknowledges nothing more and says [`Error::Closed`] until it is opened again.
//!
//! It refuses to know what a row means (the pipeline does), to open a store that another process holds, that a newer
//! Crossdock wrote, or that lost rows it once acknowledged.
//!
//! A read may see a batch an instant before it is durable. Nothing may act on the outside because of what it merely
//! read: every effect follows a commit of its own, whose expectations fail if the row moved.

mod backup;
mod batch;
mod blobs;
mod committer;
#[cfg(test)]
mod conformance;
mod directory;
mod disk;
mod fault;
mod filer;
mod format;
mod group;
mod health;
mod mark;
mod memory;
mod note;
mod queue;
mod rewrite;
mod row;
mod settler;
mod sled_store;
mod sum;
#[cfg(test)]
mod torn;
#[cfg(test)]
mod twin;
mod walk;

use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::sync::oneshot;

pub use backup::{BackupError, Manifest, restore_backup, verify_backup};
pub use batch::{Batch, CommitError, Error, Expect, Key, KeyBuilder, Revision, Stored, Table};
pub use disk::{Disk, Look, Low, Reserve, Room};
pub use health::Health;
pub use memory::MemoryStore;
pub use rewrite::{Pace, Progress, RewriteError, Rewritten, Space};
pub use sled_store::{Settings, SledStore, holds_store};

/// What comes of a submitted batch. Dropping it does not take the batch back.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<Revision, CommitError>>);

impl Future for Receipt {
    type Output = Result<Revision, CommitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // No answer: whoever writes went without one, and so the fate of the batch is not known.
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or_else(|_| Err(Error::Closed.into())))
    }
}

/// The seam.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Applies all writes of the batch if all its expectations hold, else none. Durable on return, against power loss
    /// too. Dropping the future does not take the batch back.
    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        self.submit(batch).await?.await
    }

    /// The same without waiting for the end of it. Once this returns the batch will be tried, after every batch of the same
    /// tenant that was submitted before; the receipt says what came of it. Waits for room where many wait.
    async fn submit(&self, batch: Batch) -> Result<Receipt, CommitError>;

    fn get(&self, table: Table, key: &Key) -> Result<Option<Stored>, Error>;

    /// Rows of `table` whose key begins with `prefix` and is greater than `after` (where given), in key order, at most
    /// `limit`.
    fn scan(&self, table: Table, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Stored)>, Error>;

    /// As [`Store::scan`], without the values: for who looks for what nobody names.
    fn keys(
        &self,
        table: Table,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Revision)>, Error>;

    /// The lease of this opening: one larger than any before. Every row carries the lease it was written under.
    fn lease(&self) -> u64;
}
