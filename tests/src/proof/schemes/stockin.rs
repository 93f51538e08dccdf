//! 旺店通 (WangDianTong) stock-take surpluses become 金蝶云星辰 (JDY) gain bills.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::super::Result;
use super::super::expect::{Expected, Fields, Want, Why, decimal, filled, text_of};
use super::super::simulator::{Bill, Held};
use super::saleout::{creates, ignored};
use super::{Facts, Scheme};
use crate::world::{GOODS, WAREHOUSES};

pub const STOCKIN: &dyn Scheme = &Stockin;

struct Stockin;

/// `order_type` of a stock-take surplus, and `status` of a stock-in that is done.
const SURPLUS: &str = "4";
const DONE: &str = "80";

impl Scheme for Stockin {
    fn name(&self) -> &'static str {
        "stockin"
    }
    fn title(&self) -> &'static str {
        "stock-take surpluses of 旺店通 to 金蝶云星辰"
    }
    fn module(&self) -> &'static str {
        "wangdiantong-stockin-to-jdy"
    }
    fn source(&self) -> &'static str {
        "wangdiantong_qimen"
    }
    fn target(&self) -> &'static str {
        "kingdee_jdy"
    }
    fn read_operation(&self) -> &'static str {
        "wdt.stockin.order.query"
    }
    fn write_operation(&self) -> &'static str {
        "inv_check_gain_bill_save"
    }

    /// Every status that the simulator knows, and stock-ins of every kind; the cancelled come by themselves.
    fn block(&self, source: &str, target: &str) -> String {
        let rhythm = r#"connection = "jdy", refresh = "1h", miss_interval = "1s""#;
        let tables = ["material", "stock", "unit"].map(|table| format!("\"kingdee_jdy.{table}\" = {{ {rhythm} }}"));
        format!(
            r#"source = {{ connection = "wdt", operation = "wdt.stockin.order.query", status = [80, 20, 30, 60]{source} }}
target = {{ connection = "jdy", operation = "jdy/inv/inv_check_gain_bill_save"{target} }}
reference = {{ {} }}"#,
            tables.join(", ")
        )
    }

    fn expected(&self, document: &Value, facts: &Facts) -> Result<Expected, Why> {
        let (order_type, status) = (text_of(&document["order_type"]), text_of(&document["status"]));
        for (name, wanted, found) in [("order_type", SURPLUS, order_type), ("status", DONE, status)] {
            let found = found.ok_or_else(|| Why::missing(name))?;
            if found != wanted {
                return Ok(Expected::Skip { why: format!("{name} {found}") });
            }
        }
        let lines = document["details_list"].as_array().ok_or_else(|| Why::missing("details_list"))?;
        let mut surpluses = Vec::new();
        for (row, line) in lines.iter().enumerate() {
            let quantity = filled(&line["goods_count"]).as_deref().and_then(decimal);
            let quantity = quantity.ok_or_else(|| Why::missing(&format!("details_list[{row}].goods_count")))?;
            if quantity > Decimal::ZERO {
                surpluses.push((line, quantity));
            }
        }
        if surpluses.is_empty() {
            return Ok(Expected::Skip { why: "no line with a surplus".to_owned() });
        }
        let own = filled(&document["stockin_no"]).ok_or_else(|| Why::missing("stockin_no"))?;
        let number = filled(&document["src_order_no"]).unwrap_or(own);
        Ok(Expected::Bill { fields: fields(document, &number, &surpluses, facts)?, number })
    }

    fn held(&self, page: &Value) -> Result<Held> {
        let bill = |bill: &Value| -> Result<Bill> {
            let number = text_of(&bill["number"]).unwrap_or_default();
            Ok(Bill { number, model: bill["model"].clone(), wrong: ignored(bill)? })
        };
        let bills = page["bills"].as_array().into_iter().flatten().map(bill).collect::<Result<_>>()?;
        Ok(Held { bills, creates: creates(page) })
    }

    fn document(&self, number: usize, chance: &mut ChaCha8Rng) -> Value {
        let (spec_no, _, unit) = *GOODS.choose(chance).expect("the list of goods is not empty");
        let (warehouse_no, _) = *WAREHOUSES.choose(chance).expect("the list of warehouses is not empty");
        json!({
            "stockin_no": format!("RK77{number:07}"), "src_order_no": format!("PD77{number:07}"), "status": "80",
            "order_type": "4", "warehouse_no": warehouse_no, "check_time": "2026-11-20 10:30:00",
            "created_time": "2026-11-19 10:30:00", "remark": "",
            "details_list": [{
                "spec_no": spec_no, "goods_unit": unit, "goods_count": format!("{}.0000", chance.random_range(1..90)),
            }],
        })
    }

    fn mishaps(&self) -> &'static [&'static str] {
        &[
            // The source: asks to wait, moves a row while it is read, serves a page twice, cuts off, mistakes its encoding.
            "throttle=1,operation=wdt.stockin.order.query,count=1,after=2",
            "late_answer=200,operation=wdt.stockin.order.query,probability=0.1",
            "move_rows,operation=wdt.stockin.order.query,count=2,after=5",
            "page_twice,operation=wdt.stockin.order.query,count=1,after=9",
            "gbk,operation=wdt.stockin.order.query,count=1,after=12",
            "truncate,operation=wdt.stockin.order.query,count=1,after=15",
            // The target: every way to lose an answer, a refusal, tokens that end, a secret that is replaced.
            "late_answer=250,operation=inv_check_gain_bill_save,probability=0.6",
            "drop_after_commit,operation=inv_check_gain_bill_save,count=2,after=10",
            "drop_before,operation=inv_check_gain_bill_save,count=1,after=14",
            "commit_after_drop=400,operation=inv_check_gain_bill_save,count=1,after=18",
            "gbk,operation=inv_check_gain_bill_save,count=1,after=22",
            "throttle,operation=inv_check_gain_bill_save,count=1,after=26",
            "refuse_every=1,operation=inv_check_gain_bill_save,count=1,after=30",
            "expire_session,operation=inv_check_gain_bill_save,count=1,after=34",
            "rotate_secret,operation=inv_check_gain_bill_save,count=1,after=36",
            "http_502=after_commit,operation=inv_check_gain_bill_save,count=1,after=40",
        ]
    }
}

fn fields(document: &Value, number: &str, surpluses: &[(&Value, Decimal)], facts: &Facts) -> Result<Fields, Why> {
    let stock = id(facts, "stock", "number", &document["warehouse_no"], "warehouse_no")?;
    let day = day(&document["check_time"]).or_else(|| day(&document["created_time"]));
    let mut fields = Fields::new();
    let mut put = |path: &str, want: Want| drop(fields.insert(path.to_owned(), want));
    put("billdate", Want::Code(day.ok_or_else(|| Why::missing("check_time and created_time"))?));
    put("billno", Want::code(number));
    put("remark", Want::code(number));
    for (row, (line, quantity)) in surpluses.iter().enumerate() {
        let mut put = |name: &str, want: Want| put(&format!("material_entity[{row}].{name}"), want);
        put("materialid_id", Want::Code(id(facts, "material", "number", &line["spec_no"], "spec_no")?));
        put("stockid_id", Want::code(&stock));
        put("unit_id", Want::Code(id(facts, "unit", "name", &line["goods_unit"], "goods_unit")?));
        put("qty", Want::Amount(*quantity));
        put("billno", Want::code(number));
    }
    Ok(fields)
}

/// The target's own id of what the source names.
fn id(facts: &Facts, table: &str, by: &str, code: &Value, field: &str) -> Result<String, Why> {
    let code = filled(code).ok_or_else(|| Why::missing(field))?;
    let entries = facts.tables[table].as_array().into_iter().flatten();
    let ids: Vec<_> = entries.filter(|entry| entry[by] == code.as_str()).map(|entry| text_of(&entry["id"])).collect();
    match ids.as_slice() {
        [Some(id)] => Ok(id.clone()),
        _ => {
            let table = format!("kingdee_jdy.{table}");
            Err(Why::missing(&format!("{code} in {table}")).naming(&[&table, &code]))
        }
    }
}

/// The day of a local time; the vendor writes zeros where nobody has audited.
fn day(time: &Value) -> Option<String> {
    let text = filled(time)?;
    let day = text.get(..10)?;
    day.parse::<jiff::civil::Date>().ok().map(|_| day.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let entry = |id: &str, number: &str, name: &str| json!({"id": id, "number": number, "name": name});
        let tables = json!({
            "material": [entry("11", "A", "甲"), entry("12", "B", "乙")], "stock": [entry("21", "W", "仓")],
            "unit": [entry("31", "DW1", "件")],
        });
        Facts { parameters: Value::Null, tables }
    }

    fn document() -> Value {
        json!({
            "stockin_no": "RK1", "src_order_no": "PD1", "order_type": 4, "status": "80", "warehouse_no": "W",
            "check_time": "2026-11-20 23:59:59", "created_time": "2026-11-19 10:30:00",
            "details_list": [
                {"spec_no": "B", "goods_unit": "件", "goods_count": "-2.0000"},
                {"spec_no": "A", "goods_unit": "件", "goods_count": "5.2500"},
            ],
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut document = document();
        *document.pointer_mut(pointer).expect("the field is there") = value;
        document
    }

    fn became(document: &Value) -> Expected {
        STOCKIN.expected(document, &facts()).unwrap_or_else(Expected::Reject)
    }

    #[test]
    fn a_surplus_becomes_a_bill_under_the_stock_takes_number() {
        let Expected::Bill { number, fields } = became(&document()) else { panic!("no bill") };
        assert_eq!(number, "PD1");
        let held = json!({
            "billdate": "2026-11-20", "billno": "PD1", "remark": "PD1",
            "material_entity": [
                {"materialid_id": "11", "stockid_id": "21", "unit_id": "31", "qty": 5.25, "billno": "PD1"},
            ],
        });
        assert_eq!(super::super::super::expect::differences(&fields, &held), Vec::<String>::new());
        let Expected::Bill { number, .. } = became(&with("/src_order_no", json!(" "))) else { panic!("no bill") };
        assert_eq!(number, "RK1");
        let Expected::Bill { fields, .. } = became(&with("/check_time", json!("0000-00-00 00:00:00"))) else {
            panic!("no bill")
        };
        assert_eq!(fields["billdate"], Want::code("2026-11-19"));
    }

    #[test]
    fn what_is_no_surplus_is_skipped_and_what_lacks_something_is_rejected() {
        for (pointer, value) in
            [("/order_type", json!("1")), ("/status", json!(20)), ("/details_list/1/goods_count", json!("0.0000"))]
        {
            assert!(matches!(became(&with(pointer, value)), Expected::Skip { .. }), "{pointer}");
        }
        for (pointer, value, named) in [
            ("/details_list", Value::Null, None),
            ("/details_list/1/goods_count", json!(""), None),
            ("/details_list/1/spec_no", json!("C"), Some(["kingdee_jdy.material", "C"])),
            ("/details_list/1/goods_unit", json!("打"), Some(["kingdee_jdy.unit", "打"])),
            ("/warehouse_no", json!("X"), Some(["kingdee_jdy.stock", "X"])),
        ] {
            let Expected::Reject(why) = became(&with(pointer, value)) else { panic!("{pointer} was taken") };
            assert_eq!(why.names, named.map_or(Vec::new(), |names| names.map(str::to_owned).to_vec()), "{pointer}");
        }
        // Nothing is written of a line without a surplus, so nothing of it has to be known.
        assert!(matches!(became(&with("/details_list/0/spec_no", json!("C"))), Expected::Bill { .. }));
    }
}
