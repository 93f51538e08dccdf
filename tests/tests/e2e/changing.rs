//! What a tenant changes over HTTP while documents flow: the module and back, a table, and what an engine does of itself
//! with modules that another one compiled.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};
use vendor_sim::proof::Failure;
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::Engine;
use vendor_sim::proof::guests;
use vendor_sim::proof::schemes::SALEOUT;
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::world::World;

use crate::api::{Caller, connection};
use crate::{PATIENCE, check_no_secret_was_said, in_directory, programs, told, world};

/// All that the simulator's documents have.
const STATUSES: [&str; 4] = ["Confirmed", "WaitConfirm", "OuterConfirming", "Delete"];
const SCHEME: &str = "/tenants/acme/schemes/saleout";

/// An engine with the tenant `acme`, its two connections, and its admin.
struct Stage {
    world: World,
    engine: Engine,
    operator: Caller,
    admin: Caller,
}

impl Stage {
    fn new(documents: &str, quotas: &Value) -> Self {
        let settings = Settings {
            extra: "[api]\nlisten = \"127.0.0.1:0\"\nnetworks = [\"127.0.0.1/32\"]".to_owned(),
            schemes: Vec::new(),
            ..Settings::default()
        };
        let mut world = world(&["--documents", documents, "--seed", "81"], &settings);
        let engine = told(world.start());
        let operator = Caller::operator(&world, &engine);
        operator.does("POST", "/tenants", &json!({ "id": "acme", "quotas": quotas }));
        let admin = operator.token("acme", "tenant-admin");
        let jst = ["base_url", "app_key", "app_secret", "target_app_key", "customer_id"];
        let k3 = ["base_url", "acct_id", "user_name", "app_id", "app_secret", "org_num"];
        admin.does("PUT", "/tenants/acme/connections/jst", &connection(&world, "jushuitan_qimen", &jst));
        admin.does("PUT", "/tenants/acme/connections/k3", &connection(&world, "kingdee_k3cloud", &k3));
        Self { world, engine, operator, admin }
    }

    fn scheme(&self, module: &str, more: &[(&str, Value)]) {
        let start_at = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(96)).to_string();
        let mut settings = json!({
            "source": { "connection": "jst", "operation": "jushuitan.saleout.list.query", "status": STATUSES },
            "target": { "connection": "k3", "operation": "BatchSave", "form": "SAL_OUTSTOCK" },
            "schedule": "every 1s", "lag": "0s", "start_at": start_at,
        });
        for (key, value) in more {
            settings[*key] = value.clone();
        }
        self.admin.does("PUT", SCHEME, &json!({ "module": module, "enabled": true, "settings": settings }));
    }

    /// Waits until `look` has found what it looks for.
    #[track_caller]
    fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
        let found = until(PATIENCE, what, || look().map_err(Waiting::on));
        found.unwrap_or_else(|failure: Failure| panic!("{}", self.engine.tell(failure)))
    }

    /// Waits until so many documents are there and none is under way.
    #[track_caller]
    fn settled(&self, count: usize) {
        self.wait("all documents to be done with", || {
            let documents = self.documents();
            let at_rest =
                |one: &&Value| matches!(one["state"].as_str(), Some("written" | "skipped" | "parked" | "ignored"));
            let done = documents.iter().filter(at_rest).count();
            (done == count && documents.len() == count).then_some(()).ok_or(format!("{done} of {}", documents.len()))
        });
    }

    fn documents(&self) -> Vec<Value> {
        self.admin.get("/tenants/acme/documents?limit=500").1["documents"].as_array().cloned().unwrap_or_default()
    }

    /// The digests of the modules that the documents' newest versions ran with, by key.
    fn modules(&self) -> Vec<(String, Value)> {
        let module = |one: Value| {
            let key = one["key"].as_str().unwrap().to_owned();
            let view = self.admin.get(&format!("{SCHEME}/documents/{}", key.replace('/', "%2F"))).1;
            let newest = view["versions"].as_array().and_then(|versions| versions.last()).cloned();
            (key, newest.unwrap_or_default()["module"].clone())
        };
        self.documents().into_iter().map(module).collect()
    }
}

/// The mapping once more, calling itself by another version.
fn next_version(component: &[u8]) -> Vec<u8> {
    let said = b"jushuitan-saleout-to-k3cloud1.0.0";
    let at: Vec<usize> = (0..component.len() - said.len()).filter(|at| component[*at..].starts_with(said)).collect();
    assert_eq!(at.len(), 1, "the component does not say once what it is called");
    let mut component = component.to_vec();
    component[at[0] + said.len() - 3] = b'1';
    component
}

#[test]
fn a_module_is_activated_and_taken_back_while_documents_flow() {
    let stage = Stage::new("24", &json!({ "documents_per_minute": 6 }));
    let programs = programs();
    let component = std::fs::read(programs.component(SALEOUT)).unwrap();
    let parameters: Value = serde_json::from_slice(&std::fs::read(programs.parameters(SALEOUT)).unwrap()).unwrap();
    let first = stage.admin.upload(&[("module", &component)]);
    let second = stage.admin.upload(&[("module", &next_version(&component))]);
    assert_eq!((&first["version"], &second["version"]), (&json!("1.0.0"), &json!("1.1.0")));

    // What does not fit the module's own schema does not come as far as a document.
    let start = json!({ "module": first["digest"], "settings": { "parameters": { "defualt": {} } } });
    let kind = "content-type: application/json\r\n";
    let (status, refused) = stage.admin.send("PUT", SCHEME, kind, start.to_string().as_bytes());
    assert_eq!(status, 422, "{refused:#}");
    let places: Vec<&str> =
        refused["errors"].as_array().unwrap().iter().filter_map(|one| one["pointer"].as_str()).collect();
    assert!(places.contains(&"/settings/parameters/defualt"), "{places:?}");
    assert!(places.contains(&"/settings/parameters/default"), "{places:?}");

    stage.scheme(first["digest"].as_str().unwrap(), &[("parameters", parameters)]);
    stage.wait("its share to be used up", || {
        let status = stage.admin.get(SCHEME).1["status"].clone();
        if status["throttled"].is_null() { Err(status.to_string()) } else { Ok(()) }
    });
    let active = stage.admin.does(
        "POST",
        &format!("{SCHEME}/activate"),
        &json!({ "module": "jushuitan-saleout-to-k3cloud@1.1.0" }),
    );
    assert_eq!((&active["status"]["state"], &active["status"]["module"]), (&json!("running"), &second["digest"]));
    stage.operator.does("PATCH", "/tenants/acme", &json!({ "quotas": null }));
    stage.settled(24);
    let ran = |with: &Value| stage.modules().iter().filter(|(_, module)| module == with).count();
    let (before, after) = (ran(&first["digest"]), ran(&second["digest"]));
    // Some never came to a module: they were cancelled at the source before.
    let neither = stage.modules().iter().filter(|(_, module)| !module.is_null()).count() - before - after;
    assert!(before >= 5 && after >= 5 && neither == 0, "{before} with the first, {after} with the second, {neither}");

    // Of the parameters alone the place is told in what was sent.
    let (status, refused) = stage.admin.send("PUT", &format!("{SCHEME}/parameters"), kind, b"{\"defualt\": {}}");
    let places: Vec<&Value> = refused["errors"].as_array().unwrap().iter().map(|one| &one["pointer"]).collect();
    assert!(status == 422 && places.contains(&&json!("/defualt")), "{status} {refused:#}");

    let back = stage.admin.does("POST", &format!("{SCHEME}/rollback"), &Value::Null);
    assert_eq!((&back["status"]["state"], &back["status"]["module"]), (&json!("running"), &first["digest"]));
    let known: Vec<String> = stage.modules().into_iter().map(|(key, _)| key).collect();
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    for number in 0..5 {
        told(stage.world.simulator.put(SALEOUT, &SALEOUT.document(number, &mut chance)));
    }
    stage.settled(29);
    let new: Vec<_> = stage.modules().into_iter().filter(|(key, _)| !known.contains(key)).collect();
    let is_first = |module: &Value| *module == first["digest"] || module.is_null();
    assert!(new.len() == 5 && new.iter().all(|(_, module)| is_first(module)), "{new:?}");
    assert!(new.iter().any(|(_, module)| !module.is_null()), "{new:?}");
    check_no_secret_was_said(&stage.world);
}

#[test]
fn a_table_that_is_uploaded_again_is_what_documents_see_from_then_on() {
    let stage = Stage::new("1", &json!({}));
    let report = stage.admin.upload(&[("module", &guests::component("", &guests::rejects_by_table()))]);
    let table = "/tenants/acme/tables/hostile";
    stage.admin.does("PUT", table, &json!({ "0.1.0": "the first" }));
    let reference = json!({ "hostile": { "table": "hostile" } });
    stage.scheme(report["digest"].as_str().unwrap(), &[("reference", reference)]);
    let said = |words: &str| {
        stage.wait(&format!("a document to be rejected with {words}"), || {
            let found = stage.documents();
            let is = |one: &&Value| one["message"].as_str().is_some_and(|message| message.contains(words));
            found.iter().find(is).cloned().ok_or(format!("{found:?}"))
        })
    };
    let parked = said("the first");
    stage.admin.does("PUT", table, &json!({ "0.1.0": "the second" }));
    let key = parked["key"].as_str().unwrap().replace('/', "%2F");
    stage.admin.does("POST", &format!("{SCHEME}/documents/{key}/retry"), &json!({}));
    said("the second");

    // Of a scheme that was deleted the documents can be looked at and erased, also after a restart.
    stage.admin.does("POST", &format!("{SCHEME}/disable"), &Value::Null);
    stage.admin.does("DELETE", SCHEME, &Value::Null);
    let Stage { mut world, mut engine, operator, admin } = stage;
    told(engine.terminate());
    drop(engine);
    let engine = told(world.start());
    let [operator, admin] = [operator, admin].map(|caller| caller.at(&engine));
    let stage = Stage { world, engine, operator, admin };
    said_of_deleted(&stage, &key);
}

fn said_of_deleted(stage: &Stage, key: &str) {
    stage.wait("the documents of the deleted scheme", || {
        let found = stage.documents();
        if found.len() == 1 { Ok(()) } else { Err(format!("{found:?}")) }
    });
    let document = format!("{SCHEME}/documents/{key}");
    assert_eq!(stage.admin.get(&document).0, 200);
    let retry = stage.admin.send("POST", &format!("{document}/retry"), "content-type: application/json\r\n", b"{}");
    assert!(retry.0 == 409 && retry.1["detail"].as_str().unwrap().contains("it was deleted"), "{retry:?}");
    stage.admin.does("POST", &format!("{document}/erase"), &json!({ "reason": "asked for" }));
    assert_eq!(stage.admin.get(&document).1["versions"][0]["body"], Value::Null);
    assert_eq!(stage.admin.get(SCHEME).0, 404);
}

#[test]
fn modules_that_another_engine_compiled_are_compiled_again_at_the_start_and_never_loaded() {
    let Stage { mut world, mut engine, operator, admin } = Stage::new("1", &json!({}));
    let component = std::fs::read(programs().component(SALEOUT)).unwrap();
    let report = admin.upload(&[("module", &component)]);
    let artefact =
        in_directory(&world, "data/artefacts").join(format!("{}.standard.cwasm", report["digest"].as_str().unwrap()));
    let made = std::fs::read(&artefact).unwrap();
    told(engine.terminate());
    drop(engine);
    // Whole and well made, for something else: an engine that loaded it would run other code.
    let other = of_another_engine(&made);
    std::fs::write(&artefact, &other).unwrap();

    let engine = told(world.start());
    let [operator, admin] = [operator, admin].map(|caller| caller.at(&engine));
    let stage = Stage { world, engine, operator, admin };
    stage.wait("the module to be compiled again", || {
        let log = stage.engine.log();
        if log.contains("was compiled again for this engine") { Ok(()) } else { Err(stage.engine.log_tail()) }
    });
    assert!(stage.engine.log().contains("does not verify"), "{}", stage.engine.log_tail());
    assert_ne!(std::fs::read(&artefact).unwrap(), other);
    let Stage { mut world, mut engine, .. } = stage;
    told(engine.terminate());
    drop(engine);
    // What this engine made itself it does not make again.
    let kept = std::fs::read(&artefact).unwrap();
    let mut engine = told(world.start());
    let log = engine.log();
    told(engine.terminate());
    assert!(!log.contains("does not verify") && std::fs::read(&artefact).unwrap() == kept, "{log}");
}

/// The artefact with the head of one that was made for another engine.
fn of_another_engine(made: &[u8]) -> Vec<u8> {
    let mut other = made.to_vec();
    // In front of the eight bytes that say what the file is, the proof of who made it, and for which engine.
    let end = other.len() - 8;
    other[end - 32..end].iter_mut().for_each(|byte| *byte ^= 0x5a);
    other
}
