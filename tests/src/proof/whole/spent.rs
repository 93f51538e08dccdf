//! Processor time of a process, as the kernel counts it.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::proof::{Failure, Result};

/// The kernel's unit for these counts: the same on every architecture that Rust servers run on.
const TICKS_A_SECOND: u64 = 100;
/// Between two looks whether a process has ended.
const PAUSE: Duration = Duration::from_millis(2);

struct Stat {
    has_ended: bool,
    spent: Duration,
}

/// User's and system's time of a process and of all children that it has waited for.
pub fn spent(id: u32) -> Result<Duration> {
    Ok(stat(id)?.spent)
}

fn stat(id: u32) -> Result<Stat> {
    let doing = format!("looking at process {id}");
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).map_err(|error| Failure::during(&doing, error))?;
    // The name before it may hold blanks and brackets; the state is the first field after the last bracket.
    let fields: Vec<&str> = text.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let ticks = fields.get(11..15).map(|times| times.iter().filter_map(|time| time.parse::<u64>().ok()).sum::<u64>());
    let ticks = ticks.ok_or_else(|| Failure::during(&doing, "its times are not where they should be"))?;
    let spent = Duration::from_millis(ticks * 1_000 / TICKS_A_SECOND);
    Ok(Stat { has_ended: matches!(fields.first(), Some(&("Z" | "X"))), spent })
}

/// Waits until it has ended, and then before it is forgotten reads what it has spent. `None` where it takes longer.
pub fn wait(child: &mut Child, patience: Duration) -> Result<Option<Duration>> {
    let began = Instant::now();
    loop {
        let stat = stat(child.id())?;
        if stat.has_ended {
            return Ok(Some(stat.spent));
        }
        if began.elapsed() > patience {
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_a_process_spent_is_known_once_it_has_ended() {
        let mut child = Command::new("sh").args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]).spawn();
        let child = child.as_mut().expect("a shell");
        let spent = wait(child, Duration::from_secs(60)).expect("a look").expect("its end");
        assert!(spent > Duration::ZERO);
        assert!(child.wait().expect("its status").success());
    }
}
