//! The sandbox as a stranger's module and a developer's hand meet it: compiling in a child that can be killed, a corpus of
//! hostile modules, a thousand random ones, and `crossdock transform`.

#![allow(clippy::unwrap_used)]

#[path = "../../src/sandbox/tests/guests.rs"]
#[allow(dead_code, reason = "shared with the sandbox's own tests")]
mod guests;

mod child;
mod corpus;
mod hostile;
mod neighbour;
mod report;
mod smith;

/// The product's own binary, whose hidden command compiles.
const PROGRAM: &str = env!("CARGO_BIN_EXE_crossdock");
