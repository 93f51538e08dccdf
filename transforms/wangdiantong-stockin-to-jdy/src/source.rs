//! A stock-in order as WangDianTong serves it, reduced to the fields that the gain bill needs. Scalars come mostly as
//! strings (`"5.0000"`, `"80"`), what is missing as `null`.

use crossdock_guest::{Date, Decimal, Field, Text, day_or_none};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct StockIn<'a> {
    #[serde(borrow)]
    pub stockin_no: Text<'a>,
    #[serde(borrow)]
    pub order_type: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    /// The number of the document above it: the stock-take's.
    #[serde(borrow)]
    pub src_order_no: Option<Text<'a>>,
    #[serde(borrow)]
    pub warehouse_no: Text<'a>,
    /// When it was audited, which is when the goods came in.
    #[serde(default, deserialize_with = "day_or_none")]
    pub check_time: Option<Date>,
    #[serde(default, deserialize_with = "day_or_none")]
    pub created_time: Option<Date>,
    #[serde(borrow)]
    pub details_list: Vec<Detail<'a>>,
}

/// A line. Only one with a surplus needs its goods and its unit.
#[derive(Deserialize)]
pub struct Detail<'a> {
    pub goods_count: Decimal,
    #[serde(borrow, default)]
    pub spec_no: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub goods_unit: Field<Text<'a>>,
}

/// The two fields that decide whether anything needs to be written.
#[derive(Deserialize)]
pub struct Kind<'a> {
    #[serde(borrow)]
    pub order_type: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
}

impl StockIn<'_> {
    pub fn kind(&self) -> Kind<'_> {
        Kind { order_type: self.order_type.as_str().into(), status: self.status.as_str().into() }
    }

    /// The stock-take's number, or the stock-in's own where no stock-take is named.
    pub fn number(&self) -> &str {
        let stock_take = self.src_order_no.as_ref().filter(|number| !number.is_blank());
        stock_take.unwrap_or(&self.stockin_no).as_str()
    }
}

impl Detail<'_> {
    pub fn is_surplus(&self) -> bool {
        self.goods_count.is_positive()
    }
}
