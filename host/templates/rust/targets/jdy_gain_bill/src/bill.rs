//! One gain bill (盘盈单) of JDY (金蝶云星辰), in the vendor's own spelling. The vendor wants its internal ids as text, not
//! codes. The number stands in three places, because accounts differ in which of them they keep.

use crossdock_guest::{Date, Decimal};
use serde::Serialize;

#[derive(Serialize)]
pub struct Bill<'a> {
    #[serde(rename = "billdate")]
    pub date: Date,
    #[serde(rename = "billno")]
    pub number: &'a str,
    pub remark: &'a str,
    #[serde(rename = "material_entity")]
    pub rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
pub struct Row<'a> {
    #[serde(rename = "materialid_id")]
    pub material: String,
    #[serde(rename = "stockid_id")]
    pub stock: String,
    #[serde(rename = "unit_id")]
    pub unit: String,
    #[serde(rename = "qty")]
    pub quantity: Decimal,
    #[serde(rename = "billno")]
    pub number: &'a str,
}
