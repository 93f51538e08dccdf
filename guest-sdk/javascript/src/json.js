// JSON with its digits. `JSON.parse` makes binary floating point of every number, so this reads a number as its text;
// what becomes of it, the field that is asked for decides (`fields.js`).

import { Decimal, NUMBER_MARK, stringifyMarked } from './decimal.js';
import { Rejection } from './rejection.js';

/** A number as it was written. */
export class Numeral {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** Where an object had one name twice; reading such a field is refused, passing it over is not. */
export const DUPLICATES = Symbol('duplicates');

// As deep as the Rust crate reads. A vendor's document has five levels; a hostile one must not exhaust the stack.
const DEPTH_LIMIT = 128;
const SPACE = /[ \t\n\r]*/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const HEX = /[0-9a-fA-F]{4}/y;
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * Reads JSON text: objects as `Map`, numbers as `Numeral`.
 * @param {string} text
 */
export function read(text) {
  let at = 0;

  const fail = (place = at) => {
    // Line and column, both from 1, the column in bytes; at the end of the text, the last byte.
    const before = text.slice(0, place).split('\n');
    const last = before[before.length - 1];
    const column = utf8Length(last) + (place < text.length ? 1 : 0);
    return new Rejection('malformed_json', `the document is not valid JSON: line ${before.length}, column ${column}`);
  };
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return undefined;
    at = pattern.lastIndex;
    return found[0];
  };
  const next = () => {
    match(SPACE);
    return text[at];
  };

  const string = () => {
    at += 1;
    let value = '';
    for (;;) {
      value += match(PLAIN);
      const end = text[at];
      if (end === '"') {
        at += 1;
        return value;
      }
      if (end !== '\\') throw fail();
      at += 1;
      const escape = text[at];
      if (escape === 'u') {
        at += 1;
        const digits = match(HEX);
        if (digits === undefined) throw fail();
        value += String.fromCharCode(parseInt(digits, 16));
      } else {
        const plain = escape === undefined ? undefined : ESCAPES[escape];
        if (plain === undefined) throw fail();
        value += plain;
        at += 1;
      }
    }
  };

  const word = (name, value) => {
    if (!text.startsWith(name, at)) throw fail();
    at += name.length;
    return value;
  };

  const array = (depth) => {
    const rows = [];
    at += 1;
    if (next() === ']') {
      at += 1;
      return rows;
    }
    for (;;) {
      rows.push(value(depth));
      const separator = next();
      if (separator !== ',' && separator !== ']') throw fail();
      at += 1;
      if (separator === ']') return rows;
    }
  };

  const object = (depth) => {
    const fields = new Map();
    at += 1;
    if (next() === '}') {
      at += 1;
      return fields;
    }
    for (;;) {
      if (next() !== '"') throw fail();
      const name = string();
      if (next() !== ':') throw fail();
      at += 1;
      if (fields.has(name)) (fields[DUPLICATES] ??= new Set()).add(name);
      fields.set(name, value(depth));
      const separator = next();
      if (separator !== ',' && separator !== '}') throw fail();
      at += 1;
      if (separator === '}') return fields;
    }
  };

  const value = (depth) => {
    const first = next();
    switch (first) {
      case '{':
      case '[':
        if (depth === DEPTH_LIMIT) throw fail();
        return first === '{' ? object(depth + 1) : array(depth + 1);
      case '"':
        return string();
      case 't':
        return word('true', true);
      case 'f':
        return word('false', false);
      case 'n':
        return word('null', null);
      default: {
        const digits = match(NUMBER);
        if (digits === undefined) throw fail();
        return new Numeral(digits);
      }
    }
  };

  const whole = value(0);
  if (next() !== undefined) throw fail();
  return whole;
}

function utf8Length(text) {
  let length = 0;
  for (const character of text) {
    const point = character.codePointAt(0);
    length += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return length;
}

/**
 * Writes a value as compact JSON: a `Decimal` as the exact number, a field that is `undefined` not at all. Refuses a
 * number that is not a whole one, because it has been through binary floating point.
 * @param {unknown} value
 * @returns {string}
 */
export function toJson(value) {
  const usual = typeof value === 'object' && value !== null && isUsual(value);
  return (usual ? writeQuickly(value) : undefined) ?? write(value);
}

/** True of an object where `JSON.stringify` writes what `write` writes, but for decimals. */
function isUsual(value) {
  const kind = value.constructor;
  if (kind === Decimal) return value instanceof Decimal;
  if ((kind !== Object && kind !== Array) || value.toJSON !== undefined || value instanceof Map) return false;
  const values = Object.values(value);
  // One loop, strings first: a bill has hundreds of values, most of them strings, and a call for each costs more than this.
  for (let index = 0; index < values.length; index += 1) {
    const each = values[index];
    if (typeof each === 'string' || typeof each === 'boolean' || each === null) continue;
    if (typeof each === 'object') {
      if (!isUsual(each)) return false;
    } else if (each === undefined) {
      if (kind === Array) return false;
    } else if (!Number.isSafeInteger(each)) {
      return false;
    }
  }
  return true;
}

/** By the engine itself; undefined where a text has the decimals' mark too. */
function writeQuickly(value) {
  const [text, decimals] = stringifyMarked(value);
  if (decimals === 0) return text;
  const parts = text.split(`"${NUMBER_MARK}`);
  if (parts.length - 1 !== decimals) return undefined;
  for (let index = 1; index < parts.length; index += 1) parts[index] = parts[index].replace('"', '');
  return parts.join('');
}

function write(value) {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'number':
      if (Number.isSafeInteger(value)) return String(value);
      throw unwritable('a number that is not a safe integer; write amounts as Decimal');
    case 'object':
      if (value === null) return 'null';
      if (value instanceof Decimal) return value.toString();
      if (value instanceof Numeral) return value.text;
      if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
      return `{${members(value instanceof Map ? value : Object.entries(value))}}`;
    default:
      throw unwritable(`a value of type ${typeof value}`);
  }
}

function members(entries) {
  const texts = [];
  for (const [name, value] of entries) {
    if (value !== undefined) texts.push(`${JSON.stringify(name)}:${write(value)}`);
  }
  return texts.join(',');
}

function unwritable(what) {
  return new Rejection('body_unwritable', `the bill holds ${what}`);
}
