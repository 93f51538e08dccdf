//! Asks a page on loopback and waits for the answer. HTTP/1.0, one connection a request: nothing to keep, nothing to go
//! stale when the other side is killed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::{Failure, Result};

/// A page of ten thousand bills takes the simulator about a second on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    pub body: Vec<u8>,
}

/// `url` is `http://ADDRESS/PATH`.
pub fn ask(method: &str, url: &str, body: &[u8]) -> Result<Page> {
    let failed = |what: &str| Failure::new(format!("{method} {url}: {what}"));
    let rest = url.strip_prefix("http://").ok_or_else(|| failed("is not an http address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddr = host.parse().map_err(|_| failed("has no address with a port"))?;
    let answer = exchange(address, method, host, path, body).map_err(|error| failed(&error.to_string()))?;
    let head_end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| failed("no HTTP answer"))?;
    let head = String::from_utf8_lossy(&answer[..head_end]);
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or_else(|| failed("no HTTP status"))?;
    Ok(Page { status, body: answer[head_end + 4..].to_vec() })
}

/// The JSON of a page that answers 200.
pub fn json(method: &str, url: &str, body: &[u8]) -> Result<Value> {
    let page = ask(method, url, body)?;
    let text = String::from_utf8_lossy(&page.body);
    if page.status != 200 {
        return Err(Failure::new(format!("{method} {url} answered {}: {text}", page.status)));
    }
    serde_json::from_str(&text).map_err(|error| Failure::new(format!("{method} {url} answered no JSON: {error}")))
}

fn exchange(address: SocketAddr, method: &str, host: &str, path: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let head = format!("{method} /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
