//! A stock-in as WangDianTong (旺店通) serves it, reduced to the fields that a bill usually needs. Scalars come mostly as
//! strings (`"5.0000"`, `"80"`), what is missing as `null`. A field without `Option` is required: where it is missing,
//! `null` or of another type, the document is rejected and the rejection names the field.
#![allow(dead_code)] // Fields that this mapping does not use yet; delete them, or this line once all are used.

use crossdock_guest::{Date, Decimal, Outcome, Text, day, day_or_none};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Source<'a> {
    /// The document's key.
    #[serde(borrow, rename = "stockin_no")]
    pub number: Text<'a>,
    /// 4 is a stock-take surplus; 1 a purchase, 2 a transfer.
    #[serde(borrow)]
    pub order_type: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    /// The number of the document above it: the stock-take's, the purchase's.
    #[serde(borrow)]
    pub src_order_no: Option<Text<'a>>,
    #[serde(borrow, rename = "warehouse_no")]
    pub warehouse: Text<'a>,
    /// When it was audited, which is when the goods came in.
    #[serde(rename = "check_time", deserialize_with = "day")]
    pub date: Date,
    #[serde(default, deserialize_with = "day_or_none")]
    pub created_time: Option<Date>,
    #[serde(borrow)]
    pub remark: Option<Text<'a>>,
    #[serde(borrow, rename = "details_list")]
    pub lines: Vec<Line<'a>>,
}

#[derive(Deserialize)]
pub struct Line<'a> {
    #[serde(borrow, rename = "spec_no")]
    pub code: Text<'a>,
    #[serde(borrow)]
    pub goods_unit: Option<Text<'a>>,
    #[serde(rename = "goods_count")]
    pub quantity: Decimal,
    #[serde(rename = "cost_price")]
    pub price: Decimal,
}

/// Where the list of lines, and the code of one, stand in the document.
pub const LINES: &str = "/details_list";
pub const CODE: &str = "spec_no";

impl Source<'_> {
    /// Why there is nothing to write: 80 is a stock-in that is done.
    pub fn not_done(&self) -> Option<Outcome> {
        let status = self.status.as_str();
        (status != "80").then(|| Outcome::skip("not_done", format!("the status is {status}"), Some("/status")))
    }
}
