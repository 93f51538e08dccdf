//! The bill, in the target's own spelling and order. `#[serde(rename = "…")]` where a field's name is not one of Rust's.

use crossdock_guest::{Date, Decimal};
use serde::Serialize;

#[derive(Serialize)]
pub struct Bill<'a> {
    pub number: &'a str,
    pub date: Date,
    pub organisation: &'a str,
    pub stock: &'a str,
    pub rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
pub struct Row<'a> {
    pub material: &'a str,
    pub quantity: Decimal,
    pub price: Decimal,
    pub is_free: bool,
}
