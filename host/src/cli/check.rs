//! `crossdock check`: says everything that is wrong with a configuration, and starts nothing.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::config::{self, LoadOptions, Problems};
use crate::daemon;

use super::ConfigArguments;

/// The configuration is not usable. 1 stays for what went wrong while looking.
const UNUSABLE: u8 = 2;

/// Finds the mistakes of the file at once: its own, the connections', the sandbox's, the schemes'. Opens no store, asks no
/// vendor and runs no module, so whether a named module exists and takes the parameters is seen when the engine starts.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 in order; 2 not usable, every problem with its place is on standard error.\n\n\
                        Example: crossdock check --config crossdock.toml")]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let ConfigArguments { config, allow_inline_secrets } = &arguments.config;
    daemon::with_judgement(*allow_inline_secrets, |options| check(config, options))
}

/// Prints the problems of a configuration that a command could not load.
pub(super) fn show(problems: &Problems) {
    let mut stderr = io::stderr().lock();
    let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // Nobody reads what cannot be printed; the exit code still tells.
    let _ = print(problems, &mut stderr, colour);
}

/// Checks the file at `path` and prints to stderr.
pub fn check(path: &Path, options: &LoadOptions<'_>) -> ExitCode {
    let mut stderr = io::stderr().lock();
    let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match check_to(path, options, &mut stderr, colour) {
        Ok(code) => ExitCode::from(code),
        // Nobody reads what cannot be printed; the exit code still tells.
        Err(_) => ExitCode::FAILURE,
    }
}

fn check_to(path: &Path, options: &LoadOptions<'_>, out: &mut dyn Write, colour: bool) -> io::Result<u8> {
    match config::load(path, options) {
        Ok(config) => {
            let (connections, schemes) = (config.connections.len(), config.schemes.len());
            let connections = count(connections, "connection");
            writeln!(out, "{}: in order, {connections}, {}", path.display(), count(schemes, "scheme"))?;
            for hint in daemon::hints(&config) {
                writeln!(out, "hint: {hint}")?;
            }
            Ok(0)
        }
        Err(problems) => {
            print(&problems, out, colour)?;
            Ok(UNUSABLE)
        }
    }
}

/// One line for each problem that an editor can jump to, one for its remedy, and their number. Also for the engine's
/// own start.
pub fn print(problems: &Problems, out: &mut dyn Write, colour: bool) -> io::Result<()> {
    let (red, plain) = if colour { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    for problem in problems.iter() {
        writeln!(out, "{}: {red}{}{plain}", problem.place, problem.message)?;
        writeln!(out, "  mend: {}", problem.remedy)?;
    }
    writeln!(out, "{}", count(problems.count(), "problem"))
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(toml: &str, colour: bool, code: u8, lines: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("crossdock.toml");
        std::fs::write(&path, toml).unwrap();
        let mut out = Vec::new();
        let found = check_to(&path, &LoadOptions::new(&|_| None), &mut out, colour).unwrap();
        let out = String::from_utf8(out).unwrap().replace(&path.display().to_string(), "FILE");
        assert_eq!((found, out.lines().collect::<Vec<_>>()), (code, lines.to_vec()));
    }

    #[test]
    fn an_orderly_file_says_what_is_in_it() {
        check("[engine]\ndata_dir = \"data\"\n", false, 0, &["FILE: in order, 0 connections, 0 schemes"]);
    }

    #[test]
    fn each_problem_has_its_place_and_its_remedy_and_all_are_counted() {
        check(
            "[engine]\ndata_dir = 3\nworkers = 0\n",
            false,
            2,
            &[
                "FILE:2:12: `data_dir` of [engine] must be a text, not a number",
                "  mend: name a directory on a local disk: data_dir = \"/var/lib/crossdock\"",
                "FILE:3:11: `workers` of [engine] is 0, which is out of range",
                "  mend: write a whole number from 1 to 56",
                "2 problems",
            ],
        );
    }

    #[test]
    fn colour_is_for_terminals_only() {
        check(
            "[engine]\ndata_dir = \"\"\n",
            true,
            2,
            &[
                "FILE:2:12: \x1b[31m`data_dir` of [engine]: is empty\x1b[0m",
                "  mend: name a directory on a local disk: data_dir = \"/var/lib/crossdock\"",
                "1 problem",
            ],
        );
    }
}
