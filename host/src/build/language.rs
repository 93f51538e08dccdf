//! The languages that a transform may be written in, and how a project's folder tells which.

use std::path::Path;

use super::Error;
use crate::sandbox::ModuleClass;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    Rust,
    Javascript,
    Python,
}

impl Language {
    pub const ALL: &[Language] = &[Language::Rust, Language::Javascript, Language::Python];

    /// The language of the project in `dir`, by the one file that each language's projects have.
    pub fn of(dir: &Path) -> Result<Self, Error> {
        let found = Self::ALL.iter().copied().find(|language| dir.join(language.manifest()).is_file());
        found.ok_or_else(|| Error::NotAProject {
            path: dir.into(),
            problem: format!(
                "it has no {}; `crossdock new NAME` makes a project, and a path names another folder",
                Self::ALL.iter().map(|language| language.manifest()).collect::<Vec<_>>().join(", ")
            ),
        })
    }

    pub fn manifest(self) -> &'static str {
        match self {
            Language::Rust => "Cargo.toml",
            Language::Javascript => "package.json",
            Language::Python => "pyproject.toml",
        }
    }

    /// The class that a component of this language is checked and run under.
    pub fn class(self) -> ModuleClass {
        match self {
            Language::Rust => ModuleClass::Standard,
            Language::Javascript | Language::Python => ModuleClass::Interpreter,
        }
    }

    /// What `--language` calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Javascript => "javascript",
            Language::Python => "python",
        }
    }
}
