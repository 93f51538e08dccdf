//! A walk over every row of a store that is in use, and every change that is made meanwhile.
//!
//! Read in the order in which they are handed over, with the later word about a row winning, rows and changes are the
//! store as it stands when the walk has ended. So nothing waits for a walk, and a walk waits for nobody.

use std::ops::Bound;
use std::sync::{PoisonError, mpsc};

use super::batch::Error;
use super::format;
use super::sled_store::Core;

/// Rows read under one hold of the gate: a commit waits for as long.
const CHUNK_ROWS: usize = 500;

/// One row as it became: its key in the tree, and its bytes, or that it went.
pub(super) type TreeChange = (Vec<u8>, Option<Vec<u8>>);

/// Hears every change from its opening to its end.
pub(super) struct Tap<'a> {
    core: &'a Core,
    changes: mpsc::Receiver<TreeChange>,
}

impl<'a> Tap<'a> {
    /// `None` where somebody walks already.
    pub fn open(core: &'a Core) -> Option<Self> {
        let (sender, changes) = mpsc::channel();
        let mut tap = core.tap.lock().unwrap_or_else(PoisonError::into_inner);
        if tap.is_some() {
            return None;
        }
        *tap = Some(sender);
        drop(tap);
        Some(Self { core, changes })
    }

    /// Hands over every row, and after each chunk what changed until then.
    pub fn walk<E: From<Error>>(&self, mut take: impl FnMut(TreeChange) -> Result<(), E>) -> Result<(), E> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = chunk(self.core, after.as_deref())?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in rows {
                take((key, Some(value)))?;
            }
            for change in self.so_far() {
                take(change)?;
            }
        }
    }

    /// What changed since this was asked last.
    pub fn so_far(&self) -> impl Iterator<Item = TreeChange> {
        self.changes.try_iter()
    }

    /// What was not taken yet. Nothing is being applied while it closes, so the last change is there whole.
    pub fn close(mut self) -> Vec<TreeChange> {
        let gate = self.core.db.read().unwrap_or_else(PoisonError::into_inner);
        self.core.tap.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(gate);
        let (_, none) = mpsc::channel();
        std::mem::replace(&mut self.changes, none).try_iter().collect()
    }
}

impl Drop for Tap<'_> {
    fn drop(&mut self) {
        self.core.tap.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A row as the tree has it: key and value.
type TreeRow = (Vec<u8>, Vec<u8>);

/// The next rows in the order of their keys.
pub(super) fn chunk(core: &Core, after: Option<&[u8]>) -> Result<Vec<TreeRow>, Error> {
    core.read(|db| {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = db.range::<&[u8], _>((start, Bound::Unbounded)).take(CHUNK_ROWS);
        let rows = found.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())));
        rows.collect::<Result<Vec<_>, _>>().map_err(|error| format::sled_failed(&error))
    })
}
