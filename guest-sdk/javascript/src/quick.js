// Reads a document by way of `JSON.parse`. Inside a component JavaScript is interpreted, and what the engine does by itself is
// a hundred times as quick as a loop over characters: `json.js` takes milliseconds for a sale-out, this takes a tenth of one.
//
// What `JSON.parse` would lose is saved: the digits of a number, the order of names that begin with a digit, and a name that
// an object has twice. A text where that cannot be told cheaply, or that is no JSON, is read by `json.js`, which has the last
// word: the two never differ in what a field reads as or is refused for.
//
// In a document as it is held here, objects are plain objects and a number whose digits `String` would give back is a number.
// Any other is a string that begins with `NUMERAL`; a string of the document that begins with either mark, and a name that
// begins with a digit or a mark, have `ESCAPE` before them.

import { DUPLICATES, Numeral, read } from './json.js';

const ESCAPE = '\ufffe';
const NUMERAL = '\uffff';
/** A string before this is held as the document has it, as nearly every one is. */
export const MARKS = ESCAPE;
const MARKED = /\\u[fF]{3}[eEfF]/;
// Numbers that do not come back from binary floating point as they were written. Should it find one within a string, the
// quotation mark that it gets ends that string, and a mark that stands outside of strings is no JSON.
const INEXACT =
  /([:,[][ \t\n\r]*)(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)|-0|-?[1-9][0-9]{15,})(?=[ \t\n\r]*[,}\]])/g;
// Names that begin with a digit, and elements of arrays that do; both are read without the mark again.
const NUMBERED = /([{,][ \t\n\r]*")(?=[0-9])/g;
const SPACED = /"[ \t\n\r]+:/g;
// As `json.js` has it.
const DEPTH_LIMIT = 128;

/** What a name holds that an object has twice. */
export class Twice {
  /** @param {unknown} last what counts where nobody reads it */
  constructor(last) {
    this.last = last;
  }
}

/**
 * Reads JSON text.
 * @param {string} text
 * @throws {import('./rejection.js').Rejection}
 */
export function readQuickly(text) {
  return quickly(text) ?? held(read(text));
}

/** The document, or undefined where the other reader must see to it. */
function quickly(text) {
  const escapes = text.includes('\\');
  if (text.includes(NUMERAL) || text.includes(ESCAPE) || (escapes && MARKED.test(text))) return undefined;
  let marked = text.replace(INEXACT, `$1"${NUMERAL}$2"`);
  let value;
  try {
    value = JSON.parse(marked);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const found = { names: 0, unordered: false, deep: false };
  survey(value, 1, found);
  if (found.deep || found.names !== namesIn(text, escapes)) return undefined;
  if (found.unordered) {
    marked = marked.replace(NUMBERED, `$1${ESCAPE}`);
    value = JSON.parse(marked);
  }
  return value;
}

function survey(value, depth, found) {
  if (depth > DEPTH_LIMIT) {
    found.deep = true;
    return;
  }
  if (!Array.isArray(value)) {
    const names = Object.keys(value);
    found.names += names.length;
    // An engine moves names that are whole numbers to the front.
    if (names.length > 0 && names[0] >= '0' && names[0] < ':') found.unordered = true;
  }
  const values = Object.values(value);
  // An interpreter takes several times as long for `for … of`.
  for (let index = 0; index < values.length; index += 1) {
    const each = values[index];
    if (typeof each === 'object' && each !== null) survey(each, depth + 1, found);
  }
}

/** How many names the objects of a valid text have, or more: so as many as were found means that none was lost. */
function namesIn(text, escapes) {
  const close = text.includes('" ') || text.includes('"\n') || text.includes('"\t') || text.includes('"\r');
  const closed = close ? text.replace(SPACED, '":') : text;
  const count = closed.split('":').length - 1;
  // A quotation mark within a string, as JSON inside of JSON has them; unless it ends a string, behind an escaped backslash.
  if (!escapes || !closed.includes('\\":')) return count;
  return closed.includes('\\\\":') ? Infinity : count - (closed.split('\\":').length - 1);
}

/** What `json.js` reads, as it is held here. */
function held(value) {
  if (typeof value === 'string') return value >= ESCAPE ? ESCAPE + value : value;
  if (value instanceof Numeral) return NUMERAL + value.text;
  if (Array.isArray(value)) return value.map(held);
  if (!(value instanceof Map)) return value;
  const twice = value[DUPLICATES];
  // Not by assignment, which `__proto__` would not survive.
  return Object.fromEntries(
    Array.from(value, ([name, each]) => [keyOf(name), twice?.has(name) ? new Twice(held(each)) : held(each)]),
  );
}

/** How an object holds a name. @param {string} name */
export function keyOf(name) {
  return (name >= '0' && name < ':') || name >= ESCAPE ? ESCAPE + name : name;
}

/** The value that an object has by a name, if it has that name. @param {object} values @param {string} name */
export function valueOf(values, name) {
  // A name that begins with a digit stands there as it is where none of them comes first.
  if (name < ESCAPE && Object.hasOwn(values, name)) return values[name];
  const key = keyOf(name);
  return Object.hasOwn(values, key) ? values[key] : undefined;
}

/** @param {object} values */
export function namesOf(values) {
  return Object.keys(values).map(unescaped);
}

function unescaped(text) {
  return text < ESCAPE || text >= NUMERAL ? text : text.slice(1);
}

/** The text of a string, or undefined where it is something else. @param {unknown} value */
export function stringOf(value) {
  return typeof value === 'string' && value < NUMERAL ? unescaped(value) : undefined;
}

/** The digits of a number as they were written, or undefined where it is something else. @param {unknown} value */
export function digitsOf(value) {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value >= NUMERAL ? value.slice(1) : undefined;
}

/** @param {unknown} value */
export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
