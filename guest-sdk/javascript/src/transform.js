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

function parametersOf(context, readParameters) {
  try {
    return readParameters(parseText(context.parameters));
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
