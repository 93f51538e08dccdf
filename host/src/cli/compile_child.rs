//! `crossdock compile-child`: the process that a component is compiled in. It talks to the engine that started it,
//! through pipes, and to nobody else.

use std::io;
use std::process::ExitCode;

use crate::sandbox::compile_child;

pub fn run() -> ExitCode {
    // Unlocked handles would do, but a locked one is not flushed line by line.
    ExitCode::from(compile_child(io::stdin().lock(), io::stdout().lock(), io::stderr().lock()))
}
