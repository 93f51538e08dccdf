//! A bill's text, looked into without being rewritten.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::connectors::text::decimal;
use crate::model::TargetKey;

use super::settings::NumberIn;

/// What the emitted bill says of itself.
#[derive(Debug)]
pub struct Intended {
    pub date: Option<jiff::civil::Date>,
    pub lines: usize,
    pub quantity: Decimal,
}

fn head(body: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(body) {
        Ok(Value::Object(head)) => Ok(head),
        Ok(_) => Err("the body is not a JSON object".into()),
        Err(error) => Err(format!("the body is not a JSON object: {error}")),
    }
}

/// The bill's number, from wherever the settings say that it stands. A body that names a bill by its internal id is
/// refused: with one, a module could write over any bill of the account.
pub fn key_of(body: &str, number_in: &[NumberIn]) -> Result<TargetKey, String> {
    let head = head(body)?;
    if head.keys().any(|name| name.eq_ignore_ascii_case("id")) {
        return Err("the body carries id, with which it would change a bill that is there".into());
    }
    let mut found: Option<String> = None;
    for place in number_in {
        let Some(number) = number_at(&head, *place)? else { continue };
        match &found {
            // The account may give back either field, so both have to say the same.
            Some(other) if *other != number => {
                return Err(format!("billno and remark begin with different numbers: {other} and {number}"));
            }
            _ => found = Some(number),
        }
    }
    let number = found.ok_or("the body carries no number of ours, neither as billno nor at the beginning of remark")?;
    // Within a remark the number ends at the first blank.
    if number.contains(char::is_whitespace) {
        return Err("the bill's number holds a blank".into());
    }
    TargetKey::new(&number).map_err(|error| format!("the bill's number: {error}"))
}

/// The number as the head, of a body or of a bill on a list, carries it in one place.
pub fn number_at(head: &Map<String, Value>, place: NumberIn) -> Result<Option<String>, String> {
    let (names, only_first_word): (&[&str], bool) = match place {
        NumberIn::Billno => (&["billno", "bill_no"], false),
        NumberIn::Remark => (&["remark"], true),
    };
    let text = match names.iter().find_map(|name| head.get(*name)) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.as_str(),
        Some(_) => return Err(format!("{} is not text", names[0])),
    };
    let number = if only_first_word { text.split_whitespace().next().unwrap_or("") } else { text };
    Ok((!number.is_empty()).then(|| number.to_owned()))
}

pub fn intended(body: &str) -> Result<Intended, String> {
    let head = head(body)?;
    let (lines, quantity) = lines(&head)?.ok_or("the body has no material_entity")?;
    Ok(Intended { date: date(&head), lines, quantity })
}

/// The day a bill is of, where it can be read.
pub fn date(head: &Map<String, Value>) -> Option<jiff::civil::Date> {
    let text = ["billdate", "bill_date"].iter().find_map(|name| head.get(*name))?.as_str()?;
    let day = text.get(..10)?.parse().ok()?;
    matches!(text.as_bytes().get(10), None | Some(b' ' | b'T')).then_some(day)
}

/// How many lines a bill has, and the exact sum of their quantities; `None` where it shows no lines.
pub fn lines(head: &Map<String, Value>) -> Result<Option<(usize, Decimal)>, String> {
    let lines = match head.get("material_entity") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(lines)) => lines,
        Some(_) => return Err("material_entity is not a list".into()),
    };
    let mut sum = Decimal::ZERO;
    for line in lines {
        let quantity = line.get("qty").and_then(decimal).ok_or("a line's qty is not a number")?;
        sum = sum.checked_add(quantity).ok_or("the quantities add up to more than can be counted")?;
    }
    Ok(Some((lines.len(), sum)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[NumberIn] = &[NumberIn::Billno, NumberIn::Remark];

    #[test]
    fn the_number_is_the_heads_or_the_remarks_first_word() {
        for (body, places) in [
            (r#"{"billno":"P1","remark":"P1 surplus of a stock-take"}"#, BOTH),
            (r#"{"billno":"P1"}"#, BOTH),
            (r#"{"remark":"P1"}"#, BOTH),
            (r#"{"billno":"","remark":"P1\ttwo"}"#, BOTH),
            (r#"{"billno":"P1","remark":"what people write"}"#, &[NumberIn::Billno]),
            (r#"{"billno":"X","remark":"P1 "}"#, &[NumberIn::Remark]),
        ] {
            assert_eq!(key_of(body, places).unwrap().as_str(), "P1", "{body}");
        }
        for bad in [
            "[]",
            "{}",
            r#"{"billno":1}"#,
            r#"{"billno":"P 1"}"#,
            r#"{"billno":"P1","remark":"P2"}"#,
            r#"{"billno":"P1","id":"7"}"#,
            r#"{"billno":"P1","ID":null}"#,
        ] {
            assert!(key_of(bad, BOTH).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn quantities_add_up_exactly() {
        let body = r#"{"billdate":"2026-11-20","material_entity":[{"qty":0.1},{"qty":"0.2"},{"qty":1E+1}]}"#;
        let intended = intended(body).unwrap();
        assert_eq!((intended.lines, intended.quantity.to_string().as_str()), (3, "10.3"));
        assert_eq!(intended.date, Some(jiff::civil::date(2026, 11, 20)));
        assert!(super::intended(r#"{"material_entity":[{"qty":null}]}"#).is_err());
    }
}
