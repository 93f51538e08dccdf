//! Text that some vendors write as a string and others as a number.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Rejection;
use crate::json::raw::Raw;

/// A string, or a number's digits as written: `"166001"` and `166001` read the same. Refuses `null`, booleans, objects
/// and arrays; `Option<Text>` reads `null` and a missing field as `None`. Writes a JSON string.
///
/// It must be a field of its own struct: serde's `flatten` and `untagged` read numbers as floating point first, so
/// [`Text`] and [`Decimal`](crate::Decimal) refuse to be read through them.
///
/// Borrows from the document where it can. In a struct it needs `#[serde(borrow)]`; `Text<'static>` together with
/// [`Text::into_owned`] is the way to keep one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// The text as it was written, without quotes and with escapes resolved.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for an empty text and for one of white space only.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The text, or a rejection `field_blank` that names `field`, a JSON Pointer.
    pub fn required(&self, field: &str) -> Result<&str, Rejection> {
        if self.is_blank() {
            return Err(Rejection::blank(field));
        }
        Ok(&self.0)
    }

    /// The same text, independent of the document it was read from.
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        let text = raw.get();
        let unexpected = match text.as_bytes().first() {
            Some(b'"') => return raw.unquoted().map(Self).map_err(|_| D::Error::custom("is not valid text")),
            Some(b'-' | b'0'..=b'9') => return Ok(Self(Cow::Borrowed(text))),
            Some(b'{') => Unexpected::Map,
            Some(b'[') => Unexpected::Seq,
            Some(b'n') => Unexpected::Unit,
            _ => Unexpected::Bool(text == "true"),
        };
        Err(D::Error::invalid_type(unexpected, &"a string or a number"))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_and_a_number_read_the_same_digits() {
        for (json, text) in [
            ("166001", "166001"),
            ("\"166001\"", "166001"),
            ("1.50", "1.50"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("\"\"", ""),
            (r#""a \"b\" 😀 \ud83d\ude00\n""#, "a \"b\" 😀 😀\n"),
        ] {
            assert_eq!(serde_json::from_str::<Text<'_>>(json).expect(json), text);
        }
    }

    #[test]
    fn refuses_what_is_neither() {
        for json in ["null", "true", "[]", "{}", r#""\ud83d""#] {
            assert!(serde_json::from_str::<Text<'_>>(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::from_str::<Option<Text<'_>>>("null").expect("an option"), None);
    }

    #[test]
    fn a_blank_text_is_named_where_it_is_required() {
        let why = Text::from(" \t").required("/no").expect_err("blank");
        assert_eq!((why.code(), why.field()), ("field_blank", Some("/no")));
        assert_eq!(Text::from("x").required("/no").expect("text"), "x");
    }
}
