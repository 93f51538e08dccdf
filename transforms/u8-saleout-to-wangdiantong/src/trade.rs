//! One trade for `wdt.trade.push`, with the shop it is pushed to, in the vendor's own spelling.

use crossdock_guest::{DateTime, Decimal, Text};
use serde::Serialize;

/// The body of one bill: the connector gathers the trades of one shop into a request.
#[derive(Serialize)]
pub struct Push<'a> {
    pub shop_no: &'a str,
    pub trade: Trade<'a>,
}

#[derive(Serialize)]
pub struct Trade<'a> {
    pub tid: &'a str,
    pub trade_status: u8,
    pub pay_status: u8,
    pub delivery_term: u8,
    pub trade_time: DateTime,
    pub pay_time: DateTime,
    pub buyer_nick: &'a str,
    #[serde(flatten)]
    pub receiver: Receiver<'a>,
    pub warehouse_no: &'a str,
    pub post_amount: Decimal,
    pub cod_amount: Decimal,
    pub ext_cod_fee: Decimal,
    pub other_amount: Decimal,
    pub paid: Decimal,
    #[serde(rename = "order_list")]
    pub orders: Vec<Order<'a>>,
}

/// Where the goods go. Without a region the vendor parses the address.
#[derive(Serialize)]
pub struct Receiver<'a> {
    #[serde(rename = "receiver_name")]
    pub name: Text<'a>,
    #[serde(rename = "receiver_province", skip_serializing_if = "Option::is_none")]
    pub province: Option<Text<'a>>,
    #[serde(rename = "receiver_city", skip_serializing_if = "Option::is_none")]
    pub city: Option<Text<'a>>,
    #[serde(rename = "receiver_district", skip_serializing_if = "Option::is_none")]
    pub district: Option<Text<'a>>,
    #[serde(rename = "receiver_address")]
    pub address: Text<'a>,
    #[serde(rename = "receiver_mobile")]
    pub mobile: Text<'a>,
    #[serde(rename = "receiver_telno", skip_serializing_if = "Option::is_none")]
    pub telno: Option<Text<'a>>,
    #[serde(rename = "receiver_zip", skip_serializing_if = "Option::is_none")]
    pub zip: Option<Text<'a>>,
}

#[derive(Serialize)]
pub struct Order<'a> {
    pub oid: String,
    pub num: Decimal,
    pub price: Decimal,
    pub status: u8,
    pub refund_status: u8,
    pub goods_id: &'a str,
    pub spec_id: &'a str,
    pub goods_no: &'a str,
    pub spec_no: &'a str,
    pub adjust_amount: Decimal,
    pub discount: Decimal,
    pub share_discount: Decimal,
}

/// `trade_status` and a line's `status`: paid, to ship.
pub const TO_SHIP: u8 = 30;
/// `pay_status`.
pub const PAID: u8 = 2;
/// `delivery_term`: paid first, shipped afterwards.
pub const PAY_FIRST: u8 = 1;
/// A line's `refund_status`.
pub const NO_REFUND: u8 = 0;
