//! The empty WASI 0.2, for guests whose toolchain drags it in (JavaScript, Python, Rust for `wasm32-wasip2`).
//!
//! The clock stands at the document's received-at, randomness is a function of the document's key, there are no files,
//! no environment, no arguments and no input; what is printed goes to the log. Only what a component imports is
//! defined, and only of the interfaces listed here: sockets and HTTP are refused at load. A function of a listed
//! interface that makes no sense without what we do not have (opening a file) ends the call when it is called, not
//! before: toolchains import far more than they use.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType};

use super::error::Error;
use super::host::{charge, end};
use super::state::{Level, RunState};

/// Without the version, of which any 0.2 will do: the functions below have not changed within it.
const INTERFACES: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The most that one call for random bytes may ask for: seeds of hash tables have 16 bytes, keys 32.
const RANDOM_LIMIT_BYTES: u64 = 64 << 10;
/// How much a stream says it can take at a time.
const WRITE_STEP_BYTES: u64 = 64 << 10;

/// The interface behind an import's name, if this WASI has it.
pub fn interface(import: &str) -> Option<&'static str> {
    let (name, version) = import.split_once('@')?;
    version.strip_prefix("0.2.")?;
    INTERFACES.iter().find(|interface| **interface == name).copied()
}

// The resources. Streams are told apart by their number; the others only have to exist.
struct InputStream;
struct OutputStream;
struct IoError;
struct Pollable;
struct Descriptor;
struct DirectoryEntryStream;
struct TerminalInput;
struct TerminalOutput;

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;
const ALWAYS_READY: u32 = 3;

/// `None` for a resource that no interface of ours has.
pub fn resource(name: &str) -> Option<ResourceType> {
    Some(match name {
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "error" => ResourceType::host::<IoError>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        "directory-entry-stream" => ResourceType::host::<DirectoryEntryStream>(),
        "terminal-input" => ResourceType::host::<TerminalInput>(),
        "terminal-output" => ResourceType::host::<TerminalOutput>(),
        _ => return None,
    })
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code, reason = "part of the type; no operation of ours fails this way")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Context<'a> = StoreContextMut<'a, RunState>;
type Output = Resource<OutputStream>;
type Input = Resource<InputStream>;

/// Defines one function of one interface.
pub fn define(linker: &mut LinkerInstance<'_, RunState>, interface: &'static str, name: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock" => clock(linker, interface, name),
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => random(linker, interface, name),
        "wasi:io/streams" if name.starts_with("[method]input-stream.") => input(linker, interface, name),
        "wasi:io/streams" => output(linker, interface, name),
        "wasi:io/poll" => poll(linker, interface, name),
        _ => surroundings(linker, interface, name),
    }
}

fn clock(linker: &mut LinkerInstance<'_, RunState>, interface: &'static str, name: &str) -> wasmtime::Result<()> {
    match (interface, name) {
        ("wasi:clocks/wall-clock", "now") => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((Datetime { seconds: store.data().call.received_at_s, nanoseconds: 0 },))
        }),
        // One second: the clock does not get any finer by being asked.
        ("wasi:clocks/wall-clock", "resolution") => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((Datetime { seconds: 1, nanoseconds: 0 },))
        }),
        (_, "now") => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((0_u64,))
        }),
        (_, "resolution") => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((1_000_000_000_u64,))
        }),
        // A clock that stands would never come to it, so every wait is over at once.
        (_, "subscribe-instant" | "subscribe-duration") => {
            linker.func_wrap(name, |mut store: Context<'_>, (_when,): (u64,)| ready(&mut store))
        }
        _ => unsupported(linker, interface, name),
    }
}

fn random(linker: &mut LinkerInstance<'_, RunState>, interface: &'static str, name: &str) -> wasmtime::Result<()> {
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            linker.func_wrap(name, |mut store: Context<'_>, (count,): (u64,)| {
                charge(&mut store, count)?;
                if count > RANDOM_LIMIT_BYTES {
                    let function = format!("wasi:random for {count} bytes at once");
                    return Err(end(&mut store, Error::WasiUnsupported { function }));
                }
                let mut bytes = vec![0_u8; super::engine::to_usize(count)];
                store.data_mut().call.random.fill(&mut bytes);
                Ok((bytes,))
            })
        }
        "get-random-u64" | "get-insecure-random-u64" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 8)?;
            Ok((store.data_mut().call.random.next_u64(),))
        }),
        "insecure-seed" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 16)?;
            let random = &mut store.data_mut().call.random;
            Ok(((random.next_u64(), random.next_u64()),))
        }),
        _ => unsupported(linker, interface, name),
    }
}

fn input(linker: &mut LinkerInstance<'_, RunState>, interface: &'static str, name: &str) -> wasmtime::Result<()> {
    match name {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            linker.func_wrap(name, |mut store: Context<'_>, (_stream, _count): (Input, u64)| {
                charge(&mut store, 0)?;
                Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
            })
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            linker.func_wrap(name, |mut store: Context<'_>, (_stream, _count): (Input, u64)| {
                charge(&mut store, 0)?;
                Ok((Err::<u64, _>(StreamError::Closed),))
            })
        }
        "[method]input-stream.subscribe" => {
            linker.func_wrap(name, |mut store: Context<'_>, (_stream,): (Input,)| ready(&mut store))
        }
        _ => unsupported(linker, interface, name),
    }
}

fn output(linker: &mut LinkerInstance<'_, RunState>, interface: &'static str, name: &str) -> wasmtime::Result<()> {
    match name {
        "[method]output-stream.check-write" => linker.func_wrap(name, |mut store: Context<'_>, (_,): (Output,)| {
            charge(&mut store, 0)?;
            Ok((Ok::<u64, StreamError>(WRITE_STEP_BYTES),))
        }),
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            linker.func_wrap(name, |mut store: Context<'_>, (stream, bytes): (Output, Vec<u8>)| {
                charge(&mut store, bytes.len() as u64)?;
                let level = if stream.rep() == STDERR { Level::Warn } else { Level::Info };
                let call = &mut store.data_mut().call;
                call.log.print(level, &bytes, &call.limits);
                Ok((Ok::<(), StreamError>(()),))
            })
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            linker.func_wrap(name, |mut store: Context<'_>, (_,): (Output,)| {
                charge(&mut store, 0)?;
                Ok((Ok::<(), StreamError>(()),))
            })
        }
        "[method]output-stream.subscribe" => {
            linker.func_wrap(name, |mut store: Context<'_>, (_,): (Output,)| ready(&mut store))
        }
        _ => unsupported(linker, interface, name),
    }
}

fn poll(linker: &mut LinkerInstance<'_, RunState>, interface: &'static str, name: &str) -> wasmtime::Result<()> {
    match name {
        "[method]pollable.ready" => linker.func_wrap(name, |mut store: Context<'_>, (_,): (Resource<Pollable>,)| {
            charge(&mut store, 0)?;
            Ok((true,))
        }),
        "[method]pollable.block" => {
            linker.func_wrap(name, |mut store: Context<'_>, (_,): (Resource<Pollable>,)| charge(&mut store, 0))
        }
        "poll" => linker.func_wrap(name, |mut store: Context<'_>, (list,): (Vec<Resource<Pollable>>,)| {
            charge(&mut store, list.len() as u64 * 4)?;
            let all = u32::try_from(list.len()).unwrap_or(u32::MAX);
            Ok(((0..all).collect::<Vec<u32>>(),))
        }),
        _ => unsupported(linker, interface, name),
    }
}

/// Environment, standard streams, terminals, files: none of it.
fn surroundings(
    linker: &mut LinkerInstance<'_, RunState>,
    interface: &'static str,
    name: &str,
) -> wasmtime::Result<()> {
    match name {
        "get-environment" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((Vec::<(String, String)>::new(),))
        }),
        "get-arguments" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((Vec::<String>::new(),))
        }),
        "initial-cwd" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((None::<String>,))
        }),
        "exit" => {
            linker.func_wrap(name, |mut store: Context<'_>, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
                Err(end(&mut store, Error::Exited { code: status.is_err().into() }))
            })
        }
        "exit-with-code" => linker.func_wrap(name, |mut store: Context<'_>, (code,): (u8,)| -> wasmtime::Result<()> {
            Err(end(&mut store, Error::Exited { code }))
        }),
        "get-stdin" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((Input::new_own(STDIN),))
        }),
        "get-stdout" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((Output::new_own(STDOUT),))
        }),
        "get-stderr" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((Output::new_own(STDERR),))
        }),
        "get-terminal-stdin" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((None::<Resource<TerminalInput>>,))
        }),
        "get-terminal-stdout" | "get-terminal-stderr" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((None::<Resource<TerminalOutput>>,))
        }),
        "get-directories" => linker.func_wrap(name, |mut store: Context<'_>, (): ()| {
            charge(&mut store, 0)?;
            Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
        }),
        "[method]error.to-debug-string" => {
            linker.func_wrap(name, |mut store: Context<'_>, (_,): (Resource<IoError>,)| {
                charge(&mut store, 0)?;
                Ok((String::from("the stream is closed"),))
            })
        }
        _ => unsupported(linker, interface, name),
    }
}

fn ready(store: &mut Context<'_>) -> wasmtime::Result<(Resource<Pollable>,)> {
    charge(store, 0)?;
    Ok((Resource::new_own(ALWAYS_READY),))
}

fn unsupported(linker: &mut LinkerInstance<'_, RunState>, interface: &'static str, name: &str) -> wasmtime::Result<()> {
    let function = format!("{interface}#{name}");
    linker.func_new(name, move |mut store, _, _, _| {
        Err(end(&mut store, Error::WasiUnsupported { function: function.clone() }))
    })
}
