// From the source document to one trade for `wdt.trade.push` of WangDianTong (旺店通), with the shop it is pushed to, in the
// vendor's own spelling. Amounts keep four decimal places, as the vendor does: what needs more rejects, nothing is rounded.

import { Decimal, Rejection } from 'crossdock-guest';

import { LINES } from './source.js';

/** Decimal places that the vendor keeps of an amount, a price or a quantity. */
const AMOUNT_PLACES = 4;
/** `trade_status` and a line's `status`: paid, to ship. */
const TO_SHIP = 30;
/** `pay_status`. */
const PAID = 2;
/** `delivery_term`: paid first, shipped afterwards. */
const PAY_FIRST = 1;
/** A line's `refund_status`. */
const NO_REFUND = 0;

export function bill(source, parameters) {
  if (source.lines.length === 0) {
    throw new Rejection('lines_empty', 'a document has at least one line', LINES);
  }
  const { receiver } = parameters;
  const time = `${source.date} 00:00:00`;
  const trade = {
    tid: source.number,
    trade_status: TO_SHIP,
    pay_status: PAID,
    delivery_term: PAY_FIRST,
    trade_time: time,
    pay_time: time,
    buyer_nick: parameters.buyerNick,
    receiver_name: receiver.name,
    receiver_mobile: receiver.mobile,
    // Without a region the vendor parses the address, which then starts with province, city and district.
    receiver_address: receiver.address,
    warehouse_no: source.warehouse,
    post_amount: 0,
    cod_amount: 0,
    ext_cod_fee: 0,
    other_amount: 0,
    paid: paid(source),
    order_list: source.lines.map((line, index) => order(line, index, source.number)),
  };
  // The connector gathers the trades of one shop into a request.
  return { shop_no: parameters.shopNo, trade };
}

function order(line, index, tid) {
  const field = `${LINES}/${index}`;
  return {
    oid: `${tid}-${index + 1}`,
    num: line.quantity.withinPlaces(AMOUNT_PLACES, field),
    price: line.price.withinPlaces(AMOUNT_PLACES, field),
    status: TO_SHIP,
    refund_status: NO_REFUND,
    goods_id: line.code,
    spec_id: line.code,
    goods_no: line.code,
    spec_no: line.code,
    adjust_amount: 0,
    discount: 0,
    share_discount: 0,
  };
}

/** What the lines cost together. */
function paid(source) {
  const sum = source.lines.reduce((sum, line) => sum.add(line.quantity.multiply(line.price)), Decimal.ZERO);
  return sum.withinPlaces(AMOUNT_PLACES, LINES);
}
