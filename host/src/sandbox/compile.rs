//! Compiles a component where it can do no harm: in a child process that limits itself before it looks at the bytes,
//! speaks only through pipes, and is killed when it takes too long.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use super::engine::base_config;
use super::error::Error;
use super::settings::{ClassLimits, ModuleClass, Settings};

/// Where compiling happens.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// `program compile-child`: `program` is this product's own binary.
    Child { program: PathBuf },
    /// In this process, without any limit on time or memory. For tests, whose components are their own.
    InProcess,
}

/// The child's word for "the component is at fault"; anything else that is not 0 is the child's own failure.
const EXIT_REFUSED: u8 = 3;
/// What the child may say about a component.
const COMPLAINT_LIMIT_BYTES: u64 = 8 << 10;
/// How often a child that closed its pipes is asked whether it has ended.
const REAP_STEP: Duration = Duration::from_millis(5);

// Signals as Linux numbers them.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

#[derive(Serialize, Deserialize)]
struct Request {
    class: ModuleClass,
    settings: Settings,
}

/// Compiles a component that the pre-scan let through.
pub(super) fn compile(
    compiler: &Compiler,
    component: &[u8],
    class: ModuleClass,
    settings: &Settings,
    engine: &Engine,
) -> Result<Vec<u8>, Error> {
    match compiler {
        Compiler::InProcess => engine.precompile_component(component).map_err(|error| invalid(&format!("{error:#}"))),
        Compiler::Child { program } => {
            let request = Request { class, settings: settings.clone() };
            let header = serde_json::to_vec(&request).map_err(|error| failed(format!("no request: {error}")))?;
            let child = Command::new(program)
                .arg("compile-child")
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|error| failed(format!("{} does not start: {error}", program.display())))?;
            attend(child, &header, component, settings.class(class))
        }
    }
}

/// Feeds the child, drains it, and does not wait longer than the class allows.
fn attend(mut child: Child, header: &[u8], component: &[u8], limits: &ClassLimits) -> Result<Vec<u8>, Error> {
    let until = Instant::now() + Duration::from_millis(limits.child_wall_ms);
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("the child has no pipes"));
    };
    let (artefact_to, artefact_from) = mpsc::channel();
    let artefact_limit = limits.artefact_limit_bytes;
    let (status, artefact, complaint) = thread::scope(|scope| {
        scope.spawn(move || {
            // A child that died reads no further; its exit status says why.
            let _ = feed(stdin, header, component);
        });
        let complaint = scope.spawn(move || read_at_most(stderr, COMPLAINT_LIMIT_BYTES).unwrap_or_default());
        scope.spawn(move || {
            let _ = artefact_to.send(read_at_most(stdout, artefact_limit.saturating_add(1)));
        });
        let artefact = artefact_from.recv_timeout(until.saturating_duration_since(Instant::now()));
        let too_large = matches!(&artefact, Ok(Ok(bytes)) if bytes.len() as u64 > artefact_limit);
        let status = if too_large { None } else { wait(&mut child, until) };
        if status.is_none() {
            // Ends the scope's threads too, whose pipes close with it. It may have ended by itself just now.
            let _ = child.kill();
            let _ = child.wait();
        }
        (status, artefact, complaint.join().unwrap_or_default())
    });
    let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
    let artefact = match artefact {
        Ok(read) => read.map_err(|error| failed(format!("the child's answer is not readable: {error}")))?,
        Err(_) => return Err(wall(limits)),
    };
    if artefact.len() as u64 > artefact_limit {
        let used = artefact.len() as u64;
        return Err(Error::CompileLimit { limit_name: "artefact_limit_bytes", limit: artefact_limit, used });
    }
    match status {
        None => Err(wall(limits)),
        Some(status) if status.success() => Ok(artefact),
        Some(status) => Err(death(status, &complaint, limits)),
    }
}

fn feed(mut stdin: impl Write, header: &[u8], component: &[u8]) -> io::Result<()> {
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    stdin.write_all(&length.to_le_bytes())?;
    stdin.write_all(header)?;
    stdin.write_all(component)
}

/// Reads up to `limit` bytes and then lets go: the writer gets a broken pipe.
fn read_at_most(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `None` if it is still alive when the time is over.
fn wait(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(REAP_STEP);
    }
}

fn wall(limits: &ClassLimits) -> Error {
    Error::CompileLimit {
        limit_name: "child_wall_ms",
        limit: limits.child_wall_ms,
        used: limits.child_wall_ms.saturating_add(1),
    }
}

/// How the child died says which limit it met.
fn death(status: ExitStatus, complaint: &str, limits: &ClassLimits) -> Error {
    let over = |limit_name, limit: u64| Error::CompileLimit { limit_name, limit, used: limit.saturating_add(1) };
    match (status.signal(), status.code()) {
        (Some(SIGXCPU | SIGKILL), _) => over("child_cpu_s", limits.child_cpu_s),
        // Rust aborts when an allocation fails, and says so.
        (Some(SIGABRT), _) if complaint.contains("memory allocation") => {
            over("child_address_space_bytes", limits.child_address_space_bytes)
        }
        (Some(signal), _) => Error::refused(format!("the compiler crashed on it (signal {signal})")),
        (None, Some(code)) if code == i32::from(EXIT_REFUSED) => invalid(complaint),
        (None, code) => failed(format!("the compiling child ended with {code:?}: {complaint}")),
    }
}

fn invalid(problem: &str) -> Error {
    let cut = problem.floor_char_boundary(2 << 10);
    Error::refused(format!("it does not compile: {}", &problem[..cut]))
}

fn failed(problem: impl Into<String>) -> Error {
    Error::Internal { problem: problem.into() }
}

/// The child's side: limits itself, reads a component, writes the artefact. The exit code is its verdict.
pub fn child(mut stdin: impl Read, mut stdout: impl Write, mut stderr: impl Write) -> u8 {
    let mut say = |problem: String| {
        // If even that pipe is gone, the exit code has to do.
        let _ = writeln!(stderr, "{problem}");
    };
    let request = match read_request(&mut stdin) {
        Ok(request) => request,
        Err(error) => {
            say(format!("no request: {error}"));
            return 1;
        }
    };
    let limits = request.settings.class(request.class);
    if let Err(error) = restrain(limits) {
        say(format!("cannot limit itself: {error}"));
        return 1;
    }
    let component = match read_at_most(stdin, limits.component_limit_bytes.saturating_add(1)) {
        Ok(component) => component,
        Err(error) => {
            say(format!("no component: {error}"));
            return 1;
        }
    };
    let engine = match Engine::new(&base_config(&request.settings)) {
        Ok(engine) => engine,
        Err(error) => {
            say(format!("no engine: {error:#}"));
            return 1;
        }
    };
    match engine.precompile_component(&component) {
        Ok(artefact) => match stdout.write_all(&artefact).and_then(|()| stdout.flush()) {
            Ok(()) => 0,
            Err(error) => {
                say(format!("nobody takes the artefact: {error}"));
                1
            }
        },
        Err(error) => {
            say(format!("{error:#}"));
            EXIT_REFUSED
        }
    }
}

fn read_request(stdin: &mut impl Read) -> io::Result<Request> {
    /// Settings are a page of numbers.
    const REQUEST_LIMIT_BYTES: u32 = 64 << 10;
    let mut length = [0; 4];
    stdin.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > REQUEST_LIMIT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too long"));
    }
    let mut request = vec![0; length as usize];
    stdin.read_exact(&mut request)?;
    serde_json::from_slice(&request).map_err(io::Error::other)
}

/// How much less than the engine a compiling child is worth to the machine, as `nice` counts: an upload may wait,
/// documents should not.
const NICENESS: i32 = 10;

/// Before a single byte of the component is looked at.
fn restrain(limits: &ClassLimits) -> io::Result<()> {
    rustix::process::nice(NICENESS)?;
    let set = |resource, soft: u64, hard: u64| {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) }).map_err(io::Error::from)
    };
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, 0, 0)?;
    // The soft limit's signal names the cause; the hard one kills a second later whatever happens.
    set(Resource::Cpu, limits.child_cpu_s, limits.child_cpu_s.saturating_add(1))?;
    set(Resource::As, limits.child_address_space_bytes, limits.child_address_space_bytes)
}
