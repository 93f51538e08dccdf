//! The folder that holds the state, and the one act that makes it durable.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};

use super::batch::{Error, Revision};
use super::mark::Mark;
use super::note::{self, Note};

pub(super) const BLOBS: &str = "blobs";

/// An open data directory. It can be synced; a path could be swapped under us, a handle cannot.
#[derive(Debug)]
pub(super) struct Directory {
    dir: Dir,
    handle: OwnedFd,
    note: Mutex<Note>,
    mark: Mark,
    #[cfg(test)]
    pub failing: std::sync::atomic::AtomicBool,
}

impl Directory {
    /// Takes the data directory and makes the two folders in it.
    pub fn open(data_dir: &Dir) -> Result<Self, Error> {
        let dir = data_dir.try_clone().map_err(cannot_open("the data directory"))?;
        let note = Note::read(&dir)?;
        refuse_a_lost_folder(&dir, &note)?;
        for folder in [note.folder.as_str(), BLOBS] {
            dir.create_dir_all(folder).map_err(cannot_open(folder))?;
        }
        let handle = handle_of(&dir).map_err(cannot_open("the data directory"))?;
        let found = Self {
            mark: Mark::open(&dir).map_err(cannot_open("the mark of what was acknowledged"))?,
            dir,
            handle,
            note: Mutex::new(note),
            #[cfg(test)]
            failing: Default::default(),
        };
        for folder in [found.folder().as_str(), BLOBS] {
            found.shut(folder).map_err(cannot_open(folder))?;
        }
        found.refuse_two_filesystems()?;
        Ok(found)
    }

    /// Customers' names and addresses: for the engine's own user alone, whoever may look into the folder above. sled makes
    /// its files readable for everybody. An earlier engine's folders are shut as well.
    fn shut(&self, folder: &str) -> io::Result<()> {
        Ok(rustix::fs::chmodat(&self.handle, folder, Mode::RWXU, rustix::fs::AtFlags::empty())?)
    }

    /// The folder of the rows.
    pub fn folder(&self) -> String {
        self.note().folder.clone()
    }

    /// Openings of this store, as the note beside it has them.
    pub fn noted_lease(&self) -> u64 {
        self.note().lease
    }

    pub fn note_lease(&self, lease: u64) -> io::Result<()> {
        let mut note = self.note();
        note.lease = lease;
        note.write(&self.dir)
    }

    /// Whether the note still says what it said when this was opened: an engine that ran meanwhile may have rewritten
    /// the store, and what lies in the folder of then is nobody's.
    pub fn note_still_stands(&self) -> Result<bool, Error> {
        Ok(Note::read(&self.dir)? == *self.note())
    }

    /// A new and empty folder for a rewrite; what an earlier one left under its name goes.
    pub fn new_folder(&self) -> io::Result<String> {
        let folder = self.note().next_folder();
        self.remove_folder(&folder)?;
        self.dir.create_dir(&folder)?;
        self.shut(&folder)?;
        Ok(folder)
    }

    /// From now on, and durably, the rows lie in this folder.
    pub fn switch_to(&self, folder: &str) -> io::Result<()> {
        let mut note = self.note();
        let switched = Note { folder: folder.into(), ..note.clone() };
        switched.write(&self.dir)?;
        *note = switched;
        Ok(())
    }

    /// Removes what rewrites that were cut short left behind, and stores that a rewrite replaced. Only for who holds the
    /// store's lock.
    pub fn remove_other_folders(&self) -> io::Result<()> {
        let own = self.folder();
        for folder in note::store_folders(&self.dir)?.into_iter().filter(|folder| *folder != own) {
            tracing::info!(folder, "removed what a rewrite of the store left behind");
            self.remove_folder(&folder)?;
        }
        Ok(())
    }

    pub fn remove_folder(&self, folder: &str) -> io::Result<()> {
        match self.dir.remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The last batch that was surely acknowledged, where that is known.
    pub fn acknowledged(&self) -> io::Result<Option<Revision>> {
        self.mark.read()
    }

    pub fn note_acknowledged(&self, revision: Revision) -> io::Result<()> {
        self.mark.write(revision)
    }

    /// Bytes that the filesystem still has room for.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let found = rustix::fs::fstatvfs(&self.handle)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn note(&self) -> MutexGuard<'_, Note> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything written on this filesystem so far is durable when this returns. sled's own `flush` hands bytes to the
    /// kernel and stops there, and its files for large pages are never synced by it: this one call covers all of them.
    pub fn sync(&self) -> io::Result<()> {
        // Lets the power-cut program show that it would notice.
        fail::fail_point!("state::skip_sync", |_| Ok(()));
        fail::fail_point!("state::sync_fails", |_| Err(io::Error::other("injected: the sync failed")));
        #[cfg(test)]
        if self.failing.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(io::Error::other("injected: the sync failed"));
        }
        Ok(rustix::fs::syncfs(&self.handle)?)
    }

    /// A sync reaches one filesystem, so the store and its files must be on the one we sync.
    fn refuse_two_filesystems(&self) -> Result<(), Error> {
        let device = |folder: &str| {
            let found = rustix::fs::statat(&self.handle, folder, rustix::fs::AtFlags::empty());
            found.map(|stat| stat.st_dev).map_err(|error| cannot_open(folder)(error.into()))
        };
        let here = device(".")?;
        for folder in [self.folder().as_str(), BLOBS] {
            if device(folder)? != here {
                let detail =
                    format!("{folder} lies on another filesystem than the data directory: one sync must reach both");
                return Err(Error::Open { detail });
            }
        }
        Ok(())
    }

    /// Syncs the files that sled makes once and never syncs, and the folders that name them.
    pub fn sync_store_files(&self, folder: &str) -> io::Result<()> {
        for file in ["conf", "db"] {
            self.dir.open(format!("{folder}/{file}"))?.sync_all()?;
        }
        for folder in [format!("{folder}/blobs").as_str(), folder, BLOBS, "."] {
            sync_folder(&self.dir, folder)?;
        }
        Ok(())
    }

    /// sled's threads hold its file, and with it the lock, a moment longer than its handle lives.
    pub fn wait_until_unlocked(&self, folder: &str) -> Result<(), Error> {
        let failed = |error: io::Error| io_failed("letting go of the store", &error);
        let file = self.dir.open(format!("{folder}/db")).map_err(failed)?;
        for _ in 0..5_000 {
            match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => return Err(failed(error.into())),
            }
        }
        Err(Error::Failed { detail: "sled did not let go of its file".into() })
    }

    /// Bytes in all files of the state.
    pub fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.rows_bytes()? + self.folder_bytes(BLOBS)?)
    }

    /// Bytes in the files that hold the rows, without the large values.
    pub fn rows_bytes(&self) -> io::Result<u64> {
        let folder = self.folder();
        Ok(self.folder_bytes(&folder)? + self.folder_bytes(&format!("{folder}/blobs"))?)
    }

    fn folder_bytes(&self, folder: &str) -> io::Result<u64> {
        let mut total = 0;
        for entry in self.dir.read_dir(folder)? {
            // A file may go while we count: sled drops its own when it likes.
            match entry.and_then(|entry| entry.metadata()) {
                Ok(found) if found.is_file() => total += found.len(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }
}

/// A store that was opened before has its folder, and none that was never opened has one of a rewrite.
fn refuse_a_lost_folder(dir: &Dir, note: &Note) -> Result<(), Error> {
    let found = note::store_folders(dir).map_err(cannot_open("the data directory"))?;
    if found.contains(&note.folder) || (note.lease == 0 && found.is_empty()) {
        return Ok(());
    }
    let there = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    let detail = format!(
        "the store's folder {} is missing ({there} is there); put it back, or restore the whole data directory from a \
         backup",
        note.folder
    );
    Err(Error::Damaged { detail })
}

/// Writes beside, syncs, renames, syncs the folder: a file of this name is whole whenever it is there.
pub(super) fn write_durably(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_whole(dir, name, bytes)?;
    sync_folder(dir, ".")
}

/// The same, where the folder is yet to be synced.
pub(super) fn write_whole(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let temporary = format!("{TEMPORARY}{name}");
    let mut file = dir.create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    dir.rename(&temporary, dir, name)
}

/// How the name of an unfinished file begins.
pub(super) const TEMPORARY: &str = "unfinished-";

pub(super) fn sync_folder(dir: &Dir, folder: &str) -> io::Result<()> {
    Ok(rustix::fs::fsync(open_folder(dir, folder)?)?)
}

fn handle_of(dir: &Dir) -> io::Result<OwnedFd> {
    open_folder(dir, ".")
}

/// cap-std opens folders with `O_PATH`, which cannot be synced.
fn open_folder(dir: &Dir, folder: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(dir, folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn cannot_open(what: &str) -> impl Fn(io::Error) -> Error {
    move |error| match disk_full(&error) {
        Some(full) => full,
        None => Error::Open { detail: format!("{what}: {error}") },
    }
}

/// `DiskFull` where that is what the system said.
pub(super) fn disk_full(error: &io::Error) -> Option<Error> {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    full.then(|| Error::DiskFull { detail: error.to_string() })
}

/// What a failed read, write or sync means for the store.
pub(super) fn io_failed(what: &str, error: &io::Error) -> Error {
    disk_full(error).unwrap_or_else(|| Error::Failed { detail: format!("{what}: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_the_owner_can_look_into_the_state() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        // One folder is new, the other is an earlier engine's.
        std::fs::create_dir(temp.path().join(note::FIRST)).unwrap();
        std::fs::set_permissions(temp.path().join(note::FIRST), std::fs::Permissions::from_mode(0o755)).unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        Directory::open(&dir).unwrap();
        for folder in [note::FIRST, BLOBS] {
            let mode = std::fs::metadata(temp.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
    }

    #[test]
    fn says_disk_full_when_the_system_does() {
        let full = io::Error::from(rustix::io::Errno::NOSPC);
        assert!(matches!(io_failed("sync", &full), Error::DiskFull { .. }));
        let quota = io::Error::from(rustix::io::Errno::DQUOT);
        assert!(matches!(io_failed("sync", &quota), Error::DiskFull { .. }));
        let other = io::Error::from(rustix::io::Errno::IO);
        assert!(matches!(io_failed("sync", &other), Error::Failed { .. }));
    }
}
