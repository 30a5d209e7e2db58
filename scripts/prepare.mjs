// What a command of a fresh clone needs first: the dependencies and the build. Plain JavaScript, nothing but Node.

import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs a program in the repository's folder with our own input and output.
 * @param {string} program
 * @param {string[]} args
 * @param {{ quiet?: boolean }} [how] quiet: print the output only if it fails
 * @returns {number} its exit status
 */
export function runProgram(program, args, how = {}) {
  const env = { ...process.env, npm_config_loglevel: 'error' };
  const shell = process.platform === 'win32'; // npm is a script there
  /** @type {import('node:child_process').StdioOptions} */
  const stdio = how.quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'];
  const result = spawnSync(program, args, { cwd: root, stdio, shell, env, maxBuffer: 1 << 28 });
  if (result.error !== undefined) {
    process.stderr.write(`cannot run ${program}: ${result.error.message}\n`);
    return 1;
  }
  if (how.quiet && result.status !== 0) process.stderr.write(`${result.stdout}${result.stderr}`);
  return result.status ?? 1;
}

/**
 * Runs a program of a dependency, such as `tsc`.
 * @param {string} name
 * @param {string[]} args
 * @param {{ quiet?: boolean }} [how]
 * @returns {number}
 */
export function runTool(name, args, how = {}) {
  return runProgram(join('node_modules', '.bin', name), args, how);
}

/**
 * Installs the dependencies if there are none, or if the lock file is newer; not through a link, which leads to those of
 * another checkout. Ends the process if that fails.
 */
export function ensureDependencies() {
  const folder = join(root, 'node_modules');
  if (existsSync(folder) && lstatSync(folder).isSymbolicLink()) return;
  const installed = join(folder, '.package-lock.json');
  if (existsSync(installed) && modified(installed) >= modified(join(root, 'package-lock.json'))) return;
  process.stderr.write('installing the dependencies (npm ci) ...\n');
  exitUnlessDone(runProgram('npm', ['ci', '--no-audit', '--no-fund'], { quiet: true }));
  const now = new Date();
  if (existsSync(installed)) utimesSync(installed, now, now);
}

/** Compiles into dist/ if a source is newer than the last build. Ends the process if that fails. */
export function ensureBuilt() {
  const stamp = join(root, '.cache', 'built');
  const product = join(root, 'dist', 'cli', 'main.js');
  const inputs = ['package.json', 'tsconfig.base.json', 'tsconfig.build.json', 'scripts/prebuild.mjs', 'src'].map(
    (name) => join(root, name),
  );
  if (existsSync(product) && existsSync(stamp) && Math.max(...inputs.map(newest)) < modified(stamp)) return;
  process.stderr.write('building ...\n');
  const started = new Date();
  exitUnlessDone(runProgram('npm', ['run', 'build', '--silent'], { quiet: true }));
  mkdirSync(join(root, '.cache'), { recursive: true });
  writeFileSync(stamp, '');
  utimesSync(stamp, started, started);
}

/**
 * @param {string} path
 * @returns {number} of the path and all that is in it, in milliseconds
 */
function newest(path) {
  if (!statSync(path).isDirectory()) return modified(path);
  const inside = readdirSync(path).map((name) => newest(join(path, name)));
  return Math.max(modified(path), ...inside);
}

/** @param {string} path */
function modified(path) {
  return statSync(path).mtimeMs;
}

/** @param {number} status */
function exitUnlessDone(status) {
  if (status !== 0) process.exit(status);
}
