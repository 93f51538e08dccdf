//! Connections, schemes and documents, as far as they go without a vendor.

use super::*;
use crate::model::Digest;
use crate::sandbox::tests::guests;

const SECRET: &str = "an-app-secret-of-k3cloud";

fn k3() -> Value {
    json!({ "system": "kingdee_k3cloud", "settings": {
        "base_url": "http://127.0.0.1:1/k3cloud/", "acct_id": "a", "user_name": "u", "app_id": "i", "app_secret": SECRET,
        "org_num": "100",
    }})
}

fn settings() -> Value {
    json!({
        "source": { "connection": "jst", "operation": "jushuitan.saleout.list.query", "status": "Confirmed" },
        "target": { "connection": "k3", "operation": "BatchSave", "form": "SAL_OUTSTOCK" },
        "schedule": "every 5m", "start_at": "2026-11-01T00:00:00+08:00",
    })
}

impl Bench {
    /// The answer's problems by their place.
    async fn objections(&self, token: &str, body: &Value) -> Vec<String> {
        let reply = self.json("PUT", "/v1/tenants/acme/schemes/saleout", token, body).await;
        let told = reply.value();
        assert!(reply.status == 422 || reply.status == 400, "{told:#}");
        let errors = told["errors"].as_array().unwrap_or_else(|| panic!("{told:#}")).iter();
        errors.map(|entry| entry["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_in_and_never_come_out() {
    let bench = Bench::start().await;
    let (admin, viewer) = (bench.admin().await, bench.token(Some("acme"), Role::TenantViewer, true).await);
    let at = "/v1/tenants/acme/connections/k3";
    let made = bench.json("PUT", at, &admin, &k3()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut without = k3();
    without["settings"].as_object_mut().unwrap().remove("app_secret");
    without["settings"]["org_num"] = json!("200");
    let changed = bench.json("PUT", at, &admin, &without).await;
    assert_eq!((changed.status, changed.value()["connection"]["revision"].as_u64()), (200, Some(2)));
    assert_eq!(changed.value()["connection"]["secrets"], json!(["/app_secret"]), "a secret that is left out stays");
    let mut wrong = k3();
    wrong["settings"]["base_url"] = json!("no address");
    wrong["settings"]["colour"] = json!("red");
    let refused = bench.json("PUT", at, &admin, &wrong).await;
    refused.problem(422, "configuration_invalid");
    // A secret that is left out is not sent to another address.
    let mut elsewhere = without.clone();
    elsewhere["settings"]["base_url"] = json!("http://127.0.0.1:2/k3cloud/");
    let refused = bench.json("PUT", at, &admin, &elsewhere).await;
    refused.problem(400, "invalid_request");
    assert!(String::from_utf8_lossy(&refused.body).contains("send the secrets again"), "{refused:?}");
    // What only the engine's own network can reach is no vendor.
    for inside in ["http://169.254.169.254/latest/", "http://[::1]:9200/", "https://10.0.0.5/k3cloud/"] {
        let mut wrong = k3();
        wrong["settings"]["base_url"] = json!(inside);
        let refused = bench.json("PUT", at, &admin, &wrong).await;
        refused.problem(422, "configuration_invalid");
        assert!(String::from_utf8_lossy(&refused.body).contains("own network"), "{refused:?}");
    }
    let mut said = Vec::new();
    for path in ["connections", "connections/k3", "connections/k3/revisions", "connections/ours", "audit", "schemes"] {
        let token = if path == "audit" { &admin } else { &viewer };
        said.push(bench.get(&format!("/v1/tenants/acme/{path}"), token).await);
    }
    assert!(said.iter().all(|reply| reply.status == 200), "{said:?}");
    for reply in said.iter().chain([&made, &changed, &refused]) {
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!text.contains(SECRET) && !text.contains("a-secret-of-the-file"), "{text}");
    }
    // What stands in the file is shown, and changed there.
    let ours = bench.get("/v1/tenants/acme/connections/ours", &viewer).await.value();
    assert_eq!(ours["status"]["managed_by"], "file", "{ours:#}");
    bench.json("PUT", "/v1/tenants/acme/connections/ours", &admin, &k3()).await.problem(409, "managed_by_file");
    let gone = bench.ask("DELETE", "/v1/tenants/acme/connections/ours", &admin, "", b"").await;
    gone.problem(409, "managed_by_file");
    bench.json("PUT", "/v1/tenants/acme/connections/..", &admin, &k3()).await.problem(400, "invalid_request");
    assert_eq!(bench.ask("DELETE", at, &admin, "", b"").await.status, 204);
    bench.get(at, &admin).await.problem(404, "not_found");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_is_judged_as_a_whole_before_anything_is_changed() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let component = guests::guest(guests::ECHO);
    let more = "content-type: application/wasm\r\n";
    assert_eq!(bench.ask("POST", "/v1/tenants/acme/modules", &admin, more, &component).await.status, 201);
    let digest = Digest::of(&component).to_string();
    for (module, places) in [("nothing", ["/module"]), ("saleout@1.0.0", ["/module"]), (&"0".repeat(64), ["/module"])] {
        let body = json!({ "module": module, "settings": settings() });
        assert_eq!(bench.objections(&admin, &body).await, places, "{module}");
    }
    let mut wrong = settings();
    wrong["schedule"] = json!("at noon");
    wrong["colour"] = json!(1);
    wrong["source"]["connection"] = json!("nobody");
    let found = bench.objections(&admin, &json!({ "module": "echo@0.1.0", "settings": wrong })).await;
    for place in ["/settings/schedule", "/settings/colour", "/settings/source/connection"] {
        assert!(found.iter().any(|found| found == place), "{place} in {found:?}");
    }
    let body = json!({ "module": digest, "settings": [1, 2] });
    assert!(!bench.objections(&admin, &body).await.is_empty());
    assert_eq!(bench.get("/v1/tenants/acme/schemes", &admin).await.value()["items"], json!([]));
    bench.get("/v1/tenants/acme/schemes/saleout", &admin).await.problem(404, "not_found");
    for (method, act) in [("POST", "enable"), ("POST", "rollback"), ("POST", "resume"), ("GET", "revisions")] {
        let path = format!("/v1/tenants/acme/schemes/saleout/{act}");
        bench.ask(method, &path, &admin, "", b"").await.problem(404, "not_found");
    }
    let compare = json!({ "module": "echo@0.1.0", "last": 10 });
    bench.json("POST", "/v1/tenants/acme/schemes/saleout/compare", &admin, &compare).await.problem(404, "not_found");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_not_tried_with_a_module_that_its_scheme_may_not_run() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let component = guests::guest(guests::ECHO);
    let more = "content-type: application/wasm\r\n";
    assert_eq!(bench.ask("POST", "/v1/tenants/acme/modules", &admin, more, &component).await.status, 201);
    let paths = ["schemes/saleout/documents/1/retry", "documents/bulk/retry"];
    let bodies = [json!({ "module": "echo@0.1.0" }), json!({ "module": "echo@0.1.0", "filter": {}, "dry_run": true })];
    bench.policy("acme", Policy { require_signature: true, ..Policy::default() }).await;
    for (path, body) in paths.iter().zip(&bodies) {
        let refused = bench.json("POST", &format!("/v1/tenants/acme/{path}"), &admin, body).await;
        refused.problem(422, "signature_required");
    }
    bench.policy("acme", Policy::default()).await;
    let path = format!("/v1/tenants/acme/{}", paths[0]);
    bench.json("POST", &path, &admin, &bodies[0]).await.problem(404, "not_found");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_shown_to_whoever_has_the_right_and_asks_and_each_look_is_noted() {
    let bench = Bench::start().await;
    let (plain, may) = (bench.admin().await, bench.token(Some("acme"), Role::TenantAdmin, true).await);
    let document = "/v1/tenants/acme/schemes/saleout/documents/A%2F1";
    for query in ["?unmask=yes", "?unmask=", "?unmask=1"] {
        bench.get(&format!("{document}{query}"), &may).await.problem(400, "invalid_request");
    }
    bench.get(&format!("{document}?unmask=true"), &plain).await.problem(403, "forbidden");
    bench.get(&format!("{document}?x=y&unmask=true"), &plain).await.problem(403, "forbidden");
    bench.get(&format!("{document}?%75nmask=true"), &plain).await.problem(403, "forbidden");
    let noted = |bench: &Bench| bench.registry.audit_end(Some(&tenant("acme"))).unwrap();
    let before = noted(&bench);
    bench.get(&format!("{document}?unmask=false"), &may).await.problem(404, "not_found");
    assert_eq!(noted(&bench), before);
    bench.get(&format!("{document}?unmask=true"), &may).await.problem(404, "not_found");
    assert_eq!(noted(&bench), before + 1);
    let audit = bench.get("/v1/tenants/acme/audit?action=document.unmask", &plain).await.value();
    assert_eq!(audit["items"][0]["detail"]["path"], document, "{audit:#}");
    assert_eq!(audit["items"][0]["actor"]["from"].as_str().map(|from| from.starts_with("127.0.0.1:")), Some(true));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_a_patch_does_not_name_stays_on() {
    let bench = Bench::start().await;
    let operator = bench.token(None, Role::Operator, false).await;
    let patch = async |body: Value| bench.json("PATCH", "/v1/tenants/acme", &operator, &body).await;
    let policy = json!({ "require_signature": true, "compare_documents": 7 });
    assert_eq!(patch(json!({ "policy": policy })).await.status, 200);
    let changed =
        patch(json!({ "policy": { "require_clean_compare": true, "compare_documents": null } })).await.value();
    let rules =
        ["require_signature", "require_clean_compare", "compare_documents"].map(|rule| &changed["policy"][rule]);
    assert_eq!(rules, [&json!(true), &json!(true), &json!(20)], "{changed:#}");
    for (body, pointer) in [
        (json!({ "policy": { "require_signature": "no" } }), "/policy/require_signature"),
        (json!({ "quotas": { "modules": -1 } }), "/quotas/modules"),
        (json!({ "policy": { "compare_documents": 0 } }), "/policy/compare_documents"),
    ] {
        let told = patch(body).await.problem(400, "invalid_request");
        assert_eq!(told["errors"][0]["pointer"], pointer, "{told:#}");
    }
    let described = bench.get("/v1/openapi.json", "").await.value();
    let quota = &described["components"]["schemas"]["QuotasChange"]["properties"]["modules"]["type"];
    assert_eq!(quota, &json!(["integer", "null"]), "{quota}");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenants_people_may_look_and_change_nothing() {
    let bench = Bench::start().await;
    let (operator, admin) = (bench.token(None, Role::Operator, false).await, bench.admin().await);
    let at = "/v1/tenants/acme/connections/k3";
    assert_eq!(bench.json("PUT", at, &admin, &k3()).await.status, 201);
    let suspend = |suspended: bool| json!({ "suspended": suspended });
    assert_eq!(bench.json("PATCH", "/v1/tenants/acme", &operator, &suspend(true)).await.status, 200);
    for (method, path) in [
        ("PUT", at),
        ("POST", "/v1/tenants/acme/documents/bulk/erase"),
        ("POST", "/v1/tenants/acme/schemes/saleout/documents/1/retry"),
        ("POST", "/v1/tenants/acme/schemes/saleout/compare"),
    ] {
        bench.json(method, path, &admin, &json!({})).await.problem(403, "forbidden");
    }
    assert_eq!(bench.get(at, &admin).await.status, 200);
    assert_eq!(bench.json("PATCH", "/v1/tenants/acme", &operator, &suspend(false)).await.status, 200);
    assert_eq!(bench.json("PUT", at, &admin, &k3()).await.status, 200);
    bench.finish().await;
}
