use std::io::Write as _;

use super::super::clock::FixedClock;
use super::super::stub::{Captured, Stub, answer};
use super::*;

fn line(limits: Limits) -> Line {
    let clock = Arc::new(FixedClock("2026-01-15T02:30:00Z".parse().unwrap()));
    let http = Http::with_clock(None, clock).unwrap();
    let road = Road::new(&limits);
    Line::new(&http, Arc::new(limits), road)
}

fn request(url: &str) -> Request {
    Request {
        method: Method::POST,
        url: url.parse().unwrap(),
        operation: "sample".into(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"password=topsecret"),
        private: Vec::new(),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Stored blocks only: a valid stream without a compressor. Each holds at most 65535 bytes.
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        packed.push(u8::from(blocks.peek().is_none()));
        let length = block.len() as u16;
        packed.write_all(&length.to_le_bytes()).unwrap();
        packed.write_all(&(!length).to_le_bytes()).unwrap();
        packed.write_all(block).unwrap();
    }
    let crc = bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    packed.write_all(&(!crc).to_le_bytes()).unwrap();
    packed.write_all(&(bytes.len() as u32).to_le_bytes()).unwrap();
    packed
}

#[tokio::test]
async fn a_refused_connection_was_surely_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = line(Limits::default()).send(request(&format!("http://{address}/?sign=abc"))).await.err().unwrap();
    assert!(matches!(error, Error::Unreachable { .. }) && !error.may_have_written(), "{error}");
}

#[tokio::test]
async fn a_cut_answer_may_have_been_carried_out() {
    let cut_head = b"".to_vec();
    let cut_body = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":".to_vec();
    let packed = gzip(b"{\"whole\":true}");
    let mut cut_gzip = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n".to_vec();
    cut_gzip.extend_from_slice(&packed[..packed.len() - 12]);
    for bytes in [cut_head, cut_body, cut_gzip] {
        let stub = Stub::raw(bytes).await;
        let error = line(Limits::default()).send(request(&stub.url("/"))).await.err().unwrap();
        assert!(matches!(error, Error::AnswerLost { .. }) && error.may_have_written(), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_lost_and_not_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { timeout_ms: 100, ..Limits::default() };
    let error = line(limits).send(request(&format!("http://{address}/"))).await.err().unwrap();
    assert!(matches!(error, Error::AnswerLost { .. }), "{error}");
}

#[tokio::test]
async fn the_cap_counts_what_an_answer_unpacks_to() {
    let page = vec![b'x'; 4_000];
    let packed = gzip(&page);
    let stub = Stub::start(move |_, seen| {
        let mut reply = answer(200, if seen.path == "/packed" { packed.clone() } else { page.clone() });
        if seen.path == "/packed" {
            reply.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        }
        reply
    })
    .await;
    for path in ["/plain", "/packed"] {
        let at = line(Limits { response_limit_bytes: 4_000, ..Limits::default() });
        assert_eq!(at.send(request(&stub.url(path))).await.ok().unwrap().body.len(), 4_000, "{path}");
        let past = line(Limits { response_limit_bytes: 3_999, ..Limits::default() });
        let error = past.send(request(&stub.url(path))).await.err().unwrap();
        assert!(matches!(error, Error::TooLarge { limit_bytes: 3_999 }), "{path}: {error}");
    }
}

#[tokio::test]
async fn follows_no_redirect() {
    let stub = Stub::start(|_, _| {
        let mut reply = answer(307, "");
        reply.headers_mut().insert("location", "/elsewhere".parse().unwrap());
        reply
    })
    .await;
    let reply = line(Limits::default()).send(request(&stub.url("/"))).await.ok().unwrap();
    assert_eq!(reply.status, 307);
    assert_eq!(stub.seen().len(), 1);
    assert!(matches!(reply.server_error(), Error::Server { status: 307, .. }));
}

#[tokio::test]
async fn a_clock_that_differs_too_much_is_named_with_its_skew() {
    let stub = Stub::start(|_, seen| {
        let mut reply = answer(200, "{}");
        let date =
            if seen.path == "/behind" { "Thu, 15 Jan 2026 02:18:20 GMT" } else { "Thu, 15 Jan 2026 02:35:00 GMT" };
        reply.headers_mut().insert("date", date.parse().unwrap());
        reply
    })
    .await;
    let behind = line(Limits::default()).send(request(&stub.url("/behind"))).await.ok().unwrap();
    assert_eq!(behind.skew_seconds(), Some(700));
    let error = behind.clock_error(300).unwrap();
    assert!(
        matches!(error, Error::ClockWrong { skew_seconds: 700, .. }) && error.to_string().contains("700s"),
        "{error}"
    );
    let near = line(Limits::default()).send(request(&stub.url("/near"))).await.ok().unwrap();
    assert_eq!(near.skew_seconds(), Some(-300));
    assert!(near.clock_error(300).is_none());
    assert!(near.clock_error(299).is_some());
}

#[tokio::test]
async fn neither_errors_nor_the_log_show_the_query_the_headers_or_the_body() {
    let captured = Captured::start();
    let stub = Stub::raw(Vec::new()).await;
    let mut request = request(&stub.url("/path?sign=querysecret"));
    request.headers.insert("x-token", "headersecret".parse().unwrap());
    let error = line(Limits::default()).send(request).await.err().unwrap();
    let log = captured.text();
    assert!(log.contains("vendor_request") && log.contains("sample"), "nothing was captured: {log}");
    for shown in [format!("{error} {error:?}"), log] {
        for secret in ["querysecret", "headersecret", "topsecret"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

#[tokio::test]
async fn server_errors_open_the_breaker_and_refusals_of_the_same_status_do_not() {
    let stub = Stub::start(|_, _| answer(519, "{}")).await;
    let limits = || Limits { burst: 100, ..Limits::default() };
    let refused = line(limits());
    for _ in 0..20 {
        let reply = refused.send(request(&stub.url("/"))).await.expect("a refusal is an answer");
        let _ = reply.server_error();
        reply.vendor_answered();
    }
    let down = line(limits());
    for _ in 0..5 {
        let reply = down.send(request(&stub.url("/"))).await.ok().unwrap();
        assert!(matches!(reply.server_error(), Error::Server { status: 519, .. }));
    }
    let error = down.send(request(&stub.url("/"))).await.err().unwrap();
    assert!(matches!(error, Error::CircuitOpen { .. }) && !error.may_have_written(), "{error}");
    assert_eq!(stub.seen().len(), 25, "a request left while the breaker was open");
}

#[tokio::test]
async fn a_vendor_that_nobody_can_reach_opens_the_breaker() {
    let stub = Stub::start(|_, _| answer(200, "{}")).await;
    let url = stub.url("/");
    drop(stub);
    // The stub's task is aborted, and gives up its port, when it is next looked at.
    tokio::task::yield_now().await;
    let line = line(Limits { burst: 100, ..Limits::default() });
    for _ in 0..5 {
        let error = line.send(request(&url)).await.err().unwrap();
        assert!(error.is_outage(), "{error}");
    }
    let error = line.send(request(&url)).await.err().unwrap();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
}

#[test]
fn an_error_says_each_of_its_causes_once() {
    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);
    impl std::fmt::Display for Layer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl std::error::Error for Layer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }
    let check = |layers: &[&'static str], expected: &str| {
        let nested = layers.iter().rev().fold(None, |inner, words| Some(Box::new(Layer(words, inner))));
        assert_eq!(chain(&*nested.unwrap()), expected);
    };
    check(
        &["error sending request", "connect error", "refused (111)"],
        "error sending request: connect error: refused (111)",
    );
    check(
        &["error sending request", "connect error: refused (111)", "refused (111)"],
        "error sending request: connect error: refused (111)",
    );
    check(&["error sending request", "error sending request: refused (111)"], "error sending request: refused (111)");
}

#[tokio::test]
async fn a_guarded_connection_reaches_no_address_of_this_machine_by_whatever_name() {
    let stub = Stub::start(|_, _| answer(200, "{}")).await;
    let port = stub.url("/").trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let http = |networks: &[&str]| {
        let networks: Vec<ipnet::IpNet> = networks.iter().map(|network| network.parse().unwrap()).collect();
        Http::with_networks(None, networks.into()).unwrap()
    };
    let urls = [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")];
    for url in &urls {
        let error = line_over(&http(&[]), true).send(request(url)).await.err().unwrap();
        assert!(error.to_string().contains("public internet"), "{url}: {error}");
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    }
    assert_eq!(stub.seen().len(), 0, "nothing was sent");
    for url in &urls {
        assert!(
            line_over(&http(&[]), false).send(request(url)).await.is_ok(),
            "the file's connections go where it says"
        );
        assert!(
            line_over(&http(&["127.0.0.0/8", "::1/128"]), true).send(request(url)).await.is_ok(),
            "the operator opened it"
        );
    }
}

#[tokio::test]
async fn a_name_that_is_not_there_and_one_that_is_hidden_are_told_alike() {
    let http = Http::with_networks(None, [].into()).unwrap();
    // No resolver is asked for a label of more than 63 letters.
    let told = async |name: &str| {
        let error = line_over(&http, true).send(request(&format!("http://{name}:9/"))).await.err().unwrap();
        error.to_string().replace(name, "NAME")
    };
    assert_eq!(told(&"x".repeat(64)).await, told("localhost").await);
}

#[tokio::test]
async fn a_guarded_connection_is_not_served_by_a_client_without_a_guard() {
    let stub = Stub::start(|_, _| answer(200, "{}")).await;
    let http = Http::new(None).unwrap();
    let error = line_over(&http, true).send(request(&stub.url("/"))).await.err().unwrap();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(stub.seen().len(), 0, "nothing was sent");
    assert!(line_over(&http, false).send(request(&stub.url("/"))).await.is_ok());
}

fn line_over(http: &Http, guarded: bool) -> Line {
    let limits = Limits::default();
    let road = Road::new(&limits);
    if guarded {
        road.guard();
    }
    Line::new(http, Arc::new(limits), road)
}
