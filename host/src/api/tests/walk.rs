//! Every route with every role, and with tokens that are none.

use std::sync::atomic::Ordering;

use super::*;
use crate::api::{Least, RULES, Rule, Takes};

/// The route's path with names in it; the tenant's is `tenant`.
fn path(rule: &Rule, tenant: &str) -> String {
    let mut path = rule.path.replace("{tenant}", tenant);
    while let Some((before, rest)) = path.clone().split_once('{') {
        let (name, after) = rest.split_once('}').unwrap();
        let filled = match name {
            "digest" => "ab".repeat(32),
            _ => "nothing".into(),
        };
        path = format!("{before}{filled}{after}");
    }
    path
}

impl Bench {
    /// The request of a rule, made so that it changes nothing where it is let through.
    async fn walk(&self, rule: &Rule, tenant: &str, token: &str) -> Reply {
        let mut more = "if-match: \"987654\"\r\n".to_owned();
        let body: &[u8] = match rule.takes {
            Takes::Nothing => b"",
            Takes::Json => {
                more += "content-type: application/json\r\n";
                b"[]"
            }
            Takes::Upload => {
                more += "content-type: application/wasm\r\n";
                b"no component"
            }
        };
        self.ask(rule.method.as_str(), &path(rule, tenant), token, &more, body).await
    }
}

#[tokio::test]
async fn a_role_reaches_what_the_table_says_and_nothing_above() {
    let bench = Bench::start().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        let of = (role != Role::Operator).then_some("acme");
        tokens.push((role, bench.token(of, role, false).await));
    }
    for rule in RULES {
        for (role, token) in &tokens {
            let reply = bench.walk(rule, "acme", token).await;
            let reaches = match rule.least {
                Least::Everybody | Least::Anybody => true,
                Least::Role(least) => *role >= least,
            };
            if reaches {
                assert!(!matches!(reply.status, 0 | 401 | 403 | 405 | 500..), "{role} at {rule:?}: {reply:?}");
                let missing = reply.status == 404 && reply.value()["detail"].as_str().unwrap().contains("route");
                assert!(!missing, "{rule:?} has no route: {reply:?}");
            } else {
                reply.problem(403, "forbidden");
            }
        }
    }
    bench.finish().await;
}

#[tokio::test]
async fn what_is_no_valid_token_gets_one_answer_whatever_it_is_and_wherever_it_is_shown() {
    let bench = Bench::start().await;
    let valid = bench.admin().await;
    let (_, secret) = valid.rsplit_once('~').unwrap();
    let expired = bench.token(Some("acme"), Role::TenantAdmin, true).await;
    let revoked = bench.token(Some("acme"), Role::TenantAdmin, true).await;
    let id = revoked.split('~').nth(2).unwrap();
    bench.registry.revoke_token(&Actor::console(), Some(&tenant("acme")), id).await.unwrap();
    bench.ahead.store(7_200, Ordering::SeqCst);
    let invalid = [
        ("no token", String::new()),
        ("an expired one", expired),
        ("a revoked one", revoked.clone()),
        ("another secret", revoked.replace(secret, &"A".repeat(43))),
        ("another tenant's name on it", valid.replace("~acme~", "~globex~")),
        ("the operator's name on it", valid.replace("~acme~", "~~")),
        ("half of it", valid[..valid.len() / 2].to_owned()),
        ("a word", "password".into()),
        ("a long one", "cd1~".repeat(1_000)),
        ("its bytes in hexadecimal", hex::encode(&valid)),
        ("a blank in it", format!("{} {secret}", &valid[..10])),
        ("nothing but tildes", "~~~".into()),
    ];
    for rule in RULES.iter().filter(|rule| rule.least != Least::Everybody) {
        let mut first: Option<String> = None;
        for (what, token) in &invalid {
            let reply = bench.walk(rule, "acme", token).await;
            let told = reply.problem(401, "unauthenticated");
            assert!(reply.head.contains("www-authenticate: bearer"), "{reply:?}");
            for hint in ["expire", "revoke", "unknown", "acme"] {
                assert!(!told["detail"].as_str().unwrap().contains(hint), "{what}: {told}");
            }
            let said = reply.without_id();
            assert_eq!(*first.get_or_insert_with(|| said.clone()), said, "{what} at {rule:?}");
        }
    }
    for more in ["authorization: Basic YTpi\r\n", "authorization: Bearer\r\n", "authorization: \u{1}\r\n"] {
        let reply = bench.ask("GET", "/v1/whoami", "", more, b"").await;
        assert!(matches!(reply.status, 400 | 401), "{reply:?}");
    }
    let twice = format!("authorization: Bearer {valid}\r\n");
    bench.ahead.store(0, Ordering::SeqCst);
    assert_eq!(bench.get("/v1/whoami", &valid).await.status, 200);
    bench.ask("GET", "/v1/whoami", &valid, &twice, b"").await.problem(401, "unauthenticated");
    bench.finish().await;
}

#[tokio::test]
async fn another_tenant_answers_exactly_as_one_that_does_not_exist() {
    let bench = Bench::start().await;
    let stranger = bench.token(Some("globex"), Role::TenantAdmin, true).await;
    let operator = bench.token(None, Role::Operator, true).await;
    for rule in RULES.iter().filter(|rule| rule.is_of_tenant()) {
        let exists = bench.walk(rule, "acme", &stranger).await;
        let told = exists.problem(404, "not_found");
        assert_eq!(told["detail"], "there is no such tenant");
        for name in ["nosuch", "acme%2f", "%2e%2e", "Acme", "acme%00", "%E5%90%8D", "x".repeat(300).as_str()] {
            let unknown = bench.walk(rule, name, &stranger).await;
            assert_eq!(exists.without_id(), unknown.without_id(), "{name} at {rule:?}");
        }
        let unknown = bench.walk(rule, "nosuch", &operator).await;
        assert_eq!(exists.without_id(), unknown.without_id(), "the operator at {rule:?}");
    }
    bench.finish().await;
}

#[tokio::test]
async fn a_tenants_lists_hold_its_own_rows_alone() {
    let bench = Bench::start().await;
    let (acme, globex) = (bench.admin().await, bench.token(Some("globex"), Role::TenantAdmin, false).await);
    let entries = json!({ "1": "acme's own" });
    assert_eq!(bench.json("PUT", "/v1/tenants/acme/tables/shops", &acme, &entries).await.status, 201);
    bench.get("/v1/tenants/globex/tables/shops", &globex).await.problem(404, "not_found");
    for list in ["tokens", "tables", "modules", "signing-keys", "audit"] {
        let reply = bench.get(&format!("/v1/tenants/globex/{list}"), &globex).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!text.contains("acme") && !text.contains("shops"), "{list}: {text}");
    }
    let mine = bench.get("/v1/tenants/acme/tables", &acme).await.value();
    assert_eq!(mine["items"][0]["name"], "shops");
    bench.finish().await;
}

#[tokio::test]
async fn nobody_gives_more_than_he_has() {
    let bench = Bench::start().await;
    let admin = bench.admin().await;
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    let new = |role: &str, unmask: bool| json!({ "name": "n", "role": role, "rights": { "unmask": unmask }, "expires_at": until });
    for (role, unmask) in [("operator", false), ("tenant-viewer", true)] {
        let reply = bench.json("POST", "/v1/tenants/acme/tokens", &admin, &new(role, unmask)).await;
        assert!(matches!(reply.status, 400 | 403), "{role}, unmask {unmask}: {reply:?}");
    }
    let reply = bench.json("POST", "/v1/tenants/acme/tokens", &admin, &new("tenant-viewer", false)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let text = reply.value()["text"].as_str().unwrap().to_owned();
    let who = bench.get("/v1/whoami", &text).await.value();
    assert_eq!((who["tenant"].as_str(), who["role"].as_str()), (Some("acme"), Some("tenant-viewer")));
    let listed = bench.get("/v1/tenants/acme/tokens", &admin).await;
    let secret = text.rsplit_once('~').unwrap().1;
    assert!(!String::from_utf8_lossy(&listed.body).contains(secret), "a list shows a token's text");
    bench.finish().await;
}
