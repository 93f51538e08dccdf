//! The envelopes of two generations and of the gateway before them.

use serde_json::{Value, json};

/// HTTP status of everything the gateway itself refuses.
const GATEWAY_STATUS: u16 = 519;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: u16,
    pub code: u32,
    pub description: String,
    pub description_cn: Option<String>,
}

impl Failure {
    pub fn new(status: u16, code: u32, description: &str, description_cn: Option<&str>) -> Self {
        let description_cn = description_cn.map(str::to_owned);
        Self { status, code, description: description.to_owned(), description_cn }
    }

    pub fn gateway(code: u32, english: &str, chinese: &str) -> Self {
        Self::new(GATEWAY_STATUS, code, english, Some(chinese))
    }

    /// Refused by the system behind the gateway, with HTTP 200.
    pub fn business(code: u32, text: &str) -> Self {
        Self::new(200, code, text, None)
    }

    pub fn json(&self, first_generation: bool) -> Value {
        if first_generation && self.status == 200 {
            return json!({"success": false, "errorCode": self.code, "message": self.description, "data": null});
        }
        let mut answer = json!({"errcode": self.code, "description": self.description});
        if let Some(chinese) = &self.description_cn {
            answer["description_cn"] = json!(chinese);
        }
        answer
    }
}

pub fn success(first_generation: bool, data: Value) -> Value {
    if first_generation {
        return json!({"success": true, "errorCode": 0, "data": data});
    }
    json!({"errcode": 0, "description": "success", "data": data})
}
