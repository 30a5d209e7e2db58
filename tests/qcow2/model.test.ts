// Random sequences of requests, also several at a time, against plain bytes in memory; the images then are clean and
// equal for qemu-img.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decompressCluster } from '../../src/backends/node/image-file.ts';
import { createImage, type NewImage } from '../../src/backends/qcow2/create-image.ts';
import type { DiskImage } from '../../src/backends/qcow2/ports.ts';
import { Qcow2Image } from '../../src/backends/qcow2/qcow2-image.ts';
import { RawImage } from '../../src/backends/qcow2/raw-image.ts';
import { MemoryFile } from './memory-file.ts';
import { qemuCheck, qemuImg, randomFrom, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

interface Setting {
  readonly name: string;
  readonly image: NewImage;
  /** Bytes of a raw backing file. */
  readonly below?: number;
  readonly requests: number;
  readonly longest: number;
}

const settings: readonly Setting[] = [
  { name: '512-byte clusters', image: { sizeBytes: 300 * 512, clusterBits: 9 }, requests: 1500, longest: 20000 },
  {
    name: '512-byte clusters, 64-bit refcounts, growing refcount table',
    image: { sizeBytes: 8 << 20, clusterBits: 9, refcountOrder: 6 },
    requests: 500,
    longest: 200_000,
  },
  {
    name: '4 KiB clusters, 1-bit refcounts',
    image: { sizeBytes: 1 << 20, clusterBits: 12, refcountOrder: 0 },
    requests: 800,
    longest: 50000,
  },
  {
    name: '64 KiB clusters over a base',
    image: { sizeBytes: (2 << 20) + 512, clusterBits: 16 },
    below: (1 << 20) + 1536,
    requests: 800,
    longest: 200_000,
  },
  {
    name: '2 MiB clusters',
    image: { sizeBytes: 9 << 20, clusterBits: 21 },
    below: 3 << 20,
    requests: 150,
    longest: 3 << 20,
  },
  {
    name: 'version 2 over a base',
    image: { sizeBytes: 1 << 20, clusterBits: 12, version: 2 },
    below: 1 << 19,
    requests: 800,
    longest: 30000,
  },
  { name: 'version 2', image: { sizeBytes: 1 << 20, clusterBits: 10, version: 2 }, requests: 800, longest: 30000 },
];

describe.each(settings)('$name', ({ name, image, below, requests, longest }) => {
  it.each([1, 8])('keeps what is written, %i requests at a time', async (atOnce) => {
    const random = randomFrom(name.length * 1000 + atOnce);
    const base = below === undefined ? undefined : randomBytes(below, random);
    const basePath = join(folder.path, `base-${below}.raw`);
    if (base !== undefined) writeFileSync(basePath, base);
    const file = new MemoryFile();
    await createImage(file, { ...image, ...(base && { backingName: basePath, backingFormat: 'raw' as const }) });
    const model = new Uint8Array(image.sizeBytes);
    if (base !== undefined) model.set(base.subarray(0, model.length));

    let disk = await openOver(file, base);
    for (let done = 0; done < requests; ) {
      const busy: [number, number][] = [];
      const running: Promise<void>[] = [];
      for (let step = 0; step < atOnce && done < requests; step++, done++) {
        const [start, end] = randomRange(image.sizeBytes, longest, random);
        // Requests that overlap in time have no order: only reads and writes of other bytes run together.
        if (busy.some(([from, to]) => start < to && from < end)) continue;
        busy.push([start, end]);
        running.push(request(disk, model, start, end, random));
      }
      if (random() < 0.1) running.push(disk.flush());
      await Promise.all(running);
      if (random() < 0.01) {
        await disk.close();
        disk = await openOver(file, base);
      }
    }
    const all = new Uint8Array(image.sizeBytes);
    await disk.read(0, all);
    expect(Buffer.compare(all, model)).toBe(0);
    await disk.close();

    const path = join(folder.path, 'image.qcow2');
    writeFileSync(path, file.content());
    const check = qemuCheck(path);
    expect(check.text).toContain('"check-errors": 0');
    expect([check.status, check.corruptions, check.leaks]).toEqual([0, 0, 0]);
    writeFileSync(join(folder.path, 'model.raw'), model);
    qemuImg('compare', '-f', 'qcow2', '-F', 'raw', path, join(folder.path, 'model.raw'));
  });
});

async function openOver(file: MemoryFile, base: Uint8Array | undefined): Promise<Qcow2Image> {
  const backing = base === undefined ? undefined : await RawImage.open(new MemoryFile(base), true);
  // A tiny cache, so that tables come and go.
  return Qcow2Image.open(file, {
    name: 'image',
    readOnly: false,
    decompress: decompressCluster,
    backing,
    cacheBytes: 1,
  });
}

async function request(disk: DiskImage, model: Uint8Array, start: number, end: number, random: () => number) {
  const kind = random();
  if (kind < 0.35) {
    const into = new Uint8Array(end - start).fill(0xee);
    const expected = model.slice(start, end);
    await disk.read(start, into);
    if (Buffer.compare(into, expected) !== 0) throw new Error(`${start} to ${end} reads wrong`);
  } else if (kind < 0.8) {
    const from = randomBytes(end - start, random);
    model.set(from, start);
    await disk.write(start, from);
  } else if (kind < 0.95) {
    model.fill(0, start, end);
    await disk.writeZeroes(start, end - start, random() < 0.5);
  } else {
    await disk.discard(start, end - start);
    // What a discarded range reads as is the image's choice, but must be the old bytes or zeros.
    const now = new Uint8Array(end - start);
    await disk.read(start, now);
    now.forEach((value, index) => {
      if (value !== 0 && value !== model[start + index]) throw new Error(`discarded byte ${start + index} is ${value}`);
    });
    model.set(now, start);
  }
}

function randomRange(sizeBytes: number, longest: number, random: () => number): [number, number] {
  const unit = random() < 0.7 ? 512 : 1;
  const start = Math.floor((random() * sizeBytes) / unit) * unit;
  const length = Math.max(1, Math.floor(random() ** 2 * longest));
  return [start, Math.min(sizeBytes, start + Math.ceil(length / unit) * unit)];
}

/** Text that differs every 64 bytes. */
function randomBytes(count: number, random: () => number): Uint8Array {
  const bytes = new Uint8Array(count);
  const seed = Math.floor(random() * 256);
  const step = 1 + Math.floor(random() * 250);
  for (let at = 0; at < count; at += 64) bytes.fill(seed + (at / 64) * step, at, Math.min(count, at + 64));
  return bytes;
}
