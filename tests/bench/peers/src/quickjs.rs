//! QuickJS in this process.

use crossdock_bench_measure::Input;
use rquickjs::{Context, Function, Runtime};

pub fn measure(input: &Input) {
    let runtime = Runtime::new().expect("a runtime");
    let context = Context::full(&runtime).expect("a context");
    context.with(|context| {
        let make: Function<'_> = context.eval(include_str!("mapping.js")).expect("the script runs");
        let map: Function<'_> = make.call((input.parameters.as_str(),)).expect("parameters");
        input.measure("rquickjs", |index| map.call((input.documents[index].1.as_str(),)).expect("no exception"));
    });
}
