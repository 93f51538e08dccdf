//! When a scheme reads its source.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::calendar::Calendar;
use super::duration;

/// Not more often than this: every vendor here counts calls, and none offers anything new within a second.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);
/// Windows of some vendors reach back seven days at most; a month is already a mistake more likely than a wish.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// `every 5m`
    Every(SignedDuration),
    /// `cron 30 2 * * * Asia/Shanghai`
    Cron(Calendar),
}

impl Schedule {
    /// When to run next, given when the last run began. Runs that were missed while the engine was down are made up for
    /// by one: it reads everything since the cursor anyway. What never ran begins at once, or at its first time of day.
    pub fn next_after(&self, now: Timestamp, last: Option<Timestamp>) -> Timestamp {
        match (self, last) {
            (Schedule::Every(_), None) => now,
            (Schedule::Every(interval), Some(last)) => {
                let due = last.saturating_add(*interval).unwrap_or(Timestamp::MAX);
                // A last run "in the future" means that the clock was set back: wait one interval and no longer.
                let latest = now.saturating_add(*interval).unwrap_or(Timestamp::MAX);
                due.clamp(now, latest)
            }
            (Schedule::Cron(calendar), None) => calendar.after(now),
            (Schedule::Cron(calendar), Some(last)) => calendar.after(last.min(now)).max(now),
        }
    }

    /// The time between two runs, where it is always the same.
    pub fn interval(&self) -> Option<SignedDuration> {
        match self {
            Schedule::Every(interval) => Some(*interval),
            Schedule::Cron(_) => None,
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(fields) = text.trim().strip_prefix("cron ") {
            return Ok(Schedule::Cron(Calendar::parse(fields)?));
        }
        let Some(interval) = text.trim().strip_prefix("every ") else {
            return Err(format!("{text:?} is not a schedule"));
        };
        let interval = duration::parse(interval)?;
        if interval < SHORTEST || interval > LONGEST {
            let (least, most) = (duration::print(SHORTEST), duration::print(LONGEST));
            return Err(format!("{text:?} is outside the range from {least} to {most}"));
        }
        Ok(Schedule::Every(interval))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Every(interval) => write!(f, "every {}", duration::print(*interval)),
            Schedule::Cron(calendar) => write!(f, "cron {calendar}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-21T{text}Z").parse().unwrap()
    }

    #[test]
    fn runs_at_once_the_first_time_and_one_interval_after_the_last_start() {
        let every: Schedule = "every 5m".parse().unwrap();
        assert_eq!(every.next_after(at("10:00:00"), None), at("10:00:00"));
        assert_eq!(every.next_after(at("10:01:00"), Some(at("10:00:00"))), at("10:05:00"));
    }

    #[test]
    fn runs_once_and_not_twelve_times_after_an_hour_of_absence() {
        let every: Schedule = "every 5m".parse().unwrap();
        assert_eq!(every.next_after(at("11:00:00"), Some(at("10:00:00"))), at("11:00:00"));
    }

    #[test]
    fn waits_one_interval_at_most_when_the_clock_was_set_back() {
        let every: Schedule = "every 5m".parse().unwrap();
        assert_eq!(every.next_after(at("08:00:00"), Some(at("10:00:00"))), at("08:05:00"));
    }

    #[test]
    fn a_nightly_run_that_was_missed_is_made_up_for_once() {
        let nightly: Schedule = "cron 30 2 * * * UTC".parse().unwrap();
        let night = |day: &str| format!("2026-11-{day}T02:30:00Z").parse::<Timestamp>().unwrap();
        assert_eq!(nightly.next_after(at("10:00:00"), Some(night("18"))), at("10:00:00"), "three nights were missed");
        assert_eq!(nightly.next_after(at("10:00:01"), Some(at("10:00:00"))), night("22"));
        assert_eq!(nightly.next_after(at("10:00:00"), None), night("22"), "what never ran has missed nothing");
        assert_eq!(nightly.next_after(at("01:00:00"), Some(night("28"))), night("21"), "the clock was set back");
    }

    #[test]
    fn refuses_what_is_no_schedule() {
        for text in
            ["5m", "every", "every 0s", "every 100ms", "every 5", "every 32d", "hourly", "cron 5m", "cron 0 2 * * *"]
        {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
        assert!("every 1s".parse::<Schedule>().is_ok());
        assert!("every 31d".parse::<Schedule>().is_ok());
        for text in ["every 1h 30m", "cron 30 2 * * 1-5 Asia/Shanghai"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
    }
}
