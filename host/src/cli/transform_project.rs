//! What the commands over a transform's directory have in common: which module, which cases, which sandbox.

use std::path::PathBuf;

use clap::Args;
use crossdock_guest::testing::{Case, Cases, Unreadable};

use crate::bench::{Laboratory, laboratory, operations};
use crate::build::{self, BuildRequest};
use crate::sandbox::{Module, ModuleClass};

use super::transform::ClassArg;

pub const EXIT_FAILED: u8 = 1;
pub const EXIT_USAGE: u8 = 2;
pub const EXIT_NO_MODULE: u8 = 3;

/// Why nothing was run, with the exit code it has.
pub struct Stop(pub u8, pub String);

impl Stop {
    pub fn usage(problem: impl std::fmt::Display) -> Self {
        Stop(EXIT_USAGE, problem.to_string())
    }

    /// Says why, and gives the code back.
    pub fn tell(self) -> u8 {
        eprintln!("crossdock: {}", self.1);
        self.0
    }
}

#[derive(Debug, Clone, Args)]
pub struct ProjectArguments {
    /// The transform's directory
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// This component, instead of building the directory's
    #[arg(long, value_name = "M.wasm")]
    pub module: Option<PathBuf>,
    /// The class of --module; what is built has its language's
    #[arg(long, value_enum, requires = "module")]
    pub class: Option<ClassArg>,
    /// The folder of the cases; `cases` in the directory where none is named
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// The field that holds a document's key, for a source that is not known
    #[arg(long, value_name = "NAME")]
    key_field: Option<String>,
    /// Keep compiled components here, instead of in the user's cache
    #[arg(long, value_name = "DIR")]
    pub artefacts: Option<PathBuf>,
}

impl ProjectArguments {
    /// The sandbox with the module in it, built first where none is named.
    pub fn open(&self) -> Result<(Laboratory, Module), Stop> {
        let (component, class) = match &self.module {
            Some(module) => (module.clone(), self.class.map_or(ModuleClass::Standard, Into::into)),
            None => self.build()?,
        };
        let laboratory = Laboratory::open(self.artefacts.as_deref()).map_err(Stop::usage)?;
        let module = laboratory.load(&component, class).map_err(|error| match error {
            laboratory::Error::Sandbox(_) => Stop(EXIT_NO_MODULE, error.to_string()),
            other => Stop::usage(other),
        })?;
        Ok((laboratory, module))
    }

    fn build(&self) -> Result<(PathBuf, ModuleClass), Stop> {
        let request = BuildRequest { project_dir: self.directory.clone(), output: None, target_dir: None };
        let built = build::build(&request).map_err(|error| Stop(EXIT_NO_MODULE, error.to_string()))?;
        Ok((built.component, built.language.class()))
    }

    pub fn cases(&self, module: &Module) -> Result<Vec<Result<Case, Unreadable>>, Stop> {
        let mut cases = Cases::of(&self.directory);
        if let Some(folder) = &self.cases {
            cases = cases.folder(folder);
        }
        let known = || operations::key_field(&module.description().source);
        if let Some(key_field) = self.key_field.as_deref().or_else(known) {
            cases = cases.key_field(key_field);
        }
        cases.read().map_err(Stop::usage)
    }
}
