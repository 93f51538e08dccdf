// From the source document to one element of `Model` for the form `SAL_OUTSTOCK` of K3Cloud (金蝶云星空), in the vendor's own
// spelling and order. The order of the fields is kept, because fields come after those they depend on. Another form has
// other fields.

import { Rejection } from 'crossdock-guest';

import { LINES } from './source.js';

/** Base data by its number. */
const number = (value) => ({ FNumber: value });

export function bill(source, parameters) {
  if (source.lines.length === 0) {
    throw new Rejection('lines_empty', 'a document has at least one line', LINES);
  }
  return {
    // The one key that the vendor spells in capitals.
    FBillTypeID: { FNUMBER: parameters.billType },
    FBillNo: source.number,
    FDate: source.date,
    FSaleOrgId: number(parameters.organisation),
    FStockOrgId: number(parameters.organisation),
    FCustomerID: number(parameters.customer),
    FNote: source.remark ?? '',
    SubHeadEntity: {
      FSettleCurrID: number(parameters.currency),
      FSettleOrgID: number(parameters.organisation),
    },
    FEntity: source.lines.map((line) => ({
      FMaterialID: number(line.code),
      FUnitID: number(parameters.unit),
      FRealQty: line.quantity,
      FTaxPrice: line.price,
      FIsFree: line.price.isZero,
      FStockID: number(source.warehouse),
    })),
  };
}
