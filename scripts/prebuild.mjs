// The last step of `npm run build`: generates the interpreter and puts it into dist/ (src/cpu/interpreter/prebuilt.ts).

import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
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
