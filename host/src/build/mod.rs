//! Turns a transform's source folder into the component that is uploaded.
//!
//! [`build_rust`] finds a compiler that can make WebAssembly, runs cargo, wraps the core module as a component, and
//! refuses one that imports more than the contract offers. It never skips a step silently, and the report says which
//! toolchain did the work. It does not run the component: that is the sandbox's business.

mod component;
mod error;
mod rust;
mod toolchain;

use std::path::PathBuf;

pub use component::wrap;
pub use error::Error;
pub use rust::build_rust;
pub use toolchain::{Toolchain, find_toolchain, install_toolchain};

use crate::model::Digest;

/// What to build, and where to put it.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The folder of the transform's `Cargo.toml`.
    pub project_dir: PathBuf,
    /// Where to write the component. By default `components/NAME.wasm` in the target folder, NAME being the package.
    pub output: Option<PathBuf>,
    /// The target folder. By default the one that cargo would use for this project.
    pub target_dir: Option<PathBuf>,
}

/// What was built.
#[derive(Debug, Clone)]
pub struct BuildReport {
    pub component: PathBuf,
    pub digest: Digest,
    pub size_bytes: u64,
    pub toolchain: Toolchain,
}
