//! What is kept of what things were, and how it is read.

use super::*;

/// A scheme whose row takes so many bytes and a little.
async fn put_large(desk: &Desk, number: usize, bytes: usize) {
    let settings = json!({ "number": number, "parameters": { "text": "x".repeat(bytes) } });
    let put = SchemePut { settings, module: Digest::of(b"one"), enabled: None, note: String::new() };
    desk.registry.put_scheme(&ADMIN, &acme(), &scheme("large"), put, None).await.unwrap();
}

fn kept(desk: &Desk) -> Vec<u64> {
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let page = desk.registry.scheme_revisions(&acme(), &scheme("large"), after, 500).unwrap();
        let Some(last) = page.last() else { return found };
        after = last.revision;
        found.extend(page.iter().map(|row| row.revision));
    }
}

#[tokio::test]
async fn only_the_newest_revisions_are_kept() {
    let desk = Desk::new().await;
    desk.quotas(Quotas { changes_per_minute: 1_000, ..Quotas::default() }).await;
    for number in 0..510 {
        desk.put_connection("jst", json!({ "number": number })).await.unwrap();
    }
    let revisions = desk.registry.connection_revisions(&acme(), &connection("jst"), 0, usize::MAX).unwrap();
    assert_eq!((revisions.len(), revisions[0].revision, revisions[499].revision), (500, 11, 510));
}

#[tokio::test]
async fn revisions_take_eight_mebibytes_at_most_and_the_oldest_go() {
    let desk = Desk::new().await;
    desk.upload("m", "1", b"one").await.unwrap();
    for number in 0..20 {
        put_large(&desk, number, 1_000_000).await;
    }
    assert_eq!(kept(&desk), (13..=20).collect::<Vec<_>>());
    for number in 20..40 {
        put_large(&desk, number, 10).await;
    }
    assert_eq!(kept(&desk), (13..=40).collect::<Vec<_>>(), "small ones beside them push out none");
    desk.registry.delete_scheme(&ADMIN, &acme(), &scheme("large"), None).await.unwrap();
    assert_eq!(kept(&desk), (21..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_a_large_thing_that_is_deleted_the_last_revision_stays() {
    let desk = Desk::new().await;
    desk.upload("m", "1", b"one").await.unwrap();
    for number in 0..3 {
        put_large(&desk, number, 1_000_000 + number * 30_000).await;
    }
    desk.registry.delete_scheme(&ADMIN, &acme(), &scheme("large"), None).await.unwrap();
    assert_eq!(kept(&desk), [3], "though it alone is over what is kept of a deleted one");
}

#[tokio::test]
async fn of_what_is_deleted_the_newest_revisions_stay() {
    let desk = Desk::new().await;
    desk.scheme().await;
    let name = scheme("saleout");
    for number in 0..30 {
        desk.registry.set_enabled(&ADMIN, &acme(), &name, number % 2 == 0, None).await.unwrap();
    }
    desk.registry.delete_scheme(&ADMIN, &acme(), &name, None).await.unwrap();
    let kept = desk.registry.scheme_revisions(&acme(), &name, 0, usize::MAX).unwrap();
    assert_eq!((kept.len(), kept[0].revision, kept[19].revision), (20, 12, 31));
    for number in 0..30 {
        desk.put_connection("jst", json!({ "number": number })).await.unwrap();
    }
    desk.registry.delete_connection(&ADMIN, &acme(), &connection("jst"), None).await.unwrap();
    assert_eq!(desk.registry.connection_revisions(&acme(), &connection("jst"), 0, usize::MAX).unwrap().len(), 20);
    assert_eq!(desk.connect("jst").await.revision, 32, "numbers go on");
}

/// Names that a tenant makes and deletes one after the other would be without end.
#[tokio::test]
async fn of_the_things_that_are_deleted_fifty_are_remembered() {
    let desk = Desk::new().await;
    desk.connect("alive").await;
    // By the time of their last change, and not by their names.
    let names: Vec<String> = (0..60).rev().map(|number| format!("c{number:02}")).collect();
    for name in &names {
        desk.pass(SignedDuration::from_secs(2));
        desk.connect(name).await;
        desk.registry.delete_connection(&ADMIN, &acme(), &connection(name), None).await.unwrap();
    }
    let is_known =
        |name: &str| !desk.registry.connection_revisions(&acme(), &connection(name), 0, 10).unwrap().is_empty();
    let known: Vec<&String> = names.iter().filter(|name| is_known(name)).collect();
    assert_eq!(known, names[10..].iter().collect::<Vec<_>>());
    assert!(is_known("alive"));
    assert_eq!(desk.connect(&names[0]).await.revision, 2, "numbers go on all the same");
}

#[tokio::test]
async fn a_list_of_large_revisions_ends_early_and_goes_on() {
    let desk = Desk::new().await;
    desk.upload("m", "1", b"one").await.unwrap();
    for number in 0..20 {
        put_large(&desk, number, 300_000).await;
    }
    let (mut last, mut pages) = (0, Vec::new());
    loop {
        let found = desk.registry.scheme_revisions(&acme(), &scheme("large"), last, 500).unwrap();
        let Some(newest) = found.last() else { break };
        last = newest.revision;
        pages.push(found.len());
    }
    assert_eq!((pages, last), (vec![3, 3, 3, 3, 3, 3, 2], 20));
    let two = desk.registry.scheme_revisions(&acme(), &scheme("large"), 3, 2).unwrap();
    assert_eq!(two.iter().map(|row| row.revision).collect::<Vec<_>>(), [4, 5]);
}
