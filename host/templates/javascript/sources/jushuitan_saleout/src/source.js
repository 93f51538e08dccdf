// A sale-out as Jushuitan (聚水潭) serves it, reduced to the fields that a bill usually needs. Over Qimen money comes as
// a string and natively as a number; identifiers come as either. What is not optional is
// required: where it is missing, `null` or of another type, the document is rejected and the rejection names the field.

import { skip } from 'crossdock-guest';

// Where the list of lines and the code of one stand in the document.
export const LINES = '/items';
export const CODE = 'sku_id';

/** @param {import('crossdock-guest').Fields} fields */
export function readSource(fields) {
  return {
    number: fields.filledText('io_id'),
    // The day on which the goods left; `dateTime` reads the time as well.
    date: fields.date('io_date'),
    // The warehouse company.
    warehouse: fields.text('wms_co_id'),
    shopId: fields.text('shop_id'),
    // The distributor; empty for a shop's own sale.
    distributor: fields.optionalText('drp_co_id_from'),
    remark: fields.optionalText('remark'),
    // The platform's order number.
    platformOrder: fields.optionalText('so_id'),
    // The waybill.
    waybill: fields.optionalText('l_id'),
    discount: fields.optionalDecimal('free_amount'),
    freight: fields.optionalDecimal('freight'),
    lines: fields.list('items').map(readLine),
  };
}

function readLine(fields) {
  return {
    code: fields.filledText('sku_id'),
    quantity: fields.decimal('qty'),
    price: fields.decimal('sale_price'),
  };
}

/** Why there is nothing to write: only a confirmed sale-out has left the warehouse. @param {import('crossdock-guest').Fields} fields */
export function notDone(fields) {
  const status = fields.text('status');
  return status === 'Confirmed' ? undefined : skip('not_done', `the status is ${status}`, '/status');
}
