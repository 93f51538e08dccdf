//! A sale-out as Jushuitan (聚水潭) serves it, reduced to the fields that a bill usually needs. Over Qimen money comes as a
//! string and natively as a number; identifiers come as either. A field without `Option` is required: where it is
//! missing, `null` or of another type, the document is rejected and the rejection names the field.
#![allow(dead_code)] // Fields that this mapping does not use yet; delete them, or this line once all are used.

use crossdock_guest::{Date, Decimal, Outcome, Text, blank_as_none, day};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Source<'a> {
    /// The document's key.
    #[serde(borrow, rename = "io_id")]
    pub number: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub shop_id: Text<'a>,
    /// The day on which the goods left; `DateTime` reads the time as well.
    #[serde(rename = "io_date", deserialize_with = "day")]
    pub date: Date,
    /// The warehouse company.
    #[serde(borrow, rename = "wms_co_id")]
    pub warehouse: Text<'a>,
    /// The distributor; empty for a shop's own sale.
    #[serde(borrow)]
    pub drp_co_id_from: Option<Text<'a>>,
    #[serde(borrow)]
    pub remark: Option<Text<'a>>,
    /// The platform's order number.
    #[serde(borrow)]
    pub so_id: Option<Text<'a>>,
    /// The waybill.
    #[serde(borrow)]
    pub l_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "blank_as_none")]
    pub free_amount: Option<Decimal>,
    #[serde(default, deserialize_with = "blank_as_none")]
    pub freight: Option<Decimal>,
    #[serde(borrow, rename = "items")]
    pub lines: Vec<Line<'a>>,
}

#[derive(Deserialize)]
pub struct Line<'a> {
    #[serde(borrow, rename = "sku_id")]
    pub code: Text<'a>,
    #[serde(rename = "qty")]
    pub quantity: Decimal,
    #[serde(rename = "sale_price")]
    pub price: Decimal,
}

/// Where the list of lines, and the code of one, stand in the document.
pub const LINES: &str = "/items";
pub const CODE: &str = "sku_id";

impl Source<'_> {
    /// Why there is nothing to write: only a confirmed sale-out has left the warehouse.
    pub fn not_done(&self) -> Option<Outcome> {
        let status = self.status.as_str();
        (status != "Confirmed").then(|| Outcome::skip("not_done", format!("the status is {status}"), Some("/status")))
    }
}
