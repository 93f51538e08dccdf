// A sale-out as U8 (用友U8) serves it, reduced to the fields that a bill usually needs. Every number comes as a string.
// User-defined fields (`define1` …) have the meaning that the user gave them. What is not optional is
// required: where it is missing, `null` or of another type, the document is rejected and the rejection names the field.

import { skip } from 'crossdock-guest';

// Where the list of lines and the code of one stand. One client's model of the list says `tentry`; the vendor's pages say
// `entry`.
export const LINES = '/entry';
export const CODE = 'inventorycode';

/** @param {import('crossdock-guest').Fields} fields */
export function readSource(fields) {
  return {
    number: fields.filledText('code'),
    date: fields.date('date'),
    warehouse: fields.text('warehousecode'),
    department: fields.optionalText('departmentcode'),
    customer: fields.optionalText('customercode'),
    customerName: fields.optionalText('customername'),
    remark: fields.optionalText('memory'),
    lines: fields.list(fields.has('tentry') ? 'tentry' : 'entry').map(readLine),
  };
}

function readLine(fields) {
  return {
    row: fields.text('rowno'),
    code: fields.filledText('inventorycode'),
    quantity: fields.decimal('quantity'),
    // U8's own price is often the cost; a user-defined field may hold the sale's.
    price: fields.decimal('price'),
  };
}

/** Why there is nothing to write: a sale-out counts once it is audited. @param {import('crossdock-guest').Fields} fields */
export function notDone(fields) {
  const audited = fields.optionalText('auditdate')?.trim();
  return audited ? undefined : skip('not_done', 'the sale-out is not audited', '/auditdate');
}
