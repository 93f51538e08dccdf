//! The key that credentials are sealed with, where the operator names none: a file in the data directory that only the
//! engine's user can read, made on first use, and never again while something is sealed: a new key opens nothing of what
//! is there.
//!
//! A rotation makes a second file beside it, seals everything with that, and then puts it in the first one's place. Killed
//! at any instant, both are there for as long as both are needed, and the next start goes on.

use std::io;

use cap_std::fs::Dir;

use crate::node_key;

use super::seal::{Keyring, SealKey};
use super::{Actor, Error, Registry, Rotated};

const KEY: &str = "credentials.key";
const NEXT: &str = "credentials.next.key";

pub struct KeyFiles {
    dir: Dir,
}

impl KeyFiles {
    pub fn new(dir: Dir) -> Self {
        Self { dir }
    }

    /// The keys as they are, one being made on first use; with a rotation under way, the new one seals already.
    pub fn keyring(&self, is_first_use: bool) -> io::Result<Keyring> {
        let is_rotating = self.is_rotating()?;
        if is_first_use && !is_rotating {
            return Ok(Keyring::new(SealKey::new(node_key::open(&self.dir, KEY)?), Vec::new()));
        }
        let key = node_key::find(&self.dir, KEY)?.map(SealKey::new);
        let next = if is_rotating { node_key::find(&self.dir, NEXT)?.map(SealKey::new) } else { None };
        Ok(match (next, key) {
            (Some(next), key) => Keyring::new(next, key.into_iter().collect()),
            (None, Some(key)) => Keyring::new(key, Vec::new()),
            (None, None) => Keyring::without_key(),
        })
    }

    /// Whether a rotation was begun and not ended.
    pub fn is_rotating(&self) -> io::Result<bool> {
        self.dir.try_exists(NEXT)
    }

    /// The key to be: the one that a rotation before began with, or a new one.
    fn next(&self) -> io::Result<SealKey> {
        let key = node_key::open(&self.dir, NEXT)?;
        self.sync()?;
        Ok(SealKey::new(key))
    }

    fn end(&self) -> io::Result<()> {
        self.dir.rename(NEXT, &self.dir, KEY)?;
        self.sync()
    }

    /// What was made, renamed or removed is so after a power cut.
    fn sync(&self) -> io::Result<()> {
        self.dir.open(".")?.sync_all()
    }
}

/// Why keys in files could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error("the key's file: {0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    Registry(#[from] Error),
}

impl Registry {
    /// Seals everything with a new key in the place of the one in the data directory, or goes on with that.
    pub async fn rotate_files(&self, actor: &Actor, files: &KeyFiles) -> Result<Rotated, RotationError> {
        let rotated = self.rotate(actor, files.next()?).await?;
        files.end()?;
        Ok(rotated)
    }
}
