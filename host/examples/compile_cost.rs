//! What compiling a component takes, and what it does to the documents beside it. Prints the last part of
//! `docs/benchmarks/mapping.md`:
//!
//! ```text
//! target/release/examples/compile_cost CROSSDOCK DIRECTORY NAME=COMPONENT.wasm …
//! ```
//!
//! `DIRECTORY` holds the `input.json` and the `rust.wasm` of the other figures. The last component named is the one that is
//! compiled beside the documents.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossdock::sandbox::{Compiler, Isolation, Limits, Module, NoReferences, Sandbox};
use crossdock_bench_measure::Input;

/// How often a child's memory is looked at; compiling takes a thousand times as long.
const LOOK: Duration = Duration::from_millis(2);
/// Pages measured without anything beside them.
const QUIET_PAGES: usize = 2_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = PathBuf::from(arguments.next().unwrap());
    let directory = PathBuf::from(arguments.next().unwrap());
    let components: Vec<(String, Vec<u8>)> = arguments
        .map(|argument| {
            let (name, path) = argument.split_once('=').unwrap();
            (name.to_owned(), std::fs::read(path).unwrap())
        })
        .collect();
    println!(
        "## Compiling\n\nIn the limited child process, once for each component; loading is of one that is compiled already.\n"
    );
    println!("| | component | compiled | wall clock | peak memory of the child | loading |\n|---|--:|--:|--:|--:|--:|");
    for (name, component) in &components {
        row(&program, name, component);
    }
    beside(&program, &directory, components.last().unwrap());
}

fn row(program: &Path, name: &str, component: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let load = || {
        let sandbox = support::sandbox(dir.path(), Compiler::Child { program: program.to_owned() });
        let started = Instant::now();
        let module = sandbox.load(component, sandbox.class_of(component)).unwrap();
        (started.elapsed(), module.compile_facts().artefact_bytes)
    };
    let ((compiling, artefact_bytes), peak_kib) = watching_children(load);
    let (loading, _) = load();
    println!(
        "| {name} | {} KiB | {} KiB | {:.2} s | {} MiB | {:.1} ms |",
        component.len() / 1024,
        artefact_bytes / 1024,
        compiling.as_secs_f64(),
        peak_kib / 1024,
        loading.as_secs_f64() * 1000.0
    );
}

/// What a function gives, and the most memory that a child of this process held meanwhile.
fn watching_children<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                for kib in children().into_iter().filter_map(|child| peak_of(&child)) {
                    peak.fetch_max(kib, Ordering::AcqRel);
                }
                std::thread::sleep(LOOK);
            }
        });
        let answer = run();
        done.store(true, Ordering::Release);
        (answer, peak.load(Ordering::Acquire))
    })
}

fn children() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn peak_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Pages of documents while nothing is compiled, and while the largest component is.
fn beside(program: &Path, directory: &Path, (name, component): &(String, Vec<u8>)) {
    let input = Input::of(directory);
    let dir = tempfile::tempdir().unwrap();
    let sandbox = support::sandbox(dir.path(), Compiler::Child { program: program.to_owned() });
    let rust = std::fs::read(directory.join("rust.wasm")).unwrap();
    let module = sandbox.load(&rust, sandbox.class_of(&rust)).unwrap();
    let quiet = pages(&input, &sandbox, &module, |done| done < QUIET_PAGES);
    let uploaded = AtomicBool::new(false);
    let loud = std::thread::scope(|scope| {
        scope.spawn(|| {
            sandbox.load(component, sandbox.class_of(component)).unwrap();
            uploaded.store(true, Ordering::Release);
        });
        pages(&input, &sandbox, &module, |_| !uploaded.load(Ordering::Acquire))
    });
    println!(
        "\nThe child is worth less to the machine than the engine (`nice`), so an upload takes what documents leave. One page of {} \
         documents after another, on a machine of {} cores, wall clock:\n",
        input.documents.len(),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get)
    );
    println!("| a page, while | pages | median | of a hundred, the slowest but one |\n|---|--:|--:|--:|");
    for (what, mut times) in [("nothing is compiled".to_owned(), quiet), (format!("{name} is compiled"), loud)] {
        times.sort();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
        println!("| {what} | {} | {:.0} µs | {:.0} µs |", times.len(), at(50), at(99));
    }
}

fn pages(input: &Input, sandbox: &Sandbox, module: &Module, goes_on: impl Fn(usize) -> bool) -> Vec<Duration> {
    let context = support::context(module, &input.parameters);
    let documents: Vec<_> = input.documents.iter().map(|(key, body)| support::document(key, body)).collect();
    let calls = support::calls(&context, &documents);
    let limits = Limits::of(sandbox.settings(), module.class());
    let mut times = Vec::new();
    while goes_on(times.len()) {
        let started = Instant::now();
        let runs = sandbox.transform(module, &calls, Isolation::Batch, &limits, &NoReferences);
        times.push(started.elapsed());
        assert!(runs.iter().all(|run| run.verdict.is_ok()));
    }
    times
}
