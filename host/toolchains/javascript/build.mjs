// Makes a component of a JavaScript project: node build.mjs ENTRY PROJECT WIT OUTPUT
//
// One file first, because the engine inside the component knows no packages; then the component, with every feature off
// that would want something from the outside: no clock, no randomness, no output, no network. The same source gives the same
// bytes: snapshot.mjs says what that takes beside what is done here.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, chdir, env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

import { componentize } from '@bytecodealliance/componentize-js';
import { build } from 'esbuild';

const [entry, project, witPath, output] = argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'crossdock-javascript-'));
try {
  await build({
    entryPoints: [entry],
    outfile: join(folder, 'module.js'),
    absWorkingDir: project,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2022',
    charset: 'utf8',
    // Answered by the host.
    external: ['crossdock:*'],
    logLevel: 'warning',
  });
  chdir(folder);
  // componentize-js names its working folder by chance, and writes the time of the build into the component.
  env.TMPDIR = folder;
  Math.random = () => 0.5;
  Date.now = () => 946_684_800_000;
  const { component } = await componentize({
    sourcePath: 'module.js',
    witPath,
    worldName: 'transform',
    wizerBin: await launcher(),
    disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
  });
  await writeFile(output, component);
} catch (error) {
  // The bundler has said where its errors are.
  if (error.errors === undefined) console.error(error.message);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true });
}

/** componentize-js wants a program, and runs it without a search path. */
async function launcher() {
  const path = join(folder, 'snapshot');
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const script = fileURLToPath(new URL('snapshot.mjs', import.meta.url));
  await writeFile(path, `#!/bin/sh\nexec ${quoted(execPath)} --no-warnings ${quoted(script)} "$@"\n`, { mode: 0o755 });
  return path;
}
