//! A loopback vendor for tests: answers each request with what the test's closure makes of it, and remembers it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Page, PageSink, SinkClosed};

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Seen {
    /// The body as a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

pub struct Stub {
    pub address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn answer(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/json")
        .body(Body::from(body.into()))
        .unwrap()
}

impl Stub {
    pub async fn start<F>(respond: F) -> Self
    where
        F: Fn(usize, &Seen) -> Response<Body> + Send + Sync + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, respond) = (seen.clone(), Arc::new(respond));
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (log, respond) = (log.clone(), respond.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let headers = parts.headers.iter();
                let request = Seen {
                    path: parts.uri.to_string(),
                    headers: headers.map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect(),
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len() - 1
                };
                respond(number, &request)
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen, task }
    }

    /// A server that reads a request and then writes `bytes` as they are and closes.
    pub async fn raw(bytes: Vec<u8>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !whole(&request) {
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend_from_slice(&buffer[..read]),
                    }
                }
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, seen: Arc::default(), task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}

/// What a source handed over. Where it is `closed`, it takes nothing; where it is `lost`, nothing becomes durable.
#[derive(Default)]
pub struct Pages {
    pub pages: Vec<Page>,
    pub closed: bool,
    pub lost: bool,
}

#[async_trait]
impl PageSink for Pages {
    async fn page(&mut self, page: Page) -> Result<(), SinkClosed> {
        if self.closed {
            return Err(SinkClosed);
        }
        self.pages.push(page);
        Ok(())
    }

    async fn durable(&mut self) -> Result<(), SinkClosed> {
        if self.lost { Err(SinkClosed) } else { Ok(()) }
    }
}

impl Pages {
    pub fn keys(&self) -> Vec<String> {
        let documents = self.pages.iter().flat_map(|page| &page.documents);
        documents.map(|document| document.key.as_ref().map_or("?".into(), ToString::to_string)).collect()
    }
}

/// Everything that tracing prints while it lives, at the finest level, on this thread.
pub struct Captured {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Captured {
    pub fn start() -> Self {
        // With a single subscriber in the process, tracing asks only the thread that first meets a log line whether it
        // is wanted, and remembers a "no" for all. Two that stay alive make it ask every subscriber.
        static ALIVE: std::sync::OnceLock<[tracing::Dispatch; 2]> = std::sync::OnceLock::new();
        ALIVE.get_or_init(|| std::array::from_fn(|_| tracing::Dispatch::new(tracing_subscriber::registry())));
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let writer = Writer(text.clone());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
