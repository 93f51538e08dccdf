//! Jushuitan's own names.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::connectors::qimen::{self, Answered, Loose};
use crate::connectors::{Error, SourceDocument};
use crate::model::DocumentKey;

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    data_count: Loose,
    #[serde(default)]
    page_count: Loose,
    #[serde(borrow)]
    datas: Option<Vec<&'a RawValue>>,
}

/// The fields of a record that the reader itself needs.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    io_id: Loose,
    #[serde(default)]
    status: Loose,
    #[serde(default)]
    ts: Loose,
    #[serde(default)]
    modified: Loose,
}

/// One answer of the list query.
#[derive(Debug)]
pub struct SaleoutPage {
    /// Records in the whole window.
    pub record_count: Option<u64>,
    pub page_count: Option<u64>,
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Row {
    pub document: SourceDocument,
    pub status: String,
    pub row_version: Option<i64>,
    /// `None` where the record does not say, or not in the vendor's way.
    pub modified: Option<Timestamp>,
}

pub fn parse(answered: &Answered) -> Result<SaleoutPage, Error> {
    let list: List<'_> = serde_json::from_str(&answered.response)
        .map_err(|error| answered.unreadable(format!("not a list of sale-outs: {error}")))?;
    // An empty page carries an empty list; without any list this is some other answer.
    let datas = list.datas.ok_or_else(|| answered.unreadable("the answer has no datas"))?;
    let count = |loose: &Loose| loose.number().and_then(|count| u64::try_from(count).ok());
    Ok(SaleoutPage {
        record_count: count(&list.data_count),
        page_count: count(&list.page_count),
        rows: datas.into_iter().map(row).collect(),
    })
}

fn row(raw: &RawValue) -> Row {
    let body = raw.get().to_owned();
    // What is wrong with one record is that record's trouble; its page goes on.
    match serde_json::from_str::<Record>(raw.get()) {
        Ok(record) => {
            let status = record.status.to_string();
            // `Delete` is what becomes of a sale-out whose order was cancelled while it was being shipped.
            let cancelled = matches!(status.as_str(), "Cancelled" | "Delete");
            let row_version = record.ts.number();
            let modified = record.modified.0.as_deref().and_then(qimen::from_local_time);
            let document = SourceDocument { key: key(&record.io_id), body, cancelled };
            Row { document, status, row_version, modified }
        }
        Err(error) => {
            let key = Err(format!("the record is not a sale-out: {error}"));
            let document = SourceDocument { key, body, cancelled: false };
            Row { document, status: String::new(), row_version: None, modified: None }
        }
    }
}

/// When the record was last modified, by which windows go.
pub fn modified(body: &str) -> Option<Timestamp> {
    serde_json::from_str::<Record>(body).ok()?.modified.0.as_deref().and_then(qimen::from_local_time)
}

fn key(io_id: &Loose) -> Result<DocumentKey, String> {
    match io_id.0.as_deref() {
        None => Err("io_id is missing".into()),
        Some(text) if text.starts_with(['{', '[']) || text.trim() != text => {
            Err("io_id is not a number or a text".into())
        }
        Some(text) => DocumentKey::new(text).map_err(|error| format!("io_id: {error}")),
    }
}
