//! From the source document to the bill, field by field.

use crossdock_guest::Rejection;

use crate::bill::{Bill, BillType, Number, Row, SubHead};
use crate::parameters::Parameters;
use crate::source::{CODE, LINES, Line, Source};

pub fn bill<'a>(source: &'a Source<'_>, parameters: &'a Parameters) -> Result<Bill<'a>, Rejection> {
    if source.lines.is_empty() {
        return Err(Rejection::new("lines_empty", "a document has at least one line").at(LINES));
    }
    let organisation = || Number { number: &parameters.organisation };
    let row = |(index, line)| row(index, line, source.warehouse.as_str(), parameters);
    Ok(Bill {
        bill_type: BillType { number: &parameters.bill_type },
        number: source.number.as_str(),
        date: source.date,
        sale_organisation: organisation(),
        stock_organisation: organisation(),
        customer: Number { number: &parameters.customer },
        note: source.remark.as_ref().map_or("", |remark| remark.as_str()),
        sub_head: SubHead {
            settle_currency: Number { number: &parameters.currency },
            settle_organisation: organisation(),
        },
        rows: source.lines.iter().enumerate().map(row).collect::<Result<_, _>>()?,
    })
}

fn row<'a>(
    index: usize,
    line: &'a Line<'_>,
    stock: &'a str,
    parameters: &'a Parameters,
) -> Result<Row<'a>, Rejection> {
    Ok(Row {
        material: Number { number: line.code.required(&format!("{LINES}/{index}/{CODE}"))? },
        unit: Number { number: &parameters.unit },
        quantity: line.quantity,
        tax_price: line.price,
        is_free: line.price.is_zero(),
        stock: Number { number: stock },
    })
}
