//! 金蝶云星辰 (Kingdee JDY): stock-take gains and the tables they refer to, behind the vendor's common gateway.
//!
//! Two generations live side by side: `/jdy/…` (POST, names without underscores) and `/jdy/v2/…` (GET for reading). Both
//! write the same bills and read the same tables; a bill refers to everything by internal id. The signature is checked as
//! the vendor signs, every part of the query encoded twice.

mod access;
mod answer;
mod bills;
mod settings;
mod sign;
mod tables;

use jiff::Timestamp;
use jiff::civil::Date;
use rand::Rng as _;
use serde_json::{Map, Value, json};

use crate::Options;
use crate::fault::FaultName;
use crate::request::{Reply, Request};
use crate::system::{System, Turn};
use crate::time;

use access::{Access, parameter};
use answer::{Failure, success};
use bills::{Ledger, Query, text};
use tables::{Table, Tables};

pub use settings::{Envelope, FirstAuth, JdyOptions};

const NAME: &str = "kingdee_jdy";
const PAGE_SIZE: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Authorize,
    Token,
    Save,
    Bills,
    Bill,
    List(Table),
}

/// What a path means, and whether it is of the first generation.
#[derive(Debug, Clone, Copy)]
struct Route {
    method: &'static str,
    path: &'static str,
    operation: Operation,
    name: &'static str,
    first: bool,
}

const fn route(
    method: &'static str,
    path: &'static str,
    operation: Operation,
    name: &'static str,
    first: bool,
) -> Route {
    Route { method, path, operation, name, first }
}

const ROUTES: &[Route] = &[
    route("POST", "/jdyconnector/app_management/push_app_authorize", Operation::Authorize, "push_app_authorize", false),
    route("GET", "/jdyconnector/app_management/kingdee_auth_token", Operation::Token, "kingdee_auth_token", false),
    route("POST", "/jdy/inv/inv_check_gain_bill_save", Operation::Save, "inv_check_gain_bill_save", true),
    route("POST", "/jdy/inv/inv_check_gain_bill_list", Operation::Bills, "inv_check_gain_bill_list", true),
    route("POST", "/jdy/inv/inv_check_gain_bill_detail", Operation::Bill, "inv_check_gain_bill_detail", true),
    route("POST", "/jdy/basedata/material_list", Operation::List(Table::Material), "material_list", true),
    route("POST", "/jdy/basedata/store_list", Operation::List(Table::Stock), "store_list", true),
    route("POST", "/jdy/basedata/measure_unit_list", Operation::List(Table::Unit), "measure_unit_list", true),
    // The vendor's own spelling: gail.
    route("POST", "/jdy/v2/scm/inv_check_gail_bill", Operation::Save, "inv_check_gain_bill_save", false),
    route("GET", "/jdy/v2/scm/inv_check_gail_bill", Operation::Bills, "inv_check_gain_bill_list", false),
    route("GET", "/jdy/v2/scm/inv_check_gail_bill_detail", Operation::Bill, "inv_check_gain_bill_detail", false),
    route("GET", "/jdy/v2/bd/material", Operation::List(Table::Material), "material_list", false),
    route("GET", "/jdy/v2/bd/store", Operation::List(Table::Stock), "store_list", false),
    route("GET", "/jdy/v2/bd/measure_unit", Operation::List(Table::Unit), "measure_unit_list", false),
];

fn find_route(request: &Request) -> Option<Route> {
    ROUTES.iter().find(|route| route.path == request.path && route.method == request.method).copied()
}

pub struct Jdy {
    options: JdyOptions,
    access: Access,
    ledger: Ledger,
    tables: Tables,
}

impl Jdy {
    pub fn new(options: &Options) -> Self {
        Self {
            options: options.jdy.clone(),
            access: Access::new(options),
            ledger: Ledger::new(&options.jdy, options.quantity_limit),
            tables: if options.jdy.empty_tables { Tables::empty() } else { Tables::default() },
        }
    }

    fn ask(
        &mut self,
        request: &Request,
        route: Option<Route>,
        note: &mut Value,
        turn: &mut Turn<'_>,
    ) -> Result<Value, Failure> {
        let Some(route) = route else {
            return Err(Failure::gateway(5001, "API not found[GW]", "请求的API不存在[网关]"));
        };
        if turn.has(FaultName::RotateSecret) {
            self.access.rotate();
        }
        self.access.check_signature(request, turn.judged_by)?;
        match route.operation {
            Operation::Authorize => return self.access.authorize(request, turn),
            Operation::Token => return self.access.give_token(request, turn),
            _ => self.access.check_token(request, route.first, turn)?,
        }
        let body: Value = if request.body.is_empty() {
            json!({})
        } else {
            let code = self.options.business_code;
            serde_json::from_slice(&request.body).map_err(|_| Failure::business(code, "请求体不是合法的JSON"))?
        };
        // The first generation asks in the body, the second in the query.
        let asked = |first_name: &str, second_name: &str| {
            if route.first { text(&body, first_name) } else { parameter(request, second_name) }
        };
        if turn.has(FaultName::MoveRows) {
            match route.operation {
                Operation::Bills => self.ledger.add_foreign(turn.now),
                Operation::List(table) => self.tables.add_first(table),
                Operation::Authorize | Operation::Token | Operation::Save | Operation::Bill => {}
            }
        }
        match route.operation {
            Operation::Save => {
                *note = json!({"billno": body["billno"], "remark": body["remark"]});
                let (id, number) = self.ledger.save(&body, route.first, &self.tables, turn)?;
                note["id"] = json!(id);
                Ok(if self.answers_as_first(Some(route)) {
                    json!({"id": id, "billno": number})
                } else {
                    json!({"ids": [id], "id_number_map": Map::from_iter([(id.clone(), json!(number))])})
                })
            }
            Operation::Bills => {
                let query = Query {
                    search: asked("search", "search"),
                    from: self.day(&asked("startbilldate", "start_bill_date"))?,
                    to: self.day(&asked("endbilldate", "end_bill_date"))?,
                    status: asked("billstatus", "bill_status"),
                };
                *note = json!({"search": query.search});
                let found = self.ledger.find(&query, turn.now);
                let rows: Vec<_> = found.iter().map(|bill| bill.row(route.first)).collect();
                self.page(rows, &asked("page", "page"), &asked("pagesize", "page_size"), route.first)
            }
            Operation::Bill => {
                let found = self.ledger.one(&asked("id", "id"), &asked("billno", "number"), turn.now);
                let found = found.ok_or_else(|| Failure::business(self.options.business_code, "单据不存在"))?;
                Ok(found.detail(route.first))
            }
            Operation::List(table) => {
                let search = asked("search", "search");
                let matching = self.tables.list(table).iter();
                let matching = matching.filter(|entry| entry.number.contains(&search) || entry.name.contains(&search));
                let rows = matching.map(|entry| entry.json(route.first)).collect();
                self.page(rows, &asked("page", "page"), &asked("pagesize", "page_size"), route.first)
            }
            Operation::Authorize | Operation::Token => Ok(Value::Null),
        }
    }

    /// -1 is the first generation's way of asking for no filter.
    fn day(&self, text: &str) -> Result<Option<Date>, Failure> {
        match text {
            "" | "-1" => Ok(None),
            text => match time::parse_date(text) {
                Some(day) => Ok(Some(day)),
                None => Err(Failure::business(self.options.business_code, &format!("日期格式不正确：{text}"))),
            },
        }
    }

    fn page(&self, rows: Vec<Value>, page: &str, page_size: &str, first: bool) -> Result<Value, Failure> {
        let number = |text: &str, default: usize| match text {
            "" => Ok(default),
            text => match text.parse::<usize>() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(Failure::business(self.options.business_code, &format!("分页参数不正确：{text}"))),
            },
        };
        let page = number(page, 1)?;
        let size = number(page_size, PAGE_SIZE)?.min(self.options.page_size_limit);
        let (count, pages) = (rows.len(), rows.len().div_ceil(size));
        let rows: Vec<_> = rows.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
        let shown = rows.len();
        Ok(if first {
            json!({
                "page": page, "pagesize": size, "currentpagesize": shown, "count": count, "totalpage": pages, "rows": rows,
            })
        } else {
            json!({
                "page": page, "page_size": size, "current_page_size": shown, "count": count, "total_page": pages,
                "rows": rows,
            })
        })
    }

    fn answers_as_first(&self, route: Option<Route>) -> bool {
        self.options.envelope == Envelope::ByPath && route.is_some_and(|route| route.first)
    }

    fn reply(&self, result: Result<Value, Failure>, route: Option<Route>, note: Value) -> Reply {
        let first = self.answers_as_first(route);
        match result {
            Ok(data) => Reply::json(success(first, data).to_string(), "ok", note),
            Err(failure) => {
                let reply = Reply::json(failure.json(first).to_string(), format!("refused:{}", failure.code), note);
                Reply { status: failure.status, ..reply }
            }
        }
    }
}

impl System for Jdy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self, request: &Request) -> bool {
        request.path.starts_with("/jdy/") || request.path.starts_with("/jdyconnector/")
    }

    fn operation(&self, request: &Request) -> String {
        find_route(request).map_or("unknown", |route| route.name).to_owned()
    }

    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Reply {
        let route = find_route(request);
        let mut note = Value::Null;
        let result = self.ask(request, route, &mut note, turn);
        let mut reply = self.reply(result, route, note);
        reply.headers.push(("x-api-requestid", format!("{:016x}", turn.chance.random::<u64>())));
        reply
    }

    /// No source has the vendor's words for it.
    fn throttled(&self, request: &Request, wait_seconds: i64) -> Reply {
        let english = format!("Too many requests, retry after {wait_seconds}s[GW]");
        let failure = Failure::gateway(4029, &english, "请求过于频繁，请稍后再试[网关]");
        self.reply(Err(failure), find_route(request), Value::Null)
    }

    fn refused(&self, request: &Request) -> Reply {
        let failure = Failure::business(self.options.business_code, "业务处理失败");
        self.reply(Err(failure), find_route(request), Value::Null)
    }

    fn secrets(&self) -> Vec<String> {
        self.access.secrets()
    }

    fn ready(&self, origin: &str) -> Value {
        json!({
            "base_url": format!("{origin}/"),
            "client_id": access::CLIENT_ID,
            "client_secret": access::CLIENT_SECRET,
            "outer_instance_id": access::OUTER_INSTANCE_ID,
            "app_key": access::APP_KEY,
            "account_id": access::ACCOUNT_ID,
            "group_name": access::GROUP_NAME,
            "domain": access::DOMAIN,
        })
    }

    fn held(&self) -> Option<Value> {
        Some(self.ledger.held())
    }

    /// The tables: they are what a source's documents have to fit.
    fn documents(&self) -> Option<Value> {
        Some(self.tables.all())
    }

    /// A new entry of a table: `{"table": "material", "number": "…", "name": "…"}`.
    fn put_document(&mut self, order: &Value, _now: Timestamp) -> Result<Value, String> {
        let table = order["table"].as_str().and_then(Table::named).ok_or("table is none of material, stock, unit")?;
        let (number, name) = (text(order, "number"), text(order, "name"));
        if number.is_empty() || name.is_empty() {
            return Err("give number and name".to_owned());
        }
        Ok(self.tables.add(table, &number, &name))
    }
}
