//! The rows written anew into a store of their own, while the old one is in use, and the switch to it.
//!
//! sled gives little space back where rows come and go. A rewrite is a [`walk`](super::walk) over the rows into a fresh
//! store beside the old one; then commits and reads are held for a moment, what changed last is brought over, the new
//! store is synced, and the note beside the stores names the new one. The note is one file that is replaced whole, so a
//! crash at any instant leaves exactly one store that counts:
//!
//! | the crash comes | what the next opening finds |
//! |---|---|
//! | while rows are copied, or brought over, or synced | the note names the old store, which has everything; the new one has no format, could not be opened, and is removed |
//! | while the note is replaced | the old note or the new one; nothing was committed since the new store was synced |
//! | while the old store is let go and removed | the note names the new store; what is left of the old one is removed |
//!
//! The large values stay where they are: both stores name the same files.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::batch::Error;
use super::directory;
use super::format::{self, FORMAT_ROW, sled_failed};
use super::sled_store::{Core, SledStore, guarded, open_sled};
use super::walk::{self, Tap, TreeChange};

/// Bytes brought over between two looks at the clock and the disk.
const STRIDE_BYTES: u64 = 1 << 20;
/// Changes that may be left for the moment in which commits are held, and how often this tries to get there.
const FEW_CHANGES: usize = 200;
const CATCH_UPS: u32 = 20;

/// How hard a rewrite may work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    pub bytes_per_second: u64,
    /// Disk space that stays free, whatever happens.
    pub keep_free_bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        // A gigabyte of rows in half a minute, and most of any disk's time left for commits.
        Self { bytes_per_second: 32 << 20, keep_free_bytes: 1 << 30 }
    }
}

/// What the rows are, and what their files take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub live_bytes: u64,
    pub disk_bytes: u64,
}

/// How far a rewrite has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done_bytes: u64,
    pub of_bytes: u64,
}

/// What a rewrite did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    pub before_bytes: u64,
    pub after_bytes: u64,
    /// How long commits and reads waited for the switch.
    pub held: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    #[error("a backup is being taken, or the store is being rewritten already; try again when that has ended")]
    Busy,
    #[error(
        "the disk has too little room: the new files, and what must stay free beside them, need about {needed_bytes} bytes, \
         and {free_bytes} are free; make room, or stop the engine, without which less must stay free"
    )]
    NoRoom { needed_bytes: u64, free_bytes: u64 },
    #[error("stopped before its end; the store is as it was")]
    Stopped,
    /// The new store could not be written; the old one is in use as before, where this is not its own failure.
    #[error(transparent)]
    Store(#[from] Error),
}

impl SledStore {
    /// Reads every row to say how large they are together. Blocks; others read and commit meanwhile.
    pub fn space(&self) -> Result<Space, Error> {
        let core = self.core();
        let mut live_bytes = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = walk::chunk(core, after.as_deref())?;
            let Some((last, _)) = rows.last() else { break };
            live_bytes += rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
            after = Some(last.clone());
        }
        Ok(Space { live_bytes, disk_bytes: self.rows_bytes()? })
    }

    /// Bytes in the files of the rows, the large values aside. Cheap, unlike [`SledStore::space`].
    pub fn rows_bytes(&self) -> Result<u64, Error> {
        self.core().directory.rows_bytes().map_err(|error| directory::io_failed("measuring the store", &error))
    }

    /// Writes the store anew and goes on with the new one. Blocks, for as long as the pace makes it; others read and
    /// commit meanwhile, but for the moment of the switch. `go_on` hears how far it is, and ends it by saying no.
    pub fn rewrite(&self, pace: &Pace, go_on: &dyn Fn(Progress) -> bool) -> Result<Rewritten, RewriteError> {
        let core = self.core();
        let tap = Tap::open(core).ok_or(RewriteError::Busy)?;
        let before = self.space()?;
        // A fresh store of ours was seen to take up to three times its rows, and never needs more than it takes now.
        let needed_bytes = (before.live_bytes * 3).min(before.disk_bytes) + pace.keep_free_bytes;
        let free_bytes = core.directory.free_bytes().map_err(measuring)?;
        if free_bytes < needed_bytes {
            return Err(RewriteError::NoRoom { needed_bytes, free_bytes });
        }
        let folder = core.directory.new_folder().map_err(|error| directory::io_failed("making a folder", &error))?;
        let mut unfinished = Unfinished { core, folder: Some(folder.clone()) };
        fail::fail_point!("rewrite::begun", |_| Err(injected("begun")));
        let place: PathBuf = core.path.join(&folder);
        let db = open_sled(&place, &core.settings, false)?;
        let mut copy = Copy { core, db: Some(db), batch: sled::Batch::default(), held_bytes: 0, format_row: None };
        copy.begin()?;
        let mut gait = Gait { pace, core, go_on, began: Instant::now(), done_bytes: 0, of_bytes: before.live_bytes };
        tap.walk(|change| -> Result<(), RewriteError> {
            let bytes = copy.take(change)?;
            gait.after(bytes)
        })?;
        copy.apply()?;
        fail::fail_point!("rewrite::copied", |_| Err(injected("copied")));
        for _ in 0..CATCH_UPS {
            copy.settle()?;
            let mut count = 0;
            for change in tap.so_far() {
                copy.take(change)?;
                count += 1;
            }
            copy.apply()?;
            if count < FEW_CHANGES {
                break;
            }
        }
        copy.settle()?;
        let held = switch(core, &tap, &mut copy, &folder)?;
        // The folder counts now, whatever else goes wrong.
        unfinished.folder = None;
        let after_bytes = self.rows_bytes()?;
        Ok(Rewritten { before_bytes: before.disk_bytes, after_bytes, held })
    }
}

/// Holds commits and reads, brings the last changes over, makes the new store the one that counts, and lets the old go.
fn switch(core: &Core, tap: &Tap<'_>, copy: &mut Copy<'_>, folder: &str) -> Result<Duration, RewriteError> {
    let old_folder = core.directory.folder();
    let mut gate = core.db.write().unwrap_or_else(PoisonError::into_inner);
    let began = Instant::now();
    if gate.is_none() || core.failure().is_some() {
        return Err(Error::Closed.into());
    }
    for change in tap.so_far() {
        copy.take(change)?;
    }
    copy.finish()?;
    fail::fail_point!("rewrite::caught_up", |_| Err(injected("caught_up")));
    copy.settle()?;
    core.directory.sync_store_files(folder).map_err(|error| directory::io_failed("syncing the new store", &error))?;
    fail::fail_point!("rewrite::synced", |_| Err(injected("synced")));
    let noted = core.directory.switch_to(folder);
    if let Err(error) = noted {
        // The note is the old one or the new one, and nobody can say which: nothing may be committed to either.
        let error = directory::io_failed("noting the new store", &error);
        drop(gate);
        core.fail(error.clone());
        return Err(error.into());
    }
    fail::fail_point!("rewrite::noted");
    let old = std::mem::replace(&mut *gate, copy.db.take());
    drop(gate);
    let held = began.elapsed();
    fail::fail_point!("rewrite::switched");
    // The committer may still flush a group that it applied to the old store; it is in the new one, and synced.
    let gone = guarded(move || {
        drop(old);
        Ok(())
    });
    let removed = gone
        .and_then(|()| core.directory.wait_until_unlocked(&old_folder))
        .and_then(|()| core.directory.remove_folder(&old_folder).map_err(measuring));
    if let Err(error) = removed {
        tracing::warn!(%error, "the old store stays until the next opening");
    }
    fail::fail_point!("rewrite::removed");
    Ok(held)
}

/// The new store as it grows.
struct Copy<'a> {
    core: &'a Core,
    db: Option<sled::Db>,
    batch: sled::Batch,
    held_bytes: u64,
    /// Kept back: without its format the new store cannot be taken for one.
    format_row: Option<Vec<u8>>,
}

impl Copy<'_> {
    /// A store that has rows and no format is refused by every opening.
    fn begin(&mut self) -> Result<(), Error> {
        self.batch.insert(format::own_key(BEGUN), &[]);
        self.apply()?;
        self.settle()
    }

    /// Says how many bytes it took.
    fn take(&mut self, (key, value): TreeChange) -> Result<u64, Error> {
        let bytes = (key.len() + value.as_ref().map_or(0, Vec::len)) as u64;
        if key == format::own_key(FORMAT_ROW) {
            self.format_row = value;
            return Ok(bytes);
        }
        match value {
            Some(value) => self.batch.insert(key, value),
            None => self.batch.remove(key),
        }
        self.held_bytes += bytes;
        if self.held_bytes >= STRIDE_BYTES {
            self.apply()?;
        }
        Ok(bytes)
    }

    /// The new store is whole once this is applied.
    fn finish(&mut self) -> Result<(), Error> {
        let lost = || Error::Damaged { detail: "the store names no format; restore it from a backup".into() };
        let format_row = self.format_row.take().ok_or_else(lost)?;
        self.batch.insert(format::own_key(FORMAT_ROW), format_row);
        self.batch.remove(format::own_key(BEGUN));
        self.apply()
    }

    fn apply(&mut self) -> Result<(), Error> {
        self.held_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.with_db(|db| db.apply_batch(batch).map_err(|error| sled_failed(&error)))
    }

    /// Everything taken so far is durable.
    fn settle(&mut self) -> Result<(), Error> {
        self.with_db(|db| db.flush().map(|_| ()).map_err(|error| sled_failed(&error)))?;
        self.core.directory.sync().map_err(|error| directory::io_failed("syncing the new store", &error))
    }

    fn with_db(&self, act: impl FnOnce(&sled::Db) -> Result<(), Error>) -> Result<(), Error> {
        guarded(|| act(self.db.as_ref().ok_or(Error::Closed)?))
    }
}

const BEGUN: &str = "rewriting";

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        // Abandoned: whatever sled still wants of its files, they go next.
        let gone = guarded(move || {
            drop(db);
            Ok(())
        });
        if let Err(error) = gone {
            tracing::warn!(%error, "an abandoned new store did not close well");
        }
    }
}

/// Removed where the rewrite does not come to its end.
struct Unfinished<'a> {
    core: &'a Core,
    folder: Option<String>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Some(folder) = self.folder.take() else { return };
        // Noted before the failure: then it counts.
        if self.core.directory.folder() == folder {
            return;
        }
        // It may have got no further than a folder; then there is no lock to wait for.
        let _ = self.core.directory.wait_until_unlocked(&folder);
        if let Err(error) = self.core.directory.remove_folder(&folder) {
            tracing::warn!(%error, folder, "an abandoned new store stays until the next opening");
        }
    }
}

/// Keeps to the pace, and off the last of the disk.
struct Gait<'a> {
    pace: &'a Pace,
    core: &'a Core,
    go_on: &'a dyn Fn(Progress) -> bool,
    began: Instant,
    done_bytes: u64,
    of_bytes: u64,
}

impl Gait<'_> {
    fn after(&mut self, bytes: u64) -> Result<(), RewriteError> {
        let strides = self.done_bytes / STRIDE_BYTES;
        self.done_bytes += bytes;
        if self.done_bytes / STRIDE_BYTES == strides {
            return Ok(());
        }
        if !(self.go_on)(Progress { done_bytes: self.done_bytes, of_bytes: self.of_bytes }) {
            return Err(RewriteError::Stopped);
        }
        let free_bytes = self.core.directory.free_bytes().map_err(measuring)?;
        if free_bytes < self.pace.keep_free_bytes {
            return Err(RewriteError::NoRoom { needed_bytes: self.pace.keep_free_bytes, free_bytes });
        }
        let due_ms = self.done_bytes.saturating_mul(1_000) / self.pace.bytes_per_second.max(1);
        std::thread::sleep(Duration::from_millis(due_ms).saturating_sub(self.began.elapsed()));
        Ok(())
    }
}

fn measuring(error: std::io::Error) -> Error {
    directory::io_failed("rewriting the store", &error)
}

#[cfg(feature = "failpoints")]
fn injected(point: &str) -> RewriteError {
    Error::Failed { detail: format!("injected at rewrite::{point}") }.into()
}

#[cfg(test)]
mod tests;
