// From a mapping to the component's two exports.

import { parseText } from './fields.js';
import { toJson } from './json.js';
import * as log from './log.js';
import { Rejection } from './rejection.js';

/**
 * @typedef {import('crossdock:transform/types@1.0.0').Context} Context
 * @typedef {import('crossdock:transform/types@1.0.0').Document} Document
 * @typedef {import('crossdock:transform/types@1.0.0').Outcome} Outcome
 */

/**
 * What a module exports: `export const { describe, transform } = defineTransform({ … })`.
 *
 * `readParameters` gets the parameters as `Fields` and gives what `map` needs of them; a rejection in it becomes
 * `parameters_invalid`. `map` gives an outcome or throws a `Rejection`. Anything else that is thrown is the module's
 * fault: its message goes to the document's log and the document is parked.
 *
 * @template P
 * @param {{
 *   name: string, version: string, source: string, target: string, parametersSchema: object,
 *   readParameters: (parameters: import('./fields.js').Fields) => P,
 *   map: (document: Document, parameters: P, context: Context) => Outcome,
 * }} definition
 */
export function defineTransform({ name, version, source, target, parametersSchema, readParameters, map }) {
  prepare();
  const description = { name, version, source, target, parametersSchema: JSON.stringify(parametersSchema) };
  return {
    describe: () => description,
    /** @param {Context} context @param {Document} document @returns {Outcome} */
    transform(context, document) {
      try {
        return map(document, parametersOf(context, readParameters), context);
      } catch (error) {
        if (error instanceof Rejection) return { tag: 'reject', val: reason(error) };
        log.error(`${error}\n${error?.stack ?? ''}`);
        throw error;
      }
    },
  };
}

/**
 * The engine is started, and its memory kept, while the component is built: what has run then, patterns above all, no
 * instance has to make ready again.
 */
function prepare() {
  const sample = '{"text":"a\\u4e2d","number":12,"amount":1.50,"time":"2026-01-02 03:04:05","list":[{"1":"1.5","2":0}]}';
  const fields = parseText(sample);
  const [row] = fields.list('list');
  const amount = fields.decimal('amount');
  toJson({
    text: fields.filledText('text'),
    number: fields.text('number'),
    time: fields.dateTime('time'),
    day: fields.date('time'),
    rows: row.names().map((name) => ({ name, amount: row.decimal(name), none: fields.optionalText('none') })),
    isZero: amount.isZero,
    amount,
  });
}

// The parameters of the document before, which are nearly always this one's. Kept are fields that nobody can change; what a
// mapping makes of them it makes anew.
let known = { text: undefined, fields: undefined };

function parametersOf(context, readParameters) {
  try {
    const text = context.parameters;
    if (text !== known.text) known = { text, fields: Object.freeze(parseText(text)) };
    return readParameters(known.fields);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    // A field belongs to the source document, so the message alone names the parameter.
    throw new Rejection('parameters_invalid', `parameters: ${error.message}`);
  }
}

function reason({ code, message, field }) {
  return { code, message, field };
}

/** One bill. @param {string} key the bill's key in the target system @param {unknown} bill @returns {Outcome} */
export function emitOne(key, bill) {
  return emit([[key, bill]]);
}

/** Several bills, each a key and the bill. @param {[string, unknown][]} bills @returns {Outcome} */
export function emit(bills) {
  return { tag: 'emit', val: bills.map(([key, bill]) => ({ key, body: toJson(bill) })) };
}

/**
 * Nothing to write for this document, and that is right.
 * @param {string} code
 * @param {string} message must not repeat personal data
 * @param {string} [field] a JSON Pointer into the source document
 * @returns {Outcome}
 */
export function skip(code, message, field) {
  return { tag: 'skip', val: reason({ code, message, field }) };
}
