//! Refusals and failures, and how long a bill is tried.

use super::*;

#[test]
fn a_refused_bill_parks_with_the_vendors_words_and_is_surely_unwritten() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", "period_closed");
    assert_eq!(tale.parked(1), Code::TargetRefused);
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn a_saved_bill_that_was_not_audited_parks_and_a_retry_continues_its_chain() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit));
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
    tale.retry(1, RetryMode::Plain).unwrap();
    tale.found("A", ours(Some(Step::Audit))).dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Audit, id: Some(_), .. })));
    tale.done("A", None);
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn a_request_that_was_refused_as_a_whole_after_the_save_leaves_the_bill_unaudited() {
    // It parked as refused; the retry found equal bytes on record and called the draft finished.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A");
    tale.failed("A", Fault::park(Code::TargetRefused, "no"), false);
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
}

#[test]
fn equal_bytes_over_a_bill_that_was_never_audited_do_not_count_as_unchanged() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A").refused("A", "7");
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
    tale.received("b").emit(&[("A", "x")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
}

#[test]
fn a_bill_of_ours_that_somebody_changed_stays_known_as_ours() {
    // It was forgotten as foreign, and the next version would have made a second one.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit));
    tale.retry(1, RetryMode::AfterVerify).unwrap();
    tale.wait(SETTLE).found("A", differs(None));
    assert_eq!(tale.parked(1), Code::KeyOccupied);
    assert_eq!(tale.held("A").existence, Existence::Yes);
}

#[test]
fn a_failure_before_sending_is_tried_again_after_a_wait() {
    let mut tale = Tale::new();
    let fault = Fault::retry(Code::VendorThrottled, Some(Duration::from_secs(30)), "later");
    tale.received("a").emit(&[("A", "x")]).dispatch("A").failed("A", fault, false);
    let waits = |at: Timestamp| at > later(tale.now, Duration::from_secs(30));
    assert!(tale.has(|action| matches!(action, Action::Enqueue { not_before: Some(at), .. } if waits(*at))));
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn a_bill_that_was_refused_with_others_is_unwritten_and_goes_again_at_once() {
    let fault = Fault::park(Code::TargetRefused, "one of them is bad");
    let refuse = |tale: &mut Tale| {
        let (target, attempt, fault) = (key("A"), tale.bill("A").attempt, fault.clone());
        tale.event(Event::RefusedTogether { version: 1, target, attempt, fault, others: 49 });
    };
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A");
    refuse(&mut tale);
    assert_eq!(tale.actions, [Action::Enqueue { version: 1, target: key("A"), not_before: None }]);
    assert_eq!(tale.held("A").existence, Existence::No);
    // A newer version need not wait for it any more, and is not overtaken by it.
    tale.dispatch("A").received("b");
    refuse(&mut tale);
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });

    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A");
    refuse(&mut tale);
    assert_eq!((tale.held("A").existence, tale.bill("A").step), (Existence::Yes, Step::Audit));
}

fn down() -> Fault {
    Fault::retry(Code::VendorUnreachable, None, "no connection")
}

#[test]
fn a_bill_that_is_tried_for_too_long_parks_and_a_retry_begins_anew() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").failed("A", down(), false);
    tale.wait(tale.rules.give_up_after - SETTLE).dispatch("A").failed("A", down(), false);
    assert_eq!(tale.bill("A").fate, Fate::Ready, "a minute is left");
    tale.wait(SETTLE).dispatch("A").failed("A", down(), false);
    assert_eq!(tale.parked(1), Code::GaveUp);
    let (_, fault) = tale.subject.parked().last().unwrap();
    assert!(fault.message.contains("86400 s") && fault.message.contains("no connection"), "{fault}");
    assert_eq!(tale.held("A").existence, Existence::No);
    tale.retry(1, RetryMode::Plain).unwrap();
    tale.emit(&[("A", "x")]).dispatch("A").failed("A", down(), false);
    assert_eq!(tale.bill("A").fate, Fate::Ready);
}

#[test]
fn only_time_in_which_the_scheme_was_at_work_counts_towards_giving_up() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").failed("A", down(), false);
    tale.wait(tale.rules.give_up_after * 3);
    tale.at_work_since = tale.now;
    tale.dispatch("A").failed("A", down(), false);
    assert_eq!(tale.bill("A").fate, Fate::Ready, "it was paused for three days, and tried once since");
    tale.wait(tale.rules.give_up_after).dispatch("A").failed("A", down(), false);
    assert_eq!(tale.parked(1), Code::GaveUp);
}

#[test]
fn what_may_have_been_written_is_never_given_up_as_unwritten() {
    // Asked, for as long as it takes.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    for _ in 0..20 {
        tale.wait(tale.rules.give_up_after).ask_failed("A", down());
    }
    assert!(matches!(tale.bill("A").fate, Fate::Asking { .. }));
    // Sent again, at a target that cannot be asked and is down since.
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    tale.wait(tale.rules.give_up_after).dispatch("A").failed("A", down(), false);
    assert_eq!(tale.parked(1), Code::WriteUnknown);
    assert_ne!(tale.held("A").existence, Existence::No);
    // Its retry is a fresh one, too.
    tale.retry(1, RetryMode::AfterVerify).unwrap();
    tale.wait(SETTLE).dispatch("A").failed("A", down(), false);
    assert_eq!(tale.bill("A").fate, Fate::Ready);
    // A bill of which the first step stands.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A");
    tale.wait(tale.rules.give_up_after).failed("A", down(), false);
    assert_eq!((tale.parked(1), tale.held("A").existence), (Code::LeftUnaudited, Existence::Yes));
    tale.retry(1, RetryMode::Plain).unwrap();
    tale.found("A", ours(Some(Step::Audit))).dispatch("A").failed("A", down(), false);
    assert_eq!(tale.bill("A").fate, Fate::Ready);
}

#[test]
fn refused_credentials_leave_the_bill_ready_for_the_resume() {
    let mut tale = Tale::new();
    let fault = Fault::new(Code::CredentialsRefused, Disposition::PauseConnection, "no");
    tale.received("a").emit(&[("A", "x")]).dispatch("A").failed("A", fault, false);
    assert_eq!(tale.bill("A").fate, Fate::Ready);
}

#[test]
fn a_document_of_two_bills_one_of_them_refused_can_be_tried_again() {
    // It parked as target_keys_changed, for only the written one of its keys counted.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None).refused("B", "7");
    assert_eq!(tale.parked(1), Code::TargetRefused);
    tale.retry(1, RetryMode::Plain).unwrap();
    tale.emit(&[("A", "x"), ("B", "y2")]);
    assert_eq!(tale.actions, [Action::Enqueue { version: 1, target: key("B"), not_before: None }]);
    tale.dispatch("B").done("B", None);
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn an_unknown_write_never_hides_behind_a_refusal() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").lost("A").refused("B", "7");
    assert_eq!(tale.parked(1), Code::WriteUnknown);
}
