//! WangDianTong (旺店通) stock-take surpluses become JDY (金蝶云星辰) gain bills, one bill each.
//!
//! `source.rs` is what is read, `bill.rs` what is written, and the mapping below reads like the field table. Only a
//! finished stock-in of a stock-take surplus is mapped; a line without a surplus is left out. Codes become the target's
//! ids through reference tables, and a code that is in none rejects the document.

mod bill;
mod parameters;
mod source;

use crossdock_guest::{Context, Date, Document, Field, Outcome, Rejection, Text, Transform, reference};
use serde::Deserialize;

use bill::{Bill, Row};
use parameters::Parameters;
use source::{Detail, Kind, StockIn};

/// `order_type` of a stock-take surplus.
const SURPLUS: &str = "4";
/// `status` of a stock-in that is done, and of one that is void.
const DONE: &str = "80";
const CANCELLED: &str = "10";
/// Decimal places of a quantity, in the source as in the target.
const QUANTITY_PLACES: u32 = 4;

struct StockInToJdy;

impl Transform for StockInToJdy {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SOURCE: &'static str = "wangdiantong_qimen:wdt.stockin.order.query";
    const TARGET: &'static str = "kingdee_jdy:jdy/inv/inv_check_gain_bill_save";
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    type Parameters = Parameters;

    fn transform(_: &Context, parameters: &Parameters, document: &Document) -> Result<Outcome, Rejection> {
        let stockin: StockIn<'_> = match document.parse() {
            Ok(stockin) => stockin,
            // A stock-in of another kind may lack what a surplus has, and nothing needs to be written for it.
            Err(why) => return document.parse().ok().and_then(|kind: Kind<'_>| skip(&kind)).ok_or(why),
        };
        if let Some(skip) = skip(&stockin.kind()) {
            return Ok(skip);
        }
        if stockin.stockin_no.required("/stockin_no")? != document.key {
            return Err(Rejection::new("key_mismatch", "stockin_no is not the document's key").at("/stockin_no"));
        }
        if !stockin.details_list.iter().any(Detail::is_surplus) {
            return Ok(Outcome::skip("no_surplus", "no line has a positive quantity", Some("/details_list")));
        }
        Outcome::emit_one(stockin.number(), &bill(&stockin, parameters)?)
    }
}

crossdock_guest::export!(StockInToJdy);

/// Why there is nothing to write, where the stock-in is no surplus or not done.
fn skip(stockin: &Kind<'_>) -> Option<Outcome> {
    let (order_type, status) = (stockin.order_type.as_str(), stockin.status.as_str());
    if order_type != SURPLUS {
        let message = format!("the stock-in's order_type is {order_type}, not that of a stock-take surplus");
        return Some(Outcome::skip("not_a_surplus", message, Some("/order_type")));
    }
    let code = match status {
        DONE => return None,
        CANCELLED => "status_cancelled",
        _ => "status_not_done",
    };
    Some(Outcome::skip(code, format!("the stock-in's status is {status}"), Some("/status")))
}

/// What every reference table of the target holds.
#[derive(Deserialize)]
struct Entry {
    id: String,
}

fn bill<'a>(stockin: &'a StockIn<'_>, parameters: &Parameters) -> Result<Bill<'a>, Rejection> {
    let warehouse_no = stockin.warehouse_no.required("/warehouse_no")?;
    let stock: Entry = reference::required(&parameters.stock_table, warehouse_no, "/warehouse_no")?;
    let surpluses = stockin.details_list.iter().enumerate().filter(|(_, detail)| detail.is_surplus());
    Ok(Bill {
        date: date(stockin)?,
        no: stockin.number(),
        remark: stockin.number(),
        rows: surpluses
            .map(|(index, detail)| row(index, detail, &stock, stockin.number(), parameters))
            .collect::<Result<_, _>>()?,
    })
}

/// The day on which the goods came in; where nobody audited the stock-in, the day on which it was made.
fn date(stockin: &StockIn<'_>) -> Result<Date, Rejection> {
    let message = "neither /check_time nor /created_time has a date";
    let missing = || Rejection::new("date_missing", message).at("/check_time");
    stockin.check_time.or(stockin.created_time).ok_or_else(missing)
}

fn row<'a>(
    index: usize,
    detail: &Detail<'_>,
    stock: &Entry,
    no: &'a str,
    parameters: &Parameters,
) -> Result<Row<'a>, Rejection> {
    let field = |name: &str| format!("/details_list/{index}/{name}");
    let id = |table: &str, code: &Field<Text<'_>>, field: &str| -> Result<String, Rejection> {
        let code = code.required(field)?.required(field)?;
        Ok(reference::required::<Entry>(table, code, field)?.id)
    };
    Ok(Row {
        material: id(&parameters.material_table, &detail.spec_no, &field("spec_no"))?,
        stock: stock.id.clone(),
        unit: id(&parameters.unit_table, &detail.goods_unit, &field("goods_unit"))?,
        quantity: detail.goods_count.within_places(QUANTITY_PLACES, &field("goods_count"))?,
        no,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_guest::testing::Cases;

    #[test]
    fn every_case_gives_what_it_expects() {
        let count = Cases::of(env!("CARGO_MANIFEST_DIR")).key_field("stockin_no").run::<StockInToJdy>();
        assert!(count >= 20, "only {count} cases were found");
    }
}
