// virtio-blk against a disk in memory: what requests do, what errors tell, what is configured.

import { describe, expect, it } from 'vitest';
import { COMMON, ManualEvents, VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import type { Piece } from '../../../../tests/support/virtio-driver.ts';
import type { BlockBackend, BlockOutcome } from '../../../backends/block-backend.ts';
import { MemoryBlock } from '../../../backends/memory/block.ts';
import { featureSet } from '../../core/features.ts';
import type { VirtioPciOptions } from '../../transport/virtio-pci.ts';
import { VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ, VIRTIO_BLK_F_RO } from './config.ts';
import { VirtioBlock, type VirtioBlockOptions } from './device.ts';

const DISK_BYTES = 2 ** 20;

/** A disk in memory that writes down what it is asked, and may be slow or broken. */
class TestDisk extends MemoryBlock {
  readonly log: string[] = [];
  broken: BlockOutcome;
  hold: Promise<void> | undefined;
  constructor(readOnly = false) {
    super({ sizeBytes: DISK_BYTES, readOnly, name: 'test disk' });
  }
  override async read(offset: number, target: Uint8Array) {
    await this.hold;
    this.log.push(`read ${offset}+${target.length}`);
    return this.broken ?? super.read(offset, target);
  }
  override async write(offset: number, source: Uint8Array) {
    await this.hold;
    this.log.push(`write ${offset}+${source.length}`);
    return this.broken ?? super.write(offset, source);
  }
  override async flush() {
    this.log.push('flush');
    return this.broken;
  }
  override async discard(offset?: number, lenBytes?: number) {
    this.log.push(`discard ${offset}+${lenBytes}`);
    return this.broken;
  }
}

/** One that does what it can at once; `later` while it is told to rest. */
class PromptDisk extends TestDisk {
  rest = false;
  private readonly content = new Uint8Array(DISK_BYTES);
  readNow(offset: number, target: Uint8Array): BlockOutcome | 'later' {
    if (this.rest) return 'later';
    this.log.push(`read ${offset}+${target.length} at once`);
    target.set(this.content.subarray(offset, offset + target.length));
    return this.broken;
  }
  writeNow(offset: number, source: Uint8Array): BlockOutcome | 'later' {
    if (this.rest) return 'later';
    this.log.push(`write ${offset}+${source.length} at once`);
    this.content.set(source, offset);
    return this.broken;
  }
}

function set(options: Partial<VirtioBlockOptions> = {}, transport: Omit<VirtioPciOptions, 'warn'> = {}) {
  const disk = (options.backend as TestDisk | undefined) ?? new TestDisk();
  const events = new ManualEvents();
  const warnings: string[] = [];
  const kind = new VirtioBlock({
    events,
    log: { warn: (message) => warnings.push(message) },
    ...options,
    backend: disk as BlockBackend,
  });
  return { disk, events, warnings, kind, bench: new VirtioBench(kind, transport, 2 ** 21) };
}

function header(type: number, sector: number | bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return bytes;
}

/** Sends one request and waits for it: its status and data. */
async function ask({ bench, events }: ReturnType<typeof set>, pieces: Piece[], queue = 0) {
  const driver = bench.drivers[queue];
  driver.add(pieces, pieces.length > 2);
  bench.notify(queue);
  await events.settle();
  const [{ bytes, writtenBytes }] = driver.takeUsed();
  return { status: bytes[bytes.length - 1], data: bytes.subarray(0, -1), writtenBytes };
}

const pattern = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);

describe.each(['split', 'packed'] as const)('virtio-blk over %s rings', (format) => {
  it('writes and reads back, cut in any pieces', async () => {
    const all = set();
    all.bench.start({ format });
    const data = pattern(1536);
    const written = await ask(all, [header(1, 3), data.subarray(0, 100), data.subarray(100), 1]);
    expect(written).toMatchObject({ status: 0, writtenBytes: 1 });
    // Header in two pieces, the status behind data in the last one: any framing will do (2.7.4).
    const head = header(0, 3);
    const read = await ask(all, [head.subarray(0, 5), head.subarray(5), 700, 837]);
    expect(read.status).toBe(0);
    expect([...read.data]).toEqual([...data]);
    expect(read.writtenBytes).toBe(1537);
    expect(all.disk.log).toEqual(['write 1536+1536', 'read 1536+1536']);
  });

  it('serves many requests at once on several queues, each one on its queue', async () => {
    const all = set({ queues: 3 });
    const { bench, events } = all;
    const drivers = bench.start({ format });
    expect((bench.offered() >> BigInt(VIRTIO_BLK_F_MQ)) & 1n).toBe(1n);
    expect(bench.config(34, 2)).toBe(3);
    drivers.forEach((driver, queue) => {
      for (let n = 0; n < 4; n++) driver.add([header(1, 100 * queue + n), pattern(512, 10 * queue + n), 1], true);
      bench.notify(queue);
    });
    await events.settle();
    for (const driver of drivers) expect(driver.takeUsed().map(({ bytes }) => bytes[0])).toEqual([0, 0, 0, 0]);
    for (let queue = 0; queue < 3; queue++) {
      const { data } = await ask(all, [header(0, 100 * queue + 2), 512, 1], 2 - queue);
      expect([...data]).toEqual([...pattern(512, 10 * queue + 2)]);
    }
  });

  it('has done at once what the host can, and says so at the next turn boundary', async () => {
    const disk = new PromptDisk();
    const all = set({ backend: disk });
    const { bench, events } = all;
    bench.start({ format });
    const data = pattern(1024);
    bench.drivers[0].add([header(1, 4), data, 1], true);
    bench.notify(0);
    expect(disk.log).toEqual(['write 2048+1024 at once']);
    expect(bench.drivers[0].takeUsed()).toEqual([]);
    await events.settle();
    expect(bench.drivers[0].takeUsed().map(({ bytes }) => bytes[0])).toEqual([0]);
    const read = await ask(all, [header(0, 5), 512, 1]);
    expect([...read.data]).toEqual([...data.subarray(512)]);
    // A buffer that is used again shows nothing of what it held.
    disk.broken = { kind: 'io-error', message: 'broken' };
    const failed = await ask(all, [header(0, 5), 512, 1]);
    expect(failed.status).toBe(1);
    expect(failed.data.every((byte) => byte === 0)).toBe(true);
    disk.broken = undefined;
    disk.rest = true;
    await ask(all, [header(0, 5), 512, 1]);
    expect(disk.log.at(-1)).toBe('read 2560+512');
  });

  it('does not answer after a reset what was done at once before it', async () => {
    const disk = new PromptDisk();
    const all = set({ backend: disk });
    const { bench, events } = all;
    bench.start({ format });
    bench.drivers[0].add([header(0, 0), 512, 1], true);
    bench.notify(0);
    bench.start({ format });
    await events.settle();
    expect(bench.drivers[0].takeUsed()).toEqual([]);
    expect((await ask(all, [header(0, 0), 512, 1])).status).toBe(0);
  });

  it('flushes before it answers a write without a cache, also where writes are done at once', async () => {
    const all = set({ backend: new PromptDisk() });
    const features = all.bench.offered() & ~featureSet(VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE);
    all.bench.start({ format, features });
    await ask(all, [header(1, 0), pattern(512), 1]);
    expect(all.disk.log).toEqual(['write 0+512', 'flush']);
  });

  it('returns requests in order if that was negotiated', async () => {
    const all = set({}, { rings: { inOrder: true } });
    const { bench, disk, events } = all;
    const [driver] = bench.start({ format });
    let release = () => {};
    disk.hold = new Promise((resolve) => {
      release = resolve;
    });
    driver.add([header(0, 0), 512, 1]);
    driver.add([header(8, 0), 20, 1]);
    bench.notify(0);
    // The identifier is there at once, but the read was first.
    expect(driver.takeUsed()).toEqual([]);
    release();
    await events.settle();
    expect(driver.takeUsed().map(({ bytes }) => bytes.length)).toEqual([513, 21]);
  });

  it('flushes, discards and writes zeroes', async () => {
    const all = set();
    all.bench.start({ format });
    const ranges = (...list: [number, number, number][]) => {
      const bytes = new Uint8Array(16 * list.length);
      const view = new DataView(bytes.buffer);
      list.forEach(([sector, count, flags], n) => {
        view.setBigUint64(16 * n, BigInt(sector), true);
        view.setUint32(16 * n + 8, count, true);
        view.setUint32(16 * n + 12, flags, true);
      });
      return bytes;
    };
    await ask(all, [header(1, 0), pattern(4096), 1]);
    expect((await ask(all, [header(4, 0), 1])).status).toBe(0);
    expect((await ask(all, [header(13, 0), ranges([1, 2, 1]), 1])).status).toBe(0);
    expect((await ask(all, [header(11, 0), ranges([4, 1, 0], [6, 2, 0]), 1])).status).toBe(0);
    const { data } = await ask(all, [header(0, 0), 4096, 1]);
    expect([...data]).toEqual([...pattern(512), ...new Uint8Array(1024), ...pattern(4096).subarray(1536)]);
    expect(all.disk.log.filter((line) => /flush|discard/.test(line))).toEqual([
      'flush',
      'discard 2048+512',
      'discard 3072+1024',
    ]);
    // Beyond the disk; unknown flag; unmap with discard; a torn list; too many.
    expect((await ask(all, [header(13, 0), ranges([2047, 2, 0]), 1])).status).toBe(1);
    expect((await ask(all, [header(13, 0), ranges([0, 1, 2]), 1])).status).toBe(2);
    expect((await ask(all, [header(11, 0), ranges([0, 1, 1]), 1])).status).toBe(2);
    expect((await ask(all, [header(11, 0), new Uint8Array(17), 1])).status).toBe(1);
    expect((await ask(all, [header(11, 0), new Uint8Array(33 * 16), 1])).status).toBe(1);
  });

  it('tells its serial number', async () => {
    const all = set({ serial: 'disk-0' });
    all.bench.start({ format });
    const { data, status } = await ask(all, [header(8, 0), 20, 1]);
    expect(status).toBe(0);
    expect(new TextDecoder().decode(data)).toBe(`disk-0${'\0'.repeat(14)}`);
  });

  it('refuses what lies outside, is torn or unknown', async () => {
    const all = set();
    all.bench.start({ format });
    const sectors = DISK_BYTES / 512;
    expect((await ask(all, [header(0, sectors - 1), 512, 1])).status).toBe(0);
    expect((await ask(all, [header(0, sectors), 512, 1])).status).toBe(1);
    expect((await ask(all, [header(0, sectors - 1), 1024, 1])).status).toBe(1);
    expect((await ask(all, [header(0, 2n ** 63n), 512, 1])).status).toBe(1);
    expect((await ask(all, [header(1, 2n ** 64n - 1n), pattern(512), 1])).status).toBe(1);
    expect((await ask(all, [header(0, 0), 511, 1])).status).toBe(1);
    expect((await ask(all, [header(77, 0), 512, 1])).status).toBe(2);
    expect(all.kind.counts).toMatchObject({ read: 1, write: 0, refused: 6 });
  });

  it('stops if there is no place for a status', () => {
    for (const pieces of [[header(0, 0)], [pattern(15), 1], [4]]) {
      const all = set();
      const [driver] = all.bench.start({ format });
      driver.add(pieces);
      all.bench.notify(0);
      expect(all.bench.pci.device.fault?.reason).toBe('request');
    }
  });
});

describe('virtio-blk', () => {
  it('says how large it is and how to talk to it', () => {
    const { bench } = set();
    expect([bench.config(0, 4), bench.config(4, 4)]).toEqual([2048, 0]);
    expect(bench.config(20, 4)).toBe(512);
    expect(bench.config(24, 1)).toBe(3);
    // What it accepts at most is what it says.
    expect(bench.config(8, 4) * bench.config(12, 4)).toBeLessThanOrEqual(32 * 2 ** 20);
  });

  it('gives I/O errors of the host to the guest and goes on', async () => {
    const all = set();
    all.bench.start();
    all.disk.broken = { kind: 'no-space', message: 'the host is full' };
    for (let n = 0; n < 20; n++) expect((await ask(all, [header(1, 0), pattern(512), 1])).status).toBe(1);
    expect((await ask(all, [header(4, 0), 1])).status).toBe(1);
    expect((await ask(all, [header(0, 0), 512, 1])).status).toBe(1);
    expect(all.warnings[0]).toContain('test disk: write failed, the guest gets an I/O error: the host is full');
    expect(all.warnings).toHaveLength(8);
    all.disk.broken = undefined;
    expect((await ask(all, [header(1, 0), pattern(512), 1])).status).toBe(0);
  });

  it('is read-only if its disk is', async () => {
    const all = set({ backend: new TestDisk(true) });
    all.bench.start();
    expect((all.bench.offered() >> BigInt(VIRTIO_BLK_F_RO)) & 1n).toBe(1n);
    expect((await ask(all, [header(1, 0), pattern(512), 1])).status).toBe(1);
    expect((await ask(all, [header(13, 0), new Uint8Array(16), 1])).status).toBe(2);
    expect((await ask(all, [header(0, 0), 512, 1])).status).toBe(0);
    expect(all.disk.log).toEqual(['read 0+512']);
  });

  it('makes each write safe where the driver cannot flush or has switched the cache off', async () => {
    const all = set();
    all.bench.start({ without: featureSet(VIRTIO_BLK_F_FLUSH) });
    await ask(all, [header(1, 0), pattern(512), 1]);
    expect(all.disk.log).toEqual(['write 0+512', 'flush']);

    const other = set();
    other.bench.start();
    expect(other.bench.config(32, 1)).toBe(1);
    await ask(other, [header(1, 0), pattern(512), 1]);
    expect(other.disk.log).toEqual(['write 0+512']);
    other.bench.pci.device.kind.config.store(32, 1, 0);
    await ask(other, [header(1, 0), pattern(512), 1]);
    expect(other.disk.log).toEqual(['write 0+512', 'write 0+512', 'flush']);
    // The choice is the driver's: a reset takes it back, and without the feature there is none.
    other.bench.start({ without: featureSet(VIRTIO_BLK_F_CONFIG_WCE) });
    other.bench.pci.device.kind.config.store(32, 1, 0);
    expect(other.bench.config(32, 1)).toBe(1);
  });

  it('does not answer what was asked before a reset, and serves nothing before that is over', async () => {
    const all = set();
    const { bench, disk, events } = all;
    const [before] = bench.start();
    let release = () => {};
    disk.hold = new Promise((resolve) => {
      release = resolve;
    });
    before.add([header(1, 0), pattern(512, 1), 1]);
    before.add([header(0, 8), 512, 1]);
    bench.notify(0);
    const memory = bench.memory.bytes.slice();
    bench.store(COMMON.status, 1, 0);
    const [after] = bench.start();
    after.add([header(1, 0), pattern(512, 2), 1]);
    bench.notify(0);
    release();
    await events.settle();
    expect(before.takeUsed()).toEqual([]);
    expect(memory.length).toBe(bench.memory.bytes.length);
    expect(after.takeUsed()).toMatchObject([{ writtenBytes: 1 }]);
    expect(disk.log).toEqual(['write 0+512', 'read 4096+512', 'write 0+512']);
    const { data } = await ask(all, [header(0, 0), 512, 1]);
    expect([...data]).toEqual([...pattern(512, 2)]);
  });

  it('touches no memory for a request that was under way when its way to memory is switched', async () => {
    const { bench, disk, events } = set();
    const [driver] = bench.start();
    let release = () => {};
    disk.hold = new Promise((resolve) => {
      release = resolve;
    });
    driver.add([header(0, 8), 512, 1]);
    bench.notify(0);
    const memory = bench.memory.bytes.slice();
    const interrupts = bench.interrupts.length;
    expect(bench.pci.switchDma('platform')).toEqual({ reason: 'dma-switch', queues: [0] });
    release();
    await events.settle();
    expect(disk.log).toEqual(['read 4096+512']);
    expect(Buffer.compare(bench.memory.bytes, memory)).toBe(0);
    expect(bench.interrupts.length).toBe(interrupts);
  });
});
