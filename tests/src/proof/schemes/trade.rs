//! 用友U8 (Yonyou U8) sale-outs become 旺店通 (WangDianTong) trades.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::super::Result;
use super::super::expect::{Expected, Fields, Want, Why, decimal, filled, text_of};
use super::super::simulator::{Bill, Create, Held, Simulator, instant};
use super::{Facts, Scheme};
use crate::time;
use crate::world::{GOODS, PLACES, WAREHOUSES};

pub const TRADE: &dyn Scheme = &Trade;

struct Trade;

/// The target's field and the name that the module's parameters have for it.
const RECEIVER: &[(&str, &[&str])] = &[
    ("receiver_name", &["name"]),
    ("receiver_mobile", &["mobile"]),
    ("receiver_province", &["region", "province"]),
    ("receiver_city", &["region", "city"]),
    ("receiver_district", &["region", "district"]),
    ("receiver_address", &["address"]),
];
/// Amounts of a trade that no document of this source has.
const NOUGHT: &[&str] = &["post_amount", "cod_amount", "ext_cod_fee", "other_amount"];
const NOUGHT_OF_A_LINE: &[&str] = &["refund_status", "adjust_amount", "discount", "share_discount"];
/// Paid and to be shipped.
const TO_SHIP: i64 = 30;

impl Scheme for Trade {
    fn name(&self) -> &'static str {
        "trade"
    }
    fn title(&self) -> &'static str {
        "sale-outs of 用友U8 to trades of 旺店通"
    }
    fn module(&self) -> &'static str {
        "u8-saleout-to-wangdiantong"
    }
    fn source(&self) -> &'static str {
        "yonyou_u8"
    }
    fn target(&self) -> &'static str {
        "wangdiantong_qimen"
    }
    fn read_operation(&self) -> &'static str {
        "saleoutlist/batch_get"
    }
    fn write_operation(&self) -> &'static str {
        "wdt.trade.push"
    }
    fn is_upsert(&self) -> bool {
        true
    }

    fn block(&self, source: &str, target: &str) -> String {
        format!(
            r#"source = {{ connection = "u8", operation = "saleoutlist/batch_get"{source} }}
target = {{ connection = "wdt", operation = "wdt.trade.push"{target} }}"#
        )
    }

    /// The fields in which this company keeps its receivers, and U8's own price.
    fn parameters(&self, simulator: &Simulator) -> Option<Value> {
        let mut receiver = json!({"region": {}});
        for (field, path) in RECEIVER {
            let place = path.iter().fold(&mut receiver, |place, name| &mut place[*name]);
            *place = simulator.ready["systems"][self.source()]["receiver_fields"][*field].clone();
        }
        let shop_no = simulator.ready["systems"][self.target()]["shop_no"].clone();
        Some(json!({"shop_no": shop_no, "price_field": "price", "receiver": receiver}))
    }

    fn expected(&self, document: &Value, facts: &Facts) -> Result<Expected, Why> {
        let rows = document["entry"].as_array().filter(|rows| !rows.is_empty()).ok_or_else(|| Why::missing("entry"))?;
        let quantities: Vec<Decimal> = rows.iter().map(|row| amount(row, "quantity")).collect::<Result<_, _>>()?;
        let back = quantities.iter().filter(|quantity| **quantity < Decimal::ZERO).count();
        if back > 0 && quantities.iter().any(|quantity| *quantity > Decimal::ZERO) {
            return Err(Why::missing("one direction of all goods"));
        }
        if back > 0 {
            return Ok(Expected::Skip { why: "goods come back".to_owned() });
        }
        let number = filled(&document["code"]).ok_or_else(|| Why::missing("code"))?;
        Ok(Expected::Bill { fields: fields(document, &number, rows, &quantities, facts)?, number })
    }

    fn held(&self, page: &Value) -> Result<Held> {
        let text = |value: &Value| text_of(value).unwrap_or_default();
        let bill = |held: &Value| {
            let repeated = held["repeated_oids"].as_array().into_iter().flatten();
            let wrong = repeated.map(|oid| format!("another trade has the line number {oid}")).collect();
            let mut model = held["trade"].clone();
            model["shop_no"] = held["shop_no"].clone();
            Bill { number: text(&held["number"]), model, wrong }
        };
        let create = |tried: &Value| Create {
            number: text(&tried["number"]),
            accepted: tried["accepted"] == true,
            // The same trade once more leaves what there is.
            made: tried["accepted"] == true && (tried["new"] == true || tried["changed"] == true),
            reason: text_of(&tried["reason"]),
            at: instant(&tried["at"]),
        };
        let all = |name: &str| page[name].as_array().into_iter().flatten();
        Ok(Held { bills: all("trades").map(bill).collect(), creates: all("creates").map(create).collect() })
    }

    fn document(&self, number: usize, chance: &mut ChaCha8Rng) -> Value {
        let (article, _, unit) = *GOODS.choose(chance).expect("the list of goods is not empty");
        let (warehouse, _) = *WAREHOUSES.choose(chance).expect("the list of warehouses is not empty");
        let (province, city, district) = *PLACES.choose(chance).expect("the list of places is not empty");
        let today = time::date(jiff::Timestamp::now()).strftime("%Y-%m-%d").to_string();
        let price = format!("{}.{:02}", chance.random_range(1..900), chance.random_range(0..100));
        json!({
            "code": format!("CK77{number:08}"), "date": today, "auditdate": today, "handler": "审核员",
            "warehousecode": warehouse, "customercode": format!("C{number:05}"), "customername": format!("客户{number}"),
            "define1": "王小明", "define2": province, "define3": city, "define8": district,
            "define9": "中关村大街1号 3单元", "define10": format!("139{number:08}"),
            "entry": [{
                "inventorycode": article, "cmassunitname": unit, "rowno": "1", "price": price,
                "quantity": format!("{}.0000", chance.random_range(1..60)),
            }],
        })
    }

    fn mishaps(&self) -> &'static [&'static str] {
        &[
            // The source: too many calls, a token that ends, a row that moves, cut off, in the wrong encoding.
            "throttle,operation=saleoutlist/batch_get,count=1,after=3",
            "expire_session,operation=saleout/get,count=1,after=20",
            "late_answer=100,operation=saleoutlist/batch_get,probability=0.1",
            "move_rows,operation=saleoutlist/batch_get,count=2,after=6",
            "page_twice,operation=saleoutlist/batch_get,count=1,after=11",
            "gbk,operation=saleoutlist/batch_get,count=1,after=14",
            "truncate,operation=saleout/get,count=1,after=60",
            // The target: every way to lose an answer, and a push that fails because of one of its trades.
            "late_answer=500,operation=wdt.trade.push,probability=0.8",
            "drop_after_commit,operation=wdt.trade.push,count=2,after=3",
            "drop_before,operation=wdt.trade.push,count=1,after=6",
            "commit_after_drop=400,operation=wdt.trade.push,count=1,after=8",
            "throttle=1,operation=wdt.trade.push,count=1,after=10",
            "refuse_every=4,operation=wdt.trade.push,count=1,after=4",
            "gbk,operation=wdt.trade.push,count=1,after=12",
            "http_502=after_commit,operation=wdt.trade.push,count=1,after=14",
        ]
    }
}

fn fields(
    document: &Value,
    number: &str,
    rows: &[Value],
    quantities: &[Decimal],
    facts: &Facts,
) -> Result<Fields, Why> {
    let parameters = &facts.parameters;
    let mut fields = Fields::new();
    let mut put = |path: &str, want: Want| drop(fields.insert(path.to_owned(), want));
    put("shop_no", Want::Code(filled(&parameters["shop_no"]).unwrap_or_default()));
    put("tid", Want::code(number));
    for (name, value) in [("trade_status", TO_SHIP), ("pay_status", 2), ("delivery_term", 1)] {
        put(name, Want::Amount(value.into()));
    }
    let date = filled(&document["date"]).ok_or_else(|| Why::missing("date"))?;
    for name in ["trade_time", "pay_time"] {
        put(name, Want::Time(format!("{date} 00:00:00")));
    }
    let buyer = filled(&document["customername"]).or_else(|| filled(&document["customercode"]));
    put("buyer_nick", Want::Code(buyer.ok_or_else(|| Why::missing("customername"))?));
    let mut missing = Vec::new();
    for (name, path) in RECEIVER {
        let field = path.iter().fold(&parameters["receiver"], |place, name| &place[*name]);
        match filled(&document[field.as_str().unwrap_or_default()]) {
            Some(text) => put(name, Want::Code(text)),
            None => missing.push(*name),
        }
    }
    if !missing.is_empty() {
        return Err(Why::missing(&missing.join(", ")).naming(&missing));
    }
    let warehouse = filled(&document["warehousecode"]).ok_or_else(|| Why::missing("warehousecode"))?;
    put("warehouse_no", Want::Code(filled(&parameters["warehouses"][warehouse.as_str()]).unwrap_or(warehouse)));
    NOUGHT.iter().for_each(|name| put(name, Want::Amount(Decimal::ZERO)));

    let mut paid = Decimal::ZERO;
    for (at, (row, quantity)) in rows.iter().zip(quantities).enumerate() {
        let price = amount(row, parameters["price_field"].as_str().unwrap_or("price"))?;
        if quantity.is_zero() || price < Decimal::ZERO {
            return Err(Why::missing("a quantity above nought and a price"));
        }
        paid += price * quantity;
        let mut put = |name: &str, want: Want| put(&format!("order_list[{at}].{name}"), want);
        let rowno = filled(&row["rowno"]).ok_or_else(|| Why::missing("rowno"))?;
        put("oid", Want::Code(format!("{number}-{rowno}")));
        put("num", Want::Amount(*quantity));
        put("price", Want::Amount(price));
        put("status", Want::Amount(TO_SHIP.into()));
        NOUGHT_OF_A_LINE.iter().for_each(|name| put(name, Want::Amount(Decimal::ZERO)));
        let article = filled(&row["inventorycode"]).ok_or_else(|| Why::missing("inventorycode"))?;
        ["goods_id", "spec_id", "goods_no", "spec_no"].into_iter().for_each(|name| put(name, Want::code(&article)));
    }
    put("paid", Want::Amount(paid));
    Ok(fields)
}

fn amount(row: &Value, name: &str) -> Result<Decimal, Why> {
    filled(&row[name]).as_deref().and_then(decimal).ok_or_else(|| Why::missing(name))
}

#[cfg(test)]
mod tests {
    use super::super::super::expect::differences;
    use super::*;

    fn facts() -> Facts {
        let region = json!({"province": "define2", "city": "define3", "district": "define8"});
        let receiver = json!({"name": "define1", "mobile": "define10", "address": "define9", "region": region});
        let parameters = json!({"shop_no": "S1", "warehouses": {"W": "W9"}, "receiver": receiver});
        Facts { parameters, tables: Value::Null }
    }

    fn document() -> Value {
        json!({
            "code": "CK1", "date": "2026-11-20", "warehousecode": "W", "customercode": "C1", "customername": "",
            "define1": "张三", "define2": "北京", "define3": "北京市", "define8": "海淀区", "define9": "路1号",
            "define10": "13800000000",
            "entry": [
                {"inventorycode": "A", "rowno": "1", "quantity": "2.5000", "price": "3.10"},
                {"inventorycode": "B", "rowno": "2", "quantity": "1.0000", "price": "0.00"},
            ],
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut document = document();
        *document.pointer_mut(pointer).expect("the field is there") = value;
        document
    }

    fn became(document: &Value) -> Expected {
        TRADE.expected(document, &facts()).unwrap_or_else(Expected::Reject)
    }

    #[test]
    fn a_sale_out_becomes_a_paid_trade() {
        let line = |oid: &str, article: &str, num: f64, price: f64| {
            json!({
                "oid": oid, "num": num, "price": price, "status": 30, "refund_status": 0, "goods_id": article,
                "spec_id": article, "goods_no": article, "spec_no": article, "adjust_amount": 0, "discount": 0,
                "share_discount": 0,
            })
        };
        let trade = json!({
            "tid": "CK1", "trade_status": 30, "pay_status": 2, "delivery_term": 1, "buyer_nick": "C1",
            "trade_time": "2026-11-20 00:00:00", "pay_time": "2026-11-20 00:00:00", "receiver_name": "张三",
            "receiver_mobile": "13800000000", "receiver_province": "北京", "receiver_city": "北京市",
            "receiver_district": "海淀区", "receiver_address": "路1号", "warehouse_no": "W9", "post_amount": 0,
            "cod_amount": 0, "ext_cod_fee": 0, "other_amount": 0, "paid": "7.75",
            "order_list": [line("CK1-1", "A", 2.5, 3.1), line("CK1-2", "B", 1.0, 0.0)],
        });
        let page = json!({
            "trades": [{"number": "CK1", "shop_no": "S1", "repeated_oids": [], "trade": trade}], "creates": [],
        });
        let held = TRADE.held(&page).expect("a page");
        let Expected::Bill { number, fields } = became(&document()) else { panic!("no trade") };
        assert_eq!((number.as_str(), held.bills[0].number.as_str()), ("CK1", "CK1"));
        assert_eq!(differences(&fields, &held.bills[0].model), Vec::<String>::new());
    }

    #[test]
    fn the_same_trade_once_more_makes_nothing() {
        let tried = |new, changed| json!({"number": "1", "new": new, "changed": changed, "accepted": true});
        let page = json!({"trades": [], "creates": [tried(true, false), tried(false, false), tried(false, true)]});
        let made: Vec<bool> = TRADE.held(&page).expect("a page").creates.iter().map(|create| create.made).collect();
        assert_eq!(made, [true, false, true]);
    }

    #[test]
    fn goods_that_come_back_are_skipped_and_what_lacks_something_is_rejected() {
        let red = with("/entry", json!([{"inventorycode": "A", "rowno": "1", "quantity": "-1.0000", "price": "2"}]));
        assert!(matches!(became(&red), Expected::Skip { .. }));
        for (pointer, value) in [
            ("/entry", Value::Null),
            ("/entry/0/quantity", json!("-1.0000")),
            ("/entry/0/quantity", json!("")),
            ("/entry/0/price", json!("")),
            ("/entry/0/inventorycode", json!("")),
            ("/define10", json!("")),
        ] {
            assert!(matches!(became(&with(pointer, value)), Expected::Reject(_)), "{pointer} was taken");
        }
        let mut nobody = with("/define1", json!(""));
        nobody["define9"] = json!(" ");
        let Expected::Reject(why) = became(&nobody) else { panic!("sent to nobody") };
        assert_eq!(why.names, ["receiver_name", "receiver_address"]);
    }
}
