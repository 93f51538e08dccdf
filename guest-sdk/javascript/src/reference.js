// Look-ups in the scheme's reference tables: material codes, units, customers. One call sees one revision of each table.
// A look-up that the host cannot answer yet ends the call by itself and the document runs again.

import { lookup as ask } from 'crossdock:transform/reference@1.0.0';

import { parseText } from './fields.js';
import { Numeral, read } from './json.js';
import { Rejection } from './rejection.js';

/**
 * The entry of `key` in `table`: a text for JSON text and numbers, `Fields` for an object; `undefined` where the key is
 * known not to exist.
 * @param {string} table
 * @param {string} key
 */
export function lookup(table, key) {
  const entry = lookupText(table, key);
  if (entry === undefined) return undefined;
  try {
    if (entry.trimStart().startsWith('{')) return parseText(entry);
    const value = read(entry);
    return value instanceof Numeral ? value.text : value;
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    const message = `the entry ${JSON.stringify(key)} of table ${table}: ${error.message}`;
    throw new Rejection('reference_unreadable', message);
  }
}

/**
 * The entry, or a rejection `reference_missing` that names the table, the key and `field`.
 * @param {string} table
 * @param {string} key
 * @param {string} field the JSON Pointer of the source field that `key` came from
 */
export function required(table, key, field) {
  const entry = lookup(table, key);
  if (entry !== undefined) return entry;
  throw new Rejection('reference_missing', `table ${table} has no entry ${JSON.stringify(key)} for ${field}`, field);
}

/** The entry as JSON text. @param {string} table @param {string} key @returns {string | undefined} */
export function lookupText(table, key) {
  try {
    return ask(table, key) ?? undefined;
  } catch {
    // The contract has one error.
    throw new Rejection('reference_unknown_table', `the scheme has no reference table ${table}`);
  }
}
