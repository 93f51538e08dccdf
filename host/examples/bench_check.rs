//! Whether the fixed hot paths still cost what they did, counted so that noise cannot matter: fuel of each transform's cases
//! in the sandbox, and instructions of the native mapping under valgrind.
//!
//! ```text
//! target/debug/examples/bench_check RECORDED.json [--record] --crossdock CROSSDOCK NAME=COMPONENT.wasm …
//!     [--native PROGRAM DIRECTORY]
//! ```
//!
//! `NAME` is a folder of `transforms/`. More than [`TOLERANCE_PERCENT`] above what is recorded is a failure. So is as much below:
//! what was gained would be lost again unseen, so it wants to be recorded.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use serde_json::Value;

/// Another release of the compiler moves a guest's fuel by about one.
const TOLERANCE_PERCENT: u64 = 3;
/// What is counted natively, by the names that the program gives them.
const NATIVE: [&str; 2] = ["native, the transform's source", "native, the SDK's dynamic style"];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let recorded = arguments.next().expect("the file of what was recorded");
    let (mut record, mut crossdock, mut counted) = (false, String::new(), BTreeMap::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--record" => record = true,
            "--crossdock" => crossdock = arguments.next().unwrap(),
            "--native" => {
                let (program, directory) = (arguments.next().unwrap(), arguments.next().unwrap());
                native(&program, &directory, &mut counted);
            }
            component => {
                let (name, path) = component.split_once('=').expect("NAME=COMPONENT.wasm");
                counted.insert(format!("fuel of the cases of {name}"), fuel(&crossdock, name, path));
            }
        }
    }
    let before: BTreeMap<String, u64> =
        std::fs::read(&recorded).ok().map(|text| serde_json::from_slice(&text).unwrap()).unwrap_or_default();
    if record {
        let all: BTreeMap<_, _> = before.into_iter().chain(counted).collect();
        std::fs::write(&recorded, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
        return ExitCode::SUCCESS;
    }
    let wrong = counted.iter().filter(|(name, now)| !holds(name, before.get(*name).copied(), **now)).count();
    if wrong > 0 {
        eprintln!(
            "{wrong} of {} counts are not what {recorded} says; `make bench-record` records them anew",
            counted.len()
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn holds(name: &str, before: Option<u64>, now: u64) -> bool {
    let Some(before) = before else {
        println!("NEW    {name}: {now}, and nothing is recorded");
        return false;
    };
    let (above, below) = (now.saturating_sub(before) * 100, before.saturating_sub(now) * 100);
    let said = match () {
        () if above > before * TOLERANCE_PERCENT => "SLOWER",
        () if below > before * TOLERANCE_PERCENT => "FASTER",
        () => "ok    ",
    };
    println!("{said} {name}: {now}, recorded {before}");
    said == "ok    "
}

/// Of all cases together, which pass: a mapping that does something else has no cost to compare.
fn fuel(crossdock: &str, name: &str, component: &str) -> u64 {
    let output = Command::new(crossdock)
        .args(["test", "--format", "json", "--module", component, &format!("transforms/{name}")])
        .output()
        .unwrap_or_else(|error| panic!("{crossdock}: {error}"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["cases"].as_array().unwrap().iter().filter_map(|case| case["fuel"].as_u64()).sum()
}

/// Instructions of one document, as what more pages take more.
fn native(program: &str, directory: &str, counted: &mut BTreeMap<String, u64>) {
    const PAGES: [u64; 2] = [1, 5];
    const DOCUMENTS: u64 = 50;
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind is not installed: instructions of the native mapping were NOT counted, only fuel was");
        return;
    }
    for name in NATIVE {
        let [few, many] = PAGES.map(|pages| {
            let output = Command::new("valgrind")
                .args([
                    "--tool=callgrind",
                    "--callgrind-out-file=/dev/null",
                    program,
                    directory,
                    name,
                    &pages.to_string(),
                ])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            let count = said.lines().find_map(|line| line.split_once("Collected : ")).expect("a count").1;
            count.trim().parse::<u64>().unwrap()
        });
        counted.insert(
            format!("instructions of one document, {name}"),
            (many - few) / ((PAGES[1] - PAGES[0]) * DOCUMENTS),
        );
    }
}
