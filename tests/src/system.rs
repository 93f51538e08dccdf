//! What a vendor's folder has to offer.

use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

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

    /// Whether requests to this path are this system's.
    fn claims(&self, path: &str) -> bool;

    /// The operation as faults and counters name it. Must not fail: an unreadable request has the name `unknown`.
    fn operation(&self, request: &Request) -> String;

    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Reply;

    /// The vendor's way of saying "too many calls, wait".
    fn throttled(&self, request: &Request, wait_seconds: i64) -> Reply;

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
