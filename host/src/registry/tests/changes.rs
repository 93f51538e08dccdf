use super::*;

/// The quota of a refusal, and when there is more.
#[track_caller]
fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> (u64, u64, Option<Timestamp>) {
    match result {
        Err(Error::Quota { quota: "changes_per_minute", limit, used, resets_at }) => (limit, used, resets_at),
        other => panic!("not refused for its changes: {other:?}"),
    }
}

#[tokio::test]
async fn what_changes_nothing_has_no_line_and_no_revision() {
    let desk = Desk::new().await;
    let first = desk.scheme().await;
    let plain = json!({ "base_url": "https://a.example" });
    let connected = desk.put_connection("jst", plain.clone()).await.unwrap();
    assert_eq!((connected.revision, connected.secrets.len()), (1, 1), "the secret that is left out stays");
    assert_eq!(desk.put_scheme("saleout", Digest::of(b"one")).await.unwrap(), first);
    let before = desk.registry.tenant(&acme()).unwrap().unwrap();
    let weight = |weight| TenantChange { weight: Some(weight), ..TenantChange::default() };
    let same = desk.registry.change_tenant(&CONSOLE, &acme(), weight(before.weight), None).await.unwrap();
    assert_eq!(same, before);
    let lines = desk.lines(Some(&acme()));
    assert!(lines.iter().all(|line| !line.action.ends_with(".change")), "{lines:?}");
    assert_eq!(desk.lines(None).len(), 1, "the tenant's making");
    assert_eq!(desk.connect("k3").await.revision, 1, "nor does the secret that is there already");
    assert_eq!(desk.lines(Some(&acme())).len(), lines.len());
    // What is different is a change.
    let mut other = plain.clone();
    other["org_num"] = json!("200");
    assert_eq!(desk.put_connection("jst", other).await.unwrap().revision, 2);
    let mut secret = plain.clone();
    secret["app_secret"] = json!("another");
    assert_eq!(desk.put_connection("k3", secret).await.unwrap().revision, 2);
    let mut without = plain;
    without["app_secret"] = Value::Null;
    assert_eq!(desk.put_connection("k3", without.clone()).await.unwrap().revision, 3);
    assert_eq!(desk.put_connection("k3", without).await.unwrap().revision, 3, "it was forgotten already");
}

#[tokio::test]
async fn a_tenants_people_change_so_much_a_minute_and_are_told_when_there_is_more() {
    let desk = Desk::new().await;
    desk.quotas(Quotas { changes_per_minute: 3, ..Quotas::default() }).await;
    let change = |number: usize| desk.put_connection("jst", json!({ "number": number }));
    let first = desk.now();
    change(0).await.unwrap();
    for number in 1..3 {
        desk.pass(SignedDuration::from_secs(10));
        change(number).await.unwrap();
    }
    let again = first.checked_add(SignedDuration::from_secs(60)).unwrap();
    assert_eq!(told(change(3).await), (3, 3, Some(again)));
    assert_eq!(told(desk.registry.may_change(&acme())), (3, 3, Some(again)));
    assert_eq!(desk.registry.used(&acme()).unwrap().changes_this_minute, 3);
    change(2).await.unwrap();
    // The operator's own are neither refused nor counted.
    for name in ["a", "b", "c", "d"] {
        desk.registry.put_table(&CONSOLE, &ACME, name, table(&Entries::new()), None).await.unwrap();
    }
    let after_a_restart = desk.restarted(desk.now());
    let refused = after_a_restart.delete_table(&ADMIN, &acme(), "a", None).await;
    assert_eq!(told(refused), (3, 3, Some(again)));
    desk.pass(SignedDuration::from_secs(39));
    assert_eq!(told(change(3).await), (3, 3, Some(again)));
    desk.pass(SignedDuration::from_secs(1));
    change(3).await.unwrap();
    assert_eq!(told(change(4).await).0, 3);
    desk.quotas(Quotas { changes_per_minute: 0, ..Quotas::default() }).await;
    desk.pass(SignedDuration::from_hours(1));
    assert_eq!(told(change(4).await), (0, 0, None));
}

#[tokio::test]
async fn changes_are_counted_through_any_number_of_the_operators() {
    let desk = Desk::new().await;
    desk.quotas(Quotas { changes_per_minute: 1, ..Quotas::default() }).await;
    desk.connect("jst").await;
    for number in 0..100 {
        desk.registry.record(&CONSOLE, Some(&acme()), "document.retry", &number.to_string(), json!({})).await.unwrap();
    }
    assert_eq!(told(desk.put_connection("jst", json!({})).await).0, 1);
}
