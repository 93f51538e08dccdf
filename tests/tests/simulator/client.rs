//! A client of its own, small enough to see every byte, and the vendors' rules a second time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::{SignedDuration, Timestamp};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vendor_sim::{Fault, Options, Running, start};

const DYNAMIC: &str = "Kingdee.BOS.WebApi.ServicesStub.DynamicFormService";
const AUTH: &str = "Kingdee.BOS.WebApi.ServicesStub.AuthService";

/// Everything a server sent until it closed the connection.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub fn content_length(&self) -> usize {
        let line = self.head.lines().find_map(|line| line.strip_prefix("content-length: "));
        line.unwrap().parse().unwrap()
    }
}

pub async fn connect_and_send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream
}

/// `None` where the connection closed without one byte.
pub async fn read_all(mut stream: TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A reset counts as closed; what came before it was kept.
    let _ = stream.read_to_end(&mut bytes).await;
    if bytes.is_empty() {
        return None;
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

pub struct Sim {
    pub running: Running,
}

impl Sim {
    pub async fn start(options: Options) -> Self {
        Self { running: start(options).await.unwrap() }
    }

    pub async fn with_documents(documents: usize) -> Self {
        Self::start(Options { documents, ..Options::default() }).await
    }

    pub async fn empty() -> Self {
        Self::with_documents(0).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        read_all(connect_and_send(self.running.addr, method, path, headers, body).await).await
    }

    pub async fn admin(&self, method: &str, page: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, &format!("/admin/{page}"), &[], body.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200, "{page}: {}", answer.text());
        answer.json()
    }

    pub async fn order(&self, fault: Fault) {
        self.admin("POST", "fault", serde_json::to_value(fault).unwrap()).await;
    }

    /// Makes the simulator believe it is this instant (give or take the time that passes meanwhile).
    pub async fn pretend(&self, at: Timestamp) {
        let offset: SignedDuration = at.duration_since(Timestamp::now());
        self.admin("POST", "clock", json!({"offset_ms": i64::try_from(offset.as_millis()).unwrap()})).await;
    }

    pub async fn jushuitan(&self, parameters: &[(&str, &str)]) -> Value {
        self.jushuitan_raw(&sign(parameters)).await.unwrap().json()["response"].clone()
    }

    pub async fn jushuitan_raw(&self, parameters: &BTreeMap<String, String>) -> Option<Answer> {
        self.send("POST", "/router/qm", &[FORM], form(parameters).as_bytes()).await
    }

    /// Every page of a window from the first to the last.
    pub async fn read_window(&self, more: &[(&str, &str)]) -> Vec<Value> {
        let mut pages = Vec::new();
        for page in 1.. {
            let page = page.to_string();
            let mut parameters =
                vec![("start_time", LONG_AGO.0.as_str()), ("end_time", LONG_AGO.1.as_str()), ("page_index", &page)];
            parameters.extend_from_slice(more);
            let answer = self.jushuitan(&parameters).await;
            assert_eq!(answer["flag"], Value::Null, "{answer}");
            let last = answer["has_next"] == json!(false);
            pages.push(answer);
            if last {
                break;
            }
        }
        pages
    }

    pub async fn log_in(&self) -> String {
        let body = json!({"acctid": "60aa00bb00cc00", "username": "demo", "password": "demo-password-1", "lcid": 2052});
        let answer = self.auth("ValidateUser", &body).await.json();
        assert_eq!(answer["LoginResultType"], json!(1), "{answer}");
        answer["KDSVCSessionId"].as_str().unwrap().to_owned()
    }

    pub async fn auth(&self, method: &str, body: &Value) -> Answer {
        self.send("POST", &auth_path(method), &[JSON], body.to_string().as_bytes()).await.unwrap()
    }

    /// A call with a session of its own.
    pub async fn k3(&self, method: &str, data: Value) -> Value {
        let body = match method {
            "ExecuteBillQuery" | "BillQuery" => json!({"data": data}),
            _ => json!({"formid": "SAL_OUTSTOCK", "data": data}),
        };
        self.k3_raw(method, &body.to_string()).await.unwrap().json()
    }

    pub async fn k3_raw(&self, method: &str, body: &str) -> Option<Answer> {
        let session = self.log_in().await;
        self.send("POST", &service_path(method), &[JSON, ("kdservice-sessionid", &session)], body.as_bytes()).await
    }

    pub async fn save(&self, model: Value) -> Value {
        self.k3("Save", json!({"Model": model})).await["Result"].clone()
    }

    pub async fn held(&self) -> Value {
        self.admin("GET", "held", Value::Null).await["kingdee_k3cloud"].clone()
    }

    pub async fn query(&self, keys: &str, filter: &str) -> Value {
        self.k3("ExecuteBillQuery", json!({"FormId": "SAL_OUTSTOCK", "FieldKeys": keys, "FilterString": filter})).await
    }
}

pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded;charset=UTF-8");
pub const JSON: (&str, &str) = ("content-type", "application/json");

pub fn service_path(method: &str) -> String {
    format!("/k3cloud/{DYNAMIC}.{method}.common.kdsvc")
}

pub fn auth_path(method: &str) -> String {
    format!("/k3cloud/{AUTH}.{method}.common.kdsvc")
}

/// Six days up to now, in the vendor's local time.
pub static LONG_AGO: std::sync::LazyLock<(String, String)> = std::sync::LazyLock::new(|| {
    let now = Timestamp::now();
    (local(now - SignedDuration::from_hours(6 * 24)), local(now + SignedDuration::from_mins(5)))
});

pub fn local(at: Timestamp) -> String {
    (at + SignedDuration::from_hours(8)).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A request that keeps all rules, with these parameters over it, signed with md5.
pub fn sign(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let now = local(Timestamp::now());
    let mut parameters: BTreeMap<String, String> = [
        ("app_key", "30000001"),
        ("target_app_key", "23060081"),
        ("customer_id", "10000001"),
        ("method", "jushuitan.saleout.list.query"),
        ("format", "json"),
        ("v", "2.0"),
        ("sign_method", "md5"),
        ("timestamp", &now),
        ("page_index", "1"),
        ("page_size", "50"),
    ]
    .into_iter()
    .chain(more.iter().copied())
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    parameters.retain(|_, value| !value.is_empty());
    let text: String = parameters.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]).collect();
    let secret = "0123456789abcdef0123456789abcdef";
    let digest = hex::encode_upper(Md5::digest(format!("{secret}{text}{secret}")));
    parameters.insert("sign".to_owned(), digest);
    parameters
}

pub fn form(parameters: &BTreeMap<String, String>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// A bill that K3Cloud takes.
pub fn bill(number: &str) -> Value {
    json!({
        "FBillTypeID": {"FNUMBER": "XSCKD01_SYS"}, "FBillNo": number, "FDate": "2026-11-20 10:11:12",
        "FSaleOrgId": {"FNumber": "101"}, "FStockOrgId": {"FNumber": "101"}, "FCustomerID": {"FNumber": "C001"},
        "FNote": "备注", "SubHeadEntity": {"FSettleCurrID": {"FNumber": "PRE001"}, "FSettleOrgID": {"FNumber": "101"}},
        "FEntity": [row("SKU001", "2"), row("SKU002", "1.50")],
    })
}

pub fn row(material: &str, quantity: &str) -> Value {
    let quantity: Value = serde_json::from_str(quantity).unwrap();
    json!({"FMaterialID": {"FNumber": material}, "FRealQty": quantity, "FTaxPrice": "59.90", "FStockID": {"FNumber": "CK001"}})
}

/// The bill without what a JSON pointer names.
pub fn without(mut bill: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    bill.pointer_mut(parent).unwrap().as_object_mut().unwrap().shift_remove(name).unwrap();
    bill
}

pub fn with(mut bill: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    bill.pointer_mut(parent).unwrap()[name] = value;
    bill
}

/// (FieldName, Message) of every error.
pub fn errors(result: &Value) -> Vec<(String, String)> {
    let errors = result["ResponseStatus"]["Errors"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    errors.iter().map(|error| (text(&error["FieldName"]), text(&error["Message"]))).collect()
}

const JDY_SECRET: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";

fn hmac_sha256(key: &str, text: &str) -> String {
    use base64::Engine as _;
    use hmac::Mac as _;
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hex::encode(mac.finalize().into_bytes()))
}

/// Percent-encoding as the vendors do it, written out.
pub fn encode(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What a JDY request is signed with, for this query in this order.
pub fn jdy_signature(method: &str, path: &str, query: &[(&str, &str)], nonce: &str, at: &str) -> String {
    let twice = |text: &str| encode(&encode(text));
    let query: Vec<_> = query.iter().map(|(key, value)| format!("{}={}", twice(key), twice(value))).collect();
    let (path, query) = (encode(path), query.join("&"));
    hmac_sha256(JDY_SECRET, &format!("{method}\n{path}\n{query}\nx-api-nonce:{nonce}\nx-api-timestamp:{at}\n"))
}

/// A request of 旺店通's that keeps all rules, with these parameters over it.
pub fn sign_wdt(method: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [
        ("customer_id", ""),
        ("page_index", ""),
        ("page_size", ""),
        ("target_app_key", "21363512"),
        ("sid", "demo2"),
        ("method", method),
    ];
    sign(&[&base[..], more].concat())
}

impl Sim {
    pub async fn wdt(&self, method: &str, more: &[(&str, &str)]) -> Value {
        self.jushuitan_raw(&sign_wdt(method, more)).await.unwrap().json()["response"].clone()
    }

    pub async fn u8(&self, path: &str, token: &str, more: &[(&str, &str)]) -> Value {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("from_account", "crossdock_demo"), ("app_key", "opa0u8demo")]);
        if path == "system/token" {
            query.append_pair("app_secret", "u8-demo-secret-1");
        } else {
            query.extend_pairs([("to_account", "u8_demo_book"), ("token", token)]);
        }
        let query = query.extend_pairs(more).finish();
        self.send("GET", &format!("/{path}?{query}"), &[], b"").await.unwrap().json()
    }

    pub async fn u8_token(&self) -> String {
        self.u8("system/token", "", &[]).await["token"]["id"].as_str().unwrap().to_owned()
    }

    /// A signed JDY request.
    pub async fn jdy(&self, method: &str, path: &str, query: &[(&str, &str)], token: &str, body: &str) -> Answer {
        let at = Timestamp::now().as_millisecond().to_string();
        let mut sorted = query.to_vec();
        sorted.sort_unstable();
        let signature = jdy_signature(method, path, &sorted, "1234567", &at);
        self.jdy_signed(method, path, query, (token, body), ("1234567", &at, &signature)).await
    }

    pub async fn jdy_signed(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        (token, body): (&str, &str),
        (nonce, at, signature): (&str, &str, &str),
    ) -> Answer {
        let headers = [
            JSON,
            ("X-Api-ClientID", "205000"),
            ("X-Api-Auth-Version", "2.0"),
            ("X-Api-TimeStamp", at),
            ("X-Api-Nonce", nonce),
            ("X-Api-SignHeaders", "X-Api-TimeStamp,X-Api-Nonce"),
            ("X-Api-Signature", signature),
            ("app-token", token),
        ];
        let pairs: Vec<_> = query.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
        let path = if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) };
        self.send(method, &path, &headers, body.as_bytes()).await.unwrap()
    }

    /// Authorisation and token, as the vendor wants them.
    pub async fn jdy_token(&self) -> String {
        let path = "/jdyconnector/app_management/push_app_authorize";
        let granted = self.jdy("POST", path, &[("outerInstanceId", "107218833860857856")], "", "").await.json();
        let (key, secret) = (&granted["data"][0]["appKey"], &granted["data"][0]["appSecret"]);
        let signature = hmac_sha256(secret.as_str().unwrap(), key.as_str().unwrap());
        let answer = self.jdy_ask_token(&signature).await.json();
        answer["data"]["app-token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    pub async fn jdy_ask_token(&self, signature: &str) -> Answer {
        let path = "/jdyconnector/app_management/kingdee_auth_token";
        self.jdy("GET", path, &[("app_key", "fPB7oQ01"), ("app_signature", signature)], "", "").await
    }
}
