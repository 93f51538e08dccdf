//! What a vendor's folder has to offer.

use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::fault::{FaultName, Matched};
use crate::request::{Reply, Request};

/// What surrounds one request.
pub struct Turn<'a> {
    pub now: Timestamp,
    /// The clock that signatures are judged by; differs from `now` under the fault `clock_skew`.
    pub judged_by: Timestamp,
    pub faults: &'a Matched,
    pub chance: &'a mut ChaCha8Rng,
}

impl Turn<'_> {
    pub fn has(&self, name: FaultName) -> bool {
        self.faults.get(name).is_some()
    }
}

/// One vendor's system. `answer` is the only method that changes what the system holds on behalf of a client.
pub trait System: Send {
    fn name(&self) -> &'static str;

    /// Whether the request is this system's.
    fn claims(&self, request: &Request) -> bool;

    /// The operation as faults and counters name it. Must not fail: an unreadable request has the name `unknown`.
    fn operation(&self, request: &Request) -> String;

    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Reply;

    /// The vendor's way of saying "too many calls, wait"; for how long, it does not say where `wait_seconds` is 0.
    fn throttled(&self, request: &Request, wait_seconds: i64) -> Reply;

    /// The vendor's way of refusing a request as a whole, with HTTP 200.
    fn refused(&self, request: &Request) -> Reply;

    /// Credentials and tokens, as far as they do not come in with requests.
    fn secrets(&self) -> Vec<String>;

    /// Address and credentials, for the line that tells of readiness.
    fn ready(&self, origin: &str) -> Value;

    /// Every version of every document that left this system; `None` where it is no source.
    fn served(&self) -> Option<Value> {
        None
    }

    /// Everything this system holds; `None` where it is no target.
    fn held(&self) -> Option<Value> {
        None
    }

    /// What the source has and what each document is made to provoke.
    fn documents(&self) -> Option<Value> {
        None
    }

    /// Adds or changes a document.
    fn put_document(&mut self, _order: &Value, _now: Timestamp) -> Result<Value, String> {
        Err(format!("{} has no documents to change", self.name()))
    }
}

/// An order to change a source's documents.
pub enum Change {
    Add(Map<String, Value>),
    Alter { key: String, set: Map<String, Value>, remove: Vec<String> },
}

impl Change {
    /// `{"body": {…}}`, or the document's key with `set` and `remove`.
    pub fn read(order: &Value, key_name: &str) -> Result<Self, String> {
        let object = |name: &str| match &order[name] {
            Value::Null => Ok(None),
            Value::Object(fields) => Ok(Some(fields.clone())),
            _ => Err(format!("{name} must be an object")),
        };
        match (object("body")?, &order[key_name]) {
            (Some(body), Value::Null) => Ok(Self::Add(body)),
            (None, Value::String(_) | Value::Number(_)) => {
                let key = order[key_name].as_str().map_or_else(|| order[key_name].to_string(), str::to_owned);
                let names = if order["remove"].is_null() { json!([]) } else { order["remove"].clone() };
                let remove = serde_json::from_value(names).map_err(|_| "remove must be a list of names".to_owned())?;
                Ok(Self::Alter { key, set: object("set")?.unwrap_or_default(), remove })
            }
            _ => Err(format!("give either body (a new document) or {key_name} with set and remove")),
        }
    }
}
