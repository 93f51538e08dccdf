use super::*;

fn two() -> Digest {
    Digest::of(b"two")
}

async fn put(desk: &Desk, name: &str, settings: Value) -> Result<SchemeRow, Error> {
    let put = SchemePut { settings, module: Digest::of(b"one"), enabled: None, note: String::new() };
    desk.registry.put_scheme(&admin(), &acme(), &scheme(name), put, None).await
}

/// What `settings` are not.
fn hourly() -> Value {
    let mut settings = settings();
    settings["schedule"] = json!("every 1h");
    settings
}

#[tokio::test]
async fn a_scheme_begins_switched_off_and_each_change_is_a_revision() {
    let desk = Desk::new().await;
    let first = desk.scheme().await;
    assert_eq!((first.enabled, first.revision, first.module_ref.to_string().as_str()), (false, 1, "m@1"));
    let name = scheme("saleout");
    let enabled = desk.registry.set_enabled(&admin(), &acme(), &name, true, Some(1)).await.unwrap();
    assert_eq!((enabled.enabled, enabled.revision), (true, 2));
    let again = desk.registry.set_enabled(&admin(), &acme(), &name, true, None).await.unwrap();
    assert_eq!(again, enabled, "what is on is not switched on again");
    let changed = put(&desk, "saleout", hourly()).await.unwrap();
    assert!(changed.enabled && changed.revision == 3, "it stays on where nothing is said");
    let stale = desk.registry.set_enabled(&admin(), &acme(), &name, false, Some(2)).await;
    assert!(matches!(stale, Err(Error::Conflict { expected: 2, found: 3 })));
    let revisions = desk.registry.scheme_revisions(&acme(), &name, 0, 10).unwrap();
    assert_eq!(
        revisions.iter().map(|row| (row.revision, row.enabled)).collect::<Vec<_>>(),
        [(1, false), (2, true), (3, true)]
    );
}

#[tokio::test]
async fn activation_and_rollback_exchange_the_module_and_nothing_else() {
    let desk = Desk::new().await;
    let first = desk.scheme().await;
    let name = scheme("saleout");
    let registry = &desk.registry;
    let nothing = registry.rollback(&admin(), &acme(), &name, None, "").await;
    assert!(matches!(nothing, Err(Error::State { .. })), "there is nothing to roll back to");
    let unknown = registry.activate(&admin(), &acme(), &name, &two(), None, "").await;
    assert!(matches!(unknown, Err(Error::Invalid { field, .. }) if field == "/module"));
    desk.upload("m", "2", b"two").await.unwrap();
    let active = registry.activate(&admin(), &acme(), &name, &two(), Some(1), "new rates").await.unwrap();
    assert_eq!((active.module, active.previous_module, active.note.as_str()), (two(), Some(first.module), "new rates"));
    assert_eq!((&active.settings, active.enabled, active.module_ref.version.as_str()), (&first.settings, false, "2"));
    let same = registry.activate(&admin(), &acme(), &name, &two(), None, "").await.unwrap();
    assert_eq!(same, active, "what runs is not activated again");
    let back = registry.rollback(&admin(), &acme(), &name, None, "").await.unwrap();
    assert_eq!((back.module, back.previous_module, back.revision), (first.module, Some(two()), 3));
    let forth = registry.rollback(&admin(), &acme(), &name, None, "").await.unwrap();
    assert_eq!(forth.module, two());
}

#[tokio::test]
async fn a_policy_asks_for_a_clean_comparison_of_just_this() {
    let desk = Desk::new().await;
    let first = desk.scheme().await;
    desk.upload("m", "2", b"two").await.unwrap();
    desk.upload("m", "3", b"three").await.unwrap();
    desk.document("saleout", "SO1").await;
    desk.policy(Policy { require_clean_compare: true, ..Policy::default() }).await;
    let name = scheme("saleout");
    let activate = || desk.registry.activate(&ADMIN, &ACME, &NAME, &TWO, None, "");
    let refused = |result: Result<SchemeRow, Error>| {
        assert!(matches!(result, Err(Error::Policy { policy: "require_clean_compare", .. })), "{result:?}");
    };
    let note = |row: SchemeRow, candidate: Digest, clean| {
        let registry = desk.registry.clone();
        let looked = Looked { documents: 20, undecided: 0, available: 20, clean };
        async move { registry.note_compare(&admin(), &acme(), &row, &candidate, looked).await.unwrap() }
    };
    refused(activate().await);
    note(first.clone(), two(), false).await;
    refused(activate().await);
    note(first.clone(), Digest::of(b"three"), true).await;
    refused(activate().await);
    note(first.clone(), two(), true).await;
    let changed = put(&desk, "saleout", hourly()).await.unwrap();
    refused(activate().await);
    let by_put = SchemePut { settings: hourly(), module: two(), enabled: None, note: String::new() };
    refused(desk.registry.put_scheme(&admin(), &acme(), &name, by_put.clone(), None).await);
    note(changed, two(), true).await;
    desk.registry.put_scheme(&admin(), &acme(), &name, by_put, None).await.unwrap();
    let back = desk.registry.rollback(&admin(), &acme(), &name, None, "").await.unwrap();
    assert_eq!(back.module, first.module, "the way back is never barred");
}

#[tokio::test]
async fn a_comparison_of_too_few_documents_clears_nothing_and_one_that_differed_is_not_forgotten() {
    let desk = Desk::new().await;
    let first = desk.scheme().await;
    desk.upload("m", "2", b"two").await.unwrap();
    desk.document("saleout", "SO1").await;
    desk.policy(Policy { require_clean_compare: true, compare_documents: 30, ..Policy::default() }).await;
    let looked = |documents, available, clean| Looked { documents, undecided: 0, available, clean };
    // What is compared, one after the other, and whether the last lets the module be activated.
    let check = async |compared: &[Looked], clears: bool| {
        let row = desk.registry.scheme(&acme(), &NAME).unwrap().unwrap();
        for one in compared {
            desk.registry.note_compare(&ADMIN, &ACME, &row, &TWO, *one).await.unwrap();
        }
        match desk.registry.activate(&ADMIN, &ACME, &NAME, &TWO, None, "").await {
            Ok(_) => {
                assert!(clears, "{compared:?}");
                desk.registry.rollback(&ADMIN, &ACME, &NAME, None, "").await.unwrap();
            }
            Err(Error::Policy { policy: "require_clean_compare", remedy }) => {
                assert!(!clears, "{compared:?}: {remedy}")
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    check(&[looked(0, 500, true)], false).await;
    check(&[looked(1, 500, true)], false).await;
    check(&[looked(29, 500, true)], false).await;
    check(&[looked(30, 500, true)], true).await;
    check(&[looked(3, 3, true)], true).await;
    check(&[looked(200, 500, false), looked(30, 500, true)], false).await;
    check(&[looked(199, 500, true)], false).await;
    // Neither another candidate's comparison in between nor another revision of the scheme makes it forgotten.
    desk.upload("m", "3", b"three").await.unwrap();
    desk.registry.note_compare(&ADMIN, &ACME, &first, &Digest::of(b"three"), looked(1, 500, true)).await.unwrap();
    put(&desk, "saleout", settings()).await.unwrap();
    check(&[looked(30, 500, true)], false).await;
    check(&[looked(200, 500, true)], true).await;
    // All there are will do, where retention has taken some.
    check(&[looked(200, 500, false), looked(40, 40, true)], true).await;
    for documents in [0, 1_001] {
        let policy = Policy { compare_documents: documents, ..Policy::default() };
        let change = TenantChange { policy: Some(policy.into()), ..TenantChange::default() };
        let refused = desk.registry.change_tenant(&CONSOLE, &ACME, change, None).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn an_unsigned_module_runs_again_only_by_an_admins_rollback_to_the_one_before() {
    let desk = Desk::new().await;
    let first = desk.scheme().await;
    let registry = &desk.registry;
    let signed = ModuleRow { signed_by: Some("k1".into()), ..module("m", "2", b"two") };
    registry.put_module(&admin(), &acme(), signed, b"two".as_slice().into()).await.unwrap();
    let name = scheme("saleout");
    registry.activate(&admin(), &acme(), &name, &two(), None, "").await.unwrap();
    desk.policy(Policy { require_signature: true, ..Policy::default() }).await;
    let refused = |result: Result<SchemeRow, Error>| match result {
        Err(Error::Policy { policy: "require_signature", remedy }) => remedy,
        other => panic!("{other:?}"),
    };
    refused(registry.activate(&admin(), &acme(), &name, &first.module, None, "").await);
    let developer = Actor { role: Role::TenantDeveloper, ..admin() };
    let remedy = refused(registry.rollback(&developer, &acme(), &name, None, "").await);
    assert!(remedy.contains("tenant-admin"), "{remedy}");
    let back = registry.rollback(&admin(), &acme(), &name, None, "").await.unwrap();
    assert_eq!(back.module, first.module, "the fastest plug to pull");
    let line = desk.lines(Some(&acme())).pop().unwrap();
    assert_eq!((line.action.as_str(), &line.detail["signed"]), ("scheme.rollback", &json!(false)));

    // What the operator no longer grants is no plug of the tenant's.
    let interpreter = ModuleRow { class: "interpreter".into(), ..module("m", "3", b"three") };
    desk.policy(Policy { interpreter_modules: true, ..Policy::default() }).await;
    registry.put_module(&admin(), &acme(), interpreter, b"three".as_slice().into()).await.unwrap();
    registry.activate(&admin(), &acme(), &name, &Digest::of(b"three"), None, "").await.unwrap();
    registry.activate(&admin(), &acme(), &name, &two(), None, "").await.unwrap();
    desk.policy(Policy { require_signature: true, ..Policy::default() }).await;
    let barred = registry.rollback(&admin(), &acme(), &name, None, "").await;
    assert!(matches!(barred, Err(Error::Policy { policy: "interpreter_modules", .. })), "{barred:?}");
}

#[tokio::test]
async fn a_change_that_keeps_the_module_asks_for_no_signature() {
    let desk = Desk::new().await;
    let first = desk.scheme().await;
    let registry = &desk.registry;
    registry.put_module(&admin(), &acme(), module("m", "2", b"two"), b"two".as_slice().into()).await.unwrap();
    desk.policy(Policy { require_signature: true, ..Policy::default() }).await;
    let changed = |module: Digest| {
        let mut settings = settings();
        settings["schedule"] = json!("every 7m");
        SchemePut { settings, module, enabled: None, note: String::new() }
    };
    let name = scheme("saleout");
    let kept = registry.put_scheme(&admin(), &acme(), &name, changed(first.module), None).await.unwrap();
    assert_eq!((kept.module, &kept.settings["schedule"]), (first.module, &json!("every 7m")));
    for (name, module) in [("saleout", two()), ("another", first.module)] {
        let refused = registry.put_scheme(&admin(), &acme(), &scheme(name), changed(module), None).await;
        assert!(matches!(refused, Err(Error::Policy { policy: "require_signature", .. })), "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn a_scheme_goes_only_when_it_is_off_and_one_of_its_name_goes_on_with_its_documents() {
    let desk = Desk::new().await;
    desk.scheme().await;
    let name = scheme("saleout");
    let registry = &desk.registry;
    registry.set_enabled(&admin(), &acme(), &name, true, None).await.unwrap();
    assert!(matches!(registry.delete_scheme(&admin(), &acme(), &name, None).await, Err(Error::State { .. })));
    registry.set_enabled(&admin(), &acme(), &name, false, None).await.unwrap();
    desk.document("saleout", "SO1").await;
    let row = KeyBuilder::scheme(&acme(), &name).text("SO1").build();
    registry.delete_scheme(&admin(), &acme(), &name, None).await.unwrap();
    assert!(desk.store.get(Table::Subjects, &row).unwrap().is_some(), "documents stay");
    // Or nobody could look at them, or erase them, ever again.
    let again = put(&desk, "saleout", settings()).await.unwrap();
    assert!(again.revision > 3, "numbers go on: {}", again.revision);
}

#[tokio::test]
async fn what_a_scheme_names_must_be_there() {
    let desk = Desk::new().await;
    desk.scheme().await;
    for (change, at) in [
        (json!({ "source": { "connection": "nope" } }), "/settings/source/connection"),
        (json!({ "target": { "connection": "a/../b\u{0}" } }), "/settings/target/connection"),
        (json!({ "reference": { "a/b": { "connection": "nope" } } }), "/settings/reference/a~1b/connection"),
        (json!({ "reference": { "shop": { "table": "nope" } } }), "/settings/reference/shop/table"),
        (json!({ "reference": { "shop": { "table": "a\u{0}b" } } }), "/settings/reference/shop/table"),
        (json!({ "name": "x" }), "/settings/name"),
        (json!({ "module": "m@1" }), "/settings/module"),
        (json!({ "enabled": true }), "/settings/enabled"),
        (json!({ "parameters": { "long": "x".repeat(1_200_000) } }), "/settings"),
    ] {
        let mut settings = settings();
        for (key, value) in change.as_object().unwrap() {
            settings[key] = value.clone();
        }
        match put(&desk, "other", settings).await {
            Err(Error::Invalid { field, .. }) => assert_eq!(field, at),
            other => panic!("{at}: {other:?}"),
        }
    }
    assert!(matches!(put(&desk, "other", json!("x")).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn what_stands_in_the_file_is_not_managed_here() {
    let file =
        FileNames { connections: [(acme(), connection("k3"))].into(), schemes: [(acme(), scheme("saleout"))].into() };
    let desk = Desk::over(Arc::new(MemoryStore::new()), Keyring::new(SealKey::new([1; 32]), Vec::new()), file);
    desk.found("acme").await;
    desk.found("other").await;
    let managed = |result: Result<(), Error>| assert!(matches!(result, Err(Error::ManagedByFile { .. })), "{result:?}");
    let registry = &desk.registry;
    let (k3, name) = (connection("k3"), scheme("saleout"));
    managed(desk.put_connection("k3", json!({})).await.map(drop));
    managed(registry.delete_connection(&admin(), &acme(), &k3, None).await);
    managed(put(&desk, "saleout", settings()).await.map(drop));
    managed(registry.set_enabled(&admin(), &acme(), &name, true, None).await.map(drop));
    managed(registry.activate(&admin(), &acme(), &name, &two(), None, "").await.map(drop));
    managed(registry.rollback(&admin(), &acme(), &name, None, "").await.map(drop));
    managed(registry.delete_scheme(&admin(), &acme(), &name, None).await);
    let other = TenantId::new("other").unwrap();
    registry.put_connection(&admin(), &other, &k3, System::YonyouU8, json!({}), None).await.unwrap();

    // A scheme of the registry may use the file's connections, and its tenant's alone.
    desk.connect("jst").await;
    desk.upload("m", "1", b"one").await.unwrap();
    let mut settings = settings();
    settings.as_object_mut().unwrap().remove("reference");
    put(&desk, "second", settings).await.unwrap();
}

static NAME: LazyLock<SchemeId> = LazyLock::new(|| scheme("saleout"));
static TWO: LazyLock<Digest> = LazyLock::new(two);
static ACME: LazyLock<TenantId> = LazyLock::new(acme);
