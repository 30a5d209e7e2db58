// Errors of the host's file: the guest is told, nothing that was flushed is lost, and the image stays sound.

import { describe, expect, it } from 'vitest';
import { decompressCluster } from '../../src/backends/node/image-file.ts';
import { createImage } from '../../src/backends/qcow2/create-image.ts';
import { ImageBackend } from '../../src/backends/qcow2/image-backend.ts';
import { longestChain, openImage } from '../../src/backends/qcow2/open-image.ts';
import type { ClusterDecompressor, FileStore } from '../../src/backends/qcow2/ports.ts';
import { Qcow2Image } from '../../src/backends/qcow2/qcow2-image.ts';
import { MemoryFile } from './memory-file.ts';
import { randomFrom } from './support.ts';

const options = { name: 'image', readOnly: false, decompress: decompressCluster, cacheBytes: 1 };
const clusterBytes = 512;

async function newDisk(): Promise<{ file: MemoryFile; disk: Qcow2Image }> {
  const file = new MemoryFile();
  await createImage(file, { sizeBytes: 1 << 20, clusterBits: 9 });
  return { file, disk: await Qcow2Image.open(file, options) };
}

function cluster(value: number): Uint8Array {
  return new Uint8Array(clusterBytes).fill(value);
}

describe('a full disk', () => {
  it('reaches the guest; what was flushed stays, and work goes on once there is room', async () => {
    const { file, disk } = await newDisk();
    const backend = new ImageBackend('image', disk);
    for (let index = 0; index < 100; index++)
      expect(await backend.write(index * clusterBytes, cluster(1))).toBeUndefined();
    expect(await backend.flush()).toBeUndefined();
    file.limitBytes = file.content().length + 10 * clusterBytes;
    const outcomes = [];
    for (let index = 100; index < 200; index++) outcomes.push(await backend.write(index * clusterBytes, cluster(2)));
    expect(outcomes.slice(0, 5)).toEqual(Array(5).fill(undefined));
    expect(outcomes.at(-1)).toEqual({ kind: 'no-space', message: 'no space left' });

    const after = await Qcow2Image.open(new MemoryFile(file.content()), options);
    const content = new Uint8Array(100 * clusterBytes);
    await after.read(0, content);
    expect(content.every((value) => value === 1)).toBe(true);
    expect((await after.check()).errors).toEqual([]);

    file.limitBytes = 1 << 28;
    for (let index = 100; index < 200; index++)
      expect(await backend.write(index * clusterBytes, cluster(2))).toBeUndefined();
    await backend.close();
    const again = await Qcow2Image.open(new MemoryFile(file.content()), options);
    expect(await again.check()).toEqual({ errors: [], leaks: 0 });
  });
});

describe('writes that fail now and then', () => {
  it('leave a sound image and no leaks, whichever write it is', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = randomFrom(seed);
      const { file, disk } = await newDisk();
      const model = new Uint8Array(1 << 20);
      const doubtful = new Set<number>();
      file.onWrite = () => {
        if (random() < 0.05) throw Object.assign(new Error('input/output error'), { code: 'EIO' });
      };
      for (let step = 0; step < 60; step++) {
        const first = Math.floor(random() * 2000);
        const count = 1 + Math.floor(random() * 40);
        const bytes = new Uint8Array(count * clusterBytes).fill(step + 1);
        // A failed write may have written a part.
        const failed = await disk.write(first * clusterBytes, bytes).then(
          () => false,
          () => true,
        );
        model.set(bytes, first * clusterBytes);
        for (let index = first; index < first + count; index++) {
          if (failed) doubtful.add(index);
          else doubtful.delete(index);
        }
        if (random() < 0.1) await disk.flush().catch(() => {});
      }
      file.onWrite = () => {};
      await disk.close();
      const after = await Qcow2Image.open(new MemoryFile(file.content()), options);
      expect(await after.check(), `seed ${seed}`).toEqual({ errors: [], leaks: 0 });
      const content = new Uint8Array(1 << 20);
      await after.read(0, content);
      for (let index = 0; index < 2048; index++) {
        if (doubtful.has(index)) continue;
        const at = index * clusterBytes;
        expect(content[at], `seed ${seed}, cluster ${index}`).toBe(model[at]);
      }
    }
  });
});

describe('a flush that fails', () => {
  it('is not forgotten: later flushes fail as well', async () => {
    const { file, disk } = await newDisk();
    await disk.write(0, cluster(1));
    file.onFlush = () => {
      throw Object.assign(new Error('input/output error'), { code: 'EIO' });
    };
    await expect(disk.flush()).rejects.toThrow('input/output error');
    file.onFlush = () => {};
    await expect(disk.flush()).rejects.toThrow(/earlier flush/);
    await expect(disk.close()).rejects.toThrow(/earlier flush/);
    expect(file.closed).toBe(true);
  });
});

describe('limits', () => {
  it('ends chains that are too long', async () => {
    const decompress: ClusterDecompressor = decompressCluster;
    const opened: MemoryFile[] = [];
    const store: FileStore = {
      resolve: async (name) => name,
      open: async (name) => {
        const file = new MemoryFile();
        const backingName = `x${Number(name.slice(1)) + 1}`;
        await createImage(file, { sizeBytes: 512, clusterBits: 9, backingName, backingFormat: 'qcow2' });
        opened.push(file);
        return file;
      },
    };
    await expect(openImage(store, 'x0', { format: 'qcow2', readOnly: true, decompress })).rejects.toThrow(
      `more than ${longestChain} backing files`,
    );
    expect(opened).toHaveLength(longestChain);
    expect(opened.every((file) => file.closed)).toBe(true);
  });

  it('refuses requests outside of the disk, and any after close', async () => {
    const { disk } = await newDisk();
    await expect(disk.read((1 << 20) - 100, cluster(0))).rejects.toThrow(/not inside the disk/);
    await expect(disk.write(-512, cluster(0))).rejects.toThrow(/not inside the disk/);
    await disk.close();
    await expect(disk.read(0, cluster(0))).rejects.toThrow(/closed/);
  });
});
