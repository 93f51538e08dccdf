//! Finding a Rust compiler that makes WebAssembly, and installing one.
//!
//! Rust's own toolchain with the target's ready-made library is the first choice. Debian's compiler comes without that
//! library but with its source, and builds it on the way (`-Zbuild-std`), which is slower and just as good.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;
use super::error::NoToolchain;

pub(super) const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's compiler, which is never the active one where rustup is installed too.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "lld"];

/// The compiler that a component was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The active `rustc` with the target's ready-made standard library, as `rustup target add` installs it.
    Rustup { rustc: PathBuf },
    /// Debian's compiler; the standard library is built from Debian's source with this linker.
    DebianBuildStd { rustc: PathBuf, linker: PathBuf },
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Toolchain::Rustup { rustc } => write!(f, "{} with the installed target {TARGET}", rustc.display()),
            Toolchain::DebianBuildStd { rustc, linker } => write!(
                f,
                "Debian's {} with the standard library built from source (-Zbuild-std) and {}",
                rustc.display(),
                linker.display()
            ),
        }
    }
}

impl Toolchain {
    /// What the compiler says of itself: `rustc 1.95.0 (59807616e 2026-04-14)`. Part of what decides a component's bytes.
    pub(super) fn version(&self) -> String {
        let (Toolchain::Rustup { rustc } | Toolchain::DebianBuildStd { rustc, .. }) = self;
        let said = Command::new(rustc).arg("--version").stdin(Stdio::null()).output();
        let said = said.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
        if said.trim().is_empty() { "a compiler that does not tell its version".into() } else { said.trim().into() }
    }

    /// Makes a `cargo build` use this toolchain.
    pub(super) fn apply(&self, cargo: &mut Command) {
        cargo.arg("--target").arg(TARGET);
        match self {
            Toolchain::Rustup { rustc } => {
                cargo.env("RUSTC", rustc);
            }
            Toolchain::DebianBuildStd { rustc, linker } => {
                // Lets a stable compiler take the one unstable option; nothing in the guest gets unstable features.
                cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            }
        }
    }
}

/// Finds a toolchain for a project, whose folder decides which `rustc` is the active one. Where the active one lacks
/// the target, `rustup target add` is tried.
pub fn find_toolchain(project_dir: &Path) -> Result<Toolchain, Error> {
    find(&ThisMachine { project_dir }).map_err(Error::NoToolchain)
}

/// Like [`find_toolchain`], and where there is none, installs Debian's packages, which needs root and `apt-get`.
pub fn install_toolchain(project_dir: &Path) -> Result<Toolchain, Error> {
    install(&ThisMachine { project_dir }).map_err(Error::NoToolchain)
}

/// What the search asks of the machine.
trait Machine {
    /// The active compiler: `$RUSTC` or `rustc`.
    fn rustc(&self) -> PathBuf;
    fn is_root(&self) -> bool;
    fn exists(&self, path: &Path) -> bool;
    fn holds_std(&self, library_dir: &Path) -> bool;
    /// What a command printed.
    fn ask(&self, program: &Path, arguments: &[&str]) -> Result<String, String>;
    /// Runs a command whose output is for the user.
    fn run(&self, program: &Path, arguments: &[&str]) -> Result<(), String>;
}

fn find(machine: &impl Machine) -> Result<Toolchain, NoToolchain> {
    let mut tried = Vec::new();
    let rustc = machine.rustc();
    match with_library(machine, &rustc) {
        Ok(toolchain) => return Ok(toolchain),
        Err(why) => tried.push(why),
    }
    let added = machine.run(Path::new("rustup"), &["target", "add", TARGET]);
    match added.and_then(|()| with_library(machine, &rustc)) {
        Ok(toolchain) => return Ok(toolchain),
        Err(why) => tried.push(format!("rustup target add {TARGET}: {why}")),
    }
    match debian(machine) {
        Ok(toolchain) => return Ok(toolchain),
        Err(why) => tried.push(format!("Debian's compiler: {why}")),
    }
    Err(NoToolchain { tried })
}

fn install(machine: &impl Machine) -> Result<Toolchain, NoToolchain> {
    let mut missing = match find(machine) {
        Ok(toolchain) => return Ok(toolchain),
        Err(missing) => missing,
    };
    if !machine.is_root() {
        missing.tried.push("installing Debian's packages: only root may".into());
        return Err(missing);
    }
    let apt = Path::new("apt-get");
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(DEBIAN_PACKAGES);
    let installed = machine.run(apt, &["update"]).and_then(|()| machine.run(apt, &arguments));
    installed.and_then(|()| debian(machine)).map_err(|why| {
        missing.tried.push(format!("installing Debian's packages: {why}"));
        missing
    })
}

/// The compiler, if it comes with the target's standard library.
fn with_library(machine: &impl Machine, rustc: &Path) -> Result<Toolchain, String> {
    let printed = machine.ask(rustc, &["--print", "target-libdir", "--target", TARGET])?;
    let library_dir = Path::new(printed.trim());
    if machine.holds_std(library_dir) {
        return Ok(Toolchain::Rustup { rustc: rustc.into() });
    }
    Err(format!("{} has no standard library for {TARGET} in {}", rustc.display(), library_dir.display()))
}

fn debian(machine: &impl Machine) -> Result<Toolchain, String> {
    let rustc = PathBuf::from(DEBIAN_RUSTC);
    if !machine.exists(&rustc) {
        return Err(format!("{DEBIAN_RUSTC} is not there"));
    }
    if let Ok(toolchain) = with_library(machine, &rustc) {
        return Ok(toolchain);
    }
    let sysroot = machine.ask(&rustc, &["--print", "sysroot"])?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.toml");
    if !machine.exists(&source) {
        return Err(format!("{} is not there (package rust-web-src)", source.display()));
    }
    let linker = linkers(machine).into_iter().find(|linker| machine.exists(linker));
    let linker = linker.ok_or("neither rust-lld nor /usr/bin/wasm-ld is there (package lld)")?;
    Ok(Toolchain::DebianBuildStd { rustc, linker })
}

/// Rust's own linker first: it is as new as the compiler, while Debian's is some years older.
fn linkers(machine: &impl Machine) -> Vec<PathBuf> {
    let mut linkers = Vec::new();
    let rustc = machine.rustc();
    if let Ok(library_dir) = machine.ask(&rustc, &["--print", "target-libdir"]) {
        linkers.push(Path::new(library_dir.trim()).with_file_name("bin").join("rust-lld"));
    }
    linkers.push("/usr/bin/wasm-ld".into());
    linkers
}

struct ThisMachine<'a> {
    project_dir: &'a Path,
}

impl Machine for ThisMachine<'_> {
    fn rustc(&self) -> PathBuf {
        std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
    }
    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
    fn holds_std(&self, library_dir: &Path) -> bool {
        let Ok(entries) = std::fs::read_dir(library_dir) else { return false };
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(b"libstd-") && name.as_encoded_bytes().ends_with(b".rlib")
        })
    }
    fn ask(&self, program: &Path, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.project_dir)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(format!("{} {}: {said}", program.display(), arguments.join(" ")));
        }
        String::from_utf8(output.stdout).map_err(|_| format!("{} answered unreadably", program.display()))
    }
    fn run(&self, program: &Path, arguments: &[&str]) -> Result<(), String> {
        let status = Command::new(program)
            .args(arguments)
            .current_dir(self.project_dir)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", program.display())) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;

    /// A machine described by the files it has. `rustup target add` and `apt-get install` add theirs, if they may.
    #[derive(Default)]
    struct Sketch {
        files: RefCell<BTreeSet<&'static str>>,
        rustup_adds: bool,
        apt_installs: bool,
        root: bool,
        ran: RefCell<Vec<String>>,
    }

    const RUSTUP_STD: &str = "/rustup/lib/rustlib/wasm32-unknown-unknown/lib";
    const DEBIAN: [&str; 3] = ["/usr/bin/rustc", "/usr/lib/rustlib/src/rust/library/Cargo.toml", "/usr/bin/wasm-ld"];

    impl Sketch {
        fn with(files: &[&'static str]) -> Self {
            Self { files: RefCell::new(files.iter().copied().collect()), ..Self::default() }
        }
    }

    impl Machine for Sketch {
        fn rustc(&self) -> PathBuf {
            "rustc".into()
        }
        fn is_root(&self) -> bool {
            self.root
        }
        fn exists(&self, path: &Path) -> bool {
            self.files.borrow().iter().any(|file| Path::new(file) == path)
        }
        fn holds_std(&self, library_dir: &Path) -> bool {
            self.exists(library_dir)
        }
        fn ask(&self, program: &Path, arguments: &[&str]) -> Result<String, String> {
            let root = if program == Path::new("rustc") { "/rustup" } else { "/usr" };
            Ok(match arguments {
                ["--print", "sysroot"] => format!("{root}\n"),
                ["--print", "target-libdir"] => format!("{root}/lib/rustlib/x86_64-unknown-linux-gnu/lib\n"),
                _ => format!("{root}/lib/rustlib/wasm32-unknown-unknown/lib\n"),
            })
        }
        fn run(&self, program: &Path, arguments: &[&str]) -> Result<(), String> {
            self.ran.borrow_mut().push(format!("{} {}", program.display(), arguments.join(" ")));
            let may = if program == Path::new("rustup") { self.rustup_adds } else { self.apt_installs };
            let files: &[&'static str] = match arguments {
                _ if !may => return Err("no network".into()),
                ["target", ..] => &[RUSTUP_STD],
                ["install", ..] => &DEBIAN,
                _ => &[],
            };
            self.files.borrow_mut().extend(files);
            Ok(())
        }
    }

    fn rustup() -> Toolchain {
        Toolchain::Rustup { rustc: "rustc".into() }
    }
    fn debian_with(linker: &str) -> Toolchain {
        Toolchain::DebianBuildStd { rustc: DEBIAN_RUSTC.into(), linker: linker.into() }
    }

    #[test]
    fn takes_the_active_compiler_when_it_has_the_target_and_runs_nothing() {
        let machine = Sketch::with(&[RUSTUP_STD, DEBIAN[0], DEBIAN[1], DEBIAN[2]]);
        assert_eq!(find(&machine).expect("a toolchain"), rustup());
        assert!(machine.ran.borrow().is_empty());
    }

    #[test]
    fn adds_the_target_where_rustup_can() {
        let machine = Sketch { rustup_adds: true, ..Sketch::default() };
        assert_eq!(find(&machine).expect("a toolchain"), rustup());
        assert_eq!(*machine.ran.borrow(), ["rustup target add wasm32-unknown-unknown"]);
    }

    #[test]
    fn takes_debians_compiler_and_prefers_rusts_own_linker() {
        assert_eq!(find(&Sketch::with(&DEBIAN)).expect("a toolchain"), debian_with("/usr/bin/wasm-ld"));
        let lld = "/rustup/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
        let machine = Sketch::with(&[DEBIAN[0], DEBIAN[1], DEBIAN[2], lld]);
        assert_eq!(find(&machine).expect("a toolchain"), debian_with(lld));
    }

    #[test]
    fn says_what_was_tried_and_exactly_what_to_type() {
        for missing in DEBIAN {
            let files: Vec<&str> = DEBIAN.into_iter().filter(|file| *file != missing).collect();
            let why = Error::NoToolchain(find(&Sketch::with(&files)).expect_err("no toolchain")).to_string();
            for part in [
                "rustup target add wasm32-unknown-unknown: no network",
                "Debian's compiler: ",
                "apt-get update && apt-get install --yes --no-install-recommends rustc-web rust-web-src lld",
            ] {
                assert!(why.contains(part), "{part:?} is not in: {why}");
            }
        }
    }

    #[test]
    fn installs_debians_packages_only_as_root_and_only_where_nothing_else_works() {
        let machine = Sketch { root: true, apt_installs: true, ..Sketch::default() };
        assert_eq!(install(&machine).expect("installed"), debian_with("/usr/bin/wasm-ld"));
        assert_eq!(
            machine.ran.borrow()[1..],
            ["apt-get update", "apt-get install --yes --no-install-recommends rustc-web rust-web-src lld"]
        );

        let machine = Sketch { apt_installs: true, ..Sketch::default() };
        let why = install(&machine).expect_err("not root").to_string();
        assert!(why.contains("only root may"), "{why}");
        assert_eq!(*machine.ran.borrow(), ["rustup target add wasm32-unknown-unknown"]);

        let machine = Sketch { root: true, apt_installs: true, ..Sketch::with(&[RUSTUP_STD]) };
        assert_eq!(install(&machine).expect("there already"), rustup());
        assert!(machine.ran.borrow().is_empty());
    }
}
