//! What people may ask, and what is kept.

use super::*;

#[test]
fn only_a_parked_version_can_be_retried_or_discarded() {
    let mut tale = Tale::new();
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::NoSuchVersion(1)));
    assert_eq!(tale.discard(1), Err(Refusal::NoSuchVersion(1)));
    tale.written("a");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::NotParked(1)));
    assert_eq!(tale.discard(1), Err(Refusal::NotParked(1)));
}

#[test]
fn a_parked_version_with_a_newer_one_cannot_be_retried() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None).refused("B", "7");
    tale.received("b");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Outdated(2)));
}

#[test]
fn an_unaudited_version_is_not_taken_up_while_a_newer_one_is_at_work() {
    // Both were then under way under one key.
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit)).received("b");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Outdated(2)));
    tale.emit(&[("A", "b")]);
    assert_eq!(tale.retry(1, RetryMode::IChecked), Err(Refusal::Outdated(2)));
}

#[test]
fn a_retry_waits_for_an_older_write_under_way() {
    // It began at once, beside the request of the older version.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A");
    let fault = Some(Fault::park(Code::DocumentTooLarge, "too large"));
    tale.event(Event::Received { body: Digest::of("b"), cancelled: false, fault });
    tale.retry(2, RetryMode::Plain).unwrap();
    assert_eq!((tale.phase(2), tale.actions.len()), (&Phase::Held, 0));
    tale.done("A", None);
    assert_eq!(*tale.phase(2), Phase::Received { tries: 0 });
}

#[test]
fn a_discarded_version_is_done_and_reading_it_again_does_not_bring_it_back() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    tale.discard(1).unwrap();
    assert_eq!(*tale.end(1), End::Discarded { reason: "enough".into() });
    tale.received("a");
    assert!(!tale.changed);
}

#[test]
fn pruning_never_drops_an_unfinished_version_nor_the_latest() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit));
    for number in 2..60_u64 {
        tale.received(&format!("body {number}")).verdict(number, Verdict::Reject(reason()));
        assert_eq!(tale.latest(), number);
        assert!(matches!(tale.phase(1), Phase::Parked { .. }));
    }
    assert!(tale.subject.versions.len() < 20);
}
