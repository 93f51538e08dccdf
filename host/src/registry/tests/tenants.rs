use super::*;

#[tokio::test]
async fn a_tenants_id_is_given_once() {
    let desk = Desk::new().await;
    let new = || serde_json::from_value::<NewTenant>(json!({ "id": "acme", "quotas": { "modules": 3 } })).unwrap();
    let create = || desk.registry.create_tenant(&CONSOLE, new());
    assert!(matches!(create().await, Err(Error::Exists { problem: "exists", .. })));
    desk.registry.delete_tenant(&CONSOLE, &acme(), None).await.unwrap();
    assert_eq!(desk.registry.tenant(&acme()).unwrap(), None);
    assert_eq!(desk.registry.tenants(None, 10).unwrap(), []);
    assert!(matches!(create().await, Err(Error::Exists { .. })), "its audit log and documents are still there");
    let gone = desk.registry.delete_tenant(&CONSOLE, &acme(), None).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn quotas_that_are_not_named_have_their_defaults() {
    let desk = Desk::empty();
    let new = json!({ "id": "acme", "quotas": { "modules": 3 }, "weight": 2 });
    let tenant = desk.registry.create_tenant(&CONSOLE, serde_json::from_value(new).unwrap()).await.unwrap();
    assert_eq!(tenant.quotas, Quotas { modules: 3, ..Quotas::default() });
    assert!(serde_json::from_value::<NewTenant>(json!({ "id": "a", "quotas": { "modlues": 3 } })).is_err());
    for weight in [0, 101] {
        let new = json!({ "id": "b", "weight": weight });
        let created = desk.registry.create_tenant(&CONSOLE, serde_json::from_value(new).unwrap()).await;
        assert!(matches!(created, Err(Error::Invalid { .. })));
    }
}

#[tokio::test]
async fn a_change_leaves_what_it_does_not_name_and_null_is_the_default() {
    let desk = Desk::new().await;
    let check = async |change: Value, expected: Value| {
        let change: TenantChange = serde_json::from_value(change).unwrap();
        let tenant = json!(desk.registry.change_tenant(&CONSOLE, &ACME, change, None).await.unwrap());
        for (at, value) in expected.as_object().unwrap() {
            assert_eq!(tenant.pointer(at), Some(value), "{at} of {tenant:#}");
        }
    };
    check(
        json!({ "policy": { "require_signature": true, "compare_documents": 5 }, "quotas": { "modules": 3, "schemes": 4 } }),
        json!({ "/policy/require_signature": true, "/policy/compare_documents": 5, "/quotas/modules": 3 }),
    )
    .await;
    check(
        json!({ "policy": { "require_clean_compare": true }, "quotas": { "schemes": null } }),
        json!({ "/policy/require_signature": true, "/policy/require_clean_compare": true, "/policy/compare_documents": 5,
                "/quotas/modules": 3, "/quotas/schemes": 20 }),
    )
    .await;
    check(json!({ "policy": {}, "weight": 7, "display_name": "Acme" }), json!({ "/policy/require_signature": true }))
        .await;
    check(
        json!({ "policy": null, "display_name": null }),
        json!({ "/policy": Policy::default(), "/quotas/modules": 3, "/weight": 7, "/display_name": "" }),
    )
    .await;
    let noted = desk.lines(None).pop().unwrap().detail["change"].clone();
    assert_eq!(noted["policy"]["require_signature"], Value::Null, "{noted:#}");
    check(json!({ "quotas": null, "weight": null }), json!({ "/quotas": Quotas::default(), "/weight": 1 })).await;
    for wrong in
        [json!({ "policy": { "require_signatures": true } }), json!({ "quotas": { "concurrent_calls": 1u64 << 32 } })]
    {
        assert!(serde_json::from_value::<TenantChange>(wrong).is_err());
    }
    // Each quota and rule there is.
    let quotas = json!(QuotasChange::from(Quotas::default()));
    assert_eq!(
        (quotas, json!(PolicyChange::from(Policy::default()))),
        (json!(Quotas::default()), json!(Policy::default()))
    );
}

#[tokio::test]
async fn a_change_expects_the_revision_that_it_saw() {
    let desk = Desk::new().await;
    let change = |weight, expected| {
        let change = TenantChange { weight: Some(weight), ..TenantChange::default() };
        desk.registry.change_tenant(&CONSOLE, &ACME, change, expected)
    };
    assert_eq!(change(2, Some(1)).await.unwrap().revision, 2);
    assert!(matches!(change(3, Some(1)).await, Err(Error::Conflict { expected: 1, found: 2 })));
    assert_eq!(desk.registry.tenant(&acme()).unwrap().unwrap().weight, 2);
    let (one, two) = tokio::join!(change(5, Some(2)), change(6, Some(2)));
    assert!(one.is_ok() != two.is_ok(), "of two who saw the same, one is told");
}

#[tokio::test]
async fn a_tenant_with_schemes_or_modules_is_not_deleted_and_takes_its_secrets_along_when_it_is() {
    let desk = Desk::new().await;
    desk.scheme().await;
    let new = NewToken {
        name: "x".into(),
        role: Role::TenantAdmin,
        rights: Rights::default(),
        expires_at: desk.now() + SignedDuration::from_hours(1),
    };
    let (_, text) = desk.registry.create_token(&admin(), Some(&acme()), new).await.unwrap();
    let registry = &desk.registry;
    let delete = || registry.delete_tenant(&CONSOLE, &ACME, None);
    in_use(delete().await, &["scheme saleout", "module m@1"]);
    registry.delete_scheme(&admin(), &acme(), &scheme("saleout"), None).await.unwrap();
    in_use(delete().await, &["module m@1"]);
    registry.delete_module(&admin(), &acme(), &Digest::of(b"one")).await.unwrap();
    delete().await.unwrap();
    assert_eq!(registry.authenticate(text.expose()), Err(Unauthenticated::Unknown));
    assert_eq!(registry.connections(&acme(), None, 10).unwrap(), []);
    let tables: std::collections::BTreeSet<Table> = desk.everything().into_iter().map(|(table, ..)| table).collect();
    assert_eq!(tables, [Table::Tenants, Table::Modules, Table::Audit].into(), "that it was, its names, and its log");
}

/// Whichever is first, no module is left with a tenant that is gone.
#[tokio::test]
async fn a_deletion_and_an_upload_at_once_leave_one_of_the_two() {
    for upload_first in [true, false] {
        let desk = Desk::new().await;
        let registry = desk.hesitant();
        let upload = registry.put_module(&ADMIN, &ACME, module("m", "1", b"one"), b"one".as_slice().into());
        let delete = registry.delete_tenant(&CONSOLE, &ACME, None);
        let (upload, delete) = if upload_first {
            tokio::join!(upload, delete)
        } else {
            let (delete, upload) = tokio::join!(delete, upload);
            (upload, delete)
        };
        assert!(upload.is_ok() != delete.is_ok(), "{upload:?} {delete:?}");
        let is_there = desk.registry.tenant(&acme()).unwrap().is_some();
        assert_eq!(desk.registry.modules(&acme(), None, 10).unwrap().len(), usize::from(is_there));
    }
}

#[tokio::test]
async fn people_of_a_suspended_tenant_change_nothing() {
    let desk = Desk::new().await;
    desk.scheme().await;
    let change = TenantChange { suspended: Some(true), ..TenantChange::default() };
    desk.registry.change_tenant(&CONSOLE, &acme(), change, None).await.unwrap();
    let before = desk.everything();
    assert!(matches!(desk.upload("m", "9", b"nine").await, Err(Error::Suspended { .. })));
    assert!(matches!(desk.put_connection("jst", json!({})).await, Err(Error::Suspended { .. })));
    assert_eq!(desk.everything(), before);
    let name = scheme("saleout");
    desk.registry.set_enabled(&CONSOLE, &acme(), &name, true, None).await.unwrap();
}

#[tokio::test]
async fn tenants_are_listed_in_pages() {
    let desk = Desk::empty();
    for tenant in ["c", "a", "b", "ab", "gone"] {
        desk.found(tenant).await;
    }
    desk.registry.delete_tenant(&CONSOLE, &TenantId::new("gone").unwrap(), None).await.unwrap();
    let mut found = Vec::new();
    loop {
        let page = desk.registry.tenants(found.last(), 2).unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|tenant| tenant.id));
    }
    assert_eq!(found.iter().map(TenantId::as_str).collect::<Vec<_>>(), ["a", "ab", "b", "c"]);
}

static ACME: std::sync::LazyLock<TenantId> = std::sync::LazyLock::new(acme);

#[tokio::test]
async fn names_hold_nothing_that_a_reader_does_not_see() {
    let desk = Desk::new().await;
    desk.scheme().await;
    for unseen in [
        "shops\u{202e}spohs",
        "sho\u{200b}ps",
        "\u{feff}shops",
        "sh\u{2066}ops",
        "shops\u{7f}",
        "shops\u{2800}",
        "shops\u{fe0f}",
    ] {
        let entries = Entries::from([("a".to_owned(), "1".to_owned())]);
        let table = desk.registry.put_table(&admin(), &acme(), unseen, super::table(&entries), None).await.map(drop);
        let change = TenantChange { display_name: Some(unseen.into()), ..TenantChange::default() };
        let tenant = desk.registry.change_tenant(&CONSOLE, &ACME, change, None).await.map(drop);
        let note = desk.registry.rollback(&admin(), &acme(), &scheme("saleout"), None, unseen).await.map(drop);
        for result in [table, tenant, note] {
            assert!(
                matches!(&result, Err(Error::Invalid { problem, .. }) if problem.contains("not seen")),
                "{result:?}"
            );
        }
    }
    // Blanks that are taken for others are no part of a name; a sentence may have them.
    for blank in ["sh\u{a0}ops", "sh\u{3000}ops", "sh\u{2003}ops"] {
        let table = desk.registry.put_table(&admin(), &acme(), blank, super::table(&Entries::new()), None).await;
        assert!(matches!(&table, Err(Error::Invalid { problem, .. }) if problem.contains("blank")), "{table:?}");
        let change = TenantChange { display_name: Some(blank.into()), ..TenantChange::default() };
        let tenant = desk.registry.change_tenant(&CONSOLE, &ACME, change, None).await;
        assert!(matches!(&tenant, Err(Error::Invalid { problem, .. }) if problem.contains("blank")), "{tenant:?}");
        let note = desk.registry.rollback(&admin(), &acme(), &scheme("saleout"), None, blank).await;
        assert!(matches!(note, Err(Error::State { .. })), "{note:?}");
    }
}
