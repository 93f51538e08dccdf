//! Time is tokio's and stands still until everybody waits.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn caller(name: &str, priority: u8) -> Caller {
    Caller { name: name.into(), priority }
}

fn road(limits: Limits) -> Road {
    Road::new(&limits)
}

/// Breaks the road as a vendor that is not at home does.
async fn take_down(road: &Road) {
    while !road.is_down() {
        road.enter(&caller("unlucky", 5)).await.unwrap().leave_and_fail().await;
    }
}

impl Turn {
    async fn leave_and_fail(mut self) {
        self.leave().await.unwrap();
        self.failed();
    }
    async fn leave_and_answer(mut self) {
        self.leave().await.unwrap();
        drop(self.answered());
    }
}

/// Callers with a backlog each send one request after the other, each of which takes `latency`. When each left, by whom.
async fn run(limits: Limits, callers: &[(Caller, usize)], latency: Duration) -> Vec<(Duration, String)> {
    let road = road(limits);
    let begin = now();
    let left = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for (caller, backlog) in callers {
        for _ in 0..*backlog {
            let (road, caller, left) = (road.clone(), caller.clone(), left.clone());
            tasks.spawn(async move {
                let Pass(mut turn) = road.pass(&caller).await;
                turn.leave().await.unwrap();
                left.lock().unwrap().push((now() - begin, caller.name.to_string()));
                tokio::time::sleep(latency).await;
                drop(turn.answered());
            });
        }
    }
    while tasks.join_next().await.is_some() {}
    let traffic = road.traffic();
    assert_eq!((traffic.under_way, traffic.waiting), (0, 0), "every turn came back once");
    let left = left.lock().unwrap();
    left.clone()
}

fn paused<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn schemes_share_the_pace_and_nobody_leaves_faster_than_it(
        backlogs in proptest::collection::vec(1..40_usize, 2..6),
        rate in 1..20_u32,
        burst in 1..6_u32,
        at_once in 1..6_u32,
        latency_ms in 0..700_u64,
    ) {
        let limits = Limits {
            requests_per_second: rate.into(), burst, max_in_flight: at_once, ..Limits::default()
        };
        let callers: Vec<_> =
            backlogs.iter().enumerate().map(|(n, backlog)| (caller(&format!("s{n}"), 5), *backlog)).collect();
        let left = paused(run(limits, &callers, Duration::from_millis(latency_ms)));
        prop_assert_eq!(left.len(), backlogs.iter().sum::<usize>());
        // A timer's millisecond is the grain of the clock.
        for (first, (from, _)) in left.iter().enumerate() {
            for (count, (to, _)) in left[first..].iter().enumerate() {
                let allowed = ((*to - *from).as_secs_f64() + 0.001) * f64::from(rate) + f64::from(burst);
                prop_assert!((count as f64) < allowed, "{} requests within {:?}", count + 1, *to - *from);
            }
        }
        // Whoever came before the others did has one burst at most to itself.
        let head_start = burst.min(at_once) as usize;
        let mut had: HashMap<&str, usize> = HashMap::new();
        for at_once in left[head_start.min(left.len())..].chunk_by(|one, next| one.0 == next.0) {
            // Who of those that leave in one instant is looked at first says nothing.
            for (_, name) in at_once {
                *had.entry(name).or_default() += 1;
            }
            let racing: Vec<usize> = callers.iter()
                .map(|(caller, backlog)| (had.get(&*caller.name).copied().unwrap_or(0), *backlog))
                .filter(|(had, backlog)| had + head_start < *backlog)
                .map(|(had, _)| had)
                .collect();
            if let (Some(least), Some(most)) = (racing.iter().min(), racing.iter().max()) {
                prop_assert!(most - least <= 1, "{had:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_with_a_long_way_to_go_and_a_writer_share_the_pace() {
    let limits = Limits { requests_per_second: 2.0, burst: 1, ..Limits::default() };
    let left = run(limits, &[(caller("backfill", 5), 200), (caller("writer", 5), 20)], SECOND / 10).await;
    let writes = left.iter().take(41).filter(|(_, name)| name == "writer").count();
    assert_eq!(writes, 20, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn the_more_urgent_scheme_goes_first_and_the_other_is_not_starved() {
    let limits = Limits { requests_per_second: 10.0, burst: 1, max_in_flight: 1, ..Limits::default() };
    let left = run(limits, &[(caller("idle", 0), 50), (caller("urgent", 9), 100)], SECOND / 100).await;
    let early = left.iter().skip(1).take(100).filter(|(_, name)| name == "urgent").count();
    assert_eq!(early, 90, "{left:?}");
    assert!(left.iter().skip(1).take(9).all(|(_, name)| name == "urgent"), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_vendor_asks_for_holds_everybody() {
    let road = road(Limits::default());
    let begin = now();
    let impatient = {
        let road = road.clone();
        tokio::spawn(async move { road.enter(&caller("a", 9)).await.map(|_| now() - begin) })
    };
    road.hold(SECOND * 60);
    let error = impatient.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Throttled { wait: Some(_), .. }) && !error.may_have_written(), "{error}");
    road.hold(SECOND);
    let Pass(turn) = road.pass(&caller("b", 9)).await;
    assert_eq!(now() - begin, SECOND * 60, "a shorter pause does not shorten a longer one");
    assert_eq!(road.traffic().held_for, None);
    drop(turn);
}

#[tokio::test(start_paused = true)]
async fn while_the_vendor_counts_as_down_nothing_leaves_and_one_probe_at_a_time_finds_out() {
    let limits = Limits { requests_per_second: 1000.0, burst: 1000, max_in_flight: 100, ..Limits::default() };
    let road = road(limits);
    take_down(&road).await;
    assert_eq!(road.traffic().opened, 1);
    let mut passes = Vec::new();
    for n in 0..10 {
        let road = road.clone();
        passes.push(tokio::spawn(async move { road.pass(&caller(&format!("s{n}"), 5)).await }));
    }
    tokio::task::yield_now().await;
    for failures in 0..5 {
        let traffic = road.traffic();
        assert_eq!((traffic.under_way, traffic.waiting), (0, 10 - failures), "{traffic:?}");
        if let Some(wait) = traffic.probes_in {
            let error = road.enter(&caller("impatient", 9)).await.unwrap_err();
            assert!(matches!(error, Error::CircuitOpen { .. }) && !error.may_have_written(), "{error}");
            tokio::time::sleep(wait + SECOND / 1000).await;
        }
        let traffic = road.traffic();
        assert_eq!((traffic.under_way, traffic.position), (1, Position::HalfOpen), "one probe: {traffic:?}");
        let error = road.enter(&caller("impatient", 9)).await.unwrap_err();
        assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
        let at = passes.iter().position(|pass| pass.is_finished()).expect("somebody has the probe");
        let Pass(turn) = passes.swap_remove(at).await.unwrap();
        turn.leave_and_fail().await;
    }
    tokio::time::sleep(road.opens_in() + SECOND / 1000).await;
    let at = passes.iter().position(|pass| pass.is_finished()).expect("somebody has the probe");
    let Pass(turn) = passes.swap_remove(at).await.unwrap();
    turn.leave_and_answer().await;
    for pass in passes {
        let Pass(turn) = pass.await.unwrap();
        turn.leave_and_answer().await;
    }
    let traffic = road.traffic();
    assert_eq!((traffic.position, traffic.down_for, traffic.opened), (Position::Closed, None, 1), "{traffic:?}");
    assert!(traffic.refused >= 6, "{traffic:?}");
}

#[tokio::test(start_paused = true)]
async fn a_turn_given_before_the_vendor_went_down_is_of_no_use_after() {
    let road = road(Limits { max_in_flight: 100, burst: 100, ..Limits::default() });
    let mut early = road.enter(&caller("early", 5)).await.unwrap();
    take_down(&road).await;
    assert!(matches!(early.leave().await, Err(Error::CircuitOpen { .. })));
    drop(early);
    assert!(road.reset());
    road.enter(&caller("late", 5)).await.unwrap().leave_and_answer().await;
    assert!(!road.reset(), "nothing was wrong any more");
}

#[tokio::test(start_paused = true)]
async fn who_would_have_to_wait_for_the_pace_longer_than_for_a_turn_does_not_leave() {
    let limits = Limits { requests_per_second: 0.05, burst: 1, max_in_flight: 2, ..Limits::default() };
    let road = road(limits.clone());
    let begin = now();
    let Pass(mut first) = road.pass(&caller("a", 5)).await;
    // The first one's intent takes until the second has its turn, and both want to leave at once.
    let second = road.pass(&caller("b", 5)).await;
    first.leave().await.unwrap();
    let arrived = now();
    let second = second.carry(async { road.set_out(&caller("b", 5)).await.map(drop) }).await;
    assert!(matches!(second, Err(Error::Throttled { wait: None, .. })), "left {:?} after its turn", now() - arrived);
    assert!(now() - arrived <= limits.queue_timeout(), "an intent's deadline knows of no longer wait");
    drop(first.answered());
    assert_eq!((road.traffic().under_way, arrived > begin), (0, true));
    tokio::time::sleep(SECOND * 20).await;
    road.enter(&caller("b", 5)).await.unwrap().leave_and_answer().await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_tell_of_trouble_count_only_where_the_reader_says_so() {
    let road = road(Limits { burst: 100, ..Limits::default() });
    let answer = |failed: bool| {
        let road = road.clone();
        async move {
            let mut turn = road.enter(&caller("a", 5)).await.unwrap();
            turn.leave().await.unwrap();
            turn.answered().set_failed(failed);
        }
    };
    for _ in 0..20 {
        answer(false).await;
    }
    for _ in 0..4 {
        answer(true).await;
    }
    assert!(!road.is_down());
    answer(true).await;
    assert!(road.is_down());
}

#[tokio::test(start_paused = true)]
async fn an_impatient_request_over_the_limits_is_given_back_unsent_and_a_patient_one_waits() {
    let road = road(Limits { max_in_flight: 1, ..Limits::default() });
    let held = road.enter(&caller("a", 5)).await.unwrap();
    let begin = now();
    let error = road.enter(&caller("b", 5)).await.unwrap_err();
    assert!(matches!(error, Error::Throttled { wait: None, .. }) && !error.may_have_written(), "{error}");
    assert_eq!(now() - begin, Limits::default().queue_timeout());
    let patient = road.clone();
    let patient = tokio::spawn(async move { patient.pass(&caller("b", 5)).await });
    tokio::time::sleep(SECOND * 3600).await;
    assert!(!patient.is_finished());
    drop(held);
    drop(patient.await.unwrap());
    assert_eq!(road.traffic().under_way, 0);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_not_used_costs_no_pace_and_one_that_comes_too_late_goes_on() {
    let road = road(Limits { requests_per_second: 1.0, burst: 1, max_in_flight: 1, ..Limits::default() });
    let begin = now();
    drop(road.enter(&caller("a", 5)).await.unwrap());
    let turn = road.enter(&caller("a", 5)).await.unwrap();
    assert_eq!(now(), begin);
    {
        let callers = [caller("gone", 9), caller("stays", 5)];
        let mut gone = Box::pin(road.pass(&callers[0]));
        assert!(futures::poll!(&mut gone).is_pending());
        let mut stays = Box::pin(road.pass(&callers[1]));
        assert!(futures::poll!(&mut stays).is_pending());
        drop(turn);
        // `stays` gives out the turn, and it is that of `gone`, who does not take it.
        assert!(futures::poll!(&mut stays).is_pending());
        drop(gone);
        let Pass(turn) = stays.await;
        drop(turn);
    }
    assert_eq!((now(), road.traffic().under_way), (begin, 0));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_carries_its_pass_to_its_first_request_on_that_road_only() {
    let (road, other) = (road(Limits::default()), road(Limits::default()));
    let pass = road.pass(&caller("a", 5)).await;
    let carried = pass
        .carry(async {
            let wrong = Pass::carried(&other).is_some();
            let (first, second) = (Pass::carried(&road).is_some(), Pass::carried(&road).is_some());
            (wrong, first, second)
        })
        .await;
    assert_eq!(carried, (false, true, false));
    assert!(Pass::carried(&road).is_none(), "outside of an exchange");
    assert_eq!(road.traffic().under_way, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_between_a_turn_and_its_request_brings_no_two_requests_nearer_than_the_pace() {
    let road = road(Limits { requests_per_second: 2.0, burst: 1, ..Limits::default() });
    let begin = now();
    let mut slow = road.enter(&caller("slow", 5)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    slow.leave().await.unwrap();
    assert_eq!(now() - begin, Duration::from_millis(100));
    road.enter(&caller("quick", 5)).await.unwrap().leave_and_answer().await;
    assert_eq!((now() - begin).as_millis() / 10, 60);
}
