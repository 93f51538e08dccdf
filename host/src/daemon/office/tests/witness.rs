use super::*;
use crate::daemon::Witness;
use crate::pipeline::gate::Person;
use crate::registry::{Actor, AuditFilter, AuditRow, Keyring, Registry, Role, SealKey};

impl Rig {
    /// In which of the two tenants one is the registry's, and the other stands in the file alone.
    pub(super) async fn registry(&self) -> Registry {
        let (now, keyring) = (self.office.now.clone(), Keyring::new(SealKey::new([1; 32]), Vec::new()));
        let registry = Registry::open(self.store.clone(), keyring, now).unwrap();
        let new = serde_json::from_value(serde_json::json!({ "id": ACME })).unwrap();
        registry.create_tenant(&Actor::console(), new).await.unwrap();
        registry
    }
}

fn lines(registry: &Registry, of: Option<&str>) -> Vec<AuditRow> {
    let rows = registry.audit(of.map(tenant).as_ref(), 0, usize::MAX, &AuditFilter::default()).unwrap().rows;
    rows.into_iter().filter(|row| row.action != "tenant.create").collect()
}

fn acts(registry: &Registry, of: Option<&str>) -> Vec<(String, String)> {
    lines(registry, of).into_iter().map(|row| (row.action, row.object)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(act, object)| ((*act).to_owned(), (*object).to_owned())).collect()
}

#[tokio::test]
async fn every_order_from_the_console_is_in_the_log_of_whom_it_concerns() {
    let rig = Rig::new();
    let registry = rig.registry().await;
    let console = Actor::console();
    let witness = Witness { office: &rig.office, registry: Some(&registry), actor: &console };
    for key in ["a", "b", "c"] {
        rig.parked(ACME, key, "no customer").await;
    }
    rig.parked(BETA, "z", "no customer").await;

    witness.pause(None, &PauseRequest::Scheme("acme/saleout".into()), "an incident").await.unwrap();
    witness.resume(None, &PauseRequest::Scheme("acme/saleout".into())).await.unwrap();
    witness.pause(None, &PauseRequest::All, "maintenance").await.unwrap();
    witness.resume(None, &PauseRequest::All).await.unwrap();
    witness.command(None, &wish("a", retry())).await.unwrap();
    witness.command(None, &wish("z", Wish::Discard { reason: "by hand".into() })).await.unwrap();
    witness.show(None, None, "a", false).await.unwrap();
    witness.show(None, None, "b", true).await.unwrap();
    let bulk = |dry_run| {
        let filter =
            Filter { scheme: Some("acme/saleout".into()), states: vec![DocumentState::Parked], ..Filter::default() };
        BulkRequest { filter, wish: Wish::Discard { reason: "by hand".into() }, dry_run, by: Some("li".into()) }
    };
    assert_eq!(witness.bulk(None, &bulk(true)).await.unwrap().matched, 2);
    assert_eq!(witness.bulk(None, &bulk(false)).await.unwrap().granted, 2);
    assert!(witness.command(None, &wish("nobody", retry())).await.is_err());

    let acme = [
        ("scheme.pause", SCHEME),
        ("scheme.resume", SCHEME),
        ("document.retry", "a"),
        ("document.unmask", "b"),
        ("document.discard", "in bulk"),
    ];
    assert_eq!(acts(&registry, Some(ACME)), pairs(&acme));
    let operators = [("engine.pause", "everything"), ("engine.resume", "everything"), ("document.discard", "z")];
    assert_eq!(acts(&registry, None), pairs(&operators));
    let own = lines(&registry, Some(ACME));
    assert!(own.iter().all(|row| row.actor == console), "{own:?}");
    assert_eq!((&own[2].detail["by"], &own[4].detail["matched"]), (&serde_json::json!("li"), &serde_json::json!(2)));
    let other = lines(&registry, None).pop().unwrap();
    assert_eq!(other.detail["tenant"], BETA, "one that stands in the file alone has no log of its own");
}

#[tokio::test]
async fn what_is_refused_has_a_line_before_and_one_after() {
    let rig = Rig::new();
    let registry = rig.registry().await;
    let (console, acme) = (Actor::console(), tenant(ACME));
    let admin = Actor { role: Role::TenantAdmin, ..Actor::engine() };
    let witness = Witness { office: &rig.office, registry: Some(&registry), actor: &admin };
    rig.skipped(ACME, "a").await;
    let refused = witness.command(Some(&acme), &wish("a", retry())).await.unwrap_err();
    rig.office.pause(Some(&acme), &PauseRequest::Scheme(SCHEME.into()), "an incident", Person::Operator).await.unwrap();
    assert!(witness.resume(Some(&acme), &PauseRequest::Scheme(SCHEME.into())).await.is_err());
    let expected = [
        ("document.retry", "a"),
        ("document.retry.refused", "a"),
        ("scheme.resume", SCHEME),
        ("scheme.resume.refused", SCHEME),
    ];
    assert_eq!(acts(&registry, Some(ACME)), pairs(&expected));
    assert_eq!(lines(&registry, Some(ACME))[1].detail["why"], refused.to_string());
    assert_ne!(lines(&registry, Some(ACME))[0].actor, console);
}

/// The store takes nothing more for the registry's log, and still does for documents.
#[tokio::test]
async fn what_cannot_be_noted_is_not_done_but_the_plug_is_pulled() {
    let rig = Rig::new();
    let registry = rig.registry().await;
    let console = Actor::console();
    let witness = Witness { office: &rig.office, registry: Some(&registry), actor: &console };
    rig.parked(ACME, "a", "no customer").await;
    // A log whose end cannot be read.
    let end = crate::state::KeyBuilder::new().text(ACME).text("end").build();
    let mut batch = crate::state::Batch::new();
    batch.put(crate::state::Table::Audit, end, "?");
    rig.store.commit(batch).await.unwrap();
    let refused = witness.command(None, &wish("a", Wish::Discard { reason: "by hand".into() })).await;
    assert!(matches!(refused, Err(OfficeError::Audit(_))), "{refused:?}");
    assert_eq!(rig.state(ACME, "a"), DocumentState::Parked);
    let paused = witness.pause(None, &PauseRequest::Scheme("acme/saleout".into()), "an incident").await;
    assert!(matches!(paused, Err(OfficeError::Audit(_))), "{paused:?}");
    assert_eq!(rig.office.pauses(None).len(), 1);
}

/// Whose a pause is decides who may resume it: the same words from the operator are another pause.
#[tokio::test]
async fn a_pause_that_becomes_the_operators_has_a_line_and_its_repetition_none() {
    let rig = Rig::new();
    let registry = rig.registry().await;
    let (console, acme) = (Actor::console(), tenant(ACME));
    let admin = Actor { role: Role::TenantAdmin, ..Actor::engine() };
    let what = PauseRequest::Scheme("acme/saleout".into());
    for actor in [&admin, &admin, &console, &console] {
        let witness = Witness { office: &rig.office, registry: Some(&registry), actor };
        let (of, what) = match actor.role {
            Role::Operator => (None, what.clone()),
            _ => (Some(&acme), PauseRequest::Scheme(SCHEME.into())),
        };
        witness.pause(of, &what, "an incident").await.unwrap();
    }
    let own = lines(&registry, Some(ACME));
    let told: Vec<(&str, &str, Role)> =
        own.iter().map(|row| (row.action.as_str(), row.object.as_str(), row.actor.role)).collect();
    assert_eq!(told, [("scheme.pause", SCHEME, Role::TenantAdmin), ("scheme.pause", SCHEME, Role::Operator)]);
    assert_eq!(rig.office.pauses(None)[0].person(), Some(Person::Operator));
}

#[tokio::test]
async fn what_a_line_says_besides_is_four_kibibytes_and_cut_between_two_characters() {
    let rig = Rig::new();
    let registry = rig.registry().await;
    let console = Actor::console();
    let witness = Witness { office: &rig.office, registry: Some(&registry), actor: &console };
    // One of three begins where the limit would be within a character.
    for (key, beginning) in [("a", ""), ("b", "x"), ("c", "xx")] {
        rig.parked(ACME, key, "no customer").await;
        let reason = format!("{beginning}{}", "重".repeat(5_000));
        witness.command(None, &wish(key, Wish::Discard { reason })).await.unwrap();
    }
    rig.parked(BETA, "z", "no customer").await;
    witness.command(None, &wish("z", Wish::Discard { reason: "重".repeat(5_000) })).await.unwrap();
    let own = lines(&registry, Some(ACME));
    let kept: Vec<usize> = own.iter().map(|row| row.detail["shortened"].as_str().unwrap().len()).collect();
    assert!(kept.len() == 3 && kept.iter().all(|bytes| (4_094..=4_096).contains(bytes)), "{kept:?}");
    assert!(own[0].detail["shortened"].as_str().unwrap().ends_with("重重"), "{own:?}");
    let other = lines(&registry, None).pop().unwrap();
    assert_eq!(other.detail["tenant"], BETA, "whose it was is not cut off");
}
