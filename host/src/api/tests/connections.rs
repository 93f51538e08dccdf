//! Connections, slow ones and large ones.

use super::*;

/// Writes until the engine does not take it any more, and reads what it says then.
async fn pour(stream: &mut TcpStream, most: usize) -> (usize, Reply) {
    let piece = vec![b'x'; 64 << 10];
    let mut poured = 0;
    while poured < most {
        match stream.write(&piece).await {
            Ok(written) => poured += written,
            Err(_) => break,
        }
    }
    (poured, Reply::read(stream).await)
}

fn upload(token: &str, length: Option<u64>) -> String {
    let length = match length {
        Some(length) => format!("content-length: {length}\r\n"),
        None => "transfer-encoding: chunked\r\n".into(),
    };
    head("POST", "/v1/tenants/acme/modules", token, &format!("content-type: application/wasm\r\n{length}"), None)
}

#[tokio::test]
async fn two_gigabytes_that_are_announced_are_refused_before_a_byte_is_read() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let reply = bench.raw(upload(&admin, Some(2 << 30)).as_bytes()).await;
    reply.problem(413, "payload_too_large");
    assert!(reply.head.contains("connection: close"), "{reply:?}");

    // Who sends them all the same reads the answer too, after a few of them.
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(upload(&admin, Some(2 << 30)).as_bytes()).await.unwrap();
    let (poured, reply) = pour(&mut stream, 8 << 20).await;
    reply.problem(413, "payload_too_large");
    assert!(poured <= 16 << 20, "{poured} bytes were taken");
    bench.finish().await;
}

#[tokio::test]
async fn a_stream_without_an_end_is_cut_at_the_cap() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(upload(&admin, None).as_bytes()).await.unwrap();
    let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let mut poured = 0_usize;
    // The standard class takes 4 MiB; what lies in buffers between the two comes on top.
    while poured < 2 << 30 {
        match stream.write_all(&piece).await {
            Ok(()) => poured += piece.len(),
            Err(_) => break,
        }
    }
    let reply = Reply::read(&mut stream).await;
    // Who never reads while writing may find the connection gone; the engine took no more than the cap and what lingers.
    assert!(matches!(reply.status, 0 | 413), "{reply:?}");
    assert!(poured < 64 << 20, "{poured} bytes were taken");
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(upload(&admin, None).as_bytes()).await.unwrap();
    for _ in 0..(5 << 20) / piece.len() {
        stream.write_all(&piece).await.unwrap();
    }
    Reply::read(&mut stream).await.problem(413, "payload_too_large");
    // JSON has a cap of its own, announced or not.
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let more = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    stream.write_all(head("POST", "/v1/tenants/acme/tokens", &admin, more, None).as_bytes()).await.unwrap();
    for _ in 0..(2 << 20) / piece.len() {
        stream.write_all(&piece).await.unwrap();
    }
    Reply::read(&mut stream).await.problem(413, "payload_too_large");
    bench.finish().await;
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_given_up_and_their_places_come_back() {
    let limits = Limits {
        connections: 4,
        header_timeout: Duration::from_millis(300),
        upload_piece_timeout: Duration::from_millis(300),
        upload_timeout: Duration::from_secs(2),
        ..limits()
    };
    let bench = Bench::with(limits).await;
    let admin = bench.admin().await;
    // Half a head on every connection there is, and one byte of the next.
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        stream.write_all(b"GET /v1/whoami HTTP/1.1\r\nhost:").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(bench.get("/v1/whoami", &admin).await.status, 200, "slow heads keep the places of others");
    for stream in &mut slow {
        let reply = Reply::read(stream).await;
        assert!(matches!(reply.status, 0 | 408), "{reply:?}");
    }
    // An upload of which no more comes.
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(format!("{}\0asm", upload(&admin, Some(1_000))).as_bytes()).await.unwrap();
    let told = Reply::read(&mut stream).await.problem(408, "upload_timeout");
    assert_eq!(told["detail"], "no more of the upload came for too long");
    // One that trickles: each piece in time, the whole never.
    let stream = TcpStream::connect(bench.address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    to.write_all(upload(&admin, Some(1_000)).as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            if to.write_all(b"x").await.is_err() {
                return;
            }
        }
    });
    let mut said = Vec::new();
    from.read_to_end(&mut said).await.unwrap_or_default();
    trickle.abort();
    let told = Reply::parse(&said).problem(408, "upload_timeout");
    assert_eq!(told["detail"], "the upload took longer than it may");
    // One that ends early.
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(format!("{}\0asm", upload(&admin, Some(1_000))).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let reply = Reply::read(&mut stream).await;
    assert!(matches!(reply.status, 0 | 400), "{reply:?}");
    bench.finish().await;
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_else_out() {
    let header_timeout = Duration::from_secs(600);
    let limits = Limits { connections: 4, first_byte_timeout: Duration::from_millis(200), header_timeout, ..limits() };
    let bench = Bench::with(limits).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(bench.address).await.unwrap());
    }
    let admin = bench.admin().await;
    assert_eq!(bench.get("/v1/whoami", &admin).await.status, 200);
    bench.finish().await;
}

#[tokio::test]
async fn a_peer_with_as_many_connections_as_one_may_have_is_not_let_in_until_one_is_gone() {
    let bench = Bench::with(Limits { connections_of_peer: 2, ..limits() }).await;
    let admin = bench.admin().await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let request = head("GET", "/v1/whoami", &admin, "", None).replace("connection: close\r\n", "");
        stream.write_all(request.as_bytes()).await.unwrap();
        // Whoever is answered is in.
        assert!(stream.read(&mut [0; 4_096]).await.unwrap() > 0);
        held.push(stream);
    }
    let mut third = TcpStream::connect(bench.address).await.unwrap();
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0, "one that is too many is closed without a word");
    drop(held);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let again = async || {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        stream.write_all(head("GET", "/v1/whoami", &admin, "", None).as_bytes()).await.ok()?;
        (Reply::read(&mut stream).await.status == 200).then_some(())
    };
    while again().await.is_none() {
        assert!(tokio::time::Instant::now() < deadline, "a place does not come back");
    }
    bench.finish().await;
}

#[tokio::test]
async fn work_that_is_for_the_caller_alone_hears_of_it_when_the_caller_hangs_up() {
    use super::super::{server, shell};

    let (began, has_begun) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let signals = Arc::new(std::sync::Mutex::new(Some((began, ended))));
    let work = move |shell::Gone(gone): shell::Gone| {
        let (began, ended) = signals.lock().unwrap().take().unwrap();
        async move {
            began.send(()).unwrap();
            gone.cancelled().await;
            ended.send(()).unwrap();
        }
    };
    let shell = shell::Shell::new(4, Duration::from_secs(60));
    let around = axum::middleware::from_fn_with_state(shell, shell::around);
    let router = axum::Router::new().route("/work", axum::routing::get(work)).layer(around);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let long = Duration::from_secs(60);
    let limits = server::Limits {
        connections: 4,
        connections_of_peer: 0,
        first_byte_timeout: long,
        header_timeout: long,
        write_timeout: long,
    };
    let serving = tokio::spawn(server::serve(listener, router, limits, stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head("GET", "/work", "", "", None).as_bytes()).await.unwrap();
    has_begun.await.unwrap();
    drop(stream);
    tokio::time::timeout(long, has_ended).await.expect("it works on for nobody").unwrap();
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn more_uploads_than_a_tenant_may_have_at_once_are_told_to_come_again() {
    let bench = Bench::start().await;
    let (admin, other) = (bench.admin().await, bench.token(Some("globex"), Role::TenantAdmin, false).await);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let request = upload(&admin, Some(1_000)).replace("host: x", "host: x\r\nexpect: 100-continue");
        stream.write_all(request.as_bytes()).await.unwrap();
        // Who is told to go on has a place.
        let mut said = [0; 25];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
        open.push(stream);
    }
    let wasm = "content-type: application/wasm\r\n";
    let refused = bench.ask("POST", "/v1/tenants/acme/modules", &admin, wasm, b"x").await;
    refused.problem(429, "too_many_requests");
    assert!(refused.head.contains("retry-after:"), "{refused:?}");
    let reply =
        bench.ask("POST", "/v1/tenants/globex/modules", &other, "content-type: application/wasm\r\n", b"x").await;
    reply.problem(422, "module_refused");
    drop(open);
    // The places come back when their connections are gone.
    while bench.ask("POST", "/v1/tenants/acme/modules", &admin, "content-type: application/wasm\r\n", b"x").await.status
        == 429
    {}
    bench.finish().await;
}

#[tokio::test]
async fn who_asks_and_does_not_read_loses_the_connection_and_a_kept_one_serves_again_and_again() {
    // One place: whoever keeps it keeps everybody out.
    let bench = Bench::with(Limits { connections: 1, request_timeout: Duration::from_millis(500), ..limits() }).await;
    let admin = bench.admin().await;
    let entries: serde_json::Map<String, Value> =
        (0..500).map(|n| (format!("{n:03}"), json!("x".repeat(4_000)))).collect();
    let put = bench.json("PUT", "/v1/tenants/acme/tables/large", &admin, &Value::Object(entries)).await;
    assert_eq!(put.status, 201, "{put:?}");
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let request = head("GET", "/v1/tenants/acme/tables/large?limit=500", &admin, "", Some(0))
        .replace("connection: close\r\n", "");
    // Each answer has two megabytes; the first few do not fit into any buffer.
    stream.write_all(request.repeat(20).as_bytes()).await.unwrap();
    assert_eq!(bench.get("/v1/whoami", &admin).await.status, 200);
    let mut kept = TcpStream::connect(bench.address).await.unwrap();
    for _ in 0..3 {
        let request = head("GET", "/v1/whoami", &admin, "", None).replace("connection: close\r\n", "");
        kept.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = [0; 4_096];
        let read = kept.read(&mut bytes).await.unwrap();
        assert_eq!(Reply::parse(&bytes[..read]).status, 200);
    }
    drop(kept);
    bench.finish().await;
    drop(stream);
}
