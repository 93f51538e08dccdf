//! Reference tables as a stranger meets them: fetched by the engine, waited for, kept over a restart.

mod world;

use vendor_sim::proof::engine::said;
use vendor_sim::proof::wait::{Waiting, until};

use crate::{PATIENCE, told};
use world::{Plan, SCHEME, World};

/// Materials fill two pages, so one fetch is two requests.
const PAGES: u64 = 2;

#[test]
fn a_new_material_is_fetched_once_for_all_documents_that_wait_for_it() {
    for isolation in ["document", "batch"] {
        fetched_once_for_all(isolation);
    }
}

fn fetched_once_for_all(isolation: &str) {
    let keys = format!("isolation = \"{isolation}\"");
    let mut world = World::new(&Plan { keys: &keys, ..Plan::default() });
    let engine = world.start();
    world.wait_until_asked(&engine, "material_list", PAGES);
    world.wait_until_asked(&engine, "measure_unit_list", 1);
    world.wait_until_asked(&engine, "store_list", 1);
    world.add_material("NEW-1");
    world.add_surplus("RK0", "SKU001");
    for number in 1..=5 {
        world.add_surplus(&format!("RK{number}"), "NEW-1");
    }
    for number in 0..=5 {
        world.wait_for(&engine, &format!("RK{number}"), "written", "");
    }
    assert_eq!(world.held(), ["PD-RK0", "PD-RK1", "PD-RK2", "PD-RK3", "PD-RK4", "PD-RK5"]);
    assert_eq!(world.asked("material_list"), PAGES * 2, "{isolation}: once at the start, once for all who waited");
    assert_eq!((world.asked("store_list"), world.asked("measure_unit_list")), (1, 1), "nobody missed these");
    world.end(engine);
}

#[test]
fn a_key_that_does_not_exist_is_rejected_once_a_later_fetch_has_shown_it() {
    let mut world = World::new(&Plan::default());
    let engine = world.start();
    world.wait_until_asked(&engine, "material_list", PAGES);
    world.add_surplus("RK1", "NOPE-1");
    world.add_surplus("RK2", "SKU002");
    let story = world.wait_for(&engine, "RK1", "parked", "rejected");
    for word in ["kingdee_jdy.material", "NOPE-1", "/details_list/0/spec_no"] {
        assert!(story.message.contains(word), "{word} is not in: {}", story.message);
    }
    assert_eq!(world.asked("material_list"), PAGES * 2);
    world.wait_for(&engine, "RK2", "written", "");

    // It is added, and a person has the document tried again.
    world.add_material("NOPE-1");
    told(world.product.succeed(&["document", "retry", "RK1", "--scheme", SCHEME]));
    world.wait_for(&engine, "RK1", "written", "");
    assert_eq!(world.held(), ["PD-RK1", "PD-RK2"]);
    let shown = told(world.product.succeed(&["document", "show", "RK1", "--scheme", SCHEME, "--format", "json"]));
    for word in ["\"waits\"", "kingdee_jdy.material", "kingdee_jdy.stock", "kingdee_jdy.unit"] {
        assert!(shown.contains(word), "{word} is not in {shown}");
    }
    world.end(engine);
}

#[test]
fn tables_are_kept_over_a_restart_and_fetched_again_when_they_are_old() {
    let mut world = World::new(&Plan::default());
    let engine = world.start();
    world.wait_until_asked(&engine, "material_list", PAGES);
    world.add_surplus("RK1", "SKU001");
    world.wait_for(&engine, "RK1", "written", "");
    world.end(engine);

    let mut engine = world.start();
    world.add_surplus("RK2", "SKU002");
    world.wait_for(&engine, "RK2", "written", "");
    let asked = ["material_list", "store_list", "measure_unit_list"].map(|list| world.asked(list));
    assert_eq!(asked, [PAGES, 1, 1], "a restart fetched what was there");
    told(engine.kill());

    let file = world.product.configuration.clone();
    let text = std::fs::read_to_string(&file).unwrap().replace("refresh = \"1d\"", "refresh = \"1s\"");
    std::fs::write(&file, text).unwrap();
    let engine = world.start();
    world.wait_until_asked(&engine, "store_list", 4);
    world.end(engine);
}

#[test]
fn while_the_vendor_is_down_documents_wait_visibly_and_over_a_kill_and_hold_nothing_back() {
    let faults = ["http_500,operation=material_list"];
    let mut world = World::new(&Plan { faults: &faults, ..Plan::default() });
    let mut engine = world.start();
    world.add_surplus("RK1", "SKU001");
    // What the module does not look up is not held back by a table that is not there.
    world.add_surplus("RK2", "");
    world.wait_for(&engine, "RK2", "parked", "rejected");
    let why = |world: &World, engine: &vendor_sim::proof::engine::Engine| {
        let told_why = until(PATIENCE, "the vendor's failure to be seen", || match world.story("RK1") {
            Some(story) if story.code == "reference_pending" && story.message.contains("500") => Ok(story),
            Some(story) => Err(Waiting::on(format!("{} {} {}", story.state, story.code, story.message))),
            None => Err(Waiting::on("the document")),
        });
        told_why.unwrap_or_else(|failure| panic!("{}", engine.tell(failure)))
    };
    let story = why(&world, &engine);
    assert_eq!(story.state, "received");
    assert!(story.message.contains("kingdee_jdy.material"), "{}", story.message);
    let health = told(engine.health());
    assert_eq!(health["schemes"][0]["waiting"], 1, "{health}");
    told(engine.kill());

    let engine = world.start();
    why(&world, &engine);
    assert!(world.held().is_empty());
    told(world.simulator.clear_faults());
    world.wait_for(&engine, "RK1", "written", "");
    assert_eq!(world.held(), ["PD-RK1"]);
    world.end(engine);
}

#[test]
fn a_pass_and_a_dry_run_fetch_what_they_need_and_end_without_it_where_it_does_not_come() {
    let world = World::new(&Plan::default());
    world.add_surplus("RK1", "SKU001");
    world.add_surplus("RK2", "NOPE-1");
    // A window ends on a whole second: what was added in the very last one is for the next read.
    let dry = until(PATIENCE, "a dry run that reads both", || {
        let dry = world.product.succeed(&["run", SCHEME, "--dry-run"])?;
        if dry.contains("RK2") { Ok(dry) } else { Err(Waiting::on(dry)) }
    });
    let dry = told(dry);
    let line = |key: &str| dry.lines().find(|line| line.contains(key)).unwrap_or_else(|| panic!("no {key} in {dry}"));
    assert!(line("RK1").contains("create   PD-RK1"), "{dry}");
    assert!(line("RK2").contains("reject   reference_missing") && line("RK2").contains("NOPE-1"), "{dry}");
    assert!(world.held().is_empty());

    world.pass_until_read("RK2");
    assert_eq!(world.held(), ["PD-RK1"]);
    assert_eq!(world.story("RK2").unwrap().code, "rejected");

    // With tables that are young the next pass fetches none; where a key is missed and the vendor is down, it says so.
    let asked = world.asked("material_list");
    world.add_surplus("RK3", "SKU002");
    world.pass_until_read("RK3");
    assert_eq!((world.held().len(), world.asked("material_list")), (2, asked));
    told(world.simulator.fault("http_500,operation=material_list"));
    world.add_surplus("RK4", "NOPE-2");
    world.add_surplus("RK5", "SKU'06");
    let pass = world.pass_until_read("RK5");
    let words = said(&pass);
    assert_eq!(pass.status.code(), Some(1), "{words}");
    assert!(words.contains("1 documents wait for reference tables: kingdee_jdy.material"), "{words}");
    assert_eq!(world.story("RK5").unwrap().state, "written", "what does not wait is done all the same: {words}");
    assert_eq!(world.story("RK4").unwrap().code, "reference_pending");
}

#[test]
fn a_person_sees_how_tables_stand_and_has_them_fetched_with_and_without_an_engine() {
    let mut world = World::new(&Plan::default());
    std::fs::write(world.folder().join("w.csv"), "code,name\nWH001,\u{4e3b}\u{4ed3}\n").unwrap();
    let file = world.product.configuration.clone();
    let text = std::fs::read_to_string(&file).unwrap();
    let with_file =
        text.replace("reference = { ", "reference = { \"warehouses\" = { file = \"w.csv\", key = \"code\" }, ");
    std::fs::write(&file, with_file).unwrap();

    let list = told(world.product.succeed(&["reference", "list"]));
    assert!(
        list.contains("kingdee_jdy.material: 0 entries, revision none yet, connection jdy, never fetched"),
        "{list}"
    );
    assert!(list.contains("warehouses: 1 entry, revision "), "{list}");
    let refreshed = told(world.product.succeed(&["reference", "refresh", "kingdee_jdy.material"]));
    assert!(refreshed.contains("136 entries"), "{refreshed}");
    assert_eq!((world.asked("material_list"), world.asked("store_list")), (PAGES, 0), "that one, and once");
    let entry = told(world.product.succeed(&["reference", "show", "kingdee_jdy.material", "--key", "SKU001"]));
    assert!(entry.contains("SKU001: {\"id\":"), "{entry}");
    let entry = told(world.product.succeed(&["reference", "show", "warehouses"]));
    assert!(entry.contains("WH001: {\"code\":\"WH001\""), "{entry}");
    let missing = told(world.product.run(&["reference", "show", "kingdee_jdy.material", "--key", "NEW-1"]));
    assert_eq!(missing.status.code(), Some(1), "{}", said(&missing));
    let unknown = told(world.product.run(&["reference", "refresh", "kingdee_jdy.customer"]));
    assert!(said(&unknown).contains("there are: kingdee_jdy.material, kingdee_jdy.stock"), "{}", said(&unknown));

    let engine = world.start();
    world.wait_until_asked(&engine, "store_list", 1);
    world.add_material("NEW-1");
    told(world.product.succeed(&["reference", "refresh"]));
    let entry = told(world.product.succeed(&["reference", "show", "kingdee_jdy.material", "--key", "NEW-1"]));
    assert!(entry.contains("137 entries") && entry.contains("NEW-1: "), "{entry}");
    let metrics = told(engine.metrics());
    let line = "crossdock_reference_entries{tenant=\"default\",connection=\"jdy\",table=\"kingdee_jdy.material\"} 137";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");

    told(world.product.succeed(&["pause", "--connection", "jdy", "--reason", "month end"]));
    let refused = told(world.product.run(&["reference", "refresh", "kingdee_jdy.stock"]));
    assert!(!refused.status.success() && said(&refused).contains("month end"), "{}", said(&refused));
    world.end(engine);
    let asked = world.asked("store_list");
    let refused = told(world.product.run(&["reference", "refresh", "kingdee_jdy.stock"]));
    assert!(!refused.status.success() && said(&refused).contains("month end"), "{}", said(&refused));
    assert_eq!(world.asked("store_list"), asked);
}

#[test]
fn check_tells_a_table_that_nobody_serves_and_one_that_was_forgotten() {
    let world = World::new(&Plan::default());
    let file = world.product.configuration.clone();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("kingdee_jdy.unit", "kingdee_jdy.units")
            .replace("connection = \"jdy\", refresh", "connection = \"jdy\", refesh"),
    )
    .unwrap();
    let checked = said(&told(world.product.run(&["check"])));
    for words in [
        "it serves no table \"kingdee_jdy.units\"",
        "it serves kingdee_jdy.material, kingdee_jdy.stock, kingdee_jdy.unit",
        "did you mean `refresh`?",
    ] {
        assert!(checked.contains(words), "{words} is not in {checked}");
    }
    let start = text.find("reference = ").unwrap();
    let end = start + text[start..].find('\n').unwrap();
    std::fs::write(&file, format!("{}{}", &text[..start], &text[end..])).unwrap();
    let checked = told(world.product.run(&["check"]));
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(
        said(&checked).contains("warning: `target.connection` of scheme \"surplus\": serves kingdee_jdy.material"),
        "{}",
        said(&checked)
    );
}
