// The PCI transport as a driver meets it: capabilities, negotiation, queues, interrupts, reset, the legacy interface, and
// what happens to drivers that break the rules.

import { describe, expect, it } from 'vitest';
import { COMMON, VirtioBench } from '../../../tests/support/virtio-bench.ts';
import { MemoryConsole } from '../../backends/memory/console.ts';
import { SeededEntropy } from '../../backends/memory/entropy.ts';
import { STATUS } from '../core/device.ts';
import {
  featureSet,
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_ORDER_PLATFORM,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_RING_RESET,
  VIRTIO_F_VERSION_1,
} from '../core/features.ts';
import { VirtioConsole } from '../devices/console/device.ts';
import { VirtioRng } from '../devices/rng/device.ts';
import type { VirtioPciOptions } from './virtio-pci.ts';

function rngBench(options: Omit<VirtioPciOptions, 'warn'> = {}): VirtioBench {
  return new VirtioBench(new VirtioRng(new SeededEntropy(1)), options);
}

describe('identity', () => {
  it('of a modern device', () => {
    const { pciFunction } = rngBench().pci;
    expect(pciFunction.config).toMatchObject({ vendorId: 0x1af4, deviceId: 0x1044, revisionId: 1 });
    expect(pciFunction.bars.map(({ index, kind }) => `${index} ${kind}`)).toEqual(['1 mem32', '4 mem64']);
  });

  it('of a transitional device', () => {
    const { pciFunction } = rngBench({ transitional: true }).pci;
    expect(pciFunction.config).toMatchObject({ deviceId: 0x1005, subsystemId: 4, revisionId: 0 });
    expect(pciFunction.bars[0]).toMatchObject({ index: 0, kind: 'io' });
  });
});

describe('capabilities', () => {
  it('name every part once, inside of its BAR, and a device without configuration has none', () => {
    const bench = rngBench();
    const { pciFunction } = bench.pci;
    const types = bench
      .capabilities()
      .filter(({ id }) => id === 9)
      .map(({ at }) => {
        const [bar, offset, length] = [at + 4, at + 8, at + 12].map((place) => pciFunction.readConfig(place, 4));
        const size = pciFunction.bars.find(({ index }) => index === (bar & 0xff))?.sizeBytes ?? 0;
        expect(offset + length).toBeLessThanOrEqual(size);
        return pciFunction.readConfig(at + 3, 1);
      });
    expect(types).toEqual([1, 3, 2, 5]);
    expect(bench.capabilities()[0].id).toBe(0x11);
  });

  it('reach the BARs through configuration space', () => {
    const bench = rngBench();
    const { pciFunction } = bench.pci;
    const { at } = bench.capabilities().find(({ id, at }) => id === 9 && pciFunction.readConfig(at + 3, 1) === 5)!;
    const through = (offset: number, lenBytes: number) => {
      pciFunction.writeConfig(at + 4, 1, 4);
      pciFunction.writeConfig(at + 8, 4, offset);
      pciFunction.writeConfig(at + 12, 4, lenBytes);
    };
    through(COMMON.status, 1);
    pciFunction.writeConfig(at + 16, 4, 0xffff_ff01);
    expect(bench.status).toBe(1);
    expect(pciFunction.readConfig(at + 16, 4)).toBe(1);
    // Lengths that are none, misaligned or outside: nothing there, and nothing happens.
    for (const [offset, lenBytes] of [
      [COMMON.status, 0],
      [COMMON.status, 3],
      [1, 4],
      [0x4000, 4],
      [0xffff_fffc, 4],
      [0, 0x8000_0000],
    ]) {
      through(offset, lenBytes);
      expect(pciFunction.readConfig(at + 16, 4)).toBe(0);
      pciFunction.writeConfig(at + 16, 4, 0xffff_ffff);
    }
    expect(bench.status).toBe(1);
  });
});

describe('negotiation', () => {
  it('offers what it is told to offer', () => {
    const all = rngBench({ rings: { inOrder: true, orderPlatform: true }, accessPlatform: true }).offered();
    for (const bit of [
      VIRTIO_F_VERSION_1,
      VIRTIO_F_RING_PACKED,
      VIRTIO_F_RING_RESET,
      VIRTIO_F_IN_ORDER,
      VIRTIO_F_ORDER_PLATFORM,
      VIRTIO_F_ACCESS_PLATFORM,
    ]) {
      expect((all >> BigInt(bit)) & 1n).toBe(1n);
    }
    const few = rngBench({ rings: { packed: false, indirect: false, eventIdx: false, ringReset: false } });
    expect(few.offered()).toBe(featureSet(VIRTIO_F_VERSION_1));
  });

  it('refuses what was not offered, drivers without VERSION_1, and those that go around the platform', () => {
    const bench = rngBench();
    expect(bench.negotiate(bench.offered())).toBe(true);
    expect(bench.negotiate(bench.offered() | featureSet(VIRTIO_F_IN_ORDER))).toBe(false);
    expect(bench.negotiate(bench.offered() & ~featureSet(VIRTIO_F_VERSION_1))).toBe(false);
    const platform = rngBench({ accessPlatform: true });
    expect(platform.pci.pciFunction.dma.mode).toBe('platform');
    expect(platform.negotiate(platform.offered() & ~featureSet(VIRTIO_F_ACCESS_PLATFORM))).toBe(false);
    expect(platform.negotiate(platform.offered())).toBe(true);
  });

  it('keeps features and status bits once they are settled', () => {
    const bench = rngBench();
    bench.start();
    const before = bench.pci.device.driverFeatures;
    bench.store(COMMON.driverFeatureSelect, 4, 0);
    bench.store(COMMON.driverFeature, 4, 0);
    expect(bench.pci.device.driverFeatures).toBe(before);
    bench.store(COMMON.status, 1, STATUS.ACKNOWLEDGE);
    expect(bench.status).toBe(STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.FEATURES_OK | STATUS.DRIVER_OK);
  });

  it('has no features beyond bit 63', () => {
    const bench = rngBench();
    bench.store(COMMON.deviceFeatureSelect, 4, 2);
    expect(bench.load(COMMON.deviceFeature, 4)).toBe(0);
  });
});

describe.each(['split', 'packed'] as const)('a request over %s rings', (format) => {
  const fetch = (bench: VirtioBench) => {
    const [driver] = bench.drivers;
    driver.askForInterrupt();
    driver.add([16]);
    bench.notify(0);
    return driver.takeUsed();
  };

  it('interrupts through the pin, and reading the status lets go of it', () => {
    const bench = rngBench();
    bench.start({ format });
    const [{ bytes, writtenBytes }] = fetch(bench);
    expect(writtenBytes).toBe(16);
    expect(new Set(bytes).size).toBeGreaterThan(4);
    expect(bench.interrupts).toEqual(['pin up']);
    expect(bench.isr()).toBe(1);
    expect(bench.isr()).toBe(0);
    expect(bench.interrupts).toEqual(['pin up', 'pin down']);
  });

  it('interrupts with the vector of the queue', () => {
    const bench = rngBench();
    bench.start({ format });
    bench.useMessages();
    fetch(bench);
    expect(bench.interrupts).toEqual([`message ${0x1301}`]);
    expect(bench.isr()).toBe(0);
    bench.store(COMMON.queueVector, 2, 77);
    expect(bench.load(COMMON.queueVector, 2)).toBe(0xffff);
    expect(fetch(bench)).toHaveLength(1);
    expect(bench.interrupts).toHaveLength(1);
  });

  it('is served after the ring was reset and placed anew', () => {
    const bench = rngBench();
    bench.start({ format });
    fetch(bench);
    bench.store(COMMON.queueSelect, 2, 0);
    bench.store(COMMON.queueReset, 2, 1);
    expect(bench.load(COMMON.queueReset, 2)).toBe(0);
    expect(bench.load(COMMON.queueEnable, 2)).toBe(0);
    bench.drivers = [];
    const bit = featureSet(VIRTIO_F_INDIRECT_DESC);
    expect(bench.pci.device.driverFeatures & bit).toBe(bit);
    bench.start({ format, size: 4 });
    expect(fetch(bench)).toHaveLength(1);
  });

  it('is not served before DRIVER_OK, and is then', () => {
    const bench = rngBench();
    bench.start({ format });
    const features = bench.pci.device.driverFeatures;
    bench.negotiate(features);
    const [driver] = bench.drivers;
    driver.add([8]);
    bench.placeQueue(driver);
    bench.notify(0);
    expect(driver.takeUsed()).toEqual([]);
    bench.store(COMMON.status, 1, bench.status | STATUS.DRIVER_OK);
    expect(driver.takeUsed()).toHaveLength(1);
  });

  it('stops the device if it is malformed, until a reset', () => {
    const bench = rngBench();
    bench.start({ format });
    bench.drivers[0].add([Uint8Array.of(1), 4]);
    bench.notify(0);
    expect(bench.status & STATUS.DEVICE_NEEDS_RESET).toBe(STATUS.DEVICE_NEEDS_RESET);
    expect(bench.isr()).toBe(2);
    expect(bench.warnings).toEqual([
      'virtio-rng stopped until its driver resets it: queue 0, descriptor 0: ' +
        'a request for random bytes with something to read (request)',
    ]);
    expect(fetch(bench)).toEqual([]);
    bench.start({ format });
    expect(bench.pci.device.fault).toBeUndefined();
    expect(fetch(bench)).toHaveLength(1);
    for (let n = 0; n < 50; n++) {
      bench.start({ format });
      bench.drivers[0].add([Uint8Array.of(1)]);
      bench.notify(0);
    }
    expect(bench.warnings.length).toBeLessThan(10);
    expect(bench.pci.device.faults).toBe(51);
  });
});

describe('a driver that breaks the rules of setting up', () => {
  it.each<[string, (bench: VirtioBench) => void]>([
    ['DRIVER_OK before FEATURES_OK', (bench) => bench.store(COMMON.status, 1, 7)],
    ['a queue before FEATURES_OK', (bench) => bench.store(COMMON.queueEnable, 2, 1)],
    [
      'a size of 0',
      (bench) => {
        bench.negotiate(bench.offered());
        bench.store(COMMON.queueSize, 2, 0);
        bench.store(COMMON.queueEnable, 2, 1);
      },
    ],
    [
      'a size beyond the largest',
      (bench) => {
        bench.negotiate(bench.offered());
        bench.store(COMMON.queueSize, 2, 65535);
        bench.store(COMMON.queueEnable, 2, 1);
      },
    ],
    [
      'a split queue of 3',
      (bench) => {
        bench.negotiate(bench.offered() & ~featureSet(VIRTIO_F_RING_PACKED));
        bench.store(COMMON.queueSize, 2, 3);
        bench.store(COMMON.queueEnable, 2, 1);
      },
    ],
    [
      'a crooked address',
      (bench) => {
        bench.negotiate(bench.offered());
        bench.store64(COMMON.queueDesc, 0x1008);
        bench.store(COMMON.queueEnable, 2, 1);
      },
    ],
    [
      'an address that is nowhere',
      (bench) => {
        bench.negotiate(bench.offered());
        bench.store(COMMON.queueDesc + 4, 4, 0xffff_ffff);
        bench.store(COMMON.queueEnable, 2, 1);
      },
    ],
  ])('%s', (_, spoil) => {
    const bench = rngBench();
    spoil(bench);
    expect(bench.status & STATUS.DEVICE_NEEDS_RESET).toBe(STATUS.DEVICE_NEEDS_RESET);
    expect(bench.warnings).toHaveLength(1);
    bench.start();
    expect(bench.status & STATUS.DEVICE_NEEDS_RESET).toBe(0);
  });

  it('queues that do not exist are nobody', () => {
    const bench = rngBench();
    bench.start();
    bench.store(COMMON.queueSelect, 2, 9);
    expect(bench.load(COMMON.queueSize, 2)).toBe(0);
    bench.store(COMMON.queueSize, 2, 8);
    bench.store(COMMON.queueEnable, 2, 1);
    bench.store(COMMON.queueReset, 2, 1);
    bench.pci.pciFunction.storeBar(4, 0x3ffc, 4, 1);
    expect(bench.load(COMMON.queueEnable, 2)).toBe(0);
    expect(bench.pci.device.fault).toBeUndefined();
  });
});

describe('switching to the platform', () => {
  it('resets a live device with a reason, offers the feature and takes the legacy interface away', () => {
    const bench = rngBench({ transitional: true });
    const { pci } = bench;
    const { pciFunction } = pci;
    pciFunction.writeConfig(0x10, 4, 0x1001);
    const plain = pciFunction.identity;
    expect(plain).toEqual({ deviceId: 0x1005, subsystemId: 4, revisionId: 0 });
    expect(pciFunction.barAddress(0)).toBe(0x1000);
    bench.start();
    expect(pci.switchDma('platform')).toEqual({ reason: 'dma-switch', queues: [0] });
    expect(bench.status).toBe(0);
    expect(bench.load(COMMON.queueEnable, 2)).toBe(0);
    expect(pciFunction.dma.mode).toBe('platform');
    expect((bench.offered() >> BigInt(VIRTIO_F_ACCESS_PLATFORM)) & 1n).toBe(1n);
    // What is there now is a modern device: no I/O BAR, whatever is written to it, and no registers behind it.
    expect(pciFunction.identity).toEqual({ deviceId: 0x1044, subsystemId: 0x1100, revisionId: 1 });
    pciFunction.writeConfig(0x10, 4, 0xffff_ffff);
    expect(pciFunction.readConfig(0x10, 4)).toBe(0);
    expect(pciFunction.barAddress(0)).toBeUndefined();
    expect(pciFunction.loadBar(0, 18, 1)).toBe(0);
    pciFunction.storeBar(0, 18, 1, STATUS.ACKNOWLEDGE);
    expect(bench.status).toBe(0);
    expect(bench.negotiate(bench.offered() & ~featureSet(VIRTIO_F_ACCESS_PLATFORM))).toBe(false);
    expect(bench.negotiate(bench.offered())).toBe(true);
    // The other BARs are where the guest has put them.
    expect(pciFunction.bars.map(({ index }) => index)).toEqual([1, 4]);

    expect(pci.switchDma('platform')).toBeUndefined();
    expect(bench.status & STATUS.FEATURES_OK).not.toBe(0);
    bench.pci.reset();
    expect(pciFunction.readConfig(0x10, 4)).toBe(0);
    expect(pci.switchDma('bypass')).toBeUndefined();
    expect(pciFunction.identity).toEqual(plain);
    expect(pciFunction.readConfig(0x10, 4)).toBe(1);
    pciFunction.writeConfig(0x10, 4, 0xffff_ffff);
    expect(pciFunction.readConfig(0x10, 4)).toBe(0xffff_ffe1);
    pciFunction.writeConfig(4, 2, 7);
    bench.start();
    expect(bench.status & STATUS.DRIVER_OK).toBe(STATUS.DRIVER_OK);
  });

  it('leaves a device alone that has no driver, and one that is there already', () => {
    const bench = rngBench();
    expect(bench.pci.switchDma('bypass')).toBeUndefined();
    bench.start();
    expect(bench.pci.switchDma('bypass')).toBeUndefined();
    expect(bench.status & STATUS.DRIVER_OK).toBe(STATUS.DRIVER_OK);
    bench.store(COMMON.status, 1, 0);
    expect(bench.pci.switchDma('platform')).toBeUndefined();
    expect(bench.pci.device.lastReset).toEqual({ reason: 'driver', queues: [0] });
  });

  it('has a legacy driver to reset before that has set its status', () => {
    const bench = rngBench({ transitional: true });
    const { pciFunction } = bench.pci;
    pciFunction.storeBar(0, 8, 4, bench.memory.allocate(16384, 4096) / 4096);
    expect(bench.pci.device.live).toBe(true);
    expect(bench.pci.switchDma('platform')).toEqual({ reason: 'dma-switch', queues: [0] });
  });

  it('can be asked for by the guest, through a capability', () => {
    const asked: string[] = [];
    const bench = rngBench();
    const { pciFunction } = bench.pci;
    bench.pci.offerDmaRegister((mode) => {
      asked.push(mode);
      bench.pci.switchDma(mode);
    });
    const at = bench.capabilities().find((each) => pciFunction.readConfig(each.at + 3, 1) === 9)?.at ?? 0;
    expect(pciFunction.readConfig(at, 4) & 0xff).toBe(9);
    expect(pciFunction.readConfig(at + 2, 1)).toBe(12);
    expect(pciFunction.readConfig(at + 4, 2)).toBe(0x1af4);
    expect(pciFunction.readConfig(at + 8, 4)).toBe(0);
    bench.start();
    pciFunction.writeConfig(at + 8, 4, 1);
    expect(pciFunction.readConfig(at + 8, 4)).toBe(1);
    expect(bench.status).toBe(0);
    expect(bench.offered() & featureSet(VIRTIO_F_ACCESS_PLATFORM)).not.toBe(0n);
    pciFunction.writeConfig(at + 8, 1, 0);
    pciFunction.writeConfig(at + 9, 1, 0xff);
    expect(asked).toEqual(['platform', 'bypass']);
    expect(pciFunction.readConfig(at + 8, 4)).toBe(0);
  });
});

describe('the legacy interface', () => {
  /** Registers of BAR 0 and a split queue at a page, as VIRTIO 1.2 2.7.2 lays it out. */
  it('serves a driver that knows no other', () => {
    const bench = rngBench({ transitional: true });
    const { pciFunction } = bench.pci;
    const { data, bytes } = bench.memory;
    const page = bench.memory.allocate(16384, 4096);
    const buffer = bench.memory.allocate(8);
    pciFunction.storeBar(0, 18, 1, 3);
    expect(pciFunction.loadBar(0, 0, 4) & (1 << 28)).not.toBe(0);
    pciFunction.storeBar(0, 4, 4, 0);
    pciFunction.storeBar(0, 14, 2, 0);
    const size = pciFunction.loadBar(0, 12, 2);
    expect(size).toBe(64);
    pciFunction.storeBar(0, 8, 4, page / 4096);
    pciFunction.storeBar(0, 18, 1, 7);
    data.setUint32(page, buffer, true);
    data.setUint32(page + 8, 8, true);
    data.setUint16(page + 12, 2, true);
    const available = page + 16 * size;
    data.setUint16(available + 2, 1, true);
    pciFunction.storeBar(0, 16, 2, 0);
    const used = page + 4096;
    expect(data.getUint16(used + 2, true)).toBe(1);
    expect(data.getUint32(used + 8, true)).toBe(8);
    expect(bytes.subarray(buffer, buffer + 8).some((byte) => byte !== 0)).toBe(true);
    expect(bench.interrupts).toEqual(['pin up']);
    expect(pciFunction.loadBar(0, 19, 1)).toBe(1);
    expect(bench.interrupts).toEqual(['pin up', 'pin down']);
    pciFunction.storeBar(0, 18, 1, 0);
    expect(pciFunction.loadBar(0, 18, 1)).toBe(0);
    expect(pciFunction.loadBar(0, 8, 4)).toBe(0);
  });

  it('moves the configuration back when MSI-X is on', () => {
    const kind = new VirtioConsole({
      ports: [{ backend: new MemoryConsole() }],
      events: { post() {}, finish() {} },
      columns: 0x1234,
    });
    const bench = new VirtioBench(kind, { transitional: true });
    expect(bench.pci.pciFunction.loadBar(0, 20, 2)).toBe(0x1234);
    bench.useMessages();
    expect(bench.pci.pciFunction.loadBar(0, 24, 2)).toBe(0x1234);
    expect(bench.pci.pciFunction.loadBar(0, 20, 2)).toBe(0);
  });
});
