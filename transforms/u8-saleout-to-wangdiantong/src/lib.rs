//! U8 (用友U8) sale-outs become WangDianTong (旺店通) trades, one trade each.
//!
//! `source.rs` is what is read, `trade.rs` what is written, and the mapping below reads like the field table;
//! `amounts.rs` is the arithmetic and `receiver.rs` where the goods go. A red sale-out (goods come back) is no trade.
//! Amounts keep four decimal places, as the vendor does: what needs more rejects, nothing is rounded. Times are local
//! texts of the source, which the target reads as its own.

mod amounts;
mod parameters;
mod receiver;
mod source;
mod trade;

use std::collections::BTreeSet;

use crossdock_guest::{Context, DateTime, Decimal, Document, Fields, NotExact, Outcome, Rejection, Transform};

use amounts::{Line, SpreadError};
use parameters::Parameters;
use source::{Row, SaleOut};
use trade::{Order, Push, Trade};

/// Decimal places that the vendor keeps of an amount, a price or a quantity.
const AMOUNT_PLACES: u32 = 4;

struct SaleOutToWangDianTong;

impl Transform for SaleOutToWangDianTong {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SOURCE: &'static str = "yonyou_u8:saleoutlist/batch_get";
    const TARGET: &'static str = "wangdiantong_qimen:wdt.trade.push";
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    type Parameters = Parameters;

    fn transform(_: &Context, parameters: &Parameters, document: &Document) -> Result<Outcome, Rejection> {
        let (saleout, fields) = source::read(document)?;
        let tid = saleout.code.required("/code")?;
        if tid != document.key {
            return Err(Rejection::new("key_mismatch", "code is not the document's key").at("/code"));
        }
        let rows = saleout.rows(&fields)?;
        if let Some(skip) = red(&rows)? {
            return Ok(skip);
        }
        let trade = trade(tid, &saleout, &fields, &rows, parameters)?;
        Outcome::emit_one(tid, &Push { shop_no: &parameters.shop_no, trade })
    }
}

crossdock_guest::export!(SaleOutToWangDianTong);

/// Why there is nothing to write, where all goods come back. Goods that go both ways are no trade and no return.
fn red(rows: &[Row<'_, '_>]) -> Result<Option<Outcome>, Rejection> {
    let Some(back) = rows.iter().find(|row| row.entry.quantity.is_negative()) else { return Ok(None) };
    let field = back.fields.pointer("quantity");
    if rows.iter().any(|row| row.entry.quantity.is_positive()) {
        let message = format!("{field} is negative while others are positive: goods go both ways");
        return Err(Rejection::new("signs_mixed", message).at(field));
    }
    Ok(Some(Outcome::skip("red_document", "the quantities are negative: goods come back", Some(&field))))
}

fn trade<'a>(
    tid: &'a str,
    saleout: &'a SaleOut<'_>,
    fields: &Fields<'a>,
    rows: &'a [Row<'_, '_>],
    parameters: &'a Parameters,
) -> Result<Trade<'a>, Rejection> {
    let Some(buyer_nick) = saleout.buyer() else {
        let message = "neither /customername nor /customercode says who bought";
        return Err(Rejection::new("buyer_missing", message).at("/customername"));
    };
    let time = DateTime { date: saleout.date, hour: 0, minute: 0, second: 0 };
    let post_amount = amount(fields, &parameters.post_amount_field)?;
    let other_amount = amount(fields, &parameters.other_amount_field)?;
    let receiver = receiver::receiver(fields, &parameters.receiver)?;
    let lines = lines(rows, parameters)?;
    let amounts = line_amounts(rows, &lines)?;
    let shares = shares(fields, &amounts, parameters)?;
    let paid = paid(&amounts, &shares, post_amount, other_amount)?;
    Ok(Trade {
        tid,
        trade_status: trade::TO_SHIP,
        pay_status: trade::PAID,
        delivery_term: trade::PAY_FIRST,
        trade_time: time,
        pay_time: time,
        buyer_nick,
        receiver,
        warehouse_no: parameters.warehouse(saleout.warehousecode.required("/warehousecode")?),
        post_amount,
        cod_amount: amount(fields, &parameters.cod_amount_field)?,
        ext_cod_fee: amount(fields, &parameters.ext_cod_fee_field)?,
        other_amount,
        paid,
        orders: orders(tid, rows, &lines, &shares)?,
    })
}

fn orders<'a>(
    tid: &str,
    rows: &'a [Row<'_, '_>],
    lines: &[Line],
    shares: &[Decimal],
) -> Result<Vec<Order<'a>>, Rejection> {
    let mut rownos = BTreeSet::new();
    let mut orders = Vec::with_capacity(rows.len());
    for ((row, line), share) in rows.iter().zip(lines).zip(shares) {
        let field = row.fields.pointer("rowno");
        let rowno = row.entry.rowno.required(&field)?;
        if !rownos.insert(rowno) {
            let message = format!("{field} is the number of an earlier row: a line's oid must be unique");
            return Err(Rejection::new("rowno_repeated", message).at(field));
        }
        let inventory = row.entry.inventorycode.required(&row.fields.pointer("inventorycode"))?;
        orders.push(Order {
            oid: format!("{tid}-{rowno}"),
            num: line.num,
            price: line.price,
            status: trade::TO_SHIP,
            refund_status: trade::NO_REFUND,
            goods_id: inventory,
            spec_id: inventory,
            goods_no: inventory,
            spec_no: inventory,
            adjust_amount: line.adjust_amount,
            discount: line.discount,
            share_discount: *share,
        });
    }
    Ok(orders)
}

fn lines(rows: &[Row<'_, '_>], parameters: &Parameters) -> Result<Vec<Line>, Rejection> {
    if rows.is_empty() {
        return Err(Rejection::new("entry_empty", "/entry is empty: a sale-out has at least one row").at("/entry"));
    }
    rows.iter().map(|row| line(row, parameters)).collect()
}

fn line(Row { entry, fields }: &Row<'_, '_>, parameters: &Parameters) -> Result<Line, Rejection> {
    let field = fields.pointer("quantity");
    if entry.quantity.is_zero() {
        let message = format!("{field} is 0: nothing was sent, and a trade's line cannot say so");
        return Err(Rejection::new("quantity_zero", message).at(field));
    }
    let price_field = fields.pointer(&parameters.price_field);
    let price: Decimal = fields.required(&parameters.price_field)?;
    if price.is_negative() {
        return Err(Rejection::new("price_negative", format!("{price_field} is negative")).at(price_field));
    }
    Ok(Line {
        num: entry.quantity.within_places(AMOUNT_PLACES, &field)?,
        price: price.within_places(AMOUNT_PLACES, &price_field)?,
        adjust_amount: amount(fields, &parameters.adjust_amount_field)?,
        discount: amount(fields, &parameters.discount_field)?,
    })
}

/// An amount from a field that the parameters may name; 0 where they name none, and where it is blank.
fn amount(fields: &Fields<'_>, name: &Option<String>) -> Result<Decimal, Rejection> {
    let Some(name) = name else { return Ok(Decimal::ZERO) };
    let amount = fields.optional::<Decimal>(name)?.unwrap_or(Decimal::ZERO);
    amount.within_places(AMOUNT_PLACES, &fields.pointer(name))
}

/// What each line costs before its part of the order's discount. A line that costs less than nothing is a mistake in
/// its discount or its adjustment.
fn line_amounts(rows: &[Row<'_, '_>], lines: &[Line]) -> Result<Vec<Decimal>, Rejection> {
    let amount = |(row, line): (&Row<'_, '_>, &Line)| {
        let amount = line.amount().map_err(|NotExact| amount_not_exact("a line's amount"))?;
        if amount.is_negative() {
            let field = row.fields.pointer("quantity");
            let message = format!("the line of {field} costs less than nothing after its own discount");
            return Err(Rejection::new("line_negative", message).at(field));
        }
        Ok(amount)
    };
    rows.iter().zip(lines).map(amount).collect()
}

/// Each line's part of the discount on the whole order.
fn shares(fields: &Fields<'_>, amounts: &[Decimal], parameters: &Parameters) -> Result<Vec<Decimal>, Rejection> {
    let Some(name) = &parameters.order_discount_field else { return Ok(vec![Decimal::ZERO; amounts.len()]) };
    let field = fields.pointer(name);
    let discount = fields.optional::<Decimal>(name)?.unwrap_or(Decimal::ZERO);
    amounts::spread(discount, amounts).map_err(|why| {
        let (code, what) = match why {
            SpreadError::Negative => ("order_discount_negative", "is negative"),
            SpreadError::NotInCents => ("order_discount_not_in_cents", "has a part of a cent"),
            SpreadError::TooLarge => ("order_discount_too_large", "is more than the lines cost"),
            SpreadError::NotExact => return amount_not_exact("the order's discount").at(&field),
        };
        Rejection::new(code, format!("{field} {what}")).at(&field)
    })
}

fn paid(amounts: &[Decimal], shares: &[Decimal], post: Decimal, other: Decimal) -> Result<Decimal, Rejection> {
    let paid = amounts::paid(amounts, shares, post, other).map_err(|NotExact| amount_not_exact("paid"))?;
    if paid.is_negative() {
        return Err(Rejection::new("paid_negative", "the trade costs less than nothing"));
    }
    // Two factors of four places each can need eight.
    let kept = paid.units(AMOUNT_PLACES).and_then(|units| Decimal::from_units(units, AMOUNT_PLACES));
    kept.map_err(|NotExact| amount_not_exact("paid"))
}

fn amount_not_exact(what: &str) -> Rejection {
    Rejection::new("amount_not_exact", format!("{what} cannot be exact with {AMOUNT_PLACES} decimal places"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_guest::testing::Cases;

    #[test]
    fn every_case_gives_what_it_expects() {
        let count = Cases::of(env!("CARGO_MANIFEST_DIR")).key_field("code").run::<SaleOutToWangDianTong>();
        assert!(count >= 20, "only {count} cases were found");
    }
}
