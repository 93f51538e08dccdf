// Starts the JavaScript engine of a module once and writes the module as it stands then, so that no document pays for the
// start. Called by componentize-js in place of its own program for this (wizer), with that program's arguments.
//
// It is here because wizer hands the engine the machine's randomness, its clock, the numbers of its files and the name of the
// folder of the build, and all of that ends up in the bytes: two builds of one source had two digests. Here the engine gets
// the same each time, so the same source gives the same bytes. What it refuses: modules with anything but active data
// segments, one memory and integer globals, and bindings that write texts in another way than those it mends. The engine that
// is pinned here has nothing else, and another one would be noticed and not mangled.

import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process, { argv, cwd, env } from 'node:process';
import { WASI } from 'node:wasi';

const INIT = 'componentize.wizer';
/** Says that it is a global of ours in the module that is only run. */
const SEEN = 'crossdock:global:';
const [I32, I64, I32_CONST, I64_CONST, END] = [0x7f, 0x7e, 0x41, 0x42, 0x0b];
const [MEMORY, GLOBAL, EXPORT, START, DATA, DATA_COUNT] = [5, 6, 7, 8, 11, 12];
/** Shorter stretches of zeros than this cost less written out than a segment's head does. */
const GAP_BYTES = 16;
/** 2000-01-01: some time, and not the time of the build. */
const NOW_NS = 946_684_800_000_000_000n;

const options = argv.slice(2);
const values = (name) =>
  options.filter((option) => option.startsWith(`${name}=`)).map((option) => option.slice(name.length + 1));
const input = options.at(-1);
const [output] = values('-o');

/**
 * The bindings measure a text character by character before they write it, in JavaScript that is interpreted: for a bill of
 * 3 KB that alone took longer than reading the document. The engine's own encoder says the length as well.
 */
function mend(path) {
  const bindings = readFileSync(path, 'utf8');
  const parts = bindings.split(/^ *\/\/ Compute the exact allocation size[^]*?TEXT_ENCODER_UTF8\.encodeInto\([^]*?return res;\n/m);
  if (parts.length !== 2) throw new Error('the bindings write texts in another way');
  const written = `  const bytes = TEXT_ENCODER_UTF8.encode(s);
  const ptr = realloc(0, 0, 1, bytes.length);
  new Uint8Array(memory.buffer, ptr, bytes.length).set(bytes);
  return { ptr, len: bytes.length };
`;
  writeFileSync(path, parts.join(written));
}

/** Runs the engine's start, with surroundings that are the same each time. */
async function started(module) {
  // The folder of the build has another name each time, and the engine remembers the names of its files.
  const named = (path) => path.replaceAll(cwd(), '/build');
  const said = join(cwd(), 'stdin');
  const told = readFileSync(0, 'utf8');
  mend(told.match(/--initializer-script-path (\S+)/)[1]);
  await writeFile(said, named(told));
  const stdin = openSync(said);
  const folders = [
    ...values('--dir').map((folder) => [named(folder), folder]),
    ...values('--mapdir').map((pair) => pair.split('::')),
  ];
  // A shell on the way here may have added variables of its own.
  const own = Object.entries(env).filter(([name]) => /^(DEBUG|SOURCE_NAME|FEATURE_|EXPORT|IMPORT)/.test(name));
  const preopens = Object.fromEntries(folders);
  const wasi = new WASI({ version: 'preview1', args: [], env: Object.fromEntries(own), preopens, stdin });
  const memory = () => new DataView(instance.exports.memory.buffer);
  let state = 1n;
  const random = () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 56n);
  };
  const surroundings = {
    ...wasi.wasiImport,
    random_get(at, length) {
      for (let index = 0; index < length; index += 1) memory().setUint8(at + index, random());
      return 0;
    },
    proc_exit(code) {
      throw new Error(`the engine ends with code ${code}`);
    },
    clock_time_get(_clock, _precision, at) {
      memory().setBigUint64(at, NOW_NS, true);
      return 0;
    },
    path_filestat_get(folder, flags, path, length, at) {
      const errno = wasi.wasiImport.path_filestat_get(folder, flags, path, length, at);
      // Device, number and times of a file are the machine's; its kind and size are the source's.
      if (errno === 0) [0, 8, 24, 40, 48, 56].forEach((field) => memory().setBigUint64(at + field, 0n, true));
      return errno;
    },
  };
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const refuse = () => {
      throw new Error(`${from}#${name} is called while the engine starts`);
    };
    if (kind !== 'function') throw new Error(`the engine imports a ${kind}`);
    imports[from] ??= {};
    imports[from][name] = (from === 'wasi_snapshot_preview1' && surroundings[name]) || refuse;
  }
  const instance = await WebAssembly.instantiate(module, imports);
  wasi.initialize(instance);
  instance.exports[INIT]();
  return instance.exports;
}

/** The module with every global of its own exported. */
function instrumented(sections, globals) {
  return sections.map(({ id, body }) => {
    if (id !== EXPORT) return { id, body };
    const reader = new Reader(body);
    const count = reader.number();
    const names = globals.map(({ index }) => [...text(`${SEEN}${index}`), 3, ...number(index)]);
    const all = [Buffer.from(number(count + names.length)), reader.rest(), Buffer.from(names.flat())];
    return { id, body: Buffer.concat(all) };
  });
}

/** The module as it stands after the start, which can not be started again. */
function initialised(sections, globals, exports) {
  const bytes = Buffer.from(exports.memory.buffer);
  const segments = [...stretches(bytes)].map(([from, to]) =>
    Buffer.concat([Buffer.from([0, I32_CONST, ...signed(from | 0), END, ...number(to - from)]), bytes.subarray(from, to)]),
  );
  const bodies = {
    [MEMORY]: (body) => grown(body, bytes.length / 65_536),
    [GLOBAL]: () => set(globals, exports),
    [EXPORT]: without,
    [DATA_COUNT]: () => Buffer.from(number(segments.length)),
    [DATA]: () => Buffer.concat([Buffer.from(number(segments.length)), ...segments]),
  };
  return sections
    .filter(({ id }) => id !== START)
    .map(({ id, body }) => ({ id, body: bodies[id] === undefined ? body : bodies[id](body) }));
}

/** Where memory is not zero, with short gaps left in. */
function* stretches(bytes) {
  let from = -1;
  let last = -1;
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes[at] === 0) continue;
    if (from >= 0 && at - last > GAP_BYTES) {
      yield [from, last + 1];
      from = -1;
    }
    if (from < 0) from = at;
    last = at;
  }
  if (from >= 0) yield [from, last + 1];
}

/** The globals that the module defines itself; the engine imports none. */
function globalsOf(sections) {
  const section = sections.find(({ id }) => id === GLOBAL);
  if (section === undefined) return [];
  const reader = new Reader(section.body);
  const other = (index) => new Error(`global ${index} of the engine is of another kind`);
  return Array.from({ length: reader.number() }, (_, index) => {
    const [type, mutable] = [reader.byte(), reader.byte()];
    const opcode = reader.byte();
    if (!(type === I32 && opcode === I32_CONST) && !(type === I64 && opcode === I64_CONST)) throw other(index);
    reader.signed();
    if (reader.byte() !== END) throw other(index);
    return { index, type, mutable };
  });
}

/** The section of globals with what each holds now. */
function set(globals, exports) {
  const each = globals.map(({ index, type, mutable }) => {
    const { value } = exports[`${SEEN}${index}`];
    return [type, mutable, type === I32 ? I32_CONST : I64_CONST, ...signed(value), END];
  });
  return Buffer.from([...number(globals.length), ...each.flat()]);
}

function grown(body, pages) {
  const reader = new Reader(body);
  if (reader.number() !== 1) throw new Error('the engine has more than one memory');
  const flags = reader.byte();
  reader.number();
  return Buffer.concat([Buffer.from([1, flags, ...number(pages)]), reader.rest()]);
}

/** Exports without those that start the engine. */
function without(body) {
  const reader = new Reader(body);
  const kept = [];
  for (let count = reader.number(); count > 0; count -= 1) {
    const from = reader.at;
    const name = reader.bytes(reader.number()).toString();
    reader.byte();
    reader.number();
    if (name !== INIT && name !== '_initialize') kept.push(body.subarray(from, reader.at));
  }
  return Buffer.concat([Buffer.from(number(kept.length)), ...kept]);
}

/** A module's sections, in their order. */
function read(bytes) {
  const reader = new Reader(bytes);
  if (reader.bytes(8).toString('hex') !== '0061736d01000000') throw new Error('not a core module');
  const sections = [];
  while (reader.at < bytes.length) {
    const id = reader.byte();
    sections.push({ id, body: reader.bytes(reader.number()) });
  }
  const data = sections.find(({ id }) => id === DATA);
  if (data !== undefined) activeOnly(new Reader(data.body));
  return sections;
}

function activeOnly(reader) {
  for (let count = reader.number(); count > 0; count -= 1) {
    if (reader.byte() !== 0 || reader.byte() !== I32_CONST) throw new Error('a data segment is of another kind');
    reader.signed();
    reader.byte();
    reader.bytes(reader.number());
  }
}

function write(sections) {
  const parts = sections.flatMap(({ id, body }) => [Buffer.from([id, ...number(body.length)]), body]);
  return Buffer.concat([Buffer.from('0061736d01000000', 'hex'), ...parts]);
}

class Reader {
  constructor(buffer) {
    this.buffer = buffer;
    this.at = 0;
  }
  byte() {
    return this.buffer[this.at++];
  }
  bytes(length) {
    this.at += length;
    return this.buffer.subarray(this.at - length, this.at);
  }
  rest() {
    return this.buffer.subarray(this.at);
  }
  number() {
    let [value, scale, byte] = [0, 1, 0];
    do {
      byte = this.byte();
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
    } while (byte & 0x80);
    return value;
  }
  /** Over a signed number, whose value nobody wants. */
  signed() {
    while (this.byte() & 0x80);
  }
}

function number(value) {
  const bytes = [];
  do {
    bytes.push((value % 0x80) | (value >= 0x80 ? 0x80 : 0));
    value = Math.floor(value / 0x80);
  } while (value > 0);
  return bytes;
}

function signed(value) {
  let left = BigInt(value);
  const bytes = [];
  for (;;) {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    const done = (left === 0n && !(low & 0x40)) || (left === -1n && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

function text(value) {
  const bytes = Buffer.from(value);
  return [...number(bytes.length), ...bytes];
}

try {
  const sections = read(await readFile(input));
  const globals = globalsOf(sections);
  const exports = await started(await WebAssembly.compile(write(instrumented(sections, globals))));
  await writeFile(output, write(initialised(sections, globals, exports)));
} catch (error) {
  // The engine has said before what it has against the source.
  console.error(error.message);
  process.exitCode = 1;
}
