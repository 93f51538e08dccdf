//! One trade for `wdt.trade.push` of WangDianTong (旺店通), with the shop it is pushed to, in the vendor's own spelling.

use crossdock_guest::{DateTime, Decimal};
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
    pub receiver_name: &'a str,
    pub receiver_mobile: &'a str,
    /// Without a region the vendor parses the address, which then starts with province, city and district.
    pub receiver_address: &'a str,
    pub warehouse_no: &'a str,
    pub post_amount: Decimal,
    pub cod_amount: Decimal,
    pub ext_cod_fee: Decimal,
    pub other_amount: Decimal,
    pub paid: Decimal,
    #[serde(rename = "order_list")]
    pub orders: Vec<Order<'a>>,
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
