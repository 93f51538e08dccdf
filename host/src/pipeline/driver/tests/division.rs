//! Requests that are refused as a whole, and divided until the bad bills are alone.

use super::*;

/// A page of `count` documents in one request, of which `bad` make the target refuse whatever they travel in.
async fn bisect(count: usize, bad: &[usize]) -> Rig {
    let mut plan = Plan::new();
    (plan.flow.transform_batch, plan.flow.write_batch) = (64, 64);
    let rig = plan.start(Arc::new(MemoryStore::new()));
    let mut documents = page(count);
    bad.iter().for_each(|n| documents[*n].body = format!("bad {n}"));
    rig.handle.page(documents).await.unwrap();
    rig.handle.idle().await;
    rig
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_halved_until_its_bad_bills_are_alone() {
    for (count, bad, requests_limit) in
        [(2, &[1][..], 3), (4, &[0, 3], 7), (30, &[7], 11), (50, &[0], 13), (50, &[3, 31], 25), (50, &[48, 49], 25)]
    {
        let rig = bisect(count, bad).await;
        let sent = rig.plan.target.sent();
        assert_eq!(sent[0].len(), count, "all left together");
        assert!(sent.len() <= requests_limit, "{count} bills, bad {bad:?}: {} requests, {sent:?}", sent.len());
        assert_eq!(rig.plan.target.bills().len(), count - bad.len());
        for n in 0..count {
            let expected = bad.contains(&n).then_some(Code::TargetRefused);
            assert_eq!(rig.parked(&format!("d{n}")), expected, "d{n} of {count}, bad {bad:?}");
        }
        let subject = rig.subject(&format!("d{}", bad[0]));
        let (_, fault) = subject.parked().last().unwrap();
        assert!(fault.message.contains("a bill is bad"), "the target's own words: {fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_every_bill_is_bad_no_bill_costs_more_than_its_own_request_and_a_division() {
    let all: Vec<usize> = (0..50).collect();
    let rig = bisect(50, &all).await;
    assert_eq!(rig.plan.target.requests(), 99);
    assert!(all.iter().all(|n| rig.parked(&format!("d{n}")) == Some(Code::TargetRefused)));
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_those_that_were_refused_together() {
    let rig = bisect(4, &[2]).await;
    assert_eq!(rig.plan.target.sent().iter().map(Vec::len).collect::<Vec<_>>(), [4, 2, 2, 1, 1]);
    // What comes later travels as it always did, also of the same document.
    rig.handle.page((0..4).map(|n| document(&format!("d{n}"), "two")).collect()).await.unwrap();
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills(), (0..4).map(|n| bill(&format!("d{n}"), "two")).collect::<Vec<_>>());

    let rig = Rig::new();
    rig.pause(target_scope()).await;
    let mut documents = page(8);
    documents[1].body = "bad".into();
    rig.handle.page(documents).await.unwrap();
    pass(HOUR).await;
    rig.gates.resume(&target_scope()).await.unwrap();
    rig.handle.idle().await;
    let mut sizes: Vec<_> = rig.plan.target.sent().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2, 2, 4, 4], "four a request, and one of the two requests divided");
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_nobodys_bill_divides_no_request() {
    let rig = Rig::new();
    rig.plan.target.expect([Luck::Unreachable, Luck::Throttled(Duration::from_secs(5)), Luck::CredentialsRefused]);
    rig.handle.page(page(3)).await.unwrap();
    pass(HOUR).await;
    rig.gates.resume(&target_scope()).await.unwrap();
    rig.handle.idle().await;
    assert!(rig.plan.target.sent().iter().all(|keys| keys.len() == 3), "{:?}", rig.plan.target.sent());
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_a_request_is_divided_loses_nothing_and_doubles_nothing() {
    let mut plan = Plan::new();
    (plan.flow.transform_batch, plan.flow.write_batch) = (64, 64);
    *plan.target.latency.lock().unwrap() = Duration::from_millis(100);
    let mut store = Arc::new(MemoryStore::new());
    let mut documents = page(20);
    documents[13].body = "bad".into();
    let rig = plan.start(store);
    rig.handle.page(documents).await.unwrap();
    store = rig.shut_down().await;
    for crash in 0..6 {
        let rig = plan.start(store);
        pass(Duration::from_millis(120 + 40 * crash)).await;
        store = rig.crash(usize::MAX).await;
        pass(Duration::from_secs(1)).await;
    }
    let rig = plan.start(store);
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills().len(), 19);
    assert_eq!(rig.parked("d13"), Some(Code::TargetRefused));
}
