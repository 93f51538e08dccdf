//! One stock-in as the source holds it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::purpose::Purpose;
use crate::time;

#[derive(Debug, Clone)]
pub struct Document {
    fields: Map<String, Value>,
    pub purpose: Purpose,
    /// What exactly is wrong with it, for people.
    pub detail: String,
    pub version: u32,
    pub modified: Timestamp,
    pub body: String,
}

impl Document {
    pub fn new(fields: Map<String, Value>, purpose: Purpose, detail: &str) -> Self {
        let mut document = Self {
            fields,
            purpose,
            detail: detail.to_owned(),
            version: 1,
            modified: Timestamp::MIN,
            body: String::new(),
        };
        document.refresh();
        document
    }

    pub fn change(&mut self, fields: &Map<String, Value>, remove: &[String], modified: Timestamp) {
        self.fields.insert("modified".to_owned(), json!(time::format(modified)));
        for (name, value) in fields {
            self.fields.insert(name.clone(), value.clone());
        }
        for name in remove {
            self.fields.shift_remove(name);
        }
        self.version += 1;
        self.refresh();
    }

    fn refresh(&mut self) {
        // A document put in without a readable time never falls into a window; only its number finds it.
        self.modified = time::parse(&self.text("modified")).unwrap_or(Timestamp::MIN);
        self.body = Value::Object(self.fields.clone()).to_string();
    }

    /// A field as text, whether it is written as text or as a number.
    pub fn text(&self, name: &str) -> String {
        match self.fields.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// The status of a cancelled stock-in is 10.
    pub fn is_cancelled(&self) -> bool {
        self.text("status") == "10"
    }

    pub fn facts(&self) -> Map<String, Value> {
        let facts = json!({
            "key": self.text("stockin_no"), "stockin_no": self.text("stockin_no"), "version": self.version,
            "modified": self.text("modified"), "status": self.text("status"), "order_type": self.text("order_type"),
            "cancelled": self.is_cancelled(), "purpose": self.purpose.text(), "detail": self.detail, "body": self.body,
        });
        let Value::Object(facts) = facts else { return Map::new() };
        facts
    }
}
