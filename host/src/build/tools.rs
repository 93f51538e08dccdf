//! The tools of a language whose toolchain is a package: installed once, in exactly the versions that this release was
//! tested with, into a folder of the user's cache and never among a project's sources.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;
use crate::model::Digest;
use crate::sandbox::contract;

/// Names another folder than the user's cache: for CI, and for machines whose homes cannot be written.
const VARIABLE: &str = "CROSSDOCK_TOOLS";
/// The contract that these tools build against, where a project does not carry its own.
pub const CONTRACT: (&str, &str) = ("transform.wit", include_str!("../../../wit/1.0.0/transform.wit"));
/// Where a project carries the contract that its SDK was made for.
const OWN_CONTRACT: &str = "vendor/wit/1.0.0/transform.wit";
/// There only when everything else is.
const COMPLETE: &str = "complete";

/// The folder of a language's tools: `files`, and what `install` makes of them. Installed anew when one of them changes.
pub fn kept(
    language: &str,
    files: &[(&str, &str)],
    install: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let root = root()?;
    let failed = |source| Error::File { path: root.clone(), source };
    fs::create_dir_all(&root).map_err(failed)?;
    let text: String = files.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
    let digest = Digest::of(text.as_bytes()).to_string();
    let folder = root.join(format!("{language}-{}", digest.get(..16).unwrap_or(&digest)));
    // Two builds may begin at once; the second finds the work of the first.
    let lock = File::create(root.join(format!("{language}.lock"))).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if folder.join(COMPLETE).is_file() {
        return Ok(folder);
    }
    eprintln!("installing the tools for {language} into {}, once", folder.display());
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => fs::create_dir_all(&folder).map_err(failed)?,
    }
    for (name, text) in files {
        fs::write(folder.join(name), text).map_err(failed)?;
    }
    install(&folder)?;
    fs::write(folder.join(COMPLETE), "").map_err(failed)?;
    Ok(folder)
}

/// The contract that a project is built against: its own, or the release's, which lies among the tools.
pub fn contract(project: &Path, tools: &Path) -> PathBuf {
    Some(project.join(OWN_CONTRACT)).filter(|own| own.is_file()).unwrap_or_else(|| tools.join(CONTRACT.0))
}

/// Refuses a project whose SDK was made for another version of the contract, before its tools fail in words of their own.
pub fn check_contract(project: &Path) -> Result<(), Error> {
    if project.join(OWN_CONTRACT).is_file() {
        return Ok(());
    }
    // Where projects carried it before the first release.
    let Ok(text) = fs::read_to_string(project.join("vendor/wit/transform.wit")) else { return Ok(()) };
    let version = text.lines().find_map(|line| line.strip_prefix("package crossdock:transform@")?.strip_suffix(';'));
    match version {
        Some(version) if version != contract::VERSION => {
            Err(Error::OtherContract { what: "the project's vendor folder is for", version: version.into() })
        }
        _ => Ok(()),
    }
}

fn root() -> Result<PathBuf, Error> {
    let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || named("XDG_CACHE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let root = named(VARIABLE).or_else(|| cache().map(|cache| cache.join("crossdock/tools")));
    // Tools run in folders of their own, where a relative path would mean another place.
    root.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("neither a home nor ${VARIABLE} is set")))
        .and_then(std::path::absolute)
        .map_err(|source| Error::File { path: "the folder for tools".into(), source })
}

/// Runs a command whose output is for the user.
pub fn run(command: &mut Command, name: &str) -> Result<(), Error> {
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.map_err(|source| Error::CannotRun { command: name.into(), source })?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: name.into(), status }) }
}

/// What a program says when it is asked for its version, or why it is of no use.
pub fn version(program: &str) -> Result<String, String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{program} --version` failed ({})", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The number before the first point, and the one after it: `v20.20.2` is 20 and 20.
pub fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let digits = version.trim_start_matches(|character: char| !character.is_ascii_digit());
    let mut numbers = digits.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_whatever_stands_before_it() {
        for (said, version) in [("v20.20.2", Some((20, 20))), ("Python 3.11.7", Some((3, 11))), ("none", None)] {
            assert_eq!(major_and_minor(said), version, "{said}");
        }
    }
}
