//! Comparing JSON by value, with numbers as decimals: `1.50` equals `1.5`, and `0.1` never meets binary floating point.
//! The order of an object's fields does not matter; the order of an array does.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use crate::{Decimal, from_str};

/// The first place where two JSON texts differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A JSON Pointer.
    pub at: String,
    /// What the first text has there.
    pub expected: String,
    /// What the second text has there.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:?}: expected {}, found {}", self.at, self.expected, self.found)
    }
}

/// The first difference, or `None` where the two are equal. Text that is not JSON differs from everything.
pub fn difference(expected: &str, found: &str) -> Option<Difference> {
    compare("", expected.trim(), found.trim())
}

fn compare(at: &str, expected: &str, found: &str) -> Option<Difference> {
    let differs = || Some(Difference { at: at.into(), expected: expected.into(), found: found.into() });
    match (Node::read(expected), Node::read(found)) {
        (Some(Node::Object(expected)), Some(Node::Object(found))) => {
            let names: std::collections::BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            names.into_iter().find_map(|name| {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                match (expected.get(name), found.get(name)) {
                    (Some(expected), Some(found)) => compare(&at, expected.get(), found.get()),
                    (expected, found) => {
                        let text = |side: Option<&&RawValue>| side.map_or("nothing".into(), |raw| raw.get().to_owned());
                        Some(Difference { at, expected: text(expected), found: text(found) })
                    }
                }
            })
        }
        (Some(Node::Array(expected)), Some(Node::Array(found))) if expected.len() == found.len() => {
            let rows = expected.iter().zip(&found).enumerate();
            rows.into_iter()
                .find_map(|(row, (expected, found))| compare(&format!("{at}/{row}"), expected.get(), found.get()))
        }
        (Some(Node::Number(expected)), Some(Node::Number(found))) if expected == found => None,
        (Some(Node::Text(expected)), Some(Node::Text(found))) if expected == found => None,
        (Some(Node::Word(expected)), Some(Node::Word(found))) if expected == found => None,
        _ => differs(),
    }
}

enum Node<'a> {
    Object(BTreeMap<String, &'a RawValue>),
    Array(Vec<&'a RawValue>),
    Text(String),
    Number(Decimal),
    /// `true`, `false` or `null`.
    Word(&'a str),
}

impl<'a> Node<'a> {
    fn read(text: &'a str) -> Option<Self> {
        Some(match text.as_bytes().first()? {
            b'{' => Node::Object(from_str(text).ok()?),
            b'[' => Node::Array(from_str(text).ok()?),
            b'"' => Node::Text(from_str(text).ok()?),
            b'-' | b'0'..=b'9' => Node::Number(from_str(text).ok()?),
            _ => Node::Word(["true", "false", "null"].into_iter().find(|word| *word == text)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_equal_however_they_are_written() {
        let same = [
            ("1.50", "1.5"),
            ("1e2", "100"),
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true, null ], "a" : 1.0 } "#),
            (r#""\u4e2d""#, r#""中""#),
        ];
        for (left, right) in same {
            assert_eq!(difference(left, right), None);
        }
    }

    #[test]
    fn finds_a_difference_that_floating_point_would_hide() {
        let found = difference(r#"{"a":[{"b":9007199254740993}]}"#, r#"{"a":[{"b":9007199254740992}]}"#);
        assert_eq!(found.expect("a difference").at, "/a/0/b");
    }

    #[test]
    fn a_string_is_not_a_number_and_nothing_is_not_null() {
        for (left, right) in [
            ("1", "\"1\""),
            ("null", "false"),
            ("[1]", "[1,2]"),
            ("{\"a\":null}", "{}"),
            ("{}", "{\"a\":null}"),
            ("x", "x"),
        ] {
            assert!(difference(left, right).is_some(), "{left} {right}");
        }
    }
}
