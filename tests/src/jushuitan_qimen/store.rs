//! The documents, what happens to them while somebody reads, and the record of what left.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Options;
use crate::options::MoverTarget;
use crate::purpose::Purpose;
use crate::time;

use super::document::Document;
use super::generate::{self, Movement};
use super::query::{Query, TimeField};

#[derive(Debug)]
pub struct Store {
    documents: Vec<Document>,
    /// What is still to happen, in order.
    script: Vec<Movement>,
    mover_target: MoverTarget,
    window_end: Timestamp,
    window_end_inclusive: bool,
    padding: String,
    pages_served: u64,
    next_row_version: i64,
    /// Every version that left, in the order of its first leaving.
    served: Vec<Served>,
    /// Where (document, version) stands in `served`.
    served_at: HashMap<(usize, u32), usize>,
    last_rows: Vec<usize>,
}

#[derive(Debug)]
struct Served {
    document: usize,
    version: u32,
    modified: Timestamp,
    status: String,
    body: String,
    first_at: Timestamp,
    count: u64,
    /// How often in an answer that no fault touched: only these surely reached the client.
    intact: u64,
}

/// One page of an answer.
#[derive(Debug)]
pub struct Page {
    pub rows: Vec<String>,
    pub total: usize,
}

impl Page {
    /// The bodies go in as they are: a test compares what the client kept with these very bytes.
    pub fn json(&self, query: &Query, request_id: &str) -> String {
        let has_next = query.page_index * query.page_size < self.total;
        let mut head = format!("\"page_size\":{},\"page_index\":{},", query.page_size, query.page_index);
        if query.with_total {
            let pages = self.total.div_ceil(query.page_size);
            head.push_str(&format!("\"data_count\":{},\"page_count\":{pages},", self.total));
        }
        let rows = self.rows.join(",");
        format!("{{\"response\":{{{head}\"has_next\":{has_next},\"request_id\":\"{request_id}\",\"datas\":[{rows}]}}}}")
    }
}

impl Store {
    pub fn new(options: &Options) -> Self {
        let (documents, script) = generate::generate(options);
        let next_row_version = documents.iter().map(|document| document.row_version).max().unwrap_or(0) + 7;
        Self {
            documents,
            script,
            mover_target: options.mover_target,
            window_end: options.to,
            window_end_inclusive: options.window_end_inclusive,
            padding: "x".repeat(options.pad_bytes),
            pages_served: 0,
            next_row_version,
            served: Vec::new(),
            served_at: HashMap::new(),
            last_rows: Vec::new(),
        }
    }

    pub fn page(&mut self, query: &Query, the_one_before: bool, intact: bool, now: Timestamp) -> Page {
        let matching = self.matching(query);
        let total = matching.len();
        let mut rows: Vec<usize> =
            matching.into_iter().skip((query.page_index - 1) * query.page_size).take(query.page_size).collect();
        if the_one_before && !self.last_rows.is_empty() {
            rows.clone_from(&self.last_rows);
        }
        self.pages_served += 1;
        for &index in &rows {
            self.note_served(index, intact, now);
        }
        let page = Page { rows: rows.iter().map(|&index| self.padded(&self.documents[index].body)).collect(), total };
        self.last_rows = rows;
        page
    }

    fn padded(&self, body: &str) -> String {
        match body.strip_prefix('{') {
            Some(fields) if !self.padding.is_empty() => format!("{{\"padding\":\"{}\",{fields}", self.padding),
            _ => body.to_owned(),
        }
    }

    /// Indices of the matching documents, in the order in which they are paged.
    fn matching(&self, query: &Query) -> Vec<usize> {
        let mut matching: Vec<usize> =
            (0..self.documents.len()).filter(|&index| self.matches(&self.documents[index], query)).collect();
        matching.sort_by(|&a, &b| {
            let (a, b) = (&self.documents[a], &self.documents[b]);
            let by_time = match (query.start_ts, query.time_field) {
                (Some(_), _) => a.row_version.cmp(&b.row_version),
                (None, TimeField::Modified) => a.modified.cmp(&b.modified),
                (None, TimeField::IoDate) => a.io_date.cmp(&b.io_date),
            };
            let numeric = |document: &Document| document.io_id.parse::<u64>().unwrap_or(u64::MAX);
            by_time.then_with(|| numeric(a).cmp(&numeric(b)))
        });
        matching
    }

    fn matches(&self, document: &Document, query: &Query) -> bool {
        let at = match query.time_field {
            TimeField::Modified => Some(document.modified),
            TimeField::IoDate => document.io_date,
        };
        let in_window = query.window.is_none_or(|(start, end)| {
            at.is_some_and(|at| at >= start && (at < end || (self.window_end_inclusive && at == end)))
        });
        let among = |wanted: &[String], value: &String| wanted.is_empty() || wanted.contains(value);
        in_window
            && query.start_ts.is_none_or(|start| document.row_version >= start)
            && query.status.as_ref().is_none_or(|status| *status == document.status)
            && query.shop_id.as_ref().is_none_or(|shop| *shop == document.shop_id)
            && query.wms_co_id.as_ref().is_none_or(|warehouse| *warehouse == document.wms_co_id)
            && among(&query.so_ids, &document.so_id)
            && among(&query.io_ids, &document.io_id)
            && among(&query.o_ids, &document.o_id)
    }

    fn note_served(&mut self, index: usize, intact: bool, now: Timestamp) {
        let document = &self.documents[index];
        let at = *self.served_at.entry((index, document.version)).or_insert_with(|| {
            self.served.push(Served {
                document: index,
                version: document.version,
                modified: document.modified,
                status: document.status.clone(),
                body: document.body.clone(),
                first_at: now,
                count: 0,
                intact: 0,
            });
            self.served.len() - 1
        });
        self.served[at].count += 1;
        self.served[at].intact += u64::from(intact);
    }

    /// What the script says for after this page.
    pub fn play_script(&mut self, now: Timestamp) {
        while self.script.first().is_some_and(|movement| movement.after_requests <= self.pages_served) {
            let movement = self.script.remove(0);
            let mut set = Map::new();
            if movement.cancels {
                set.insert("status".to_owned(), json!("Cancelled"));
            } else {
                let note = format!("备注已修改（第{}页之后）", self.pages_served);
                set.insert("remark".to_owned(), json!(note));
            }
            let modified = match self.mover_target {
                MoverTarget::Now => now,
                MoverTarget::WindowEnd => self.window_end,
            };
            self.change(movement.document, &set, modified);
        }
    }

    /// The window's first row is modified and goes behind all others.
    pub fn move_first_row(&mut self, query: &Query, now: Timestamp) {
        let Some(&first) = self.matching(query).first() else { return };
        let modified = match (self.mover_target, query.window) {
            (MoverTarget::WindowEnd, Some((_, end))) if !self.window_end_inclusive => {
                end.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(end)
            }
            (MoverTarget::WindowEnd, Some((_, end))) => end,
            _ => now,
        };
        let set = Map::from_iter([("remark".to_owned(), json!("备注已修改（翻页时）"))]);
        self.change(first, &set, modified);
    }

    fn change(&mut self, index: usize, set: &Map<String, Value>, modified: Timestamp) {
        let row_version = self.next_row_version;
        self.next_row_version += 7;
        self.documents[index].change(set, modified, row_version);
    }

    pub fn add(&mut self, mut body: Map<String, Value>, now: Timestamp) -> Value {
        if !body.contains_key("modified") {
            body.insert("modified".to_owned(), json!(time::format(now)));
        }
        if !body.contains_key("ts") {
            body.insert("ts".to_owned(), json!(self.next_row_version));
        }
        let document = Document::new(body, Purpose::Given, "", false);
        self.next_row_version = self.next_row_version.max(document.row_version) + 7;
        self.documents.push(document);
        self.listed_one(self.documents.len() - 1)
    }

    pub fn alter(&mut self, io_id: &str, set: &Map<String, Value>, remove: &[String], now: Timestamp) -> Option<Value> {
        let index = self.documents.iter().position(|document| document.io_id == io_id)?;
        self.change(index, set, now);
        for name in remove {
            self.documents[index].remove(name);
        }
        Some(self.listed_one(index))
    }

    pub fn served(&self) -> Value {
        let versions: Vec<_> = self
            .served
            .iter()
            .map(|served| {
                let document = &self.documents[served.document];
                json!({
                    "key": document.io_id, "io_id": document.io_id, "version": served.version, "modified": time::format(served.modified),
                    "status": served.status, "cancelled": served.status == "Cancelled", "count": served.count, "intact": served.intact,
                    "purpose": document.purpose.text(), "detail": document.detail, "body": served.body,
                    "first_at": served.first_at.to_string(),
                })
            })
            .collect();
        json!({"pages": self.pages_served, "versions": versions})
    }

    pub fn listed(&self) -> Value {
        let listed: Vec<_> = (0..self.documents.len()).map(|index| self.listed_one(index)).collect();
        json!({"movements_left": self.script.len(), "documents": listed})
    }

    fn listed_one(&self, index: usize) -> Value {
        let document = &self.documents[index];
        json!({
            "key": document.io_id, "io_id": document.io_id, "version": document.version, "modified": time::format(document.modified),
            "status": document.status, "cancelled": document.is_cancelled(), "purpose": document.purpose.text(),
            "detail": document.detail, "body": document.body,
        })
    }
}
