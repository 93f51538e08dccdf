// Documents of `@source@` become bills for `@target@`, one bill each.
//
// `source.js` is what is read, `bill.js` what is written of it, `parameters.js` what differs between users.

import { Rejection, defineTransform, emitOne, parse } from 'crossdock-guest';

import { name, version } from '../package.json';
import parametersSchema from '../parameters.schema.json';
import { bill } from './bill.js';
import { readParameters } from './parameters.js';
import { notDone, readSource } from './source.js';

export const { describe, transform } = defineTransform({
  name,
  version,
  source: '@source@',
  target: '@target@',
  parametersSchema,
  readParameters,
  map(document, parameters) {
    const fields = parse(document);
    const skipped = notDone(fields);
    if (skipped !== undefined) return skipped;
    const source = readSource(fields);
    if (source.number !== document.key) {
      throw new Rejection('key_mismatch', "@key_field@ is not the document's key", '/@key_field@');
    }
    return emitOne(source.number, bill(source, parameters));
  },
});
