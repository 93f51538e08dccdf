//! What a person does with documents that the engine could do nothing with: edits, orders for many, erasures.

use std::path::Path;

use serde_json::{Value, json};
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::said;
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::world::{SCHEME, World};

use crate::{PATIENCE, in_directory, told, wait_for_state, world};

/// Stands in documents that are large enough for files of their own.
const SECRET: &str = "zhang-san-of-ningbo";

fn add(world: &World, io_id: u64, distributor: &str) {
    told(world.simulator.add(&json!({
        "io_id": io_id, "o_id": 1, "so_id": "SO", "shop_id": 1, "status": "Confirmed", "wms_co_id": 2,
        "drp_co_id_from": distributor, "io_date": "2026-11-20 10:30:00", "remark": "", "l_id": "",
        "items": [{"sku_id": "SKU001", "qty": 1, "sale_price": "1.00"}], "x_note": format!("{SECRET} ").repeat(5_000),
    })));
}

fn shown(world: &World, key: &str) -> Value {
    let text = told(world.product.succeed(&["document", "show", key, "--unmask", "--format", "json"]));
    serde_json::from_str(&text).unwrap()
}

fn body(world: &World, key: &str) -> Value {
    serde_json::from_str(shown(world, key)["versions"][0]["body"].as_str().unwrap()).unwrap()
}

/// The files below a folder that hold the words.
fn files_with(folder: &Path, words: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, words));
        } else if std::fs::read(&path)
            .is_ok_and(|bytes| bytes.windows(words.len()).any(|part| part == words.as_bytes()))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_person_edits_retries_many_and_erases() {
    let clean =
        ["--documents", "1", "--seed", "52", "--skip-percent", "0", "--reject-percent", "0", "--refuse-percent", "0"];
    let mut world = world(&clean, &Settings::default());
    let good = told(world.simulator.documents())[0].key.clone();
    let mut engine = told(world.start());
    wait_for_state(&world, &engine, SCHEME, &good, "written");
    for io_id in [4343, 4344, 4345] {
        // A customer that the target does not know.
        add(&world, io_id, "NOCUST01");
    }
    for key in ["4343", "4344", "4345"] {
        wait_for_state(&world, &engine, SCHEME, key, "parked");
    }

    // The first gets a customer that the target knows.
    let mut mended = body(&world, "4343");
    mended["drp_co_id_from"] = body(&world, &good)["drp_co_id_from"].clone();
    let file = in_directory(&world, "mended.json");
    std::fs::write(&file, mended.to_string()).unwrap();
    let file = file.display().to_string();
    told(world.product.succeed(&["document", "edit", "4343", "--body", &file, "--by", "li lei"]));
    wait_for_state(&world, &engine, SCHEME, "4343", "written");
    let view = shown(&world, "4343");
    assert_eq!(
        (&view["versions"][1]["edited"]["from"], &view["versions"][1]["edited"]["by"]),
        (&json!(1), &json!("li lei"))
    );
    assert!(view["versions"][0]["body"].as_str().unwrap().contains("NOCUST01"), "the original is kept");
    let text = told(world.product.succeed(&["document", "show", "4343"]));
    assert!(text.contains("edited from v1 by li lei"), "{text}");
    // A second edit comes too late, and a body that is none is refused.
    let late = told(world.product.run(&["document", "edit", "4343", "--body", &file]));
    assert!(!late.status.success() && said(&late).contains("has no parked version"), "{}", said(&late));
    std::fs::write(&file, "[]").unwrap();
    let none = told(world.product.run(&["document", "edit", "4344", "--body", &file]));
    assert!(!none.status.success() && said(&none).contains("no object"), "{}", said(&none));

    // A module that nobody has.
    let digest = "ab".repeat(32);
    told(world.product.succeed(&["document", "retry", "4344", "--module", &digest]));
    let story = wait_for_state(&world, &engine, SCHEME, "4344", "parked");
    told(until(PATIENCE, "the module to be missed", || {
        let text = world.product.succeed(&["document", "show", "4344"])?;
        if text.contains("module_missing") && text.contains(&digest) { Ok(()) } else { Err(Waiting::on(text)) }
    }));
    assert!(told(world.product.succeed(&["document", "list", "--code", "module_missing"])).contains("4344"), "{story}");

    let parked = ["--state", "parked", "--key-prefix", "434"];
    let dry = told(world.product.succeed(&[&["document", "bulk", "retry", "--dry-run"][..], &parked].concat()));
    assert!(dry.contains("2 documents are meant; 2 would be done"), "{dry}");
    let reason = ["--reason", "entered by hand"];
    let done = told(world.product.succeed(&[&["document", "bulk", "discard"][..], &parked, &reason].concat()));
    assert!(done.contains("2 documents were meant; 2 are done"), "{done}");
    let every = told(world.product.run(&["document", "bulk", "erase", "--reason", "all"]));
    assert!(!every.status.success(), "every document there is: {}", said(&every));

    // One alone, then the rest.
    let data = in_directory(&world, "data");
    assert!(!files_with(&data.join("blobs"), SECRET).is_empty(), "the documents are too small to show anything");
    told(world.product.succeed(&["document", "erase", "4343", "--reason", "asked for"]));
    let view = shown(&world, "4343");
    assert_eq!((&view["versions"][1]["erased"], &view["versions"][1]["body"]), (&json!(true), &Value::Null));
    let bulk = ["document", "bulk", "erase", "--key-prefix", "434", "--reason", "asked for"];
    let erased = told(world.product.succeed(&bulk));
    assert!(erased.contains("3 documents were meant; 3 are done"), "{erased}");
    told(until(PATIENCE, "files to go that no row names", || match files_with(&data.join("blobs"), SECRET) {
        files if files.is_empty() => Ok(()),
        files => Err(Waiting::on(files.join(", "))),
    }));
    told(world.product.succeed(&["compact"]));
    assert_eq!(files_with(&data, SECRET), [""; 0], "what the disk has of removed rows goes with a compaction");

    // The source serves all of it again, and the target has what it had.
    let bills = told(world.simulator.held()).bills.len();
    told(engine.kill());
    let mut engine = told(world.start());
    told(world.wait_until_done(&mut engine, PATIENCE));
    assert_eq!(files_with(&data, SECRET), [""; 0]);
    assert_eq!(told(world.simulator.held()).bills.len(), bills);
    // The proof's books know of no edits, and of no discards that nobody told them of: they are not looked at here.
    told(engine.terminate());
}

#[test]
fn a_capsule_that_cannot_be_made_leaves_no_file() {
    let world = world(&["--documents", "1", "--seed", "53"], &Settings::default());
    let file = in_directory(&world, "it.capsule");
    let path = file.display().to_string();
    let failed = told(world.product.run(&["document", "capsule", "nobody", "--output", &path]));
    assert_eq!((failed.status.code(), failed.stdout.len(), file.exists()), (Some(1), 0, false), "{}", said(&failed));
    assert!(said(&failed).contains("looked in: "), "{}", said(&failed));
}
