use super::*;
use crate::model::{Reason, TargetDocument, TargetKey};
use crate::sandbox::{Level, References as _};

fn sample() -> Capsule {
    let settings = Settings::default();
    let bill = |body: &str| TargetDocument { key: TargetKey::new("XS1").unwrap(), body: body.into() };
    let digest = Digest::of("component");
    Capsule {
        format: FORMAT,
        captured_at: Timestamp::UNIX_EPOCH,
        engine: EngineIdentity::of(&settings, ModuleClass::Standard),
        module: ModuleIdentity {
            digest,
            name: "m".into(),
            version: "1.0.0".into(),
            class: ModuleClass::Standard,
            component: Some(vec![0, 255, 7]),
        },
        context: Context {
            tenant: TenantId::new("t").unwrap(),
            scheme: SchemeId::new("saleout").unwrap(),
            source: "s:x".into(),
            target: "t:y".into(),
            received_at: Timestamp::UNIX_EPOCH,
        },
        parameters: "{ \"a\": 1.50 }".into(),
        document: Document {
            key: DocumentKey::new("1/2 三").unwrap(),
            version: 3,
            body: "{\"k\":\"\\u5f20\u{1f600}\",\n\t\"n\":1.10e1}".into(),
        },
        lookups: vec![
            Asked { table: "unit".into(), key: "件".into(), answer: Lookup::Found("{\"id\": 1}".into()) },
            Asked { table: "unit".into(), key: "箱".into(), answer: Lookup::KnownMissing },
        ],
        tables: [("unit".to_owned(), TableRevisions { revision: "abc".into(), production: None })].into(),
        settings: RunSettings::from(&settings),
        limits: Limits::of(&settings, ModuleClass::Standard),
        run: Run {
            outcome: Outcome::Emit(vec![bill("{\"b\":1.50}")]),
            fuel: 55_000,
            memory_bytes: 1 << 20,
            logs: vec![LogLine { level: Level::Warn, message: "careful".into() }],
            logs_dropped: 0,
        },
        production: Production {
            transformed_at: Timestamp::UNIX_EPOCH,
            module: digest,
            isolation: Isolation::Document,
            fuel: 55_000,
            outcome: Agreement::Agrees,
            fuel_agrees: Some(true),
        },
        masked: None,
    }
}

#[test]
fn a_capsule_is_read_as_it_was_written_byte_for_byte() {
    let capsule = sample();
    let text = capsule.to_text().unwrap();
    assert_eq!(Capsule::parse(&text).unwrap(), capsule);
    assert_eq!(capsule.name(), "saleout-1_2_三-v3");
}

#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let why = Capsule::parse(text).unwrap_err().to_string();
    for word in words {
        assert!(why.contains(word), "{word:?} is not in: {why}");
    }
}

#[test]
fn a_newer_format_is_refused_by_its_number_whatever_else_it_holds() {
    let text = sample().to_text().unwrap();
    let newer = text.replace("\"format\": 1", "\"format\": 2").replace("\"crossdock\": \"", "\"crossdock\": \"9.9.9-");
    refused(&newer, &["format 2", "crossdock 9.9.9-", "replay it with"]);
    refused(
        r#"{"format": 7, "engine": {"crossdock": "8.0.0"}, "all": "else is new"}"#,
        &["format 7", "8.0.0 or newer"],
    );
    refused(r#"{"format": 7, "engine": "another shape"}"#, &["format 7", "later release"]);
    refused(r#"{"key": "166001"}"#, &["not a capsule", "crossdock document capsule"]);
}

#[test]
fn a_capsule_that_is_cut_off_or_garbled_says_where_and_what_to_do() {
    let text = sample().to_text().unwrap();
    let lines = text.lines().count();
    refused(
        &text[..text.len() - 3],
        &[&format!("line {}, column", lines - 1), "cut off", "capture the document again"],
    );
    refused(&text[..text.len() / 2], &["line ", "cut off"]);
    refused(&text.replacen("\"lookups\": [", "\"lookups\": {", 1), &["line ", "column "]);
    refused(&text.replacen("\"fuel\": 55000", "\"fuel\": \"55000\"", 1), &["line ", "invalid type"]);
    refused(&text.replacen("\"parameters\"", "\"parametersX\"", 1), &["line ", "parametersX"]);
    refused("", &["line 1, column 0"]);
}

#[test]
fn a_capsule_has_a_most_that_it_may_be() {
    let mut capsule = sample();
    capsule.module.component = None;
    capsule.document.body = "x".repeat(CAPSULE_LIMIT_BYTES);
    let why = capsule.to_text().unwrap_err().to_string();
    assert!(why.contains("too large to be carried about"), "{why}");
    capsule.document.body = "{}".into();
    capsule.module.component = Some(vec![0; CAPSULE_LIMIT_BYTES]);
    let why = capsule.to_text().unwrap_err().to_string();
    assert!(why.contains("--with-module"), "{why}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.capsule");
    std::fs::File::create(&path).unwrap().set_len(CAPSULE_LIMIT_BYTES as u64 + 1).unwrap();
    assert!(matches!(Capsule::read(&path), Err(FileError::TooLarge { .. })));
}

#[test]
fn outcomes_are_the_same_by_their_bytes_and_differ_by_their_values() {
    let emits =
        |body: &str| Outcome::Emit(vec![TargetDocument { key: TargetKey::new("1").unwrap(), body: body.into() }]);
    let check = |one: &Outcome, other: &Outcome, same: bool, places: &[&str]| {
        assert_eq!(one.is_same(other), same, "{one:?} {other:?}");
        let found: Vec<String> = one.differences(other).into_iter().map(|difference| difference.at).collect();
        assert_eq!(found, places, "{one:?} {other:?}");
    };
    let why = |code: &str| Reason { code: code.into(), message: "m".into(), field: None };
    let fault = |message: &str| Outcome::Fault { code: "guest_trap".into(), message: message.into() };
    check(&emits(r#"{"a":1.50}"#), &emits(r#"{"a":1.50}"#), true, &[]);
    check(&emits(r#"{"a":1.50}"#), &emits(r#"{"a":1.5}"#), false, &[]);
    check(&emits(r#"{"a":1.50}"#), &emits(r#"{"a":1.51}"#), false, &["/emit/0/body/a"]);
    check(&Outcome::Skip(why("x")), &Outcome::Skip(why("y")), false, &["/skip/code"]);
    check(&Outcome::Skip(why("x")), &Outcome::Reject(why("x")), false, &["/reject", "/skip"]);
    check(&fault("after 3 ms"), &fault("after 4 ms"), true, &[]);
    check(&fault(""), &emits("{}"), false, &["/emit", "/fault"]);
}

#[test]
fn answers_give_what_was_recorded_and_remember_what_was_not() {
    let answers = Answers::new(&sample().lookups);
    assert_eq!(answers.lookup("unit", "件"), Lookup::Found("{\"id\": 1}".into()));
    assert_eq!(answers.lookup("unit", "箱"), Lookup::KnownMissing);
    assert_eq!(answers.missed(), None);
    assert_eq!(answers.lookup("unit", "盒"), Lookup::Pending);
    assert_eq!(answers.lookup("stock", "1"), Lookup::Pending);
    assert_eq!(answers.missed(), Some(("unit".into(), "盒".into())), "the first of them");
}

#[test]
fn fuel_is_comparable_under_the_same_wasmtime_and_settings_alone() {
    let own = EngineIdentity::of(&Settings::default(), ModuleClass::Standard);
    let newer = EngineIdentity { crossdock: "9.0.0".into(), ..own.clone() };
    assert!(own.counts_fuel_like(&newer), "crossdock itself burns none");
    assert!(!own.counts_fuel_like(&EngineIdentity { wasmtime: "60.0.0".into(), ..own.clone() }));
    assert!(!own.counts_fuel_like(&EngineIdentity { settings_hash: Digest::of("other"), ..own.clone() }));
}
