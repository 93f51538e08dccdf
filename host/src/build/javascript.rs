//! Building a JavaScript transform: one file of it, then a component that carries the engine along. Both are done by npm
//! packages; `host/toolchains/javascript` pins them and says how they are called.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::{BuildRequest, Built, Error, component, tools};

const NAME: &str = "JavaScript";
const FILES: [(&str, &str); 5] = [
    ("package.json", include_str!("../../toolchains/javascript/package.json")),
    ("package-lock.json", include_str!("../../toolchains/javascript/package-lock.json")),
    ("build.mjs", include_str!("../../toolchains/javascript/build.mjs")),
    ("snapshot.mjs", include_str!("../../toolchains/javascript/snapshot.mjs")),
    tools::CONTRACT,
];
/// What the packages are tested with.
const NODE: u32 = 20;
const REMEDY: &str =
    "Install Node.js 20 or newer with npm (nodejs.org; Debian: apt-get install nodejs npm), then build again.";
const ENTRY: &str = "src/index.js";

/// What matters here of a project's `package.json`.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    #[serde(default)]
    main: Option<String>,
}

pub(super) fn build(request: &BuildRequest) -> Result<Built, Error> {
    let refuse = |problem: String| Error::NotAProject { path: request.project_dir.clone(), problem };
    let project = request.project_dir.canonicalize().map_err(|error| refuse(error.to_string()))?;
    let text = fs::read_to_string(project.join("package.json")).map_err(|error| refuse(error.to_string()))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| refuse(format!("its package.json cannot be read: {error}")))?;
    let entry = project.join(manifest.main.as_deref().unwrap_or(ENTRY));
    if !entry.is_file() {
        return Err(refuse(format!("{} is not there; \"main\" in package.json names another file", entry.display())));
    }

    let node = find_node()?;
    let tools = tools::kept("javascript", &FILES, install)?;
    let scratch = tempfile::tempdir().map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
    let made = scratch.path().join("component.wasm");
    let mut command = Command::new("node");
    command.arg(tools.join("build.mjs")).args([&entry, &project, &tools::contract(&project, &tools), &made]);
    tools::run(&mut command, "node build.mjs")?;

    let bytes = fs::read(&made).map_err(|source| Error::File { path: made, source })?;
    component::check(&bytes, "does the entry export `describe` and `transform` of defineTransform?")?;
    let name = manifest.name.rsplit('/').next().unwrap_or_default();
    let toolchain = format!("node {node}, componentize-js and esbuild of {}", tools.display());
    Ok(Built { component: bytes, output: request.output(&project, name), toolchain })
}

fn find_node() -> Result<String, Error> {
    let missing = |tried: String| Error::NoTool { language: NAME, tried, remedy: REMEDY };
    let node = tools::version("node").map_err(missing)?;
    match tools::major_and_minor(&node) {
        Some((major, _)) if major >= NODE => Ok(node),
        _ => Err(missing(format!("node is {node}"))),
    }
}

/// Exactly what the lock names, by content; no package's own scripts run.
fn install(folder: &Path) -> Result<(), Error> {
    tools::version("npm").map_err(|tried| Error::NoTool { language: NAME, tried, remedy: REMEDY })?;
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    tools::run(&mut npm, "npm ci")
}
