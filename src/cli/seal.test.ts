import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildElf, PT_LOAD } from '../../tests/support/elf-builder.ts';
import { fakeHost } from '../../tests/support/fake-host.ts';
import { main } from './main.ts';

let directory: string;
const at = (name: string) => join(directory, name);
const APPEND = 'console=hvc0 svm=on';

/** The exit status and what was written. */
async function seal(...args: string[]) {
  const host = fakeHost({ environment: { XDG_DATA_HOME: at('data') } });
  const status = await main(['seal', ...args], host);
  await new Promise((resolve) => setImmediate(resolve));
  return { status, out: host.output(), err: host.errors() };
}
async function sealed(...args: string[]): Promise<string> {
  const { status, out, err } = await seal(...args);
  expect(err).toBe('');
  expect(status).toBe(0);
  return out;
}
const parts = (change: { kernel?: string; initrd?: string; append?: string } = {}) => [
  '--kernel',
  at(change.kernel ?? 'vmlinux'),
  '--initrd',
  at(change.initrd ?? 'initrd'),
  '--append',
  change.append ?? APPEND,
];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'powervisor-seal-'));
  const kernel = (seed: number) =>
    buildElf({
      is64: true,
      littleEndian: true,
      machine: 21,
      entry: 0n,
      parts: [{ type: PT_LOAD, physicalAddress: 0n, bytes: Uint8Array.from({ length: 3000 }, (_, i) => i * seed) }],
    });
  writeFileSync(at('vmlinux'), kernel(3));
  writeFileSync(at('other'), kernel(5));
  writeFileSync(at('initrd'), 'an initrd');
  writeFileSync(at('secret'), 'the secret');
  expect(await sealed('keys', '--out', at('owner'))).toBe(`${at('owner')}.pem\n${at('owner')}.pub.pem\n`);
  await sealed('keys', '--out', at('friend'));
  const made = await seal('keys', '--machine');
  expect(made.err).toContain("made the key of this user's machines");
  const keys = ['--origin', at('owner.pub.pem'), '--for', 'machine', '--comment', 'a note'];
  await sealed('create', ...parts(), ...keys, '--file', `crypttab=${at('secret')}`, '--out', at('blob'));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('powervisor seal keys', () => {
  it('keeps private keys to their owner and overwrites nothing', async () => {
    for (const name of ['owner.pem', 'data/powervisor/uv-key.pem']) expect(statSync(at(name)).mode & 0o777).toBe(0o600);
    const { status, err } = await seal('keys', '--out', at('owner'));
    expect([status, err]).toEqual([1, `powervisor: Cannot write ${at('owner')}.pem: it exists already.\n`]);
  });
  it("prints the same key of the user's machines each time", async () => {
    const first = await sealed('keys', '--machine');
    expect(first).toMatch(/^-----BEGIN PUBLIC KEY-----\n[^-]*-----END PUBLIC KEY-----\n$/);
    expect(await sealed('keys', '--machine')).toBe(first);
  });
  it('wants to know what to make', async () => {
    expect(await seal('keys')).toMatchObject({ status: 2, err: 'powervisor: Give --out NAME, or --machine.\n' });
  });
});

describe('powervisor seal', () => {
  it('shows a blob, and its digests to who has a key', async () => {
    const shown = await sealed('inspect', at('blob'));
    expect(shown).toMatch(
      /origin-lockbox {2}key [0-9a-f]{64} {2}"a note"\nlockbox-1 {2}key [0-9a-f]{64} {2}"a note"\n/,
    );
    expect(shown).toContain('file crypttab, 10 bytes');
    expect(shown).not.toContain('digest of');
    const json = JSON.parse(await sealed('inspect', at('blob'), '--key', at('owner.pem'), '--json'));
    expect(json).toMatchObject({ opened: 'origin-lockbox', kernelBytes: 3000, wholeBlob: 'protected' });
    expect(json.digests.rtas).toMatch(/^189698638580422e/);
  });

  it('tells a blob from others', async () => {
    const inspect = await seal('inspect', at('initrd'));
    expect(inspect.status).toBe(1);
    expect(inspect.err).toContain(`There is no ESM blob in ${at('initrd')}`);
    expect((await seal('inspect', at('nothing'))).err).toContain('there is no such file');
    const damaged = Uint8Array.from(readFileSync(at('blob')));
    damaged[60] ^= 0xff;
    writeFileSync(at('damaged'), damaged);
    expect((await seal('inspect', at('damaged'))).err).toMatch(/cannot be used: its tree is malformed/);
  });

  it('compares an image with its blob', async () => {
    const same = await sealed('verify', at('blob'), '--key', 'machine', ...parts());
    expect(same).toBe(['rtas', 'kernel', 'initrd', 'bootargs'].map((name) => `digest of ${name} matches\n`).join(''));
    for (const [name, change] of [
      ['kernel', { kernel: 'other' }],
      ['initrd', { initrd: 'secret' }],
      ['bootargs', { append: `${APPEND} ` }],
    ] as const) {
      const { status, out } = await seal('verify', at('blob'), '--key', 'machine', ...parts(change));
      expect(status).toBe(1);
      const differing = out.split('\n').filter((line) => line.includes('differs'));
      expect(differing).toEqual([expect.stringMatching(`^digest of ${name} differs: wanted [0-9a-f]{128}, found`)]);
    }
  });

  it('lets only those in who are authorized', async () => {
    const before = await seal('inspect', at('blob'), '--key', at('friend.pem'));
    expect(before.status).toBe(1);
    expect(before.err).toMatch(/none of its lockboxes \(origin-lockbox, lockbox-1\) opens with the key [0-9a-f]{16}/);
    const args = ['--key', at('owner.pem'), '--for', at('friend.pub.pem'), '--out', at('more')];
    await sealed('authorize', at('blob'), ...args);
    expect(await sealed('inspect', at('more'), '--key', at('friend.pem'))).toContain('opened with lockbox-2');
    const again = await seal('authorize', at('more'), ...args);
    expect(again).toMatchObject({ status: 2, err: expect.stringContaining('has a lockbox in') });
    const stranger = await seal('authorize', at('blob'), '--key', at('friend.pem'), '--for', 'machine');
    expect(stranger.status).toBe(1);
  });

  it('puts the blob in front of an initrd, in place of another, and takes it out', async () => {
    await sealed('attach', at('blob'), '--initrd', at('initrd'), '--out', at('once'));
    await sealed('attach', at('blob'), '--initrd', at('once'), '--out', at('twice'));
    expect(readFileSync(at('twice')).equals(readFileSync(at('once')))).toBe(true);
    expect(readFileSync(at('once')).subarray(-9).toString()).toBe('an initrd');
    await sealed('extract', at('once'), '--out', at('back'));
    expect(readFileSync(at('back')).equals(readFileSync(at('blob')))).toBe(true);
    expect(await sealed('verify', at('once'), '--key', 'machine', ...parts({ initrd: 'once' }))).not.toContain(
      'differs',
    );
  });

  it('puts the blob into a kernel, whose digest stays', async () => {
    await sealed('attach', at('blob'), '--kernel', at('vmlinux'), '--out', at('sealed'));
    expect(await sealed('inspect', at('sealed'))).toContain('an ELF file with a section .kernel:esm_blob');
    expect(await sealed('verify', at('sealed'), '--key', 'machine', ...parts({ kernel: 'sealed' }))).not.toContain(
      'differs',
    );
    const again = await seal('attach', at('blob'), '--kernel', at('sealed'), '--out', at('x'));
    expect(again.err).toContain('has a section .kernel:esm_blob already');
  });

  it('gives secret files to who has a key', async () => {
    await sealed('extract', at('blob'), '--file', 'crypttab', '--key', 'machine', '--out', at('got'));
    expect(readFileSync(at('got'), 'utf8')).toBe('the secret');
    expect(statSync(at('got')).mode & 0o777).toBe(0o600);
    const without = await seal('extract', at('blob'), '--file', 'crypttab', '--out', at('x'));
    expect(without).toMatchObject({ status: 2, err: 'powervisor: A file needs --key to open it.\n' });
    const other = await seal('extract', at('blob'), '--file', 'other', '--key', 'machine', '--out', at('x'));
    expect(other.err).toContain('it has no file other');
  });

  it('makes a kernel for kexec', async () => {
    await sealed('kexec', '--kernel', at('vmlinux'), '--out', at('kexec'));
    expect(readFileSync(at('kexec')).length).toBe(0x20000 + 3000);
  });

  it('says so when nobody can run an image', async () => {
    const { status, err } = await seal('create', ...parts(), '--origin', at('owner.pub.pem'), '--out', at('mine'));
    expect([status, err]).toEqual([0, expect.stringContaining('no machine may run the image yet')]);
  });

  it.each([
    ['--file', 'x', '--file takes NAME=PATH, not "x"'],
    ['--file', '1x=/dev/null', '--file takes NAME=PATH'],
    ['--for', 'OWNER', 'is a private key. Give the public one.'],
    ['--for', 'INITRD', 'is no RSA public key as a PEM file'],
  ])('refuses %s %s', async (option, value, message) => {
    const path = value.replace('OWNER', at('owner.pem')).replace('INITRD', at('initrd'));
    const args = ['--origin', at('owner.pub.pem'), option, path, '--out', at('x')];
    const { status, err } = await seal('create', ...parts(), ...args);
    expect(status).toBe(2);
    expect(err).toContain(message);
  });
});
