//! Reference tables as a stranger meets them: fetched by the engine, waited for, kept over a restart.

mod world;

use vendor_sim::proof::wait::{Waiting, until};

use crate::{PATIENCE, told};
use world::{Plan, SCHEME, World};

/// Materials fill two pages, so one fetch is two requests.
const PAGES: u64 = 2;

#[test]
fn a_new_material_is_fetched_once_for_all_documents_that_wait_for_it() {
    let mut world = World::new(&Plan::default());
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
    assert_eq!(world.asked("material_list"), PAGES * 2, "once at the start, once for all who waited");
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
