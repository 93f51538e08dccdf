//! The pages by which a test looks behind the scenes and gives orders. Not part of any vendor.
//!
//! ```text
//! GET    served     {"jushuitan_qimen": {"pages": 3, "versions": [{"key": "166", "io_id": "166", "version": 1, "modified": "…",
//!                     "status": "Confirmed", "cancelled": false, "count": 2, "intact": 1, "purpose": "good", "detail": "",
//!                     "body": "…", "first_at": "…"}]}}
//! GET    documents  {"jushuitan_qimen": {"movements_left": 0, "documents": [as above, without count and intact]}}
//! POST   documents  {"body": {…}}, or {"io_id": 166, "set": {…}, "remove": ["…"]}; answers the document
//! GET    held       {"kingdee_k3cloud": {"bills": [{"fid": 100041, "number": "166", "status": "C", "accepted_saves": 1,
//!                     "visible_at": "…", "ignored_fields": [], "model": {…}}],
//!                     "creates": [{"n": 1, "at": "…", "number": "166", "accepted": true, "fid": 100041, "reason": null}],
//!                     "saves": {"166": 1}}}
//! POST   held       {"system": "kingdee_k3cloud", "number": "166", "remove": true}, or "set": {"FDate": "…"} for head
//!                     fields, or "copy_of": "167" for a bill entered by hand; answers the bill, null where it is gone
//! GET    requests   {"total": 9, "counters": [{"system": "…", "operation": "batchsave", "outcome": "ok", "count": 4}]}
//! GET    log        {"total": 9, "requests": [{"n": 1, "at": "…", "system": "…", "operation": "…", "outcome": "…",
//!                     "faults": ["gbk"], "note": {…}}]}
//! GET    fault      {"faults": [{"name": "throttle", "value": 3, "system": "…", "operation": "…", "count": 2, "after": 0}]}
//! POST   fault      one such object; answers the list. DELETE fault: {"name": "…"}, or no body for all
//! POST   clock      {"offset_seconds": 61} or {"offset_ms": 61000}; answers {"offset_ms": 61000, "now": "…"}
//! ```
//!
//! `served`, `documents` and `held` tell of all systems, or with `?system=NAME` of one.
//!
//! The other sources serve and list the same, with their own name of the key (`stockin_no`, `code`) for `io_id`.
//! U8's `versions` are documents that left whole; `heads` are rows of lists. The other targets hold:
//!
//! ```text
//! {"wangdiantong_qimen": {"trades": [{"tid": "…", "number": "…", "shop_no": "…", "accepted_pushes": 1, "first_at": "…",
//!      "last_at": "…", "repeated_oids": [], "trade": {…}}],
//!    "creates": [{"n": 1, "at": "…", "number": "…", "new": true, "changed": false, "accepted": true, "reason": null}],
//!    "pushes": {"…": 1}},
//!  "kingdee_jdy": {"bills": [{"id": "…", "number": "…", "accepted_saves": 1, "first_generation": true, "at": "…",
//!      "visible_at": "…", "ignored_fields": [], "model": {…}, "kept": {…}}],
//!    "creates": [{"n": 1, "at": "…", "number": "…", "accepted": true, "id": "…", "reason": null}], "saves": {"…": 1}}}
//! ```
//!
//! An order to change documents names its `"system"`, Jushuitan where it does not. Of JDY it adds to a table:
//! `{"system": "kingdee_jdy", "table": "material", "number": "…", "name": "…"}`; its `documents` are the tables.
//!
//! `body` is the exact text that a page carried, whatever a fault did to the page afterwards. `count`
//! is how often the version was put into an answer, `intact` how often no fault spoilt, delayed or lost that answer: a
//! version with `intact` 0 may never have reached the client. A refused order is HTTP 400 with `{"error": "…"}`.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::fault::{Fault, FaultName};
use crate::request::Reply;
use crate::server::{Server, Slot, lock};
use crate::system::System;

pub fn answer(server: &Server, method: &Method, page: &str, query: &str, body: &[u8]) -> Reply {
    match answer_or_refuse(server, method, page, query, body) {
        Ok(value) => Reply::json(value.to_string(), "ok", Value::Null),
        Err(refusal) => {
            let text = json!({"error": refusal.text}).to_string();
            Reply { status: refusal.status, ..Reply::json(text, "refused", Value::Null) }
        }
    }
}

struct Refusal {
    status: u16,
    text: String,
}

impl Refusal {
    fn bad(text: impl ToString) -> Self {
        Self { status: 400, text: text.to_string() }
    }
}

fn answer_or_refuse(server: &Server, method: &Method, page: &str, query: &str, body: &[u8]) -> Result<Value, Refusal> {
    let wanted = query.strip_prefix("system=");
    match (method.as_str(), page) {
        ("GET", "served") => Ok(of_each(server, wanted, |system| system.served())),
        ("GET", "held") => Ok(of_each(server, wanted, |system| system.held())),
        ("POST", "held") => {
            let order = parse(body)?;
            let slot = slot(server, order["system"].as_str().unwrap_or("kingdee_k3cloud"))?;
            lock(&slot.system).put_bill(&order, server.clock.now()).map_err(Refusal::bad)
        }
        ("GET", "documents") => Ok(of_each(server, wanted, |system| system.documents())),
        ("GET", "requests") => Ok(lock(&server.journal).counters()),
        ("GET", "log") => Ok(lock(&server.journal).last()),
        ("GET", "fault") => Ok(json!({"faults": lock(&server.faults).orders()})),
        ("POST", "fault") => {
            let fault: Fault = serde_json::from_slice(body).map_err(Refusal::bad)?;
            lock(&server.faults).add(fault);
            Ok(json!({"faults": lock(&server.faults).orders()}))
        }
        ("DELETE", "fault") => {
            let name = match body {
                [] => None,
                body => Some(fault_name(&parse(body)?)?),
            };
            lock(&server.faults).clear(name);
            Ok(json!({"faults": lock(&server.faults).orders()}))
        }
        ("POST", "clock") => {
            let order = parse(body)?;
            let offset_ms = match (&order["offset_ms"], &order["offset_seconds"]) {
                (Value::Number(ms), Value::Null) => ms.as_i64(),
                (Value::Null, Value::Number(seconds)) => seconds.as_i64().and_then(|seconds| seconds.checked_mul(1000)),
                _ => None,
            };
            let offset_ms =
                offset_ms.ok_or_else(|| Refusal::bad("give offset_ms or offset_seconds, a whole number"))?;
            server.clock.set_offset_ms(offset_ms);
            Ok(json!({"offset_ms": offset_ms, "now": server.clock.now().to_string()}))
        }
        ("POST", "documents") => {
            let order = parse(body)?;
            let slot = slot(server, order["system"].as_str().unwrap_or("jushuitan_qimen"))?;
            lock(&slot.system).put_document(&order, server.clock.now()).map_err(Refusal::bad)
        }
        _ => Err(Refusal { status: 404, text: format!("no page {method} {page}") }),
    }
}

fn slot<'a>(server: &'a Server, wanted: &str) -> Result<&'a Slot, Refusal> {
    let found = server.slots.iter().find(|slot| slot.name == wanted);
    found.ok_or_else(|| Refusal::bad(format!("no system {wanted}")))
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(Refusal::bad)
}

fn fault_name(order: &Value) -> Result<FaultName, Refusal> {
    serde_json::from_value(order["name"].clone()).map_err(Refusal::bad)
}

/// What each system has to say, or the one that is wanted, under its name; those with nothing to say are left out.
fn of_each(server: &Server, wanted: Option<&str>, ask: impl Fn(&dyn System) -> Option<Value>) -> Value {
    let mut all = Map::new();
    for slot in server.slots.iter().filter(|slot| wanted.is_none_or(|wanted| wanted == slot.name)) {
        if let Some(value) = ask(lock(&slot.system).as_ref()) {
            all.insert(slot.name.to_owned(), value);
        }
    }
    Value::Object(all)
}
