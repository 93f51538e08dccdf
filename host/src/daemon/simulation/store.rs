//! The store of a world: the twin in memory, with a disk that takes its time, halts and fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::state::{Batch, CommitError, Error, Key, MemoryStore, Receipt, Revision, Store, Stored, Table};

use super::air::Air;

/// One opening of the store.
pub struct Disk {
    pub twin: Arc<MemoryStore>,
    air: Arc<Air>,
    wanted: Notify,
}

impl Disk {
    pub fn open(twin: MemoryStore, air: &Arc<Air>) -> Arc<Self> {
        let twin = Arc::new(twin);
        // Nothing is acknowledged by itself: that is the disk's work.
        twin.hold();
        twin.queue();
        air.durable.set(&twin);
        Arc::new(Self { twin, air: air.clone(), wanted: Notify::new() })
    }

    /// Lets what was submitted take effect, and acknowledges what did, a group at a time each; calls `acknowledged` after
    /// each group. Runs until the store fails.
    pub async fn turn(self: Arc<Self>, acknowledged: impl Fn()) {
        loop {
            let wanted = self.wanted.notified();
            if self.twin.unacknowledged() + self.twin.queued() == 0 {
                wanted.await;
                continue;
            }
            let chance = &self.air.chance;
            let takes = match self.air.trouble() {
                // A disk that is busy with something else.
                true if chance.one_in(60) => chance.up_to(Duration::from_secs(15)),
                true => chance.up_to(Duration::from_millis(30)),
                false => Duration::from_millis(1),
            };
            tokio::time::sleep(takes).await;
            let applied = self.twin.take_up(chance.between(0, 4) as usize);
            if self.twin.unacknowledged() == 0 {
                continue;
            }
            // One may be synced while the next waits, or all of them together.
            if applied > 0 && chance.one_in(3) {
                continue;
            }
            if self.twin.acknowledge(chance.between(1, 4) as usize) == 0 {
                // The store failed: nothing more is acknowledged.
                return;
            }
            acknowledged();
        }
    }
}

#[async_trait]
impl Store for Disk {
    async fn submit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let receipt = self.twin.submit(batch).await;
        // Answered when the disk has turned.
        self.wanted.notify_one();
        receipt
    }

    fn get(&self, table: Table, key: &Key) -> Result<Option<Stored>, Error> {
        self.twin.get(table, key)
    }

    fn scan(&self, table: Table, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Stored)>, Error> {
        self.twin.scan(table, prefix, after, limit)
    }

    fn keys(
        &self,
        table: Table,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Revision)>, Error> {
        self.twin.keys(table, prefix, after, limit)
    }

    fn lease(&self) -> u64 {
        self.twin.lease()
    }
}

/// What a crash at this instant would surely leave. Only to be looked at.
#[derive(Clone, Default)]
pub struct Durable(Arc<Mutex<Option<Arc<MemoryStore>>>>);

impl Durable {
    fn set(&self, twin: &Arc<MemoryStore>) {
        *self.0.lock().unwrap() = Some(twin.clone());
    }
}

#[async_trait]
impl Store for Durable {
    async fn submit(&self, _: Batch) -> Result<Receipt, CommitError> {
        Err(Error::Closed.into())
    }

    fn get(&self, table: Table, key: &Key) -> Result<Option<Stored>, Error> {
        let twin = self.0.lock().unwrap().clone();
        Ok(twin.and_then(|twin| twin.durable(table, key)))
    }

    fn scan(&self, _: Table, _: &Key, _: Option<&Key>, _: usize) -> Result<Vec<(Key, Stored)>, Error> {
        Err(Error::Closed)
    }

    fn keys(&self, _: Table, _: &Key, _: Option<&Key>, _: usize) -> Result<Vec<(Key, Revision)>, Error> {
        Err(Error::Closed)
    }

    fn lease(&self) -> u64 {
        0
    }
}
