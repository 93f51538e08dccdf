//! Stock-ins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Response;

use super::{SECRET, connection};
use crate::config::Secret;
use crate::connectors::qimen::SignMethod;
use crate::connectors::stub::{Captured, Pages, Seen, Stub, answer};
use crate::connectors::wangdiantong_qimen::{StockinOptions, Stockins};
use crate::connectors::{Error, ReadSummary, Source, Span};

fn source(stub: &Stub, options: &str, limits: &str) -> Stockins {
    let (connection, http) = connection(stub, limits);
    Stockins::new(&connection, &http, StockinOptions::parse(toml::from_str(options).unwrap()).unwrap())
}

fn day() -> Span {
    Span::Window { start: "2026-01-13T16:00:00Z".parse().unwrap(), end: "2026-01-14T16:00:00Z".parse().unwrap() }
}

fn record(id: usize) -> String {
    format!(r#"{{"stockin_no": "RK{id}","status":"80","goods_count":"1.0000", "total_price":10.50}}"#)
}

fn listed(rows: &[String], total: &str) -> Response<Body> {
    let rows = rows.join(" , ");
    answer(200, format!(r#"{{"response":{{"errorcode":0,"message":"ok"{total},"stockin_list":[{rows}]}}}}"#))
}

/// The records of these numbers; the count stands on page 0 alone, as the vendor does it.
fn page(seen: &Seen, ids: &[usize], count: usize) -> Response<Body> {
    let rows: Vec<_> = ids.iter().map(|id| record(*id)).collect();
    let total = if seen.form()["page_no"] == "0" { format!(r#","total_count":{count}"#) } else { String::new() };
    listed(&rows, &total)
}

/// A vendor that holds `count` records and serves them in pages as asked.
fn serve(seen: &Seen, count: usize) -> Response<Body> {
    let form = seen.form();
    let (page_no, size): (usize, usize) = (form["page_no"].parse().unwrap(), form["page_size"].parse().unwrap());
    let from = (page_no * size).min(count);
    let ids: Vec<_> = (from..(from + size).min(count)).map(|id| id + 1).collect();
    page(seen, &ids, count)
}

fn asked(stub: &Stub, name: &str) -> Vec<String> {
    stub.seen().iter().map(|seen| seen.form()[name].clone()).collect()
}

async fn read(source: &Stockins, span: &Span) -> (Result<ReadSummary, Error>, Pages) {
    let mut pages = Pages::default();
    (source.read(span, &mut pages).await, pages)
}

#[tokio::test]
async fn sends_the_signed_request_of_the_vendors_vector() {
    let stub = Stub::start(|_, seen| serve(seen, 0)).await;
    let (result, pages) = read(&source(&stub, "cancellations = false", ""), &day()).await;
    assert_eq!(result.unwrap(), ReadSummary { pages: 1, documents: 0, passes: 1, row_version: None });
    assert!(pages.pages.is_empty(), "an empty window needs no commit");
    let seen = &stub.seen()[0];
    assert_eq!(seen.path, "/router/qm", "parameters belong into the body");
    let mut form = seen.form();
    assert_eq!(form.remove("sign").unwrap(), "AE681974D6C7DB0ABB5FF5AEBAE26CC5", "{form:?}");
    let names: Vec<_> = form.keys().map(String::as_str).collect();
    let vector = "app_key end_time format method page_no page_size sid sign_method start_time status target_app_key \
                  timestamp v";
    assert_eq!(names.join(" "), vector, "the vector's parameters and no other");
}

#[tokio::test]
async fn every_sign_method_gives_the_vectors_signature() {
    for (method, sign) in [
        ("hmac", "5C173C2C96280FA6BC2767860132E01D"),
        ("hmac-sha256", "E1A9AD4267A57870728F2E2D1E58F6744C01F70C76FBDA3E6186FBEF04315142"),
    ] {
        let stub = Stub::start(|_, seen| serve(seen, 0)).await;
        read(&source(&stub, "cancellations = false", ""), &day()).await.0.unwrap();
        let mut form = stub.seen()[0].form();
        form.insert("sign_method".into(), method.into());
        let signer: SignMethod = toml::Value::from(method).try_into().unwrap();
        assert_eq!(signer.sign(&Secret::new(SECRET), &form), sign, "{method}");
    }
}

#[tokio::test]
async fn asks_for_the_kind_the_status_and_the_warehouse_that_the_scheme_names() {
    let stub = Stub::start(|_, seen| serve(seen, 0)).await;
    let source = source(&stub, "order_type = 4\nstatus = [80, 70]\nwarehouse_no = \"主仓\"", "");
    read(&source, &day()).await.0.unwrap();
    assert_eq!(asked(&stub, "status"), ["80", "70", "10"]);
    assert!(asked(&stub, "order_type").iter().all(|kind| kind == "4"));
    assert!(asked(&stub, "warehouse_no").iter().all(|warehouse| warehouse == "主仓"));
}

#[tokio::test]
async fn reads_the_first_page_for_the_count_and_then_from_the_last_to_the_first() {
    let stub = Stub::start(|_, seen| serve(seen, 5)).await;
    let (result, pages) = read(&source(&stub, "page_size = 2\ncancellations = false", ""), &day()).await;
    assert_eq!(result.unwrap(), ReadSummary { pages: 3, documents: 5, passes: 1, row_version: None });
    assert_eq!(asked(&stub, "page_no"), ["0", "2", "1", "0"]);
    assert_eq!(pages.keys(), ["RK5", "RK3", "RK4", "RK1", "RK2"]);
    assert_eq!(pages.pages[0].documents[0].body, record(5), "the record's own bytes");
    let first = &pages.pages[0];
    assert_eq!((first.total, first.position.as_str()), (Some(5), "page 2, the last is 2, pass 1"));
}

#[tokio::test]
async fn a_window_that_fits_one_page_is_asked_for_once_and_a_full_last_page_has_no_empty_one_behind_it() {
    for (count, pages) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        let stub = Stub::start(move |_, seen| serve(seen, count)).await;
        let (result, _) = read(&source(&stub, "page_size = 2\ncancellations = false", ""), &day()).await;
        assert_eq!(result.unwrap().documents, count as u64);
        assert_eq!(stub.seen().len(), if pages == 1 { 1 } else { pages + 1 }, "{count}");
    }
}

#[tokio::test]
async fn counts_and_codes_may_be_numbers_or_text_and_an_empty_window_may_have_no_list() {
    for body in [
        r#"{"response":{"errorcode":"0","total_count":"1","stockin_list":[{"stockin_no":"RK1","status":80}]}}"#,
        r#"{"response":{"errorcode":0,"total_count":1,"stockin_list":[{"stockin_no":"RK1","status":"80"}]}}"#,
        r#"{"response":{"flag":"success","errorcode":0,"total_count":1,"stockin_list":[{"stockin_no":"RK1"}]}}"#,
    ] {
        let stub = Stub::start(move |_, _| answer(200, body)).await;
        let (result, pages) = read(&source(&stub, "cancellations = false", ""), &day()).await;
        assert_eq!(result.unwrap().documents, 1, "{body}");
        assert_eq!(pages.keys(), ["RK1"]);
    }
    for list in ["", r#","stockin_list":null"#, r#","stockin_list":[]"#] {
        let body = format!(r#"{{"response":{{"errorcode":0,"total_count":"0"{list}}}}}"#);
        let stub = Stub::start(move |_, _| answer(200, body.clone())).await;
        assert_eq!(read(&source(&stub, "", ""), &day()).await.0.unwrap().documents, 0);
    }
}

#[tokio::test]
async fn reads_cancelled_ones_too_and_marks_them() {
    let stub = Stub::start(|_, seen| {
        let status = seen.form()["status"].clone();
        let row = format!(r#"{{"stockin_no":"RK{status}","status":{status}}}"#);
        listed(&[row], r#","total_count":1"#)
    })
    .await;
    let (result, pages) = read(&source(&stub, "", ""), &day()).await;
    assert_eq!(result.unwrap().documents, 2);
    let marks: Vec<_> = pages.pages.iter().map(|page| page.documents[0].cancelled).collect();
    assert_eq!((pages.keys(), marks), (vec!["RK80".to_owned(), "RK10".to_owned()], vec![false, true]));
}

#[tokio::test]
async fn a_disturbed_pass_is_read_again_until_one_is_not() {
    // During the first pass a record leaves page 0, so that another slips from page 1 to page 0 unseen.
    let stub = Stub::start(|number, seen| serve(seen, if number < 3 { 5 } else { 4 })).await;
    let (result, _) = read(&source(&stub, "page_size = 2\ncancellations = false", ""), &day()).await;
    assert_eq!(result.unwrap().passes, 2);
    assert_eq!(asked(&stub, "page_no"), ["0", "2", "1", "0", "0", "1", "0"]);
}

#[tokio::test]
async fn a_record_that_left_while_another_came_is_noticed_by_its_key() {
    // The count stays 4, but record 2 went and 9 came, so that 3 moved to page 0 and is there for the second time.
    let stub = Stub::start(|number, seen| if number == 2 { page(seen, &[1, 3], 4) } else { serve(seen, 4) }).await;
    let (result, _) = read(&source(&stub, "page_size = 2\ncancellations = false", ""), &day()).await;
    assert_eq!(result.unwrap().passes, 2);
}

#[tokio::test]
async fn a_page_with_fewer_records_than_promised_is_noticed_by_their_number() {
    let stub = Stub::start(|number, seen| if number == 1 { page(seen, &[3], 4) } else { serve(seen, 4) }).await;
    let (result, _) = read(&source(&stub, "page_size = 2\ncancellations = false", ""), &day()).await;
    assert_eq!(result.unwrap().passes, 2);
}

#[tokio::test]
async fn a_source_that_never_rests_is_reported_after_the_allowed_passes() {
    let stub = Stub::start(|number, seen| serve(seen, 3 + number)).await;
    let source = source(&stub, "page_size = 2\nmax_passes = 3\ncancellations = false", "");
    let (result, pages) = read(&source, &day()).await;
    assert!(matches!(result, Err(Error::Disturbed { passes: 3 })), "{result:?}");
    assert!(!pages.pages.is_empty(), "what was read is handed over all the same");
}

#[tokio::test]
async fn halves_the_page_until_it_fits_and_says_when_a_single_record_does_not() {
    let fat = |seen: &Seen, count: usize| {
        let size: usize = seen.form()["page_size"].parse().unwrap();
        let page_no: usize = seen.form()["page_no"].parse().unwrap();
        let rows: Vec<_> = (page_no * size..((page_no + 1) * size).min(count))
            .map(|id| format!(r#"{{"stockin_no":"RK{id}","remark":"{}"}}"#, "x".repeat(400)))
            .collect();
        listed(&rows, &format!(r#","total_count":{count}"#))
    };
    let stub = Stub::start(move |_, seen| fat(seen, 4)).await;
    let halved = source(&stub, "page_size = 8\ncancellations = false", "response_limit_bytes = 1024");
    let (result, pages) = read(&halved, &day()).await;
    assert_eq!(result.unwrap().passes, 1, "a smaller page is no new pass");
    assert_eq!(pages.keys(), ["RK2", "RK3", "RK0", "RK1"]);
    assert_eq!(asked(&stub, "page_size"), ["8", "4", "2", "2", "2"]);

    let stub = Stub::start(move |_, _| answer(200, "x".repeat(2_000))).await;
    let (result, _) = read(&source(&stub, "page_size = 2", "response_limit_bytes = 1024"), &day()).await;
    assert!(matches!(result, Err(Error::TooLarge { limit_bytes: 1024 })), "{result:?}");
    assert_eq!(stub.seen().len(), 2);
}

#[tokio::test]
async fn one_bad_record_does_not_stop_its_page() {
    let rows = [
        r#"{"stockin_no":"RK1"}"#,
        r#"{"stockin_no":null}"#,
        "3",
        r#"{"stockin_no":" RK"}"#,
        r#"{"stockin_no":{"a":1}}"#,
        r#"{"stockin_no":"A","stockin_no":"B"}"#,
        r#"["RK7","80"]"#,
        r#"{"stockin_no":8}"#,
    ];
    let stub = Stub::start(move |_, _| listed(&rows.map(String::from), r#","total_count":8"#)).await;
    let (result, pages) = read(&source(&stub, "cancellations = false", ""), &day()).await;
    assert_eq!(result.unwrap().documents, 8);
    assert_eq!(pages.keys(), ["RK1", "?", "?", "?", "?", "?", "?", "8"]);
    assert_eq!(pages.pages[0].documents[2].body, "3");
}

#[tokio::test]
async fn a_page_in_gbk_or_cut_short_keeps_its_bytes_and_its_reason() {
    let gbk = b"{\"response\":{\"errorcode\":0,\"message\":\"\xd5\xc5\xc8\xfd\"}}".to_vec();
    let stub = Stub::start(move |_, _| answer(200, gbk.clone())).await;
    let error = read(&source(&stub, "", ""), &day()).await.0.unwrap_err();
    assert!(matches!(&error, Error::Unreadable { bytes, .. } if bytes.starts_with(b"{\"response")), "{error}");
    assert!(error.to_string().contains("looks like GBK"), "{error}");

    let stub = Stub::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"response\":".to_vec()).await;
    let (result, _) = read(&source(&stub, "", ""), &day()).await;
    assert!(matches!(result, Err(Error::AnswerLost { .. })), "{result:?}");
}

#[tokio::test]
async fn an_answer_without_a_verdict_a_list_or_a_count_is_no_page() {
    for (body, unreadable) in [
        (r#"{"response":{"total_count":0,"stockin_list":[]}}"#, true),
        (r#"{"response":{"errorcode":0,"total_count":1}}"#, true),
        (r#"{"response":{"errorcode":0,"total_count":1,"stockin_list":{}}}"#, true),
        (r#"{"response":{"errorcode":0,"stockin_list":[]}}"#, false),
    ] {
        let stub = Stub::start(move |_, _| answer(200, body)).await;
        let error = read(&source(&stub, "", ""), &day()).await.0.unwrap_err();
        assert_eq!(matches!(error, Error::Unreadable { .. }), unreadable, "{body}: {error}");
        assert_eq!(matches!(&error, Error::Unknown { code, .. } if code == "no_total"), !unreadable, "{body}: {error}");
    }
}

#[tokio::test]
async fn a_failure_that_comes_as_a_success_is_a_failure() {
    for (body, is_expected) in [
        (
            r#"{"response":{"errorcode":11000000,"message":"时间跨度不能超过30天"}}"#,
            (|error| matches!(error, Error::Refused { code, message } if code == "11000000" && message.contains("30天")))
                as fn(&Error) -> bool,
        ),
        (
            r#"{"response":{"errorcode":"1012","message":"x"}}"#,
            |error| matches!(error, Error::Throttled { wait: Some(wait), .. } if wait.as_secs() == 31),
        ),
        (r#"{"response":{"errorcode":5,"message":"调用过于频繁"}}"#, |error| {
            matches!(error, Error::Throttled { wait: None, .. })
        }),
        (
            r#"{"response":{"flag":"failure","code":15,"message":"Remote service error","sub_code":"1020","sub_message":"系统错误"}}"#,
            |error| matches!(error, Error::Server { .. }),
        ),
        (
            r#"{"response":{"flag":"failure","code":7,"message":"App Call Limited","sub_code":"accesscontrol.limited-by-api-access-count","sub_message":"This ban will last for 3 more seconds"}}"#,
            |error| matches!(error, Error::Throttled { wait: Some(wait), .. } if wait.as_secs() == 3),
        ),
    ] {
        let stub = Stub::start(move |_, _| answer(200, body)).await;
        let error = read(&source(&stub, "", ""), &day()).await.0.unwrap_err();
        assert!(is_expected(&error), "{body}: {error}");
    }
}

#[tokio::test]
async fn a_refused_signature_is_blamed_on_the_clock_where_the_clock_is_wrong() {
    let body = r#"{"response":{"flag":"failure","code":25,"message":"Invalid signature"}}"#;
    for (date, wrong) in [("Thu, 15 Jan 2026 02:29:00 GMT", false), ("Thu, 15 Jan 2026 02:45:00 GMT", true)] {
        let stub = Stub::start(move |_, _| {
            let mut response = answer(200, body);
            response.headers_mut().insert("date", date.parse().unwrap());
            response
        })
        .await;
        let error = source(&stub, "", "").probe().await.unwrap_err();
        assert_eq!(matches!(error, Error::ClockWrong { skew_seconds: -900, .. }), wrong, "{error}");
        assert_eq!(matches!(error, Error::CredentialsRefused { .. }), !wrong, "{error}");
    }
}

#[tokio::test]
async fn a_window_over_the_vendors_limit_is_asked_for_in_parts() {
    let stub = Stub::start(|_, seen| serve(seen, 0)).await;
    let source = source(&stub, "cancellations = false", "");
    assert_eq!(source.window_limit().unwrap().as_hours(), 30 * 24);
    let span = Span::Window {
        start: "2026-01-01T00:00:00.25Z".parse().unwrap(),
        end: "2026-01-31T00:00:00.25Z".parse().unwrap(),
    };
    read(&source, &span).await.0.unwrap();
    let windows: Vec<_> =
        stub.seen().iter().map(|seen| format!("{} {}", seen.form()["start_time"], seen.form()["end_time"])).collect();
    assert_eq!(
        windows,
        ["2026-01-01 08:00:00 2026-01-31 08:00:00", "2026-01-31 08:00:00 2026-01-31 08:00:01"],
        "whole seconds outwards, and never more than thirty days at once"
    );
}

#[tokio::test]
async fn there_is_no_reading_by_row_version() {
    let stub = Stub::start(|_, seen| serve(seen, 0)).await;
    let (result, _) =
        read(&source(&stub, "", ""), &Span::After { row_version: 1, since: jiff::Timestamp::UNIX_EPOCH }).await;
    assert!(matches!(result, Err(Error::Unknown { .. })), "{result:?}");
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn a_closed_sink_stops_the_read() {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = count.clone();
    let stub = Stub::start(move |_, seen| {
        count.fetch_add(1, Ordering::SeqCst);
        serve(seen, 5)
    })
    .await;
    let mut pages = Pages { closed: true, ..Pages::default() };
    let result = source(&stub, "page_size = 2", "").read(&day(), &mut pages).await;
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "nothing is asked for after the refused page");
}

#[tokio::test]
async fn the_secret_and_the_signature_appear_nowhere() {
    let captured = Captured::start();
    let signs = Arc::new(Mutex::new(Vec::new()));
    let log = signs.clone();
    let stub = Stub::start(move |_, seen| {
        log.lock().unwrap().push(seen.form()["sign"].clone());
        answer(200, r#"{"response":{"flag":"failure","code":25,"message":"Invalid signature","request_id":"x"}}"#)
    })
    .await;
    let source = source(&stub, "", "");
    let error = read(&source, &day()).await.0.unwrap_err();
    let log = captured.text();
    assert!(log.contains("vendor_request"), "nothing was captured");
    let sign = signs.lock().unwrap()[0].clone();
    for shown in [format!("{error} {error:?}"), format!("{source:?}"), log] {
        assert!(!shown.contains(SECRET) && !shown.contains(&sign), "{shown}");
    }
}

#[tokio::test]
async fn a_record_lies_in_the_window_of_its_last_change() {
    let stub = Stub::start(|_, _| answer(200, String::new())).await;
    let source = source(&stub, "", "");
    let within = |body: &str| {
        source.lies_within(body, "2026-01-14T16:00:00Z".parse().unwrap(), "2026-01-15T16:00:00Z".parse().unwrap())
    };
    assert_eq!(within(r#"{"stockin_no": "RK1", "modified": "2026-01-15 00:00:00"}"#), Some(true));
    assert_eq!(within(r#"{"stockin_no": "RK1", "modified": "2026-01-16 00:00:00"}"#), Some(false));
    assert_eq!(within(r#"{"stockin_no": "RK1"}"#), None);
}
