// Programs for Linux guests, compiled when a test wants them.

import { spawnSync } from 'node:child_process';

const compiler = 'powerpc64le-linux-gnu-gcc';

/** Compiles a C file to a static program; false if there is no compiler here. In CI that is a failure. */
export function compileForGuest(source: string, target: string): boolean {
  const { error, status, stderr } = spawnSync(compiler, ['-static', '-O2', '-Wall', '-o', target, source], {
    encoding: 'utf8',
  });
  if (error && process.env.CI === undefined) return false;
  if (error ?? status !== 0) throw new Error(`${compiler} cannot compile ${source}: ${error ?? stderr}`);
  return true;
}
