//! Jushuitan (聚水潭) sale-outs become K3Cloud (金蝶云星空) sale-outs, form `SAL_OUTSTOCK`, one bill each.
//!
//! `source.rs` is what is read, `bill.rs` what is written, and the mapping below reads like the field table. Numbers of
//! shops, organisations, departments and currencies are parameters. Request options such as submit and audit belong to
//! the scheme's settings, not to the bill.

mod bill;
mod parameters;
mod source;

use crossdock_guest::{Context, Document, Outcome, Rejection, Transform};

use bill::{Bill, BillType, Number, Row, SubHead};
use parameters::Parameters;
use source::{Item, SaleOut, Status};

pub struct SaleOutToK3Cloud;

impl Transform for SaleOutToK3Cloud {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SOURCE: &'static str = "jushuitan_qimen:jushuitan.saleout.list.query";
    const TARGET: &'static str = "kingdee_k3cloud:BatchSave";
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    type Parameters = Parameters;

    fn transform(_: &Context, parameters: &Parameters, document: &Document) -> Result<Outcome, Rejection> {
        let saleout: SaleOut<'_> = match document.parse() {
            Ok(saleout) => saleout,
            // A sale-out that was never shipped may be half empty, and nothing needs to be written for it.
            Err(why) => return document.parse().ok().and_then(|s: Status<'_>| skip(&s, parameters)).ok_or(why),
        };
        if let Some(skip) = skip(&saleout.status(), parameters) {
            return Ok(skip);
        }
        let key = saleout.io_id.required("/io_id")?;
        if key != document.key {
            return Err(Rejection::new("key_mismatch", "io_id is not the document's key").at("/io_id"));
        }
        if saleout.items.is_empty() {
            return Err(Rejection::new("items_empty", "/items is empty: a sale-out has at least one line").at("/items"));
        }
        Outcome::emit_one(key, &bill(&saleout, parameters)?)
    }
}

crossdock_guest::export!(SaleOutToK3Cloud);

/// Why there is nothing to write, where the sale-out has not been shipped.
fn skip(saleout: &Status<'_>, parameters: &Parameters) -> Option<Outcome> {
    let status = saleout.status.as_str();
    if parameters.shipped_statuses.iter().any(|shipped| shipped == status) {
        return None;
    }
    let code = if status == "Cancelled" { "status_cancelled" } else { "status_not_shipped" };
    Some(Outcome::skip(code, format!("the sale-out's status is {status}"), Some("/status")))
}

fn bill<'a>(saleout: &'a SaleOut<'_>, parameters: &'a Parameters) -> Result<Bill<'a>, Rejection> {
    let shop_id = saleout.shop_id.required("/shop_id")?;
    let stock_id = saleout.wms_co_id.required("/wms_co_id")?;
    let shop = parameters.shop(shop_id);
    let customer = match saleout.distributor() {
        Some(distributor) => distributor,
        None => parameters.customer_of_shop(shop_id),
    };
    Ok(Bill {
        bill_type: BillType(&parameters.bill_type),
        no: saleout.io_id.as_str(),
        date: saleout.io_date,
        sale_organisation: Number(&shop.organisation),
        stock_organisation: Number(&shop.organisation),
        customer: Number(customer),
        sale_department: Number(&shop.department),
        note: text(&saleout.remark),
        profit_centre: Number(&shop.profit_centre),
        platform_order: text(&saleout.so_id),
        waybill: text(&saleout.l_id),
        sub_head: SubHead {
            settle_currency: Number(&shop.currency),
            settle_organisation: Number(&shop.organisation),
            discount: saleout.free_amount,
        },
        rows: saleout
            .items
            .iter()
            .enumerate()
            .map(|(index, item)| row(index, item, stock_id, parameters))
            .collect::<Result<_, _>>()?,
    })
}

fn row<'a>(
    index: usize,
    item: &'a Item<'_>,
    stock_id: &'a str,
    parameters: &'a Parameters,
) -> Result<Row<'a>, Rejection> {
    if item.sku_id.is_blank() {
        let field = format!("/items/{index}/sku_id");
        item.sku_id.required(&field)?;
    }
    Ok(Row {
        material: Number(item.sku_id.as_str()),
        unit: parameters.unit.as_deref().map(Number),
        quantity: item.qty,
        tax_price: item.sale_price,
        is_free: item.sale_price.is_zero(),
        stock: Number(stock_id),
        note: "",
        text2: "1",
    })
}

/// A missing text and an empty one are the same in the bill, which always has the field.
fn text<'a>(text: &'a Option<crossdock_guest::Text<'_>>) -> &'a str {
    text.as_ref().map_or("", |text| text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_guest::testing::Cases;

    #[test]
    fn every_case_gives_what_it_expects() {
        let count = Cases::of(env!("CARGO_MANIFEST_DIR")).key_field("io_id").run::<SaleOutToK3Cloud>();
        assert!(count >= 15, "only {count} cases were found");
    }
}
