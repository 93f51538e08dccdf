//! Rule 8: superseding and holding back.

use super::*;

#[test]
fn a_new_version_supersedes_one_that_is_parked_and_surely_unwritten() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason())).received("b");
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
    assert!(tale.has(|action| *action == Action::Finished { version: 1 }));
}

#[test]
fn a_new_version_supersedes_one_whose_bill_has_not_left() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).received("b");
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
    assert!(tale.has(|action| matches!(action, Action::Transform { version: 2, .. })));
}

#[test]
fn a_change_that_waits_for_a_person_gives_way_to_the_next_change() {
    // It sent nothing, yet it stayed parked for ever beside its successor.
    let mut tale = Tale::new();
    tale.written("a").received("b").emit(&[("A", "b")]).received("c");
    assert_eq!(*tale.end(2), End::Superseded { by: 3 });
}

#[test]
fn an_unknown_write_holds_later_versions_back() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").received("b").received("c");
    assert_eq!((tale.end(2), tale.phase(3)), (&End::Superseded { by: 3 }, &Phase::Held));
    tale.discard(1).unwrap();
    assert!(tale.has(|action| matches!(action, Action::Transform { version: 3, .. })));
}

#[test]
fn a_write_under_way_holds_later_versions_back_until_it_has_ended() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").received("b");
    assert_eq!(*tale.phase(2), Phase::Held);
    tale.done("A", None);
    assert_eq!(*tale.phase(2), Phase::Received { tries: 0 });
}

#[test]
fn a_version_between_two_steps_or_two_bills_holds_later_versions_back() {
    // Only a request on the wire did, so two versions were written at once.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Submit)).received("b");
    assert_eq!(*tale.phase(2), Phase::Held);
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").done("A", None).received("b");
    assert_eq!(*tale.phase(2), Phase::Held);
}

#[test]
fn a_version_whose_write_turns_out_not_to_have_happened_gives_way() {
    for how in [0, 1, 2] {
        let mut tale = Tale::new();
        tale.received("a").emit(&[("A", "x")]).dispatch("A").received("b");
        match how {
            0 => tale.refused("A", "7"),
            1 => tale.failed("A", Fault::retry(Code::VendorUnreachable, None, "no"), false),
            _ => tale.lost("A").wait(SETTLE * 2).found("A", Seen::Absent),
        };
        assert_eq!(*tale.end(1), End::Superseded { by: 2 }, "{how}");
        assert!(tale.has(|action| matches!(action, Action::Transform { version: 2, .. })));
    }
}

#[test]
fn a_version_that_a_person_says_was_not_written_gives_way() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").received("b");
    tale.retry(1, RetryMode::IChecked).unwrap();
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
}

#[test]
fn a_version_that_stands_settles_what_an_older_one_was_parked_for() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit)).received("b");
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
    tale.emit(&[("A", "b")]).wait(SETTLE).found("A", differs(Some(Step::Update))).dispatch("A").done("A", None);
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
    assert!(tale.has(|action| *action == Action::Finished { version: 1 }));
}
