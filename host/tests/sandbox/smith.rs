//! A thousand random modules, each from a seed of its own and the same everywhere, all its functions called by an
//! honest module in the same component: each is refused, runs, or is stopped, and nothing else happens.

use arbitrary::Unstructured;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crossdock::model::Outcome;
use crossdock::sandbox::{Call, Compiler, Error, Isolation, Limits, ModuleClass, NoReferences, Sandbox, Settings};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wasm_smith::{Config, Module};
use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, ValType};

use super::corpus::with_beside;
use super::hostile::settings;
use super::neighbour::{Neighbour, context, document};

const MODULES: u64 = 1_000;
/// What one module is made of.
const SEED_BYTES: usize = 4 << 10;

/// What became of them.
#[derive(Debug, Default)]
struct Count {
    refused: u32,
    ran: u32,
    stopped: u32,
}

/// A component around the random module of this seed. Most are of what the contract's engine accepts; every fifth may use
/// anything there is, so that the refusals are met as well.
fn component(seed: u64) -> Vec<u8> {
    let module = random_module(seed);
    let (imports, calls) = callable(&module);
    let around = wat::parse_str(with_beside(&format!(
        r#"(core module)
  (core instance $random (instantiate 1))
  (core module $caller {imports} (func (export "f") {calls}))
  (core instance $beside (instantiate $caller (with "random" (instance $random))))"#
    )))
    .unwrap();
    put_in(&around, &module)
}

/// Text has no place for a module in binary, so it takes the place of the empty one: a section of eight bytes.
fn put_in(component: &[u8], module: &[u8]) -> Vec<u8> {
    const CORE_MODULE: u8 = 1;
    let empty = [&[CORE_MODULE, 8], b"\0asm\x01\0\0\0".as_slice()].concat();
    let at = component.windows(empty.len()).position(|bytes| bytes == empty).unwrap();
    let mut length = Vec::new();
    let mut left = module.len();
    while left >= 0x80 {
        length.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    length.push(left as u8);
    [&component[..at], &[CORE_MODULE], &length, module, &component[at + empty.len()..]].concat()
}

fn random_module(seed: u64) -> Vec<u8> {
    let everything = seed % 5 == 4;
    let config = || Config {
        min_exports: 1,
        min_funcs: 1,
        max_imports: 0,
        allow_start_export: everything,
        exceptions_enabled: everything,
        gc_enabled: everything,
        memory64_enabled: everything,
        relaxed_simd_enabled: everything,
        tail_call_enabled: everything,
        threads_enabled: everything,
        wide_arithmetic_enabled: everything,
        reference_types_enabled: everything,
        max_memories: if everything { 3 } else { 1 },
        max_memory32_bytes: if everything { 1 << 32 } else { 1 << 20 },
        max_tables: if everything { 3 } else { 1 },
        max_table_elements: if everything { 1_000_000 } else { 1_000 },
        ..Config::default()
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = vec![0; SEED_BYTES];
    // Some bytes make no module; the ones that follow will.
    loop {
        random.fill_bytes(&mut bytes);
        if let Ok(module) = Module::new(config(), &mut Unstructured::new(&bytes)) {
            return module.to_bytes();
        }
    }
}

/// Imports of all functions that the module exports and that take and give numbers, and a call of each.
fn callable(module: &[u8]) -> (String, String) {
    let (mut types, mut of, mut exports) = (Vec::new(), Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::TypeSection(section) => {
                for group in section {
                    types.extend(group.unwrap().into_types());
                }
            }
            Payload::FunctionSection(section) => of.extend(section.into_iter().map(Result::unwrap)),
            Payload::ExportSection(section) => exports.extend(section.into_iter().map(Result::unwrap)),
            _ => {}
        }
    }
    let (mut imports, mut calls) = (String::new(), String::new());
    for (at, export) in exports.iter().enumerate().filter(|(_, export)| export.kind == ExternalKind::Func) {
        let CompositeInnerType::Func(ty) = &types[of[export.index as usize] as usize].composite_type.inner else {
            continue;
        };
        let Some(params) = ty.params().iter().map(|ty| number(*ty)).collect::<Option<Vec<_>>>() else { continue };
        let Some(results) = ty.results().iter().map(|ty| number(*ty)).collect::<Option<Vec<_>>>() else { continue };
        let name: String = export.name.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let names = |numbers: &[(&str, &str)]| numbers.iter().map(|(ty, _)| format!("{ty} ")).collect::<String>();
        let given: String = params.iter().map(|(_, value)| format!("({value}) ")).collect();
        imports += &format!(
            r#"(import "random" "{name}" (func $f{at} (param {}) (result {}))) "#,
            names(&params),
            names(&results)
        );
        calls += &format!("(call $f{at} {given}) {} ", "(drop) ".repeat(results.len()));
    }
    (imports, calls)
}

fn number(ty: ValType) -> Option<(&'static str, &'static str)> {
    match ty {
        ValType::I32 => Some(("i32", "i32.const 7")),
        ValType::I64 => Some(("i64", "i64.const -7")),
        ValType::F32 => Some(("f32", "f32.const 0.5")),
        ValType::F64 => Some(("f64", "f64.const nan")),
        ValType::V128 => Some(("v128", "v128.const i64x2 3 5")),
        ValType::Ref(_) => None,
    }
}

#[test]
fn a_thousand_random_modules_run_trap_or_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let artefacts = Dir::open_ambient_dir(dir.path(), ambient_authority()).unwrap();
    // A child for each would take minutes; the corpus has the child.
    let settings = Settings { fuel: 1_000_000, ..settings() };
    let sandbox = Sandbox::new(settings, artefacts, Compiler::InProcess).unwrap();
    let neighbour = Neighbour::start(&sandbox);
    let mut count = Count::default();
    for seed in 0..MODULES {
        let module = match sandbox.load(&component(seed), ModuleClass::Standard) {
            Ok(module) => module,
            Err(Error::Internal { problem }) => panic!("seed {seed}: {problem}"),
            Err(_) => {
                count.refused += 1;
                continue;
            }
        };
        let (context, document) = (context("loud"), document("{}"));
        let call = Call { context: &context, document: &document, deadline_ms: None };
        let limits = Limits::of(sandbox.settings(), module.class());
        let run = || sandbox.transform(&module, &[call], Isolation::Document, &limits, &NoReferences).remove(0);
        let (one, other) = (run(), run());
        assert_eq!((&one.verdict, one.fuel), (&other.verdict, other.fuel), "seed {seed} is not the same twice");
        match one.verdict {
            Ok(Outcome::Emit(_)) => count.ran += 1,
            Ok(other) => panic!("seed {seed}: an honest module said {other:?}"),
            Err(Error::Internal { problem }) => panic!("seed {seed}: {problem}"),
            Err(_) => count.stopped += 1,
        }
    }
    neighbour.is_served();
    neighbour.end();
    assert!(count.ran + count.stopped >= 500, "{count:?}");
    assert!(count.refused > 0 && count.ran > 0 && count.stopped > 0, "{count:?}");
}
