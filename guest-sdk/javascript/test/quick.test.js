// The reader that goes by way of `JSON.parse` against the one that goes character by character, and the same for writing.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Decimal } from '../src/decimal.js';
import { Fields, parseText } from '../src/fields.js';
import { DUPLICATES, Numeral, read, toJson } from '../src/json.js';
import { Twice, digitsOf, namesOf, readQuickly, stringOf, valueOf } from '../src/quick.js';

// What a text says, in a form that both readings can be brought into.
const number = (digits) => ['number', digits];
const object = (names, value) => ['object', names.map((name) => [name, value(name)])];

function saidSlowly(value) {
  if (value instanceof Numeral) return number(value.text);
  if (Array.isArray(value)) return ['array', value.map(saidSlowly)];
  if (!(value instanceof Map)) return value;
  const once = (name) => saidSlowly(value.get(name));
  return object([...value.keys()], (name) => (value[DUPLICATES]?.has(name) ? ['twice', once(name)] : once(name)));
}

function saidQuickly(value) {
  if (value instanceof Twice) return ['twice', saidQuickly(value.last)];
  const digits = digitsOf(value);
  if (digits !== undefined) return number(digits);
  if (Array.isArray(value)) return ['array', value.map(saidQuickly)];
  if (typeof value !== 'object' || value === null) return stringOf(value) ?? value;
  return object(namesOf(value), (name) => saidQuickly(valueOf(value, name)));
}

function outcome(reads) {
  try {
    return JSON.stringify(reads());
  } catch (error) {
    return `${error.code}: ${error.message}`;
  }
}

function same(text) {
  const [quick, slow] = [() => saidQuickly(readQuickly(text)), () => saidSlowly(read(text))].map(outcome);
  assert.equal(quick, slow, JSON.stringify(text));
}

test('a text says the same to both readers', () => {
  const deep = (levels) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  for (const text of [
    '{"a":1.50,"b":-0,"c":-0.0,"d":1E400,"e":12345678901234567,"f":123456789012345,"g":[0.10,2,[3.0 , 4e1]]}',
    '{ "a" : 1.5 , "b" : [ 1.50 , -2 ] , "c" : { } , "d" : [ ] }',
    '{"a":"1.50","b":",1.5,","c":":2.50}","d":"x:1.5,y","e":[",1.5]"]}',
    '{"a":"{\\"k\\":\\"v\\",\\"n\\":1.5}","b":2.50}',
    '{"a\\\\":1,"b":1,"b":2}',
    '{"b":1,"b":2,"a":":x"}',
    '{"b" :1,"b" :2}',
    '{"a":{"b":1.0,"b":null},"c":{"b":""}}',
    '{1:2}',
    '{"a":1,"a":2,3:4}',
    '{"20":1,"10":2.50,"a":"5","b":["7","x"]}',
    '{"a":1,"2x":2,"010":{"1":1,"0":0}}',
    '{"\uffff1.5":"\uffff2.5","a":"\ufffex"}',
    '{"\\uffff1.5":"\\uFFFF2.5","a":"\\ufffex","5":1}',
    '{"__proto__":{"x":1.5},"constructor":1,"toString":"x"}',
    '{"a":01}',
    '{"a":1.}',
    '{"a":.5}',
    '{"a":+1}',
    '{"a":1.2.3}',
    '{"a":1 2}',
    '{\\"a":1}',
    '{"a":1.5}}',
    '1.50',
    '[1.50]',
    '"x"',
    '',
    ' {"a":1.50} ',
    deep(128),
    deep(129),
    `{"a":${deep(127)}}`,
    `{"a":${deep(128)}}`,
  ]) {
    same(text);
  }
});

// Twenty thousand texts, the same each time, of pieces that the quick reader has to tell apart; every other one is damaged.
test('a text made of nothing but traps says the same to both readers', () => {
  let state = 1n;
  const below = (limit) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 40n) % limit;
  };
  const one = (of) => of[below(of.length)];
  const space = () => one(['', '', '', ' ', '\n ']);
  const strings = ['', 'a', 'b', '1', '2', '10', '1.5', ':', ',1.5,', '":', '\\"', '\\":', '\\\\', '\\\\\\":', '{\\"1', '中', '\\u4e2d'];
  strings.push('\uffff1', '\ufffe', '\\uffff', '\\uFFFE2', '\\ud83d', '__proto__', '\\u0022', ' : ', '[2.50]', '\t');
  const numbers = ['0', '-0', '1', '1.50', '-2.0', '1e3', '1E-2', '123456789012345', '1234567890123456', '01', '1.'];
  const string = () => `"${one(strings)}${below(4) === 0 ? one(strings) : ''}"`;
  const list = (make) => Array.from({ length: below(4) }, () => space() + make() + space()).join(',');
  const value = (depth) => {
    const kind = below(depth === 0 ? 4 : 6);
    if (kind < 2) return string();
    if (kind === 2) return one(numbers);
    if (kind === 3) return one(['true', 'false', 'null']);
    if (kind === 4) return `[${list(() => value(depth - 1))}]`;
    return `{${list(() => `${string()}${space()}:${space()}${value(depth - 1)}`)}}`;
  };
  for (let round = 0; round < 20_000; round += 1) {
    const text = `{"a":${value(4)},"b":${value(4)}}`;
    const at = below(text.length);
    same(round % 2 === 0 ? text : text.slice(0, at) + one(['', '"', '\\', ',', '1', ':']) + text.slice(at + below(2)));
  }
});

test('names keep the order of the document, and inherited ones are not there', () => {
  const fields = parseText('{"shops":{"20":"x","10":"y","a":"z"},"9":[1.0]}');
  assert.deepEqual(fields.object('shops').names(), ['20', '10', 'a']);
  assert.equal(fields.object('shops').text('10'), 'y');
  assert.deepEqual(fields.optionalTexts('9'), ['1.0']);
  for (const name of ['constructor', 'toString', '__proto__', 'valueOf']) {
    assert.equal(fields.has(name), false, name);
    assert.equal(fields.optionalText(name), undefined, name);
    assert.throws(() => fields.object(name), { code: 'field_missing' }, name);
  }
});

test('what begins with a mark reads as it was written', () => {
  const fields = parseText('{"a":"\uffff1.5","\ufffe":"\ufffe","\uffff":["\uffff","5"],"n":1.50}');
  assert.ok(fields instanceof Fields);
  assert.equal(fields.text('a'), '\uffff1.5');
  assert.throws(() => fields.decimal('a'), { code: 'not_a_number' });
  assert.equal(fields.text('\ufffe'), '\ufffe');
  assert.deepEqual(fields.optionalTexts('\uffff'), ['\uffff', '5']);
  assert.equal(String(fields.decimal('n')), '1.50');
});

test('a bill with a decimal beside the mark of decimals is written exactly', () => {
  const price = Decimal.of('1.50');
  for (const text of ['\uffff', '\uffff1.50', '"\uffff', '\ufffe']) {
    const expected = `{"a":${JSON.stringify(text)},"price":1.50,"rows":[1.50,${JSON.stringify(text)}]}`;
    assert.equal(toJson({ a: text, price, rows: [price, text] }), expected);
  }
  assert.equal(toJson(price), '1.50');
  assert.throws(() => JSON.stringify(price), TypeError);
});

test('what JSON.stringify would pass over or change is refused or written as ever', () => {
  const price = Decimal.of('0.10');
  for (const value of [0.1, NaN, Infinity, 2 ** 53, () => 1, Symbol('x')]) {
    for (const bill of [{ value }, { rows: [{ value, price }] }]) assert.throws(() => toJson(bill), { code: 'body_unwritable' });
  }
  assert.throws(() => toJson([price, undefined]), { code: 'body_unwritable' });
  const bill = new Map([['2', price], ['1', { big: 12345678901234567890n, none: undefined }]]);
  assert.equal(toJson(bill), '{"2":0.10,"1":{"big":12345678901234567890}}');
  assert.equal(toJson({ rows: [bill] }), '{"rows":[{"2":0.10,"1":{"big":12345678901234567890}}]}');
  assert.equal(toJson(Object.assign(Object.create({ toJSON: () => 'x' }), { price })), '{"price":0.10}');
  assert.equal(toJson({ toJSON: 'text', price }), '{"toJSON":"text","price":0.10}');
});

test('an amount counts as what it was read as', () => {
  for (const text of ['0.00', '1.50', '-1.50', '9999999999999999999999999999', '-0.01']) {
    const [read, counted] = [Decimal.of(text), Decimal.of(text).add(Decimal.ZERO)];
    assert.equal(String(counted), text);
    for (const is of ['isZero', 'isPositive', 'isNegative']) assert.equal(read[is], counted[is], `${text} ${is}`);
    assert.equal(read.equals(counted), true);
    assert.equal(String(read.multiply(Decimal.of('1'))), text);
  }
});
