//! The module's faults.

use super::*;

#[test]
fn a_guest_that_runs_into_the_wall_clock_is_tried_alone_and_then_parks() {
    let mut tale = Tale::new();
    let late = || Verdict::Fault(Fault::retry(Code::GuestDeadline, None, "too slow"));
    tale.received("a").verdict(1, late());
    assert!(tale.has(|action| matches!(action, Action::Transform { alone: true, .. })));
    tale.verdict(1, late()).verdict(1, late());
    assert_eq!(tale.parked(1), Code::GuestDeadline);
}

#[test]
fn waiting_for_a_table_does_not_count_as_running_into_the_wall_clock() {
    let mut tale = Tale::new();
    tale.received("a");
    for _ in 0..9 {
        tale.verdict(1, missed("M-1"));
    }
    tale.verdict(1, Verdict::Fault(Fault::retry(Code::GuestDeadline, None, "too slow")));
    assert_eq!(*tale.phase(1), Phase::Received { tries: 1 });
}

#[test]
fn a_version_that_waits_for_a_table_says_since_when_and_for_what_and_forgets_it_with_its_verdict() {
    let mut tale = Tale::new();
    tale.received("a");
    // The run takes a while, and a fetch that begins meanwhile counts.
    let since = tale.now;
    tale.wait(SETTLE).verdict(1, missed_at("M-1", since));
    assert!(tale.has(|action| matches!(action, Action::Await { version: 1 })));
    let waits = |tale: &Tale| tale.subject.version(1).unwrap().waits.clone();
    let expected =
        |key: &str| Some(Waits { since, missed: Some(Missed { table: "material".into(), key: key.into() }) });
    assert_eq!(waits(&tale), expected("M-1"));

    // Run again before the table has come, and again: nothing is written for it.
    tale.wait(SETTLE);
    let events = tale.subject.events;
    tale.verdict(1, missed_at("M-1", tale.now));
    assert_eq!((waits(&tale), tale.subject.events), (expected("M-1"), events));
    // A table that is fetched now answers for the next look-up as well.
    tale.verdict(1, missed_at("M-2", tale.now));
    assert_eq!(waits(&tale), expected("M-2"));
    tale.verdict(1, Verdict::Fault(Fault::retry(Code::GuestDeadline, None, "too slow")));
    assert_eq!(waits(&tale), expected("M-2"));
    tale.event(Event::Restarted);
    assert_eq!(waits(&tale), expected("M-2"));
    assert!(tale.has(|action| matches!(action, Action::Transform { version: 1, .. })));

    tale.emit(&[("A", "x")]);
    assert_eq!(waits(&tale), None);
}

#[test]
fn a_version_that_a_person_retries_believes_only_what_is_fetched_from_then_on() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    assert_eq!(tale.subject.version(1).unwrap().waits, None);
    tale.wait(SETTLE).event(Event::Retry { version: 1, mode: RetryMode::Plain, module: None, by: None });
    let waits = Waits { since: tale.now, missed: None };
    assert_eq!(tale.subject.version(1).unwrap().waits, Some(waits));
}

#[test]
fn a_guests_own_fault_parks_at_once() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Fault(Fault::park(Code::GuestFuelExhausted, "empty")));
    assert_eq!(tale.parked(1), Code::GuestFuelExhausted);
}

#[test]
fn a_fault_of_our_own_machine_is_not_laid_on_the_document() {
    // A broken sandbox parked one document after the other.
    let mut tale = Tale::new();
    tale.received("a");
    tale.verdict(1, Verdict::Fault(Fault::new(Code::Internal, Disposition::StopScheme, "broken")));
    assert_eq!(*tale.phase(1), Phase::Received { tries: 0 });
    assert!(tale.has(|action| matches!(action, Action::Transform { not_before: Some(_), .. })));
}
