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

/// In every other case the target takes the material's own unit, and the bill has none.
const UNIT: &str = "/FEntity/0/FUnitID/FNumber";

fn explained(case: &str) -> Value {
    let component = component("jushuitan-saleout-to-k3cloud");
    let transform = repository().join("transforms/jushuitan-saleout-to-k3cloud");
    let arguments = ["explain", "--module", component.to_str().unwrap(), "--case", case, "--format", "json"];
    report(&ends(crossdock(&transform, &arguments), 0))
}

fn of(field: &Value, kind: &str) -> Vec<String> {
    let origins = field["from"].as_array().unwrap().iter();
    origins.filter_map(|origin| origin[kind].as_str().map(str::to_owned)).collect()
}

/// The list above was written by hand; the mapping's source says what a bill can have.
#[test]
fn no_field_that_the_mapping_can_write_is_left_out_of_what_is_explained() {
    let source = repository().join("transforms/jushuitan-saleout-to-k3cloud/src/bill.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let names: Vec<&str> = source.split("rename = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    let places: Vec<&str> = FIELDS.iter().map(|(at, _)| *at).chain([UNIT]).collect();
    for name in names {
        let explained = places.iter().any(|at| at.split('/').any(|part| part == name));
        assert!(explained, "nobody has said where {name} comes from");
    }
}

#[test]
fn names_the_parameter_of_the_one_field_that_only_some_bills_have() {
    let explained = explained("unit-parameter");
    let unit = explained["fields"].as_array().unwrap().iter().find(|field| field["at"] == UNIT).unwrap();
    assert_eq!((of(unit, "document"), of(unit, "parameter")), (vec![], vec!["/unit".to_owned()]), "{unit}");
}

#[test]
fn names_the_source_fields_of_every_field_of_the_bill() {
    let explained = explained("special-shop");
    assert_eq!(explained["cut"], false, "not all values were tried");
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
