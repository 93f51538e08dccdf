//! The note beside the store: how often it was opened, and in which folder its rows lie.
//!
//! sled drops a log that it cannot read and opens empty; a store that knows of fewer openings than the note lost rows. A
//! rewrite brings the rows into a new folder; the note says which one counts, and since it is one small file that is
//! replaced whole, there is exactly one store at any instant.

use std::io;

use cap_std::fs::Dir;

use super::batch::Error;
use super::directory;

const NOTE: &str = "lease";
/// The folder of a store that was never rewritten.
pub(super) const FIRST: &str = "store";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// Openings so far; zero where none ended well.
    pub lease: u64,
    pub folder: String,
}

impl Note {
    pub fn read(dir: &Dir) -> Result<Self, Error> {
        let text = match dir.read_to_string(NOTE) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { lease: 0, folder: FIRST.into() });
            }
            Err(error) => return Err(Error::Open { detail: format!("{NOTE}: {error}") }),
        };
        let (lease, folder) = text.trim().split_once(' ').unwrap_or((text.trim(), FIRST));
        let lease = lease.parse().ok().filter(|_| number_of(folder).is_some());
        let damaged = || Error::Damaged {
            detail: format!("the file {NOTE} cannot be read; restore the data directory from a backup"),
        };
        Ok(Self { lease: lease.ok_or_else(damaged)?, folder: folder.into() })
    }

    /// Durable on return; after a crash there is this note or the one before.
    pub fn write(&self, dir: &Dir) -> io::Result<()> {
        let Self { lease, folder } = self;
        // As every Crossdock can read it, until a rewrite makes the folder another.
        let text = if folder == FIRST { lease.to_string() } else { format!("{lease} {folder}") };
        directory::write_durably(dir, NOTE, text.as_bytes())
    }

    /// Where the next rewrite puts the rows.
    pub fn next_folder(&self) -> String {
        format!("{FIRST}-{}", number_of(&self.folder).unwrap_or(1) + 1)
    }
}

/// Which store a folder is: 1 for `store`, 2 for `store-2`; `None` for what is no store's name.
fn number_of(folder: &str) -> Option<u64> {
    match folder.strip_prefix(FIRST)? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse().ok().filter(|number| *number > 1),
    }
}

/// The folders of a data directory that are, or were to become, a store's.
pub(super) fn store_folders(dir: &Dir) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && number_of(&name).is_some()
            && entry.file_type()?.is_dir()
        {
            found.push(name);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u64, &str)>) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        dir.write(NOTE, text).unwrap();
        let found = Note::read(&dir).ok();
        assert_eq!(found, expected.map(|(lease, folder)| Note { lease, folder: folder.into() }), "{text:?}");
        if let Some(note) = found {
            note.write(&dir).unwrap();
            assert_eq!(dir.read_to_string(NOTE).unwrap(), text.trim());
        }
    }

    #[test]
    fn a_note_is_an_opening_and_perhaps_a_folder_and_nothing_else() {
        check("7", Some((7, "store")));
        check("7\n", Some((7, "store")));
        check("7 store-2", Some((7, "store-2")));
        for wrong in ["", "seven", "7 store-", "7 store-x", "7 ../else", "7 stores", "7 store-2 3"] {
            check(wrong, None);
        }
    }

    #[test]
    fn each_rewrite_has_a_folder_of_its_own() {
        let after = |folder: &str| Note { lease: 1, folder: folder.into() }.next_folder();
        assert_eq!(
            (after("store"), after("store-2"), after("store-9")),
            ("store-2".into(), "store-3".into(), "store-10".into())
        );
    }
}
