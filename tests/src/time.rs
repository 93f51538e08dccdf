//! The vendors' local times: `2026-01-15 10:30:00` and `2026-01-15`, always GMT+8.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

pub fn parse(text: &str) -> Option<Timestamp> {
    // strptime alone would take one digit where the vendor writes two.
    if text.len() != 19 {
        return None;
    }
    DateTime::strptime(FORMAT, text).ok()?.to_zoned(zone()).ok().map(|zoned| zoned.timestamp())
}

/// Cuts fractions of a second off, as the vendor does.
pub fn format(at: Timestamp) -> String {
    at.to_zoned(zone()).strftime(FORMAT).to_string()
}

/// A day alone. `None` for anything but ten characters that are one.
pub fn parse_date(text: &str) -> Option<Date> {
    if text.len() != 10 {
        return None;
    }
    Date::strptime("%Y-%m-%d", text).ok()
}

/// The day that it is over there.
pub fn date(at: Timestamp) -> Date {
    at.to_zoned(zone()).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_are_eight_hours_ahead() {
        let at: Timestamp = "2026-01-15T02:30:00Z".parse().expect("an instant");
        assert_eq!(format(at), "2026-01-15 10:30:00");
        assert_eq!(parse("2026-01-15 10:30:00"), Some(at));
        assert_eq!(parse("2026-01-15 1:30:00"), None);
        assert_eq!(parse("2026-01-15T10:30:00"), None);
    }
}
