//! A span of time as a person types it: `--from 2026-10-01 --to 2026-10-31`.

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The ends of a span. A day alone is China's, as in every system that is read here; as the end it counts whole.
#[derive(Debug, Clone, Copy, Args)]
pub struct StretchArguments {
    /// The first day, or an instant such as 2026-10-01T08:00:00+08:00
    #[arg(long, value_name = "DAY", value_parser = first, requires = "to")]
    pub from: Option<Timestamp>,
    /// The last day, which counts whole, or the instant before which the span ends
    #[arg(long, value_name = "DAY", value_parser = end, requires = "from")]
    pub to: Option<Timestamp>,
}

impl StretchArguments {
    pub fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        self.from.zip(self.to)
    }
}

fn first(text: &str) -> Result<Timestamp, String> {
    instant(text, Some)
}

fn end(text: &str) -> Result<Timestamp, String> {
    instant(text, |day| day.tomorrow().ok())
}

fn instant(text: &str, begins: impl Fn(Date) -> Option<Date>) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10).and_then(begins);
    let midnight = day.and_then(|day| day.to_zoned(china()).ok());
    midnight
        .map(|midnight| midnight.timestamp())
        .ok_or_else(|| "write a day, 2026-10-01, or an instant with its zone, 2026-10-01T08:00:00+08:00".to_owned())
}

/// China has had no summer time since 1991, and not every machine has the table that says so.
fn china() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(8))
}

/// An instant as it is read on a Chinese wall.
pub fn wall(at: Timestamp) -> String {
    at.to_zoned(china()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_of_days_is_a_month_of_chinas_days() {
        assert_eq!(first("2026-10-01").unwrap(), "2026-09-30T16:00:00Z".parse().unwrap());
        assert_eq!(end("2026-10-31").unwrap(), "2026-10-31T16:00:00Z".parse().unwrap());
        assert_eq!(wall(first("2026-10-01").unwrap()), "2026-10-01 00:00:00");
    }

    #[test]
    fn an_instant_is_that_instant_at_both_ends() {
        let at = "2026-10-01T08:00:00+08:00";
        assert_eq!((first(at).unwrap(), end(at).unwrap()), (at.parse().unwrap(), at.parse().unwrap()));
        for unclear in ["2026-10", "2026-10-01T08:00:00", "01.10.2026", "2026-02-30", ""] {
            assert!(first(unclear).is_err() && end(unclear).is_err(), "{unclear}");
        }
    }
}
