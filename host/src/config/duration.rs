//! Spans of time as people write them: `5m`, `90s`, `3d`, `1h 30m`.

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// A day is always 24 hours here: a schedule or a window that changed its length twice a year would surprise.
pub fn parse(text: &str) -> Result<SignedDuration, String> {
    let not_readable = || format!("{text:?} is not a duration");
    let span: Span = text.trim().parse().map_err(|_| not_readable())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| not_readable())?;
    if duration.is_negative() {
        return Err(format!("{text:?} is negative"));
    }
    Ok(duration)
}

/// The shortest way to write it that [`parse`] reads back.
pub(super) fn print(duration: SignedDuration) -> String {
    let total = duration.as_secs();
    if total == 0 || duration.subsec_nanos() != 0 {
        return format!("{}ms", duration.as_millis());
    }
    let parts = [("d", total / 86_400), ("h", total / 3_600 % 24), ("m", total / 60 % 60), ("s", total % 60)];
    let parts: Vec<String> =
        parts.iter().filter(|(_, count)| *count > 0).map(|(unit, count)| format!("{count}{unit}")).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [
            ("5m", 300),
            ("90s", 90),
            ("3d", 259_200),
            ("1w", 604_800),
            ("24h", 86_400),
            ("1h 30m", 5_400),
            ("1h30m", 5_400),
            ("5 minutes", 300),
            ("PT5M", 300),
        ] {
            assert_eq!(parse(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1500ms"), Ok(SignedDuration::from_millis(1500)));
    }

    #[test]
    fn refuses_what_has_no_unit_no_fixed_length_or_no_sense() {
        for text in ["", "5", "five minutes", "1 month", "1y", "-5m", "5m ago", "5x"] {
            assert!(parse(text).is_err(), "{text:?} was taken for {:?}", parse(text));
        }
    }

    #[test]
    fn prints_what_it_can_read_back() {
        for millis in [1, 999, 1_000, 61_500, 300_000, 86_400_000, 90_061_000] {
            let duration = SignedDuration::from_millis(millis);
            assert_eq!(parse(&print(duration)), Ok(duration), "{}", print(duration));
        }
        assert_eq!(print(SignedDuration::from_secs(259_200)), "3d");
    }
}
