//! U8's own names.

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::connectors::qimen::Loose;
use crate::connectors::{Error, SourceDocument};
use crate::model::DocumentKey;

use super::client::Answered;

pub const LIST: &str = "api/saleoutlist/batch_get";
pub const SINGLE: &str = "api/saleout/get";

/// Every number of this envelope comes as text.
#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    row_count: Loose,
    #[serde(default)]
    page_count: Loose,
    #[serde(borrow)]
    saleoutlist: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Single<'a> {
    #[serde(borrow)]
    saleout: Option<&'a RawValue>,
}

/// The fields of a bill that the reader itself needs.
#[derive(Deserialize)]
struct Bill<'a> {
    #[serde(default)]
    code: Loose,
    #[serde(default)]
    timestamp: Loose,
    #[serde(borrow)]
    entry: Option<&'a RawValue>,
    /// What one client calls the lines; it looks like a slip and is understood all the same.
    #[serde(borrow)]
    tentry: Option<&'a RawValue>,
}

/// One answer of the list query.
#[derive(Debug, Default)]
pub struct SaleoutPage {
    /// Bills of the whole question.
    pub row_count: Option<u64>,
    pub page_count: Option<u64>,
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Row {
    pub key: Result<DocumentKey, String>,
    pub body: String,
    pub timestamp: String,
    /// The value of the field that the single bill is asked for by.
    pub id: Option<String>,
    pub has_lines: bool,
}

impl Row {
    pub fn into_document(self) -> SourceDocument {
        // U8 knows no void bill: it deletes them, and nothing tells.
        SourceDocument { key: self.key, body: self.body, cancelled: false }
    }
}

pub fn list(answered: &Answered, get_by: &str) -> Result<SaleoutPage, Error> {
    let list: List<'_> = serde_json::from_str(&answered.text)
        .map_err(|error| answered.unreadable(format!("not a list of sale-outs: {error}")))?;
    let rows = list.saleoutlist.ok_or_else(|| answered.unreadable("the answer has no saleoutlist"))?;
    let count = |loose: &Loose| loose.number().and_then(|count| u64::try_from(count).ok());
    Ok(SaleoutPage {
        row_count: count(&list.row_count),
        page_count: count(&list.page_count),
        rows: rows.into_iter().map(|raw| row(raw, get_by)).collect(),
    })
}

/// The single bill of the answer.
pub fn single(answered: &Answered, get_by: &str) -> Result<Row, Error> {
    let single: Single<'_> = serde_json::from_str(&answered.text)
        .map_err(|error| answered.unreadable(format!("not a sale-out: {error}")))?;
    let raw = single.saleout.ok_or_else(|| answered.unreadable("the answer has no saleout"))?;
    Ok(row(raw, get_by))
}

fn row(raw: &RawValue, get_by: &str) -> Row {
    let body = raw.get().to_owned();
    // What is wrong with one bill is that bill's trouble; its page goes on.
    let bill: Bill<'_> = match serde_json::from_str(raw.get()) {
        Ok(bill) => bill,
        Err(error) => {
            let key = Err(format!("the record is not a sale-out: {error}"));
            return Row { key, body, timestamp: String::new(), id: None, has_lines: false };
        }
    };
    let id = match get_by {
        "code" => bill.code.0.clone(),
        other => member(raw, other),
    };
    let lines = [bill.entry, bill.tentry];
    let has_lines = lines.into_iter().flatten().any(|raw| raw.get().starts_with('[') && raw.get() != "[]");
    Row { key: key(&bill.code), body, timestamp: bill.timestamp.to_string(), id, has_lines }
}

/// The day the bill was audited, by which it is asked for.
pub fn audit_date(body: &str) -> Option<Date> {
    #[derive(Deserialize)]
    struct Audited {
        auditdate: Loose,
    }
    let audited: Audited = serde_json::from_str(body).ok()?;
    audited.auditdate.as_str().get(..10)?.parse().ok()
}

fn member(raw: &RawValue, name: &str) -> Option<String> {
    let object: std::collections::HashMap<String, Loose> = serde_json::from_str(raw.get()).ok()?;
    object.get(name)?.0.clone()
}

fn key(code: &Loose) -> Result<DocumentKey, String> {
    match code.0.as_deref() {
        None => Err("code is missing".into()),
        Some(text) if text.starts_with(['{', '[']) || text.trim() != text => Err("code is not a bill's number".into()),
        Some(text) => DocumentKey::new(text).map_err(|error| format!("code: {error}")),
    }
}
