use super::*;
use crate::pipeline::gate::{Pause, Person, Scope};

const OPERATOR: Person = Person::Operator;
const TENANT: Person = Person::Tenant;

/// What is said of another tenant's document and of one that does not exist, with what was asked for taken out.
fn same(theirs: Result<(), OfficeError>, nobodys: Result<(), OfficeError>, names: (&str, &str)) {
    let (theirs, nobodys) = (theirs.unwrap_err(), nobodys.unwrap_err());
    assert_eq!(std::mem::discriminant(&theirs), std::mem::discriminant(&nobodys));
    assert_eq!(theirs.to_string().replace(names.0, "X"), nobodys.to_string().replace(names.1, "X"));
}

#[tokio::test]
async fn another_tenants_document_is_as_one_that_does_not_exist() {
    let rig = Rig::new();
    rig.parked(ACME, "own", "no customer").await;
    rig.parked(BETA, "theirs", "zhang san").await;
    let acme = tenant(ACME);
    let names = ("theirs", "nobodys");
    let show = |key: &str| rig.office.show(Some(&acme), Some(SCHEME), key, true).map(drop);
    same(show(names.0), show(names.1), names);
    let show = |key: &str| rig.office.show(Some(&acme), None, key, true).map(drop);
    same(show(names.0), show(names.1), names);
    let wishes = [
        retry(),
        Wish::Discard { reason: "enough".into() },
        Wish::Edit { body: "{}".into() },
        Wish::Erase { reason: "asked for".into() },
    ];
    for one in wishes {
        let theirs = rig.office.command(Some(&acme), &wish(names.0, one.clone())).await.map(drop);
        let nobodys = rig.office.command(Some(&acme), &wish(names.1, one)).await.map(drop);
        same(theirs, nobodys, names);
    }
    assert_eq!(rig.state(BETA, "theirs"), DocumentState::Parked);
    // The scheme is its own as well as theirs; a place in the other one's list shows nothing of it either.
    let found = rig.office.search(Some(&acme), &Filter::default()).unwrap();
    assert_eq!(found.documents.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["own"]);
    let elsewhere = Filter { limit: Some(1), ..Filter::default() };
    let beta = rig.office.search(Some(&tenant(BETA)), &elsewhere).unwrap();
    assert_eq!(beta.documents[0].key, "theirs");
    let borrowed = rig.office.search(Some(&acme), &Filter { after: beta.next, ..Filter::default() }).unwrap();
    assert!(borrowed.documents.is_empty());
    let filter = Filter { scheme: Some(SCHEME.into()), ..Filter::default() };
    let everything = BulkRequest { filter, wish: retry(), dry_run: false, by: None };
    assert_eq!(rig.office.bulk(Some(&acme), &everything).await.unwrap().matched, 1);
    assert_eq!(rig.state(BETA, "theirs"), DocumentState::Parked);
}

#[tokio::test]
async fn a_tenant_without_schemes_knows_of_none() {
    let rig = Rig::new();
    let stranger = tenant("stranger");
    let refused = rig.office.show(Some(&stranger), Some(SCHEME), "own", false).unwrap_err();
    assert_eq!(refused.to_string(), "there is no scheme saleout; there are: ");
    assert!(rig.office.search(Some(&stranger), &Filter::default()).unwrap().documents.is_empty());
}

#[tokio::test]
async fn a_tenant_pauses_and_resumes_what_is_its_own() {
    let rig = Rig::new();
    let (acme, beta) = (tenant(ACME), tenant(BETA));
    rig.office.pause(Some(&acme), &PauseRequest::All, "stocktaking", TENANT).await.unwrap();
    assert_eq!((rig.office.pauses(Some(&acme)).len(), rig.office.pauses(Some(&beta)).len()), (1, 0));
    rig.office.pause(None, &PauseRequest::All, "maintenance", OPERATOR).await.unwrap();
    assert_eq!(rig.office.pauses(Some(&beta)).len(), 1, "what holds it back it may see");
    assert_eq!(rig.office.resume(Some(&beta), &PauseRequest::All, TENANT).await.unwrap(), []);
    assert_eq!(rig.office.resume(Some(&acme), &PauseRequest::All, TENANT).await.unwrap().len(), 1);
    assert_eq!(rig.office.pauses(None).len(), 1, "the operator's stands");
    let connection = PauseRequest::Connection("k3".into());
    rig.office.pause(Some(&acme), &connection, "their maintenance", TENANT).await.unwrap();
    assert_eq!(rig.office.pauses(Some(&beta)).len(), 1);
    assert_eq!(rig.office.resume(Some(&beta), &connection, TENANT).await.unwrap(), []);
}

#[tokio::test]
async fn of_two_schemes_of_one_name_the_operator_says_whose() {
    let rig = Rig::new();
    let pause = |name: &str| PauseRequest::Scheme(name.into());
    let both = rig.office.pause(None, &pause(SCHEME), "month end", OPERATOR).await;
    assert!(matches!(&both, Err(OfficeError::NotUsable(why)) if why.contains("TENANT/saleout")), "{both:?}");
    let one = rig.office.pause(None, &pause("acme/saleout"), "month end", OPERATOR).await.unwrap();
    let scope = |of| Scope::Scheme(tenant(of), SchemeId::new(SCHEME).unwrap());
    assert_eq!(one.iter().map(|pause| pause.scope.clone()).collect::<Vec<_>>(), [scope(ACME)]);
    rig.office.pause(Some(&tenant(BETA)), &pause(SCHEME), "theirs", TENANT).await.unwrap();
    assert!(rig.office.resume(None, &pause(SCHEME), OPERATOR).await.is_err());
    assert_eq!(rig.office.resume(None, &pause("acme/saleout"), OPERATOR).await.unwrap(), [scope(ACME)]);
    assert_eq!(rig.office.pauses(None).len(), 1, "the other tenant's stays");
}

#[tokio::test]
async fn what_the_operator_paused_no_tenant_resumes_and_no_tenants_pause_hides() {
    let rig = Rig::new();
    let acme = tenant(ACME);
    for what in [PauseRequest::Scheme(SCHEME.into()), PauseRequest::Connection("k3".into())] {
        // The tenant's own comes and goes.
        rig.office.pause(Some(&acme), &what, "stocktaking", TENANT).await.unwrap();
        assert_eq!(rig.office.resume(Some(&acme), &what, TENANT).await.unwrap().len(), 1);
        // The operator's, given for this tenant, stays, whatever the tenant says.
        let made = rig.office.pause(Some(&acme), &what, "an incident", OPERATOR).await.unwrap();
        assert_eq!(made[0].person(), Some(OPERATOR));
        let over = rig.office.pause(Some(&acme), &what, "ours now", TENANT).await.unwrap();
        assert_eq!((over[0].person(), over[0].reason.as_str()), (Some(OPERATOR), "an incident"));
        let refused = rig.office.resume(Some(&acme), &what, TENANT).await;
        assert!(matches!(refused, Err(OfficeError::OperatorsPause(_))), "{refused:?}");
        assert_eq!(rig.office.resume(Some(&acme), &PauseRequest::All, TENANT).await.unwrap(), []);
        let again = Gates::open(rig.store.clone()).unwrap();
        assert!(
            again.pause_of(&made[0].scope).is_some_and(|pause| pause.is_operators()),
            "a restart forgets whose it was"
        );
        assert_eq!(rig.office.resume(Some(&acme), &what, OPERATOR).await.unwrap().len(), 1);
    }
    // What a fault paused, the tenant takes back; rows of before are the operator's.
    let scope = Scope::Scheme(acme.clone(), SchemeId::new(SCHEME).unwrap());
    let row = |code: &str| {
        format!(
            r#"{{"scope":{{"scheme":["{ACME}","{SCHEME}"]}},"since":"2026-11-22T08:00:00Z","reason":"r","code":{code}}}"#
        )
    };
    for (code, may) in [("\"credentials_refused\"", true), ("null", false)] {
        let pause: Pause = serde_json::from_str(&row(code)).unwrap();
        rig.office.gates.pause(pause, false).await.unwrap();
        let resumed = rig.office.resume(Some(&acme), &PauseRequest::Scheme(SCHEME.into()), TENANT).await;
        assert_eq!(resumed.is_ok(), may, "{code}: {resumed:?}");
        rig.office.gates.resume(&scope).await.unwrap();
    }
}
