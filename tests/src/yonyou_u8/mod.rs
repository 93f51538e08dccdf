//! 用友U8 (Yonyou U8): sale-outs through its open platform, with tokens and a budget of calls, all values as text.
//!
//! `saleoutlist/batch_get` lists heads, `saleout/get` gives one document whole. There is no signature: whoever has the
//! token has everything, so it never reaches the journal.

mod document;
mod generate;
mod settings;
mod store;
mod token;

use std::cell::OnceCell;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::Options;
use crate::fault::FaultName;
use crate::request::{Reply, Request};
use crate::system::{Change, System, Turn};
use crate::time;

use store::{Query, Store};
use token::{Standing, Tokens};

pub use settings::U8Options;

const NAME: &str = "yonyou_u8";
const APP_KEY: &str = "opa0u8demo";
const APP_SECRET: &str = "u8-demo-secret-1";
const FROM_ACCOUNT: &str = "crossdock_demo";
const TO_ACCOUNT: &str = "u8_demo_book";

const TOKEN: &str = "system/token";
const LIST: &str = "saleoutlist/batch_get";
const ONE: &str = "saleout/get";

const EXPIRED_CODE: &str = "30012";
const PLATFORM_CODE: &str = "10001";
const SERVICE_CODE: &str = "20005";
const ROWS_PER_PAGE: usize = 20;

/// What the journal may show.
const SHOWN: &[&str] = &[
    "id",
    "page_index",
    "rows_per_page",
    "date_begin",
    "date_end",
    "auditdate_begin",
    "auditdate_end",
    "code_begin",
    "code_end",
    "timestamp_begin",
    "timestamp_end",
    "warehousecode",
    "ds_sequence",
];

/// Parameters that are no filters.
const SYSTEM: &[&str] =
    &["from_account", "to_account", "app_key", "token", "ds_sequence", "page_index", "rows_per_page"];

pub struct U8 {
    options: Options,
    tokens: Tokens,
    app_secret: String,
    /// Made when first asked for: most runs are about other systems.
    store: OnceCell<Store>,
}

/// `errcode` and `errmsg`.
struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    fn json(&self) -> String {
        json!({"errcode": self.code, "errmsg": self.message}).to_string()
    }
}

type Parameters = std::collections::BTreeMap<String, String>;

fn parameters(request: &Request) -> Parameters {
    url::form_urlencoded::parse(request.query.as_bytes()).into_owned().filter(|(_, value)| !value.is_empty()).collect()
}

fn get<'a>(parameters: &'a Parameters, name: &str) -> &'a str {
    parameters.get(name).map_or("", String::as_str)
}

fn note(parameters: &Parameters) -> Value {
    let shown = SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), json!(parameters.get(*name)?))));
    Value::Object(shown.collect::<Map<_, _>>())
}

fn operation(path: &str) -> Option<&'static str> {
    match path {
        "/system/token" => Some(TOKEN),
        "/api/saleoutlist/batch_get" => Some(LIST),
        "/api/saleout/get" => Some(ONE),
        _ => None,
    }
}

impl U8 {
    pub fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            tokens: Tokens::new(&options.u8),
            app_secret: APP_SECRET.to_owned(),
            store: OnceCell::new(),
        }
    }

    fn store(&self) -> &Store {
        self.store.get_or_init(|| Store::new(&self.options))
    }

    fn store_mut(&mut self) -> &mut Store {
        self.store();
        self.store.get_mut().expect("the line above made it")
    }

    fn ask(&mut self, request: &Request, parameters: &Parameters, turn: &mut Turn<'_>) -> Result<String, Refusal> {
        if turn.has(FaultName::RotateSecret) {
            self.app_secret = self.app_secret.chars().rev().collect();
        }
        let Some(operation) = operation(&request.path) else {
            return Err(Refusal::new(PLATFORM_CODE, "请求的接口不存在"));
        };
        if request.method != "GET" {
            return Err(Refusal::new(PLATFORM_CODE, "请求方式错误，应为GET"));
        }
        if get(parameters, "from_account") != FROM_ACCOUNT || get(parameters, "app_key") != APP_KEY {
            return Err(Refusal::new(PLATFORM_CODE, "from_account或app_key不正确"));
        }
        if operation == TOKEN {
            return self.give_token(parameters, turn);
        }
        if get(parameters, "to_account") != TO_ACCOUNT {
            return Err(Refusal::new(PLATFORM_CODE, "to_account不正确"));
        }
        if !matches!(get(parameters, "ds_sequence"), "" | "1") {
            return Err(Refusal::new(PLATFORM_CODE, "ds_sequence对应的数据源不存在"));
        }
        self.check_token(parameters, turn)?;
        let intact = turn.faults.leave_the_answer_intact();
        if operation == ONE {
            let code = get(parameters, "id");
            if code.is_empty() {
                return Err(Refusal::new(PLATFORM_CODE, "id不能为空"));
            }
            return match self.store_mut().one(code, intact) {
                Some(body) => Ok(format!("{{\"errcode\":\"0\",\"errmsg\":\"\",\"saleout\":{body}}}")),
                None => Err(Refusal::new("20002", "未检索到匹配的[saleout]。")),
            };
        }
        self.list(parameters, turn, intact)
    }

    fn give_token(&mut self, parameters: &Parameters, turn: &mut Turn<'_>) -> Result<String, Refusal> {
        if get(parameters, "app_secret") != self.app_secret && !self.options.plain {
            return Err(Refusal::new(PLATFORM_CODE, "app_secret不正确"));
        }
        let id = self.tokens.give(turn.now, turn.chance);
        let lifetime = self.options.u8.token_lifetime_seconds;
        let token = json!({"appKey": APP_KEY, "expiresIn": lifetime, "id": id});
        Ok(json!({"errcode": "0", "errmsg": "", "token": token}).to_string())
    }

    fn check_token(&mut self, parameters: &Parameters, turn: &Turn<'_>) -> Result<(), Refusal> {
        if turn.has(FaultName::ExpireSession) {
            self.tokens.end_all();
        }
        if turn.has(FaultName::SessionLost) {
            return Err(Refusal::new(EXPIRED_CODE, "token已过期"));
        }
        let own = &self.options.u8;
        match self.tokens.use_one(get(parameters, "token"), turn.judged_by) {
            Standing::Fine => Ok(()),
            Standing::Unknown if self.options.plain => Ok(()),
            Standing::Expired => Err(Refusal::new(EXPIRED_CODE, "token已过期")),
            Standing::Unknown => Err(Refusal::new(&own.unknown_token_code, "token无效")),
            Standing::OverBudget => Err(Refusal::new(&own.call_limit_code, "调用次数超过限制")),
        }
    }

    fn list(&mut self, parameters: &Parameters, turn: &Turn<'_>, intact: bool) -> Result<String, Refusal> {
        let query = read(parameters, &self.options.u8)?;
        let (heads_only, empty_code) = (self.options.u8.heads_only, self.options.u8.empty_code.clone());
        let store = self.store_mut();
        if turn.has(FaultName::MoveRows) {
            store.move_first_row(&query, turn.now);
        }
        let page = store.page(&query, heads_only, turn.has(FaultName::PageTwice), intact);
        store.play_script(turn.now);
        if let (true, Some(code)) = (page.rows.is_empty(), empty_code) {
            return Err(Refusal::new(&code, "未检索到匹配的[saleoutlist]。"));
        }
        let pages = page.total.div_ceil(query.rows_per_page);
        // The bodies go in as they are: a test compares what the client kept with these very bytes.
        Ok(format!(
            "{{\"errcode\":\"0\",\"errmsg\":\"\",\"page_index\":\"{}\",\"rows_per_page\":\"{}\",\"row_count\":\"{}\",\"page_count\":\"{pages}\",\"saleoutlist\":[{}]}}",
            query.page_index,
            query.rows_per_page,
            page.total,
            page.rows.join(",")
        ))
    }
}

fn read(parameters: &Parameters, options: &U8Options) -> Result<Query, Refusal> {
    let number = |name: &str, default: usize| match get(parameters, name) {
        "" => Ok(default),
        text => match text.parse::<usize>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(Refusal::new(PLATFORM_CODE, format!("{name}不正确"))),
        },
    };
    let day = |name: &str| -> Result<Option<Date>, Refusal> {
        match get(parameters, name) {
            "" => Ok(None),
            text => match time::parse_date(text) {
                Some(day) => Ok(Some(day)),
                None => Err(Refusal::new(SERVICE_CODE, format!("调用U8服务失败：{name}不是有效的日期"))),
            },
        }
    };
    let text = |name: &str| parameters.get(name).cloned();
    let timestamp =
        if options.timestamp_filter { (text("timestamp_begin"), text("timestamp_end")) } else { (None, None) };
    let others = parameters.iter().filter(|(name, _)| !SYSTEM.contains(&name.as_str()));
    Ok(Query {
        page_index: number("page_index", 1)?,
        rows_per_page: number("rows_per_page", ROWS_PER_PAGE)?.min(options.rows_per_page_limit),
        date: (day("date_begin")?, day("date_end")?),
        audit_date: (day("auditdate_begin")?, day("auditdate_end")?),
        code: (text("code_begin"), text("code_end")),
        timestamp,
        others: others.map(|(name, value)| (name.clone(), value.clone())).collect(),
    })
}

impl System for U8 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self, request: &Request) -> bool {
        request.path.starts_with("/api/") || request.path.starts_with("/system/")
    }

    fn operation(&self, request: &Request) -> String {
        operation(&request.path).unwrap_or("unknown").to_owned()
    }

    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Reply {
        let parameters = parameters(request);
        let note = note(&parameters);
        match self.ask(request, &parameters, turn) {
            Ok(body) => Reply::json(body, "ok", note),
            Err(refusal) => Reply::json(refusal.json(), format!("refused:{}", refusal.code), note),
        }
    }

    fn throttled(&self, request: &Request, _wait_seconds: i64) -> Reply {
        let code = &self.options.u8.call_limit_code;
        let refusal = Refusal::new(code, "调用次数超过限制");
        Reply::json(refusal.json(), format!("refused:{code}"), note(&parameters(request)))
    }

    fn refused(&self, request: &Request) -> Reply {
        let refusal = Refusal::new(SERVICE_CODE, "调用U8服务失败：业务处理失败");
        Reply::json(refusal.json(), format!("refused:{SERVICE_CODE}"), note(&parameters(request)))
    }

    fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![self.app_secret.clone(), APP_SECRET.to_owned()];
        secrets.extend(self.tokens.ids());
        secrets
    }

    fn ready(&self, origin: &str) -> Value {
        let receiver: Map<_, _> =
            generate::RECEIVER_FIELDS.iter().map(|(name, field)| ((*name).to_owned(), json!(field))).collect();
        json!({
            "base_url": format!("{origin}/"),
            "app_key": APP_KEY,
            "app_secret": APP_SECRET,
            "from_account": FROM_ACCOUNT,
            "to_account": TO_ACCOUNT,
            "receiver_fields": receiver,
        })
    }

    fn served(&self) -> Option<Value> {
        Some(self.store().served())
    }

    fn documents(&self) -> Option<Value> {
        Some(self.store().listed())
    }

    fn put_document(&mut self, order: &Value, _now: Timestamp) -> Result<Value, String> {
        match Change::read(order, "code")? {
            Change::Add(body) => Ok(self.store_mut().add(body)),
            Change::Alter { key, set, remove } => {
                self.store_mut().alter(&key, &set, &remove).ok_or_else(|| format!("no document {key}"))
            }
        }
    }
}
