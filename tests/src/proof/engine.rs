//! The product's binary, as an operator has it: started, asked, told to stop, killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::connections::SOURCE_SECRET;
use super::ledger::{self, Entries};
use super::wait::{Waiting, until};
use super::{Failure, Result, http};

/// Opening a store that was killed, and loading a module, on a machine that compiles something else beside.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// The engine itself gives requests under way twenty seconds.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// A pass over some hundred documents; everything else takes a second.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
const LOG_TAIL_LINES: usize = 30;

/// How the product is called: the same environment and configuration every time.
#[derive(Debug, Clone)]
pub struct Product {
    pub program: PathBuf,
    pub configuration: PathBuf,
    pub source_secret: String,
    pub logs: PathBuf,
    /// A promise to break, in a build made for it.
    pub sabotage: Option<String>,
    /// An instant at which the engine is to kill itself, in a build made for it.
    pub dies_at: Option<String>,
}

/// A running `crossdock serve`. Killed when dropped.
pub struct Engine {
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Product {
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .arg("--config")
            .arg(&self.configuration)
            .current_dir(self.logs.parent().unwrap_or(Path::new(".")))
            .env(SOURCE_SECRET, &self.source_secret)
            .env_remove("CROSSDOCK_SABOTAGE")
            .env_remove("CROSSDOCK_DIES_AT")
            .stdin(Stdio::null());
        if let Some(sabotage) = &self.sabotage {
            command.env("CROSSDOCK_SABOTAGE", sabotage);
        }
        if let Some(instant) = &self.dies_at {
            command.env("CROSSDOCK_DIES_AT", instant);
        }
        command
    }

    /// Runs a command to its end. What it said is kept beside the engine's logs, so that it can be searched later.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        let doing = format!("crossdock {}", arguments.join(" "));
        let failed = |error: std::io::Error| Failure::during(&doing, error);
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        // Somebody has to read meanwhile, or a command that says much waits for ever.
        let out = child.stdout.take().map(|pipe| std::thread::spawn(move || read_all(pipe)));
        let err = child.stderr.take().map(|pipe| std::thread::spawn(move || read_all(pipe)));
        let ended = until(COMMAND_PATIENCE, &format!("the end of `{doing}`"), || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(Waiting::on("its exit")),
            Err(error) => Err(Waiting::InVain(Failure::during(&doing, error))),
        });
        if ended.is_err() {
            child.kill().and_then(|()| child.wait()).map_err(failed)?;
        }
        let read = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
            reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
        };
        let (stdout, stderr) = (read(out), read(err));
        let status = ended.map_err(|failure| {
            Failure::new(format!("{failure}; until then it said:\n{}", String::from_utf8_lossy(&stderr)))
        })?;
        let output = Output { status, stdout, stderr };
        let name = format!("command-{}", arguments.first().unwrap_or(&"").replace('/', "_"));
        self.keep(&name, &output)?;
        Ok(output)
    }

    /// The same, where anything but success is a failure.
    pub fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        if !output.status.success() {
            return Err(Failure::new(format!("crossdock {}: {}", arguments.join(" "), said(&output))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn keep(&self, name: &str, output: &Output) -> Result<()> {
        use std::io::Write as _;
        let path = self.logs.join(name);
        let append = || -> std::io::Result<()> {
            let mut file = File::options().create(true).append(true).open(&path)?;
            file.write_all(&output.stderr)?;
            file.write_all(&output.stdout)
        };
        append().map_err(|error| Failure::during(&format!("writing {}", path.display()), error))
    }

    /// Every document of the scheme, whether an engine runs or not.
    pub fn ledger(&self, scheme: &str) -> Result<Entries> {
        let arguments = ["document", "list", "--scheme", scheme, "--format", "json", "--limit", "10000000"];
        ledger::parse(&self.succeed(&arguments)?)
    }

    /// Every document of every scheme.
    pub fn ledgers(&self) -> Result<BTreeMap<String, Entries>> {
        let arguments = ["document", "list", "--format", "json", "--limit", "10000000"];
        ledger::parse_all(&self.succeed(&arguments)?)
    }

    /// Documents that the engine has not finished with.
    pub fn under_way(&self, scheme: &str) -> Result<Entries> {
        let mut arguments = vec!["document", "list", "--scheme", scheme, "--format", "json", "--limit", "1000000"];
        for state in ["received", "held", "writing", "verifying"] {
            arguments.extend(["--state", state]);
        }
        ledger::parse(&self.succeed(&arguments)?)
    }

    /// Starts the engine and returns at once. `number` sets this start's logs apart from those before it.
    pub fn spawn(&self, number: usize) -> Result<Engine> {
        let (out, log) = (self.logs.join(format!("serve-{number}.out")), self.logs.join(format!("serve-{number}.log")));
        let create = |path: &Path| {
            File::create(path).map_err(|error| Failure::during(&format!("creating {}", path.display()), error))
        };
        let child = self
            .command(&["serve"])
            .stdout(create(&out)?)
            .stderr(create(&log)?)
            .spawn()
            .map_err(|error| Failure::during(&format!("starting {}", self.program.display()), error))?;
        Ok(Engine { child, out, log })
    }

    /// Starts the engine and returns once it serves.
    pub fn start(&self, number: usize) -> Result<Engine> {
        let mut engine = self.spawn(number)?;
        engine.wait_until_ready()?;
        Ok(engine)
    }
}

impl Engine {
    /// Whether it has said that it serves.
    pub fn serves(&self) -> bool {
        self.listen().is_some()
    }

    /// The address it listens on, once it does.
    fn listen(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.out).ok()?;
        let line: Value = serde_json::from_str(text.lines().next()?).ok()?;
        line["listen"].as_str().map(str::to_owned)
    }

    /// Where its API answers, with `[api]`.
    pub fn api(&self) -> Result<String> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        let line: Option<Value> = text.lines().next().and_then(|line| serde_json::from_str(line).ok());
        let address = line.and_then(|line| line["api"].as_str().map(str::to_owned));
        address.ok_or_else(|| Failure::new("the engine has not said where its API answers"))
    }

    pub fn wait_until_ready(&mut self) -> Result<()> {
        let ready = until(START_PATIENCE, "the engine's readiness", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Waiting::InVain(Failure::new(format!("the engine ended at its start: {status}"))));
            }
            self.listen().map(|_| ()).ok_or_else(|| Waiting::on("its line on standard output"))
        });
        ready.map_err(|failure| self.tell(failure))
    }

    /// Of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `GET /healthz`, whatever its status.
    pub fn health(&self) -> Result<Value> {
        let listen = self.listen().ok_or_else(|| Failure::new("the engine has not said where it listens"))?;
        let page = http::ask("GET", &format!("{listen}/healthz"), b"")?;
        serde_json::from_slice(&page.body).map_err(|error| Failure::during("reading /healthz", error))
    }

    /// `GET /metrics`, as text.
    pub fn metrics(&self) -> Result<String> {
        let listen = self.listen().ok_or_else(|| Failure::new("the engine has not said where it listens"))?;
        let page = http::ask("GET", &format!("{listen}/metrics"), b"")?;
        Ok(String::from_utf8_lossy(&page.body).into_owned())
    }

    /// The sum over a metric's lines that carry all of these labels: `tenant="quiet"`.
    pub fn counted(&self, name: &str, labels: &[&str]) -> Result<u64> {
        let metrics = self.metrics()?;
        let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
        let wanted = lines.filter(|line| line.starts_with('{') && labels.iter().all(|label| line.contains(label)));
        Ok(wanted.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Up to when the scheme has surely read everything; `None` before its first complete window.
    pub fn read_to(&self, scheme: &str) -> Result<Option<Timestamp>> {
        let asked_at = Timestamp::now();
        let health = self.health()?;
        let schemes = health["schemes"].as_array().cloned().unwrap_or_default();
        let found = schemes.iter().find(|entry| entry["scheme"] == scheme);
        let age = found.and_then(|entry| entry["cursor_age_seconds"].as_i64());
        // The age is cut to whole seconds: the cursor may be one older than it says.
        Ok(age.and_then(|age| asked_at.checked_sub(jiff::SignedDuration::from_secs(age + 1)).ok()))
    }

    /// SIGKILL: nothing of the engine runs another instruction.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).map(|_| ()).map_err(|error| Failure::during("kill", error))
    }

    /// SIGTERM, and its exit status once it has ended.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let id = id.ok_or_else(|| Failure::new("the engine has no process id"))?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)
            .map_err(|error| Failure::during("sending SIGTERM", error))?;
        self.wait_for_end()
    }

    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        let ended = until(STOP_PATIENCE, "the engine's end", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(Waiting::on("its exit")),
            Err(error) => Err(Waiting::InVain(Failure::during("waiting for the engine", error))),
        });
        ended.map_err(|failure| self.tell(failure))
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The failure, with the end of the log below it.
    pub fn tell(&self, failure: Failure) -> Failure {
        Failure::new(format!("{failure}\n{}", self.log_tail()))
    }

    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
        format!("the end of {}:\n{tail}", self.log.display())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was read before the pipe closed; a broken pipe ends it as well.
fn read_all(mut pipe: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    bytes
}

/// How a command ended and what it said.
pub fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\nstandard error:\n{}standard output:\n{}", output.status, err, out)
}
