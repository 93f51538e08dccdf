//! Uploads that are taken, and what is made of them.

use std::fmt::Write as _;

use ed25519_dalek::{Signer, SigningKey};

use super::*;
use crate::model::Digest;
use crate::sandbox::tests::guests;

const MODULES: &str = "/v1/tenants/acme/modules";

/// A part's name, file name and bytes.
type Sent<'a> = (&'a str, &'a str, &'a [u8]);

/// A form of these parts.
fn form(parts: &[(&str, &str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file_name, bytes) in parts {
        let mut head = format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"");
        if !file_name.is_empty() {
            write!(head, "; filename=\"{file_name}\"").unwrap();
        }
        body.extend([head.as_bytes(), b"\r\n\r\n", bytes, b"\r\n"].concat());
    }
    body.extend(b"--b0undary--\r\n");
    ("content-type: multipart/form-data; boundary=b0undary\r\n".into(), body)
}

impl Bench {
    async fn upload(&self, token: &str, parts: &[(&str, &str, &[u8])]) -> Reply {
        let (more, body) = form(parts);
        self.ask("POST", MODULES, token, &more, &body).await
    }

    async fn upload_raw(&self, token: &str, component: &[u8], more: &str) -> Reply {
        self.ask("POST", MODULES, token, &format!("content-type: application/wasm\r\n{more}"), component).await
    }
}

/// Answers with how many documents its instance has had.
fn counts() -> Vec<u8> {
    let items = "(global $count (mut i32) (i32.const 48))";
    let body = "(global.set $count (i32.add (global.get $count) (i32.const 1)))
         (i32.store8 (i32.const 200) (global.get $count))
         (call $emit (local.get $key) (local.get $key_len) (i32.const 200) (i32.const 1))";
    guests::guest_with("", items, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_answered_with_its_report_and_the_same_bytes_change_nothing() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let component = guests::guest(guests::ECHO);
    let reply = bench
        .upload(
            &admin,
            &[
                ("module", "echo.wasm", &component),
                ("parameters", "", b"{\"rate\": 1.10}"),
                ("sample", "166001.json", b"{\"amount\":1.50}"),
                ("sample", "", b"[]"),
                ("table.shops", "", b"{\"1\": {\"name\": \"a\"}}"),
            ],
        )
        .await;
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    let report = reply.value();
    let digest = Digest::of(&component).to_string();
    assert_eq!((report["digest"].as_str(), report["class"].as_str()), (Some(digest.as_str()), Some("standard")));
    assert_eq!((report["name"].as_str(), report["version"].as_str()), (Some("echo"), Some("0.1.0")));
    assert_eq!(report["trial"]["batch_safe"], true);
    let sample = &report["trial"]["samples"][0];
    assert_eq!((sample["name"].as_str(), sample["outcome"].as_str()), (Some("166001.json"), Some("emit")));
    assert!(sample["fuel"].as_u64().unwrap() > 0 && sample["memory_bytes"].as_u64().unwrap() > 0, "{sample}");
    assert_eq!((sample["bills_emitted"].as_u64(), sample["bills"][0]["key"].as_str()), (Some(1), Some("166001")));
    assert_eq!(report["trial"]["samples"][1]["name"], "sample-2");
    let exports: Vec<_> = report["exports"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(exports.contains(&"transform") && exports.contains(&"describe"), "{exports:?}");
    assert!(report["imports"].to_string().contains("crossdock:transform/log@1.0.0"), "{report:#}");
    assert!(!report.to_string().contains("1.50"), "a sample's own values are kept: {report}");

    let again = bench.upload_raw(&admin, &component, "").await;
    assert_eq!((again.status, again.value()), (200, report.clone()));
    let shown = bench.get(&format!("{MODULES}/{digest}"), &admin).await.value();
    assert_eq!(shown["report"], report);
    let bytes = bench.get(&format!("{MODULES}/{digest}/component"), &admin).await;
    assert_eq!((bytes.status, bytes.body), (200, component.clone()));
    assert_eq!(bench.get(MODULES, &admin).await.value()["items"].as_array().unwrap().len(), 1);
    let audited = bench.get("/v1/tenants/acme/audit?action=module", &admin).await.value();
    assert_eq!(audited["items"].as_array().unwrap().len(), 1, "{audited:#}");

    // The same name and version with other bytes, now and for ever.
    let other = guests::guest(&format!("(drop (i32.const 1)) {}", guests::ECHO));
    bench.upload_raw(&admin, &other, "").await.problem(409, "immutable");
    let deleted = bench.ask("DELETE", &format!("{MODULES}/{digest}"), &admin, "", b"").await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    bench.upload_raw(&admin, &other, "").await.problem(409, "immutable");
    bench.get(&format!("{MODULES}/{digest}"), &admin).await.problem(404, "not_found");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_whose_bytes_hang_on_what_ran_before_may_not_run_in_batches() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let component = counts();
    for samples in [1, 3] {
        let mut parts: Vec<(&str, &str, &[u8])> = vec![("module", "", &component)];
        parts.extend(std::iter::repeat_n(("sample", "", &b"{}"[..]), samples));
        let report = bench.upload(&admin, &parts).await.value();
        assert_eq!(report["trial"]["batch_safe"], false, "{report:#}");
        assert_eq!(report["trial"]["samples"][samples - 1]["differs_in_batch"], true, "{report:#}");
        assert!(report["trial"]["remarks"].to_string().contains("not for batches"), "{report:#}");
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_module_is_refused_with_the_reason_and_not_compiled_twice() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let core = wat::parse_str("(module)").unwrap();
    let steals = r#"(import "evil:host/files" "steal" (func $steal))"#;
    let alien = guests::stranger(
        &[
            guests::WIT,
            "package evil:host; interface files { steal: func(); }
             world w { include crossdock:transform/transform@1.0.0; import files; }",
        ],
        &guests::core_text(steals, "", "(call $steal) unreachable"),
    );
    let locals = guests::guest_with("", &format!("(func (local{}))", " i32".repeat(2_000)), guests::ECHO);
    let cases: [(&[u8], &str, &str); 6] = [
        (b"", "module_refused", "not a WebAssembly binary"),
        (b"#!/bin/sh", "module_refused", "not a WebAssembly binary"),
        (&core, "module_refused", "core module"),
        (b"\0asm\x0d\0\x01\0\xff\xff\xff\xff", "module_refused", "not readable"),
        (&alien, "module_refused", "evil:host/files"),
        (&locals, "module_compile_limit", "locals limit 1000"),
    ];
    for (component, code, word) in cases {
        let first = bench.upload_raw(&admin, component, "").await.problem(422, code);
        assert!(first.to_string().contains(word), "{first:#}");
    }
    let again = bench.upload_raw(&admin, &alien, "").await.problem(422, "module_refused");
    assert!(again["detail"].as_str().unwrap().contains("not compiled again"), "{again:#}");
    assert_eq!(bench.get(MODULES, &admin).await.value()["items"], json!([]));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_signed_modules_gets_no_others() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    bench.policy("acme", Policy { require_signature: true, ..Policy::default() }).await;
    let component = guests::guest(guests::ECHO);
    let (own, strange) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let base64 = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::prelude::BASE64_STANDARD.encode(bytes)
    };
    let new = json!({ "name": "build", "public_key": base64(own.verifying_key().as_bytes()) });
    let key = bench.json("POST", "/v1/tenants/acme/signing-keys", &admin, &new).await;
    assert_eq!(key.status, 201, "{key:?}");
    let message = crate::registry::signed_message(&Digest::of(&component));
    let header = |key: &SigningKey, message: &str| {
        format!("crossdock-signature: {}\r\n", base64(&key.sign(message.as_bytes()).to_bytes()))
    };
    bench.upload_raw(&admin, &component, "").await.problem(422, "signature_required");
    for wrong in [
        header(&strange, &message),
        header(&own, &message.to_uppercase()),
        header(&own, &Digest::of(&component).to_string()),
        "crossdock-signature: !!!\r\n".into(),
        format!("crossdock-signature: {}\r\n", base64(&[0; 63])),
    ] {
        bench.upload_raw(&admin, &component, &wrong).await.problem(422, "signature_invalid");
    }
    let taken = bench.upload_raw(&admin, &component, &header(&own, &message)).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    assert_eq!(taken.value()["signed_by"], key.value()["id"]);

    // What was uploaded before the rule is signed by uploading the same bytes again.
    bench.policy("acme", Policy::default()).await;
    let older = guests::core_text("", "", guests::ECHO).replace("echo0.1.0", "echo0.1.1");
    let older = guests::component("", &older);
    let digest = Digest::of(&older);
    let first = bench.upload_raw(&admin, &older, "").await;
    assert_eq!((first.status, &first.value()["signed_by"]), (201, &Value::Null), "{first:?}");
    bench.policy("acme", Policy { require_signature: true, ..Policy::default() }).await;
    let message = crate::registry::signed_message(&digest);
    bench.upload_raw(&admin, &older, &header(&strange, &message)).await.problem(422, "signature_invalid");
    assert_eq!(bench.registry.module(&tenant("acme"), &digest).unwrap().unwrap().signed_by, None);
    for _ in 0..2 {
        let signed = bench.upload_raw(&admin, &older, &header(&own, &message)).await;
        assert_eq!((signed.status, &signed.value()["signed_by"]), (200, &key.value()["id"]), "{signed:?}");
    }
    let row = bench.registry.module(&tenant("acme"), &digest).unwrap().unwrap();
    assert_eq!(row.signed_by.as_deref(), key.value()["id"].as_str());
    let shown = bench.get(&format!("{MODULES}/{digest}"), &admin).await.value();
    assert_eq!((&shown["signed_by"], &shown["report"]["signed_by"]), (&key.value()["id"], &key.value()["id"]));
    let audit = bench.get("/v1/tenants/acme/audit?action=module.sign", &admin).await.value();
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1), "{audit:#}");
    assert_eq!(audit["items"][0]["detail"]["signed_by"], key.value()["id"]);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_compile_budget_is_spent_is_told_when_there_is_more() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let acme = tenant("acme");
    bench.registry.compile_spend(&acme, Duration::from_secs(600)).await.unwrap();
    let reply = bench.upload_raw(&admin, &guests::guest(guests::ECHO), "").await;
    let told = reply.problem(429, "quota_exceeded");
    assert_eq!((told["quota"].as_str(), told["limit"].as_u64()), (Some("compile_seconds_per_hour"), Some(600)));
    assert!(told["resets_at"].is_string() && reply.head.contains("retry-after:"), "{reply:?}");
    bench.ahead.store(3_700, std::sync::atomic::Ordering::SeqCst);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_are_none_are_told_what_is_wrong() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let component = guests::guest(guests::ECHO);
    let module = ("module", "", component.as_slice());
    let many: Vec<(&str, &str, &[u8])> = std::iter::repeat_n(("sample", "", &b"{}"[..]), 10_000).collect();
    let samples: Vec<(&str, &str, &[u8])> = [module].into_iter().chain(many[..11].to_vec()).collect();
    let (name, large) = ("n".repeat(100_000), vec![b' '; 5 << 20]);
    let cases: [(&[Sent<'_>], u16, &str); 9] = [
        (&[], 400, "no part named module"),
        (&many, 400, "more than"),
        (&samples, 400, "more than 10 samples"),
        (&[module, module], 400, "two parts"),
        (&[module, (&name, "", b"")], 400, "no head"),
        (&[module, ("colour", "", b"")], 400, "parts are"),
        (&[module, ("parameters", "", b"[1]")], 400, "parameters"),
        (&[module, ("sample", "", &large)], 413, "bytes"),
        (&[module, ("sample", "", b"\xff")], 400, "not UTF-8"),
    ];
    for (parts, status, word) in cases {
        let reply = bench.upload(&admin, parts).await;
        let told = reply.value();
        assert_eq!(reply.status, status, "{word}: {told:#}");
        assert!(word == "parameters" || told["detail"].as_str().unwrap().contains(word), "{word}: {told:#}");
    }
    let (more, body) = form(&[module]);
    let endless = bench.ask("POST", MODULES, &admin, &more, &body[..body.len() - 10]).await;
    endless.problem(400, "invalid_request");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_come_along_have_no_more_entries_than_an_uploaded_one() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let component = guests::guest(guests::ECHO);
    let table = |count: usize| {
        let entries: Vec<String> = (0..count).map(|number| format!("\"{number}\":1")).collect();
        format!("{{{}}}", entries.join(",")).into_bytes()
    };
    let (most, more, half) = (table(200_000), table(200_001), table(100_001));
    let module = ("module", "", component.as_slice());
    assert_eq!(bench.upload(&admin, &[module, ("table.a", "", &most)]).await.status, 201);
    let refused = bench.upload(&admin, &[module, ("table.a", "", &more)]).await.problem(400, "invalid_request");
    assert!(refused["detail"].as_str().unwrap().contains("at most 200000 entries"), "{refused:#}");
    let both = [module, ("table.a", "", half.as_slice()), ("table.b", "", half.as_slice())];
    let refused = bench.upload(&admin, &both).await.problem(400, "invalid_request");
    assert!(refused["detail"].as_str().unwrap().contains("more than 200000 entries together"), "{refused:#}");
    let json = "content-type: application/json\r\n";
    let refused = bench.ask("PUT", "/v1/tenants/acme/tables/a", &admin, json, &more).await;
    refused.problem(400, "invalid_request");
    bench.finish().await;
}
