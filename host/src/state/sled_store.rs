//! The store on disk: one sled tree, one committer.
//!
//! Every row goes through the committer thread: it gathers what is ready and applies it as one atomic batch. The settler
//! thread flushes, syncs the filesystem, and only then answers, while the committer is at the next group. After any failure of sled or of the disk the store is closed and
//! acknowledges nothing any more, for nobody can say what of the failed group is durable; opening it again can.

use std::collections::VecDeque;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cap_std::fs::Dir;

use super::batch::{Batch, CommitError, Error, Key, Revision, Stored, Table};
use super::blobs::Blobs;
use super::committer::{self, panic_text};
use super::directory::{self, BLOBS, Directory};
use super::filer::Awaited;
use super::format::{self, sled_failed};
use super::health::{Health, Pulse};
use super::note;
use super::queue::Queue;
use super::row::{self, Digest, Payload, Row};
use super::settler::Unsettled;
use super::walk::TreeChange;
use super::{Receipt, Store};

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory that sled may use for pages, by their bytes on the disk. In memory a page takes half as much again, and up to
    /// 16,384 pages wait to be counted at all (64 for each of 256 shards), whatever is set here. Twice as much makes the whole
    /// way a few percent faster at best; over a million documents it takes an engine past 400 MiB.
    pub cache_bytes: u64,
    /// A commit that takes longer than this is reported as hanging. A healthy one takes under 10 ms; a disk busy with
    /// something else has been seen to take a second.
    pub stall_after_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, stall_after_ms: 10_000 }
    }
}

/// The durable store in a data directory. Dropping it closes it.
pub struct SledStore {
    core: Arc<Core>,
    /// The filer, the committer and the settler.
    writers: Mutex<Vec<JoinHandle<()>>>,
    watchdog: Mutex<Option<JoinHandle<()>>>,
    stall_after: Duration,
}

/// What the committer and the readers share.
pub(super) struct Core {
    /// `None` once closed. Applying a group takes it for writing and a scan for reading, so a scan sees a batch whole or
    /// not at all.
    pub db: RwLock<Option<sled::Db>>,
    pub directory: Directory,
    pub blobs: Blobs,
    pub queue: Queue,
    pub pulse: Arc<Pulse>,
    pub unsettled: Unsettled,
    pub lease: u64,
    /// Where a walk that is under way hears of changes.
    pub tap: Mutex<Option<mpsc::Sender<TreeChange>>>,
    /// Held for reading from the look at a row until its file has been read, and for writing while files go.
    pub files: RwLock<()>,
    /// Files that perhaps no row needs any more.
    pub garbage: Mutex<VecDeque<Digest>>,
    pub awaited: Awaited,
    /// Where the data directory is: sled knows only paths.
    pub path: PathBuf,
    pub settings: Settings,
    failure: Mutex<Option<Error>>,
}

impl SledStore {
    /// Opens the store of a data directory, or makes one. `path` must be the path of `data_dir`: sled knows only paths.
    /// Blocks: recovering a store takes up to seconds.
    pub fn open(data_dir: &Dir, path: &Path, settings: &Settings) -> Result<Self, Error> {
        refuse_another_folder(data_dir, path)?;
        let directory = Directory::open(data_dir)?;
        // Nothing can have been acknowledged before an opening ended well.
        let ever_opened = directory.noted_lease() > 0;
        let db = open_sled(&path.join(directory.folder()), settings, ever_opened)?;
        if !directory.note_still_stands()? {
            return Err(Error::InUse);
        }
        let opened = guarded(|| format::take_lease(&db, &directory))?;
        directory.remove_other_folders().map_err(|error| directory::io_failed("removing an older store", &error))?;
        let blobs = Blobs::open(data_dir)?;
        guarded(|| refuse_lost_files(&db, &blobs))?;
        let removed = guarded(|| blobs.collect(|digest| is_used(&db, digest)))?;
        if removed > 0 {
            tracing::info!(removed, "large values that no row names any more were removed");
        }
        let core = Arc::new(Core {
            db: RwLock::new(Some(db)),
            directory,
            blobs,
            queue: Queue::new(),
            pulse: Arc::default(),
            unsettled: Unsettled::default(),
            lease: opened.lease,
            tap: Mutex::new(None),
            files: RwLock::new(()),
            garbage: Mutex::default(),
            awaited: Awaited::default(),
            path: path.into(),
            settings: settings.clone(),
            failure: Mutex::new(None),
        });
        let stall_after = Duration::from_millis(settings.stall_after_ms);
        let no_thread = |error: io::Error| Error::Open { detail: format!("cannot start a thread: {error}") };
        let watchdog = core.pulse.watch(stall_after).map_err(no_thread)?;
        let writers = committer::start(&core, opened).map_err(no_thread)?;
        Ok(Self { core, writers: Mutex::new(writers), watchdog: Mutex::new(Some(watchdog)), stall_after })
    }

    /// Commits what is queued, takes nothing more, and lets go of the files: when this returns, the store can be opened
    /// again. Blocks. Later calls find it closed and do nothing.
    pub fn close(&self) -> Result<(), Error> {
        self.core.queue.close();
        for writer in lock(&self.writers).drain(..) {
            // A panic in there was caught and noted as the failure; there is nothing more to learn from this.
            let _ = writer.join();
        }
        self.core.pulse.stop();
        if let Some(watchdog) = lock(&self.watchdog).take() {
            let _ = watchdog.join();
        }
        let Some(db) = self.core.db.write().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        // sled flushes once more as it goes, and panics where that fails.
        guarded(move || {
            drop(db);
            Ok(())
        })?;
        self.core.directory.wait_until_unlocked(&self.core.directory.folder())?;
        match self.core.failure() {
            Some(failure) => Err(failure),
            None => self.core.directory.sync().map_err(|error| directory::io_failed("the last sync", &error)),
        }
    }

    pub fn health(&self) -> Health {
        let core = &self.core;
        core.pulse.health(Instant::now(), self.stall_after, core.queue.queued(), core.failure())
    }

    /// Bytes in all files of the store.
    pub fn size_on_disk(&self) -> Result<u64, Error> {
        self.core.directory.size_bytes().map_err(|error| directory::io_failed("measuring the store", &error))
    }

    /// The disk fails from now on.
    #[cfg(test)]
    pub(super) fn fail_syncs(&self) {
        self.core.directory.failing.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store did not close well");
        }
    }
}

#[async_trait]
impl Store for SledStore {
    async fn submit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        if batch.writes.iter().any(|(table, ..)| *table == Table::Meta) {
            return Err(Error::Failed { detail: "the table Meta is the store's own".into() }.into());
        }
        Ok(Receipt(self.core.queue.submit(batch).await?))
    }

    fn get(&self, table: Table, key: &Key) -> Result<Option<Stored>, Error> {
        let _files = self.core.files.read().unwrap_or_else(PoisonError::into_inner);
        let row = self.core.read(|db| match db.get(row::tree_key(table, key)) {
            Ok(Some(raw)) => decode(&raw).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(sled_failed(&error)),
        })?;
        row.map(|row| self.core.load(row)).transpose()
    }

    fn scan(&self, table: Table, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Stored)>, Error> {
        let _files = self.core.files.read().unwrap_or_else(PoisonError::into_inner);
        let rows = self.core.rows(table, prefix, after, limit)?;
        rows.into_iter().map(|(key, row)| Ok((key, self.core.load(row)?))).collect()
    }

    fn keys(
        &self,
        table: Table,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Revision)>, Error> {
        let rows = self.core.rows(table, prefix, after, limit)?;
        Ok(rows.into_iter().map(|(key, row)| (key, row.revision)).collect())
    }

    fn lease(&self) -> u64 {
        self.core.lease
    }
}

impl Core {
    /// The store takes and gives nothing from now on.
    pub fn fail(&self, error: Error) {
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            tracing::error!(%error, "the store failed and is closed; nothing more is acknowledged");
            *failure = Some(error);
        }
        drop(failure);
        self.queue.refuse();
    }

    pub fn failure(&self) -> Option<Error> {
        lock(&self.failure).clone()
    }

    /// Reads under the gate. A failure of sled's own closes the store, whoever met it.
    pub fn read<T>(&self, read: impl FnOnce(&sled::Db) -> Result<T, Error>) -> Result<T, Error> {
        if self.failure().is_some() {
            return Err(Error::Closed);
        }
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or(Error::Closed)?;
        let found = guarded(|| read(db));
        if let Err(error) = &found {
            self.fail(error.clone());
        }
        found
    }

    fn rows(&self, table: Table, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Row)>, Error> {
        let prefix = row::tree_key(table, prefix);
        let start = match after.map(|key| row::tree_key(table, key)) {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix.clone()),
        };
        self.read(|db| {
            let mut rows = Vec::new();
            for found in db.range((start, Bound::Unbounded)).take(limit) {
                let (key, raw) = found.map_err(|error| sled_failed(&error))?;
                if !key.starts_with(&prefix) {
                    break;
                }
                rows.push((Key(key[1..].to_vec()), decode(&raw)?));
            }
            Ok(rows)
        })
    }

    fn load(&self, row: Row) -> Result<Stored, Error> {
        let value = match row.payload {
            Payload::Inline(bytes) => bytes,
            Payload::File { digest, length_bytes } => {
                fail::fail_point!("state::before_file");
                self.blobs.read(&digest, length_bytes)?
            }
        };
        Ok(Stored { value, revision: row.revision, lease: row.lease })
    }
}

pub(super) fn decode(raw: &[u8]) -> Result<Row, Error> {
    Row::decode(raw).ok_or_else(no_row)
}

/// The bytes under a key are no row.
pub(super) fn no_row() -> Error {
    Error::Damaged { detail: "a row is not what this format writes; restore the data directory from a backup".into() }
}

/// Large values named in the message about lost ones.
const NAMED: usize = 5;

/// A large value that a row names and that is not there, or not as long as it was, was acknowledged and is lost. What it
/// holds is checked when it is read: that would take an opening minutes.
fn refuse_lost_files(db: &sled::Db, blobs: &Blobs) -> Result<(), Error> {
    let there = blobs.lengths()?;
    let (mut lost, mut named) = (0_u64, Vec::new());
    for found in db.scan_prefix(row::FILE_USES) {
        let (key, _) = found.map_err(|error| sled_failed(&error))?;
        let Some((digest, tree_key)) = row::file_use_parts(&key) else { continue };
        let raw = db.get(tree_key).map_err(|error| sled_failed(&error))?;
        let payload = raw.map(|raw| decode(&raw)).transpose()?.map(|row| row.payload);
        let length = match payload {
            Some(Payload::File { digest: named, length_bytes }) if named == digest => Some(length_bytes),
            _ => None,
        };
        if length.is_none() || length != there.get(&digest).copied() {
            lost += 1;
            if named.len() < NAMED {
                named.push(format!("{BLOBS}/{}", hex::encode(digest)));
            }
        }
    }
    if lost == 0 {
        return Ok(());
    }
    let named = named.join(", ");
    let detail = format!(
        "{lost} large values are missing or cut off, among them {named}; put these files back, or restore the whole data \
         directory from a backup"
    );
    Err(Error::Damaged { detail })
}

pub(super) fn is_used(db: &sled::Db, digest: &row::Digest) -> Result<bool, Error> {
    match db.scan_prefix(row::file_use_prefix(digest)).next() {
        Some(Ok(_)) => Ok(true),
        Some(Err(error)) => Err(sled_failed(&error)),
        None => Ok(false),
    }
}

/// Whether a data directory holds a store, of whatever state.
pub fn holds_store(data_dir: &Dir) -> io::Result<bool> {
    Ok(!note::store_folders(data_dir)?.is_empty())
}

pub(super) fn open_sled(store: &Path, settings: &Settings, ever_opened: bool) -> Result<sled::Db, Error> {
    let config = sled::Config::new()
        .path(store)
        .cache_capacity(settings.cache_bytes)
        // Its default, said aloud: without its own flusher sled never syncs nor collects segments.
        .flush_every_ms(Some(500));
    let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
    let damaged = |why: String| {
        let what_to_do = match ever_opened {
            true => "keep this directory for inspection and restore the whole data directory from a backup",
            false => "its first opening never ended, so nothing was ever kept in it: remove it and start again",
        };
        Error::Damaged { detail: format!("{} cannot be recovered ({why}); {what_to_do}", store.display()) }
    };
    match opened {
        Ok(Ok(db)) => Ok(db),
        // sled gives this no kind of its own. The version is pinned, and a test opens a store twice.
        Ok(Err(sled::Error::Io(error))) if error.to_string().starts_with("could not acquire lock") => Err(Error::InUse),
        Ok(Err(sled::Error::Io(error))) => Err(directory::disk_full(&error)
            .unwrap_or_else(|| Error::Open { detail: format!("{}: {error}", store.display()) })),
        Ok(Err(error @ sled::Error::Unsupported(_))) => Err(Error::Open { detail: error.to_string() }),
        Ok(Err(error)) => Err(damaged(error.to_string())),
        Err(panic) => Err(damaged(panic_text(&*panic))),
    }
}

fn refuse_another_folder(data_dir: &Dir, path: &Path) -> Result<(), Error> {
    let cannot = |error: rustix::io::Errno| Error::Open { detail: format!("{}: {error}", path.display()) };
    let named = rustix::fs::stat(path).map_err(cannot)?;
    let held = rustix::fs::fstat(data_dir).map_err(cannot)?;
    if (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino) {
        return Err(Error::Open { detail: format!("{} is not the folder that was opened", path.display()) });
    }
    Ok(())
}

/// sled panics on some damage; a panic of its is an error of ours.
pub(super) fn guarded<T>(act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(outcome) => outcome,
        Err(panic) => Err(Error::Failed { detail: format!("the store panicked: {}", panic_text(&*panic)) }),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
