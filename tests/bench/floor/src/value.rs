//! The mapping over `serde_json::Value`, as most people write it: numbers are binary floating point.

use serde_json::{Value, json};

pub fn map(parameters: &str, body: &str) -> String {
    let parameters: Value = serde_json::from_str(parameters).expect("parameters");
    let saleout: Value = serde_json::from_str(body).expect("a sale-out");
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let amount = |value: &Value| -> Value {
        match value {
            Value::String(text) => text.parse::<f64>().map_or(Value::Null, Value::from),
            other => other.clone(),
        }
    };
    let shipped = parameters["shipped_statuses"].as_array().expect("a list");
    assert!(shipped.contains(&saleout["status"]));
    let shop_id = text(&saleout["shop_id"]);
    let shop = parameters["shops"].get(&shop_id).unwrap_or(&parameters["default"]);
    let distributor = text(&saleout["drp_co_id_from"]);
    let customer = if distributor.is_empty() {
        parameters["shop_customers"].get(&shop_id).map_or_else(|| shop_id.clone(), text)
    } else {
        distributor
    };
    let number = |value: &Value| json!({ "FNumber": value });
    let stock = json!({ "FNumber": text(&saleout["wms_co_id"]) });
    let rows: Vec<Value> = saleout["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| {
            let price = amount(&item["sale_price"]);
            json!({
                "FMaterialID": { "FNumber": text(&item["sku_id"]) },
                "FRealQty": amount(&item["qty"]),
                "FIsFree": price.as_f64() == Some(0.0),
                "FTaxPrice": price,
                "FStockID": stock,
                "FEntrynote": "",
                "F_sms_Text2": "1",
            })
        })
        .collect();
    let mut sub_head = json!({
        "FSettleCurrID": number(&shop["currency"]),
        "FSettleOrgID": number(&shop["organisation"]),
    });
    let discount = amount(&saleout["free_amount"]);
    if !discount.is_null() {
        sub_head["FAllDisCount"] = discount;
    }
    let bill = json!({
        "FBillTypeID": { "FNUMBER": parameters["bill_type"] },
        "FBillNo": text(&saleout["io_id"]),
        "FDate": text(&saleout["io_date"]),
        "FSaleOrgId": number(&shop["organisation"]),
        "FStockOrgId": number(&shop["organisation"]),
        "FCustomerID": { "FNumber": customer },
        "FSaleDeptID": number(&shop["department"]),
        "FNote": text(&saleout["remark"]),
        "F_KLF_Assistant": number(&shop["profit_centre"]),
        "F_KLF_Text": text(&saleout["so_id"]),
        "F_KLF_Text1": text(&saleout["l_id"]),
        "SubHeadEntity": sub_head,
        "FEntity": rows,
    });
    bill.to_string()
}
