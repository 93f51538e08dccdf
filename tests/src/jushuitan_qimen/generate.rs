//! Invented sale-outs, the same for the same seed: the ordinary ones, and those that real shops surprise with.

use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Number, Value, json};

use crate::{Money, Options};

use crate::purpose::Purpose;
use crate::time;

use super::document::Document;

/// The shop whose bills go to an organisation of their own in the example scheme.
pub const SPECIAL_SHOP: u64 = 12_948_597;
/// A distributor that the target does not know as a customer.
pub const UNKNOWN_CUSTOMER: &str = "NOCUST01";
/// A quantity that the target takes for a mistake.
const ABSURD_QUANTITY: u64 = 9_999_999;
const FIRST_IO_ID: u64 = 1_660_000;
const FIRST_ROW_VERSION: i64 = 5_000_000_001;

const SHOPS: &[(u64, &str)] = &[
    (SPECIAL_SHOP, "示例旗舰店（抖音）"),
    (11_690_153, "示例旗舰店"),
    (12_001_234, "示例专营店（拼多多）"),
    (10_500_077, "Example & Söhne \"海外\"店"),
];
const GOODS: &[(&str, &str, &str)] = &[
    ("SKU001", "加厚保暖羽绒服", "红色;L"),
    ("SKU002", "纯棉短袖T恤", "白色;XL"),
    ("A-1003/黑", "男士商务皮鞋", "黑色;42"),
    ("6901234567892", "有机绿茶 250g", ""),
    ("K 77", "儿童积木（100块装）", "混色"),
    ("SKU'06", "不锈钢保温杯 500ml", "银色;500ml"),
];
const REMARKS: &[&str] = &[
    "",
    "请尽快发货",
    "客户要求：放门口，不要打电话",
    "发顺丰\n周末不送",
    "买家说\"颜色要深一点\"，\\ 已确认",
    "生日礼物🎁，附贺卡",
];
const PLACES: &[(&str, &str, &str)] = &[
    ("浙江省", "杭州市", "余杭区"),
    ("北京", "北京市", "海淀区"),
    ("广东省", "深圳市", "南山区"),
    ("新疆维吾尔自治区", "乌鲁木齐市", ""),
];

/// What happens to a document after so many page requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub after_requests: u64,
    /// Index in the list of documents.
    pub document: usize,
    pub cancels: bool,
}

/// The documents and the script of what happens to them.
pub fn generate(options: &Options) -> (Vec<Document>, Vec<Movement>) {
    let mut chance = ChaCha8Rng::seed_from_u64(options.seed);
    let mut documents = Vec::with_capacity(options.documents);
    let mut modified = options.from;
    let mut io_id = FIRST_IO_ID;
    for position in 0..options.documents {
        // Some share their second: the order must not hang on the time alone.
        if position == 0 || !chance.random_bool(0.1) {
            modified = instant_between(&mut chance, options.from, options.to);
        }
        io_id += chance.random_range(1..4);
        documents.push(document(&mut chance, options, io_id, modified));
    }
    number_row_versions(&mut documents);
    let movements = script(&mut chance, options, &documents);
    (documents, movements)
}

fn instant_between(chance: &mut ChaCha8Rng, from: Timestamp, to: Timestamp) -> Timestamp {
    let seconds = to.duration_since(from).as_secs().max(1);
    from.checked_add(SignedDuration::from_secs(chance.random_range(0..seconds))).unwrap_or(from)
}

/// Row versions grow with the time of modification, as a database would hand them out.
fn number_row_versions(documents: &mut [Document]) {
    let mut order: Vec<usize> = (0..documents.len()).collect();
    order.sort_by_key(|&index| documents[index].modified);
    let mut row_version = FIRST_ROW_VERSION;
    for index in order {
        let modified = documents[index].modified;
        documents[index].change(&Map::new(), modified, row_version);
        documents[index].version = 1;
        row_version += 7;
    }
}

fn script(chance: &mut ChaCha8Rng, options: &Options, documents: &[Document]) -> Vec<Movement> {
    let mut good: Vec<usize> =
        (0..documents.len()).filter(|&index| documents[index].purpose == Purpose::Good).collect();
    let pages = (documents.len() / options.page_size_limit.max(1)).max(1) as u64;
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

pub fn document(chance: &mut ChaCha8Rng, options: &Options, io_id: u64, modified: Timestamp) -> Document {
    let purpose = Purpose::draw(chance, options);
    let coin = chance.random_bool(0.5);
    let money_as_text = match options.money {
        Money::Text => true,
        Money::Number => false,
        Money::Mixed => coin,
    };
    let (shop_id, shop_name) = *SHOPS.choose(chance).expect("the list of shops is not empty");
    let (state, city, district) = *PLACES.choose(chance).expect("the list of places is not empty");
    let shipped = modified.checked_sub(SignedDuration::from_secs(chance.random_range(0..3600))).unwrap_or(modified);
    let created = shipped.checked_sub(SignedDuration::from_secs(chance.random_range(600..90_000))).unwrap_or(shipped);
    let so_id = format!("34257867{:08}", io_id);
    let items: Vec<Value> = (0..chance.random_range(options.lines.clone()))
        .map(|row| item(chance, io_id, row, &so_id, money_as_text, options.money == Money::Mixed))
        .collect();
    let paid = cents(chance, 100, 900_000, money_as_text);

    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("co_id", json!(11_053_062));
    put("shop_id", if chance.random_bool(0.2) { json!(shop_id.to_string()) } else { json!(shop_id) });
    put("shop_name", json!(shop_name));
    put("io_id", json!(io_id));
    put("o_id", json!(io_id + 35_000_000));
    put("so_id", json!(so_id));
    put("created", json!(time::format(created)));
    put("modified", json!(time::format(modified)));
    put("status", json!("Confirmed"));
    put("order_type", json!("普通订单"));
    put("shop_buyer_id", json!("b***1"));
    if chance.random_bool(0.5) {
        put("open_id", json!(format!("AAE{io_id}")));
    }
    put("receiver_country", json!("中国"));
    put("receiver_state", json!(state));
    put("receiver_city", json!(city));
    put("receiver_district", json!(district));
    put("buyer_message", if chance.random_bool(0.5) { Value::Null } else { json!("") });
    put("remark", remark(chance));
    put("is_cod", json!(chance.random_bool(0.05)));
    put("pay_amount", paid.clone());
    put("paid_amount", paid);
    match chance.random_range(0..6) {
        0 => {}
        1 => put("free_amount", Value::Null),
        2 => put("free_amount", exact("0.0", money_as_text)),
        _ => put("free_amount", cents(chance, 0, 5_000, money_as_text)),
    }
    put("freight", exact("0.00", money_as_text));
    put("weight", exact("0.50", money_as_text));
    put("f_weight", if chance.random_bool(0.3) { Value::Null } else { exact("0.52", money_as_text) });
    match chance.random_range(0..10) {
        0 => {}
        1 => put("l_id", json!("")),
        _ => put("l_id", json!(format!("SF10{:011}", io_id))),
    }
    put("lc_id", json!("SF"));
    put("logistics_company", json!("顺丰速运"));
    put("io_date", json!(time::format(shipped)));
    put("wms_co_id", json!(11_053_062 + chance.random_range(0..3)));
    put("warehouse", json!("主仓"));
    match chance.random_range(0..5) {
        0 => {}
        1 => put("drp_co_id_from", Value::Null),
        2 => put("drp_co_id_from", json!(format!("DRP{}", 1000 + chance.random_range(0..20)))),
        _ => put("drp_co_id_from", json!("")),
    }
    put("labels", if chance.random_bool(0.5) { json!("") } else { json!("加急,赠品") });
    put("pay_date", json!(time::format(created)));
    put("seller_flag", json!(chance.random_range(0..6)));
    put("ts", json!(0));
    put("items", Value::Array(items));
    if chance.random_bool(0.5) {
        let amount = cents(chance, 100, 900_000, money_as_text);
        put(
            "pays",
            json!([{"pay_id": io_id + 70_000_000, "amount": amount, "payment": "支付宝", "status": "Confirmed"}]),
        );
    }
    put("batchs", json!([]));
    put("sns", json!([]));

    let detail = spoil(chance, purpose, &mut fields);
    Document::new(fields, purpose, &detail, chance.random_bool(0.05))
}

/// Makes the document what its purpose says.
fn spoil(chance: &mut ChaCha8Rng, purpose: Purpose, fields: &mut Map<String, Value>) -> String {
    match purpose {
        Purpose::Good | Purpose::Given => String::new(),
        Purpose::Skip => {
            let status = *["WaitConfirm", "OuterConfirming", "Delete", "Cancelled"].choose(chance).expect("not empty");
            fields.insert("status".to_owned(), json!(status));
            format!("status {status}")
        }
        Purpose::Reject => {
            let wrong =
                *["qty missing", "sale_price null", "items missing", "items null"].choose(chance).expect("not empty");
            match wrong {
                "qty missing" => drop(last_item(fields).and_then(|item| item.shift_remove("qty"))),
                "sale_price null" => {
                    drop(last_item(fields).and_then(|item| item.insert("sale_price".to_owned(), Value::Null)));
                }
                "items missing" => drop(fields.shift_remove("items")),
                _ => drop(fields.insert("items".to_owned(), Value::Null)),
            }
            wrong.to_owned()
        }
        Purpose::Refuse if chance.random_bool(0.5) => {
            fields.insert("drp_co_id_from".to_owned(), json!(UNKNOWN_CUSTOMER));
            "unknown customer".to_owned()
        }
        Purpose::Refuse => {
            drop(last_item(fields).and_then(|item| item.insert("qty".to_owned(), json!(ABSURD_QUANTITY))));
            "quantity too large".to_owned()
        }
    }
}

fn last_item(fields: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    fields.get_mut("items")?.as_array_mut()?.last_mut()?.as_object_mut()
}

fn item(chance: &mut ChaCha8Rng, io_id: u64, row: u64, so_id: &str, money_as_text: bool, free_spelling: bool) -> Value {
    let (sku_id, name, properties) = *GOODS.choose(chance).expect("the list of goods is not empty");
    let ioi_id = io_id * 100 + row;
    let quantity = chance.random_range(1..=12);
    let gift = chance.random_bool(0.12);
    let price = if gift {
        // Free of charge has more than one spelling, and a shop does not keep to one.
        let zero = *["0", "0.0", "0.00"].choose(chance).expect("not empty");
        let coin = chance.random_bool(0.5);
        exact(zero, if free_spelling { coin } else { money_as_text })
    } else if chance.random_bool(0.1) {
        exact(&format!("{}.{:04}", chance.random_range(1..300), chance.random_range(1..10_000)), money_as_text)
    } else {
        cents(chance, 1, 99_999, money_as_text)
    };
    let mut item = json!({
        "ioi_id": ioi_id, "oi_id": ioi_id + 50, "raw_so_id": so_id, "sku_id": sku_id,
        "i_id": "STYLE01", "name": name, "properties_value": properties, "pic": "",
        "qty": if chance.random_bool(0.2) { json!(quantity.to_string()) } else { json!(quantity) },
        "sale_price": price, "is_gift": gift, "combine_sku_id": "",
    });
    if chance.random_bool(0.5) {
        item["outer_oi_id"] = json!(format!("{so_id}-{row}"));
    }
    item
}

fn remark(chance: &mut ChaCha8Rng) -> Value {
    if chance.random_bool(0.03) {
        let sentence = "客户多次来电要求更改收货地址，客服已登记并通知仓库；";
        return json!(sentence.repeat(2048 / sentence.len() + 1));
    }
    if chance.random_bool(0.05) {
        return Value::Null;
    }
    json!(REMARKS.choose(chance).expect("the list of remarks is not empty"))
}

fn cents(chance: &mut ChaCha8Rng, from: u64, to: u64, as_text: bool) -> Value {
    let cents = chance.random_range(from..to);
    exact(&format!("{}.{:02}", cents / 100, cents % 100), as_text)
}

/// The number with exactly these digits.
fn exact(digits: &str, as_text: bool) -> Value {
    if as_text {
        return json!(digits);
    }
    Value::Number(serde_json::from_str::<Number>(digits).expect("callers write numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(seed: u64) -> Vec<String> {
        let to: Timestamp = "2026-11-01T00:00:00Z".parse().expect("an instant");
        let from = to - SignedDuration::from_hours(72);
        let options = Options { seed, documents: 400, from, to, movers: 3, cancelled: 2, ..Options::default() };
        let (documents, movements) = generate(&options);
        assert_eq!(movements.len(), 5);
        assert!(documents.iter().all(|document| document.modified >= from && document.modified < to));
        documents.into_iter().map(|document| document.body).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_documents() {
        assert_eq!(bodies(7), bodies(7));
        assert_ne!(bodies(7), bodies(8));
    }

    #[test]
    fn money_is_written_as_it_was_asked_for() {
        for (money, wrong) in [(Money::Text, "\"pay_amount\":1"), (Money::Number, "\"sale_price\":\"")] {
            let (documents, _) = generate(&Options { money, documents: 200, ..Options::default() });
            assert!(documents.iter().all(|document| !document.body.contains(wrong)), "{money:?}");
        }
    }

    #[test]
    fn every_surprise_occurs() {
        let all = bodies(7).join("\n");
        for surprise in [
            "\"sale_price\":0,",
            "\"sale_price\":0.0,",
            "\"sale_price\":\"0.00\"",
            "\"sale_price\":null",
            "\"items\":null",
            "\"status\":\"WaitConfirm\"",
            UNKNOWN_CUSTOMER,
            "9999999",
            "\"shop_id\":\"12948597\"",
            "\"shop_id\":12948597",
            "\"remark\":null",
            "\\u",
            "🎁",
            "客户多次来电",
        ] {
            assert!(all.contains(surprise), "{surprise} never occurs");
        }
    }
}
