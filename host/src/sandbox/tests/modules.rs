//! What is taken as a module, how it is refused, and what is kept of it.

use std::fs;
use std::path::PathBuf;

use super::guests::{ECHO, WIT, component, core_text, guest, stranger};
use super::*;

fn refusal(component: &[u8]) -> String {
    let error = sandbox().load(component, ModuleClass::Standard).unwrap_err();
    assert_eq!(error.fault().code.as_str(), "module_refused", "{error}");
    error.to_string()
}

fn check_limit(component: &[u8], limits: ClassLimits, limit: &'static str) {
    let (sandbox, _dir) = sandbox_with(Settings { standard: limits, ..small() });
    let error = sandbox.load(component, ModuleClass::Standard).unwrap_err();
    assert!(matches!(&error, Error::CompileLimit { limit_name, .. } if *limit_name == limit), "{limit}: {error:?}");
    assert_eq!(error.fault().code.as_str(), "module_compile_limit");
}

fn check_taken(component: &[u8], limits: ClassLimits) {
    let (sandbox, _dir) = sandbox_with(Settings { standard: limits, ..small() });
    sandbox.load(component, ModuleClass::Standard).unwrap();
}

#[test]
fn a_module_says_what_it_is() {
    let bytes = guest(ECHO);
    let module = sandbox().load(&bytes, ModuleClass::Standard).unwrap();
    let said = module.description();
    assert_eq!((said.name.as_str(), said.version.as_str(), said.source.as_str()), ("echo", "0.1.0", "a:b"));
    assert_eq!((said.target.as_str(), said.parameters_schema.as_str()), ("c:d", "{}"));
    assert_eq!((module.digest(), module.size()), (Digest::of(&bytes), bytes.len() as u64));
    let seen = module.compile_facts().seen;
    assert_eq!((seen.memories, seen.functions >= 5), (1, true));
}

#[test]
fn a_module_that_describes_itself_badly_is_refused() {
    let core = core_text("", "", ECHO).replace("echo0.1.0", "Echo0.1.x");
    let said = refusal(&component("", &core));
    assert!(said.contains("name must be") && said.contains("version must be"), "{said}");
}

#[test]
fn text_core_modules_and_compiled_artefacts_are_refused_before_anything_else() {
    assert!(refusal(b"(component)").contains("not a WebAssembly binary"));
    assert!(refusal(&wat::parse_str("(module)").unwrap()).contains("core module"));
    let engine = wasmtime::Engine::new(&crate::sandbox::engine::base_config(&Settings::default())).unwrap();
    assert!(refusal(&engine.precompile_component(&guest(ECHO)).unwrap()).contains("compiled artefact"));
    assert!(refusal(&guest(ECHO)[..500]).contains("not readable"));
}

#[test]
fn every_import_outside_the_contract_is_named() {
    let core = core_text(
        r#"(import "evil:host/files" "steal" (func $steal)) (import "evil:host/net" "send" (func $send))"#,
        "",
        "(call $steal) (call $send) unreachable",
    );
    let bytes = stranger(
        &[
            WIT,
            "package evil:host; interface files { steal: func(); } interface net { send: func(); }
             world w { include crossdock:transform/transform@1.0.0; import files; import net; }",
        ],
        &core,
    );
    let said = refusal(&bytes);
    assert!(said.contains("evil:host/files") && said.contains("evil:host/net"), "{said}");
}

#[test]
fn another_version_of_the_contract_is_refused_with_what_to_do() {
    for version in ["0.1.0", "1.0.1", "2.0.0"] {
        let core = core_text("", "", ECHO).replace("@1.0.0", &format!("@{version}"));
        let wit = WIT.replace("crossdock:transform@1.0.0", &format!("crossdock:transform@{version}"));
        let said = refusal(&stranger(&[&wit], &core));
        let built = format!("built against crossdock:transform {version}, and this engine runs 1.0.0");
        assert_eq!(said.matches(&built).count(), 1, "{said}");
        assert!(said.contains("docs/guides/migrating.md"), "{said}");
    }
}

#[test]
fn an_export_that_is_missing_or_shaped_otherwise_is_refused() {
    let none = wat::parse_str("(component)").unwrap();
    assert!(refusal(&none).contains("does not fit the contract"));
    let core = r#"(module (func (export "describe") (result i32) (i32.const 0)) (func (export "transform")))"#;
    let other = stranger(&["package a:b; world w { export describe: func() -> u32; export transform: func(); }"], core);
    assert!(sandbox().load(&other, ModuleClass::Standard).is_err());
}

#[test]
fn a_start_function_that_never_ends_is_stopped_at_load() {
    let spins = component("", &core_text("", "(func $spin (loop $l (br $l))) (start $spin)", ECHO));
    assert!(matches!(sandbox().load(&spins, ModuleClass::Standard), Err(Error::FuelExhausted { .. })));
}

#[test]
fn features_that_no_mapping_needs_are_refused() {
    for (what, items) in [
        ("threads", "(memory $shared 1 1 shared)"),
        ("multi-memory", "(memory 1) (memory 1)"),
        ("memory64", "(memory $second i64 1)"),
        ("exceptions", "(tag $e)"),
        ("tail calls", "(func $f (return_call $f))"),
        ("relaxed simd", "(func $f (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))"),
        ("gc", "(type $s (struct (field i32)))"),
    ] {
        let module = wat::parse_str(format!("(module {items})")).unwrap();
        let engine = wasmtime::Engine::new(&crate::sandbox::engine::base_config(&Settings::default())).unwrap();
        assert!(engine.precompile_module(&module).is_err(), "{what} was taken");
    }
}

#[test]
fn each_count_of_the_pre_scan_passes_at_its_limit_and_is_refused_one_past_it() {
    let bytes = guest(ECHO);
    let seen = sandbox().load(&bytes, ModuleClass::Standard).unwrap().compile_facts().seen;
    let class = ClassLimits::standard();
    type Set = fn(&mut ClassLimits, u64);
    let cases: &[(&'static str, u64, Set)] = &[
        ("component_limit_bytes", bytes.len() as u64, |class, value| class.component_limit_bytes = value),
        ("core_modules", seen.core_modules, |class, value| class.core_modules = value),
        ("instances", seen.instances, |class, value| class.instances = value),
        ("memories", seen.memories, |class, value| class.memories = value),
        ("tables", seen.tables, |class, value| class.tables = value),
        ("functions", seen.functions, |class, value| class.functions = value),
        ("body_limit_bytes", seen.largest_body_bytes, |class, value| class.body_limit_bytes = value),
    ];
    for (name, value, set) in cases {
        assert!(*value > 0, "{name}");
        let mut at = class.clone();
        set(&mut at, *value);
        assert!(prescan::scan(&bytes, &at).is_ok(), "{name} at {value}");
        set(&mut at, value - 1);
        check_limit(&bytes, at, name);
    }
}

#[test]
fn locals_and_nesting_pass_at_their_limit_and_are_refused_one_past_it() {
    let with_locals =
        |count: usize| component("", &core_text("", &format!("(func {})", "(local i32)".repeat(count)), ECHO));
    check_taken(&with_locals(1_000), ClassLimits::standard());
    check_limit(&with_locals(1_001), ClassLimits::standard(), "locals");
    let with_blocks = |depth: usize| {
        component("", &core_text("", &format!("(func {}{})", "(block ".repeat(depth), ")".repeat(depth)), ECHO))
    };
    check_taken(&with_blocks(512), ClassLimits::standard());
    check_limit(&with_blocks(513), ClassLimits::standard(), "block_depth");
    let nested =
        |depth: usize| wat::parse_str(format!("{}{}", "(component ".repeat(depth), ")".repeat(depth))).unwrap();
    assert!(prescan::scan(&nested(4), &ClassLimits::standard()).is_ok());
    check_limit(&nested(5), ClassLimits::standard(), "nesting");
}

#[test]
fn many_definitions_are_refused() {
    let types = |count: usize| wat::parse_str(format!("(component {})", "(type u8)".repeat(count))).unwrap();
    assert!(prescan::scan(&types(10_000), &ClassLimits::standard()).is_ok());
    check_limit(&types(10_001), ClassLimits::standard(), "definitions");
}

#[test]
fn many_memories_are_refused() {
    let memories =
        |count: usize| wat::parse_str(format!("(component {})", "(core module (memory 1))".repeat(count))).unwrap();
    assert!(prescan::scan(&memories(2), &ClassLimits::standard()).is_ok());
    check_limit(&memories(3), ClassLimits::standard(), "memories");
}

#[test]
fn the_known_compile_bombs_do_not_reach_the_compiler() {
    let straight =
        format!("(func (param i32) (result i32) (local.get 0) {})", "(i32.add (i32.const 1))".repeat(100_000));
    check_limit(&component("", &core_text("", &straight, ECHO)), ClassLimits::standard(), "body_limit_bytes");
    let branches = format!(
        "(func {} {})",
        "(local i32)".repeat(2_000),
        "(if (local.get 0) (then (local.set 1 (i32.const 1))))".repeat(4_000)
    );
    check_limit(&component("", &core_text("", &branches, ECHO)), ClassLimits::standard(), "locals");
    let functions = "(func)".repeat(20_001);
    check_limit(&component("", &core_text("", &functions, ECHO)), ClassLimits::standard(), "functions");
}

#[test]
fn strings_in_another_encoding_are_refused() {
    let text = r#"(component
        (core module $m (memory (export "memory") 1) (func (export "f") (param i32 i32)) (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func (export "f") (param "s" string) (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "r")) string-encoding=utf16)))"#;
    assert!(refusal(&wat::parse_str(text).unwrap()).contains("UTF-8"));
}

#[test]
fn the_same_bytes_are_loaded_once_and_the_same_refusal_is_remembered() {
    let bytes = guest(ECHO);
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| sandbox().load(&bytes, ModuleClass::Standard).unwrap());
        let two = scope.spawn(|| sandbox().load(&bytes, ModuleClass::Standard).unwrap());
        (one.join().unwrap(), two.join().unwrap())
    });
    assert!(Arc::ptr_eq(&one.0, &two.0));
    let bad = wat::parse_str("(component)").unwrap();
    assert_eq!(refusal(&bad), refusal(&bad));
}

fn artefact_in(dir: &tempfile::TempDir) -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn an_artefact_is_found_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = guest(ECHO);
    let load = || sandbox_in(dir.path(), small()).load(&bytes, ModuleClass::Standard).unwrap();
    assert!(!load().compile_facts().cached);
    assert!(load().compile_facts().cached);
}

#[test]
fn an_artefact_that_was_tampered_with_is_thrown_away_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = guest(ECHO);
    let load = || sandbox_in(dir.path(), small()).load(&bytes, ModuleClass::Standard).unwrap();
    load();
    let artefact = artefact_in(&dir);
    let good = fs::read(&artefact).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    for bad in [
        // The artefact from both ends, then cost, keyed hash and magic.
        flipped(0),
        flipped(good.len() / 2),
        flipped(good.len() - 49),
        flipped(good.len() - 48),
        flipped(good.len() - 40),
        flipped(good.len() - 1),
        good[..good.len() - 1].to_vec(),
        vec![],
    ] {
        fs::write(&artefact, bad).unwrap();
        assert!(!load().compile_facts().cached, "a tampered artefact was used");
        assert_eq!(fs::read(&artefact).unwrap().len(), good.len());
    }
}

/// What a thousand modules have in memory is then what the kernel leaves of their files there.
#[test]
fn a_module_runs_from_its_file_and_goes_on_with_it_where_another_takes_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = guest(ECHO);
    let is_mapped = || fs::read_to_string("/proc/self/maps").unwrap().contains(&dir.path().display().to_string());
    for cached in [false, true] {
        assert!(!is_mapped());
        let sandbox = sandbox_in(dir.path(), small());
        let module = sandbox.load(&bytes, ModuleClass::Standard).unwrap();
        assert_eq!((module.compile_facts().cached, is_mapped()), (cached, true));
    }
    let sandbox = sandbox_in(dir.path(), small());
    let module = sandbox.load(&bytes, ModuleClass::Standard).unwrap();
    let artefact = artefact_in(&dir);
    let other = dir.path().join("other");
    fs::write(&other, b"nothing of the kind").unwrap();
    fs::rename(other, artefact).unwrap();
    let documents = [document("k1", r#"{"amount":1.50}"#)];
    let runs = run_with(&sandbox, &module, &documents, Isolation::Document, &limits(), &NoReferences);
    assert_eq!(emitted(&runs[0]).len(), 1);
}

#[test]
fn an_artefact_of_another_module_or_another_key_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let load = |bytes: &[u8]| sandbox_in(dir.path(), small()).load(bytes, ModuleClass::Standard).unwrap();
    let (mine, other) = (guest(ECHO), guest("unreachable"));
    load(&mine);
    let artefact = artefact_in(&dir);
    let its = dir.path().join(format!("{}.standard.cwasm", Digest::of(&other)));
    fs::copy(&artefact, &its).unwrap();
    assert!(!load(&other).compile_facts().cached, "an artefact was taken for another module");
    fs::remove_file(dir.path().join("artefact.key")).unwrap();
    assert!(!load(&mine).compile_facts().cached, "an artefact under another key was used");
}

#[test]
fn what_was_found_out_about_a_module_is_kept_for_that_module_those_settings_and_that_key() {
    let dir = tempfile::tempdir().unwrap();
    let load = |bytes: &[u8], settings: Settings| sandbox_in(dir.path(), settings).load(bytes, ModuleClass::Standard);
    let noted = |bytes: &[u8]| load(bytes, small()).unwrap().compile_facts().noted;
    let (mine, other) = (guest(ECHO), guest("unreachable"));
    assert_eq!([noted(&mine), noted(&mine)], [false, true]);
    let note = |of: &[u8]| dir.path().join(format!("{}.standard.note", Digest::of(of)));
    fs::copy(note(&mine), note(&other)).unwrap();
    assert!(!noted(&other), "a note was taken for another module");
    let mut bytes = fs::read(note(&mine)).unwrap();
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    fs::write(note(&mine), bytes).unwrap();
    assert_eq!([noted(&mine), noted(&mine)], [false, true], "a note that was tampered with was used");
    let mut strict = small();
    strict.standard.functions = 0;
    assert!(
        matches!(load(&mine, strict), Err(Error::CompileLimit { .. } | Error::ModuleRefused { .. })),
        "scanned once more"
    );
    fs::remove_file(dir.path().join("artefact.key")).unwrap();
    assert!(!noted(&mine), "a note under another key was used");
}

#[test]
fn the_key_is_the_owners_alone_and_one_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    sandbox_in(dir.path(), small());
    let key = dir.path().join("artefact.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let opened = Dir::open_ambient_dir(dir.path(), ambient_authority()).unwrap();
    assert!(matches!(Sandbox::new(small(), opened, Compiler::InProcess), Err(Error::Artefacts { .. })));
}

#[test]
fn what_is_compiled_for_a_person_holds_up_nothing_that_documents_wait_for() {
    let (sandbox, _dir) = sandbox_with(small());
    let (kept, wanted, uploaded) = (guest(ECHO), component("", &core_text("", "(func)", ECHO)), guest("unreachable"));
    // Not held, or it would be found loaded.
    drop(sandbox.load(&kept, ModuleClass::Standard).unwrap());
    let tenant = |name: &str| TenantId::new(name).unwrap();
    // Somebody's component compiles, for minutes.
    let compiling = sandbox.inner.aside.enter(&Client { tenant: Some(tenant("slow")), priority: 5 });
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| sandbox.load_aside(&uploaded, ModuleClass::Standard, &tenant("acme")));
        while sandbox.inner.aside.waiting() < 1 {
            std::thread::yield_now();
        }
        // What is there is there for whoever asks, and what documents wait for is compiled beside it.
        let cached = sandbox.load_aside(&kept, ModuleClass::Standard, &tenant("other")).unwrap();
        assert!(cached.compile_facts().cached);
        assert!(!sandbox.is_compiled(&Digest::of(&wanted), ModuleClass::Standard));
        sandbox.load(&wanted, ModuleClass::Standard).unwrap();
        assert!(sandbox.is_compiled(&Digest::of(&wanted), ModuleClass::Standard));
        assert_eq!(sandbox.inner.aside.waiting(), 1);
        drop(compiling);
        waits.join().unwrap().unwrap();
    });
}
