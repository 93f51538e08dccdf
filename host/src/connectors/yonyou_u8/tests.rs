use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Response;
use jiff::Timestamp;

use super::*;
use crate::connectors::http::Http;
use crate::connectors::stub::{Captured, Pages, Seen, Stub, answer};
use crate::connectors::{Clock, Error, ReadSummary, Source, Span};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A clock that stands still until it is moved.
#[derive(Clone)]
struct Moved(Arc<AtomicI64>);

impl Moved {
    fn new() -> Self {
        let start: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        Self(Arc::new(AtomicI64::new(start.as_second())))
    }
    fn by(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

fn source_at(stub: &Stub, clock: Moved, connection: &str, options: &str, limits: &str) -> Saleouts {
    let connection = format!(
        "base_url = \"{}\"\napp_key = \"opa1\"\napp_secret = \"{SECRET}\"\nfrom_account = \"from\"\n\
         to_account = \"to\"\nbusy_pause_ms = 0\n{connection}\n\
         limits = {{ requests_per_second = 1000, burst = 1000, {limits} }}",
        stub.url("/")
    );
    let connection = Connection::parse(toml::from_str(&connection).unwrap()).unwrap();
    let http = Http::with_clock(None, Arc::new(clock)).unwrap();
    Saleouts::new(&connection, &http, Options::parse(toml::from_str(options).unwrap()).unwrap())
}

fn source(stub: &Stub, options: &str) -> Saleouts {
    source_at(stub, Moved::new(), "", options, "")
}

/// Five minutes of the morning of 20 November in China; with no day before it, one day is asked for.
const ONE_DAY: &str = "reread_days = 0\n";

fn poll() -> Span {
    Span::Window { start: "2026-11-20T01:55:00Z".parse().unwrap(), end: "2026-11-20T02:00:00Z".parse().unwrap() }
}

async fn read(source: &Saleouts) -> (Result<ReadSummary, Error>, Pages) {
    let mut pages = Pages::default();
    (source.read(&poll(), &mut pages).await, pages)
}

fn query(seen: &Seen) -> BTreeMap<String, String> {
    let query = seen.path.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn what(seen: &Seen) -> &str {
    seen.path.split('?').next().unwrap()
}

fn asked(stub: &Stub) -> Vec<String> {
    let name = |seen: &Seen| match what(seen) {
        "/system/token" => "token".to_owned(),
        "/api/saleoutlist/batch_get" => format!("list {}", query(seen)["page_index"]),
        _ => format!("get {}", query(seen)["id"]),
    };
    stub.seen().iter().map(name).collect()
}

fn token(number: usize) -> Response<Body> {
    answer(
        200,
        format!(
            r#"{{"errcode":"0","errmsg":"","token":{{"appKey":"opa1","expiresIn":7200,"id":"tokenid{number:025}"}}}}"#
        ),
    )
}

fn failed(code: &str) -> Response<Body> {
    answer(200, format!(r#"{{"errcode":"{code}","errmsg":"words of the vendor"}}"#))
}

fn head(id: usize) -> String {
    format!(r#"{{"code":"CK{id}","date":"2026-11-20","timestamp":"   20{id}.10"}}"#)
}

/// With a number that a rewrite would change, and blanks where a rewrite would have none.
fn bill(id: usize) -> String {
    format!(
        r#"{{"code":"CK{id}", "timestamp":"   20{id}.10","qty":1.50,"entry":[ {{"rowno":"1","quantity":"2.0000"}} ]}}"#
    )
}

fn list(rows: &[String], count: usize, pages: usize) -> Response<Body> {
    let rows = rows.join(" , ");
    answer(
        200,
        format!(
            r#"{{"errcode":"0","errmsg":"","row_count":"{count}","page_count":"{pages}","saleoutlist":[ {rows} ]}}"#
        ),
    )
}

fn single(id: usize) -> Response<Body> {
    answer(200, format!(r#"{{"errcode":"0","errmsg":"","saleout": {} }}"#, bill(id)))
}

fn id_of(seen: &Seen) -> usize {
    query(seen)["id"].trim_start_matches("CK").parse().unwrap()
}

/// A platform that holds `count` bills on every day and serves them as asked.
fn serve(number: usize, seen: &Seen, count: usize) -> Response<Body> {
    match what(seen) {
        "/system/token" => token(number),
        "/api/saleoutlist/batch_get" => {
            let query = query(seen);
            let (index, size): (usize, usize) =
                (query["page_index"].parse().unwrap(), query["rows_per_page"].parse().unwrap());
            let from = ((index - 1) * size).min(count);
            let rows: Vec<_> = (from + 1..=(from + size).min(count)).map(head).collect();
            if count == 0 { failed("20002") } else { list(&rows, count, count.div_ceil(size)) }
        }
        _ => single(id_of(seen)),
    }
}

#[tokio::test]
async fn reads_heads_page_by_page_and_hands_over_each_bills_own_bytes() {
    let stub = Stub::start(|number, seen| serve(number, seen, 3)).await;
    let source = source(&stub, &format!("{ONE_DAY}page_size = 2\nfilters = {{ warehousecode = \"01\" }}"));
    let (result, pages) = read(&source).await;
    assert_eq!(result.unwrap(), ReadSummary { pages: 2, documents: 3, passes: 1, row_version: None });
    assert_eq!(asked(&stub), ["token", "list 1", "get CK1", "get CK2", "list 2", "get CK3"]);
    assert_eq!(pages.keys(), ["CK1", "CK2", "CK3"]);
    assert_eq!(pages.pages[0].documents[0].body, bill(1), "the bill's own bytes");
    let position = "2026-11-20, page 1 of 2, pass 1";
    assert_eq!((pages.pages[0].total, pages.pages[0].position.as_str()), (Some(3), position));
    let seen = stub.seen();
    let ask = query(&seen[0]);
    assert_eq!(
        (ask["from_account"].as_str(), ask["app_key"].as_str(), ask["app_secret"].as_str()),
        ("from", "opa1", SECRET)
    );
    let ask = query(&seen[1]);
    for (name, value) in [
        ("from_account", "from"),
        ("to_account", "to"),
        ("app_key", "opa1"),
        ("ds_sequence", "1"),
        ("auditdate_begin", "2026-11-20"),
        ("auditdate_end", "2026-11-20"),
        ("rows_per_page", "2"),
        ("warehousecode", "01"),
    ] {
        assert_eq!(ask[name], value, "{name}");
    }
    assert!(ask["token"].starts_with("tokenid") && !ask.contains_key("app_secret"), "{ask:?}");
}

#[tokio::test]
async fn a_window_becomes_whole_days_with_the_last_three_once_more() {
    let stub = Stub::start(|number, seen| serve(number, seen, 0)).await;
    let days = |stub: &Stub| -> Vec<String> {
        let lists: Vec<_> = stub.seen().into_iter().filter(|seen| what(seen).contains("list")).collect();
        lists
            .iter()
            .map(|seen| format!("{} {}", query(seen)["auditdate_begin"], query(seen)["auditdate_end"]))
            .collect()
    };
    let (result, pages) = read(&source(&stub, "")).await;
    assert_eq!(result.unwrap().documents, 0);
    assert!(pages.pages.is_empty(), "an empty day needs no commit");
    let expected: Vec<_> = (17..=20).map(|day| format!("2026-11-{day} 2026-11-{day}")).collect();
    assert_eq!(days(&stub), expected);

    // 23:30 in China until midnight there is the evening's day alone, though a day ahead of UTC's.
    let stub = Stub::start(|number, seen| serve(number, seen, 0)).await;
    let night =
        Span::Window { start: "2026-11-20T15:30:00Z".parse().unwrap(), end: "2026-11-20T16:00:00Z".parse().unwrap() };
    let source = source(&stub, "reread_days = 2\nfirst_day = \"2026-11-19\"\nlast_day = \"exclusive\"");
    source.read(&night, &mut Pages::default()).await.unwrap();
    assert_eq!(days(&stub), ["2026-11-19 2026-11-20", "2026-11-20 2026-11-21"]);
    assert_eq!(source.window_limit().unwrap().as_hours(), 168);
}

#[tokio::test]
async fn nothing_is_read_again_from_before_the_schemes_beginning() {
    let days = async |start_at: &str, options: &str| -> Vec<String> {
        let stub = Stub::start(|number, seen| serve(number, seen, 0)).await;
        let source = source(&stub, options).starting_at(start_at.parse().unwrap());
        source.read(&poll(), &mut Pages::default()).await.unwrap();
        let lists: Vec<_> = stub.seen().into_iter().filter(|seen| what(seen).contains("list")).collect();
        lists.iter().map(|seen| query(seen)["auditdate_begin"].clone()).collect()
    };
    assert_eq!(days("2026-11-18T16:00:00Z", "").await, ["2026-11-19", "2026-11-20"], "19 November begins in China");
    assert_eq!(days("2026-11-18T15:59:59Z", "").await, ["2026-11-18", "2026-11-19", "2026-11-20"]);
    assert_eq!(days("2026-11-01T00:00:00Z", "").await.len(), 4, "three days and today");
    // Whoever asks for a window from before the beginning gets it, and nothing before it.
    assert_eq!(days("2026-12-01T00:00:00Z", "").await, ["2026-11-20"]);
    assert_eq!(days("2026-11-18T16:00:00Z", "first_day = \"2026-11-20\"").await, ["2026-11-20"]);
}

#[tokio::test]
async fn a_first_day_behind_the_schemes_beginning_is_warned_of() {
    let stub = Stub::start(|number, seen| serve(number, seen, 0)).await;
    let warnings = |first_day: &str, start_at: &str| {
        let options = format!("first_day = \"{first_day}\"");
        let warnings = source(&stub, &options).starting_at(start_at.parse().unwrap()).warnings();
        warnings.into_iter().map(|warning| warning.path).collect::<Vec<_>>()
    };
    assert_eq!(warnings("2026-11-20", "2026-11-18T16:00:00Z"), ["source.first_day"]);
    assert!(warnings("2026-11-19", "2026-11-18T16:00:00Z").is_empty());
    assert!(source(&stub, "first_day = \"2026-11-20\"").warnings().is_empty(), "nobody said when it begins");
}

#[tokio::test]
async fn a_known_bill_is_not_fetched_again_and_a_changed_one_is() {
    let changed = Arc::new(AtomicUsize::new(0));
    let flag = changed.clone();
    let stub = Stub::start(move |number, seen| {
        if what(seen).contains("list") && flag.load(Ordering::SeqCst) == 1 {
            return list(&[head(1), head(2).replace("20", "99")], 2, 1);
        }
        serve(number, seen, 2)
    })
    .await;
    let source = source(&stub, ONE_DAY);
    assert_eq!(read(&source).await.1.keys(), ["CK1", "CK2"]);
    assert!(read(&source).await.1.pages.is_empty());
    changed.store(1, Ordering::SeqCst);
    assert_eq!(read(&source).await.1.keys(), ["CK2"]);
    assert_eq!(asked(&stub), ["token", "list 1", "get CK1", "get CK2", "list 1", "list 1", "get CK2"]);
}

#[tokio::test]
async fn a_bill_whose_page_was_not_made_durable_is_not_known() {
    let stub = Stub::start(|number, seen| serve(number, seen, 1)).await;
    let source = source(&stub, ONE_DAY);
    for (closed, lost) in [(true, false), (false, true)] {
        let mut pages = Pages { closed, lost, ..Pages::default() };
        let result = source.read(&poll(), &mut pages).await;
        assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    }
    assert_eq!(read(&source).await.1.keys(), ["CK1"]);
}

#[tokio::test]
async fn a_day_that_changed_while_it_was_read_is_read_again() {
    let lists = Arc::new(AtomicUsize::new(0));
    let count = lists.clone();
    let stub = Stub::start(move |number, seen| match what(seen) {
        "/api/saleoutlist/batch_get" => {
            let asked = count.fetch_add(1, Ordering::SeqCst);
            // The third bill arrives between the first page and the second.
            serve(number, seen, if asked == 0 { 2 } else { 3 })
        }
        _ => serve(number, seen, 3),
    })
    .await;
    let (result, pages) = read(&source(&stub, &format!("{ONE_DAY}page_size = 1"))).await;
    assert_eq!(result.unwrap().passes, 2);
    assert_eq!(pages.keys(), ["CK1", "CK2", "CK3"], "none twice, for the first two are known");

    let growing = AtomicUsize::new(2);
    let stub = Stub::start(move |number, seen| serve(number, seen, growing.fetch_add(1, Ordering::SeqCst))).await;
    let (result, pages) = read(&source(&stub, &format!("{ONE_DAY}page_size = 1\nmax_passes = 3"))).await;
    assert!(matches!(result, Err(Error::Disturbed { passes: 3 })), "{result:?}");
    assert!(!pages.pages.is_empty(), "what was read is handed over all the same");
}

#[tokio::test]
async fn a_bill_that_comes_twice_shows_that_another_was_missed() {
    let lists = AtomicUsize::new(0);
    let stub = Stub::start(move |number, seen| {
        if what(seen).contains("list") && lists.fetch_add(1, Ordering::SeqCst) == 1 {
            return list(&[head(1)], 2, 2);
        }
        serve(number, seen, 2)
    })
    .await;
    let (result, pages) = read(&source(&stub, &format!("{ONE_DAY}page_size = 1"))).await;
    assert_eq!(result.unwrap().passes, 2);
    assert_eq!(pages.keys(), ["CK1", "CK2"]);
}

#[tokio::test]
async fn lines_come_from_the_list_where_it_has_them() {
    for (options, rows, expected) in [
        ("", bill(1), vec!["token", "list 1"]),
        ("", bill(1).replace("entry", "tentry"), vec!["token", "list 1"]),
        ("", bill(1).replace(r#"[ {"rowno":"1","quantity":"2.0000"} ]"#, "[]"), vec!["token", "list 1", "get CK1"]),
        ("entries = \"list\"", head(1), vec!["token", "list 1"]),
        ("entries = \"get\"", bill(1), vec!["token", "list 1", "get CK1"]),
    ] {
        let row = rows.clone();
        let stub = Stub::start(move |number, seen| match what(seen) {
            "/api/saleoutlist/batch_get" => list(std::slice::from_ref(&row), 1, 1),
            _ => serve(number, seen, 1),
        })
        .await;
        let (result, pages) = read(&source(&stub, &format!("{ONE_DAY}{options}"))).await;
        result.unwrap();
        assert_eq!(asked(&stub), expected, "{options}");
        let body = if expected.len() == 3 { bill(1) } else { rows };
        assert_eq!(pages.pages[0].documents[0].body, body);
    }
}

#[tokio::test]
async fn a_bill_that_is_another_than_asked_for_or_gone_is_handed_over_with_the_reason() {
    let stub = Stub::start(|number, seen| match what(seen) {
        "/api/saleout/get" => single(7),
        _ => serve(number, seen, 1),
    })
    .await;
    let (result, pages) = read(&source(&stub, ONE_DAY)).await;
    assert_eq!(result.unwrap().documents, 1);
    let problem = pages.pages[0].documents[0].key.clone().unwrap_err();
    assert!(problem.contains("CK1") && problem.contains("CK7"), "{problem}");

    let stub = Stub::start(|number, seen| match what(seen) {
        "/api/saleout/get" => failed("20002"),
        _ => serve(number, seen, 1),
    })
    .await;
    let (result, pages) = read(&source(&stub, &format!("{ONE_DAY}max_passes = 2"))).await;
    assert_eq!((result.unwrap().passes, pages.keys()), (2, vec!["?".to_owned()]));
    assert_eq!(pages.pages[0].documents[0].body, head(1));
}

#[tokio::test]
async fn one_bad_record_does_not_stop_its_page() {
    let stub = Stub::start(|number, seen| match what(seen) {
        "/api/saleoutlist/batch_get" => {
            let rows = ["3", r#"{"code":null}"#, r#"{"code":" "}"#, r#"{"code":"CK1"}"#];
            list(&rows.map(str::to_owned), 4, 1)
        }
        _ => serve(number, seen, 1),
    })
    .await;
    let (result, pages) = read(&source(&stub, ONE_DAY)).await;
    assert_eq!(result.unwrap().documents, 4);
    assert_eq!(pages.keys(), ["?", "?", "?", "CK1"]);
}

#[tokio::test]
async fn an_expired_token_in_the_middle_of_a_run_is_renewed_once() {
    let stub = Stub::start(|number, seen| match (number, what(seen)) {
        (2, _) => failed("30012"),
        _ => serve(number, seen, 2),
    })
    .await;
    let (result, pages) = read(&source(&stub, ONE_DAY)).await;
    assert_eq!((result.unwrap().documents, pages.keys()), (2, vec!["CK1".to_owned(), "CK2".to_owned()]));
    assert_eq!(asked(&stub), ["token", "list 1", "get CK1", "token", "get CK1", "get CK2"]);
    assert_ne!(query(&stub.seen()[2])["token"], query(&stub.seen()[4])["token"]);

    let stub =
        Stub::start(|number, seen| if what(seen) == "/system/token" { token(number) } else { failed("30012") }).await;
    let (result, _) = read(&source(&stub, ONE_DAY)).await;
    assert!(matches!(&result, Err(Error::CredentialsRefused { detail }) if detail.contains("30012")), "{result:?}");
    assert_eq!(asked(&stub), ["token", "list 1", "token", "list 1"]);
}

#[tokio::test]
async fn a_token_serves_everybody_and_is_renewed_before_it_ends() {
    let stub = Stub::start(|number, seen| serve(number, seen, 0)).await;
    let clock = Moved::new();
    let source = source_at(&stub, clock.clone(), "", ONE_DAY, "");
    let probes = futures::future::join_all((0..5).map(|_| source.probe())).await;
    probes.into_iter().for_each(|probe| probe.unwrap());
    let tokens = || asked(&stub).iter().filter(|what| *what == "token").count();
    assert_eq!(tokens(), 1);
    clock.by(7_200 - 301);
    source.probe().await.unwrap();
    assert_eq!(tokens(), 1);
    clock.by(1);
    source.probe().await.unwrap();
    assert_eq!(tokens(), 2);
    clock.by(-3_600);
    source.probe().await.unwrap();
    assert_eq!(tokens(), 3, "a clock that was set back keeps no token alive");
}

#[tokio::test]
async fn a_tokens_calls_are_counted_and_what_they_brought_is_kept() {
    let stub = Stub::start(|number, seen| serve(number, seen, 20)).await;
    let clock = Moved::new();
    let source = source_at(&stub, clock.clone(), "calls_per_token = 10", ONE_DAY, "");
    let (result, pages) = read(&source).await;
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Throttled { wait: Some(wait), .. } if wait.as_secs() == 7_200), "{error:?}");
    assert_eq!(pages.keys().len(), 9, "one call for the list, nine for bills");
    assert_eq!(stub.seen().len(), 11, "the token and its ten calls");
    clock.by(7_000);
    let error = read(&source).await.0.unwrap_err();
    assert!(matches!(&error, Error::Throttled { wait: Some(wait), .. } if wait.as_secs() == 200), "{error:?}");
    assert_eq!(stub.seen().len(), 11, "a new token would only go around the limit");
    clock.by(200);
    let (result, pages) = read(&source).await;
    assert!(matches!(result, Err(Error::Throttled { .. })), "{result:?}");
    assert_eq!(pages.keys().first().unwrap(), "CK10", "the second period goes on where the first ended");
}

#[tokio::test]
async fn the_same_token_given_out_again_brings_no_new_calls() {
    let stub = Stub::start(|number, seen| match what(seen) {
        "/system/token" => token(1),
        _ if number % 5 == 4 => failed("30012"),
        _ => serve(number, seen, 20),
    })
    .await;
    let source = source_at(&stub, Moved::new(), "calls_per_token = 10", ONE_DAY, "");
    let (result, _) = read(&source).await;
    assert!(matches!(result, Err(Error::Throttled { wait: Some(_), .. })), "{result:?}");
    let calls = asked(&stub).iter().filter(|what| *what != "token").count();
    assert_eq!(calls, 10);
}

#[tokio::test]
async fn failures_inside_an_answer_of_200_say_whose_they_are() {
    let check = async |code: &'static str, connection: &str| {
        let stub =
            Stub::start(move |number, seen| if what(seen) == "/system/token" { token(number) } else { failed(code) })
                .await;
        let result = read(&source_at(&stub, Moved::new(), connection, ONE_DAY, "")).await.0;
        (result.unwrap_err(), asked(&stub).len())
    };
    for code in ["10001", "20005", "20006"] {
        let (error, _) = check(code, "").await;
        assert!(matches!(&error, Error::Server { detail, .. } if detail.contains("words of the vendor")), "{error:?}");
    }
    let (error, asked) = check("30025", "busy_tries = 3").await;
    assert!(matches!(error, Error::Throttled { .. }), "{error:?}");
    assert_eq!(asked, 4, "a token and three tries");
    let (error, _) = check("99999", "").await;
    assert!(matches!(&error, Error::Refused { code, .. } if code == "99999"), "{error:?}");
    let (error, _) = check("99999", "throttle_codes = [\"99999\"]").await;
    assert!(matches!(error, Error::Throttled { .. }), "{error:?}");
}

#[tokio::test]
async fn a_busy_platform_is_asked_again_until_it_is_ready() {
    let stub =
        Stub::start(|number, seen| if (1..=2).contains(&number) { failed("30025") } else { serve(number, seen, 1) })
            .await;
    let (result, pages) = read(&source(&stub, ONE_DAY)).await;
    result.unwrap();
    assert_eq!(pages.keys(), ["CK1"]);
}

#[tokio::test]
async fn a_refused_secret_is_sent_once_and_named() {
    let stub = Stub::start(|_, _| failed("20009")).await;
    let source = source(&stub, ONE_DAY);
    let error = source.probe().await.unwrap_err();
    assert!(matches!(&error, Error::CredentialsRefused { detail } if detail.contains("20009")), "{error:?}");
    assert_eq!(asked(&stub), ["token"]);
}

#[tokio::test]
async fn gbk_cut_short_and_overlarge_answers_are_told_apart() {
    let gbk = b"{\"errcode\":\"0\",\"saleoutlist\":[{\"memory\":\"\xd5\xc5\xc8\xfd\"}]}".to_vec();
    let served = gbk.clone();
    let stub = Stub::start(
        move |number, seen| {
            if what(seen) == "/system/token" { token(number) } else { answer(200, served.clone()) }
        },
    )
    .await;
    let error = read(&source(&stub, ONE_DAY)).await.0.unwrap_err();
    assert!(matches!(&error, Error::Unreadable { bytes, .. } if *bytes == gbk), "{error}");
    assert!(error.to_string().contains("looks like GBK"), "{error}");

    let stub = Stub::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"errcode\":".to_vec()).await;
    let error = read(&source(&stub, ONE_DAY)).await.0.unwrap_err();
    assert!(matches!(error, Error::AnswerLost { .. }), "{error}");

    let huge = format!(
        r#"{{"errcode":"0","row_count":"1","page_count":"1","saleoutlist":[],"x":"{}"}}"#,
        "x".repeat(40 << 20)
    );
    let huge = bytes::Bytes::from(huge);
    let stub = Stub::start(
        move |number, seen| {
            if what(seen) == "/system/token" { token(number) } else { answer(200, huge.clone()) }
        },
    )
    .await;
    let error = read(&source(&stub, &format!("{ONE_DAY}page_size = 4"))).await.0.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit_bytes } if limit_bytes == 16 << 20), "{error}");
    let sizes: Vec<_> = stub.seen()[1..].iter().map(|seen| query(seen)["rows_per_page"].clone()).collect();
    assert_eq!(sizes, ["4", "2", "1"], "smaller pages are tried first");
}

#[tokio::test]
async fn clocks_eleven_minutes_apart_do_not_matter() {
    let stub = Stub::start(|number, seen| {
        let mut reply = serve(number, seen, 1);
        reply.headers_mut().insert("date", "Fri, 20 Nov 2026 02:11:00 GMT".parse().unwrap());
        reply
    })
    .await;
    let (result, pages) = read(&source(&stub, ONE_DAY)).await;
    result.unwrap();
    assert_eq!(pages.keys(), ["CK1"]);
}

#[tokio::test]
async fn the_secret_and_the_token_appear_nowhere() {
    let captured = Captured::start();
    let tokens = Arc::new(Mutex::new(Vec::<String>::new()));
    let log = tokens.clone();
    let stub = Stub::start(move |number, seen| {
        if what(seen) == "/system/token" {
            return if number == 0 { token(number) } else { answer(500, format!("no such page: {}", seen.path)) };
        }
        log.lock().unwrap().push(query(seen)["token"].clone());
        match number {
            // Error pages that quote the address they were asked at.
            1 => answer(500, format!("{}{}", "x".repeat(170), seen.path)),
            2 => answer(200, format!("<html>{}</html>", seen.path)),
            _ => failed("30012"),
        }
    })
    .await;
    let source = source(&stub, ONE_DAY);
    let mut shown = vec![format!("{source:?}")];
    for _ in 0..3 {
        let error = source.probe().await.unwrap_err();
        shown.push(format!("{error} {error:?}"));
        if let Error::Unreadable { bytes, .. } = &error {
            shown.push(String::from_utf8_lossy(bytes).into_owned());
        }
    }
    let log = captured.text();
    assert!(log.contains("vendor_request"), "nothing was captured");
    shown.push(log);
    let token = tokens.lock().unwrap()[0].clone();
    for shown in shown {
        assert!(!shown.contains(SECRET) && !shown.contains(&token[..12]), "{shown}");
    }
}

#[test]
fn every_wrong_setting_is_named() {
    let paths = |text: &str| -> Vec<String> {
        let problems = Options::parse(toml::from_str(text).unwrap()).unwrap_err();
        problems.into_iter().map(|problem| problem.path).collect()
    };
    let bad = "zone = \"Nowhere\"\nfirst_day = \"soon\"\npage_size = 0\nmax_passes = 0\nfilters = { auditdate_begin = \"x\", define17 = \"y\" }";
    assert_eq!(
        paths(bad),
        ["zone", "first_day", "page_size", "max_passes", "filters", "filters"].map(|name| format!("source.{name}"))
    );
    for zone in ["Asia/Shanghai", "+08:00", "-03:30"] {
        Options::parse(toml::from_str(&format!("zone = \"{zone}\"\nfilters = {{ define4_begin = \"x\" }}")).unwrap())
            .unwrap();
    }
}

#[tokio::test]
async fn a_bill_lies_in_every_window_that_has_something_of_the_day_of_its_audit() {
    let stub = Stub::start(|number, seen| serve(number, seen, 0)).await;
    let source = source(&stub, ONE_DAY);
    let within =
        |body: &str, start: &str, end: &str| source.lies_within(body, start.parse().unwrap(), end.parse().unwrap());
    let bill = r#"{"code": "X1", "auditdate": "2026-11-20"}"#;
    assert_eq!(within(bill, "2026-11-20T01:55:00Z", "2026-11-20T02:00:00Z"), Some(true));
    assert_eq!(within(bill, "2026-11-20T16:00:00Z", "2026-11-21T16:00:00Z"), Some(false));
    assert_eq!(within(bill, "2026-11-18T16:00:00Z", "2026-11-19T16:00:00Z"), Some(false));
    assert_eq!(within(r#"{"code": "X1"}"#, "2026-11-20T01:55:00Z", "2026-11-20T02:00:00Z"), None);
}
