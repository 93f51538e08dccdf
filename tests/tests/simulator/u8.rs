//! U8: tokens, the budget of calls, lists of heads and single documents.

use serde_json::{Value, json};
use vendor_sim::{Fault, FaultName, MoverTarget, Options, U8Options};

use crate::client::Sim;

const LIST: &str = "api/saleoutlist/batch_get";
const ONE: &str = "api/saleout/get";

#[tokio::test]
async fn a_token_opens_and_expires() {
    let sim = Sim::with_documents(5).await;
    let answer = sim.u8("system/token", "", &[]).await;
    assert_eq!((&answer["errcode"], &answer["token"]["expiresIn"]), (&json!("0"), &json!(7200)));
    let token = answer["token"]["id"].as_str().unwrap();
    assert_eq!(token.len(), 32);
    assert_eq!(sim.u8(LIST, token, &[]).await["errcode"], json!("0"));
    assert_eq!(sim.u8(LIST, "0123", &[]).await["errcode"], json!("30012"));
    sim.order(Fault::new(FaultName::ExpireSession).times(1)).await;
    assert_eq!(sim.u8(LIST, token, &[]).await["errcode"], json!("30012"));
    let token = sim.u8_token().await;
    sim.admin("POST", "clock", json!({"offset_seconds": 7201})).await;
    assert_eq!(sim.u8(LIST, &token, &[]).await["errcode"], json!("30012"));
    let answer = sim.u8("system/token", "", &[("app_secret", "wrong")]).await;
    assert_eq!(answer["errcode"], json!("10001"));
}

#[tokio::test]
async fn the_budget_of_calls_is_the_accounts_and_not_the_tokens() {
    let u8 = |budget_per_token| U8Options { call_budget: Some(2), budget_per_token, ..Default::default() };
    for (per_token, code) in [(false, "10001"), (true, "0")] {
        let sim = Sim::start(Options { documents: 5, u8: u8(per_token), ..Options::default() }).await;
        let token = sim.u8_token().await;
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(sim.u8(LIST, &token, &[]).await["errcode"].as_str().unwrap().to_owned());
        }
        assert_eq!(codes, ["0", "0", "10001"]);
        let token = sim.u8_token().await;
        assert_eq!(sim.u8(LIST, &token, &[]).await["errcode"], json!(code));
    }
}

#[tokio::test]
async fn lists_hold_heads_with_all_numbers_as_text_and_get_holds_the_lines() {
    let sim = Sim::with_documents(45).await;
    let token = sim.u8_token().await;
    let documents = sim.admin("GET", "documents", Value::Null).await["yonyou_u8"]["documents"].clone();
    let mut codes = Vec::new();
    for page in ["1", "2", "3"] {
        let answer = sim.u8(LIST, &token, &[("page_index", page), ("ds_sequence", "1")]).await;
        assert_eq!(
            (&answer["page_index"], &answer["rows_per_page"], &answer["row_count"], &answer["page_count"]),
            (&json!(page), &json!("20"), &json!("45"), &json!("3"))
        );
        for row in answer["saleoutlist"].as_array().unwrap() {
            assert!(row["entry"].is_null());
            assert!(row.as_object().unwrap().values().all(Value::is_string));
            codes.push(row["code"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(codes.len(), 45);
    assert!(codes.is_sorted());
    assert_eq!(sim.u8(LIST, &token, &[("page_index", "4")]).await["errcode"], json!("20002"));

    let document = &documents[0];
    let query = format!(
        "/{ONE}?from_account=crossdock_demo&app_key=opa0u8demo&to_account=u8_demo_book&token={token}&id={}",
        document["code"].as_str().unwrap()
    );
    let raw = sim.send("GET", &query, &[], b"").await.unwrap().text();
    assert!(raw.contains(document["body"].as_str().unwrap()), "{raw}");
    assert_eq!(sim.u8(ONE, &token, &[("id", "CK1")]).await["errcode"], json!("20002"));
    let served = sim.admin("GET", "served", Value::Null).await["yonyou_u8"].clone();
    assert_eq!(served["versions"].as_array().unwrap().len(), 1, "only what left whole");
    assert_eq!(served["heads"].as_array().unwrap().len(), 45);
    let log = sim.admin("GET", "log", Value::Null).await.to_string();
    assert!(!log.contains(&token) && !log.contains("u8-demo-secret-1"));
}

#[tokio::test]
async fn filters_by_dates_and_codes_and_ignores_the_timestamp_unless_told() {
    let sim = Sim::empty().await;
    let token = sim.u8_token().await;
    for (code, date, audited) in
        [("CK1", "2026-11-01", "2026-11-03"), ("CK2", "2026-11-02", "2026-11-02"), ("CK3", "2026-11-03", "")]
    {
        let body = json!({"code": code, "date": date, "auditdate": audited, "define1": "张三", "entry": []});
        sim.admin("POST", "documents", json!({"system": "yonyou_u8", "body": body})).await;
    }
    for (parameters, wanted) in [
        (vec![("auditdate_begin", "2026-11-03"), ("auditdate_end", "2026-11-03")], "CK1"),
        (vec![("auditdate_begin", "2026-01-01")], "CK1 CK2"),
        (vec![("date_begin", "2026-11-02"), ("date_end", "2026-11-03")], "CK2 CK3"),
        (vec![("code_begin", "CK2"), ("code_end", "CK2")], "CK2"),
        (vec![("define1", "李四")], ""),
        (vec![("timestamp_begin", "9999")], "CK1 CK2 CK3"),
    ] {
        let answer = sim.u8(LIST, &token, &parameters).await;
        let rows = answer["saleoutlist"].as_array().cloned().unwrap_or_default();
        let codes: Vec<_> = rows.iter().map(|row| row["code"].as_str().unwrap()).collect();
        assert_eq!(codes.join(" "), wanted, "{parameters:?}: {answer}");
    }
    for (name, value, code) in
        [("date_begin", "2026-13-01", "20005"), ("ds_sequence", "2", "10001"), ("page_index", "0", "10001")]
    {
        assert_eq!(sim.u8(LIST, &token, &[(name, value)]).await["errcode"], json!(code), "{name}");
    }
}

#[tokio::test]
async fn documents_are_audited_late_while_somebody_reads() {
    let options = Options { documents: 40, movers: 3, mover_target: MoverTarget::WindowEnd, ..Options::default() };
    let sim = Sim::start(options).await;
    let token = sim.u8_token().await;
    let audited = [("auditdate_begin", "2000-01-01")];
    assert_eq!(sim.u8(LIST, &token, &audited).await["row_count"], json!("37"));
    assert_eq!(sim.u8(LIST, &token, &audited).await["row_count"], json!("40"));
    let documents = sim.admin("GET", "documents", Value::Null).await["yonyou_u8"].clone();
    assert_eq!(documents["movements_left"], json!(0));
    assert_eq!(documents["documents"].as_array().unwrap().iter().filter(|one| one["version"] == json!(2)).count(), 3);
}

#[tokio::test]
async fn the_call_limit_speaks_u8_and_lists_may_carry_lines() {
    let u8 = U8Options { heads_only: false, call_limit_code: "30099".to_owned(), ..Default::default() };
    let sim = Sim::start(Options { documents: 9, reject_percent: 0, u8, ..Options::default() }).await;
    let token = sim.u8_token().await;
    sim.order(Fault::new(FaultName::Throttle).system("yonyou_u8").times(1)).await;
    assert_eq!(sim.u8(LIST, &token, &[]).await["errcode"], json!("30099"));
    assert!(sim.u8(LIST, &token, &[]).await["saleoutlist"][0]["entry"].is_array());
}
