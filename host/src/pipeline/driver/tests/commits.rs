//! Rounds that are stepped while those before them are under way.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_round_is_stepped_from_what_those_before_it_will_leave() {
    let rig = Rig::new();
    rig.pause(target_scope()).await;
    rig.store.queue();
    let mut durable = Vec::new();
    for body in ["one", "two", "one"] {
        durable.push(rig.handle.hand_over(vec![document("d0", body)]).await.unwrap());
        pass(Duration::from_secs(1)).await;
    }
    assert_eq!(rig.store.queued(), 3, "each is a round of its own");
    assert!(durable.iter_mut().all(|durable| durable.try_recv().is_err()));
    rig.store.take_up(1);
    pass(Duration::from_secs(1)).await;
    assert_eq!(durable.iter_mut().filter_map(|durable| durable.try_recv().ok()).count(), 1);
    rig.store.take_up(2);
    pass(Duration::from_secs(1)).await;
    let subject = rig.subject("d0");
    assert_eq!(subject.versions.iter().map(|version| version.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(
        rig.ledger.history(&DocumentKey::new("d0").unwrap(), subject.events, 100).unwrap().len() as u64,
        subject.events
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_sees_what_was_submitted_before_it() {
    let rig = Rig::new();
    rig.pause(target_scope()).await;
    rig.store.queue();
    let _durable = rig.handle.hand_over(vec![document("d0", "one")]).await.unwrap();
    pass(Duration::from_secs(1)).await;
    let key = DocumentKey::new("d0").unwrap();
    let retry = Command::retry(RetryMode::Plain);
    let order = rig.handle.command(Order::new(key.clone(), retry));
    tokio::pin!(order);
    assert!(tokio::time::timeout(HOUR, &mut order).await.is_err(), "the page is not there yet");
    rig.store.take_up(1);
    assert_eq!(order.await, Err(CommandError::NothingParked(key)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_was_submitted_and_what_was_intended_leaves() {
    let rig = Rig::new();
    rig.pause(target_scope()).await;
    rig.handle.page(page(1)).await.unwrap();
    pass(HOUR).await;
    rig.store.queue();
    let scope = target_scope();
    let resume = rig.gates.resume(&scope);
    tokio::pin!(resume);
    assert!(tokio::time::timeout(HOUR, &mut resume).await.is_err());
    rig.store.take_up(1);
    resume.await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!((rig.store.queued(), rig.plan.target.requests()), (1, 0), "the intent waits");
    rig.stop.cancel();
    pass(HOUR).await;
    assert!(!rig.task.is_finished());
    while !rig.task.is_finished() {
        rig.store.take_up(1);
        pass(Duration::from_secs(1)).await;
    }
    assert_eq!(rig.plan.target.bills().len(), 1);
    let subject = rig.subject("d0");
    assert!(subject.versions.iter().all(|version| matches!(version.phase, Phase::Done { .. })), "{subject:?}");
}

#[tokio::test(start_paused = true)]
async fn of_two_schemes_that_claim_one_bill_at_once_one_has_it() {
    let plan = Plan::new();
    let store = Arc::new(MemoryStore::new());
    let first = plan.start(store.clone());
    let other = SchemeId::new("returns").unwrap();
    let ledger = Ledger::new(store.clone(), tenant(), other.clone());
    let (handle, run) =
        start(Parts { scheme: other, ledger: ledger.clone(), ..plan.parts(store.clone()) }, CancellationToken::new());
    let second = tokio::spawn(run);
    store.queue();
    let _durable = [first.handle.hand_over(page(1)).await.unwrap(), handle.hand_over(page(1)).await.unwrap()];
    pass(Duration::from_secs(1)).await;
    assert_eq!(store.take_up(usize::MAX), 2, "the pages");
    pass(Duration::from_secs(1)).await;
    assert_eq!(store.queued(), 2, "both have looked, and claim it");
    let nothing_more_happens = async || {
        while store.take_up(1) == 1 {
            pass(Duration::from_secs(1)).await;
        }
    };
    nothing_more_happens().await;
    assert!(!second.is_finished() && !first.task.is_finished());
    assert_eq!(plan.target.sent(), [["T-d0"]]);
    let subject = ledger.subject(&DocumentKey::new("d0").unwrap()).unwrap().unwrap();
    assert!(matches!(subject.versions[0].phase, Phase::Parked { .. }), "{subject:?}");
    assert!(first.is_done("d0"));
}
