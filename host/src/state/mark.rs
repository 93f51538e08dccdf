//! The revision of the last batch that was acknowledged, noted beside the store.
//!
//! sled takes the end of a log that it cannot read for a write that was cut off, drops it and opens as if nothing had
//! been there. The mark tells such a loss from a cut: it is written only after the sync of the batch that it names, so it
//! never runs ahead of what is durable, and a store that ends before it lost what it had acknowledged. It is not synced
//! itself: where the power goes it may be some batches behind, never ahead.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use cap_std::fs::{Dir, OpenOptions};
use sha2::{Digest as _, Sha256};

use super::batch::Revision;

const MARK: &str = "acknowledged";

#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    pub fn open(dir: &Dir) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        Ok(Self(dir.open_with(MARK, &options)?.into_std()))
    }

    /// `None` where nothing is noted, or not whole: then it says nothing.
    pub fn read(&self) -> io::Result<Option<Revision>> {
        let mut bytes = [0; 16];
        match self.0.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let [number, check] = [&bytes[..8], &bytes[8..]];
        let number = u64::from_be_bytes(number.try_into().expect("eight of sixteen bytes"));
        Ok((check == check_of(number)).then_some(Revision(number)))
    }

    pub fn write(&self, revision: Revision) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&revision.0.to_be_bytes());
        bytes[8..].copy_from_slice(&check_of(revision.0));
        self.0.write_all_at(&bytes, 0)
    }

    /// Before a backup of an earlier time takes the store's place.
    pub fn remove(dir: &Dir) -> io::Result<()> {
        match dir.remove_file(MARK) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn check_of(number: u64) -> [u8; 8] {
    let digest = Sha256::digest(number.to_be_bytes());
    digest[..8].try_into().expect("a digest has more than eight bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_what_was_written_last_and_a_broken_one_says_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        let mark = Mark::open(&dir).unwrap();
        assert_eq!(mark.read().unwrap(), None);
        for number in [7, 5_000_000_000] {
            mark.write(Revision(number)).unwrap();
            assert_eq!(Mark::open(&dir).unwrap().read().unwrap(), Some(Revision(number)));
        }
        dir.write(MARK, [1; 16]).unwrap();
        assert_eq!(Mark::open(&dir).unwrap().read().unwrap(), None);
        Mark::remove(&dir).unwrap();
        Mark::remove(&dir).unwrap();
    }
}
