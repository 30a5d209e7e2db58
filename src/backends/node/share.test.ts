// No way out of a shared folder: links, `..`, pipes, and a path that somebody changes all the time.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NinePClient, NinePError } from '../../../tests/support/nine-p-client.ts';
import { NinePServer } from '../../virtio/devices/9p/server.ts';
import { NodeShare } from './share.ts';

let outside: string;
let inside: string;
beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), 'powervisor-outside-'));
  inside = join(outside, 'inside');
  mkdirSync(inside);
  writeFileSync(join(outside, 'secret'), 'SECRET');
});
afterEach(() => rmSync(outside, { recursive: true, force: true }));

async function client(anchored: boolean) {
  const server = new NinePServer(await NodeShare.open(inside, { anchored }));
  const nine = new NinePClient((message) => server.handle(message, 65536));
  return { nine, root: await nine.start() };
}

describe.each([true, false])('with /proc: %s', (anchored) => {
  it.skipIf(anchored && platform() !== 'linux')('follows no link', async () => {
    const { nine, root } = await client(anchored);
    symlinkSync('..', join(inside, 'up'));
    symlinkSync(outside, join(inside, 'absolute'));
    symlinkSync('../secret', join(inside, 'link'));
    for (const name of ['up', 'absolute']) {
      await expect(nine.walk(root, name, 'secret')).rejects.toThrow(/ENOENT|ENOTDIR/);
      await expect(nine.create(await nine.walk(root, name), 'made')).rejects.toThrow('ENOTDIR');
      const made = nine.call(72, ['u32', await nine.walk(root, name)], 'made', ['u32', 0o755], ['u32', 0]);
      await expect(made).rejects.toThrow('ENOTDIR');
      const listing = await nine.walk(root, name);
      await expect(nine.open(listing)).rejects.toThrow('ELOOP');
    }
    await expect(nine.open(await nine.walk(root, 'link'))).rejects.toThrow('ELOOP');
    const truncated = nine.call(
      26,
      ['u32', await nine.walk(root, 'link')],
      ['u32', 8],
      ...Array.from({ length: 3 }, () => ['u32', 0] as const),
      ...Array.from({ length: 5 }, () => ['u64', 0] as const),
    );
    await expect(truncated).rejects.toThrow('ELOOP');
    const mode = nine.call(
      26,
      ['u32', await nine.walk(root, 'link')],
      ['u32', 1],
      ['u32', 0o777],
      ...Array.from({ length: 2 }, () => ['u32', 0] as const),
      ...Array.from({ length: 5 }, () => ['u64', 0] as const),
    );
    await expect(mode).rejects.toThrow('EOPNOTSUPP');
    await expect(nine.walk(root, '..', 'secret')).rejects.toThrow('ENOENT');
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('SECRET');
    expect(readdirSync(outside).sort()).toEqual(['inside', 'secret']);
  });

  it.skipIf(platform() === 'win32')('opens no pipe, which would wait for ever', async () => {
    const { nine, root } = await client(anchored);
    execFileSync('mkfifo', [join(inside, 'pipe')]);
    const pipe = await nine.walk(root, 'pipe');
    for (const flags of [0, 1, 2]) await expect(nine.open(pipe, flags)).rejects.toThrow('ENXIO');
    await expect(nine.create(root, 'pipe')).rejects.toThrow('ENXIO');
  });

  it('keeps names that are not UTF-8', async () => {
    const { nine, root } = await client(anchored);
    const name = Buffer.from([0x66, 0xff, 0x6f]);
    writeFileSync(Buffer.concat([Buffer.from(`${inside}/`), name]), 'bytes');
    const listing = await nine.walk(root);
    await nine.open(listing);
    await nine.call(40, ['u32', listing], ['u64', 0], ['u32', 1000]);
    const body = await nine.call(40, ['u32', listing], ['u64', 2], ['u32', 1000]);
    expect(Buffer.from(body.buffer, body.byteOffset + 4 + 24, 3)).toEqual(name);
    // And back: walk with those bytes, behind their length.
    const fid = nine.newFid();
    await nine.call(110, ['u32', root], ['u32', fid], ['u16', 1], ['u16', 3], new Uint8Array(name));
    await nine.open(fid);
    expect(Buffer.from(await nine.read(fid)).toString()).toBe('bytes');
  });
});

// The guarantee for programs of this machine that race with the guest needs names below open directories.
it.skipIf(platform() !== 'linux')('stays inside while a directory on the way turns into a link and back', async () => {
  const { nine } = await client(true);
  let root = 0;
  mkdirSync(join(inside, 'real'));
  writeFileSync(join(inside, 'real', 'secret'), 'inside');
  symlinkSync(outside, join(inside, 'trap'));
  const worker = new Worker(
    `const { renameSync } = require('node:fs');
     const { workerData: d, parentPort } = require('node:worker_threads');
     let stop = false, flips = 0;
     const round = () => {
       for (let n = 0; n < 200; n++) {
         renameSync(d + '/real', d + '/x'); renameSync(d + '/x', d + '/real');
         renameSync(d + '/trap', d + '/x'); renameSync(d + '/x', d + '/trap');
         flips += 2;
       }
       if (stop) parentPort.postMessage(flips); else setImmediate(round);
     };
     parentPort.once('message', () => { stop = true; });
     round();`,
    { eval: true, workerData: inside },
  );
  const seen: Record<string, number> = {};
  const see = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1;
  };
  const ends = Date.now() + 4000;
  for (let n = 0; Date.now() < ends; n++) {
    // Also forgets the fids that failures left.
    if (n % 500 === 0) root = await nine.start();
    try {
      const fid = await nine.walk(root, 'x', 'secret');
      await nine.open(fid);
      see(Buffer.from(await nine.read(fid)).toString());
      await nine.clunk(fid);
      const directory = await nine.walk(root, 'x');
      const made = await nine.create(directory, `made-${n}`);
      await nine.clunk(made);
      await nine.call(74, ['u32', directory], `made-${n}`, ['u32', directory], 'moved');
      await nine.call(76, ['u32', directory], 'secret-not', ['u32', 0]);
    } catch (error) {
      if (!(error instanceof NinePError)) throw error;
      see(error.message);
    }
  }
  const flips = await new Promise<number>((resolve) => {
    worker.once('message', resolve);
    worker.postMessage('stop');
  });
  await worker.terminate();
  expect(seen.SECRET).toBeUndefined();
  expect(readdirSync(outside).sort()).toEqual(['inside', 'secret']);
  // It was a race: the directory was met, and the link was met.
  expect(seen.inside).toBeGreaterThan(10);
  expect((seen.ENOTDIR ?? 0) + (seen.ENOENT ?? 0)).toBeGreaterThan(10);
  expect(flips).toBeGreaterThan(1000);
});
