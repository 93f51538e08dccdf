use std::cell::RefCell;

use serde_json::json;

use super::*;
use crate::model::{ConnectionName, System};

/// A tenant with two connections, a table and another scheme.
struct Tenant {
    tenant: TenantId,
    connections: Vec<Connection>,
    tables: UploadedTables,
    others: Vec<Scheme>,
}

impl Tenant {
    fn new() -> Self {
        let tenant = TenantId::new("acme").unwrap();
        let connection = |name: &str, system| Connection {
            tenant: tenant.clone(),
            name: ConnectionName::new(name).unwrap(),
            system,
            settings: toml::Table::new(),
            guarded: true,
        };
        let connections = vec![connection("jst", System::JushuitanQimen), connection("k3", System::KingdeeK3cloud)];
        let tables = UploadedTables::from(["shops".to_owned()]);
        Self { tenant, connections, tables, others: Vec::new() }
    }

    fn read(&self, settings: &Value, options: &LoadOptions<'_>) -> Result<(Scheme, Vec<Objection>), Vec<Objection>> {
        let module = ModuleSource::Named("saleout@1.0.0".parse().unwrap());
        let single = SingleScheme {
            tenant: &self.tenant,
            name: &SchemeId::new("saleout").unwrap(),
            module: &module,
            enabled: true,
            settings,
            connections: &self.connections,
            others: &self.others,
            tables: &self.tables,
        };
        scheme_from(&single, options)
    }
}

fn good() -> Value {
    json!({
        "source": { "connection": "jst", "operation": "jushuitan.saleout.list.query", "status": "Confirmed" },
        "target": { "connection": "k3", "operation": "BatchSave", "form": "SAL_OUTSTOCK" },
        "schedule": "every 5m",
        "start_at": "2026-11-01T00:00:00+08:00",
    })
}

/// The good settings with another value at `key`.
fn with(key: &str, value: Value) -> Value {
    let mut settings = good();
    settings[key] = value;
    settings
}

/// Pointer and message of each objection, in the order in which they were found.
#[track_caller]
fn check(settings: &Value, said: &[(&str, &str)]) {
    let objections = Tenant::new().read(settings, &LoadOptions::new(&|_| None)).map(|_| ()).unwrap_err();
    let found: Vec<(String, &str)> = objections.iter().map(|one| (one.pointer(), one.message.as_str())).collect();
    assert_eq!(found.len(), said.len(), "{found:?}");
    for ((pointer, message), (at, words)) in found.iter().zip(said) {
        assert_eq!(pointer, at, "{found:?}");
        assert!(message.contains(words), "{message:?} does not say {words:?}");
    }
}

#[test]
fn settings_mean_what_a_block_of_the_file_means() {
    let settings = with("reference", json!({ "shop": { "table": "shops" }, "kingdee.x": { "connection": "k3" } }));
    let (scheme, warnings) = Tenant::new().read(&settings, &LoadOptions::new(&|_| None)).unwrap();
    assert_eq!(warnings, []);
    assert_eq!((scheme.tenant.as_str(), scheme.name.as_str(), scheme.enabled), ("acme", "saleout", true));
    assert_eq!(scheme.module, ModuleSource::Named("saleout@1.0.0".parse().unwrap()));
    assert_eq!(scheme.source.options["status"].as_str(), Some("Confirmed"));
    assert_eq!(scheme.lag, jiff::SignedDuration::from_secs(120), "defaults are those of the file");
    let uploaded = scheme.reference.iter().find(|reference| reference.table == "shop").unwrap();
    assert!(matches!(&uploaded.from, ReferenceFrom::Uploaded { table } if table == "shops"));
    assert_eq!(scheme.reference.len(), 2);
}

#[test]
fn parameters_stay_as_they_were_written() {
    let text = r#"{"price":1.10,"large":123456789012345678901234567890,"none":null,"nested":{"file":"x","y":[1e5]}}"#;
    let settings = with("parameters", serde_json::from_str(text).unwrap());
    let (scheme, _) = Tenant::new().read(&settings, &LoadOptions::new(&|_| None)).unwrap();
    assert_eq!(scheme.parameters, text.replace("1e5", "1e+5"));
}

#[test]
fn what_is_wrong_is_said_of_its_place_in_the_json() {
    check(&json!([]), &[("", "not an object")]);
    check(&json!({}), &[("", "no `source`"), ("", "no `target`"), ("", "no `schedule`"), ("", "no `start_at`")]);
    check(&with("schedule", json!("every now")), &[("/schedule", "schedule")]);
    check(&with("batch_size", json!("ten")), &[("/batch_size", "a whole number")]);
    check(&with("lmits", json!({})), &[("/lmits", "unknown key")]);
    check(
        &with("limits", json!({ "fuel": 1, "a/b": 2 })),
        &[("/limits/fuel", "out of range"), ("/limits/a~1b", "unknown")],
    );
    check(&with("source", json!({ "connection": "nope", "operation": "x" })), &[("/source/connection", "nope")]);
    check(&with("source", json!({ "connection": "jst" })), &[("/source", "no `operation`")]);
    check(&with("when", json!({ "after": "customers" })), &[("/when/after", "does not have")]);
    check(&with("lag", Value::Null), &[("/lag", "is null")]);
    check(&with("name", json!("other")), &[("name", "")].map(|_| ("/name", "does not belong")));
}

#[test]
fn an_objection_of_a_layer_above_comes_with_its_pointer() {
    let object = |_: &Scheme, _: &Connection, _: &Connection| {
        vec![
            Objection::new("source.status", "is odd", "mend it"),
            Objection::warning("lag", "is short", "make it longer"),
        ]
    };
    let options = LoadOptions { check_scheme: &object, ..LoadOptions::new(&|_| None) };
    let objections = Tenant::new().read(&good(), &options).map(|_| ()).unwrap_err();
    let found: Vec<String> = objections.iter().map(Objection::pointer).collect();
    assert_eq!(found, ["/source/status", ""], "what has no place is of the settings: {objections:?}");
    assert!(objections[1].message.contains("lag"), "and so its message names it");
}

#[test]
fn warnings_alone_let_the_scheme_be() {
    let object = |_: &Scheme, _: &Connection, _: &Connection| vec![Objection::warning("schedule", "is slow", "")];
    let options = LoadOptions { check_scheme: &object, ..LoadOptions::new(&|_| None) };
    let (_, warnings) = Tenant::new().read(&good(), &options).unwrap();
    assert_eq!(warnings.iter().map(Objection::pointer).collect::<Vec<_>>(), ["/schedule"]);
}

#[test]
fn nothing_of_the_engines_machine_can_be_named() {
    let words = "of the engine's machine";
    check(&with("parameters", json!({ "file": "/etc/passwd" })), &[("/parameters", words)]);
    for file in [json!({ "file": "/etc/passwd", "key": "x" }), json!({ "file": "t.json" })] {
        check(&with("reference", json!({ "t": file })), &[("/reference/t", words)]);
    }
    check(&with("module", json!({ "file": "m.wasm" })), &[("/module", "does not belong")]);
    // Options of an endpoint are the connector's to judge: here they stay a table and are looked up nowhere.
    let asked = RefCell::new(Vec::new());
    let env = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        Some("a secret of the machine".to_owned())
    };
    let settings = with("source", json!({ "connection": "jst", "operation": "x", "token": { "env": "HOME" } }));
    let read = Tenant::new().read(&settings, &LoadOptions::new(&env));
    let said = format!("{read:?}");
    assert!(asked.borrow().is_empty() && !said.contains("a secret of the machine"), "{said}");
}

#[test]
fn a_table_that_was_not_uploaded_is_missed() {
    check(&with("reference", json!({ "t": { "table": "nope" } })), &[("/reference/t", "not there")]);
    check(&with("reference", json!({ "t": { "table": "shops", "key": "a" } })), &[("/reference/t", "other keys")]);
    check(&with("reference", json!({ "t": { "table": 3 } })), &[("/reference/t", "not there")]);
}

#[test]
fn no_text_leaves_its_quotes() {
    let odd = "a\"\nschedule = \"every 1s\"\n#\\\u{7f}\u{1}名";
    let settings = with("source", json!({ "connection": "jst", "operation": "x", (odd): odd }));
    let (scheme, _) = Tenant::new().read(&settings, &LoadOptions::new(&|_| None)).unwrap();
    assert_eq!(scheme.source.options[odd].as_str(), Some(odd));
    assert_eq!(scheme.schedule, "every 5m".parse().unwrap());
}

#[test]
fn settings_nested_beyond_reason_are_refused_and_not_followed() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "a": deep });
    }
    let objections = Tenant::new().read(&with("source", deep), &LoadOptions::new(&|_| None)).map(|_| ()).unwrap_err();
    assert!(objections[0].message.contains("nested too deeply"), "{objections:?}");
}

#[test]
fn refusing_what_a_stranger_sends_takes_no_more_than_it_does() {
    let unknown = |count: usize| (0..count).map(|number| (format!("u{number}"), json!(1))).collect::<Map<_, _>>();
    let mut many = good();
    many.as_object_mut().unwrap().extend(unknown(5_000));
    for settings in [with("reference", json!({ ("K".repeat(500_000)): unknown(2_000) })), many] {
        let objections = Tenant::new().read(&settings, &LoadOptions::new(&|_| None)).map(|_| ()).unwrap_err();
        let length = |one: &Objection| one.pointer().len() + one.message.len() + one.remedy.len();
        let bytes: usize = objections.iter().map(length).sum();
        assert!(objections.len() <= 200 && bytes < 200_000, "{} objections, {bytes} bytes", objections.len());
    }
}
