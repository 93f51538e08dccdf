//! From the source document to the trade, field by field. Amounts keep four decimal places, as the vendor does: what needs
//! more rejects, nothing is rounded.

use crossdock_guest::{DateTime, Decimal, NotExact, Rejection};

use crate::bill::{NO_REFUND, Order, PAID, PAY_FIRST, Push, TO_SHIP, Trade};
use crate::parameters::Parameters;
use crate::source::{CODE, LINES, Line, Source};

/// Decimal places that the vendor keeps of an amount, a price or a quantity.
const AMOUNT_PLACES: u32 = 4;

pub fn bill<'a>(source: &'a Source<'_>, parameters: &'a Parameters) -> Result<Push<'a>, Rejection> {
    if source.lines.is_empty() {
        return Err(Rejection::new("lines_empty", "a document has at least one line").at(LINES));
    }
    let tid = source.number.as_str();
    let time = DateTime { date: source.date, hour: 0, minute: 0, second: 0 };
    let order = |(index, line)| order(index, line, tid);
    let trade = Trade {
        tid,
        trade_status: TO_SHIP,
        pay_status: PAID,
        delivery_term: PAY_FIRST,
        trade_time: time,
        pay_time: time,
        buyer_nick: &parameters.buyer_nick,
        receiver_name: &parameters.receiver.name,
        receiver_mobile: &parameters.receiver.mobile,
        receiver_address: &parameters.receiver.address,
        warehouse_no: source.warehouse.as_str(),
        post_amount: Decimal::ZERO,
        cod_amount: Decimal::ZERO,
        ext_cod_fee: Decimal::ZERO,
        other_amount: Decimal::ZERO,
        paid: paid(source)?,
        orders: source.lines.iter().enumerate().map(order).collect::<Result<_, _>>()?,
    };
    Ok(Push { shop_no: &parameters.shop_no, trade })
}

fn order<'a>(index: usize, line: &'a Line<'_>, tid: &str) -> Result<Order<'a>, Rejection> {
    let field = format!("{LINES}/{index}");
    let code = line.code.required(&format!("{field}/{CODE}"))?;
    Ok(Order {
        oid: format!("{tid}-{}", index + 1),
        num: line.quantity.within_places(AMOUNT_PLACES, &field)?,
        price: line.price.within_places(AMOUNT_PLACES, &field)?,
        status: TO_SHIP,
        refund_status: NO_REFUND,
        goods_id: code,
        spec_id: code,
        goods_no: code,
        spec_no: code,
        adjust_amount: Decimal::ZERO,
        discount: Decimal::ZERO,
        share_discount: Decimal::ZERO,
    })
}

/// What the lines cost together.
fn paid(source: &Source<'_>) -> Result<Decimal, Rejection> {
    let add = |sum: Decimal, line: &Line<'_>| sum.checked_add(line.quantity.checked_mul(line.price)?);
    let sum = source.lines.iter().try_fold(Decimal::ZERO, add);
    let kept = sum.and_then(|sum| sum.units(AMOUNT_PLACES)).and_then(|units| Decimal::from_units(units, AMOUNT_PLACES));
    kept.map_err(|NotExact| Rejection::new("amount_not_exact", "what the lines cost needs more decimal places").at(LINES))
}
