//! Runs something again whenever a file below a folder changes.
//!
//! It looks, twice a second, at the time and the size of each file: a transform has some dozens, and looking also works in
//! containers and on network mounts, where the kernel tells nobody that a file has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

use super::is_watched;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Until interrupted.
pub fn run(directory: &Path, mut once: impl FnMut() -> u8) -> ExitCode {
    loop {
        // Before the run, so that what is changed during it is seen after it.
        let seen = look(directory);
        let code = once();
        eprintln!("exit code {code}; waiting for a change below {}", directory.display());
        while look(directory) == seen {
            thread::sleep(LOOK_EVERY);
        }
    }
}

type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

fn look(directory: &Path) -> Seen {
    let mut seen = Seen::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(folder) = open.pop() {
        // A folder that has just gone away has changed, and holds nothing.
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_watched(path)) {
            match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => open.push(path),
                Ok(meta) => drop(seen.insert(path, (meta.modified().ok(), meta.len()))),
                Err(_) => {}
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_new_and_a_removed_file_are_seen_and_what_is_generated_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("cases/one")).unwrap();
        std::fs::create_dir_all(path("target")).unwrap();
        let mut before = look(dir.path());
        let mut changes = |what: &str, expected: bool| {
            let now = look(dir.path());
            assert_eq!(now != before, expected, "{what}");
            before = now;
        };
        std::fs::write(path("cases/one/input.json"), "{}").unwrap();
        changes("a new file", true);
        std::fs::write(path("cases/one/input.json"), "{} ").unwrap();
        changes("another size", true);
        std::fs::write(path("target/x"), "").unwrap();
        changes("what the compiler makes", false);
        std::fs::remove_file(path("cases/one/input.json")).unwrap();
        changes("a removed file", true);
        changes("nothing", false);
    }
}
