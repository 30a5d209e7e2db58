import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeHost, fakeHost } from '../../tests/support/fake-host.ts';
import { writeFakeMirror } from '../../tests/support/fake-mirror.ts';
import { main } from './main.ts';

describe('powervisor', () => {
  it('prints its version and its help on standard output', async () => {
    const version = fakeHost();
    expect(await main(['--version'], version)).toBe(0);
    expect(version.output()).toMatch(/^\d+\.\d+\.\d+\n$/);
    const help = fakeHost();
    expect(await main(['--help'], help)).toBe(0);
    expect(help.output()).toMatch(/Usage: powervisor[\s\S]*\brun\b[\s\S]*\bguest\b[\s\S]*\bdisasm\b/);
    expect(help.errors()).toBe('');
  });

  it.each([
    [[], 'Usage: powervisor'],
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['guest'], 'Usage: powervisor guest'],
    [['guest', 'fetch'], "missing required argument 'name'"],
    [['disasm'], "missing required argument 'file'"],
  ])('takes %j as wrong usage', async (args, message) => {
    const host = fakeHost();
    expect(await main(args, host)).toBe(2);
    expect(host.errors()).toContain(message);
  });
});

describe('powervisor guest', () => {
  let directory: string;
  let host: FakeHost;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'powervisor-guest-'));
    host = fakeHost({ environment: { POWERVISOR_CACHE: join(directory, 'cache') } });
    await writeFakeMirror(join(directory, 'mirror'), 'bookworm', [
      { name: 'busybox-static', version: '1.35', files: { 'bin/busybox': '\0[\0[[\0mount\0sh\0\0' } },
    ]);
  });

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  const mirror = () => ['--mirror', pathToFileURL(join(directory, 'mirror')).href];

  it('fetches, lists and tells the path', async () => {
    expect(await main(['guest', 'path', 'busybox'], host)).toBe(1);
    expect(host.errors()).toBe('powervisor: the guest busybox is absent. Say: powervisor guest fetch busybox\n');
    expect(await main(['guest', 'fetch', 'busybox', ...mirror()], host)).toBe(0);
    const path = `${join(directory, 'cache', 'guests', 'busybox', 'initrd')}\n`;
    expect(host.output()).toBe(path);
    expect(await main(['guest', 'path', 'busybox', 'initrd'], host)).toBe(0);
    expect(host.output()).toBe(path + path);
    expect(await main(['guest', 'list', '--json'], host)).toBe(0);
    const listed = JSON.parse(host.output().slice(2 * path.length)) as { name: string; state: string }[];
    expect(listed.find(({ name }) => name === 'busybox')?.state).toBe('cached');
    expect(listed.find(({ name }) => name === 'linux-svm')?.state).toBe('absent');
    expect(await main(['guest', 'list'], host)).toBe(0);
    expect(host.output()).toMatch(/^busybox +1\.35, 0\.0 MB +initramfs/m);
  });

  it.each([
    [['path', 'nobody'], 2, 'There is no guest "nobody"'],
    [['path', 'busybox', 'kernel'], 2, 'The guest busybox has no kernel; it has: initrd.'],
    [['fetch', 'busybox', 'nobody'], 2, 'There is no guest "nobody"'],
    [['fetch', 'linux-svm'], 1, 'Say: powervisor guest build linux-svm'],
    [['fetch', 'busybox', '--mirror', 'nonsense'], 2, 'is not an http, https or file URL'],
    [['build', 'linux-svm', '--jobs', '0'], 2, '--jobs takes a number'],
  ])('%j', async (args, status, message) => {
    expect(await main(['guest', ...args], host)).toBe(status);
    expect(host.errors()).toContain(message);
    expect(host.output()).toBe('');
  });

  it('run fetches the guest that is asked for and says so on standard error', async () => {
    const noKernel = ['run', '--kernel', '/nowhere', '--initrd', 'guest:busybox', ...mirror()];
    expect(await main(noKernel, host)).toBe(1);
    expect(host.errors()).toMatch(/unpacking busybox-static 1\.35[\s\S]*Cannot read the kernel/);
  });
});
