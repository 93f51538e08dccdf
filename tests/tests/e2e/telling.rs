//! What the engine tells of itself is true, and holds nobody's telephone number.

use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::engine::Engine;
use vendor_sim::proof::wait::{Waiting, until};

use crate::{PATIENCE, finish, guests, in_directory, told, world};

/// Waits until every line stands among the metrics.
#[track_caller]
fn wait_for_metrics(engine: &Engine, lines: &[&str]) {
    told(until(PATIENCE, "the metrics", || {
        let text = engine.metrics()?;
        match lines.iter().find(|line| !text.lines().any(|found| found == **line)) {
            None => Ok(()),
            Some(line) => Err(Waiting::on(*line)),
        }
    }));
}

#[test]
fn a_paused_target_shows_in_the_numbers_until_it_is_resumed() {
    let mut world = world(&["--documents", "5", "--seed", "71"], &Settings::default());
    let engine = told(world.start());
    told(world.product.succeed(&["pause", "--connection", "k3", "--reason", "month end"]));
    wait_for_metrics(
        &engine,
        &[
            r#"crossdock_scheme_paused{tenant="default",scheme="saleout"} 1"#,
            r#"crossdock_connection_paused{tenant="default",connection="k3"} 1"#,
            r#"crossdock_connection_paused{tenant="default",connection="jst"} 0"#,
        ],
    );
    told(world.product.succeed(&["resume", "--connection", "k3"]));
    wait_for_metrics(
        &engine,
        &[
            r#"crossdock_scheme_paused{tenant="default",scheme="saleout"} 0"#,
            r#"crossdock_connection_paused{tenant="default",connection="k3"} 0"#,
        ],
    );
    finish(&world, engine);
}

#[test]
fn a_modules_own_words_show_no_telephone_number_to_those_who_did_not_ask() {
    let (said, number) = ("the customer of 13812345678 is unknown", "13812345678");
    let items = format!(r#"(data (i32.const 40000) "no_customer{said}")"#);
    let reject = format!(
        "(i32.store8 (i32.const 1024) (i32.const 2))
         (i32.store (i32.const 1028) (i32.const 40000)) (i32.store (i32.const 1032) (i32.const 11))
         (i32.store (i32.const 1036) (i32.const 40011)) (i32.store (i32.const 1040) (i32.const {}))
         (i32.store8 (i32.const 1044) (i32.const 0))
         (i32.const 1024)",
        said.len()
    );
    let scheme = Scheme { component: Some("talks.wasm".into()), ..Scheme::default() };
    let settings =
        Settings { engine: "log_level = \"trace\"".to_owned(), schemes: vec![scheme], ..Settings::default() };
    let mut world = world(&["--documents", "1", "--seed", "72"], &settings);
    std::fs::write(in_directory(&world, "talks.wasm"), guests::component(&items, &reject)).unwrap();
    let mut engine = told(world.start());
    told(world.wait_until_done(&mut engine, PATIENCE));
    let key = told(world.simulator.documents())[0].key.clone();
    let shown = told(world.product.succeed(&["document", "show", &key, "--format", "json"]));
    assert!(shown.contains("138****5678"), "the module's words are not there at all: {shown}");
    assert!(!told(engine.health()).to_string().contains(number));
    told(engine.terminate());
    for (file, text) in told(world.everything_said()) {
        let line = text.lines().find(|line| line.contains(number));
        assert!(line.is_none(), "the number stands in {file}: {line:?}");
    }
    let asked_for = told(world.product.succeed(&["document", "show", &key, "--format", "json", "--unmask"]));
    assert!(asked_for.contains(number), "{asked_for}");
}
