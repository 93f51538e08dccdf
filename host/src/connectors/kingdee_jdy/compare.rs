//! Whether a bill that is there is the one that was meant.

use rust_decimal::Decimal;

use crate::connectors::{Difference, Finding};

use super::body::{self, Intended};
use super::lists::Row;

/// A bill of our number, as the account shows it.
#[derive(Debug)]
pub struct Found {
    pub id: String,
    pub date: Option<jiff::civil::Date>,
    pub lines: Result<Option<(usize, Decimal)>, String>,
}

impl Found {
    pub fn read(id: String, head: &Row) -> Self {
        Self { id, date: body::date(head), lines: body::lines(head) }
    }
}

/// Compared by date, number of lines and sum of quantities. Prices are not looked at: the account fills them in.
pub fn compare(intended: &Result<Intended, String>, found: &Found) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differ = |field: &str, intended: String, found: String| {
        differences.push(Difference { field: field.into(), intended, found });
    };
    let intended = match intended {
        Ok(intended) => intended,
        Err(problem) => {
            differ("body", problem.clone(), "not compared".into());
            return differences;
        }
    };
    let day = |date: Option<jiff::civil::Date>| date.map_or("no date".to_owned(), |date| date.to_string());
    if intended.date != found.date {
        differ("billdate", day(intended.date), day(found.date));
    }
    match &found.lines {
        Ok(Some((lines, quantity))) => {
            if intended.lines != *lines {
                differ("material_entity", format!("{} lines", intended.lines), format!("{lines} lines"));
            }
            if intended.quantity != *quantity {
                differ("qty", intended.quantity.normalize().to_string(), quantity.normalize().to_string());
            }
        }
        Ok(None) => differ("material_entity", format!("{} lines", intended.lines), "no lines are shown".into()),
        Err(problem) => differ("material_entity", format!("{} lines", intended.lines), problem.clone()),
    }
    differences
}

/// The finding for one job among all bills of its number.
pub fn finding(intended: &Result<Intended, String>, found: &[Found]) -> Finding {
    let Some(first) = found.first() else { return Finding::Absent };
    let id = first.id.clone();
    let mut differences = compare(intended, first);
    if found.len() > 1 {
        differences.push(Difference {
            field: "billno".into(),
            intended: "one bill".into(),
            found: format!("{} bills of this number", found.len()),
        });
    }
    if differences.is_empty() {
        return Finding::Ours { id, next: None };
    }
    Finding::Differs { id, next: None, differences }
}
