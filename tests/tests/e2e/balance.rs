//! Nothing lost, nothing twice.

use std::time::Duration;

use vendor_sim::proof::{demo, kills};

use crate::{check_no_secret_was_said, programs, told};

#[test]
fn the_books_balance_after_a_kill_in_the_middle() {
    let plan = demo::Plan { seed: 11, documents: 200 };
    let outcome = told(plan.run(&programs(), &mut |_| {}));
    let books = &outcome.books;
    assert!(books.balance(), "{}\n{}{}", books.verdict(), books.render(), books.stories(10));
    assert!(books.skipped > 0 && books.rejected > 0 && books.parked > 0, "too tame a world:\n{}", books.render());
    check_no_secret_was_said(&outcome.world);
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_at_random_instants() {
    let time_limit = Some(Duration::from_secs(60));
    let plan = kills::Plan { seed: 5, kills: 40, sabotage: None, at_least: 0, time_limit };
    let outcome = told(plan.run(&programs(), &mut |_| {}));
    let books = &outcome.books;
    let figures = vendor_sim::proof::table::render(&outcome.rows());
    assert!(books.balance(), "seed {}: {}\n{figures}{}", plan.seed, books.verdict(), books.stories(10));
    assert!(outcome.kills >= 5, "only {} kills in {:?}: this says nothing", outcome.kills, outcome.took);
    check_no_secret_was_said(&outcome.world);
}
