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
