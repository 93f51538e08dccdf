//! `crossdock check`: says everything that is wrong with a configuration, and starts nothing.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::config::{self, Config, LoadOptions, Problems, Severity};
use crate::daemon;

use super::ConfigArguments;

/// The configuration is not usable. 1 stays for what went wrong while looking.
const UNUSABLE: u8 = 2;

/// Finds the mistakes of the file at once: its own, the connections', the sandbox's, the schemes'. Opens no store, asks no
/// vendor and runs no module, so whether a named module exists and takes the parameters is seen when the engine starts.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 in order, though there may be warnings; 2 not usable, every problem with its place \
                        is on standard error.\n\n\
                        Example: crossdock check --config crossdock.toml --deny-warnings"
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Count what is usable and most likely not meant as not usable
    #[arg(long)]
    deny_warnings: bool,
    /// Say how each scheme's writes are known again, and what becomes of one whose answer is lost
    #[arg(long, short)]
    verbose: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let ConfigArguments { config, allow_inline_secrets } = &arguments.config;
    daemon::with_judgement(*allow_inline_secrets, |options| check(config, options, arguments))
}

/// Prints the problems of a configuration that a command could not load.
pub(super) fn show(problems: &Problems) {
    let mut stderr = io::stderr().lock();
    let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // Nobody reads what cannot be printed; the exit code still tells.
    let _ = print(problems, &mut stderr, colour);
}

/// Checks the file at `path` and prints to stderr.
fn check(path: &Path, options: &LoadOptions<'_>, arguments: &Arguments) -> ExitCode {
    let mut stderr = io::stderr().lock();
    let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match check_to(path, options, arguments, &mut stderr, colour) {
        Ok(code) => ExitCode::from(code),
        // Nobody reads what cannot be printed; the exit code still tells.
        Err(_) => ExitCode::FAILURE,
    }
}

fn check_to(
    path: &Path,
    options: &LoadOptions<'_>,
    arguments: &Arguments,
    out: &mut dyn Write,
    colour: bool,
) -> io::Result<u8> {
    match config::load(path, options) {
        Ok(config) => {
            if !config.warnings.is_empty() {
                print(&config.warnings, out, colour)?;
                if arguments.deny_warnings {
                    return Ok(UNUSABLE);
                }
            }
            if arguments.verbose {
                print_writings(&config, out)?;
            }
            let (connections, schemes) = (config.connections.len(), config.schemes.len());
            let connections = count(connections, "connection");
            writeln!(out, "{}: in order, {connections}, {}", path.display(), count(schemes, "scheme"))?;
            Ok(0)
        }
        Err(problems) => {
            print(&problems, out, colour)?;
            Ok(UNUSABLE)
        }
    }
}

/// How a bill of each scheme is known again once it was sent, whether it can be changed, and what becomes of a write
/// whose answer is lost.
fn print_writings(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    for daemon::Writing { scheme, target, capabilities, .. } in daemon::writings(config) {
        writeln!(out, "scheme {scheme} writes to {target}")?;
        writeln!(out, "  known again by: {}", capabilities.recognised_by)?;
        let changed = if capabilities.updatable { "where on_change or a person says so" } else { "never" };
        writeln!(out, "  changed once written: {changed}")?;
        writeln!(out, "  when an answer is lost: {}", capabilities.unknown_write())?;
    }
    Ok(())
}

/// One line for each problem that an editor can jump to, one for its remedy, and their number. Also for the engine's
/// own start.
pub fn print(problems: &Problems, out: &mut dyn Write, colour: bool) -> io::Result<()> {
    let plain = if colour { "\x1b[0m" } else { "" };
    for problem in problems.iter() {
        let (colour, mark) = match (problem.severity, colour) {
            (Severity::Mistake, true) => ("\x1b[31m", ""),
            (Severity::Warning, true) => ("\x1b[33m", "warning: "),
            (Severity::Mistake, false) => ("", ""),
            (Severity::Warning, false) => ("", "warning: "),
        };
        writeln!(out, "{}: {colour}{mark}{}{plain}", problem.place, problem.message)?;
        writeln!(out, "  mend: {}", problem.remedy)?;
    }
    let (mistakes, warnings) = (problems.count(Severity::Mistake), problems.count(Severity::Warning));
    let counts = [(mistakes, "problem"), (warnings, "warning")].map(|(number, noun)| count(number, noun));
    match (mistakes, warnings) {
        (_, 0) => writeln!(out, "{}", counts[0]),
        (0, _) => writeln!(out, "{}", counts[1]),
        _ => writeln!(out, "{}", counts.join(", ")),
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the command answers and prints for this file, with the judgement of every layer.
    fn answer(toml: &str, colour: bool, deny_warnings: bool, verbose: bool) -> (u8, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("crossdock.toml");
        std::fs::write(&config, toml).unwrap();
        // The first bytes of a component: no module is compiled here.
        std::fs::write(directory.path().join("m.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        let file = config.display().to_string();
        let arguments =
            Arguments { config: ConfigArguments { config, allow_inline_secrets: true }, deny_warnings, verbose };
        let mut out = Vec::new();
        let code = daemon::with_judgement(true, |options| {
            check_to(&arguments.config.config, options, &arguments, &mut out, colour).unwrap()
        });
        let out = String::from_utf8(out).unwrap().replace(&file, "FILE");
        (code, out.lines().map(str::to_owned).collect())
    }

    #[track_caller]
    fn check(toml: &str, colour: bool, code: u8, lines: &[&str]) {
        assert_eq!(answer(toml, colour, false, false), (code, lines.iter().map(|line| line.to_string()).collect()));
    }

    /// From 旺店通 to the target that `connection` describes.
    fn scheme(connection: &str, operation: &str, rest: &str) -> String {
        format!(
            r#"[engine]
data_dir = "data"
[[connection]]
name = "wdt"
system = "wangdiantong_qimen"
base_url = "https://wdt.example/router/qm"
app_key = "1"
app_secret = "s"
sid = "2"
[[connection]]
name = "to"
{connection}
[[scheme]]
name = "one"
module = {{ file = "m.wasm" }}
source = {{ connection = "wdt", operation = "wdt.stockin.order.query" }}
target = {{ connection = "to", {operation} }}
schedule = "every 5m"
start_at = "2026-11-01T00:00:00+08:00"
{rest}
"#
        )
    }

    fn to_jdy(options: &str, rest: &str) -> String {
        let connection = "system = \"kingdee_jdy\"\nbase_url = \"https://jdy.example/\"\nclient_id = \"1\"\n\
                          client_secret = \"s\"\nouter_instance_id = \"2\"";
        let rest = format!("{rest}\nreference = {{ \"kingdee_jdy.unit\" = {{ connection = \"to\" }} }}");
        scheme(connection, &format!("operation = \"jdy/inv/inv_check_gain_bill_save\"{options}"), &rest)
    }

    fn to_trades(rest: &str) -> String {
        let connection = "system = \"wangdiantong_qimen\"\nbase_url = \"https://wdt.example/router/qm\"\n\
                          app_key = \"1\"\napp_secret = \"s\"\nsid = \"3\"";
        scheme(connection, "operation = \"wdt.trade.push\"", rest)
    }

    const IN_ORDER: &str = "FILE: in order, 2 connections, 1 scheme";

    #[test]
    fn what_the_target_cannot_change_is_not_to_be_updated() {
        let (code, lines) = answer(&to_jdy("", "on_change = \"update\""), false, false, false);
        let place =
            "FILE:24:13: `on_change` of scheme \"one\": is \"update\", and this target cannot change what is written";
        assert_eq!((code, lines[0].as_str()), (UNUSABLE, place), "{lines:#?}");
        assert_eq!(answer(&to_trades("on_change = \"update\""), false, false, false), (0, vec![IN_ORDER.into()]));
    }

    #[test]
    fn what_is_most_likely_not_meant_is_said_and_counts_only_where_somebody_wants_that() {
        let file = to_trades(
            "sweep = { every = \"24h\", over = \"6h\" }\nparameters = { buyer_nick = \"we\", shop_no = \"1\" }",
        );
        let (code, lines) = answer(&file, false, false, false);
        assert_eq!(code, 0);
        assert!(lines[0].starts_with("FILE:24:33: warning: `sweep.over` of scheme \"one\": is shorter"), "{lines:#?}");
        assert!(lines[2].starts_with("FILE:25:29: warning: `parameters.buyer_nick` of scheme"), "{lines:#?}");
        assert_eq!(lines[4..], ["2 warnings", IN_ORDER]);
        let (code, lines) = answer(&file, true, true, false);
        assert_eq!((code, lines.len()), (UNUSABLE, 5), "{lines:#?}");
        assert!(lines[0].contains("\x1b[33mwarning: "), "{lines:#?}");
        // Beside a mistake they are told and counted apart.
        let (code, lines) = answer(&file.replace("every 5m", "at noon"), false, false, false);
        assert_eq!((code, lines.last().unwrap().as_str()), (UNUSABLE, "1 problem"), "{lines:#?}");
        assert_eq!(answer(&to_trades(""), false, true, false).0, 0);
    }

    #[test]
    fn a_verbose_check_says_how_each_schemes_writes_are_known_again() {
        let (code, lines) = answer(&to_jdy("", ""), false, false, true);
        assert_eq!((code, lines[0].as_str()), (0, "scheme one writes to kingdee_jdy jdy/inv/inv_check_gain_bill_save"));
        assert!(
            lines[1].contains("our number in billno or remark, looked for among the bills of 3 days"),
            "{lines:#?}"
        );
        assert_eq!(lines[2], "  changed once written: never");
        assert!(lines[3].contains("the target is asked before anything else"), "{lines:#?}");
        let (_, lines) = answer(&to_jdy(", recognise = \"none\"", ""), false, false, true);
        assert!(
            lines[1].contains("nothing") && lines[3].contains("never sent again without a person's word"),
            "{lines:#?}"
        );
        let (_, lines) = answer(&to_trades(""), false, false, true);
        assert!(lines[1].contains("tid") && lines[3].contains("the same bytes are sent again"), "{lines:#?}");
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn an_orderly_file_says_what_is_in_it() {
        check("[engine]\ndata_dir = \"data\"\n", false, 0, &["FILE: in order, 0 connections, 0 schemes"]);
    }

    #[test]
    fn each_problem_has_its_place_and_its_remedy_and_all_are_counted() {
        check(
            "[engine]\ndata_dir = 3\nworkers = 4\n",
            false,
            2,
            &[
                "FILE:2:12: `data_dir` of [engine] must be a text, not a number",
                "  mend: name a directory on a local disk: data_dir = \"/var/lib/crossdock\"",
                "FILE:3:11: `workers` of [engine] is gone; it never had an effect",
                "  mend: take it out; `concurrency` of [sandbox] says how many documents are in the sandbox at once",
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
