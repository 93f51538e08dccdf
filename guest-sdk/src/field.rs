//! A field whose absence means something else than its null.

use serde::{Deserialize, Deserializer};

use crate::Rejection;

/// Distinguishes a field that is not there from one that is `null`; `Option` reads both as `None`.
/// Needs `#[serde(default)]` on the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field<T> {
    #[default]
    /// The field is not there.
    Missing,
    /// The field is `null`.
    Null,
    /// The field has a value.
    Value(T),
}

impl<T> Field<T> {
    /// The value, where there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Field::Value(value) => Some(value),
            Field::Missing | Field::Null => None,
        }
    }

    /// The value, or a rejection `field_missing` or `field_null` that names `field`, a JSON Pointer. For a field that
    /// is required only in some documents or rows, which its type therefore cannot ask for.
    pub fn required(&self, field: &str) -> Result<&T, Rejection> {
        match self {
            Field::Value(value) => Ok(value),
            Field::Missing => Err(Rejection::missing(field)),
            Field::Null => Err(Rejection::null(field)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Field::Null, Field::Value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decimal;

    #[test]
    fn tells_missing_from_null_from_a_value() {
        #[derive(Deserialize)]
        struct Row {
            #[serde(default)]
            qty: Field<Decimal>,
        }
        let read = |json: &str| serde_json::from_str::<Row>(json).expect(json).qty;
        assert_eq!(read("{}"), Field::Missing);
        assert_eq!(read(r#"{"qty":null}"#), Field::Null);
        assert_eq!(read(r#"{"qty":"2"}"#), Field::Value(2.into()));
        assert_eq!(read(r#"{"qty":"2"}"#).required("/qty"), Ok(&2.into()));
        for (json, code) in [("{}", "field_missing"), (r#"{"qty":null}"#, "field_null")] {
            let why = read(json).required("/qty").expect_err(json);
            assert_eq!((why.code(), why.field()), (code, Some("/qty")));
        }
    }
}
