import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryBlock } from '../memory/block.ts';
import { RawDisk } from './raw-disk.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-disk-'));
  path = join(directory, 'disk.img');
  await writeFile(
    path,
    Uint8Array.from({ length: 3 * 2 ** 20 }, (_, n) => n >> 8),
  );
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe('a raw disk', () => {
  it('reads and writes the file in place', async () => {
    const disk = await RawDisk.open(path, false);
    expect(disk.sizeBytes).toBe(3 * 2 ** 20);
    expect(await disk.write(1024, new Uint8Array(512).fill(0xaa))).toBeUndefined();
    expect(await disk.writeZeroes(2048, 2 ** 20 + 512)).toBeUndefined();
    expect(await disk.flush()).toBeUndefined();
    const target = new Uint8Array(1024);
    expect(await disk.read(768, target)).toBeUndefined();
    expect([...target.subarray(0, 256)]).toEqual(new Array(256).fill(3));
    expect([...target.subarray(256, 768)]).toEqual(new Array(512).fill(0xaa));
    await disk.close();
    const file = await readFile(path);
    expect(file.length).toBe(3 * 2 ** 20);
    expect(file.subarray(2048, 2048 + 2 ** 20 + 512).every((byte) => byte === 0)).toBe(true);
    expect(file[2048 + 2 ** 20 + 512]).toBe(((2048 + 2 ** 20 + 512) >> 8) & 0xff);
  });

  it('does at once what the host can', async () => {
    const disk = await RawDisk.open(path, false);
    expect(disk.writeNow(1024, new Uint8Array(512).fill(0xaa))).toBeUndefined();
    const target = new Uint8Array(1024);
    expect(disk.readNow(768, target)).toBeUndefined();
    expect([...target.subarray(0, 256)]).toEqual(new Array(256).fill(3));
    expect([...target.subarray(256, 768)]).toEqual(new Array(512).fill(0xaa));
    expect((await readFile(path))[1024]).toBe(0xaa);
    // Too much to stand still for.
    expect(disk.writeNow(0, new Uint8Array(2 ** 21 + 512).fill(0xbb))).toBe('later');
    expect((await readFile(path))[0]).toBe(0);
    await truncate(path, 512);
    expect(disk.readNow(1024, target)).toMatchObject({ kind: 'io-error' });
    await disk.close();
    const readOnly = await RawDisk.open(path, true);
    expect(readOnly.writeNow(0, new Uint8Array(512))).toMatchObject({ kind: 'io-error' });
    await readOnly.close();
  });

  it('does nothing at once for a while where the medium is slow, and not because of one hitch', async () => {
    let ms = 0;
    let requestMs = 0;
    // Looked at before and after each request.
    const disk = await RawDisk.open(path, false, () => {
      ms += requestMs / 2;
      return ms;
    });
    const target = new Uint8Array(512);
    const attempts = (count: number) => Array.from({ length: count }, () => disk.readNow(0, target));
    requestMs = 40;
    expect(attempts(1)).toEqual([undefined]);
    requestMs = 0;
    expect(attempts(20)).not.toContain('later');
    requestMs = 40;
    expect(attempts(4).slice(0, 3)).toEqual([undefined, undefined, undefined]);
    expect(disk.readNow(0, target)).toBe('later');
    requestMs = 0;
    expect(disk.readNow(0, target)).toBe('later');
    ms += 1000;
    expect(attempts(20)).not.toContain('later');
    await disk.close();
  });

  it('turns failures of the host into results', async () => {
    const disk = await RawDisk.open(path, false);
    await truncate(path, 512);
    expect(await disk.read(1024, new Uint8Array(512))).toMatchObject({ kind: 'io-error' });
    await disk.close();
    const readOnly = await RawDisk.open(path, true);
    expect(await readOnly.write(0, new Uint8Array(512))).toMatchObject({ kind: 'io-error' });
    await readOnly.close();
  });

  it('gives back what is discarded, where the host can', async () => {
    const disk = await RawDisk.open(path, false);
    await disk.flush();
    const before = (await stat(path)).blocks;
    expect(await disk.discard(512, 2 ** 20)).toBeUndefined();
    expect(await disk.writeZeroes(2 ** 21 + 512, 2 ** 19, true)).toBeUndefined();
    await disk.flush();
    const file = await readFile(path);
    expect(file.subarray(2 ** 21 + 512, 2 ** 21 + 512 + 2 ** 19).every((byte) => byte === 0)).toBe(true);
    // Around them nothing has changed.
    for (const at of [256, 2 ** 20 + 512, 2 ** 21 + 256, 2 ** 21 + 512 + 2 ** 19]) {
      expect(file[at], `${at}`).toBe((at >> 8) & 0xff);
    }
    expect(file.length).toBe(3 * 2 ** 20);
    const gone = before - (await stat(path)).blocks;
    const able = spawnSync('fallocate', ['--punch-hole', '--offset', '0', '--length', '4096', path]).status === 0;
    expect(gone * 512).toBeGreaterThanOrEqual(able ? 1.4 * 2 ** 20 : 0);
    await disk.close();
  });

  it('has one writer, or readers', async () => {
    const disk = await RawDisk.open(path, false);
    await expect(RawDisk.open(path, false)).rejects.toThrow('is in use by another disk of this run');
    await expect(RawDisk.open(path, true)).rejects.toThrow('is in use by');
    const able = spawnSync('flock', ['-n', '-x', path, 'true']);
    if (!able.error) expect(able.status).toBe(1);
    await disk.close();
    const readers = await Promise.all([RawDisk.open(path, true), RawDisk.open(path, true)]);
    await expect(RawDisk.open(path, false)).rejects.toThrow('is in use by');
    for (const each of readers) await each.close();
    await (await RawDisk.open(path, false)).close();
  });

  it.skipIf(spawnSync('flock', ['--version']).error)('is refused while another program has it', async () => {
    const holder = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; read line'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(holder.stdout, 'data');
    await expect(RawDisk.open(path, false)).rejects.toThrow('is in use by another program');
    holder.stdin.end('\n');
    await once(holder, 'close');
    await (await RawDisk.open(path, false)).close();
  });

  const noQemu = process.platform !== 'linux' || spawnSync('qemu-io', ['--version']).error;
  it.skipIf(noQemu)('is refused while QEMU has it', async () => {
    const qemu = spawn('qemu-io', ['-f', 'raw', path], { stdio: ['pipe', 'pipe', 'ignore'] });
    // Its prompt: the image is open.
    await once(qemu.stdout, 'data');
    await expect(RawDisk.open(path, false)).rejects.toThrow('is in use by another program');
    await expect(RawDisk.open(path, true)).rejects.toThrow('is in use by another program');
    qemu.stdin.end('quit\n');
    await once(qemu, 'close');
    await (await RawDisk.open(path, false)).close();
  });

  it('is refused with a reason', async () => {
    await expect(RawDisk.open(join(directory, 'none'), false)).rejects.toThrow('there is no such file');
    await expect(RawDisk.open(directory, true)).rejects.toThrow('not a regular file');
    await writeFile(path, 'short');
    await expect(RawDisk.open(path, false)).rejects.toThrow('no multiple of 512');
    await writeFile(path, '');
    await expect(RawDisk.open(path, false)).rejects.toThrow('is empty');
  });
});

describe('a snapshot', () => {
  it('shows the disk below, keeps writes to itself and leaves the file alone', async () => {
    const before = await readFile(path);
    const base = await RawDisk.open(path, true);
    const disk = new MemoryBlock({ sizeBytes: base.sizeBytes, limitBytes: 3 * 65536 }, base);
    const at = 65536 - 512;
    expect(await disk.write(at, new Uint8Array(1024).fill(7))).toBeUndefined();
    const target = new Uint8Array(4096);
    await disk.read(at - 512, target);
    const expected = Uint8Array.from(before.subarray(at - 512, at - 512 + 4096));
    expected.fill(7, 512, 512 + 1024);
    expect(target).toEqual(expected);
    // A third chunk fits, a fourth does not.
    expect(await disk.write(2 ** 20, new Uint8Array(512))).toBeUndefined();
    expect(await disk.write(2 ** 21, new Uint8Array(512))).toMatchObject({ kind: 'no-space' });
    expect(await disk.write(at, new Uint8Array(512).fill(8))).toBeUndefined();
    await disk.close();
    expect(before.equals(await readFile(path))).toBe(true);
  });

  it('takes two writes to one chunk at the same time', async () => {
    const base = await RawDisk.open(path, true);
    const disk = new MemoryBlock({ sizeBytes: base.sizeBytes }, base);
    await Promise.all([disk.write(0, new Uint8Array(512).fill(1)), disk.write(512, new Uint8Array(512).fill(2))]);
    const target = new Uint8Array(1024);
    await disk.read(0, target);
    expect([...target]).toEqual([...new Array(512).fill(1), ...new Array(512).fill(2)]);
    await disk.close();
  });
});
