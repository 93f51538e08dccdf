use std::collections::BTreeSet;

use super::super::search::LOOK_LIMIT;
use super::*;

fn keys(found: &Found) -> Vec<String> {
    found.documents.iter().map(|one| format!("{} {}", one.tenant, one.key)).collect()
}

fn of(tenant: &str, key: &str) -> String {
    format!("{tenant} {key}")
}

async fn some() -> Rig {
    let rig = Rig::new();
    rig.parked(ACME, "a1", "no customer").await;
    rig.skipped(ACME, "a2").await;
    rig.received(ACME, "b1", "{}").await;
    rig.parked(BETA, "a1", "no customer").await;
    rig
}

#[tokio::test]
async fn each_part_of_a_filter_leaves_out_what_it_should() {
    let rig = some().await;
    let search = |filter: Filter| keys(&rig.office.search(None, &filter).unwrap());
    let all = || Filter::default();
    let (a1, a2, b1, theirs) = (of(ACME, "a1"), of(ACME, "a2"), of(ACME, "b1"), of(BETA, "a1"));
    assert_eq!(search(all()), [&*a1, &*a2, &*b1, &*theirs]);
    assert_eq!(search(Filter { states: vec![DocumentState::Parked], ..all() }), [&*a1, &*theirs]);
    assert_eq!(search(Filter { states: vec![DocumentState::Parked, DocumentState::Skipped], ..all() }).len(), 3);
    assert_eq!(search(Filter { states: vec![DocumentState::Written], ..all() }).len(), 0);
    assert_eq!(search(Filter { key_prefix: Some("a".into()), ..all() }), [&*a1, &*a2, &*theirs]);
    assert_eq!(search(Filter { key_prefix: Some("a2".into()), ..all() }), [&*a2]);
    let open = Filter { key_prefix: Some("b".into()), states: vec![DocumentState::Received], ..all() };
    assert_eq!(search(open), [&*b1]);
    assert_eq!(search(Filter { code: Some("rejected".into()), ..all() }), [&*a1, &*theirs]);
    assert_eq!(search(Filter { code: Some("not_ours".into()), ..all() }), [&*a2]);
    // A second passes with each event: a1 was received after one, a2 after three, b1 after five, beta's a1 after six.
    let at = |seconds: i64| {
        Some("2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds))
    };
    assert_eq!(search(Filter { received_from: at(3), received_to: at(5), ..all() }), [&*a2]);
    assert_eq!(search(Filter { changed_from: at(5), ..all() }), [&*b1, &*theirs]);
    assert_eq!(search(Filter { changed_to: at(3), ..all() }), [&*a1]);
}

#[tokio::test]
async fn pages_show_every_document_once_while_others_come_in_between() {
    let rig = some().await;
    let mut filter = Filter { limit: Some(1), ..Filter::default() };
    let mut seen = Vec::new();
    loop {
        let found = rig.office.search(None, &filter).unwrap();
        assert!(found.documents.len() <= 1);
        seen.extend(keys(&found));
        filter.after = found.next;
        if filter.after.is_none() {
            break;
        }
        if seen.len() == 2 {
            // Before and behind where the list stands.
            rig.received(ACME, "a0", "{}").await;
            rig.received(ACME, "a11", "{}").await;
            rig.received(BETA, "z", "{}").await;
        }
    }
    assert_eq!(seen, [of(ACME, "a1"), of(ACME, "a2"), of(ACME, "b1"), of(BETA, "a1"), of(BETA, "z")]);
}

#[tokio::test]
async fn a_call_that_finds_nothing_looks_no_further_than_it_may() {
    let rig = Rig::new();
    let desk = rig.office.chosen(Some(&tenant(ACME)), None).unwrap().remove(0);
    let works = desk.at_work().unwrap();
    let now = rig.tick();
    let moment = Moment { now, dice: 0, at_work_since: now };
    let event = Event::Received { body: Digest::of("{}"), cancelled: false, fault: None };
    let work = |number: usize| Work::new(DocumentKey::new(format!("{number:05}")).unwrap(), event.clone());
    let all: Vec<Work> = (0..LOOK_LIMIT + 10).map(work).collect();
    commit_round(&desk.ledger, &works.destination, &works.rules, moment, &all, None).await.unwrap();

    let filter = Filter { states: vec![DocumentState::Written], ..Filter::default() };
    let first = rig.office.search(None, &filter).unwrap();
    assert!(first.documents.is_empty());
    let rest = rig.office.search(None, &Filter { after: first.next.clone(), ..filter }).unwrap();
    assert!(first.next.is_some() && rest.documents.is_empty() && rest.next.is_none());
    // Full pages end where they are full, and together they are everything.
    let mut filter = Filter { limit: Some(10_000), ..Filter::default() };
    let mut seen = BTreeSet::new();
    loop {
        let found = rig.office.search(None, &filter).unwrap();
        assert!(found.documents.len() <= 500);
        seen.extend(keys(&found));
        filter.after = found.next;
        if filter.after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), all.len());
}

#[tokio::test]
async fn a_token_of_nobodys_is_refused() {
    let rig = some().await;
    for token in ["", "x", "a1", "eyJ0ZW5hbnQiOiIvIn0", "=====", "\u{0}"] {
        let filter = Filter { after: Some(token.into()), ..Filter::default() };
        let refused = rig.office.search(None, &filter).unwrap_err();
        assert!(matches!(refused, OfficeError::NotUsable(_)), "{token:?}: {refused}");
    }
}

/// A line has all the document's bills and the words of its fault.
#[tokio::test]
async fn a_page_of_documents_is_bounded_by_its_bytes() {
    let rig = Rig::new();
    for number in 0..10 {
        rig.parked(ACME, &format!("d{number}"), &"x".repeat(300_000)).await;
    }
    let (mut filter, mut seen, mut pages) = (Filter::default(), Vec::new(), Vec::new());
    loop {
        let found = rig.office.search(None, &filter).unwrap();
        seen.extend(found.documents.iter().map(|one| one.key.clone()));
        pages.push(found.documents.len());
        filter.after = found.next;
        if filter.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..10).map(|number| format!("d{number}")).collect::<Vec<_>>(), "each document once");
    assert_eq!(pages, [3, 3, 3, 1]);
}
