//! How differences, numbers and a guest's own words are shown, by every command alike.

use std::io::{self, Write};

use crossdock_guest::testing::Difference;

/// The most differences that are listed.
pub const DIFFERENCES_LIMIT: usize = 20;

/// Colours of a report, or none.
pub struct Palette {
    pub good: &'static str,
    pub bad: &'static str,
    pub dim: &'static str,
    pub plain: &'static str,
}

const COLOUR: Palette = Palette { good: "\x1b[32m", bad: "\x1b[31m", dim: "\x1b[2m", plain: "\x1b[0m" };
const PLAIN: Palette = Palette { good: "", bad: "", dim: "", plain: "" };

impl Palette {
    pub fn of(colour: bool) -> Self {
        if colour { COLOUR } else { PLAIN }
    }
}

/// What was expected and what was found, field by field.
pub fn differences(out: &mut impl Write, differences: &[Difference], palette: &Palette) -> io::Result<()> {
    let Palette { good, bad, plain, .. } = palette;
    for Difference { at, expected, found } in differences.iter().take(DIFFERENCES_LIMIT) {
        let [expected, found] = [expected, found].map(|side| Difference::shown(side.as_deref()));
        writeln!(out, "     {at}\n       {good}- {}{plain}\n       {bad}+ {}{plain}", safe(&expected), safe(&found))?;
    }
    if differences.len() > DIFFERENCES_LIMIT {
        writeln!(out, "     and {} differences more", differences.len() - DIFFERENCES_LIMIT)?;
    }
    Ok(())
}

/// `1234567` is `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// Control characters are shown, not obeyed: a guest wrote this.
pub fn safe(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_a_guests_control_characters_are_not_obeyed() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (200_000_000, "200,000,000")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(safe("a\x1b[31m\nb"), "a\\u{1b}[31m\\nb");
    }
}
