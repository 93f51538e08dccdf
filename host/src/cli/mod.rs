//! What people type: each command is a thin shell over the layers below.

mod compile_child;
mod transform;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Moves business documents between ERP systems through tenants' sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "crossdock", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a component over documents, offline, in the sandbox of production.
    Transform(transform::Transform),
    /// Compile one component from standard input; started by the engine, not by people.
    #[command(hide = true)]
    CompileChild,
}

impl Cli {
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Transform(command) => command.run(),
            Command::CompileChild => compile_child::run(),
        }
    }
}
