//! One sale-out as the source holds it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::purpose::Purpose;
use crate::time;

#[derive(Debug, Clone)]
pub struct Document {
    fields: Map<String, Value>,
    pub purpose: Purpose,
    /// What exactly is wrong with it, for people.
    pub detail: String,
    /// Written with `\u` escapes, as some vendor libraries do.
    escaped: bool,
    pub version: u32,

    // Read from `fields` whenever they change.
    pub io_id: String,
    pub o_id: String,
    pub so_id: String,
    pub shop_id: String,
    pub wms_co_id: String,
    pub status: String,
    pub modified: Timestamp,
    pub io_date: Option<Timestamp>,
    pub row_version: i64,
    pub body: String,
}

impl Document {
    pub fn new(fields: Map<String, Value>, purpose: Purpose, detail: &str, escaped: bool) -> Self {
        let mut document = Self {
            fields,
            purpose,
            detail: detail.to_owned(),
            escaped,
            version: 1,
            io_id: String::new(),
            o_id: String::new(),
            so_id: String::new(),
            shop_id: String::new(),
            wms_co_id: String::new(),
            status: String::new(),
            modified: Timestamp::UNIX_EPOCH,
            io_date: None,
            row_version: 0,
            body: String::new(),
        };
        document.refresh();
        document
    }

    /// A later version: the fields change, the row version grows.
    pub fn change(&mut self, fields: &Map<String, Value>, modified: Timestamp, row_version: i64) {
        self.fields.insert("modified".to_owned(), Value::from(time::format(modified)));
        for (name, value) in fields {
            self.fields.insert(name.clone(), value.clone());
        }
        self.fields.insert("ts".to_owned(), Value::from(row_version));
        self.version += 1;
        self.refresh();
    }

    /// Takes a field away altogether.
    pub fn remove(&mut self, name: &str) {
        self.fields.remove(name);
        self.refresh();
    }

    pub fn is_cancelled(&self) -> bool {
        self.status == "Cancelled"
    }

    fn refresh(&mut self) {
        self.io_id = text_of(&self.fields, "io_id");
        self.o_id = text_of(&self.fields, "o_id");
        self.so_id = text_of(&self.fields, "so_id");
        self.shop_id = text_of(&self.fields, "shop_id");
        self.wms_co_id = text_of(&self.fields, "wms_co_id");
        self.status = text_of(&self.fields, "status");
        // A document put in without a readable time never falls into a window; only its id finds it.
        self.modified = time::parse(&text_of(&self.fields, "modified")).unwrap_or(Timestamp::MIN);
        self.io_date = time::parse(&text_of(&self.fields, "io_date"));
        self.row_version = text_of(&self.fields, "ts").parse().unwrap_or(0);
        self.body = Value::Object(self.fields.clone()).to_string();
        if self.escaped {
            self.body = escape(&self.body);
        }
    }
}

fn text_of(fields: &Map<String, Value>, name: &str) -> String {
    match fields.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len() * 2);
    for character in json.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_reads_back_as_the_same_text() {
        let json = r#"{"name":"红色 🎁 \"x\""}"#;
        let escaped = escape(json);
        assert!(escaped.is_ascii());
        let (a, b): (Value, Value) =
            (serde_json::from_str(json).expect("json"), serde_json::from_str(&escaped).expect("json"));
        assert_eq!(a, b);
    }

    #[test]
    fn numbers_keep_the_text_they_were_written_with() {
        let fields = serde_json::from_str(r#"{"io_id":7,"pay_amount":12.50,"modified":"2026-01-15 10:30:00"}"#);
        let document = Document::new(fields.expect("json"), Purpose::Given, "", false);
        assert!(document.body.contains(r#""pay_amount":12.50"#), "{}", document.body);
    }
}
