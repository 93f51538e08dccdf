//! Building a Python transform: a component that carries the interpreter along, with the modules already imported.
//! `host/toolchains/python` pins the package from PyPI that does it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{BuildRequest, Built, Error, component, tools};

const NAME: &str = "Python";
const REQUIREMENTS: &str = "requirements.txt";
const FILES: [(&str, &str); 2] =
    [(REQUIREMENTS, include_str!("../../toolchains/python/requirements.txt")), tools::CONTRACT];
/// What the package's wheels are for.
const PYTHON: (u32, u32) = (3, 9);
const REMEDY: &str = "\
    Install Python 3.9 or newer with pip (Debian: apt-get install python3 python3-pip) or uv beside it, then build again.";
/// Imports what was installed here and not what else this machine has.
const SCRIPT: &str = "import sys; from componentize_py import script; sys.exit(script())";
/// The module that the component is made of. It cannot be called like the world, whose bindings are a module too.
const ENTRY: &str = "app";

/// What matters here of a project's `pyproject.toml`.
#[derive(Deserialize)]
struct Manifest {
    project: Project,
    #[serde(default)]
    tool: Tool,
}

#[derive(Deserialize)]
struct Project {
    name: String,
}

#[derive(Deserialize, Default)]
struct Tool {
    #[serde(default)]
    crossdock: Crossdock,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Crossdock {
    /// Where the entry is and what it imports or reads while it is built, below the project.
    python_path: Vec<PathBuf>,
}

impl Default for Crossdock {
    fn default() -> Self {
        Self { python_path: ["src", "vendor", "."].map(PathBuf::from).into() }
    }
}

pub(super) fn build(request: &BuildRequest) -> Result<Built, Error> {
    let refuse = |problem: String| Error::NotAProject { path: request.project_dir.clone(), problem };
    let project = request.project_dir.canonicalize().map_err(|error| refuse(error.to_string()))?;
    let text = fs::read_to_string(project.join("pyproject.toml")).map_err(|error| refuse(error.to_string()))?;
    let manifest: Manifest =
        toml::from_str(&text).map_err(|error| refuse(format!("its pyproject.toml cannot be read: {error}")))?;
    let path: Vec<PathBuf> = manifest.tool.crossdock.python_path.iter().map(|folder| project.join(folder)).collect();
    if !path.iter().any(|folder| folder.join(format!("{ENTRY}.py")).is_file()) {
        return Err(refuse(format!("no folder of python-path has {ENTRY}.py")));
    }

    let python = find_python()?;
    let tools = tools::kept("python", &FILES, install)?;
    let scratch = tempfile::tempdir().map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
    let made = scratch.path().join("component.wasm");
    let mut command = componentize_py(&tools, scratch.path())?;
    command.arg("--quiet").arg("-d").arg(tools::contract(&project, &tools)).args(["-w", "transform"]);
    command.args(["componentize", "--stub-wasi", ENTRY]);
    for folder in path.iter().filter(|folder| folder.is_dir()) {
        command.arg("-p").arg(folder);
    }
    tools::run(command.arg("-o").arg(&made), "componentize-py")?;

    let bytes = fs::read(&made).map_err(|source| Error::File { path: made, source })?;
    component::check(&bytes, "does app.py say `WitWorld = export(…)`?")?;
    let toolchain = format!("{python}, componentize-py of {}", tools.display());
    Ok(Built { component: bytes, output: request.output(&project, &manifest.project.name), toolchain })
}

fn find_python() -> Result<String, Error> {
    let missing = |tried: String| Error::NoTool { language: NAME, tried, remedy: REMEDY };
    let python = tools::version("python3").map_err(missing)?;
    match tools::major_and_minor(&python) {
        Some(version) if version >= PYTHON => Ok(python),
        _ => Err(missing(format!("python3 is {python}"))),
    }
}

/// Into a plain folder, which needs neither Debian's separate `ensurepip` nor an environment that breaks with the
/// interpreter that made it.
fn install(folder: &Path) -> Result<(), Error> {
    let more = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", "packages", "-r"];
    let mut tried = Vec::new();
    for (program, command) in
        [("python3", &["-m", "pip", "install", "--disable-pip-version-check"][..]), ("uv", &["pip", "install"])]
    {
        let mut installer = Command::new(program);
        installer.current_dir(folder).args(command).args(more).arg(REQUIREMENTS);
        match tools::run(&mut installer, &format!("{program} {} install", command[command.len().min(2) - 1])) {
            Ok(()) => return Ok(()),
            Err(why) => tried.push(why.to_string()),
        }
    }
    Err(Error::NoTool { language: NAME, tried: tried.join("; "), remedy: REMEDY })
}

fn componentize_py(tools: &Path, scratch: &Path) -> Result<Command, Error> {
    // Left to itself it adds whatever packages this machine's own Python has; an empty environment has none.
    let environment = scratch.join("environment");
    let packages = environment.join("lib/site-packages");
    fs::create_dir_all(&packages).map_err(|source| Error::File { path: packages, source })?;
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT]).env("PYTHONPATH", tools.join("packages")).env("VIRTUAL_ENV", environment);
    Ok(command)
}
