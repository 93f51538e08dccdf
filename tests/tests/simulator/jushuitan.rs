//! The Qimen gateway and the merchant's system behind it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use vendor_sim::{Fault, FaultName, MoverTarget, Options, RateLimit};

use crate::client::{FORM, LONG_AGO, Sim, form, local, sign};

const VECTOR_A: &str = "app_key=30000001&customer_id=10000001&end_time=2026-01-15+00%3A00%3A00&format=json&method=jushuitan.saleout.list.query&page_index=1&page_size=25&start_time=2026-01-14+00%3A00%3A00&status=Confirmed&target_app_key=23060081&timestamp=2026-01-15+10%3A30%3A00&v=2.0";

#[tokio::test]
async fn takes_the_vectors_of_the_notes_by_form_by_query_and_by_both() {
    let sim = Sim::empty().await;
    sim.pretend("2026-01-15T02:30:00Z".parse().unwrap()).await;
    for (method, sign) in [
        ("md5", "DD41A9CBE39401055D9A3ED9CA0E5D28"),
        ("hmac", "4F57AFD42BC4217F5A0AB4DA25491501"),
        ("hmac-sha256", "D335C4C9E0C2D24291538025D90890BC8831FD5E7FF84AF3BFD352A56D5248CB"),
    ] {
        let all = format!("{VECTOR_A}&sign_method={method}&sign={sign}");
        let (system, business) = all.split_at(all.find("&start_time").unwrap());
        let with_query = format!("/router/qm?{all}");
        let with_half = format!("/router/qm?{system}");
        for (verb, path, body) in [
            ("POST", "/router/qm", all.as_str()),
            ("POST", with_query.as_str(), ""),
            ("GET", with_query.as_str(), ""),
            ("POST", with_half.as_str(), business),
            ("POST", "/router/qmtest", &format!("{all}&session=")),
        ] {
            let answer = sim.send(verb, path, &[FORM], body.as_bytes()).await.unwrap();
            assert_eq!(answer.json()["response"]["data_count"], json!(0), "{verb} {method}: {}", answer.text());
        }
        let answer =
            sim.send("POST", "/router/qm", &[FORM], all.replace("page_index=1", "page_index=2").as_bytes()).await;
        let answer = answer.unwrap().json();
        assert_eq!(answer["response"]["code"], json!(25), "a changed parameter under an old signature: {answer}");
        assert_eq!(answer["response"]["message"], json!("Invalid signature"));
    }
}

#[tokio::test]
async fn the_gateway_refuses_with_the_codes_of_the_platform() {
    let sim = Sim::empty().await;
    let late = local(Timestamp::now() - SignedDuration::from_mins(11));
    let early = local(Timestamp::now() + SignedDuration::from_mins(11));
    for (parameter, value, code) in [
        ("method", "", 21),
        ("method", "jst.orders.query", 22),
        ("format", "xml", 23),
        ("format", "", 23),
        ("app_key", "", 28),
        ("app_key", "30000002", 29),
        ("timestamp", "", 30),
        ("timestamp", &late, 31),
        ("timestamp", &early, 31),
        ("timestamp", "yesterday", 31),
        ("v", "", 32),
        ("v", "1.0", 34),
        ("sign_method", "", 40),
        ("sign_method", "sha1", 25),
        ("target_app_key", "", 40),
        ("target_app_key", "21363512", 41),
        ("customer_id", "", 40),
        ("customer_id", "10000009", 15),
    ] {
        let answer = sim.jushuitan(&[("so_ids", "1"), (parameter, value)]).await;
        assert_eq!(answer["flag"], json!("failure"), "{parameter}={value}: {answer}");
        assert_eq!(answer["code"], json!(code), "{parameter}={value}: {answer}");
        assert_eq!(answer["request_id"].as_str().unwrap().len(), 13);
    }
    let mut unsigned = sign(&[("so_ids", "1")]);
    unsigned.remove("sign");
    assert_eq!(sim.jushuitan_raw(&unsigned).await.unwrap().json()["response"]["code"], json!(24));
    let mut lower = sign(&[("so_ids", "1")]);
    lower.insert("sign".to_owned(), lower["sign"].to_lowercase());
    assert_eq!(sim.jushuitan_raw(&lower).await.unwrap().json()["response"]["code"], json!(25));
}

#[tokio::test]
async fn the_merchants_system_refuses_what_its_rules_forbid() {
    let sim = Sim::with_documents(3).await;
    let many = vec!["1"; 21].join(",");
    let week = ("start_time", "2026-01-01 00:00:00");
    for (parameters, words) in [
        (vec![week, ("end_time", "2026-01-08 00:00:01")], "7天"),
        (vec![week], "同时存在"),
        (vec![("end_time", "2026-01-08 00:00:01")], "同时存在"),
        (vec![week, ("end_time", "2025-12-31 00:00:00")], "早于"),
        (vec![week, ("end_time", "2026-01-02")], "格式"),
        (vec![], "同时为空"),
        (vec![("so_ids", many.as_str())], "so_ids"),
        (vec![("so_ids", "1"), ("page_size", "51")], "page_size"),
        (vec![("so_ids", "1"), ("page_size", "ten")], "page_size"),
        (vec![("so_ids", "1"), ("page_index", "99999999999999999999")], "page_index"),
        (vec![("so_ids", "1"), ("page_index", "0")], "page_index"),
        (vec![("so_ids", "1"), ("status", "confirmed")], "status"),
        (vec![("so_ids", "1"), ("date_type", "1")], "date_type"),
        (vec![week, ("end_time", "2026-01-02 00:00:00"), ("start_ts", "1")], "start_ts"),
    ] {
        let answer = sim.jushuitan(&parameters).await;
        assert_eq!((&answer["flag"], &answer["code"]), (&json!("failure"), &json!(15)), "{parameters:?}: {answer}");
        assert!(answer["sub_message"].as_str().unwrap().contains(words), "{parameters:?}: {answer}");
    }
    for allowed in [vec![week, ("end_time", "2026-01-08 00:00:00")], vec![("so_ids", "1"), ("page_size", "50")]] {
        let answer = sim.jushuitan(&allowed).await;
        assert_eq!(answer["flag"], Value::Null, "{allowed:?}: {answer}");
    }
}

#[tokio::test]
async fn pages_show_every_document_once_in_order_and_byte_for_byte() {
    let sim = Sim::with_documents(120).await;
    let documents = sim.admin("GET", "documents", Value::Null).await["jushuitan_qimen"]["documents"].clone();
    let expected: BTreeMap<String, String> = documents.as_array().unwrap().iter().map(body_of).collect();
    assert_eq!(expected.len(), 120);

    let mut seen = Vec::new();
    for page in 1..=3 {
        let page = page.to_string();
        let (start, end) = &*LONG_AGO;
        let raw = sim.jushuitan_raw(&sign(&[("start_time", start), ("end_time", end), ("page_index", &page)])).await;
        let raw = raw.unwrap();
        let answer = raw.json()["response"].clone();
        assert_eq!((&answer["data_count"], &answer["page_count"]), (&json!(120), &json!(3)), "{page}");
        assert_eq!(answer["has_next"], json!(page != "3"));
        let text = raw.text();
        for row in answer["datas"].as_array().unwrap() {
            let io_id = row["io_id"].to_string();
            assert!(text.contains(&expected[&io_id]), "{io_id} was not served as it is");
            seen.push((row["modified"].as_str().unwrap().to_owned(), row["io_id"].as_u64().unwrap()));
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    assert_eq!(seen, sorted, "ordered by modified, then io_id");
    let distinct: BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), 120);

    let served = sim.admin("GET", "served", Value::Null).await["jushuitan_qimen"].clone();
    assert_eq!(served["pages"], json!(3));
    let versions: BTreeMap<String, String> = served["versions"].as_array().unwrap().iter().map(body_of).collect();
    assert_eq!(versions, expected);
}

fn body_of(listed: &Value) -> (String, String) {
    (listed["io_id"].as_str().unwrap().to_owned(), listed["body"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn filters_by_status_numbers_and_window() {
    let sim = Sim::with_documents(200).await;
    let all: Vec<Value> = rows(&sim.read_window(&[]).await);
    let confirmed: Vec<Value> = rows(&sim.read_window(&[("status", "Confirmed")]).await);
    let expected: Vec<_> = all.iter().filter(|row| row["status"] == json!("Confirmed")).cloned().collect();
    assert!(confirmed.len() < all.len());
    assert_eq!(confirmed, expected);

    let (a, b) = (&all[3], &all[150]);
    let io_ids = [a["io_id"].to_string(), b["io_id"].to_string()];
    for list in [io_ids.join(","), format!("[{}]", io_ids.join(",")), format!("[\"{}\"]", io_ids.join("\",\""))] {
        let answer = sim.jushuitan(&[("io_ids", &list)]).await;
        assert_eq!(answer["datas"], json!([a, b]), "{list}");
    }
    let answer = sim.jushuitan(&[("so_ids", a["so_id"].as_str().unwrap()), ("is_get_total", "false")]).await;
    assert_eq!(answer["datas"], json!([a]));
    assert_eq!((&answer["data_count"], &answer["page_count"]), (&Value::Null, &Value::Null));

    // One second on each side of a row's own time.
    let at = a["modified"].as_str().unwrap();
    let answer = sim.jushuitan(&[("start_time", at), ("end_time", at)]).await;
    let same: Vec<_> = all.iter().filter(|row| row["modified"] == a["modified"]).cloned().collect();
    assert_eq!(answer["datas"], json!(same));
    let answer = sim.jushuitan(&[("start_time", at), ("end_time", at), ("page_index", "2")]).await;
    assert_eq!((&answer["datas"], &answer["has_next"]), (&json!([]), &json!(false)));
}

fn rows(pages: &[Value]) -> Vec<Value> {
    pages.iter().flat_map(|page| page["datas"].as_array().unwrap().clone()).collect()
}

#[tokio::test]
async fn the_row_version_cursor_walks_over_everything() {
    let sim = Sim::with_documents(70).await;
    let (mut cursor, mut seen) = (1, BTreeSet::new());
    loop {
        let answer = sim.jushuitan(&[("start_ts", &cursor.to_string()), ("is_get_total", "false")]).await;
        let rows = answer["datas"].as_array().unwrap();
        let largest = rows.iter().map(|row| row["ts"].as_i64().unwrap()).max().unwrap();
        seen.extend(rows.iter().map(|row| row["io_id"].as_u64().unwrap()));
        if largest == cursor {
            break;
        }
        cursor = largest;
    }
    assert_eq!(seen.len(), 70);
}

#[tokio::test]
async fn the_limit_asks_to_wait_and_lets_through_again_when_time_has_passed() {
    let rate_limit = Some(RateLimit { per_second: 1, burst: 2 });
    let sim = Sim::start(Options { documents: 0, rate_limit, ..Options::default() }).await;
    let now = Timestamp::now();
    let ask = async || sim.jushuitan(&[("so_ids", "1")]).await["code"].clone();
    let mut codes = Vec::new();
    for _ in 0..20 {
        codes.push(ask().await);
    }
    assert_eq!(codes[..2], [Value::Null, Value::Null]);
    assert!(codes.contains(&json!(7)), "{codes:?}");
    sim.pretend(now + SignedDuration::from_secs(60)).await;
    assert_eq!(ask().await, Value::Null);
}

#[tokio::test]
async fn scripted_documents_move_and_are_cancelled_while_somebody_reads() {
    let options =
        Options { documents: 200, movers: 3, cancelled: 2, mover_target: MoverTarget::WindowEnd, ..Options::default() };
    let (from, to) = (local(options.from), local(options.to));
    let sim = Sim::start(options).await;
    let window = [("start_time", from.as_str()), ("end_time", to.as_str())];
    let left = async || sim.admin("GET", "documents", Value::Null).await["jushuitan_qimen"]["movements_left"].clone();
    assert_eq!(left().await, json!(5));
    let before = rows(&sim.read_window(&window).await);
    assert_eq!(left().await, json!(0), "all of the script happens within one pass");
    let after = rows(&sim.read_window(&window).await);
    assert_eq!(after.len(), 200, "nobody left the window");
    assert_ne!(before, after);
    let last: Vec<_> = after[195..].iter().map(|row| row["modified"].as_str().unwrap()).collect();
    assert_eq!(last, [to.as_str(); 5]);
    let served = sim.admin("GET", "served", Value::Null).await["jushuitan_qimen"]["versions"].clone();
    let second = served.as_array().unwrap().iter().filter(|version| version["version"] == json!(2)).count();
    assert_eq!(second, 5);
    let listed = sim.admin("GET", "documents", Value::Null).await["jushuitan_qimen"]["documents"].clone();
    let spoilt = |document: &&Value| document["cancelled"] == json!(true) && document["purpose"] == json!("good");
    assert_eq!(listed.as_array().unwrap().iter().filter(spoilt).count(), 2);
}

#[tokio::test]
async fn a_moved_row_shifts_the_others_and_a_page_can_come_twice() {
    let sim = Sim::with_documents(120).await;
    let first = sim.read_window(&[]).await;
    sim.order(Fault::new(FaultName::MoveRows).times(1)).await;
    let moved = sim.read_window(&[]).await;
    assert_eq!(moved[0]["datas"][0], first[0]["datas"][1], "the first row left its place");
    assert_eq!(moved[0]["datas"][49], first[1]["datas"][0], "and the next page's first row came over");

    sim.order(Fault::new(FaultName::PageTwice).times(1).after(1)).await;
    let twice = sim.read_window(&[]).await;
    assert_eq!(twice[0]["datas"], twice[1]["datas"]);
    assert_eq!(twice[1]["page_index"], json!(2));
}

#[tokio::test]
async fn documents_come_and_change_by_the_admin_page() {
    let sim = Sim::empty().await;
    let body = json!({"io_id": 77, "so_id": "S77", "status": "Confirmed", "items": []});
    sim.admin("POST", "documents", json!({"body": body})).await;
    let answer = sim.jushuitan(&[("io_ids", "77")]).await;
    assert_eq!(answer["datas"][0]["so_id"], json!("S77"));
    let order = json!({"io_id": 77, "set": {"status": "Cancelled", "remark": "停"}, "remove": ["so_id"]});
    let listed = sim.admin("POST", "documents", order).await;
    assert_eq!((&listed["version"], &listed["cancelled"]), (&json!(2), &json!(true)));
    let row = sim.jushuitan(&[("io_ids", "77")]).await["datas"][0].clone();
    assert_eq!((&row["remark"], &row["so_id"]), (&json!("停"), &Value::Null));
}

#[tokio::test]
async fn plain_asks_for_no_signature_and_for_everything_else() {
    let sim = Sim::start(Options { documents: 0, plain: true, ..Options::default() }).await;
    let mut parameters = sign(&[("so_ids", "1")]);
    parameters.remove("sign");
    let ask = async |parameters: &BTreeMap<String, String>| {
        sim.send("POST", "/router/qm", &[FORM], form(parameters).as_bytes()).await.unwrap().json()["response"].clone()
    };
    assert_eq!(ask(&parameters).await["flag"], Value::Null);
    parameters.insert("app_key".to_owned(), "1".to_owned());
    assert_eq!(ask(&parameters).await["code"], json!(29));
}
