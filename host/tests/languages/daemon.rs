//! A mapping in JavaScript and one in Python behind the engine: granted, compiled in its child, run in batches, and the books
//! of both ends balance as they do for Rust.

use std::time::Duration;

use vendor_sim::proof::Failure;
use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::programs::{Given, Programs};
use vendor_sim::proof::schemes::SALEOUT;
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::world::World;

use super::{JAVASCRIPT, PYTHON, component_of};

/// Compiling an interpreter takes half a minute, and minutes where other tests run beside.
const COMPILING: Duration = Duration::from_secs(900);
const WORKING: Duration = Duration::from_secs(180);
/// What the operator says who lets such modules in; the wall is for machines that do other things meanwhile.
const GRANT: &str = "[sandbox]\ninterpreter_modules = true\n[sandbox.interpreter]\nchild_wall_ms = 1800000\n";

#[track_caller]
fn check(project: &str, seed: &str) {
    let scheme =
        Scheme { component: Some(component_of(project)), keys: "isolation = \"batch\"".into(), ..Scheme::of(SALEOUT) };
    let settings = Settings { extra: GRANT.into(), schemes: vec![scheme], ..Settings::default() };
    let shares = ["--skip-percent", "10", "--reject-percent", "15"];
    let simulator = ["--documents", "120", "--seed", seed].into_iter().chain(shares).map(str::to_owned);
    let moved = || -> Result<(), Failure> {
        let programs = Programs::find(Given::default())?;
        let mut world = World::new(&programs, &simulator.collect::<Vec<_>>(), &settings)?;
        let mut engine = world.spawn()?;
        until(COMPILING, "the engine's readiness", || match engine.has_ended() {
            Some(status) => Err(Waiting::InVain(engine.tell(Failure::new(format!("the engine ended: {status}"))))),
            None => engine.health().map_err(|failure| Waiting::on(failure.to_string())),
        })?;
        world.wait_until_done(&mut engine, WORKING)?;
        let status = engine.terminate()?;
        assert!(status.success(), "after SIGTERM the engine ended with {status}\n{}", engine.log_tail());
        let books = world.books()?;
        assert!(books.balance(), "{}\n{}{}", books.verdict(), books.render(), books.stories(10));
        assert_eq!(books.served, 120);
        assert!(books.written > 60 && books.skipped > 0 && books.rejected > 0, "{}", books.render());
        Ok(())
    };
    moved().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_javascript_module_moves_sale_outs_through_the_engine_and_the_books_balance() {
    check(JAVASCRIPT, "71");
}

#[test]
fn a_python_module_moves_sale_outs_through_the_engine_and_the_books_balance() {
    check(PYTHON, "72");
}
