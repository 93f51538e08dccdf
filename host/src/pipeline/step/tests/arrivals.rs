//! Rules 1 to 4: received, decided, intended, answered.

use super::*;

#[test]
fn a_received_document_is_transformed() {
    let mut tale = Tale::new();
    tale.received("a");
    assert_eq!(tale.actions, [Action::Transform { version: 1, not_before: None, alone: false }]);
}

#[test]
fn a_document_that_is_read_again_changes_nothing() {
    let mut tale = Tale::new();
    tale.written("a").received("a");
    assert!(!tale.changed && tale.actions.is_empty());
}

#[test]
fn a_document_that_cannot_be_transformed_parks_on_arrival() {
    let mut tale = Tale::new();
    let fault = Some(Fault::park(Code::KeyMissing, "no key"));
    tale.event(Event::Received { body: Digest::of("a"), cancelled: false, fault });
    assert_eq!(tale.parked(1), Code::KeyMissing);
}

#[test]
fn an_outcome_is_recorded_before_its_bill_may_leave() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]);
    assert_eq!(tale.actions, [Action::Enqueue { version: 1, target: key("A"), not_before: None }]);
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn a_document_is_done_when_all_its_bills_are() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None);
    assert!(matches!(tale.phase(1), Phase::Writing { .. }));
    tale.done("B", None);
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn an_intent_is_recorded_before_the_request_is_sent() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A");
    assert!(matches!(tale.bill("A").fate, Fate::Intended { .. }));
    assert_eq!(tale.held("A").existence, Existence::Maybe);
    let (step, id) = (Step::Create, None);
    let body = Digest::of("x");
    assert_eq!(tale.actions, [Action::Send { version: 1, target: key("A"), step, body, id, attempt: 1 }]);
}

#[test]
fn each_step_of_a_chain_is_an_intent_of_its_own() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Submit));
    assert_eq!(tale.bill("A").step, Step::Submit);
    tale.dispatch("A");
    let sent = |action: &Action| matches!(action, Action::Send { step: Step::Submit, id: Some(_), attempt: 2, .. });
    assert!(tale.has(sent), "{:?}", tale.actions);
    tale.done("A", Some(Step::Audit)).dispatch("A").done("A", None);
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn a_skipped_document_is_done() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Skip(reason()));
    assert_eq!(*tale.end(1), End::Skipped(reason()));
}

#[test]
fn a_rejected_document_parks_and_names_the_field() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    let Phase::Parked { fault, .. } = tale.phase(1) else { panic!() };
    assert_eq!((fault.code, fault.message.contains("/items")), (Code::Rejected, true));
}

#[test]
fn an_outcome_without_a_bill_or_with_one_key_twice_parks() {
    for (bills, code) in [(&[][..], Code::EmptyEmit), (&[("A", "x"), ("A", "y")][..], Code::GuestOutputInvalid)] {
        let mut tale = Tale::new();
        tale.received("a").emit(bills);
        assert_eq!(tale.parked(1), code);
    }
}

#[test]
fn a_second_verdict_and_a_verdict_over_a_superseded_version_are_ignored() {
    let mut tale = Tale::new();
    tale.received("a").received("b").verdict(1, emit(&[("A", "x")]));
    assert!(!tale.changed && tale.actions.is_empty());
    tale.verdict(2, emit(&[("A", "y")])).verdict(2, emit(&[("B", "z")]));
    assert!(!tale.changed);
}

#[test]
fn a_stale_answer_is_ignored() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").wait(SETTLE * 2).found("A", Seen::Absent);
    tale.dispatch("A");
    let answer = Told::Done { id: None, next: None };
    tale.event(Event::Answered { version: 1, target: key("A"), attempt: 1, answer });
    assert!(!tale.changed);
}
