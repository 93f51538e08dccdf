//! Pages that cannot be read.

use std::path::Path;

use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::world::SCHEME;

use crate::{PATIENCE, finish, in_directory, told, world};

/// `加厚`, the beginning of a product's name, as GBK writes it.
const GBK_TEXT: &[u8] = &[0xbc, 0xd3, 0xba, 0xf1];

#[test]
fn a_page_in_the_wrong_encoding_pauses_the_scheme_and_its_bytes_are_kept() {
    let gbk = "gbk,system=jushuitan_qimen";
    let mut world = world(&["--documents", "20", "--seed", "41", "--fault", gbk], &Settings::default());
    let engine = told(world.start());
    let paused = until(PATIENCE, "the pause of the scheme", || {
        let health = engine.health()?;
        let paused = health["paused"].to_string();
        if paused.contains(SCHEME) { Ok(paused) } else { Err(Waiting::on(format!("a pause in {health}"))) }
    });
    let paused = paused.unwrap_or_else(|failure| panic!("{}", engine.tell(failure)));
    assert!(paused.contains("unreadable"), "the reason does not say it: {paused}");
    let asked = told(world.simulator.requests());
    let pages: u64 = asked.iter().filter(|((system, _), _)| system == "jushuitan_qimen").map(|(_, count)| count).sum();
    assert_eq!(pages, 3, "asked once and twice again, then never more: {asked:?}");
    assert!(told(world.product.ledger(SCHEME)).is_empty(), "something was made of an unreadable page");
    assert!(holds(&in_directory(&world, "data"), GBK_TEXT), "the page's bytes are nowhere below the data directory");

    told(world.simulator.clear_faults());
    told(world.product.succeed(&["resume", "--scheme", SCHEME]));
    finish(&world, engine);
}

/// Whether any file below the directory holds these bytes.
fn holds(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        // A socket cannot be read.
        std::fs::read(&path).is_ok_and(|text| text.windows(bytes.len()).any(|window| window == bytes))
    })
}
