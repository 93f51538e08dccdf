//! One emitted trade, `{"shop_no": …, "trade": {…}}`, looked into without being rewritten.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::TargetKey;

/// Nothing else belongs into a body: what the connector would not send must not look as if it were.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    shop_no: String,
    #[serde(borrow)]
    trade: &'a RawValue,
}

/// The fields of a trade that the connector itself needs.
#[derive(Deserialize)]
struct Head {
    tid: String,
    buyer_nick: Option<String>,
}

/// The vendor's column is this wide.
const TID_LIMIT_CHARS: usize = 40;

#[derive(Debug)]
pub struct Trade<'a> {
    pub shop_no: String,
    pub tid: TargetKey,
    /// Empty where the trade has none; the vendor has its own word on that.
    pub buyer_nick: String,
    text: &'a str,
}

impl<'a> Trade<'a> {
    pub fn parse(body: &'a str) -> Result<Self, String> {
        // An array would be taken for an object whose members stand in order.
        let object = |text: &str| text.trim_start().starts_with('{');
        if !object(body) {
            return Err("the body is not an object of shop_no and trade".into());
        }
        let Body { shop_no, trade } =
            serde_json::from_str(body).map_err(|error| format!("not an object of shop_no and trade: {error}"))?;
        if !object(trade.get()) {
            return Err("trade is not an object".into());
        }
        let head: Head = serde_json::from_str(trade.get()).map_err(|error| format!("trade: {error}"))?;
        // One of the vendor's clients takes a value that begins with @ for a file.
        if shop_no.is_empty() || shop_no.starts_with('@') || is_padded(&shop_no) {
            return Err("shop_no is empty, padded, or begins with @".into());
        }
        if is_padded(&head.tid) {
            return Err("tid begins or ends with a blank".into());
        }
        if head.tid.chars().count() > TID_LIMIT_CHARS {
            return Err(format!("tid is longer than {TID_LIMIT_CHARS} characters"));
        }
        let tid = TargetKey::new(&head.tid).map_err(|error| format!("tid: {error}"))?;
        Ok(Self { shop_no, tid, buyer_nick: head.buyer_nick.unwrap_or_default(), text: trade.get() })
    }

    /// The trade as the module wrote it.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The trade's own text, in ASCII: some of the vendor's implementations count characters and others bytes, and
    /// escapes make the two the same. Everything else, numbers above all, stays as the module wrote it.
    pub fn push_ascii(&self, out: &mut String) {
        for c in self.text.chars() {
            if c.is_ascii() {
                out.push(c);
                continue;
            }
            // Outside a string no JSON has such a character.
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

fn is_padded(text: &str) -> bool {
    text.trim() != text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_tid_and_nothing_else_is_taken() {
        let trade = Trade::parse(r#"{"shop_no":"S","trade":{"tid":"T1","buyer_nick":"张"}}"#).unwrap();
        assert_eq!((trade.tid.as_str(), trade.shop_no.as_str(), trade.buyer_nick.as_str()), ("T1", "S", "张"));
        for bad in [
            "{}",
            r#"["S",{"tid":"T1"}]"#,
            r#"{"shop_no":"S","trade":["T1","x"]}"#,
            r#"{"shop_no":"S","trade":{}}"#,
            r#"{"shop_no":"S","trade":{"tid":7}}"#,
            r#"{"shop_no":"S","trade":{"tid":""}}"#,
            r#"{"shop_no":"S","trade":{"tid":" T"}}"#,
            r#"{"shop_no":"S","trade":{"tid":"T","tid":"U"}}"#,
            r#"{"shop_no":"","trade":{"tid":"T"}}"#,
            r#"{"shop_no":"@S","trade":{"tid":"T"}}"#,
            r#"{"shop_no":"S","trade":{"tid":"T"},"switch":0}"#,
            r#"{"shop_no":"S","trade":{"tid":"T"}} x"#,
        ] {
            assert!(Trade::parse(bad).is_err(), "{bad} was taken");
        }
        let long = |length: usize| format!(r#"{{"shop_no":"S","trade":{{"tid":"{}"}}}}"#, "单".repeat(length));
        assert!(Trade::parse(&long(40)).is_ok());
        assert!(Trade::parse(&long(41)).is_err());
    }

    #[test]
    fn only_what_is_not_ascii_is_rewritten_and_means_the_same() {
        let text = "{\"tid\": \"T\",\n \"price\":1.50e0, \"paid\":0.10,\"receiver_name\":\"张\\\"三😀é\"}";
        let body = format!("{{\"shop_no\":\"S\",\"trade\": {text} }}");
        let mut ascii = String::new();
        Trade::parse(&body).unwrap().push_ascii(&mut ascii);
        assert_eq!(
            ascii,
            "{\"tid\": \"T\",\n \"price\":1.50e0, \"paid\":0.10,\"receiver_name\":\"\\u5f20\\\"\\u4e09\\ud83d\\ude00\\u00e9\"}"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&ascii), value(text));
    }
}
