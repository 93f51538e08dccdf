//! The stock-ins, what happens to them while somebody reads, and the record of what left.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Options;
use crate::options::MoverTarget;
use crate::purpose::Purpose;
use crate::served::Served;
use crate::time;

use super::document::Document;
use super::generate::{self, Movement};
use super::query::Query;

#[derive(Debug)]
pub struct Store {
    documents: Vec<Document>,
    /// What is still to happen, in order.
    script: Vec<Movement>,
    mover_target: MoverTarget,
    window_end: Timestamp,
    total_as_text: bool,
    pages_served: u64,
    served: Served,
    last_rows: Vec<usize>,
}

/// One page of an answer.
#[derive(Debug)]
pub struct Page {
    pub rows: Vec<String>,
    pub total: usize,
}

impl Store {
    pub fn new(options: &Options) -> Self {
        let (documents, script) = generate::generate(options);
        Self {
            documents,
            script,
            mover_target: options.mover_target,
            window_end: options.to,
            total_as_text: options.wangdiantong.total_as_text,
            pages_served: 0,
            served: Served::default(),
            last_rows: Vec::new(),
        }
    }

    /// The bodies go in as they are: a test compares what the client kept with these very bytes.
    pub fn answer(&self, page: &Page, query: &Query, request_id: &str) -> String {
        let total = match query.page_no {
            0 if self.total_as_text => format!("\"total_count\":\"{}\",", page.total),
            0 => format!("\"total_count\":{},", page.total),
            _ => String::new(),
        };
        let rows = page.rows.join(",");
        format!(
            "{{\"response\":{{\"errorcode\":0,\"message\":\"ok\",{total}\"request_id\":\"{request_id}\",\"stockin_list\":[{rows}]}}}}"
        )
    }

    pub fn page(&mut self, query: &Query, the_one_before: bool, intact: bool) -> Page {
        let matching = self.matching(query);
        let total = matching.len();
        let start = query.page_no.saturating_mul(query.page_size);
        let mut rows: Vec<usize> = matching.into_iter().skip(start).take(query.page_size).collect();
        if the_one_before && !self.last_rows.is_empty() {
            rows.clone_from(&self.last_rows);
        }
        self.pages_served += 1;
        for &index in &rows {
            let document = &self.documents[index];
            self.served.note(index, document.version, intact, || document.facts());
        }
        let page = Page { rows: rows.iter().map(|&index| self.documents[index].body.clone()).collect(), total };
        self.last_rows = rows;
        page
    }

    /// Indices of the matching documents, in the order in which they are paged.
    fn matching(&self, query: &Query) -> Vec<usize> {
        let mut matching: Vec<usize> =
            (0..self.documents.len()).filter(|&index| matches(&self.documents[index], query)).collect();
        matching.sort_by_key(|&index| (self.documents[index].modified, self.documents[index].text("stockin_no")));
        matching
    }

    /// What the script says for after this page.
    pub fn play_script(&mut self, now: Timestamp) {
        while self.script.first().is_some_and(|movement| movement.after_requests <= self.pages_served) {
            let movement = self.script.remove(0);
            let (name, value) = if movement.cancels {
                ("status", json!("10"))
            } else {
                ("remark", json!(format!("备注已修改（第{}页之后）", self.pages_served)))
            };
            let modified = match self.mover_target {
                MoverTarget::Now => now,
                MoverTarget::WindowEnd => self.window_end,
            };
            self.documents[movement.document].change(&Map::from_iter([(name.to_owned(), value)]), &[], modified);
        }
    }

    /// The window's first row is modified and goes behind all others.
    pub fn move_first_row(&mut self, query: &Query, now: Timestamp) {
        let Some(&first) = self.matching(query).first() else { return };
        let modified = match (self.mover_target, query.window) {
            (MoverTarget::WindowEnd, Some((_, end))) => end,
            _ => now,
        };
        let set = Map::from_iter([("remark".to_owned(), json!("备注已修改（翻页时）"))]);
        self.documents[first].change(&set, &[], modified);
    }

    pub fn add(&mut self, mut body: Map<String, Value>, now: Timestamp) -> Value {
        body.entry("modified").or_insert_with(|| json!(time::format(now)));
        let document = Document::new(body, Purpose::Given, "");
        let facts = document.facts();
        self.documents.push(document);
        Value::Object(facts)
    }

    pub fn alter(
        &mut self,
        number: &str,
        set: &Map<String, Value>,
        remove: &[String],
        now: Timestamp,
    ) -> Option<Value> {
        let document = self.documents.iter_mut().find(|document| document.text("stockin_no") == number)?;
        document.change(set, remove, now);
        Some(Value::Object(document.facts()))
    }

    pub fn served(&self) -> Value {
        json!({"pages": self.pages_served, "versions": self.served.listed()})
    }

    pub fn listed(&self) -> Value {
        let listed: Vec<_> = self.documents.iter().map(|document| Value::Object(document.facts())).collect();
        json!({"movements_left": self.script.len(), "documents": listed})
    }
}

fn matches(document: &Document, query: &Query) -> bool {
    let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| *wanted == document.text(name));
    query.window.is_none_or(|(start, end)| document.modified >= start && document.modified <= end)
        && document.text("status") == query.status
        && is(&query.order_type, "order_type")
        && is(&query.warehouse_no, "warehouse_no")
        && is(&query.stockin_no, "stockin_no")
        && is(&query.src_order_no, "src_order_no")
        && is(&query.outer_no, "outer_no")
}
