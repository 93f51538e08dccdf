//! From the source document to the bill, field by field.

use crossdock_guest::Rejection;

use crate::bill::{Bill, Row};
use crate::parameters::Parameters;
use crate::source::{CODE, LINES, Line, Source};

pub fn bill<'a>(source: &'a Source<'_>, parameters: &'a Parameters) -> Result<Bill<'a>, Rejection> {
    if source.lines.is_empty() {
        return Err(Rejection::new("lines_empty", "a document has at least one line").at(LINES));
    }
    Ok(Bill {
        number: source.number.as_str(),
        date: source.date,
        organisation: &parameters.organisation,
        stock: source.warehouse.as_str(),
        rows: source.lines.iter().enumerate().map(row).collect::<Result<_, _>>()?,
    })
}

fn row<'a>((index, line): (usize, &'a Line<'_>)) -> Result<Row<'a>, Rejection> {
    Ok(Row {
        material: line.code.required(&format!("{LINES}/{index}/{CODE}"))?,
        quantity: line.quantity,
        price: line.price,
        is_free: line.price.is_zero(),
    })
}
