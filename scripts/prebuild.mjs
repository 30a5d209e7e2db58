// What `npm run build` does behind the TypeScript compiler, whose files it replaces, so that neither can be older than the
// rest: generates the interpreter and puts it into dist/ (src/cpu/interpreter/prebuilt.ts), then makes the command one
// file and what it loads later a few more, because Node takes a millisecond for each of 300 modules.

import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './prepare.mjs';

const cpu = join(root, 'dist', 'cpu');

/** @param {string[]} path */
const load = (...path) => import(pathToFileURL(join(cpu, ...path)).href);

const { semantics } = await load('semantics', 'index.js');
const { generateInterpreter } = await load('interpreter', 'generate.js');
const { imageOf } = await load('interpreter', 'image.js');
const image = imageOf(generateInterpreter(semantics), semantics, (/** @type {Uint8Array} */ bytes) =>
  Buffer.from(bytes).toString('base64'),
);
const product = join(cpu, 'interpreter', 'prebuilt.js');
const written = `${product}.${process.pid}`;
writeFileSync(
  written,
  `// Made by scripts/prebuild.mjs.\nexport const prebuiltInterpreter = ${JSON.stringify(image)};\n`,
);
renameSync(written, product);
rmSync(`${product}.map`, { force: true });

const commandFolder = join(root, 'dist', 'cli');
const { metafile } = await build({
  entryPoints: [join(commandFolder, 'main.js')],
  outdir: commandFolder,
  allowOverwrite: true,
  chunkNames: 'parts/[name]-[hash]',
  bundle: true,
  splitting: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  sourcemap: true,
  metafile: true,
  logLevel: 'warning',
});
// Parts of earlier builds. (Their names tell contents: two builds at once of the same sources want the same ones.)
const wanted = new Set(Object.keys(metafile.outputs).map((path) => basename(path)));
for (const name of readdirSync(join(commandFolder, 'parts'))) {
  if (!wanted.has(name)) rmSync(join(commandFolder, 'parts', name), { force: true });
}

// The thread that compiles is a program of its own: it is one file too.
const thread = join(root, 'dist', 'backends', 'node', 'region-worker.js');
await build({
  entryPoints: [thread],
  outfile: thread,
  allowOverwrite: true,
  bundle: true,
  platform: 'node',
  format: 'esm',
  sourcemap: true,
  logLevel: 'warning',
});
