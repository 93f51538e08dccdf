//! A death that a proof arranges: the engine kills itself at a named instant, as a SIGKILL or a power cut would end it.
//! Only in a build with the feature `failpoints`.

use std::sync::atomic::{AtomicU64, Ordering};

/// `saleout/intent.after*3`: at the third pass of that instant.
const VARIABLE: &str = "CROSSDOCK_DIES_AT";

/// Arranges the death that the environment names, if it names one.
pub fn arrange() {
    let Ok(wanted) = std::env::var(VARIABLE) else { return };
    let (instant, pass) = wanted.split_once('*').unwrap_or((&wanted, "1"));
    let (instant, pass) = (instant.to_owned(), pass.parse().unwrap_or(1));
    eprintln!("crossdock: a death is arranged at {instant}, pass {pass}");
    let passed = AtomicU64::new(0);
    let said = instant.clone();
    let die = move || {
        if passed.fetch_add(1, Ordering::SeqCst) + 1 == pass {
            eprintln!("crossdock: DIES on purpose at {said}, pass {pass}");
            // SIGKILL: no destructor runs, no buffer is written, no thread gets another instruction.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    };
    if let Err(error) = fail::cfg_callback(instant, die) {
        eprintln!("crossdock: {VARIABLE}: {error}");
    }
}
