//! The document as the source serves it, reduced to the fields that are used. A field without `Option` is required: where
//! it is missing, `null` or of another type, the document is rejected and the rejection names the field.
#![allow(dead_code)] // Fields that this mapping does not use yet; delete them, or this line once all are used.

use crossdock_guest::{Date, Decimal, Outcome, Text, day};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Source<'a> {
    /// The document's key.
    #[serde(borrow, rename = "key")]
    pub number: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(deserialize_with = "day")]
    pub date: Date,
    #[serde(borrow)]
    pub warehouse: Text<'a>,
    #[serde(borrow)]
    pub remark: Option<Text<'a>>,
    #[serde(borrow)]
    pub lines: Vec<Line<'a>>,
}

#[derive(Deserialize)]
pub struct Line<'a> {
    #[serde(borrow)]
    pub code: Text<'a>,
    pub quantity: Decimal,
    pub price: Decimal,
}

/// Where the list of lines, and the code of one, stand in the document.
pub const LINES: &str = "/lines";
pub const CODE: &str = "code";

impl Source<'_> {
    /// Why there is nothing to write yet.
    pub fn not_done(&self) -> Option<Outcome> {
        let status = self.status.as_str();
        (status != "done").then(|| Outcome::skip("not_done", format!("the status is {status}"), Some("/status")))
    }
}
