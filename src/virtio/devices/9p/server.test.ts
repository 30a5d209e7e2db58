import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { NinePClient, nineMessage } from '../../../../tests/support/nine-p-client.ts';
import { MemoryShare } from '../../../backends/memory/share.ts';
import { NodeShare } from '../../../backends/node/share.ts';
import type { ShareBackend } from '../../../backends/share-backend.ts';
import { MAX_DEPTH } from './names.ts';
import { MAX_FIDS, MAX_OPEN_FILES, NinePServer } from './server.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'powervisor-share-'));
  folders.push(path);
  return path;
}

const ROOM = 65536;

async function client(backend: ShareBackend) {
  const server = new NinePServer(backend);
  const nine = new NinePClient((message) => server.handle(message, ROOM));
  return { server, nine, root: await nine.start() };
}

const WRONLY = 1;
const RDWR = 2;
const EXCL = 0o200;
const APPEND = 0o2000;
const TRUNC = 0o1000;

describe.each([
  { where: 'in memory', make: async () => new MemoryShare() },
  { where: 'a folder', make: () => NodeShare.open(folder()) },
  { where: 'a folder, without /proc', make: () => NodeShare.open(folder(), { anchored: false }) },
])('9P2000.L over $where', ({ make }) => {
  const set = async () => client(await make());

  it('agrees on a size and a version', async () => {
    const { nine } = await set();
    const agreed = async (msize: number, version: string) => {
      const body = await nine.call(100, ['u32', msize], version);
      return [
        body.getUint32(0, true),
        Buffer.from(body.buffer, body.byteOffset + 6, body.getUint16(4, true)).toString(),
      ];
    };
    expect(await agreed(8192, '9P2000.L')).toEqual([8192, '9P2000.L']);
    expect(await agreed(2 ** 31, '9P2000.L')).toEqual([2 ** 20, '9P2000.L']);
    expect(await agreed(8192, '9P2000.u')).toEqual([8192, 'unknown']);
    expect(await agreed(100, '9P2000.L')).toEqual([100, 'unknown']);
  });

  it('writes, reads, appends and truncates', async () => {
    const { nine, root } = await set();
    const file = await nine.create(root, 'file', 0o640);
    expect(await nine.write(file, 'hello world')).toBe(11);
    expect(await nine.write(file, 'W', 6)).toBe(1);
    expect(Buffer.from(await nine.read(file)).toString()).toBe('hello World');
    expect(await nine.read(file, 100)).toHaveLength(0);
    expect(await nine.stat(file)).toMatchObject({ mode: 0o100640, size: 11n, links: 1n, qidType: 0 });
    const more = await nine.walk(root, 'file');
    await nine.open(more, WRONLY | APPEND);
    await nine.write(more, '!', 3);
    expect(await nine.text(root, 'file')).toBe('hello World!');
    await expect(nine.read(more)).rejects.toThrow('EBADF');
    const cut = await nine.walk(root, 'file');
    await nine.open(cut, RDWR | TRUNC);
    expect((await nine.stat(cut)).size).toBe(0n);
    await nine.call(50, ['u32', cut], ['u32', 0]);
    await expect(nine.create(root, 'file', 0o644, RDWR | EXCL)).rejects.toThrow('EEXIST');
  });

  it('keeps an open file whose name is gone', async () => {
    const { nine, root } = await set();
    const file = await nine.create(root, 'gone');
    await nine.write(file, 'still there');
    await nine.call(76, ['u32', root], 'gone', ['u32', 0]);
    await expect(nine.walk(root, 'gone')).rejects.toThrow('ENOENT');
    expect(Buffer.from(await nine.read(file)).toString()).toBe('still there');
    expect((await nine.stat(file)).links).toBe(0n);
    const other = await nine.create(root, 'gone');
    await nine.write(other, 'another');
    expect(Buffer.from(await nine.read(file)).toString()).toBe('still there');
  });

  it('makes, lists and removes directories', async () => {
    const { nine, root } = await set();
    await nine.call(72, ['u32', root], 'd', ['u32', 0o750], ['u32', 0]);
    const directory = await nine.walk(root, 'd');
    expect(await nine.stat(directory)).toMatchObject({ mode: 0o040750, qidType: 0x80 });
    const names = Array.from({ length: 300 }, (_, n) => `name-${n}`);
    for (const name of names) await nine.clunk(await nine.create(directory, name));
    const listing = await nine.walk(root, 'd');
    await nine.open(listing);
    // Answers of any size, that of a whole directory included.
    for (const count of [1000, 4097, 60_000]) {
      expect((await nine.names(listing, count)).sort()).toEqual(['.', '..', ...names].sort());
    }
    expect((await nine.names(listing, 1000)).sort()).toEqual(['.', '..', ...names].sort());
    await expect(nine.call(76, ['u32', root], 'd', ['u32', 0x200])).rejects.toThrow('ENOTEMPTY');
    await expect(nine.call(76, ['u32', directory], 'name-1', ['u32', 0x200])).rejects.toThrow('ENOTDIR');
    for (const name of names) await nine.call(76, ['u32', directory], name, ['u32', 0]);
    await nine.call(76, ['u32', root], 'd', ['u32', 0x200]);
    await expect(nine.walk(root, 'd')).rejects.toThrow('ENOENT');
    await expect(nine.stat(directory)).rejects.toThrow('ENOENT');
  });

  it('renames with everything below', async () => {
    const { nine, root, server } = await set();
    await nine.call(72, ['u32', root], 'a', ['u32', 0o755], ['u32', 0]);
    await nine.call(72, ['u32', root], 'b', ['u32', 0o755], ['u32', 0]);
    const a = await nine.walk(root, 'a');
    const file = await nine.create(a, 'file');
    await nine.write(file, 'text');
    await nine.clunk(file);
    const held = await nine.walk(a, 'file');
    await nine.call(74, ['u32', root], 'a', ['u32', await nine.walk(root, 'b')], 'moved');
    expect((await nine.stat(held)).size).toBe(4n);
    expect(await nine.text(root, 'b', 'moved', 'file')).toBe('text');
    await nine.call(20, ['u32', held], ['u32', root], 'top');
    expect(await nine.text(root, 'top')).toBe('text');
    expect(await nine.text(held)).toBe('text');
    await expect(nine.call(74, ['u32', root], 'b', ['u32', await nine.walk(root, 'b', 'moved')], 'x')).rejects.toThrow(
      'EINVAL',
    );
    await nine.call(100, ['u32', 65536], '9P2000.L');
    expect(server.inUse).toEqual({ fids: 0, files: 0, listed: 0, names: 1 });
  });

  it('gives symbolic links as links, and hard links', async () => {
    const { nine, root } = await set();
    await nine.clunk(await nine.create(root, 'file'));
    await nine.call(16, ['u32', root], 'link', '../../etc/passwd', ['u32', 0]);
    const link = await nine.walk(root, 'link');
    expect(await nine.readLink(link)).toBe('../../etc/passwd');
    expect((await nine.stat(link)).qidType).toBe(2);
    await expect(nine.open(link)).rejects.toThrow('ELOOP');
    await expect(nine.walk(root, 'link', 'x')).rejects.toThrow(/ENOENT|ENOTDIR/);
    await expect(nine.walk(link, 'x')).rejects.toThrow('ENOTDIR');
    await expect(
      nine.call(14, ['u32', await nine.walk(root)], 'link', ['u32', 0o102], ['u32', 0o644], ['u32', 0]),
    ).rejects.toThrow('ELOOP');
    await nine.call(70, ['u32', root], ['u32', await nine.walk(root, 'file')], 'second');
    expect((await nine.stat(await nine.walk(root, 'second'))).links).toBe(2n);
  });

  it('changes attributes', async () => {
    const { nine, root } = await set();
    const file = await nine.create(root, 'file');
    await nine.write(file, 'some text');
    const { uid } = await nine.stat(file);
    const change = (
      fid: number,
      valid: number,
      values: { mode?: number; uid?: number; size?: number; mtime?: number },
    ) =>
      nine.call(
        26,
        ['u32', fid],
        ['u32', valid],
        ['u32', values.mode ?? 0],
        ['u32', values.uid ?? 0],
        ['u32', 0],
        ['u64', values.size ?? 0],
        ['u64', 0],
        ['u64', 0],
        ['u64', values.mtime ?? 0],
        ['u64', 0],
      );
    for (const fid of [file, await nine.walk(root, 'file')]) {
      await change(fid, 1, { mode: 0o106755 });
      expect((await nine.stat(fid)).mode, 'without set-ID bits').toBe(0o100755);
      await change(fid, 8, { size: 4 });
      await change(fid, 32 | 256, { mtime: 1_234_567_890 });
      expect(await nine.stat(fid)).toMatchObject({ size: 4n, mtime: 1_234_567_890n });
      await change(fid, 2, { uid });
      await expect(change(fid, 2, { uid: uid + 1 })).rejects.toThrow('EPERM');
    }
    expect(await nine.text(root, 'file')).toBe('some');
    await expect(change(root, 8, { size: 4 })).rejects.toThrow('EISDIR');
  });

  it('says how much room there is, and that locks are free', async () => {
    const { nine, root } = await set();
    const space = await nine.call(8, ['u32', root]);
    expect(space.getUint32(0, true)).toBe(0x01021997);
    expect(space.getBigUint64(8, true)).toBeGreaterThan(0n);
    const file = await nine.create(root, 'file');
    const lock = await nine.call(52, ['u32', file], ['u8', 1], ['u32', 1], ['u64', 0], ['u64', 10], ['u32', 7], 'me');
    expect(lock.getUint8(0)).toBe(0);
    const got = await nine.call(54, ['u32', file], ['u8', 1], ['u64', 5], ['u64', 10], ['u32', 7], 'me');
    expect([got.getUint8(0), got.getBigUint64(1, true)]).toEqual([2, 5n]);
  });

  it('refuses what it has not got, by name', async () => {
    const { nine, root } = await set();
    await expect(nine.call(30, ['u32', root], ['u32', nine.newFid()], 'user.x')).rejects.toThrow('EOPNOTSUPP');
    await expect(nine.call(102, ['u32', 99], 'u', '', ['u32', 0])).rejects.toThrow('EOPNOTSUPP');
    const device = nine.call(18, ['u32', root], 'null', ['u32', 0o020666], ['u32', 1], ['u32', 3], ['u32', 0]);
    await expect(device).rejects.toThrow('EPERM');
    await nine.call(18, ['u32', root], 'file', ['u32', 0o100644], ['u32', 0], ['u32', 0], ['u32', 0]);
    expect((await nine.stat(await nine.walk(root, 'file'))).mode).toBe(0o100644);
    for (const name of ['', '.', '..', 'a/b', 'a\0b']) {
      const made = nine.call(72, ['u32', root], name, ['u32', 0o755], ['u32', 0]);
      await expect(made, JSON.stringify(name)).rejects.toThrow('EINVAL');
    }
    await expect(nine.create(root, 'x'.repeat(256))).rejects.toThrow('ENAMETOOLONG');
    await expect(nine.call(122, ['u32', await nine.walk(root)])).rejects.toThrow('EBUSY');
  });

  it('goes no higher than the folder, and no deeper than its limit', async () => {
    const { nine, root } = await set();
    const { inode } = await nine.stat(root);
    expect((await nine.stat(await nine.walk(root, '..', '..', '..'))).inode).toBe(inode);
    let fid = root;
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      await nine.call(72, ['u32', fid], 'd', ['u32', 0o755], ['u32', 0]);
      fid = await nine.walk(fid, 'd');
    }
    await expect(nine.call(72, ['u32', fid], 'd', ['u32', 0o755], ['u32', 0])).rejects.toThrow('ENAMETOOLONG');
  });
});

it('a read-only share changes nothing', async () => {
  const backend = new MemoryShare({ readOnly: true });
  backend.put('/d/file', 'text');
  const { nine, root } = await client(backend);
  expect(await nine.text(root, 'd', 'file')).toBe('text');
  const file = await nine.walk(root, 'd', 'file');
  for (const flags of [WRONLY, RDWR, TRUNC]) await expect(nine.open(file, flags)).rejects.toThrow('EROFS');
  await expect(nine.create(root, 'x')).rejects.toThrow('EROFS');
  await expect(nine.call(72, ['u32', root], 'x', ['u32', 0o755], ['u32', 0])).rejects.toThrow('EROFS');
  await expect(nine.call(76, ['u32', root], 'd', ['u32', 0x200])).rejects.toThrow('EROFS');
  await expect(nine.call(74, ['u32', root], 'd', ['u32', root], 'e')).rejects.toThrow('EROFS');
  await expect(nine.call(16, ['u32', root], 'l', 'd', ['u32', 0])).rejects.toThrow('EROFS');
  await expect(nine.call(122, ['u32', await nine.walk(root, 'd')])).rejects.toThrow('EROFS');
  expect(Buffer.from(backend.get('/d/file')).toString()).toBe('text');
});

it('has limits', async () => {
  const { nine, root, server } = await client(new MemoryShare({ limitBytes: 100_000, limitFiles: 10 }));
  const file = await nine.create(root, 'big');
  await expect(nine.write(file, 'x', 2 ** 40)).rejects.toThrow('ENOSPC');
  await expect(nine.call(118, ['u32', file], ['u64', 2n ** 62n], ['u32', 1], Uint8Array.of(1))).rejects.toThrow(
    'EFBIG',
  );
  // What is unlinked and open still counts.
  for (let n = 0; n < 5; n++) {
    const each = await nine.create(root, 'each');
    await nine.call(76, ['u32', root], 'each', ['u32', 0]);
    if (n < 3) await nine.write(each, new Uint8Array(30_000));
    else await expect(nine.write(each, new Uint8Array(30_000))).rejects.toThrow('ENOSPC');
  }
  const opened = async () => {
    const fid = await nine.walk(root, 'big');
    await nine.open(fid);
  };
  while (server.inUse.files < MAX_OPEN_FILES) await opened();
  await expect(opened()).rejects.toThrow('EMFILE');
  while (server.inUse.fids < MAX_FIDS) await nine.walk(root);
  await expect(nine.walk(root)).rejects.toThrow('ENFILE');
  expect(server.inUse.names).toBeLessThan(20);
});

it('answers Tflush behind what it flushes, and keeps a file open for a transfer under way', async () => {
  let finish = () => {};
  let closed = false;
  const share = new MemoryShare();
  share.put('slow', 'text');
  const open = share.open.bind(share);
  share.open = async (path, options) => {
    const file = await open(path, options);
    return {
      ...file,
      read: (offset, target) =>
        new Promise((resolve) => {
          finish = () => resolve(closed ? -1 : file.read(offset, target));
        }),
      close: async () => {
        closed = true;
      },
    };
  };
  const { nine, root, server } = await client(share);
  const slow = await nine.walk(root, 'slow');
  await nine.open(slow);
  const order: string[] = [];
  const reading = server.handle(nineMessage(116, 500, ['u32', slow], ['u64', 0], ['u32', 10]), ROOM);
  void reading.then(() => order.push('read'));
  const flushing = server.handle(nineMessage(108, 501, ['u16', 500]), ROOM);
  void flushing.then(() => order.push('flush'));
  // Requests behind a slow one are served; the clunk does not close the file under it; the tag is taken.
  await nine.clunk(slow);
  expect((await nine.stat(root)).mode).toBe(0o040755);
  expect((await server.handle(nineMessage(24, 500, ['u32', root], ['u64', 0]), ROOM))[4]).toBe(7);
  expect([order, closed]).toEqual([[], false]);
  finish();
  expect((await reading)[4]).toBe(117);
  expect((await flushing)[4]).toBe(109);
  expect([order, closed]).toEqual([['read', 'flush'], true]);
  expect(server.inUse.files).toBe(0);
});
