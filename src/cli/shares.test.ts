import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine, fakeHost } from '../../tests/support/fake-host.ts';
import { main } from './main.ts';
import { openShares, parseShare, parseVsock } from './shares.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'powervisor-shares-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('--share', () => {
  it.each([
    ['path=/tmp', 'needs tag='],
    ['tag=t', 'needs path='],
    ['tag=,path=/tmp', 'takes a value for tag'],
    [`tag=${'t'.repeat(32)},path=/tmp`, 'at most 31 bytes'],
    ['tag=t,path=/tmp,writable', 'no option "writable"'],
    ['tag=t,path=/tmp,transitional,platform', 'not both'],
  ])('refuses %s', (text, message) => {
    expect(() => parseShare(text)).toThrow(message);
  });

  it('opens folders, and says which cannot be opened', async () => {
    expect(
      await openShares([parseShare(`tag=a,path=${folder}`), parseShare(`tag=b,path=${folder},slot=9`)], undefined),
    ).toMatchObject([{}, { slot: 9 }]);
    const twice = [parseShare(`tag=a,path=${folder}`), parseShare(`tag=a,path=${folder}`)];
    await expect(openShares(twice, undefined)).rejects.toThrow('tag a twice');
    await expect(openShares([parseShare(`tag=a,path=${folder}/none`)], undefined)).rejects.toThrow('Cannot share');
    await writeFile(join(folder, 'file'), '');
    await expect(openShares([parseShare(`tag=a,path=${folder}/file`)], undefined)).rejects.toThrow('not a directory');
  });
});

it('--vsock takes a path and a number', () => {
  expect(parseVsock('/run/v.sock')).toEqual({ path: '/run/v.sock', given: [] });
  expect(parseVsock('v,cid=42').given).toEqual([{ name: 'cid', value: 42 }]);
  for (const bad of ['', 'v,cid=2', 'v,transitional']) expect(() => parseVsock(bad)).toThrow();
});

it('both are options of run', async () => {
  const kernel = join(folder, 'kernel');
  await writeFile(kernel, new Uint8Array(16));
  const made: { clock?: string; devices?: readonly unknown[] }[] = [];
  const host = fakeHost();
  const status = await main(
    ['run', '--kernel', kernel, '--share', `tag=t,path=${folder},readonly`, '--vsock', join(folder, 'v')],
    host,
    async (configuration) => {
      made.push(configuration);
      return new FakeMachine(configuration, { outcome: { reason: 'power-off' } });
    },
  );
  expect(status).toBe(0);
  expect(made).toMatchObject([{ clock: 'host', devices: [{}, {}] }]);
});
