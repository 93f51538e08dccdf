//! The configuration of a proof, as a user would write it: connections with their secrets elsewhere, and schemes.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::simulator::Simulator;
use super::{Failure, Result};

/// The environment variable that holds the source's secret. The target's stands in a file.
pub const SOURCE_SECRET: &str = "PROOF_JST_SECRET";
pub const TARGET_SECRET_FILE: &str = "k3.secret";
pub const FILE: &str = "crossdock.toml";

/// What differs between proofs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Further keys of `[engine]`, one a line.
    pub engine: String,
    /// Further lines after the connections: `[sandbox]` and the like.
    pub extra: String,
    pub schemes: Vec<Scheme>,
    /// How long one exchange may take, for either connection.
    pub timeout_ms: u32,
    /// How long a request may wait for its turn. It counts into the deadline after which a lost answer settles.
    pub queue_timeout_ms: u32,
    /// Requests to the target a second.
    pub target_requests_per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: String::new(),
            extra: String::new(),
            schemes: vec![Scheme::default()],
            timeout_ms: 3_000,
            queue_timeout_ms: 3_000,
            target_requests_per_second: 200,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Scheme {
    pub name: String,
    /// Path of the component; the mapping of scheme A where absent.
    pub component: Option<std::path::PathBuf>,
    /// Further keys of the source, with a comma in front: `, page_size = 10`.
    pub source: String,
    /// Further keys of the scheme, one a line.
    pub keys: String,
    pub settle: String,
    pub start_at: String,
}

impl Default for Scheme {
    fn default() -> Self {
        Self {
            name: "saleout".to_owned(),
            component: None,
            source: String::new(),
            keys: String::new(),
            settle: "2s".to_owned(),
            // The simulator's documents begin three days back. Much earlier would mean many empty windows.
            start_at: (Timestamp::now() - SignedDuration::from_hours(96)).to_string(),
        }
    }
}

/// Every status the simulator knows, so that whatever it has is served and has to be accounted for.
const STATUSES: &str = r#"["Confirmed", "WaitConfirm", "OuterConfirming", "Delete"]"#;

/// Writes the configuration and its secret file into `directory`.
pub fn write(
    directory: &Path,
    simulator: &Simulator,
    component: &Path,
    parameters: &Path,
    settings: &Settings,
) -> Result<()> {
    let text = text(simulator, component, parameters, settings);
    let save = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| Failure::during(&format!("writing {}", path.display()), error))
    };
    save(TARGET_SECRET_FILE, simulator.target()["app_secret"].as_str().unwrap_or_default())?;
    save(FILE, &text)
}

fn text(simulator: &Simulator, component: &Path, parameters: &Path, settings: &Settings) -> String {
    let (source, target) = (simulator.source(), simulator.target());
    let Settings { engine, extra, timeout_ms, queue_timeout_ms, target_requests_per_second, .. } = settings;
    let patience = format!("timeout_ms = {timeout_ms}, queue_timeout_ms = {queue_timeout_ms}");
    let mut text = format!(
        r#"[engine]
data_dir = "data"
listen = "127.0.0.1:0"
low_disk_bytes = 0
{engine}

[[connection]]
name = "jst"
system = "jushuitan_qimen"
base_url = {base_url}
app_key = {app_key}
app_secret = {{ env = "{SOURCE_SECRET}" }}
target_app_key = {target_app_key}
customer_id = {customer_id}
limits = {{ requests_per_second = 200.0, burst = 20, max_in_flight = 4, {patience} }}

[[connection]]
name = "k3"
system = "kingdee_k3cloud"
base_url = {k3_base_url}
acct_id = {acct_id}
user_name = {user_name}
app_id = {app_id}
app_secret = {{ file = "{TARGET_SECRET_FILE}" }}
org_num = {org_num}
limits = {{ requests_per_second = {target_requests_per_second}.0, burst = 20, max_in_flight = 8, {patience} }}
{extra}
"#,
        base_url = source["base_url"],
        app_key = source["app_key"],
        target_app_key = source["target_app_key"],
        customer_id = source["customer_id"],
        k3_base_url = target["base_url"],
        acct_id = target["acct_id"],
        user_name = target["user_name"],
        app_id = target["app_id"],
        org_num = target["org_num"],
    );
    for scheme in &settings.schemes {
        text.push_str(&block(scheme, component, parameters));
    }
    text
}

fn block(scheme: &Scheme, component: &Path, parameters: &Path) -> String {
    let Scheme { name, component: own, source, keys, settle, start_at } = scheme;
    let component = own.as_deref().unwrap_or(component).display();
    let parameters = parameters.display();
    format!(
        r#"
[[scheme]]
name = "{name}"
source = {{ connection = "jst", operation = "jushuitan.saleout.list.query", status = {STATUSES}{source} }}
module = {{ file = "{component}" }}
parameters = {{ file = "{parameters}" }}
target = {{ connection = "k3", operation = "BatchSave", form = "SAL_OUTSTOCK" }}
schedule = "every 1s"
lag = "0s"
settle = "{settle}"
start_at = "{start_at}"
retry = {{ base = "1s", cap = "2s" }}
{keys}
"#
    )
}
