use super::*;

fn folder() -> (tempfile::TempDir, KeyFiles) {
    let temp = tempfile::tempdir().unwrap();
    let dir = cap_std::fs::Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
    (temp, KeyFiles::new(dir))
}

fn secret(registry: &Registry, name: &str) -> Option<String> {
    let opened = registry.opened_connection(&acme(), &connection(name)).unwrap()?;
    Some(opened.settings.expose()["app_secret"].as_str()?.to_owned())
}

async fn with_connections(keyring: Keyring, count: usize) -> Desk {
    let desk = Desk::over(Arc::new(MemoryStore::new()), keyring, FileNames::default());
    desk.found("acme").await;
    desk.quotas(Quotas { connections: 1_000, ..Quotas::default() }).await;
    for number in 0..count {
        desk.connect(&format!("c{number}")).await;
    }
    desk
}

#[tokio::test]
async fn after_a_rotation_the_key_before_opens_nothing_and_everything_opens() {
    let old = SealKey::new([1; 32]);
    let desk = with_connections(Keyring::new(old.clone(), Vec::new()), 120).await;
    let rotated = desk.registry.rotate(&Actor::console(), SealKey::new([2; 32])).await.unwrap();
    assert_eq!(rotated, Rotated { resealed: 120, kept: 0, lost: 0 });
    let again = desk.registry.reseal(&Actor::console()).await.unwrap();
    assert_eq!(again, Rotated { resealed: 0, kept: 120, lost: 0 });

    let store = Arc::new(desk.store.reopen());
    let now: Now = Arc::new(Timestamp::now);
    let with = |key| Registry::open(store.clone(), Keyring::new(key, Vec::new()), now.clone()).unwrap();
    let new = with(SealKey::new([2; 32]));
    assert!((0..120).all(|number| secret(&new, &format!("c{number}")).as_deref() == Some(SECRET)));
    let before = with(old);
    let refused = |number| {
        matches!(before.opened_connection(&acme(), &connection(&format!("c{number}"))), Err(Error::Unopened { .. }))
    };
    assert!((0..120).all(refused));
}

/// Killed after each number of commits.
#[tokio::test]
async fn a_rotation_that_is_killed_goes_on_at_the_next_start() {
    for commits in 1..14 {
        let (_temp, files) = folder();
        let desk = with_connections(files.keyring(true).unwrap(), 10).await;
        let first = files.keyring(true).unwrap().current().unwrap().to_owned();
        desk.store.fail_next(commits);
        let killed = desk.registry.rotate_files(&Actor::console(), &files).await;
        assert_eq!(killed.is_err(), commits <= 12, "after {commits} commits");
        assert_eq!(files.is_rotating().unwrap(), commits <= 12);

        let store = Arc::new(desk.store.reopen());
        let keyring = files.keyring(false).unwrap();
        assert_ne!(keyring.current(), Some(first.as_str()), "the new key seals already");
        let next = Desk::over(store, keyring, FileNames::default());
        assert!((0..10).all(|number| secret(&next.registry, &format!("c{number}")).as_deref() == Some(SECRET)));
        if files.is_rotating().unwrap() {
            next.registry.rotate_files(&Actor::console(), &files).await.unwrap();
        }
        assert!(!files.is_rotating().unwrap() && next.registry.is_fully_sealed().unwrap());

        let alone = files.keyring(false).unwrap();
        let last = Desk::over(Arc::new(next.store.reopen()), alone, FileNames::default());
        assert!((0..10).all(|number| secret(&last.registry, &format!("c{number}")).as_deref() == Some(SECRET)));
    }
}

/// A change that took the old key just before must not be written once the old key is to go.
#[tokio::test]
async fn what_changes_during_a_rotation_is_sealed_with_the_new_key() {
    let desk = with_connections(Keyring::new(SealKey::new([1; 32]), Vec::new()), 0).await;
    let registry = desk.hesitant();
    let name = connection("a-new-one");
    let settings = json!({ "app_secret": SECRET });
    let change = registry.put_connection(&ADMIN, &ACME, &name, System::YonyouU8, settings, None);
    // The change goes first and takes the key; it is written after the rotation found nothing to seal.
    let slow = async {
        tokio::pin!(change);
        assert!(futures::poll!(&mut change).is_pending());
        registry.rotate(&CONSOLE, SealKey::new([2; 32])).await.unwrap();
        change.await
    };
    slow.await.unwrap();
    let alone = Keyring::new(SealKey::new([2; 32]), Vec::new());
    let next = Desk::over(Arc::new(desk.store.reopen()), alone, FileNames::default());
    assert_eq!(secret(&next.registry, "a-new-one").as_deref(), Some(SECRET));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (temp, files) = folder();
    files.keyring(true).unwrap();
    let path = temp.path().join("credentials.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(files.keyring(true).is_err());
}

#[tokio::test]
async fn a_key_that_is_missing_is_not_made_anew_and_connections_can_be_sent_again_or_deleted() {
    let (temp, files) = folder();
    let desk = with_connections(files.keyring(true).unwrap(), 3).await;
    std::fs::remove_file(temp.path().join("credentials.key")).unwrap();
    assert_eq!(Registry::sealed(&*desk.store).unwrap(), 3);
    let next = Desk::over(Arc::new(desk.store.reopen()), files.keyring(false).unwrap(), FileNames::default());
    assert!(!temp.path().join("credentials.key").exists(), "a new key was made silently");
    let unopened = next.registry.opened_connection(&acme(), &connection("c0"));
    assert!(matches!(&unopened, Err(Error::Unopened { connection, .. }) if connection == "c0"), "{unopened:?}");
    let whole = json!({ "base_url": "https://a.example", "app_secret": "another" });
    let refused = next.put_connection("c0", whole.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("crossdock credentials rotate"), "{refused}");
    next.registry.delete_connection(&admin(), &acme(), &connection("c2"), None).await.unwrap();

    let rotated = next.registry.rotate_files(&Actor::console(), &files).await.unwrap();
    assert_eq!(rotated, Rotated { resealed: 0, kept: 0, lost: 2 });
    // Without its secret nothing is left of it to keep.
    let partial = json!({ "base_url": "https://a.example" });
    for result in [
        next.put_connection("c0", partial.clone()).await.map(drop),
        next.registry.settings_after(&acme(), &connection("c0"), System::YonyouU8, partial).map(drop),
    ] {
        assert!(matches!(&result, Err(Error::Invalid { field, .. }) if field == "/settings/app_secret"), "{result:?}");
    }
    next.put_connection("c0", whole).await.unwrap();
    assert_eq!(secret(&next.registry, "c0").as_deref(), Some("another"));
    assert_eq!(files.keyring(false).unwrap().current(), next.registry.keyring().current());
}
