//! 聚水潭 (Jushuitan) behind Taobao's Qimen gateway: one operation, `jushuitan.saleout.list.query`.
//!
//! The gateway checks first (`crate::qimen`), then the merchant's system answers (`query.rs`).

mod document;
mod generate;
mod query;
mod store;

use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::Options;
use crate::fault::FaultName;
use crate::qimen::{self, Failure, Gateway, Parameters, Scenario};
use crate::request::{Reply, Request};
use crate::system::{Change, System, Turn};

use store::Store;

pub use generate::{SPECIAL_SHOP, UNKNOWN_CUSTOMER};

const NAME: &str = "jushuitan_qimen";
const CUSTOMER_ID: &str = "10000001";
const SCENARIO: Scenario = Scenario {
    target_app_key: "23060081",
    route: "customer_id",
    methods: &["jushuitan.saleout.list.query"],
    shown: &[
        "method",
        "page_index",
        "page_size",
        "start_time",
        "end_time",
        "status",
        "so_ids",
        "io_ids",
        "o_ids",
        "start_ts",
        "date_type",
        "is_get_total",
        "sign_method",
    ],
};

/// The documents that the source has at its start: key and body.
pub fn documents(options: &Options) -> Vec<(String, String)> {
    let (documents, _) = generate::generate(options);
    documents.into_iter().map(|document| (document.io_id.clone(), document.body)).collect()
}

/// One of them, under this number.
pub fn one_document(chance: &mut ChaCha8Rng, options: &Options, io_id: u64, modified: Timestamp) -> String {
    generate::document(chance, options, io_id, modified).body
}

pub struct Jushuitan {
    gateway: Gateway,
    rules: query::Rules,
    store: Store,
}

impl Jushuitan {
    pub fn new(options: &Options) -> Self {
        Self { gateway: Gateway::new(options, SCENARIO), rules: query::Rules::new(options), store: Store::new(options) }
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
        let intact = turn.faults.leave_the_answer_intact();
        let page = self.store.page(&query, turn.has(FaultName::PageTwice), intact, turn.now);
        self.store.play_script(turn.now);
        note["data_count"] = json!(page.total);
        note["rows"] = json!(page.rows.len());
        Ok(page.json(&query, &qimen::request_id(turn.chance)))
    }
}

impl System for Jushuitan {
    fn name(&self) -> &'static str {
        NAME
    }

    /// All of the gateway's that is not another vendor's, so that an unknown method is refused somewhere.
    fn claims(&self, request: &Request) -> bool {
        qimen::claims(&request.path) && !Parameters::merge(request).operation().starts_with("wdt.")
    }

    fn operation(&self, request: &Request) -> String {
        Parameters::merge(request).operation()
    }

    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Reply {
        let parameters = Parameters::merge(request);
        let mut note = parameters.note(SCENARIO.shown);
        match self.ask(&parameters, &mut note, turn) {
            Ok(body) => Reply::json(body, "ok", note),
            Err(failure) => {
                let id = qimen::request_id(turn.chance);
                Reply::json(failure.json(&id), format!("refused:{}", failure.code), note)
            }
        }
    }

    fn throttled(&self, request: &Request, wait_seconds: i64) -> Reply {
        let failure = Failure::throttled(wait_seconds);
        Reply::json(failure.json("16qzthrottled"), "refused:7", Parameters::merge(request).note(SCENARIO.shown))
    }

    fn refused(&self, request: &Request) -> Reply {
        let failure = self.rules.refuse("业务处理失败");
        Reply::json(failure.json("16qzrefused"), "refused:15", Parameters::merge(request).note(SCENARIO.shown))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.gateway.secret().to_owned(), qimen::APP_SECRET.to_owned()]
    }

    fn ready(&self, origin: &str) -> Value {
        json!({
            "base_url": format!("{origin}/router/qm"),
            "app_key": qimen::APP_KEY,
            "app_secret": qimen::APP_SECRET,
            "target_app_key": SCENARIO.target_app_key,
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
        match Change::read(order, "io_id")? {
            Change::Add(body) => Ok(self.store.add(body, now)),
            Change::Alter { key, set, remove } => {
                self.store.alter(&key, &set, &remove, now).ok_or_else(|| format!("no document {key}"))
            }
        }
    }
}
