//! What a request says, wherever it says it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::request::Request;

/// The scenarios' ids: generated clients put one before the method's name.
const SCENARIOS: &[&str] = &["a1q40taq0j.", "hu3cgwt0tc."];

/// Query string and form body as one: clients use every combination.
#[derive(Debug)]
pub struct Parameters(pub(super) BTreeMap<String, String>);

impl Parameters {
    pub fn merge(request: &Request) -> Self {
        let query = url::form_urlencoded::parse(request.query.as_bytes());
        let form = url::form_urlencoded::parse(&request.body);
        Self(query.chain(form).map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
    }

    /// Empty where it was not sent; the platform does not tell the two apart.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn optional(&self, name: &str) -> Option<String> {
        Some(self.get(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The method without the scenario's id; `unknown` where none was sent.
    pub fn operation(&self) -> String {
        match self.get("method") {
            "" => "unknown".to_owned(),
            method => bare_method(method).to_owned(),
        }
    }

    /// What the journal may show: these of the parameters.
    pub fn note(&self, shown: &[&str]) -> Value {
        let shown = shown.iter().filter(|name| !self.get(name).is_empty());
        Value::Object(shown.map(|&name| (name.to_owned(), json!(self.get(name)))).collect::<Map<_, _>>())
    }
}

pub fn bare_method(method: &str) -> &str {
    SCENARIOS.iter().find_map(|scenario| method.strip_prefix(scenario)).unwrap_or(method)
}
