// Makes a component of a JavaScript project: node build.mjs ENTRY PROJECT WIT OUTPUT
//
// One file first, because the engine inside the component knows no packages; then the component, with every feature off
// that would want something from the outside: no clock, no randomness, no output, no network.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, chdir } from 'node:process';

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
  const { component } = await componentize({
    sourcePath: 'module.js',
    witPath,
    worldName: 'transform',
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
