// `npm run bench`: builds what is needed and runs bench/main.ts. Arguments are handed on.

import { build } from 'esbuild';
import { ensureBuilt, ensureDependencies } from './prepare.mjs';

ensureDependencies();
ensureBuilt();
// Beside the sources, so that paths relative to the module hold.
const outfile = new URL('../bench/.main.mjs', import.meta.url);
await build({
  entryPoints: [new URL('../bench/main.ts', import.meta.url).pathname],
  outfile: outfile.pathname,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
});
await import(outfile.href);
// Sockets of a guest's network that wait for their other end do not keep the process.
process.exit();
