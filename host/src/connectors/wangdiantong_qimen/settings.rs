//! What people set, and what is taken where they do not.

use serde::Deserialize;

use crate::config::Secret;
use crate::connectors::http::Http;
use crate::connectors::limits::Limits;
use crate::connectors::qimen::{Account, Gateway, Given, SignMethod};
use crate::connectors::road::Road;
use crate::connectors::settings::{SettingProblem, read};

use super::wire::CANCELLED;

/// The operation that is read from.
pub const QUERY: &str = "wdt.stockin.order.query";
/// The operation that is written to.
pub const PUSH: &str = "wdt.trade.push";

const PAGE_SIZE_LIMIT: u32 = 100;
/// The vendor's own advice for one request.
const BATCH_LIMIT: usize = 50;
/// The ERP is reported to refuse more than sixty calls a minute.
const REQUESTS_PER_SECOND: f64 = 1.0;

/// 25 is how one variant of the interface says 50.
const STATUSES: [u32; 11] = [10, 20, 25, 30, 32, 35, 40, 50, 60, 70, 80];

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base_url: String,
    app_key: String,
    app_secret: Secret,
    /// The seller, as WangDianTong names it.
    sid: String,
    /// WangDianTong's own key on the gateway. The same for everybody; a setting because a test scenario has another.
    #[serde(default = "wangdiantong_app_key")]
    target_app_key: String,
    #[serde(default)]
    sign_method: SignMethod,
    #[serde(default)]
    limits: Limits,
}

fn wangdiantong_app_key() -> String {
    "21363512".into()
}

/// One seller's account, and the limits that all its uses share.
#[derive(Debug, Clone)]
pub struct Connection(Account);

impl Connection {
    pub fn parse(mut table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let limits = table.entry("limits").or_insert_with(|| toml::Table::new().into());
        if let Some(limits) = limits.as_table_mut() {
            limits.entry("requests_per_second").or_insert(REQUESTS_PER_SECOND.into());
        }
        let table: Table = read("connection", table, &["base_url", "app_key", "app_secret", "sid"])?;
        let given = Given {
            base_url: table.base_url,
            app_key: table.app_key,
            app_secret: table.app_secret,
            target_app_key: table.target_app_key,
            routing: ("sid", table.sid),
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

    pub(super) fn limits(&self) -> &Limits {
        self.0.limits()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Statuses {
    One(u32),
    Many(Vec<u32>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct StockinTable {
    order_type: Option<u32>,
    status: Option<Statuses>,
    #[serde(default = "yes")]
    cancellations: bool,
    warehouse_no: Option<String>,
    #[serde(default = "page_size")]
    page_size: u32,
    #[serde(default = "max_passes")]
    max_passes: u32,
}

fn yes() -> bool {
    true
}
/// The vendor's default. An older text allows no more.
fn page_size() -> u32 {
    40
}
/// A window of five minutes is rarely disturbed twice; five passes in a row mean that something else is wrong.
fn max_passes() -> u32 {
    5
}

/// What one scheme wants of the stock-in query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockinOptions {
    /// The statuses to read, each in a pass of its own, the cancelled among them where cancellations are wanted.
    pub statuses: Vec<u32>,
    pub page_size: u32,
    pub max_passes: u32,
    /// Narrower than the account: `order_type`, `warehouse_no`.
    pub filters: Vec<(&'static str, String)>,
}

impl StockinOptions {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let table: StockinTable = read("source", table, &[])?;
        let mut problems = Vec::new();
        let mut problem = |name: &str, message: &str, remedy: &str| {
            problems.push(SettingProblem::new(format!("source.{name}"), message, remedy));
        };
        let mut statuses = match table.status {
            None => vec![80],
            Some(Statuses::One(status)) => vec![status],
            Some(Statuses::Many(statuses)) => statuses,
        };
        for status in statuses.iter().filter(|status| !STATUSES.contains(status)) {
            problem("status", &format!("{status} is not a status"), &format!("use some of {STATUSES:?}"));
        }
        if statuses.is_empty() {
            problem("status", "is empty", "leave it out for 80, finished");
        }
        if table.order_type.is_some_and(|kind| !(1..=12).contains(&kind)) {
            problem("order_type", "must lie between 1 and 12", "4 is a stock-take surplus; leave it out for all");
        }
        let warehouse = table.warehouse_no.as_deref();
        if warehouse.is_some_and(|name| name.is_empty() || name.starts_with('@') || name.trim() != name) {
            problem("warehouse_no", "is not a warehouse's number", "copy it once more, or leave it out for all");
        }
        if !(1..=PAGE_SIZE_LIMIT).contains(&table.page_size) {
            problem("page_size", &format!("must lie between 1 and {PAGE_SIZE_LIMIT}"), "leave it out for 40");
        }
        if !(1..=100).contains(&table.max_passes) {
            problem("max_passes", "must lie between 1 and 100", "leave it out for 5");
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if table.cancellations {
            statuses.push(CANCELLED);
        }
        let mut seen = std::collections::HashSet::new();
        statuses.retain(|status| seen.insert(*status));
        let filters =
            [("order_type", table.order_type.map(|kind| kind.to_string())), ("warehouse_no", table.warehouse_no)];
        Ok(Self {
            statuses,
            page_size: table.page_size,
            max_passes: table.max_passes,
            filters: filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PushTable {
    #[serde(default = "batch_size")]
    batch_size: usize,
    switch: Option<u8>,
    #[serde(default = "yes")]
    resend_lost_writes: bool,
}

fn batch_size() -> usize {
    BATCH_LIMIT
}

/// What one scheme wants of the trade push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOptions {
    pub batch_size: usize,
    /// 0 lenient, 1 strict. The gateway's own description of the method does not have it, so it is sent only where
    /// somebody wants it.
    pub switch: Option<u8>,
    /// What is in doubt is sent again with the same bytes; else it parks for a person.
    pub resend_lost_writes: bool,
}

impl PushOptions {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let table: PushTable = read("target", table, &[])?;
        let mut problems = Vec::new();
        if !(1..=BATCH_LIMIT).contains(&table.batch_size) {
            let message = format!("must lie between 1 and {BATCH_LIMIT}");
            let remedy = "leave it out for 50; 1 is the cautious choice";
            problems.push(SettingProblem::new("target.batch_size", message, remedy));
        }
        if table.switch.is_some_and(|switch| switch > 1) {
            let remedy = "leave it out, or write 0 for lenient or 1 for strict";
            problems.push(SettingProblem::new("target.switch", "must be 0 or 1", remedy));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let PushTable { batch_size, switch, resend_lost_writes } = table;
        Ok(Self { batch_size, switch, resend_lost_writes })
    }
}
