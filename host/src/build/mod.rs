//! Turns a transform's source folder into the component that is uploaded.
//!
//! [`build`] tells the project's language and leaves the rest to that language's file, each of which finds its
//! toolchain, makes a component, and refuses one that imports more than the contract offers. It never skips a step
//! silently, and the report says which toolchain did the work. It does not run the component: that is the sandbox's
//! business.

mod component;
mod error;
mod javascript;
mod language;
mod optimise;
mod python;
mod rust;
mod toolchain;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

pub use component::wrap;
pub use error::Error;
pub use language::Language;
pub use toolchain::{Toolchain, find_toolchain, install_toolchain};

use crate::model::Digest;

/// What to build, and where to put it.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The folder of the transform's project.
    pub project_dir: PathBuf,
    /// Where to write the component. By default `components/NAME.wasm` in the target folder, NAME being the project's.
    pub output: Option<PathBuf>,
    /// The target folder. By default the one that the language's own tools would use for this project.
    pub target_dir: Option<PathBuf>,
}

impl BuildRequest {
    /// Where the component of `name` goes, of a language whose own tools have no target folder.
    fn output(&self, project: &Path, name: &str) -> PathBuf {
        let in_target = || {
            let target = self.target_dir.clone().unwrap_or_else(|| project.join("target"));
            target.join("components").join(format!("{name}.wasm"))
        };
        self.output.clone().unwrap_or_else(in_target)
    }
}

/// What was built.
#[derive(Debug, Clone)]
pub struct BuildReport {
    pub component: PathBuf,
    pub digest: Digest,
    pub size_bytes: u64,
    pub language: Language,
    /// What did the work, for people: one line.
    pub toolchain: String,
}

/// Builds the transform in the request's folder and writes its component. Nothing is written unless every step succeeded.
pub fn build(request: &BuildRequest) -> Result<BuildReport, Error> {
    let language = Language::of(&request.project_dir)?;
    tools::check_contract(&request.project_dir)?;
    let built = match language {
        Language::Rust => rust::build(request)?,
        Language::Javascript => javascript::build(request)?,
        Language::Python => python::build(request)?,
    };
    write(&built.output, &built.component)?;
    Ok(BuildReport {
        digest: Digest::of(&built.component),
        size_bytes: built.component.len() as u64,
        component: built.output,
        language,
        toolchain: built.toolchain,
    })
}

/// What a language's file hands back.
struct Built {
    component: Vec<u8>,
    output: PathBuf,
    toolchain: String,
}

/// Whole or not at all: whoever watches the file never sees half a component.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.into(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    fs::write(&partial, bytes).map_err(failed)?;
    fs::rename(&partial, path).map_err(failed)
}
