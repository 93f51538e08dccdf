//! Compiled modules on disk. An artefact is native code that wasmtime runs as it stands, so none is loaded unless this
//! node wrote it: each carries an HMAC under a key that never leaves the node, over the module, the engine it was made
//! for, and the bytes. Whatever does not verify is deleted and made again from the component.
//!
//! Beside each lies a note of what was found out about the module, under the same key: where nothing of the engine, its
//! settings and the rules has changed since, its next loading need not find out again.

use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::time::Duration;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use super::error::Error;
use super::settings::ModuleClass;
use crate::model::Digest;
use crate::node_key::{self, NodeKey};

const KEY_FILE: &str = "artefact.key";
const MAGIC: &[u8; 8] = b"CDARTF02";
const MAC_BYTES: usize = 32;
/// Raised with every change to what a component or its description must be, so that what was let through before is looked
/// at again.
const NOTE_LABEL: &[u8] = b"crossdock note 1\0";
/// Microseconds that compiling took, in front of the artefact.
const COST_BYTES: usize = 8;

/// What was kept, verified.
pub struct Kept {
    pub artefact: Vec<u8>,
    /// What making it cost, once.
    pub cost: Duration,
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
        let most = limit_bytes.saturating_add((MAGIC.len() + MAC_BYTES + COST_BYTES) as u64);
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| problem(&name, &error))?;
        if bytes.len() as u64 <= most
            && let Some((magic, rest)) = bytes.split_at_checked(MAGIC.len())
            && magic == MAGIC
            && let Some((mac, rest)) = rest.split_at_checked(MAC_BYTES)
            && let Some((cost, artefact)) = rest.split_first_chunk::<COST_BYTES>()
            && self.mac(module, class, engine, *cost, artefact).verify_slice(mac).is_ok()
        {
            let cost = Duration::from_micros(u64::from_le_bytes(*cost));
            bytes.drain(..MAGIC.len() + MAC_BYTES + COST_BYTES);
            return Ok(Some(Kept { artefact: bytes, cost }));
        }
        tracing::warn!(module = %module, "a compiled module does not verify; it is made again");
        self.remove(module, class)?;
        Ok(None)
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
        let mac = self.mac(module, class, engine, cost, artefact).finalize().into_bytes();
        self.put(&file_name(module, class), &[MAGIC, &mac, &cost, artefact])
    }

    /// What [`Artefacts::note`] kept of the module for this engine and these settings, verified.
    pub fn noted(&self, module: &Digest, class: ModuleClass, engine: &Engine, settings: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = self.dir.read(note_name(module, class)).ok()?;
        let (mac, note) = bytes.split_at_checked(MAC_BYTES)?;
        self.note_mac(module, class, engine, settings, note).verify_slice(mac).ok()?;
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
        let mac = self.note_mac(module, class, engine, settings, note).finalize().into_bytes();
        self.put(&note_name(module, class), &[&mac, note])
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

    fn mac(
        &self,
        module: &Digest,
        class: ModuleClass,
        engine: &Engine,
        cost: [u8; COST_BYTES],
        artefact: &[u8],
    ) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.key).expect("an HMAC takes a key of any length");
        mac.update(b"crossdock artefact 2\0");
        mac.update(module.as_bytes());
        mac.update(class.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&engine_fingerprint(engine));
        mac.update(&cost);
        mac.update(artefact);
        mac
    }

    fn note_mac(
        &self,
        module: &Digest,
        class: ModuleClass,
        engine: &Engine,
        settings: &[u8],
        note: &[u8],
    ) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.key).expect("an HMAC takes a key of any length");
        mac.update(NOTE_LABEL);
        mac.update(module.as_bytes());
        mac.update(class.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&engine_fingerprint(engine));
        mac.update(&Sha256::digest(settings));
        mac.update(note);
        mac
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
