//! Whether a bill that the site holds is the one that was meant.
//!
//! It compares the head fields that the settings name, the number of lines, and the quantities summed by material.
//! Prices, notes and the rest are not compared: the site rounds, completes and reorders them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::connectors::text::decimal;
use crate::connectors::{Difference, Finding, Job};

use super::answers::folded;
use super::body::Members;
use super::settings::{Compare, Options};
use super::wire::BillState;

/// One row of the query: a bill's line, with its head repeated.
#[derive(Debug, Clone)]
pub struct Row {
    pub number: String,
    pub id: String,
    state: Option<BillState>,
    head: Vec<Value>,
    entry_id: Option<String>,
    quantity: Value,
    material: Value,
}

/// The fields a look-up asks for, in their order.
pub fn field_keys(options: &Options) -> String {
    let compare = &options.compare;
    let fixed = [options.key_field.as_str(), "FID", "FDocumentStatus"];
    let entry = [&compare.entry_id, &compare.quantity, &compare.material];
    let all: Vec<_> =
        fixed.into_iter().chain(compare.head.iter().map(String::as_str)).chain(entry.map(String::as_str)).collect();
    all.join(",")
}

/// `None` where the row does not have the shape that was asked for.
pub fn row(cells: &[Value], options: &Options) -> Option<Row> {
    let heads = options.compare.head.len();
    let [number, id, state, rest @ ..] = cells else { return None };
    if rest.len() != heads + 3 {
        return None;
    }
    Some(Row {
        number: text(number),
        id: text(id),
        state: BillState::parse(&text(state)),
        head: rest[..heads].to_vec(),
        entry_id: Some(text(&rest[heads])).filter(|id| !matches!(id.as_str(), "" | "0")),
        quantity: rest[heads + 1].clone(),
        material: rest[heads + 2].clone(),
    })
}

/// The finding for one job among all rows of a look-up.
pub fn find(job: &Job, rows: &[Row], options: &Options) -> Finding {
    let mine: Vec<_> = rows.iter().filter(|row| folded(&row.number) == folded(job.key.as_str())).collect();
    let Some(first) = mine.first() else { return Finding::Absent };
    let id = first.id.clone();
    let mut differences = Vec::new();
    let mut differ = |field: &str, intended: String, found: String| {
        differences.push(Difference { field: field.to_owned(), intended, found });
    };
    let others = mine.iter().filter(|row| row.id != id).count();
    if others > 0 {
        differ(&options.key_field, "one bill".into(), "several bills of this number".into());
    }
    if first.number != job.key.as_str() {
        differ(&options.key_field, job.key.to_string(), first.number.clone());
    }
    match Intended::read(&job.body, &options.compare) {
        Ok(intended) => intended.compare(&mine, &options.compare, &mut differ),
        Err(problem) => differ("body", problem, "not compared".into()),
    }
    let Some(state) = first.state else {
        differ("FDocumentStatus", "a known state".into(), "an unknown one".into());
        return Finding::Differs { id, next: None, differences };
    };
    if differences.is_empty() {
        return Finding::Ours { id, next: state.next(options.submit_and_audit) };
    }
    let next = if others > 0 { None } else { state.first_step_of_change() };
    Finding::Differs { id, next, differences }
}

/// What the emitted body says.
struct Intended {
    head: Vec<Option<Value>>,
    lines: usize,
    quantities: BTreeMap<String, Decimal>,
}

impl Intended {
    fn read(body: &str, compare: &Compare) -> Result<Self, String> {
        let members = Members::parse(body)?;
        let head = compare.head.iter().map(|field| value_at(&members, field)).collect::<Result<_, _>>()?;
        let mut quantities = BTreeMap::<String, Decimal>::new();
        let lines: Vec<&serde_json::value::RawValue> = match members.get(&compare.entry) {
            None => Vec::new(),
            Some(raw) => serde_json::from_str(raw.get()).map_err(|error| format!("{}: {error}", compare.entry))?,
        };
        for line in &lines {
            let line = Members::parse(line.get())?;
            let quantity = value_at(&line, &compare.quantity)?.unwrap_or(Value::Null);
            let material = value_at(&line, &compare.material)?.unwrap_or(Value::Null);
            let quantity = decimal(&quantity).ok_or_else(|| format!("{} is not a number", compare.quantity))?;
            *quantities.entry(folded(&text(&material))).or_default() += quantity;
        }
        Ok(Self { head, lines: lines.len(), quantities })
    }

    fn compare(&self, rows: &[&Row], compare: &Compare, differ: &mut impl FnMut(&str, String, String)) {
        for (at, (field, intended)) in compare.head.iter().zip(&self.head).enumerate() {
            let (Some(intended), Some(row)) = (intended, rows.first()) else { continue };
            if !same(field, intended, &row.head[at]) {
                differ(field, text(intended), text(&row.head[at]));
            }
        }
        let mut found = BTreeMap::<String, Decimal>::new();
        // A row that a shifting page served twice is one line; a bill without lines still has one row, without an id.
        let mut seen = std::collections::BTreeSet::new();
        let mut unreadable = false;
        for row in rows.iter().filter(|row| row.entry_id.as_ref().is_some_and(|id| seen.insert(id.clone()))) {
            match decimal(&row.quantity) {
                Some(quantity) => *found.entry(folded(&text(&row.material))).or_default() += quantity,
                None => unreadable = true,
            }
        }
        if self.lines != seen.len() {
            differ(&compare.entry, format!("{} lines", self.lines), format!("{} lines", seen.len()));
        }
        if unreadable {
            differ(&compare.quantity, "numbers".into(), "something else".into());
        }
        for material in self.quantities.keys().chain(found.keys().filter(|key| !self.quantities.contains_key(*key))) {
            let (intended, found) = (self.quantities.get(material), found.get(material));
            if intended.copied().unwrap_or_default() != found.copied().unwrap_or_default() {
                let show = |sum: Option<&Decimal>| sum.map_or("none".into(), |sum| sum.normalize().to_string());
                differ(&format!("{} of {material}", compare.quantity), show(intended), show(found));
            }
        }
    }
}

/// The value under a query's name for it: `FCustomerID.FNumber` is the member of a member.
fn value_at(members: &Members<'_>, path: &str) -> Result<Option<Value>, String> {
    let (name, inner) = path.split_once('.').map_or((path, None), |(name, inner)| (name, Some(inner)));
    let Some(raw) = members.get(name) else { return Ok(None) };
    match inner {
        Some(inner) if raw.get().starts_with('{') => value_at(&Members::parse(raw.get())?, inner),
        _ => serde_json::from_str(raw.get()).map(Some).map_err(|error| format!("{path}: {error}")),
    }
}

fn same(field: &str, intended: &Value, found: &Value) -> bool {
    if let (Value::Number(_), Some(intended), Some(found)) = (intended, decimal(intended), decimal(found)) {
        return intended == found;
    }
    let (intended, found) = (text(intended), text(found));
    if let (Some(intended), Some(found)) = (day(&intended), day(&found)) {
        // The date of a bill is a day to the site: it cuts the time off, so that of the body cannot come back.
        return intended == found;
    }
    // The numbers of base data are looked up without regard to case, and come back as their record has them.
    if field.contains('.') { folded(&intended) == folded(&found) } else { intended.trim_end() == found.trim_end() }
}

/// The day in `2026-11-20`, `2026-11-20 08:00:00` and `2026-11-20T00:00:00.000`.
fn day(text: &str) -> Option<jiff::civil::Date> {
    let day: jiff::civil::Date = text.get(..10)?.parse().ok()?;
    matches!(text.as_bytes().get(10), None | Some(b' ' | b'T')).then_some(day)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
