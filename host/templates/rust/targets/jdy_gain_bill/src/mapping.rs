//! From the source document to the bill, field by field. Codes become the target's ids through reference tables; a code
//! that is in none rejects the document.

use crossdock_guest::{Rejection, reference};
use serde::Deserialize;

use crate::bill::{Bill, Row};
use crate::parameters::Parameters;
use crate::source::{CODE, LINES, Line, Source};

/// What every reference table of the target holds.
#[derive(Deserialize)]
struct Entry {
    id: String,
}

pub fn bill<'a>(source: &'a Source<'_>, parameters: &Parameters) -> Result<Bill<'a>, Rejection> {
    if source.lines.is_empty() {
        return Err(Rejection::new("lines_empty", "a document has at least one line").at(LINES));
    }
    let number = source.number.as_str();
    let stock: Entry = reference::required(&parameters.stock_table, source.warehouse.as_str(), "")?;
    let row = |(index, line)| row(index, line, &stock, number, parameters);
    Ok(Bill {
        date: source.date,
        number,
        remark: number,
        rows: source.lines.iter().enumerate().map(row).collect::<Result<_, _>>()?,
    })
}

fn row<'a>(
    index: usize,
    line: &Line<'_>,
    stock: &Entry,
    number: &'a str,
    parameters: &Parameters,
) -> Result<Row<'a>, Rejection> {
    let field = format!("{LINES}/{index}/{CODE}");
    let material: Entry = reference::required(&parameters.material_table, line.code.required(&field)?, &field)?;
    let unit: Entry = reference::required(&parameters.unit_table, &parameters.unit, &field)?;
    Ok(Row { material: material.id, stock: stock.id.clone(), unit: unit.id, quantity: line.quantity, number })
}
