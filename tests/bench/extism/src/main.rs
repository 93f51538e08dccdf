//! The mapping as an Extism plug-in, as its documentation uses one: the plug-in lives on, call after call. Fuel and a
//! timeout are on, as they are in Crossdock; a fresh plug-in per document is measured beside it, from one compiled one.

use std::time::Duration;

use crossdock_bench_measure::Input;
use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};

fn main() {
    let input = Input::read();
    // Given as bytes: reading files is among the defaults that are left out.
    let wasm = Wasm::data(std::fs::read(input.directory.join("plugin.wasm")).expect("the plug-in was built"));
    let manifest = Manifest::new([wasm])
        .with_config_key("parameters", input.parameters.as_str())
        .with_timeout(Duration::from_secs(2));
    let builder = PluginBuilder::new(manifest).with_fuel_limit(200_000_000);
    let compiled = CompiledPlugin::new(builder).expect("the plug-in compiles");
    let call = |plugin: &mut Plugin, index: usize| -> String {
        plugin.call("map", input.documents[index].1.as_str()).expect("no error")
    };
    let fresh = || Plugin::new_from_compiled(&compiled).expect("a plug-in");
    let mut lives = fresh();
    input.measure("Extism, one instance for all", |index| call(&mut lives, index));
    input.measure("Extism, an instance per document", |index| call(&mut fresh(), index));
}
