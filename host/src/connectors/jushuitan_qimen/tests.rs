use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Response;

use super::*;
use crate::connectors::http::Http;
use crate::connectors::stub::{Captured, Pages, Seen, Stub, answer};
use crate::connectors::{Error, FixedClock, ReadSummary, Source, Span};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn source(stub: &Stub, options: &str, limits: &str) -> Saleouts {
    let connection = format!(
        "base_url = \"{}\"\napp_key = \"30000001\"\napp_secret = \"{SECRET}\"\ncustomer_id = \"10000001\"\n\
         sign_method = \"md5\"\nlimits = {{ requests_per_second = 1000, burst = 1000, {limits} }}",
        stub.url("/router/qm")
    );
    let connection = Connection::parse(toml::from_str(&connection).unwrap()).unwrap();
    let clock = Arc::new(FixedClock("2026-01-15T02:30:00Z".parse().unwrap()));
    let http = Http::with_clock(None, clock).unwrap();
    Saleouts::new(&connection, &http, Options::parse(toml::from_str(options).unwrap()).unwrap())
}

fn day() -> Span {
    Span::Window { start: "2026-01-13T16:00:00Z".parse().unwrap(), end: "2026-01-14T16:00:00Z".parse().unwrap() }
}

fn record(id: usize) -> String {
    format!(r#"{{"io_id": {id},"status":"Confirmed","weight":0.50, "ts":{}}}"#, 5000 + id)
}

fn page(ids: &[usize], count: usize, size: usize) -> Response<Body> {
    let rows: Vec<_> = ids.iter().map(|id| record(*id)).collect();
    let pages = count.div_ceil(size);
    answer(
        200,
        format!(r#"{{"response":{{"data_count":"{count}","page_count":{pages},"datas":[{}]}}}}"#, rows.join(" , ")),
    )
}

/// A vendor that holds `count` records and serves them in pages as asked.
fn serve(seen: &Seen, count: usize) -> Response<Body> {
    let form = seen.form();
    let (index, size): (usize, usize) = (form["page_index"].parse().unwrap(), form["page_size"].parse().unwrap());
    let from = ((index - 1) * size).min(count);
    let ids: Vec<_> = (from..(from + size).min(count)).map(|id| id + 1).collect();
    page(&ids, count, size)
}

fn indexes(stub: &Stub) -> Vec<String> {
    stub.seen().iter().map(|seen| seen.form()["page_index"].clone()).collect()
}

async fn read(source: &Saleouts, span: &Span) -> (Result<ReadSummary, Error>, Pages) {
    let mut pages = Pages::default();
    (source.read(span, &mut pages).await, pages)
}

#[tokio::test]
async fn sends_the_signed_request_of_the_vendors_vector() {
    let stub = Stub::start(|_, seen| serve(seen, 0)).await;
    let source = source(&stub, "page_size = 25\ncancellations = false", "");
    let (result, pages) = read(&source, &day()).await;
    assert_eq!(result.unwrap(), ReadSummary { pages: 1, documents: 0, passes: 1, row_version: None });
    assert!(pages.pages.is_empty(), "an empty window needs no commit");
    let seen = &stub.seen()[0];
    assert_eq!(seen.path, "/router/qm", "parameters belong into the body");
    assert_eq!(seen.headers["content-type"], "application/x-www-form-urlencoded;charset=UTF-8");
    let mut form = seen.form();
    for (name, value) in [
        ("method", "jushuitan.saleout.list.query"),
        ("timestamp", "2026-01-15 10:30:00"),
        ("start_time", "2026-01-14 00:00:00"),
        ("end_time", "2026-01-15 00:00:00"),
        ("target_app_key", "23060081"),
        ("customer_id", "10000001"),
        ("status", "Confirmed"),
        ("format", "json"),
    ] {
        assert_eq!(form[name], value, "{name}");
    }
    // The vector has no is_get_total; without it the rest of the request is the vector's, and so is its signature.
    let sign = form.remove("sign").unwrap();
    let secret = crate::config::Secret::new(SECRET);
    assert_eq!(crate::connectors::qimen::SignMethod::Md5.sign(&secret, &form), sign);
    form.remove("is_get_total");
    let vector = crate::connectors::qimen::SignMethod::Md5.sign(&secret, &form);
    assert_eq!(vector, "DD41A9CBE39401055D9A3ED9CA0E5D28");
}

#[tokio::test]
async fn reads_pages_from_the_last_to_the_first_and_keeps_their_bytes() {
    let stub = Stub::start(|_, seen| serve(seen, 5)).await;
    let source = source(&stub, "page_size = 2\ncancellations = false", "");
    let (result, pages) = read(&source, &day()).await;
    assert_eq!(result.unwrap(), ReadSummary { pages: 3, documents: 5, passes: 1, row_version: None });
    assert_eq!(indexes(&stub), ["1", "3", "2", "1"]);
    assert_eq!(pages.keys(), ["5", "3", "4", "1", "2"]);
    assert_eq!(pages.pages[0].documents[0].body, record(5), "the record's own bytes");
    assert_eq!((pages.pages[0].total, pages.pages[0].position.as_str()), (Some(5), "page 3, the last is 3, pass 1"));
}

#[tokio::test]
async fn reads_cancelled_ones_too_and_marks_them() {
    let stub = Stub::start(|_, seen| {
        let status = seen.form()["status"].clone();
        let id = if status == "Cancelled" { "\"C1\"" } else { "1" };
        answer(200, format!(r#"{{"response":{{"data_count":1,"datas":[{{"io_id":{id},"status":"{status}"}}]}}}}"#))
    })
    .await;
    let source = source(&stub, "status = [\"Confirmed\", \"Archive\"]", "");
    let (result, pages) = read(&source, &day()).await;
    assert_eq!(result.unwrap().documents, 3);
    let marks: Vec<_> = pages.pages.iter().map(|page| page.documents[0].cancelled).collect();
    assert_eq!(marks, [false, false, true]);
    assert_eq!(pages.keys(), ["1", "1", "C1"]);
}

#[tokio::test]
async fn a_disturbed_pass_is_read_again_until_one_is_not() {
    // During the first pass a record leaves page 1, so that another slips from page 2 to page 1 unseen.
    let stub = Stub::start(|number, seen| serve(seen, if number < 3 { 5 } else { 4 })).await;
    let source = source(&stub, "page_size = 2\ncancellations = false", "");
    let (result, _) = read(&source, &day()).await;
    assert_eq!(result.unwrap().passes, 2);
    assert_eq!(indexes(&stub), ["1", "3", "2", "1", "1", "2", "1"]);
}

#[tokio::test]
async fn a_record_that_left_while_another_came_is_noticed_by_its_key() {
    // The count stays 4, but record 2 went and 9 came, so that 3 moved to page 1 and is there for the second time.
    let stub = Stub::start(|number, seen| match (number, seen.form()["page_index"].as_str()) {
        (0..=1, _) => serve(seen, 4),
        (2, _) => page(&[1, 3], 4, 2),
        _ => serve(seen, 4),
    })
    .await;
    let source = source(&stub, "page_size = 2\ncancellations = false", "");
    let (result, _) = read(&source, &day()).await;
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
    let stub = Stub::start(|_, seen| serve(seen, 8)).await;
    let fits = source(&stub, "page_size = 8\ncancellations = false", "response_limit_bytes = 1024");
    let one = record(8).len();
    assert!(one * 8 < 1024, "the sample must fit whole");
    assert_eq!(read(&fits, &day()).await.0.unwrap().documents, 8);

    let fat = |seen: &Seen, count: usize| {
        let size: usize = seen.form()["page_size"].parse().unwrap();
        let index: usize = seen.form()["page_index"].parse().unwrap();
        let rows: Vec<_> = ((index - 1) * size..(index * size).min(count))
            .map(|id| format!(r#"{{"io_id":{id},"remark":"{}"}}"#, "x".repeat(400)))
            .collect();
        answer(200, format!(r#"{{"response":{{"data_count":{count},"datas":[{}]}}}}"#, rows.join(",")))
    };
    let stub = Stub::start(move |_, seen| fat(seen, 4)).await;
    let halved = source(&stub, "page_size = 8\ncancellations = false", "response_limit_bytes = 1024");
    let (result, pages) = read(&halved, &day()).await;
    assert_eq!(result.unwrap().passes, 1, "a smaller page is no new pass");
    assert_eq!(pages.keys(), ["2", "3", "0", "1"]);
    let sizes: Vec<_> = stub.seen().iter().map(|seen| seen.form()["page_size"].clone()).collect();
    assert_eq!(sizes, ["8", "4", "2", "2", "2"]);

    let huge = format!(r#"{{"response":{{"data_count":1,"datas":[{{"remark":"{}"}}]}}}}"#, "x".repeat(2_000));
    let stub = Stub::start(move |_, _| answer(200, huge.clone())).await;
    let source = source(&stub, "page_size = 2\ncancellations = false", "response_limit_bytes = 1024");
    let (result, _) = read(&source, &day()).await;
    assert!(matches!(result, Err(Error::TooLarge { limit_bytes: 1024 })), "{result:?}");
    assert_eq!(stub.seen().len(), 2);
}

#[tokio::test]
async fn one_bad_record_does_not_stop_its_page() {
    let rows = r#"{"io_id":1},{"io_id":null},3,{"io_id":"  "},{"io_id":{"a":1}},{"io_id":2,"io_id":3}"#;
    let body = format!(r#"{{"response":{{"data_count":6,"datas":[{rows}]}}}}"#);
    let stub = Stub::start(move |_, _| answer(200, body.clone())).await;
    let (result, pages) = read(&source(&stub, "cancellations = false", ""), &day()).await;
    assert_eq!(result.unwrap().documents, 6);
    assert_eq!(pages.keys(), ["1", "?", "?", "?", "?", "?"]);
    assert_eq!(pages.pages[0].documents[2].body, "3");
}

#[tokio::test]
async fn a_page_in_gbk_or_cut_short_keeps_its_bytes_and_its_reason() {
    let gbk = b"{\"response\":{\"datas\":[{\"name\":\"\xd5\xc5\xc8\xfd\"}]}}".to_vec();
    let stub = Stub::start(move |_, _| answer(200, gbk.clone())).await;
    let (result, _) = read(&source(&stub, "", ""), &day()).await;
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Unreadable { bytes, .. } if bytes.starts_with(b"{\"response")), "{error}");
    assert!(error.to_string().contains("looks like GBK"), "{error}");

    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"response\":".to_vec();
    let stub = Stub::raw(cut).await;
    let (result, _) = read(&source(&stub, "", ""), &day()).await;
    assert!(matches!(result, Err(Error::AnswerLost { .. })), "{result:?}");
}

#[tokio::test]
async fn a_ban_says_how_long_it_lasts() {
    let body = r#"{"response":{"flag":"failure","code":7,"message":"App Call Limited","sub_code":"accesscontrol.limited-by-api-access-count","sub_message":"This ban will last for 1 more seconds","request_id":"r1"}}"#;
    let stub = Stub::start(move |_, _| answer(200, body)).await;
    let (result, _) = read(&source(&stub, "", ""), &day()).await;
    assert!(matches!(&result, Err(Error::Throttled { wait: Some(wait), .. }) if wait.as_secs() == 1), "{result:?}");

    let native = r#"{"response":{"flag":"failure","code":15,"message":"Remote service error","sub_code":"1012","sub_message":"调用过于频繁"}}"#;
    let stub = Stub::start(move |_, _| answer(200, native)).await;
    let (result, _) = read(&source(&stub, "", ""), &day()).await;
    assert!(matches!(&result, Err(Error::Throttled { wait: None, .. })), "{result:?}");
}

#[tokio::test]
async fn a_window_over_the_vendors_limit_is_asked_for_in_parts() {
    let stub = Stub::start(|_, seen| serve(seen, 0)).await;
    let source = source(&stub, "cancellations = false", "");
    assert_eq!(source.window_limit().unwrap().as_hours(), 168);
    let span = Span::Window {
        start: "2026-01-01T00:00:00.25Z".parse().unwrap(),
        end: "2026-01-08T00:00:00.25Z".parse().unwrap(),
    };
    read(&source, &span).await.0.unwrap();
    let windows: Vec<_> =
        stub.seen().iter().map(|seen| format!("{} {}", seen.form()["start_time"], seen.form()["end_time"])).collect();
    assert_eq!(
        windows,
        ["2026-01-01 08:00:00 2026-01-08 08:00:00", "2026-01-08 08:00:00 2026-01-08 08:00:01"],
        "whole seconds outwards, and never more than seven days at once"
    );
}

#[tokio::test]
async fn the_row_version_cursor_moves_on_until_nothing_larger_comes() {
    let stub = Stub::start(|_, seen| {
        let after: usize = seen.form()["start_ts"].parse().unwrap();
        let ids: Vec<_> = (1..=5).filter(|id| 5000 + id >= after).take(2).collect();
        page(&ids, 5, 2)
    })
    .await;
    let source = source(&stub, "cursor = \"row_version\"\npage_size = 2", "");
    let (result, pages) = read(&source, &Span::After { row_version: 0, since: jiff::Timestamp::UNIX_EPOCH }).await;
    let summary = result.unwrap();
    assert_eq!(summary.row_version, Some(5005));
    let mut keys = pages.keys();
    keys.dedup();
    assert_eq!(keys, ["1", "2", "3", "4", "5"]);
    let form = stub.seen()[0].form();
    assert_eq!((form["start_ts"].as_str(), form["page_index"].as_str()), ("1", "1"));
    assert!(!form.contains_key("start_time") && !form.contains_key("status"), "{form:?}");

    let stub = Stub::start(|_, _| answer(200, r#"{"response":{"datas":[{"io_id":1}]}}"#)).await;
    let (result, _) =
        read(&self::source(&stub, "", ""), &Span::After { row_version: 7, since: jiff::Timestamp::UNIX_EPOCH }).await;
    assert!(matches!(&result, Err(Error::Unknown { code, .. }) if code == "no_row_version"), "{result:?}");
}

#[tokio::test]
async fn a_closed_sink_stops_the_read() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let stub = Stub::start(move |_, seen| {
        count.fetch_add(1, Ordering::SeqCst);
        serve(seen, 5)
    })
    .await;
    let source = source(&stub, "page_size = 2", "");
    let mut pages = Pages { closed: true, ..Pages::default() };
    let result = source.read(&day(), &mut pages).await;
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
    let (result, _) = read(&source, &day()).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::CredentialsRefused { .. } | Error::ClockWrong { .. }), "{error}");
    let log = captured.text();
    assert!(log.contains("vendor_request"), "nothing was captured");
    let sign = signs.lock().unwrap()[0].clone();
    for shown in [format!("{error} {error:?}"), format!("{source:?}"), log] {
        assert!(!shown.contains(SECRET) && !shown.contains(&sign), "{shown}");
    }
}

#[tokio::test]
async fn what_was_modified_before_the_schemes_start_is_passed_over_by_row_version_too() {
    let stub = Stub::start(|_, _| {
        let rows = [
            r#"{"io_id":1,"status":"Confirmed","ts":5001,"modified":"2019-12-31 23:59:59"}"#,
            r#"{"io_id":2,"status":"Confirmed","ts":5002,"modified":"2020-01-01 00:00:00"}"#,
            r#"{"io_id":3,"status":"Confirmed","ts":5003}"#,
        ];
        answer(200, format!(r#"{{"response":{{"datas":[{}]}}}}"#, rows.join(",")))
    })
    .await;
    let source = source(&stub, "cursor = \"row_version\"", "");
    let since = "2020-01-01T00:00:00+08:00".parse().unwrap();
    let (result, pages) = read(&source, &Span::After { row_version: 5003, since }).await;
    result.unwrap();
    let keys = pages.keys();
    assert_eq!(keys, ["2", "3"], "of unknown age is handed over: somebody has to see it");
}

#[tokio::test]
async fn a_record_lies_in_the_window_of_its_last_change() {
    let stub = Stub::start(|_, seen| serve(seen, 0)).await;
    let source = source(&stub, "", "");
    let within = |body: &str| {
        source.lies_within(body, "2026-01-14T16:00:00Z".parse().unwrap(), "2026-01-15T16:00:00Z".parse().unwrap())
    };
    assert_eq!(within(r#"{"io_id": 1, "modified": "2026-01-15 00:00:00"}"#), Some(true));
    assert_eq!(within(r#"{"io_id": 1, "modified": "2026-01-14 23:59:59"}"#), Some(false));
    assert_eq!(within(r#"{"io_id": 1, "modified": "2026-01-16 00:00:00"}"#), Some(false));
    assert_eq!(within(r#"{"io_id": 1, "modified": "yesterday"}"#), None);
    assert_eq!(within("[]"), None);
}
