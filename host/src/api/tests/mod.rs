//! The API as a stranger meets it: a server on a port of its own, and bytes over a socket.

mod connections;
mod hostile;
mod quotas;
mod schemes;
mod uploads;
mod walk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Api, Limits, Parts};
use crate::daemon::{self, FloorParts};
use crate::model::TenantId;
use crate::pipeline::step::Sabotage;
use crate::registry::{Actor, Keyring, NewToken, Policy, Registry, Rights, Role, SealKey, TenantChange};
use crate::sandbox::{Compiler, Sandbox, Settings};

/// An engine's API with two tenants, acme and globex.
struct Bench {
    address: SocketAddr,
    api: Arc<Api>,
    registry: Registry,
    /// Seconds that its clock is ahead.
    ahead: Arc<AtomicI64>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    _data: tempfile::TempDir,
}

const CONFIGURATION: &str = r#"
[engine]
data_dir = "data"
listen = "127.0.0.1:0"
low_disk_bytes = 0
low_disk_percent = 0
[sandbox]
concurrency = 2
interpreter_concurrency = 1
[api]
listen = "127.0.0.1:0"
networks = ["127.0.0.1/32"]
[[connection]]
tenant = "acme"
name = "ours"
system = "kingdee_k3cloud"
base_url = "http://127.0.0.1:1/k3cloud/"
acct_id = "a"
user_name = "u"
app_id = "i"
app_secret = "a-secret-of-the-file"
org_num = "100"
"#;

/// What came back.
#[derive(Debug, Clone)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

fn limits() -> Limits {
    Limits {
        connections: 64,
        connections_of_peer: 0,
        first_byte_timeout: Duration::from_secs(30),
        request_timeout: Duration::from_secs(30),
        header_timeout: Duration::from_secs(30),
        uploads: 4,
        upload_bytes: 40 << 20,
        upload_piece_timeout: Duration::from_secs(30),
        upload_timeout: Duration::from_secs(60),
    }
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

impl Bench {
    async fn start() -> Self {
        Self::with(limits()).await
    }

    async fn with(limits: Limits) -> Self {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("crossdock.toml");
        std::fs::write(&file, CONFIGURATION).unwrap();
        let config = daemon::load(&file, true).unwrap_or_else(|problems| panic!("{problems}"));
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = ahead.clone();
        let now: crate::registry::Now =
            Arc::new(move || Timestamp::now() + SignedDuration::from_secs(clock.load(Ordering::SeqCst)));
        let (handed, opened) = oneshot::channel();
        let surface: daemon::Surface = Box::new(move |parts, stop| {
            Box::pin(async move {
                let FloorParts { floor, office, store, config, registry, .. } = parts;
                let keyring = Keyring::new(SealKey::new([7; 32]), Vec::new());
                let names = registry.file_names().clone();
                let registry = Registry::open_beside(store, keyring, now.clone(), names).unwrap();
                let data_dir = config.engine.data_dir.as_path();
                // What it compiles, the engine's own finds compiled: a test has no program to compile in.
                let artefacts = Dir::open_ambient_dir(data_dir.join("artefacts"), ambient_authority()).unwrap();
                let settings =
                    Settings { concurrency: 2, interpreter_concurrency: 1, computing: 2, ..Settings::default() };
                let sandbox = Sandbox::new(settings, artefacts, Compiler::InProcess).unwrap();
                let registry_of = registry.clone();
                let parts = Parts { registry, floor, office, sandbox, now, data_dir, limits: &limits };
                let api = Api::new(parts);
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                assert!(handed.send((address, registry_of, api.clone())).is_ok());
                Ok(daemon::Surfaced { address, serving: Box::pin(api.serve(listener, limits, stop)) })
            })
        });
        let (stop, (ready, is_ready)) = (CancellationToken::new(), oneshot::channel());
        let ended = stop.clone();
        let served = tokio::spawn(async move {
            let program = std::path::PathBuf::from("/nonexistent");
            let announce = |_, _| ready.send(()).unwrap();
            daemon::serve(config, program, Sabotage::None, ended, Some(surface), announce).await.unwrap();
        });
        let (address, registry, api) = opened.await.unwrap();
        is_ready.await.unwrap();
        let console = Actor::console();
        for id in ["acme", "globex"] {
            let new = serde_json::from_value(json!({ "id": id })).unwrap();
            registry.create_tenant(&console, new).await.unwrap();
        }
        Self { address, api, registry, ahead, stop, served, _data: data }
    }

    /// A new token's text, valid for an hour.
    async fn token(&self, of: Option<&str>, role: Role, unmask: bool) -> String {
        let expires_at = Timestamp::now() + SignedDuration::from_hours(1);
        let name = format!("{role} of {}", of.unwrap_or("the engine"));
        let new = NewToken { name, role, rights: Rights { unmask }, expires_at };
        let of = of.map(tenant);
        self.registry.create_token(&Actor::console(), of.as_ref(), new).await.unwrap().1.expose().to_owned()
    }

    async fn admin(&self) -> String {
        self.token(Some("acme"), Role::TenantAdmin, false).await
    }

    async fn policy(&self, of: &str, policy: Policy) {
        let change = TenantChange { policy: Some(policy.into()), ..TenantChange::default() };
        self.registry.change_tenant(&Actor::console(), &tenant(of), change, None).await.unwrap();
    }

    /// Sends bytes as they are, and reads until the engine closes.
    async fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Reply::read(&mut stream).await
    }

    /// A request of one connection.
    async fn ask(&self, method: &str, path: &str, token: &str, more: &str, body: &[u8]) -> Reply {
        self.raw(&[head(method, path, token, more, Some(body.len())).as_bytes(), body].concat()).await
    }

    async fn get(&self, path: &str, token: &str) -> Reply {
        self.ask("GET", path, token, "", b"").await
    }

    async fn json(&self, method: &str, path: &str, token: &str, body: &Value) -> Reply {
        self.ask(method, path, token, "content-type: application/json\r\n", body.to_string().as_bytes()).await
    }

    /// It still answers, in order and to the end.
    async fn finish(self) {
        let alive = self.get("/v1/openapi.json", "").await;
        assert_eq!(alive.status, 200, "{alive:?}");
        self.stop.cancel();
        self.served.await.unwrap();
    }
}

fn head(method: &str, path: &str, token: &str, more: &str, length: Option<usize>) -> String {
    let authorization = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    let length = length.map(|length| format!("content-length: {length}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}{more}{length}\r\n")
}

impl Reply {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut bytes)).await;
        read.expect("the engine neither answers nor closes").unwrap_or_default();
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Self { status: 0, head: text.into_owned(), body: Vec::new() };
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    #[track_caller]
    fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A problem document of this code.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> Value {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let told = self.value();
        assert_eq!((self.status, told["code"].as_str()), (status, Some(code)), "{told:#}");
        assert_eq!(told["status"], status);
        assert_eq!(told["type"], format!("/v1/errors/{code}"));
        let id = told["instance"].as_str().unwrap();
        assert!(self.head.contains(&format!("x-request-id: {id}")), "{self:?}");
        told
    }

    /// All of the answer that does not hang on the request's id and the time.
    fn without_id(&self) -> String {
        let id = self.head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap_or("?").to_owned();
        let head = self.head.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n");
        format!("{head}\n{}", String::from_utf8_lossy(&self.body)).replace(&id, "ID")
    }
}
