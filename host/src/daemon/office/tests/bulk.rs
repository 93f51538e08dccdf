use super::*;

fn parked() -> Filter {
    Filter { states: vec![DocumentState::Parked], ..Filter::default() }
}

fn request(filter: Filter, wish: Wish, dry_run: bool) -> BulkRequest {
    BulkRequest { filter, wish, dry_run, by: Some("li".into()) }
}

/// Call after call, until nothing is left; and how many calls.
async fn all(rig: &Rig, mut request: BulkRequest) -> (BulkAnswer, usize) {
    let (mut sum, mut calls) = (BulkAnswer::default(), 0);
    loop {
        let answer = rig.office.bulk(None, &request).await.unwrap();
        request.filter.after = answer.next.clone();
        sum.add(answer);
        calls += 1;
        if request.filter.after.is_none() {
            return (sum, calls);
        }
    }
}

fn reasons(answer: &BulkAnswer) -> Vec<(&str, u64)> {
    answer.refused.iter().map(|group| (group.reason.as_str(), group.count)).collect()
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let rig = Rig::new();
    for key in ["a", "b", "c"] {
        rig.parked(ACME, key, "no customer").await;
    }
    rig.skipped(ACME, "s").await;
    rig.received(ACME, "r", "{}").await;
    let before = rig.office.search(None, &Filter::default()).unwrap().documents;
    let (answer, _) = all(&rig, request(Filter::default(), retry(), true)).await;
    assert_eq!((answer.matched, answer.granted), (5, 3));
    assert_eq!(answer.first.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(reasons(&answer), [("not_parked", 2)], "one reason, whatever the documents");
    assert!(answer.refused[0].message.contains("is not parked"));
    assert_eq!(rig.office.search(None, &Filter::default()).unwrap().documents, before);

    // Whoever forgot to say which is asked, before all there is is touched.
    let forgot = rig.office.bulk(None, &request(Filter { limit: Some(1), ..Filter::default() }, retry(), false)).await;
    assert!(matches!(forgot, Err(OfficeError::NotUsable(_))), "{forgot:?}");
    let everything = Filter { scheme: Some(SCHEME.into()), ..Filter::default() };
    let (done, _) = all(&rig, request(everything, retry(), false)).await;
    assert_eq!(done, answer, "and then it is so");
    assert!(["a", "b", "c"].iter().all(|key| rig.state(ACME, key) == DocumentState::Received));
}

#[tokio::test]
async fn a_bulk_order_goes_on_where_it_stopped_and_takes_each_document_once() {
    let rig = Rig::new();
    for number in 0..7 {
        rig.parked(ACME, &format!("d{number}"), "no customer").await;
    }
    let discard = Wish::Discard { reason: "entered by hand".into() };
    let filter = Filter { limit: Some(3), ..parked() };
    let first = rig.office.bulk(None, &request(filter.clone(), discard.clone(), false)).await.unwrap();
    assert_eq!(first.granted, 3);
    let rest = Filter { after: first.next, ..filter };
    let (rest, calls) = all(&rig, request(rest, discard, false)).await;
    assert_eq!((rest.granted, calls), (4, 2));
    assert!((0..7).all(|number| rig.state(ACME, &format!("d{number}")) == DocumentState::Discarded));
}

#[tokio::test]
async fn what_comes_into_the_filter_meanwhile_is_not_taken_and_does_not_make_it_endless() {
    let rig = Rig::new();
    for number in 0..4 {
        rig.parked(ACME, &format!("d{number}"), "no customer").await;
    }
    rig.tick();
    let mut request = request(Filter { limit: Some(1), ..parked() }, retry(), false);
    let (mut granted, mut calls) = (0, 0);
    loop {
        let answer = rig.office.bulk(None, &request).await.unwrap();
        granted += answer.granted;
        request.filter.after = answer.next;
        calls += 1;
        if request.filter.after.is_none() {
            break;
        }
        assert!(calls < 20, "it does not end");
        // Each retry makes room for another document behind, and one that was taken parks again.
        rig.parked(ACME, &format!("e{calls}"), "no customer").await;
        let reason = Reason { code: "empty".into(), message: "no customer".into(), field: None };
        if granted == 1 && calls == 1 {
            rig.verdict(ACME, "d0", Verdict::Reject(reason)).await;
        }
    }
    assert_eq!(granted, 4);
    assert_eq!(rig.state(ACME, "d0"), DocumentState::Parked, "it had its turn");
    assert_eq!(rig.state(ACME, "e1"), DocumentState::Parked);
}

#[tokio::test]
async fn documents_that_share_a_body_are_erased_together() {
    let rig = Rig::new();
    for key in ["a", "b", "c"] {
        rig.received(ACME, key, "{\"name\":\"zhang san\"}").await;
    }
    rig.received(ACME, "z", "{\"name\":\"zhang san\"}").await;
    let erase = || Wish::Erase { reason: "asked for".into() };
    let digest = Digest::of("{\"name\":\"zhang san\"}");
    for key in ["a", "b", "c"] {
        let filter = Filter { key_prefix: Some(key.into()), ..Filter::default() };
        let (answer, _) = all(&rig, request(filter, erase(), false)).await;
        assert_eq!(answer.granted, 1);
    }
    assert!(rig.ledger(ACME).body(digest).unwrap().is_some(), "one still needs it");
    rig.received(ACME, "y", "{\"name\":\"zhang san\"}").await;
    let everything = Filter { scheme: Some(SCHEME.into()), ..Filter::default() };
    let (answer, _) = all(&rig, request(everything, erase(), false)).await;
    assert_eq!((answer.granted, reasons(&answer)), (5, vec![]));
    assert_eq!(rig.ledger(ACME).body(digest).unwrap(), None);
}

#[tokio::test]
async fn one_body_is_not_put_in_the_place_of_many() {
    let rig = Rig::new();
    let edit = request(parked(), Wish::Edit { body: "{}".into() }, true);
    assert!(matches!(rig.office.bulk(None, &edit).await, Err(OfficeError::NotUsable(_))));
}
