// `npm test`: the checks, then every test suite, from a fresh clone if need be. Arguments are handed to vitest, to run
// a part. The last line says `N passed, N failed`, counted by vitest; the exit status is 0 only if at least one test
// ran, none failed, and the checks hold.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks } from './check.mjs';
import { ensureBuilt, ensureDependencies, runTool } from './prepare.mjs';
import { countResults, summary } from './test-results.mjs';

ensureDependencies();
const failedChecks = checks().filter((check) => !check.run());
ensureBuilt();

const directory = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
const resultFile = join(directory, 'results.json');
const only = process.argv.slice(2);
const status = runTool('vitest', [
  'run',
  ...only,
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${resultFile}`,
]);
const counts = countResults(readResults(resultFile));
rmSync(directory, { recursive: true, force: true });

const complaints = failedChecks.map((check) => `the check "${check.name}" failed`);
if (counts.passed + counts.failed === 0) complaints.push('no test ran');
else if (status !== 0 && counts.failed === 0) complaints.push(`vitest ended with status ${status}`);
for (const complaint of complaints) process.stdout.write(`${complaint}\n`);
process.exitCode = complaints.length === 0 && counts.failed === 0 ? 0 : 1;
process.stdout.write(`${summary(counts)}\n`);

/** @param {string} path */
function readResults(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
