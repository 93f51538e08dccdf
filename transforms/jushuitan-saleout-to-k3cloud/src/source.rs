//! A sale-out as Jushuitan serves it, reduced to the fields that the bill needs. Over Qimen money comes as a string and
//! natively as a number; identifiers come as either.

use crossdock_guest::{DateTime, Decimal, Text, blank_as_none};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct SaleOut<'a> {
    #[serde(borrow)]
    pub io_id: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub shop_id: Text<'a>,
    /// When the goods left, in the vendor's local time.
    pub io_date: DateTime,
    /// The warehouse company.
    #[serde(borrow)]
    pub wms_co_id: Text<'a>,
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
    #[serde(borrow)]
    pub items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
pub struct Item<'a> {
    #[serde(borrow)]
    pub sku_id: Text<'a>,
    pub qty: Decimal,
    pub sale_price: Decimal,
}

/// The one field that decides whether anything needs to be written.
#[derive(Deserialize)]
pub struct Status<'a> {
    #[serde(borrow)]
    pub status: Text<'a>,
}

impl SaleOut<'_> {
    pub fn status(&self) -> Status<'_> {
        Status { status: self.status.as_str().into() }
    }

    pub fn distributor(&self) -> Option<&str> {
        self.drp_co_id_from.as_ref().filter(|distributor| !distributor.is_blank()).map(|text| text.as_str())
    }
}
