//! Who may ask K3Cloud, and how.

use serde_json::{Value, json};
use vendor_sim::{Fault, FaultName, Options};

use crate::client::{Answer, JSON, Sim, auth_path, bill, service_path};

const APP_ID: &str = "123456_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const AT_SECONDS: &str = "YTJiNDBhZjc1MjMyYTE2ZTkwMDc3MmFiMDc4OWUxMjEyOTQ2ZDE5NWQ0NWE5MGI5ZGZhMTY1MzBlM2I5NzExYQ==";
const AT_MILLISECONDS: &str =
    "YTc1NjU3NTNiYTUzN2I0OWI5MjcwY2NkMWIxMzZkOTg0ZmIyMjdiMjgwOGI4MDg5YTU1YzMyZGM0MjVkYzFjNg==";
const IDENTITY: &str = "ZmM1ZjlmMWI0ODI3MDZkZjA2ZjkyNzQ1NjYzNmU1NmZkZGMzY2I0MzQyY2Y0YTIxMDE1NjI1ZjlhZDkxZGEwMg==";
const IDENTITY_ORG_0: &str = "OGFiODEyNjFmYTgwNDg4M2M1ZWM5YzJjNzc2MDMwNTdkMzExZWMzODE3NTdmYTJiOWI0MDEzYzBkNWE1MzUxNA==";

/// The headers of a call that the notes' vectors sign.
struct Headers(Vec<(&'static str, String)>);

impl Headers {
    fn vector() -> Self {
        let headers = [
            ("X-Api-ClientID", "123456"),
            ("X-Api-Auth-Version", "2.0"),
            ("x-api-timestamp", "1700000000"),
            ("x-api-nonce", "1700000000"),
            ("x-api-signheaders", "x-api-timestamp,x-api-nonce"),
            ("X-Api-Signature", AT_SECONDS),
            ("X-Kd-Appkey", APP_ID),
            ("X-Kd-Appdata", "NjBhYTAwYmIwMGNjMDAsZGVtbywyMDUyLDEwMA=="),
            ("X-Kd-Signature", IDENTITY),
        ];
        Self(headers.map(|(name, value)| (name, value.to_owned())).to_vec())
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value.to_owned()));
        self
    }

    async fn send(&self, sim: &Sim) -> Answer {
        let mut headers: Vec<(&str, &str)> = self.0.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(JSON);
        let body = json!({"formid": "SAL_OUTSTOCK", "data": {"Model": [bill("1")]}}).to_string();
        sim.send("POST", &service_path("BatchSave"), &headers, body.as_bytes()).await.unwrap()
    }
}

async fn sim_of_the_vectors() -> Sim {
    let sim = Sim::empty().await;
    sim.pretend("2023-11-14T22:13:20Z".parse().unwrap()).await;
    sim
}

fn msg_code(answer: &Answer) -> Value {
    answer.json()["Result"]["ResponseStatus"]["MsgCode"].clone()
}

#[tokio::test]
async fn takes_the_signature_headers_of_the_notes_and_issues_a_session_silently() {
    let sim = sim_of_the_vectors().await;
    let answer = Headers::vector().send(&sim).await;
    assert_eq!(msg_code(&answer), json!(0), "{}", answer.text());
    let session = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: kdservice-sessionid="));
    let session = session.unwrap().split(';').next().unwrap();

    // With that session nobody looks at the other headers any more.
    let cookie = format!("Theme=standard; path=/; HttpOnly, kdservice-sessionid={session}; path=/");
    let answer = Headers(vec![("Cookie", cookie), ("X-Kd-Signature", "wrong".to_owned())]).send(&sim).await;
    assert_eq!(msg_code(&answer), json!(11), "known, and the bill number is taken: {}", answer.text());

    // Milliseconds; the same nonce again; a stale session; header names in any case.
    let milliseconds = Headers::vector()
        .with("x-api-timestamp", "1700000000123")
        .with("x-api-nonce", "1700000000123")
        .with("X-Api-Signature", AT_MILLISECONDS)
        .with("KDSERVICE-SESSIONID", "stale");
    for _ in 0..2 {
        assert_eq!(msg_code(&milliseconds.send(&sim).await), json!(11));
    }
    let org_0 = Headers::vector()
        .with("X-Kd-Appdata", "NjBhYTAwYmIwMGNjMDAsZGVtbywyMDUyLDA=")
        .with("X-Kd-Signature", IDENTITY_ORG_0);
    assert_eq!(
        msg_code(&org_0.send(&sim).await),
        json!(11),
        "the organisation is signed, its existence is not checked"
    );
}

#[tokio::test]
async fn wrong_headers_without_a_session_are_a_lost_session() {
    let sim = sim_of_the_vectors().await;
    for (name, value) in [
        ("X-Api-Signature", AT_MILLISECONDS),
        ("X-Api-Signature", ""),
        ("X-Kd-Signature", IDENTITY_ORG_0),
        ("X-Kd-Appkey", "123456_other"),
        ("X-Kd-Appdata", ""),
        // user `other`, then language 1033
        ("X-Kd-Appdata", "NjBhYTAwYmIwMGNjMDAsb3RoZXIsMjA1MiwxMDA="),
        ("X-Kd-Appdata", "NjBhYTAwYmIwMGNjMDAsZGVtbywxMDMzLDEwMA=="),
        ("X-Api-ClientID", "654321"),
        ("x-api-nonce", "1"),
    ] {
        let answer = Headers::vector().with(name, value).send(&sim).await;
        assert_eq!((answer.status, msg_code(&answer)), (200, json!(1)), "{name}: {value}");
    }
    // Account set `70aa00bb00cc00`.
    let answer = Headers::vector().with("X-Kd-Appdata", "NzBhYTAwYmIwMGNjMDAsZGVtbywyMDUyLDEwMA==").send(&sim).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("Fail to verify thirty passport"), "{}", answer.text());

    for (at, code) in [("2023-11-14T22:18:10Z", 0), ("2023-11-14T22:18:30Z", 1), ("2023-11-14T22:08:10Z", 1)] {
        let sim = Sim::empty().await;
        sim.pretend(at.parse().unwrap()).await;
        assert_eq!(msg_code(&Headers::vector().send(&sim).await), json!(code), "clock at {at}");
    }
}

#[tokio::test]
async fn logs_in_by_password_secret_and_signature_by_name_and_by_position() {
    let sim = sim_of_the_vectors().await;
    let sign = "9484221a2f6c7b65368f293c7ccf7c40c6baeb4c61599c39da66f253a1fed5e1";
    let (acct, user) = ("60aa00bb00cc00", "demo");
    for (method, body) in [
        ("ValidateUser", json!({"acctid": acct, "username": user, "password": "demo-password-1", "lcid": 2052})),
        ("ValidateUser", json!({"parameters": [acct, user, "demo-password-1", 2052]})),
        (
            "LoginByAppSecret",
            json!({"acctid": acct, "username": user, "appid": APP_ID, "appsecret": SECRET, "lcid": 2052}),
        ),
        ("LoginByAppSecret", json!({"format": 1, "parameters": json!([acct, user, APP_ID, SECRET, 2052]).to_string()})),
        ("LoginBySign", json!({"parameters": json!([acct, user, APP_ID, 1_700_000_000, sign, 2052]).to_string()})),
        ("loginbysign", json!({"parameters": [acct, user, APP_ID, "1700000000", sign, "2052"]})),
    ] {
        let answer = sim.auth(method, &body).await;
        assert_eq!(answer.json()["LoginResultType"], json!(1), "{method} {body}");
        let session = answer.json()["KDSVCSessionId"].as_str().unwrap().to_owned();
        assert!(answer.head.contains(&format!("kdservice-sessionid={session};")), "{}", answer.head);
    }
    for (method, body) in [
        ("ValidateUser", json!({"acctid": acct, "username": user, "password": "wrong", "lcid": 2052})),
        ("ValidateUser", json!({"acctid": "x", "username": user, "password": "demo-password-1"})),
        ("LoginByAppSecret", json!({"parameters": [acct, user, APP_ID, "wrong", 2052]})),
        ("LoginBySign", json!({"parameters": [acct, user, APP_ID, "1700000001", sign, 2052]})),
        ("LoginBySign", json!({"parameters": [acct, user, APP_ID, "1700000000", sign.to_uppercase(), 2052]})),
    ] {
        let answer = sim.auth(method, &body).await.json();
        assert_eq!(
            (&answer["LoginResultType"], &answer["KDSVCSessionId"]),
            (&json!(0), &Value::Null),
            "{method} {body}"
        );
        assert!(answer["Message"].is_string());
    }
    sim.pretend("2023-11-14T22:20:00Z".parse().unwrap()).await;
    let answer = sim.auth("LoginBySign", &json!({"parameters": [acct, user, APP_ID, "1700000000", sign, 2052]})).await;
    assert_eq!(answer.json()["LoginResultType"], json!(0), "a signature is not good for ever");
}

#[tokio::test]
async fn a_lost_session_is_told_in_the_shape_of_each_operation() {
    let sim = Sim::empty().await;
    for (method, pointer) in [
        ("Save", "/Result/ResponseStatus"),
        ("ExecuteBillQuery", "/0/0/Result/ResponseStatus"),
        ("BillQuery", "/Result/ResponseStatus"),
    ] {
        for session in ["", "stale"] {
            let answer =
                sim.send("POST", &service_path(method), &[("kdservice-sessionid", session)], b"{}").await.unwrap();
            assert_eq!(answer.status, 200);
            let answer = answer.json();
            let status = answer.pointer(pointer).unwrap();
            assert_eq!((&status["MsgCode"], &status["IsSuccess"]), (&json!(1), &json!(false)), "{method}");
            assert_eq!(status["Errors"][0]["Message"], json!("会话信息已丢失，请重新登录"));
        }
    }
}

#[tokio::test]
async fn sessions_end_by_logout_by_order_and_by_age() {
    let sim = Sim::start(Options { documents: 0, session_lifetime_seconds: Some(60), ..Options::default() }).await;
    let ask = async |session: &str| {
        let data = json!({"data": {"FormId": "SAL_OUTSTOCK", "FieldKeys": "FBillNo"}}).to_string();
        let path = service_path("BillQuery");
        let answer = sim.send("POST", &path, &[JSON, ("kdservice-sessionid", session)], data.as_bytes()).await.unwrap();
        answer.json() == json!([])
    };
    let session = sim.log_in().await;
    assert!(ask(&session).await);
    sim.send("POST", &auth_path("Logout"), &[], b"").await.unwrap();
    assert!(!ask(&session).await);

    let session = sim.log_in().await;
    sim.order(Fault::new(FaultName::ExpireSession).times(1)).await;
    assert!(!ask(&session).await);
    assert!(!ask(&session).await, "the session is gone for good");

    let session = sim.log_in().await;
    sim.order(Fault::new(FaultName::SessionLost).times(1)).await;
    assert!(!ask(&session).await);
    assert!(ask(&session).await, "only one answer lied");

    sim.pretend(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(120)).await;
    assert!(!ask(&session).await);
}

#[tokio::test]
async fn unknown_services_and_unreadable_requests_are_no_business_answers() {
    let sim = Sim::empty().await;
    let answer = sim.send("POST", "/k3cloud/Nothing.common.kdsvc", &[], b"{}").await.unwrap();
    assert_eq!(answer.status, 404);
    let answer = sim.k3_raw("Save", r#"["SAL_OUTSTOCK",{}]"#).await.unwrap();
    assert_eq!(answer.status, 500);
    assert!(answer.text().starts_with("Additional text found in JSON string"), "{}", answer.text());
    let answer = sim.send("POST", "/somewhere", &[], b"{}").await.unwrap();
    assert_eq!(answer.status, 404);
}
