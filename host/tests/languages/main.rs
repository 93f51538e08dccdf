//! Transforms in JavaScript and Python: begun, built and run as a developer and an operator would, and compared with the
//! Rust transform that does the same. Needs Node.js with npm, and Python with pip, and says so where one is missing.
//!
//! Building one takes a minute, so what was built and compiled is kept below `target/` until a source changes.

#![allow(clippy::unwrap_used)]

mod daemon;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crossdock::model::{Digest, Document, DocumentKey, Outcome, SchemeId, TenantId};
use crossdock::sandbox::{
    Call, ClassLimits, Compiler, Context, Error, Isolation, Limits, Lookup, Module, ModuleClass, References, Run,
    Sandbox, Settings,
};
use crossdock_guest::testing::{Case, Cases};

const PROGRAM: &str = env!("CARGO_BIN_EXE_crossdock");
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const RUST: &str = "transforms/jushuitan-saleout-to-k3cloud";
const JAVASCRIPT: &str = "guest-sdk/javascript/examples/jushuitan-saleout-to-k3cloud";
const PYTHON: &str = "guest-sdk/python/examples/jushuitan_saleout_to_k3cloud";

fn in_repository(path: &str) -> PathBuf {
    Path::new(REPOSITORY).join(path)
}

/// Where things are kept between two runs.
fn kept(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

fn crossdock(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    // The same tools for every test, and none of them in the home of whoever runs it.
    Command::new(PROGRAM).args(arguments).env("CROSSDOCK_TOOLS", kept("tools")).output().unwrap()
}

fn succeed(output: &Output, doing: &str) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy);
    assert!(output.status.success(), "{doing}: {}\n{}\n{}", output.status, said[0], said[1]);
    said[0].clone().into_owned()
}

/// Everything that decides what a component becomes, as one digest.
fn sources(project: &str) -> Digest {
    let mut files = BTreeMap::new();
    for folder in [project, "guest-sdk", "wit", "host/toolchains", "host/src/build"] {
        gather(&in_repository(folder), &mut files);
    }
    // Which project it is as well: both examples are below `guest-sdk`, so they have the same files.
    let texts = files.into_iter().flat_map(|(path, bytes)| [path.into_bytes(), bytes].concat());
    Digest::of(project.bytes().chain(texts).collect::<Vec<_>>().as_slice())
}

fn gather(path: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    if path.is_dir() {
        if !["target", "__pycache__"].iter().any(|name| path.ends_with(name)) {
            fs::read_dir(path).unwrap().for_each(|entry| gather(&entry.unwrap().path(), files));
        }
    } else {
        files.insert(path.display().to_string(), fs::read(path).unwrap());
    }
}

/// The component of a project, by way of `crossdock build`.
fn built(project: &str) -> Vec<u8> {
    fs::read(component_of(project)).unwrap()
}

/// Where it is kept.
fn component_of(project: &str) -> PathBuf {
    let component = kept(&format!("{}.wasm", sources(project)));
    // Two tests may want it at once.
    let lock = File::create(component.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !component.is_file() {
        let folder = in_repository(project);
        let output = crossdock(["build".as_ref(), folder.as_os_str(), "--output".as_ref(), component.as_os_str()]);
        let said = succeed(&output, &format!("building {project}"));
        assert!(said.contains("bytes sha256:"), "{said}");
    }
    component
}

/// As the operator of an engine sets it up who grants interpreters.
static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let artefacts = kept("artefacts");
    fs::create_dir_all(&artefacts).unwrap();
    let artefacts = Dir::open_ambient_dir(artefacts, ambient_authority()).unwrap();
    // A machine that builds and tests other things meanwhile may take minutes for what takes half of one.
    let interpreter = ClassLimits { child_wall_ms: 1_800_000, ..ClassLimits::interpreter() };
    let settings = Settings {
        concurrency: 1,
        interpreter_concurrency: 1,
        interpreter_modules: true,
        interpreter,
        ..Settings::default()
    };
    Sandbox::new(settings, artefacts, Compiler::Child { program: PROGRAM.into() }).unwrap()
});

fn load(project: &str, class: ModuleClass) -> Module {
    let component = built(project);
    assert_eq!(SANDBOX.class_of(&component), class, "{project}");
    SANDBOX.load(&component, class).unwrap_or_else(|error| panic!("{project}: {}", error.fault()))
}

struct NoTables;

impl References for NoTables {
    fn lookup(&self, _: &str, _: &str) -> Lookup {
        Lookup::UnknownTable
    }
}

fn cases() -> Vec<Case> {
    let cases = Cases::of(in_repository(RUST)).key_field("io_id").read().unwrap();
    cases.into_iter().map(|case| case.unwrap()).collect()
}

/// Every case, with a deadline that a busy machine keeps too: what a test machine takes is nobody's fault here.
fn run(module: &Module, isolation: Isolation) -> Vec<Run> {
    let cases = cases();
    let inputs: Vec<(Context, Document)> = cases
        .iter()
        .map(|case| {
            let context = Context {
                tenant: TenantId::new("example").unwrap(),
                scheme: SchemeId::new("example").unwrap(),
                source: module.description().source.as_str().into(),
                target: module.description().target.as_str().into(),
                parameters: case.parameters.as_str().into(),
                received_at: case.received_at.parse().unwrap(),
            };
            let key = DocumentKey::new(case.document.key.clone()).unwrap();
            (context, Document { key, body: case.document.body.clone() })
        })
        .collect();
    let calls: Vec<Call<'_>> =
        inputs.iter().map(|(context, document)| Call { context, document, deadline_ms: Some(60_000) }).collect();
    let limits = Limits::of(SANDBOX.settings(), module.class());
    SANDBOX.transform(module, &calls, isolation, &limits, &NoTables)
}

fn outcomes(runs: &[Run]) -> Vec<Result<Outcome, Error>> {
    runs.iter().map(|run| run.verdict.clone()).collect()
}

/// Byte for byte, messages included: which language a mapping is written in is nobody's business but its developer's.
fn check_against_rust(project: &str) {
    let (reference, module) = (load(RUST, ModuleClass::Standard), load(project, ModuleClass::Interpreter));
    let (expected, found) = (run(&reference, Isolation::Document), run(&module, Isolation::Document));
    assert!(expected.len() >= 46, "only {} cases", expected.len());
    for ((case, expected), found) in cases().iter().zip(outcomes(&expected)).zip(outcomes(&found)) {
        let (expected, found) = (expected.unwrap(), found.unwrap_or_else(|fault| panic!("{}: {fault}", case.name)));
        assert_eq!(format!("{found:#?}"), format!("{expected:#?}"), "case {}", case.name);
    }
}

#[test]
fn the_javascript_mapping_gives_the_bytes_of_the_rust_one_for_every_case() {
    check_against_rust(JAVASCRIPT);
}

#[test]
fn the_python_mapping_gives_the_bytes_of_the_rust_one_for_every_case() {
    check_against_rust(PYTHON);
}

/// Fresh again: the same bytes and the same fuel. In one instance for all: the same bytes.
fn check_determinism(project: &str) {
    let module = load(project, ModuleClass::Interpreter);
    let (first, second) = (run(&module, Isolation::Document), run(&module, Isolation::Document));
    assert_eq!(outcomes(&first), outcomes(&second));
    let fuel = |runs: &[Run]| runs.iter().map(|run| run.fuel).collect::<Vec<_>>();
    assert_eq!(fuel(&first), fuel(&second));
    assert_eq!(outcomes(&run(&module, Isolation::Batch)), outcomes(&first));
}

#[test]
fn a_javascript_document_gives_the_same_bytes_and_fuel_again_and_the_same_bytes_in_a_batch() {
    check_determinism(JAVASCRIPT);
}

#[test]
fn a_python_document_gives_the_same_bytes_and_fuel_again_and_the_same_bytes_in_a_batch() {
    check_determinism(PYTHON);
}

/// What an SDK or its tools do step by step, where the engine could do it at once, shows in the fuel of all cases together.
/// The figure is what they burnt when it was written, and an eighth; a reader that goes character by character burns thrice.
fn check_fuel(project: &str, most: u64) {
    let module = load(project, ModuleClass::Interpreter);
    let burnt: u64 = run(&module, Isolation::Document).iter().map(|run| run.fuel).sum();
    assert!(burnt <= most, "{burnt} is more than {most}");
}

#[test]
fn the_javascript_cases_burn_no_more_fuel_than_before() {
    check_fuel(JAVASCRIPT, 214_000_000);
}

#[test]
fn the_python_cases_burn_no_more_fuel_than_before() {
    check_fuel(PYTHON, 50_000_000);
}

/// Another folder, another time, another name for temporary files: another machine, as far as one machine can be two.
#[test]
fn the_same_javascript_source_gives_the_same_bytes_wherever_and_whenever_it_is_built() {
    let first = built(JAVASCRIPT);
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("a/deeper folder/sdk");
    let sdk = in_repository("guest-sdk/javascript");
    let mut files = BTreeMap::new();
    gather(&sdk, &mut files);
    for (path, bytes) in files {
        let to = copy.join(Path::new(&path).strip_prefix(&sdk).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    let again = dir.path().join("again.wasm");
    let temporary = dir.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let project = copy.join(Path::new(JAVASCRIPT).strip_prefix("guest-sdk/javascript").unwrap());
    let output = Command::new(PROGRAM)
        .args(["build".as_ref(), project.as_os_str(), "--output".as_ref(), again.as_os_str()])
        .env("CROSSDOCK_TOOLS", kept("tools"))
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    succeed(&output, "building a copy");
    let again = fs::read(again).unwrap();
    assert!(again == first, "{} and {}", Digest::of(&again), Digest::of(&first));
    let holds = |text: &str| first.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(in_repository("").canonicalize().unwrap().to_str().unwrap()), "it names the folder it came from");
}

#[test]
fn an_interpreter_is_refused_where_the_operator_does_not_grant_it() {
    let component = built(PYTHON);
    let dir = tempfile::tempdir().unwrap();
    let artefacts = Dir::open_ambient_dir(dir.path(), ambient_authority()).unwrap();
    let sandbox = Sandbox::new(Settings::default(), artefacts, Compiler::Child { program: PROGRAM.into() }).unwrap();
    assert_eq!(sandbox.class_of(&component), ModuleClass::Standard);
    let why = sandbox.load(&component, sandbox.class_of(&component)).unwrap_err().fault().to_string();
    assert!(why.contains("component_limit_bytes"), "{why}");
}

#[test]
fn the_examples_parameters_are_those_of_the_rust_transform() {
    for file in ["parameters.schema.json", "parameters.example.json"] {
        let read = |project: &str| fs::read_to_string(in_repository(project).join(file)).unwrap();
        assert_eq!(read(JAVASCRIPT), read(RUST), "{file}");
        assert_eq!(read(PYTHON), read(RUST), "{file}");
    }
}

/// Begins a project, builds it and runs its cases: three commands, and nothing changed in between.
fn check_three_commands(language: &str, from: &str, to: &str) {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("first-steps");
    let project = project.as_os_str();
    let new = ["new", "first-steps", "--language", language, "--from", from, "--to", to, "--directory"];
    succeed(&crossdock(new.map(OsStr::new).into_iter().chain([project])), "new");
    let said = succeed(&crossdock(["build".as_ref(), project]), "build");
    assert!(said.contains("first-steps.wasm"), "{said}");
    let component = Path::new(project).join("target/components/first-steps.wasm");
    let artefacts = dir.path().join("artefacts");
    let test = ["test".as_ref(), project, "--artefacts".as_ref(), artefacts.as_os_str()];
    // What was just built; on its own, `crossdock test` would build it again.
    let module = ["--class".as_ref(), "interpreter".as_ref(), "--module".as_ref(), component.as_os_str()];
    let said = succeed(&crossdock(test.into_iter().chain(module)), "test");
    assert!(said.contains("quantity-missing"), "{said}");
}

#[test]
fn a_javascript_project_is_begun_built_and_tested_with_three_commands() {
    check_three_commands("javascript", "jushuitan.saleout.list.query", "wdt.trade.push");
}

#[test]
fn a_python_project_is_begun_built_and_tested_with_three_commands() {
    check_three_commands("python", "saleoutlist/batch_get", "jdy/inv/inv_check_gain_bill_save");
}

#[test]
fn a_missing_tool_is_named_with_what_to_install() {
    for (project, tool, remedy) in [(JAVASCRIPT, "node", "Node.js 20"), (PYTHON, "python3", "python3-pip")] {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(PROGRAM)
            .args(["build".as_ref(), in_repository(project).as_os_str()])
            .env("PATH", dir.path())
            .env("CROSSDOCK_TOOLS", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(tool) && said.contains(remedy), "{said}");
    }
}

#[test]
fn the_packages_own_tests_pass() {
    let javascript = in_repository("guest-sdk/javascript");
    let output = Command::new("node").args(["--test", "test/"]).current_dir(javascript).output().unwrap();
    succeed(&output, "node --test");
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "tests"])
        .current_dir(in_repository("guest-sdk/python"))
        .env("PYTHONPATH", ".:types")
        .output()
        .unwrap();
    succeed(&output, "python3 -m unittest");
}

/// The types of both packages are what their tools make of the contract.
#[test]
fn the_types_are_those_of_the_contract() {
    // What the tools are installed by.
    built(JAVASCRIPT);
    built(PYTHON);
    let tools = |language: &str| {
        let folders = fs::read_dir(kept("tools")).unwrap().map(|entry| entry.unwrap().path());
        let is_it = |path: &PathBuf| {
            path.join("complete").is_file() && path.file_name().unwrap().to_str().unwrap().starts_with(language)
        };
        folders.into_iter().find(is_it).unwrap()
    };
    let contract = in_repository("wit/1.0.0/transform.wit");
    let made = tempfile::tempdir().unwrap();

    let javascript = made.path().join("javascript");
    let output = Command::new("node")
        .arg(tools("javascript").join("node_modules/@bytecodealliance/jco/src/jco.js"))
        .args(["guest-types".as_ref(), contract.as_os_str()])
        .args(["--world-name", "transform", "--quiet", "--out-dir"])
        .arg(&javascript)
        .output()
        .unwrap();
    succeed(&output, "jco guest-types");
    check_same(&javascript, "guest-sdk/javascript/types");

    let python = made.path().join("python");
    let output = Command::new("python3")
        .args(["-c", "import sys; from componentize_py import script; sys.exit(script())", "-d"])
        .arg(contract)
        .args(["-w", "transform", "bindings"])
        .arg(&python)
        .env("PYTHONPATH", tools("python").join("packages"))
        .output()
        .unwrap();
    succeed(&output, "componentize-py bindings");
    check_same(&python, "guest-sdk/python/types");
}

/// Every file of ours is there with the same text. What the tools make beyond it is not for a transform.
fn check_same(made: &Path, ours: &str) {
    let mut files = BTreeMap::new();
    gather(&in_repository(ours), &mut files);
    assert!(!files.is_empty(), "{ours} holds no types");
    for (path, bytes) in files {
        let name = Path::new(&path).strip_prefix(in_repository(ours)).unwrap().to_owned();
        let made = fs::read(made.join(&name)).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        assert!(made == bytes, "{ours}/{} is not what the tools make of the contract", name.display());
    }
}
