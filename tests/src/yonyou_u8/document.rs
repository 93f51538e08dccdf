//! One sale-out as the source holds it: every value a text, numbers too.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::purpose::Purpose;
use crate::time;

#[derive(Debug, Clone)]
pub struct Document {
    /// All fields, `entry` among them.
    fields: Map<String, Value>,
    pub purpose: Purpose,
    pub detail: String,
    pub version: u32,
    pub code: String,
    pub date: Option<Date>,
    /// `None` as long as nobody has audited it.
    pub audit_date: Option<Date>,
    pub body: String,
    /// The body without the lines.
    pub head: String,
}

impl Document {
    pub fn new(fields: Map<String, Value>, purpose: Purpose, detail: &str) -> Self {
        let mut document = Self {
            fields,
            purpose,
            detail: detail.to_owned(),
            version: 1,
            code: String::new(),
            date: None,
            audit_date: None,
            body: String::new(),
            head: String::new(),
        };
        document.refresh();
        document
    }

    /// A later version; `timestamp` is U8's own row version.
    pub fn change(&mut self, set: &Map<String, Value>, remove: &[String], timestamp: &str) {
        self.fields.insert("timestamp".to_owned(), json!(timestamp));
        for (name, value) in set {
            self.fields.insert(name.clone(), value.clone());
        }
        for name in remove {
            self.fields.shift_remove(name);
        }
        self.version += 1;
        self.refresh();
    }

    fn refresh(&mut self) {
        self.code = self.text("code").to_owned();
        self.date = time::parse_date(self.text("date"));
        self.audit_date = time::parse_date(self.text("auditdate"));
        self.body = Value::Object(self.fields.clone()).to_string();
        let mut head = self.fields.clone();
        head.shift_remove("entry");
        self.head = Value::Object(head).to_string();
    }

    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn facts(&self) -> Map<String, Value> {
        let facts = json!({
            "key": self.code, "code": self.code, "version": self.version, "date": self.text("date"),
            "auditdate": self.text("auditdate"), "audited": self.audit_date.is_some(), "cancelled": false,
            "timestamp": self.text("timestamp"), "purpose": self.purpose.text(), "detail": self.detail,
            "head": self.head, "body": self.body,
        });
        let Value::Object(facts) = facts else { return Map::new() };
        facts
    }
}
