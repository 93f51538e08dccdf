//! Schemes that come, change and go while the engine runs: the whole engine in this process, with the simulators as its
//! vendors, and the registry in the hands of the test as it is in the hands of the API.
//!
//! `make test` builds the programs that are needed here; a missing one fails every test with the command that makes it.

#![allow(clippy::unwrap_used)]

mod rig;

use std::collections::BTreeSet;

use crossdock::daemon::{FloorError, FloorParts, PauseRequest, SchemeState};
use crossdock::pipeline::gate::Person;
use crossdock::registry::{Quotas, TenantChange};
use serde_json::json;

use rig::{Rig, actor, name, tenant};

/// Far more than any of these tests needs.
const PLENTY: Quotas = Quotas {
    modules: 10,
    module_bytes: 64 << 20,
    schemes: 10,
    connections: 10,
    tables: 10,
    table_bytes: 64 << 20,
    changes_per_minute: 1_000,
    concurrent_calls: 4,
    fuel_per_minute: u64::MAX,
    documents_per_minute: 1_000_000,
    ledger_bytes: 1 << 30,
    compile_seconds_per_hour: 600,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_exchanged_between_two_documents_and_the_scheme_goes_on() {
    let mut rig = Rig::new(&["--documents", "60"]);
    let engine = rig.start().await;
    engine.tenant("acme", Quotas { documents_per_minute: 10, ..PLENTY }).await;
    let (first, second) = (rig.component(), rig.other_component());
    let (before, after) = (engine.module("acme", "1.0.0", &first).await, engine.module("acme", "1.1.0", &second).await);
    engine.scheme("acme", "flow", before, json!({})).await.unwrap();

    let status = engine.wait("its share to be used up", |engine| {
        let status = engine.status("acme", "flow")?;
        status.throttled.is_some().then_some(status)
    });
    let status = status.await;
    assert_eq!((status.state, status.module), (SchemeState::Running, Some(before)));
    let exceeded = status.throttled.unwrap();
    assert_eq!((exceeded.quota.as_str(), exceeded.limit), ("documents_per_minute", 10));
    assert!(exceeded.until.is_some_and(|until| until > exceeded.since), "{exceeded:?}");

    let row = engine.parts.registry.activate(&actor(), &tenant("acme"), &name("flow"), &after, None, "").await.unwrap();
    engine.settle("acme", "flow").await.unwrap();
    let status = engine.status("acme", "flow").unwrap();
    assert_eq!((status.module, status.revision), (Some(after), Some(row.revision)));
    assert!(status.throttled.is_some(), "the scheme was not stopped for it");

    engine.quotas("acme", PLENTY).await;
    engine.done(&rig, "flow").await;
    rig.check_books("flow");
    let modules = engine.modules_of("acme", "flow");
    let ran = |digest| modules.values().filter(|module| **module == digest).count();
    // Each call takes one document at least, and two of them may have been under way.
    assert!((10..=13).contains(&ran(before)), "{modules:?}");
    assert_eq!(ran(before) + ran(after), modules.len(), "every document ran with one of the two");

    engine.parts.registry.rollback(&actor(), &tenant("acme"), &name("flow"), None, "").await.unwrap();
    engine.settle("acme", "flow").await.unwrap();
    let known: BTreeSet<String> = modules.into_keys().collect();
    rig.add_documents(5);
    engine.done(&rig, "flow").await;
    let modules = engine.modules_of("acme", "flow");
    let new: Vec<_> = modules.iter().filter(|(key, _)| !known.contains(*key)).collect();
    assert!(new.len() == 5 && new.iter().all(|(_, module)| **module == before), "{new:?}");
    rig.check_books("flow");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_gives_no_tenant_a_fresh_minute() {
    let mut rig = Rig::new(&["--documents", "30"]);
    let engine = rig.start().await;
    engine.tenant("acme", Quotas { documents_per_minute: 10, ..PLENTY }).await;
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    engine.scheme("acme", "flow", module, json!({})).await.unwrap();
    engine.wait("its share to be used up", |engine| engine.status("acme", "flow")?.throttled).await;
    engine.end().await;
    let engine = rig.start().await;
    let acme = tenant("acme");
    let kept = engine.parts.registry.metered(&acme).unwrap();
    let (documents, fuel) =
        kept.iter().fold((0, 0), |(documents, fuel), one| (documents + one.documents, fuel + one.fuel));
    assert!((10..=13).contains(&documents) && fuel > 0, "{kept:?}");
    let exceeded = engine.parts.floor.usage(&acme).exceeded;
    assert_eq!(exceeded.first().map(|exceeded| exceeded.quota.as_str()), Some("documents_per_minute"), "{kept:?}");
    engine.quotas("acme", PLENTY).await;
    engine.done(&rig, "flow").await;
    rig.check_books("flow");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_that_is_stopped_and_started_loses_nothing_and_writes_nothing_twice() {
    let faults = [
        "late_answer=300,operation=batchsave,probability=0.6",
        "drop_after_commit,operation=batchsave,count=2,after=3",
        "commit_after_drop=400,operation=batchsave,count=1,after=5",
    ];
    let arguments = [&["--documents", "80"][..], &faults.map(|fault| ["--fault", fault]).concat()].concat();
    let mut rig = Rig::new(&arguments);
    let engine = rig.start().await;
    engine.tenant("acme", PLENTY).await;
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    engine.scheme("acme", "flow", module, json!({ "batch_size": 3, "settle": "1s" })).await.unwrap();
    for round in 1..=4 {
        let written = round * 12;
        engine.wait("some bills", |_| (rig.bills() >= written).then_some(())).await;
        engine.enable("acme", "flow", false).await.unwrap();
        let status = engine.status("acme", "flow").unwrap();
        assert_eq!((status.state, status.reason.as_deref()), (SchemeState::Off, Some("it is switched off")));
        assert_eq!(rig.sent("flow"), Vec::<String>::new(), "what was under way was answered and put away");
        let asked = rig.requests();
        engine.enable("acme", "flow", false).await.unwrap();
        assert_eq!(rig.requests(), asked, "nothing leaves for a scheme that was stopped");
        engine.enable("acme", "flow", true).await.unwrap();
    }
    engine.done(&rig, "flow").await;
    rig.check_books("flow");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_connections_change_by_a_stop_and_a_start() {
    let mut rig = Rig::new(&["--documents", "40"]);
    let engine = rig.start().await;
    engine.tenant("acme", Quotas { documents_per_minute: 5, ..PLENTY }).await;
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    engine.scheme("acme", "flow", module, json!({})).await.unwrap();
    engine.wait("some documents", |engine| engine.status("acme", "flow")?.throttled).await;
    // Too slow for anybody to be done before the test is: what is set is what is used.
    let slow = json!({ "limits": { "requests_per_second": 0.001, "burst": 1, "max_in_flight": 1 } });
    engine.connection("acme", "k3", slow).await;
    engine.quotas("acme", PLENTY).await;
    let waiting = engine.wait("requests to wait on the new road", |engine| {
        let connections = engine.parts.floor.connections(&tenant("acme")).unwrap();
        connections.into_iter().find(|one| one.name.as_str() == "k3" && one.waiting > 0)
    });
    assert_eq!(waiting.await.schemes, [name("flow")]);
    engine.connection("acme", "k3", json!({})).await;
    engine.scheme("acme", "flow", module, json!({ "priority": 7, "batch_size": 5 })).await.unwrap();
    engine.done(&rig, "flow").await;
    rig.check_books("flow");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_that_cannot_be_put_together_stands_still_and_keeps_nobody_from_anything() {
    let mut rig = Rig::new(&["--documents", "20"]);
    let engine = rig.start().await;
    engine.tenant("acme", PLENTY).await;
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    let refused = engine.scheme("acme", "broken", module, json!({ "schedule": "at noon", "colour": 1 })).await;
    let Err(FloorError::Objections(objections)) = refused else { panic!("{refused:?}") };
    let places: BTreeSet<String> = objections.iter().map(|objection| objection.pointer()).collect();
    assert_eq!(places, BTreeSet::from(["/schedule".to_owned(), "/colour".to_owned()]));
    engine.scheme("acme", "flow", module, json!({})).await.unwrap();
    let other = engine.module("acme", "0.1.0", &rig::for_another_target()).await;
    let misfit = engine.scheme("acme", "misfit", other, json!({})).await;
    assert!(matches!(&misfit, Err(FloorError::StandsStill(why)) if why.contains("the module writes")), "{misfit:?}");
    let row = engine.parts.registry.scheme(&tenant("acme"), &name("misfit")).unwrap().unwrap();
    let floor = engine.parts.floor.clone();
    let judged = tokio::task::spawn_blocking(move || floor.judge_scheme(&tenant("acme"), &name("misfit"), &row));
    assert_eq!(judged.await.unwrap()[0].pointer(), "/module");
    engine.end().await;

    let engine = rig.start().await;
    engine.wait("all schemes to be looked at", |engine| (!engine.parts.floor.is_starting()).then_some(())).await;
    let status = engine.status("acme", "broken").unwrap();
    assert_eq!(status.state, SchemeState::StandsStill);
    assert!(status.reason.unwrap().contains("/schedule"));
    engine.done(&rig, "flow").await;
    rig.check_books("flow");
    engine.scheme("acme", "broken", module, json!({ "start_at": "2036-01-01T00:00:00Z" })).await.unwrap();
    assert_eq!(engine.status("acme", "broken").unwrap().state, SchemeState::Running, "mended, it runs");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_page_names_a_scheme_that_stands_still_and_says_no_more() {
    let mut rig = Rig::new(&["--documents", "1"]);
    let engine = rig.start().await;
    engine.tenant("acme", PLENTY).await;
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    engine.scheme("acme", "flow", module, json!({})).await.unwrap();
    assert_eq!(engine.health().await.0, 200);
    assert!(engine.scheme("acme", "broken", module, json!({ "schedule": "at noon" })).await.is_err());
    let (status, page) = engine.health().await;
    assert_eq!((status, &page["stopped"]), (503, &json!(["acme/broken"])), "{page:#}");
    assert!(!page.to_string().contains("noon"), "{page:#}");
    engine.enable("acme", "broken", false).await.unwrap();
    assert_eq!(engine.health().await.0, 200, "nobody wants it to run");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_is_shown_and_paused_before_it_has_begun_and_comes_up_paused() {
    let mut rig = Rig::new(&["--documents", "3"]);
    let engine = rig.start().await;
    engine.tenant("acme", PLENTY).await;
    engine.connection("acme", "spare", json!({})).await;
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    engine.scheme("acme", "flow", module, json!({})).await.unwrap();
    engine.scheme("acme", "off", module, json!({})).await.unwrap();
    engine.enable("acme", "off", false).await.unwrap();
    engine.done(&rig, "flow").await;
    engine.end().await;

    rig.add_documents(4);
    let (bills, asked) = (rig.bills(), rig.requests());
    let look = async |parts: FloorParts| {
        let acme = tenant("acme");
        let all = parts.floor.schemes(&acme).into_iter().map(|one| (one.name, one.state)).collect::<Vec<_>>();
        let health = rig::health(parts.listen).await;
        for what in [PauseRequest::Scheme("flow".into()), PauseRequest::Connection("spare".into())] {
            parts.office.pause(Some(&acme), &what, "an incident", Person::Operator).await.unwrap();
        }
        // On the control socket, where no tenant is named.
        let by_socket = parts.office.pause(None, &PauseRequest::Connection("k3".into()), "", Person::Operator).await;
        (all, health, by_socket.map(|paused| paused.len()), parts.floor.scheme(&acme, &name("flow")))
    };
    let (engine, (all, (status, page), by_socket, shown)) = rig.start_looking(move |parts| Box::pin(look(parts))).await;
    assert_eq!(all, [(name("flow"), SchemeState::Starting), (name("off"), SchemeState::Off)]);
    assert_eq!((status, &page["starting"], &page["healthy"]), (503, &json!(true), &json!(false)), "{page:#}");
    assert_eq!(by_socket.unwrap(), 1);
    let shown = shown.unwrap();
    assert_eq!((shown.state, shown.paused_by), (SchemeState::Starting, Some(Person::Operator)), "{shown:?}");
    engine.wait("all schemes to be looked at", |engine| (!engine.parts.floor.is_starting()).then_some(())).await;
    let (status, page) = engine.health().await;
    assert_eq!((status, &page["starting"]), (200, &json!(false)), "{page:#}");
    let shown = engine.status("acme", "flow").unwrap();
    assert_eq!((shown.state, shown.paused_by), (SchemeState::Paused, Some(Person::Operator)), "{shown:?}");
    assert_eq!((rig.bills(), rig.requests()), (bills, asked), "nothing left for what was paused");
    let acme = tenant("acme");
    // It is a plug of the name's: made again, the scheme is paused still.
    engine.enable("acme", "flow", false).await.unwrap();
    engine.parts.registry.delete_scheme(&actor(), &acme, &name("flow"), None).await.unwrap();
    engine.settle("acme", "flow").await.unwrap();
    assert!(engine.status("acme", "flow").is_none());
    engine.scheme("acme", "flow", module, json!({})).await.unwrap();
    let shown = engine.status("acme", "flow").unwrap();
    assert_eq!((shown.state, shown.paused_by), (SchemeState::Paused, Some(Person::Operator)), "{shown:?}");
    for what in [PauseRequest::Scheme("flow".into()), PauseRequest::Connection("k3".into())] {
        engine.parts.office.resume(Some(&acme), &what, Person::Operator).await.unwrap();
    }
    engine.done(&rig, "flow").await;
    rig.check_books("flow");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_refuses_the_store_of_a_newer_one_and_says_so() {
    let mut rig = Rig::new(&["--documents", "1"]);
    rig.start().await.end().await;
    let folder = std::fs::read_dir(rig.data()).unwrap().flatten().map(|entry| entry.path());
    let folder =
        folder.into_iter().find(|path| path.join("conf").exists()).expect("a store lies in the data directory");
    let store = sled::open(&folder).unwrap();
    let (key, row) =
        store.iter().flatten().find(|(key, _)| key.ends_with(b"format\0")).expect("a store names its format");
    // The number is the end of the row.
    let (number, head) = row.split_last().unwrap();
    let newer = number + 1;
    store.insert(key, [head, &[newer]].concat()).unwrap();
    store.flush().unwrap();
    drop(store);
    let (code, said) = rig.serve_to_the_end();
    assert_eq!(code, Some(1), "{said}");
    let why =
        format!("the store has format {newer}, this Crossdock knows formats up to {number}: use a newer Crossdock");
    assert!(said.contains(&why), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_suspended_tenant_nothing_runs_also_after_a_restart() {
    let mut rig = Rig::new(&["--documents", "30"]);
    let engine = rig.start().await;
    engine.tenant("acme", Quotas { documents_per_minute: 3, ..PLENTY }).await;
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    engine.scheme("acme", "flow", module, json!({})).await.unwrap();
    engine.wait("some documents", |engine| engine.status("acme", "flow")?.throttled).await;
    engine
        .change("acme", TenantChange { suspended: Some(true), quotas: Some(PLENTY.into()), ..TenantChange::default() })
        .await;
    let status = engine.status("acme", "flow").unwrap();
    assert_eq!((status.state, status.reason.as_deref()), (SchemeState::Off, Some("the tenant is suspended")));
    let asked = rig.requests();
    engine.end().await;

    let engine = rig.start().await;
    let status = engine.wait("the scheme to be looked at", |engine| engine.status("acme", "flow")).await;
    assert_eq!(status.state, SchemeState::Off);
    assert_eq!(rig.requests(), asked, "nothing leaves for a tenant that is suspended");
    engine.change("acme", TenantChange { suspended: Some(false), ..TenantChange::default() }).await;
    engine.done(&rig, "flow").await;
    rig.check_books("flow");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_says_what_another_module_would_do_and_changes_nothing() {
    let mut rig = Rig::new(&["--documents", "30"]);
    let engine = rig.start().await;
    engine.tenant("acme", PLENTY).await;
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    engine.scheme("acme", "flow", module, json!({})).await.unwrap();
    engine.done(&rig, "flow").await;
    let bills = rig.bills();

    let report = engine.compare("acme", "flow", &rig.other_component(), 20).await.unwrap();
    assert!(report.clean && report.documents == 20, "{report:?}");
    assert_eq!(report.present_fuel, report.candidate_fuel);
    assert!(report.present_fuel.p99 >= report.present_fuel.p50 && report.present_fuel.p50 > 0);

    let report = engine.compare("acme", "flow", &rig::rejecting(), 1_000).await.unwrap();
    let emitted = report.documents - report.differences.iter().filter(|one| one.present.outcome != "emit").count();
    assert_eq!((report.documents, report.clean), (30, false));
    assert!(report.differing >= emitted && report.changed_outcomes > 0, "{report:?}");
    assert!(engine.compare("acme", "flow", &rig::for_another_target(), 1).await.is_err());
    assert_eq!(rig.bills(), bills, "nothing was written for it");
    rig.check_books("flow");
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_is_held_back_while_the_tenants_ledger_is_full_and_its_neighbour_is_not() {
    let mut rig = Rig::new(&["--documents", "40"]);
    let engine = rig.start().await;
    engine.tenant("acme", Quotas { ledger_bytes: 1, ..PLENTY }).await;
    engine.tenant("other", PLENTY).await;
    let small = json!({ "source": { "page_size": 10 } });
    let module = engine.module("acme", "1.0.0", &rig.component()).await;
    engine.scheme("acme", "full", module, small).await.unwrap();
    let held = engine.wait("reading to be held", |engine| engine.status("acme", "full")?.held).await;
    assert!(held.contains("ledger_bytes"), "{held}");
    let exceeded = engine.parts.floor.usage(&tenant("acme")).exceeded;
    assert!(exceeded.iter().any(|one| one.quota == "ledger_bytes" && one.until.is_none()), "{exceeded:?}");
    let module = engine.module("other", "1.0.0", &rig.component()).await;
    engine.scheme("other", "flow", module, json!({})).await.unwrap();
    engine.done(&rig, "flow").await;
    assert!(engine.status("acme", "full").unwrap().received < 40, "it was read all the same");
    rig.check_books("flow");
    engine.end().await;
}
