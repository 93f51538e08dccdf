//! 星辰: who may ask, what a bill must hold, and how it is found again.

use serde_json::{Value, json};
use vendor_sim::{Envelope, Fault, FaultName, JdyOptions, Options};

use crate::client::{Sim, jdy_signature, with};

const SAVE: &str = "/jdy/inv/inv_check_gain_bill_save";
const SAVE_2: &str = "/jdy/v2/scm/inv_check_gail_bill";
const AUTHORIZE: &str = "/jdyconnector/app_management/push_app_authorize";
const TOKEN: &str = "/jdyconnector/app_management/kingdee_auth_token";
const AT: &str = "1700000000123";
const OWN: &str = "YTJmMWYwMTBjYTM0M2YzMWYzYWExYzYyNmE5NzU1ZjVkM2RkYWM3ZWRiMTYzNDY1ZGM3ZDBkZmU0ZGIyZmIxMA==";

fn bill(number: &str, quantity: &str) -> Value {
    let quantity: Value = serde_json::from_str(quantity).unwrap();
    json!({"billdate": "2026-11-20", "billno": number, "remark": number, "material_entity": [{
        "materialid_id": "1203311870000000001", "stockid_id": "1203311870000100001", "unit_id": "1203311870000200001",
        "qty": quantity, "billno": number,
    }]})
}

async fn save(sim: &Sim, token: &str, body: &Value) -> Value {
    sim.jdy("POST", SAVE, &[], token, &body.to_string()).await.json()
}

async fn held(sim: &Sim) -> Value {
    sim.admin("GET", "held", Value::Null).await["kingdee_jdy"].clone()
}

#[tokio::test]
async fn takes_the_vectors_of_the_notes_and_refuses_them_changed() {
    let sim = Sim::empty().await;
    sim.pretend("2023-11-14T22:13:20Z".parse().unwrap()).await;
    for (method, path, query, signature) in [
        (
            "POST",
            AUTHORIZE,
            &[("outerInstanceId", "107218833860857856")][..],
            "NzljOGMwOGRiNTA2MjQ3MjJiYjE0M2I1YmI1OGRkNjczZGMwNDM0MjAwZmE0NTJjMWE5OGJhZmU1ZDQ5MmUzYw==",
        ),
        (
            "GET",
            TOKEN,
            &[("app_key", "fPB7oQ01"), ("app_signature", OWN)],
            "YWEyZDY3NmRlZDU0YjU2MWM2MzE5ODIwOTI1MTM2ZDdkY2EzNzZjZWRkYmFhZjI3YWJiNDJlZTZkMzM3YjhiMQ==",
        ),
        ("POST", SAVE, &[], "YjY1NTkxNDYxNTdmZWQ3OGIzNzcxZjExMmZhZmMxYTJjMTZhYWQwNzYwZmIzYTNjZDlkZjcyMTY2YjRjZTJkNA=="),
        (
            "GET",
            SAVE_2,
            &[("page", "1"), ("page_size", "10"), ("search", "盘 盈+1")],
            "NTBiNzFlOWY5NTA0YzM0OGMyNTYxNTU3NDIzMGQxMDZkMjI0YTYwOTBiNTNhZTlhNzYwZjYwYzcxYTc4MWNkZA==",
        ),
    ] {
        let answer = sim.jdy_signed(method, path, query, ("", ""), ("1234567", AT, signature)).await;
        let passed = if matches!(path, AUTHORIZE | TOKEN) { 0 } else { 4012 };
        assert_eq!(answer.json()["errcode"], json!(passed), "{path}: past the signature: {}", answer.text());
        let answer = sim.jdy_signed(method, path, query, ("", ""), ("1234568", AT, signature)).await;
        assert_eq!((answer.status, &answer.json()["errcode"]), (519, &json!(4003)), "another nonce");
    }
    let query = [("outerInstanceId", "107218833860857856"), ("a b", "盘")];
    for (given, code) in [(vec![query[0], query[1]], 0), (vec![query[1], query[0]], 0), (vec![query[0]], 4003)] {
        let signature = jdy_signature("POST", AUTHORIZE, &given, "1", AT);
        let answer = sim.jdy_signed("POST", AUTHORIZE, &query, ("", ""), ("1", AT, &signature)).await.json();
        assert_eq!(answer["errcode"], json!(code), "both orders pass: {given:?} {answer}");
    }
}

#[tokio::test]
async fn the_gateway_refuses_with_519_and_two_languages() {
    let sim = Sim::empty().await;
    sim.pretend("2023-11-14T22:18:21Z".parse().unwrap()).await;
    let signature = jdy_signature("POST", SAVE, &[], "1", AT);
    let answer = sim.jdy_signed("POST", SAVE, &[], ("", ""), ("1", AT, &signature)).await;
    assert_eq!((answer.status, &answer.json()["errcode"]), (519, &json!(4006)), "five minutes and a second off");
    assert!(answer.json()["description_cn"].as_str().unwrap().contains("过期"));
    assert!(answer.head.contains("x-api-requestid"));
    let answer = sim.send("POST", SAVE, &[], b"").await.unwrap();
    assert_eq!((answer.status, &answer.json()["errcode"]), (519, &json!(4002)));
    let answer = sim.jdy("GET", "/jdy/none", &[], "", "").await;
    assert_eq!((answer.status, &answer.json()["errcode"]), (519, &json!(5001)));
}

#[tokio::test]
async fn tokens_expire_and_secrets_rotate_by_order_and_by_time() {
    let sim = Sim::empty().await;
    assert_eq!(sim.jdy_ask_token(OWN).await.json()["errcode"], json!(0));
    let token = sim.jdy_token().await;
    sim.order(Fault::new(FaultName::ExpireSession).times(1)).await;
    let answer = sim.jdy("POST", SAVE, &[], &token, &bill("1", "1").to_string()).await;
    assert_eq!((answer.status, &answer.json()["errcode"]), (401, &json!(1_000_202_001)));
    sim.order(Fault::new(FaultName::RotateSecret).times(1)).await;
    assert_eq!(sim.jdy_ask_token(OWN).await.json()["errcode"], json!(4012));
    let token = sim.jdy_token().await;
    assert_eq!(save(&sim, &token, &bill("1", "1")).await["errcode"], json!(0));
    assert_eq!(save(&sim, "nonsense", &bill("1", "1")).await["errcode"], json!(4012));
}

#[tokio::test]
async fn a_bill_refers_by_internal_id_and_counts_exactly() {
    let sim = Sim::empty().await;
    let token = sim.jdy_token().await;
    for (pointer, value, words) in [
        ("/billdate", json!("2026-11-20 10:00:00"), "billdate"),
        ("/material_entity", json!([]), "分录"),
        ("/material_entity/0/materialid_id", json!("SKU001"), "materialid_id"),
        ("/material_entity/0/materialid_id", json!(1_203_311_870_000_000_001_u64), "materialid_id"),
        ("/material_entity/0/stockid_id", Value::Null, "stockid_id"),
        ("/material_entity/0/unit_id", json!("件"), "unit_id"),
        ("/material_entity/0/qty", Value::Null, "qty"),
        ("/material_entity/0/qty", json!("5"), "qty"),
        ("/material_entity/0/qty", json!(0), "qty"),
        ("/material_entity/0/qty", json!(9_999_999), "qty"),
        ("/material_entity/0/qty", serde_json::from_str("1.00001").unwrap(), "qty"),
    ] {
        let answer = save(&sim, &token, &with(bill("1", "5"), pointer, value.clone())).await;
        assert_eq!(answer["errcode"], json!(2_000_000_001), "{pointer} {value}: {answer}");
        assert!(answer["description"].as_str().unwrap().contains(words), "{pointer} {value}: {answer}");
    }
    let answer = save(&sim, &token, &with(bill("PD1", "1234.5670"), "/nonsense", json!(1))).await;
    let id = answer["data"]["ids"][0].as_str().unwrap();
    assert_eq!(answer["data"]["id_number_map"][id], json!("PD1"));
    let held = held(&sim).await;
    let bill = &held["bills"][0];
    assert_eq!(bill["model"]["material_entity"][0]["qty"].to_string(), "1234.5670");
    assert_eq!(bill["ignored_fields"], json!(["nonsense"]));
    assert!(bill["kept"]["material_entity"][0]["billno"].is_null(), "a row's number is not kept unless told");
    assert_eq!((held["creates"].as_array().unwrap().len(), &held["saves"]["PD1"]), (12, &json!(1)));
}

#[tokio::test]
async fn the_same_bill_twice_is_two_bills_and_both_lists_find_them() {
    let sim = Sim::empty().await;
    let token = sim.jdy_token().await;
    for _ in 0..2 {
        save(&sim, &token, &bill("PD1", "1")).await;
    }
    let second = json!({"bill_date": "2026-11-21", "remark": "PD2", "material_entity": [{
        "material_id": "1203311870000000001", "stock_id": "1203311870000100001", "unit_id": "1203311870000200001",
        "qty": 1}]});
    let answer = sim.jdy("POST", SAVE_2, &[], &token, &second.to_string()).await.json();
    assert!(answer["data"]["id_number_map"].to_string().contains("PYD-20261121-00003"), "{answer}");

    let list = "/jdy/inv/inv_check_gain_bill_list";
    for (body, count) in [
        (json!({"search": "PD1", "page": 1, "pagesize": 10}), 2),
        (json!({"startbilldate": "2026-11-21", "endbilldate": "2026-11-21"}), 1),
        (json!({"search": "PD2"}), 0),
        (json!({"startbilldate": -1}), 3),
    ] {
        let answer = sim.jdy("POST", list, &[], &token, &body.to_string()).await.json();
        assert_eq!(answer["data"]["rows"].as_array().unwrap().len(), count, "{body}: {answer}");
    }
    let query = [("search", "PD1"), ("start_bill_date", "2026-11-20"), ("end_bill_date", "2026-11-20")];
    let answer = sim.jdy("GET", SAVE_2, &query, &token, "").await.json();
    assert_eq!((&answer["data"]["count"], &answer["data"]["rows"][0]["bill_no"]), (&json!(2), &json!("PD1")));
    sim.order(Fault::new(FaultName::ShowLate).value(3_600_000).times(1)).await;
    save(&sim, &token, &bill("PD9", "1")).await;
    let answer = sim.jdy("GET", SAVE_2, &[("search", "PD9")], &token, "").await.json();
    assert_eq!(answer["data"]["count"], json!(0), "it is there and does not show yet");
    assert_eq!(held(&sim).await["bills"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn tables_come_in_pages_of_a_hundred_at_most_and_grow_on_order() {
    let sim = Sim::empty().await;
    let token = sim.jdy_token().await;
    let mut numbers = Vec::new();
    for page in ["1", "2"] {
        let answer = sim.jdy("GET", "/jdy/v2/bd/material", &[("page", page), ("page_size", "200")], &token, "").await;
        let data = answer.json()["data"].clone();
        assert_eq!((&data["page_size"], &data["total_page"]), (&json!(100), &json!(2)));
        numbers.extend(data["rows"].as_array().unwrap().iter().map(|row| row["number"].as_str().unwrap().to_owned()));
    }
    assert_eq!(numbers.len(), 136);
    assert!(numbers.iter().any(|number| number == "SKU001"));
    for (path, name) in [("store_list", "主仓"), ("measure_unit_list", "件")] {
        let answer =
            sim.jdy("POST", &format!("/jdy/basedata/{path}"), &[], &token, r#"{"page":1,"pagesize":50}"#).await;
        assert!(answer.text().contains(name), "{}", answer.text());
    }
    let order = json!({"system": "kingdee_jdy", "table": "material", "number": "NEW-9001", "name": "新品"});
    sim.admin("POST", "documents", order).await;
    let body = r#"{"search":"NEW-9001"}"#;
    let answer = sim.jdy("POST", "/jdy/basedata/material_list", &[], &token, body).await.json();
    assert_eq!(answer["data"]["rows"][0]["number"], json!("NEW-9001"));
}

#[tokio::test]
async fn envelopes_and_what_is_kept_are_settings() {
    let jdy = JdyOptions {
        envelope: Envelope::ByPath,
        keep_head_billno: false,
        keep_row_billno: true,
        unique_billno: true,
        ..Default::default()
    };
    let sim = Sim::start(Options { documents: 0, jdy, ..Options::default() }).await;
    let token = sim.jdy_token().await;
    let answer = save(&sim, &token, &bill("PD1", "1")).await;
    assert_eq!((&answer["success"], &answer["data"]["billno"]), (&json!(true), &json!("PYD-20261120-00001")));
    assert_eq!(held(&sim).await["bills"][0]["kept"]["material_entity"][0]["billno"], json!("PD1"));
    assert_eq!(save(&sim, &token, &bill("PYD-20261120-00001", "1")).await["success"], json!(false));
}
