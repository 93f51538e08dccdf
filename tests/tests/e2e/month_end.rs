//! A past that is read beside the present, and the question at the month's end.

use std::collections::BTreeSet;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use vendor_sim::proof::Failure;
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::said;
use vendor_sim::proof::schemes::SALEOUT;
use vendor_sim::proof::wait::{Waiting, stays, until};
use vendor_sim::proof::world::{SCHEME, World};

use crate::{PATIENCE, check_books, finish, told, world};

/// Documents of 24 days, of which the live reading begins with the last four: three windows of the vendor's longest for
/// a backfill, with a day that both read.
struct Past {
    from: String,
    to: String,
    simulated_from: String,
}

impl Past {
    fn new() -> Self {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let ago = |hours: i64| (now - SignedDuration::from_hours(hours)).to_string();
        Self { from: ago(24 * 24 + 1), to: ago(24 * 3 + 1), simulated_from: ago(24 * 24) }
    }

    fn world(&self, documents: &str, seed: &str, more: &[&str]) -> World {
        let arguments = [&["--documents", documents, "--seed", seed, "--from", &self.simulated_from], more].concat();
        world(&arguments, &Settings::default())
    }

    fn order(&self) -> [&str; 7] {
        ["backfill", SCHEME, "--from", &self.from, "--to", &self.to, "--before-start-at"]
    }
}

/// So slow a source that something can happen in the middle of a window.
const SLOW: [&str; 2] = ["--fault", "late_answer=250,system=jushuitan_qimen"];

fn status(world: &World) -> Value {
    let said = told(world.product.succeed(&["backfill", SCHEME, "--status", "--format", "json"]));
    serde_json::from_str(&said).unwrap()
}

fn wait_for(world: &World, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    told(until(PATIENCE, what, || {
        let said = world.product.succeed(&["backfill", SCHEME, "--status", "--format", "json"])?;
        let now: Value = serde_json::from_str(&said).map_err(|error| Failure::during("reading the status", error))?;
        if holds(&now) { Ok(now) } else { Err(Waiting::on(now.to_string())) }
    }))
}

fn in_the_middle(progress: &Value) -> bool {
    progress["state"] == "running"
        && progress["windows_done"].as_u64() >= Some(1)
        && progress["in_window"].as_u64() > Some(0)
}

fn spawn(world: &World, arguments: &[&str]) -> Child {
    world.product.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: &Child) {
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
}

fn end_of(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

/// Everything that the source has is in the ledger, and the books balance.
#[track_caller]
fn check_all_there(world: &World) {
    let wanted: BTreeSet<String> = told(world.simulator.documents()).into_iter().map(|one| one.key).collect();
    let ledger = told(world.product.ledger(SCHEME));
    let lost: Vec<&String> = wanted.iter().filter(|key| !ledger.contains_key(*key)).collect();
    assert!(lost.is_empty(), "{} of {} documents were never received: {lost:?}", lost.len(), wanted.len());
    check_books(world);
}

#[test]
fn a_backfill_outlives_the_engine_and_leaves_the_live_reading_alone() {
    let past = Past::new();
    let mut world = past.world("420", "41", &SLOW);
    let mut engine = told(world.start());
    let command = spawn(&world, &past.order());
    wait_for(&world, "the middle of the second window", in_the_middle);
    // The live reading goes on meanwhile.
    let read_to = told(engine.read_to(SCHEME));
    told(until(PATIENCE, "the live cursor", || {
        let now = engine.read_to(SCHEME)?;
        if now > read_to { Ok(()) } else { Err(Waiting::on(format!("{now:?} after {read_to:?}"))) }
    }));
    let before = wait_for(&world, "the middle of a window", in_the_middle);
    told(engine.kill());
    let left_alone = end_of(command);
    assert_eq!(left_alone.status.code(), Some(1), "{}", said(&left_alone));
    assert!(said(&left_alone).contains("after its next start"), "{}", said(&left_alone));

    let engine = told(world.start());
    let after = wait_for(&world, "the backfill's end", |progress| progress["state"] == "done");
    assert_eq!(after["windows_done"], 3, "{after}");
    assert!(after["begun_at"] == before["begun_at"], "it began anew: {before} {after}");
    told(world.simulator.clear_faults());
    finish(&world, engine);
    check_all_there(&world);
}

#[test]
fn a_stop_and_a_pause_stop_it_and_it_goes_on_where_it_was() {
    let past = Past::new();
    let mut world = past.world("420", "42", &SLOW);
    let engine = told(world.start());
    let command = spawn(&world, &past.order());
    wait_for(&world, "the middle of a window", in_the_middle);
    interrupt(&command);
    let ended = end_of(command);
    let words = said(&ended);
    assert_eq!(ended.status.code(), Some(1), "{words}");
    assert!(words.contains("stopped") && words.contains("--resume"), "{words}");
    let stopped = status(&world);
    assert_eq!(stopped["state"], "stopped", "{stopped}");

    let command = spawn(&world, &["backfill", SCHEME, "--resume", "--detach"]);
    wait_for(&world, "the middle of a window", in_the_middle);
    told(world.product.succeed(&["pause", "--all", "--reason", "month end"]));
    told(stays(Duration::from_millis(1_500), "requests of a paused engine", || world.simulator.requests()));
    let paused = status(&world);
    assert!(paused["waiting"].to_string().contains("month end"), "{paused}");
    interrupt(&command);
    let detached = end_of(command);
    assert!(detached.status.success(), "{}", said(&detached));
    assert_eq!(status(&world)["state"], "running", "detaching is not stopping");

    told(world.product.succeed(&["resume", "--all"]));
    told(world.simulator.clear_faults());
    let done = wait_for(&world, "the backfill's end", |progress| progress["state"] == "done");
    assert_eq!(done["windows_done"], 3, "{done}");
    finish(&world, engine);
    check_all_there(&world);
}

#[test]
fn a_backfill_in_the_foreground_is_killed_and_resumed_without_an_engine() {
    let past = Past::new();
    let world = past.world("300", "43", &SLOW);
    let refused = told(world.product.run(&["backfill", SCHEME, "--from", &past.from, "--to", &past.to]));
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("start_at"), "{}", said(&refused));
    let served = || told(world.simulator.served_by(SALEOUT)).len();
    assert_eq!(served(), 0, "a refused backfill read something");

    let mut command = spawn(&world, &past.order());
    told(until(PATIENCE, "some pages", || {
        let served = world.simulator.served_by(SALEOUT)?.len();
        if served > 130 { Ok(()) } else { Err(Waiting::on(format!("{served} documents"))) }
    }));
    command.kill().unwrap();
    let _ = command.wait();
    told(world.simulator.clear_faults());
    let left = status(&world);
    assert!(left["state"] == "running" && left["windows_done"].as_u64() >= Some(1), "{left}");
    let said = told(world.product.succeed(&["backfill", SCHEME, "--resume"]));
    assert!(said.contains("done") && said.contains("3 of 3 windows"), "{said}");
    // What the live reading has not read yet.
    told(world.product.succeed(&["run", SCHEME]));
    check_all_there(&world);
}

/// The entries of a comparison by bill, and its totals.
fn entries(said: &str) -> (Vec<(String, String, Value)>, Value) {
    let mut entries = Vec::new();
    let mut totals = Value::Null;
    for line in said.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(entry) = line.get("entry") {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            entries.push((text("bill"), text("class"), entry.clone()));
        } else if line.get("totals").is_some() {
            totals = line["totals"].clone();
        }
    }
    entries.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    (entries, totals)
}

#[test]
fn a_comparison_finds_exactly_what_was_done_at_the_target_and_changes_nothing() {
    let shares = ["--skip-percent", "10", "--reject-percent", "0", "--refuse-percent", "0"];
    let mut world = world(&[&["--documents", "90", "--seed", "44"], shares.as_slice()].concat(), &Settings::default());
    let (from, to) =
        (Timestamp::now() - SignedDuration::from_hours(96), Timestamp::now() + SignedDuration::from_hours(1));
    let (from, to) = (from.to_string(), to.to_string());
    let compare = ["reconcile", SCHEME, "--from", &from, "--to", &to, "--format", "json"];

    let early = told(world.product.run(&compare));
    let (found, totals) = entries(&String::from_utf8_lossy(&early.stdout));
    assert_eq!(early.status.code(), Some(1), "{}", said(&early));
    assert!(found.iter().all(|(_, class, _)| class == "missing" || class == "left_out"), "{found:#?}");
    assert_eq!(totals["documents"], 90, "{totals}");

    told(world.product.succeed(&["run", SCHEME]));
    let held = told(world.simulator.held());
    let agreed = told(world.product.succeed(&compare));
    let (found, totals) = entries(&agreed);
    assert!(found.iter().all(|(_, class, _)| class == "left_out"), "{found:#?}");
    assert!(!found.is_empty(), "nothing was skipped");
    assert_eq!(totals["agrees"], held.bills.len(), "{totals}");
    assert_eq!(totals["listed"], held.bills.len(), "{totals}");

    let [gone, changed, copied] = [0, 1, 2].map(|at: usize| held.bills[at].number.clone());
    told(world.simulator.tamper(&json!({"number": gone, "remove": true})));
    told(world.simulator.tamper(&json!({"number": changed, "set": {"FDate": "2026-01-31"}})));
    told(world.simulator.tamper(&json!({"number": "BY-HAND-1", "copy_of": copied})));
    let (ledger, writes) = (told(world.product.succeed(&["document", "list", "--format", "json"])), writes(&world));

    let check = |world: &World| {
        let compared = told(world.product.run(&compare));
        assert_eq!(compared.status.code(), Some(1), "{}", said(&compared));
        let (found, totals) = entries(&String::from_utf8_lossy(&compared.stdout));
        let mut found: Vec<_> = found.into_iter().filter(|(_, class, _)| class != "left_out").collect();
        found.sort_by(|a, b| a.1.cmp(&b.1));
        let told: Vec<(&str, &str)> = found.iter().map(|(bill, class, _)| (bill.as_str(), class.as_str())).collect();
        assert_eq!(told, [(changed.as_str(), "differs"), ("BY-HAND-1", "foreign"), (gone.as_str(), "missing")]);
        assert_eq!(found[0].2["differences"][0]["field"], "FDate", "{found:#?}");
        assert!(found[2].2["reason"].to_string().contains("not there any more"), "{found:#?}");
        assert_eq!(totals["agrees"], held.bills.len() - 2, "{totals}");
        let text = told_text(world, &compare[..6]);
        assert!(text.contains("BY-HAND-1") && text.contains("3 differences."), "{text}");
    };
    check(&world);
    // The same through an engine that runs.
    let mut engine = told(world.start());
    told(world.wait_until_done(&mut engine, PATIENCE));
    check(&world);
    assert!(told(engine.terminate()).success());

    assert_eq!(told(world.product.succeed(&["document", "list", "--format", "json"])), ledger, "the ledger changed");
    assert_eq!(self::writes(&world), writes, "something was written");
}

fn told_text(world: &World, compare: &[&str]) -> String {
    let compared = told(world.product.run(compare));
    String::from_utf8_lossy(&compared.stdout).into_owned()
}

/// Requests that could have changed something, so far.
fn writes(world: &World) -> u64 {
    let writes = ["save", "batchsave", "draft", "submit", "audit", "unaudit", "delete"];
    let requests = told(world.simulator.requests());
    requests.iter().filter(|((_, name), _)| writes.contains(&name.as_str())).map(|(_, count)| count).sum()
}
