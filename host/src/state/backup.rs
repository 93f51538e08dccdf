//! A copy of the store at one moment, taken while it is in use, and the way back.
//!
//! The copy is a [`walk`](super::walk) over all rows, and beside it every change that was made meanwhile. Read from its
//! beginning to its end it is the store as it stood when the walk ended.
//!
//! The file: a line that names the format, a header, records, and an end that holds the SHA-256 of all before it. A file
//! without its end, or with another byte anywhere, is refused whole.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::Path;

use cap_std::fs::Dir;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Settings;
use super::batch::Error;
use super::blobs::Blobs;
use super::directory::{self, Directory};
use super::format::{self, FORMAT, FORMAT_ROW};
use super::mark::Mark;
use super::note::{self, Note};
use super::row::{self, Digest, Payload};
use super::sled_store::{Core, SledStore, decode, guarded, open_sled};
use super::walk::{Tap, TreeChange};

const MAGIC: &[u8] = b"crossdock-backup 1\n";
/// No key, value or large value is longer; what claims to be is not a backup.
const LONGEST_BYTES: u64 = 1 << 30;
/// Rows written at once when a backup is put back.
const RESTORE_ROWS: usize = 2_000;

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const FILE: u8 = 3;
const END: u8 = 0;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When it was begun.
    pub created_at: Timestamp,
    /// The Crossdock that wrote it.
    pub version: String,
    /// The store's format.
    pub store_format: u32,
    /// Rows, those that changed while the backup ran counted again.
    #[serde(default)]
    pub rows: u64,
    /// Large values.
    #[serde(default)]
    pub files: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("another backup is being taken, or the store is being rewritten; try again when that has ended")]
    Busy,
    #[error("the data directory holds a store already; restore into an empty one")]
    NotEmpty,
    /// The file is not what a backup wrote.
    #[error("not a whole backup: {0}")]
    Damaged(String),
    #[error("the backup was written by a newer Crossdock ({0}); use that one")]
    Newer(String),
    #[error("the backup's file: {0}")]
    File(#[source] io::Error),
    #[error(transparent)]
    Store(#[from] Error),
}

impl SledStore {
    /// Writes what the store holds to `out`. Blocks; others read and commit meanwhile. What is acknowledged before this
    /// is called is in it, and of what is committed while it runs everything up to one moment.
    pub fn backup(&self, created_at: Timestamp, out: impl Write) -> Result<Manifest, BackupError> {
        let core = self.core();
        let tap = Tap::open(core).ok_or(BackupError::Busy)?;
        let mut manifest =
            Manifest { created_at, version: env!("CARGO_PKG_VERSION").into(), store_format: FORMAT, rows: 0, files: 0 };
        let mut writer = Writer { out, hash: Sha256::new(), files: HashSet::new(), core, manifest: &mut manifest };
        writer.head()?;
        tap.walk(|change| writer.change(&change))?;
        for change in tap.close() {
            writer.change(&change)?;
        }
        writer.end()?;
        Ok(manifest)
    }
}

struct Writer<'a, W> {
    out: W,
    hash: Sha256,
    /// Large values that are in the backup already.
    files: HashSet<Digest>,
    core: &'a Core,
    manifest: &'a mut Manifest,
}

impl<W: Write> Writer<'_, W> {
    fn head(&mut self) -> Result<(), BackupError> {
        let header = serde_json::to_vec(&self.manifest).map_err(|error| BackupError::File(error.into()))?;
        self.write(MAGIC)?;
        self.field(&header)
    }

    fn change(&mut self, (key, value): &TreeChange) -> Result<(), BackupError> {
        let Some(value) = value else {
            self.write(&[REMOVE])?;
            return self.field(key);
        };
        if !row::is_file_use(key)
            && let Payload::File { digest, length_bytes } = decode(value)?.payload
            && self.files.insert(digest)
        {
            let bytes = self.core.blobs.read(&digest, length_bytes)?;
            self.manifest.files += 1;
            self.write(&[FILE])?;
            self.write(&digest)?;
            self.field(&bytes)?;
        }
        self.manifest.rows += 1;
        self.write(&[PUT])?;
        self.field(key)?;
        self.field(value)
    }

    fn end(mut self) -> Result<(), BackupError> {
        self.write(&[END])?;
        let totals = [self.manifest.rows.to_be_bytes(), self.manifest.files.to_be_bytes()].concat();
        self.write(&totals)?;
        let digest = self.hash.finalize_reset();
        self.out.write_all(&digest).and_then(|()| self.out.flush()).map_err(BackupError::File)
    }

    fn field(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.write(&(bytes.len() as u64).to_be_bytes())?;
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.hash.update(bytes);
        self.out.write_all(bytes).map_err(BackupError::File)
    }
}

/// Reads a backup from its beginning to its end and says what it is; refuses one that is not whole.
pub fn verify_backup(input: impl Read) -> Result<Manifest, BackupError> {
    let mut reader = Reader { input, hash: Sha256::new() };
    let manifest = reader.head()?;
    loop {
        if let Record::End { rows, files } = reader.record()? {
            return Ok(Manifest { rows, files, ..manifest });
        }
    }
}

/// Puts a backup into a data directory that holds no store. The caller has verified it: this reads once, and stops at
/// the first thing that is wrong, with a store that refuses to be opened.
pub fn restore_backup(input: impl Read, data_dir: &Dir, path: &Path) -> Result<Manifest, BackupError> {
    let looking = |error: io::Error| directory::io_failed("looking for a store", &error);
    // A note that names another folder than a new store's would lead away from what is restored.
    let noted = Note::read(data_dir)?.folder;
    if !note::store_folders(data_dir).map_err(looking)?.is_empty() || noted != note::FIRST {
        return Err(BackupError::NotEmpty);
    }
    Mark::remove(data_dir).map_err(looking)?;
    let mut reader = Reader { input, hash: Sha256::new() };
    let manifest = reader.head()?;
    let directory = Directory::open(data_dir)?;
    let blobs = Blobs::open(data_dir)?;
    let db = open_sled(&path.join(directory.folder()), &Settings::default(), false)?;
    let apply = |batch: sled::Batch| {
        guarded(|| db.apply_batch(batch).map_err(|error| format::sled_failed(&error))).map_err(BackupError::from)
    };
    let settle = || {
        guarded(|| db.flush().map_err(|error| format::sled_failed(&error)))?;
        directory.sync().map_err(|error| directory::io_failed("syncing the restored store", &error))
    };
    // A store that has rows and no format is refused. So it has a row from the first and its format at the last, and
    // half a restore is not taken for a whole one, nor for a new one.
    let (format_key, begun_key) = (format::own_key(FORMAT_ROW), format::own_key("restoring"));
    let mut format_row = None;
    let (mut batch, mut held) = (sled::Batch::default(), 0);
    batch.insert(begun_key.as_slice(), &[]);
    apply(std::mem::take(&mut batch))?;
    settle()?;
    let (rows, files) = loop {
        match reader.record()? {
            Record::File { digest, bytes } => {
                if Blobs::digest(&bytes) != digest {
                    return Err(BackupError::Damaged("a large value does not have its digest".into()));
                }
                blobs.write([(&digest, &bytes[..])])?;
            }
            Record::Put { key, value } if key == format_key => format_row = Some(value),
            Record::Put { key, value } => batch.insert(key, value),
            Record::Remove { key } => batch.remove(key),
            Record::End { rows, files } => break (rows, files),
        }
        held += 1;
        if held == RESTORE_ROWS {
            apply(std::mem::take(&mut batch))?;
            held = 0;
        }
    };
    apply(batch)?;
    settle()?;
    let format_row = format_row.ok_or_else(|| BackupError::Damaged("it names no format of the store".into()))?;
    let mut last = sled::Batch::default();
    last.insert(format_key, format_row);
    last.remove(begun_key);
    apply(last)?;
    settle()?;
    guarded(move || {
        drop(db);
        Ok(())
    })?;
    directory.wait_until_unlocked(&directory.folder())?;
    Ok(Manifest { rows, files, ..manifest })
}

enum Record {
    Put { key: Vec<u8>, value: Vec<u8> },
    Remove { key: Vec<u8> },
    File { digest: Digest, bytes: Vec<u8> },
    End { rows: u64, files: u64 },
}

struct Reader<R> {
    input: R,
    hash: Sha256,
}

impl<R: Read> Reader<R> {
    fn head(&mut self) -> Result<Manifest, BackupError> {
        let mut magic = [0; MAGIC.len()];
        self.read(&mut magic)?;
        if magic != MAGIC {
            return Err(BackupError::Damaged("it does not begin as a backup does".into()));
        }
        let header = self.field()?;
        let manifest: Manifest = serde_json::from_slice(&header)
            .map_err(|error| BackupError::Damaged(format!("its header cannot be read: {error}")))?;
        if manifest.store_format > FORMAT {
            return Err(BackupError::Newer(manifest.version));
        }
        Ok(manifest)
    }

    fn record(&mut self) -> Result<Record, BackupError> {
        let mut kind = [0];
        self.read(&mut kind)?;
        match kind {
            [PUT] => Ok(Record::Put { key: self.field()?, value: self.field()? }),
            [REMOVE] => Ok(Record::Remove { key: self.field()? }),
            [FILE] => {
                let mut digest = [0; 32];
                self.read(&mut digest)?;
                Ok(Record::File { digest, bytes: self.field()? })
            }
            [END] => {
                let (rows, files) = (self.number()?, self.number()?);
                let counted = self.hash.finalize_reset();
                let mut noted = [0; 32];
                self.input.read_exact(&mut noted).map_err(cut_off)?;
                if counted.as_slice() != noted {
                    return Err(BackupError::Damaged("its checksum is not that of its bytes".into()));
                }
                Ok(Record::End { rows, files })
            }
            [other] => Err(BackupError::Damaged(format!("it holds a record of the unknown kind {other}"))),
        }
    }

    fn field(&mut self) -> Result<Vec<u8>, BackupError> {
        let length = self.number()?;
        if length > LONGEST_BYTES {
            return Err(BackupError::Damaged(format!("it holds a field of {length} bytes")));
        }
        // Not made so long at once: the length may be a lie, the bytes are not.
        let mut bytes = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut bytes).map_err(cut_off)?;
        if bytes.len() as u64 != length {
            return Err(BackupError::Damaged("it ends too early".into()));
        }
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, BackupError> {
        let mut bytes = [0; 8];
        self.read(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        self.input.read_exact(bytes).map_err(cut_off)?;
        self.hash.update(bytes);
        Ok(())
    }
}

fn cut_off(error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => BackupError::Damaged("it ends too early".into()),
        _ => BackupError::File(error),
    }
}

#[cfg(test)]
mod tests;
