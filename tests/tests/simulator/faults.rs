//! Connections and answers that go wrong on order, and what the books say then.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vendor_sim::{Fault, FaultName, Options};

use crate::client::{JSON, Sim, bill, connect_and_send, read_all, service_path, sign};

fn batch(number: &str) -> String {
    json!({"formid": "SAL_OUTSTOCK", "data": {"Model": [bill(number)]}}).to_string()
}

async fn held_count(sim: &Sim) -> usize {
    sim.held().await["bills"].as_array().unwrap().len()
}

/// Asks again until it holds; every question is a round trip, and a minute is for ever.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} never came");
    }
}

#[tokio::test]
async fn a_dropped_connection_tells_nothing_and_the_books_tell_whether_it_was_carried_out() {
    let sim = Sim::empty().await;
    for (fault, number, held) in [(FaultName::DropBefore, "1", 0), (FaultName::DropAfterCommit, "2", 1)] {
        sim.order(Fault::new(fault).operation("BatchSave").times(1)).await;
        assert!(sim.k3_raw("BatchSave", &batch(number)).await.is_none(), "{fault}: not a byte");
        assert_eq!(held_count(&sim).await, held, "{fault}");
    }
    assert!(sim.k3_raw("BatchSave", &batch("3")).await.is_some(), "the orders are used up");
}

#[tokio::test]
async fn a_save_can_happen_after_its_connection_is_gone() {
    let sim = Sim::empty().await;
    sim.order(Fault::new(FaultName::CommitAfterDrop).value(30).operation("BatchSave").times(1)).await;
    assert!(sim.k3_raw("BatchSave", &batch("1")).await.is_none());
    until("the late bill", async || held_count(&sim).await == 1).await;
    let counters = sim.admin("GET", "requests", Value::Null).await.to_string();
    assert!(counters.contains(r#""operation":"batchsave","outcome":"ok""#), "{counters}");
}

#[tokio::test]
async fn an_unanswered_request_hangs_until_the_simulator_stops() {
    for (fault, carried_out) in [(FaultName::Timeout, 0), (FaultName::TimeoutAfterCommit, 1)] {
        let sim = Sim::empty().await;
        let session = sim.log_in().await;
        sim.order(Fault::new(fault).operation("batchsave")).await;
        let headers = [JSON, ("kdservice-sessionid", session.as_str())];
        let path = service_path("BatchSave");
        let stream = connect_and_send(sim.running.addr, "POST", &path, &headers, batch("1").as_bytes()).await;
        until("the request", async || {
            sim.admin("GET", "requests", Value::Null).await.to_string().contains("batchsave")
        })
        .await;
        assert_eq!(held_count(&sim).await, carried_out, "{fault}");
        sim.running.shutdown().await;
        assert!(read_all(stream).await.is_none(), "{fault}: not a byte");
    }
}

#[tokio::test]
async fn an_answer_can_come_late() {
    let sim = Sim::empty().await;
    sim.order(Fault::new(FaultName::LateAnswer).value(80).system("jushuitan_qimen")).await;
    let start = Instant::now();
    assert_eq!(sim.jushuitan(&[("so_ids", "1")]).await["data_count"], json!(0));
    assert!(start.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn answers_of_proxies_and_broken_servers_come_before_or_after_the_save() {
    let sim = Sim::empty().await;
    for (number, (fault, status, words)) in [
        (FaultName::Http500, 500, "Internal Server Error"),
        (FaultName::Http502, 502, "<title>502 Bad Gateway"),
        (FaultName::Html, 200, "<!DOCTYPE html>"),
        (FaultName::ResponseError, 200, "response_error:"),
        (FaultName::Firewall, 200, "[{\"actionname\":\"showConfirm\""),
    ]
    .into_iter()
    .enumerate()
    {
        let number = number.to_string();
        for (value, more) in [(Value::Null, 0), (json!("after_commit"), 1)] {
            let before = held_count(&sim).await;
            sim.order(Fault::new(fault).value(value).operation("batchsave").times(1)).await;
            let answer = sim.k3_raw("BatchSave", &batch(&number)).await.unwrap();
            assert_eq!(answer.status, status);
            assert!(answer.text().starts_with(words) || answer.text().contains(words), "{}", answer.text());
            assert_eq!(held_count(&sim).await, before + more, "{fault}");
        }
    }
}

#[tokio::test]
async fn throttling_speaks_each_vendors_language_and_carries_nothing_out() {
    let sim = Sim::empty().await;
    sim.order(Fault::new(FaultName::Throttle).value(17).system("jushuitan_qimen").times(1)).await;
    let answer = sim.jushuitan(&[("so_ids", "1")]).await;
    assert_eq!((&answer["flag"], &answer["code"]), (&json!("failure"), &json!(7)));
    assert_eq!(answer["sub_message"], json!("This ban will last for 17 more seconds"));
    sim.order(Fault::new(FaultName::Throttle).operation("batchsave").times(1)).await;
    let answer = sim.k3_raw("BatchSave", &batch("1")).await.unwrap().json();
    assert_eq!(answer["Result"]["ResponseStatus"]["MsgCode"], json!(14));
    assert_eq!(held_count(&sim).await, 0);
}

#[tokio::test]
async fn answers_can_be_spoilt_cut_and_huge() {
    let sim = Sim::with_documents(20).await;
    let ask = async || {
        let (start, end) = &*crate::client::LONG_AGO;
        sim.jushuitan_raw(&sign(&[("start_time", start), ("end_time", end)])).await.unwrap()
    };
    let whole = ask().await;
    assert_eq!(whole.body.len(), whole.content_length());

    sim.order(Fault::new(FaultName::Gbk).times(1)).await;
    let gbk = ask().await;
    assert!(std::str::from_utf8(&gbk.body).is_err());
    assert!(encoding_rs::GBK.decode(&gbk.body).0.contains("顺丰速运"));

    sim.order(Fault::new(FaultName::ControlCharacters).times(1)).await;
    let spoilt = ask().await;
    assert!(serde_json::from_slice::<Value>(&spoilt.body).is_err());
    let clean: String = spoilt.text().chars().filter(|character| !matches!(character, '\u{1}' | '\u{b}')).collect();
    assert!(serde_json::from_str::<Value>(&clean).is_ok());

    let counts = async || {
        let served = sim.admin("GET", "served", Value::Null).await["jushuitan_qimen"]["versions"][0].clone();
        (served["count"].as_u64().unwrap(), served["intact"].as_u64().unwrap())
    };
    assert_eq!(counts().await, (3, 1), "spoilt answers do not count as received");

    sim.order(Fault::new(FaultName::Truncate).times(1)).await;
    let cut = ask().await;
    assert!(cut.body.len() < cut.content_length(), "{} of {}", cut.body.len(), cut.content_length());

    assert_eq!(counts().await, (4, 1));

    sim.order(Fault::new(FaultName::Huge).value(3).times(1)).await;
    let huge = ask().await;
    assert!(huge.body.len() > 3 << 20);
    assert_eq!(huge.json()["answer"]["response"]["data_count"], json!(20));
}

#[tokio::test]
async fn a_skewed_clock_refuses_honest_signatures() {
    let sim = Sim::empty().await;
    sim.order(Fault::new(FaultName::ClockSkew).value(900).times(1)).await;
    assert_eq!(sim.jushuitan(&[("so_ids", "1")]).await["code"], json!(31));
    sim.order(Fault::new(FaultName::ClockSkew).value(500).times(1)).await;
    assert_eq!(sim.jushuitan(&[("so_ids", "1")]).await["code"], Value::Null, "within the tolerance");
}

#[tokio::test]
async fn chance_strikes_the_same_requests_for_the_same_seed() {
    let run = async |seed| {
        let fault: Fault = "http_500,probability=0.5".parse().unwrap();
        let sim = Sim::start(Options { documents: 0, seed, faults: vec![fault], ..Options::default() }).await;
        let mut struck = String::new();
        for _ in 0..24 {
            let answer = sim.jushuitan_raw(&sign(&[("so_ids", "1")])).await.unwrap();
            struck.push(if answer.status == 500 { 'x' } else { '.' });
        }
        struck
    };
    let (first, again, other) = (run(3).await, run(3).await, run(4).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!(first.contains('x') && first.contains('.'), "{first}");
}

#[tokio::test]
async fn orders_are_listed_taken_back_and_refused_where_unknown() {
    let sim = Sim::empty().await;
    sim.order(Fault::new(FaultName::Gbk)).await;
    sim.order(Fault::new(FaultName::Huge).value(1)).await;
    let left = sim.admin("DELETE", "fault", json!({"name": "gbk"})).await;
    assert_eq!(left, json!({"faults": [{"name": "huge", "value": 1, "after": 0}]}));
    assert_eq!(sim.admin("DELETE", "fault", Value::Null).await, json!({"faults": []}));
    for body in [r#"{"name":"nonsense"}"#, r#"{"name":"gbk","tiems":3}"#, "{"] {
        let answer = sim.send("POST", "/admin/fault", &[], body.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 400, "{body}");
    }
}
