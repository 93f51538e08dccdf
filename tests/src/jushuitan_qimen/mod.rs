//! 聚水潭 (Jushuitan) behind Taobao's Qimen gateway: one operation, `jushuitan.saleout.list.query`.
//!
//! The gateway checks first (`gateway.rs`), then the merchant's system answers (`query.rs`). Only JSON is spoken: a
//! request that leaves `format` out gets code 23, where the real gateway would answer XML.

mod document;
mod gateway;
mod generate;
mod query;
mod sign;
mod store;
mod time;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Options;
use crate::fault::FaultName;
use crate::request::{Reply, Request};
use crate::system::{System, Turn};

use gateway::{Failure, Gateway, Parameters};
use store::Store;

pub use generate::{SPECIAL_SHOP, UNKNOWN_CUSTOMER};

const NAME: &str = "jushuitan_qimen";
const METHOD: &str = "jushuitan.saleout.list.query";
const CUSTOMER_ID: &str = "10000001";

pub struct Jushuitan {
    gateway: Gateway,
    rules: query::Rules,
    store: Store,
}

impl Jushuitan {
    pub fn new(options: &Options) -> Self {
        Self { gateway: Gateway::new(options), rules: query::Rules::new(options), store: Store::new(options) }
    }

    fn ask(&mut self, parameters: &Parameters, note: &mut Value, turn: &mut Turn<'_>) -> Result<String, Failure> {
        self.gateway.check(parameters, turn)?;
        if parameters.get("customer_id") != CUSTOMER_ID {
            return Err(self.rules.refuse("customer_id 不存在或未授权"));
        }
        let query = self.rules.read(parameters)?;
        if turn.has(FaultName::MoveRows) {
            self.store.move_first_row(&query, turn.now);
        }
        let page = self.store.page(&query, turn.has(FaultName::PageTwice), turn.faults.leave_the_answer_intact());
        self.store.play_script(turn.now);
        note["data_count"] = json!(page.total);
        note["rows"] = json!(page.rows.len());
        Ok(page.json(&query, &gateway::request_id(turn.chance)))
    }
}

impl System for Jushuitan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self, path: &str) -> bool {
        path == "/router/qm" || path == "/router/qmtest"
    }

    fn operation(&self, request: &Request) -> String {
        let method = Parameters::merge(request).get("method").to_owned();
        if method.is_empty() { "unknown".to_owned() } else { gateway::bare_method(&method).to_owned() }
    }

    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Reply {
        let parameters = Parameters::merge(request);
        let mut note = parameters.note();
        match self.ask(&parameters, &mut note, turn) {
            Ok(body) => Reply::json(body, "ok", note),
            Err(failure) => {
                let id = gateway::request_id(turn.chance);
                Reply::json(failure.json(&id), format!("refused:{}", failure.code), note)
            }
        }
    }

    fn throttled(&self, request: &Request, wait_seconds: i64) -> Reply {
        let failure = Failure::throttled(wait_seconds);
        Reply::json(failure.json("16qzthrottled"), "refused:7", Parameters::merge(request).note())
    }

    fn ready(&self, origin: &str) -> Value {
        json!({
            "base_url": format!("{origin}/router/qm"),
            "app_key": gateway::APP_KEY,
            "app_secret": gateway::APP_SECRET,
            "target_app_key": gateway::TARGET_APP_KEY,
            "customer_id": CUSTOMER_ID,
        })
    }

    fn served(&self) -> Option<Value> {
        Some(self.store.served())
    }

    fn documents(&self) -> Option<Value> {
        Some(self.store.listed())
    }

    fn put_document(&mut self, order: &Value, now: Timestamp) -> Result<Value, String> {
        let object = |name: &str| match &order[name] {
            Value::Null => Ok(None),
            Value::Object(fields) => Ok(Some(fields.clone())),
            _ => Err(format!("{name} must be an object")),
        };
        match (object("body")?, &order["io_id"]) {
            (Some(body), Value::Null) => Ok(self.store.add(body, now)),
            (None, Value::String(_) | Value::Number(_)) => {
                let io_id = order["io_id"].as_str().map_or_else(|| order["io_id"].to_string(), str::to_owned);
                let remove: Vec<String> = serde_json::from_value(match &order["remove"] {
                    Value::Null => json!([]),
                    names => names.clone(),
                })
                .map_err(|_| "remove must be a list of names".to_owned())?;
                let set = object("set")?.unwrap_or_else(Map::new);
                self.store.alter(&io_id, &set, &remove, now).ok_or_else(|| format!("no document {io_id}"))
            }
            _ => Err("give either body (a new document) or io_id with set and remove".to_owned()),
        }
    }
}
