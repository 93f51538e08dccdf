use super::*;

#[tokio::test]
async fn the_same_bytes_again_change_nothing() {
    let desk = Desk::new().await;
    assert_eq!(desk.upload("m", "1", b"one").await.unwrap(), Put { created: true });
    let before = desk.everything();
    desk.pass(SignedDuration::from_secs(1));
    assert_eq!(desk.upload("m", "1", b"one").await.unwrap(), Put { created: false });
    assert_eq!(desk.everything(), before);
    let digest = Digest::of(b"one");
    assert_eq!(desk.registry.module_bytes(&acme(), &digest).unwrap().unwrap(), "one");
    let row = desk.registry.module_by_name(&acme(), &"m@1".parse().unwrap()).unwrap().unwrap();
    assert_eq!((row.digest, row.uploaded_by.as_str(), row.report.get()), (digest, "t-admin", "{\"exports\":1}"));
}

#[tokio::test]
async fn a_signature_may_come_later_and_is_never_exchanged() {
    let desk = Desk::new().await;
    desk.upload("m", "1", b"one").await.unwrap();
    for (key, expected) in [("k1", "k1"), ("k2", "k1")] {
        let signed = ModuleRow { signed_by: Some(key.into()), ..module("m", "1", b"one") };
        let put = desk.registry.put_module(&ADMIN, &ACME, signed, b"one".as_slice().into()).await.unwrap();
        assert!(!put.created);
        let row = desk.registry.module(&acme(), &Digest::of(b"one")).unwrap().unwrap();
        assert_eq!(row.signed_by.as_deref(), Some(expected));
    }
    let actions: Vec<String> = desk.lines(Some(&acme())).into_iter().map(|line| line.action).collect();
    assert_eq!(actions, ["module.upload", "module.sign"]);
}

#[tokio::test]
async fn a_name_and_version_belong_to_their_first_bytes_for_ever() {
    let desk = Desk::new().await;
    desk.upload("m", "1", b"one").await.unwrap();
    let immutable = |result: Result<Put, Error>| match result {
        Err(Error::Immutable { module, digest }) => assert_eq!((module.as_str(), digest), ("m@1", Digest::of(b"one"))),
        other => panic!("{other:?}"),
    };
    immutable(desk.upload("m", "1", b"two").await);
    desk.upload("m", "2", b"two").await.unwrap();

    desk.registry.delete_module(&admin(), &acme(), &Digest::of(b"one")).await.unwrap();
    assert_eq!(desk.registry.module_bytes(&acme(), &Digest::of(b"one")).unwrap(), None);
    assert!(desk.registry.module_by_name(&acme(), &"m@1".parse().unwrap()).unwrap().is_none());
    immutable(desk.upload("m", "1", b"three").await);
    assert_eq!(desk.upload("m", "1", b"one").await.unwrap(), Put { created: true }, "its own bytes may come back");
    desk.found("other").await;
    let other = TenantId::new("other").unwrap();
    let put = desk.registry.put_module(&admin(), &other, module("m", "1", b"three"), b"three".as_slice().into()).await;
    assert!(put.unwrap().created, "another tenant's names are others");
    assert!(desk.registry.module(&acme(), &Digest::of(b"three")).unwrap().is_none());
}

#[tokio::test]
async fn of_two_uploads_at_once_one_has_the_name() {
    let desk = Desk::new().await;
    let (left, right) = (desk.hesitant(), desk.hesitant());
    let one = left.put_module(&ADMIN, &ACME, module("m", "1", b"one"), b"one".as_slice().into());
    let two = right.put_module(&ADMIN, &ACME, module("m", "1", b"two"), b"two".as_slice().into());
    let (one, two) = tokio::join!(one, two);
    let is_one = matches!((&one, &two), (Ok(_), Err(Error::Immutable { .. })) | (Err(Error::Immutable { .. }), Ok(_)));
    assert!(is_one, "{one:?} {two:?}");
    assert_eq!(desk.registry.modules(&acme(), None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_module_in_use_stays_and_so_does_the_one_to_roll_back_to() {
    let desk = Desk::new().await;
    desk.scheme().await;
    desk.upload("m", "2", b"two").await.unwrap();
    let delete = |bytes: &'static [u8]| {
        let registry = desk.registry.clone();
        async move { registry.delete_module(&admin(), &acme(), &Digest::of(bytes)).await }
    };
    in_use(delete(b"one").await, &["scheme saleout"]);
    desk.registry.activate(&admin(), &acme(), &scheme("saleout"), &Digest::of(b"two"), None, "").await.unwrap();
    in_use(delete(b"two").await, &["scheme saleout"]);
    in_use(delete(b"one").await, &["scheme saleout (to roll back to)"]);
    desk.registry.delete_scheme(&admin(), &acme(), &scheme("saleout"), None).await.unwrap();
    delete(b"one").await.unwrap();
    assert!(matches!(delete(b"one").await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn what_its_report_is_not_about_is_refused() {
    let desk = Desk::new().await;
    let put = |row: ModuleRow| {
        let registry = desk.registry.clone();
        async move { registry.put_module(&admin(), &acme(), row, b"one".as_slice().into()).await }
    };
    let good = || module("m", "1", b"one");
    for row in [
        ModuleRow { digest: Digest::of(b"two"), ..good() },
        ModuleRow { size: 4, ..good() },
        ModuleRow { name: "../m".into(), ..good() },
        ModuleRow { version: "1\0".into(), ..good() },
        ModuleRow { version: "1/2".into(), ..good() },
        ModuleRow { version: String::new(), ..good() },
        ModuleRow { class: "native".into(), ..good() },
    ] {
        let said = format!("{row:?}");
        assert!(matches!(put(row).await, Err(Error::Invalid { .. })), "{said}");
    }
    assert!(
        desk.registry
            .module_by_name(&acme(), &crate::model::ModuleRef { name: "m".into(), version: "1\0".into() })
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn policies_hold_when_a_module_comes_and_when_it_is_used() {
    let desk = Desk::new().await;
    desk.scheme().await;
    let policy = |result: Result<SchemeRow, Error>| match result {
        Err(Error::Policy { policy, .. }) => policy,
        other => panic!("{other:?}"),
    };
    let interpreter = ModuleRow { class: "interpreter".into(), ..module("js", "1", b"js") };
    let put = || desk.registry.put_module(&ADMIN, &ACME, interpreter.clone(), b"js".as_slice().into());
    assert!(matches!(put().await, Err(Error::Policy { policy: "interpreter_modules", .. })));
    desk.policy(Policy { interpreter_modules: true, ..Policy::default() }).await;
    put().await.unwrap();
    desk.policy(Policy { require_signature: true, ..Policy::default() }).await;
    let activate = |bytes: &'static [u8]| {
        let registry = desk.registry.clone();
        async move { registry.activate(&admin(), &acme(), &scheme("saleout"), &Digest::of(bytes), None, "").await }
    };
    assert_eq!(policy(activate(b"js").await), "require_signature", "also where the policy came after the module");
    assert!(matches!(desk.upload("m", "3", b"three").await, Err(Error::Policy { policy: "require_signature", .. })));
    let signed = ModuleRow { signed_by: Some("k".into()), ..module("m", "3", b"three") };
    desk.registry.put_module(&admin(), &acme(), signed, b"three".as_slice().into()).await.unwrap();
    assert_eq!(activate(b"three").await.unwrap().module_ref.to_string(), "m@3");
    desk.policy(Policy::default()).await;
    assert_eq!(policy(activate(b"js").await), "interpreter_modules", "also where the grant was taken back");
}

#[tokio::test]
async fn quotas_refuse_with_what_how_much_and_how_much_is_used() {
    let desk = Desk::new().await;
    desk.scheme().await;
    let refused = |result: Result<(), Error>| match result {
        Err(Error::Quota { quota, limit, used, .. }) => (quota, limit, used),
        other => panic!("{other:?}"),
    };
    desk.quotas(Quotas { modules: 1, ..Quotas::default() }).await;
    assert_eq!(refused(desk.upload("m", "2", b"two").await.map(drop)), ("modules", 1, 1));
    assert!(!desk.upload("m", "1", b"one").await.unwrap().created, "what is there needs no room");
    desk.quotas(Quotas { module_bytes: 5, ..Quotas::default() }).await;
    assert_eq!(refused(desk.upload("m", "2", b"two").await.map(drop)), ("module_bytes", 5, 3));
    desk.quotas(Quotas { connections: 2, ..Quotas::default() }).await;
    assert_eq!(refused(desk.put_connection("third", json!({})).await.map(drop)), ("connections", 2, 2));
    desk.put_connection("jst", json!({})).await.unwrap();
    desk.quotas(Quotas { schemes: 1, ..Quotas::default() }).await;
    assert_eq!(refused(desk.put_scheme("second", Digest::of(b"one")).await.map(drop)), ("schemes", 1, 1));
    desk.quotas(Quotas { tables: 0, ..Quotas::default() }).await;
    let put = desk.registry.put_table(&admin(), &acme(), "t", table(&Entries::new()), None).await;
    assert_eq!(refused(put.map(drop)), ("tables", 0, 1));
    desk.quotas(Quotas { table_bytes: 9, ..Quotas::default() }).await;
    let larger = Entries::from([("S1".to_owned(), "\"W1W1W1\"".to_owned())]);
    let put = |name: &'static str, entries: &Entries| {
        let (registry, content) = (desk.registry.clone(), table(entries));
        async move { registry.put_table(&admin(), &acme(), name, content, None).await.map(drop) }
    };
    assert_eq!(refused(put("shops", &larger).await), ("table_bytes", 9, 0), "what it replaces is not counted");
    assert_eq!(refused(put("more", &Entries::from([("S2".into(), "12".into())])).await), ("table_bytes", 9, 6));
    put("more", &Entries::from([("S".into(), "12".into())])).await.unwrap();
    desk.quotas(Quotas { table_bytes: 0, ..Quotas::default() }).await;
    put("shops", &Entries::from([("S".into(), "1".into())])).await.unwrap();
    let used = desk.registry.used(&acme()).unwrap();
    let expected = Used {
        modules: 1,
        module_bytes: 3,
        schemes: 1,
        connections: 2,
        tables: 2,
        table_bytes: 5,
        changes_this_minute: 8,
        compile_seconds_this_hour: 0,
    };
    assert_eq!(used, expected);
}

#[tokio::test]
async fn many_uploads_at_once_do_not_pass_a_quota_together() {
    let desk = Desk::new().await;
    desk.quotas(Quotas { modules: 3, ..Quotas::default() }).await;
    let registries: Vec<Registry> = (0..8).map(|_| desk.hesitant()).collect();
    let puts = registries.iter().enumerate().map(|(number, registry)| {
        let bytes = number.to_string().into_bytes();
        registry.put_module(&ADMIN, &ACME, module("m", &number.to_string(), &bytes), bytes.into())
    });
    let put = futures::future::join_all(puts).await;
    assert_eq!(put.iter().filter(|put| put.is_ok()).count(), 3, "{put:?}");
    assert_eq!(desk.registry.used(&acme()).unwrap().modules, 3);
}
