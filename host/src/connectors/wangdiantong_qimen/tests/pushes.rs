//! Trades.

use axum::body::Body;
use axum::http::Response;
use serde_json::Value;

use super::{SECRET, connection};
use crate::config::Secret;
use crate::connectors::qimen::SignMethod;
use crate::connectors::stub::{Captured, Seen, Stub, answer};
use crate::connectors::wangdiantong_qimen::{PushOptions, Trades};
use crate::connectors::{Answer, Error, Failure, Job, Resend, Step, Target};
use crate::fault::{Code, Disposition};
use crate::model::TargetKey;

/// The trade of the vendor's vector, as a module emits it.
const TRADE: &str = r#"{"tid":"T20260115001","trade_status":30,"pay_status":2,"delivery_term":1,"trade_time":"2026-01-15 09:00:00","pay_time":"2026-01-15 09:01:00","buyer_nick":"测试买家","receiver_name":"张三","receiver_province":"北京","receiver_city":"北京市","receiver_district":"海淀区","receiver_address":"中关村大街1号","receiver_mobile":"13800000000","post_amount":0,"cod_amount":0,"ext_cod_fee":0,"other_amount":0,"paid":100,"order_list":[{"oid":"T20260115001-1","num":2,"price":50,"status":30,"refund_status":0,"goods_id":"G1","spec_id":"S1","goods_no":"G1","spec_no":"SKU001","goods_name":"测试商品","adjust_amount":0,"discount":0,"share_discount":0}]}"#;

fn target(stub: &Stub, options: &str, limits: &str) -> Trades {
    let (connection, http) = connection(stub, limits);
    Trades::new(&connection, &http, PushOptions::parse(toml::from_str(options).unwrap()).unwrap())
}

fn job_in(shop: &str, tid: &str, nick: &str) -> Job {
    let trade = format!(r#"{{"tid":"{tid}","buyer_nick":"{nick}","paid":1.50}}"#);
    Job { key: TargetKey::new(tid).unwrap(), body: format!(r#"{{"shop_no":"{shop}","trade":{trade}}}"#), id: None }
}

fn job(tid: &str) -> Job {
    job_in("SHOP01", tid, tid)
}

fn counted(made: usize, changed: usize) -> Response<Body> {
    answer(
        200,
        format!(r#"{{"response":{{"errorcode":0,"message":"ok","new_count":{made},"chg_count":"{changed}"}}}}"#),
    )
}

fn tids(seen: &Seen) -> Vec<String> {
    let list: Value = serde_json::from_str(&seen.form()["trade_list"]).unwrap();
    list.as_array().unwrap().iter().map(|trade| trade["tid"].as_str().unwrap().to_owned()).collect()
}

fn accepts(seen: &Seen) -> Response<Body> {
    counted(tids(seen).len(), 0)
}

fn done() -> Answer {
    Answer::Done { id: None, next: None }
}

async fn write(target: &Trades, jobs: &[Job]) -> Result<Vec<Answer>, Error> {
    target.write(Step::Create, jobs).await
}

const REFUSAL: &str = r#"{"response":{"flag":"failure","code":15,"message":"Remote service error","sub_code":"2830","sub_message":"参数值无效"}}"#;

#[tokio::test]
async fn sends_the_signed_request_of_the_vendors_vector() {
    let stub = Stub::start(|_, seen| accepts(seen)).await;
    let target = target(&stub, "", "");
    let body = format!(r#"{{"shop_no":"SHOP01","trade":{TRADE}}}"#);
    let key = target.key_of(&body).unwrap();
    assert_eq!(key.as_str(), "T20260115001");
    assert_eq!(write(&target, &[Job { key, body, id: None }]).await.unwrap(), [done()]);
    let seen = &stub.seen()[0];
    assert_eq!(seen.path, "/router/qm", "parameters belong into the body");
    let mut form = seen.form();
    let sign = form.remove("sign").unwrap();
    let secret = Secret::new(SECRET);
    assert_eq!(SignMethod::Md5.sign(&secret, &form), sign);
    assert!(form["trade_list"].is_ascii(), "{}", form["trade_list"]);
    assert!(!form.contains_key("switch"), "the gateway does not know it");
    // The vector's list is not escaped; with its text in place of ours, which means the same, so is its signature.
    let vector = format!("[{TRADE}]");
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(value(&form["trade_list"]), value(&vector));
    form.insert("trade_list".into(), vector);
    assert_eq!(SignMethod::Md5.sign(&secret, &form), "C1BCFE5E26CFAB4AD0AD6EF02068289B");
    for (method, sign) in [
        (SignMethod::Hmac, "192A77C11A4F3DCC7260F0808553781C"),
        (SignMethod::HmacSha256, "C9D8A8B71D5FEF7EA6D05507351ACFF92B8FD19406AEDD305DC2C99A6E3EEB56"),
    ] {
        form.insert("sign_method".into(), method.as_str().into());
        assert_eq!(method.sign(&secret, &form), sign);
    }
}

#[tokio::test]
async fn numbers_leave_as_the_module_wrote_them() {
    let stub = Stub::start(|_, seen| accepts(seen)).await;
    let trade = r#"{"tid":"T1","paid":0.10,"order_list":[{"num":1.0000,"price":12345678901234567890.12}]}"#;
    let one = Job {
        key: TargetKey::new("T1").unwrap(),
        body: format!("{{ \"trade\": {trade}, \"shop_no\": \"S\" }}"),
        id: None,
    };
    write(&target(&stub, "", ""), &[one]).await.unwrap();
    assert_eq!(stub.seen()[0].form()["trade_list"], format!("[{trade}]"));
}

#[tokio::test]
async fn the_switch_is_sent_only_where_it_is_set() {
    let stub = Stub::start(|_, seen| accepts(seen)).await;
    write(&target(&stub, "switch = 0", ""), &[job("T1")]).await.unwrap();
    assert_eq!(stub.seen()[0].form()["switch"], "0");
}

#[tokio::test]
async fn a_call_is_split_by_shop_size_and_buyer_and_answered_in_the_jobs_order() {
    let stub = Stub::start(|_, seen| accepts(seen)).await;
    let mut jobs: Vec<_> = (0..31).map(|n| job_in("A", &format!("A{n}"), "same")).collect();
    jobs.insert(1, job_in("B", "B0", "same"));
    assert_eq!(write(&target(&stub, "", ""), &jobs).await.unwrap(), vec![done(); 32]);
    let sent: Vec<_> = stub.seen().iter().map(|seen| (seen.form()["shop_no"].clone(), tids(seen).len())).collect();
    assert_eq!(sent, [("A".to_owned(), 30), ("B".to_owned(), 1), ("A".to_owned(), 1)]);
    assert!(write(&target(&stub, "", ""), &[]).await.unwrap().is_empty());
    assert_eq!(stub.seen().len(), 3, "no job, no request");
}

#[tokio::test]
async fn a_trade_that_was_there_already_counts_as_written() {
    let stub = Stub::start(|_, _| counted(0, 1)).await;
    assert_eq!(write(&target(&stub, "", ""), &[job("T1")]).await.unwrap(), [done()]);
    let mixed = Stub::start(|_, _| counted(1, 1)).await;
    assert_eq!(write(&target(&mixed, "", ""), &[job("T1"), job("T2")]).await.unwrap(), [done(), done()]);
    let silent = Stub::start(|_, _| answer(200, r#"{"response":{"errorcode":0}}"#)).await;
    assert_eq!(write(&target(&silent, "", ""), &[job("T1")]).await.unwrap(), [done()], "errorcode 0 is all there is");
}

#[tokio::test]
async fn an_answer_that_counts_fewer_trades_than_were_sent_confirms_none_of_them() {
    let stub = Stub::start(|_, _| counted(1, 0)).await;
    let answers = write(&target(&stub, "", ""), &[job("T1"), job("T2")]).await.unwrap();
    assert_eq!(answers, [Answer::Unmentioned, Answer::Unmentioned]);
}

#[tokio::test]
async fn one_trade_is_refused_in_the_vendors_words_and_several_as_a_whole() {
    let stub = Stub::start(|_, _| answer(200, REFUSAL)).await;
    let target = target(&stub, "", "");
    let answers = write(&target, &[job("T1")]).await.unwrap();
    let Answer::Refused { code, message, saved: None } = &answers[0] else { panic!("{answers:?}") };
    assert!(code == "2830" && message.contains("参数值无效"), "{code} {message}");
    let error = write(&target, &[job("T1"), job("T2")]).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { code, .. } if code == "2830"), "{error}");
    assert!(!error.may_have_written());
    assert_eq!(stub.seen().len(), 2, "nothing is repeated here");

    let inside = Stub::start(|_, _| answer(200, r#"{"response":{"errorcode":99,"message":"buyer_nick"}}"#)).await;
    let answers = write(&self::target(&inside, "", ""), &[job("T1")]).await.unwrap();
    assert!(matches!(&answers[0], Answer::Refused { code, .. } if code == "99"), "{answers:?}");
}

#[tokio::test]
async fn a_refused_request_does_not_keep_the_next_one_back() {
    let stub = Stub::start(|_, seen| if seen.form()["shop_no"] == "A" { answer(200, REFUSAL) } else { accepts(seen) });
    let stub = stub.await;
    let jobs = [job_in("A", "A1", "x"), job_in("B", "B1", "x"), job_in("A", "A2", "x"), job_in("C", "C1", "x")];
    let answers = write(&target(&stub, "", ""), &jobs).await.unwrap();
    assert_eq!([&answers[1], &answers[3]], [&done(), &done()]);
    for answer in [&answers[0], &answers[2]] {
        let Answer::Failed(Failure { fault, may_have_written: false, .. }) = answer else { panic!("{answers:?}") };
        assert_eq!((fault.code, fault.disposition), (Code::TargetRefused, Disposition::Park));
    }
}

#[tokio::test]
async fn trades_that_were_refused_together_are_told_from_those_of_another_refused_request() {
    let stub = Stub::start(|_, _| answer(200, REFUSAL)).await;
    let jobs = [job_in("A", "A1", "x"), job_in("B", "B1", "x"), job_in("A", "A2", "x"), job_in("B", "B2", "x")];
    let answers = write(&target(&stub, "", ""), &jobs).await.unwrap();
    let request = |answer: &Answer| match answer {
        Answer::Failed(failure) => failure.request,
        other => panic!("{other:?}"),
    };
    assert_eq!(answers.iter().map(request).collect::<Vec<_>>(), [0, 1, 0, 1]);
}

#[tokio::test]
async fn what_was_not_sent_after_a_lost_answer_surely_was_not_written() {
    let stub = Stub::start(|_, seen| match seen.form()["shop_no"].as_str() {
        "A" => accepts(seen),
        _ => answer(502, "<html>"),
    })
    .await;
    let jobs = [job_in("A", "A1", "x"), job_in("B", "B1", "x"), job_in("C", "C1", "x")];
    let answers = write(&target(&stub, "", ""), &jobs).await.unwrap();
    let doubts: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Done { .. } => None,
            Answer::Failed(failure) => Some(failure.may_have_written),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(doubts, [None, Some(true), Some(false)]);
    assert_eq!(stub.seen().len(), 2, "a vendor that is down is left alone");
}

#[tokio::test]
async fn no_request_leaves_that_could_end_after_the_calls_deadline() {
    let stub = Stub::start(|_, seen| accepts(seen)).await;
    let target = target(&stub, "", "timeout_ms = 1000, queue_timeout_ms = 0");
    let began = tokio::time::Instant::now() - std::time::Duration::from_millis(1_001);
    let answers = target.push_all(&[job_in("A", "A1", "x"), job_in("B", "B1", "x")], began).await.unwrap();
    for answer in &answers {
        let Answer::Failed(Failure { fault, may_have_written: false, .. }) = answer else { panic!("{answers:?}") };
        assert_eq!(fault.disposition, Disposition::Retry { after_ms: None });
    }
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn throttled_tells_the_wait_and_sends_no_more() {
    let ban = r#"{"response":{"flag":"failure","code":7,"message":"App Call Limited","sub_code":"accesscontrol.limited-by-app-api-access-count","sub_message":"This ban will last for 2 more seconds"}}"#;
    let stub = Stub::start(move |_, _| answer(200, ban)).await;
    let error = write(&target(&stub, "", ""), &[job("T1"), job("T2")]).await.unwrap_err();
    assert!(matches!(&error, Error::Throttled { wait: Some(wait), .. } if wait.as_secs() == 2), "{error}");
    let answers = write(&target(&stub, "", ""), &[job_in("A", "A1", "x"), job_in("B", "B1", "x")]).await.unwrap();
    for answer in &answers {
        let Answer::Failed(Failure { fault, may_have_written: false, .. }) = answer else { panic!("{answers:?}") };
        assert_eq!(fault.disposition, Disposition::Retry { after_ms: Some(2_000) });
    }
    assert_eq!(stub.seen().len(), 2);
    let words = Stub::start(|_, _| answer(200, r#"{"response":{"errorcode":3,"message":"频率过高"}}"#)).await;
    let error = write(&target(&words, "", ""), &[job("T1")]).await.unwrap_err();
    assert!(matches!(&error, Error::Throttled { wait: None, .. }), "{error}");
}

#[tokio::test]
async fn whatever_is_not_an_answer_leaves_the_write_in_doubt() {
    let gbk = b"{\"response\":{\"errorcode\":0,\"message\":\"\xd5\xc5\xc8\xfd\"}}".to_vec();
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"response\":".to_vec();
    let system = r#"{"response":{"errorcode":1020,"message":"系统错误,请勿重复操作"}}"#.as_bytes().to_vec();
    let large = format!(r#"{{"response":{{"errorcode":0,"message":"{}"}}}}"#, "x".repeat(2_000)).into_bytes();
    for (name, stub) in [
        ("gbk", Stub::start(move |_, _| answer(200, gbk.clone())).await),
        ("cut", Stub::raw(cut).await),
        ("system error", Stub::start(move |_, _| answer(200, system.clone())).await),
        ("too large", Stub::start(move |_, _| answer(200, large.clone())).await),
        ("no verdict", Stub::start(|_, _| answer(200, r#"{"response":{"new_count":1}}"#)).await),
        ("dropped", Stub::raw(Vec::new()).await),
    ] {
        let error = write(&target(&stub, "", "response_limit_bytes = 1024"), &[job("T1")]).await.unwrap_err();
        assert!(error.may_have_written(), "{name}: {error}");
    }
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stub = Stub::start(|_, seen| accepts(seen)).await;
    stub.address = nobody.local_addr().unwrap();
    drop(nobody);
    let error = write(&target(&stub, "", ""), &[job("T1")]).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && !error.may_have_written(), "{error}");
}

#[tokio::test]
async fn a_wrong_clock_is_named_and_nothing_was_written() {
    let stub = Stub::start(|_, _| {
        let mut response = answer(200, r#"{"response":{"flag":"failure","code":31,"message":"Invalid Timestamp"}}"#);
        response.headers_mut().insert("date", "Thu, 15 Jan 2026 02:45:00 GMT".parse().unwrap());
        response
    })
    .await;
    let error = write(&target(&stub, "", ""), &[job("T1")]).await.unwrap_err();
    assert!(matches!(error, Error::ClockWrong { skew_seconds: -900, .. }) && !error.may_have_written(), "{error}");
}

#[tokio::test]
async fn a_body_that_is_not_the_jobs_is_refused_here_and_the_others_go() {
    let stub = Stub::start(|_, seen| accepts(seen)).await;
    let mut wrong = job("T1");
    wrong.key = TargetKey::new("T9").unwrap();
    let answers = write(&target(&stub, "", ""), &[wrong, job("T2")]).await.unwrap();
    assert!(matches!(&answers[0], Answer::Refused { code, .. } if code == "invalid_body"), "{answers:?}");
    assert_eq!(answers[1], done());
    assert_eq!(tids(&stub.seen()[0]), ["T2"]);
}

#[tokio::test]
async fn says_what_it_can_do_and_refuses_the_rest() {
    let stub = Stub::start(|_, seen| accepts(seen)).await;
    let target = target(&stub, "batch_size = 7", "timeout_ms = 2000, queue_timeout_ms = 1000");
    let can = target.capabilities();
    assert_eq!((can.batch_limit, can.updatable, can.askable, can.resend), (7, true, false, Resend::SafeUpsert));
    assert_eq!(target.request_timeout().as_millis(), 6_000);
    let parks = self::target(&stub, "resend_lost_writes = false", "");
    assert_eq!(parks.capabilities().resend, Resend::Never);
    for step in [Step::Submit, Step::Audit, Step::Unaudit] {
        let error = target.write(step, &[job("T1")]).await.unwrap_err();
        assert!(matches!(error, Error::Unknown { .. }) && !error.may_have_written(), "{error}");
    }
    assert!(target.look_up(&[job("T1")]).await.is_err());
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn an_update_is_a_push_of_the_same_tid_and_what_it_must_not_change_is_known_beforehand() {
    let stub = Stub::start(|_, _| counted(0, 1)).await;
    let target = target(&stub, "", "");
    assert_eq!(target.write(Step::Update, &[job("T1")]).await.unwrap(), [done()]);
    assert_eq!(tids(&stub.seen()[0]), ["T1"]);
    let body = |price: &str, memo: &str| {
        let line = format!(r#"{{"oid":"T1-1","num":1,"price":{price}}}"#);
        format!(r#"{{"shop_no":"S","trade":{{"tid":"T1","seller_memo":"{memo}","order_list":[{line}]}}}}"#)
    };
    assert_eq!(target.check_change(&body("1", "a"), &body("1.00", "b")), Ok(()));
    let problem = target.check_change(&body("1", "a"), &body("2", "a")).unwrap_err();
    assert!(problem.contains("price of line T1-1"), "{problem}");
    assert_eq!(stub.seen().len(), 1, "to know it costs no request");
}

#[tokio::test]
async fn the_probe_asks_and_writes_nothing() {
    let stub = Stub::start(|_, _| answer(200, r#"{"response":{"errorcode":0,"total_count":0}}"#)).await;
    target(&stub, "", "").probe().await.unwrap();
    assert_eq!(stub.seen()[0].form()["method"], "wdt.stockin.order.query");
}

#[tokio::test]
async fn secrets_signatures_and_buyers_appear_in_no_log_and_no_error() {
    let captured = Captured::start();
    let stub = Stub::start(|number, seen| match number {
        0 => counted(0, 0),
        1 => answer(200, r#"{"response":{"flag":"failure","code":29,"message":"Invalid App Key"}}"#),
        _ => answer(200, format!("{:?}", seen.form())),
    })
    .await;
    let target = target(&stub, "", "");
    let jobs = [job_in("S", "T1", "somebody's nick")];
    let mut shown = format!("{target:?} {:?}", write(&target, &jobs).await.unwrap());
    for _ in 0..2 {
        let error = write(&target, &jobs).await.unwrap_err();
        shown += &format!("{error} {error:?} {:?}", error.fault());
    }
    shown += &captured.text();
    assert!(shown.contains("vendor_request"), "nothing was captured");
    let sign = stub.seen()[0].form()["sign"].clone();
    for hidden in [SECRET, sign.as_str(), "somebody's nick"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}
