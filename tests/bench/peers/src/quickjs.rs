//! QuickJS in this process.

use crossdock_bench_measure::Input;
use rquickjs::{Context, Function, Runtime};

pub fn measure(input: &Input) {
    let runtime = Runtime::new().expect("a runtime");
    let context = Context::full(&runtime).expect("a context");
    context.with(|context| {
        let make: Function<'_> = context.eval(script()).expect("the script runs");
        let map: Function<'_> = make.call((input.parameters.as_str(),)).expect("parameters");
        input.measure("rquickjs", |index| map.call((input.documents[index].1.as_str(),)).expect("no exception"));
    });
}

/// The mapping that the Node script of the whole way has, as one function from texts to text.
fn script() -> String {
    let module = include_str!("../../whole/node/mapping.mjs").replace("export function", "function");
    format!(
        "(parametersText) => {{ {module}
           const parameters = JSON.parse(parametersText);
           return (body) => JSON.stringify(bill(parameters, JSON.parse(body)));
        }}"
    )
}
