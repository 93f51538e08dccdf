//! Comparing JSON by value, with numbers as decimals: `1.50` equals `1.5`, and `0.1` never meets binary floating point.
//! The order of an object's fields does not matter; the order of an array does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::value::RawValue;

use crate::{Decimal, from_str, json};

/// One place where two JSON texts differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A JSON Pointer.
    pub at: String,
    /// What the first text has there, as JSON; `None` where it has nothing.
    pub expected: Option<String>,
    /// What the second text has there, as JSON; `None` where it has nothing.
    pub found: Option<String>,
}

/// The most of a value that a difference shows.
const SHOWN_LIMIT_BYTES: usize = 300;

impl Difference {
    /// One side of it as a person reads it: cut where it is long, and `nothing` where there is none.
    pub fn shown(side: Option<&str>) -> String {
        let Some(text) = side else { return "nothing".into() };
        match text.floor_char_boundary(SHOWN_LIMIT_BYTES) {
            all if all == text.len() => text.into(),
            cut => format!("{}… ({} bytes)", &text[..cut], text.len()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [expected, found] = [&self.expected, &self.found].map(|side| Self::shown(side.as_deref()));
        write!(f, "at {:?}: expected {expected}, found {found}", self.at)
    }
}

/// Every difference, field by field; none where the two are equal. Text that is not JSON differs from everything.
pub fn differences(expected: &str, found: &str) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare("", Some(expected.trim()), Some(found.trim()), &mut differences);
    differences
}

fn compare(at: &str, expected: Option<&str>, found: Option<&str>, differences: &mut Vec<Difference>) {
    let (left, right) = (expected.and_then(Node::read), found.and_then(Node::read));
    match (left, right) {
        (Some(Node::Object(left)), Some(Node::Object(right))) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let side = |side: &BTreeMap<String, &'_ RawValue>| side.get(name).map(|raw| raw.get().to_owned());
                let (left, right) = (side(&left), side(&right));
                compare(&json::pointer(at, &[name]), left.as_deref(), right.as_deref(), differences);
            }
        }
        (Some(Node::Array(left)), Some(Node::Array(right))) => {
            for row in 0..left.len().max(right.len()) {
                let side = |side: &[&'_ RawValue]| side.get(row).map(|raw| raw.get().to_owned());
                let (left, right) = (side(&left), side(&right));
                compare(&format!("{at}/{row}"), left.as_deref(), right.as_deref(), differences);
            }
        }
        (Some(left), Some(right)) if left == right => {}
        _ => differences.push(Difference {
            at: at.into(),
            expected: expected.map(str::to_owned),
            found: found.map(str::to_owned),
        }),
    }
}

enum Node<'a> {
    Object(BTreeMap<String, &'a RawValue>),
    Array(Vec<&'a RawValue>),
    Text(String),
    Number(Decimal),
    /// A number that no [`Decimal`] holds, as it is written.
    Long(&'a str),
    /// `true`, `false` or `null`.
    Word(&'a str),
}

/// Of what has no parts.
impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Node::Number(left), Node::Number(right)) => left == right,
            (Node::Text(left), Node::Text(right)) => left == right,
            (Node::Long(left), Node::Long(right)) | (Node::Word(left), Node::Word(right)) => left == right,
            _ => false,
        }
    }
}

impl<'a> Node<'a> {
    fn read(text: &'a str) -> Option<Self> {
        Some(match text.as_bytes().first()? {
            b'{' => Node::Object(from_str(text).ok()?),
            b'[' => Node::Array(from_str(text).ok()?),
            b'"' => Node::Text(from_str(text).ok()?),
            b'-' | b'0'..=b'9' => match from_str(text) {
                Ok(number) => Node::Number(number),
                Err(why) if why.code() == "number_not_exact" => Node::Long(text),
                Err(_) => return None,
            },
            _ => Node::Word(["true", "false", "null"].into_iter().find(|word| *word == text)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_equal_however_they_are_written() {
        let long = "1".repeat(40);
        let same = [
            ("1.50", "1.5"),
            ("1e2", "100"),
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true, null ], "a" : 1.0 } "#),
            (r#""\u4e2d""#, r#""中""#),
            (&long, &long),
        ];
        for (left, right) in same {
            assert_eq!(differences(left, right), []);
        }
    }

    #[track_caller]
    fn check(left: &str, right: &str, places: &[&str]) {
        let found = differences(left, right);
        assert_eq!(found.iter().map(|difference| difference.at.as_str()).collect::<Vec<_>>(), places, "{found:?}");
    }

    #[test]
    fn finds_a_difference_that_floating_point_would_hide() {
        check(r#"{"a":[{"b":9007199254740993}]}"#, r#"{"a":[{"b":9007199254740992}]}"#, &["/a/0/b"]);
    }

    #[test]
    fn finds_every_field_that_differs() {
        let left = r#"{"a":1,"b":[{"c":1,"d/e":2},{"c":3}],"f":1}"#;
        let right = r#"{"a":1,"b":[{"c":2,"d/e":3},{"c":3},{}],"g":1}"#;
        check(left, right, &["/b/0/c", "/b/0/d~1e", "/b/2", "/f", "/g"]);
        let added = differences("[]", "[1]");
        assert_eq!(added[0].to_string(), "at \"/0\": expected nothing, found 1");
    }

    #[test]
    fn a_string_is_not_a_number_and_nothing_is_not_null() {
        check("1", "\"1\"", &[""]);
        check("null", "false", &[""]);
        check("[1]", "[1,2]", &["/1"]);
        check("{\"a\":null}", "{}", &["/a"]);
        check("{}", "{\"a\":null}", &["/a"]);
        check("x", "x", &[""]);
    }

    #[test]
    fn a_long_value_is_cut_where_it_is_shown() {
        let long = format!("\"{}\"", "单".repeat(1 << 19));
        let shown = differences(&long, "1")[0].to_string();
        assert!(shown.len() < 1_000 && shown.contains("bytes)"), "{} bytes", shown.len());
    }
}
