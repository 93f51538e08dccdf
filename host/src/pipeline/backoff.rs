//! How long to wait before reading is tried again.

use std::time::Duration;

use crate::model::Digest;

/// Full jitter under a ceiling that doubles from `base` with each try, up to `cap`. `who` is whoever waits, and when: other
/// for each of them, and the same when a story is told again.
pub fn wait(base: Duration, cap: Duration, tries: u32, who: &str) -> Duration {
    let ceiling = base.saturating_mul(2_u32.saturating_pow(tries)).min(cap);
    let ceiling_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX).max(1);
    let [a, b, c, d, e, f, g, h, ..] = *Digest::of(who).as_bytes();
    Duration::from_millis(u64::from_be_bytes([a, b, c, d, e, f, g, h]) % ceiling_ms + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_differ_under_a_doubling_ceiling_up_to_the_cap() {
        let (base, cap) = (Duration::from_secs(1), Duration::from_secs(60));
        for (tries, ceiling) in [(0, 1), (1, 2), (3, 8), (6, 60), (u32::MAX, 60)] {
            let ceiling = Duration::from_secs(ceiling);
            let waits: Vec<Duration> = (0..200).map(|n| wait(base, cap, tries, &format!("scheme {n}"))).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*most <= ceiling && *most > ceiling * 9 / 10, "{most:?} under {ceiling:?}");
            assert!(*least < ceiling / 10, "{least:?} under {ceiling:?}");
        }
        assert_eq!(wait(base, cap, 3, "a"), wait(base, cap, 3, "a"));
    }
}
