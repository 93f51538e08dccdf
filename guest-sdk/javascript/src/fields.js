// A source document's fields, each read as what it must be. What cannot be read is a rejection that names the field by
// JSON Pointer and never repeats the value, because values are personal data.

import { Decimal, NotExact } from './decimal.js';
import { MARKS, Twice, digitsOf, isObject, namesOf, readQuickly, stringOf, valueOf } from './quick.js';
import { Rejection } from './rejection.js';

const DATE_TIME = /^([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})$/;
// Most times, and none that does not exist.
const USUAL_TIME = /^20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8]) (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$/;
const DATE = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/;

/**
 * Reads a document's body, which must be an object.
 * @param {import('crossdock:transform/types@1.0.0').Document} document
 */
export function parse(document) {
  return parseText(document.body);
}

/** Reads the text of a JSON object. @param {string} text */
export function parseText(text) {
  const value = readQuickly(text);
  if (!isObject(value)) throw wrongType('', value, 'an object');
  return new Fields(value, '');
}

/**
 * An object of the source document. `text`, `decimal`, `dateTime`, `date`, `list` and `object` want a value; the same
 * with `optional` before it give `undefined` where the field is missing or `null`.
 */
export class Fields {
  #values;
  #at;

  /** @param {object} values as `quick.js` holds them @param {string} at the object's own JSON Pointer */
  constructor(values, at) {
    this.#values = values;
    this.#at = at;
  }

  /** The JSON Pointer of a field. @param {string} name */
  pointer(name) {
    const plain = !name.includes('~') && !name.includes('/');
    return `${this.#at}/${plain ? name : name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  }

  /** True where the field is there and not `null`. @param {string} name */
  has(name) {
    return this.#last(name) != null;
  }

  /** The fields' names, in the order of the document. */
  names() {
    return namesOf(this.#values);
  }

  /** A string, or a number's digits as written: `"166001"` and `166001` read the same. @param {string} name */
  text(name) {
    // What most fields are, without a detour; nothing that an object inherits is a string or a number.
    const value = this.#values[name];
    if (typeof value === 'string' && value < MARKS && value.isWellFormed()) return value;
    if (typeof value === 'number') return String(value);
    return this.#required(name, asText, 'a string or a number');
  }
  /** @param {string} name */
  optionalText(name) {
    const value = this.#values[name];
    if (typeof value === 'string' && value < MARKS && value.isWellFormed()) return value;
    return this.#optional(name, asText);
  }
  /** A text that is not empty and not only white space. @param {string} name */
  filledText(name) {
    const text = this.text(name);
    if (text.trim() === '') throw Rejection.blank(this.pointer(name));
    return text;
  }

  /** A JSON number, or a string that holds one. @param {string} name */
  decimal(name) {
    const value = this.#values[name];
    const text = typeof value === 'string' && value < MARKS ? value : digitsOf(value);
    return (text === undefined ? undefined : Decimal.usual(text)) ?? this.#required(name, asDecimal, 'a decimal number');
  }
  /** Like the others, and `undefined` for `""` too, which some vendors write for "none". @param {string} name */
  optionalDecimal(name) {
    return this.#last(name) === '' ? undefined : this.#optional(name, asDecimal);
  }

  /** `yyyy-MM-dd HH:mm:ss` of a time that exists; `T` in place of the blank is read too. @param {string} name */
  dateTime(name) {
    const value = this.#values[name];
    if (typeof value === 'string' && USUAL_TIME.test(value)) return value;
    return this.#required(name, asDateTime, 'a time yyyy-MM-dd HH:mm:ss');
  }
  /** @param {string} name */
  optionalDateTime(name) {
    return this.#optional(name, asDateTime);
  }

  /** The `yyyy-MM-dd` of a day that exists, from a date or from a time. @param {string} name */
  date(name) {
    return this.#required(name, asDate, 'a date yyyy-MM-dd');
  }
  /** Like the others, and `undefined` for `""` and the day nought, with or without a time. @param {string} name */
  optionalDate(name) {
    const none = ['', '0000-00-00', '0000-00-00 00:00:00'].includes(stringOf(this.#last(name)));
    return none ? undefined : this.#optional(name, asDate);
  }

  /** The elements as `Fields`. @param {string} name @returns {Fields[]} */
  list(name) {
    const list = this.#required(name, asList, 'a sequence');
    const at = this.pointer(name);
    const rows = [];
    for (let row = 0; row < list.length; row += 1) rows[row] = asFields(list[row], `${at}/${row}`);
    return rows;
  }
  /** The elements as texts. @param {string} name @returns {string[] | undefined} */
  optionalTexts(name) {
    const list = this.#optional(name, asList);
    return list?.map((value, row) => asText(value, `${this.pointer(name)}/${row}`));
  }
  /** @param {string} name */
  object(name) {
    return this.#required(name, asFields, 'an object');
  }
  /** @param {string} name */
  optionalObject(name) {
    return this.#optional(name, asFields);
  }

  #required(name, as, wanted) {
    const value = this.#value(name);
    if (value === undefined) throw Rejection.missing(this.pointer(name));
    if (value === null) throw Rejection.null(this.pointer(name), wanted);
    return as(value, this.pointer(name));
  }

  #optional(name, as) {
    const value = this.#value(name);
    return value == null ? undefined : as(value, this.pointer(name));
  }

  #value(name) {
    const value = valueOf(this.#values, name);
    if (value instanceof Twice) {
      const at = this.pointer(name);
      throw new Rejection('field_invalid', `${at}: duplicate field \`${name}\``, at);
    }
    return value;
  }

  #last(name) {
    const value = valueOf(this.#values, name);
    return value instanceof Twice ? value.last : value;
  }
}

function asText(value, at) {
  const text = stringOf(value) ?? digitsOf(value);
  if (text === undefined) throw wrongType(at, value, 'a string or a number');
  // Half of a surrogate pair is no text: it cannot be written as UTF-8.
  if (!text.isWellFormed()) throw new Rejection('field_invalid', `${at}: is not valid text`, at);
  return text;
}

function asDecimal(value, at) {
  const text = digitsOf(value) ?? stringOf(value);
  if (text === undefined) throw wrongType(at, value, 'a decimal number');
  try {
    const decimal = Decimal.parse(text);
    if (decimal !== undefined) return decimal;
  } catch (error) {
    if (!(error instanceof NotExact)) throw error;
    throw new Rejection('number_not_exact', `${at} ${error.message}`, at);
  }
  throw new Rejection('not_a_number', `${at} is not a decimal number`, at);
}

function asDateTime(held, at) {
  const value = stringOf(held);
  if (value === undefined) throw wrongType(at, held, 'a time yyyy-MM-dd HH:mm:ss');
  const parts = DATE_TIME.exec(value);
  const [, year, month, day, hour, minute, second] = parts ?? [];
  if (parts === null || !dayExists(year, month, day) || hour > '23' || minute > '59' || second > '59') {
    throw new Rejection('field_invalid', `${at}: expected a time yyyy-MM-dd HH:mm:ss`, at);
  }
  return `${value.slice(0, 10)} ${value.slice(11)}`;
}

function asDate(held, at) {
  const value = stringOf(held);
  if (value === undefined) throw wrongType(at, held, 'a date yyyy-MM-dd');
  const parts = DATE.exec(value);
  if (parts !== null && dayExists(parts[1], parts[2], parts[3])) return value;
  try {
    return asDateTime(held, at).slice(0, 10);
  } catch {
    throw new Rejection('field_invalid', `${at}: expected a date yyyy-MM-dd`, at);
  }
}

function dayExists(year, month, day) {
  const [y, m, d] = [Number(year), Number(month), Number(day)];
  const leap = y % 4 === 0 && (y % 100 !== 0 || y % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][m - 1];
  return y > 0 && days !== undefined && d >= 1 && d <= days;
}

function asList(value, at) {
  if (!Array.isArray(value)) throw wrongType(at, value, 'a sequence');
  return value;
}

function asFields(value, at) {
  if (isObject(value)) return new Fields(value, at);
  if (value === null) throw Rejection.null(at, 'an object');
  throw wrongType(at, value, 'an object');
}

function wrongType(at, value, wanted) {
  const name = at === '' ? 'the document' : at;
  return new Rejection('field_type', `${name} is ${kind(value)}, expected ${wanted}`, at);
}

function kind(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  if (digitsOf(value) !== undefined) return 'a number';
  return typeof value === 'string' ? 'a string' : 'a boolean';
}
