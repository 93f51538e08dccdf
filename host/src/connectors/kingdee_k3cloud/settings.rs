//! What people set, and what is taken where they do not.

use std::sync::Arc;

use serde::Deserialize;
use url::Url;

use crate::config::Secret;
use crate::connectors::http::{Http, Line};
use crate::connectors::limits::Limits;
use crate::connectors::road::Road;
use crate::connectors::settings::{SettingProblem, check_base_url, read};

use super::client::{Client, Session};
use super::sign::{AppKey, SignHash};

/// The one operation this connector knows.
pub const OPERATION: &str = "BatchSave";

/// How the site is told who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// A log-in whose signature proves the secret without sending it.
    #[default]
    LoginBySign,
    /// A log-in that sends the application's secret.
    LoginByAppSecret,
    /// A log-in with the user's password.
    ValidateUser,
    /// No log-in: every request is signed.
    Signature,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base_url: String,
    acct_id: String,
    user_name: String,
    #[serde(default = "chinese")]
    lcid: u32,
    #[serde(default = "no_organisation")]
    org_num: String,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    sign_hash: SignHash,
    app_id: Option<String>,
    app_secret: Option<Secret>,
    password: Option<Secret>,
    #[serde(default)]
    limits: Limits,
}

/// 2052 is Simplified Chinese, the language of every vendor text this connector looks at.
fn chinese() -> u32 {
    2052
}
fn no_organisation() -> String {
    "0".into()
}

/// Who asks, with all that the chosen way needs.
#[derive(Debug, Clone)]
pub struct Account {
    pub base_url: Url,
    pub acct_id: String,
    pub user_name: String,
    pub lcid: u32,
    pub org_num: String,
    pub proof: Proof,
}

#[derive(Debug, Clone)]
pub enum Proof {
    LoginBySign { app_id: String, app_secret: Secret, hash: SignHash },
    LoginByAppSecret { app_id: String, app_secret: Secret },
    ValidateUser { password: Secret },
    Signature { app_id: String, app_secret: Secret, key: AppKey },
}

impl Account {
    /// The text with whatever of this account must not be printed blanked.
    pub fn blank(&self, text: &str) -> String {
        match &self.proof {
            Proof::LoginBySign { app_secret, .. }
            | Proof::LoginByAppSecret { app_secret, .. }
            | Proof::Signature { app_secret, .. } => app_secret.blank_in(text),
            Proof::ValidateUser { password } => password.blank_in(text),
        }
    }
}

/// One account on one site, its session, and the limits that all its uses share.
#[derive(Debug, Clone)]
pub struct Connection {
    account: Arc<Account>,
    limits: Arc<Limits>,
    road: Road,
    session: Arc<Session>,
}

impl Connection {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let table: Table = read("connection", table, &["base_url", "acct_id", "user_name"])?;
        let mut problems = table.limits.problems("connection.limits");
        let base_url = check_base_url("connection.base_url", &table.base_url).map_err(|problem| problems.push(problem));
        if !table.base_url.ends_with('/') {
            let remedy = "end it with /k3cloud/";
            problems.push(SettingProblem::new("connection.base_url", "must end with a slash", remedy));
        }
        let proof = proof(&table, &mut problems);
        let (Ok(base_url), Some(proof), true) = (base_url, proof, problems.is_empty()) else { return Err(problems) };
        let account = Account {
            base_url,
            acct_id: table.acct_id,
            user_name: table.user_name,
            lcid: table.lcid,
            org_num: table.org_num,
            proof,
        };
        let road = Road::new(&table.limits);
        let limits = Arc::new(table.limits);
        Ok(Self { account: Arc::new(account), limits, road, session: Arc::default() })
    }

    pub fn road(&self) -> &Road {
        &self.road
    }

    pub(super) fn client(&self, http: &Http) -> Client {
        let line = Line::new(http, self.limits.clone(), self.road.clone());
        Client::new(line, self.account.clone(), self.session.clone())
    }
}

fn proof(table: &Table, problems: &mut Vec<SettingProblem>) -> Option<Proof> {
    let mut missing = |name: &str| {
        let message = "is missing for this auth";
        problems.push(SettingProblem::new(format!("connection.{name}"), message, "set it, or choose another auth"));
    };
    if table.auth == Auth::ValidateUser {
        let Some(password) = table.password.clone().filter(|secret| !secret.is_empty()) else {
            missing("password");
            return None;
        };
        return Some(Proof::ValidateUser { password });
    }
    let app_id = table.app_id.clone().filter(|id| !id.is_empty());
    let app_secret = table.app_secret.clone().filter(|secret| !secret.is_empty());
    if app_id.is_none() {
        missing("app_id");
    }
    if app_secret.is_none() {
        missing("app_secret");
    }
    let (app_id, app_secret) = (app_id?, app_secret?);
    match table.auth {
        Auth::LoginBySign => Some(Proof::LoginBySign { app_id, app_secret, hash: table.sign_hash }),
        Auth::LoginByAppSecret => Some(Proof::LoginByAppSecret { app_id, app_secret }),
        Auth::ValidateUser | Auth::Signature => match AppKey::parse(&app_id) {
            Ok(key) => Some(Proof::Signature { app_id, app_secret, key }),
            Err(problem) => {
                let remedy = "copy it whole from the site's third-party login list";
                problems.push(SettingProblem::new("connection.app_id", problem, remedy));
                None
            }
        },
    }
}

/// The fields that are looked at to tell a bill of ours from another one of the same number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// Head fields as a query names them: `FDate`, `FCustomerID.FNumber`.
    #[serde(default)]
    pub head: Vec<String>,
    /// The key of the lines in a saved bill.
    pub entry: String,
    /// The line's id as a query names it.
    pub entry_id: String,
    pub quantity: String,
    pub material: String,
}

impl Compare {
    /// For sale-outs; other forms have other names, and guessing them would call foreign bills ours.
    fn of_form(form: &str) -> Option<Self> {
        (form == "SAL_OUTSTOCK").then(|| Self {
            head: vec!["FDate".into(), "FCustomerID.FNumber".into()],
            entry: "FEntity".into(),
            entry_id: "FEntity_FEntryId".into(),
            quantity: "FRealQty".into(),
            material: "FMaterialID.FNumber".into(),
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsTable {
    form: String,
    #[serde(default = "yes")]
    submit_and_audit: bool,
    #[serde(default = "yes")]
    confirm_audit: bool,
    #[serde(default)]
    verify_base_data: bool,
    #[serde(default = "interaction_flags")]
    interaction_flags: Vec<String>,
    #[serde(default = "batch_size")]
    batch_size: usize,
    #[serde(default = "key_field")]
    key_field: String,
    #[serde(default = "date_field")]
    date_field: String,
    #[serde(default = "query_limit")]
    query_limit: usize,
    compare: Option<Compare>,
}

fn yes() -> bool {
    true
}
/// Lets a sale-out be saved that makes the stock negative: the goods have left, whatever the books say.
fn interaction_flags() -> Vec<String> {
    vec!["STK_InvCheckResult".into()]
}
/// The vendor names no limit. Twenty bills with audit stay well within a minute.
fn batch_size() -> usize {
    20
}
fn key_field() -> String {
    "FBillNo".into()
}
fn date_field() -> String {
    "FDate".into()
}
/// Rows one query may return; newer sites allow ten thousand, older ones two.
fn query_limit() -> usize {
    2_000
}

/// What one scheme wants of the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub form: String,
    pub submit_and_audit: bool,
    /// Whether the site is asked for each bill's state after a write that was to change it.
    pub confirm_audit: bool,
    pub verify_base_data: bool,
    pub interaction_flags: String,
    pub batch_size: usize,
    pub key_field: String,
    /// The head field by which bills are listed.
    pub date_field: String,
    pub query_limit: usize,
    pub compare: Compare,
}

impl Options {
    pub fn parse(table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        let table: OptionsTable = read("target", table, &["form"])?;
        let mut problems = Vec::new();
        if !(1..=100).contains(&table.batch_size) {
            let remedy = "leave it out for 20; 1 is the cautious choice";
            problems.push(SettingProblem::new("target.batch_size", "must lie between 1 and 100", remedy));
        }
        if !(100..=10_000).contains(&table.query_limit) {
            let message = "must lie between 100 and 10000";
            problems.push(SettingProblem::new("target.query_limit", message, "leave it out for 2000"));
        }
        let compare = table.compare.or_else(|| Compare::of_form(&table.form));
        let fields = compare.iter().flat_map(|compare| {
            compare.head.iter().chain([&compare.entry, &compare.entry_id, &compare.quantity, &compare.material])
        });
        // These become part of a query's text.
        for name in fields.chain([&table.form, &table.key_field, &table.date_field]) {
            if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) || name.is_empty() {
                let message = format!("{name:?} is not a form or field name");
                problems.push(SettingProblem::new("target", message, "use letters, digits, '_' and '.'"));
            }
        }
        if table.interaction_flags.iter().any(|flag| flag.is_empty() || flag.contains(';')) {
            let remedy = "list each flag by itself";
            problems.push(SettingProblem::new("target.interaction_flags", "holds an unusable flag", remedy));
        }
        if compare.is_none() {
            let message = "is missing: the fields that tell our bills of this form from others are not known";
            let remedy = "set head, entry, entry_id, quantity and material as this form names them";
            problems.push(SettingProblem::new("target.compare", message, remedy));
        }
        let (Some(compare), true) = (compare, problems.is_empty()) else { return Err(problems) };
        Ok(Self {
            form: table.form,
            submit_and_audit: table.submit_and_audit,
            confirm_audit: table.confirm_audit,
            verify_base_data: table.verify_base_data,
            interaction_flags: table.interaction_flags.join(";"),
            batch_size: table.batch_size,
            key_field: table.key_field,
            date_field: table.date_field,
            query_limit: table.query_limit,
            compare,
        })
    }
}
