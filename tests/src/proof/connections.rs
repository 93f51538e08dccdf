//! The `[[connection]]` blocks of a proof, one for each system that its schemes use, with the secrets kept elsewhere.

use serde_json::Value;

use super::configuration::{Limits, Settings};
use super::simulator::Simulator;

/// The environment variable that holds 聚水潭's secret. All others stand in files.
pub const SOURCE_SECRET: &str = "PROOF_JST_SECRET";

/// A connection as the configuration has it.
pub struct Connection {
    pub block: String,
    /// Name and content of the file with its secret.
    pub secret: Option<(String, String)>,
}

/// The connection to one system.
pub fn connection(system: &str, simulator: &Simulator, settings: &Settings) -> Connection {
    let Settings { timeout_ms, queue_timeout_ms, target_requests_per_second, limits, .. } = settings;
    let ready = simulator.system(system);
    let (name, credentials, own): (&str, &[&str], &str) = match system {
        "jushuitan_qimen" => ("jst", &["base_url", "app_key", "target_app_key", "customer_id"], ""),
        "wangdiantong_qimen" => ("wdt", &["base_url", "app_key", "target_app_key", "sid"], ""),
        // Its figures are the simulator's: a proof asks more in a minute than a customer in an hour.
        "yonyou_u8" => (
            "u8",
            &["base_url", "app_key", "from_account", "to_account"],
            "calls_per_token = 1000000\nbusy_pause_ms = 200",
        ),
        "kingdee_k3cloud" => ("k3", &["base_url", "acct_id", "user_name", "app_id", "org_num"], ""),
        "kingdee_jdy" => ("jdy", &["base_url", "client_id", "outer_instance_id"], r#"throttle_codes = ["4029"]"#),
        other => unreachable!("no scheme uses {other}"),
    };
    let (key, secret) = ["app_secret", "client_secret"]
        .into_iter()
        .find_map(|key| Some((key, ready[key].as_str()?.to_owned())))
        .unwrap_or_default();
    let (kept, secret) = match system {
        "jushuitan_qimen" => (format!("{{ env = \"{SOURCE_SECRET}\" }}"), None),
        _ => (format!("{{ file = \"{name}.secret\" }}"), Some((format!("{name}.secret"), secret))),
    };
    let credentials: Vec<String> = credentials.iter().map(|key| format!("{key} = {}", text(&ready[*key]))).collect();
    let rate = if system == "kingdee_k3cloud" { *target_requests_per_second } else { 200 };
    let usual = Limits { requests_per_second: rate, burst: 20, max_in_flight: 8 };
    let Limits { requests_per_second: rate, burst, max_in_flight: in_flight } = limits.unwrap_or(usual);
    let block = format!(
        r#"
[[connection]]
name = "{name}"
system = "{system}"
{credentials}
{key} = {kept}
{own}
limits = {{ requests_per_second = {rate}.0, burst = {burst}, max_in_flight = {in_flight}, timeout_ms = {timeout_ms}, queue_timeout_ms = {queue_timeout_ms} }}
"#,
        credentials = credentials.join("\n"),
    );
    Connection { block, secret }
}

fn text(value: &Value) -> String {
    Value::from(value.as_str().unwrap_or_default()).to_string()
}
