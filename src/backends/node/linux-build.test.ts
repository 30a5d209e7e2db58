import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkConfig, missingBuildPackages } from './linux-build.ts';

it('names the packages whose programs are not on the path', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'powervisor-path-'));
  try {
    for (const tool of ['make', 'gcc', 'ld', 'perl', 'tar', 'xz', 'bc', 'powerpc64le-linux-gnu-ld']) {
      await writeFile(join(directory, tool), '#!/bin/sh\n');
      await chmod(join(directory, tool), 0o755);
    }
    expect(await missingBuildPackages(directory)).toEqual(['flex', 'bison', 'gcc-powerpc64le-linux-gnu']);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

it('accepts a configuration that has every wanted line', () => {
  expect(() => checkConfig('# Title\nCONFIG_A=y\n# CONFIG_B is not set\n', 'CONFIG_A=y\nCONFIG_C=y\n')).not.toThrow();
});

it.each([
  ['an option that is off', 'CONFIG_A=y', '# CONFIG_A is not set'],
  ['an option with another value', 'CONFIG_A=16', 'CONFIG_A=8'],
  ['an option that is gone', 'CONFIG_A=y', 'CONFIG_AB=y'],
  ['an option that is on', '# CONFIG_A is not set', 'CONFIG_A=y'],
])('names %s', (_name, wanted, actual) => {
  expect(() => checkConfig(wanted, actual)).toThrow(`does not take these options (a dependency changed?): ${wanted}.`);
});
