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
        tale.verdict(1, Verdict::Fault(Fault::retry(Code::ReferencePending, None, "wait")));
    }
    tale.verdict(1, Verdict::Fault(Fault::retry(Code::GuestDeadline, None, "too slow")));
    assert_eq!(*tale.phase(1), Phase::Received { tries: 1 });
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
