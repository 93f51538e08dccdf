//! What people set, and what is taken where they do not.

use std::sync::Arc;

use jiff::SignedDuration;
use serde::Deserialize;
use url::Url;

use crate::config::Secret;
use crate::connectors::flight::Flight;
use crate::connectors::http::{Http, Line};
use crate::connectors::limits::Limits;
use crate::connectors::road::Road;
use crate::connectors::settings::{SettingProblem, check_base_url, read};

use super::client::Client;
use super::references::Lists;
use super::session::{Authorisations, Session};

/// The one operation this connector knows.
pub const OPERATION: &str = "jdy/inv/inv_check_gain_bill_save";

/// What a business call proves its right with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// The `app-token` header.
    #[default]
    AppToken,
    /// `access_token` in the query, with the headers `accountId` and `groupName`: what clients of the first generation
    /// are seen to send.
    AccessToken,
}

/// Whose envelope, field names and lists the account speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// `success` and `errorCode`, questions as POST, `billno`.
    #[default]
    V1,
    /// `errcode` and `description`, questions as GET, `bill_no`.
    V2,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base_url: String,
    client_id: String,
    client_secret: Secret,
    outer_instance_id: Option<String>,
    app_key: Option<String>,
    app_secret: Option<Secret>,
    account_id: Option<String>,
    group_name: Option<String>,
    router_addr: Option<String>,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    generation: Generation,
    #[serde(default = "token_margin_seconds")]
    token_margin_seconds: u32,
    #[serde(default)]
    throttle_codes: Vec<String>,
    material_path: Option<String>,
    stock_path: Option<String>,
    unit_path: Option<String>,
    #[serde(default)]
    unit_key: UnitKey,
    #[serde(default)]
    limits: Limits,
}

/// A token lives 24 hours; half an hour early is far from the end and costs one call a day.
fn token_margin_seconds() -> u32 {
    1_800
}

/// What a unit is looked up by. Other systems write a unit's name and not its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKey {
    #[default]
    Name,
    Number,
}

/// Who asks, with all that the chosen way needs.
#[derive(Debug, Clone)]
pub struct Account {
    pub base_url: Url,
    pub client_id: String,
    pub client_secret: Secret,
    /// By which the vendor is asked for the application's key and secret.
    pub outer_instance_id: Option<String>,
    /// The application's key and secret, where they are set and not asked for.
    pub app: Option<(String, Secret)>,
    pub account_id: Option<String>,
    pub group_name: Option<String>,
    pub router_addr: Option<String>,
    pub auth: Auth,
    pub generation: Generation,
    pub token_margin: SignedDuration,
    pub throttle_codes: Vec<String>,
    pub paths: Paths,
    pub unit_key: UnitKey,
}

/// Where the lists of base data are.
#[derive(Debug, Clone)]
pub struct Paths {
    pub material: String,
    pub stock: String,
    pub unit: String,
}

/// One account, its token, and the limits that all its uses share.
#[derive(Debug, Clone)]
pub struct Connection {
    account: Arc<Account>,
    limits: Arc<Limits>,
    road: Road,
    session: Arc<Flight<Session>>,
    authorisations: Arc<Authorisations>,
}

impl Connection {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let table: Table = read("connection", table, &["base_url", "client_id", "client_secret"])?;
        let mut problems = table.limits.problems("connection.limits");
        let base_url = check_base_url("connection.base_url", &table.base_url).map_err(|problem| problems.push(problem));
        let mut problem = |name: &str, message: &str, remedy: &str| {
            problems.push(SettingProblem::new(format!("connection.{name}"), message, remedy));
        };
        if !table.base_url.ends_with('/') {
            problem("base_url", "must end with a slash", "write it as https://api.kingdee.com/");
        }
        let outer_instance_id = table.outer_instance_id.filter(|id| !id.is_empty());
        let app_key = table.app_key.filter(|key| !key.is_empty());
        let app_secret = table.app_secret.filter(|secret| !secret.is_empty());
        if app_key.is_some() != app_secret.is_some() {
            let name = if app_key.is_some() { "app_secret" } else { "app_key" };
            problem(name, "is missing", "set app_key and app_secret together, or leave both out");
        } else if app_key.is_none() && outer_instance_id.is_none() {
            let remedy = "set it, or app_key and app_secret";
            problem("outer_instance_id", "is missing", remedy);
        }
        if table.token_margin_seconds > 43_200 {
            problem("token_margin_seconds", "must be at most twelve hours", "leave it out for 1800");
        }
        let header_texts = [
            ("client_id", Some(&table.client_id)),
            ("account_id", table.account_id.as_ref()),
            ("group_name", table.group_name.as_ref()),
            ("router_addr", table.router_addr.as_ref()),
        ];
        for (name, _) in header_texts.iter().filter(|(_, text)| text.is_some_and(|text| !is_header_text(text))) {
            problem(name, "holds characters that no header can carry", "copy it once more");
        }
        let v2 = table.generation == Generation::V2;
        let path = |own: Option<String>, first: &str, second: &str| {
            own.unwrap_or_else(|| if v2 { second } else { first }.to_owned()).trim_start_matches('/').to_owned()
        };
        let paths = Paths {
            material: path(table.material_path, "jdy/basedata/material_list", "jdy/v2/bd/material"),
            stock: path(table.stock_path, "jdy/basedata/store_list", "jdy/v2/bd/store"),
            unit: path(table.unit_path, "jdy/basedata/measure_unit_list", "jdy/v2/bd/measure_unit"),
        };
        let (Ok(base_url), true) = (base_url, problems.is_empty()) else { return Err(problems) };
        let account = Account {
            base_url,
            client_id: table.client_id,
            client_secret: table.client_secret,
            outer_instance_id,
            app: app_key.zip(app_secret),
            account_id: table.account_id,
            group_name: table.group_name,
            router_addr: table.router_addr,
            auth: table.auth,
            generation: table.generation,
            token_margin: SignedDuration::from_secs(i64::from(table.token_margin_seconds)),
            throttle_codes: table.throttle_codes,
            paths,
            unit_key: table.unit_key,
        };
        let road = Road::new(&table.limits);
        Ok(Self {
            account: Arc::new(account),
            limits: Arc::new(table.limits),
            road,
            session: Arc::default(),
            authorisations: Arc::default(),
        })
    }

    pub fn road(&self) -> &Road {
        &self.road
    }

    pub(super) fn client(&self, http: &Http) -> Client {
        let line = Line::new(http, self.limits.clone(), self.road.clone());
        Client::new(line, self.account.clone(), self.session.clone(), self.authorisations.clone())
    }

    /// The lists that ids are looked up in.
    pub fn references(&self, http: &Http) -> Lists {
        Lists::new(self.client(http))
    }
}

pub fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Where a bill carries the number of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberIn {
    /// The head's `billno` (`bill_no` in the second generation).
    Billno,
    /// The first word of the head's `remark`.
    Remark,
}

impl NumberIn {
    pub fn as_str(self) -> &'static str {
        match self {
            NumberIn::Billno => "billno",
            NumberIn::Remark => "remark",
        }
    }
}

/// Whether the account gives a bill's number back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recognise {
    #[default]
    Number,
    /// Neither field comes back: an unknown write cannot be asked about.
    None,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsTable {
    #[serde(default)]
    save_path: Option<String>,
    list_path: Option<String>,
    detail_path: Option<String>,
    #[serde(default = "number_in")]
    number_in: Vec<NumberIn>,
    #[serde(default)]
    recognise: Recognise,
    #[serde(default = "yes")]
    search: bool,
    #[serde(default = "search_days")]
    search_days: u32,
    date_filter: Option<[String; 2]>,
    #[serde(default = "page_size")]
    page_size: u32,
    #[serde(default = "duplicate_words")]
    duplicate_words: Vec<String>,
}

fn yes() -> bool {
    true
}
fn number_in() -> Vec<NumberIn> {
    vec![NumberIn::Billno, NumberIn::Remark]
}
/// A person may move a bill's date to the next period; a week-end lies between at most.
fn search_days() -> u32 {
    3
}
/// The vendor's maximum.
fn page_size() -> u32 {
    100
}
fn duplicate_words() -> Vec<String> {
    ["编码重复", "编号重复", "编码已存在", "编号已存在", "单据号重复", "单据号已存在"].map(str::to_owned).to_vec()
}

/// What one scheme wants of the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub save_path: Option<String>,
    pub list_path: Option<String>,
    pub detail_path: Option<String>,
    pub number_in: Vec<NumberIn>,
    pub recognise: Recognise,
    /// Whether the list is first asked with the number as its search word.
    pub search: bool,
    /// Days around the bill's date that are looked through.
    pub search_days: u32,
    /// The list's names for the first and the last bill date.
    pub date_filter: Option<[String; 2]>,
    pub page_size: u32,
    /// Words by which a refusal is one of the bill's number.
    pub duplicate_words: Vec<String>,
}

impl Options {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let table: OptionsTable = read("target", table, &[])?;
        let mut problems = Vec::new();
        let mut problem = |name: &str, message: &str, remedy: &str| {
            problems.push(SettingProblem::new(format!("target.{name}"), message, remedy));
        };
        if table.number_in.is_empty() {
            problem("number_in", "is empty", "leave it out for [\"billno\", \"remark\"]");
        }
        if table.search_days > 366 {
            problem("search_days", "must be at most 366", "leave it out for 3");
        }
        if !(1..=100).contains(&table.page_size) {
            problem("page_size", "must lie between 1 and 100", "leave it out for 100");
        }
        if table.duplicate_words.iter().any(|words| words.trim().is_empty()) {
            problem("duplicate_words", "holds an empty text", "remove it: it would stand in every refusal");
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            save_path: table.save_path,
            list_path: table.list_path,
            detail_path: table.detail_path,
            number_in: table.number_in,
            recognise: table.recognise,
            search: table.search,
            search_days: table.search_days,
            date_filter: table.date_filter,
            page_size: table.page_size,
            duplicate_words: table.duplicate_words,
        })
    }
}
