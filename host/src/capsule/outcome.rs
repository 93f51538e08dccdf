//! What came of a document, as a capsule keeps it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::{self, Reason, TargetDocument};
use crate::sandbox::Error;

/// A module's outcome, or the fault that the run ended in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Emit(Vec<TargetDocument>),
    Skip(Reason),
    Reject(Reason),
    Fault { code: String, message: String },
}

impl From<&Result<model::Outcome, Error>> for Outcome {
    fn from(verdict: &Result<model::Outcome, Error>) -> Self {
        match verdict {
            Ok(model::Outcome::Emit(bills)) => Outcome::Emit(bills.clone()),
            Ok(model::Outcome::Skip(why)) => Outcome::Skip(why.clone()),
            Ok(model::Outcome::Reject(why)) => Outcome::Reject(why.clone()),
            Err(error) => {
                let fault = error.fault();
                Outcome::Fault { code: fault.code.as_str().into(), message: fault.message }
            }
        }
    }
}

#[derive(Serialize)]
struct Bill<'a> {
    key: &'a str,
    body: &'a RawValue,
}

impl Outcome {
    /// Every place where two outcomes differ by value, as JSON Pointers below `/emit`, `/skip`, `/reject` or `/fault`.
    pub fn differences(&self, found: &Outcome) -> Vec<crossdock_guest::testing::Difference> {
        crossdock_guest::testing::differences(&self.comparable(), &found.comparable())
    }

    /// With bodies as JSON, so that what differs has a place in them.
    fn comparable(&self) -> String {
        let json = match self {
            Outcome::Emit(bills) => {
                let bill = |bill: &'_ TargetDocument| -> serde_json::Result<String> {
                    let body: &RawValue = serde_json::from_str(&bill.body)?;
                    serde_json::to_string(&Bill { key: bill.key.as_str(), body })
                };
                match bills.iter().map(bill).collect::<serde_json::Result<Vec<String>>>() {
                    Ok(bills) => Ok(format!("{{\"emit\":[{}]}}", bills.join(","))),
                    // A body that is no JSON is compared as the text that it is.
                    Err(_) => serde_json::to_string(self),
                }
            }
            // Its words may name a time that was taken.
            Outcome::Fault { code, .. } => serde_json::to_string(&serde_json::json!({ "fault": { "code": code } })),
            Outcome::Skip(_) | Outcome::Reject(_) => serde_json::to_string(self),
        };
        json.expect("an outcome is texts and JSON")
    }

    /// Whether the two are the same byte for byte. Of a fault it is the code that counts.
    pub fn is_same(&self, other: &Outcome) -> bool {
        match (self, other) {
            (Outcome::Fault { code, .. }, Outcome::Fault { code: other, .. }) => code == other,
            _ => self == other,
        }
    }
}
