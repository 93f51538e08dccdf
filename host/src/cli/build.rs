//! `crossdock build`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::build::{self, BuildRequest, Language};

use super::exit::{self, Exit};

/// Finds a toolchain, says which, builds the transform, wraps it into a component and checks it against the contract.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\nExample: crossdock build transforms/jushuitan-saleout-to-k3cloud", exit::HELP))]
pub struct Arguments {
    /// The transform's directory
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The component's file; `target/components/NAME.wasm` where none is named
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the compiler keeps what it made
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// Install what is missing for Rust first (rustup's target; as root Debian's packages)
    #[arg(long)]
    install_toolchain: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let fail = |error: build::Error| {
        eprintln!("crossdock: {error}");
        ExitCode::from(Exit::Failed)
    };
    // The other languages' tools are installed by their builds.
    if arguments.install_toolchain
        && let Ok(Language::Rust) = Language::of(&arguments.directory)
        && let Err(error) = build::install_toolchain(&arguments.directory)
    {
        return fail(error);
    }
    let request = BuildRequest {
        project_dir: arguments.directory.clone(),
        output: arguments.output.clone(),
        target_dir: arguments.target_dir.clone(),
    };
    match build::build(&request) {
        Ok(report) => {
            eprintln!("built with {}", report.toolchain);
            println!("{} {} bytes sha256:{}", report.component.display(), report.size_bytes, report.digest);
            ExitCode::SUCCESS
        }
        Err(error) => fail(error),
    }
}
