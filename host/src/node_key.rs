//! A secret of this node: random bytes in a file that only the engine's user can read. It is never shown, sent or backed up.

use std::io::{self, Read, Write};

use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt};

const KEY_BYTES: usize = 32;

pub type NodeKey = [u8; KEY_BYTES];

/// Reads the key of this name, or makes one on first use.
pub fn open(dir: &Dir, name: &str) -> io::Result<NodeKey> {
    match read(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir, name).or_else(|error| {
            // Another process was faster.
            if error.kind() == io::ErrorKind::AlreadyExists { read(dir, name) } else { Err(error) }
        }),
        other => other,
    }
}

/// The key of this name, where there is one.
pub fn find(dir: &Dir, name: &str) -> io::Result<Option<NodeKey>> {
    match read(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

fn read(dir: &Dir, name: &str) -> io::Result<NodeKey> {
    let mut file = dir.open(name)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may read it; it must have mode 0600"));
    }
    let mut key = [0; KEY_BYTES];
    file.read_exact(&mut key)?;
    Ok(key)
}

fn create(dir: &Dir, name: &str) -> io::Result<NodeKey> {
    let key: NodeKey = rand::random();
    // Linked into place when it is complete, so that nobody reads half a key.
    let draft = format!("{name}.{:016x}.tmp", rand::random::<u64>());
    let mut file = dir.open_with(&draft, OpenOptions::new().write(true).create_new(true).mode(0o600))?;
    file.write_all(&key)?;
    file.sync_all()?;
    let linked = dir.hard_link(&draft, dir, name);
    dir.remove_file(&draft)?;
    linked.map(|()| key)
}
