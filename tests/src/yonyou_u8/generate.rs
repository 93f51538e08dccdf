//! Invented sale-outs, the same for the same seed.

use jiff::SignedDuration;
use jiff::civil::Date;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::purpose::Purpose;
use crate::world::{GOODS, PLACES, UNKNOWN_PROVINCE, WAREHOUSES};
use crate::{Options, time};

use super::document::Document;

/// Where this company keeps its receivers: the vendor's fields for whatever a customer likes.
pub const RECEIVER_FIELDS: &[(&str, &str)] = &[
    ("receiver_name", "define1"),
    ("receiver_province", "define2"),
    ("receiver_city", "define3"),
    ("receiver_district", "define8"),
    ("receiver_address", "define9"),
    ("receiver_mobile", "define10"),
];
const CUSTOMERS: &[(&str, &str)] = &[
    ("C0001", "杭州某某商贸有限公司"),
    ("C0002", "Example & Söhne \"海外\"店"),
    ("C0003", ""),
    ("C0004", "北京示例科技"),
    ("C0005", "深圳样板贸易"),
    ("C0006", "个体户：李四🎁"),
];
const NAMES: &[&str] = &["张三", "李四", "王小明", "欧阳娜娜", "O'Neil"];
const MEMORIES: &[&str] = &["", "请尽快发货", "发顺丰\n周末不送", "客户说\"轻放\"，\\ 已确认"];

/// An unaudited document is audited after so many requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateAudit {
    pub after_requests: u64,
    pub document: usize,
}

pub fn generate(options: &Options) -> (Vec<Document>, Vec<LateAudit>) {
    let mut chance = ChaCha8Rng::seed_from_u64(options.seed ^ 0xa8);
    let count = options.u8.documents.unwrap_or(options.documents);
    let mut documents: Vec<Document> = (0..count).map(|number| document(&mut chance, options, number)).collect();
    let mut good: Vec<usize> =
        (0..documents.len()).filter(|&index| documents[index].purpose == Purpose::Good).collect();
    let pages = (documents.len() / options.u8.rows_per_page_limit.max(1)).max(1) as u64;
    let mut script = Vec::new();
    for _ in 0..options.movers {
        if good.is_empty() {
            break;
        }
        let index = good.swap_remove(chance.random_range(0..good.len()));
        let set = [("handler", ""), ("auditdate", "")].map(|(name, text)| (name.to_owned(), json!(text)));
        let timestamp = documents[index].text("timestamp").to_owned();
        documents[index].change(&Map::from_iter(set), &[], &timestamp);
        documents[index].version = 1;
        script.push(LateAudit { after_requests: chance.random_range(1..=pages), document: index });
    }
    script.sort_by_key(|audit| audit.after_requests);
    (documents, script)
}

/// U8's row versions look like this, blanks included.
pub fn timestamp(number: u64) -> String {
    format!("   {}.{:04}", 2086 + number / 10_000, number % 10_000)
}

fn document(chance: &mut ChaCha8Rng, options: &Options, number: usize) -> Document {
    let purpose = Purpose::draw(chance, options);
    let seconds = options.to.duration_since(options.from).as_secs().max(1);
    let audited = options.from.checked_add(SignedDuration::from_secs(chance.random_range(0..seconds)));
    let audit_date = time::date(audited.unwrap_or(options.from));
    // Back-dated: the date lies before the audit, sometimes in the month before.
    let days_before = if chance.random_bool(0.2) { chance.random_range(1..=20) } else { 0 };
    let date = audit_date.checked_sub(SignedDuration::from_hours(24 * days_before)).unwrap_or(audit_date);
    let (customer, customer_name) = *CUSTOMERS.choose(chance).expect("the list of customers is not empty");
    let (warehouse, warehouse_name) = *WAREHOUSES.choose(chance).expect("the list of warehouses is not empty");
    let place = *PLACES.choose(chance).expect("the list of places is not empty");
    let code = format!("CK{}{number:06}", date.strftime("%Y%m%d"));
    let lines: Vec<Value> = (1..=chance.random_range(1..=12)).map(|row| line(chance, row, &code)).collect();

    let mut fields = Map::new();
    let mut put = |name: &str, text: &str| drop(fields.insert(name.to_owned(), json!(text)));
    put("businesstype", "普通销售");
    put("source", "发货单");
    put("businesscode", &format!("FH{}", &code[2..]));
    put("warehousecode", warehouse);
    put("warehousename", warehouse_name);
    put("date", &day(date));
    put("code", &code);
    put("departmentcode", "0201");
    put("departmentname", "销售一部");
    put("saletypecode", "01");
    put("saletypename", "普通销售");
    put("customercode", customer);
    put("customername", customer_name);
    put("handler", "审核员");
    put("memory", MEMORIES.choose(chance).expect("the list of remarks is not empty"));
    put("maker", "demo");
    for number in 1..=16 {
        put(&format!("define{number}"), "");
    }
    let name = *NAMES.choose(chance).expect("the list of names is not empty");
    let mobile = format!("138{number:08}");
    let texts = [name, place.0, place.1, place.2, "中关村大街1号 3单元", &mobile];
    for ((_, field), text) in RECEIVER_FIELDS.iter().zip(texts) {
        put(field, text);
    }
    put("auditdate", &day(audit_date));
    put("timestamp", &timestamp(number as u64));
    fields.insert("entry".to_owned(), Value::Array(lines));

    let detail = spoil(chance, purpose, &mut fields);
    Document::new(fields, purpose, &detail)
}

pub fn day(date: Date) -> String {
    date.strftime("%Y-%m-%d").to_string()
}

fn line(chance: &mut ChaCha8Rng, row: u32, code: &str) -> Value {
    let (article, _, unit) = *GOODS.choose(chance).expect("the list of goods is not empty");
    let quantity = match chance.random_range(0..10) {
        0 => format!("{}.{:02}00", chance.random_range(1..20), chance.random_range(1..100)),
        _ => format!("{}.0000", chance.random_range(1..=60)),
    };
    let price = if chance.random_bool(0.1) {
        "0.00".to_owned()
    } else {
        format!("{}.{:02}", chance.random_range(1..900), chance.random_range(0..100))
    };
    json!({
        "barcode": "", "inventorycode": article, "free1": "", "shouldquantity": quantity, "quantity": quantity,
        "cmassunitname": unit, "assitantunit": "", "irate": "", "number": "", "price": price, "cost": "",
        "serial": "", "makedate": "", "validdate": "", "define22": "", "rowno": row.to_string(),
        "subconsignmentcode": format!("FH{}", &code[2..]), "ordercode": format!("SO{}", &code[2..]),
    })
}

/// Makes the document what its purpose says.
fn spoil(chance: &mut ChaCha8Rng, purpose: Purpose, fields: &mut Map<String, Value>) -> String {
    match purpose {
        Purpose::Good | Purpose::Given => String::new(),
        Purpose::Skip => {
            for line in lines(fields) {
                for name in ["quantity", "shouldquantity"] {
                    let text = line[name].as_str().unwrap_or_default().to_owned();
                    line[name] = json!(format!("-{text}"));
                }
            }
            "red".to_owned()
        }
        Purpose::Reject => {
            let wrong = *["price empty", "receiver missing", "quantity empty", "inventorycode empty", "entry missing"]
                .choose(chance)
                .expect("not empty");
            let field = match wrong {
                "receiver missing" => {
                    for (_, field) in RECEIVER_FIELDS {
                        fields.insert((*field).to_owned(), json!(""));
                    }
                    return wrong.to_owned();
                }
                "entry missing" => {
                    fields.shift_remove("entry");
                    return wrong.to_owned();
                }
                "price empty" => "price",
                "quantity empty" => "quantity",
                _ => "inventorycode",
            };
            if let Some(line) = lines(fields).last_mut() {
                line[field] = json!("");
            }
            wrong.to_owned()
        }
        Purpose::Refuse => {
            fields.insert("define2".to_owned(), json!(UNKNOWN_PROVINCE));
            "unknown province".to_owned()
        }
    }
}

fn lines(fields: &mut Map<String, Value>) -> &mut [Value] {
    fields.get_mut("entry").and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn made(seed: u64) -> (Vec<Document>, Vec<LateAudit>) {
        let to: Timestamp = "2026-11-01T00:00:00Z".parse().expect("an instant");
        let from = to - SignedDuration::from_hours(72);
        let shares = Options { skip_percent: 15, reject_percent: 20, ..Options::default() };
        generate(&Options { seed, documents: 400, from, to, movers: 3, ..shares })
    }

    fn bodies(seed: u64) -> String {
        made(seed).0.iter().map(|document| document.body.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_same_seed_makes_the_same_documents() {
        assert_eq!(bodies(7), bodies(7));
        assert_ne!(bodies(7), bodies(8));
    }

    #[test]
    fn every_surprise_occurs() {
        let (documents, script) = made(7);
        assert_eq!((script.len(), documents.iter().filter(|document| document.audit_date.is_none()).count()), (3, 3));
        assert!(documents.iter().any(|document| document.audit_date.is_some() && document.date < document.audit_date));
        let all = bodies(7);
        for surprise in [
            "\"quantity\":\"-",
            "\"quantity\":\"\"",
            "\"price\":\"\"",
            "\"price\":\"0.00\"",
            "\"inventorycode\":\"\"",
            "\"customername\":\"\"",
            "\"define1\":\"\"",
            UNKNOWN_PROVINCE,
            "🎁",
        ] {
            assert!(all.contains(surprise), "{surprise} never occurs");
        }
        assert!(documents.iter().any(|document| !document.body.contains("\"entry\"")));
    }
}
