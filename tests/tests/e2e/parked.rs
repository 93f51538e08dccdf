//! Documents that wait for a person.

use serde_json::json;
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::said;
use vendor_sim::proof::world::{SCHEME, World};

use crate::{PATIENCE, check_no_secret_was_said, told, wait_for_state, world};

fn add(world: &World, io_id: u64, distributor: &str) {
    told(world.simulator.add(&json!({
        "io_id": io_id, "o_id": 1, "so_id": "SO", "shop_id": 1, "status": "Confirmed", "wms_co_id": 2,
        "drp_co_id_from": distributor, "io_date": "2026-11-20 10:30:00", "remark": "", "l_id": "",
        "items": [{"sku_id": "SKU001", "qty": 1, "sale_price": "1.00"}],
    })));
}

#[test]
fn a_refused_bill_parks_in_the_vendors_words_and_a_person_retries_or_discards_it() {
    // One good document; the first save of all is refused, whatever is in it.
    let refuse = "refuse_every=1,operation=batchsave,count=1";
    let clean = ["--skip-percent", "0", "--reject-percent", "0", "--refuse-percent", "0"];
    let simulator = [["--documents", "1", "--seed", "51", "--fault", refuse].as_slice(), &clean].concat();
    let mut world = world(&simulator, &Settings::default());
    let key = told(world.simulator.documents())[0].key.clone();
    let mut engine = told(world.start());
    let story = wait_for_state(&world, &engine, SCHEME, &key, "parked");
    assert!(story.contains("单据保存失败"), "the vendor's words are not there: {story}");
    assert!(told(world.simulator.held()).bills.is_empty());

    told(world.product.succeed(&["document", "retry", &key]));
    wait_for_state(&world, &engine, SCHEME, &key, "written");
    let held = told(world.simulator.held());
    assert_eq!(held.bills.len(), 1, "{story}");

    // A customer that the target does not know: refused again and again, and given up.
    add(&world, 4343, "NOCUST01");
    let story = wait_for_state(&world, &engine, SCHEME, "4343", "parked");
    assert!(story.contains("字段[客户]是必录字段"), "the vendor's words are not there: {story}");
    told(world.product.succeed(&["document", "retry", "4343"]));
    told(world.wait_until_done(&mut engine, PATIENCE));
    wait_for_state(&world, &engine, SCHEME, "4343", "parked");
    told(world.product.succeed(&["document", "discard", "4343", "--reason", "entered by hand"]));
    let story = wait_for_state(&world, &engine, SCHEME, "4343", "discarded");
    assert!(story.contains("entered by hand"), "{story}");
    let again = told(world.product.run(&["document", "retry", "4343"]));
    assert!(!again.status.success(), "a discarded document was taken up again: {}", said(&again));

    told(engine.terminate());
    check_no_secret_was_said(&world);
}
