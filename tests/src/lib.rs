//! Stand-ins for the vendors' systems, on loopback, in one process.
//!
//! They exist to be stricter than the vendors where the vendors are known to be strict, and to misbehave on demand.
//! They share no code with `host`: signatures are checked with formulas written from the vendors' own tables, so that a
//! mistake in the product's signing cannot hide here. A rule that no source confirms is a setting in [`Options`].
//!
//! Each vendor is a folder that implements [`system::System`]; everything around it (connections, faults, the journal
//! and the admin pages) does not know which vendor it serves.

mod admin;
mod clock;
mod confidential;
mod fault;
mod journal;
pub mod jushuitan_qimen;
pub mod kingdee_jdy;
pub mod kingdee_k3cloud;
mod options;
pub mod plain;
pub mod proof;
mod purpose;
mod qimen;
mod request;
mod served;
mod server;
mod system;
mod time;
pub mod wangdiantong_qimen;
mod wire;
mod world;
pub mod yonyou_u8;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use axum::http::Method;
pub use fault::{Fault, FaultName};
pub use kingdee_jdy::{Envelope, FirstAuth, JdyOptions};
pub use options::{Money, MoverTarget, Options, RateLimit};
pub use wangdiantong_qimen::WangdiantongOptions;
pub use yonyou_u8::U8Options;

/// A client that sends half a request and then nothing would otherwise hold a shutdown up for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// The documents that a source has at its start, as key and body, for whoever wants them without asking over HTTP. `None`
/// for a system that is no source here.
pub fn documents(system: &str, options: &Options) -> Option<Vec<(String, String)>> {
    match system {
        "jushuitan_qimen" => Some(jushuitan_qimen::documents(options)),
        "wangdiantong_qimen" => Some(wangdiantong_qimen::documents(options)),
        "yonyou_u8" => Some(yonyou_u8::documents(options)),
        _ => None,
    }
}

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the window's start {from} is not before its end {to}")]
    EmptyWindow { from: jiff::Timestamp, to: jiff::Timestamp },
}

/// A simulator that answers. Dropping it without [`Running::shutdown`] leaves its connections to the runtime.
pub struct Running {
    pub addr: SocketAddr,
    /// The line that the binary prints: addresses and invented credentials of every system.
    pub ready: Value,
    server: Arc<server::Server>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Running {
    /// Ends every open request and waits until nothing of the simulator runs any more.
    pub async fn shutdown(self) {
        // Nobody listens any more only if serving has ended already, which is what is wanted.
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(PATIENCE, self.serving).await;
    }

    /// The answer of an admin page, for a test in the same process: no connection is needed.
    pub fn admin(&self, method: &Method, page: &str, order: &Value) -> Value {
        let order = if order.is_null() { String::new() } else { order.to_string() };
        let reply = admin::answer(&self.server, method, page, "", order.as_bytes());
        serde_json::from_str(&reply.body).unwrap_or_default()
    }

    pub fn order(&self, fault: Fault) {
        server::lock(&self.server.faults).add(fault);
    }

    /// Everything that a client must not print: credentials, and the tokens, sessions and signatures of the requests
    /// that came so far.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.server.secrets()
    }

    /// Where the admin pages are, with a slash at the end.
    pub fn admin_url(&self) -> &str {
        self.ready["admin_url"].as_str().unwrap_or_default()
    }
}

/// Starts all systems on one loopback port.
pub async fn start(options: Options) -> Result<Running, Error> {
    server::start(options).await
}
