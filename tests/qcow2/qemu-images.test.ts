// Images made by qemu-img, read and changed here, and looked at by qemu-img again.

import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decompressCluster, nodeFileStore, openDiskImage } from '../../src/backends/node/image-file.ts';
import { openImage } from '../../src/backends/qcow2/open-image.ts';
import type { DiskImage } from '../../src/backends/qcow2/ports.ts';
import { qemuCheck, qemuImg, randomFrom, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (name: string) => join(folder.path, name);

const diskBytes = (6 << 20) + 512 * 7;
const content = makeContent(1);
writeFileSync(at('content.raw'), content);

/** Some text that can be compressed, some that cannot, and holes. */
function makeContent(seed: number): Buffer {
  const random = randomFrom(seed);
  const bytes = Buffer.alloc(diskBytes);
  for (let start = 0; start < diskBytes; start += 1 << 15) {
    const kind = random();
    const end = Math.min(diskBytes, start + (1 << 15));
    if (kind < 0.4) bytes.fill(`line ${start} of some text\n`, start, end);
    else if (kind < 0.6) for (let index = start; index < end; index++) bytes[index] = random() * 256;
  }
  return bytes;
}

function open(name: string, readOnly = false): Promise<DiskImage> {
  return openImage(nodeFileStore, at(name), { format: 'qcow2', readOnly, decompress: decompressCluster });
}

async function readAll(disk: DiskImage): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.sizeBytes, 0xee);
  // Pieces of odd lengths that straddle clusters.
  for (let start = 0; start < bytes.length; start += 700_001) {
    await disk.read(start, bytes.subarray(start, Math.min(bytes.length, start + 700_001)));
  }
  return bytes;
}

/** Writes here and there; returns what the disk holds then. */
async function change(disk: DiskImage, before: Buffer, seed: number): Promise<Buffer> {
  const random = randomFrom(seed);
  const model = Buffer.from(before);
  for (let step = 0; step < 60; step++) {
    const start = Math.floor((random() * disk.sizeBytes) / 512) * 512;
    const end = Math.min(disk.sizeBytes, start + 512 * (1 + Math.floor(random() ** 3 * 600)));
    if (random() < 0.75) {
      model.fill(1 + Math.floor(random() * 255), start, end);
      await disk.write(start, model.subarray(start, end));
    } else {
      model.fill(0, start, end);
      await disk.writeZeroes(start, end - start, random() < 0.5);
    }
    if (step % 20 === 19) await disk.flush();
  }
  return model;
}

function expectClean(name: string): void {
  const check = qemuCheck(at(name));
  expect([check.status, check.corruptions, check.leaks], check.text).toEqual([0, 0, 0]);
}

function expectEqual(name: string, model: Buffer): void {
  writeFileSync(at('model.raw'), model);
  qemuImg('compare', '-f', 'qcow2', '-F', 'raw', at(name), at('model.raw'));
}

const optionSets = [
  'cluster_size=512',
  'cluster_size=4k,refcount_bits=1',
  'cluster_size=64k',
  'cluster_size=64k,compat=0.10',
  'cluster_size=64k,lazy_refcounts=on,refcount_bits=64',
  'cluster_size=2M,refcount_bits=2',
  'preallocation=metadata',
  'preallocation=falloc,cluster_size=16k',
  'preallocation=full,cluster_size=128k',
];

describe('images of qemu-img convert', () => {
  it.each(optionSets)('%s', async (options) => {
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', options, at('content.raw'), at('image.qcow2'));
    const disk = await open('image.qcow2');
    expect((await readAll(disk)).equals(content)).toBe(true);
    const model = await change(disk, content, 2);
    expect((await readAll(disk)).equals(model)).toBe(true);
    await disk.close();
    expectClean('image.qcow2');
    expectEqual('image.qcow2', model);
  });

  it.each([
    'compression_type=zlib',
    'cluster_size=4k,compat=0.10',
    'compression_type=zlib,cluster_size=2M',
    'compression_type=zstd',
    'compression_type=zstd,cluster_size=512',
    'compression_type=zstd,cluster_size=2M',
  ])('compressed, %s', async (options) => {
    qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', options, at('content.raw'), at('image.qcow2'));
    expect(qemuCheck(at('image.qcow2')).text).toMatch(/"compressed-clusters": [1-9]/);
    const disk = await open('image.qcow2');
    expect((await readAll(disk)).equals(content)).toBe(true);
    const model = await change(disk, content, 3);
    await disk.close();
    expectClean('image.qcow2');
    expectEqual('image.qcow2', model);
  });
});

describe('backing files', () => {
  it('reads and writes the top of a chain of qcow2 over qcow2 over raw by relative names', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'content.raw', '-F', 'raw', at('middle.qcow2'));
    const middle = await open('middle.qcow2');
    const middleModel = await change(middle, content, 4);
    await middle.close();
    const more = diskBytes + (1 << 20);
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'middle.qcow2', '-F', 'qcow2', at('top.qcow2'), String(more));
    const middleBytes = readFileSync(at('middle.qcow2'));
    const top = await open('top.qcow2');
    const below = Buffer.concat([middleModel, Buffer.alloc(1 << 20)]);
    expect((await readAll(top)).equals(below)).toBe(true);
    const model = await change(top, below, 5);
    await top.close();
    expectClean('top.qcow2');
    expectEqual('top.qcow2', model);
    expect(readFileSync(at('middle.qcow2')).equals(middleBytes)).toBe(true);
  });

  it('finds a circle, a format it does not know, a protocol, and a chain nobody vouches for', async () => {
    for (const name of ['a.qcow2', 'b.qcow2']) qemuImg('create', '-q', '-f', 'qcow2', at(name), '1M');
    qemuImg('rebase', '-u', '-F', 'qcow2', '-b', 'b.qcow2', at('a.qcow2'));
    qemuImg('rebase', '-u', '-F', 'qcow2', '-b', 'a.qcow2', at('b.qcow2'));
    await expect(open('a.qcow2', true)).rejects.toThrow(/circle: .*a\.qcow2 -> .*b\.qcow2 -> .*a\.qcow2/);
    qemuImg('rebase', '-u', '-F', 'vmdk', '-b', 'a.qcow2', at('b.qcow2'));
    await expect(open('b.qcow2')).rejects.toThrow(/b\.qcow2 has a backing file of the format vmdk/);
    qemuImg('rebase', '-u', '-F', 'raw', '-b', 'nbd://localhost/x', at('b.qcow2'));
    await expect(open('b.qcow2')).rejects.toThrow(/by nbd:/);
    // Version 2 images can be without a stated format.
    const image = readFileSync(at('a.qcow2'));
    const extension = image.indexOf(Buffer.from([0xe2, 0x79, 0x2a, 0xca]));
    image.writeUInt32BE(0x12345678, extension);
    writeFileSync(at('c.qcow2'), image);
    await expect(open('c.qcow2')).rejects.toThrow(/does not say which format/);
    await expect(open('none.qcow2')).rejects.toThrow(/there is no such file/);
  });

  it('leaves the base untouched with a snapshot overlay', async () => {
    copyFileSync(at('content.raw'), at('base.raw'));
    const disk = await openDiskImage(at('base.raw'), { format: 'raw', readOnly: false, snapshot: true });
    const sector = new Uint8Array(512).fill(7);
    expect(await disk.write(512, sector)).toBeUndefined();
    expect(await disk.flush()).toBeUndefined();
    const back = new Uint8Array(1536);
    expect(await disk.read(0, back)).toBeUndefined();
    expect(Buffer.from(back)).toEqual(Buffer.concat([content.subarray(0, 512), sector, content.subarray(1024, 1536)]));
    await disk.close();
    expect(readFileSync(at('base.raw')).equals(content)).toBe(true);
  });
});

describe('what an image may have besides', () => {
  it('keeps internal snapshots as they are', async () => {
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', at('content.raw'), at('snap.qcow2'));
    qemuImg('snapshot', '-c', 'before', at('snap.qcow2'));
    const disk = await open('snap.qcow2');
    const model = await change(disk, content, 6);
    await disk.close();
    expectClean('snap.qcow2');
    expectEqual('snap.qcow2', model);
    qemuImg('snapshot', '-a', 'before', at('snap.qcow2'));
    expectEqual('snap.qcow2', content);
  });

  it('repairs an image that was written with lazy refcounts and not closed', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on', at('lazy.qcow2'), '8M');
    try {
      execFileSync(
        'qemu-io',
        ['-f', 'qcow2', '-c', 'write -P 5 0 3M', '-c', 'flush', '-c', 'sigraise 9', at('lazy.qcow2')],
        {
          stdio: 'ignore',
        },
      );
    } catch {
      // It killed itself.
    }
    expect(readFileSync(at('lazy.qcow2'))[79] & 1, 'dirty bit').toBe(1);
    const model = Buffer.alloc(8 << 20);
    model.fill(5, 0, 3 << 20);
    const disk = await open('lazy.qcow2');
    expect((await readAll(disk)).equals(model)).toBe(true);
    model.fill(9, 5 << 20, 6 << 20);
    await disk.write(5 << 20, model.subarray(5 << 20, 6 << 20));
    await disk.close();
    expect(readFileSync(at('lazy.qcow2'))[79] & 1, 'dirty bit').toBe(0);
    expectClean('lazy.qcow2');
    expectEqual('lazy.qcow2', model);
  });

  it('switches off bitmaps, which it does not keep up to date', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', at('bitmap.qcow2'), '1M');
    qemuImg('bitmap', '--add', at('bitmap.qcow2'), 'map');
    expect(readFileSync(at('bitmap.qcow2'))[95]).toBe(1);
    const disk = await open('bitmap.qcow2');
    await disk.write(0, new Uint8Array(512));
    await disk.close();
    expect(readFileSync(at('bitmap.qcow2'))[95]).toBe(0);
    expect(qemuCheck(at('bitmap.qcow2')).corruptions).toBe(0);
  });

  it('refuses by name what is not supported', async () => {
    const make = (options: string, ...more: string[]) =>
      qemuImg('create', '-q', '-f', 'qcow2', ...more, '-o', options, at('no.qcow2'), '1M');
    make('extended_l2=on');
    await expect(open('no.qcow2')).rejects.toThrow(/no\.qcow2: extended L2 entries \(subclusters\) are not supported/);
    make(`data_file=${at('data')}`);
    await expect(open('no.qcow2')).rejects.toThrow(/external data file/);
    make('encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10', '--object', 'secret,id=key,data=x');
    await expect(open('no.qcow2')).rejects.toThrow(/encrypted images are not supported \(LUKS\)/);
    make('cluster_size=64k');
    const image = readFileSync(at('no.qcow2'));
    image[79] = 2;
    writeFileSync(at('no.qcow2'), image);
    await expect(open('no.qcow2')).rejects.toThrow(/marked as damaged/);
    await (await open('no.qcow2', true)).close();
    image[79] = 0x20;
    writeFileSync(at('no.qcow2'), image);
    await expect(open('no.qcow2')).rejects.toThrow(/needs incompatible feature 5/);
  });
});
