//! Where the fields of scheme A's bill come from, all of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{component, crossdock, ends, report, repository};

/// Each field of the bill of the case `special-shop`, and the fields of the sale-out that it hangs on.
const FIELDS: &[(&str, &[&str])] = &[
    ("/FBillTypeID/FNUMBER", &[]),
    ("/FBillNo", &["/io_id"]),
    ("/FDate", &["/io_date"]),
    ("/FSaleOrgId/FNumber", &["/shop_id"]),
    ("/FStockOrgId/FNumber", &["/shop_id"]),
    ("/FCustomerID/FNumber", &["/drp_co_id_from", "/shop_id"]),
    ("/FSaleDeptID/FNumber", &["/shop_id"]),
    ("/FNote", &["/remark"]),
    ("/F_KLF_Assistant/FNumber", &["/shop_id"]),
    ("/F_KLF_Text", &["/so_id"]),
    ("/F_KLF_Text1", &["/l_id"]),
    ("/SubHeadEntity/FSettleCurrID/FNumber", &["/shop_id"]),
    ("/SubHeadEntity/FSettleOrgID/FNumber", &["/shop_id"]),
    ("/SubHeadEntity/FAllDisCount", &["/free_amount"]),
    ("/FEntity/0/FMaterialID/FNumber", &["/items/0/sku_id"]),
    ("/FEntity/0/FRealQty", &["/items/0/qty"]),
    ("/FEntity/0/FTaxPrice", &["/items/0/sale_price"]),
    ("/FEntity/0/FIsFree", &["/items/0/sale_price"]),
    ("/FEntity/0/FStockID/FNumber", &["/wms_co_id"]),
    ("/FEntity/0/FEntrynote", &[]),
    ("/FEntity/0/F_sms_Text2", &[]),
];

fn explained() -> Value {
    let component = component("jushuitan-saleout-to-k3cloud");
    let transform = repository().join("transforms/jushuitan-saleout-to-k3cloud");
    let arguments = ["explain", "--module", component.to_str().unwrap(), "--case", "special-shop", "--format", "json"];
    report(&ends(crossdock(&transform, &arguments), 0))
}

#[test]
fn names_the_source_fields_of_every_field_of_the_bill() {
    let explained = explained();
    assert_eq!(explained["cut"], false, "not all values were tried");
    let of = |field: &Value, kind: &str| -> Vec<String> {
        let origins = field["from"].as_array().unwrap().iter();
        origins.filter_map(|origin| origin[kind].as_str().map(str::to_owned)).collect()
    };
    let found: BTreeMap<String, &Value> = explained["fields"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|field| field["value"] != "nothing")
        .map(|field| (field["at"].as_str().unwrap().to_owned(), field))
        .collect();
    let expected: BTreeMap<String, Vec<String>> =
        FIELDS.iter().map(|(at, from)| ((*at).to_owned(), from.iter().map(|at| (*at).to_owned()).collect())).collect();
    let documents: BTreeMap<String, Vec<String>> =
        found.iter().map(|(at, field)| (at.clone(), of(field, "document"))).collect();
    assert_eq!(documents, expected);

    let parameters = |at: &str| of(found[at], "parameter");
    assert_eq!(parameters("/FBillTypeID/FNUMBER"), ["/bill_type"]);
    assert_eq!(parameters("/FSaleOrgId/FNumber"), ["/shops/12948597/organisation"]);
    assert_eq!(parameters("/FCustomerID/FNumber"), ["/shop_customers/12948597"]);
    let decides = of(&serde_json::json!({ "from": explained["decides"] }), "document");
    assert!(decides.contains(&"/status".to_owned()), "{decides:?}");
}
