//! `ExecuteBillQuery`, `BillQuery` and `View`.

use std::cmp::Ordering;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};

use super::FORM;
use super::answer::{self, Errors, MsgCode};
use super::bill::{Bill, Ledger, Row};
use super::fields::{self, ENTRY, HEAD, Kind, SUB_HEAD};
use super::filter::{self, Compare, Condition};

/// Where a field key of a query points.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Fid,
    Number,
    Status,
    EntryId,
    Sequence,
    Head(String, Kind, bool),
    SubHead(String, Kind, bool),
    /// Of the row; the flag of all three says that a reference's number is wanted, not its internal id.
    Entry(String, Kind, bool),
}

impl Column {
    /// The text of the error is the key that the form does not have.
    fn resolve(key: &str) -> Result<Self, String> {
        match key {
            "FID" => return Ok(Self::Fid),
            "FBillNo" => return Ok(Self::Number),
            "FDocumentStatus" => return Ok(Self::Status),
            _ if key.eq_ignore_ascii_case("FEntity_FEntryId") => return Ok(Self::EntryId),
            _ if key.eq_ignore_ascii_case("FEntity_FSeq") => return Ok(Self::Sequence),
            _ => {}
        }
        let (name, property) = key.split_once('.').map_or((key, None), |(name, property)| (name, Some(property)));
        let named = match property {
            None => false,
            Some("FNumber") => true,
            Some(other) => return Err(other.to_owned()),
        };
        let (column, kind) = if let Some(kind) = fields::kind(HEAD, name) {
            (Self::Head(name.to_owned(), kind, named), kind)
        } else if let Some(kind) = fields::kind(SUB_HEAD, name) {
            (Self::SubHead(name.to_owned(), kind, named), kind)
        } else if let Some(kind) = fields::kind(ENTRY, name) {
            (Self::Entry(name.to_owned(), kind, named), kind)
        } else {
            return Err(key.to_owned());
        };
        if named && kind != Kind::Base { Err("FNumber".to_owned()) } else { Ok(column) }
    }

    fn is_of_rows(&self) -> bool {
        matches!(self, Self::EntryId | Self::Sequence | Self::Entry(..))
    }

    fn value(&self, bill: &Bill, row: Option<(usize, &Row)>) -> Value {
        match self {
            Self::Fid => json!(bill.fid),
            Self::Number => json!(bill.number),
            Self::Status => json!(bill.status.text()),
            Self::EntryId => row.map_or(Value::Null, |(_, row)| json!(row.entry_id)),
            Self::Sequence => row.map_or(Value::Null, |(index, _)| json!(index + 1)),
            Self::Head(name, kind, named) => shown(bill.head.get(name), *kind, *named),
            Self::SubHead(name, kind, named) => shown(bill.sub_head.get(name), *kind, *named),
            Self::Entry(name, kind, named) => shown(row.and_then(|(_, row)| row.fields.get(name)), *kind, *named),
        }
    }
}

/// Answers do not repeat what was sent: dates get a time, numbers a decimal place, empty fields the form's default.
fn shown(value: Option<&Value>, kind: Kind, named: bool) -> Value {
    match (kind, value) {
        (Kind::Base, None) => Value::Null,
        (Kind::Base, Some(value)) => {
            let number = fields::number_of(value).unwrap_or_default();
            if named { json!(number) } else { json!(internal_id(&number)) }
        }
        (Kind::Text, value) => json!(value.map_or_else(String::new, fields::text)),
        (Kind::Number, value) => number(value.and_then(fields::decimal).unwrap_or_default()),
        (Kind::Date, value) => {
            let date = value.and_then(Value::as_str).and_then(fields::date);
            date.map_or(Value::Null, |date| json!(date.strftime("%Y-%m-%dT%H:%M:%S").to_string()))
        }
        (Kind::Bool, value) => json!(value.and_then(fields::boolean).unwrap_or(false)),
        (Kind::Raw, value) => value.cloned().unwrap_or(Value::Null),
    }
}

/// `2` is answered as `2.0`: whoever compares digits instead of numbers shall notice here.
fn number(value: Decimal) -> Value {
    let mut digits = value.normalize().to_string();
    if !digits.contains('.') {
        digits.push_str(".0");
    }
    serde_json::from_str::<Number>(&digits).map_or(Value::Null, Value::Number)
}

/// Base data has ids of its own that nobody outside knows; any stable number will do.
fn internal_id(number: &str) -> u64 {
    100_000 + number.bytes().fold(7_u64, |id, byte| (id * 31 + u64::from(byte)) % 900_000)
}

type Refusal = (MsgCode, String);

pub fn rows(ledger: &Ledger, data: &Value, limit: usize, now: Timestamp) -> Value {
    match select(ledger, data, limit, now) {
        Ok((_, rows)) => json!(rows),
        Err((code, text)) => Errors::one(code, "", &text, 0).json(),
    }
}

pub fn objects(ledger: &Ledger, data: &Value, limit: usize, now: Timestamp) -> Value {
    match select(ledger, data, limit, now) {
        Ok((keys, rows)) => {
            let object = |row: Vec<Value>| Value::Object(keys.iter().cloned().zip(row).collect());
            rows.into_iter().map(object).collect()
        }
        Err((code, text)) => Errors::one(code, "", &text, 0).json(),
    }
}

fn select(
    ledger: &Ledger,
    data: &Value,
    limit: usize,
    now: Timestamp,
) -> Result<(Vec<String>, Vec<Vec<Value>>), Refusal> {
    let keys: Vec<String> =
        data["FieldKeys"].as_str().unwrap_or_default().split(',').map(|key| key.trim().to_owned()).collect();
    if keys.iter().all(String::is_empty) {
        return Err((MsgCode::BadParameter, "data数据包中的参数FieldKeys的值不能为空。".to_owned()));
    }
    let columns = keys.iter().map(|key| resolve(key)).collect::<Result<Vec<_>, _>>()?;
    let conditions = match &data["FilterString"] {
        Value::Null => Vec::new(),
        Value::String(text) => filter::parse(text).map_err(|text| (MsgCode::Exception, text))?,
        Value::Array(list) if list.is_empty() => Vec::new(),
        _ => return Err((MsgCode::BadParameter, "FilterString只支持文本".to_owned())),
    };
    let conditions = conditions
        .into_iter()
        .map(|condition| Ok((resolve(&condition.field)?, condition)))
        .collect::<Result<Vec<_>, _>>()?;
    let order = order(data["OrderString"].as_str().unwrap_or_default())?;

    // One line a bill, or one line an entry row as soon as anything speaks of rows.
    let by_row = columns.iter().chain(conditions.iter().map(|(column, _)| column)).any(Column::is_of_rows);
    let mut lines = Vec::new();
    for bill in ledger.visible(now) {
        if by_row {
            lines.extend(bill.rows.iter().enumerate().map(|row| (bill, Some(row))));
        } else {
            lines.push((bill, None));
        }
    }
    lines
        .retain(|(bill, row)| conditions.iter().all(|(column, condition)| holds(condition, &column.value(bill, *row))));
    lines.sort_by(|a, b| {
        let mut ordering = Ordering::Equal;
        for (column, descending) in &order {
            let by_column = compare(&column.value(a.0, a.1), &column.value(b.0, b.1));
            ordering = ordering.then(if *descending { by_column.reverse() } else { by_column });
        }
        ordering
    });

    let (top, start) = (count(data, "TopRowCount")?, count(data, "StartRow")?);
    let wanted = match count(data, "Limit")? {
        0 => limit,
        wanted => wanted.min(limit),
    };
    // `TopRowCount` counts from the first row of all, not from `StartRow`.
    let top = if top == 0 { usize::MAX } else { top };
    let page = lines.into_iter().take(top).skip(start).take(wanted);
    let rows = page.map(|(bill, row)| columns.iter().map(|column| column.value(bill, row)).collect()).collect();
    Ok((keys, rows))
}

fn resolve(key: &str) -> Result<Column, Refusal> {
    Column::resolve(key).map_err(|name| (MsgCode::UnknownField, format!("元数据中标识为{name}的字段不存在")))
}

fn order(text: &str) -> Result<Vec<(Column, bool)>, Refusal> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, direction) = part.split_once(' ').unwrap_or((part, "ASC"));
            Ok((resolve(key)?, direction.trim().eq_ignore_ascii_case("DESC")))
        })
        .collect()
}

fn count(data: &Value, name: &str) -> Result<usize, Refusal> {
    match &data[name] {
        Value::Null => Ok(0),
        Value::String(text) if text.is_empty() => Ok(0),
        value => {
            fields::text(value).parse().map_err(|_| (MsgCode::BadParameter, format!("参数{name}的值不是有效的数字")))
        }
    }
}

fn holds(condition: &Condition, found: &Value) -> bool {
    let against = |value: &Value| compare(found, value);
    match condition.compare {
        Compare::In => condition.values.iter().any(|value| against(value) == Ordering::Equal),
        single => condition.values.first().is_some_and(|value| match (single, against(value)) {
            (Compare::Equal, ordering) => ordering == Ordering::Equal,
            (Compare::NotEqual, ordering) => ordering != Ordering::Equal,
            (Compare::Less, ordering) => ordering == Ordering::Less,
            (Compare::LessOrEqual, ordering) => ordering != Ordering::Greater,
            (Compare::Greater, ordering) => ordering == Ordering::Greater,
            (Compare::GreaterOrEqual, ordering) => ordering != Ordering::Less,
            (Compare::In, _) => false,
        }),
    }
}

/// Numbers as numbers, dates as dates, the rest as texts.
fn compare(a: &Value, b: &Value) -> Ordering {
    if a.is_number()
        && let (Some(a), Some(b)) = (fields::decimal(a), fields::decimal(b))
    {
        return a.cmp(&b);
    }
    let (a, b) = (fields::text(a), fields::text(b));
    // A found date always carries its time; a bill number never has the shape `….-..-..T..`.
    if a.len() == 19
        && a.as_bytes().get(10) == Some(&b'T')
        && let (Some(a), Some(b)) = (fields::date(&a), fields::date(&b))
    {
        return a.cmp(&b);
    }
    a.cmp(&b)
}

/// The bill in the names of the vendor's object model: keys lose their `F`, the rows stand under `SAL_OUTSTOCKENTRY`.
pub fn view(ledger: &Ledger, data: &Value, now: Timestamp) -> Value {
    let number = data["Number"].as_str().unwrap_or_default();
    let id = match &data["Id"] {
        Value::Null => String::new(),
        id => fields::text(id),
    };
    if number.is_empty() && id.is_empty() {
        return Errors::one(MsgCode::BadParameter, "", "data数据包中的参数Number和Id的值不能同时为空。", 0).json();
    }
    let found = ledger
        .visible(now)
        .find(|bill| (number.is_empty() || bill.number == number) && (id.is_empty() || bill.fid.to_string() == id));
    let Some(bill) = found else {
        return Errors::one(MsgCode::NotFound, "", &format!("单据“{number}{id}”不存在"), 0).json();
    };
    let mut object = Map::new();
    object.insert("Id".to_owned(), json!(bill.fid));
    object.insert("FFormId".to_owned(), json!(FORM));
    object.insert("BillNo".to_owned(), json!(bill.number));
    object.insert("DocumentStatus".to_owned(), json!(bill.status.text()));
    object.extend(orm(&bill.head, HEAD));
    object.insert("SubHeadEntity".to_owned(), json!([Value::Object(orm(&bill.sub_head, SUB_HEAD))]));
    let rows = bill.rows.iter().enumerate().map(|(index, row)| {
        let mut object = Map::from_iter([("Id".to_owned(), json!(row.entry_id)), ("Seq".to_owned(), json!(index + 1))]);
        object.extend(orm(&row.fields, ENTRY));
        Value::Object(object)
    });
    object.insert("SAL_OUTSTOCKENTRY".to_owned(), rows.collect());
    let fine = answer::status(&Errors { code: MsgCode::Fine, lines: Vec::new() }, &[]);
    json!({"Result": {"ResponseStatus": fine, "Result": object}})
}

fn orm(values: &Map<String, Value>, table: fields::Table) -> Map<String, Value> {
    values
        .iter()
        .map(|(name, value)| {
            let kind = fields::kind(table, name).unwrap_or(Kind::Raw);
            let value = match kind {
                Kind::Base => {
                    let number = fields::number_of(value).unwrap_or_default();
                    json!({"Id": internal_id(&number), "Number": number})
                }
                _ => shown(Some(value), kind, false),
            };
            let name = if name.starts_with("F_") { name } else { name.strip_prefix('F').unwrap_or(name) };
            (name.to_owned(), value)
        })
        .collect()
}
