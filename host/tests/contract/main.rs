//! What every connector owes the pipeline, tried against the vendors' simulators: one test for each behaviour, in it one
//! cell for each connector, and a page in the documentation that says the same.
//!
//! A cell that fails is named with its behaviour and its connector. After every cell, whatever it was about, the log that
//! it left at the most talkative level and all its errors are searched for secrets.

#![allow(clippy::unwrap_used)]

mod cells;
mod matrix;
mod page;
mod rig;
mod said;
mod sources;
mod targets;

use std::any::Any;
use std::thread;

use matrix::{Behaviour, Cell, Subject};
use rig::Bench;

macro_rules! behaviours {
    ($($name:ident = $behaviour:ident,)+) => {
        $(#[test] fn $name() { check(Behaviour::$behaviour); })+

        #[test]
        fn every_behaviour_has_a_test() {
            assert_eq!([$(Behaviour::$behaviour),+], *Behaviour::ALL);
        }
    };
}

behaviours! {
    what_fits_on_one_page_comes_whole = FirstPage,
    an_empty_page_is_no_error = EmptyPage,
    the_last_page_is_read_too = LastPage,
    rows_that_move_are_all_caught = MovingRows,
    a_call_limit_with_a_wait_carries_the_wait = ThrottledWithWait,
    a_call_limit_without_a_wait_is_one_all_the_same = ThrottledWithoutWait,
    a_200_with_a_failure_inside_is_a_failure = FailureInside,
    a_session_may_end_in_the_middle = SessionEnds,
    a_replaced_secret_is_told_from_other_troubles = SecretRotated,
    a_second_write_of_a_key_is_recognised = DuplicateWrite,
    a_lost_response_is_a_write_in_doubt = ResponseLost,
    half_a_refused_batch_is_told_apart = HalfRefused,
    an_answer_in_gbk_is_kept_and_not_guessed_at = Gbk,
    control_characters_change_no_byte_of_a_record = ControlCharacters,
    a_bill_committed_after_the_connection_dropped_is_found = CommitAfterDrop,
    a_bill_that_shows_late_is_found_later = ShownLate,
    a_cut_answer_is_no_answer = CutOff,
    an_answer_of_40_mib_is_not_swallowed = Huge,
    a_clock_wrong_by_eleven_minutes_is_named = WrongClock,
    secrets_are_never_said = SecretsUnsaid,
}

fn check(behaviour: Behaviour) {
    said::listen();
    let failures: Vec<String> = thread::scope(|scope| {
        let cells = Subject::ALL.iter().filter_map(|subject| match behaviour.cell(*subject) {
            Cell::NotApplicable(_) => None,
            Cell::Runs(run) => Some((subject, scope.spawn(move || alone(*subject, run)))),
        });
        let running: Vec<_> = cells.collect();
        let ended = running.into_iter().map(|(subject, cell)| (subject, cell.join()));
        ended.filter_map(|(subject, end)| Some(format!("{behaviour} × {subject}: {}", words(&*end.err()?)))).collect()
    });
    assert!(failures.is_empty(), "{} cells failed\n{}", failures.len(), failures.join("\n"));
}

/// One cell on a thread of its own, so that what is said on it was said by this cell.
fn alone(subject: Subject, run: matrix::Run) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::new(subject);
        run(&bench).await;
        bench.check_that_no_secret_was_said();
    });
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "panicked".into())
}
