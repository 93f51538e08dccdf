//! WangDianTong's own names.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::connectors::qimen::{self, Answered, Loose};
use crate::connectors::{Error, SourceDocument, text};
use crate::model::DocumentKey;

use super::errors::refine;

/// The status of a stock-in that was cancelled.
pub const CANCELLED: u32 = 10;

/// Zero is success; there is no success without it.
#[derive(Deserialize)]
struct Verdict {
    #[serde(default)]
    errorcode: Loose,
    #[serde(default)]
    message: Loose,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    total_count: Loose,
    #[serde(borrow)]
    stockin_list: Option<Vec<&'a RawValue>>,
}

/// The fields of a record that the reader itself needs.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    stockin_no: Loose,
    #[serde(default)]
    status: Loose,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    new_count: Loose,
    #[serde(default)]
    chg_count: Loose,
}

/// One answer of the stock-in query.
#[derive(Debug)]
pub struct StockinPage {
    /// Records in the whole window; only page 0 says.
    pub record_count: Option<u64>,
    pub documents: Vec<SourceDocument>,
}

fn check(answered: &Answered) -> Result<(), Error> {
    let verdict: Verdict = serde_json::from_str(&answered.response)
        .map_err(|error| answered.unreadable(format!("not an answer of the ERP: {error}")))?;
    match verdict.errorcode.as_str().trim() {
        "0" => Ok(()),
        "" => Err(answered.unreadable("the answer has no errorcode")),
        code => {
            let words = text::excerpt(verdict.message.as_str());
            let words = if words.is_empty() { "the vendor gave no words" } else { &words };
            Err(refine(Error::Refused { code: code.to_owned(), message: format!("{words} (errorcode {code})") }))
        }
    }
}

pub fn stockins(answered: &Answered) -> Result<StockinPage, Error> {
    check(answered)?;
    let list: List<'_> = serde_json::from_str(&answered.response)
        .map_err(|error| answered.unreadable(format!("not a list of stock-ins: {error}")))?;
    let record_count = list.total_count.number().and_then(|count| u64::try_from(count).ok());
    let rows = match list.stockin_list {
        Some(rows) => rows,
        // Nothing found; without either this is some other answer.
        None if record_count == Some(0) => Vec::new(),
        None => return Err(answered.unreadable("the answer has no stockin_list")),
    };
    Ok(StockinPage { record_count, documents: rows.into_iter().map(document).collect() })
}

fn document(raw: &RawValue) -> SourceDocument {
    let body = raw.get().to_owned();
    // What is wrong with one record is that record's trouble; its page goes on. An array would be taken for a record
    // whose fields stand in order.
    let record = match serde_json::from_str::<Record>(raw.get()) {
        Ok(record) if raw.get().starts_with('{') => record,
        Ok(_) => return SourceDocument { key: Err("the record is not an object".into()), body, cancelled: false },
        Err(error) => {
            return SourceDocument { key: Err(format!("not a stock-in: {error}")), body, cancelled: false };
        }
    };
    let cancelled = record.status.number() == Some(i64::from(CANCELLED));
    SourceDocument { key: key(&record.stockin_no), body, cancelled }
}

/// When the record was last modified, by which windows go.
pub fn modified(body: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Modified {
        modified: Loose,
    }
    serde_json::from_str::<Modified>(body).ok()?.modified.0.as_deref().and_then(qimen::from_local_time)
}

fn key(stockin_no: &Loose) -> Result<DocumentKey, String> {
    match stockin_no.0.as_deref() {
        None => Err("stockin_no is missing".into()),
        Some(text) if text.starts_with(['{', '[']) || text.trim() != text => {
            Err("stockin_no is not a number or a text".into())
        }
        Some(text) => DocumentKey::new(text).map_err(|error| format!("stockin_no: {error}")),
    }
}

/// How many trades the ERP says it made or changed, where it says so.
pub fn pushed(answered: &Answered) -> Result<Option<u64>, Error> {
    check(answered)?;
    let counts: Counts = serde_json::from_str(&answered.response)
        .map_err(|error| answered.unreadable(format!("not the answer to a push: {error}")))?;
    let count = |loose: &Loose| loose.number().and_then(|count| u64::try_from(count).ok());
    Ok(match (count(&counts.new_count), count(&counts.chg_count)) {
        (None, None) => None,
        (made, changed) => Some(made.unwrap_or(0).saturating_add(changed.unwrap_or(0))),
    })
}
