// `npm run check`: format and lint, types in each configuration, import directions, and the unit tests.
// `npm test` takes the list from here and runs the unit tests with all others.

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDependencies, runProgram, runTool } from './prepare.mjs';

/** @returns {{ name: string, run: () => boolean }[]} what is checked without running the code */
export function checks() {
  return [
    { name: 'format and lint', run: () => runTool('biome', ['check', '--error-on-warnings'], { quiet: true }) === 0 },
    ...['core', 'node', 'browser', 'worker'].map((name) => ({
      name: `types, ${name}`,
      run: () => runTool('tsc', ['-p', `tsconfig.${name}.json`], { quiet: true }) === 0,
    })),
    { name: 'import directions', run: () => runProgram(process.execPath, ['scripts/check-imports.mjs']) === 0 },
  ];
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  ensureDependencies();
  const unitTests = { name: 'unit tests', run: () => runTool('vitest', ['run', 'src', 'scripts']) === 0 };
  const failed = [...checks(), unitTests].filter((check) => {
    process.stdout.write(`${check.name} ...\n`);
    return !check.run();
  });
  for (const { name } of failed) process.stdout.write(`failed: ${name}\n`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
