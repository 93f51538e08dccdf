//! The ledger is copied while it is in use, the disk is lost, and the copy takes its place.

use std::time::Duration;

use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::world::World;

use crate::{PATIENCE, programs, told};

#[test]
fn a_backup_taken_under_load_restores_to_balanced_books() {
    let simulator = ["--documents", "300", "--seed", "41"].map(str::to_owned);
    let mut world = told(World::new(&programs(), &simulator, &Settings::default()));
    let mut engine = told(world.start());
    let bills = |world: &World| told(world.simulator.held()).bills.len();
    told(until(PATIENCE, "the first bills", || match bills(&world) {
        0..20 => Err(Waiting::on("twenty bills at the target")),
        _ => Ok(()),
    }));
    let backup = world.path().join("under-load.backup");
    let path = backup.to_str().unwrap();
    let said = told(world.product.succeed(&["backup", "--to", path]));
    assert!(said.contains("rows and"), "{said}");
    let again = told(world.product.run(&["backup", "--to", path]));
    assert_eq!(again.status.code(), Some(2), "a backup was written over another");
    let at_backup = bills(&world);

    // What is written from here on is not in the backup.
    told(world.wait_until_done(&mut engine, PATIENCE));
    told(engine.kill());
    let unknown_to_the_backup = bills(&world).saturating_sub(at_backup);
    std::fs::remove_dir_all(world.path().join("data")).unwrap();

    told(world.product.succeed(&["restore", "--from", path]));
    let over = told(world.product.run(&["restore", "--from", path]));
    assert_eq!(over.status.code(), Some(2), "a store was restored over another");
    let before = bills(&world);
    let asked = told(world.simulator.requests());
    let mut engine = told(world.start());
    let paused = told(engine.health())["paused"].to_string();
    assert!(paused.contains("restored from the backup"), "{paused}");
    assert_eq!(told(world.simulator.requests()), asked, "a restored engine asked a vendor something before its resume");
    told(world.product.succeed(&["resume", "--all"]));
    told(world.wait_until_done(&mut engine, PATIENCE));
    let books = told(world.books());
    assert!(books.balance(), "{}\n{}{}", books.verdict(), books.render(), books.stories(10));
    assert_eq!(bills(&world), before, "bills were written again");
    assert!(unknown_to_the_backup > 0, "the backup was taken too late to say anything: {at_backup} of {before}");
}

/// A backup says whether it is one, and a broken one is never put back.
#[test]
fn a_broken_backup_is_refused_before_anything_is_touched() {
    let simulator = ["--documents", "20", "--seed", "3"].map(str::to_owned);
    let mut world = told(World::new(&programs(), &simulator, &Settings::default()));
    let mut engine = told(world.start());
    told(world.wait_until_done(&mut engine, Duration::from_secs(60)));
    told(engine.terminate());
    let backup = world.path().join("at-rest.backup");
    let path = backup.to_str().unwrap();
    told(world.product.succeed(&["backup", "--to", path]));
    let ledger = told(world.product.ledger(vendor_sim::proof::world::SCHEME));
    std::fs::rename(world.path().join("data"), world.path().join("lost")).unwrap();

    let whole = std::fs::read(&backup).unwrap();
    std::fs::write(&backup, &whole[..whole.len() / 2]).unwrap();
    let refused = told(world.product.run(&["restore", "--from", path]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not a whole backup"));
    assert!(!world.path().join("data").exists());

    std::fs::write(&backup, &whole).unwrap();
    told(world.product.succeed(&["restore", "--from", path, "--verify"]));
    assert!(!world.path().join("data").exists(), "--verify only reads");
    told(world.product.succeed(&["restore", "--from", path]));
    let restored = told(world.product.ledger(vendor_sim::proof::world::SCHEME));
    assert_eq!(restored.len(), ledger.len());
}
