//! `[api]`: where the API for tenants answers, and how much of it one moment may take.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use ipnet::IpNet;
use jiff::SignedDuration;
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::connection::resolve_secret;
use super::section::Section;
use super::{LoadOptions, Objection, Secret};

/// Loopback: there is no TLS here, so reaching it from elsewhere is a reverse proxy's business.
const LISTEN: &str = "127.0.0.1:8788";
/// A module of an interpreter with its samples; the sandbox has a limit of its own for the module alone.
const UPLOAD_LIMIT_BYTES: u64 = 64 << 20;
/// Uploads at once. Each takes its limit of the disk while it lasts.
const UPLOADS_LIMIT: u64 = 4;
const CONNECTIONS_LIMIT: u64 = 256;
/// A reverse proxy on this machine is one peer, and keeps some dozen connections. A quarter of all: who holds so many and
/// says nothing leaves room for others.
const CONNECTIONS_OF_PEER_LIMIT: u64 = 64;
/// Whoever connects has something to say. A proxy that opens connections ahead of their use opens them again.
const FIRST_BYTE_TIMEOUT: SignedDuration = SignedDuration::from_secs(3);
/// Longer than any answer takes; a comparison over many documents is the longest.
const REQUEST_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);
/// A head is a few hundred bytes; whoever takes longer holds a connection for nothing.
const HEADER_TIMEOUT: SignedDuration = SignedDuration::from_secs(10);
/// An upload of the largest size over 1 MB/s.
const UPLOAD_TIMEOUT: SignedDuration = SignedDuration::from_secs(120);
const KEY_BYTES: usize = 32;

#[derive(Debug, Clone)]
pub struct Api {
    pub listen: SocketAddr,
    /// What credentials are sealed with; one in the data directory where this is left out.
    pub credentials_key: Option<CredentialsKey>,
    /// What they were sealed with before, until `crossdock credentials rotate` has gone over them.
    pub previous_credentials_key: Option<CredentialsKey>,
    /// What tenants' connections may reach beside the public internet.
    pub networks: Vec<IpNet>,
    pub upload_limit_bytes: u64,
    pub uploads_limit: usize,
    pub connections_limit: usize,
    /// Zero: as many as there are.
    pub connections_of_peer_limit: usize,
    pub first_byte_timeout: SignedDuration,
    pub request_timeout: SignedDuration,
    pub header_timeout: SignedDuration,
    pub upload_timeout: SignedDuration,
}

/// 32 bytes that credentials are sealed with. Prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialsKey(Zeroizing<[u8; KEY_BYTES]>);

impl CredentialsKey {
    /// From hexadecimal digits or base64.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = Zeroizing::new(match hex::decode(text) {
            Ok(bytes) => bytes,
            Err(_) => BASE64.decode(text).ok()?,
        });
        <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for CredentialsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

pub(super) fn read(section: Section<'_>, directory: &Path, options: &LoadOptions<'_>) -> Option<Api> {
    let listen = section.parse("listen", "write an address and a port: listen = \"127.0.0.1:8788\"", |text| {
        text.parse::<SocketAddr>().map_err(|_| format!("{text:?} is not an address with a port"))
    });
    let listen = listen.unwrap_or_else(|| LISTEN.parse().expect("the default address is written correctly"));
    if !listen.ip().is_loopback() {
        let message = format!("is {listen}, which others can reach, and tokens cross the network unencrypted");
        let remedy = "listen on 127.0.0.1, and put a reverse proxy with TLS before it";
        section.object(vec![Objection::warning("listen", message, remedy)]);
    }
    let credentials_key = key(&section, "credentials_key", directory, options);
    let previous_credentials_key = key(&section, "previous_credentials_key", directory, options);
    if section.table.contains_key("previous_credentials_key") && !section.table.contains_key("credentials_key") {
        let message = "is there without the `credentials_key` that came after it";
        let remedy = "name the new key as credentials_key; keys in the data directory look after themselves";
        section.object(vec![Objection::new("previous_credentials_key", message, remedy)]);
    }
    let second = SignedDuration::from_secs(1);
    let api = Api {
        listen,
        credentials_key: credentials_key?,
        previous_credentials_key: previous_credentials_key?,
        networks: networks(&section)?,
        upload_limit_bytes: section.number("upload_limit_bytes", 1 << 10..=1 << 30).unwrap_or(UPLOAD_LIMIT_BYTES),
        uploads_limit: count(&section, "uploads_limit", 1..=64, UPLOADS_LIMIT),
        connections_limit: count(&section, "connections_limit", 1..=10_000, CONNECTIONS_LIMIT),
        connections_of_peer_limit: count(&section, "connections_of_peer_limit", 0..=10_000, CONNECTIONS_OF_PEER_LIMIT),
        first_byte_timeout: section
            .duration("first_byte_timeout", second..=SignedDuration::from_mins(5))
            .unwrap_or(FIRST_BYTE_TIMEOUT),
        request_timeout: section
            .duration("request_timeout", second..=SignedDuration::from_mins(60))
            .unwrap_or(REQUEST_TIMEOUT),
        header_timeout: section
            .duration("header_timeout", second..=SignedDuration::from_mins(5))
            .unwrap_or(HEADER_TIMEOUT),
        upload_timeout: section
            .duration("upload_timeout", second..=SignedDuration::from_mins(60))
            .unwrap_or(UPLOAD_TIMEOUT),
    };
    section.finish();
    Some(api)
}

/// Networks that tenants' connections may reach although they are nobody else's.
fn networks(section: &Section<'_>) -> Option<Vec<IpNet>> {
    let remedy = "write networks as address and length: networks = [\"10.1.0.0/16\"]";
    let Some(value) = section.get("networks") else { return Some(Vec::new()) };
    let DeValue::Array(array) = value.get_ref() else {
        section.wrong(value, "networks", "a list of networks", remedy);
        return None;
    };
    let mut networks = Vec::new();
    for entry in array.iter() {
        match entry.get_ref().as_str().and_then(|text| text.parse::<IpNet>().ok()) {
            Some(network) => networks.push(network),
            None => section.wrong(entry, "networks", "a network", remedy),
        }
    }
    (networks.len() == array.len()).then_some(networks)
}

fn count(section: &Section<'_>, key: &'static str, range: std::ops::RangeInclusive<u64>, default: u64) -> usize {
    let number = section.number(key, range).unwrap_or(default);
    usize::try_from(number).expect("at most ten thousand")
}

/// A file of exactly so many bytes, as the engine makes its own. No text of a key is as short.
fn raw_key(value: &DeValue<'_>, directory: &Path) -> Option<CredentialsKey> {
    let path = directory.join(value.get("file")?.get_ref().as_str()?);
    let is_raw = std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == KEY_BYTES as u64);
    let bytes = Zeroizing::new(is_raw.then(|| std::fs::read(&path).ok()).flatten()?);
    <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok().map(|bytes| CredentialsKey(Zeroizing::new(bytes)))
}

/// `None` where it is there and not usable.
#[allow(clippy::option_option)]
fn key(
    section: &Section<'_>,
    name: &'static str,
    directory: &Path,
    options: &LoadOptions<'_>,
) -> Option<Option<CredentialsKey>> {
    let Some(value) = section.get(name) else { return Some(None) };
    if let Some(key) = raw_key(value.get_ref(), directory) {
        return Some(Some(key));
    }
    let text = Secret::new(resolve_secret(name, value, directory, options, section.report)?);
    let key = CredentialsKey::parse(text.expose());
    if key.is_none() {
        // Not quoted: it may be a key all the same.
        let message = format!("`{name}` of {} is not {KEY_BYTES} bytes", section.name);
        let remedy = "write 64 hexadecimal digits or base64, for example from: openssl rand -hex 32";
        section.report.add(value.span(), message, remedy);
    }
    key.map(Some)
}
