//! Capsules: a document of the ledger, run again in another process that has neither the ledger nor a configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};
use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::engine::said;
use vendor_sim::proof::schemes::{SALEOUT, STOCKIN};
use vendor_sim::proof::world::{SCHEME, World};

use crate::guests::{component, emits};
use crate::{PATIENCE, check_no_secret_was_said, in_directory, programs, told, wait_for_state, world};

const PERSONAL: [(&str, &str); 4] = [
    ("receiver_name", "张三丰"),
    ("receiver_mobile", "13812345678"),
    ("receiver_address", "花园路88号5栋"),
    ("remark", "给张三丰，电话 13812345678"),
];

/// A sale-out that is written, and whose note has a person in it.
fn sale_out(number: u64, remark: &str) -> Value {
    let mut body = json!({
        "io_id": number, "o_id": 1, "so_id": format!("SO{number}"), "shop_id": 1, "status": "Confirmed", "wms_co_id": 2,
        "io_date": "2026-11-20 10:30:00", "remark": remark, "l_id": "",
        "items": [{"sku_id": "SKU001", "qty": 1, "sale_price": "1.00"}],
    });
    for (name, value) in &PERSONAL[..3] {
        body[*name] = json!(value);
    }
    body
}

/// The capsule of a document, as a file that the world keeps.
fn capture(world: &World, name: &str, arguments: &[&str]) -> (PathBuf, Value) {
    let text = told(world.product.succeed(&[["document", "capsule"].as_slice(), arguments].concat()));
    let path = in_directory(world, name);
    std::fs::write(&path, &text).unwrap();
    (path, serde_json::from_str(&text).unwrap())
}

/// `crossdock` as a developer calls it: no configuration, no credential, an empty folder.
fn bench(world: &World, arguments: &[&str]) -> Output {
    let folder = in_directory(world, "bench");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(programs().crossdock);
    command.args(arguments).current_dir(&folder).env("XDG_CACHE_HOME", folder.join("cache")).stdin(Stdio::null());
    command.output().unwrap()
}

fn replay(world: &World, capsule: &Path, arguments: &[&str]) -> Output {
    let components = programs().components.canonicalize().unwrap();
    let whole = ["replay", capsule.to_str().unwrap(), "--format", "json", "--modules", components.to_str().unwrap()];
    bench(world, &[whole.as_slice(), arguments].concat())
}

#[track_caller]
fn report(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

#[track_caller]
fn says(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    let text = String::from_utf8_lossy(&output.stderr);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[track_caller]
fn check_exact(world: &World, capsule: &Path, arguments: &[&str]) {
    let replayed = report(&replay(world, capsule, arguments), 0);
    assert_eq!(
        [&replayed["holds"], &replayed["verdict"], &replayed["fuel"]["standing"], &replayed["same_module"]],
        [&json!(true), &json!("same"), &json!("same"), &json!(true)],
        "{replayed}"
    );
    assert_eq!(replayed["fuel"]["recorded"], replayed["fuel"]["found"]);
}

/// The capsule with one value changed, beside it.
fn changed(capsule: &Path, place: &str, value: Value) -> PathBuf {
    let mut whole: Value = serde_json::from_slice(&std::fs::read(capsule).unwrap()).unwrap();
    *whole.pointer_mut(place).unwrap_or_else(|| panic!("{place} is not there")) = value;
    let path = capsule.with_extension("changed.capsule");
    std::fs::write(&path, whole.to_string()).unwrap();
    path
}

#[test]
fn a_document_of_the_ledger_replays_in_another_process_with_the_same_bytes_and_fuel() {
    // An operator's own price of host calls goes with the capsule.
    let extra = "[sandbox]\nhost_call_fuel = 3000".to_owned();
    let scheme = Scheme { keys: "document_limit_bytes = 20000".to_owned(), ..Scheme::default() };
    let settings = Settings { extra, schemes: vec![scheme], ..Settings::default() };
    let mut world = world(&["--documents", "60", "--seed", "31"], &settings);
    told(world.simulator.add(&sale_out(4242, PERSONAL[3].1)));
    told(world.simulator.add(&sale_out(4243, &"x".repeat(20_001))));
    let mut engine = told(world.start());
    wait_for_state(&world, &engine, SCHEME, "4242", "written");
    told(world.wait_until_done(&mut engine, PATIENCE));

    let shown = told(world.product.succeed(&["document", "show", "4242", "--unmask", "--format", "json"]));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let (raw, whole) = capture(&world, "raw.capsule", &["4242", "--raw"]);
    assert_eq!(whole["document"]["body"], shown["versions"][0]["body"]);
    assert_eq!(whole["run"]["outcome"]["emit"][0]["body"], shown["versions"][0]["emitted"][0]);
    assert_eq!(whole["run"]["fuel"], shown["versions"][0]["fuel"]);
    assert_eq!(
        [&whole["production"]["outcome"], &whole["production"]["fuel_agrees"]],
        [&json!("agrees"), &json!(true)]
    );
    assert_eq!(whole["masked"], Value::Null);
    check_exact(&world, &raw, &[]);

    // Of the generated ones, one of each outcome.
    let ledger = told(world.product.ledger(SCHEME));
    for state in ["written", "skipped", "parked"] {
        let entry = ledger.values().find(|entry| entry.state == state && entry.key != "4243");
        let entry = entry.unwrap_or_else(|| panic!("of these documents none is {state}"));
        let (path, whole) = capture(&world, &format!("{state}.capsule"), &[&entry.key]);
        assert_eq!(whole["production"]["outcome"], "agrees", "{state} {}", entry.key);
        check_exact(&world, &path, &[]);
    }

    let (masked, whole) = capture(&world, "masked.capsule", &["4242"]);
    let text = std::fs::read_to_string(&masked).unwrap();
    for (name, value) in PERSONAL {
        assert!(!text.contains(value), "{name} is in the masked capsule");
    }
    assert!(text.contains("SKU001") && whole["masked"]["values"].as_u64().unwrap() >= 4, "{text}");
    assert_eq!(whole["production"]["outcome"], "agrees", "the run before masking was compared");
    assert_eq!(whole["run"]["outcome"]["emit"][0]["key"], "4242");
    check_exact(&world, &masked, &[]);
    let again = capture(&world, "again.capsule", &["4242"]).1;
    assert_eq!(again["document"], whole["document"], "one engine gives one value one mask");

    says(&told(world.product.run(&["document", "capsule", "nobody"])), 1, &["nobody"]);
    let never = told(world.product.run(&["document", "capsule", "4243"]));
    says(&never, 1, &["never transformed", "docs/errors/document_too_large.md"]);
    let unknown = told(world.product.run(&["document", "capsule", "4242", "--version", "9"]));
    says(&unknown, 1, &["no version 9; there are: 1"]);
    let rules = in_directory(&world, "mask.rules");
    std::fs::write(&rules, "remark\nitems/sku").unwrap();
    let refused = told(world.product.run(&["document", "capsule", "4242", "--mask", rules.to_str().unwrap()]));
    says(&refused, 2, &["line 2", "/items/*/remark"]);

    told(engine.terminate());
    check_no_secret_was_said(&world);
    a_difference_is_told(&world, &raw);
    what_cannot_be_used_says_what_to_do(&world, &raw);
    production_becomes_cases(&world, &masked);
}

fn a_difference_is_told(world: &World, raw: &Path) {
    let other = in_directory(world, "other.wasm");
    std::fs::write(&other, component(r#"(data (i32.const 2048) "{\"FBillNo\":\"4242\"}")"#, &emits(18))).unwrap();
    let replayed = report(&replay(world, raw, &["--module", other.to_str().unwrap()]), 1);
    assert_eq!([&replayed["same_module"], &replayed["verdict"]], [&json!(false), &json!("differs")]);
    assert_eq!(replayed["fuel"]["standing"], "other_module");
    let places: Vec<&str> =
        replayed["differences"].as_array().unwrap().iter().map(|one| one["at"].as_str().unwrap()).collect();
    assert!(places.contains(&"/emit/0/body/FNote") && !places.contains(&"/emit/0/body/FBillNo"), "{places:?}");

    let fuel: Value = serde_json::from_slice(&std::fs::read(raw).unwrap()).unwrap();
    let fuel = fuel["run"]["fuel"].as_u64().unwrap();
    let replayed = report(&replay(world, &changed(raw, "/run/fuel", json!(fuel + 1)), &[]), 1);
    assert_eq!([&replayed["verdict"], &replayed["fuel"]["standing"]], [&json!("same"), &json!("differs")]);
    for (place, value) in [("/engine/wasmtime", json!("60.0.0")), ("/engine/settings_hash", json!("0".repeat(64)))] {
        let elsewhere = changed(&changed(raw, "/run/fuel", json!(fuel + 1)), place, value);
        let replayed = report(&replay(world, &elsewhere, &[]), 0);
        assert_eq!([&replayed["verdict"], &replayed["fuel"]["standing"]], [&json!("same"), &json!("not_comparable")]);
    }
    let replayed = report(&replay(world, &changed(raw, "/run/outcome/emit/0/body", json!("{}")), &[]), 1);
    assert_eq!(replayed["verdict"], "differs");
}

fn what_cannot_be_used_says_what_to_do(world: &World, raw: &Path) {
    let text = std::fs::read_to_string(raw).unwrap();
    let write = |text: &str| {
        let path = raw.with_extension("bad.capsule");
        std::fs::write(&path, text).unwrap();
        path
    };
    let cut = write(&text[..text.len() / 2]);
    says(&replay(world, &cut, &[]), 2, &["line ", "column ", "capture the document again"]);
    let newer = changed(raw, "/format", json!(2));
    says(&replay(world, &newer, &[]), 2, &["format 2", "or newer"]);
    says(&replay(world, &write("{}"), &[]), 2, &["not a capsule"]);
    says(&replay(world, Path::new("nowhere.capsule"), &[]), 2, &["nowhere.capsule"]);
    let alone = bench(world, &["replay", raw.to_str().unwrap()]);
    says(&alone, 3, &["jushuitan-saleout-to-k3cloud@", "--modules", "--with-module"]);
    let text = bench(world, &["replay", raw.to_str().unwrap(), "--modules", "/nonexistent"]);
    says(&text, 3, &["/nonexistent"]);
}

fn production_becomes_cases(world: &World, masked: &Path) {
    let folder = in_directory(world, "captured");
    std::fs::create_dir(&folder).unwrap();
    for name in ["masked", "raw", "skipped"].map(|name| masked.with_file_name(format!("{name}.capsule"))) {
        std::fs::copy(&name, folder.join(name.file_name().unwrap())).unwrap();
    }
    let module = programs().components.canonicalize().unwrap().join("jushuitan-saleout-to-k3cloud.wasm");
    let module = module.to_str().unwrap();
    let test = |more: &[&str]| bench(world, &[&["test", "--format", "json", "--module", module], more].concat());
    let passed = report(&test(&["--from-capsules", folder.to_str().unwrap()]), 0);
    assert_eq!(passed["cases"].as_array().unwrap().len(), 3, "{passed}");
    std::fs::rename(changed(masked, "/run/outcome/emit/0/key", json!("4")), folder.join("wrong.capsule")).unwrap();
    let failed = report(&test(&["--from-capsules", folder.to_str().unwrap()]), 1);
    assert_eq!(failed["failed"], 1, "{failed}");
    says(&test(&["--from-capsules", "."]), 2, &["holds no capsule"]);

    let cases = in_directory(world, "cases");
    let write = ["replay", masked.to_str().unwrap(), "--as-case", cases.to_str().unwrap()];
    let written = bench(world, &write);
    assert_eq!(written.status.code(), Some(0), "{}", said(&written));
    says(&bench(world, &write), 2, &["is there already"]);
    assert_eq!(report(&test(&["--cases", cases.to_str().unwrap()]), 0)["failed"], 0);

    let capsule = ["explain", "--capsule", masked.to_str().unwrap(), "--field", "/FNote", "--format", "json"];
    let explained = report(&bench(world, &[capsule.as_slice(), &["--module", module]].concat()), 0);
    assert!(
        explained["fields"][0]["from"].as_array().unwrap().contains(&json!({ "document": "/remark" })),
        "{explained}"
    );
}

#[test]
fn look_ups_are_answered_as_they_were_and_masked_with_their_keys() {
    let simulator = ["--wangdiantong", r#"{"documents":0}"#, "--jdy", r#"{"envelope":"by_path"}"#];
    let mut world = world(&simulator, &Settings { schemes: vec![Scheme::of(STOCKIN)], ..Settings::default() });
    let document = STOCKIN.document(1, &mut ChaCha8Rng::seed_from_u64(1));
    let key = document["stockin_no"].as_str().unwrap().to_owned();
    told(world.simulator.add_to(STOCKIN, &document));
    let mut engine = told(world.start());
    wait_for_state(&world, &engine, STOCKIN.name(), &key, "written");
    let (plain, whole) = capture(&world, "plain.capsule", &[&key, "--raw", "--with-module"]);
    let rules = in_directory(&world, "mask.rules");
    std::fs::write(&rules, "# articles are a secret\nspec_no\n/warehouse_no\n").unwrap();
    let (masked, other) =
        capture(&world, "masked.capsule", &[&key, "--mask", rules.to_str().unwrap(), "--with-module"]);
    told(engine.terminate());
    check_no_secret_was_said(&world);

    let lookups = |whole: &Value| whole["lookups"].as_array().unwrap().clone();
    assert!(lookups(&whole).len() >= 3, "{whole}");
    assert_eq!(whole["tables"].as_object().unwrap().len(), 3);
    assert!(whole["tables"].as_object().unwrap().values().all(|table| table["revision"] == table["production"]));
    // The component is in it, so nothing else is needed.
    for capsule in [&plain, &masked] {
        let replayed = report(&bench(&world, &["replay", capsule.to_str().unwrap(), "--format", "json"]), 0);
        assert_eq!([&replayed["verdict"], &replayed["fuel"]["standing"]], [&json!("same"), &json!("same")]);
    }
    for table in ["kingdee_jdy.material", "kingdee_jdy.stock"] {
        let keys = |whole: &Value| -> Vec<Value> {
            let of_table = |asked: &&Value| asked["table"] == *table;
            lookups(whole).iter().filter(of_table).map(|asked| asked["key"].clone()).collect()
        };
        let (before, after) = (keys(&whole), keys(&other));
        assert_eq!(before.len(), after.len());
        assert!(before.iter().all(|key| !after.contains(key)), "{table}: {before:?} and {after:?}");
        assert!(before.iter().all(|key| !other["document"]["body"].as_str().unwrap().contains(key.as_str().unwrap())));
    }
    assert!(other["run"]["outcome"]["emit"].is_array(), "the masked keys were found: {other}");

    let answer = lookups(&whole).iter().position(|asked| asked["table"] == "kingdee_jdy.material").unwrap();
    let lost = changed(&plain, &format!("/lookups/{answer}/answer"), json!("known_missing"));
    assert_eq!(report(&replay(&world, &lost, &[]), 1)["verdict"], "differs");
    let unasked = changed(&plain, "/lookups", json!([]));
    let replayed = report(&replay(&world, &unasked, &[]), 1);
    assert_eq!(replayed["verdict"], "unanswered");
    assert!(replayed["problem"].as_str().unwrap().contains("looks up"), "{replayed}");
}

#[test]
fn a_capsule_says_whether_production_gave_the_same() {
    let mut world = world(&["--documents", "0"], &Settings::default());
    told(world.simulator.add(&sale_out(4242, "")));
    let mut engine = told(world.start());
    wait_for_state(&world, &engine, SCHEME, "4242", "written");
    told(engine.terminate());

    // Without an engine, the store itself is asked.
    assert_eq!(capture(&world, "one.capsule", &["4242"]).1["production"]["outcome"], "agrees");
    let parameters = in_directory(&world, "saleout.parameters.json");
    let text = std::fs::read_to_string(&parameters).unwrap();
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["bill_type"] = json!("XSCKD99_SYS");
    std::fs::write(&parameters, other.to_string()).unwrap();
    let (path, whole) = capture(&world, "two.capsule", &["4242"]);
    assert_eq!(whole["production"]["outcome"], json!({ "differs": { "at": ["/emit/0/body/FBillTypeID/FNUMBER"] } }));
    let told_twice = told(world.product.run(&["document", "capsule", "4242"]));
    says(&told_twice, 0, &["/emit/0/body/FBillTypeID/FNUMBER", "parameters or reference tables have changed"]);
    check_exact(&world, &path, &[]);
    std::fs::write(&parameters, text).unwrap();

    // The scheme goes on with another component; that of production is gone, and comes back.
    let original = programs().component(SALEOUT).canonicalize().unwrap();
    let other = in_directory(&world, "other.wasm");
    std::fs::write(&other, component("", "unreachable")).unwrap();
    let configuration = std::fs::read_to_string(&world.product.configuration).unwrap();
    let configuration = configuration.replace(original.to_str().unwrap(), other.to_str().unwrap());
    std::fs::write(&world.product.configuration, configuration).unwrap();
    let without = told(world.product.run(&["document", "capsule", "4242"]));
    says(&without, 0, &["is not in", "says nothing of production"]);
    let whole: Value = serde_json::from_slice(&without.stdout).unwrap();
    assert_eq!(whole["production"]["outcome"], "other_module");
    assert_eq!(whole["run"]["outcome"]["fault"]["code"], "guest_trap");
    std::fs::create_dir(in_directory(&world, "modules")).unwrap();
    std::fs::copy(&original, in_directory(&world, "modules/back.wasm")).unwrap();
    let (path, whole) = capture(&world, "three.capsule", &["4242"]);
    assert_eq!(whole["production"]["outcome"], "agrees");
    check_exact(&world, &path, &[]);
}
