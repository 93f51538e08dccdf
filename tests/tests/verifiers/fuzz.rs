//! The HTTP API against schemathesis, which reads its description and sends what it allows, and what it does not, with a
//! valid token: no answer may be a 5xx, and the engine lives on.

use std::process::Command;

use serde_json::Value;
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::http;
use vendor_sim::proof::programs::{Given, Programs};
use vendor_sim::proof::world::World;

use crate::environment;

/// Of each route, in each phase.
const EXAMPLES: &str = "12";

/// With the operator's token everything can be reached. Left out is what would end the run for all others: revoking the
/// token that it runs with, and deleting the tenant. The same requests are sent every time.
#[test]
fn schemathesis_finds_no_route_that_fails() {
    let programs = Programs::find(Given::default()).unwrap_or_else(|missing| panic!("{missing}"));
    let settings = Settings { extra: "[api]\nlisten = \"127.0.0.1:0\"".to_owned(), ..Settings::default() };
    let arguments = ["--documents", "5", "--seed", "3"].map(str::to_owned);
    let mut world = World::new(&programs, &arguments, &settings).unwrap_or_else(|failure| panic!("{failure}"));
    let engine = world.start().unwrap_or_else(|failure| panic!("{failure}"));
    let address = engine.api().unwrap_or_else(|failure| panic!("{failure}"));
    let made = world.product.succeed(&["token", "create", "--operator", "--unmask", "--output", "json"]);
    let made: Value = serde_json::from_str(&made.unwrap_or_else(|failure| panic!("{failure}"))).unwrap();
    let token = made["text"].as_str().unwrap();
    // A tenant that is there, or every request of a tenant's ends at its door.
    let tenant = Command::new(&world.product.program)
        .args(["tenant", "create", "acme", "--server", &address])
        .env("CROSSDOCK_TOKEN", token)
        .output()
        .unwrap();
    assert!(tenant.status.success(), "{tenant:?}");
    std::fs::write(world.path().join("schemathesis.toml"), "[parameters]\n\"path.tenant\" = \"acme\"\n").unwrap();
    let run = Command::new(&*environment::FUZZER)
        .args(["-I", "-X", "utf8", "-m", "schemathesis.cli", "run"])
        .arg(format!("{address}/v1/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", EXAMPLES, "--generation-deterministic", "--continue-on-failure"])
        .args(["--suppress-health-check", "all", "--request-timeout", "70", "--no-color"])
        .args(["--exclude-operation-id", "revoke_operator_token", "--exclude-operation-id", "delete_tenant"])
        .env("NO_PROXY", "*")
        .env("no_proxy", "*")
        .current_dir(world.path())
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(run.status.success(), "{said}\n{}", engine.log_tail());
    assert!(!engine.log().contains("panicked"), "{}", engine.log_tail());
    let alive =
        http::ask("GET", &format!("{address}/v1/openapi.json"), b"").unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(alive.status, 200);
}
