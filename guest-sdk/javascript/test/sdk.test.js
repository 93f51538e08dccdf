// The package outside of a component: `node --test test/`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Decimal, NotExact } from '../src/decimal.js';
import { parseText } from '../src/fields.js';
import { toJson } from '../src/json.js';
import { Rejection } from '../src/rejection.js';

test('every digit and place is kept', () => {
  for (const text of ['0', '0.00', '1.50', '-1.50', '12345678901.123456', '9007199254740993', '0.000001', '100']) {
    for (const document of [`{"n":${text}}`, `{"n":"${text}"}`]) {
      assert.equal(toJson(parseText(document).decimal('n')), text);
    }
  }
  for (const text of ['79228162514264337593543950335', '-0.0000000000000000000000000001']) {
    assert.equal(String(Decimal.of(text)), text);
  }
});

test('an exponent becomes plain digits', () => {
  for (const [text, written] of [['1e3', '1000'], ['1.25E+1', '12.5'], ['125e-2', '1.25'], ['0e99', '0'], ['-0.0', '0.0']]) {
    assert.equal(String(Decimal.of(text)), written);
  }
});

test('what cannot be held exactly is refused', () => {
  for (const text of [
    '79228162514264337593543950336',
    '0.12345678901234567890123456789',
    '1e29',
    '1e-29',
    '1e999999999999',
    '1e-999999999999',
  ]) {
    assert.throws(() => Decimal.parse(text), NotExact, text);
  }
});

test('what JSON does not call a number is none', () => {
  for (const text of ['', ' 1', '1 ', '+1', '01', '1.', '.5', '1,000', '1_000', '0x1', '1e', 'NaN', '１', '1\n']) {
    assert.equal(Decimal.parse(text), undefined, text);
  }
});

test('arithmetic is exact or an error, and never by way of floating point', () => {
  const [one, tenth] = [Decimal.of('1.25'), Decimal.of('0.1')];
  assert.equal(String(tenth.add(Decimal.of('0.2'))), '0.3');
  assert.equal(String(Decimal.of('1').subtract(one)), '-0.25');
  assert.equal(String(one.multiply(Decimal.of('-0.5'))), '-0.625');
  assert.throws(() => Decimal.of('79228162514264337593543950335').add(tenth), NotExact);
  assert.throws(() => one + 1, TypeError);
  assert.throws(() => JSON.stringify({ one }), TypeError);
  assert.equal(Decimal.of('1.50').equals(Decimal.of('1.5')), true);
  assert.equal(Decimal.of('2').compare(Decimal.of('10')), -1);
});

test('units are counted exactly or not at all', () => {
  for (const [text, places, units] of [['1.50', 2, 150n], ['1.5', 2, 150n], ['1.5000', 2, 150n], ['-0.01', 2, -1n]]) {
    assert.equal(Decimal.of(text).units(places), units, text);
    assert.equal(Decimal.fromUnits(units, places).equals(Decimal.of(text)), true);
  }
  assert.throws(() => Decimal.of('1.505').units(2), NotExact);
});

test('zeros beyond the places are dropped and nothing else', () => {
  for (const [text, written] of [['5.00000', '5.0000'], ['5.0', '5.0'], ['-1.230000', '-1.2300']]) {
    assert.equal(String(Decimal.of(text).withinPlaces(4, '/qty')), written);
  }
  refused(() => Decimal.of('0.12345').withinPlaces(4, '/qty'), 'too_many_places', '/qty');
});

test('a field that cannot be read is named', () => {
  const row = (qty) => () => parseText(`{"items":[{},{${qty}}]}`).list('items')[1].decimal('qty');
  const at = '/items/1/qty';
  refused(row(''), 'field_missing', at, '/items/1/qty is missing');
  refused(row('"qty":null'), 'field_null', at, '/items/1/qty is null, expected a decimal number');
  refused(row('"qty":true'), 'field_type', at, '/items/1/qty is a boolean, expected a decimal number');
  refused(row('"qty":"two"'), 'not_a_number', at, '/items/1/qty is not a decimal number');
  refused(row('"qty":1e99'), 'number_not_exact', at);
  refused(row('"qty":1,"qty":2'), 'field_invalid', at);
  refused(() => parseText('{"a/~":1}').list('a/~'), 'field_type', '/a~1~0');
  refused(() => parseText('{"a":"\\ud83d"}').text('a'), 'field_invalid', '/a');
  assert.equal(parseText('{"__proto__":"1","a":2}').text('__proto__'), '1');
});

test('a date that does not exist is refused and its value not repeated', () => {
  for (const text of ['2026-02-29 00:00:00', '2026-11-20 24:00:00', '2026/11/20 01:00:00', '王小明', '0000-00-00 00:00:00']) {
    const read = () => parseText(`{"d":"${text}"}`).dateTime('d');
    refused(read, 'field_invalid', '/d', '/d: expected a time yyyy-MM-dd HH:mm:ss');
  }
  assert.equal(parseText('{"d":"2024-02-29T01:02:03"}').dateTime('d'), '2024-02-29 01:02:03');
  assert.equal(parseText('{"d":"2024-02-29 01:02:03"}').date('d'), '2024-02-29');
  assert.equal(parseText('{"d":"0000-00-00"}').optionalDate('d'), undefined);
});

test('malformed JSON is located by line and byte', () => {
  for (const [text, place] of [
    ['{\n "no": 1,\n "items": [}', 'line 3, column 12'],
    ['', 'line 1, column 0'],
    ['{"no":1} x', 'line 1, column 10'],
    ['{"名":}', 'line 1, column 8'],
  ]) {
    refused(() => parseText(text), 'malformed_json', undefined, `the document is not valid JSON: ${place}`);
  }
  for (const text of ['{"a":01}', '{"a":"\t"}', '{"a":tru}', '{"a":"\\x"}', '{"a":NaN}', `{"a":${'['.repeat(200)}`]) {
    refused(() => parseText(text), 'malformed_json');
  }
});

test('a bill is written compactly and binary fractions are refused', () => {
  const bill = { a: 'x"\\\n中', b: [1, true, null, Decimal.of('1.50')], c: undefined };
  assert.equal(toJson(bill), '{"a":"x\\"\\\\\\n中","b":[1,true,null,1.50]}');
  for (const number of [0.1, NaN, 2 ** 53]) refused(() => toJson({ price: number }), 'body_unwritable');
});

function refused(read, code, field, message) {
  assert.throws(read, (error) => {
    assert.ok(error instanceof Rejection, String(error));
    assert.equal(error.code, code);
    assert.equal(error.field, field);
    if (message !== undefined) assert.equal(error.message, message);
    return true;
  });
}
