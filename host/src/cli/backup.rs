//! `crossdock backup` and `crossdock restore`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use clap::Args;
use jiff::Timestamp;

use crate::config;
use crate::daemon::Client;
use crate::pipeline::gate::{Gates, Pause, Scope};
use crate::state::{self, BackupError, Manifest, SledStore, restore_backup, verify_backup};

use super::exit::{self, Exit};
use super::runtime;

/// Copies the whole ledger, of all tenants, as it stands at one moment into one file, and reads the file back before it
/// gets its name. The engine goes on meanwhile. Compiled modules are not copied; the engine compiles them again.
///
/// The file holds customers' names and addresses, and can be read by its owner alone.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\nExample: crossdock backup --to crossdock-$(date +%F).backup", exit::HELP))]
pub struct BackupArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "crossdock.toml", env = "CROSSDOCK_CONFIG")]
    config: PathBuf,
    /// The file to write; one that is there is never written over
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Puts a backup into the configuration's data directory, which must hold no store yet, and leaves everything paused:
/// what was written to the targets after the backup was taken is not in it. Compare with `crossdock reconcile`, then
/// `crossdock resume --all`.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\nExample: crossdock restore --from crossdock-2026-11-01.backup", exit::HELP))]
pub struct RestoreArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "crossdock.toml", env = "CROSSDOCK_CONFIG")]
    config: PathBuf,
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Only say whether the backup is whole, and what it is
    #[arg(long)]
    verify: bool,
}

pub fn backup(arguments: &BackupArguments) -> ExitCode {
    finish(take(arguments))
}

pub fn restore(arguments: &RestoreArguments) -> ExitCode {
    finish(put_back(arguments))
}

fn finish(result: Result<(), ExitCode>) -> ExitCode {
    result.err().unwrap_or(ExitCode::SUCCESS)
}

fn take(arguments: &BackupArguments) -> Result<(), ExitCode> {
    let data_dir = data_dir(&arguments.config)?;
    let to = &arguments.to;
    if to.exists() {
        return Err(fail(Exit::Usage, &format!("{} is there already; give another name", to.display())));
    }
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = Unfinished(PathBuf::from(unfinished));
    let in_file = |error: std::io::Error| fail(Exit::Failed, &format!("{}: {error}", unfinished.0.display()));
    let options = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).to_owned();
    let mut out = BufWriter::new(options.open(&unfinished.0).map_err(in_file)?);
    runtime()?.block_on(async {
        let client = Client::connect(&data_dir).await.map_err(|error| fail(Exit::Failed, &error.to_string()))?;
        match client {
            Some(client) => client.backup(&mut out).await.map_err(|error| fail(Exit::Failed, &error.to_string())),
            None => of_store_at_rest(&data_dir, &mut out),
        }
    })?;
    let mut file = out.into_inner().map_err(|error| in_file(error.into_error()))?;
    file.flush().and_then(|()| file.sync_all()).and_then(|()| file.rewind()).map_err(in_file)?;
    let manifest = verify_backup(BufReader::new(file)).map_err(|error| broken(&arguments.to, &error))?;
    std::fs::rename(&unfinished.0, to).map_err(in_file)?;
    // The name is durable with its folder.
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(in_file)?;
    println!("{}: {}", to.display(), describe(&manifest));
    Ok(())
}

/// No engine runs: this process opens the store and closes it.
fn of_store_at_rest(data_dir: &Path, out: &mut BufWriter<File>) -> Result<(), ExitCode> {
    let store = open(data_dir)?;
    let written = store.backup(Timestamp::now(), &mut *out);
    let closed = store.close();
    written.map_err(|error| fail(Exit::Failed, &error.to_string()))?;
    closed.map_err(|error| fail(Exit::Failed, &error.to_string()))
}

fn put_back(arguments: &RestoreArguments) -> Result<(), ExitCode> {
    let from = &arguments.from;
    let in_file = |error: std::io::Error| fail(Exit::Usage, &format!("{}: {error}", from.display()));
    let mut file = File::open(from).map_err(in_file)?;
    let manifest = verify_backup(BufReader::new(&file)).map_err(|error| broken(from, &error))?;
    println!("{}: whole; {}", from.display(), describe(&manifest));
    if arguments.verify {
        return Ok(());
    }
    let data_dir = data_dir(&arguments.config)?;
    let in_folder = |error: std::io::Error| fail(Exit::Failed, &format!("{}: {error}", data_dir.display()));
    std::fs::create_dir_all(&data_dir).map_err(in_folder)?;
    let dir = Dir::open_ambient_dir(&data_dir, ambient_authority()).map_err(in_folder)?;
    file.rewind().map_err(in_file)?;
    restore_backup(BufReader::new(&file), &dir, &data_dir).map_err(|error| match error {
        BackupError::NotEmpty => fail(Exit::Usage, &format!("{}: {error}", data_dir.display())),
        error => {
            let remedy = "remove the folders store and blobs in it before another try";
            fail(Exit::Failed, &format!("{}: {error}; {remedy}", data_dir.display()))
        }
    })?;
    pause(&data_dir, &manifest)?;
    println!("restored into {}, and everything is paused.", data_dir.display());
    println!("What was written to the targets after {} is not in this ledger.", manifest.created_at);
    println!("Compare first (crossdock reconcile), then let it go on: crossdock resume --all");
    Ok(())
}

/// The ledger does not know what happened after the backup: nothing may leave before a person has looked.
fn pause(data_dir: &Path, manifest: &Manifest) -> Result<(), ExitCode> {
    let store = Arc::new(open(data_dir)?);
    let failed = |error: &dyn std::fmt::Display| fail(Exit::Failed, &error.to_string());
    let reason =
        format!("restored from the backup of {}: what was written since is not known here", manifest.created_at);
    let pause = Pause { scope: Scope::All, since: Timestamp::now(), reason, code: None, by: None };
    let gates = Gates::open(store.clone()).map_err(|error| failed(&error))?;
    runtime()?.block_on(gates.pause(pause, false)).map_err(|error| failed(&error))?;
    store.close().map_err(|error| failed(&error))
}

/// An existing store; a mistyped folder must not become a new and empty one.
pub(super) fn open(data_dir: &Path) -> Result<SledStore, ExitCode> {
    let opened = Dir::open_ambient_dir(data_dir, ambient_authority());
    if !opened.as_ref().is_ok_and(|dir| state::holds_store(dir).unwrap_or(false)) {
        return Err(fail(Exit::Failed, &format!("{} holds no store", data_dir.display())));
    }
    let opened = opened
        .map_err(|error| state::Error::Open { detail: format!("{}: {error}", data_dir.display()) })
        .and_then(|dir| SledStore::open(&dir, data_dir, &state::Settings::default()));
    opened.map_err(|error| match error {
        state::Error::InUse => fail(Exit::InUse, &error.to_string()),
        error => fail(Exit::Failed, &error.to_string()),
    })
}

/// Only where the data is, so that neither needs the environment's secrets.
pub(super) fn data_dir(config: &Path) -> Result<PathBuf, ExitCode> {
    let found = config::data_dir(config);
    found.ok_or_else(|| fail(Exit::Usage, &format!("{} names no [engine] data_dir", config.display())))
}

fn describe(manifest: &Manifest) -> String {
    let Manifest { created_at, version, rows, files, .. } = manifest;
    format!("of {created_at}, by Crossdock {version}, {rows} rows and {files} large values")
}

fn broken(path: &Path, error: &BackupError) -> ExitCode {
    fail(Exit::Failed, &format!("{}: {error}", path.display()))
}

pub(super) fn fail(exit: Exit, message: &str) -> ExitCode {
    eprintln!("crossdock: {message}");
    exit.into()
}

/// Removed where the backup did not become one.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
