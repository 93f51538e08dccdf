// Amounts and quantities, exactly as written.

import { Rejection } from './rejection.js';

// The Rust crate's limits, so that no amount is refused in one language and taken in the other: a mantissa of 96 bits,
// in which 28 digits always fit, and 28 decimal places.
const MANTISSA_LIMIT = (1n << 96n) - 1n;
const PLACES_LIMIT = 28;
// More digits than this are not exact either way, and a vendor's megabyte of digits must not cost a big power.
const DIGITS_LIMIT = 38;
const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

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
  #mantissa;
  #places;

  /** @param {bigint} mantissa @param {number} places */
  constructor(mantissa, places) {
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
    this.#mantissa = mantissa < 0n ? -digits : digits;
    this.#places = places;
  }

  static ZERO = new Decimal(0n, 0);

  /**
   * Reads exactly what JSON calls a number: no sign `+`, no thousands separators, no white space.
   * @param {string} text
   * @returns {Decimal | undefined} undefined where the text is no number
   * @throws {NotExact}
   */
  static parse(text) {
    const parts = NUMBER.exec(text);
    if (parts === null) return undefined;
    const [, sign, whole, behind = '', exponent = '0'] = parts;
    const digits = (whole + behind).replace(/^0+(?=.)/, '');
    if (digits.length > DIGITS_LIMIT) throw new NotExact();
    return new Decimal(BigInt(sign + digits), behind.length - Number(exponent));
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
    return this.#mantissa === 0n;
  }
  get isPositive() {
    return this.#mantissa > 0n;
  }
  get isNegative() {
    return this.#mantissa < 0n;
  }

  /** The exact sum. @param {Decimal} other */
  add(other) {
    const places = Math.max(this.#places, other.#places);
    return new Decimal(this.#at(places) + other.#at(places), places);
  }

  /** The exact difference. @param {Decimal} other */
  subtract(other) {
    const places = Math.max(this.#places, other.#places);
    return new Decimal(this.#at(places) - other.#at(places), places);
  }

  /** The exact product. @param {Decimal} other */
  multiply(other) {
    return new Decimal(this.#mantissa * other.#mantissa, this.#places + other.#places);
  }

  /** Less than nought, nought or more, by value: `1.50` and `1.5` are equal. @param {Decimal} other */
  compare(other) {
    const places = Math.max(this.#places, other.#places);
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
    if (places >= this.#places) return this.#at(places);
    const divisor = 10n ** BigInt(this.#places - places);
    if (this.#mantissa % divisor !== 0n) throw new NotExact();
    return this.#mantissa / divisor;
  }

  /**
   * The same number with at most `most` decimal places, dropping only zeros.
   * @param {number} most
   * @param {string} field a JSON Pointer
   */
  withinPlaces(most, field) {
    if (this.#places <= most) return this;
    try {
      return Decimal.fromUnits(this.units(most), most);
    } catch (error) {
      if (!(error instanceof NotExact)) throw error;
      throw new Rejection('too_many_places', `${field} has more than ${most} decimal places`, field);
    }
  }

  toString() {
    const sign = this.#mantissa < 0n ? '-' : '';
    const digits = String(this.#mantissa < 0n ? -this.#mantissa : this.#mantissa).padStart(this.#places + 1, '0');
    const point = digits.length - this.#places;
    return this.#places === 0 ? sign + digits : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
  }

  /** A `Decimal` in arithmetic or in `JSON.stringify` would become a floating-point number, or text, unseen. */
  valueOf() {
    throw new TypeError('a Decimal has add, subtract, multiply and compare');
  }
  toJSON() {
    throw new TypeError('JSON.stringify loses digits: write with toJson');
  }

  #at(places) {
    return this.#mantissa * 10n ** BigInt(places - this.#places);
  }
}
