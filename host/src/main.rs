use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    crossdock::cli::Cli::parse().run()
}
