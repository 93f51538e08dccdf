//! Source and target fit together: what a document was made to provoke is what happens to it.

use serde_json::{Value, json};
use vendor_sim::Options;

use crate::client::Sim;

#[derive(Debug, PartialEq, Eq)]
enum Mapped {
    Skip,
    Reject,
    Bill(Value),
}

/// The example scheme, as short as it can be said.
fn map(document: &Value) -> Mapped {
    if document["status"] != json!("Confirmed") {
        return Mapped::Skip;
    }
    let Some(items) = document["items"].as_array() else { return Mapped::Reject };
    if items.iter().any(|item| item["qty"].is_null() || item["sale_price"].is_null()) {
        return Mapped::Reject;
    }
    let reference = |value: &Value| json!({"FNumber": value.as_str().map_or_else(|| value.to_string(), str::to_owned)});
    let distributor = document["drp_co_id_from"].as_str().unwrap_or_default();
    let customer =
        if distributor.is_empty() { reference(&document["shop_id"]) } else { json!({"FNumber": distributor}) };
    let rows: Vec<_> = items
        .iter()
        .map(|item| {
            json!({
                "FMaterialID": reference(&item["sku_id"]), "FRealQty": item["qty"], "FTaxPrice": item["sale_price"],
                "FStockID": reference(&document["wms_co_id"]), "FEntrynote": "", "F_sms_Text2": "1",
            })
        })
        .collect();
    Mapped::Bill(json!({
        "FBillTypeID": {"FNUMBER": "XSCKD01_SYS"}, "FBillNo": document["io_id"].to_string(), "FDate": document["io_date"],
        "FSaleOrgId": {"FNumber": "101"}, "FStockOrgId": {"FNumber": "101"}, "FCustomerID": customer,
        "FNote": document["remark"], "F_KLF_Assistant": {"FNumber": "LY004"}, "F_KLF_Text": document["so_id"],
        "F_KLF_Text1": document["l_id"], "FEntity": rows,
        "SubHeadEntity": {
            "FSettleOrgID": {"FNumber": "101"}, "FSettleCurrID": {"FNumber": "PRE001"},
            "FSaleDeptID": {"FNumber": "00006"}, "FAllDisCount": document["free_amount"],
        },
    }))
}

#[tokio::test]
async fn every_document_meets_the_fate_it_was_made_for() {
    let sim = Sim::start(Options { documents: 300, seed: 11, ..Options::default() }).await;
    sim.read_window(&[]).await;
    let served = sim.admin("GET", "served", Value::Null).await["jushuitan_qimen"]["versions"].clone();
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    let mut expected_bills = 0;
    for version in served.as_array().unwrap() {
        let purpose = version["purpose"].as_str().unwrap();
        *counts.entry(purpose).or_default() += 1;
        let document: Value = serde_json::from_str(version["body"].as_str().unwrap()).unwrap();
        let bill = match (purpose, map(&document)) {
            ("skip", Mapped::Skip) | ("reject", Mapped::Reject) => continue,
            ("good" | "refuse", Mapped::Bill(bill)) => bill,
            (purpose, mapped) => panic!("{purpose} became {mapped:?}: {document}"),
        };
        let answer = sim.k3("Save", json!({"IsAutoSubmitAndAudit": true, "Model": bill})).await;
        let status = &answer["Result"]["ResponseStatus"];
        assert_eq!(status["IsSuccess"], json!(purpose == "good"), "{}: {status}", version["detail"]);
        expected_bills += usize::from(purpose == "good");
    }
    assert_eq!(counts.len(), 4, "all four kinds occur: {counts:?}");
    let held = sim.held().await;
    let bills = held["bills"].as_array().unwrap();
    assert_eq!(bills.len(), expected_bills);
    assert!(bills.iter().all(|bill| bill["status"] == json!("C") && bill["ignored_fields"] == json!([])));
}

/// A stock-in as a gain bill, by the tables that JDY has; `None` where something is missing.
fn gain(document: &Value, tables: &Value) -> Option<Value> {
    let id = |table: &str, by: &str, wanted: &Value| {
        tables[table].as_array()?.iter().find(|entry| entry[by] == *wanted).map(|entry| entry["id"].clone())
    };
    let stock = id("stock", "number", &document["warehouse_no"])?;
    let mut rows = Vec::new();
    for line in document["details_list"].as_array()? {
        let quantity = line["goods_count"].as_str()?;
        if quantity.starts_with('-') || quantity == "0.0000" {
            continue;
        }
        let quantity: Value = serde_json::from_str(quantity).unwrap();
        let material = id("material", "number", &line["spec_no"])?;
        let unit = id("unit", "name", &line["goods_unit"])?;
        rows.push(json!({"materialid_id": material, "stockid_id": stock, "unit_id": unit, "qty": quantity}));
    }
    Some(json!({"billdate": "2026-11-20", "billno": document["stockin_no"], "material_entity": rows}))
}

#[tokio::test]
async fn every_stock_in_meets_the_fate_it_was_made_for() {
    let options = Options { documents: 200, seed: 11, reject_percent: 10, refuse_percent: 6, ..Options::default() };
    let sim = Sim::start(options).await;
    let token = sim.jdy_token().await;
    let documents = sim.admin("GET", "documents", Value::Null).await;
    let mut seen = std::collections::BTreeSet::new();
    for listed in documents["wangdiantong_qimen"]["documents"].as_array().unwrap() {
        let purpose = listed["purpose"].as_str().unwrap();
        seen.insert(purpose);
        let wanted = listed["status"] == json!("80") && listed["order_type"] == json!("4");
        assert_eq!(wanted, purpose != "skip", "{listed}");
        let document: Value = serde_json::from_str(listed["body"].as_str().unwrap()).unwrap();
        let bill = gain(&document, &documents["kingdee_jdy"]);
        assert_eq!(bill.is_none(), purpose == "reject", "{listed}");
        if let (true, Some(bill)) = (wanted, bill) {
            let path = "/jdy/inv/inv_check_gain_bill_save";
            let answer = sim.jdy("POST", path, &[], &token, &bill.to_string()).await.json();
            assert_eq!(answer["errcode"] == json!(0), purpose == "good", "{}: {answer}", listed["detail"]);
        }
    }
    assert_eq!(seen.len(), 4, "all four kinds occur: {seen:?}");
}

/// A sale-out as a trade; `None` where something is missing.
fn trade(document: &Value) -> Option<Value> {
    let text = |object: &Value, name: &str| object[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let (mut lines, mut paid) = (Vec::new(), rust_decimal::Decimal::ZERO);
    for line in document["entry"].as_array()? {
        let (num, price, goods) = (text(line, "quantity")?, text(line, "price")?, text(line, "inventorycode")?);
        paid += num.parse::<rust_decimal::Decimal>().unwrap() * price.parse::<rust_decimal::Decimal>().unwrap();
        lines.push(json!({
            "oid": format!("{}-{}", text(document, "code")?, text(line, "rowno")?), "num": num, "price": price,
            "status": 30, "refund_status": 0, "goods_id": goods, "goods_no": goods, "spec_no": goods,
        }));
    }
    let nick = text(document, "customername").or(text(document, "customercode"))?;
    let at = format!("{} 00:00:00", text(document, "date")?);
    Some(json!({
        "tid": document["code"], "trade_status": 30, "pay_status": 2, "delivery_term": 1, "trade_time": at,
        "pay_time": at, "buyer_nick": nick, "receiver_name": text(document, "define1")?,
        "receiver_province": text(document, "define2")?, "receiver_city": text(document, "define3")?,
        "receiver_district": text(document, "define8")?, "receiver_address": text(document, "define9")?,
        "receiver_mobile": text(document, "define10")?, "post_amount": 0, "cod_amount": 0, "ext_cod_fee": 0,
        "other_amount": 0, "paid": paid.normalize().to_string(), "order_list": lines,
    }))
}

#[tokio::test]
async fn every_u8_sale_out_meets_the_fate_it_was_made_for() {
    let options = Options { documents: 200, seed: 11, reject_percent: 10, refuse_percent: 6, ..Options::default() };
    let sim = Sim::start(options).await;
    let documents = sim.admin("GET", "documents", Value::Null).await;
    let mut seen = std::collections::BTreeSet::new();
    for listed in documents["yonyou_u8"]["documents"].as_array().unwrap() {
        let purpose = listed["purpose"].as_str().unwrap();
        seen.insert(purpose);
        let document: Value = serde_json::from_str(listed["body"].as_str().unwrap()).unwrap();
        let red = document["entry"][0]["quantity"].as_str().is_some_and(|quantity| quantity.starts_with('-'));
        assert_eq!(red, purpose == "skip", "{listed}");
        let trade = trade(&document);
        assert_eq!(trade.is_none(), purpose == "reject", "{listed}");
        if let (false, Some(trade)) = (red, trade) {
            let list = json!([trade]).to_string();
            let answer = sim.wdt("wdt.trade.push", &[("shop_no", "SHOP01"), ("trade_list", &list)]).await;
            assert_eq!(answer["errorcode"] == json!(0), purpose == "good", "{}: {answer}", listed["detail"]);
        }
    }
    assert_eq!(seen.len(), 4, "all four kinds occur: {seen:?}");
}
