//! `cargo test` and the sandbox agree: the same bytes of a thousand documents of each source, skipped and rejected ones
//! among them, in a fresh instance and in a used one; and the same fuel every time.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vendor_sim::{Options, documents};

use crate::{component, crossdock, ends, in_place, report, repository};

const DOCUMENTS: usize = 1_000;

#[test]
fn jushuitan_sale_outs() {
    let parameters = example("jushuitan-saleout-to-k3cloud");
    check("jushuitan_qimen", "jushuitan-saleout-to-k3cloud", &parameters, |_| json!({}));
}

#[test]
fn u8_sale_outs() {
    let parameters = json!({
        "shop_no": "SHOP01",
        "receiver": {
            "name": "define1", "mobile": "define10", "address": "define9",
            "region": { "province": "define2", "city": "define3", "district": "define8" },
        },
    });
    check("yonyou_u8", "u8-saleout-to-wangdiantong", &parameters, |_| json!({}));
}

#[test]
fn wangdiantong_stock_ins_with_their_look_ups() {
    check("wangdiantong_qimen", "wangdiantong-stockin-to-jdy", &example("wangdiantong-stockin-to-jdy"), |documents| {
        let column = |name: &str| -> Value {
            let mut codes: BTreeMap<String, usize> = BTreeMap::new();
            for code in documents.iter().flat_map(|body| texts(body, name)) {
                *codes.entry(code).or_default() += 1;
            }
            // The rarest article is in no table, so that some documents are rejected for it.
            let rarest = codes.iter().min_by_key(|(_, count)| **count).map(|(code, _)| code.clone());
            codes.retain(|code, _| name != "spec_no" || Some(code) != rarest.as_ref());
            let entry = |(id, code): (usize, String)| (code, json!({ "id": id.to_string() }));
            codes.into_keys().enumerate().map(entry).collect()
        };
        json!({
            "kingdee_jdy.material": column("spec_no"),
            "kingdee_jdy.stock": column("warehouse_no"),
            "kingdee_jdy.unit": column("goods_unit"),
        })
    });
}

/// Every text under this name, wherever it lies.
fn texts(value: &Value, name: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(field, value)| match value.as_str() {
                Some(text) if field == name => vec![text.to_owned()],
                _ => texts(value, name),
            })
            .collect(),
        Value::Array(rows) => rows.iter().flat_map(|row| texts(row, name)).collect(),
        _ => Vec::new(),
    }
}

fn example(transform: &str) -> Value {
    let path = repository().join("transforms").join(transform).join("parameters.example.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn check(system: &str, transform: &str, parameters: &Value, tables: impl Fn(&[Value]) -> Value) {
    let dir = tempfile::tempdir().unwrap();
    let cases = dir.path().join("cases");
    std::fs::create_dir(&cases).unwrap();
    write_cases(&cases, system, parameters, tables);
    let component = component(transform);
    let run = |more: &[&str]| {
        let mut arguments = vec!["test", "--format", "json"];
        arguments.extend(["--module", component.to_str().unwrap(), "--cases", cases.to_str().unwrap()]);
        arguments.extend(more);
        report(&ends(crossdock(dir.path(), &arguments), 0))
    };
    let first = run(&["--update", "--exact"]);
    let kinds = ["emit", "skip", "reject"].map(|kind| count(&cases, kind));
    assert!(kinds[0] > 500 && kinds[1] > 5 && kinds[2] > 5, "emitted, skipped, rejected: {kinds:?}");

    // The module is compiled anew, and not taken from what the first run left.
    let again = run(&["--artefacts", dir.path().join("artefacts").to_str().unwrap()]);
    assert_eq!(again["failed"], 0);
    assert_eq!(fuels(&first), fuels(&again));
    assert_eq!(run(&["--isolation", "batch"])["failed"], 0);

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--locked", "--package", transform, "every_case"]);
    in_place(&mut cargo, &repository().join("transforms"));
    // Compiled where `make test` compiles them too.
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => cargo.env("CARGO_TARGET_DIR", target),
        None => cargo.env_remove("CARGO_TARGET_DIR"),
    };
    cargo.env("CROSSDOCK_CASES", &cases);
    let native = ends(cargo, 0);
    assert!(String::from_utf8_lossy(&native.stdout).contains("1 passed"), "no test ran");
}

fn write_cases(folder: &Path, system: &str, parameters: &Value, tables: impl Fn(&[Value]) -> Value) {
    let to = "2026-11-01T00:00:00Z".parse().unwrap();
    let from = "2026-10-29T00:00:00Z".parse().unwrap();
    let shares = Options { skip_percent: 10, reject_percent: 15, ..Options::default() };
    let options = Options { documents: DOCUMENTS, seed: 47, from, to, ..shares };
    let documents = documents(system, &options).unwrap();
    assert_eq!(documents.len(), DOCUMENTS);
    let bodies: Vec<Value> = documents.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    let tables = tables(&bodies);
    for (number, (key, body)) in documents.iter().enumerate() {
        // The body is put in as text: its bytes are what is compared.
        let case = format!(
            "{{\"key\": {}, \"parameters\": {parameters}, \"tables\": {tables}, \"input\": {body}}}\n",
            json!(key)
        );
        std::fs::write(folder.join(format!("{number:04}.json")), case).unwrap();
    }
}

/// Cases whose expectation is of this kind, with every bill pinned to its bytes.
fn count(folder: &Path, kind: &str) -> usize {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let cases = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    cases
        .filter(|path| {
            let case: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            let found = &case["expected"][kind];
            assert!(found[0]["key"].is_null() || found[0]["text"].is_string(), "{}: {found}", path.display());
            !found.is_null()
        })
        .count()
}

fn fuels(report: &Value) -> Vec<(String, u64)> {
    let fuel = |case: &Value| (case["name"].as_str().unwrap().to_owned(), case["fuel"].as_u64().unwrap());
    report["cases"].as_array().unwrap().iter().map(fuel).collect()
}
