//! jaq: jq in Rust.

use crossdock_bench_measure::Input;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};

pub fn measure(input: &Input) {
    let program = File { code: include_str!("mapping.jq"), path: () };
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(defs).load(&arena, program).expect("the filter parses");
    let compiler = Compiler::default().with_funs(funs).with_global_vars(["$parameters"]);
    let filter = compiler.compile(modules).expect("the filter compiles");
    let parameters = read::parse_single(input.parameters.as_bytes()).expect("JSON");
    input.measure("jaq", |index| {
        let document = read::parse_single(input.documents[index].1.as_bytes()).expect("JSON");
        let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([parameters.clone()]));
        let bill = filter.id.run((context, document)).map(unwrap_valr).next();
        bill.expect("one value").expect("no error").to_string()
    });
}
