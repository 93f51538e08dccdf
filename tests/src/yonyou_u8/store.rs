//! The sale-outs, those that are audited while somebody reads, and the record of what left.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::Options;
use crate::options::MoverTarget;
use crate::purpose::Purpose;
use crate::served::Served;
use crate::time;

use super::document::Document;
use super::generate::{self, LateAudit};

/// Filters by a field's own value, as far as the list of the other receipts has them.
const EXACT: &[(&str, &str)] = &[
    ("warehousecode", "warehousecode"),
    ("warehousename", "warehousename"),
    ("departmentcode", "departmentcode"),
    ("departmentname", "departmentname"),
    ("memory", "memory"),
    ("maker", "maker"),
    ("handler", "handler"),
    ("businesscode", "businesscode"),
    ("businesstype", "businesstype"),
];

/// A list request that keeps the rules.
#[derive(Debug, Default)]
pub struct Query {
    pub page_index: usize,
    pub rows_per_page: usize,
    pub date: (Option<Date>, Option<Date>),
    pub audit_date: (Option<Date>, Option<Date>),
    pub code: (Option<String>, Option<String>),
    pub timestamp: (Option<String>, Option<String>),
    /// Parameter and value of the others.
    pub others: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Store {
    documents: Vec<Document>,
    script: Vec<LateAudit>,
    mover_target: MoverTarget,
    window_end: Timestamp,
    next_timestamp: u64,
    pages_served: u64,
    /// Whole documents.
    served: Served,
    /// Heads alone.
    heads: Served,
    last_rows: Vec<usize>,
}

#[derive(Debug)]
pub struct Page {
    pub rows: Vec<String>,
    pub total: usize,
}

impl Store {
    pub fn new(options: &Options) -> Self {
        let (documents, script) = generate::generate(options);
        Self {
            next_timestamp: documents.len() as u64,
            documents,
            script,
            mover_target: options.mover_target,
            window_end: options.to,
            pages_served: 0,
            served: Served::default(),
            heads: Served::default(),
            last_rows: Vec::new(),
        }
    }

    pub fn page(&mut self, query: &Query, heads_only: bool, the_one_before: bool, intact: bool) -> Page {
        let matching = self.matching(query);
        let total = matching.len();
        let start = (query.page_index - 1).saturating_mul(query.rows_per_page);
        let mut rows: Vec<usize> = matching.into_iter().skip(start).take(query.rows_per_page).collect();
        if the_one_before && !self.last_rows.is_empty() {
            rows.clone_from(&self.last_rows);
        }
        self.pages_served += 1;
        let mut bodies = Vec::with_capacity(rows.len());
        for &index in &rows {
            let document = &self.documents[index];
            self.heads.note(index, document.version, intact, || head_facts(document));
            if !heads_only {
                self.served.note(index, document.version, intact, || document.facts());
            }
            bodies.push(if heads_only { document.head.clone() } else { document.body.clone() });
        }
        self.last_rows = rows;
        Page { rows: bodies, total }
    }

    pub fn one(&mut self, code: &str, intact: bool) -> Option<String> {
        let index = self.documents.iter().position(|document| document.code == code)?;
        let document = &self.documents[index];
        self.served.note(index, document.version, intact, || document.facts());
        Some(document.body.clone())
    }

    /// In the order of the codes: one that is back-dated or audited late comes up in the middle.
    fn matching(&self, query: &Query) -> Vec<usize> {
        let mut matching: Vec<usize> =
            (0..self.documents.len()).filter(|&index| matches(&self.documents[index], query)).collect();
        matching.sort_by(|&a, &b| self.documents[a].code.cmp(&self.documents[b].code));
        matching
    }

    pub fn play_script(&mut self, now: Timestamp) {
        while self.script.first().is_some_and(|audit| audit.after_requests <= self.pages_served) {
            let audit = self.script.remove(0);
            let day = match self.mover_target {
                MoverTarget::Now => time::date(now),
                MoverTarget::WindowEnd => time::date(self.window_end),
            };
            self.audit(audit.document, day);
        }
    }

    fn audit(&mut self, index: usize, day: Date) {
        let day = generate::day(day);
        let set =
            [("handler", "夜班审核"), ("auditdate", day.as_str())].map(|(name, text)| (name.to_owned(), json!(text)));
        let timestamp = self.timestamp();
        self.documents[index].change(&Map::from_iter(set), &[], &timestamp);
    }

    fn timestamp(&mut self) -> String {
        self.next_timestamp += 1;
        generate::timestamp(self.next_timestamp)
    }

    /// The first row is taken back and audited again today, and leaves a window that ended before.
    pub fn move_first_row(&mut self, query: &Query, now: Timestamp) {
        let Some(&first) = self.matching(query).first() else { return };
        self.audit(first, time::date(now));
    }

    pub fn add(&mut self, mut body: Map<String, Value>) -> Value {
        let timestamp = self.timestamp();
        body.entry("timestamp").or_insert_with(|| json!(timestamp));
        let document = Document::new(body, Purpose::Given, "");
        let facts = document.facts();
        self.documents.push(document);
        Value::Object(facts)
    }

    pub fn alter(&mut self, code: &str, set: &Map<String, Value>, remove: &[String]) -> Option<Value> {
        let timestamp = self.timestamp();
        let document = self.documents.iter_mut().find(|document| document.code == code)?;
        document.change(set, remove, &timestamp);
        Some(Value::Object(document.facts()))
    }

    pub fn served(&self) -> Value {
        json!({"pages": self.pages_served, "versions": self.served.listed(), "heads": self.heads.listed()})
    }

    pub fn listed(&self) -> Value {
        let listed: Vec<_> = self.documents.iter().map(|document| Value::Object(document.facts())).collect();
        json!({"movements_left": self.script.len(), "documents": listed})
    }
}

/// What a row without lines tells.
fn head_facts(document: &Document) -> Map<String, Value> {
    let mut facts = document.facts();
    facts.shift_remove("head");
    facts.insert("body".to_owned(), json!(document.head));
    facts
}

fn matches(document: &Document, query: &Query) -> bool {
    let within = |day: Option<Date>, (from, to): &(Option<Date>, Option<Date>)| {
        if from.is_none() && to.is_none() {
            return true;
        }
        // What has no such date is in no range of it.
        day.is_some_and(|day| from.is_none_or(|from| day >= from) && to.is_none_or(|to| day <= to))
    };
    let between = |text: &str, (from, to): &(Option<String>, Option<String>)| {
        from.as_ref().is_none_or(|from| text >= from.as_str()) && to.as_ref().is_none_or(|to| text <= to.as_str())
    };
    let others = query.others.iter().all(|(name, wanted)| {
        let field = EXACT.iter().find(|(parameter, _)| parameter == name).map(|(_, field)| *field);
        let own = name.strip_prefix("define").is_some_and(|number| number.parse::<u8>().is_ok());
        let field = field.or_else(|| own.then_some(name.as_str()));
        field.is_none_or(|field| document.text(field) == wanted)
    });
    within(document.date, &query.date)
        && within(document.audit_date, &query.audit_date)
        && between(&document.code, &query.code)
        && between(document.text("timestamp").trim(), &query.timestamp)
        && others
}
