//! Bad input: each a clear problem, no panic, and an engine that answers afterwards.

use super::*;

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn bodies_that_are_not_what_a_route_takes_are_each_told_what_is_wrong() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    let deep_within = format!("{{\"name\": {}1{}}}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
    let names = format!("{{{}}}", (0..50_000).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(1 << 20));
    let cases: Vec<(&str, &[u8], u16, &str, &str)> = vec![
        (JSON, b"", 400, "invalid_request", "EOF"),
        (JSON, b"{", 400, "invalid_request", "EOF"),
        (JSON, deep.as_bytes(), 400, "invalid_request", "not a JSON object"),
        (JSON, deep_within.as_bytes(), 400, "invalid_request", "recursion limit"),
        (JSON, b"{\"name\": \"a\", \"name\": \"b\", \"public_key\": \"x\"}", 400, "invalid_request", "stands twice"),
        (JSON, b"{\"name\": \"\xff\"}", 400, "invalid_request", "not UTF-8"),
        (
            JSON,
            b"{\"name\": 123456789012345678901234567890, \"public_key\": 1e999}",
            400,
            "invalid_request",
            "expected a string",
        ),
        (JSON, b"{\"name\": \"n\", \"public_key\": \"k\", \"more\": 1}", 400, "invalid_request", "unknown field"),
        (JSON, b"[\"n\", \"k\"]", 400, "invalid_request", "not a JSON object"),
        (JSON, names.as_bytes(), 400, "invalid_request", "unknown field"),
        (JSON, long.as_bytes(), 413, "payload_too_large", "1048576 bytes"),
        (JSON, b"{\"name\": \"a\\u0000b\", \"public_key\": \"x\"}", 400, "invalid_request", "control"),
        ("", b"{}", 415, "unsupported_media_type", "application/json"),
        ("content-type: text/plain\r\n", b"{}", 415, "unsupported_media_type", "application/json"),
        (
            "content-type: application/x-www-form-urlencoded\r\n",
            b"a=b",
            415,
            "unsupported_media_type",
            "application/json",
        ),
        ("content-type: \u{1f4a9}\r\n", b"{}", 415, "unsupported_media_type", "application/json"),
    ];
    for (more, body, status, code, word) in cases {
        let reply = bench.ask("POST", "/v1/tenants/acme/signing-keys", &admin, more, body).await;
        let told = reply.problem(status, code);
        assert!(told.to_string().contains(word), "no {word:?} in {told:#}");
    }
    for packed in ["gzip", "deflate", "br", "zstd", "gzip, identity"] {
        let more = format!("{JSON}content-encoding: {packed}\r\n");
        // Ten kilobytes of nothing, packed: the beginning of a bomb.
        let body = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].repeat(1_000);
        let reply = bench.ask("POST", "/v1/tenants/acme/signing-keys", &admin, &more, &body).await;
        reply.problem(415, "unsupported_media_type");
        let wasm = format!("content-type: application/wasm\r\ncontent-encoding: {packed}\r\n");
        bench
            .ask("POST", "/v1/tenants/acme/modules", &admin, &wasm, &body)
            .await
            .problem(415, "unsupported_media_type");
    }
    bench.finish().await;
}

#[tokio::test]
async fn names_that_try_to_be_paths_lead_nowhere() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let long = "x".repeat(4_000);
    for name in [
        "..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%2f",
        "%5c",
        "%00",
        "a%00b",
        "%0d%0aset-cookie:x",
        "%ff%fe",
        "%",
        "%zz",
        "..;",
        "~",
        "%E2%80%AE",
        ".",
        "%20",
        "*",
        "?",
        "#",
        "con",
        &long,
    ] {
        for path in [
            format!("/v1/tenants/acme/tables/{name}"),
            format!("/v1/tenants/acme/modules/{name}"),
            format!("/v1/tenants/acme/tokens/{name}"),
            format!("/v1/errors/{name}"),
            format!("/v1/{name}"),
            format!("/{name}"),
        ] {
            for method in ["GET", "DELETE", "PUT"] {
                let reply = bench.ask(method, &path, &admin, "", b"").await;
                assert!((400..500).contains(&reply.status) || path.ends_with(['?', '#']), "{method} {path}: {reply:?}");
                assert!(!reply.head.contains("set-cookie"), "{method} {path}: {reply:?}");
            }
        }
    }
    let too_long = format!("/v1/tenants/acme/tables/{}", "x".repeat(20_000));
    bench.get(&too_long, &admin).await.problem(400, "invalid_request");
    bench.finish().await;
}

#[tokio::test]
async fn queries_are_read_strictly() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    for query in [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=1e3",
        "limit=99999999999999999999",
        "limit=",
        "limit=1&limit=2",
        "after=%00",
        "after=..",
        "after=!!!",
        "colour=red",
        "after=AAAA",
        "since=yesterday",
        "%ff=1",
    ] {
        bench.get(&format!("/v1/tenants/acme/audit?{query}"), &admin).await.problem(400, "invalid_request");
    }
    for (header, status) in [
        ("if-match: 7\r\n", 400),
        ("if-match: *\r\n", 400),
        ("if-match: \"7\", \"8\"\r\n", 400),
        ("if-match: \"7\"\r\nif-match: \"8\"\r\n", 400),
        ("if-match: \"99999999999999999999999\"\r\n", 400),
        ("if-match: \"0\"\r\n", 400),
        ("if-none-match: \"7\"\r\n", 400),
        ("if-match: \"7\"\r\n", 412),
        ("if-none-match: *\r\n", 201),
        ("if-none-match: *\r\n", 412),
        ("if-match: \"1\"\r\n", 200),
    ] {
        let more = format!("{JSON}{header}");
        let reply = bench.ask("PUT", "/v1/tenants/acme/tables/t", &admin, &more, b"{\"a\": 1}").await;
        assert_eq!(reply.status, status, "{header}: {reply:?}");
    }
    bench.finish().await;
}

#[tokio::test]
async fn what_is_no_http_is_answered_or_closed_and_hurts_nobody() {
    let bench = Bench::start().await;
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let huge = format!("x: {}\r\n", "y".repeat(100_000));
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/whoami HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET /v1/whoami HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /v1/tokens HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\nzz\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes(),
        format!("GET / HTTP/1.1\r\n{huge}\r\n").as_bytes(),
    ] {
        let reply = bench.raw(bytes).await;
        assert!(
            matches!(reply.status, 0 | 400..=431),
            "{:?}: {reply:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
        );
    }
    bench.finish().await;
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too_and_head_is_get_without_a_body() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    for path in ["/", "/v1", "/v1/", "/v1/nothing", "/v2/whoami", "/v1/whoami/", "//v1/whoami"] {
        bench.get(path, &admin).await.problem(404, "not_found");
    }
    for method in ["POST", "TRACE", "OPTIONS", "CONNECT", "PATCH", "FROB"] {
        let reply = bench.ask(method, "/v1/whoami", &admin, "", b"").await;
        if method == "CONNECT" {
            assert!(reply.status >= 400, "{reply:?}");
            continue;
        }
        reply.problem(405, "method_not_allowed");
        assert!(reply.head.contains("allow: get"), "{method}: {reply:?}");
    }
    let (got, head) = (bench.get("/v1/whoami", &admin).await, bench.ask("HEAD", "/v1/whoami", &admin, "", b"").await);
    assert_eq!((head.status, head.body.len()), (200, 0), "{head:?}");
    assert!(head.head.contains(&format!("content-length: {}", got.body.len())), "{head:?}");
    assert_eq!(bench.ask("HEAD", "/v1/whoami", "", "", b"").await.status, 401);
    let page = bench.get("/v1/errors/not_found", "").await;
    assert!(page.status == 200 && page.body.starts_with(b"# not_found"), "{page:?}");
    bench.finish().await;
}
