//! 旺店通 behind the gateway it shares with Jushuitan.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vendor_sim::{Fault, FaultName, Options, WangdiantongOptions};

use crate::client::{FORM, LONG_AGO, Sim, with};

const QUERY: &str = "wdt.stockin.order.query";
const PUSH: &str = "wdt.trade.push";
const VECTOR_B: &str = "app_key=30000001&target_app_key=21363512&method=wdt.stockin.order.query&format=json&v=2.0&timestamp=2026-01-15+10%3A30%3A00&sid=demo2&start_time=2026-01-14+00%3A00%3A00&end_time=2026-01-15+00%3A00%3A00&page_no=0&page_size=40&status=80";
const TRADES_C: &str = r#"[{"tid":"T20260115001","trade_status":30,"pay_status":2,"delivery_term":1,"trade_time":"2026-01-15 09:00:00","pay_time":"2026-01-15 09:01:00","buyer_nick":"测试买家","receiver_name":"张三","receiver_province":"北京","receiver_city":"北京市","receiver_district":"海淀区","receiver_address":"中关村大街1号","receiver_mobile":"13800000000","post_amount":0,"cod_amount":0,"ext_cod_fee":0,"other_amount":0,"paid":100,"order_list":[{"oid":"T20260115001-1","num":2,"price":50,"status":30,"refund_status":0,"goods_id":"G1","spec_id":"S1","goods_no":"G1","spec_no":"SKU001","goods_name":"测试商品","adjust_amount":0,"discount":0,"share_discount":0}]}]"#;

fn trade(number: &str) -> Value {
    let list: Value = serde_json::from_str(TRADES_C).unwrap();
    let trade = with(list[0].clone(), "/tid", json!(number));
    with(with(trade, "/order_list/0/oid", json!(format!("{number}-1"))), "/buyer_nick", json!(format!("买家{number}")))
}

async fn push(sim: &Sim, trades: &[Value]) -> Value {
    sim.wdt(PUSH, &[("shop_no", "SHOP01"), ("trade_list", &json!(trades).to_string())]).await
}

async fn held(sim: &Sim) -> Value {
    sim.admin("GET", "held", Value::Null).await["wangdiantong_qimen"].clone()
}

fn window() -> Vec<(&'static str, &'static str)> {
    vec![("start_time", LONG_AGO.0.as_str()), ("end_time", LONG_AGO.1.as_str())]
}

#[tokio::test]
async fn takes_the_vectors_of_the_notes_and_refuses_them_changed() {
    let sim = Sim::empty().await;
    sim.pretend("2026-01-15T02:30:00Z".parse().unwrap()).await;
    let trades = url::form_urlencoded::byte_serialize(TRADES_C.as_bytes()).collect::<String>();
    let vector_c = format!(
        "app_key=30000001&target_app_key=21363512&method=wdt.trade.push&format=json&v=2.0&timestamp=2026-01-15+10%3A30%3A00&sid=demo2&shop_no=SHOP01&trade_list={trades}"
    );
    for (vector, method, sign) in [
        (VECTOR_B, "md5", "AE681974D6C7DB0ABB5FF5AEBAE26CC5"),
        (VECTOR_B, "hmac", "5C173C2C96280FA6BC2767860132E01D"),
        (VECTOR_B, "hmac-sha256", "E1A9AD4267A57870728F2E2D1E58F6744C01F70C76FBDA3E6186FBEF04315142"),
        (&vector_c, "md5", "C1BCFE5E26CFAB4AD0AD6EF02068289B"),
        (&vector_c, "hmac", "192A77C11A4F3DCC7260F0808553781C"),
        (&vector_c, "hmac-sha256", "C9D8A8B71D5FEF7EA6D05507351ACFF92B8FD19406AEDD305DC2C99A6E3EEB56"),
    ] {
        let body = format!("{vector}&sign_method={method}&sign={sign}");
        let answer = sim.send("POST", "/router/qm", &[FORM], body.as_bytes()).await.unwrap().json();
        assert_eq!(answer["response"]["errorcode"], json!(0), "{method}: {answer}");
        let changed = body.replace("sid=demo2", "sid=demo3");
        let answer = sim.send("POST", "/router/qm", &[FORM], changed.as_bytes()).await.unwrap().json();
        assert_eq!(answer["response"]["code"], json!(25), "{answer}");
    }
    let held = held(&sim).await;
    assert_eq!((&held["trades"][0]["tid"], &held["trades"][0]["accepted_pushes"]), (&json!("T20260115001"), &json!(3)));
}

#[tokio::test]
async fn each_vendor_keeps_its_own_methods_and_keys() {
    let sim = Sim::empty().await;
    let answer = sim.wdt(QUERY, &window()).await;
    assert_eq!((&answer["errorcode"], &answer["total_count"]), (&json!(0), &json!(0)), "{answer}");
    for (name, value, code) in [
        ("method", "wdt.trade.query", 22),
        ("target_app_key", "23060081", 41),
        ("sid", "", 40),
        ("sid", "demo3", 15),
        ("format", "xml", 23),
    ] {
        let answer = sim.wdt(QUERY, &[window(), vec![(name, value)]].concat()).await;
        assert_eq!((&answer["flag"], &answer["code"]), (&json!("failure"), &json!(code)), "{name}={value}: {answer}");
    }
}

#[tokio::test]
async fn a_stock_in_query_keeps_its_rules() {
    let sim = Sim::empty().await;
    let start = ("start_time", "2026-01-01 00:00:00");
    for (parameters, words) in [
        (vec![start, ("end_time", "2026-01-31 00:00:01")], "30天"),
        (vec![start], "不能为空"),
        (vec![], "不能为空"),
        (vec![start, ("end_time", "2025-12-31 00:00:00")], "早于"),
        (vec![start, ("end_time", "2026-01-02")], "格式"),
        (vec![("stockin_no", "1"), ("page_size", "101")], "page_size"),
        (vec![("stockin_no", "1"), ("page_no", "-1")], "page_no"),
        (vec![("stockin_no", "1"), ("order_type", "x")], "order_type"),
    ] {
        let answer = sim.wdt(QUERY, &parameters).await;
        assert_eq!(answer["code"], json!(15), "{parameters:?}: {answer}");
        assert!(answer["sub_message"].as_str().unwrap().contains(words), "{parameters:?}: {answer}");
    }
    for allowed in [vec![start, ("end_time", "2026-01-31 00:00:00")], vec![("src_order_no", "1"), ("page_size", "100")]]
    {
        assert_eq!(sim.wdt(QUERY, &allowed).await["errorcode"], json!(0), "{allowed:?}");
    }
}

#[tokio::test]
async fn both_ends_belong_to_the_window() {
    let sim = Sim::empty().await;
    let body = json!({"stockin_no": "RK1", "status": "80", "modified": "2026-01-02 03:04:05"});
    sim.admin("POST", "documents", json!({"system": "wangdiantong_qimen", "body": body})).await;
    for (start, end, count) in [
        ("2026-01-02 03:04:05", "2026-01-02 03:04:06", 1),
        ("2026-01-02 03:04:04", "2026-01-02 03:04:05", 1),
        ("2026-01-02 03:04:06", "2026-01-02 03:04:07", 0),
        ("2026-01-02 03:04:03", "2026-01-02 03:04:04", 0),
    ] {
        let answer = sim.wdt(QUERY, &[("start_time", start), ("end_time", end)]).await;
        assert_eq!(answer["total_count"], json!(count), "{start} {end}: {answer}");
    }
}

#[tokio::test]
async fn pages_from_0_show_every_finished_surplus_once_and_byte_for_byte() {
    let sim = Sim::with_documents(130).await;
    let documents = sim.admin("GET", "documents", Value::Null).await["wangdiantong_qimen"]["documents"].clone();
    let wanted: BTreeSet<String> = documents
        .as_array()
        .unwrap()
        .iter()
        .filter(|document| document["status"] == json!("80") && document["order_type"] == json!("4"))
        .map(|document| document["body"].as_str().unwrap().to_owned())
        .collect();
    let (mut order, mut rows) = (Vec::new(), 0);
    for page in ["0", "1", "2"] {
        let more = [("order_type", "4"), ("status", "80"), ("page_no", page), ("page_size", "50")];
        let raw =
            sim.jushuitan_raw(&crate::client::sign_wdt(QUERY, &[window(), more.to_vec()].concat())).await.unwrap();
        let (text, answer) = (raw.text(), raw.json()["response"].clone());
        let total = if page == "0" { json!(wanted.len()) } else { Value::Null };
        assert_eq!(answer["total_count"], total, "only page 0 counts");
        rows += wanted.iter().filter(|body| text.contains(body.as_str())).count();
        let list = answer["stockin_list"].as_array().unwrap();
        order.extend(list.iter().map(|row| (row["modified"].to_string(), row["stockin_no"].to_string())));
    }
    assert_eq!((order.len(), rows), (wanted.len(), wanted.len()));
    assert!(order.is_sorted());
    let served = sim.admin("GET", "served", Value::Null).await["wangdiantong_qimen"]["versions"].clone();
    assert!(served.as_array().unwrap().iter().all(|version| version["count"] == json!(1)));

    let one = documents[0]["stockin_no"].as_str().unwrap();
    let status = documents[0]["status"].as_str().unwrap();
    let answer = sim.wdt(QUERY, &[("stockin_no", one), ("status", status)]).await;
    assert_eq!(answer["stockin_list"][0]["stockin_no"], json!(one), "a number stands for the times");
}

#[tokio::test]
async fn a_moved_row_leaves_its_place() {
    let sim = Sim::with_documents(30).await;
    let first = sim.wdt(QUERY, &window()).await["stockin_list"][0]["stockin_no"].clone();
    sim.order(Fault::new(FaultName::MoveRows).times(1)).await;
    let answer = sim.wdt(QUERY, &window()).await;
    let list = answer["stockin_list"].as_array().unwrap();
    assert_ne!(list[0]["stockin_no"], first);
    assert_eq!(list.last().unwrap()["stockin_no"], first);
}

#[tokio::test]
async fn a_push_counts_new_and_changed_and_never_changes_num_or_price() {
    let sim = Sim::empty().await;
    let answer = push(&sim, &[trade("1"), trade("2")]).await;
    assert_eq!((&answer["errorcode"], &answer["new_count"], &answer["chg_count"]), (&json!(0), &json!(2), &json!(0)));
    let answer = push(&sim, &[trade("1"), trade("3")]).await;
    assert_eq!((&answer["new_count"], &answer["chg_count"]), (&json!(1), &json!(1)));
    push(&sim, &[with(trade("1"), "/receiver_address", json!("另一条路2号"))]).await;
    let page = held(&sim).await;
    let tries = page["creates"].as_array().unwrap().iter().filter(|tried| tried["number"] == "1");
    let changed: Vec<_> = tries.map(|tried| (tried["new"] == true, tried["changed"] == true)).collect();
    assert_eq!(changed, [(true, false), (false, false), (false, true)], "the same trade once more changes nothing");
    let changed = with(with(trade("1"), "/order_list/0/num", json!(4)), "/paid", json!(200));
    let answer = push(&sim, &[changed]).await;
    assert!(answer["sub_message"].as_str().unwrap().contains("num不能修改"), "{answer}");
    assert_eq!(held(&sim).await["trades"][0]["trade"]["order_list"][0]["num"], json!(2));
}

#[tokio::test]
async fn a_push_is_refused_where_a_trade_breaks_a_rule() {
    let sim = Sim::empty().await;
    for (pointer, value, words) in [
        ("/tid", json!(""), "tid"),
        ("/tid", json!("x".repeat(41)), "tid"),
        ("/buyer_nick", json!(""), "buyer_nick"),
        ("/receiver_mobile", Value::Null, "receiver_mobile"),
        ("/receiver_province", json!("火星省"), "收货地址"),
        ("/receiver_district", json!(""), "收货地址"),
        ("/trade_status", json!(35), "trade_status"),
        ("/pay_time", json!("0000-00-00 00:00:00"), "pay_time"),
        ("/paid", json!("99.9999"), "金额不平"),
        ("/post_amount", Value::Null, "post_amount"),
        ("/order_list", json!([]), "order_list"),
        ("/order_list/0/goods_id", json!(""), "goods_id"),
        ("/order_list/0/num", json!(0), "num"),
        ("/order_list/0/price", json!("50.00001"), "price"),
        ("/order_list/0/share_discount", json!("0.01"), "金额不平"),
    ] {
        let answer = push(&sim, &[with(trade("9"), pointer, value.clone())]).await;
        assert_eq!(answer["code"], json!(15), "{pointer} {value}: {answer}");
        assert!(answer["sub_message"].as_str().unwrap().contains(words), "{pointer} {value}: {answer}");
    }
    let unnamed = with(with(trade("9"), "/order_list/0/goods_no", json!("")), "/order_list/0/spec_no", json!(""));
    assert_eq!(push(&sim, &[unnamed]).await["code"], json!(15));
    assert_eq!(held(&sim).await["trades"], json!([]));
    let mut parsed = with(trade("9"), "/receiver_address", json!("北京 北京市 海淀区 花园路1号"));
    for name in ["receiver_province", "receiver_city", "receiver_district"] {
        parsed[name] = json!("");
    }
    assert_eq!(push(&sim, &[parsed]).await["new_count"], json!(1), "an address that can be split is taken");
    let other = with(trade("10"), "/order_list/0/oid", json!("9-1"));
    assert_eq!(push(&sim, &[other]).await["code"], json!(15), "a line's number is another trade's");
}

#[tokio::test]
async fn a_push_has_limits_and_an_account_needs_more_than_one_nick() {
    let sim = Sim::empty().await;
    let many = |count: usize, nick: &str| -> Vec<Value> {
        (0..count).map(|number| with(trade(&number.to_string()), "/buyer_nick", json!(nick))).collect()
    };
    let different: Vec<_> = (0..51).map(|number| trade(&number.to_string())).collect();
    assert_eq!(push(&sim, &different).await["code"], json!(15));
    assert!(push(&sim, &many(31, "同一人")).await["sub_message"].as_str().unwrap().contains("30"));
    assert_eq!(push(&sim, &many(30, "同一人")).await["new_count"], json!(30), "one customer, one receiver");
    assert_eq!(push(&sim, &different[..50]).await["chg_count"], json!(30));

    let sim = Sim::empty().await;
    let strangers: Vec<_> = (0..20)
        .map(|number| {
            with(with(trade(&number.to_string()), "/buyer_nick", json!("网店客户")), "/receiver_mobile", json!(number))
        })
        .collect();
    assert_eq!(push(&sim, &strangers[..19]).await["errorcode"], json!(0));
    assert_eq!(push(&sim, &strangers[19..]).await["sub_code"], json!("99"));
    let answer = sim.wdt(PUSH, &[("shop_no", "SHOP01"), ("trade_list", "[]"), ("switch", "1")]).await;
    assert_eq!(answer["code"], json!(41));
    assert_eq!(sim.wdt(PUSH, &[("shop_no", "SHOP02"), ("trade_list", TRADES_C)]).await["code"], json!(15));
}

#[tokio::test]
async fn what_stays_of_a_failed_push_is_a_setting() {
    let bad = with(trade("2"), "/paid", json!(1));
    for (options, kept, fails) in [
        (WangdiantongOptions::default(), 1, true),
        (WangdiantongOptions { keep_before_failure: false, ..Default::default() }, 0, true),
        (WangdiantongOptions { per_trade_results: true, ..Default::default() }, 2, false),
    ] {
        let sim = Sim::start(Options { documents: 0, wangdiantong: options, ..Options::default() }).await;
        let answer = push(&sim, &[trade("1"), bad.clone(), trade("3")]).await;
        assert_eq!(answer["flag"] == json!("failure"), fails, "{answer}");
        if !fails {
            assert_eq!(answer["errors"][0]["tid"], json!("2"));
        }
        assert_eq!(held(&sim).await["trades"].as_array().unwrap().len(), kept);
    }
}
