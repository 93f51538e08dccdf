//! The mapping in languages that people embed to let others map JSON. Each is compiled once and given the parameters once;
//! what is measured is text in, text out.

mod jq;
mod quickjs;
mod remap;

use crossdock_bench_measure::Input;

fn main() {
    let input = Input::read();
    jq::measure(&input);
    remap::measure(&input);
    quickjs::measure(&input);
}
