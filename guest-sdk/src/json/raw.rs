//! The text of a value as it stands in the document: what exact types are made of.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::scan::is_plain;

/// By this name the SDK's own reader is asked for a value's text. To any other reader it is a newtype like others, and a
/// [`RawValue`] is read from what it then hands over.
pub(super) const NAME: &str = "$crossdock::Raw";

/// The text of one value, from its first byte to its last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    #[inline]
    pub fn get(self) -> &'a str {
        self.0
    }

    /// What a string says; it must be one.
    #[inline]
    pub fn unquoted(self) -> Result<Cow<'a, str>, serde_json::Error> {
        let text = unquoted(self.0);
        if is_plain(text.as_bytes()) { Ok(text.into()) } else { unescaped(self.0).map(Cow::Owned) }
    }
}

#[cold]
fn unescaped(text: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str(text)
}

/// Without the quotes.
#[inline(always)]
pub(super) fn unquoted(text: &str) -> &str {
    &text[1..text.len() - 1]
}

impl<'de> Deserialize<'de> for Raw<'de> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any valid JSON value")
            }
            #[inline]
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Raw<'de>, E> {
                Ok(Raw(text))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw<'de>, D::Error> {
                <&'de RawValue>::deserialize(deserializer).map(|raw| Raw(raw.get()))
            }
        }
        deserializer.deserialize_newtype_struct(NAME, Seen)
    }
}
