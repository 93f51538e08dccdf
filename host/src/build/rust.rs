//! Building a Rust transform: cargo, then the component.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::error::NoToolchain;
use super::optimise::optimise;
use super::{BuildRequest, Built, Error, Toolchain, find_toolchain, wrap};

/// How every transform is compiled, whatever its own profile says: small, because it is uploaded, scanned and compiled;
/// without unwinding, because a panic ends the call anyway; in one unit, so that the bytes do not hang on how many cores
/// there were.
const PROFILE: [&str; 4] = [
    "profile.release.lto=\"fat\"",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
    "profile.release.strip=true",
];

/// Builds a Rust transform. Cargo's output goes to stderr.
///
/// Where the project has a `Cargo.lock`, the build is `--locked`: the same source gives the same dependencies.
pub(super) fn build(request: &BuildRequest) -> Result<Built, Error> {
    let project = Project::read(request)?;
    let toolchain = find_toolchain(&project.dir)?;
    let core_path = project.compile(&toolchain, request.target_dir.as_deref())?;
    let (core_module, optimiser) = optimise(&core_path)?;
    let output = match &request.output {
        Some(output) => output.clone(),
        None => project.target_dir.join("components").join(format!("{}.wasm", project.package)),
    };
    let toolchain = format!("{}: {toolchain}; {optimiser}", toolchain.version());
    Ok(Built { component: wrap(&core_module)?, output, toolchain })
}

/// Native stack of a guest, below its data. A mapping needs a few KiB and a deeply nested document some tens; the compiler's
/// own choice is a MiB, which would have to be reset for every instance. Who overflows it traps.
const STACK_BYTES: u32 = 128 << 10;
/// Heap that is there from the start, so that a usual document grows nothing.
const INITIAL_HEAP_BYTES: u32 = 128 << 10;

/// What of WebAssembly a guest may use beside the compiler's defaults, and how its memory is laid out.
fn guest_flags() -> [String; 3] {
    [
        // Sixteen bytes at once: what reading and writing JSON is mostly made of.
        "-Ctarget-feature=+simd128".into(),
        format!("-Clink-arg=-zstack-size={STACK_BYTES}"),
        format!("-Clink-arg=--initial-heap={INITIAL_HEAP_BYTES}"),
    ]
}

/// What cargo says of the project.
struct Project {
    dir: PathBuf,
    package: String,
    target_dir: PathBuf,
    workspace_root: PathBuf,
    locked: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// The one kind of cargo's messages that matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

impl Project {
    fn read(request: &BuildRequest) -> Result<Self, Error> {
        let refuse = |problem: String| Error::NotAProject { path: request.project_dir.clone(), problem };
        let dir = request.project_dir.canonicalize().map_err(|error| refuse(error.to_string()))?;
        let manifest = dir.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(refuse("it has no Cargo.toml".into()));
        }
        let mut cargo = cargo(&dir);
        let output = cargo.args(["metadata", "--format-version", "1", "--no-deps"]).output().map_err(|source| {
            match source.kind() {
                std::io::ErrorKind::NotFound => Error::NoToolchain(NoToolchain::without_cargo()),
                _ => Error::CannotRun { command: "cargo metadata".into(), source },
            }
        })?;
        if !output.status.success() {
            return Err(refuse(String::from_utf8_lossy(&output.stderr).trim().into()));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|error| refuse(error.to_string()))?;
        let package =
            metadata.packages.into_iter().find(|package| package.manifest_path == manifest).ok_or_else(|| {
                refuse("its Cargo.toml is a workspace without a package; name the package's folder".into())
            })?;
        if !package.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib")) {
            return Err(Error::NotACdylib { package: package.name });
        }
        Ok(Self {
            dir,
            package: package.name,
            target_dir: request.target_dir.clone().unwrap_or(metadata.target_directory),
            locked: metadata.workspace_root.join("Cargo.lock").is_file(),
            workspace_root: metadata.workspace_root,
        })
    }

    /// Compiles the core module and says where it is.
    fn compile(&self, toolchain: &Toolchain, target_dir: Option<&Path>) -> Result<PathBuf, Error> {
        let mut cargo = cargo(&self.dir);
        cargo.args(["build", "--release", "--lib", "--package", &self.package]);
        cargo.arg("--message-format=json-render-diagnostics");
        if self.locked {
            cargo.arg("--locked");
        }
        if let Some(target_dir) = target_dir {
            cargo.arg("--target-dir").arg(target_dir);
        }
        for setting in PROFILE {
            cargo.arg("--config").arg(setting);
        }
        let mut flags = nameless_paths(&self.workspace_root, cargo_home().as_deref());
        flags.extend(guest_flags());
        // A JSON array of strings is a TOML array of strings as well.
        cargo.arg("--config").arg(format!(
            "target.{}.rustflags={}",
            super::toolchain::TARGET,
            serde_json::json!(flags)
        ));
        toolchain.apply(&mut cargo);

        let command = format!("cargo build --release --package {}", self.package);
        let output = cargo.stderr(Stdio::inherit()).output();
        let output = output.map_err(|source| Error::CannotRun { command: command.clone(), source })?;
        if !output.status.success() {
            return Err(Error::Failed { command, status: output.status });
        }
        let manifest = self.dir.join("Cargo.toml");
        let messages = output.stdout.split(|byte| *byte == b'\n');
        messages
            .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
            .filter(|message| message.reason == "compiler-artifact" && message.manifest_path == manifest)
            .flat_map(|message| message.filenames)
            .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
            .ok_or_else(|| Error::NotACdylib { package: self.package.clone() })
    }
}

/// Cargo as the caller has it, in the project's folder, so that the project's own configuration counts.
fn cargo(dir: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.current_dir(dir).stdin(Stdio::null());
    cargo
}

/// Where cargo keeps registry sources, which the compiler names in panic messages.
fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::home_dir().map(|home| home.join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

/// Makes the compiler write neither the user's name nor the folder's into panic messages: a component is uploaded, and
/// its digest should not depend on where it was built. The folder above the workspace is meant too, for path
/// dependencies beside it. Of several prefixes that fit, the compiler takes the last.
fn nameless_paths(workspace_root: &Path, cargo_home: Option<&Path>) -> Vec<String> {
    let above = workspace_root.parent().filter(|above| above.parent().is_some());
    let folders = [(above, "/source"), (Some(workspace_root), "/source"), (cargo_home, "/cargo")];
    folders
        .into_iter()
        .filter_map(|(folder, name)| Some(format!("--remap-path-prefix={}={name}", folder?.to_str()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::build as build_project;
    use super::*;
    use crate::model::Digest;

    /// The smallest project that makes a component: it has no dependencies, so the test needs no registry, and carries
    /// the interface as bytes, the way that the bindings would.
    fn project(crate_type: &str, source: &str) -> tempfile::TempDir {
        let world = "package test:tiny; world tiny { export describe: func(); export transform: func(); }";
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve.push_str("tiny.wit", world).expect("an interface");
        let world = resolve.select_world(&[package], None).expect("a world");
        let section = wit_component::metadata::encode(&resolve, world, wit_component::StringEncoding::UTF8, None)
            .expect("the interface as bytes");

        let dir = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        let manifest = format!(
            "[package]\nname = \"tiny-transform\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\
             [lib]\ncrate-type = [\"{crate_type}\"]\n[workspace]\n[profile.release]\npanic = \"abort\"\n"
        );
        put("Cargo.toml", manifest.as_bytes());
        put("component-type.bin", &section);
        let glue = "#[unsafe(link_section = \"component-type:tiny\")]\n#[used]\n\
                    static TYPE: [u8; include_bytes!(\"../component-type.bin\").len()] = *include_bytes!(\"../component-type.bin\");\n";
        put("src/lib.rs", format!("{glue}{source}").as_bytes());
        dir
    }

    const EXPORTS: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn describe() {}\n\
                           #[unsafe(no_mangle)] pub extern \"C\" fn transform() {}\n";

    fn request(dir: &tempfile::TempDir) -> BuildRequest {
        let target_dir = Some(dir.path().join("elsewhere"));
        BuildRequest { project_dir: dir.path().into(), output: None, target_dir }
    }

    #[test]
    fn builds_a_project_and_leaves_its_component_under_the_packages_name() {
        let dir = project("cdylib", EXPORTS);
        let report = build_project(&request(&dir)).expect("a component");
        assert_eq!(report.component, dir.path().join("elsewhere/components/tiny-transform.wasm"));
        let bytes = fs::read(&report.component).expect("the component");
        assert_eq!((report.digest, report.size_bytes), (Digest::of(&bytes), bytes.len() as u64));
        assert!(wasmparser::Parser::is_component(&bytes));

        let output = Some(dir.path().join("deep/er/mine.wasm"));
        let again = build_project(&BuildRequest { output: output.clone(), ..request(&dir) }).expect("a component");
        assert_eq!((Some(again.component), again.digest), (output, report.digest));
    }

    #[test]
    fn a_component_names_no_folder_of_the_machine_that_built_it() {
        // A dependency outside the workspace is what cargo hands to the compiler by its full path.
        let helper = tempfile::tempdir().expect("a folder");
        let manifest = "[package]\nname = \"helper\"\nversion = \"1.0.0\"\nedition = \"2024\"\n";
        let library = "#[inline(never)]\npub fn keep() { assert!(std::hint::black_box(true), \"{}\", file!()); }\n";
        fs::write(helper.path().join("Cargo.toml"), manifest).expect("a file");
        fs::create_dir(helper.path().join("src")).expect("a folder");
        fs::write(helper.path().join("src/lib.rs"), library).expect("a file");

        let dir = project("cdylib", &EXPORTS.replace("describe() {}", "describe() { helper::keep() }"));
        let manifest = fs::read_to_string(dir.path().join("Cargo.toml")).expect("a file");
        let dependency = format!("[dependencies]\nhelper = {{ path = {:?} }}\n", helper.path());
        fs::write(dir.path().join("Cargo.toml"), manifest + &dependency).expect("a file");

        let report = build_project(&request(&dir)).expect("a component");
        let bytes = fs::read(&report.component).expect("the component");
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("src/lib.rs"), "the helper's panic names its file");
        assert!(
            !holds(helper.path().to_str().expect("a path in UTF-8")),
            "the component names the folder it came from"
        );
    }

    #[test]
    fn a_project_that_does_not_compile_fails_with_the_command_and_writes_nothing() {
        let dir = project("cdylib", "compile_error!(\"broken\");");
        let why = build_project(&request(&dir)).expect_err("broken source");
        assert!(matches!(&why, Error::Failed { command, .. } if command.contains("tiny-transform")), "{why}");
        assert!(!dir.path().join("elsewhere/components").exists());
    }

    #[test]
    fn refuses_what_is_not_a_transforms_project() {
        let dir = project("rlib", EXPORTS);
        assert!(
            matches!(build_project(&request(&dir)), Err(Error::NotACdylib { package }) if package == "tiny-transform")
        );
        fs::remove_file(dir.path().join("Cargo.toml")).expect("removed");
        assert!(matches!(build_project(&request(&dir)), Err(Error::NotAProject { .. })));
        fs::remove_dir_all(dir.path().join("src")).expect("removed");
        let nowhere = BuildRequest { project_dir: dir.path().join("nowhere"), ..request(&dir) };
        assert!(matches!(build_project(&nowhere), Err(Error::NotAProject { .. })));
    }
}
