use super::*;

fn opened(desk: &Desk, name: &str) -> toml::Table {
    desk.registry.opened_connection(&acme(), &connection(name)).unwrap().unwrap().settings.expose().clone()
}

#[tokio::test]
async fn a_connection_comes_back_with_its_secrets_for_the_connector_alone() {
    let desk = Desk::new().await;
    let settings = json!({
        "base_url": "https://a.example", "app_secret": SECRET, "retries": 3, "ratio": 0.5,
        "login": { "user": "u", "password": "p4ssw0rd" },
    });
    let row = desk.put_connection("jst", settings).await.unwrap();
    assert_eq!(row.secrets, ["/app_secret", "/login/password"]);
    assert_eq!(
        row.settings,
        json!({ "base_url": "https://a.example", "retries": 3, "ratio": 0.5, "login": { "user": "u" } })
    );
    let expected = format!(
        "base_url = \"https://a.example\"\nretries = 3\nratio = 0.5\napp_secret = \"{SECRET}\"\n\
         [login]\nuser = \"u\"\npassword = \"p4ssw0rd\"\n"
    );
    assert_eq!(opened(&desk, "jst"), toml::from_str::<toml::Table>(&expected).unwrap());
    assert_eq!(desk.registry.connection(&acme(), &connection("jst")).unwrap().unwrap(), row);
    assert_eq!(desk.registry.connections(&acme(), None, 10).unwrap(), [row]);
}

#[tokio::test]
async fn no_row_and_nothing_printed_holds_a_secret() {
    let desk = Desk::new().await;
    desk.scheme().await;
    desk.put_connection("jst", json!({ "login": { "password": "p4ssw0rd" }, "app_secret": SECRET })).await.unwrap();
    let open = desk.registry.opened_connection(&acme(), &connection("jst")).unwrap().unwrap();
    let after = desk.registry.settings_after(&acme(), &connection("jst"), System::YonyouU8, json!({})).unwrap();
    assert_eq!(after.expose()["app_secret"].as_str(), Some(SECRET));
    let refused = desk.put_connection("jst", json!({ "app_secret": SECRET, "token": [SECRET] })).await.unwrap_err();
    let wrong_number = desk.put_connection("jst", json!({ "app_secret": SECRET, "n": u64::MAX })).await.unwrap_err();
    let printed = format!("{open:?} {after:?} {refused:?} {refused} {wrong_number:?} {:?}", SealKey::new([0x41; 32]));
    use base64::Engine as _;
    for secret in [SECRET, "p4ssw0rd", "AAAA", "65, 65"] {
        let encoded = base64::prelude::BASE64_STANDARD.encode(secret);
        assert!(!printed.contains(secret), "{printed}");
        for (table, _, bytes) in desk.everything() {
            let row = String::from_utf8_lossy(&bytes);
            let looked_for = !["AAAA", "65, 65"].contains(&secret);
            assert!(
                !looked_for || !(row.contains(secret) || row.contains(encoded.trim_end_matches('='))),
                "{table:?}: {row}"
            );
        }
    }
}

/// The same on the disk, where large values are files.
#[tokio::test]
async fn no_file_of_the_store_holds_a_secret() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cap_std::fs::Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
    let store = Arc::new(crate::state::SledStore::open(&dir, temp.path(), &crate::state::Settings::default()).unwrap());
    let keyring = KeyFiles::new(dir.try_clone().unwrap()).keyring(true).unwrap();
    let registry = Registry::open(store.clone(), keyring, Arc::new(Timestamp::now)).unwrap();
    let new = serde_json::from_value(json!({ "id": "acme" })).unwrap();
    registry.create_tenant(&Actor::console(), new).await.unwrap();
    // Long enough to lie in a file of its own.
    let long = SECRET.repeat(2_000);
    let settings = json!({ "app_secret": long, "token": SECRET, "base_url": "https://visible.example" });
    registry.put_connection(&admin(), &acme(), &connection("jst"), System::YonyouU8, settings, None).await.unwrap();
    drop(registry);
    drop(store);
    let (mut files, mut is_visible) = (0, false);
    let mut folders = vec![temp.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!has(SECRET), "{}", path.display());
            is_visible |= has("https://visible.example");
            files += 1;
        }
    }
    assert!(files > 2 && is_visible, "the look found what is not secret in {files} files");
}

#[tokio::test]
async fn a_secret_that_is_left_out_stays_and_one_that_is_null_goes() {
    let desk = Desk::new().await;
    let settings = json!({ "base_url": "https://b.example", "app_secret": SECRET, "token": "old" });
    desk.put_connection("jst", settings).await.unwrap();
    // What nobody is shown must not be sent where whoever asks can read it.
    for moved in [
        json!({ "token": "new", "base_url": "https://c.example" }),
        json!({ "base_url": "https://b.example", "auth": "plain" }),
    ] {
        let refused = desk.put_connection("jst", moved).await;
        assert!(
            matches!(&refused, Err(Error::Invalid { remedy, .. }) if remedy.contains("send the secrets")),
            "{refused:?}"
        );
    }
    let row = desk.put_connection("jst", json!({ "token": "new", "base_url": "https://b.example" })).await.unwrap();
    assert_eq!((row.revision, row.secrets.as_slice()), (2, ["/app_secret".to_owned(), "/token".to_owned()].as_slice()));
    let table = opened(&desk, "jst");
    assert_eq!((table["app_secret"].as_str(), table["token"].as_str()), (Some(SECRET), Some("new")));
    let row = desk.put_connection("jst", json!({ "token": null })).await.unwrap();
    assert_eq!(row.secrets, ["/app_secret"]);
    assert!(!opened(&desk, "jst").contains_key("token"));
    // Another system's secrets are other secrets.
    let name = connection("jst");
    let put = desk.registry.put_connection(&ADMIN, &ACME, &name, System::KingdeeJdy, json!({}), None);
    assert_eq!(put.await.unwrap().secrets, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_sealed_opens_only_where_it_was_sealed() {
    let desk = Desk::new().await;
    desk.found("other").await;
    desk.connect("jst").await;
    let old =
        desk.store.get(Table::Connections, &super::super::connection::key(&acme(), "jst")).unwrap().unwrap().value;
    desk.put_connection("jst", json!({ "base_url": "https://a.example", "app_secret": "a newer one" })).await.unwrap();
    let now =
        desk.store.get(Table::Connections, &super::super::connection::key(&acme(), "jst")).unwrap().unwrap().value;
    let other = TenantId::new("other").unwrap();
    let rename =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\"name\":\"jst\"", "\"name\":\"k3\"").into_bytes();
    let renumber =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\"revision\":1", "\"revision\":2").into_bytes();
    for (what, tenant, name, bytes) in [
        ("another tenant", &other, "jst", now.to_vec()),
        ("another name", &acme(), "k3", rename(&now)),
        ("an older revision under a newer number", &acme(), "jst", renumber(&old)),
    ] {
        let mut batch = crate::state::Batch::new();
        batch.put(Table::Connections, super::super::connection::key(tenant, name), bytes);
        desk.store.commit(batch).await.unwrap();
        let opened = desk.registry.opened_connection(tenant, &connection(name));
        assert!(matches!(opened, Err(Error::Unopened { why: SealError::Broken, .. })), "{what}: {opened:?}");
    }
    // With another key it says which one is missing.
    let store = Arc::new(desk.store.reopen());
    let elsewhere = Desk::over(store, Keyring::new(SealKey::new([2; 32]), Vec::new()), FileNames::default());
    elsewhere.found("third").await;
    let kept = now.to_vec();
    let mut batch = crate::state::Batch::new();
    batch.put(Table::Connections, super::super::connection::key(&acme(), "jst"), kept);
    elsewhere.store.commit(batch).await.unwrap();
    match elsewhere.registry.opened_connection(&acme(), &connection("jst")) {
        Err(Error::Unopened { why: SealError::UnknownKey { key }, .. }) => assert_eq!(key, SealKey::new([1; 32]).id()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_tenant_names_nothing_of_the_engines_machine() {
    let desk = Desk::new().await;
    for (settings, at) in [
        (json!({ "app_secret": { "env": "HOME" } }), "/app_secret"),
        (json!({ "app_secret": { "file": "/etc/passwd" } }), "/app_secret"),
        (json!({ "base_url": { "env": "HOME" } }), "/base_url"),
        (json!({ "login": { "user": { "file": "x" } } }), "/login/user"),
        (json!({ "app_secret": 12 }), "/app_secret"),
        (json!({ "app_secret": "" }), "/app_secret"),
        (json!({ "name": "x" }), "/name"),
        (json!({ "a/b": null }), "/a~1b"),
        (json!({ "list": [{ "password": "x" }] }), "/list"),
        (json!({ "list": [[1]] }), "/list"),
        (json!([]), ""),
        (json!({ "m": u64::MAX }), ""),
    ] {
        match desk.put_connection("jst", settings.clone()).await {
            Err(Error::Invalid { field, .. }) => assert_eq!(field, at, "{settings}"),
            other => panic!("{settings}: {other:?}"),
        }
    }
    let mut deep = json!({});
    for _ in 0..20 {
        deep = json!({ "a": deep });
    }
    assert!(matches!(desk.put_connection("jst", deep).await, Err(Error::Invalid { .. })));
    let long = json!({ "base_url": "x".repeat(70_000) });
    assert!(matches!(desk.put_connection("jst", long).await, Err(Error::Invalid { .. })));
    assert_eq!(desk.registry.connections(&acme(), None, 10).unwrap(), []);
}

#[tokio::test]
async fn each_change_is_a_revision_and_numbers_are_never_given_twice() {
    let desk = Desk::new().await;
    let name = connection("jst");
    desk.connect("jst").await;
    desk.pass(SignedDuration::from_secs(5));
    desk.put_connection("jst", json!({ "base_url": "https://b.example", "app_secret": SECRET })).await.unwrap();
    let revisions = desk.registry.connection_revisions(&acme(), &name, 0, 10).unwrap();
    let shown: Vec<(u64, &str)> =
        revisions.iter().map(|row| (row.revision, row.settings["base_url"].as_str().unwrap())).collect();
    assert_eq!(shown, [(1, "https://a.example"), (2, "https://b.example")]);
    assert_eq!((revisions[1].changed_at, revisions[1].changed_by.as_str()), (desk.now(), "t-admin"));
    assert_eq!(desk.registry.connection_revisions(&acme(), &name, 1, 10).unwrap().len(), 1);

    let registry = &desk.registry;
    let stale = registry.put_connection(&admin(), &acme(), &name, System::YonyouU8, json!({}), Some(1)).await;
    assert!(matches!(stale, Err(Error::Conflict { expected: 1, found: 2 })));
    let stale = registry.delete_connection(&admin(), &acme(), &name, Some(1)).await;
    assert!(matches!(stale, Err(Error::Conflict { expected: 1, found: 2 })));
    let new = registry.put_connection(&admin(), &acme(), &name, System::YonyouU8, json!({}), Some(0)).await;
    assert!(matches!(new, Err(Error::Conflict { expected: 0, found: 2 })), "zero expects nothing there");
    registry.delete_connection(&admin(), &acme(), &name, Some(2)).await.unwrap();
    assert!(matches!(registry.delete_connection(&admin(), &acme(), &name, None).await, Err(Error::NotFound { .. })));
    let again = registry.put_connection(&admin(), &acme(), &name, System::YonyouU8, json!({}), Some(0)).await.unwrap();
    assert_eq!((again.revision, again.secrets.len()), (3, 0), "a later one of this name is no earlier one");
}

/// The quota answers before the comparison does: else a tenant that has used it up could guess for ever, and lose nothing.
#[tokio::test]
async fn a_secret_is_compared_for_whoever_may_change_it_and_a_wrong_guess_takes_its_place() {
    let desk = Desk::new().await;
    let put =
        |secret: &str| desk.put_connection("jst", json!({ "login": { "password": secret }, "app_secret": SECRET }));
    let first = put("p4ssw0rd").await.unwrap();
    assert_eq!(put("p4ssw0rd").await.unwrap(), first);
    let only_one = json!({ "login": {}, "app_secret": SECRET });
    assert_eq!(desk.put_connection("jst", only_one).await.unwrap(), first, "the other one is left out");
    let more = json!({ "login": {}, "app_secret": SECRET, "token": SECRET });
    assert_eq!(desk.put_connection("jst", more).await.unwrap().revision, 2, "another place is another secret");
    assert_eq!(put("p4ssw0re").await.unwrap().revision, 3);
    let opened = desk.registry.opened_connection(&acme(), &connection("jst")).unwrap().unwrap();
    assert_eq!(opened.settings.expose()["login"]["password"].as_str(), Some("p4ssw0re"));

    desk.quotas(Quotas { changes_per_minute: 3, ..Quotas::default() }).await;
    for guess in ["p4ssw0re", "wrong"] {
        let refused = put(guess).await;
        assert!(matches!(refused, Err(Error::Quota { quota: "changes_per_minute", .. })), "{refused:?}");
    }
    let without = json!({ "login": {} });
    assert_eq!(desk.put_connection("jst", without).await.unwrap().revision, 3, "what compares nothing may ask");
}

#[tokio::test]
async fn a_connection_or_table_in_use_stays() {
    let desk = Desk::new().await;
    desk.scheme().await;
    let registry = &desk.registry;
    for name in ["jst", "k3"] {
        in_use(registry.delete_connection(&admin(), &acme(), &connection(name), None).await, &["scheme saleout"]);
    }
    in_use(registry.delete_table(&admin(), &acme(), "shops", None).await, &["scheme saleout"]);
    registry.delete_scheme(&admin(), &acme(), &scheme("saleout"), None).await.unwrap();
    registry.delete_connection(&admin(), &acme(), &connection("jst"), None).await.unwrap();
    registry.delete_table(&admin(), &acme(), "shops", None).await.unwrap();
    assert_eq!(registry.table_entries(&acme(), "shops").unwrap(), None);
}

#[tokio::test]
async fn a_table_is_replaced_as_a_whole_and_the_same_changes_nothing() {
    let desk = Desk::new().await;
    let entries = |text: &str| Entries::from([("S1".to_owned(), text.to_owned())]);
    let put = |name: &'static str, entries: Entries, expected| {
        let registry = desk.registry.clone();
        async move { registry.put_table(&admin(), &acme(), name, TableContent::of(&entries)?, expected).await }
    };
    let first = put("shops", entries("1"), Some(0)).await.unwrap();
    assert_eq!((first.revision, first.entries, first.size), (1, 1, 3));
    let lines = desk.lines(Some(&acme())).len();
    assert_eq!(put("shops", entries("1"), Some(1)).await.unwrap(), first);
    assert_eq!(desk.lines(Some(&acme())).len(), lines);
    let second = put("shops", entries("{\"a\":1.10}"), Some(1)).await.unwrap();
    assert_eq!(second.revision, 2);
    assert_eq!(desk.registry.table_entries(&acme(), "shops").unwrap().unwrap(), entries("{\"a\":1.10}"));
    assert_eq!(desk.registry.tables(&acme(), None, 10).unwrap(), [second]);
    assert_eq!(desk.registry.table_revisions(&acme(), "shops", 0, 10).unwrap().len(), 2);
    for (name, entries) in [
        ("", entries("1")),
        ("a\0b", entries("1")),
        ("a\nb", entries("1")),
        ("t", entries("not json")),
        ("t", entries("1 2")),
        ("t", Entries::from([(String::new(), "1".to_owned())])),
        ("t", Entries::from([("a\u{7}".to_owned(), "1".to_owned())])),
        ("t", entries(&format!("\"{}\"", "x".repeat(TABLE_LIMIT_BYTES)))),
        ("t", (0..=TABLE_LIMIT_ENTRIES).map(|number| (number.to_string(), "1".to_owned())).collect()),
    ] {
        assert!(matches!(put(name, entries, None).await, Err(Error::Invalid { .. })), "{name:?}");
    }
    for name in ["a\0b", "nope"] {
        assert_eq!(desk.registry.table(&acme(), name).unwrap(), None);
        assert!(matches!(desk.registry.delete_table(&admin(), &acme(), name, None).await, Err(Error::NotFound { .. })));
    }
}
