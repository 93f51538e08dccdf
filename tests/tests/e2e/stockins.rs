//! Stock-take surpluses that become gain bills, at a target that knows nothing of keys.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};
use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::engine::said;
use vendor_sim::proof::schemes::STOCKIN;
use vendor_sim::proof::world::World;

use crate::{finish, told, wait_for_state, world};

fn stockins(fault: Option<&str>, scheme: Scheme) -> World {
    let mut simulator = vec!["--wangdiantong", r#"{"documents":0}"#, "--jdy", r#"{"envelope":"by_path"}"#];
    simulator.extend(fault.into_iter().flat_map(|fault| ["--fault", fault]));
    world(&simulator, &Settings { schemes: vec![scheme], ..Settings::default() })
}

/// A stock-in that must be written, with `set` in place of what it has, and its key.
fn add(world: &World, number: usize, set: Value) -> String {
    let mut document = STOCKIN.document(number, &mut ChaCha8Rng::seed_from_u64(number as u64));
    document.as_object_mut().unwrap().extend(set.as_object().unwrap().clone());
    told(world.simulator.add_to(STOCKIN, &document));
    document["stockin_no"].as_str().unwrap().to_owned()
}

fn bills(world: &World) -> usize {
    told(world.simulator.held_for(STOCKIN)).bills.len()
}

#[test]
fn a_lost_write_that_nobody_can_ask_about_waits_for_a_persons_word() {
    let scheme = Scheme { target: ", recognise = \"none\"".to_owned(), ..Scheme::of(STOCKIN) };
    let mut world = stockins(Some("drop_before,operation=inv_check_gain_bill_save,count=1"), scheme);
    let key = add(&world, 1, json!({}));
    let engine = told(world.start());
    let story = wait_for_state(&world, &engine, STOCKIN.name(), &key, "parked");
    assert!(story.contains("write_unknown"), "{story}");

    for words in [&["document", "retry", &key][..], &["document", "retry", &key, "--after-verify"]] {
        let refused = told(world.product.run(words));
        assert!(!refused.status.success(), "{words:?} was taken: {}", said(&refused));
    }
    wait_for_state(&world, &engine, STOCKIN.name(), &key, "parked");
    assert_eq!(bills(&world), 0, "it was sent without a person's word");
    told(world.product.succeed(&["document", "retry", &key, "--i-checked"]));
    wait_for_state(&world, &engine, STOCKIN.name(), &key, "written");
    assert_eq!(bills(&world), 1);
    finish(&world, engine);
}

#[test]
fn a_code_that_the_target_does_not_know_rejects_in_the_tables_and_the_codes_name() {
    let mut world = stockins(None, Scheme::of(STOCKIN));
    let line = |spec_no: &str, unit: &str| json!([{"spec_no": spec_no, "goods_unit": unit, "goods_count": "1.0000"}]);
    let lacking = [
        (1, json!({"details_list": line("NEW-9001", "件")}), ["kingdee_jdy.material", "NEW-9001"]),
        (2, json!({"details_list": line("SKU001", "打")}), ["kingdee_jdy.unit", "打"]),
        (3, json!({"warehouse_no": "WH999"}), ["kingdee_jdy.stock", "WH999"]),
    ];
    let lacking = lacking.map(|(number, set, names)| (add(&world, number, set), names));
    add(&world, 4, json!({}));
    let engine = told(world.start());
    for (key, names) in &lacking {
        let story = wait_for_state(&world, &engine, STOCKIN.name(), key, "parked");
        assert!(names.iter().all(|name| story.contains(name)), "{names:?} are not named: {story}");
    }
    finish(&world, engine);
    assert_eq!(bills(&world), 1, "the one that lacks nothing");
}

#[test]
fn of_two_stock_ins_of_one_stock_take_the_second_waits_for_a_person() {
    let mut world = stockins(None, Scheme::of(STOCKIN));
    let first = add(&world, 1, json!({"src_order_no": "PD1"}));
    let engine = told(world.start());
    wait_for_state(&world, &engine, STOCKIN.name(), &first, "written");
    let second = add(&world, 2, json!({"src_order_no": "PD1"}));
    let story = wait_for_state(&world, &engine, STOCKIN.name(), &second, "parked");
    assert!(story.contains("target_key_taken"), "{story}");
    finish(&world, engine);
    assert_eq!(bills(&world), 1);
}
