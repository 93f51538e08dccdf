//! Each module of the corpus meets the limit that it names; the host lives on, its memory is bounded, and another tenant's
//! documents flow in the same moment.

use std::fs;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crossdock::fault::{Disposition, Fault};
use crossdock::model::Outcome;
use crossdock::sandbox::{Call, Compiler, Isolation, Limits, Lookup, References, Sandbox, Settings};

use super::PROGRAM;
use super::corpus::{End, Hostile, all};
use super::neighbour::{Neighbour, context, document};

/// What the host may take for the whole corpus beyond what it had before: two slots' memories and what is lifted from them.
const MEMORY_ALLOWED_BYTES: u64 = 512 << 20;

/// The defaults, with few slots, because tests need not map terabytes, and with little work in much time, because a busy
/// machine must not decide which limit comes first.
pub fn settings() -> Settings {
    let (fuel, deadline_ms) = (20_000_000, 120_000);
    Settings { concurrency: 3, interpreter_concurrency: 1, fuel, deadline_ms, ..Settings::default() }
}

pub fn sandbox(settings: Settings) -> (Sandbox, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let artefacts = Dir::open_ambient_dir(dir.path(), ambient_authority()).unwrap();
    let sandbox = Sandbox::new(settings, artefacts, Compiler::Child { program: PROGRAM.into() }).unwrap();
    (sandbox, dir)
}

/// Every table has every key, with half a megabyte behind each.
struct Generous;

impl References for Generous {
    fn lookup(&self, _: &str, _: &str) -> Lookup {
        Lookup::Found(format!("\"{}\"", "x".repeat(512 << 10)))
    }
}

/// Loads it and gives it a document, as the engine does.
fn run(sandbox: &Sandbox, hostile: &Hostile) -> (End, String) {
    let limit = |fault: &Fault| fault.limit.as_ref().map(|limit| limit.name.clone());
    let module = match sandbox.load(&hostile.bytes, hostile.class) {
        Ok(module) => module,
        Err(error) => {
            let fault = error.fault();
            return (End::Refused { code: fault.code.to_string(), limit: limit(&fault) }, error.to_string());
        }
    };
    let (context, document) = (context("loud"), document(r#"{"amount":1.50}"#));
    let call = Call { context: &context, document: &document, deadline_ms: None };
    let limits = Limits::of(sandbox.settings(), module.class());
    let run = sandbox.transform(&module, &[call], Isolation::Document, &limits, &Generous).remove(0);
    match run.verdict {
        Ok(Outcome::Emit(_) | Outcome::Skip(_) | Outcome::Reject(_)) => (End::Harmless, String::new()),
        Err(error) => {
            let fault = error.fault();
            let (code, limit) = (fault.code.to_string(), limit(&fault));
            let end = match fault.disposition {
                Disposition::Retry { .. } => End::Retried { code, limit },
                _ => End::Parked { code, limit },
            };
            (end, error.to_string())
        }
    }
}

/// Kilobytes that this process holds now.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn each_hostile_module_meets_the_limit_that_it_names_and_nobody_else_notices() {
    let corpus = all();
    assert!(corpus.len() >= 60, "{}", corpus.len());
    let (usual, _dir) = sandbox(settings());
    let neighbour = Neighbour::start(&usual);
    neighbour.is_served();
    let before = resident_bytes();
    let mut wrong = Vec::new();
    for hostile in &corpus {
        // The neighbour is in the same sandbox, unless the module needs settings of its own.
        let own = (hostile.settings != settings()).then(|| sandbox(hostile.settings.clone()));
        let (end, said) = run(own.as_ref().map_or(&usual, |(sandbox, _)| sandbox), hostile);
        if end != hostile.end || !said.contains(&hostile.says) {
            wrong.push(format!("{}: ended as {end:?}, saying {said:?}; was to end as {:?}", hostile.name, hostile.end));
        }
        neighbour.is_served();
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < MEMORY_ALLOWED_BYTES, "{} left the host with {grown} bytes more", hostile.name);
    }
    neighbour.end();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A guest that works for as long as it may holds its own place and no other.
#[test]
fn the_neighbours_documents_flow_while_hostile_modules_are_at_work() {
    let (shared, _dir) = sandbox(settings());
    let neighbour = Neighbour::start(&shared);
    let loud: Vec<Hostile> = all().into_iter().filter(|hostile| hostile.name.starts_with("spins-")).collect();
    assert!(loud.len() >= 5, "{}", loud.len());
    for hostile in loud.iter().filter(|hostile| hostile.settings == settings()) {
        std::thread::scope(|scope| {
            let work = scope.spawn(|| run(&shared, hostile));
            while !work.is_finished() {
                neighbour.is_served();
            }
        });
    }
    let served = neighbour.served();
    neighbour.end();
    assert!(served > 0);
}

#[test]
fn no_two_of_the_corpus_are_the_same() {
    let corpus = all();
    for (at, one) in corpus.iter().enumerate() {
        assert!(!one.does.is_empty(), "{} does not say what it does", one.name);
        for other in &corpus[at + 1..] {
            let same = (&one.bytes, &one.settings) == (&other.bytes, &other.settings);
            assert!(!same, "{} and {}", one.name, other.name);
            assert_ne!(one.does, other.does, "{} and {}", one.name, other.name);
        }
    }
}
