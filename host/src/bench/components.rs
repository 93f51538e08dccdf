//! Finds a component by its digest: a capsule names the module that it was taken with, and its bytes are mostly not far.

use std::path::{Path, PathBuf};

use crate::model::Digest;

/// Where a developer's components lie, below a folder: beside the file, where `crossdock build` puts them, and where an
/// engine has them.
const USUAL: [&str; 3] = ["", "target/components", "modules"];

/// No component has the digest.
#[derive(Debug, thiserror::Error)]
#[error(
    "the component {name}@{version} ({digest}) is not here: {seen} components lie in {}, none with this digest; \
     name a folder that has it with --modules, name another with --module to see what that makes of it, or capture the \
     document again with --with-module",
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
)]
pub struct NotFound {
    pub digest: Digest,
    pub name: String,
    pub version: String,
    pub folders: Vec<PathBuf>,
    pub seen: usize,
}

/// The usual folders below each of these.
pub fn usual(places: &[&Path]) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for place in places {
        // `x.capsule` lies in the folder whose name is empty.
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
        let below = USUAL.iter().map(|usual| if usual.is_empty() { place.to_owned() } else { place.join(usual) });
        folders.extend(below.filter(|folder| folder.is_dir()));
    }
    folders.dedup();
    folders
}

/// The bytes of the component, or the number of components that are not it.
pub fn find(digest: &Digest, folders: &[PathBuf]) -> Result<Vec<u8>, usize> {
    let mut seen = 0;
    for folder in folders {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
        paths.sort();
        for bytes in paths.iter().filter_map(|path| std::fs::read(path).ok()) {
            if Digest::of(&bytes) == *digest {
                return Ok(bytes);
            }
            seen += 1;
        }
    }
    Err(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_found_by_its_bytes_whatever_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("target/components");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.wasm"), "one").unwrap();
        std::fs::write(folder.join("b.wasm"), "two").unwrap();
        std::fs::write(folder.join("c.txt"), "three").unwrap();
        let folders = usual(&[dir.path()]);
        assert_eq!(folders, [dir.path().to_owned(), folder]);
        assert_eq!(find(&Digest::of("two"), &folders), Ok(b"two".to_vec()));
        assert_eq!(find(&Digest::of("three"), &folders), Err(2));
    }
}
