//! The folder that holds the state, and the one act that makes it durable.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};

use super::batch::Error;

pub(super) const STORE: &str = "store";
pub(super) const BLOBS: &str = "blobs";

/// An open data directory. It can be synced; a path could be swapped under us, a handle cannot.
#[derive(Debug)]
pub(super) struct Directory {
    dir: Dir,
    handle: OwnedFd,
    #[cfg(test)]
    pub failing: std::sync::atomic::AtomicBool,
}

impl Directory {
    /// Takes the data directory and makes the two folders in it.
    pub fn open(data_dir: &Dir) -> Result<Self, Error> {
        let dir = data_dir.try_clone().map_err(cannot_open("the data directory"))?;
        for folder in [STORE, BLOBS] {
            dir.create_dir_all(folder).map_err(cannot_open(folder))?;
        }
        let handle = handle_of(&dir).map_err(cannot_open("the data directory"))?;
        for folder in [STORE, BLOBS] {
            // Customers' names and addresses: for the engine's own user alone, whoever may look into the folder above.
            // sled makes its files readable for everybody. An earlier engine's folders are shut as well.
            rustix::fs::chmodat(&handle, folder, Mode::RWXU, rustix::fs::AtFlags::empty())
                .map_err(|error| cannot_open(folder)(error.into()))?;
        }
        let found = Self {
            dir,
            handle,
            #[cfg(test)]
            failing: Default::default(),
        };
        found.refuse_two_filesystems()?;
        Ok(found)
    }

    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Everything written on this filesystem so far is durable when this returns. sled's own `flush` hands bytes to the
    /// kernel and stops there, and its files for large pages are never synced by it: this one call covers all of them.
    pub fn sync(&self) -> io::Result<()> {
        // Lets the power-cut program show that it would notice.
        fail::fail_point!("state::skip_sync", |_| Ok(()));
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
        for folder in [STORE, BLOBS] {
            if device(folder)? != here {
                let detail =
                    format!("{folder} lies on another filesystem than the data directory: one sync must reach both");
                return Err(Error::Open { detail });
            }
        }
        Ok(())
    }

    /// Syncs the files that sled makes once and never syncs, and the folders that name them.
    pub fn sync_store_files(&self) -> io::Result<()> {
        for file in ["store/conf", "store/db"] {
            self.dir.open(file)?.sync_all()?;
        }
        for folder in ["store/blobs", STORE, BLOBS, "."] {
            sync_folder(&self.dir, folder)?;
        }
        Ok(())
    }

    /// sled's threads hold its file, and with it the lock, a moment longer than its handle lives.
    pub fn wait_until_unlocked(&self) -> Result<(), Error> {
        let failed = |error: io::Error| io_failed("letting go of the store", &error);
        let file = self.dir.open("store/db").map_err(failed)?;
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
        let mut total = 0;
        for folder in [STORE, "store/blobs", BLOBS] {
            for entry in self.dir.read_dir(folder)? {
                // A file may go while we count: sled drops its own when it likes.
                match entry.and_then(|entry| entry.metadata()) {
                    Ok(found) if found.is_file() => total += found.len(),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(total)
    }

    /// Replaces a small file so that after a crash there is either the old one or the new one.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_durably(&self.dir, name, bytes)
    }
}

/// Writes beside, syncs, renames, syncs the folder: a file of this name is whole whenever it is there.
pub(super) fn write_durably(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let temporary = format!("{TEMPORARY}{name}");
    let mut file = dir.create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    dir.rename(&temporary, dir, name)?;
    sync_folder(dir, ".")
}

/// How the name of an unfinished file begins.
pub(super) const TEMPORARY: &str = "unfinished-";

fn sync_folder(dir: &Dir, folder: &str) -> io::Result<()> {
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
        std::fs::create_dir(temp.path().join(STORE)).unwrap();
        std::fs::set_permissions(temp.path().join(STORE), std::fs::Permissions::from_mode(0o755)).unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        Directory::open(&dir).unwrap();
        for folder in [STORE, BLOBS] {
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
