import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GuestCache } from '../backends/node/guest-cache.ts';
import type { GuestRole } from '../backends/node/guest-catalogue.ts';
import { symbolsFile } from './guest-file.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-symbols-'));
  for (const name of ['own', 'svm-systemMap']) await writeFile(join(directory, name), name);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** A cache of two guests, of which one has a System.map. */
function cache(): GuestCache {
  const roles: Record<string, GuestRole[]> = { svm: ['kernel', 'systemMap'], plain: ['kernel'] };
  const definition = (name: string) => ({ name, roles: roles[name] });
  const ensure = (name: string) =>
    Promise.resolve({
      files: Object.fromEntries(roles[name].map((role) => [role, { path: join(directory, `${name}-${role}`) }])),
    });
  return { definition, ensure } as unknown as GuestCache;
}

describe('the file of symbols', () => {
  const read = async (value: string | undefined, kernel: string) => {
    const bytes = await symbolsFile(value, kernel, cache());
    return bytes && new TextDecoder().decode(bytes);
  };

  it('is what the user says, a path or a named guest', async () => {
    expect(await read(join(directory, 'own'), 'guest:svm')).toBe('own');
    expect(await read('guest:svm', '/boot/vmlinux')).toBe('svm-systemMap');
  });
  it('is that of the guest that runs, if nothing is said', async () => {
    expect(await read(undefined, 'guest:svm')).toBe('svm-systemMap');
    expect(await read(undefined, 'guest:plain')).toBeUndefined();
    expect(await read(undefined, '/boot/vmlinux')).toBeUndefined();
  });
  it('has to be there', async () => {
    await expect(read(join(directory, 'absent'), 'k')).rejects.toThrow('Cannot read the file of symbols');
    await expect(read('guest:plain', 'k')).rejects.toThrow('The guest plain has no systemMap');
  });
});
