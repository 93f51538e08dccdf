//! Rule 7: changes after a write.

use super::*;

#[test]
fn equal_bytes_are_recorded_as_unchanged() {
    let mut tale = Tale::new();
    tale.written("a").received("b").emit(&[("A", "a")]);
    assert_eq!(*tale.end(2), End::Unchanged);
    assert!(!tale.has(|action| matches!(action, Action::Enqueue { .. } | Action::Ask { .. })));
}

#[test]
fn on_change_park_parks_and_a_retry_is_a_persons_consent() {
    let mut tale = Tale::new();
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
    tale.retry(2, RetryMode::Plain).unwrap();
    tale.emit(&[("A", "b")]).found("A", differs(Some(Step::Update))).dispatch("A").done("A", None);
    assert_eq!(*tale.end(2), End::Written);
    assert_eq!(tale.held("A").body, Some(Digest::of("b")));
}

#[test]
fn on_change_ignore_leaves_the_bill_alone() {
    let mut tale = Tale::on_change(OnChange::Ignore);
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert_eq!(*tale.end(2), End::Ignored);
    assert_eq!(tale.held("A").body, Some(Digest::of("a")));
}

#[test]
fn on_change_ignore_does_not_lose_a_bill_that_was_never_written() {
    let mut tale = Tale::on_change(OnChange::Ignore);
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None).refused("B", "7");
    tale.received("b").emit(&[("A", "x2"), ("B", "y2")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
}

#[test]
fn on_change_update_asks_first_and_takes_the_audit_off() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert!(tale.asks_at().is_some());
    tale.found("A", differs(Some(Step::Unaudit))).dispatch("A").done("A", Some(Step::Update));
    assert_eq!(tale.held("A").body, Some(Digest::of("a")), "only the audit is off");
    tale.dispatch("A").done("A", Some(Step::Audit)).dispatch("A").done("A", None);
    assert_eq!((tale.end(2), tale.held("A").body), (&End::Written, Some(Digest::of("b"))));
}

#[test]
fn taking_the_audit_off_is_never_the_end_of_an_update() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a").received("b").emit(&[("A", "b")]);
    tale.found("A", differs(Some(Step::Unaudit))).dispatch("A").done("A", None);
    assert_eq!(tale.bill("A").step, Step::Update);
}

#[test]
fn an_update_at_a_target_that_cannot_be_asked_is_sent_unasked() {
    // The question was queued, and no answer could ever come.
    let mut tale = Tale::under(Rules { target_askable: false, on_change: OnChange::Update, ..rules() });
    tale.written("a").received("b").emit(&[("A", "b")]).dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Update, .. })));
}

#[test]
fn a_target_that_cannot_be_changed_parks_the_change() {
    let mut tale = Tale::under(Rules { target_updatable: false, on_change: OnChange::Update, ..rules() });
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
}

#[test]
fn a_change_that_the_target_cannot_follow_parks_before_anything_is_sent() {
    let change = |on_change| {
        let mut tale = Tale::under(Rules { on_change, ..Tale::upsert().rules });
        tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", None).received("b");
        let Verdict::Emit(mut emitted) = emit(&[("A", "y")]) else { unreachable!() };
        emitted[0].frozen = Some("price was 1 and is now 2".into());
        tale.verdict(2, Verdict::Emit(emitted));
        tale
    };
    let mut tale = change(OnChange::Update);
    assert_eq!(tale.parked(2), Code::ChangeImpossible);
    let (_, fault) = tale.subject.parked().last().unwrap();
    assert!(fault.message.contains("A: price was 1 and is now 2"), "{fault}");
    assert!(!tale.has(|action| matches!(action, Action::Enqueue { .. })));
    // The old bill stands, and a further change may be one that can be followed.
    tale.received("c").emit(&[("A", "z")]).dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Update, .. })));
    assert_eq!(change(OnChange::Park).parked(2), Code::ChangedAfterWrite);
    assert_eq!(*change(OnChange::Ignore).end(2), End::Ignored);
}

#[test]
fn a_refused_update_where_nothing_was_taken_off_is_a_refusal_and_can_be_tried_again() {
    let mut tale = Tale::under(Rules { on_change: OnChange::Update, ..Tale::upsert().rules });
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", None);
    tale.received("b").emit(&[("A", "y")]).dispatch("A").refused("A", "7");
    assert_eq!((tale.parked(2), tale.held("A").existence), (Code::TargetRefused, Existence::Yes));
    tale.retry(2, RetryMode::Plain).unwrap();
    tale.emit(&[("A", "y")]).dispatch("A").done("A", None);
    assert_eq!(*tale.end(2), End::Written);
}

#[test]
fn an_updates_bill_that_is_gone_parks_and_is_made_anew_on_a_persons_word() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a").received("b").emit(&[("A", "b")]).found("A", Seen::Absent);
    assert_eq!(tale.parked(2), Code::BillGone);
    tale.retry(2, RetryMode::IChecked).unwrap();
    tale.emit(&[("A", "b")]).dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Create, .. })));
}

#[test]
fn on_change_does_not_apply_after_a_skip_a_rejection_or_a_refusal() {
    for first in [Verdict::Skip(reason()), Verdict::Reject(reason())] {
        let mut tale = Tale::new();
        tale.received("a").verdict(1, first).received("b").emit(&[("A", "b")]);
        assert_eq!(tale.bill("A").fate, Fate::Ready);
    }
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", "7").received("b").emit(&[("A", "b")]);
    assert_eq!(tale.bill("A").fate, Fate::Ready);
}

#[test]
fn an_update_whose_fate_was_given_up_does_not_let_the_old_bytes_count_as_unchanged() {
    // The old bytes were still on record, although the update may have replaced them.
    let mut tale = Tale::under(Rules { target_askable: false, on_change: OnChange::Update, ..rules() });
    tale.written("a").received("b").emit(&[("A", "b")]).dispatch("A").lost("A");
    tale.discard(2).unwrap();
    tale.received("c").emit(&[("A", "a")]);
    assert!(matches!(tale.phase(3), Phase::Writing { .. }), "{:?}", tale.phase(3));
}

#[test]
fn a_change_over_an_unknown_write_that_cannot_be_asked_about_is_never_guessed() {
    let mut tale = Tale::under(Rules { target_askable: false, on_change: OnChange::Update, ..rules() });
    tale.received("a").emit(&[("A", "a")]).dispatch("A").lost("A");
    tale.discard(1).unwrap();
    tale.received("b").emit(&[("A", "b")]);
    assert_eq!(tale.parked(2), Code::WriteUnknown);
    tale.retry(2, RetryMode::IChecked).unwrap();
    tale.dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Create, .. })));
}

#[test]
fn a_record_that_is_cancelled_after_its_write_parks() {
    for verdict in [emit(&[("A", "a")]), Verdict::Skip(reason())] {
        let mut tale = Tale::on_change(OnChange::Update);
        tale.written("a").cancelled("b").verdict(2, verdict);
        assert_eq!(tale.parked(2), Code::SourceCancelled);
    }
}

#[test]
fn a_record_that_is_cancelled_before_its_write_is_the_modules_to_decide() {
    let mut tale = Tale::new();
    tale.cancelled("a").verdict(1, Verdict::Skip(reason()));
    assert_eq!(*tale.end(1), End::Skipped(reason()));
}
