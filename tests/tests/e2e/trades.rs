//! Sale-outs that become trades, pushed many at a time to a target that cannot be asked.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};
use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::schemes::TRADE;
use vendor_sim::proof::world::World;

use crate::{PATIENCE, finish, told, wait_for_state, world};

fn trades(faults: &[&str]) -> World {
    let mut simulator = vec!["--u8", r#"{"documents":0}"#];
    simulator.extend(faults.iter().flat_map(|&fault| ["--fault", fault]));
    world(&simulator, &Settings { schemes: vec![Scheme::of(TRADE)], ..Settings::default() })
}

/// A sale-out that must be written, with `set` in place of what it has, and its key.
fn add(world: &World, number: usize, set: Value) -> String {
    let mut document = TRADE.document(number, &mut ChaCha8Rng::seed_from_u64(number as u64));
    document.as_object_mut().unwrap().extend(set.as_object().unwrap().clone());
    told(world.simulator.add_to(TRADE, &document));
    document["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_trade_that_the_target_refuses_parks_alone() {
    let mut world = trades(&[]);
    for number in 1..=40 {
        add(&world, number, json!({}));
    }
    let bad = add(&world, 17_000, json!({"define2": "火星省"}));
    let mut engine = told(world.start());
    told(world.wait_until_done(&mut engine, PATIENCE));
    let ledger = told(world.product.ledger(TRADE.name()));
    for (key, entry) in &ledger {
        let wanted = if *key == bad { "parked" } else { "written" };
        assert_eq!(entry.state, wanted, "{key}: {}", entry.story());
    }
    assert!(ledger[&bad].story().contains("收货地址无法识别"), "{}", ledger[&bad].story());
    assert_eq!(told(world.simulator.held_for(TRADE)).bills.len(), 40);
    finish(&world, engine);
}

#[test]
fn goods_that_come_back_are_no_trade() {
    let mut world = trades(&[]);
    let line = |quantity: &str| json!({"inventorycode": "SKU001", "rowno": "1", "price": "1.00", "quantity": quantity});
    let red = add(&world, 1, json!({"entry": [line("-2.0000")]}));
    let engine = told(world.start());
    let story = wait_for_state(&world, &engine, TRADE.name(), &red, "skipped");
    assert!(story.contains("red_document"), "{story}");
    finish(&world, engine);
    assert!(told(world.simulator.held_for(TRADE)).creates.is_empty(), "something was pushed for it");
}

#[test]
fn a_push_whose_answer_is_lost_is_sent_again_and_leaves_one_trade() {
    let mut world = trades(&["drop_after_commit,operation=wdt.trade.push,count=1"]);
    let key = add(&world, 1, json!({}));
    let engine = told(world.start());
    wait_for_state(&world, &engine, TRADE.name(), &key, "written");
    finish(&world, engine);
    let creates = told(world.simulator.held_for(TRADE)).creates;
    let made: Vec<(bool, bool)> = creates.iter().map(|create| (create.accepted, create.made)).collect();
    assert_eq!(made, [(true, true), (true, false)], "sent twice, the same both times");
}
