//! The keepers of reference tables: one for each table that a scheme at work uses.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::pipeline::reference::{Library, TableId};

pub(super) struct Tables {
    library: Library,
    kept: Mutex<BTreeMap<TableId, Keeper>>,
    stop: CancellationToken,
}

struct Keeper {
    users: usize,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Tables {
    pub fn new(library: Library, stop: CancellationToken) -> Self {
        Self { library, kept: Mutex::default(), stop }
    }

    /// One user more of each of these tables.
    pub fn keep(&self, tables: &[TableId]) {
        let mut kept = self.lock();
        for id in tables {
            if let Some(keeper) = kept.get_mut(id) {
                keeper.users += 1;
                continue;
            }
            let stop = self.stop.child_token();
            let Some(keeper) = self.library.keepers(&|one| one == id, &stop).pop() else { continue };
            kept.insert(id.clone(), Keeper { users: 1, stop, task: tokio::spawn(keeper) });
        }
    }

    /// One user less. A table that nobody uses is not fetched any more.
    pub async fn release(&self, tables: &[TableId]) {
        let mut idle = Vec::new();
        {
            let mut kept = self.lock();
            for id in tables {
                let Some(keeper) = kept.get_mut(id) else { continue };
                keeper.users -= 1;
                if keeper.users == 0 {
                    idle.extend(kept.remove(id).map(|keeper| (id, keeper)));
                }
            }
        }
        for (id, Keeper { stop, task, .. }) in idle {
            stop.cancel();
            // One that panicked has ended as well.
            let _ = task.await;
            self.library.remove(id);
        }
    }

    /// Once all were told to stop.
    pub async fn end(&self) {
        let keepers: Vec<Keeper> = std::mem::take(&mut *self.lock()).into_values().collect();
        for keeper in keepers {
            keeper.stop.cancel();
            let _ = keeper.task.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TableId, Keeper>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
