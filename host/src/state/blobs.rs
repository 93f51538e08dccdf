//! Values too large for the store's tree, each in a file named by the SHA-256 of its bytes.
//!
//! A file is whole and durable before the batch that names it is applied, and is verified whenever it is read. What no
//! row names any more, and no batch that waits, is removed by the committer, never while somebody reads a row and then its
//! file; what is left over is removed at the next open.

use std::collections::HashMap;
use std::io::{self, Read};

use bytes::Bytes;
use cap_std::fs::Dir;
use sha2::{Digest as _, Sha256};

use super::batch::Error;
use super::directory::{self, BLOBS, TEMPORARY};
use super::row::Digest;

/// How many files one open removes. A store with more garbage than that is cleaned over several opens: looking at a file
/// costs microseconds, but removing one costs the filesystem's journal, and an open must not take minutes because of it.
const COLLECT_LIMIT: usize = 10_000;

#[derive(Debug)]
pub(super) struct Blobs {
    dir: Dir,
}

impl Blobs {
    pub fn open(data_dir: &Dir) -> Result<Self, Error> {
        let opened = data_dir.open_dir(BLOBS);
        opened.map(|dir| Self { dir }).map_err(|error| Error::Open { detail: format!("{BLOBS}: {error}") })
    }

    pub fn digest(bytes: &[u8]) -> Digest {
        Sha256::digest(bytes).into()
    }

    /// Durable on return, each under the digest that is given with it. A file that is there already is written anew: it may
    /// be the damaged one that this write repairs.
    pub fn write<'a>(&self, values: impl IntoIterator<Item = (&'a Digest, &'a [u8])>) -> Result<(), Error> {
        let written = values
            .into_iter()
            .try_for_each(|(digest, bytes)| directory::write_whole(&self.dir, &hex::encode(digest), bytes))
            .and_then(|()| directory::sync_folder(&self.dir, "."));
        written.map_err(|error| directory::io_failed("writing a large value", &error))
    }

    pub fn read(&self, digest: &Digest, length_bytes: u64) -> Result<Bytes, Error> {
        let name = hex::encode(digest);
        let damaged = |why: String| Error::Damaged {
            detail: format!("the large value {BLOBS}/{name} {why}; restore this file from a backup"),
        };
        let file = self.dir.open(&name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("is missing".into()),
            _ => directory::io_failed("reading a large value", &error),
        })?;
        // The digest decides; the length only keeps a file that grew from filling memory.
        let mut bytes = Vec::with_capacity(usize::try_from(length_bytes).unwrap_or(0));
        file.take(length_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| directory::io_failed("reading a large value", &error))?;
        if Sha256::digest(&bytes).as_slice() != digest {
            return Err(damaged(format!("does not hold what was written ({length_bytes} bytes expected)")));
        }
        Ok(bytes.into())
    }

    /// Not synced: what comes back after a power cut is garbage that the next opening finds.
    pub fn remove(&self, digest: &Digest) -> Result<(), Error> {
        match self.dir.remove_file(hex::encode(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(directory::io_failed("removing an unused large value", &error))
            }
            _ => Ok(()),
        }
    }

    /// Every file with its length.
    pub fn lengths(&self) -> Result<HashMap<Digest, u64>, Error> {
        let failed = |error: io::Error| directory::io_failed("looking at the large values", &error);
        let mut found = HashMap::new();
        for entry in self.dir.entries().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Some(digest) = entry.file_name().to_str().and_then(digest_of) {
                found.insert(digest, entry.metadata().map_err(failed)?.len());
            }
        }
        Ok(found)
    }

    /// Removes unfinished files and those that `in_use` denies; answers how many went.
    pub fn collect(&self, in_use: impl Fn(&Digest) -> Result<bool, Error>) -> Result<usize, Error> {
        let failed = |error: io::Error| directory::io_failed("looking for unused large values", &error);
        let mut removed = 0;
        for entry in self.dir.entries().map_err(failed)? {
            if removed == COLLECT_LIMIT {
                break;
            }
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let unused = match digest_of(name) {
                Some(digest) => !in_use(&digest)?,
                // Whatever else lies here is not ours to remove.
                None => name.starts_with(TEMPORARY),
            };
            if unused {
                self.dir.remove_file(name).map_err(failed)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn digest_of(name: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    hex::decode_to_slice(name, &mut digest).ok()?;
    // Only the spelling we write: an upper-case twin would be another file.
    (hex::encode(digest) == name).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Blobs) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        dir.create_dir(BLOBS).unwrap();
        let blobs = Blobs::open(&dir).unwrap();
        (temp, blobs)
    }

    fn write(blobs: &Blobs, bytes: &[u8]) -> Digest {
        let digest = Blobs::digest(bytes);
        blobs.write([(&digest, bytes)]).unwrap();
        digest
    }

    #[test]
    fn says_damaged_when_a_file_does_not_hold_what_was_written() {
        let (temp, blobs) = folder();
        let digest = write(&blobs, b"a sale-out");
        let file = temp.path().join(BLOBS).join(hex::encode(digest));
        assert_eq!(blobs.read(&digest, 10).unwrap(), "a sale-out");

        for wrong in ["a sale-ouT", "a sale-out and more", "a"] {
            std::fs::write(&file, wrong).unwrap();
            let error = blobs.read(&digest, 10).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{wrong}: {error}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(blobs.read(&digest, 10), Err(Error::Damaged { .. })));

        write(&blobs, b"a sale-out");
        assert_eq!(blobs.read(&digest, 10).unwrap(), "a sale-out", "writing it again repairs it");
    }

    #[test]
    fn collects_unused_and_unfinished_files_and_nothing_else() {
        let (temp, blobs) = folder();
        let used = write(&blobs, b"used");
        write(&blobs, b"unused");
        let path = temp.path().join(BLOBS);
        std::fs::write(path.join(format!("{TEMPORARY}x")), "half").unwrap();
        std::fs::write(path.join("README"), "not ours").unwrap();

        assert_eq!(blobs.collect(|digest| Ok(*digest == used)).unwrap(), 2);
        let mut left: Vec<_> =
            std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut expected = vec!["README".to_string(), hex::encode(used)];
        expected.sort();
        assert_eq!(left, expected);
    }
}
