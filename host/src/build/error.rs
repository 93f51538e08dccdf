//! Why a transform could not be built.

use std::path::PathBuf;
use std::process::ExitStatus;

use crate::fault::{Code, Disposition, Fault};
use crate::sandbox::contract;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} is not a project that can be built: {problem}")]
    NotAProject { path: PathBuf, problem: String },

    #[error(
        "package {package} does not make a WebAssembly module: its Cargo.toml needs [lib] crate-type = [\"cdylib\"]"
    )]
    NotACdylib { package: String },

    #[error("{0}")]
    NoToolchain(NoToolchain),

    #[error("what {language} needs is not here: {tried}\n{remedy}")]
    NoTool { language: &'static str, tried: String, remedy: &'static str },

    #[error("cannot run `{command}`: {source}")]
    CannotRun { command: String, source: std::io::Error },

    #[error("`{command}` failed ({status}); its output is above")]
    Failed { command: String, status: ExitStatus },

    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },

    #[error("the module cannot be wrapped as a component: {problem}")]
    NotWrappable { problem: String },

    #[error(
        "the component imports {import}, which the world crossdock:transform does not offer; a package that it uses wants more than a transform has"
    )]
    ForeignImport { import: String },

    #[error(
        "{what} crossdock:transform {version}, and this release builds for {}; {}",
        contract::VERSION,
        contract::REMEDY
    )]
    OtherContract { what: &'static str, version: String },
}

/// No compiler here can make WebAssembly: what was tried, and what to type.
#[derive(Debug)]
pub struct NoToolchain {
    /// One line for each way that was tried, with the reason why it does not work.
    pub tried: Vec<String>,
}

impl NoToolchain {
    /// Not even cargo is there.
    pub(super) fn without_cargo() -> Self {
        Self { tried: vec!["cargo: there is none; https://rustup.rs installs Rust".into()] }
    }
}

/// What repairs it, in the order of preference.
pub(super) const REMEDIES: &str = "\
    with rustup:            rustup target add wasm32-unknown-unknown\n\
    on Debian, as root:     apt-get update && apt-get install --yes --no-install-recommends rustc-web rust-web-src lld";

impl std::fmt::Display for NoToolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no Rust compiler here can build for wasm32-unknown-unknown.\n")?;
        for line in &self.tried {
            writeln!(f, "  tried: {line}")?;
        }
        write!(f, "Type one of these, then build again:\n{REMEDIES}")
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let code = match &error {
            Error::NotAProject { .. } | Error::NotACdylib { .. } => Code::ConfigurationInvalid,
            Error::NoToolchain(_) | Error::NoTool { .. } => Code::ConfigurationInvalid,
            Error::CannotRun { .. } | Error::File { .. } => Code::Internal,
            Error::Failed { .. }
            | Error::NotWrappable { .. }
            | Error::ForeignImport { .. }
            | Error::OtherContract { .. } => Code::ModuleRefused,
        };
        Fault::new(code, Disposition::RefuseStart, error.to_string())
    }
}
