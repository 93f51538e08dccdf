//! A credential that prints as nothing.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use zeroize::Zeroizing;

/// A password, key or token. It is wiped when dropped, prints as `***`, and cannot be serialised, so that the only way
/// to leak one is to write [`Secret::expose`] somewhere a reviewer can see it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }
    /// The secret itself: for a signature or a request, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// `text` with every occurrence of the secret blanked: some vendors quote the request in their error pages.
    pub fn blank_in(&self, text: &str) -> String {
        // A text this short would blank ordinary words and tell by the gaps what the secret is.
        const SHORTEST_BLANKED: usize = 4;
        if self.0.len() < SHORTEST_BLANKED { text.to_owned() } else { text.replace(self.expose(), "***") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        // The default refusals quote the value they refuse, and the value is the secret: an all-digit key written
        // without quotes would stand in the error message. Each kind is refused here in the same blank words.
        fn not_text<E: de::Error>() -> E {
            E::custom("a secret must be text in quotes")
        }
        impl<'de> Visitor<'de> for Text {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret as text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
                Err(not_text())
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(not_text())
            }
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(not_text())
            }
            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(not_text())
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
                Err(not_text())
            }
            fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
                Err(not_text())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Holder {
        key: Secret,
    }

    #[test]
    fn prints_as_nothing_wherever_it_is_printed() {
        let holder: Holder = toml::from_str("key = \"topsecret\"").unwrap();
        assert_eq!(holder.key.expose(), "topsecret");
        for print in [format!("{holder:?}"), format!("{:#?}", holder.key), format!("{}", holder.key)] {
            assert!(!print.contains("topsecret"), "{print}");
            assert!(print.contains("***"), "{print}");
        }
    }

    #[test]
    fn a_secret_of_the_wrong_kind_is_refused_without_being_quoted() {
        for bad in ["key = 987654321", "key = 98765.4321", "key = [\"987654321\"]", "key = { a = \"987654321\" }"] {
            let error = toml::from_str::<toml::Table>(bad).unwrap().try_into::<Holder>().unwrap_err().to_string();
            assert!(!error.contains("98765"), "{error}");
            assert!(error.contains("a secret must be text"), "{error}");
        }
    }

    #[test]
    fn is_blanked_in_a_text_that_quotes_it() {
        assert_eq!(Secret::new("topsecret").blank_in("pwd=topsecret&x"), "pwd=***&x");
        assert_eq!(Secret::new("a").blank_in("banana"), "banana");
    }
}
