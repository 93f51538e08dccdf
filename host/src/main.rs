//! The `crossdock` binary: everything is in the library.

use std::process::ExitCode;

/// A document's way is many small allocations on several threads: with this one the whole way costs a quarter less than with
/// the C library's, and memory is given back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is free goes back to the machine within a second and not within ten. An opening reads the whole ledger once, and what
/// that took would stay beside what the work then takes. `_RJEM_MALLOC_CONF` in the environment has the last word.
// SAFETY: the allocator reads this name as a C string, once, at its start, and no other symbol has it.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8; 37] = b"dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    crossdock::cli::main()
}
