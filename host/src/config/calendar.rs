//! Times of day and days of the year, in a zone: the five fields of cron.

use std::fmt;

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// A zone that leaves out an hour, and one that left out a whole day (Samoa crossed the date line), are both shorter.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(25);
/// The library looks four years ahead. The 29th of February can be eight years away: 2096 and 2104.
const LOOKS_AHEAD: usize = 3;

/// `30 2 * * * Asia/Shanghai`: half past two every night.
///
/// A time of day that a zone leaves out when its clocks go forward comes as much later as the clocks went forward, and
/// one that comes twice when they go back counts once, the first time: a nightly run is a nightly run on those two
/// nights as well. Where the hour is a wildcard (`*/15 * * * *`), time goes by the clock on the wall of nobody, and
/// every quarter of an hour that passes counts.
#[derive(Debug, Clone)]
pub struct Calendar {
    text: String,
    zone: TimeZone,
    table: Crontab,
    /// Whether the hour is a wildcard.
    any_hour: bool,
}

impl Calendar {
    /// `text` is five fields and a zone's name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [fields @ .., zone_name] = words.as_slice() else {
            return Err("cron has five fields and a zone".into());
        };
        if fields.len() != 5 {
            return Err(format!("{text:?} has {} words; cron has five fields and a zone", words.len()));
        }
        let zone = TimeZone::get(zone_name).map_err(|_| format!("{zone_name:?} is not a zone of the IANA database"))?;
        let any_hour = fields.get(1).is_some_and(|hour| hour.starts_with('*'));
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        // Named hours are looked for on the wall's clock, which is kept here as if it were UTC.
        let text = words.join(" ");
        let fields = if any_hour { text.clone() } else { fields.join(" ") };
        let table = cronexpr::parse_crontab_with(&fields, options)
            .map_err(|error| format!("{text:?}: {}", error.to_string().lines().last().unwrap_or_default().trim()))?;
        let calendar = Self { text, zone, table, any_hour };
        if calendar.after(Timestamp::UNIX_EPOCH) == Timestamp::MAX {
            return Err(format!("{:?} names a day that never comes", calendar.text));
        }
        Ok(calendar)
    }

    /// The first time after `instant`; [`Timestamp::MAX`] where none comes.
    pub fn after(&self, instant: Timestamp) -> Timestamp {
        if self.any_hour {
            return self.next(instant).unwrap_or(Timestamp::MAX);
        }
        // On the wall's clock a time that was left out lies before the time it is made up for.
        let wall = self.zone.to_datetime(instant).to_zoned(TimeZone::UTC).map(|wall| wall.timestamp());
        let Some(mut wall) = wall.ok().and_then(|wall| wall.checked_sub(LONGEST_GAP).ok()) else {
            return Timestamp::MAX;
        };
        loop {
            let Some(next) = self.next(wall) else { return Timestamp::MAX };
            let civil = TimeZone::UTC.to_datetime(next);
            match self.zone.to_ambiguous_timestamp(civil).compatible() {
                Ok(at) if at > instant => return at,
                Ok(_) => wall = next,
                Err(_) => return Timestamp::MAX,
            }
        }
    }

    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = after;
        for _ in 0..LOOKS_AHEAD {
            if let Ok(found) = self.table.find_next(from) {
                return Some(found.timestamp());
            }
            let later = from.to_zoned(TimeZone::UTC).checked_add(4.years()).ok()?;
            from = later.timestamp();
        }
        None
    }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Calendar {}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn from(cron: &str, instant: &str, expected: &[&str]) {
        let calendar = Calendar::parse(cron).unwrap();
        let mut at: Timestamp = instant.parse().unwrap();
        let mut found = Vec::new();
        for _ in expected {
            at = calendar.after(at);
            found.push(at.to_string());
        }
        assert_eq!(found, expected, "{cron} after {instant}");
    }

    #[test]
    fn a_time_of_day_is_that_of_its_zone() {
        from("30 2 * * * Asia/Shanghai", "2026-11-21T00:00:00Z", &["2026-11-21T18:30:00Z", "2026-11-22T18:30:00Z"]);
        from("0 9 * * 1-5 Asia/Shanghai", "2026-11-20T02:00:00Z", &["2026-11-23T01:00:00Z"]);
        from("30 2 * * * UTC", "2026-11-21T02:30:00Z", &["2026-11-22T02:30:00Z"]);
    }

    #[test]
    fn a_nightly_run_comes_once_in_the_night_in_which_its_hour_is_left_out() {
        // New York goes from 02:00 to 03:00 on the 8th of March 2026.
        let nights = ["2026-03-07T07:30:00Z", "2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"];
        from("30 2 * * * America/New_York", "2026-03-07T00:00:00Z", &nights);
        // Whoever asks within the hour that is made up for is told of it.
        from("30 2 * * * America/New_York", "2026-03-08T07:10:00Z", &["2026-03-08T07:30:00Z"]);
    }

    #[test]
    fn a_nightly_run_comes_once_in_the_night_in_which_its_hour_comes_twice() {
        // New York goes from 02:00 back to 01:00 on the 1st of November 2026.
        let nights = ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"];
        from("30 1 * * * America/New_York", "2026-10-31T00:00:00Z", &nights);
        from("30 1 * * * America/New_York", "2026-11-01T06:10:00Z", &["2026-11-02T06:30:00Z"]);
    }

    #[test]
    fn every_half_hour_is_every_half_hour_while_the_clocks_change() {
        let through = ["2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:00:00Z"];
        from("*/30 * * * * America/New_York", "2026-11-01T05:00:00Z", &through);
        let over = ["2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"];
        from("*/30 * * * * America/New_York", "2026-03-08T06:00:00Z", &over);
    }

    #[test]
    fn a_leap_day_comes_when_it_comes() {
        let days = ["2028-02-29T04:00:00Z", "2032-02-29T04:00:00Z"];
        from("0 12 29 2 * Asia/Shanghai", "2026-11-21T00:00:00Z", &days);
        from("0 12 29 2 * Asia/Shanghai", "2096-03-01T00:00:00Z", &["2104-02-29T04:00:00Z"]);
        from("0 6 L 2 * UTC", "2027-01-01T00:00:00Z", &["2027-02-28T06:00:00Z", "2028-02-29T06:00:00Z"]);
    }

    #[test]
    fn refuses_what_is_no_calendar() {
        for (text, said) in [
            ("", "cron has five fields and a zone"),
            ("30 2 * * *", "has 5 words"),
            ("30 2 * * * * Asia/Shanghai", "has 7 words"),
            ("30 2 * * * Asia/Peking", "not a zone"),
            ("61 2 * * * UTC", "must be in range"),
            ("30 2 30 2 * UTC", "never comes"),
        ] {
            let problem = Calendar::parse(text).expect_err(text);
            assert!(problem.contains(said), "{text:?}: {problem}");
            assert!(!problem.contains('\n'), "{problem}");
        }
    }
}
