//! What is printed: short aligned lines for people, or the server's own JSON for programs.

use std::io::{self, Write as _};

use clap::ValueEnum;
use serde_json::Value;

use super::Error;
use crate::model::is_unseen;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs: one object, or one object a line where there are several
    Json,
}

/// A column's name, and what stands in it.
pub type Column<'a> = (&'a str, fn(&Value) -> String);

/// A list: a line each, under their names.
pub fn list(output: Output, items: &[Value], columns: &[Column<'_>]) -> Result<(), Error> {
    let mut text = String::new();
    match output {
        Output::Json => items.iter().for_each(|item| text.push_str(&format!("{item}\n"))),
        Output::Text => {
            let header = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
            let rows = items.iter().map(|item| columns.iter().map(|(_, column)| column(item)).collect());
            text = aligned(std::iter::once(header).chain(rows).collect());
        }
    }
    print(&text)
}

/// One thing.
pub fn one(output: Output, item: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), Error> {
    match output {
        Output::Json => print(&format!("{item:#}\n")),
        Output::Text => print(&text(item)),
    }
}

/// That something was done. JSON where the server had something to say.
pub fn done(output: Output, answer: &Value, words: &str) -> Result<(), Error> {
    match output {
        Output::Json if answer.is_null() => print("{}\n"),
        Output::Json => print(&format!("{answer:#}\n")),
        Output::Text => print(&format!("{words}\n")),
    }
}

/// Columns as wide as their widest entry, the last as it is.
pub fn aligned(rows: Vec<Vec<String>>) -> String {
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| row.into_iter().map(|cell| plain(&cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A field as text: nothing where there is none.
pub fn field(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) if text.is_empty() => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let texts: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), ToOwned::to_owned)).collect();
            if texts.is_empty() { "-".into() } else { texts.join(",") }
        }
        Some(other) => other.to_string(),
    }
}

/// An instant to the second.
pub fn instant(value: &Value, pointer: &str) -> String {
    let text = field(value, pointer);
    match text.split_once('.') {
        Some((seconds, rest)) if rest.ends_with('Z') => format!("{seconds}Z"),
        _ => text,
    }
}

/// A quota that is used up, and when there is more of it.
pub fn exceeded(value: &Value) -> String {
    let until = match value.get("until").is_some_and(Value::is_string) {
        true => instant(value, "/until"),
        false => "somebody changes something".into(),
    };
    let count = |at: &str| value.get(at).and_then(Value::as_u64).map_or_else(|| "-".into(), number);
    let (quota, since) = (field(value, "/quota"), instant(value, "/since"));
    format!("{quota}: {} of {} used, since {since}, until {until}", count("used"), count("limit"))
}

/// The beginning of a digest.
pub fn digest(value: &Value, pointer: &str) -> String {
    field(value, pointer).chars().take(12).collect()
}

/// Bytes for people.
pub fn size(value: &Value, pointer: &str) -> String {
    let Some(bytes) = value.pointer(pointer).and_then(Value::as_u64) else { return "-".into() };
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// Digits in threes.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What others wrote must not move a terminal's cursor.
pub fn plain(text: &str) -> String {
    text.chars().map(|character| if is_unseen(character) { '\u{fffd}' } else { character }).collect()
}

/// To standard output. A reader that has seen enough, such as `head`, is no mistake.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::File(error.to_string())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_moves_the_cursor() {
        let rows = vec![vec!["NAME".into(), "STATE".into()], vec!["a\u{1b}[2J\n".into(), "名".into()]];
        assert_eq!(aligned(rows), "NAME    STATE\na\u{fffd}[2J\u{fffd}  名\n");
    }

    #[test]
    fn fields_are_short() {
        let value =
            json!({ "at": "2026-11-22T08:00:00.123Z", "none": null, "list": ["a", "b"], "n": 3, "size": 123_456 });
        assert_eq!(instant(&value, "/at"), "2026-11-22T08:00:00Z");
        assert_eq!(
            (field(&value, "/none"), field(&value, "/list"), field(&value, "/n")),
            ("-".into(), "a,b".into(), "3".into())
        );
        assert_eq!(
            (size(&value, "/size"), number(1_234_567), number(12)),
            ("123 kB".into(), "1,234,567".into(), "12".into())
        );
    }
}
