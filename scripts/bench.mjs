// `npm run bench`: builds what is needed and runs bench/main.ts. Arguments are handed on.

import { build } from 'esbuild';
import { ensureBuilt, ensureDependencies } from './prepare.mjs';

ensureDependencies();
ensureBuilt();
// Beside the sources, so that paths relative to the module hold.
/** @param {string} name */
const program = (name) => new URL(`../bench/${name}`, import.meta.url).pathname;
await build({
  entryPoints: [
    { in: program('main.ts'), out: '.main' },
    { in: program('churn.ts'), out: '.churn' },
  ],
  outdir: program(''),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
});
try {
  await import(new URL('../bench/.main.mjs', import.meta.url).href);
} catch (caught) {
  const error = /** @type {{ name?: string, code?: string, message: string }} */ (caught);
  // A sentence for the user, by its class in src/util/errors.ts; anything else is shown as it is.
  const known = /^(PowervisorError|UsageError)$/.test(error.name ?? '') || error.code?.startsWith('ERR_PARSE_ARGS');
  if (!known) throw caught;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 2;
}
// Sockets of a guest's network that wait for their other end do not keep the process.
process.exit();
