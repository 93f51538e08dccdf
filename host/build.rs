//! Lists what `crossdock new` writes, so that the binary carries it: the templates, the SDK, and the contract. A file that
//! is added to one of these folders is in the next build without being named anywhere.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const EMBEDDED: [(&str, &str); 8] = [
    ("TEMPLATES", "templates"),
    ("SDK", "../guest-sdk/src"),
    ("SDK_JAVASCRIPT", "../guest-sdk/javascript/src"),
    ("SDK_JAVASCRIPT_TYPES", "../guest-sdk/javascript/types"),
    ("SDK_PYTHON", "../guest-sdk/python/crossdock_guest"),
    ("SDK_PYTHON_TYPES", "../guest-sdk/python/types"),
    ("CONTRACT", "../wit"),
    // The SDK's manifest, what it inherits, and the exact versions of what it depends on.
    (
        "MANIFESTS",
        "../guest-sdk/Cargo.toml ../guest-sdk/javascript/package.json ../Cargo.toml ../transforms/Cargo.lock",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut code = String::new();
    for (name, places) in EMBEDDED {
        writeln!(code, "/// `(path, text)`, ordered by path.\npub const {name}: &[(&str, &str)] = &[")?;
        for place in places.split(' ') {
            let place = root.join(place).canonicalize()?;
            println!("cargo::rerun-if-changed={}", place.display());
            let base = if place.is_dir() { place.clone() } else { root.join("..").canonicalize()? };
            for file in files(&place)? {
                let name = file.strip_prefix(&base)?.to_str().ok_or("a file's name is not UTF-8")?;
                writeln!(code, "    ({name:?}, include_str!({:?})),", file.display().to_string())?;
            }
        }
        writeln!(code, "];")?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded.rs"), code)?;
    Ok(())
}

fn files(place: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if place.is_file() {
        return Ok(vec![place.into()]);
    }
    let mut entries = fs::read_dir(place)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    // What Python leaves behind is not ours to hand on.
    entries.retain(|entry| !entry.ends_with("__pycache__"));
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        found.extend(files(&entry)?);
    }
    Ok(found)
}
