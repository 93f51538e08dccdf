//! Prints the table of `docs/guides/languages.md` for components of one mapping in several languages:
//!
//! ```text
//! target/debug/examples/language_table target/debug/crossdock CASES NAME=COMPONENT.wasm …
//! ```
//!
//! `CASES` is a folder with `parameters.example.json` and `cases/special-shop/input.json`. Times are medians on the machine
//! it runs on, and of the build it is part of; fuel and bytes are the same everywhere.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use crossdock::sandbox::{Call, Compiler, Isolation, Limits, ModuleClass, NoReferences, Run};

const DOCUMENTS: usize = 50;
const ROUNDS: usize = 9;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (program, cases) = (arguments.next().unwrap(), arguments.next().unwrap());
    println!(
        "| language | component | compiled | compiling | loading | fuel | memory | a fresh instance each | in a batch |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for argument in arguments {
        let (name, component) = argument.split_once('=').unwrap();
        row(name, &std::fs::read(component).unwrap(), &program, Path::new(&cases));
    }
}

fn row(name: &str, component: &[u8], program: &str, cases: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = || support::sandbox(dir.path(), Compiler::Child { program: program.into() });
    let cold = sandbox();
    let class = cold.class_of(component);
    let first = cold.load(component, class).unwrap();
    let compiled = first.compile_facts();
    // Compiled already: what starting the engine costs.
    let warm = sandbox();
    let module = warm.load(component, class).unwrap();
    let loaded = module.compile_facts();
    assert!(!compiled.cached && loaded.cached);

    let parameters = std::fs::read_to_string(cases.join("parameters.example.json")).unwrap();
    let context = support::context(&module, &parameters);
    let body = std::fs::read_to_string(cases.join("cases/special-shop/input.json")).unwrap();
    let documents = vec![support::document("166001", &body); DOCUMENTS];
    // A machine that does other things meanwhile may take ten times as long.
    let patient = |call| Call { deadline_ms: Some(60_000), ..call };
    let calls: Vec<_> = support::calls(&context, &documents).into_iter().map(patient).collect();
    let limits = Limits::of(warm.settings(), class);
    let measured = |isolation| {
        let mut rounds: Vec<(Duration, Vec<Run>)> = (0..ROUNDS)
            .map(|_| {
                let started = Instant::now();
                let runs = warm.transform(&module, &calls, isolation, &limits, &NoReferences);
                (started.elapsed(), runs)
            })
            .collect();
        rounds.sort_by_key(|(elapsed, _)| *elapsed);
        rounds.swap_remove(ROUNDS / 2)
    };
    let (fresh, fresh_runs) = measured(Isolation::Document);
    let (batch, batch_runs) = measured(Isolation::Batch);
    assert!(fresh_runs.iter().chain(&batch_runs).all(|run| run.verdict.is_ok()));
    let each = |all: Duration| all.as_micros() / DOCUMENTS as u128;
    println!(
        "| {name} ({}) | {} KiB | {} KiB | {:.1} s | {:.1} ms | {} thousand | {} KiB | {} µs | {} µs |",
        if class == ModuleClass::Standard { "standard" } else { "interpreter" },
        component.len() / 1024,
        compiled.artefact_bytes / 1024,
        compiled.elapsed.as_secs_f64(),
        loaded.elapsed.as_secs_f64() * 1000.0,
        fresh_runs[0].fuel / 1000,
        fresh_runs[0].memory_bytes / 1024,
        each(fresh),
        each(batch),
    );
}
