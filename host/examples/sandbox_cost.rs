//! What a mapping costs in the sandbox, and of what that cost is made up, for `make bench`:
//!
//! ```text
//! target/release/examples/sandbox_cost DIRECTORY
//! ```
//!
//! `DIRECTORY` holds `input.json`, the components `rust.wasm` and `nothing.wasm`, and `javascript.wasm` and `python.wasm` where
//! they are to be measured too. First the sandbox of production: fuel and deadline on, fifty documents a call as the pipeline
//! hands them over. Then the same component in a bare engine, with fuel and epochs switched on one after the other.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use crossdock::model::Outcome;
use crossdock::sandbox::{Compiler, Isolation, Limits, Module, NoReferences, Run, Sandbox, Settings};
use crossdock_bench_measure::Input;

fn main() {
    let input = Input::read();
    let artefacts = input.directory.join("artefacts");
    std::fs::create_dir_all(&artefacts).unwrap();
    let usual = support::sandbox(&artefacts, Compiler::InProcess);
    for (name, file) in [
        ("Crossdock, Rust", "rust.wasm"),
        ("Crossdock, JavaScript", "javascript.wasm"),
        ("Crossdock, Python", "python.wasm"),
    ] {
        sandboxed(&input, &usual, name, file);
    }
    sandboxed(&input, &usual, "part: sandbox, a mapping that does nothing", "nothing.wasm");
    let settings = Settings { pagemap_scan: !usual.settings().pagemap_scan, ..Settings::default() };
    let scanning = support::with_settings(&artefacts, Compiler::InProcess, settings);
    sandboxed(&input, &scanning, "part: sandbox, pagemap_scan the other way", "rust.wasm");
    for (name, fuel, epochs) in [
        ("part: bare engine", false, false),
        ("part: bare engine, fuel", true, false),
        ("part: bare engine, epochs", false, true),
        ("part: bare engine, fuel and epochs", true, true),
    ] {
        bare::measure(&input, name, fuel, epochs);
    }
}

fn sandboxed(input: &Input, sandbox: &Sandbox, name: &str, file: &str) {
    let path = input.directory.join(file);
    if !path.exists() {
        return;
    }
    let module = load(sandbox, &path);
    let limits = Limits::of(sandbox.settings(), module.class());
    let context = support::context(&module, &input.parameters);
    let documents: Vec<_> = input.documents.iter().map(|(key, body)| support::document(key, body)).collect();
    let calls = support::calls(&context, &documents);
    for (isolation, how) in
        [(Isolation::Batch, "an instance per page"), (Isolation::Document, "an instance per document")]
    {
        input.measure_pages(&format!("{name}, {how}"), || {
            sandbox.transform(&module, &calls, isolation, &limits, &NoReferences).into_iter().map(body).collect()
        });
    }
}

fn load(sandbox: &Sandbox, path: &Path) -> Module {
    let bytes = std::fs::read(path).unwrap();
    sandbox.load(&bytes, sandbox.class_of(&bytes)).unwrap()
}

/// The bill, or nothing where the mapping does nothing.
fn body(run: Run) -> Option<String> {
    match run.verdict.unwrap() {
        Outcome::Emit(mut bills) => Some(bills.swap_remove(0).body),
        Outcome::Skip(_) => None,
        Outcome::Reject(why) => panic!("{}", why.message),
    }
}

/// The component without the sandbox: one instance for all documents, no limits, no checks, nothing kept.
mod bare {
    use crossdock_bench_measure::Input;
    use wasmtime::component::{Component, Linker};
    use wasmtime::{Config, Engine, Store};

    mod bindings {
        wasmtime::component::bindgen!({ path: "../wit/1.0.0", world: "transform" });
    }
    use bindings::crossdock::transform::{log, reference, types};

    struct Nobody;

    impl types::Host for Nobody {}

    impl log::Host for Nobody {
        fn write(&mut self, _: log::Level, _: String) {}
    }

    impl reference::Host for Nobody {
        fn lookup(&mut self, _: String, _: String) -> Result<Option<String>, reference::LookupError> {
            Err(reference::LookupError::UnknownTable)
        }
    }

    pub fn measure(input: &Input, name: &str, fuel: bool, epochs: bool) {
        let mut config = Config::new();
        config
            .consume_fuel(fuel)
            .epoch_interruption(epochs)
            .cranelift_nan_canonicalization(true)
            .gc_support(false)
            .native_unwind_info(false);
        let engine = Engine::new(&config).unwrap();
        let component =
            Component::from_binary(&engine, &std::fs::read(input.directory.join("rust.wasm")).unwrap()).unwrap();
        let mut linker = Linker::new(&engine);
        bindings::Transform::add_to_linker::<Nobody, wasmtime::component::HasSelf<Nobody>>(&mut linker, |nobody| {
            nobody
        })
        .unwrap();
        let mut store = Store::new(&engine, Nobody);
        let prepare = |store: &mut Store<Nobody>| {
            if fuel {
                store.set_fuel(u64::MAX / 2).unwrap();
            }
            if epochs {
                store.set_epoch_deadline(1 << 40);
            }
        };
        prepare(&mut store);
        let instance = bindings::Transform::instantiate(&mut store, &component, &linker).unwrap();
        let context = types::Context {
            tenant: "acme".into(),
            scheme: "saleout".into(),
            source: "jushuitan_qimen:jushuitan.saleout.list.query".into(),
            target: "kingdee_k3cloud:BatchSave".into(),
            parameters: input.parameters.clone(),
            received_at: "2026-11-01T00:00:00Z".into(),
        };
        let document = |(key, body): &(String, String)| types::Document { key: key.clone(), body: body.clone() };
        let documents: Vec<types::Document> = input.documents.iter().map(document).collect();
        input.measure(name, |index| {
            prepare(&mut store);
            match instance.call_transform(&mut store, &context, &documents[index]).unwrap() {
                types::Outcome::Emit(mut bills) => bills.swap_remove(0).body,
                _ => panic!("no bill"),
            }
        });
    }
}
