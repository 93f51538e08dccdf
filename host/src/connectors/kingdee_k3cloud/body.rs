//! A bill's text, looked into without being rewritten.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::model::TargetKey;

/// The members of a JSON object in their order, each value as the text it was.
pub struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Members)
    }
}

impl<'a> Members<'a> {
    pub fn parse(text: &'a str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
    }

    /// The member of this name, whatever its case: the site does not mind the case either.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).count()
    }
}

/// The bill's number. A body that names a bill by its internal id is refused: the id belongs to the host, and with one
/// a module could write over any bill of the account.
pub fn key_of(body: &str, key_field: &str) -> Result<TargetKey, String> {
    let members = Members::parse(body)?;
    if members.get("FID").is_some() {
        return Err("the body carries FID, which only the host may set".into());
    }
    match members.count(key_field) {
        0 => return Err(format!("the body has no {key_field}")),
        1 => {}
        _ => return Err(format!("the body has {key_field} more than once")),
    }
    let raw = members.get(key_field).map_or("", |raw| raw.get());
    let text: String = serde_json::from_str(raw).map_err(|_| format!("{key_field} is not text"))?;
    // The site stores numbers without blanks around them and would not be found under this one again.
    if text.trim() != text {
        return Err(format!("{key_field} begins or ends with a blank"));
    }
    TargetKey::new(&text).map_err(|error| format!("{key_field}: {error}"))
}

/// The body as an update of the bill `id`, otherwise byte for byte.
pub fn with_id(body: &str, id: u64) -> Result<String, String> {
    let members = Members::parse(body)?;
    if members.get("FID").is_some() {
        return Err("the body carries FID, which only the host may set".into());
    }
    let rest = body.trim_start().strip_prefix('{').unwrap_or("}");
    let comma = if members.0.is_empty() { "" } else { "," };
    Ok(format!("{{\"FID\":{id}{comma}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_bills_number_and_nothing_else() {
        assert_eq!(key_of(r#"{"FDate":"x","FBillNo":"A1"}"#, "FBillNo").unwrap().as_str(), "A1");
        for bad in [
            "[]",
            "{}",
            r#"{"FBillNo":1}"#,
            r#"{"FBillNo":""}"#,
            r#"{"FBillNo":" A"}"#,
            r#"{"FBillNo":"A","FBILLNO":"B"}"#,
            r#"{"FBillNo":"A","FBillNo":"B"}"#,
            r#"{"FBillNo":"A","FID":7}"#,
            r#"{"FBillNo":"A","fid":"7"}"#,
            r#"{"FBillNo":"A","FID":0}"#,
            r#"{"FBillNo":"A"} x"#,
        ] {
            assert!(key_of(bad, "FBillNo").is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn an_update_keeps_every_other_byte() {
        let body = " {\"FBillNo\":\"A\", \"FQty\": 1.10e2}";
        assert_eq!(with_id(body, 7).unwrap(), "{\"FID\":7,\"FBillNo\":\"A\", \"FQty\": 1.10e2}");
        assert_eq!(with_id("{}", 7).unwrap(), "{\"FID\":7}");
        assert!(with_id("{\"FID\":0}", 7).is_err());
    }
}
