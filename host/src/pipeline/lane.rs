//! One source and two readers of it: the live one, and a backfill.
//!
//! A page shows what was true when it left the vendor. Were it committed after a later page that shows the same record,
//! the old state would count as the newest version. So from its question to its commit a reader has the lane to itself.
//! A backfill gives it up between two pages, and whoever waits gets it first: the live reader waits for one page at most.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// A scheme's lane. Cheap to clone.
#[derive(Clone, Default)]
pub struct Lane {
    /// An asynchronous lock, held over requests on purpose. It is fair: who came first goes first.
    lock: Arc<Mutex<()>>,
}

/// The right to read, until dropped.
pub type Turn = OwnedMutexGuard<()>;

impl Lane {
    pub async fn take(&self) -> Turn {
        self.lock.clone().lock_owned().await
    }
}
