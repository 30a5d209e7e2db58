// Damaged images: every outcome is an ImageError or bytes, soon, with bounded memory, whatever the header and the
// tables say.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decompressCluster } from '../../src/backends/node/image-file.ts';
import { createImage } from '../../src/backends/qcow2/create-image.ts';
import { parseHeader } from '../../src/backends/qcow2/header.ts';
import { ImageError } from '../../src/backends/qcow2/image-error.ts';
import { Qcow2Image } from '../../src/backends/qcow2/qcow2-image.ts';
import { MemoryFile } from './memory-file.ts';
import { qemuImg, randomFrom } from './support.ts';

const headers = 100_000;
const images = 20_000;
/** No request here needs more of the file than this; a wild offset must not make it grow. */
const mostFileBytes = 4 << 20;

const interesting = [0, 1, 2, 3, 7, 8, 9, 21, 22, 63, 64, 0x7f, 0x80, 0xff];

/** Changes a few bytes, mostly where the numbers of header and tables are. */
function mutate(bytes: Uint8Array, random: () => number, places: readonly number[]): void {
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
    const place = places[Math.floor(random() * places.length)];
    const at = Math.min(bytes.length - 1, place + Math.floor(random() * 16));
    const choice = random();
    if (choice < 0.5) bytes[at] ^= 1 << Math.floor(random() * 8);
    else if (choice < 0.8) bytes[at] = interesting[Math.floor(random() * interesting.length)];
    else bytes[at] = random() * 256;
  }
}

async function sample(clusterBits: number): Promise<Uint8Array> {
  const file = new MemoryFile();
  await createImage(file, { sizeBytes: 64 << 10, clusterBits, backingName: 'base', backingFormat: 'raw' });
  const disk = await Qcow2Image.open(file, { name: 'image', readOnly: false, decompress: decompressCluster });
  await disk.write(0, new Uint8Array(3000).fill(1));
  await disk.write(40_000, new Uint8Array(5000).fill(2));
  await disk.writeZeroes(41_000, 2000, true);
  await disk.close();
  return file.content();
}

function compressedSample(compression: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-fuzz-'));
  try {
    const raw = join(folder, 'raw');
    const image = join(folder, 'image');
    writeFileSync(raw, Buffer.alloc(64 << 10, 'some text '));
    const options = `cluster_size=512,compression_type=${compression}`;
    qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', options, raw, image);
    return readFileSync(image);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function expectImageError(error: unknown): void {
  if (!(error instanceof ImageError)) throw error;
}

it(`${headers} damaged headers`, async () => {
  const random = randomFrom(1);
  const clean = (await sample(9)).subarray(0, 512);
  let refused = 0;
  for (let count = 0; count < headers; count++) {
    const bytes = clean.slice(0, random() < 0.1 ? Math.floor(random() * 512) : 512);
    if (bytes.length > 0) mutate(bytes, random, [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120]);
    try {
      const header = parseHeader(bytes, 1 << 20, 'image');
      expect(header.l1Entries * 8).toBeLessThanOrEqual(32 << 20);
      expect(header.refcountTableClusters * header.clusterBytes).toBeLessThanOrEqual(8 << 20);
    } catch (error) {
      expectImageError(error);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(headers / 10);
  expect(refused).toBeLessThan(headers);
});

it(`${images} damaged images, used`, async () => {
  const random = randomFrom(2);
  const samples = [await sample(9), await sample(10), compressedSample('zlib'), compressedSample('zstd')];
  for (const bytes of samples) {
    const disk = await Qcow2Image.open(new MemoryFile(bytes), {
      name: 'image',
      readOnly: true,
      decompress: decompressCluster,
    });
    await disk.read(0, new Uint8Array(64 << 10));
  }
  const outcomes = { refused: 0, failed: 0, fine: 0 };
  for (let count = 0; count < images; count++) {
    const bytes = samples[count % samples.length].slice();
    mutate(bytes, random, [24, 40, 48, 72, 96, ...clusterStarts(bytes.length), ...clusterStarts(bytes.length)]);
    const file = new MemoryFile(bytes);
    file.limitBytes = mostFileBytes;
    let disk: Qcow2Image;
    try {
      disk = await Qcow2Image.open(file, { name: 'image', readOnly: count % 5 === 0, decompress: decompressCluster });
    } catch (error) {
      expectImageError(error);
      outcomes.refused++;
      continue;
    }
    let failures = 0;
    const attempt = (work: Promise<unknown>) =>
      work.catch((error) => {
        failures++;
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) expectImageError(error);
      });
    // The disk may claim to be huge now.
    const end = Math.min(disk.sizeBytes, 64 << 10);
    await attempt(disk.read(0, new Uint8Array(end)));
    if (!disk.readOnly && end >= 45_000) {
      await attempt(disk.write(1000, new Uint8Array(4000).fill(3)));
      await Promise.all([
        attempt(disk.write(40_100, new Uint8Array(900).fill(4))),
        attempt(disk.writeZeroes(10_000, 20_000, true)),
        attempt(disk.discard(0, 2048)),
      ]);
      await attempt(disk.flush());
      await attempt(disk.write(30_000, new Uint8Array(512).fill(5)));
    }
    await attempt(disk.close());
    if (failures > 0) outcomes.failed++;
    else outcomes.fine++;
  }
  process.stdout.write(`damaged images: ${JSON.stringify(outcomes)}\n`);
  expect(Math.min(outcomes.refused, outcomes.failed, outcomes.fine)).toBeGreaterThan(images / 100);
});

function clusterStarts(length: number): number[] {
  return Array.from({ length: Math.min(16, Math.floor(length / 512)) }, (_, index) => index * 512);
}
