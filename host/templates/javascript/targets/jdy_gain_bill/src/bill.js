// From the source document to one gain bill (盘盈单) of JDY (金蝶云星辰), in the vendor's own spelling. The vendor wants its
// internal ids as text, not codes: codes become ids through reference tables, and a code that is in none rejects the
// document. The number stands in three places, because accounts differ in which of them they keep.

import { Rejection, reference } from 'crossdock-guest';

import { CODE, LINES } from './source.js';

export function bill(source, parameters) {
  if (source.lines.length === 0) {
    throw new Rejection('lines_empty', 'a document has at least one line', LINES);
  }
  const stock = reference.required(parameters.stockTable, source.warehouse, '').text('id');
  return {
    billdate: source.date,
    billno: source.number,
    remark: source.number,
    material_entity: source.lines.map((line, index) => {
      const field = `${LINES}/${index}/${CODE}`;
      return {
        materialid_id: reference.required(parameters.materialTable, line.code, field).text('id'),
        stockid_id: stock,
        unit_id: reference.required(parameters.unitTable, parameters.unit, field).text('id'),
        qty: line.quantity,
        billno: source.number,
      };
    }),
  };
}
