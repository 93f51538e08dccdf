//! Lists, read to their end.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::connectors::Error;

use super::client::{Call, Client};
use super::settings::Generation;

/// The vendor's maximum.
pub const PAGE_SIZE: u32 = 100;
/// A million rows. A list that does not end before is none, or repeats itself.
const PAGES_LIMIT: u64 = 10_000;
/// A list that changes while it is read has lost or doubled a row; three times in a row means something else.
const PASSES: u32 = 3;

pub type Row = Map<String, Value>;

/// One list and what is wanted of it, in both generations' words.
#[derive(Debug, Clone, Default)]
pub struct List {
    pub path: String,
    pub filters: Vec<(String, String)>,
    /// Filters that only the first generation knows, where -1 stands for "all".
    pub everything: bool,
}

/// All rows of a list, each once, in an undisturbed pass.
pub async fn all(client: &Client, list: &List, page_size: u32) -> Result<Vec<Row>, Error> {
    for pass in 1..=PASSES {
        if let Some(rows) = pass_over(client, list, page_size).await? {
            return Ok(rows);
        }
        tracing::info!(pass, "the list changed while it was read");
    }
    Err(Error::Disturbed { passes: PASSES })
}

/// `None` where rows moved meanwhile.
async fn pass_over(client: &Client, list: &List, page_size: u32) -> Result<Option<Vec<Row>>, Error> {
    let (mut rows, mut ids) = (Vec::new(), HashSet::new());
    let mut expected = None;
    for index in 1..=PAGES_LIMIT {
        let data = client.ask(&call(client, list, index, page_size)).await?;
        let page = rows_of(&data)?;
        let count = number(&data, "count");
        if index == 1 {
            expected = count;
        } else if count != expected {
            return Ok(None);
        }
        let size = page.len() as u64;
        for row in page {
            if let Some(id) = row.get("id")
                && !ids.insert(id.to_string())
            {
                return Ok(None);
            }
            rows.push(row);
        }
        // The vendor may cut the size of a page down: where it says how many pages or rows there are, that holds.
        let is_last = match (number(&data, "total_page").or(number(&data, "totalpage")), expected) {
            (Some(pages), _) => index >= pages,
            (None, Some(count)) => rows.len() as u64 >= count || size == 0,
            (None, None) => size < u64::from(page_size),
        };
        if is_last {
            return Ok(expected.is_none_or(|count| count == rows.len() as u64).then_some(rows));
        }
    }
    let detail = format!("the list does not end within {PAGES_LIMIT} pages");
    Err(Error::Unreadable { detail, bytes: Default::default() })
}

/// One page's question.
pub fn call(client: &Client, list: &List, index: u64, page_size: u32) -> Call {
    let path = list.path.clone();
    match client.account().generation {
        Generation::V1 => {
            let mut body = json!({ "page": index, "pagesize": page_size });
            if list.everything {
                body["enable"] = json!(-1);
                body["starttime"] = json!(-1);
                body["endtime"] = json!(-1);
            }
            for (name, value) in &list.filters {
                body[name.as_str()] = json!(value);
            }
            Call { method: Method::POST, path, query: Vec::new(), body: body.to_string() }
        }
        Generation::V2 => {
            let mut query =
                vec![("page".to_owned(), index.to_string()), ("page_size".to_owned(), page_size.to_string())];
            query.extend(list.filters.iter().cloned());
            Call { method: Method::GET, path, query, body: String::new() }
        }
    }
}

fn rows_of(data: &Value) -> Result<Vec<Row>, Error> {
    let rows = match data {
        Value::Array(rows) => Some(rows),
        Value::Object(data) => ["rows", "list"].iter().find_map(|name| data.get(*name)?.as_array()),
        _ => None,
    };
    let rows = rows.and_then(|rows| rows.iter().map(|row| row.as_object().cloned()).collect());
    rows.ok_or_else(|| Error::Unreadable { detail: "the answer has no rows".into(), bytes: Default::default() })
}

fn number(data: &Value, name: &str) -> Option<u64> {
    let value = data.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// An id, as text, whatever the vendor wrote it as.
pub fn text(row: &Row, name: &str) -> Option<String> {
    match row.get(name)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
