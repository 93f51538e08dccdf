//! 金蝶云星空 (Kingdee K3Cloud): the WebAPI of one account set, with the form `SAL_OUTSTOCK`.
//!
//! `body.rs` reads the five shapes a request may have, `session.rs` decides who is asking, `save.rs` and `states.rs`
//! change bills, `query.rs` reads them. A field that the form does not have is not stored, as in life: it is listed
//! under `ignored_fields` of the bill, and a required field spelt wrongly counts as missing.

mod answer;
mod bill;
mod body;
mod fields;
mod filter;
mod query;
mod save;
mod session;
mod sign;
mod states;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Options;
use crate::fault::FaultName;
use crate::request::{Reply, Request};
use crate::system::{System, Turn};

use answer::{Errors, MsgCode};
use bill::Ledger;
pub(crate) use body::Call;
use session::{Sessions, Standing};

pub use save::REFUSED_CUSTOMERS;
pub(crate) use session::APP_SECRET;
pub(crate) use sign::logins;

const NAME: &str = "kingdee_k3cloud";
const FORM: &str = "SAL_OUTSTOCK";
const ROOT: &str = "/k3cloud/";
const SERVICE_END: &str = ".common.kdsvc";
const AUTH: &str = "kingdee.bos.webapi.servicesstub.authservice.";
const DYNAMIC: &str = "kingdee.bos.webapi.servicesstub.dynamicformservice.";

pub struct K3Cloud {
    sessions: Sessions,
    ledger: Ledger,
    rules: save::Rules,
    query_limit: usize,
}

impl K3Cloud {
    pub fn new(options: &Options) -> Self {
        Self {
            sessions: Sessions::new(options),
            ledger: Ledger::default(),
            rules: save::Rules::new(options),
            query_limit: options.query_limit,
        }
    }

    fn business(&mut self, operation: &str, call: &Call, turn: &mut Turn<'_>) -> (Value, Value) {
        let data = match call.data() {
            Ok(data) => data,
            Err(text) => return (Errors::one(MsgCode::Exception, "", &text, 0).json(), Value::Null),
        };
        let form = match operation {
            "executebillquery" | "billquery" => data["FormId"].as_str().unwrap_or_default().to_owned(),
            _ => call.form_id(),
        };
        let note = note(&form, operation, &data);
        if let Some(errors) = check_form(&form) {
            return (errors.json(), note);
        }
        if turn.has(FaultName::RecordLocked) {
            let text = "该单据已被其他用户修改，请刷新后重试";
            return (Errors::one(MsgCode::Locked, "", text, 0).json(), note);
        }
        let answer = match operation {
            "save" | "draft" | "batchsave" => {
                let how = save::How { draft: operation == "draft", batch: operation == "batchsave" };
                save::save(&mut self.ledger, &self.rules, &data, how, turn)
            }
            "submit" => states::submit(&mut self.ledger, &data, turn),
            "audit" => states::audit(&mut self.ledger, &data, turn),
            "unaudit" => states::unaudit(&mut self.ledger, &data),
            "delete" => states::delete(&mut self.ledger, &data),
            "view" => query::view(&self.ledger, &data, turn.now),
            "executebillquery" => query::rows(&self.ledger, &data, self.query_limit, turn.now),
            "billquery" => query::objects(&self.ledger, &data, self.query_limit, turn.now),
            _ => Errors::one(MsgCode::Exception, "", &format!("服务方法{operation}不存在"), 0).json(),
        };
        (answer, note)
    }
}

fn check_form(form: &str) -> Option<Errors> {
    match form {
        "" => Some(Errors::one(MsgCode::FormIdEmpty, "", "业务对象标识FormId不能为空", 0)),
        FORM => None,
        other => {
            let text = format!("标识为“{other}”的业务对象不存在，或者被删除。");
            Some(Errors::one(MsgCode::Exception, "", &text, 0))
        }
    }
}

/// Form, bill numbers and filter: enough to follow a story in the log.
fn note(form: &str, operation: &str, data: &Value) -> Value {
    let models = match &data["Model"] {
        Value::Array(models) => models.clone(),
        Value::Object(_) => vec![data["Model"].clone()],
        _ => Vec::new(),
    };
    let numbers: Vec<_> = models.iter().map(|model| model["FBillNo"].clone()).collect();
    match operation {
        "save" | "draft" | "batchsave" => json!({"form": form, "bills": numbers}),
        "executebillquery" | "billquery" => {
            json!({"form": form, "filter": data["FilterString"], "start_row": data["StartRow"], "limit": data["Limit"]})
        }
        _ => json!({"form": form, "numbers": data["Numbers"], "ids": data["Ids"], "number": data["Number"]}),
    }
}

/// The service's name without namespace, lower-case, and whether it is one of logging in.
fn service(path: &str) -> Option<(String, bool)> {
    let rest = path.get(ROOT.len()..)?.to_ascii_lowercase();
    let name = rest.strip_suffix(SERVICE_END)?;
    if let Some(method) = name.strip_prefix(AUTH) {
        return Some((method.to_owned(), true));
    }
    name.strip_prefix(DYNAMIC).map(|method| (method.to_owned(), false))
}

/// Queries wrap an error in two arrays, as they would wrap a row.
fn wrap(operation: &str, answer: Value) -> Value {
    if operation == "executebillquery" && answer.is_object() { json!([[answer]]) } else { answer }
}

fn outcome(answer: &Value) -> String {
    let status = answer.pointer("/Result/ResponseStatus").or_else(|| answer.pointer("/0/0/Result/ResponseStatus"));
    match status {
        Some(status) if status["IsSuccess"] == json!(false) => {
            let saved = status["SuccessEntitys"].as_array().is_some_and(|list| !list.is_empty());
            format!("{}:{}", if saved { "partly" } else { "refused" }, status["MsgCode"])
        }
        _ => "ok".to_owned(),
    }
}

impl System for K3Cloud {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self, request: &Request) -> bool {
        request.path.get(..ROOT.len()).is_some_and(|start| start.eq_ignore_ascii_case(ROOT))
    }

    fn operation(&self, request: &Request) -> String {
        service(&request.path).map_or_else(|| "unknown".to_owned(), |(name, _)| name)
    }

    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Reply {
        let Some((operation, logs_in)) = service(&request.path) else {
            return Reply::text(404, "The service was not found.", "unknown_service");
        };
        let call = match Call::read(&request.body) {
            Ok(call) => call,
            Err(text) => return Reply::text(500, text, "unreadable_request"),
        };
        if turn.has(FaultName::RotateSecret) {
            self.sessions.rotate();
        }
        if logs_in {
            return self.sessions.log_in(&operation, &call, turn);
        }
        if turn.has(FaultName::ExpireSession) {
            self.sessions.end_all();
        }
        let mut headers = Vec::new();
        match self.sessions.standing(request, turn) {
            _ if turn.has(FaultName::SessionLost) => {
                return lost(&operation);
            }
            Standing::Known => {}
            Standing::Renewed(session) => headers = session::headers(&session),
            Standing::Lost => return lost(&operation),
            Standing::WrongAccount => {
                return Reply::text(500, "Fail to verify thirty passport: AcctID", "refused:account");
            }
        }
        let (answer, note) = self.business(&operation, &call, turn);
        let answer = wrap(&operation, answer);
        let outcome = outcome(&answer);
        Reply { headers, ..Reply::json(answer.to_string(), outcome, note) }
    }

    fn throttled(&self, request: &Request, _wait_seconds: i64) -> Reply {
        let operation = self.operation(request);
        let answer = Errors::one(MsgCode::CallLimit, "", "接口调用超过次数限制，请稍后再试", 0).json();
        Reply::json(wrap(&operation, answer).to_string(), "refused:14", Value::Null)
    }

    fn refused(&self, request: &Request) -> Reply {
        let operation = self.operation(request);
        let answer = Errors::one(MsgCode::BadParameter, "", "数据包不合法", 0).json();
        Reply::json(wrap(&operation, answer).to_string(), "refused:8", Value::Null)
    }

    fn secrets(&self) -> Vec<String> {
        self.sessions.secrets()
    }

    fn ready(&self, origin: &str) -> Value {
        json!({
            "base_url": format!("{origin}{ROOT}"),
            "acct_id": session::ACCT_ID,
            "user_name": session::USER_NAME,
            "password": session::PASSWORD,
            "app_id": session::APP_ID,
            "app_secret": session::APP_SECRET,
            "lcid": session::LCID,
            "org_num": "100",
        })
    }

    fn put_bill(&mut self, order: &Value, now: Timestamp) -> Result<Value, String> {
        let number = order["number"].as_str().ok_or("number is missing")?.to_owned();
        if let Some(original) = order["copy_of"].as_str() {
            let mut bill = self.ledger.by_number(original).cloned().ok_or_else(|| format!("no bill {original}"))?;
            (bill.number, bill.fid, bill.visible_at) = (number, self.ledger.new_fid(), now);
            for row in &mut bill.rows {
                row.entry_id = self.ledger.new_entry_id();
            }
            let model = bill.model();
            self.ledger.enter(bill);
            return Ok(model);
        }
        let fid = self.ledger.by_number(&number).map(|bill| bill.fid).ok_or_else(|| format!("no bill {number}"))?;
        if order["remove"] == json!(true) {
            self.ledger.delete(fid);
            return Ok(Value::Null);
        }
        let set = order["set"].as_object().ok_or("give remove, set or copy_of")?;
        let bill = self.ledger.bill_mut(fid).ok_or("the bill is gone")?;
        bill.head.extend(set.clone());
        Ok(bill.model())
    }

    fn held(&self) -> Option<Value> {
        Some(self.ledger.held())
    }
}

fn lost(operation: &str) -> Reply {
    let answer = Errors::one(MsgCode::SessionLost, "", "会话信息已丢失，请重新登录", 0).json();
    Reply::json(wrap(operation, answer).to_string(), "refused:1", Value::Null)
}
