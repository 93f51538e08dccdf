//! The driver on a road to a target that goes away.

use super::*;
use crate::connectors::{Limits, Road};
use crate::pipeline::subject::Fate;

/// A rig whose target is reached by a road that keeps no pace. A turn is all that can be in a bill's way.
fn on_the_road(mut plan: Plan, give_up_after: Duration) -> (Rig, Road) {
    let limits = Limits { requests_per_second: 1000.0, burst: 1000, max_in_flight: 8, ..Limits::default() };
    let road = Road::new(&limits);
    *plan.target.road.lock().unwrap() = Some(road.clone());
    plan.rules.give_up_after = give_up_after;
    (plan.start(Arc::new(MemoryStore::new())), road)
}

fn attempts(rig: &Rig, key: &str) -> (u32, bool) {
    let subject = rig.subject(key);
    match &subject.latest().unwrap().phase {
        Phase::Writing { targets } => (targets[0].attempt, targets[0].fate == Fate::Ready),
        other => panic!("{key} rests in {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_days_costs_a_few_probes_and_no_document_its_patience() {
    let (rig, road) = on_the_road(Plan::new(), HOUR);
    rig.plan.target.expect(std::iter::repeat_n(Luck::Unreachable, 100_000));
    rig.handle.page(page(200)).await.unwrap();
    pass(HOUR * 48).await;
    assert!(road.is_down());
    // The first five failures, and a probe every two and a half minutes on average.
    let requests = rig.plan.target.requests();
    assert!((300..3_000).contains(&requests), "{requests} requests");
    // Only those whose turn was given before the vendor went down.
    let refused = road.traffic().refused as usize;
    assert!(refused < rig.plan.flow.writes_at_once, "{refused} requests were intended that could not leave");
    let (mut tried, mut ready) = (0, 0);
    for number in 0..200 {
        let (attempts, is_ready) = attempts(&rig, &format!("d{number}"));
        tried += attempts;
        ready += usize::from(is_ready);
    }
    assert_eq!(ready, 200, "a bill was given up, or intended while nothing could leave");
    assert!(tried as usize <= requests * rig.plan.flow.write_batch, "{tried} attempts in {requests} requests");
    rig.plan.target.be_good();
    rig.handle.idle().await;
    assert_eq!((rig.plan.target.bills().len(), road.is_down()), (200, false));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_on_the_road_counts_as_not_tried() {
    let (rig, road) = on_the_road(Plan::new(), HOUR);
    rig.plan.target.expect(std::iter::repeat_n(Luck::Unreachable, 1_000));
    rig.handle.page(page(1)).await.unwrap();
    while !road.is_down() {
        pass(Duration::from_millis(100)).await;
    }
    // Whose turn was given before the vendor went down, and whose intent was durable after.
    let (before, _) = attempts(&rig, "d0");
    let key = DocumentKey::new("d0").unwrap();
    let target = TargetKey::new("T-d0").unwrap();
    let version = 1;
    let fault = connectors::Error::CircuitOpen { wait: HOUR }.fault();
    let now = (rig.plan.now)();
    let moment = Moment { now, dice: 7, at_work_since: now };
    let sent = Event::Dispatched { version, target: target.clone(), deadline: now };
    let subject = super::super::super::step::step(&rig.subject("d0"), &sent, moment, &rig.plan.rules).unwrap().subject;
    let attempt = before + 1;
    let refused = Event::Failed { version, target, attempt, fault, may_have_written: false };
    let stepped = super::super::super::step::step(&subject, &refused, moment, &rig.plan.rules).unwrap();
    let Phase::Writing { targets } = &stepped.subject.latest().unwrap().phase else { panic!("{:?}", stepped.subject) };
    assert_eq!((targets[0].attempt, &targets[0].fate), (before, &Fate::Ready));
    let again = |action: &Action| matches!(action, Action::Enqueue { not_before: None, .. });
    assert!(stepped.actions.iter().any(again), "it waits for its own time, not the road's: {:?}", stepped.actions);
    drop(key);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_a_target_asks_for_holds_the_road_for_everybody() {
    let (rig, road) = on_the_road(Plan::new(), HOUR);
    rig.plan.target.expect([Luck::Throttled(Duration::from_secs(600))]);
    rig.handle.page(page(1)).await.unwrap();
    pass(Duration::from_secs(1)).await;
    let held = road.traffic().held_for.expect("nobody told the road");
    assert!(held > Duration::from_secs(590), "{held:?}");
    assert!(!road.is_down(), "who asks for a pause is not down");
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_wait_under_a_doubling_ceiling_and_differ() {
    // Throttled without a word on how long: the document's own waits.
    let rules = Plan::new().rules;
    let (now, key, target) = (Timestamp::UNIX_EPOCH, Digest::of("body"), TargetKey::new("T").unwrap());
    let waits = |attempt: u32, dice: u32| {
        let moment = Moment { now, dice, at_work_since: now };
        let write = |event: &Event, subject: &super::super::super::subject::Subject| {
            super::super::super::step::step(subject, event, moment, &rules).unwrap()
        };
        let mut subject =
            write(&Event::Received { body: key, cancelled: false, fault: None }, &Default::default()).subject;
        let one = super::super::super::step::Emitted { key: target.clone(), body: key, taken_by: None, frozen: None };
        let verdict = super::super::super::step::Verdict::Emit(vec![one]);
        let ran = Event::Transformed { version: 1, module: key, fuel: 1, verdict };
        subject = write(&ran, &subject).subject;
        let mut wait = None;
        for attempt in 1..=attempt {
            subject = write(&Event::Dispatched { version: 1, target: target.clone(), deadline: now }, &subject).subject;
            let fault = Fault::retry(Code::VendorThrottled, None, "slow down");
            let failed = Event::Failed { version: 1, target: target.clone(), attempt, fault, may_have_written: false };
            let stepped = write(&failed, &subject);
            subject = stepped.subject;
            wait = stepped.actions.iter().find_map(|action| match action {
                Action::Enqueue { not_before, .. } => *not_before,
                _ => None,
            });
        }
        wait.unwrap().duration_since(now).as_millis()
    };
    // The base is 200 ms and the cap half a minute; the dice show one less than the ceiling at most.
    let highest =
        [1, 2, 3, 6, 7, 8, 20].map(|attempt| (0..64).map(|n| waits(attempt, u32::MAX / 64 * n)).max().unwrap());
    for (attempt, (highest, ceiling)) in
        highest.iter().zip([400, 800, 1_600, 12_800, 25_600, 30_000, 30_000]).enumerate()
    {
        assert!(*highest <= ceiling && *highest > ceiling / 2, "{attempt}: {highest} ms under {ceiling}");
    }
    let mut different: Vec<_> = (0..64).map(|n| waits(8, u32::MAX / 64 * n)).collect();
    different.sort_unstable();
    different.dedup();
    assert!(different.len() > 32, "{different:?}");
}

#[tokio::test(start_paused = true)]
async fn refusals_and_refused_credentials_leave_the_breaker_alone() {
    let (rig, road) = on_the_road(Plan::new(), HOUR);
    let documents = (0..30).map(|n| document(&format!("d{n}"), "bad")).collect();
    rig.handle.page(documents).await.unwrap();
    rig.handle.idle().await;
    assert_eq!(rig.parked("d7"), Some(Code::TargetRefused));
    rig.plan.target.expect([Luck::CredentialsRefused]);
    rig.handle.page(vec![document("e", "one")]).await.unwrap();
    pass(HOUR).await;
    assert!(rig.gates.is_paused(&target_scope()));
    assert_eq!((road.is_down(), road.traffic().opened), (false, 0));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_target_that_is_down() {
    let (rig, road) = on_the_road(Plan::new(), HOUR);
    rig.plan.target.expect(std::iter::repeat_n(Luck::Unreachable, 1_000));
    rig.handle.page(page(5)).await.unwrap();
    while !road.is_down() {
        pass(Duration::from_millis(100)).await;
    }
    let store = tokio::time::timeout(Duration::from_secs(30), rig.shut_down()).await.expect("it waits for the road");
    let rig = Plan::new().start(store);
    rig.handle.idle().await;
    assert_eq!(rig.plan.target.bills().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_shuts_down_leaves_the_road_to_the_others() {
    let mut plan = Plan::new();
    (plan.flow.write_batch, plan.flow.writes_at_once) = (1, 4);
    let road = Road::new(&Limits { requests_per_second: 1000.0, burst: 1000, max_in_flight: 2, ..Limits::default() });
    *plan.target.road.lock().unwrap() = Some(road.clone());
    plan.target.open.forget_permits(usize::MAX >> 4);
    let rig = plan.start(Arc::new(MemoryStore::new()));
    rig.handle.page(page(6)).await.unwrap();
    pass(Duration::from_secs(1)).await;
    // Two are under way, and a third waits for its turn.
    assert_eq!((rig.plan.target.requests(), road.traffic().waiting), (2, 1));
    rig.stop.cancel();
    pass(Duration::from_secs(1)).await;
    assert_eq!(road.traffic().waiting, 0, "a scheme that sends nothing any more waits for its turn");
    rig.plan.target.open.add_permits(1);
    let other = Caller { name: "other".into(), priority: 5 };
    tokio::time::timeout(HOUR, road.pass(&other)).await.expect("a turn is held that nobody uses");
    rig.plan.target.open.add_permits(100);
    rig.shut_down().await;
}
