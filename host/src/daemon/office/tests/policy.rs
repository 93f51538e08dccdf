use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::daemon::Witness;
use crate::model::System;
use crate::registry::{Actor, AuditFilter, ModuleRow, Policy, SchemePut, TenantChange};

const ONE: &[u8] = b"one";
const TWO: &[u8] = b"two";

/// The scheme as a row of the registry's, with the first of two modules, where comparisons are asked for.
async fn ruled() -> (Rig, Registry) {
    let mut rig = Rig::new();
    let registry = rig.registry().await;
    rig.office.registry = Some(registry.clone());
    let (actor, acme) = (Actor::console(), tenant(ACME));
    for name in ["jst", "k3"] {
        let name = crate::model::ConnectionName::new(name).unwrap();
        registry.put_connection(&actor, &acme, &name, System::YonyouU8, json!({}), None).await.unwrap();
    }
    for (version, bytes) in [("1", ONE), ("2", TWO)] {
        let module = ModuleRow {
            digest: Digest::of(bytes),
            name: "m".into(),
            version: version.into(),
            class: "standard".into(),
            size: bytes.len() as u64,
            uploaded_at: Timestamp::UNIX_EPOCH,
            uploaded_by: String::new(),
            signed_by: None,
            report: RawValue::from_string("{}".into()).unwrap(),
        };
        registry.put_module(&actor, &acme, module, bytes.into()).await.unwrap();
    }
    let settings = json!({ "source": { "connection": "jst" }, "target": { "connection": "k3" } });
    let put = SchemePut { settings, module: Digest::of(ONE), enabled: Some(true), note: String::new() };
    registry.put_scheme(&actor, &acme, &SchemeId::new(SCHEME).unwrap(), put, None).await.unwrap();
    let policy = Policy { require_clean_compare: true, ..Policy::default() };
    let change = TenantChange { policy: Some(policy.into()), ..TenantChange::default() };
    registry.change_tenant(&actor, &acme, change, None).await.unwrap();
    (rig, registry)
}

fn with(module: &[u8]) -> Wish {
    Wish::Retry { mode: RetryMode::Plain, module: Some(Digest::of(module)) }
}

#[tokio::test]
async fn a_document_is_not_tried_with_a_module_that_was_not_compared() {
    let (rig, registry) = ruled().await;
    for (of, key) in [(ACME, "a"), (ACME, "b"), (BETA, "z")] {
        rig.parked(of, key, "no customer").await;
    }
    let console = Actor::console();
    let witness = Witness { office: &rig.office, registry: Some(&registry), actor: &console };
    let refused = witness.command(Some(&tenant(ACME)), &wish("a", with(TWO))).await;
    let policy = registry::Error::Policy { policy: "require_clean_compare", remedy: String::new() };
    let said = policy.to_string();
    assert!(
        matches!(&refused, Err(OfficeError::Registry(error)) if error.to_string().starts_with(&said)),
        "{refused:?}"
    );
    let last = registry.audit(Some(&tenant(ACME)), 0, usize::MAX, &AuditFilter::default()).unwrap().rows.pop().unwrap();
    assert_eq!((last.action.as_str(), last.object.as_str()), ("document.retry.refused", "a"));
    for dry_run in [true, false] {
        // Of two tenants: what holds for one does not for the other.
        let filter = Filter { states: vec![DocumentState::Parked], ..Filter::default() };
        let request = BulkRequest { filter, wish: with(TWO), dry_run, by: None };
        let answer = witness.bulk(None, &request).await.unwrap();
        let groups: Vec<_> = answer.refused.iter().map(|group| (group.reason.as_str(), group.count)).collect();
        assert_eq!((answer.granted, groups), (1, vec![("compare_required", 2)]), "{answer:?}");
    }
    assert_eq!(rig.state(ACME, "a"), DocumentState::Parked);
    assert_eq!(rig.state(BETA, "z"), DocumentState::Received);
    witness.command(Some(&tenant(ACME)), &wish("a", with(ONE))).await.unwrap();
    witness.command(Some(&tenant(ACME)), &wish("b", retry())).await.unwrap();
}

#[tokio::test]
async fn what_has_a_row_has_a_plug_before_anybody_is_at_work() {
    let (mut rig, registry) = ruled().await;
    rig.office.desks = Register::default();
    let (acme, beta, operator) = (tenant(ACME), tenant(BETA), crate::pipeline::gate::Person::Operator);
    let all = [PauseRequest::Scheme(SCHEME.into()), PauseRequest::Connection("k3".into())];
    for what in &all {
        assert_eq!(rig.office.pause(Some(&acme), what, "", operator).await.unwrap().len(), 1, "{what:?}");
        assert!(rig.office.pause(Some(&beta), what, "", operator).await.is_err(), "{what:?}");
    }
    assert_eq!(rig.office.pauses(Some(&acme)).len(), 2);
    drop(registry);
}
