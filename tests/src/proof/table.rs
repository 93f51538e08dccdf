//! Figures, one a line, in columns that line up.

/// One line: what is counted, how many, and what the number means.
pub type Row = (&'static str, String, String);

pub fn render(rows: &[Row]) -> String {
    let widest = |length: fn(&Row) -> usize| rows.iter().map(length).max().unwrap_or(0);
    let (names, figures) = (widest(|row| row.0.chars().count()), widest(|row| row.1.chars().count()));
    let mut text = String::new();
    for (name, figure, meaning) in rows {
        let line = format!("  {name:<names$}  {figure:>figures$}  {meaning}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `1234567` as `1,234,567`.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [("served", count(2000), "by the source".to_owned()), ("lost", count(0), String::new())];
        assert_eq!(render(&rows), "  served  2,000  by the source\n  lost        0\n");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
