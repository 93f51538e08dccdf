//! What was built against a version of the contract, met as whoever has it meets the binary.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{crossdock, ends, report, repository};

fn fixture(folder: &Path, change: impl FnOnce(String) -> String) -> PathBuf {
    let text = std::fs::read_to_string(repository().join("tests/contract/1.0.0/fixture.wat")).unwrap();
    let component = folder.join("fixture.wasm");
    std::fs::write(&component, wat::parse_str(change(text)).unwrap()).unwrap();
    component
}

#[test]
fn a_component_of_version_1_passes_its_cases() {
    let dir = tempfile::tempdir().unwrap();
    let component = fixture(dir.path(), |text| text);
    let cases = repository().join("tests/contract/1.0.0/cases");
    for isolation in ["document", "batch"] {
        let arguments = ["test", "--module", component.to_str().unwrap(), "--cases", cases.to_str().unwrap()];
        let more = ["--isolation", isolation, "--format", "json"];
        let report = report(&ends(crossdock(dir.path(), &[&arguments[..], &more].concat()), 0));
        assert_eq!(report["module"]["name"], "contract-fixture");
        let passed: Vec<&str> =
            report["cases"].as_array().unwrap().iter().filter_map(|case| case["name"].as_str()).collect();
        assert_eq!((passed, &report["failed"]), (vec!["emits", "rejects", "skips"], &0.into()));
    }
    let explained = ["explain", "--module", component.to_str().unwrap(), "--cases", cases.to_str().unwrap()];
    let more = ["--case", "emits", "--format", "json"];
    let explained: Value = report(&ends(crossdock(dir.path(), &[&explained[..], &more].concat()), 0));
    assert_eq!(explained["cut"], false, "{explained}");
}

/// A document of more values than there are runs: some are left out, and the answer says so.
#[test]
fn explaining_ends_with_its_runs_and_says_that_it_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let component = fixture(dir.path(), |text| text);
    let fields: serde_json::Map<String, Value> = (0..1_400).map(|n| (format!("field{n}"), n.into())).collect();
    std::fs::create_dir(dir.path().join("cases")).unwrap();
    let case = serde_json::json!({ "key": "A", "tables": { "units": { "A": 1 } }, "input": fields });
    std::fs::write(dir.path().join("cases/many.json"), case.to_string()).unwrap();
    let arguments = ["explain", "--module", component.to_str().unwrap(), "--case", "many", "--field", "/field7"];
    let json = report(&ends(crossdock(dir.path(), &[&arguments[..], &["--format", "json"]].concat()), 0));
    assert_eq!((&json["cut"], &json["runs"]), (&true.into(), &5_000.into()), "{json}");
    assert_eq!(json["fields"][0]["from"][0]["document"], "/field7", "each value has its first substitute all the same");
    let text = ends(crossdock(dir.path(), &arguments), 0);
    assert!(String::from_utf8_lossy(&text.stdout).contains("not all values were tried: 5000 runs is the most"));
}

#[test]
fn a_component_of_another_version_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let old = fixture(dir.path(), |text| text.replace("@1.0.0", "@0.1.0"));
    let input = dir.path().join("input.json");
    std::fs::write(&input, "{}").unwrap();
    let cases = repository().join("tests/contract/1.0.0/cases");
    for arguments in [["test", "--cases", cases.to_str().unwrap()], ["transform", "--input", input.to_str().unwrap()]] {
        let arguments = [&arguments[..], &["--module", old.to_str().unwrap()]].concat();
        let refused = ends(crossdock(dir.path(), &arguments), 3);
        let said = String::from_utf8_lossy(&refused.stderr);
        for part in
            ["module_refused", "built against crossdock:transform 0.1.0", "runs 1.0.0", "docs/guides/migrating.md"]
        {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }
}

#[test]
fn a_project_that_carries_an_older_contract_is_refused_before_it_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("vendor/wit/transform.wit", "/// The contract.\npackage crossdock:transform@0.1.0;\n");
    for manifest in ["Cargo.toml", "package.json", "pyproject.toml"] {
        write(manifest, "");
        let refused = ends(crossdock(dir.path(), &["build"]), 1);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("0.1.0") && said.contains("docs/guides/migrating.md"), "{manifest}: {said}");
        std::fs::remove_file(dir.path().join(manifest)).unwrap();
    }
}
