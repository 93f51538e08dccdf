//! The SDK's reader and writer against serde_json, over texts that a fixed seed makes: what one takes and gives, the other
//! takes and gives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{reader, writer};
use crate::{DateTime, Decimal, Field, Text};

/// Numbers that look random and are the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bill<'a> {
    #[serde(borrow)]
    no: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Decimal>,
    #[serde(default)]
    count: Option<i64>,
    #[serde(default)]
    rate: Option<f64>,
    #[serde(default)]
    day: Option<DateTime>,
    #[serde(default)]
    on: Option<bool>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default, skip_serializing)]
    #[allow(dead_code)]
    field: Field<u8>,
    #[serde(default)]
    pair: Option<(u8, String)>,
    #[serde(default)]
    table: BTreeMap<String, u16>,
    #[serde(default)]
    unit: Option<Wrapped>,
    #[serde(borrow, default)]
    rows: Vec<Bill<'a>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(u32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    Of(u8),
    With { x: i8 },
    Both(i8, i8),
}

const NAMES: [&str; 16] = [
    "more", "and", "amount", "count", "rate", "day", "on", "name", "kind", "field", "pair", "table", "unit", "rows",
    "other", "n\\u006f",
];

const SCALARS: [&str; 34] = [
    "1",
    "0",
    "-7",
    "12.50",
    "\"12.50\"",
    "1e3",
    "-0.0",
    "123456789012345678",
    "99999999999999999999",
    "1.7976931348623157e308",
    "\"\"",
    "\"abc\"",
    "\"表示 \\\"x\\\" \\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"2026-11-20 15:07:58\"",
    "\"0123456789abcdef0123456789\"",
    "true",
    "false",
    "null",
    "\"Plain\"",
    "{\"Of\":3}",
    "{\"With\":{\"x\":-1}}",
    "{\"Both\":[1,2]}",
    "[1,\"a\"]",
    "{\"a\":1,\"b\":2}",
    "[]",
    "{}",
    "[{\"no\":1}]",
    "\"\\ud83d\"",
    "01",
    "tru",
    "\"a\nb\"",
    "{\"a\":}",
    "[[[[\"deep\"]]]]",
];

/// What a field of this name usually holds.
fn fitting(name: &str) -> &'static [&'static str] {
    match name {
        "amount" => &["12.50", "\"12.50\"", "0", "-1", "1e3"],
        "count" => &["1", "-7", "123456789012345678"],
        "rate" => &["1.5", "1e300", "0"],
        "day" => &["\"2026-11-20 15:07:58\"", "null"],
        "on" => &["true", "false"],
        "kind" => &["\"Plain\"", "{\"Of\":3}", "{\"With\":{\"x\":-1}}", "{\"Both\":[1,2]}"],
        "field" | "unit" => &["7", "0"],
        "pair" => &["[1,\"a\"]"],
        "table" => &["{\"a\":1,\"b\\n\":2}", "{}"],
        "rows" => &["[]", "[{\"no\":1}]"],
        _ => &["\"abc\"", "\"表示 \\\"x\\\" \\u00e9\"", "\"0123456789abcdef0123456789\""],
    }
}

fn text(dice: &mut Dice, depth: usize) -> String {
    let space = |dice: &mut Dice| dice.of(&["", "", "", " ", "\n\t"]).to_owned();
    let mut text = String::from("{");
    for index in 0..dice.below(6) {
        if index > 0 {
            text += dice.of(&[",", ",", ",", ",", ",", ",", ",", ",", " , ", ",,", " "]);
        }
        let name = if index == 0 { "no" } else { dice.of(&NAMES) };
        text += &format!("{}\"{name}\"{}:{}", space(dice), space(dice), space(dice));
        if name == "rows" && depth > 0 {
            let rows: Vec<String> = (0..dice.below(3)).map(|_| self::text(dice, depth - 1)).collect();
            text += &format!("[{}]", rows.join(","));
        } else if dice.below(8) > 0 {
            text += dice.of(fitting(name));
        } else {
            text += dice.of(&SCALARS);
        }
    }
    text + dice.of(&["}", "}", "}", "}", "}", "}", "}", "}", " }", "", "]", "} x"])
}

#[test]
fn whatever_is_read_serde_json_reads_the_same() {
    let (mut dice, mut read, mut left) = (Dice(1), 0, 0);
    for _ in 0..20_000 {
        let text = text(&mut dice, 2);
        let expected = serde_json::from_str::<Bill<'_>>(&text);
        match reader::read::<Bill<'_>>(&text) {
            Some(bill) => {
                assert_eq!(Some(&bill), expected.as_ref().ok(), "{text}");
                assert_eq!(writer::write(&bill).expect("text"), serde_json::to_string(&bill).expect("text"), "{text}");
                read += 1;
            }
            None => left += usize::from(expected.is_ok()),
        }
        let value = serde_json::from_str::<serde_json::Value>(&text).ok();
        assert_eq!(reader::read::<serde_json::Value>(&text), value, "{text}");
        assert_eq!(
            reader::read::<&RawValue>(&text).map(RawValue::get),
            serde_json::from_str(&text).ok().map(RawValue::get)
        );
    }
    assert!(read > 2_000, "only {read} could be read at all");
    assert_eq!(left, 0, "nothing of these has to be left to serde_json");
}

#[test]
fn whatever_is_written_serde_json_writes_the_same() {
    #[derive(Serialize)]
    struct All<'a> {
        text: &'a str,
        letter: char,
        numbers: (u8, i8, u16, i16, u32, i32, u64, i64, u128, i128),
        fractions: [f64; 6],
        single: f32,
        unit: (),
        bytes: &'a [u8],
        kinds: [Kind; 4],
        wrapped: Wrapped,
        by_number: BTreeMap<i32, bool>,
        by_letter: BTreeMap<char, Option<u8>>,
        by_truth: BTreeMap<bool, ()>,
        raw: &'a RawValue,
    }
    let mut dice = Dice(2);
    for length in 0..600 {
        let letters = ["a", "Z", "表", "é", "😀", " ", "~", "\u{7f}"];
        let special = ["\"", "\\", "\n", "\r", "\t", "\u{8}", "\u{c}", "\u{0}", "\u{1f}", "/"];
        let text: String =
            (0..length % 60).map(|_| if dice.below(12) == 0 { dice.of(&special) } else { dice.of(&letters) }).collect();
        let all = All {
            text: &text,
            letter: '"',
            numbers: (1, -1, 2, i16::MIN, 3, i32::MIN, u64::MAX, i64::MIN, u128::MAX, i128::MIN),
            fractions: [0.1, -0.0, 1e300, f64::NAN, f64::INFINITY, 3.0],
            single: 0.1,
            unit: (),
            bytes: &[1, 2],
            kinds: [Kind::Plain, Kind::Of(1), Kind::With { x: -2 }, Kind::Both(3, -4)],
            wrapped: Wrapped(9),
            by_number: BTreeMap::from([(-3, true), (40, false)]),
            by_letter: BTreeMap::from([('"', None), ('b', Some(1))]),
            by_truth: BTreeMap::from([(true, ())]),
            raw: serde_json::from_str("{ \"as\" : 1.50 }").expect("JSON"),
        };
        assert_eq!(writer::write(&all).expect("text"), serde_json::to_string(&all).expect("text"));
    }
}
