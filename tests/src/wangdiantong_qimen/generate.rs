//! Invented stock-ins, the same for the same seed.

use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::purpose::Purpose;
use crate::world::{ABSURD_QUANTITY, GOODS, UNKNOWN_ARTICLE, WAREHOUSES};
use crate::{Money, Options, time};

use super::document::Document;

const FIRST_ID: u64 = 90_763;
const REMARKS: &[&str] = &[
    "",
    "月末盘点",
    "盘点差异：货架A-01多出\"2件\"\n已复核",
    "盘盈🎁，见附件 \\\\NAS\\盘点",
    "复盘后调整，仓管：王五",
];
const OTHER_TYPES: &[(&str, &str)] = &[("1", "采购入库"), ("2", "调拨入库"), ("5", "生产入库"), ("6", "其他入库")];
const UNFINISHED: &[&str] = &["10", "20", "30", "60"];

/// What happens to a document after so many page requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub after_requests: u64,
    /// Index in the list of documents.
    pub document: usize,
    pub cancels: bool,
}

pub fn generate(options: &Options) -> (Vec<Document>, Vec<Movement>) {
    // A stream of its own: how many sale-outs there are does not change what the stock-ins look like.
    let mut chance = ChaCha8Rng::seed_from_u64(options.seed ^ 0x3d7);
    let mut modified = options.from;
    let mut id = FIRST_ID;
    let count = options.wangdiantong.documents.unwrap_or(options.documents);
    let mut documents: Vec<Document> = Vec::with_capacity(count);
    for position in 0..count {
        // Some share their second: the order must not hang on the time alone.
        if position == 0 || !chance.random_bool(0.1) {
            let seconds = options.to.duration_since(options.from).as_secs().max(1);
            let after = SignedDuration::from_secs(chance.random_range(0..seconds));
            modified = options.from.checked_add(after).unwrap_or(options.from);
        }
        id += chance.random_range(1..4);
        let mut document = document(&mut chance, options, id, modified);
        // A second stock-in of the stock-take before: one bill's number, demanded twice.
        if let Some(before) = documents.last().filter(|_| chance.random_bool(0.03)) {
            let set = Map::from_iter([("src_order_no".to_owned(), json!(before.text("src_order_no")))]);
            document.change(&set, &[], modified);
            document.version = 1;
        }
        documents.push(document);
    }
    let movements = script(&mut chance, options, &documents);
    (documents, movements)
}

fn script(chance: &mut ChaCha8Rng, options: &Options, documents: &[Document]) -> Vec<Movement> {
    let mut good: Vec<usize> =
        (0..documents.len()).filter(|&index| documents[index].purpose == Purpose::Good).collect();
    let pages = (documents.len() / options.wangdiantong.page_size_limit.max(1)).max(1) as u64;
    let mut movements = Vec::new();
    for cancels in [vec![false; options.movers], vec![true; options.cancelled]].concat() {
        if good.is_empty() {
            break;
        }
        let document = good.swap_remove(chance.random_range(0..good.len()));
        movements.push(Movement { after_requests: chance.random_range(1..=pages), document, cancels });
    }
    movements.sort_by_key(|movement| movement.after_requests);
    movements
}

fn document(chance: &mut ChaCha8Rng, options: &Options, id: u64, modified: Timestamp) -> Document {
    let purpose = Purpose::draw(chance, options);
    let coin = chance.random_bool(0.5);
    let as_number = match options.wangdiantong.whole_numbers {
        Money::Text => false,
        Money::Number => true,
        Money::Mixed => coin,
    };
    let whole = |digits: &str| match (as_number, digits.parse::<u32>()) {
        (true, Ok(number)) => json!(number),
        _ => json!(digits),
    };
    let checked = modified.checked_sub(SignedDuration::from_secs(chance.random_range(0..3600))).unwrap_or(modified);
    let created = checked.checked_sub(SignedDuration::from_secs(chance.random_range(10..90_000))).unwrap_or(checked);
    let (warehouse_no, warehouse_name) = *WAREHOUSES.choose(chance).expect("the list of warehouses is not empty");
    let stockin_no = format!("RK2026{id:08}");
    let mut lines: Vec<Value> = (0..chance.random_range(1..=20)).map(|row| line(chance, id, row)).collect();
    // Lines without a surplus: not written, and no reason to reject the others.
    if lines.len() > 1 && chance.random_bool(0.2) {
        lines[0]["goods_count"] = json!(*["0.0000", "-2.0000"].choose(chance).expect("not empty"));
    }

    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("stockin_id", json!(id.to_string()));
    put("stockin_no", json!(stockin_no));
    put("order_no", json!(stockin_no));
    put("status", whole("80"));
    put("order_type", whole("4"));
    put("order_type_name", json!("盘盈入库"));
    put("warehouse_no", json!(warehouse_no));
    put("warehouse_name", json!(warehouse_name));
    put("warehouse_id", json!("624"));
    put("stockin_time", json!(time::format(modified)));
    put("check_time", check_time(chance, checked));
    put("created_time", json!(time::format(created)));
    put("modified", json!(time::format(modified)));
    put("src_order_no", if chance.random_bool(0.8) { json!(format!("PD2026{id:08}")) } else { json!("") });
    put("outer_no", json!(""));
    put("remark", json!(REMARKS.choose(chance).expect("the list of remarks is not empty")));
    put("stockin_reason", if chance.random_bool(0.5) { Value::Null } else { json!("") });
    put("goods_count", json!("10.0000"));
    for amount in ["goods_amount", "total_price", "discount", "tax_amount", "post_fee", "other_fee", "adjust_num"] {
        put(amount, json!("0.0000"));
    }
    put("operator_name", json!("系统"));
    put("logistics_type", whole("0"));
    put("logistics_no", json!(""));
    put("logistics_name", Value::Null);
    put("details_list", Value::Array(lines));

    let detail = spoil(chance, purpose, &mut fields, &whole);
    Document::new(fields, purpose, &detail)
}

/// Not every stock-in was audited by somebody: the time may be missing, null or the database's zero.
fn check_time(chance: &mut ChaCha8Rng, at: Timestamp) -> Value {
    match chance.random_range(0..12) {
        0 => json!(""),
        1 => Value::Null,
        2 => json!("0000-00-00 00:00:00"),
        _ => json!(time::format(at)),
    }
}

fn line(chance: &mut ChaCha8Rng, id: u64, row: u64) -> Value {
    let (spec_no, name, unit) = *GOODS.choose(chance).expect("the list of goods is not empty");
    let quantity = match chance.random_range(0..10) {
        0 => format!("{}.{:04}", chance.random_range(0..50), chance.random_range(1..10_000)),
        _ => format!("{}.0000", chance.random_range(1..=200)),
    };
    json!({
        "rec_id": (id * 100 + row).to_string(), "stockin_id": id.to_string(), "spec_no": spec_no, "goods_no": "G1",
        "goods_name": name, "spec_name": "红色L", "spec_code": "", "brand_no": "BRAND", "brand_name": "无",
        "goods_unit": unit, "goods_count": quantity, "num": quantity, "expect_num": quantity, "cost_price": "10.0000",
        "src_price": "10.0000", "tax_price": "10.0000", "tax_amount": "0.0000", "tax": "0.0000",
        "right_num": quantity, "batch_no": "", "production_date": "0000-00-00 00:00:00",
        "expire_date": "0000-00-00 00:00:00", "position_no": "A-01", "remark": if row == 0 { "盘盈" } else { "" },
    })
}

/// Makes the document what its purpose says.
fn spoil(
    chance: &mut ChaCha8Rng,
    purpose: Purpose,
    fields: &mut Map<String, Value>,
    whole: &impl Fn(&str) -> Value,
) -> String {
    match purpose {
        Purpose::Good | Purpose::Given => String::new(),
        Purpose::Skip if chance.random_bool(0.5) => {
            let (order_type, name) = *OTHER_TYPES.choose(chance).expect("not empty");
            fields.insert("order_type".to_owned(), whole(order_type));
            fields.insert("order_type_name".to_owned(), json!(name));
            format!("order_type {order_type}")
        }
        Purpose::Skip => {
            let status = *UNFINISHED.choose(chance).expect("not empty");
            fields.insert("status".to_owned(), whole(status));
            format!("status {status}")
        }
        Purpose::Reject => {
            let wrong =
                *["material unknown", "stock unknown", "unit unknown", "goods_count missing", "details_list null"]
                    .choose(chance)
                    .expect("not empty");
            match wrong {
                "material unknown" => set_last(fields, "spec_no", json!(UNKNOWN_ARTICLE)),
                "stock unknown" => drop(fields.insert("warehouse_no".to_owned(), json!("WH999"))),
                "unit unknown" => set_last(fields, "goods_unit", json!("打")),
                "goods_count missing" => {
                    drop(last_line(fields).and_then(|line| line.shift_remove("goods_count")));
                }
                _ => drop(fields.insert("details_list".to_owned(), Value::Null)),
            }
            wrong.to_owned()
        }
        Purpose::Refuse => {
            set_last(fields, "goods_count", json!(format!("{ABSURD_QUANTITY}.0000")));
            "quantity too large".to_owned()
        }
    }
}

fn set_last(fields: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(line) = last_line(fields) {
        line.insert(name.to_owned(), value);
    }
}

fn last_line(fields: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    fields.get_mut("details_list")?.as_array_mut()?.last_mut()?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(seed: u64) -> String {
        let to: Timestamp = "2026-11-01T00:00:00Z".parse().expect("an instant");
        let from = to - SignedDuration::from_hours(72);
        let shares = Options { skip_percent: 15, reject_percent: 20, ..Options::default() };
        let options = Options { seed, documents: 400, from, to, movers: 3, cancelled: 2, ..shares };
        let (documents, movements) = generate(&options);
        assert_eq!(movements.len(), 5);
        assert!(documents.iter().all(|document| document.modified >= from && document.modified < to));
        documents.iter().map(|document| document.body.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_same_seed_makes_the_same_documents() {
        assert_eq!(bodies(7), bodies(7));
        assert_ne!(bodies(7), bodies(8));
    }

    #[test]
    fn now_and_then_a_stock_take_has_two_stock_ins() {
        let (documents, _) = generate(&Options { seed: 7, documents: 400, ..Options::default() });
        let numbers =
            documents.iter().map(|document| document.text("src_order_no")).filter(|number| !number.is_empty());
        let numbers: Vec<String> = numbers.collect();
        let different: std::collections::HashSet<&String> = numbers.iter().collect();
        let shared = numbers.len() - different.len();
        assert!((1..20).contains(&shared), "{shared} of {}", numbers.len());
    }

    #[test]
    fn every_surprise_occurs() {
        let all = bodies(7);
        for surprise in [
            "\"goods_count\":\"0.0000\"",
            "\"goods_count\":\"-2.0000\"",
            "\"goods_count\":\"9999999.0000\"",
            "\"status\":80,",
            "\"status\":\"80\"",
            "\"status\":\"20\"",
            "\"order_type_name\":\"采购入库\"",
            "\"details_list\":null",
            "\"check_time\":null",
            "\"check_time\":\"0000-00-00 00:00:00\"",
            "\"src_order_no\":\"\"",
            UNKNOWN_ARTICLE,
            "WH999",
            "打",
            "🎁",
        ] {
            assert!(all.contains(surprise), "{surprise} never occurs");
        }
    }
}
