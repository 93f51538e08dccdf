use std::collections::BTreeSet;

use super::*;

/// Every function that changes something, once, with what its line says.
#[tokio::test]
async fn each_change_leaves_one_line_and_each_function_is_among_them() {
    let desk = Desk::empty();
    let registry = &desk.registry;
    let (console, admin, acme) = (Actor::console(), admin(), acme());
    let (own, of): (Option<&TenantId>, Option<&TenantId>) = (None, Some(&acme));
    let mut seen = BTreeSet::new();
    macro_rules! leaves {
        ($function:ident($($argument:expr),*), $scope:expr, $action:literal, $object:expr) => {{
            let before = (desk.lines(own).len(), desk.lines(of).len());
            let made = registry.$function($($argument),*).await.unwrap();
            let after = (desk.lines(own).len(), desk.lines(of).len());
            let expected = if $scope.is_none() { (before.0 + 1, before.1) } else { (before.0, before.1 + 1) };
            assert_eq!(after, expected, "{} leaves one line", stringify!($function));
            let line = desk.lines($scope).pop().unwrap();
            assert_eq!((line.action.as_str(), line.object.as_str()), ($action, $object.to_string().as_str()));
            assert_eq!(line.at, desk.now());
            seen.insert(stringify!($function));
            made
        }};
    }
    let new = serde_json::from_value::<NewTenant>(json!({ "id": "acme" })).unwrap();
    let heavier = TenantChange { weight: Some(2), ..TenantChange::default() };
    leaves!(create_tenant(&console, new), own, "tenant.create", "acme");
    leaves!(change_tenant(&console, &acme, heavier, None), own, "tenant.change", "acme");
    let expires_at = desk.now() + SignedDuration::from_hours(1);
    let new = NewToken { name: "n".into(), role: Role::TenantViewer, rights: Rights::default(), expires_at };
    let before = desk.lines(of).len();
    let (token, text) = registry.create_token(&admin, of, new).await.unwrap();
    let line = desk.lines(of).pop().unwrap();
    assert_eq!((desk.lines(of).len(), line.action.as_str(), &line.object), (before + 1, "token.create", &token.id));
    seen.insert("create_token");
    leaves!(revoke_token(&admin, of, &token.id), of, "token.revoke", token.id);
    let key = {
        use base64::Engine as _;
        let private = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        base64::prelude::BASE64_STANDARD.encode(private.verifying_key().as_bytes())
    };
    let id = Digest::of(ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().as_bytes()).to_string();
    let key = leaves!(add_signing_key(&admin, &acme, "build", &key), of, "signing_key.add", &id[..16]);
    leaves!(remove_signing_key(&admin, &acme, &key.id), of, "signing_key.remove", key.id);
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    leaves!(put_module(&admin, &acme, module("m", "1", b"one"), b"one".as_slice().into()), of, "module.upload", "m@1");
    leaves!(put_module(&admin, &acme, module("m", "2", b"two"), b"two".as_slice().into()), of, "module.upload", "m@2");
    for name in ["jst", "k3"] {
        let settings = json!({ "app_secret": SECRET });
        let name = connection(name);
        leaves!(put_connection(&admin, &acme, &name, System::YonyouU8, settings, None), of, "connection.create", name);
    }
    let (jst, saleout) = (connection("jst"), scheme("saleout"));
    let settings_ = json!({ "app_secret": SECRET, "token": SECRET });
    leaves!(put_connection(&admin, &acme, &jst, System::YonyouU8, settings_, None), of, "connection.change", "jst");
    leaves!(put_table(&admin, &acme, "shops", table(&Entries::new()), None), of, "table.create", "shops");
    let put = |note: &str| SchemePut { settings: settings(), module: one, enabled: None, note: note.into() };
    let row = leaves!(put_scheme(&admin, &acme, &saleout, put(""), None), of, "scheme.create", "saleout");
    leaves!(put_scheme(&admin, &acme, &saleout, put("x"), None), of, "scheme.change", "saleout");
    leaves!(set_enabled(&admin, &acme, &saleout, true, None), of, "scheme.enable", "saleout");
    let looked = Looked { documents: 3, undecided: 0, available: 3, clean: true };
    leaves!(note_compare(&admin, &acme, &row, &two, looked), of, "scheme.compare", "saleout");
    leaves!(activate(&admin, &acme, &saleout, &two, None, ""), of, "scheme.activate", "saleout");
    leaves!(rollback(&admin, &acme, &saleout, None, ""), of, "scheme.rollback", "saleout");
    leaves!(set_enabled(&admin, &acme, &saleout, false, None), of, "scheme.disable", "saleout");
    leaves!(reseal(&console), own, "credentials.rotate", "credentials");
    leaves!(rotate(&console, SealKey::new([9; 32])), own, "credentials.rotate", "credentials");
    leaves!(delete_scheme(&admin, &acme, &saleout, None), of, "scheme.delete", "saleout");
    leaves!(delete_table(&admin, &acme, "shops", None), of, "table.delete", "shops");
    leaves!(delete_connection(&admin, &acme, &jst, None), of, "connection.delete", "jst");
    leaves!(delete_module(&admin, &acme, &one), of, "module.delete", "m@1");
    leaves!(delete_module(&admin, &acme, &two), of, "module.delete", "m@2");
    leaves!(record(&admin, of, "document.unmask", "SO1", json!({ "why": "asked" })), of, "document.unmask", "SO1");
    leaves!(delete_tenant(&console, &acme, None), own, "tenant.delete", "acme");

    let log = serde_json::to_string(&(desk.lines(own), desk.lines(of))).unwrap();
    assert!(!log.contains(SECRET) && !log.contains(text.expose().rsplit('~').next().unwrap()), "{log}");
    for scope in [own, of] {
        let numbers: Vec<u64> = desk.lines(scope).iter().map(|line| line.number).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    }
    // What takes an actor and waits for the store changes something on somebody's word.
    let expected = changing_functions();
    assert_eq!(seen.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), expected);
}

/// The names of the registry's functions that are asynchronous and take an actor, out of its own text.
fn changing_functions() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/registry");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for part in text.split("pub async fn ").skip(1) {
            let (name, rest) = part.split_once('(').unwrap();
            if rest.split_once(')').unwrap().0.contains("actor: &Actor") {
                names.insert(name.to_owned());
            }
        }
    }
    // It is `rotate` with the key's file around it; the rotation's own tests drive it.
    assert!(names.remove("rotate_files"));
    names
}

#[tokio::test]
async fn a_change_that_is_refused_leaves_no_line() {
    let desk = Desk::new().await;
    let before = desk.everything();
    desk.put_scheme("saleout", Digest::of(b"nope")).await.unwrap_err();
    desk.put_connection("jst", json!([])).await.unwrap_err();
    desk.registry.delete_module(&admin(), &acme(), &Digest::of(b"nope")).await.unwrap_err();
    assert_eq!(desk.everything(), before);
}

#[tokio::test]
async fn numbers_have_no_gaps_however_many_write_at_once() {
    let desk = Desk::new().await;
    let actor = admin();
    let tenant = acme();
    let records = (0..200).map(|number| {
        let (actor, tenant, registry) = (&actor, &tenant, &desk.registry);
        async move { registry.record(actor, Some(tenant), "document.retry", &number.to_string(), json!({})).await }
    });
    assert!(futures::future::join_all(records).await.iter().all(Result::is_ok));
    let lines = desk.lines(Some(&acme()));
    let numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    let objects: BTreeSet<&str> = lines.iter().map(|line| line.object.as_str()).collect();
    assert_eq!(objects.len(), 200);
    assert_eq!(desk.registry.audit_end(Some(&acme())).unwrap(), 200);
}

/// Several registries over one store, so that nothing but the store's expectations keeps them apart.
#[tokio::test]
async fn numbers_have_no_gaps_without_the_turns_either() {
    let desk = Desk::new().await;
    let registries: Vec<Registry> = (0..10).map(|_| desk.hesitant()).collect();
    let records = registries
        .iter()
        .map(|registry| registry.record(&ADMIN, Some(&ACME), "document.retry", "SO1", Value::Null))
        .collect::<Vec<_>>();
    let recorded = futures::future::join_all(records).await;
    assert!(recorded.iter().all(Result::is_ok), "{recorded:?}");
    let numbers: Vec<u64> = desk.lines(Some(&acme())).iter().map(|line| line.number).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
}

/// Two people who looked at the same revision: the second is told, even where both were let in at once.
#[tokio::test]
async fn of_two_changes_of_one_row_at_once_the_second_is_decided_anew() {
    let desk = Desk::new().await;
    desk.connect("jst").await;
    let (left, right) = (desk.hesitant(), desk.hesitant());
    let name = connection("jst");
    let put = |registry: Registry, url: &'static str, expected| {
        let name = name.clone();
        async move {
            let settings = json!({ "base_url": url, "app_secret": SECRET });
            registry.put_connection(&ADMIN, &ACME, &name, System::YonyouU8, settings, expected).await
        }
    };
    let (one, two) =
        tokio::join!(put(left.clone(), "https://b.example", Some(1)), put(right.clone(), "https://c.example", Some(1)));
    let conflicts =
        |result: &Result<ConnectionRow, Error>| matches!(result, Err(Error::Conflict { expected: 1, found: 2 }));
    assert!(one.is_ok() && conflicts(&two) || two.is_ok() && conflicts(&one), "{one:?} {two:?}");
    let (one, two) = tokio::join!(put(left, "https://d.example", None), put(right, "https://e.example", None));
    let revisions: BTreeSet<u64> = [one, two].into_iter().map(|row| row.unwrap().revision).collect();
    assert_eq!(revisions, [3, 4].into());
}

#[tokio::test]
async fn a_log_is_read_in_pages_and_by_what_is_looked_for() {
    let desk = Desk::new().await;
    for number in 0..30 {
        let action = if number % 10 == 0 { "document.retry" } else { "document.show" };
        desk.registry.record(&admin(), Some(&acme()), action, &number.to_string(), json!({})).await.unwrap();
        desk.pass(SignedDuration::from_secs(1));
    }
    let page = |after, limit, filter: &AuditFilter| desk.registry.audit(Some(&acme()), after, limit, filter).unwrap();
    let all = AuditFilter::default();
    let first = page(0, 20, &all);
    assert_eq!((first.rows.len(), first.next), (20, Some(20)));
    let second = page(20, 20, &all);
    assert_eq!((second.rows.len(), second.next, second.rows[0].number), (10, None, 21));
    assert_eq!(page(0, 30, &all).next, None, "exactly all of them");
    let numbers = |filter: AuditFilter| page(0, 100, &filter).rows.iter().map(|row| row.number).collect::<Vec<_>>();
    assert_eq!(numbers(AuditFilter { action: Some("document.retry".into()), ..AuditFilter::default() }), [1, 11, 21]);
    assert_eq!(numbers(AuditFilter { action: Some("document".into()), ..AuditFilter::default() }).len(), 30);
    assert_eq!(numbers(AuditFilter { action: Some("doc".into()), ..AuditFilter::default() }), Vec::<u64>::new());
    assert_eq!(numbers(AuditFilter { object: Some("7".into()), ..AuditFilter::default() }), [8]);
    assert_eq!(numbers(AuditFilter { token: Some("console".into()), ..AuditFilter::default() }), Vec::<u64>::new());
    let since = desk.now() - SignedDuration::from_secs(2);
    assert_eq!(numbers(AuditFilter { since: Some(since), ..AuditFilter::default() }), [29, 30]);
    let until = desk.now() - SignedDuration::from_secs(29);
    assert_eq!(numbers(AuditFilter { until: Some(until), ..AuditFilter::default() }), [1]);
    assert_eq!(desk.registry.audit(None, 0, 10, &all).unwrap().rows.len(), 1, "the operator's own is another log");
}

/// A line may be long: a change of a connection names all its secrets.
#[tokio::test]
async fn a_page_of_the_log_is_bounded_by_its_bytes() {
    let desk = Desk::new().await;
    let record = async |action: &str, object: &str, bytes: usize| {
        let detail = json!({ "text": "x".repeat(bytes) });
        desk.registry.record(&CONSOLE, Some(&acme()), action, object, detail).await.unwrap();
    };
    for _ in 0..20 {
        record("connection.change", "long", 300_000).await;
        record("connection.change", "short", 10).await;
    }
    record("connection.change", "longest", 2_000_000).await;
    record("connection.change", "last", 10).await;
    let pages = |filter: AuditFilter| {
        let (mut after, mut numbers, mut sizes) = (0, Vec::new(), Vec::new());
        loop {
            let page = desk.registry.audit(Some(&acme()), after, 500, &filter).unwrap();
            numbers.extend(page.rows.iter().map(|row| row.number));
            sizes.push(page.rows.len());
            match page.next {
                Some(next) => after = next,
                None => return (numbers, sizes),
            }
        }
    };
    let (numbers, sizes) = pages(AuditFilter::default());
    assert_eq!(numbers, (1..=42).collect::<Vec<_>>(), "each line once");
    assert_eq!(sizes, [6, 6, 6, 6, 6, 6, 4, 1, 1], "{sizes:?}");
    let (numbers, sizes) = pages(AuditFilter { object: Some("short".into()), ..AuditFilter::default() });
    assert_eq!((numbers.len(), sizes), (20, vec![20]), "what is passed over takes no room");
}
