//! How K3Cloud is asked.

use serde_json::{Value, json};
use vendor_sim::{Fault, FaultName, Options};

use crate::client::{Sim, bill, with};

async fn sim_with_bills(count: usize) -> Sim {
    let sim = Sim::start(Options { documents: 0, query_limit: 5, ..Options::default() }).await;
    for number in 1..=count {
        sim.save(bill(&format!("B{number}"))).await;
    }
    sim
}

#[tokio::test]
async fn answers_rows_in_the_order_of_the_keys_and_in_its_own_spelling() {
    let sim = sim_with_bills(2).await;
    let keys = "FBillNo,FID,FDocumentStatus,FDate,FCustomerID.FNumber,FSettleCurrID.FNumber,FNote,F_KLF_Text";
    let answer = sim.query(keys, "FBillNo in ('B1','B3')").await;
    assert_eq!(answer, json!([["B1", 100_041, "A", "2026-11-20T10:11:12", "C001", "PRE001", "备注", ""]]));

    let answer =
        sim.query("FBillNo,FEntity_FSeq,FMaterialID.FNumber,FRealQty,FTaxPrice,FIsFree", "FBillNo = 'B2'").await;
    let digits = r#"[["B2",1,"SKU001",2.0,59.9,false],["B2",2,"SKU002",1.5,59.9,false]]"#;
    assert_eq!(answer.to_string(), digits, "one row an entry; numbers not as they were sent");
    assert_eq!(sim.query("FBillNo", "FBillNo = 'none'").await, json!([]));

    let data = json!({"FormId": "SAL_OUTSTOCK", "FieldKeys": "FBillNo,FRealQty", "FilterString": "FRealQty < 2 and FID = 100041"});
    assert_eq!(sim.k3("BillQuery", data).await.to_string(), r#"[{"FBillNo":"B1","FRealQty":1.5}]"#);
}

#[tokio::test]
async fn filters_by_date_and_escaped_text() {
    let sim = sim_with_bills(0).await;
    sim.save(with(bill("O'Neil"), "/FDate", json!("2026-11-01"))).await;
    sim.save(bill("late")).await;
    for (filter, expected) in [
        ("FBillNo = 'O''Neil'", json!([["O'Neil"]])),
        ("FDate >= '2026-11-20'", json!([["late"]])),
        ("FDate < '2026-11-20 10:11:12'", json!([["O'Neil"]])),
        ("FDate >= '2026-11-01' and FBillNo <> 'late'", json!([["O'Neil"]])),
        ("FDocumentStatus in ('A','C') and FCustomerID.FNumber = 'C001'", json!([["O'Neil"], ["late"]])),
    ] {
        assert_eq!(sim.query("FBillNo", filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn pages_by_start_row_up_to_its_cap_and_counts_the_top_from_the_first_row() {
    let sim = sim_with_bills(8).await;
    for (start, limit, top, expected) in [
        (0, 0, 0, vec!["B1", "B2", "B3", "B4", "B5"]),
        (0, 100, 0, vec!["B1", "B2", "B3", "B4", "B5"]),
        (5, 100, 0, vec!["B6", "B7", "B8"]),
        (2, 2, 0, vec!["B3", "B4"]),
        (2, 2, 2, vec![]),
        (2, 2, 3, vec!["B3"]),
    ] {
        let data = json!({"FormId": "SAL_OUTSTOCK", "FieldKeys": "FBillNo", "FilterString": "", "OrderString": "FID ASC",
            "TopRowCount": top, "StartRow": start, "Limit": limit});
        let answer = sim.k3("ExecuteBillQuery", data).await;
        let expected: Vec<_> = expected.into_iter().map(|number| vec![number]).collect();
        assert_eq!(answer, json!(expected), "start {start}, limit {limit}, top {top}");
    }
    let data = json!({"FormId": "SAL_OUTSTOCK", "FieldKeys": "FBillNo", "OrderString": "FBillNo DESC", "Limit": 1});
    assert_eq!(sim.k3("ExecuteBillQuery", data).await, json!([["B8"]]));
}

#[tokio::test]
async fn refuses_unknown_forms_fields_and_empty_keys_inside_two_arrays() {
    let sim = sim_with_bills(1).await;
    let ask = |form: &str, keys: &str, filter: &str| json!({"FormId": form, "FieldKeys": keys, "FilterString": filter});
    for (data, code, text) in [
        (ask("NO_SUCH_FORM", "FBillNo", ""), 4, "标识为“NO_SUCH_FORM”的业务对象不存在，或者被删除。"),
        (ask("STK_OutStock", "FBillNo", ""), 4, "标识为“STK_OutStock”的业务对象不存在，或者被删除。"),
        (ask("SAL_OUTSTOCK", "FNoSuchField", ""), 9, "元数据中标识为FNoSuchField的字段不存在"),
        (ask("SAL_OUTSTOCK", "FBillNo,FCustId", ""), 9, "元数据中标识为FCustId的字段不存在"),
        (ask("SAL_OUTSTOCK", "FBillNo", "FMaterialId = 'x'"), 9, "元数据中标识为FMaterialId的字段不存在"),
        (ask("SAL_OUTSTOCK", "", ""), 8, "data数据包中的参数FieldKeys的值不能为空。"),
    ] {
        let answer = sim.k3("ExecuteBillQuery", data.clone()).await;
        let status = &answer[0][0]["Result"]["ResponseStatus"];
        assert_eq!((&status["MsgCode"], &status["Errors"][0]["Message"]), (&json!(code), &json!(text)), "{data}");
        assert_eq!(sim.k3("BillQuery", data).await["Result"]["ResponseStatus"]["MsgCode"], json!(code));
    }
    let answer = sim.query("FBillNo", "FBillNo like 'x'").await;
    assert_eq!(answer[0][0]["Result"]["ResponseStatus"]["MsgCode"], json!(4));
    let answer = sim.k3_raw("Save", r#"{"data":{"Model":{}}}"#).await.unwrap().json();
    assert_eq!(answer["Result"]["ResponseStatus"]["MsgCode"], json!(5), "no form");
}

#[tokio::test]
async fn view_shows_the_bill_in_the_names_of_the_object_model() {
    let sim = sim_with_bills(1).await;
    let answer = sim.k3("View", json!({"Number": "B1"})).await["Result"].clone();
    assert_eq!(answer["ResponseStatus"]["IsSuccess"], json!(true));
    let bill = &answer["Result"];
    assert_eq!((&bill["Id"], &bill["BillNo"], &bill["DocumentStatus"]), (&json!(100_041), &json!("B1"), &json!("A")));
    assert_eq!(bill["SAL_OUTSTOCKENTRY"][1]["RealQty"].to_string(), "1.5");
    assert_eq!(bill["CustomerID"]["Number"], json!("C001"));
    assert_eq!(sim.k3("View", json!({"Id": "100041"})).await["Result"]["Result"]["BillNo"], json!("B1"));
    assert_eq!(sim.k3("View", json!({"Number": "none"})).await["Result"]["ResponseStatus"]["MsgCode"], json!(10));
}

#[tokio::test]
async fn a_bill_that_shows_late_is_there_all_the_same() {
    let sim = Sim::empty().await;
    sim.order(Fault::new(FaultName::ShowLate).value(60_000).times(1)).await;
    sim.save(bill("1")).await;
    assert_eq!(sim.query("FBillNo", "").await, json!([]));
    assert_eq!(sim.k3("View", json!({"Number": "1"})).await["Result"]["ResponseStatus"]["MsgCode"], json!(10));
    assert_eq!(sim.save(bill("1")).await["ResponseStatus"]["MsgCode"], json!(11), "its number is taken already");
    sim.pretend(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(61)).await;
    assert_eq!(sim.query("FBillNo", "").await, json!([["1"]]));
}

#[tokio::test]
async fn the_log_tells_the_story_without_a_secret() {
    let sim = sim_with_bills(1).await;
    sim.query("FBillNo", "FBillNo = 'B1'").await;
    sim.jushuitan(&[("so_ids", "1")]).await;
    let log = sim.admin("GET", "log", Value::Null).await;
    let text = log.to_string();
    let session = sim.log_in().await;
    for secret in ["demo-password-1", "0123456789abcdef", "30000001", "KDSVC", &session] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for told in ["\"bills\":[\"B1\"]", "FBillNo = 'B1'", "\"so_ids\":\"1\""] {
        assert!(text.contains(told), "{told} not in {text}");
    }
    let counters = sim.admin("GET", "requests", Value::Null).await;
    let saved = json!({"system": "kingdee_k3cloud", "operation": "save", "outcome": "ok", "count": 1});
    assert!(counters["counters"].as_array().unwrap().contains(&saved), "{counters}");
}
