//! The bills of the account set, and the memory of every attempt to create one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// 暂存, 创建, 审核中, 已审核, 重新审核.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Z,
    A,
    B,
    C,
    D,
}

impl Status {
    pub fn text(self) -> &'static str {
        match self {
            Self::Z => "Z",
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Row {
    pub entry_id: u64,
    pub fields: Map<String, Value>,
}

#[derive(Debug, Clone)]
pub struct Bill {
    pub fid: u64,
    pub number: String,
    pub status: Status,
    /// Without `FBillNo`, which stands above.
    pub head: Map<String, Value>,
    pub sub_head: Map<String, Value>,
    pub rows: Vec<Row>,
    /// Queries do not show the bill before this instant.
    pub visible_at: Timestamp,
    /// What packets carried and the form does not have.
    pub ignored: BTreeSet<String>,
}

impl Bill {
    pub fn model(&self) -> Value {
        let mut model = Map::new();
        model.insert("FID".to_owned(), json!(self.fid));
        model.insert("FBillNo".to_owned(), json!(self.number));
        model.extend(self.head.clone());
        if !self.sub_head.is_empty() {
            model.insert("SubHeadEntity".to_owned(), Value::Object(self.sub_head.clone()));
        }
        let rows = self.rows.iter().map(|row| {
            let mut fields = Map::from_iter([("FEntryID".to_owned(), json!(row.entry_id))]);
            fields.extend(row.fields.clone());
            Value::Object(fields)
        });
        model.insert("FEntity".to_owned(), rows.collect());
        Value::Object(model)
    }
}

#[derive(Debug)]
pub struct Ledger {
    bills: BTreeMap<u64, Bill>,
    fid_by_number: HashMap<String, u64>,
    next_fid: u64,
    next_entry_id: u64,
    /// Every save without an id, accepted or not, in order.
    creates: Vec<Value>,
    /// Accepted saves by bill number, deleted bills included.
    saves: BTreeMap<String, u64>,
    /// Packets sent under `ValidateRepeatJson`.
    packets: HashSet<String>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            bills: BTreeMap::new(),
            fid_by_number: HashMap::new(),
            next_fid: 100_041,
            next_entry_id: 500_001,
            creates: Vec::new(),
            saves: BTreeMap::new(),
            packets: HashSet::new(),
        }
    }
}

impl Ledger {
    pub fn bill(&self, fid: u64) -> Option<&Bill> {
        self.bills.get(&fid)
    }

    pub fn bill_mut(&mut self, fid: u64) -> Option<&mut Bill> {
        self.bills.get_mut(&fid)
    }

    pub fn by_number(&self, number: &str) -> Option<&Bill> {
        self.bill(*self.fid_by_number.get(number)?)
    }

    /// What queries may show, in the order of ids.
    pub fn visible(&self, now: Timestamp) -> impl Iterator<Item = &Bill> {
        self.bills.values().filter(move |bill| bill.visible_at <= now)
    }

    pub fn new_fid(&mut self) -> u64 {
        self.next_fid += 1;
        self.next_fid - 1
    }

    pub fn new_entry_id(&mut self) -> u64 {
        self.next_entry_id += 1;
        self.next_entry_id - 1
    }

    pub fn accept(&mut self, bill: Bill) {
        *self.saves.entry(bill.number.clone()).or_default() += 1;
        let (fid, number) = (bill.fid, bill.number.clone());
        if let Some(before) = self.bills.insert(fid, bill) {
            self.fid_by_number.remove(&before.number);
        }
        self.fid_by_number.insert(number, fid);
    }

    /// A bill that a person entered at the screen: no client saved it.
    pub fn enter(&mut self, bill: Bill) {
        self.fid_by_number.insert(bill.number.clone(), bill.fid);
        self.bills.insert(bill.fid, bill);
    }

    pub fn delete(&mut self, fid: u64) {
        if let Some(bill) = self.bills.remove(&fid) {
            self.fid_by_number.remove(&bill.number);
        }
    }

    pub fn note_create(&mut self, at: Timestamp, number: &str, result: Result<u64, &str>) {
        self.creates.push(json!({
            "n": self.creates.len() + 1, "at": at.to_string(), "number": number, "accepted": result.is_ok(),
            "fid": result.ok(), "reason": result.err(),
        }));
    }

    /// Whether this very packet was not sent before.
    pub fn is_new_packet(&mut self, packet: &str) -> bool {
        self.packets.insert(packet.to_owned())
    }

    pub fn held(&self) -> Value {
        let bills: Vec<_> = self
            .bills
            .values()
            .map(|bill| {
                json!({
                    "fid": bill.fid, "number": bill.number, "status": bill.status.text(),
                    "accepted_saves": self.saves.get(&bill.number).copied().unwrap_or(0),
                    "visible_at": bill.visible_at.to_string(), "ignored_fields": bill.ignored, "model": bill.model(),
                })
            })
            .collect();
        json!({"bills": bills, "creates": self.creates, "saves": self.saves})
    }
}
