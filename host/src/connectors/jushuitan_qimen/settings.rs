//! What people set, and what is taken where they do not.

use serde::Deserialize;

use crate::config::Secret;
use crate::connectors::http::Http;
use crate::connectors::limits::Limits;
use crate::connectors::qimen::{Account, Gateway, Given, SignMethod};
use crate::connectors::road::Road;
use crate::connectors::settings::{SettingProblem, read};

/// The one operation this connector knows.
pub const OPERATION: &str = "jushuitan.saleout.list.query";

/// The gateway accepts at most fifty rows a page on older accounts and a hundred on newer ones.
const PAGE_SIZE_LIMIT: u32 = 50;

const STATUSES: [&str; 6] = ["WaitConfirm", "Confirmed", "Cancelled", "Delete", "OuterConfirming", "Archive"];

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base_url: String,
    app_key: String,
    app_secret: Secret,
    /// The merchant, as Jushuitan numbers it.
    customer_id: String,
    /// Jushuitan's own key on the gateway. The same for everybody; a setting because a test scenario has another.
    #[serde(default = "jushuitan_app_key")]
    target_app_key: String,
    #[serde(default)]
    sign_method: SignMethod,
    #[serde(default)]
    limits: Limits,
}

fn jushuitan_app_key() -> String {
    "23060081".into()
}

/// One merchant's account, and the limits that all its uses share.
#[derive(Debug, Clone)]
pub struct Connection(Account);

impl Connection {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let required = ["base_url", "app_key", "app_secret", "customer_id"];
        let table: Table = read("connection", table, &required)?;
        let given = Given {
            base_url: table.base_url,
            app_key: table.app_key,
            app_secret: table.app_secret,
            target_app_key: table.target_app_key,
            routing: ("customer_id", table.customer_id),
            sign_method: table.sign_method,
            limits: table.limits,
        };
        Account::check(given).map(Self)
    }

    pub fn road(&self) -> &Road {
        self.0.road()
    }

    pub(super) fn gateway(&self, http: &Http) -> Gateway {
        self.0.gateway(http)
    }
}

/// How the source remembers how far it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// By the time of modification.
    #[default]
    Window,
    /// By row version (`start_ts`), which the vendor recommends; not every account's records carry one.
    RowVersion,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Statuses {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsTable {
    #[serde(default)]
    status: Option<Statuses>,
    #[serde(default = "yes")]
    cancellations: bool,
    #[serde(default)]
    cursor: Cursor,
    #[serde(default = "page_size")]
    page_size: u32,
    #[serde(default = "max_passes")]
    max_passes: u32,
    #[serde(default)]
    shop_id: Option<u64>,
    #[serde(default)]
    wms_co_id: Option<u64>,
}

fn yes() -> bool {
    true
}
fn page_size() -> u32 {
    PAGE_SIZE_LIMIT
}
/// A window of five minutes is rarely disturbed twice; five passes in a row mean that something else is wrong.
fn max_passes() -> u32 {
    5
}

/// What one scheme wants of the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The statuses to read, each in a pass of its own, `Cancelled` among them where cancellations are wanted.
    pub statuses: Vec<String>,
    pub cursor: Cursor,
    pub page_size: u32,
    pub max_passes: u32,
    /// Narrower than the account: `shop_id`, `wms_co_id`.
    pub filters: Vec<(&'static str, String)>,
}

impl Options {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let table: OptionsTable = read("source", table, &[])?;
        let mut problems = Vec::new();
        let mut statuses = match table.status {
            None => vec!["Confirmed".to_owned()],
            Some(Statuses::One(status)) => vec![status],
            Some(Statuses::Many(statuses)) => statuses,
        };
        for status in statuses.iter().filter(|status| !STATUSES.contains(&status.as_str())) {
            let remedy = format!("use some of {}", STATUSES.join(", "));
            problems.push(SettingProblem::new("source.status", format!("{status:?} is not a status"), remedy));
        }
        if statuses.is_empty() {
            problems.push(SettingProblem::new("source.status", "is empty", "leave it out for \"Confirmed\""));
        }
        if table.cancellations {
            statuses.push("Cancelled".into());
        }
        let mut seen = std::collections::HashSet::new();
        statuses.retain(|status| seen.insert(status.clone()));
        if !(1..=PAGE_SIZE_LIMIT).contains(&table.page_size) {
            let message = format!("must lie between 1 and {PAGE_SIZE_LIMIT}");
            problems.push(SettingProblem::new("source.page_size", message, "leave it out for 50"));
        }
        if !(1..=100).contains(&table.max_passes) {
            let message = "must lie between 1 and 100";
            problems.push(SettingProblem::new("source.max_passes", message, "leave it out for 5"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let filters = [("shop_id", table.shop_id), ("wms_co_id", table.wms_co_id)];
        Ok(Self {
            statuses,
            cursor: table.cursor,
            page_size: table.page_size,
            max_passes: table.max_passes,
            filters: filters.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))).collect(),
        })
    }
}
