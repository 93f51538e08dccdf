//! Commands that need no engine.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::json;
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::said;
use vendor_sim::proof::world::SCHEME;

use crate::{PATIENCE, check_books, check_no_secret_was_said, in_directory, programs, told, world};

#[test]
fn a_dry_run_writes_nothing_and_keeps_no_cursor() {
    let world = world(&["--documents", "60", "--seed", "31"], &Settings::default());
    let told_twice: BTreeSet<String> =
        [0, 1].map(|_| told(world.product.succeed(&["run", SCHEME, "--dry-run", "--limit", "1000"]))).into();
    let shown = told_twice.first().unwrap();
    assert_eq!(told_twice.len(), 1, "the second dry run saw something else:\n{told_twice:#?}");
    assert!(shown.contains("create") && shown.contains("skip") && shown.contains("reject"), "{shown}");

    let held = told(world.simulator.held());
    assert!(held.bills.is_empty() && held.creates.is_empty(), "a dry run wrote {} bills", held.bills.len());
    let requests = told(world.simulator.requests());
    let writes = ["save", "batchsave", "draft", "submit", "audit", "delete"];
    let written = requests.keys().find(|(_, operation)| writes.contains(&operation.as_str()));
    assert_eq!(written, None, "a dry run asked for {requests:?}");
    assert!(told(world.product.ledger(SCHEME)).is_empty(), "a dry run left something in the ledger");

    // A real pass afterwards begins at the beginning, and ends by itself.
    told(world.product.succeed(&["run", SCHEME]));
    check_books(&world);
}

/// Once, a driver that was told to stop between two looks at the order waited for ever; one pass in five hung.
#[test]
fn every_pass_ends_by_itself() {
    let world = world(&["--documents", "30", "--seed", "32"], &Settings::default());
    for pass in 1..=12 {
        let said = told(world.product.succeed(&["run", SCHEME]));
        assert!(said.starts_with(SCHEME), "pass {pass} said {said:?}");
    }
    check_books(&world);
}

/// `document list | head` once ended in a panic.
#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let world = world(&["--documents", "20", "--seed", "33"], &Settings::default());
    told(world.product.succeed(&["run", SCHEME]));
    let key = told(world.product.ledger(SCHEME)).keys().next().unwrap().clone();
    for arguments in [&["document", "list"][..], &["document", "show", &key]] {
        let mut command = world.product.command(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", said(&ended));
    }
}

#[test]
fn check_lists_every_mistake_with_its_place() {
    let world = world(&["--documents", "1"], &Settings::default());
    let good = std::fs::read_to_string(&world.product.configuration).unwrap();
    let sound = told(world.product.run(&["check"]));
    assert!(sound.status.success(), "the unbroken configuration: {}", said(&sound));

    let broken = good
        .replace("system = \"jushuitan_qimen\"", "system = \"jushuitan\"")
        .replace("schedule = \"every 1s\"", "schedule = \"sometimes\"")
        .replace("start_at =", "begin_at =")
        .replace("connection = \"k3\"", "connection = \"k4\"")
        .replace("{ file = \"k3.secret\" }", "{ file = \"nowhere.secret\" }");
    std::fs::write(in_directory(&world, "crossdock.toml"), &broken).unwrap();
    let checked = told(world.product.run(&["check"]));
    let text = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{}", said(&checked));
    for (mistake, word) in [
        ("an unknown system", "jushuitan\""),
        ("a schedule that is none", "sometimes"),
        ("a missing start", "start_at"),
        ("an unknown key", "begin_at"),
        ("an unknown connection", "k4"),
        ("a secret that is not there", "nowhere.secret"),
    ] {
        assert!(text.contains(word), "{mistake} is not named:\n{text}");
    }
    for line in broken.lines().enumerate().filter(|(_, line)| line.contains("sometimes") || line.contains("\"k4\"")) {
        let place = format!(":{}", line.0 + 1);
        assert!(text.contains(&place), "no place {place} for {:?}:\n{text}", line.1);
    }
    let started = told(world.product.run(&["serve"]));
    assert_eq!(started.status.code(), Some(2), "serve starts nothing with it: {}", said(&started));
    assert!(!in_directory(&world, "data").exists(), "a refused configuration left a data directory");
    check_no_secret_was_said(&world);
}

#[test]
fn personal_data_is_masked_unless_asked_for() {
    let mut world = world(&["--documents", "1", "--seed", "33"], &Settings::default());
    let personal =
        [("receiver_name", "张三丰"), ("receiver_mobile", "13812345678"), ("receiver_address", "花园路88号5栋")];
    let mut body = json!({
        "io_id": 4242, "o_id": 1, "so_id": "SO4242", "shop_id": 1, "status": "Confirmed", "wms_co_id": 2,
        "io_date": "2026-11-20 10:30:00", "remark": "电话 13812345678", "l_id": "",
        "items": [{"sku_id": "SKU001", "qty": 1, "sale_price": "1.00"}],
    });
    for (name, value) in personal {
        body[name] = json!(value);
    }
    told(world.simulator.add(&body));
    let mut engine = told(world.start());
    told(world.wait_until_done(&mut engine, PATIENCE));
    let shown = told(world.product.succeed(&["document", "show", "4242"]));
    let whole = told(world.product.succeed(&["document", "show", "4242", "--unmask"]));
    for (name, value) in personal {
        assert!(!shown.contains(value), "{name} is shown:\n{shown}");
        assert!(whole.contains(value), "{name} is hidden although asked for:\n{whole}");
    }
    assert!(shown.contains("SKU001"), "what is not personal is hidden:\n{shown}");
    let listed = told(world.product.succeed(&["document", "list"]));
    let logged = engine.log();
    for (name, value) in personal {
        assert!(!listed.contains(value) && !logged.contains(value), "{name} is in a list or a log");
    }
    told(engine.terminate());
    check_no_secret_was_said(&world);
}

/// What keeps an engine within its bound over a large ledger stands in a symbol that the allocator looks for, and nothing
/// fails to link where it no longer does.
#[test]
fn the_allocator_has_the_settings_of_the_binary() {
    let mut command = std::process::Command::new(&programs().crossdock);
    let said = command.arg("--version").env("_RJEM_MALLOC_CONF", "stats_print:true").output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("opt.dirty_decay_ms: 1000 ") && said.contains("opt.muzzy_decay_ms: 0 "), "{said}");
}
