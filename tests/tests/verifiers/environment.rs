//! The virtual environment that holds the packages: under `target/`, kept until a requirement changes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Where the scripts and the pinned requirements are.
pub const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/verifiers");

/// The interpreter that finds the packages.
pub static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| with("verifiers", PACKAGES));

/// The interpreter that finds schemathesis.
pub static FUZZER: LazyLock<PathBuf> = LazyLock::new(|| with("fuzzer", FUZZER_PACKAGES));

fn with(name: &str, packages: &'static str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).unwrap();
    // Two runs may begin at once; the second finds the work of the first.
    let lock = File::create(folder.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    prepare(&folder.join(name), packages)
}

fn prepare(folder: &Path, packages: &'static str) -> PathBuf {
    let python = folder.join("bin/python");
    let wanted = [BUILD, packages].map(|file| fs::read_to_string(Path::new(SCRIPTS).join(file)).unwrap()).concat();
    let complete = folder.join("complete");
    let runs = || Command::new(&python).arg("--version").output().is_ok_and(|output| output.status.success());
    if fs::read_to_string(&complete).is_ok_and(|text| text == wanted) && runs() {
        return python;
    }
    let mut story = String::new();
    for way in [with_venv, with_the_systems_pip, with_uv] {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{}: {error}", folder.display()),
            _ => {}
        }
        match way(folder, &python, packages) {
            Ok(()) => {
                fs::write(&complete, wanted).unwrap();
                return python;
            }
            Err(failure) => story.push_str(&failure),
        }
    }
    panic!(
        "no virtual environment for the packages of tests/verifiers/{packages}.\n\
         Install Python 3.11 or newer with its venv module (Debian: apt install python3 python3-venv) or uv, and let pip \
         reach PyPI or a mirror of it. What was tried:\n{story}"
    );
}

const BUILD: &str = "requirements-build.txt";
const PACKAGES: &str = "requirements.txt";
const FUZZER_PACKAGES: &str = "requirements-fuzz.txt";

type Attempt = Result<(), String>;

fn with_venv(folder: &Path, python: &Path, packages: &str) -> Attempt {
    run("python3", &["-m".as_ref(), "venv".as_ref(), folder.as_ref()])?;
    install(python.as_ref(), &["-m", "pip", "install", "--disable-pip-version-check"], packages)
}

/// Debian splits `ensurepip` off; without it an environment has no pip of its own, but the system's can fill it.
fn with_the_systems_pip(folder: &Path, python: &Path, packages: &str) -> Attempt {
    run("python3", &["-m".as_ref(), "venv".as_ref(), "--without-pip".as_ref(), folder.as_ref()])?;
    let python = python.to_string_lossy();
    install("python3".as_ref(), &["-m", "pip", "--python", &python, "install", "--disable-pip-version-check"], packages)
}

fn with_uv(folder: &Path, python: &Path, packages: &str) -> Attempt {
    run("uv", &["venv".as_ref(), folder.as_ref()])?;
    install("uv".as_ref(), &["pip", "install", "--python", &python.to_string_lossy()], packages)
}

/// Every package is named with its hash, so nothing is looked for beyond the list, and nothing else is let in.
fn install(program: &OsStr, command: &[&str], packages: &str) -> Attempt {
    for (file, more) in [(BUILD, None), (packages, Some("--no-build-isolation"))] {
        let file = Path::new(SCRIPTS).join(file);
        let mut arguments: Vec<&OsStr> = command.iter().map(OsStr::new).collect();
        arguments.extend(["--quiet", "--no-deps", "--require-hashes"].map(OsStr::new));
        arguments.extend(more.map(OsStr::new));
        arguments.extend(["-r".as_ref(), file.as_os_str()]);
        run(program, &arguments)?;
    }
    Ok(())
}

fn run(program: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Attempt {
    let mut command = Command::new(program);
    command.args(arguments);
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            Err(format!("{command:?} ended with {}:\n{said}\n", output.status))
        }
        Err(error) => Err(format!("{command:?} could not be run: {error}\n")),
    }
}
