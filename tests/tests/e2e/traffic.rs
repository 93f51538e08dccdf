//! A vendor that goes away and a disk that fills up cost time, and nothing else.

use std::process::Command;
use std::time::Duration;

use vendor_sim::proof::configuration::{FILE, Scheme, Settings};
use vendor_sim::proof::engine::Engine;
use vendor_sim::proof::wait::{Waiting, stays, until};
use vendor_sim::proof::world::{SCHEME, World};

use crate::{PATIENCE, finish, in_directory, told, world};

/// Waits until one of the metrics' lines begins so, and gives what follows.
#[track_caller]
fn metric(engine: &Engine, begins: &str, wanted: impl Fn(u64) -> bool) -> u64 {
    told(until(PATIENCE, begins, || {
        let text = engine.metrics()?;
        let number = text.lines().find_map(|line| line.strip_prefix(begins)?.trim().parse::<u64>().ok());
        match number {
            Some(number) if wanted(number) => Ok(number),
            other => Err(Waiting::on(format!("{other:?}"))),
        }
    }))
}

#[test]
fn a_target_that_is_away_is_left_alone_and_documents_lose_nothing_by_it() {
    let arguments = ["--documents", "200", "--seed", "81", "--fault", "drop_before,system=kingdee_k3cloud"];
    let scheme = Scheme { keys: "batch_size = 5".to_owned(), ..Scheme::default() };
    let settings = Settings { engine: "down_after = \"1s\"".to_owned(), schemes: vec![scheme], ..Settings::default() };
    let mut world = world(&arguments, &settings);
    let engine = told(world.start());
    let k3 = r#"{tenant="default",connection="k3"}"#;
    metric(&engine, &format!("crossdock_connection_breaker{k3}"), |position| position > 0);
    metric(&engine, &format!("crossdock_connection_breaker_opened_total{k3}"), |times| times == 1);
    let health = told(engine.health());
    let connections = health["connections"].as_array().unwrap();
    let shown = connections.iter().find(|one| one["connection"] == "k3").unwrap();
    assert!(shown["breaker"] != "closed" && shown["down_for_seconds"].is_u64(), "{health}");
    let open = told(world.product.under_way(SCHEME));
    let untouched = open.values().filter(|entry| entry.targets.iter().all(|bill| bill.state != "sent")).count();
    assert!(untouched >= 170, "{untouched} of {} have no request under way\n{}", open.len(), engine.log_tail());
    assert!(engine.log().contains("the vendor counts as down"), "{}", engine.log_tail());

    told(world.simulator.clear_faults());
    let said = told(world.product.succeed(&["resume", "--connection", "k3"]));
    assert!(said.contains("resumed connection k3") || said.contains("nothing"), "{said}");
    metric(&engine, &format!("crossdock_connection_breaker{k3}"), |position| position == 0);
    finish(&world, engine);
}

/// Writes the configuration anew, with so many bytes to be kept free.
pub fn keep_free(world: &World, bytes: u64) {
    let file = in_directory(world, FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("low_disk_bytes") {
        true => format!("low_disk_bytes = {bytes}"),
        false => line.to_owned(),
    });
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
}

#[test]
fn on_a_disk_that_is_nearly_full_nothing_is_read_and_what_is_stored_is_finished() {
    let arguments = ["--documents", "120", "--seed", "82", "--fault", "late_answer=300,operation=batchsave"];
    let scheme = Scheme { keys: "batch_size = 5".to_owned(), ..Scheme::default() };
    let mut world = world(&arguments, &Settings { schemes: vec![scheme], ..Settings::default() });
    // More than any disk has: nothing is read at all.
    keep_free(&world, 1 << 50);
    let mut engine = told(world.start());
    metric(&engine, "crossdock_disk_low", |level| level == 2);
    let held = r#"crossdock_reading_held{tenant="default",scheme="saleout",reason="disk"}"#;
    metric(&engine, held, |held| held == 1);
    told(stays(Duration::from_millis(1_500), "requests at the source", || world.simulator.requests()));
    let health = told(engine.health());
    assert!(health["schemes"][0]["held"].as_str().is_some_and(|held| held.starts_with("disk: ")), "{health}");
    let free = health["disk"]["free_bytes"].as_u64().unwrap();
    told(engine.terminate());

    // Some are stored and not finished.
    keep_free(&world, 0);
    let mut engine = told(world.start());
    told(until(PATIENCE, "the first bills at the target", || match world.simulator.held()?.bills.len() {
        0..10 => Err(Waiting::on("ten bills")),
        _ => Ok(()),
    }));
    told(engine.terminate());
    let open = told(world.product.under_way(SCHEME));
    assert!(!open.is_empty(), "everything was done already\n{}", engine.log_tail());

    // Less free than there should be, and more than a quarter of it.
    keep_free(&world, free * 2);
    told(world.simulator.clear_faults());
    let mut engine = told(world.start());
    told(until(PATIENCE, "what is stored to be finished", || {
        let open = world.product.under_way(SCHEME)?.len();
        if open == 0 { Ok(()) } else { Err(Waiting::on(format!("{open} documents"))) }
    }));
    metric(&engine, "crossdock_disk_low", |level| level == 1);
    told(engine.terminate());

    keep_free(&world, 0);
    let engine = told(world.start());
    finish(&world, engine);
}

/// A small disk of its own under the data directory, which takes root to make.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None`, said loudly, where this machine does not let us.
    fn under(world: &World, mebibytes: u32) -> Option<Self> {
        let path = in_directory(world, "data");
        std::fs::create_dir_all(&path).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(&path);
        match command.output() {
            Ok(output) if output.status.success() => Some(Self(path)),
            refused => {
                eprintln!("NOT RUN: a small disk cannot be mounted here, it takes root on Linux: {refused:?}");
                None
            }
        }
    }

    /// Leaves so many mebibytes of it.
    fn fill(&self, but: u64) {
        std::fs::write(self.ballast(), b"").unwrap();
        let output = Command::new("df").args(["-B1", "--output=avail"]).arg(&self.0).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let free: u64 = text.lines().last().unwrap().trim().parse().unwrap();
        let size = usize::try_from(free.saturating_sub(but << 20)).unwrap();
        // The engine writes beside this, and may take the last of it first.
        if let Err(error) = std::fs::write(self.ballast(), vec![1; size]) {
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
        }
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.join("ballast")
    }

    fn clear(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: an engine that a failed test left may still hold files on it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_fills_up_under_a_running_engine_holds_reading_back_until_there_is_room() {
    let mut world = world(&["--documents", "40", "--seed", "83"], &Settings::default());
    let Some(disk) = SmallDisk::under(&world, 96) else { return };
    keep_free(&world, 32 << 20);
    let engine = told(world.start());
    told(until(PATIENCE, "the first bills at the target", || match world.simulator.held()?.bills.len() {
        0..10 => Err(Waiting::on("ten bills")),
        _ => Ok(()),
    }));
    disk.fill(20);
    metric(&engine, "crossdock_disk_low", |level| level == 1);
    let held = r#"crossdock_reading_held{tenant="default",scheme="saleout",reason="disk"}"#;
    metric(&engine, held, |held| held == 1);
    disk.clear();
    metric(&engine, held, |held| held == 0);
    finish(&world, engine);
}

#[test]
fn a_disk_without_any_room_stops_the_scheme_loses_nothing_and_a_start_with_room_goes_on() {
    let mut world = world(&["--documents", "400", "--seed", "84"], &Settings::default());
    let Some(disk) = SmallDisk::under(&world, 96) else { return };
    let mut engine = told(world.start());
    told(until(PATIENCE, "the first bills at the target", || match world.simulator.held()?.bills.len() {
        0 => Err(Waiting::on("a bill")),
        _ => Ok(()),
    }));
    disk.fill(0);
    told(until(PATIENCE, "the engine to say that the store failed", || {
        if engine.has_ended().is_some() {
            return Ok(());
        }
        let health = engine.health()?;
        match health["store_failed"].as_bool() {
            Some(true) => Ok(()),
            other => Err(Waiting::on(format!("{other:?}"))),
        }
    }));
    if engine.has_ended().is_none() {
        told(engine.kill());
    }
    disk.clear();
    let engine = told(world.start());
    finish(&world, engine);
}
