//! `Submit`, `Audit`, `UnAudit`, `Delete`: Z 暂存, A 创建, B 审核中, C 已审核, D 重新审核.

use serde_json::{Value, json};

use crate::fault::FaultName;
use crate::system::Turn;

use super::answer::{self, Errors, Line, MsgCode, Success};
use super::bill::{Bill, Ledger, Status};
use super::fields;

type Refusal = (MsgCode, String);

pub fn submit(ledger: &mut Ledger, data: &Value, turn: &Turn<'_>) -> Value {
    each(ledger, data, |ledger, fid| {
        change(ledger, fid, |bill| match bill.status {
            Status::A | Status::D if fails_at(turn, "submit") => Err((MsgCode::Invalid, submit_fails(bill))),
            Status::A | Status::D => Ok(Status::B),
            Status::Z => Err(not_operable(bill, "暂存", "提交")),
            Status::B => Err(not_operable(bill, "审核中", "提交")),
            Status::C => Err(not_operable(bill, "已审核", "提交")),
        })
    })
}

pub fn audit(ledger: &mut Ledger, data: &Value, turn: &Turn<'_>) -> Value {
    each(ledger, data, |ledger, fid| {
        change(ledger, fid, |bill| match bill.status {
            Status::B if turn.has(FaultName::AuditFails) => Err((MsgCode::Invalid, audit_fails(bill))),
            Status::B => Ok(Status::C),
            Status::Z => Err(not_operable(bill, "暂存", "审核")),
            Status::A => Err(not_operable(bill, "创建", "审核")),
            Status::C => Err(not_operable(bill, "已审核", "审核")),
            Status::D => Err(not_operable(bill, "重新审核", "审核")),
        })
    })
}

pub fn unaudit(ledger: &mut Ledger, data: &Value) -> Value {
    each(ledger, data, |ledger, fid| {
        change(ledger, fid, |bill| match bill.status {
            Status::C => Ok(Status::D),
            Status::Z | Status::A | Status::B | Status::D => Err(not_operable(bill, "未审核", "反审核")),
        })
    })
}

pub fn delete(ledger: &mut Ledger, data: &Value) -> Value {
    each(ledger, data, |ledger, fid| {
        let Some(bill) = ledger.bill(fid) else { return Ok(()) };
        match bill.status {
            Status::Z | Status::A | Status::D => {
                ledger.delete(fid);
                Ok(())
            }
            Status::B => Err(not_operable(bill, "审核中", "删除")),
            Status::C => Err(not_operable(bill, "已审核", "删除")),
        }
    })
}

/// Submitting and auditing inside a save: moves the bill as far as the ordered fault lets it.
pub fn check_faults(bill: &mut Bill, turn: &Turn<'_>) -> Result<(), Refusal> {
    if fails_at(turn, "submit") {
        return Err((MsgCode::Invalid, submit_fails(bill)));
    }
    if turn.has(FaultName::AuditFails) {
        bill.status = Status::B;
        return Err((MsgCode::Invalid, audit_fails(bill)));
    }
    Ok(())
}

fn fails_at(turn: &Turn<'_>, step: &str) -> bool {
    turn.faults.says(FaultName::AuditFails, step)
}

fn submit_fails(bill: &Bill) -> String {
    format!("单据编号为“{}”的单据提交失败：工作流未启用", bill.number)
}

fn audit_fails(bill: &Bill) -> String {
    format!("单据编号为“{}”的单据审核失败：当前期间已关账", bill.number)
}

fn not_operable(bill: &Bill, state: &str, action: &str) -> Refusal {
    (MsgCode::NotOperable, format!("单据编号为“{}”的单据{state}，不允许{action}", bill.number))
}

fn change(ledger: &mut Ledger, fid: u64, next: impl Fn(&Bill) -> Result<Status, Refusal>) -> Result<(), Refusal> {
    if let Some(bill) = ledger.bill_mut(fid) {
        bill.status = next(bill)?;
    }
    Ok(())
}

/// Runs over `Numbers`, or over `Ids` where there are no numbers.
fn each(ledger: &mut Ledger, data: &Value, action: impl Fn(&mut Ledger, u64) -> Result<(), Refusal>) -> Value {
    let (numbers, ids) = (list(&data["Numbers"]), list(&data["Ids"]));
    if numbers.is_empty() && ids.is_empty() {
        return Errors::one(MsgCode::BadParameter, "", "data数据包中的参数Numbers和Ids的值不能同时为空。", 0).json();
    }
    let wanted: Vec<(String, Option<u64>)> = if numbers.is_empty() {
        let known = |id: &String| id.parse().ok().filter(|fid| ledger.bill(*fid).is_some());
        ids.iter().map(|id| (id.clone(), known(id))).collect()
    } else {
        let known = |number: &String| ledger.by_number(number).map(|bill| bill.fid);
        numbers.iter().map(|number| (number.clone(), known(number))).collect()
    };
    let mut errors = Errors { code: MsgCode::Fine, lines: Vec::new() };
    let mut successes = Vec::new();
    for (index, (name, fid)) in wanted.into_iter().enumerate() {
        let result = match fid {
            None => Err((MsgCode::NotFound, format!("单据“{name}”不存在"))),
            Some(fid) => {
                let number = ledger.bill(fid).map_or_else(String::new, |bill| bill.number.clone());
                action(ledger, fid).map(|()| Success { fid, number, index })
            }
        };
        match result {
            Ok(success) => successes.push(success),
            Err((code, message)) => {
                errors.code = code;
                errors.lines.push(Line { field: String::new(), message, index });
            }
        }
    }
    json!({"Result": {"ResponseStatus": answer::status(&errors, &successes)}})
}

/// An array, or a text with commas.
fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().map(fields::text).collect(),
        Value::Number(number) => vec![number.to_string()],
        Value::String(text) => {
            text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}
