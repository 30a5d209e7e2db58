// Drivers that break the rules: each rule by itself, then rings of generated rubbish. Whatever is in memory, a queue gives
// bounded chains or a typed fault, throws nothing, and keeps to the memory it was given.

import { describe, expect, it } from 'vitest';
import { randomWords } from '../../../tests/support/random.ts';
import { PackedDriver, type QueueFormat, queueDriver, SplitDriver } from '../../../tests/support/virtio-driver.ts';
import { TestMemory } from '../../../tests/support/virtio-memory.ts';
import { makeRubbish } from '../../../tests/support/virtio-rubbish.ts';
import { type DriverFault, driverFaultText } from './fault.ts';
import { PackedQueue } from './packed-queue.ts';
import type { QueueHost, QueueLayout, Virtqueue } from './queue.ts';
import { SplitQueue } from './split-queue.ts';

const formats: readonly QueueFormat[] = ['split', 'packed'];

class Host implements QueueHost {
  readonly name = 'test device';
  readonly memory: TestMemory;
  fault: DriverFault | undefined;
  interrupts = 0;
  constructor(memory: TestMemory) {
    this.memory = memory;
  }
  get dma() {
    return this.memory.dma;
  }
  get running(): boolean {
    return this.fault === undefined;
  }
  failed(fault: DriverFault): void {
    this.fault ??= fault;
  }
  interrupt(): void {
    this.interrupts++;
  }
}

function queueOf(format: QueueFormat, layout: QueueLayout, host: Host, indirect = true, eventIdx = false): Virtqueue {
  const features = { packed: format === 'packed', indirect, eventIdx, inOrder: false };
  return format === 'packed' ? new PackedQueue(layout, features, host) : new SplitQueue(layout, features, host);
}

describe('split queue with one rule broken', () => {
  const spoil = (change: (data: DataView, table: number, available: number) => void, indirect = true) => {
    const memory = new TestMemory();
    const driver = new SplitDriver(memory);
    driver.add([Uint8Array.of(1), 1]);
    const { descriptorArea, driverArea } = driver.layout;
    change(memory.data, descriptorArea, driverArea);
    const host = new Host(memory);
    const queue = queueOf('split', driver.layout, host, indirect);
    expect(queue.take()).toBeUndefined();
    expect(queue.take()).toBeUndefined();
    return host.fault;
  };

  it.each<[string, DriverFault['reason'], (data: DataView, table: number, available: number) => void]>([
    ['an index too far ahead', 'available-index', (data, _, available) => data.setUint16(available + 2, 9, true)],
    ['an index that went back', 'available-index', (data, _, available) => data.setUint16(available + 2, 65535, true)],
    ['a head that does not exist', 'descriptor-index', (data, _, available) => data.setUint16(available + 4, 8, true)],
    ['a next that does not exist', 'descriptor-index', (data, table) => data.setUint16(table + 14, 8, true)],
    ['a loop', 'chain-length', (data, table) => data.setUint16(table + 14, 0, true)],
    [
      'four gigabytes',
      'chain-bytes',
      (data, table) => {
        data.setUint32(table + 8, 0xffff_ffff, true);
      },
    ],
    [
      'reading behind writing',
      'read-after-write',
      (data, table) => {
        data.setUint16(table + 12, 3, true);
        data.setUint16(table + 16 + 12, 0, true);
      },
    ],
    ['an empty indirect table', 'indirect', (data, table) => indirectAt(data, table, 0x2000, 0)],
    ['a crooked indirect table', 'indirect', (data, table) => indirectAt(data, table, 0x2000, 17)],
    ['a huge indirect table', 'indirect', (data, table) => indirectAt(data, table, 0x2000, 0xffff_fff0)],
    ['an indirect table outside of memory', 'dma', (data, table) => indirectAt(data, table, 2 ** 40, 16)],
    ['an indirect table nowhere', 'dma', (data, table) => data.setUint32(table + 4, 0xffff_ffff, true)],
    [
      'a table in a table',
      'indirect',
      (data, table) => {
        indirectAt(data, table, 0x2000, 32);
        data.setUint16(0x2000 + 12, 4, true);
      },
    ],
    [
      'a loop in a table',
      'chain-length',
      (data, table) => {
        indirectAt(data, table, 0x2000, 32);
        data.setUint16(0x2000 + 12, 1, true);
      },
    ],
    [
      'a way out of a table',
      'descriptor-index',
      (data, table) => {
        indirectAt(data, table, 0x2000, 32);
        data.setUint16(0x2000 + 12, 1, true);
        data.setUint16(0x2000 + 14, 2, true);
      },
    ],
  ])('%s', (title, reason, change) => {
    // A descriptor without an address is no fault before it is used, unless it is a table.
    const withTable: typeof change = (data, table, available) => {
      if (title === 'an indirect table nowhere') indirectAt(data, table, 0, 16);
      change(data, table, available);
    };
    const fault = spoil(withTable);
    expect(fault?.reason).toBe(reason);
    expect(driverFaultText(fault!)).toMatch(/^queue 0/);
  });

  it('indirect descriptors that were not negotiated', () => {
    expect(spoil((data, table) => indirectAt(data, table, 0x2000, 16), false)?.reason).toBe('indirect');
  });

  it('a buffer that the device has already', () => {
    const memory = new TestMemory();
    const driver = new SplitDriver(memory);
    driver.add([1]);
    const host = new Host(memory);
    const queue = queueOf('split', driver.layout, host);
    expect(queue.take()).toBeDefined();
    memory.data.setUint16(driver.layout.driverArea + 2, 2, true);
    expect(queue.take()).toBeUndefined();
    expect(host.fault).toMatchObject({ reason: 'in-flight', queue: 0, descriptor: 0 });
  });
});

describe('packed queue with one rule broken', () => {
  it('more descriptors in flight than there are', () => {
    const memory = new TestMemory();
    const driver = new PackedDriver(memory, { size: 4 });
    const host = new Host(memory);
    const queue = queueOf('packed', driver.layout, host);
    for (let n = 0; n < 4; n++) driver.add([1]);
    for (let n = 0; n < 4; n++) expect(queue.take()).toBeDefined();
    // The first entry again, as on the next lap.
    memory.data.setUint16(driver.layout.descriptorArea + 14, 0x8000, true);
    expect(queue.take()).toBeUndefined();
    expect(host.fault?.reason).toBe('available-index');
  });

  it('a chain without an end', () => {
    const memory = new TestMemory();
    const driver = new PackedDriver(memory, { size: 4 });
    const host = new Host(memory);
    const queue = queueOf('packed', driver.layout, host);
    for (let n = 0; n < 4; n++) memory.data.setUint16(driver.layout.descriptorArea + 16 * n + 14, 0x81, true);
    expect(queue.take()).toBeUndefined();
    expect(host.fault?.reason).toBe('available-index');
  });
});

describe.each(formats)('%s queue', (format) => {
  it.each(['descriptorArea', 'driverArea', 'deviceArea'] as const)('without memory behind its %s', (area) => {
    for (const address of [2 ** 30, Number.NaN, 2 ** 20 - 2, -(2 ** 52)]) {
      const memory = new TestMemory();
      const driver = queueDriver(format, memory);
      driver.add([1]);
      const host = new Host(memory);
      const queue = queueOf(format, { ...driver.layout, [area]: address }, host, true, true);
      for (let chain = queue.take(); chain; chain = queue.take()) queue.complete(chain);
      queue.signal();
      expect(host.fault?.reason).toBe('dma');
    }
  });

  it('survives 120,000 rings of rubbish', () => {
    const seed = 20_251_122;
    const word = randomWords(seed);
    const memory = new TestMemory(2 ** 16);
    const { data } = memory;
    const reasons = new Map<string, number>();
    let chains = 0;
    let transferred = 0;
    const started = performance.now();
    for (let round = 0; round < 120_000; round++) {
      const size = format === 'packed' ? 1 + (word() % 16) : 2 ** (word() % 5);
      const layout = makeRubbish(word, data, format, { size });
      const host = new Host(memory);
      const queue = queueOf(format, layout, host, word() % 8 !== 0, word() % 2 === 0);
      for (let n = 0; n < 3 * size; n++) {
        const chain = queue.take();
        if (!chain) break;
        chains++;
        if (chain.readableBytes + chain.writableBytes >= 2 ** 32) throw new Error(`round ${round}: too many bytes`);
        const lenBytes = Math.min(64, chain.readableBytes);
        if (chain.readBytes(chain.readableBytes - lenBytes, lenBytes)) transferred += lenBytes;
        if (chain.write(0, new Uint8Array(Math.min(64, chain.writableBytes)))) transferred++;
        if (word() % 4 !== 0) queue.complete(chain, Math.min(64, chain.writableBytes));
        if (word() % 4 === 0) queue.signal();
      }
      const reason = host.fault?.reason ?? 'none';
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    const seconds = (performance.now() - started) / 1000;
    // The rubbish is good enough to reach every check, and bad enough for each to be needed.
    const wanted =
      format === 'split'
        ? ['available-index', 'descriptor-index', 'chain-length', 'in-flight', 'read-after-write', 'indirect', 'dma']
        : ['available-index', 'read-after-write', 'indirect', 'dma'];
    for (const reason of [...wanted, 'chain-bytes', 'none']) {
      expect(reasons.get(reason) ?? 0, `${reason} of ${JSON.stringify([...reasons])}`).toBeGreaterThan(50);
    }
    expect(chains).toBeGreaterThan(50_000);
    expect(transferred).toBeGreaterThan(100_000);
    expect(seconds).toBeLessThan(60);
  });
});

function indirectAt(data: DataView, at: number, address: number, lenBytes: number): void {
  data.setBigUint64(at, BigInt(address), true);
  data.setUint32(at + 8, lenBytes, true);
  data.setUint16(at + 12, 4, true);
}
