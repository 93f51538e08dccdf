//! What people set, and what is taken where they do not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::{self, TimeZone};
use serde::Deserialize;
use url::Url;

use crate::config::Secret;
use crate::connectors::flight::Flight;
use crate::connectors::http::{Http, Line};
use crate::connectors::limits::Limits;
use crate::connectors::road::Road;
use crate::connectors::settings::{SettingProblem, check_base_url, read};

use super::client::Client;
use super::token::{Budget, Token};

/// The one operation this connector knows.
pub const OPERATION: &str = "saleoutlist/batch_get";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base_url: String,
    app_key: String,
    app_secret: Secret,
    from_account: String,
    to_account: String,
    #[serde(default = "one")]
    ds_sequence: u32,
    #[serde(default = "calls_per_token")]
    calls_per_token: u32,
    #[serde(default = "token_margin_seconds")]
    token_margin_seconds: u32,
    #[serde(default)]
    throttle_codes: Vec<String>,
    #[serde(default = "busy_tries")]
    busy_tries: u32,
    #[serde(default = "busy_pause_ms")]
    busy_pause_ms: u64,
    #[serde(default)]
    limits: Limits,
}

/// The first data source of the application; what the vendor's clients send.
fn one() -> u32 {
    1
}
fn calls_per_token() -> u32 {
    2_000
}
/// A token lives two hours and the vendor's clients renew it five minutes early.
fn token_margin_seconds() -> u32 {
    300
}
fn busy_tries() -> u32 {
    5
}
fn busy_pause_ms() -> u64 {
    1_000
}

/// Who asks, and how patiently.
#[derive(Debug, Clone)]
pub struct Account {
    pub base_url: Url,
    pub app_key: String,
    pub app_secret: Secret,
    pub from_account: String,
    pub to_account: String,
    pub ds_sequence: u32,
    pub token_margin: SignedDuration,
    /// Codes by which the platform says "too many calls". None is documented.
    pub throttle_codes: Vec<String>,
    /// How often a call that is still being worked on (30025) is asked for again, and after which pause.
    pub busy_tries: u32,
    pub busy_pause: Duration,
}

/// One account on the platform, its token, and the limits that all its uses share.
#[derive(Debug, Clone)]
pub struct Connection {
    account: Arc<Account>,
    limits: Arc<Limits>,
    road: Road,
    token: Arc<Flight<Token>>,
    budget: Arc<Budget>,
}

impl Connection {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let required = ["base_url", "app_key", "app_secret", "from_account", "to_account"];
        let table: Table = read("connection", table, &required)?;
        let mut problems = table.limits.problems("connection.limits");
        let base_url = check_base_url("connection.base_url", &table.base_url).map_err(|problem| problems.push(problem));
        if !table.base_url.ends_with('/') {
            let remedy = "write it as https://api.yonyouup.com/";
            problems.push(SettingProblem::new("connection.base_url", "must end with a slash", remedy));
        }
        let mut check = |good: bool, name: &str, message: &str, remedy: &str| {
            if !good {
                problems.push(SettingProblem::new(format!("connection.{name}"), message, remedy));
            }
        };
        let budget = 10..=1_000_000;
        check(
            budget.contains(&table.calls_per_token),
            "calls_per_token",
            "must lie between 10 and 1000000",
            "leave it out for 2000",
        );
        let margin = 0..=3_600;
        check(
            margin.contains(&table.token_margin_seconds),
            "token_margin_seconds",
            "must be at most an hour",
            "leave it out for 300",
        );
        check((1..=100).contains(&table.busy_tries), "busy_tries", "must lie between 1 and 100", "leave it out for 5");
        check(table.busy_pause_ms <= 60_000, "busy_pause_ms", "must be at most a minute", "leave it out for 1000");
        let (Ok(base_url), true) = (base_url, problems.is_empty()) else { return Err(problems) };
        let account = Account {
            base_url,
            app_key: table.app_key,
            app_secret: table.app_secret,
            from_account: table.from_account,
            to_account: table.to_account,
            ds_sequence: table.ds_sequence,
            token_margin: SignedDuration::from_secs(i64::from(table.token_margin_seconds)),
            throttle_codes: table.throttle_codes,
            busy_tries: table.busy_tries,
            busy_pause: Duration::from_millis(table.busy_pause_ms),
        };
        let road = Road::new(&table.limits);
        Ok(Self {
            account: Arc::new(account),
            limits: Arc::new(table.limits),
            road,
            token: Arc::default(),
            budget: Arc::new(Budget::new(table.calls_per_token)),
        })
    }

    pub fn road(&self) -> &Road {
        &self.road
    }

    pub(super) fn client(&self, http: &Http) -> Client {
        let line = Line::new(http, self.limits.clone(), self.road.clone());
        Client::new(line, self.account.clone(), self.token.clone(), self.budget.clone())
    }
}

/// Where a bill's lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entries {
    /// From the list where its rows carry them, else from the single bill.
    #[default]
    Auto,
    /// The list's rows are whole bills.
    List,
    /// The list's rows are heads; each bill is fetched by itself.
    Get,
}

/// Whether a day asked for as the last one is part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastDay {
    #[default]
    Inclusive,
    Exclusive,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsTable {
    #[serde(default)]
    entries: Entries,
    #[serde(default = "code")]
    get_by: String,
    #[serde(default = "china")]
    zone: String,
    #[serde(default = "reread_days")]
    reread_days: u32,
    first_day: Option<String>,
    #[serde(default)]
    last_day: LastDay,
    #[serde(default = "page_size")]
    page_size: u32,
    #[serde(default = "max_passes")]
    max_passes: u32,
    #[serde(default = "known_bills")]
    known_bills: usize,
    #[serde(default)]
    filters: BTreeMap<String, String>,
}

fn code() -> String {
    "code".into()
}
fn china() -> String {
    "Asia/Shanghai".into()
}
fn reread_days() -> u32 {
    3
}
/// The vendor's default is 20 and its maximum is not known; one client is seen to ask for 8000.
fn page_size() -> u32 {
    100
}
fn max_passes() -> u32 {
    5
}
/// A month of a thousand bills a day, at about a hundred bytes each.
fn known_bills() -> usize {
    50_000
}

/// The list's filters that do not say when.
const FILTERS: [&str; 14] = [
    "warehousecode",
    "warehousename",
    "code_begin",
    "code_end",
    "departmentcode",
    "departmentname",
    "memory",
    "maker",
    "handler",
    "bredvouch",
    "businesstype",
    "businesscode",
    "date_begin",
    "date_end",
];

/// What one scheme wants of the operation.
#[derive(Debug, Clone)]
pub struct Options {
    pub entries: Entries,
    /// The head's field that the single bill is asked for by.
    pub get_by: String,
    pub zone: TimeZone,
    pub reread_days: u32,
    /// Nothing audited before it is asked for.
    pub first_day: Option<Date>,
    pub last_day: LastDay,
    pub page_size: u32,
    pub max_passes: u32,
    pub known_bills: usize,
    pub filters: Vec<(String, String)>,
}

impl Options {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let table: OptionsTable = read("source", table, &[])?;
        let mut problems = Vec::new();
        let mut problem = |name: &str, message: String, remedy: &str| {
            problems.push(SettingProblem::new(format!("source.{name}"), message, remedy));
        };
        let zone = zone(&table.zone);
        if zone.is_none() {
            let remedy = "use Asia/Shanghai, an offset such as +08:00, or a name that this machine's tzdata has";
            problem("zone", format!("{:?} is not a time zone", table.zone), remedy);
        }
        let first_day = table.first_day.as_deref().map(str::parse::<Date>).transpose();
        if first_day.is_err() {
            problem("first_day", "is not a day".into(), "write it as 2026-11-20");
        }
        if table.reread_days > 31 {
            problem("reread_days", "must be at most 31".into(), "leave it out for 3, and let the sweep do the rest");
        }
        if !(1..=10_000).contains(&table.page_size) {
            problem("page_size", "must lie between 1 and 10000".into(), "leave it out for 100");
        }
        if !(1..=100).contains(&table.max_passes) {
            problem("max_passes", "must lie between 1 and 100".into(), "leave it out for 5");
        }
        if table.known_bills > 10_000_000 {
            problem("known_bills", "must be at most 10000000".into(), "leave it out for 50000");
        }
        let is_define = |name: &str| {
            let number = name.strip_prefix("define").unwrap_or("");
            let number = number.strip_suffix("_begin").or(number.strip_suffix("_end")).unwrap_or(number);
            matches!(number.parse(), Ok(1..=16))
        };
        for name in table.filters.keys().filter(|name| !FILTERS.contains(&name.as_str()) && !is_define(name)) {
            let remedy = format!("use define1 to define16 or some of {}", FILTERS.join(", "));
            problem("filters", format!("{name:?} is not a filter"), &remedy);
        }
        if table.get_by.is_empty() {
            problem("get_by", "is empty".into(), "leave it out for \"code\"");
        }
        let (Some(zone), Ok(first_day), true) = (zone, first_day, problems.is_empty()) else { return Err(problems) };
        Ok(Self {
            entries: table.entries,
            get_by: table.get_by,
            zone,
            reread_days: table.reread_days,
            first_day,
            last_day: table.last_day,
            page_size: table.page_size,
            max_passes: table.max_passes,
            known_bills: table.known_bills,
            filters: table.filters.into_iter().collect(),
        })
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    // China has had no summer time since 1991, and not every machine has the table that says so.
    if name == "Asia/Shanghai" {
        return Some(TimeZone::fixed(tz::offset(8)));
    }
    TimeZone::get(name).ok().or_else(|| offset(name))
}

/// `+08:00`.
fn offset(text: &str) -> Option<TimeZone> {
    let (sign, rest) =
        text.strip_prefix('+').map(|rest| (1, rest)).or(text.strip_prefix('-').map(|rest| (-1, rest)))?;
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    Some(TimeZone::fixed(tz::Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?))
}
