//! The whole product as a stranger meets it: its own binary, a configuration, two vendors on loopback.
//!
//! `make test` builds what is needed here; a missing binary fails every test with the command that makes it.

#![allow(clippy::unwrap_used)]

mod alerts;
mod api;
mod backups;
mod balance;
mod capsules;
mod changing;
mod commands;
mod documents;
mod hostile;
mod managing;
mod month_end;
mod neighbours;
mod operating;
mod pages;
mod parked;
mod references;
mod retention;
mod stockins;
mod telling;
mod trades;
mod traffic;

use std::path::Path;
use std::time::Duration;

use vendor_sim::proof::Failure;
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::Engine;
use vendor_sim::proof::guests;
use vendor_sim::proof::programs::{Given, Programs};
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::world::World;

/// For work of some hundred documents on a machine that runs other tests beside.
const PATIENCE: Duration = Duration::from_secs(90);

fn programs() -> Programs {
    match Programs::find(Given::default()) {
        Ok(programs) => programs,
        Err(missing) => panic!("{missing}"),
    }
}

fn world(simulator: &[&str], settings: &Settings) -> World {
    let arguments: Vec<String> = simulator.iter().map(|&argument| argument.to_owned()).collect();
    told(World::new(&programs(), &arguments, settings))
}

/// The value, or a panic with the failure's own words and not their debug form.
#[track_caller]
fn told<T>(result: Result<T, Failure>) -> T {
    match result {
        Ok(value) => value,
        Err(failure) => panic!("{failure}"),
    }
}

/// Waits until all work is done, stops the engine in order, and sees that the books balance.
#[track_caller]
fn finish(world: &World, mut engine: Engine) {
    told(world.wait_until_done(&mut engine, PATIENCE));
    let status = told(engine.terminate());
    assert!(status.success(), "after SIGTERM the engine ended with {status}\n{}", engine.log_tail());
    check_books(world);
}

/// Waits until the document is in this state, and tells its story.
#[track_caller]
fn wait_for_state(world: &World, engine: &Engine, scheme: &str, key: &str, state: &str) -> String {
    let reached = until(PATIENCE, &format!("{key} to be {state}"), || {
        let ledger = world.product.ledger(scheme)?;
        match ledger.get(key) {
            Some(entry) if entry.state == state => Ok(entry.story()),
            Some(entry) => Err(Waiting::on(entry.story())),
            None => Err(Waiting::on("the document itself")),
        }
    });
    reached.unwrap_or_else(|failure| panic!("{}", engine.tell(failure)))
}

#[track_caller]
fn check_books(world: &World) {
    let books = told(world.books());
    assert!(books.balance(), "{}\n{}{}", books.verdict(), books.render(), books.stories(10));
    check_no_secret_was_said(world);
}

/// No line of any engine or command of this world holds a credential.
#[track_caller]
fn check_no_secret_was_said(world: &World) {
    let said = told(world.everything_said());
    assert!(!said.is_empty(), "nothing was said, so nothing was looked through");
    for (name, secret) in world.simulator.credentials() {
        assert!(secret.len() >= 8, "{name} is too short to be looked for");
        for (file, text) in &said {
            let line = text.lines().find(|line| line.contains(&secret));
            assert!(line.is_none(), "{name} stands in {file}");
        }
    }
}

fn in_directory(world: &World, name: &str) -> std::path::PathBuf {
    Path::new(world.path()).join(name)
}
