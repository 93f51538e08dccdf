use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings { failures: 3, wait_ms: 1_000, longest_wait_ms: 8_000, ..Settings::default() }
}

/// One that failures in a row have just opened, and when its wait is over.
fn opened(now: Instant, dice: u64) -> (Breaker, Instant) {
    let mut breaker = Breaker::new(settings());
    for _ in 0..settings().failures {
        let admission = breaker.admit(now).expect("a closed breaker lets everything leave");
        breaker.report(admission, Verdict::Failed, now, dice);
    }
    match breaker.position(now) {
        Position::Open { until } => (breaker, until),
        other => panic!("{other:?} after {} failures", settings().failures),
    }
}

#[test]
fn opens_after_a_run_of_failures_and_an_answer_ends_the_run() {
    let now = Instant::now();
    let mut breaker = Breaker::new(settings());
    for verdict in [Verdict::Failed, Verdict::Failed, Verdict::Answered, Verdict::Failed, Verdict::Failed] {
        let admission = breaker.admit(now).unwrap();
        assert!(!breaker.report(admission, verdict, now, 999));
    }
    let admission = breaker.admit(now).unwrap();
    assert!(breaker.report(admission, Verdict::Failed, now, 999));
    assert_eq!((breaker.admit(now), breaker.opened()), (None, 1));
    assert_eq!(breaker.down_since(), Some(now));
}

#[test]
fn opens_where_more_than_the_share_of_a_window_fails() {
    let now = Instant::now();
    let mut breaker = Breaker::new(Settings { failures: 1_000, ..settings() });
    let mut report = |at, verdict| {
        let admission = breaker.admit(at).unwrap();
        breaker.report(admission, verdict, at, 0)
    };
    for _ in 0..6 {
        assert!(!report(now, Verdict::Failed), "too few to draw a share of");
    }
    // By now the first six are out of the window.
    let later = now + Duration::from_millis(settings().window_ms) + SECOND;
    for _ in 0..5 {
        assert!(!report(later, Verdict::Answered));
        assert!(!report(later, Verdict::Failed));
    }
    assert!(report(later, Verdict::Failed), "six of eleven");
}

#[test]
fn one_probe_leaves_once_the_wait_is_over_and_its_answer_closes() {
    let now = Instant::now();
    let (mut breaker, until) = opened(now, 700);
    assert_eq!(until - now, Duration::from_millis(700));
    assert_eq!(breaker.admit(until - Duration::from_millis(1)), None);
    let probe = breaker.admit(until).expect("the wait is over");
    assert_eq!((breaker.admit(until), breaker.position(until)), (None, Position::HalfOpen));
    assert!(breaker.report(probe, Verdict::Answered, until, 0));
    assert_eq!((breaker.position(until), breaker.down_since()), (Position::Closed, None));
}

#[test]
fn a_probe_that_nobody_hears_of_lets_another_leave() {
    let now = Instant::now();
    let (mut breaker, until) = opened(now, 700);
    let probe = breaker.admit(until).unwrap();
    breaker.report(probe, Verdict::Unheard, until, 0);
    assert!(breaker.admit(until).is_some());
}

#[test]
fn what_left_before_it_opened_neither_closes_nor_prolongs_it() {
    let now = Instant::now();
    let mut breaker = Breaker::new(settings());
    let early: Vec<_> = (0..5).map(|_| breaker.admit(now).unwrap()).collect();
    for admission in &early[..3] {
        breaker.report(*admission, Verdict::Failed, now, 500);
    }
    let open = breaker.position(now);
    assert!(!breaker.report(early[3], Verdict::Answered, now, 0) && !breaker.report(early[4], Verdict::Failed, now, 0));
    assert_eq!(breaker.position(now), open);
    assert!(!breaker.still_admits(early[4]));
}

#[test]
fn the_waits_ceiling_doubles_up_to_the_cap_and_only_a_good_while_lowers_it() {
    let mut now = Instant::now();
    // The dice show the ceiling itself each time: the largest draw under it.
    let (mut breaker, until) = opened(now, 1_000);
    let mut waits = vec![until - now];
    for ceiling in [2_000, 4_000, 8_000, 8_000] {
        let Position::Open { until } = breaker.position(now) else { panic!("closed") };
        now = until;
        let probe = breaker.admit(now).unwrap();
        breaker.report(probe, Verdict::Failed, now, ceiling);
        let Position::Open { until } = breaker.position(now) else { panic!("closed") };
        waits.push(until - now);
    }
    assert_eq!(waits, [1, 2, 4, 8, 8].map(|seconds| SECOND * seconds));
    let fall = |breaker: &mut Breaker, now, dice| {
        while breaker.position(now) == Position::Closed {
            let admission = breaker.admit(now).unwrap();
            breaker.report(admission, Verdict::Failed, now, dice);
        }
        match breaker.position(now) {
            Position::Open { until } => until - now,
            other => panic!("{other:?}"),
        }
    };
    now += SECOND * 10;
    let probe = breaker.admit(now).unwrap();
    breaker.report(probe, Verdict::Answered, now, 0);
    assert_eq!(fall(&mut breaker, now, 8_000), SECOND * 8, "one answer does not end an outage");
    now += SECOND * 10;
    for _ in 0..=settings().failures {
        let admission = breaker.admit(now).unwrap();
        breaker.report(admission, Verdict::Answered, now, 0);
    }
    assert_eq!(fall(&mut breaker, now, 1_000), SECOND, "the next outage is another");
}

#[test]
fn a_person_closes_it_and_what_was_under_way_says_nothing_any_more() {
    let now = Instant::now();
    let (mut breaker, until) = opened(now, 700);
    let probe = breaker.admit(until).unwrap();
    assert!(breaker.reset());
    assert!(!breaker.report(probe, Verdict::Failed, until, 700));
    assert_eq!(breaker.position(until), Position::Closed);
    assert!(!breaker.reset(), "closed already");
}

#[test]
fn names_every_unusable_setting() {
    let bad = Settings { failures: 0, failure_percent: 101, window_ms: 0, wait_ms: 9, longest_wait_ms: 5 };
    assert_eq!(bad.problems("x").len(), 5, "{:?}", bad.problems("x"));
    assert!(Settings::default().problems("x").is_empty());
}

/// What befalls a breaker: time passes, a request asks to leave, or one of those that left comes to its end.
#[derive(Debug, Clone)]
enum Happening {
    Passes(u64),
    Leaves,
    Ends(usize, Verdict),
    Reset,
}

fn happening() -> impl Strategy<Value = Happening> {
    let verdict = prop_oneof![Just(Verdict::Answered), Just(Verdict::Failed), Just(Verdict::Unheard)];
    prop_oneof![
        3 => (0..3_000_u64).prop_map(Happening::Passes),
        6 => Just(Happening::Leaves),
        6 => (any::<usize>(), verdict).prop_map(|(which, verdict)| Happening::Ends(which, verdict)),
        1 => Just(Happening::Reset),
    ]
}

proptest! {
    #[test]
    fn in_no_story_does_anything_leave_while_open_or_more_than_one_while_half_open(
        story in proptest::collection::vec(happening(), 0..200),
        dice in any::<u64>(),
    ) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(settings());
        let mut under_way: Vec<Admission> = Vec::new();
        for (turn, happening) in story.into_iter().enumerate() {
            let dice = dice.rotate_left(turn as u32 % 64);
            match happening {
                Happening::Passes(millis) => now += Duration::from_millis(millis),
                Happening::Leaves => {
                    let before = breaker.position(now);
                    let probes = under_way.iter().filter(|one| breaker.still_admits(**one)).count();
                    let admission = breaker.admit(now);
                    match before {
                        Position::Closed => prop_assert!(admission.is_some()),
                        Position::Open { .. } => prop_assert!(admission.is_none(), "left while open"),
                        Position::HalfOpen => prop_assert_eq!(admission.is_some(), probes == 0, "{} probes", probes),
                    }
                    under_way.extend(admission);
                }
                Happening::Ends(which, verdict) if !under_way.is_empty() => {
                    let one = under_way.swap_remove(which % under_way.len());
                    breaker.report(one, verdict, now, dice);
                }
                Happening::Ends(..) => {}
                Happening::Reset => { breaker.reset(); }
            }
            if let Position::Open { until } = breaker.position(now) {
                prop_assert!(until - now <= Duration::from_millis(settings().longest_wait_ms));
            }
            prop_assert_eq!(breaker.position(now) == Position::Closed, breaker.down_since().is_none());
        }
        // However it went, it comes to an end: a vendor that answers is let in again.
        for admission in under_way {
            breaker.report(admission, Verdict::Unheard, now, dice);
        }
        now += Duration::from_millis(settings().longest_wait_ms);
        let probe = breaker.admit(now);
        prop_assert!(probe.is_some());
        breaker.report(probe.unwrap(), Verdict::Answered, now, dice);
        prop_assert_eq!(breaker.position(now), Position::Closed);
    }
}
