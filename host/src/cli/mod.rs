//! The command line. Data goes to standard output, everything else to standard error, and each command's exit codes
//! stand in its `--help`.

mod backfill;
mod backup;
mod build;
mod capsule_module;
mod check;
mod client;
mod compact;
mod compile_child;
#[cfg(feature = "failpoints")]
mod death;
mod document;
mod exit;
mod explain;
mod new;
mod pause;
mod reconcile;
mod reference;
mod registry_door;
mod replay;
mod reporter;
mod run;
mod serve;
mod shown;
mod stretch;
mod test;
mod transform;
mod transform_project;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::pipeline::step::Sabotage;

use exit::Exit;

/// Moves business documents from one system to another, through sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(
    name = "crossdock",
    version,
    after_help = "Begin with `crossdock check --config crossdock.toml`, then `crossdock run --dry-run`, then `crossdock serve`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every scheme on its schedule until told to stop
    Serve(serve::Arguments),
    /// Run one pass in the foreground, or show what a pass would do
    Run(run::Arguments),
    /// Read a span of the past, beside the live reading; can be stopped and resumed
    Backfill(backfill::Arguments),
    /// Compare source, ledger and target over a span; changes nothing
    Reconcile(reconcile::Arguments),
    /// Find every mistake of a configuration, each with its place and how to mend it
    Check(check::Arguments),
    /// Run a component over documents, offline, in the sandbox that production uses
    Transform(Box<transform::Transform>),
    /// Begin a transform: a project that builds and passes its tests as it is
    New(new::Arguments),
    /// Build a transform into a component
    Build(build::Arguments),
    /// Run a transform's cases in the sandbox that production uses
    Test(Box<test::Test>),
    /// Say where each field of a bill came from
    Explain(Box<explain::Explain>),
    /// Run a capsule again: the same bytes and fuel, or what is different
    Replay(Box<replay::Replay>),
    /// List, show, capture, retry or discard documents
    #[command(subcommand)]
    Document(document::Command),
    /// Keep a server's address and a token for the commands that ask its API
    Login(client::login::LoginArguments),
    /// Say whose token is used, and what it may
    Whoami(client::login::WhoamiArguments),
    /// Forget the server and the token
    Logout(client::login::LogoutArguments),
    /// Make, change and delete tenants
    Tenant(client::tenant::Tenants),
    /// Make, list and revoke tokens
    Token(client::token::Tokens),
    /// Make and register keys that modules are signed with
    SigningKey(client::signing_key::SigningKeys),
    /// Upload, show, sign, download and delete modules
    Module(client::module::Modules),
    /// Make, change and pause connections
    Connection(client::connection::Connections),
    /// Make, change, switch and pause schemes; compare, activate and roll back their modules
    Scheme(client::scheme::Schemes),
    /// Upload and delete reference tables
    Table(client::table::Tables),
    /// Say what a tenant uses, beside what it may
    Usage(client::tenant::Usage),
    /// Say who did what, from where, and when
    Audit(client::audit::Audit),
    /// Change the key that connections' secrets are sealed with
    #[command(subcommand)]
    Credentials(registry_door::Credentials),
    /// List, fetch or show reference tables
    #[command(subcommand)]
    Reference(reference::Command),
    /// Stop all requests of a scope; returns once none is under way
    Pause(pause::PauseArguments),
    /// Let a paused scope go on
    Resume(pause::ResumeArguments),
    /// Copy the ledger into one file, while the engine runs or while it does not
    Backup(backup::BackupArguments),
    /// Put a backup into an empty data directory, paused
    Restore(backup::RestoreArguments),
    /// Write the store's files anew, so that they take no more disk than the ledger needs
    Compact(compact::Arguments),
    /// Compile one component from standard input (what the engine starts for each compilation)
    #[command(hide = true)]
    CompileChild,
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "crossdock.toml", env = "CROSSDOCK_CONFIG")]
    config: PathBuf,
    /// Take secrets that stand in the file itself
    #[arg(long)]
    allow_inline_secrets: bool,
}

impl ConfigArguments {
    /// This file, and nothing inline.
    fn of(config: &std::path::Path) -> Self {
        Self { config: config.into(), allow_inline_secrets: false }
    }

    fn load(&self) -> Result<Config, ExitCode> {
        crate::daemon::load(&self.config, self.allow_inline_secrets).map_err(|problems| {
            check::show(&problems);
            Exit::Usage.into()
        })
    }
}

/// Logs what of the configuration is usable and most likely not meant.
fn log_warnings(config: &Config) {
    for warning in config.warnings.iter() {
        tracing::warn!(place = %warning.place, mend = warning.remedy, "{}", warning.message);
    }
}

/// Reads the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Backfill(arguments) => backfill::run(&arguments),
        Command::Reconcile(arguments) => reconcile::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Transform(command) => command.run(),
        Command::New(arguments) => new::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Test(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Document(command) => document::run(&command),
        Command::Login(arguments) => client::login::login(&arguments),
        Command::Whoami(arguments) => client::login::whoami(&arguments),
        Command::Logout(arguments) => client::login::logout(&arguments),
        Command::Tenant(command) => client::tenant::run(&command),
        Command::Token(command) => client::token::run(&command),
        Command::SigningKey(command) => client::signing_key::run(&command),
        Command::Module(command) => client::module::run(&command),
        Command::Connection(command) => client::connection::run(&command),
        Command::Scheme(command) => client::scheme::run(&command),
        Command::Table(command) => client::table::run(&command),
        Command::Usage(arguments) => client::tenant::usage(&arguments),
        Command::Audit(arguments) => client::audit::run(&arguments),
        Command::Credentials(command) => registry_door::run(&command),
        Command::Reference(command) => reference::run(&command),
        Command::Pause(arguments) => pause::pause(&arguments),
        Command::Resume(arguments) => pause::resume(&arguments),
        Command::Backup(arguments) => backup::backup(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::Compact(arguments) => compact::run(&arguments),
        Command::CompileChild => compile_child::run(),
    }
}

/// Threads of the runtime at least. One that reads a large page or hashes its bodies serves nobody else meanwhile; two of
/// them on a machine of two cores would be all there are, and the kernel shares cores out better than a queue.
const RUNTIME_THREADS: usize = 4;

/// The runtime of the commands that exchange messages with vendors or with a running engine.
fn runtime() -> Result<tokio::runtime::Runtime, ExitCode> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).max(RUNTIME_THREADS);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().map_err(|error| {
        eprintln!("crossdock: cannot start the runtime: {error}");
        Exit::Failed.into()
    })
}

/// This very binary, which compiles components in a child process.
fn program() -> Result<PathBuf, ExitCode> {
    std::env::current_exe().map_err(|error| {
        eprintln!("crossdock: cannot find its own binary: {error}");
        Exit::Failed.into()
    })
}

/// The promise to break, in a build made for that. A product build has no such thing.
fn sabotage() -> Sabotage {
    #[cfg(feature = "failpoints")]
    {
        let wanted = std::env::var("CROSSDOCK_SABOTAGE").unwrap_or_default();
        let sabotage = match wanted.as_str() {
            "no-intent" => Sabotage::NoIntent,
            "no-verify" => Sabotage::NoVerify,
            "no-settle" => Sabotage::NoSettle,
            _ => Sabotage::None,
        };
        if sabotage != Sabotage::None {
            eprintln!("crossdock: SABOTAGED on purpose: {wanted}");
        }
        return sabotage;
    }
    #[cfg(not(feature = "failpoints"))]
    Sabotage::None
}

/// Cancelled at SIGTERM, SIGINT or SIGHUP.
fn stop_on_signals() -> std::io::Result<tokio_util::sync::CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = tokio_util::sync::CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut signals = signal(kind)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// What clap would only say to whoever runs the one command that is wrong.
    #[test]
    fn every_command_is_in_order() {
        super::Cli::command().debug_assert();
    }
}
