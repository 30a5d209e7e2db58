// Loss of power behind a write cache, simulated: any sectors written since the last flush may be missing. The image is
// sound all the same and has what was flushed; the worst that may remain are leaked clusters.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { decompressCluster } from '../../src/backends/node/image-file.ts';
import { createImage } from '../../src/backends/qcow2/create-image.ts';
import { Qcow2Image } from '../../src/backends/qcow2/qcow2-image.ts';
import { MemoryFile, PowerCutFile } from './memory-file.ts';
import { batches, perform, SectorModel } from './sector-model.ts';
import { qemuCheck, randomFrom, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const cuts = 100;
const sectors = 1600;

it.each([
  { clusterBits: 9, refcountOrder: 6 },
  { clusterBits: 9, refcountOrder: 4 },
  { clusterBits: 12, refcountOrder: 0 },
])('clusters of 2^$clusterBits bytes, refcounts of 2^$refcountOrder bits', async (geometry) => {
  let leaks = 0;
  let flushed = 0;
  for (let seed = 0; seed < cuts; seed++) {
    const file = new MemoryFile();
    await createImage(file, { sizeBytes: sectors * 512, ...geometry });
    const result = await runUntilCut(file.content(), seed);
    flushed += result.flushedId;
    const disk = await Qcow2Image.open(new MemoryFile(result.bytes), options);
    const content = new Uint8Array(disk.sizeBytes);
    await disk.read(0, content);
    expect(result.model.complaints(content, result.flushedId), `seed ${seed}`).toEqual([]);
    const check = await disk.check();
    expect(check.errors, `seed ${seed}`).toEqual([]);
    leaks += check.leaks;
    if (seed % 10 === 0) {
      const path = join(folder.path, 'cut.qcow2');
      writeFileSync(path, result.bytes);
      const verdict = qemuCheck(path);
      expect(verdict.corruptions, verdict.text).toBe(0);
      // qemu-img does not count clusters behind the end of the file.
      expect(verdict.leaks, verdict.text).toBeLessThanOrEqual(check.leaks);
    }
  }
  // The cuts hit something: work that was flushed, and work that was not.
  expect(flushed).toBeGreaterThan(cuts);
  expect(leaks).toBeGreaterThan(0);
});

const options = { name: 'image', readOnly: false, decompress: decompressCluster, cacheBytes: 1 };

async function runUntilCut(image: Uint8Array, seed: number) {
  const random = randomFrom(seed + 1000);
  const file = new PowerCutFile(image);
  const disk = await Qcow2Image.open(file, options);
  const model = new SectorModel(sectors);
  let flushedId = 0;
  let stopped = false;
  const work = (async () => {
    let flushing = Promise.resolve();
    for (const { operations, flush } of batches(seed, sectors)) {
      if (stopped) break;
      for (const operation of operations) model.record(operation);
      await Promise.all(operations.map((operation) => perform(disk, operation)));
      if (!flush) continue;
      // The next batch runs while this flush does.
      await flushing;
      const id = operations[operations.length - 1].id;
      flushing = disk.flush().then(() => {
        flushedId = id;
      });
    }
    await flushing;
  })();
  for (let turns = Math.floor(random() * 600); turns > 0; turns--) await new Promise((next) => setImmediate(next));
  const atCut = flushedId;
  const bytes = await file.cut(random);
  stopped = true;
  await work;
  return { bytes, model, flushedId: atCut };
}
