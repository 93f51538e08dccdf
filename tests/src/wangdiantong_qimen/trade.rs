//! The rules that one trade of a push must keep.

use std::collections::HashSet;
use std::str::FromStr as _;

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;

use crate::time;
use crate::world::PLACES;

use super::settings::WangdiantongOptions;

const UNPAID: &str = "0000-00-00 00:00:00";
const LINES_LIMIT: usize = 200;
/// The vendor's amounts have so many places.
const PLACES_OF_AMOUNTS: u32 = 4;
const STATUSES: &[&str] = &["10", "20", "30", "40", "50", "70", "80", "90"];
const REFUND_STATUSES: &[&str] = &["0", "1", "2", "3", "4", "5"];
/// Name and longest length of the texts that must be there.
const REQUIRED: &[(&str, usize)] =
    &[("tid", 40), ("buyer_nick", 100), ("receiver_name", 100), ("receiver_address", 255), ("receiver_mobile", 40)];

/// A text or a number, as text; the vendor takes both.
pub fn text(object: &Value, name: &str) -> String {
    match &object[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Why the trade is refused, in the merchant's system's words; these are a guess.
pub fn check(trade: &Value, options: &WangdiantongOptions) -> Result<(), String> {
    for (name, longest) in REQUIRED {
        let length = text(trade, name).chars().count();
        if length == 0 {
            return Err(format!("{name} 不能为空"));
        }
        if length > *longest {
            return Err(format!("{name} 长度不能超过{longest}"));
        }
    }
    one_of(trade, "trade_status", STATUSES)?;
    one_of(trade, "pay_status", &["0", "1", "2"])?;
    one_of(trade, "delivery_term", &["1", "2", "3", "4"])?;
    check_times(trade)?;
    if options.check_places {
        check_place(trade, options.parse_address)?;
    }
    let Some(lines) = trade["order_list"].as_array().filter(|lines| !lines.is_empty()) else {
        return Err("order_list 不能为空".to_owned());
    };
    if lines.len() > LINES_LIMIT {
        return Err(format!("order_list 不能超过{LINES_LIMIT}条"));
    }
    let mut numbers = HashSet::new();
    let mut goods = Decimal::ZERO;
    for line in lines {
        if !numbers.insert(text(line, "oid")) {
            return Err(format!("oid {} 重复", text(line, "oid")));
        }
        goods += check_line(line)?;
    }
    let money = Money::read(trade)?;
    if options.check_paid { money.check(trade, goods) } else { Ok(()) }
}

fn one_of(object: &Value, name: &str, known: &[&str]) -> Result<(), String> {
    let value = text(object, name);
    if known.contains(&value.as_str()) { Ok(()) } else { Err(format!("{name} 不合法：{value}")) }
}

fn check_times(trade: &Value) -> Result<(), String> {
    let (trade_time, pay_time) = (text(trade, "trade_time"), text(trade, "pay_time"));
    if !trade_time.is_empty() && time::parse(&trade_time).is_none() {
        return Err("trade_time 不合法".to_owned());
    }
    let unpaid = text(trade, "pay_status") == "0";
    if unpaid != (pay_time == UNPAID) || (!unpaid && time::parse(&pay_time).is_none()) {
        return Err("pay_time 不合法".to_owned());
    }
    Ok(())
}

fn check_place(trade: &Value, parse_address: bool) -> Result<(), String> {
    let mut place = ["receiver_province", "receiver_city", "receiver_district"].map(|name| text(trade, name));
    if place.iter().all(String::is_empty) && parse_address {
        let address = text(trade, "receiver_address");
        let mut parts = address.split_whitespace().map(str::to_owned);
        place = [(); 3].map(|()| parts.next().unwrap_or_default());
    }
    let known = PLACES
        .iter()
        .any(|(province, city, district)| place[0] == *province && place[1] == *city && place[2] == *district);
    if known { Ok(()) } else { Err(format!("收货地址无法识别：{}", place.join(" "))) }
}

/// What the line comes to.
fn check_line(line: &Value) -> Result<Decimal, String> {
    for name in ["oid", "goods_id"] {
        if text(line, name).is_empty() {
            return Err(format!("{name} 不能为空"));
        }
    }
    if text(line, "oid").chars().count() > 40 {
        return Err("oid 长度不能超过40".to_owned());
    }
    if text(line, "goods_no").is_empty() && text(line, "spec_no").is_empty() {
        return Err("goods_no、spec_no 不能同时为空".to_owned());
    }
    one_of(line, "status", STATUSES)?;
    one_of(line, "refund_status", REFUND_STATUSES)?;
    let (num, price) = (amount(line, "num", true)?, amount(line, "price", true)?);
    if num <= Decimal::ZERO || price < Decimal::ZERO {
        return Err("num 必须大于0，price 不能小于0".to_owned());
    }
    let raised = amount(line, "adjust_amount", false)?;
    let lowered = amount(line, "discount", false)? + amount(line, "share_discount", false)?;
    Ok(price * num + raised - lowered)
}

/// At most four places; 0 where it is missing and may be.
fn amount(object: &Value, name: &str, required: bool) -> Result<Decimal, String> {
    let digits = text(object, name);
    if digits.is_empty() && !required {
        return Ok(Decimal::ZERO);
    }
    match Decimal::from_str(&digits) {
        Ok(number) if number.normalize().scale() <= PLACES_OF_AMOUNTS => Ok(number),
        _ => Err(format!("{name} 不合法：{digits}")),
    }
}

struct Money {
    paid: Decimal,
    post: Decimal,
    other: Decimal,
    cod: Decimal,
    cod_fee: Decimal,
}

impl Money {
    fn read(trade: &Value) -> Result<Self, String> {
        Ok(Self {
            paid: amount(trade, "paid", true)?,
            post: amount(trade, "post_amount", true)?,
            other: amount(trade, "other_amount", true)?,
            cod: amount(trade, "cod_amount", true)?,
            cod_fee: amount(trade, "ext_cod_fee", true)?,
        })
    }

    fn check(&self, trade: &Value, goods: Decimal) -> Result<(), String> {
        let rounded =
            |sum: Decimal| sum.round_dp_with_strategy(PLACES_OF_AMOUNTS, RoundingStrategy::MidpointAwayFromZero);
        let on_delivery = text(trade, "delivery_term") == "2";
        // Of a trade that is paid for on delivery, the two formulas are one: what is not paid is due.
        let (found, due) = if on_delivery {
            (self.cod, goods + self.post + self.cod_fee - self.paid)
        } else {
            (self.paid, goods + self.post + self.other)
        };
        let unpaid = text(trade, "pay_status") == "0" && self.paid.is_zero();
        if rounded(due) == found || (unpaid && !on_delivery) {
            return Ok(());
        }
        Err(format!("金额不平：{}应为{}", if on_delivery { "cod_amount" } else { "paid" }, rounded(due)))
    }
}
