//! `crossdock new`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::bench::project::{self, Request};
use crate::build::Language;

use super::exit::Exit;

/// Begins a transform: a project with its mapping, cases and editor settings, which builds and passes its tests as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 a file could not be written; 2 the name, the folder or an operation cannot be used, nothing was written.

Example: crossdock new my-saleouts --from jushuitan.saleout.list.query --to BatchSave")]
pub struct Arguments {
    /// The module's name: lower-case letters, digits and hyphens
    name: String,
    /// The language of the mapping
    #[arg(long, value_enum, default_value = "rust")]
    language: Language,
    /// The source operation, which decides the typed source document; a wrong one lists those that are known
    #[arg(long, value_name = "SOURCE-OPERATION")]
    from: Option<String>,
    /// The target operation, which decides the bill's fields
    #[arg(long, value_name = "TARGET-OPERATION")]
    to: Option<String>,
    /// The project's folder; NAME below the current one where none is named
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let directory = arguments.directory.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    let request = Request {
        name: arguments.name.clone(),
        directory: directory.clone(),
        language: arguments.language,
        from: arguments.from.clone(),
        to: arguments.to.clone(),
    };
    match project::create(&request) {
        Ok(project) => {
            println!("{}", directory.display());
            eprintln!("{} files, from {} to {}. Next:", project.files.len(), project.source, project.target);
            eprintln!("  cd {}\n  crossdock build\n  crossdock test", directory.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("crossdock: {error}");
            match error {
                project::Error::File { .. } | project::Error::Broken { .. } => Exit::Failed.into(),
                _ => Exit::Usage.into(),
            }
        }
    }
}
