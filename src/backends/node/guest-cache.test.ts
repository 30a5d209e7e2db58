import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakePackage, writeFakeMirror } from '../../../tests/support/fake-mirror.ts';
import { cacheDirectory, GuestCache, type GuestCacheOptions } from './guest-cache.ts';
import type { GuestDefinition } from './guest-catalogue.ts';
import { silentProgress } from './progress.ts';

const kernelBytes = Buffer.alloc(100_000, 'kernel');

const packages: FakePackage[] = [
  { name: 'meta', version: '1', depends: 'linux-image-6.1-old (= 1)', files: {} },
  { name: 'meta', version: '2', depends: 'linux-base, linux-image-6.1-new (= 2)', files: {} },
  {
    name: 'linux-image-6.1-new',
    version: '1:2-1',
    files: { 'boot/vmlinux-6.1-new': kernelBytes, 'boot/System.map': '' },
  },
  { name: 'busybox-static', version: '1.35', files: { 'bin/busybox': '\0[\0[[\0mount\0sh\0\0' } },
  { name: 'installer', version: '12', files: { 'usr/lib/vmlinux': 'K', 'usr/lib/initrd.gz': 'I' } },
];

const catalogue: GuestDefinition[] = [
  {
    name: 'kernel',
    description: '',
    roles: ['kernel'],
    recipe: {
      kind: 'package-files',
      suite: 'stable',
      package: 'meta',
      follow: /linux-image-\S+/,
      files: { kernel: /^boot\/vmlinux-/ },
    },
  },
  {
    name: 'both',
    description: '',
    roles: ['kernel', 'initrd'],
    recipe: {
      kind: 'package-files',
      suite: 'stable',
      package: 'installer',
      files: { kernel: /vmlinux$/, initrd: /initrd\.gz$/ },
    },
  },
  {
    name: 'shell',
    description: '',
    roles: ['initrd'],
    recipe: { kind: 'busybox', suite: 'stable', package: 'busybox-static' },
  },
  {
    name: 'gone',
    description: '',
    roles: ['kernel'],
    recipe: { kind: 'package-files', suite: 'stable', package: 'not-there', files: { kernel: /x/ } },
  },
  {
    name: 'built',
    description: '',
    roles: ['kernel', 'systemMap', 'config'],
    recipe: { kind: 'linux-build', suite: 'stable', package: 'linux-source', config: 'linux-svm.config' },
  },
];

let directory: string;
let mirror: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-cache-'));
  mirror = pathToFileURL(join(directory, 'mirror')).href;
  await writeFakeMirror(join(directory, 'mirror'), 'stable', packages);
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function cacheWith(options: Partial<GuestCacheOptions> = {}): GuestCache {
  return new GuestCache({
    directory: join(directory, 'cache'),
    catalogue,
    mirror,
    environment: {},
    aptIndexTargets: async () => undefined,
    retryDelaysMs: [1, 1],
    ...options,
  });
}

const offline = { mirror: undefined };

describe('ensure', () => {
  it('fetches a kernel through its newest meta-package, and needs no mirror the second time', async () => {
    const guest = await cacheWith().ensure('kernel');
    expect(guest.version).toBe('1:2-1');
    expect(kernelBytes.equals(await readFile(guest.files.kernel!.path))).toBe(true);
    expect(await cacheWith(offline).ensure('kernel')).toEqual(guest);
    expect(await readdir(join(directory, 'cache', 'guests'))).toEqual(['kernel']);
  });

  it('takes several files out of one package', async () => {
    const guest = await cacheWith().ensure('both');
    expect(await readFile(guest.files.kernel!.path, 'utf8')).toBe('K');
    expect(await readFile(guest.files.initrd!.path, 'utf8')).toBe('I');
  });

  it('makes an initramfs of busybox', async () => {
    const guest = await cacheWith().ensure('shell');
    expect(await readFile(guest.files.initrd!.path, 'latin1')).toMatch(/^070701[\s\S]*bin\/mount/);
  });

  it('fetches again what was damaged, and says what is wrong when it cannot', async () => {
    const guest = await cacheWith().ensure('kernel');
    await writeFile(guest.files.kernel!.path, Buffer.alloc(100_000, 'broken'));
    expect((await cacheWith(offline).status('kernel')).state).toBe('stale');
    await expect(cacheWith(offline).ensure('kernel')).rejects.toThrow('No Debian mirror is known');
    const again = await cacheWith().ensure('kernel');
    expect(kernelBytes.equals(await readFile(again.files.kernel!.path))).toBe(true);
  });

  it('takes a guest made by another recipe, or a manifest that is none, as stale or absent', async () => {
    await cacheWith().ensure('kernel');
    const other = catalogue.map((each) =>
      each.name === 'kernel' ? { ...each, recipe: { ...catalogue[1].recipe, suite: 'other' } } : each,
    );
    expect((await cacheWith({ ...offline, catalogue: other }).status('kernel')).state).toBe('stale');
    await writeFile(join(directory, 'cache', 'guests', 'kernel', 'manifest.json'), '{"format":1}');
    expect((await cacheWith(offline).status('kernel')).state).toBe('absent');
  });

  it('cleans up after a run that was killed', async () => {
    const cache = cacheWith();
    await cache.ensure('kernel');
    const leftOver = join(directory, 'cache', 'guests', 'both.tmp-999999999');
    await writeFile(leftOver, '');
    await cache.ensure('both');
    expect((await readdir(join(directory, 'cache', 'guests'))).sort()).toEqual(['both', 'kernel']);
  });

  it('makes a guest once when asked twice at once', async () => {
    const cache = cacheWith();
    const [one, two] = await Promise.all([cache.ensure('kernel'), cache.ensure('kernel')]);
    expect(two).toEqual(one);
  });

  it('waits for another process that makes the same guest', async () => {
    const finished = await cacheWith().ensure('kernel');
    const others = join(directory, 'cache', 'guests', `kernel.tmp-${process.ppid}`);
    await writeFile(others, '');
    const notes: string[] = [];
    const progress = { ...silentProgress, note: (message: string) => notes.push(message) };
    const waiting = cacheWith({ ...offline, progress }).ensure('kernel');
    await expect.poll(() => notes).toEqual(['waiting for another powervisor that makes the guest kernel']);
    await rm(others);
    expect(await waiting).toEqual(finished);
  });

  it('does not build unasked', async () => {
    await expect(cacheWith().ensure('built')).rejects.toThrow('powervisor guest build built');
  });

  it.each([
    ['nobody', 'There is no guest "nobody". Known guests: kernel, both, shell, gone, built.'],
    ['gone', /offers no package not-there in stable for ppc64el/],
  ])('fails for %s with a sentence', async (name, message) => {
    await expect(cacheWith().ensure(name)).rejects.toThrow(message);
  });

  it('says that the cache cannot be written', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(cacheWith({ directory: join(directory, 'file') }).ensure('kernel')).rejects.toThrow('cannot be used');
  });
});

describe('a mirror that is wrong', () => {
  it.each([
    ['a changed package', 'pool/main/linux-image', /Checksum mismatch for linux-image-6.1-new 1:2-1/],
    ['a changed index', 'dists/stable/main', /Checksum mismatch for package index of stable/],
  ])('%s', async (_name, path, message) => {
    await writeFakeMirror(join(directory, 'bad'), 'stable', packages, (each, bytes) =>
      each.startsWith(path) ? Buffer.concat([bytes.subarray(0, -1), Buffer.from('?')]) : bytes,
    );
    const cache = cacheWith({ mirror: pathToFileURL(join(directory, 'bad')).href });
    await expect(cache.ensure('kernel')).rejects.toThrow(message);
    expect((await cacheWith().status('kernel')).state).toBe('absent');
    expect((await readdir(join(directory, 'cache', 'guests'))).filter((name) => name.startsWith('kernel'))).toEqual([]);
  });

  it('has no such suite', async () => {
    await expect(cacheWith({ mirror: pathToFileURL(directory).href }).ensure('kernel')).rejects.toThrow('no such file');
  });
});

describe('over HTTP', () => {
  let server: Server;
  let address: string;
  let failures: number;
  const requests: string[] = [];

  beforeEach(async () => {
    failures = 0;
    requests.length = 0;
    server = createServer((request, response) => {
      requests.push(request.url ?? '');
      if (failures-- > 0) {
        response.writeHead(503).end();
        return;
      }
      readFile(join(directory, 'mirror', decodeURIComponent(request.url ?? ''))).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('fetches, tries again when the server is busy, and keeps the index', async () => {
    failures = 2;
    const cache = cacheWith({ mirror: address });
    await cache.ensure('kernel');
    await cacheWith({ mirror: address }).ensure('both');
    expect(requests.filter((url) => url.endsWith('Packages.gz'))).toHaveLength(1);
  });

  it('gives up with a sentence', async () => {
    failures = 100;
    await expect(cacheWith({ mirror: address }).ensure('kernel')).rejects.toThrow(
      /Cannot fetch the release file of stable from http.*: the server answered with status 503\./,
    );
    expect(requests).toHaveLength(3);
  });

  it('says when nobody answers', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await expect(cacheWith({ mirror: address }).ensure('kernel')).rejects.toThrow(/Cannot fetch .*ECONNREFUSED/);
  });

  it('can be interrupted', async () => {
    const stop = new AbortController();
    server.removeAllListeners('request');
    server.on('request', () => stop.abort());
    await expect(cacheWith({ mirror: address, signal: stop.signal }).ensure('kernel')).rejects.toThrow(/abort/);
  });
});

describe('cacheDirectory', () => {
  it.each([
    [{}, '/home/u/.cache/powervisor'],
    [{ XDG_CACHE_HOME: '/x' }, '/x/powervisor'],
    [{ XDG_CACHE_HOME: 'relative' }, '/home/u/.cache/powervisor'],
    [{ XDG_CACHE_HOME: '/x', POWERVISOR_CACHE: '/own' }, '/own'],
    [{ POWERVISOR_CACHE: '' }, '/home/u/.cache/powervisor'],
  ])('%o', (environment, expected) => {
    expect(cacheDirectory(environment, '/home/u')).toBe(expected);
  });
});
