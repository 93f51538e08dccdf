//! A sale-out as U8 (用友U8) serves it, reduced to the fields that a bill usually needs. Every number comes as a string.
//! User-defined fields (`define1` …) have the meaning that the user gave them. A field without `Option` is required: where
//! it is missing, `null` or of another type, the document is rejected and the rejection names the field.
#![allow(dead_code)] // Fields that this mapping does not use yet; delete them, or this line once all are used.

use crossdock_guest::{Date, Decimal, Outcome, Text, day};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Source<'a> {
    /// The document's key.
    #[serde(borrow, rename = "code")]
    pub number: Text<'a>,
    #[serde(deserialize_with = "day")]
    pub date: Date,
    #[serde(borrow, rename = "warehousecode")]
    pub warehouse: Text<'a>,
    #[serde(borrow)]
    pub departmentcode: Option<Text<'a>>,
    #[serde(borrow)]
    pub customercode: Option<Text<'a>>,
    #[serde(borrow)]
    pub customername: Option<Text<'a>>,
    /// The day of its audit; blank before.
    #[serde(borrow)]
    pub auditdate: Option<Text<'a>>,
    #[serde(borrow, rename = "memory")]
    pub remark: Option<Text<'a>>,
    /// One client's model of the list says `tentry`; the vendor's pages say `entry`.
    #[serde(borrow, rename = "entry", alias = "tentry")]
    pub lines: Vec<Line<'a>>,
}

#[derive(Deserialize)]
pub struct Line<'a> {
    #[serde(borrow)]
    pub rowno: Text<'a>,
    #[serde(borrow, rename = "inventorycode")]
    pub code: Text<'a>,
    pub quantity: Decimal,
    /// U8's own price is often the cost; a user-defined field may hold the sale's.
    pub price: Decimal,
}

/// Where the list of lines, and the code of one, stand in the document.
pub const LINES: &str = "/entry";
pub const CODE: &str = "inventorycode";

impl Source<'_> {
    /// Why there is nothing to write: a sale-out counts once it is audited.
    pub fn not_done(&self) -> Option<Outcome> {
        let audited = self.auditdate.as_ref().is_some_and(|day| !day.is_blank());
        (!audited).then(|| Outcome::skip("not_done", "the sale-out is not audited", Some("/auditdate")))
    }
}
