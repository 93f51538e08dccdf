//! What a thousand modules cost an engine that holds them all: memory of each while it is idle, and how long a module takes
//! that lies compiled on the disk.
//!
//! ```text
//! target/release/examples/module_density target/release/crossdock FOLDER
//! ```
//!
//! The folder holds the components; `density --modules` writes one. `docs/benchmarks/density.md` holds what it said.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossdock::sandbox::{Compiler, Module, ModuleClass};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (program, folder) = (arguments.next().unwrap(), arguments.next().unwrap());
    let mut components: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    components.sort();
    let place = tempfile::tempdir().unwrap();
    let sandbox = || support::sandbox(place.path(), Compiler::Child { program: program.clone().into() });

    let compiling = sandbox();
    let (mut compiled, began) = (Vec::new(), Instant::now());
    for path in &components {
        let module = compiling.load(&std::fs::read(path).unwrap(), ModuleClass::Standard).unwrap();
        compiled.push(module.compile_facts().elapsed);
    }
    println!("| modules | {} of them, compiled in {:.1} s |", components.len(), began.elapsed().as_secs_f64());
    tell("compiling one in its child process", &mut compiled);
    drop(compiling);

    // As at an engine's start: nothing of it is in memory but what the kernel has of the files.
    let engine = sandbox();
    let before = [memory_kib("VmRSS:"), memory_kib("RssAnon:")];
    let (mut loaded, mut modules): (Vec<Duration>, Vec<Module>) = (Vec::new(), Vec::new());
    for path in &components {
        let began = Instant::now();
        let module = engine.load(&std::fs::read(path).unwrap(), ModuleClass::Standard).unwrap();
        loaded.push(began.elapsed());
        assert!(module.compile_facts().cached, "its artefact is on the disk");
        modules.push(module);
    }
    let after = [memory_kib("VmRSS:"), memory_kib("RssAnon:")];
    tell("loading one from the disk until it can run", &mut loaded);
    let count = u64::try_from(modules.len()).unwrap().max(1);
    let artefacts: u64 = modules.iter().map(|module| module.compile_facts().artefact_bytes).sum();
    println!("| artefact on the disk | {} KiB |", artefacts / 1024 / count);
    println!("| resident memory of one idle module | {} KiB |", (after[0] - before[0]) / count);
    println!("| of it the engine's own, the rest being its artefact's file | {} KiB |", (after[1] - before[1]) / count);
    println!("| resident memory with all of them | {} MiB |", after[0] / 1024);
}

fn tell(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1_000.0;
    println!("| {what} | p50 {:.2} ms, p99 {:.2} ms, slowest {:.2} ms |", at(50), at(99), at(100));
}

/// A line of what the kernel says of this process.
fn memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
