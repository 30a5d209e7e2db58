import { describe, expect, it } from 'vitest';
import { VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import { featureSet } from '../../core/features.ts';
import { VIRTIO_BALLOON_F_STATS_VQ } from './config.ts';
import { VirtioBalloon } from './device.ts';

function set() {
  const balloon = new VirtioBalloon(2 ** 20);
  return { balloon, bench: new VirtioBench(balloon) };
}

const pages = (...numbers: number[]) => new Uint8Array(Uint32Array.from(numbers).buffer);

describe.each(['split', 'packed'] as const)('virtio-balloon over %s rings', (format) => {
  it('counts each page once, and none beyond memory', () => {
    const { balloon, bench } = set();
    const drivers = bench.start({ format });
    drivers[0].add([pages(1, 2, 3, 3, 256, 0xffff_ffff)]);
    bench.notify(0);
    expect(drivers[0].takeUsed()).toHaveLength(1);
    expect(balloon.inflatedBytes).toBe(3 * 4096);
    drivers[1].add([pages(2, 9)]);
    bench.notify(1);
    expect(balloon.inflatedBytes).toBe(2 * 4096);
    bench.pci.reset();
    expect(balloon.inflatedBytes).toBe(0);
  });

  it('says what it wants, and that it has changed its mind', () => {
    const { balloon, bench } = set();
    bench.start({ format });
    const generation = bench.load(21, 1);
    balloon.setTargetBytes(65536);
    expect(bench.config(0, 4)).toBe(16);
    expect(bench.isr()).toBe(2);
    expect(bench.load(21, 1)).not.toBe(generation);
    // Not more than there is.
    balloon.setTargetBytes(2 ** 30);
    expect(bench.config(0, 4)).toBe(256);
  });

  it('gets statistics when it asks for them', () => {
    const { balloon, bench } = set();
    const drivers = bench.start({ format });
    const stats = new Uint8Array(30);
    const view = new DataView(stats.buffer);
    [
      [4, 1000n],
      [5, 2n ** 40n],
      [99, 5n],
    ].forEach(([tag, value], n) => {
      view.setUint16(10 * n, Number(tag), true);
      view.setBigUint64(10 * n + 2, BigInt(value), true);
    });
    expect(balloon.requestStats()).toBe(false);
    drivers[2].add([stats]);
    bench.notify(2);
    expect(balloon.stats).toEqual({ 'free-memory': 1000n, 'total-memory': 2n ** 40n });
    expect(drivers[2].takeUsed()).toEqual([]);
    expect(balloon.requestStats()).toBe(true);
    expect(drivers[2].takeUsed()).toHaveLength(1);
    expect(balloon.requestStats()).toBe(false);
  });

  it('counts free pages that are reported, on whichever queue that is', () => {
    for (const [without, queue] of [
      [0n, 3],
      [featureSet(VIRTIO_BALLOON_F_STATS_VQ), 2],
    ] as const) {
      const { balloon, bench } = set();
      const drivers = bench.start({ format, without });
      drivers[queue].add([4096, 8192]);
      bench.notify(queue);
      expect(balloon.reportedBytes).toBe(12288);
      expect(drivers[queue].takeUsed()).toHaveLength(1);
    }
  });
});

it('virtio-balloon has nothing to do with the platform', () => {
  const { bench } = set();
  bench.start();
  // It is reset like the others, for its queues are about to be somebody else's memory, and stays as it is.
  expect(bench.pci.switchDma('platform')).toMatchObject({ reason: 'dma-switch' });
  expect(bench.status).toBe(0);
  expect(bench.pci.pciFunction.dma.mode).toBe('bypass');
});
