// The document as the source serves it, reduced to the fields that are used. What is not optional is
// required: where it is missing, `null` or of another type, the document is rejected and the rejection names the field.

import { skip } from 'crossdock-guest';

// Where the list of lines and the code of one stand in the document.
export const LINES = '/lines';
export const CODE = 'code';

/** @param {import('crossdock-guest').Fields} fields */
export function readSource(fields) {
  return {
    number: fields.filledText('key'),
    date: fields.date('date'),
    warehouse: fields.text('warehouse'),
    remark: fields.optionalText('remark'),
    lines: fields.list('lines').map(readLine),
  };
}

function readLine(fields) {
  return {
    code: fields.filledText('code'),
    quantity: fields.decimal('quantity'),
    price: fields.decimal('price'),
  };
}

/** Why there is nothing to write yet. @param {import('crossdock-guest').Fields} fields */
export function notDone(fields) {
  const status = fields.text('status');
  return status === 'done' ? undefined : skip('not_done', `the status is ${status}`, '/status');
}
