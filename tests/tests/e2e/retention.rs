//! A ledger that keeps little, and a store that is written anew while the engine works and is killed.

use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::said;
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::world::{SCHEME, World};

use crate::{PATIENCE, finish, told, world};

fn keeps_little() -> Settings {
    let retention = "[retention]\nkeep = \"1s\"\nevery = \"1s\"\n";
    let compaction = "[compaction]\nratio = 3\nfrom_bytes = 0\nevery = \"1s\"\n";
    Settings { extra: format!("{retention}{compaction}"), ..Settings::default() }
}

fn bills(world: &World) -> usize {
    told(world.simulator.held()).bills.len()
}

#[test]
fn an_engine_that_keeps_little_and_is_killed_between_compactions_balances_its_books() {
    let mut world = world(&["--documents", "300", "--seed", "51"], &keeps_little());
    for at_least in [20, 120] {
        let mut engine = told(world.start());
        told(until(PATIENCE, "bills at the target", || match bills(&world) {
            held if held < at_least => Err(Waiting::on(format!("{held} of {at_least}"))),
            _ => Ok(()),
        }));
        let compacted = told(world.product.succeed(&["compact"]));
        assert!(compacted.contains("bytes of files became"), "{compacted}");
        told(engine.kill());
    }
    let mut engine = told(world.start());
    told(world.wait_until_done(&mut engine, PATIENCE));
    let ledger = told(world.product.ledger(SCHEME));
    let key = ledger.keys().next().unwrap().clone();
    told(until(PATIENCE, "retention to come", || {
        // A version of its own that came later goes later.
        let shown = world.product.succeed(&["document", "show", &key])?;
        let is_shown = shown.contains("source {") || shown.contains("emitted {");
        if shown.contains("removed by retention") && !is_shown { Ok(()) } else { Err(Waiting::on(shown)) }
    }));
    let retried = told(world.product.run(&["document", "retry", &key]));
    assert_eq!(retried.status.code(), Some(1));
    assert!(said(&retried).contains("nothing to run again"), "{}", said(&retried));
    let captured = told(world.product.run(&["document", "capsule", &key]));
    assert_eq!(captured.status.code(), Some(1));
    assert!(said(&captured).contains("retention removed its body"), "{}", said(&captured));
    // That document may have been taken by an engine before this one, which counts its own alone.
    told(until(PATIENCE, "retention in the metrics", || {
        let metrics = engine.metrics()?;
        let is_counted = metrics.contains("crossdock_retention_reduced_documents_total{tenant=\"default\"}");
        if is_counted { Ok(()) } else { Err(Waiting::on(metrics)) }
    }));

    // Everything is read again from the beginning, and known.
    let before = bills(&world);
    told(engine.terminate());
    let at_rest = told(world.product.succeed(&["compact"]));
    assert!(at_rest.contains("bytes of files became"), "{at_rest}");
    let engine = told(world.start());
    finish(&world, engine);
    assert_eq!(bills(&world), before, "bills were written again");
}
