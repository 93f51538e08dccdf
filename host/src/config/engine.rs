//! `[engine]`: where the engine keeps its data, where it listens, whom it tells.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use super::connection::resolve_secret;
use super::section::Section;
use super::{LoadOptions, Secret};
use crate::telemetry::LogFormat;

/// Loopback: the console shows other people's orders, so reaching it from elsewhere is a decision, not a default.
const LISTEN: &str = "127.0.0.1:8787";
/// Six missed polls of the usual five minutes: past that it is not a hiccup.
const STALE_AFTER: SignedDuration = SignedDuration::from_mins(30);
/// With a gibibyte left there is time to act: the largest page is some tens of megabytes, and a parked backlog of a
/// hundred thousand documents about as much as this.
const LOW_DISK_BYTES: u64 = 1 << 30;
/// Of a usual volume of 100 GiB the same gibibyte; of a large one, what a file system wants free to stay quick.
const LOW_DISK_PERCENT: u64 = 1;
/// Past ten minutes it is no restart of the vendor's any more.
const DOWN_AFTER: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, Clone)]
pub struct Engine {
    /// The store, the bodies, the compiled modules. One engine at a time.
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// Where `name@version` is looked for: `*.wasm`.
    pub module_dir: PathBuf,
    /// Where alerts are posted. A secret, for most chat systems put the token into the address.
    pub webhook: Option<Secret>,
    /// A cursor that has not moved for this long is worth an alert.
    pub stale_after: SignedDuration,
    pub log_format: LogFormat,
    /// A `tracing` filter: `info`, `crossdock=debug,info`.
    pub log_level: String,
    /// With less space left in `data_dir` nothing new is read.
    pub low_disk_bytes: u64,
    /// The same as a share of the file system. The larger of the two counts.
    pub low_disk_percent: u8,
    /// A vendor that has counted as down for this long is worth an alert.
    pub down_after: SignedDuration,
}

pub(super) fn read(section: Section<'_>, directory: &Path, options: &LoadOptions<'_>) -> Option<Engine> {
    let path = |text: &str| {
        if text.is_empty() { Err("is empty".to_owned()) } else { Ok(directory.join(text)) }
    };
    let data_dir =
        section.require("data_dir", "name a directory on a local disk: data_dir = \"/var/lib/crossdock\"", path);
    let listen = section.parse("listen", "write an address and a port: listen = \"127.0.0.1:8787\"", |text| {
        text.parse::<SocketAddr>().map_err(|_| format!("{text:?} is not an address with a port"))
    });
    let module_dir = section.parse("module_dir", "name a directory: module_dir = \"modules\"", path);
    let webhook = webhook(&section, directory, options);
    let day = SignedDuration::from_hours(24);
    let stale_after = section.duration("stale_after", SignedDuration::from_mins(1)..=day * 31);
    let log_format = section.choice("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    let log_level = section.parse(
        "log_level",
        "write error, warn, info, debug or trace, or a filter: \"crossdock=debug,info\"",
        |text| crate::telemetry::check_level(text).map(|()| text.to_owned()),
    );
    // Old files have it. It never had an effect, and whoever set it shall know what has.
    if let Some(value) = section.get("workers") {
        let message = "`workers` of [engine] is gone; it never had an effect";
        let remedy = "take it out; `concurrency` of [sandbox] says how many documents are in the sandbox at once";
        section.report.add(value.span(), message, remedy);
    }
    // At most a pebibyte: more is a slip of the keyboard.
    let low_disk_bytes = section.number("low_disk_bytes", 0..=1 << 50).unwrap_or(LOW_DISK_BYTES);
    let low_disk_percent = section.number("low_disk_percent", 0..=50).unwrap_or(LOW_DISK_PERCENT);
    let down_after = section.duration("down_after", SignedDuration::from_secs(1)..=day * 31);
    section.finish();
    Some(Engine {
        data_dir: data_dir?,
        listen: listen.unwrap_or_else(|| LISTEN.parse().expect("the default address is written correctly")),
        module_dir: module_dir.unwrap_or_else(|| directory.join("modules")),
        webhook,
        stale_after: stale_after.unwrap_or(STALE_AFTER),
        log_format: log_format.unwrap_or_default(),
        log_level: log_level.unwrap_or_else(|| "info".into()),
        low_disk_bytes,
        low_disk_percent: u8::try_from(low_disk_percent).expect("at most fifty"),
        down_after: down_after.unwrap_or(DOWN_AFTER),
    })
}

fn webhook(section: &Section<'_>, directory: &Path, options: &LoadOptions<'_>) -> Option<Secret> {
    let remedy = "write an http(s) address, or { env = \"NAME\" }, or { file = \"path\" }";
    let value = section.get("webhook")?;
    let address = match value.get_ref().as_str() {
        Some(address) => address.to_owned(),
        None if value.get_ref().is_table() => resolve_secret("webhook", value, directory, options, section.report)?,
        None => {
            section.wrong(value, "webhook", "an address", remedy);
            return None;
        }
    };
    let usable = url::Url::parse(&address).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !usable {
        // Not quoted: the address may hold a token.
        section.report.add(value.span(), "`webhook` of [engine] is not an http(s) address", remedy);
        return None;
    }
    Some(Secret::new(address))
}
