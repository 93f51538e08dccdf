//! `Save`, `BatchSave` and `Draft`. Each packet stands for itself: one that is refused leaves the others alone.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::Options;
use crate::fault::FaultName;
use crate::system::Turn;

use super::answer::{self, Errors, Line, MsgCode, Success};
use super::bill::{Bill, Ledger, Row, Status};
use super::fields::{self, ENTRY, HEAD, SUB_HEAD, Table};
use super::states;

/// Customers that do not exist here. Everybody else does.
pub const REFUSED_CUSTOMERS: &[&str] = &[crate::jushuitan_qimen::UNKNOWN_CUSTOMER, "NOCUST02"];

#[derive(Debug)]
pub struct Rules {
    batch_limit: Option<usize>,
    strict_required: bool,
    quantity_limit: Decimal,
    allow_duplicate_numbers: bool,
    pub stock_is_short: bool,
}

impl Rules {
    pub fn new(options: &Options) -> Self {
        Self {
            batch_limit: options.batch_limit,
            strict_required: options.strict_required,
            quantity_limit: Decimal::from(options.quantity_limit),
            allow_duplicate_numbers: options.allow_duplicate_numbers,
            stock_is_short: options.stock_is_short,
        }
    }
}

/// Which of the three operations.
#[derive(Debug, Clone, Copy)]
pub struct How {
    pub draft: bool,
    pub batch: bool,
}

/// The packet-wide parameters that matter here.
struct Settings {
    delete_entry: bool,
    validate: bool,
    submit_and_audit: bool,
    accepts_short_stock: bool,
    update_only: BTreeSet<String>,
}

impl Settings {
    fn read(data: &Value) -> Self {
        let flag = |name: &str, default| fields::boolean(&data[name]).unwrap_or(default);
        let interactions = data["InterationFlags"].as_str().unwrap_or_default();
        let update_only = data["NeedUpDateFields"].as_array().into_iter().flatten();
        Self {
            delete_entry: flag("IsDeleteEntry", true),
            validate: flag("ValidateFlag", true),
            submit_and_audit: flag("IsAutoSubmitAndAudit", false),
            accepts_short_stock: interactions.split(';').any(|name| name == "STK_InvCheckResult"),
            update_only: update_only.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

type Refusal = (MsgCode, Vec<(String, String)>);

fn refusal(code: MsgCode, field: &str, message: impl Into<String>) -> Refusal {
    (code, vec![(field.to_owned(), message.into())])
}

pub fn save(ledger: &mut Ledger, rules: &Rules, data: &Value, how: How, turn: &Turn<'_>) -> Value {
    let models: Vec<&Value> = match (&data["Model"], how.batch) {
        (Value::Array(models), true) if !models.is_empty() => models.iter().collect(),
        (model @ Value::Object(_), false) => vec![model],
        _ => return Errors::one(MsgCode::BadParameter, "", "data数据包中的参数Model的值不能为空。", 0).json(),
    };
    if rules.batch_limit.is_some_and(|limit| models.len() > limit) {
        return Errors::one(MsgCode::BadParameter, "", "批量保存的单据数量超过上限", 0).json();
    }
    let repeats_count = fields::boolean(&data["ValidateRepeatJson"]).unwrap_or(false);
    if repeats_count && !ledger.is_new_packet(&data["Model"].to_string()) {
        return Errors::one(MsgCode::Invalid, "", "数据包重复提交", 0).json();
    }

    let settings = Settings::read(data);
    let every = |name, index: usize| turn.faults.number(name, 2).is_some_and(|k| k > 0 && (index as i64 + 1) % k == 0);
    let mut errors = Errors { code: MsgCode::Fine, lines: Vec::new() };
    let mut successes = Vec::new();
    let mut returned = Vec::new();
    for (index, model) in models.into_iter().enumerate() {
        let saved = if every(FaultName::RefuseEvery, index) {
            note_create(ledger, model, turn.now, Err("fault:refuse_every"));
            Err(refusal(MsgCode::Exception, "", "系统繁忙，单据保存失败"))
        } else {
            save_one(ledger, rules, model, &settings, how.draft, turn)
        };
        let finished = saved.and_then(|fid| finish(ledger, rules, fid, &settings, how.draft, turn).map(|()| fid));
        if every(FaultName::Unmentioned, index) {
            returned.push(json!({}));
            continue;
        }
        match finished {
            Ok(fid) => {
                let number = ledger.bill(fid).map_or_else(String::new, |bill| bill.number.clone());
                returned.push(need_return(data, fid, &number));
                successes.push(Success { fid, number, index });
            }
            Err((code, lines)) => {
                returned.push(json!({}));
                errors.code = code;
                errors.lines.extend(lines.into_iter().map(|(field, message)| Line { field, message, index }));
            }
        }
    }
    let mut result = json!({"ResponseStatus": answer::status(&errors, &successes)});
    if !how.batch {
        result["Id"] = successes.first().map_or(json!(""), |success| json!(success.fid));
        result["Number"] = successes.first().map_or(json!(""), |success| json!(success.number));
    }
    result["NeedReturnData"] = Value::Array(returned);
    json!({"Result": result})
}

/// Only head fields can be asked back here.
fn need_return(data: &Value, fid: u64, number: &str) -> Value {
    let wanted = data["NeedReturnFields"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let known = wanted.filter_map(|name| match name {
        "FID" => Some((name.to_owned(), json!(fid))),
        "FBillNo" => Some((name.to_owned(), json!(number))),
        _ => None,
    });
    Value::Object(known.collect())
}

/// Submit and audit in the same call. A failure here leaves the bill saved, and the answer speaks only of the error.
fn finish(
    ledger: &mut Ledger,
    rules: &Rules,
    fid: u64,
    settings: &Settings,
    draft: bool,
    turn: &Turn<'_>,
) -> Result<(), Refusal> {
    if draft || !settings.submit_and_audit {
        return Ok(());
    }
    let Some(bill) = ledger.bill_mut(fid) else { return Ok(()) };
    states::check_faults(bill, turn).map_err(|(code, text)| refusal(code, "", text))?;
    bill.status = Status::B;
    if rules.stock_is_short && !settings.accepts_short_stock {
        return Err(refusal(MsgCode::Invalid, "", "审核失败：更新库存时出现负库存"));
    }
    bill.status = Status::C;
    Ok(())
}

fn note_create(ledger: &mut Ledger, model: &Value, now: Timestamp, result: Result<u64, &str>) {
    let creates = matches!(fid_of(model), Ok(None));
    if creates {
        ledger.note_create(now, &fields::text(&model["FBillNo"]), result);
    }
}

fn save_one(
    ledger: &mut Ledger,
    rules: &Rules,
    model: &Value,
    settings: &Settings,
    draft: bool,
    turn: &Turn<'_>,
) -> Result<u64, Refusal> {
    let result = prepare(ledger, rules, model, settings, draft, turn);
    match result {
        Ok(bill) => {
            let fid = bill.fid;
            if fid_of(model) == Ok(None) {
                ledger.note_create(turn.now, &bill.number, Ok(fid));
            }
            ledger.accept(bill);
            Ok(fid)
        }
        Err((code, lines)) => {
            let reason = lines.first().map_or("", |(_, message)| message.as_str()).to_owned();
            note_create(ledger, model, turn.now, Err(&reason));
            Err((code, lines))
        }
    }
}

/// `None` for a new bill: no id, null, or 0.
fn fid_of(model: &Value) -> Result<Option<u64>, Refusal> {
    match &model["FID"] {
        Value::Null => Ok(None),
        value => match fields::text(value).parse::<u64>() {
            Ok(0) => Ok(None),
            Ok(fid) => Ok(Some(fid)),
            Err(_) => Err(refusal(MsgCode::Exception, "FID", "字段[FID]的值不是有效的数字")),
        },
    }
}

/// The bill as it would be after the save. Changes nothing but the counters of ids.
fn prepare(
    ledger: &mut Ledger,
    rules: &Rules,
    model: &Value,
    settings: &Settings,
    draft: bool,
    turn: &Turn<'_>,
) -> Result<Bill, Refusal> {
    let Some(packet) = model.as_object() else {
        return Err(refusal(MsgCode::Exception, "", "Model中的单据不是JSON对象"));
    };
    let before = match fid_of(model)? {
        None => None,
        Some(fid) => match ledger.bill(fid) {
            None => return Err(refusal(MsgCode::NotFound, "FID", format!("内码为{fid}的单据不存在"))),
            Some(bill) => Some(bill.clone()),
        },
    };
    if let Some(bill) = &before {
        match bill.status {
            Status::C => return Err(refusal(MsgCode::NotOperable, "", "单据已审核，不允许修改")),
            Status::B => return Err(refusal(MsgCode::NotOperable, "", "单据审核中，不允许修改")),
            Status::Z | Status::A | Status::D => {}
        }
    }
    let mut bill = match before {
        Some(bill) => bill,
        None => Bill {
            fid: ledger.new_fid(),
            number: String::new(),
            status: Status::Z,
            head: Map::new(),
            sub_head: Map::new(),
            rows: Vec::new(),
            visible_at: turn.now,
            ignored: BTreeSet::new(),
        },
    };
    let update = !bill.number.is_empty();
    apply(ledger, &mut bill, packet, settings, update)?;

    if bill.number.is_empty() {
        bill.number = format!("XSCKD{:06}", bill.fid);
    }
    if !draft && settings.validate {
        check_required(&bill, rules)?;
    }
    check_values(&bill, rules)?;
    let taken = ledger.by_number(&bill.number).is_some_and(|other| other.fid != bill.fid);
    if taken && !rules.allow_duplicate_numbers {
        let text = format!("违反字段唯一性要求：编码唯一。[{}]在当前系统中已经被使用。", bill.number);
        return Err(refusal(MsgCode::Invalid, "FBillNo", text));
    }
    bill.status = match (draft, bill.status) {
        (true, Status::Z) => Status::Z,
        (_, Status::D) => Status::D,
        _ => Status::A,
    };
    if let Some(delay_ms) = turn.faults.number(FaultName::ShowLate, 1000) {
        bill.visible_at = turn.now.checked_add(SignedDuration::from_millis(delay_ms)).unwrap_or(turn.now);
    }
    Ok(bill)
}

/// Puts the packet's fields over the bill's.
fn apply(
    ledger: &mut Ledger,
    bill: &mut Bill,
    packet: &Map<String, Value>,
    settings: &Settings,
    update: bool,
) -> Result<(), Refusal> {
    let may_change = |names: &[&str]| {
        !update || settings.update_only.is_empty() || names.iter().any(|name| settings.update_only.contains(*name))
    };
    for (name, value) in packet {
        match name.as_str() {
            "FID" | "FEntity" | "SubHeadEntity" => {}
            "FBillNo" => {
                let number = fields::accept(name, fields::Kind::Text, value).map_err(type_error(name))?;
                let number = number.as_ref().map(fields::text).filter(|number| !number.is_empty());
                if let Some(number) = number.filter(|_| may_change(&["FBillNo"])) {
                    bill.number = number;
                }
            }
            _ if may_change(&[name]) => take(&mut bill.head, &mut bill.ignored, HEAD, "", name, value)?,
            _ => {}
        }
    }
    match packet.get("SubHeadEntity") {
        None | Some(Value::Null) => {}
        Some(Value::Object(sub_head)) => {
            for (name, value) in sub_head {
                if may_change(&["SubHeadEntity", name]) {
                    take(&mut bill.sub_head, &mut bill.ignored, SUB_HEAD, "SubHeadEntity.", name, value)?;
                }
            }
        }
        Some(_) => return Err(refusal(MsgCode::Exception, "SubHeadEntity", "字段[SubHeadEntity]的值必须是字典类型")),
    }
    let rows = match packet.get("FEntity") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(rows)) => rows,
        Some(_) => return Err(refusal(MsgCode::Exception, "FEntity", "字段[FEntity]的值必须是数组")),
    };
    if may_change(&["FEntity"]) {
        apply_rows(ledger, bill, rows, settings, &may_change)?;
    }
    Ok(())
}

fn apply_rows(
    ledger: &mut Ledger,
    bill: &mut Bill,
    rows: &[Value],
    settings: &Settings,
    may_change: &dyn Fn(&[&str]) -> bool,
) -> Result<(), Refusal> {
    let mut kept = Vec::new();
    for row in rows {
        let Some(packet) = row.as_object() else {
            return Err(refusal(MsgCode::Exception, "FEntity", "单据体的分录不是JSON对象"));
        };
        let entry_id = match packet.get("FEntryID") {
            None | Some(Value::Null) => 0,
            Some(value) => fields::text(value).parse().unwrap_or(0),
        };
        let known = bill.rows.iter().find(|row| row.entry_id == entry_id).cloned();
        if entry_id > 0 && known.is_none() {
            return Err(refusal(MsgCode::NotFound, "FEntryID", format!("内码为{entry_id}的分录不存在")));
        }
        let is_new = known.is_none();
        let mut row = known.unwrap_or_else(|| Row { entry_id: ledger.new_entry_id(), fields: Map::new() });
        for (name, value) in packet {
            let qualified = format!("FEntity.{name}");
            if name != "FEntryID" && (is_new || may_change(&[name, &qualified])) {
                take(&mut row.fields, &mut bill.ignored, ENTRY, "FEntity.", name, value)?;
            }
        }
        kept.push(row);
    }
    if !settings.delete_entry {
        let carried: BTreeSet<u64> = kept.iter().map(|row| row.entry_id).collect();
        let mut all: Vec<Row> = bill.rows.iter().filter(|row| !carried.contains(&row.entry_id)).cloned().collect();
        all.append(&mut kept);
        all.sort_by_key(|row| row.entry_id);
        kept = all;
    }
    bill.rows = kept;
    Ok(())
}

fn type_error(field: &str) -> impl Fn(String) -> Refusal + '_ {
    move |text| refusal(MsgCode::Exception, field, text)
}

fn take(
    target: &mut Map<String, Value>,
    ignored: &mut BTreeSet<String>,
    table: Table,
    level: &str,
    name: &str,
    value: &Value,
) -> Result<(), Refusal> {
    let Some(kind) = fields::kind(table, name) else {
        ignored.insert(format!("{level}{name}"));
        return Ok(());
    };
    match fields::accept(name, kind, value).map_err(type_error(name))? {
        Some(value) => target.insert(name.to_owned(), value),
        None => target.shift_remove(name),
    };
    Ok(())
}

fn check_required(bill: &Bill, rules: &Rules) -> Result<(), Refusal> {
    let mut missing = Vec::new();
    let mut demand = |fields: &Map<String, Value>, required: &[(&str, &str)], place: &str| {
        for (name, label) in required.iter().filter(|(name, _)| !fields.contains_key(*name)) {
            missing.push(((*name).to_owned(), format!("{place}字段[{label}]是必录字段")));
        }
    };
    demand(&bill.head, fields::REQUIRED_HEAD, "");
    if rules.strict_required {
        demand(&bill.sub_head, fields::REQUIRED_SUB_HEAD_STRICT, "");
    }
    for (index, row) in bill.rows.iter().enumerate() {
        let place = format!("第{}行分录，", index + 1);
        demand(&row.fields, fields::REQUIRED_ENTRY, &place);
        if rules.strict_required {
            demand(&row.fields, fields::REQUIRED_ENTRY_STRICT, &place);
        }
    }
    if bill.rows.is_empty() {
        missing.push(("FEntity".to_owned(), "字段[明细信息]是必录字段".to_owned()));
    }
    if missing.is_empty() { Ok(()) } else { Err((MsgCode::Invalid, missing)) }
}

fn check_values(bill: &Bill, rules: &Rules) -> Result<(), Refusal> {
    let customer = bill.head.get("FCustomerID").and_then(fields::number_of).unwrap_or_default();
    if REFUSED_CUSTOMERS.contains(&customer.as_str()) {
        // A number that finds nothing leaves the field empty, and the field is required.
        return Err(refusal(MsgCode::Invalid, "FCustomerID", "字段[客户]是必录字段"));
    }
    for (index, row) in bill.rows.iter().enumerate() {
        let quantity = row.fields.get("FRealQty").and_then(fields::decimal).unwrap_or_default();
        if quantity > rules.quantity_limit {
            let text = format!("第{}行分录，数量大于入库上限！", index + 1);
            return Err(refusal(MsgCode::Invalid, "FQTY", text));
        }
    }
    Ok(())
}
