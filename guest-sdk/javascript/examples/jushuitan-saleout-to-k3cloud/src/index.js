// Jushuitan (聚水潭) sale-outs become K3Cloud (金蝶云星空) sale-outs, form `SAL_OUTSTOCK`, one bill each: the same mapping
// as `transforms/jushuitan-saleout-to-k3cloud`, with the same bytes as outcome.
//
// `source.js` is what is read, `bill.js` what is written, `parameters.js` what differs between users.

import { Rejection, defineTransform, emitOne, parse, skip } from 'crossdock-guest';

import { name, version } from '../package.json';
import parametersSchema from '../parameters.schema.json';
import { bill } from './bill.js';
import { readParameters } from './parameters.js';
import { readSaleOut } from './source.js';

export const { describe, transform } = defineTransform({
  name,
  version,
  source: 'jushuitan_qimen:jushuitan.saleout.list.query',
  target: 'kingdee_k3cloud:BatchSave',
  parametersSchema,
  readParameters,
  map(document, parameters) {
    const fields = parse(document);
    // First, because a sale-out that was never shipped may be half empty, and nothing needs to be written for it.
    const status = fields.text('status');
    if (!parameters.shippedStatuses.includes(status)) {
      const code = status === 'Cancelled' ? 'status_cancelled' : 'status_not_shipped';
      return skip(code, `the sale-out's status is ${status}`, '/status');
    }
    const saleOut = readSaleOut(fields);
    if (saleOut.ioId !== document.key) {
      throw new Rejection('key_mismatch', "io_id is not the document's key", '/io_id');
    }
    if (saleOut.items.length === 0) {
      throw new Rejection('items_empty', '/items is empty: a sale-out has at least one line', '/items');
    }
    return emitOne(saleOut.ioId, bill(saleOut, parameters));
  },
});
