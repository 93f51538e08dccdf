//! What is on the screen when something is wrong: each message says what to do next.

use std::path::Path;

use serde_json::Value;

use crate::{component, crossdock, ends, guests, report, repository};

const TRANSFORM: &str = "jushuitan-saleout-to-k3cloud";

/// A folder of one case of scheme A, with its expectation.
fn case(folder: &Path, name: &str) -> std::path::PathBuf {
    let case = folder.join("cases").join(name);
    std::fs::create_dir_all(&case).unwrap();
    let from = repository().join("transforms").join(TRANSFORM);
    for file in ["input.json", "expected.json"] {
        std::fs::copy(from.join("cases/special-shop").join(file), case.join(file)).unwrap();
    }
    std::fs::copy(from.join("parameters.example.json"), folder.join("parameters.example.json")).unwrap();
    case
}

fn test(folder: &Path, more: &[&str], code: i32) -> std::process::Output {
    let component = component(TRANSFORM);
    let mut arguments = vec!["test", "--module", component.to_str().unwrap()];
    arguments.extend(more);
    ends(crossdock(folder, &arguments), code)
}

fn story(folder: &Path, name: &str) -> String {
    let report = report(&test(folder, &["--format", "json"], 1));
    let case = report["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap().clone();
    case["story"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_case_that_cannot_be_run_says_what_is_missing_and_where_it_is_malformed() {
    let dir = tempfile::tempdir().unwrap();
    for (name, file, text, says) in [
        ("no-expectation", "expected.json", None, "--update"),
        ("no-input", "input.json", None, "input.json"),
        ("malformed-expectation", "expected.json", Some("{\n  \"emit\": [}\n"), "line 2, column 12"),
        ("malformed-parameters", "parameters.json", Some("{\n  \"a\" 1}"), "line 2, column 7"),
        ("unknown-setting", "case.json", Some("{ \"fule\": 5 }"), "case.json"),
        ("too-little-fuel", "case.json", Some("{ \"fuel\": 5 }"), "the case allows 5"),
    ] {
        let case = case(dir.path(), name);
        match text {
            None => std::fs::remove_file(case.join(file)).unwrap(),
            Some(text) => std::fs::write(case.join(file), text).unwrap(),
        }
        let story = story(dir.path(), name);
        assert!(story.contains(says), "{name} does not say {says:?}: {story}");
    }
}

#[test]
fn every_field_that_differs_is_shown_and_update_writes_what_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let expected = case(dir.path(), "one").join("expected.json");
    let right = std::fs::read_to_string(&expected).unwrap();
    let wrong = right.replace("\"FRealQty\": 2", "\"FRealQty\": 3").replace("KH0102", "KH0999");
    std::fs::write(&expected, &wrong).unwrap();
    let output = test(dir.path(), &[], 1);
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["/emit/0/body/FEntity/0/FRealQty", "- 3", "+ 2", "/emit/0/body/FCustomerID/FNumber", "KH0999"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let junit = String::from_utf8_lossy(&test(dir.path(), &["--format", "junit"], 1).stdout).into_owned();
    assert!(junit.contains("tests=\"1\" failures=\"1\"") && junit.contains("FRealQty"), "{junit}");

    let output = test(dir.path(), &["--update"], 0);
    assert!(String::from_utf8_lossy(&output.stdout).contains("KH0999"), "the difference is shown before it is written");
    test(dir.path(), &[], 0);
    let written = std::fs::read_to_string(&expected).unwrap();
    for part in ["\"FRealQty\": 2", "KH0102", "\"FTaxPrice\": 60.00"] {
        assert!(written.contains(part), "{part} is not in\n{written}");
    }
}

#[test]
fn a_command_that_cannot_begin_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let none = test(dir.path(), &[], 2);
    assert!(said(&none).contains("cases"), "{}", said(&none));
    std::fs::create_dir(dir.path().join("cases")).unwrap();
    let empty = test(dir.path(), &[], 2);
    assert!(said(&empty).contains("a case is a folder with an input.json"), "{}", said(&empty));
    let no_project = ends(crossdock(dir.path(), &["test"]), 3);
    assert!(said(&no_project).contains("crossdock new"), "{}", said(&no_project));
    std::fs::write(dir.path().join("text.wasm"), "not a component").unwrap();
    let refused = ends(crossdock(dir.path(), &["test", "--module", "text.wasm"]), 3);
    assert!(said(&refused).contains("module_refused"), "{}", said(&refused));

    std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
    let mut without = crossdock(dir.path(), &["build"]);
    without.env("PATH", dir.path()).env_remove("CARGO").env_remove("RUSTC");
    let without = ends(without, 1);
    assert!(said(&without).contains("rustup.rs"), "{}", said(&without));
}

#[test]
fn a_guest_that_says_a_megabyte_does_not_fill_the_screen() {
    let dir = tempfile::tempdir().unwrap();
    case(dir.path(), "one");
    let loud = "(drop (memory.grow (i32.const 32)))
        (call $log (i32.const 1) (i32.const 2048) (i32.const 1048576))";
    let component = guests::component("", &format!("{loud} {}", guests::emits(1 << 20)));
    std::fs::write(dir.path().join("loud.wasm"), component).unwrap();
    let output = ends(crossdock(dir.path(), &["test", "--module", "loud.wasm"]), 1);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.stdout.len() + output.stderr.len() < 4_096, "{} bytes", output.stdout.len());
    assert!(text.contains("1 log lines were dropped"), "{text}");
    assert!(text.contains("docs/errors/guest_output_invalid.md"), "{text}");
}
