//! Calendar dates and wall-clock times as vendors write them. No time zones: a vendor's local time becomes an instant
//! in the host's connector, and a transform only passes it on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

const DATE_WANTED: &str = "expected a date yyyy-MM-dd";
const DATE_TIME_WANTED: &str = "expected a time yyyy-MM-dd HH:mm:ss";

/// A day of the Gregorian calendar, `yyyy-MM-dd`, of the years 1 to 9999. Refuses days that do not exist, among them
/// the `0000-00-00` that some vendors write for "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to the month's last day.
    pub day: u8,
}

/// A wall-clock time, `yyyy-MM-dd HH:mm:ss`, whole seconds, 24 hours. `T` in place of the blank is read too, and
/// written as a blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    /// The day.
    pub date: Date,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59: no leap seconds.
    pub second: u8,
}

/// A text that is not a [`Date`] or not a [`DateTime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotADate {
    wanted: &'static str,
}

impl fmt::Display for NotADate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }
}

impl std::error::Error for NotADate {}

impl FromStr for Date {
    type Err = NotADate;
    fn from_str(text: &str) -> Result<Self, NotADate> {
        date(text.as_bytes()).ok_or(NotADate { wanted: DATE_WANTED })
    }
}

impl FromStr for DateTime {
    type Err = NotADate;
    fn from_str(text: &str) -> Result<Self, NotADate> {
        date_time(text.as_bytes()).ok_or(NotADate { wanted: DATE_TIME_WANTED })
    }
}

fn date(text: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = u16::from(two([y1, y2])?) * 100 + u16::from(two([y3, y4])?);
    let (month, day) = (two([m1, m2])?, two([d1, d2])?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (year > 0 && (1..=days).contains(&day)).then_some(Date { year, month, day })
}

fn date_time(text: &[u8]) -> Option<DateTime> {
    let (day, clock) = text.split_at_checked(10)?;
    let [b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2] = *clock else { return None };
    let (hour, minute, second) = (two([h1, h2])?, two([m1, m2])?, two([s1, s2])?);
    (hour < 24 && minute < 60 && second < 60).then_some(DateTime { date: date(day)?, hour, minute, second })
}

fn two([tens, ones]: [u8; 2]) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

impl Date {
    fn written(self) -> [u8; 10] {
        let [[y1, y2], [y3, y4]] = [self.year / 100, self.year % 100].map(|part| digits(part as u8));
        let ([m1, m2], [d1, d2]) = (digits(self.month), digits(self.day));
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]
    }
}

impl DateTime {
    fn written(self) -> [u8; 19] {
        let mut text = *b"0000-00-00 00:00:00";
        text[..10].copy_from_slice(&self.date.written());
        for (at, part) in [(11, self.hour), (14, self.minute), (17, self.second)] {
            text[at..at + 2].copy_from_slice(&digits(part));
        }
        text
    }
}

/// Both of what is less than a hundred; of anything else, which no date has, the last two.
fn digits(part: u8) -> [u8; 2] {
    [b'0' + part / 10 % 10, b'0' + part % 10]
}

fn as_text(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).unwrap_or_default()
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(as_text(&self.written()))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(as_text(&self.written()))
    }
}

macro_rules! as_json_string {
    ($name:ident, $wanted:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($wanted)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(as_text(&self.written()))
            }
        }
    };
}

as_json_string!(Date, "a date yyyy-MM-dd");
as_json_string!(DateTime, "a time yyyy-MM-dd HH:mm:ss");

/// For `#[serde(deserialize_with = "crossdock_guest::day")]`: the day of a [`Date`] or of a [`DateTime`], whichever the
/// vendor wrote.
pub fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    struct Visitor;
    impl serde::de::Visitor<'_> for Visitor {
        type Value = Date;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a date yyyy-MM-dd")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Date, E> {
            text.parse::<DateTime>().map(|time| time.date).or_else(|_| text.parse()).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Visitor)
}

/// For `#[serde(default, deserialize_with = "crossdock_guest::day_or_none")]`: like [`day`], and `None` for a field that
/// is missing, null, `""` or the `0000-00-00` (with or without a time) that some vendors write for "none".
pub fn day_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let raw = <&'de RawValue>::deserialize(deserializer)?;
    match raw.get() {
        "null" | "\"\"" | "\"0000-00-00\"" | "\"0000-00-00 00:00:00\"" => Ok(None),
        text => day(&mut serde_json::Deserializer::from_str(text)).map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_vendors_form() {
        for text in ["2026-11-20 15:07:58", "2024-02-29 00:00:00", "0001-01-01 23:59:59"] {
            assert_eq!(text.parse::<DateTime>().expect(text).to_string(), text);
        }
        assert_eq!("2026-11-20T15:07:58".parse::<DateTime>().expect("T").to_string(), "2026-11-20 15:07:58");
        assert_eq!(serde_json::from_str::<Date>("\"2026-11-20\"").expect("a date").to_string(), "2026-11-20");
    }

    #[test]
    fn refuses_times_that_do_not_exist() {
        for text in [
            "",
            "2026-11-20",
            "2026-02-29 00:00:00",
            "1900-02-29 00:00:00",
            "2026-13-01 00:00:00",
            "2026-00-01 00:00:00",
            "2026-04-31 00:00:00",
            "2026-11-20 24:00:00",
            "2026-11-20 23:60:00",
            "2026-11-20 23:59:60",
            "0000-00-00 00:00:00",
            "2026-11-20 1:00:00",
            "2026/11/20 01:00:00",
            "2026-11-20 01:00:00.000",
            "２026-11-20 01:00",
        ] {
            assert!(text.parse::<DateTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn reads_the_day_of_a_date_and_of_a_time_and_knows_the_zero_date() {
        #[derive(Deserialize)]
        struct Row {
            #[serde(deserialize_with = "day")]
            of: Date,
            #[serde(default, deserialize_with = "day_or_none")]
            or_none: Option<Date>,
        }
        let read = |json: &str| crate::from_str::<Row>(json);
        for text in ["2026-11-20", "2026-11-20 23:59:59", "2026-11-20T00:00:00"] {
            let row = read(&format!(r#"{{"of":"{text}","or_none":"{text}"}}"#)).expect(text);
            assert_eq!((row.of.to_string(), row.or_none), ("2026-11-20".into(), Some(row.of)), "{text}");
        }
        for none in ["", r#","or_none":null"#, r#","or_none":"""#, r#","or_none":"0000-00-00""#] {
            assert_eq!(read(&format!(r#"{{"of":"2026-11-20"{none}}}"#)).expect(none).or_none, None, "{none}");
        }
        let zero = r#"{"of":"2026-11-20","or_none":"0000-00-00 00:00:00"}"#;
        assert_eq!(read(zero).expect("a zero time").or_none, None);
        for (json, code, field) in [
            (r#"{"of":"0000-00-00"}"#, "field_invalid", "/of"),
            (r#"{"of":null}"#, "field_null", "/of"),
            ("{}", "field_missing", "/of"),
            (r#"{"of":"2026-11-20","or_none":"2026-02-30"}"#, "field_invalid", "/or_none"),
            (r#"{"of":"2026-11-20","or_none":"2026-11-20 24:00:00"}"#, "field_invalid", "/or_none"),
            (r#"{"of":"2026-11-20","or_none":20261120}"#, "field_type", "/or_none"),
        ] {
            let why = read(json).map(|_| ()).expect_err(json);
            assert_eq!((why.code(), why.field()), (code, Some(field)), "{json}: {why}");
        }
    }
}
