//! What must hold before a run that is due may begin.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::problem::Report;
use super::scheme::Found;
use super::section::Section;
use crate::model::SchemeId;

/// `when = { between = "22:00-06:00 Asia/Shanghai", after = "customers" }`. A run that is due waits until both hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    pub between: Option<DayTime>,
    /// Another scheme of the tenant must have completed a run since this one's last began, and worked off what it read.
    pub after: Option<SchemeId>,
}

/// The conditions, and where the scheme to wait for is written.
pub(super) fn read(scheme: &Section<'_>) -> (Conditions, Option<(SchemeId, Range<usize>)>) {
    let remedy = "write when = { between = \"22:00-06:00 Asia/Shanghai\", after = \"another scheme\" }";
    let Some(section) = scheme.section("when", remedy) else { return (Conditions::default(), None) };
    let between =
        section.parse("between", "write a time of day and its zone: \"22:00-06:00 Asia/Shanghai\"", str::parse);
    let after =
        section.parse("after", "name another scheme", |text| SchemeId::new(text).map_err(|error| error.to_string()));
    let place = section.table.get("after").map(|value| value.span());
    section.finish();
    (Conditions { between, after: after.clone() }, after.zip(place))
}

/// Complains about schemes that wait for one that never runs: one that is not there, is switched off, or waits for
/// them in turn.
pub(super) fn check(schemes: &[Found], report: &Report<'_>) {
    for found in schemes {
        check_one(found, schemes, report);
    }
}

/// As [`check`], of one of them.
pub(super) fn check_one(found: &Found, schemes: &[Found], report: &Report<'_>) {
    let Some((after, place)) = &found.after else { return };
    let named = |name: &SchemeId| schemes.iter().find(|one| one.tenant == found.tenant && one.name == *name);
    let name = &found.name;
    let complain = |message: String, remedy: &str| report.add(place.clone(), message, remedy);
    let Some(other) = named(after) else {
        let message = format!("scheme \"{name}\" waits for the scheme \"{after}\", which its tenant does not have");
        complain(message, "name another scheme of the same tenant");
        return;
    };
    if other.scheme.as_ref().is_some_and(|other| !other.enabled) {
        let message = format!("scheme \"{name}\" waits for the scheme \"{after}\", which is switched off");
        complain(message, "switch it on, or take `after` out");
    }
    let mut next = Some(other);
    let mut steps = 0;
    while let Some(one) = next.filter(|_| steps <= schemes.len()) {
        if one.name == *name {
            let message = format!("scheme \"{name}\" waits, by way of \"{after}\", for itself");
            complain(message, "take one `after` of the circle out");
            break;
        }
        next = one.after.as_ref().and_then(|(after, _)| named(after));
        steps += 1;
    }
}

/// From one time of day up to another, over midnight where the second is the earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayTime {
    from: Time,
    to: Time,
    zone: TimeZone,
    text: String,
}

impl DayTime {
    /// `instant` itself where it lies within, else when it next begins.
    pub fn opens(&self, instant: Timestamp) -> Timestamp {
        let here = instant.to_zoned(self.zone.clone());
        let time = here.datetime().time();
        let within =
            if self.from < self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to };
        if within {
            return instant;
        }
        // Outside, it begins today or tomorrow; tomorrow's is asked for too, as clocks that go back may bring a time
        // of day that is past a second time.
        let today = here.date();
        let days = [Some(today), today.checked_add(1.day()).ok(), today.checked_add(2.days()).ok()];
        let openings = days.into_iter().flatten().filter_map(|day| {
            let opening = self.zone.to_ambiguous_timestamp(day.to_datetime(self.from));
            opening.compatible().ok().filter(|at| *at > instant)
        });
        openings.min().unwrap_or(Timestamp::MAX)
    }
}

impl FromStr for DayTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let not_readable = || format!("{text:?} is not a time of day with its zone");
        let (times, zone_name) = text.trim().split_once(' ').ok_or_else(not_readable)?;
        let (from, to) = times.split_once('-').ok_or_else(not_readable)?;
        let time = |text: &str| Time::strptime("%H:%M", text).map_err(|_| not_readable());
        let (from, to) = (time(from)?, time(to)?);
        if from == to {
            return Err(format!("{text:?} ends where it begins"));
        }
        let zone = TimeZone::get(zone_name).map_err(|_| format!("{zone_name:?} is not a zone of the IANA database"))?;
        Ok(Self { from, to, zone, text: text.trim().to_owned() })
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn opens(between: &str, instant: &str, expected: &str) {
        let between: DayTime = between.parse().unwrap();
        let instant: Timestamp = instant.parse().unwrap();
        assert_eq!(between.opens(instant).to_string(), expected, "{between} at {instant}");
    }

    #[test]
    fn a_night_lasts_over_midnight_in_its_zone() {
        let night = "22:00-06:00 Asia/Shanghai";
        opens(night, "2026-11-21T13:59:59Z", "2026-11-21T14:00:00Z");
        opens(night, "2026-11-21T14:00:00Z", "2026-11-21T14:00:00Z");
        opens(night, "2026-11-21T21:59:59Z", "2026-11-21T21:59:59Z");
        opens(night, "2026-11-21T22:00:00Z", "2026-11-22T14:00:00Z");
    }

    #[test]
    fn a_time_of_day_within_one_day_opens_tomorrow_once_it_is_past() {
        let morning = "01:00-05:00 Asia/Shanghai";
        opens(morning, "2026-11-20T16:59:59Z", "2026-11-20T17:00:00Z");
        opens(morning, "2026-11-20T21:00:00Z", "2026-11-21T17:00:00Z");
    }

    #[test]
    fn an_opening_that_the_clocks_leave_out_comes_when_they_went_on() {
        opens("02:30-04:00 America/New_York", "2026-03-08T06:00:00Z", "2026-03-08T07:30:00Z");
    }

    #[test]
    fn refuses_what_is_no_time_of_day() {
        for text in ["", "22:00-06:00", "22-06 UTC", "25:00-06:00 UTC", "06:00-06:00 UTC", "22:00-06:00 Mars"] {
            assert!(text.parse::<DayTime>().is_err(), "{text}");
        }
    }
}
