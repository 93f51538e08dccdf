//! What people would use instead, each a program that is given the same settings: where, who, which window, how much at
//! once. They log in, read until there is nothing more, save, and end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::spent::{spent, wait};
use super::{BATCH, Load, Run};
use crate::proof::programs::Programs;
use crate::proof::schemes::SALEOUT;
use crate::proof::simulator::Simulator;
use crate::proof::{Failure, Result};

/// The slowest of them takes half a minute on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(600);
/// Saves under way at once, beside the one page that is being read.
const SAVES_IN_FLIGHT: u32 = 4;

pub struct Peer {
    pub name: &'static str,
    /// In a few words, for the report.
    pub what: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// A command that prints its version.
    version: (PathBuf, Vec<OsString>),
    /// It asks for a newer compiler than a machine may have, and without it the others are measured all the same.
    pub is_optional: bool,
}

/// All of them: `scripts` is `tests/bench/whole`, and `built` where `make bench-whole` installs what they need.
pub fn all(scripts: &Path, built: &Path) -> Vec<Peer> {
    let native = built.join("release/crossdock-whole-native");
    let python = |name: &str| built.join(name).join("bin/python");
    let print = |code: &str| vec!["-c".into(), code.into()];
    let of = |name, what, program: PathBuf, arguments: Vec<OsString>, version| Peer {
        name,
        what,
        program,
        arguments,
        version,
        is_optional: name == "faucet",
    };
    let rust = (PathBuf::from("rustc"), vec!["--version".into()]);
    let asyncio = "import sys, aiohttp; print('Python', sys.version.split()[0] + ', aiohttp', aiohttp.__version__)";
    let undici = scripts.join("node/node_modules/undici/package.json");
    let node = format!(
        "console.log('Node', process.version + ', undici', require({:?}).version)",
        undici.display().to_string()
    );
    vec![
        of("native", "Rust loop: reqwest, serde structures, nothing kept", native.clone(), vec![], rust.clone()),
        of("native-sync", "the same, each page written and on the disk first", native, vec!["--sync".into()], rust),
        of(
            "node",
            "Node script",
            "node".into(),
            vec![scripts.join("node/mover.mjs").into()],
            ("node".into(), vec!["-e".into(), node.into()]),
        ),
        of(
            "asyncio",
            "Python script on asyncio and aiohttp",
            python("asyncio"),
            vec![scripts.join("python/by_asyncio.py").into()],
            (python("asyncio"), print(asyncio)),
        ),
        of(
            "faucet",
            "faucet-cli with its wasm stage",
            scripts.join("faucet/run.sh"),
            vec![built.join("bin/faucet").into()],
            (built.join("bin/faucet"), vec!["--version".into()]),
        ),
        of(
            "dlt",
            "dlt with a destination of its own",
            python("dlt"),
            vec![scripts.join("python/by_dlt.py").into()],
            (python("dlt"), print("import dlt; print('dlt', dlt.__version__)")),
        ),
    ]
}

impl Peer {
    /// What it says of its version, or why it cannot be run.
    pub fn version(&self) -> Result<String> {
        let (program, arguments) = &self.version;
        let missing = |why: String| Failure::new(format!("{} cannot be run: {}: {why}", self.name, program.display()));
        let said =
            Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(|e| missing(e.to_string()))?;
        if !said.status.success() {
            return Err(missing(String::from_utf8_lossy(&said.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    /// From the start of its process to its end.
    pub fn run(&self, programs: &Programs, load: Load, simulator: &Simulator) -> Result<Run> {
        let failed = |error| Failure::during(&format!("running {}", self.name), error);
        let directory = tempfile::Builder::new().prefix("crossdock-whole-").tempdir().map_err(failed)?;
        let file = directory.path().join("settings.json");
        std::fs::write(&file, settings(programs, simulator, directory.path())?.to_string()).map_err(failed)?;
        let log = std::fs::File::create(directory.path().join("log")).map_err(failed)?;
        let mut command = Command::new(&self.program);
        // The native loop's option comes after the settings; a script comes before.
        let (before, after): (Vec<_>, Vec<_>) =
            self.arguments.iter().partition(|argument| !argument.to_string_lossy().starts_with("--"));
        command.args(before).arg(&file).args(after).current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        let before = spent(simulator.id())?;
        let began = Instant::now();
        let mut child = command.spawn().map_err(failed)?;
        let ended = wait(&mut child, PATIENCE)?;
        let took = began.elapsed();
        if ended.is_none() {
            child.kill().map_err(failed)?;
        }
        let status = child.wait().map_err(failed)?;
        let Some(mover) = ended.filter(|_| status.success()) else {
            let said = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            let tail: Vec<&str> = said.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            return Err(Failure::new(format!("{} ended with {status}:\n{}", self.name, tail.join("\n"))));
        };
        load.check(simulator.counts()?).map_err(|failure| Failure::during(self.name, failure))?;
        let simulator = spent(simulator.id())?.saturating_sub(before);
        Ok(Run { documents: load.documents, took, mover, simulator, peak_kib: None, stages: Default::default() })
    }
}

fn settings(programs: &Programs, simulator: &Simulator, directory: &Path) -> Result<Value> {
    let parameters = programs.parameters(SALEOUT);
    let text = std::fs::read_to_string(&parameters)
        .map_err(|error| Failure::during(&format!("reading {}", parameters.display()), error))?;
    let parameters: Value =
        serde_json::from_str(&text).map_err(|error| Failure::during("reading parameters", error))?;
    Ok(json!({
        "source": simulator.system(SALEOUT.source()),
        "target": simulator.system(SALEOUT.target()),
        "window": simulator.ready["window"],
        "page_size": BATCH,
        "saves_in_flight": SAVES_IN_FLIGHT,
        "parameters": parameters,
        "directory": directory,
    }))
}
