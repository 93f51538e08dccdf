// Amounts and quantities, exactly as written.

import { Rejection } from './rejection.js';

// The Rust crate's limits, so that no amount is refused in one language and taken in the other: a mantissa of 96 bits,
// in which 28 digits always fit, and 28 decimal places.
const MANTISSA_LIMIT = (1n << 96n) - 1n;
const PLACES_LIMIT = 28;
// More digits than this are not exact either way, and a vendor's megabyte of digits must not cost a big power.
const DIGITS_LIMIT = 38;
const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;
// Of so many characters every number without exponent is within the limits, and is written as it is read.
const WITHIN_LIMITS_CHARACTERS = 28;
const WRITTEN_AS_READ = /^(?:-(?=[0.]*[1-9]))?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;
const NOT_ZERO = /[1-9]/;

/** What stands before a number that `stringifyMarked` writes. No character: Unicode keeps it out of texts. */
export const NUMBER_MARK = '\uffff';
let marking = false;
let marked = 0;

/** A number that `Decimal` cannot hold exactly. */
export class NotExact extends Error {
  constructor() {
    super('cannot be held exactly: more than 28 digits');
  }
}

/**
 * A decimal number, held exactly: up to 28 digits, up to 28 of them behind the point. It never rounds; what it cannot
 * hold exactly it refuses. It is written with the decimal places that it was read with: `1.50` stays `1.50`.
 */
export class Decimal {
  // The text, as long as nobody counts with it, for most amounts are only written again as they were read; then mantissa,
  // places and, once it is known, text. One private field: each costs an interpreter as much as a call.
  #number;

  /** @param {bigint} mantissa @param {number} places */
  constructor(mantissa, places) {
    // A string is the text of a number that is within the limits and written as it would be here (`usual`).
    if (typeof mantissa === 'string') {
      this.#number = mantissa;
      return;
    }
    let digits = mantissa < 0n ? -mantissa : mantissa;
    if (digits === 0n) {
      places = Math.min(Math.max(places, 0), PLACES_LIMIT);
    }
    if (places < 0) {
      if (places < -DIGITS_LIMIT) throw new NotExact();
      digits *= 10n ** BigInt(-places);
      places = 0;
    }
    while ((places > PLACES_LIMIT || digits > MANTISSA_LIMIT) && places > 0 && digits % 10n === 0n) {
      digits /= 10n;
      places -= 1;
    }
    if (digits > MANTISSA_LIMIT || places > PLACES_LIMIT) throw new NotExact();
    this.#number = { mantissa: mantissa < 0n ? -digits : digits, places, text: undefined };
  }

  static ZERO = new Decimal(0n, 0);

  /**
   * Reads exactly what JSON calls a number: no sign `+`, no thousands separators, no white space.
   * @param {string} text
   * @returns {Decimal | undefined} undefined where the text is no number
   * @throws {NotExact}
   */
  static parse(text) {
    const usual = Decimal.usual(text);
    if (usual !== undefined) return usual;
    const parts = NUMBER.exec(text);
    if (parts === null) return undefined;
    const [, sign, whole, behind = '', exponent = '0'] = parts;
    const digits = (whole + behind).replace(/^0+(?=.)/, '');
    if (digits.length > DIGITS_LIMIT) throw new NotExact();
    return new Decimal(BigInt(sign + digits), behind.length - Number(exponent));
  }

  /** As `parse`, for what nearly every number looks like; undefined says nothing of the others. @param {string} text */
  static usual(text) {
    return text.length <= WITHIN_LIMITS_CHARACTERS && WRITTEN_AS_READ.test(text) ? new Decimal(text) : undefined;
  }

  /** For numbers in the module's own source: `Decimal.of('0.13')`. @param {string | bigint} value */
  static of(value) {
    const decimal = Decimal.parse(String(value));
    if (decimal === undefined) throw new TypeError('not a decimal number');
    return decimal;
  }

  /** The number of so many units: 150 units of two places are `1.50`. @param {bigint} units @param {number} places */
  static fromUnits(units, places) {
    return new Decimal(units, places);
  }

  get isZero() {
    const number = this.#number;
    return typeof number === 'string' ? !NOT_ZERO.test(number) : number.mantissa === 0n;
  }
  get isPositive() {
    return !this.isNegative && !this.isZero;
  }
  get isNegative() {
    const number = this.#number;
    return typeof number === 'string' ? number.startsWith('-') : number.mantissa < 0n;
  }

  /** The exact sum. @param {Decimal} other */
  add(other) {
    const places = this.#commonPlaces(other);
    return new Decimal(this.#at(places) + other.#at(places), places);
  }

  /** The exact difference. @param {Decimal} other */
  subtract(other) {
    const places = this.#commonPlaces(other);
    return new Decimal(this.#at(places) - other.#at(places), places);
  }

  /** The exact product. @param {Decimal} other */
  multiply(other) {
    const [left, right] = [this.#counted(), other.#counted()];
    return new Decimal(left.mantissa * right.mantissa, left.places + right.places);
  }

  /** Less than nought, nought or more, by value: `1.50` and `1.5` are equal. @param {Decimal} other */
  compare(other) {
    const places = this.#commonPlaces(other);
    const [left, right] = [this.#at(places), other.#at(places)];
    return left < right ? -1 : left > right ? 1 : 0;
  }

  /** By value. @param {Decimal} other */
  equals(other) {
    return this.compare(other) === 0;
  }

  /**
   * How many units of `places` decimal places it is: `1.50` is 150 units of two places. Refuses a number that is not a
   * whole count of them. With `fromUnits` the way to divide amounts without rounding unseen.
   * @param {number} places
   * @returns {bigint}
   */
  units(places) {
    const counted = this.#counted();
    if (places >= counted.places) return this.#at(places);
    const divisor = 10n ** BigInt(counted.places - places);
    if (counted.mantissa % divisor !== 0n) throw new NotExact();
    return counted.mantissa / divisor;
  }

  /**
   * The same number with at most `most` decimal places, dropping only zeros.
   * @param {number} most
   * @param {string} field a JSON Pointer
   */
  withinPlaces(most, field) {
    if (this.#counted().places <= most) return this;
    try {
      return Decimal.fromUnits(this.units(most), most);
    } catch (error) {
      if (!(error instanceof NotExact)) throw error;
      throw new Rejection('too_many_places', `${field} has more than ${most} decimal places`, field);
    }
  }

  toString() {
    const number = this.#number;
    return typeof number === 'string' ? number : (number.text ??= written(number));
  }

  /** A `Decimal` in arithmetic or in `JSON.stringify` would become a floating-point number, or text, unseen. */
  valueOf() {
    throw new TypeError('a Decimal has add, subtract, multiply and compare');
  }
  toJSON() {
    if (!marking) throw new TypeError('JSON.stringify loses digits: write with toJson');
    marked += 1;
    return NUMBER_MARK + this.toString();
  }

  #counted() {
    let number = this.#number;
    if (typeof number === 'string') {
      const [whole, behind = ''] = number.split('.');
      number = { mantissa: BigInt(whole + behind), places: behind.length, text: number };
      this.#number = number;
    }
    return number;
  }

  #commonPlaces(other) {
    return Math.max(this.#counted().places, other.#counted().places);
  }

  #at(places) {
    const { mantissa, places: own } = this.#counted();
    return mantissa * 10n ** BigInt(places - own);
  }
}

function written({ mantissa, places }) {
  const sign = mantissa < 0n ? '-' : '';
  const digits = String(mantissa < 0n ? -mantissa : mantissa).padStart(places + 1, '0');
  const point = digits.length - places;
  return places === 0 ? sign + digits : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/**
 * What `JSON.stringify` makes of a value whose decimals are texts behind `NUMBER_MARK` there, and how many they are.
 * @param {unknown} value
 */
export function stringifyMarked(value) {
  marking = true;
  marked = 0;
  try {
    return [JSON.stringify(value), marked];
  } finally {
    marking = false;
  }
}
