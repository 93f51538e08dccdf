// From the source document to the bill, field by field, in the target's own spelling and order.

import { Rejection } from 'crossdock-guest';

import { LINES } from './source.js';

export function bill(source, parameters) {
  if (source.lines.length === 0) {
    throw new Rejection('lines_empty', 'a document has at least one line', LINES);
  }
  return {
    number: source.number,
    date: source.date,
    organisation: parameters.organisation,
    stock: source.warehouse,
    rows: source.lines.map((line) => ({
      material: line.code,
      quantity: line.quantity,
      price: line.price,
      is_free: line.price.isZero,
    })),
  };
}
