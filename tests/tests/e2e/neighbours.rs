//! A tenant that means harm beside one that does not, in one engine. What the harm costs in time is not asked here:
//! `make neighbours` measures it.

use std::time::Duration;

use vendor_sim::proof::neighbours::Plan;

use crate::{programs, told};

/// What the engine may have at most, where its slots for guests and its queues are full: 8 memories of 64 MiB, 64 MiB on
/// their way to the ledger, and what it has beside.
const MEMORY_LIMIT_KIB: u64 = 1 << 20;

#[test]
fn a_gigabyte_of_rejected_documents_and_endless_loops_leave_a_neighbour_its_own() {
    let plan = Plan {
        seed: 91,
        rounds: 1,
        half: Duration::from_secs(2),
        pause: Duration::from_millis(100),
        small: 3,
        large: 1_000,
    };
    let outcome = told(plan.run(&programs(), &mut |line| println!("{line}")));
    assert!(outcome.wrong.is_empty(), "{}", outcome.wrong.join("\n"));
    assert!(outcome.usage.peak_kib < MEMORY_LIMIT_KIB, "{:?}", outcome.usage);
    assert!(outcome.halves.iter().all(|half| half.whole.len() > 10), "nothing was measured: {:?}", outcome.halves);
}
