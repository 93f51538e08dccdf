//! 旺店通·企业奇门 (WangDianTong enterprise) behind Taobao's Qimen gateway: `wdt.stockin.order.query` and `wdt.trade.push`.
//!
//! A source of stock-ins and a target of trades. No source names a method that reads pushed trades back, so there is
//! none: what is held shows on the admin page alone, and a second push of one `tid` answers with `chg_count`.

mod document;
mod generate;
mod push;
mod query;
mod settings;
mod store;
mod trade;

use std::cell::OnceCell;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Options;
use crate::fault::FaultName;
use crate::qimen::{self, Failure, Gateway, Parameters, Scenario};
use crate::request::{Reply, Request};
use crate::system::{Change, System, Turn};

use push::Ledger;
use store::Store;

pub use settings::WangdiantongOptions;

const NAME: &str = "wangdiantong_qimen";
const QUERY: &str = "wdt.stockin.order.query";
const PUSH: &str = "wdt.trade.push";
const SID: &str = "demo2";
const SHOP_NO: &str = "SHOP01";
const SCENARIO: Scenario = Scenario {
    target_app_key: "21363512",
    route: "sid",
    methods: &[QUERY, PUSH],
    shown: &[
        "method",
        "page_no",
        "page_size",
        "start_time",
        "end_time",
        "order_type",
        "status",
        "warehouse_no",
        "stockin_no",
        "src_order_no",
        "outer_no",
        "shop_no",
        "sign_method",
    ],
};

pub struct Wangdiantong {
    gateway: Gateway,
    rules: query::Rules,
    options: Options,
    /// Made when first asked for: most runs are about other systems.
    store: OnceCell<Store>,
    ledger: Ledger,
}

impl Wangdiantong {
    pub fn new(options: &Options) -> Self {
        let own = &options.wangdiantong;
        Self {
            gateway: Gateway::new(options, SCENARIO),
            rules: query::Rules { page_size_limit: own.page_size_limit, invalid_code: own.invalid_code.clone() },
            options: options.clone(),
            store: OnceCell::new(),
            ledger: Ledger::new(own, SHOP_NO),
        }
    }

    fn store(&self) -> &Store {
        self.store.get_or_init(|| Store::new(&self.options))
    }

    fn store_mut(&mut self) -> &mut Store {
        self.store();
        self.store.get_mut().expect("the line above made it")
    }

    fn ask(&mut self, parameters: &Parameters, note: &mut Value, turn: &mut Turn<'_>) -> Result<String, Failure> {
        self.gateway.check(parameters, turn)?;
        if parameters.get("sid") != SID {
            return Err(self.rules.refuse("sid 不存在或未授权"));
        }
        if parameters.operation() == PUSH {
            note["tids"] = tids(parameters);
            let outcome = self.ledger.push(parameters, turn)?;
            note["new"] = json!(outcome.new);
            note["changed"] = json!(outcome.changed);
            return Ok(outcome.json(&qimen::request_id(turn.chance)));
        }
        let query = self.rules.read(parameters)?;
        let (again, intact) = (turn.has(FaultName::PageTwice), turn.faults.leave_the_answer_intact());
        let (now, moves) = (turn.now, turn.has(FaultName::MoveRows));
        let store = self.store_mut();
        if moves {
            store.move_first_row(&query, now);
        }
        let page = store.page(&query, again, intact);
        store.play_script(now);
        note["total_count"] = json!(page.total);
        note["rows"] = json!(page.rows.len());
        Ok(store.answer(&page, &query, &qimen::request_id(turn.chance)))
    }
}

/// The numbers of the trades, which are nobody's secret.
fn tids(parameters: &Parameters) -> Value {
    let list: Vec<Value> = serde_json::from_str(parameters.get("trade_list")).unwrap_or_default();
    Value::Array(list.iter().map(|trade| trade["tid"].clone()).collect())
}

impl System for Wangdiantong {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self, request: &Request) -> bool {
        qimen::claims(&request.path) && Parameters::merge(request).operation().starts_with("wdt.")
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
                let outcome = match &failure.sub {
                    Some((sub_code, _)) if failure.code == 15 => format!("refused:15:{sub_code}"),
                    _ => format!("refused:{}", failure.code),
                };
                Reply::json(failure.json(&id), outcome, note)
            }
        }
    }

    fn throttled(&self, request: &Request, wait_seconds: i64) -> Reply {
        let failure = Failure::throttled(wait_seconds);
        Reply::json(failure.json("16qzthrottled"), "refused:7", Parameters::merge(request).note(SCENARIO.shown))
    }

    fn refused(&self, request: &Request) -> Reply {
        let failure = self.rules.refuse("参数值不合法");
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
            "sid": SID,
            "shop_no": SHOP_NO,
        })
    }

    fn served(&self) -> Option<Value> {
        Some(self.store().served())
    }

    fn held(&self) -> Option<Value> {
        Some(self.ledger.held())
    }

    fn documents(&self) -> Option<Value> {
        Some(self.store().listed())
    }

    fn put_document(&mut self, order: &Value, now: Timestamp) -> Result<Value, String> {
        match Change::read(order, "stockin_no")? {
            Change::Add(body) => Ok(self.store_mut().add(body, now)),
            Change::Alter { key, set, remove } => {
                self.store_mut().alter(&key, &set, &remove, now).ok_or_else(|| format!("no document {key}"))
            }
        }
    }
}
