//! VRL, Vector's remap language. The parameters stand in the program, as its users write them.

use crossdock_bench_measure::Input;
use vrl::compiler::state::RuntimeState;
use vrl::compiler::{Context, TargetValue, TimeZone};
use vrl::value::{ObjectMap, Secrets, Value};

pub fn measure(input: &Input) {
    let source = format!("p = {}\n{}", input.parameters, include_str!("mapping.vrl"));
    let compiled = vrl::compiler::compile(&source, &vrl::stdlib::all());
    let program = compiled.unwrap_or_else(|why| panic!("{why:?}")).program;
    let timezone = TimeZone::default();
    input.measure("VRL", |index| {
        let body = Value::from(input.documents[index].1.as_str());
        let mut target = TargetValue {
            value: Value::Object(ObjectMap::from([("body".into(), body)])),
            metadata: Value::Object(ObjectMap::new()),
            secrets: Secrets::default(),
        };
        let mut state = RuntimeState::default();
        let mut context = Context::new(&mut target, &mut state, &timezone);
        match program.resolve(&mut context).expect("no error") {
            Value::String(text) => text.to_string(),
            Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("JSON is UTF-8"),
            other => panic!("not a text: {other:?}"),
        }
    });
}
