//! What one tenant does at the cost of others, and what it could learn of them.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};

use super::*;
use crate::model::{Digest, PAGE_LIMIT_BYTES};
use crate::registry::Quotas;
use crate::sandbox::tests::guests;
use crate::sandbox::{self, Call, Context, Isolation, Lookup, ModuleClass, References};

const MODULES: &str = "/v1/tenants/acme/modules";
const WASM: &str = "content-type: application/wasm\r\n";

/// A form of a component and some samples.
fn form(component: &[u8], samples: usize) -> (&'static str, Vec<u8>) {
    let part = |name: &str, bytes: &[u8]| {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), bytes, b"\r\n"].concat()
    };
    let samples = (0..samples).flat_map(|_| part("sample", b"{\"a\":1}"));
    let body = [part("module", component), samples.collect(), b"--b--\r\n".to_vec()].concat();
    ("content-type: multipart/form-data; boundary=b\r\n", body)
}

/// Keeps its guest waiting for an answer until it is told to go on.
struct Held(Sender<()>, std::sync::Mutex<Receiver<()>>);

impl References for Held {
    fn lookup(&self, _: &str, _: &str) -> Lookup {
        self.0.send(()).unwrap();
        self.1.lock().unwrap().recv().unwrap();
        Lookup::KnownMissing
    }
}

impl Held {
    fn keep_a_slot(&self, sandbox: &Sandbox) {
        let asks = "(call $lookup (local.get $key) (local.get $key_len) (local.get $key) (local.get $key_len) (i32.const 4096))";
        let module = sandbox.load(&guests::guest(&format!("{asks} {}", guests::ECHO)), ModuleClass::Standard).unwrap();
        let context = Context {
            tenant: tenant("acme"),
            scheme: crate::model::SchemeId::new("held").unwrap(),
            source: "a:b".into(),
            target: "c:d".into(),
            parameters: "{}".into(),
            received_at: Timestamp::UNIX_EPOCH,
        };
        let key = crate::model::DocumentKey::new("1").unwrap();
        let document = crate::model::Document { key, body: "{}".into() };
        let call = Call { context: &context, document: &document, deadline_ms: Some(600_000) };
        let limits = sandbox::Limits::of(sandbox.settings(), ModuleClass::Standard);
        sandbox.transform(&module, &[call], Isolation::Document, &limits, self);
    }
}

impl Bench {
    async fn quotas(&self, quotas: Quotas) {
        let operator = self.token(None, Role::Operator, false).await;
        let changed = self.json("PATCH", "/v1/tenants/acme", &operator, &json!({ "quotas": quotas })).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    }

    /// Seconds of its compile budget that are spent, rounded up.
    fn compiled(&self, of: &str) -> u64 {
        self.registry.compile_left(&tenant(of)).unwrap().used_seconds
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_samples_burn_is_the_tenants_fuel() {
    let bench = Bench::start().await;
    let (admin, component) = (bench.admin().await, guests::guest(guests::ECHO));
    let (more, body) = form(&component, 2);
    let report = bench.ask("POST", MODULES, &admin, more, &body).await.value();
    let samples = report["trial"]["samples"].as_array().unwrap();
    let fuel: u64 = samples.iter().map(|sample| sample["fuel"].as_u64().unwrap()).sum();
    let usage = bench.get("/v1/tenants/acme/usage", &admin).await.value();
    let used = usage["now"]["fuel_last_minute"].as_u64().unwrap();
    assert!(used > 2 * fuel && fuel > 0, "each sample ran three times: {used} of {fuel}");
    bench.quotas(Quotas { fuel_per_minute: 1, ..Quotas::default() }).await;
    let told = bench.ask("POST", MODULES, &admin, more, &body).await.problem(429, "quota_exceeded");
    assert_eq!((told["quota"].as_str(), told["used"].as_u64()), (Some("fuel_per_minute"), Some(used)), "{told:#}");
    assert_eq!(bench.ask("POST", MODULES, &admin, WASM, &component).await.status, 200, "without samples nothing runs");
    // A trial that uses the last of it ends there, and says so.
    bench.quotas(Quotas { fuel_per_minute: used + 1, ..Quotas::default() }).await;
    let report = bench.ask("POST", MODULES, &admin, more, &body).await.value();
    assert_eq!(report["trial"]["samples"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(report["trial"]["batch_safe"], Value::Null);
    assert!(report["trial"]["remarks"].to_string().contains("fuel_per_minute; 1 samples were not run"), "{report:#}");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_from_an_upload_what_others_have_uploaded() {
    let bench = Bench::start().await;
    let (admin, other) = (bench.admin().await, bench.token(Some("globex"), Role::TenantAdmin, false).await);
    let component = guests::guest(guests::ECHO);
    let first = bench.ask("POST", MODULES, &admin, WASM, &component).await.value();
    assert_eq!((bench.compiled("acme") > 0, bench.compiled("globex")), (true, 0));
    // Whether it is loaded or only compiled.
    let _loaded = bench.api.sandbox.load(&component, ModuleClass::Standard).unwrap();
    let second = bench.ask("POST", "/v1/tenants/globex/modules", &other, WASM, &component).await.value();
    assert_eq!((&first["compiled"], &first["compiled"]["cached"]), (&second["compiled"], &json!(false)));
    assert_eq!(bench.compiled("globex"), bench.compiled("acme"), "each has paid for it");
    // What a tenant had before is told it, and no other.
    let (more, body) = form(&component, 1);
    let again = bench.ask("POST", MODULES, &admin, more, &body).await.value();
    assert_eq!(again["compiled"]["cached"], true, "{again:#}");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_to_others_costs_what_it_cost_them() {
    let bench = Bench::start().await;
    let (admin, other) = (bench.admin().await, bench.token(Some("globex"), Role::TenantAdmin, false).await);
    // It compiles, and is nothing that the contract knows.
    let alien = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
    bench.ask("POST", MODULES, &admin, WASM, &alien).await.problem(422, "module_refused");
    bench.ask("POST", "/v1/tenants/globex/modules", &other, WASM, &alien).await.problem(422, "module_refused");
    assert_eq!((bench.compiled("acme"), bench.compiled("globex")), (1, 1));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_before_it_comes() {
    let bench = Bench::start().await;
    let (admin, component) = (bench.admin().await, guests::guest(guests::ECHO));
    assert_eq!(bench.ask("POST", MODULES, &admin, WASM, &component).await.status, 201);
    bench.quotas(Quotas { modules: 1, tables: 0, ..Quotas::default() }).await;
    let first_line = async |method: &str, path: &str, more: &str, length: usize| {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let more = format!("{more}expect: 100-continue\r\n");
        stream.write_all(head(method, path, &admin, &more, Some(length)).as_bytes()).await.unwrap();
        let mut said = [0; 12];
        stream.read_exact(&mut said).await.unwrap();
        String::from_utf8_lossy(&said).into_owned()
    };
    let json = "content-type: application/json\r\n";
    let multipart = "content-type: multipart/form-data; boundary=b\r\n";
    assert_eq!(first_line("POST", MODULES, WASM, component.len() + 1).await, "HTTP/1.1 429");
    assert_eq!(first_line("POST", MODULES, multipart, 1_000).await, "HTTP/1.1 429");
    assert_eq!(first_line("PUT", "/v1/tenants/acme/tables/t", json, 1_000).await, "HTTP/1.1 429");
    assert_eq!(bench.ask("POST", MODULES, &admin, WASM, &component).await.status, 200, "what is there takes no room");
    bench.quotas(Quotas { modules: 2, ..Quotas::default() }).await;
    assert_eq!(first_line("POST", MODULES, WASM, component.len() + 1).await, "HTTP/1.1 100");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_samples_run_keeps_nobody_from_being_compiled() {
    let bench = Bench::start().await;
    let (admin, component) = (bench.admin().await, guests::guest(guests::ECHO));
    // Its samples wait for the tenant's only slot, for as long as this test likes.
    bench.api.sandbox.set_share(&tenant("acme"), 1, 1);
    let ((asked, is_asked), (go, goes)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let (sandbox, held) = (bench.api.sandbox.clone(), Held(asked, std::sync::Mutex::new(goes)));
    let holding = tokio::task::spawn_blocking(move || held.keep_a_slot(&sandbox));
    tokio::task::spawn_blocking(move || is_asked.recv().unwrap()).await.unwrap();
    let (more, body) = form(&component, 1);
    let request = [head("POST", MODULES, &admin, more, Some(body.len())).as_bytes(), &body].concat();
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    while !bench.api.sandbox.is_compiled(&Digest::of(&component), ModuleClass::Standard) {
        tokio::task::yield_now().await;
    }
    let all = tokio::time::timeout(Duration::from_secs(60), bench.api.uploads.memory_is_free());
    all.await.expect("the samples' run keeps a place in memory");
    go.send(()).unwrap();
    holding.await.unwrap();
    assert_eq!(Reply::read(&mut stream).await.status, 201);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_too_much_is_told_when_to_come_again_and_what_changes_nothing_leaves_no_line() {
    let bench = Bench::start().await;
    let (operator, admin) = (bench.token(None, Role::Operator, false).await, bench.admin().await);
    let unmasking = bench.token(Some("acme"), Role::TenantAdmin, true).await;
    let at = |name: &str| format!("/v1/tenants/acme/tables/{name}");
    bench.quotas(Quotas { changes_per_minute: 2, ..Quotas::default() }).await;
    for (number, status) in [(0, 201), (1, 200)] {
        assert_eq!(bench.json("PUT", &at("t"), &admin, &json!({ "a": number })).await.status, status);
    }
    let refused = bench.json("PUT", &at("t"), &admin, &json!({ "a": 3 })).await;
    let told = refused.problem(429, "quota_exceeded");
    assert_eq!((told["quota"].as_str(), told["used"].as_u64()), (Some("changes_per_minute"), Some(2)), "{told:#}");
    assert!(told["resets_at"].is_string() && refused.head.contains("retry-after:"), "{refused:?}");
    // So is every act that leaves a line, before it is done.
    let document = "/v1/tenants/acme/schemes/saleout/documents/1";
    bench.json("POST", &format!("{document}/retry"), &admin, &json!({})).await.problem(429, "quota_exceeded");
    bench.get(&format!("{document}?unmask=true"), &unmasking).await.problem(429, "quota_exceeded");
    assert_eq!(bench.get(&at("t"), &admin).await.status, 200, "who looks changes nothing");
    assert_eq!(bench.json("PUT", &at("t"), &operator, &json!({ "a": 4 })).await.status, 200);
    bench.ahead.store(61, Ordering::SeqCst);
    assert_eq!(bench.json("PUT", &at("t"), &admin, &json!({ "a": 5 })).await.status, 200);

    let lines = || bench.registry.audit_end(None).unwrap();
    let before = lines();
    for _ in 0..3 {
        let paused = bench.json("POST", "/v1/pause", &operator, &json!({ "reason": "a stocktaking" })).await;
        assert_eq!(paused.status, 200, "{paused:?}");
    }
    assert_eq!(lines(), before + 1);
    for _ in 0..3 {
        assert_eq!(bench.ask("POST", "/v1/resume", &operator, "", b"").await.status, 200);
    }
    assert_eq!(lines(), before + 2);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_revisions_is_bounded_by_their_bytes() {
    let bench = Bench::start().await;
    let (admin, acme) = (bench.admin().await, tenant("acme"));
    let name = crate::model::ConnectionName::new("large").unwrap();
    for number in 0..100 {
        let settings = json!({ "number": number, "text": "x".repeat(60_000) });
        let system = crate::model::System::YonyouU8;
        bench.registry.put_connection(&Actor::console(), &acme, &name, system, settings, None).await.unwrap();
    }
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let path = format!("/v1/tenants/acme/connections/large/revisions?limit=500{after}");
        let reply = bench.get(&path, &admin).await;
        assert!(
            reply.status == 200 && reply.body.len() < PAGE_LIMIT_BYTES + 1_000,
            "{} of {} bytes",
            reply.status,
            reply.body.len()
        );
        let page = reply.value();
        seen.extend(page["items"].as_array().unwrap().iter().filter_map(|row| row["revision"].as_u64()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_any_list_is_bounded_by_its_bytes() {
    let bench = Bench::start().await;
    let (admin, operator, acme) = (bench.admin().await, bench.token(None, Role::Operator, false).await, tenant("acme"));
    let entries: BTreeMap<String, Value> =
        (0..7).map(|number| (number.to_string(), json!("x".repeat(300_000)))).collect();
    assert_eq!(bench.json("PUT", "/v1/tenants/acme/tables/large", &admin, &json!(entries)).await.status, 201);
    for _ in 0..7 {
        let detail = json!({ "text": "x".repeat(300_000) });
        bench.registry.record(&Actor::console(), Some(&acme), "document.retry", "1", detail).await.unwrap();
    }
    let lists = [("/v1/tenants/acme/tables/large", &admin), ("/v1/tenants/acme/audit?action=document", &operator)];
    for (path, token) in lists {
        let (mut after, mut pages) = (String::new(), Vec::new());
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let reply = bench.get(&format!("{path}{mark}limit=500{after}"), token).await;
            assert!(reply.status == 200 && reply.body.len() < PAGE_LIMIT_BYTES + 1_000, "{} bytes", reply.body.len());
            let page = reply.value();
            pages.push(page["items"].as_array().map_or_else(|| page["items"].as_object().unwrap().len(), Vec::len));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(pages, [3, 3, 1], "{path}");
    }
    bench.finish().await;
}
