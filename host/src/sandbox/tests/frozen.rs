//! The contract is kept: what was released does not change, and what was built against it runs.

use std::path::Path;

use super::*;
use crate::sandbox::contract;

/// Released versions, by the digest of their text. A line is added when a version is released, and none is ever changed.
const RELEASED: &[(&str, &str)] = &[("1.0.0", "47e9d285d1d40a971638ff769ff2be0a58d2ea73a52d081c1b3d964fd2600f27")];

/// Made by hand, once, and by no toolchain of this repository; see its first lines.
const FIXTURE: &str = include_str!("../../../../tests/contract/1.0.0/fixture.wat");
const FIXTURE_DIGEST: &str = "1e4da9f8304ca393adc55781cf756edda4040947837a778bca81896a95d45582";

fn wit() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit"))
}

#[test]
fn a_released_version_of_the_contract_is_never_changed() {
    let mut found: Vec<String> =
        std::fs::read_dir(wit()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let released: Vec<&str> = RELEASED.iter().map(|(version, _)| *version).collect();
    assert_eq!(found, released, "each released version has a folder in wit/ and a digest here");
    for (version, digest) in RELEASED {
        let text = std::fs::read(wit().join(version).join("transform.wit")).unwrap();
        assert_eq!(
            Digest::of(&text).to_string(),
            *digest,
            "wit/{version} is released: components built against it are out there, and it must stay as it is. A change \
             is a new version in a folder of its own; docs/decisions/contract.md says how"
        );
        let package = format!("package crossdock:transform@{version};");
        assert!(String::from_utf8(text).unwrap().lines().any(|line| line == package), "{version}");
    }
    assert_eq!(contract::VERSION, *released.last().unwrap());
}

#[test]
fn a_component_of_version_1_runs_as_it_always_did() {
    assert_eq!(Digest::of(FIXTURE.as_bytes()).to_string(), FIXTURE_DIGEST, "a changed fixture proves nothing");
    let component = wat::parse_str(FIXTURE).unwrap();
    let sandbox = sandbox();
    assert_eq!(sandbox.class_of(&component), ModuleClass::Standard);
    let module = sandbox.load(&component, ModuleClass::Standard).unwrap();
    let said = module.description();
    assert_eq!((said.name.as_str(), said.version.as_str()), ("contract-fixture", "1.0.0"));
    assert_eq!((said.source.as_str(), said.target.as_str()), ("fixture:document", "fixture:bill"));
    assert_eq!(said.parameters_schema, r#"{"type":"object"}"#);
    assert_eq!(module.imports(), [contract::TYPES, contract::LOG, contract::REFERENCE]);

    let tables = Tables(BTreeMap::from([
        (("units", "listed"), Lookup::Found(r#"{"id":1.50}"#.into())),
        (("units", "gone"), Lookup::KnownMissing),
        (("units", "late"), Lookup::Pending),
    ]));
    let keys = ["listed", "gone", "nowhere", "late"];
    let documents = keys.map(|key| document(key, &format!(r#"{{"key":"{key}","amount":0.10}}"#)));
    let [first, rest @ ..] = &documents;
    for isolation in [Isolation::Document, Isolation::Batch] {
        let runs = run_with(sandbox, &module, &documents, isolation, &limits(), &tables);
        let bill = |key: &str, body: &str| (key.to_owned(), body.to_owned());
        assert_eq!(
            emitted(&runs[0]),
            [bill("listed", &first.body), bill("parameters", "{}"), bill("entry", r#"{"id":1.50}"#)]
        );
        let logged: Vec<(Level, &str)> = runs[0].logs.iter().map(|line| (line.level, line.message.as_str())).collect();
        let expected = [
            (Level::Debug, "acme"),
            (Level::Info, "saleout"),
            (Level::Warn, "a:b"),
            (Level::Error, "c:d"),
            (Level::Info, "2026-11-01T00:00:00Z"),
        ];
        assert_eq!(logged, expected);
        let why = |code: &str, message: &str, field: Option<&str>| crate::model::Reason {
            code: code.into(),
            message: message.into(),
            field: field.map(Into::into),
        };
        let not_listed = Outcome::Skip(why("not_listed", "the table units has no such key", None));
        assert_eq!(runs[1].verdict, Ok(not_listed));
        let no_table = Outcome::Reject(why("no_table", "the scheme has no table units", Some("/key")));
        assert_eq!(runs[2].verdict, Ok(no_table));
        assert_eq!(fault(&runs[3]).0, "reference_pending");
        assert_eq!(runs.len(), rest.len() + 1);
    }
}
