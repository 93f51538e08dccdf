//! What an operator does to a running engine.

use std::time::Duration;

use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::engine::said;
use vendor_sim::proof::wait::{Waiting, stays, until};
use vendor_sim::proof::world::{SCHEME, World};

use crate::{PATIENCE, check_no_secret_was_said, finish, told, world};

/// Five bills a request, each answered late: work takes long enough to be interrupted.
fn slow() -> (Vec<&'static str>, Settings) {
    let simulator = vec!["--documents", "240", "--seed", "21", "--fault", "late_answer=300,operation=batchsave"];
    let scheme = Scheme { keys: "batch_size = 5".to_owned(), ..Scheme::default() };
    (simulator, Settings { schemes: vec![scheme], ..Settings::default() })
}

fn wait_until_held(world: &World, bills: usize) {
    told(until(PATIENCE, "the first bills at the target", || {
        let held = world.simulator.held()?.bills.len();
        if held >= bills { Ok(()) } else { Err(Waiting::on(format!("{held} of {bills}"))) }
    }));
}

#[test]
fn sigterm_ends_in_order_with_nothing_in_doubt() {
    let (simulator, settings) = slow();
    let mut world = world(&simulator, &settings);
    let mut engine = told(world.start());
    wait_until_held(&world, 20);
    let status = told(engine.terminate());
    assert!(status.success(), "after SIGTERM the engine ended with {status}\n{}", engine.log_tail());

    let open = told(world.product.under_way(SCHEME));
    assert!(!open.is_empty(), "everything was done already: the test stopped nothing\n{}", engine.log_tail());
    for (key, entry) in &open {
        let in_doubt = entry.targets.iter().any(|bill| matches!(bill.state.as_str(), "sent" | "asking"));
        assert!(!in_doubt, "{key} is in doubt after an orderly end: {}\n{}", entry.story(), engine.log_tail());
    }
    told(world.simulator.clear_faults());
    let engine = told(world.start());
    finish(&world, engine);
    let books = told(world.books());
    assert_eq!(books.verified, 0, "after an orderly end nothing had to be asked about\n{}", books.render());
}

#[test]
fn after_a_pause_no_request_leaves_and_a_restart_does_not_change_that() {
    let (simulator, settings) = slow();
    let mut world = world(&simulator, &settings);
    let mut engine = told(world.start());
    wait_until_held(&world, 20);
    told(world.product.succeed(&["pause", "--all", "--reason", "month end"]));
    // Longer than the schedule, and than the answers under way take.
    let watched = Duration::from_millis(1_800);
    told(stays(watched, "requests at the vendors of a paused engine", || world.simulator.requests()));
    let open = told(world.product.under_way(SCHEME));
    assert!(!open.is_empty(), "everything was done already: the test paused nothing\n{}", engine.log_tail());

    told(engine.kill());
    let engine = told(world.start());
    let health = told(engine.health());
    assert!(health["paused"].to_string().contains("month end"), "the pause and its reason are not shown: {health}");
    told(stays(watched, "requests at the vendors after a restart", || world.simulator.requests()));

    told(world.product.succeed(&["resume", "--all"]));
    told(world.simulator.clear_faults());
    finish(&world, engine);
}

#[test]
fn a_second_engine_on_the_same_data_ends_with_code_4() {
    let mut world = world(&["--documents", "5", "--seed", "22"], &Settings::default());
    let engine = told(world.start());
    let second = told(world.product.run(&["serve"]));
    assert_eq!(second.status.code(), Some(4), "{}", said(&second));
    assert!(!second.stderr.is_empty(), "it said nothing: {}", said(&second));
    // Commands go to the engine that runs.
    told(world.product.ledger(SCHEME));
    finish(&world, engine);
}

#[test]
fn no_secret_is_said_even_at_the_most_talkative_level() {
    let faults = ["--fault", "session_lost,count=1,after=2", "--fault", "throttle=1,system=jushuitan_qimen,count=1"];
    let simulator = [["--documents", "30", "--seed", "23"].as_slice(), &faults].concat();
    let settings = Settings { engine: "log_level = \"trace\"".to_owned(), ..Settings::default() };
    let mut world = world(&simulator, &settings);
    // Credentials that the vendors refuse are the moment when clients like to show them.
    let mut wrong = world.product.clone();
    wrong.source_secret = "ffffffffffffffffffffffffffffffff".to_owned();
    let refused = told(wrong.run(&["run", SCHEME, "--dry-run"]));
    assert!(!refused.status.success(), "the vendor refuses this signature: {}", said(&refused));
    assert!(!said(&refused).contains(&wrong.source_secret), "the refused secret was said: {}", said(&refused));

    let engine = told(world.start());
    finish(&world, engine);
    check_no_secret_was_said(&world);
}
