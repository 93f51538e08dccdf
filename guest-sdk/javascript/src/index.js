/// <reference path="../types/transform.d.ts" />

// What a Crossdock transform in JavaScript is written with. The same words as in the Rust crate `crossdock-guest`: what
// reads there as `document.parse` reads here as `parse(document)`, and a field that cannot be read is the same rejection.
//
// No clock, no randomness, no files, no sockets: the module is built without them. It must be a pure function of what it
// is given; the host may run it again, in a fresh instance or in one that has mapped other documents before.

export { Decimal, NotExact } from './decimal.js';
export { Fields, parse, parseText } from './fields.js';
export { toJson } from './json.js';
export * as log from './log.js';
export * as reference from './reference.js';
export { Rejection } from './rejection.js';
export { defineTransform, emit, emitOne, skip } from './transform.js';
