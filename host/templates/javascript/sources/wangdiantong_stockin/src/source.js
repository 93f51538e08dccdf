// A stock-in as WangDianTong (旺店通) serves it, reduced to the fields that a bill usually needs. Scalars come mostly as
// strings (`"5.0000"`, `"80"`), what is missing as `null`. What is not optional is
// required: where it is missing, `null` or of another type, the document is rejected and the rejection names the field.

import { skip } from 'crossdock-guest';

// Where the list of lines and the code of one stand in the document.
export const LINES = '/details_list';
export const CODE = 'spec_no';

/** @param {import('crossdock-guest').Fields} fields */
export function readSource(fields) {
  return {
    number: fields.filledText('stockin_no'),
    // 4 is a stock-take surplus; 1 a purchase, 2 a transfer.
    orderType: fields.text('order_type'),
    // The number of the document above it: the stock-take's, the purchase's.
    above: fields.optionalText('src_order_no'),
    warehouse: fields.text('warehouse_no'),
    // When it was audited, which is when the goods came in.
    date: fields.date('check_time'),
    created: fields.optionalDate('created_time'),
    remark: fields.optionalText('remark'),
    lines: fields.list('details_list').map(readLine),
  };
}

function readLine(fields) {
  return {
    code: fields.filledText('spec_no'),
    unit: fields.optionalText('goods_unit'),
    quantity: fields.decimal('goods_count'),
    price: fields.decimal('cost_price'),
  };
}

/** Why there is nothing to write: 80 is a stock-in that is done. @param {import('crossdock-guest').Fields} fields */
export function notDone(fields) {
  const status = fields.text('status');
  return status === '80' ? undefined : skip('not_done', `the status is ${status}`, '/status');
}
