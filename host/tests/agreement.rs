//! The developer's bench and the engine give the same: a thousand generated documents of each source, skipped and rejected
//! ones among them, through the transforms of this repository. `make components` makes those.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, RwLock};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crossdock::bench::Laboratory;
use crossdock::bench::case::{self, Specimen, guest_outcome};
use crossdock::bench::laboratory::Tables;
use crossdock::daemon::{FileModules, ModulePlaces, SandboxTransformer};
use crossdock::model::{Document, DocumentKey, Outcome, SchemeId, TenantId};
use crossdock::pipeline::quota::Meter;
use crossdock::pipeline::reference::{Catalogue, Entries};
use crossdock::pipeline::tally::Tally;
use crossdock::pipeline::transformer::{Ran, Task, Transformer as _};
use crossdock::sandbox::{Call, Compiler, Context, Isolation, Limits, Sandbox, Settings};
use crossdock_guest::testing::{Case, EXAMPLE};
use jiff::Timestamp;
use serde_json::{Value, json};
use vendor_sim::Options;
use vendor_sim::proof::programs::{Given, Programs};

const DOCUMENTS: usize = 1_000;
/// As many as a driver hands over at once.
const ROUND: usize = 50;
const RECEIVED_AT: &str = "2026-11-01T00:00:00Z";

type TableTexts = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn jushuitan_sale_outs() {
    let parameters = example("jushuitan-saleout-to-k3cloud");
    check("jushuitan_qimen", "jushuitan-saleout-to-k3cloud", parameters, |_| TableTexts::new());
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
    check("yonyou_u8", "u8-saleout-to-wangdiantong", parameters.to_string(), |_| TableTexts::new());
}

#[test]
fn wangdiantong_stock_ins_with_their_look_ups() {
    let parameters = example("wangdiantong-stockin-to-jdy");
    check("wangdiantong_qimen", "wangdiantong-stockin-to-jdy", parameters, |documents| {
        let column = |name: &str| -> BTreeMap<String, String> {
            let mut codes: BTreeMap<String, usize> = BTreeMap::new();
            for code in documents.iter().flat_map(|body| texts(body, name)) {
                *codes.entry(code).or_default() += 1;
            }
            // The rarest article is in no table, so that some documents are rejected for it.
            let rarest = codes.iter().min_by_key(|(_, count)| **count).map(|(code, _)| code.clone());
            codes.retain(|code, _| name != "spec_no" || Some(code) != rarest.as_ref());
            let entry = |(id, code): (usize, String)| (code, json!({ "id": id.to_string() }).to_string());
            codes.into_keys().enumerate().map(entry).collect()
        };
        [
            ("kingdee_jdy.material".to_owned(), column("spec_no")),
            ("kingdee_jdy.stock".to_owned(), column("warehouse_no")),
            ("kingdee_jdy.unit".to_owned(), column("goods_unit")),
        ]
        .into()
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

fn programs() -> Programs {
    Programs::find(Given::default()).unwrap_or_else(|missing| panic!("{missing}"))
}

fn example(transform: &str) -> String {
    std::fs::read_to_string(programs().transforms.join(transform).join("parameters.example.json")).unwrap()
}

fn generated(system: &str) -> Vec<Document> {
    let (from, to) = ("2026-10-29T00:00:00Z".parse().unwrap(), RECEIVED_AT.parse().unwrap());
    let shares = Options { skip_percent: 10, reject_percent: 15, ..Options::default() };
    let options = Options { documents: DOCUMENTS, seed: 53, from, to, ..shares };
    let documents = vendor_sim::documents(system, &options).unwrap();
    assert_eq!(documents.len(), DOCUMENTS);
    documents.into_iter().map(|(key, body)| Document { key: DocumentKey::new(key).unwrap(), body }).collect()
}

fn check(system: &str, transform: &str, parameters: String, tables: impl Fn(&[Value]) -> TableTexts) {
    let programs = programs();
    let compiler = env!("CARGO_BIN_EXE_crossdock").into();
    let component = programs.components.join(transform).with_extension("wasm");
    let documents = generated(system);
    let bodies: Vec<Value> = documents.iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect();
    let tables = tables(&bodies);
    let dir = tempfile::tempdir().unwrap();

    // The harness, as `crossdock test` runs it: each in an instance of its own.
    let laboratory = Laboratory::with(Some(dir.path()), Settings::default(), compiler).unwrap();
    let module = laboratory.load(&component, Default::default()).unwrap();
    let limits = laboratory.limits(&module);
    let case = |document: &Document| Case {
        name: document.key.to_string(),
        place: Path::new("").into(),
        document: crossdock_guest::Document { key: document.key.to_string(), body: document.body.clone() },
        parameters: parameters.clone(),
        received_at: RECEIVED_AT.into(),
        tables: tables.clone(),
        expected: None,
        fuel: None,
    };
    let cases = documents.iter().map(|document| Ok(Specimen::from(case(document)))).collect();
    let harness = case::run(&laboratory, &module, cases, Isolation::Document, &limits);
    let expected: Vec<String> = harness
        .iter()
        .map(|(_, answered)| format!("{:?}", answered.as_ref().unwrap().outcome.as_ref().unwrap()))
        .collect();
    let count =
        |kind: &str| expected.iter().filter(|outcome| outcome.starts_with(&format!("Outcome::{kind}("))).count();
    let kinds = ["Emit", "Skip", "Reject"].map(count);
    assert!(kinds[0] > 500 && kinds[1] > 5 && kinds[2] > 5, "emitted, skipped, rejected: {kinds:?}");
    let burnt: Vec<u64> = harness.iter().map(|(run, _)| run.used.unwrap().fuel).collect();
    let outcome = |verdict: &Result<Outcome, String>| format!("{:?}", guest_outcome(verdict.as_ref().unwrap()));

    // The engine, as a scheme's driver calls it.
    for isolation in [Isolation::Document, Isolation::Batch] {
        let ran = engine(dir.path(), &component, isolation, &documents, &parameters, &tables);
        let found: Vec<String> =
            ran.iter().map(|ran| outcome(&ran.verdict.clone().map_err(|fault| fault.to_string()))).collect();
        assert_eq!(first_difference(&expected, &found), None, "{isolation:?}");
        let fuel: Vec<u64> = ran.iter().map(|ran| ran.fuel).collect();
        if isolation == Isolation::Document {
            assert_eq!(first_difference(&burnt, &fuel), None, "fuel");
        }
    }

    // All of them in one instance, in order and backwards: nothing of a document is left for those after it.
    let context = Context {
        tenant: TenantId::new(EXAMPLE).unwrap(),
        scheme: SchemeId::new(EXAMPLE).unwrap(),
        source: module.description().source.as_str().into(),
        target: module.description().target.as_str().into(),
        parameters: parameters.as_str().into(),
        received_at: RECEIVED_AT.parse().unwrap(),
    };
    let tables = Tables(tables);
    let calls: Vec<Call<'_>> =
        documents.iter().map(|document| Call { context: &context, document, deadline_ms: Some(60_000) }).collect();
    let backwards: Vec<Call<'_>> = calls.iter().rev().copied().collect();
    for (order, calls) in [("in order", calls), ("backwards", backwards)] {
        let runs = laboratory.run_all(&module, &calls, Isolation::Batch, &limits, &tables);
        assert!(runs.iter().all(|run| run.fuel_shared), "{order}: not all of them had the one instance");
        let mut found: Vec<String> =
            runs.into_iter().map(|run| outcome(&run.verdict.map_err(|error| error.to_string()))).collect();
        if order == "backwards" {
            found.reverse();
        }
        assert_eq!(first_difference(&expected, &found), None, "{order}");
    }
}

fn engine(
    dir: &Path,
    component: &Path,
    isolation: Isolation,
    documents: &[Document],
    parameters: &str,
    tables: &TableTexts,
) -> Vec<Ran> {
    let artefacts = dir.join(format!("{isolation:?}"));
    std::fs::create_dir(&artefacts).unwrap();
    let artefacts = Dir::open_ambient_dir(&artefacts, ambient_authority()).unwrap();
    let sandbox = Sandbox::new(Settings::default(), artefacts, Compiler::InProcess).unwrap();
    let module = sandbox.load(&std::fs::read(component).unwrap(), Default::default()).unwrap();
    let fixed = tables.iter().map(|(name, entries)| (name.clone(), Arc::new(Entries::new(entries.clone())))).collect();
    let places = ModulePlaces { files: Vec::new(), directory: dir.into() };
    let transformer = SandboxTransformer {
        source: module.description().source.as_str().into(),
        target: module.description().target.as_str().into(),
        limits: Arc::new(move |class| Limits::of(&Settings::default(), class)),
        modules: Arc::new(FileModules { sandbox: sandbox.clone(), places }),
        sandbox,
        module: RwLock::new(module),
        isolation,
        tenant: TenantId::new(EXAMPLE).unwrap(),
        scheme: SchemeId::new(EXAMPLE).unwrap(),
        parameters: parameters.into(),
        catalogue: Catalogue::new(fixed, BTreeMap::new(), Tally::default().follow()),
        meter: Meter::default(),
        now: Arc::new(|| Timestamp::UNIX_EPOCH),
    };
    let task = |document: &Document| Task {
        document: Arc::new(document.clone()),
        received_at: RECEIVED_AT.parse().unwrap(),
        // A busy machine is not what is tried here.
        patient: true,
        waits_since: None,
        module: None,
    };
    documents
        .chunks(ROUND)
        .flat_map(|round| {
            let tasks: Vec<Task> = round.iter().map(task).collect();
            let ran = transformer.run(&tasks);
            assert_eq!(ran.len(), tasks.len(), "so little is handed over whole");
            ran
        })
        .collect()
}

/// Two lists of a thousand are nothing to read.
fn first_difference<T: PartialEq + Clone>(expected: &[T], found: &[T]) -> Option<(usize, T, T)> {
    assert_eq!(expected.len(), found.len());
    let at = expected.iter().zip(found).position(|(expected, found)| expected != found)?;
    Some((at, expected[at].clone(), found[at].clone()))
}
