//! Rule 5: writes whose fate is not known.

use super::*;

#[test]
fn a_lost_answer_is_asked_about_at_once_and_believed_absent_only_after_settling() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    assert_eq!(tale.asks_at(), Some(tale.now));
    tale.found("A", Seen::Absent);
    let settled_at = later(tale.now, Duration::from_secs(10) + SETTLE);
    assert_eq!(tale.asks_at(), Some(settled_at));
    assert!(matches!(tale.bill("A").fate, Fate::Asking { .. }));
    tale.wait(Duration::from_secs(10) + SETTLE).found("A", Seen::Absent);
    assert!(tale.has(|action| matches!(action, Action::Enqueue { .. })));
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn settling_begins_no_earlier_than_the_loss_is_known() {
    // The commit of an intent can take longer than the request's deadline allows for; the request leaves after it.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").wait(SETTLE * 3).lost("A");
    tale.found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(tale.now, SETTLE)));
}

#[test]
fn a_request_that_left_late_settles_late_after_a_restart_too() {
    // The store took five seconds over the intent, the engine died over the request, and the restart counted from the
    // deadline of before: the bill was believed absent while the target was still at it.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").wait(Duration::from_secs(5));
    let (version, attempt) = tale.under_way("A");
    let deadline = later(tale.now, Duration::from_secs(10));
    tale.event(Event::Postponed { version, target: key("A"), attempt, deadline });
    tale.event(Event::Restarted).found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(deadline, SETTLE)));
}

#[test]
fn a_clock_that_was_set_ahead_settles_nothing() {
    // An hour's leap made "absent" count at once; the bill came through seconds later and was there twice.
    const HOUR: Duration = Duration::from_secs(3_600);
    let leap = |tale: &mut Tale| {
        tale.wait(HOUR);
        let deadline = later(tale.now, Duration::from_secs(10));
        tale.event(Event::ClockLeapt { deadline });
        deadline
    };
    let mut asked = Tale::new();
    asked.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    leap(&mut asked);
    asked.found("A", Seen::Absent);
    assert_eq!(asked.asks_at(), Some(later(asked.now, SETTLE)));

    let mut under_way = Tale::new();
    under_way.received("a").emit(&[("A", "x")]).dispatch("A");
    let deadline = leap(&mut under_way);
    under_way.event(Event::Restarted).found("A", Seen::Absent);
    assert_eq!(under_way.asks_at(), Some(later(deadline, SETTLE)));

    let mut resent = Tale::upsert();
    resent.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    leap(&mut resent);
    assert_eq!(resent.bill("A").fate, Fate::Resend { settled_at: later(resent.now, SETTLE) });
}

#[test]
fn an_answer_that_does_not_mention_a_bill_is_asked_about() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", Told::Unmentioned);
    assert!(matches!(tale.bill("A").fate, Fate::Asking { .. }));
}

#[test]
fn an_unknown_write_that_is_found_ours_is_written() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").found("A", ours(None));
    assert_eq!(*tale.end(1), End::Written);
    assert_eq!(tale.held("A").body, Some(Digest::of("x")));
}

#[test]
fn an_unknown_write_that_is_found_incomplete_continues_its_chain() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").wait(SETTLE * 2).found("A", ours(Some(Step::Audit)));
    assert_eq!((tale.bill("A").step, &tale.bill("A").fate), (Step::Audit, &Fate::Ready));
}

#[test]
fn a_chain_does_not_continue_over_a_step_that_may_still_come() {
    // An audit was lost, the bill was found unaudited and audited again; the next version's update was under way when
    // the first audit came through.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A").lost("A");
    tale.found("A", ours(Some(Step::Audit)));
    assert_eq!(tale.asks_at(), Some(later(tale.now, Duration::from_secs(10) + SETTLE)));
}

#[test]
fn an_unknown_write_whose_number_holds_a_foreign_bill_parks() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").wait(SETTLE * 2).found("A", differs(None));
    assert_eq!(tale.parked(1), Code::KeyOccupied);
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn a_question_that_fails_is_asked_again_after_a_wait() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    let fault = Fault::retry(Code::VendorThrottled, Some(Duration::from_secs(30)), "later");
    tale.event(Event::AskFailed { version: 1, target: key("A"), fault });
    assert!(tale.asks_at().unwrap() > later(tale.now, Duration::from_secs(30)));
}

#[test]
fn a_target_that_keeps_refusing_to_be_asked_is_brought_before_a_person() {
    // It was asked for ever, and nobody was told.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    let fault = Fault::park(Code::TargetRefused, "no right to query");
    for _ in 0..ASK_REFUSALS_LIMIT {
        tale.event(Event::AskFailed { version: 1, target: key("A"), fault: fault.clone() });
    }
    assert_eq!(tale.parked(1), Code::WriteUnknown);
    assert_eq!(tale.held("A").existence, Existence::Maybe);
}

#[test]
fn where_the_target_cannot_be_asked_an_unknown_write_parks_and_only_a_person_can_free_it() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    assert_eq!(tale.parked(1), Code::WriteUnknown);
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Unknown(1)));
    assert_eq!(tale.retry(1, RetryMode::AfterVerify), Err(Refusal::NotAskable));
    tale.retry(1, RetryMode::IChecked).unwrap();
    assert!(tale.has(|action| matches!(action, Action::Enqueue { .. })));
}

/// The time after which no request of a tale that is dispatched and lost now can come any more.
fn settled(tale: &Tale) -> Timestamp {
    later(tale.now, Duration::from_secs(10) + SETTLE)
}

#[test]
fn a_lost_upsert_is_sent_again_with_the_same_bytes_once_it_has_settled() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    let settled_at = settled(&tale);
    assert_eq!(tale.sends_at(), Some(settled_at));
    let deadline = later(settled_at, SETTLE);
    tale.event(Event::Dispatched { version: 1, target: key("A"), deadline });
    assert!(!tale.changed && tale.actions.is_empty(), "sent before it had settled: {:?}", tale.actions);
    tale.now = settled_at;
    tale.dispatch("A");
    let same = |action: &Action| matches!(action, Action::Send { step: Step::Create, body, attempt: 2, .. } if *body == Digest::of("x"));
    assert!(tale.has(same), "{:?}", tale.actions);
    tale.done("A", None);
    assert_eq!(*tale.end(1), End::Written);
    assert_eq!(tale.held("A").body, Some(Digest::of("x")));
}

#[test]
fn an_answer_that_does_not_mention_an_upsert_is_a_doubt_like_a_lost_one() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", Told::Unmentioned);
    assert_eq!(tale.sends_at(), Some(settled(&tale)));
}

#[test]
fn a_newer_version_waits_for_an_upsert_in_doubt_whatever_its_later_sendings_are_told() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").received("b");
    assert_eq!(*tale.phase(2), Phase::Held);
    let throttled = Fault::retry(Code::VendorThrottled, None, "slow down");
    tale.wait(SETTLE * 2).dispatch("A").failed("A", throttled, false);
    assert_eq!((tale.phase(2), tale.held("A").existence), (&Phase::Held, Existence::Maybe));
    // In a batch that was refused: the driver makes a retry of it.
    tale.wait(SETTLE).dispatch("A").failed("A", Fault::retry(Code::TargetRefused, None, "one of them"), false);
    assert_eq!((tale.phase(2), tale.held("A").existence), (&Phase::Held, Existence::Maybe));
    tale.event(Event::Restarted).dispatch("A").done("A", None);
    assert_eq!(*tale.end(1), End::Written);
    tale.emit(&[("A", "y")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
}

#[test]
fn an_upsert_that_is_refused_after_a_lost_one_is_not_called_unwritten() {
    let refusals: [fn(&mut Tale); 2] = [
        |tale| {
            tale.refused("A", "7");
        },
        |tale| {
            tale.failed("A", Fault::park(Code::TargetRefused, "no"), false);
        },
    ];
    for refuse in refusals {
        let mut tale = Tale::upsert();
        tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").wait(SETTLE * 2).dispatch("A");
        refuse(&mut tale);
        assert_eq!((tale.parked(1), tale.held("A").existence), (Code::WriteUnknown, Existence::Maybe));
        tale.received("b");
        assert_eq!(*tale.phase(2), Phase::Held, "a person decides first");
    }
}

#[test]
fn an_upsert_that_is_refused_at_once_is_a_refusal() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", "7");
    assert_eq!((tale.parked(1), tale.held("A").existence), (Code::TargetRefused, Existence::No));
}

#[test]
fn an_upsert_that_stays_in_doubt_parks_and_a_person_may_have_it_sent_again() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]);
    for _ in 0..DOUBTS_LIMIT {
        tale.wait(SETTLE * 10).dispatch("A").lost("A");
    }
    assert_eq!(tale.parked(1), Code::WriteUnknown);
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Unknown(1)));
    let mut again = tale.clone();
    again.retry(1, RetryMode::AfterVerify).unwrap();
    assert_eq!(again.sends_at(), Some(later(again.now, SETTLE)));
    again.wait(SETTLE).dispatch("A").done("A", None);
    assert_eq!(*again.end(1), End::Written);
    tale.retry(1, RetryMode::IChecked).unwrap();
    assert_eq!(tale.sends_at(), Some(tale.now));
    tale.dispatch("A").refused("A", "7");
    assert_eq!(tale.parked(1), Code::TargetRefused, "the person's word ended the doubt");
}

#[test]
fn a_restart_sends_an_upsert_again_and_settles_from_the_restart() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").event(Event::Restarted);
    assert_eq!(tale.sends_at(), Some(settled(&tale)), "the request may still be under way");
    tale.wait(SETTLE * 10).event(Event::Restarted);
    assert_eq!(tale.sends_at(), Some(later(tale.now, SETTLE)));
    tale.rules.target_resend = Resend::Never;
    tale.event(Event::Restarted);
    assert_eq!(tale.parked(1), Code::WriteUnknown, "the settings no longer allow it");
}

#[test]
fn a_retry_after_verify_does_not_believe_absent_before_settling() {
    // Parked and retried within the settling time, the bill was sent again while the first was still committing.
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    tale.rules.target_askable = true;
    tale.retry(1, RetryMode::AfterVerify).unwrap();
    tale.found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(tale.now, SETTLE)));
}

#[test]
fn a_restart_asks_about_intents_and_settles_from_the_restart() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").wait(SETTLE * 10).event(Event::Restarted);
    let settled_at = later(tale.now, SETTLE);
    assert_eq!(tale.bill("A").fate, Fate::Asking { settled_at, tries: 0 });
    tale.found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(settled_at));
}

#[test]
fn a_restart_within_a_requests_deadline_settles_from_the_deadline() {
    // A crash in the first moments of a long request cut the settling time short by the rest of it.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").event(Event::Restarted).found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(tale.now, Duration::from_secs(10) + SETTLE)));
}

#[test]
fn a_restart_takes_up_what_was_to_be_transformed_sent_or_asked() {
    let mut tale = Tale::new();
    tale.received("a").event(Event::Restarted);
    assert!(tale.has(|action| matches!(action, Action::Transform { .. })));
    tale.emit(&[("A", "x")]).event(Event::Restarted);
    assert!(tale.has(|action| matches!(action, Action::Enqueue { .. })));
    tale.dispatch("A").lost("A").event(Event::Restarted);
    assert!(tale.has(|action| matches!(action, Action::Ask { .. })));
}

#[test]
fn a_restart_parks_intents_that_nobody_can_be_asked_about() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").event(Event::Restarted);
    assert!(tale.has(|action| matches!(action, Action::Enqueue { .. })), "B was never sent: {:?}", tale.actions);
    tale.dispatch("B").done("B", None);
    assert_eq!(tale.parked(1), Code::WriteUnknown);
}

#[test]
fn a_restart_parks_questions_that_may_no_longer_be_asked() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    tale.rules.target_askable = false;
    tale.event(Event::Restarted);
    assert_eq!(tale.parked(1), Code::WriteUnknown);
}

#[test]
fn a_taken_number_is_asked_about_and_may_be_ours() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", DUPLICATE_NUMBER);
    assert_eq!(tale.asks_at(), Some(tale.now));
    tale.found("A", ours(None));
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn a_taken_number_that_holds_a_foreign_bill_parks() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", DUPLICATE_NUMBER);
    tale.wait(SETTLE).found("A", differs(None));
    assert_eq!(tale.parked(1), Code::KeyOccupied);
}

#[test]
fn a_taken_number_that_shows_late_in_lists_is_waited_for() {
    // Four disputes went by within milliseconds, and our own bill was parked as somebody else's.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", DUPLICATE_NUMBER).found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(tale.now, SETTLE)));
}

#[test]
fn a_number_that_stays_taken_and_invisible_is_brought_before_a_person() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]);
    for _ in 0..DISPUTES_LIMIT {
        tale.dispatch("A").refused("A", DUPLICATE_NUMBER).wait(SETTLE).found("A", Seen::Absent);
    }
    tale.dispatch("A").refused("A", DUPLICATE_NUMBER);
    assert_eq!(tale.parked(1), Code::KeyOccupied);
}

#[test]
fn a_taken_number_at_a_target_that_cannot_be_asked_parks_at_once() {
    // It was put among the questions, and no answer could ever come.
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", DUPLICATE_NUMBER);
    assert_eq!(tale.parked(1), Code::KeyOccupied);
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    tale.retry(1, RetryMode::IChecked).unwrap();
    tale.dispatch("A").refused("A", DUPLICATE_NUMBER);
    assert_eq!(tale.parked(1), Code::WriteUnknown, "the person may have looked too early");
}
