//! Compiled modules on disk. An artefact is native code that wasmtime runs as it stands, so none is loaded unless this
//! node wrote it: each carries a keyed hash under a key that never leaves the node, over the module, the engine it was made
//! for, and the bytes. Whatever does not verify is deleted and made again from the component.
//!
//! Beside each lies a note of what was found out about the module, under the same key: where nothing of the engine, its
//! settings and the rules has changed since, its next loading need not find out again.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use super::error::Error;
use super::settings::ModuleClass;
use crate::model::Digest;
use crate::node_key::{self, NodeKey};

const KEY_FILE: &str = "artefact.key";
const MAGIC: &[u8; 8] = b"CDARTF04";
const MAC_BYTES: usize = 32;
/// Raised with every change to what a component or its description must be, so that what was let through before is looked
/// at again.
const NOTE_LABEL: &[u8] = b"crossdock note 2\0";
/// Microseconds that compiling took.
const COST_BYTES: usize = 8;
/// Cost, keyed hash and magic, behind the artefact: a file is mapped from its first byte.
const TRAILER_BYTES: usize = COST_BYTES + MAC_BYTES + MAGIC.len();
/// Read at once while an artefact is verified.
const CHUNK_BYTES: usize = 64 << 10;

/// What was kept, verified.
pub struct Kept {
    /// Open as long as this lives. Nobody writes to it again: a newer artefact gets a file of its own.
    file: File,
    pub artefact_bytes: u64,
    /// What making it cost, once.
    pub cost: Duration,
}

impl Kept {
    /// Of the file that was verified, whatever has its name by now.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

pub struct Artefacts {
    dir: Dir,
    key: NodeKey,
}

impl Artefacts {
    /// Reads the node's key, or makes one on first use.
    pub fn open(dir: Dir) -> Result<Self, Error> {
        let key = node_key::open(&dir, KEY_FILE).map_err(|error| problem(KEY_FILE, &error))?;
        Ok(Self { dir, key })
    }

    /// The artefact, verified; `None` where there is none that can be used.
    pub fn read(
        &self,
        module: &Digest,
        class: ModuleClass,
        engine: &Engine,
        limit_bytes: u64,
    ) -> Result<Option<Kept>, Error> {
        let name = file_name(module, class);
        let file = match self.dir.open(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(problem(&name, &error)),
        };
        let file = file.into_std();
        if let Some(kept) =
            self.verified(file, module, class, engine, limit_bytes).map_err(|error| problem(&name, &error))?
        {
            return Ok(Some(kept));
        }
        tracing::warn!(module = %module, "a compiled module does not verify; it is made again");
        self.remove(module, class)?;
        Ok(None)
    }

    fn verified(
        &self,
        mut file: File,
        module: &Digest,
        class: ModuleClass,
        engine: &Engine,
        limit_bytes: u64,
    ) -> io::Result<Option<Kept>> {
        let length = file.metadata()?.len();
        let Some(artefact_bytes) = length.checked_sub(TRAILER_BYTES as u64).filter(|bytes| *bytes <= limit_bytes)
        else {
            return Ok(None);
        };
        let mut trailer = [0; TRAILER_BYTES];
        file.read_exact_at(&mut trailer, artefact_bytes)?;
        let Some((cost, rest)) = trailer.split_first_chunk::<COST_BYTES>() else { return Ok(None) };
        let Some((sum, magic)) = rest.split_first_chunk::<MAC_BYTES>() else { return Ok(None) };
        let mut mac = self.mac(module, class, engine, *cost);
        let (mut chunk, mut left) = (vec![0; CHUNK_BYTES], artefact_bytes);
        while left > 0 {
            let next = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            file.read_exact(&mut chunk[..next])?;
            mac.update(&chunk[..next]);
            left -= next as u64;
        }
        // Compares in constant time.
        if magic != MAGIC || mac.finalize() != *sum {
            return Ok(None);
        }
        let cost = Duration::from_micros(u64::from_le_bytes(*cost));
        Ok(Some(Kept { file, artefact_bytes, cost }))
    }

    /// Keeps an artefact; a reader sees all of it or none.
    pub fn write(
        &self,
        module: &Digest,
        class: ModuleClass,
        engine: &Engine,
        artefact: &[u8],
        cost: Duration,
    ) -> Result<(), Error> {
        let cost = u64::try_from(cost.as_micros()).unwrap_or(u64::MAX).to_le_bytes();
        let mut mac = self.mac(module, class, engine, cost);
        mac.update(artefact);
        self.put(&file_name(module, class), &[artefact, &cost, mac.finalize().as_bytes(), MAGIC])
    }

    /// What [`Artefacts::note`] kept of the module for this engine and these settings, verified.
    pub fn noted(&self, module: &Digest, class: ModuleClass, engine: &Engine, settings: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = self.dir.read(note_name(module, class)).ok()?;
        let (mac, note) = bytes.split_first_chunk::<MAC_BYTES>()?;
        if self.note_mac(module, class, engine, settings, note) != *mac {
            return None;
        }
        bytes.drain(..MAC_BYTES);
        Some(bytes)
    }

    /// Keeps what was found out about a module, so that its next loading need not.
    pub fn note(
        &self,
        module: &Digest,
        class: ModuleClass,
        engine: &Engine,
        settings: &[u8],
        note: &[u8],
    ) -> Result<(), Error> {
        let mac = self.note_mac(module, class, engine, settings, note);
        self.put(&note_name(module, class), &[mac.as_bytes(), note])
    }

    pub fn remove(&self, module: &Digest, class: ModuleClass) -> Result<(), Error> {
        let name = file_name(module, class);
        match self.dir.remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(problem(&name, &error)),
            _ => Ok(()),
        }
    }

    /// A reader sees all of the file or none.
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), Error> {
        let draft = format!("{name}.{:016x}.tmp", rand::random::<u64>());
        let written = self.write_draft(&draft, parts).and_then(|()| self.dir.rename(&draft, &self.dir, name));
        written.map_err(|error| {
            // The draft may not even exist; the error that matters is the one above.
            let _ = self.dir.remove_file(&draft);
            problem(name, &error)
        })
    }

    fn write_draft(&self, draft: &str, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = self.dir.open_with(draft, OpenOptions::new().write(true).create_new(true).mode(0o600))?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    }

    /// Of everything but the artefact, which comes last. BLAKE3, keyed: with HMAC-SHA-256 a loading took 1.1 ms and not 0.7.
    fn mac(&self, module: &Digest, class: ModuleClass, engine: &Engine, cost: [u8; COST_BYTES]) -> blake3::Hasher {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(b"crossdock artefact 4\0");
        mac.update(module.as_bytes());
        mac.update(class.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&engine_fingerprint(engine));
        mac.update(&cost);
        mac
    }

    fn note_mac(
        &self,
        module: &Digest,
        class: ModuleClass,
        engine: &Engine,
        settings: &[u8],
        note: &[u8],
    ) -> blake3::Hash {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(NOTE_LABEL);
        mac.update(module.as_bytes());
        mac.update(class.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&engine_fingerprint(engine));
        mac.update(&Sha256::digest(settings));
        mac.update(note);
        mac.finalize()
    }
}

/// wasmtime's version, target, CPU features and every setting that changes generated code.
fn engine_fingerprint(engine: &Engine) -> [u8; 32] {
    struct Feed(Sha256);
    impl Hasher for Feed {
        fn finish(&self) -> u64 {
            0 // Nobody asks: the digest is taken whole.
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut feed = Feed(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut feed);
    feed.0.finalize().into()
}

fn note_name(module: &Digest, class: ModuleClass) -> String {
    format!("{module}.{}.note", class.as_str())
}

fn file_name(module: &Digest, class: ModuleClass) -> String {
    format!("{module}.{}.cwasm", class.as_str())
}

fn problem(name: &str, error: &io::Error) -> Error {
    Error::Artefacts { problem: format!("{name}: {error}") }
}
