//! Nothing lost, nothing twice.

use std::time::Duration;

use vendor_sim::proof::schemes::{SALEOUT, STOCKIN, Scheme, TRADE};
use vendor_sim::proof::{demo, kills};

use crate::{check_no_secret_was_said, programs, told};

/// The schemes alone, each with so many documents; together they are in the kills below and in `make demo`.
#[track_caller]
fn check(seed: u64, scheme: &'static dyn Scheme, documents: usize) {
    let plan = demo::Plan { seed, loads: vec![demo::Load { scheme, documents }] };
    let outcome = told(plan.run(&programs(), &mut |_| {}));
    let part = &outcome.parts[0];
    let books = &part.books;
    assert!(books.balance(), "{}\n{}{}", books.verdict(), books.render(), books.stories(10));
    assert!(books.skipped > 0 && books.rejected > 0 && books.parked > 0, "too tame a world:\n{}", books.render());
    assert!(part.in_doubt > 0, "the kill met no write that was under way:\n{}", books.render());
    assert_eq!(part.cleared_up, part.in_doubt, "of the writes in doubt at the kill:\n{}", books.render());
    check_no_secret_was_said(&outcome.world);
}

#[test]
fn the_sale_outs_balance_after_a_kill_in_the_middle() {
    check(11, SALEOUT, 200);
}

#[test]
fn the_stock_ins_balance_after_a_kill_in_the_middle() {
    check(12, STOCKIN, 200);
}

#[test]
fn the_trades_balance_after_a_kill_in_the_middle() {
    check(14, TRADE, 200);
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_at_random_instants() {
    let time_limit = Some(Duration::from_secs(60));
    let plan = kills::Plan { seed: 5, kills: 40, sabotage: None, time_limit };
    let outcome = told(plan.run(&programs(), &mut |_| {}));
    assert!(outcome.balance(), "seed {}: {}", plan.seed, outcome.render(10));
    assert!(outcome.kills >= 5, "only {} kills in {:?}: this says nothing", outcome.kills, outcome.took);
    check_no_secret_was_said(&outcome.world);
}
