import { describe, expect, test } from 'vitest';
import { BridgeBench, RamHandler, scratchConfig } from '../../tests/support/pci-bench.ts';
import { randomWords } from '../../tests/support/random.ts';
import type { MmioBytes } from '../device/address-map.ts';
import { deviceOrigin } from './dma-space.ts';
import { PciFunction, type PciFunctionConfig } from './function.ts';

const COMMAND = 4;
const STATUS = 6;
const MASTER = 4;

function make(overrides: Partial<PciFunctionConfig> = {}) {
  const bench = new BridgeBench();
  return { bench, pciFunction: bench.plug(3, overrides) };
}

const words = (pciFunction: PciFunction, ...offsets: number[]) =>
  offsets.map((offset) => pciFunction.readConfig(offset, 4).toString(16));

describe('configuration space', () => {
  test('says what the literal says', () => {
    const { pciFunction } = make({ revisionId: 0x42, classCode: 0x010802 });
    expect(words(pciFunction, 0, 4, 8, 0xc, 0x2c, 0x34, 0x3c)).toEqual([
      '56781234',
      '0',
      '1080242',
      '0',
      '11001af4',
      '0',
      '100',
    ]);
    expect(pciFunction.readConfig(0x2e, 2)).toBe(0x1100);
    expect(pciFunction.readConfig(0x0b, 1)).toBe(1);
  });

  test('BARs: kind, size by writing ones, address', () => {
    const { pciFunction } = make();
    expect(words(pciFunction, 0x10, 0x14, 0x18, 0x20, 0x24)).toEqual(['1', '0', '0', 'c', '0']);
    for (let offset = 0x10; offset < 0x28; offset += 4) pciFunction.writeConfig(offset, 4, 0xffff_ffff);
    expect(words(pciFunction, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24)).toEqual([
      'ffffffe1',
      'fffff000',
      '0',
      '0',
      'ffffc00c',
      'ffffffff',
    ]);
    expect(pciFunction.barAddress(4)).toBeUndefined();
    pciFunction.writeConfig(0x20, 4, 0x1234_5678);
    pciFunction.writeConfig(0x24, 4, 0x2100);
    pciFunction.writeConfig(0x10, 4, 0x1234);
    expect(pciFunction.barAddress(4)).toBe(0x2100_1234_4000);
    expect(pciFunction.barAddress(0)).toBe(0x1220);
    expect(pciFunction.barAddress(2)).toBeUndefined();
  });

  test('a BAR larger than 4 GiB', () => {
    const bar = { index: 2, kind: 'mem64', sizeBytes: 2 ** 34, handler: new RamHandler(16) } as const;
    const { pciFunction } = make({ bars: [bar] });
    pciFunction.writeConfig(0x18, 4, 0xffff_ffff);
    pciFunction.writeConfig(0x1c, 4, 0xffff_ffff);
    expect(words(pciFunction, 0x18, 0x1c)).toEqual(['4', 'fffffffc']);
  });

  test('bytes beyond the 256 of a conventional function read as ones', () => {
    const { pciFunction } = make();
    expect(pciFunction.readConfig(0x100, 4)).toBe(0xffff_ffff);
    expect(pciFunction.readConfig(0xffc, 1)).toBe(0xff);
    pciFunction.writeConfig(0x100, 4, 0);
  });

  test('capabilities: MSI-X first, then MSI, then the device’s own with their masks', () => {
    const { pciFunction } = make({
      msix: { vectors: 3, bar: 2, at: 0x98 },
      msi: { vectors: 2 },
      capabilities: [
        { id: 9, body: Uint8Array.of(8, 1, 2, 3, 4, 5), writable: Uint8Array.of(0, 0, 0xff, 0x0f, 0, 0), at: 0x84 },
        { id: 9, body: Uint8Array.of(4, 9) },
      ],
    });
    const chain: number[] = [];
    for (let at = pciFunction.readConfig(0x34, 1); at !== 0; at = pciFunction.readConfig(at + 1, 1)) chain.push(at);
    expect(chain).toEqual([0x98, 0x40, 0x84, 0x58]);
    expect(words(pciFunction, 0x98, 0x9c, 0xa0)).toEqual(['24011', '2', '802']);
    pciFunction.writeConfig(0x86, 4, 0xffff_ffff);
    pciFunction.writeConfig(0x88, 4, 0xffff_ffff);
    expect([...pciFunction.capabilityBody(0)]).toEqual([8, 1, 0xff, 0x0f | 3, 4, 5]);
    expect([...pciFunction.capabilityBody(1)]).toEqual([4, 9]);
    pciFunction.reset();
    expect([...pciFunction.capabilityBody(0)]).toEqual([8, 1, 2, 3, 4, 5]);
  });

  test('live bytes of a capability go to their handler, the bytes around them do not', () => {
    const handler = new RamHandler(4);
    const body = Uint8Array.of(12, 0xee, 0, 0, 0, 0, 0xaa, 0xbb);
    const { pciFunction } = make({ capabilities: [{ id: 9, body, live: { offset: 2, lenBytes: 4, handler } }] });
    pciFunction.writeConfig(0x44, 4, 0x1122_3344);
    expect(pciFunction.readConfig(0x46, 1)).toBe(0x22);
    expect(handler.log).toEqual(['store 0/4=11223344', 'load 2/1']);
    expect(words(pciFunction, 0x40, 0x48)).toEqual(['ee0c0009', 'bbaa']);
  });

  test.each([
    [{ bars: [{ index: 5, kind: 'mem64', sizeBytes: 16 }] }, /no room for BAR 5/],
    [{ bars: [{ index: 0, kind: 'mem32', sizeBytes: 24 }] }, /BAR 0 has 24 bytes/],
    [{ bars: [{ index: 0, kind: 'io', sizeBytes: 512 }] }, /BAR 0 has 512 bytes/],
    [{ bars: [{ index: 0, kind: 'mem32', sizeBytes: 2 ** 32 }] }, /too large/],
    [
      {
        bars: [
          { index: 0, kind: 'mem64', sizeBytes: 16 },
          { index: 1, kind: 'io', sizeBytes: 16 },
        ],
      },
      /BAR 1 is taken/,
    ],
  ] as const)('a literal that cannot be is refused: %o', (overrides, message) => {
    const bars = overrides.bars.map((bar) => ({ ...bar, handler: new RamHandler(16) }));
    expect(() => new PciFunction(scratchConfig({ bars }), new BridgeBench().bridge)).toThrow(message);
  });
});

describe('bus master', () => {
  test('DMA and messages need the bit', () => {
    const { pciFunction, bench } = make({ msix: { vectors: 1, bar: 2 } });
    const origin = deviceOrigin('scratch');
    pciFunction.msix!.program(0, 0x400, 0, 0x1300);
    pciFunction.msix!.handler.store(12, 4, 0);
    pciFunction.writeConfig(0x42, 2, 0x8000);
    expect(pciFunction.dma.storeU8(0x1000, 1, origin)?.reason).toBe('bus-master-off');
    pciFunction.msix!.notify(0);
    expect(bench.interrupts).toEqual([]);
    pciFunction.writeConfig(COMMAND, 2, MASTER);
    expect(pciFunction.busMaster).toBe(true);
    expect(pciFunction.dma.storeU8(0x1000, 1, origin)).toBeUndefined();
    pciFunction.msix!.notify(0);
    expect(bench.interrupts).toEqual(['pulse 1300']);
    pciFunction.writeConfig(COMMAND, 1, 0);
    expect(pciFunction.dma.storeU8(0x1000, 1, origin)?.reason).toBe('bus-master-off');
  });
});

describe('the pin', () => {
  test('shows in the status register, and drives the line unless that is disabled', () => {
    const { pciFunction, bench } = make();
    pciFunction.intx.setLevel(true);
    expect(pciFunction.readConfig(STATUS, 2)).toBe(0x08);
    pciFunction.writeConfig(COMMAND, 2, 0x400);
    expect(pciFunction.readConfig(STATUS, 2)).toBe(0x08);
    pciFunction.writeConfig(COMMAND, 2, 0);
    pciFunction.intx.setLevel(false);
    expect(pciFunction.readConfig(STATUS, 2)).toBe(0);
    expect(bench.interrupts).toEqual(['1203 up', '1203 down', '1203 up', '1203 down']);
  });

  test.each([
    [{ msix: { vectors: 2, bar: 2 } }, 0x8000],
    [{ msi: { vectors: 2 } }, 0x0001],
  ] as const)('is silent while the function uses messages: %o', (overrides, enable) => {
    const { pciFunction, bench } = make(overrides);
    pciFunction.intx.setLevel(true);
    pciFunction.writeConfig(0x42, 2, enable);
    pciFunction.intx.setLevel(false);
    pciFunction.intx.setLevel(true);
    pciFunction.writeConfig(0x42, 2, 0);
    expect(bench.interrupts).toEqual(['1203 up', '1203 down', '1203 up']);
  });

  test('a function without a pin drives nothing', () => {
    const { pciFunction, bench } = make({ interruptPin: undefined });
    pciFunction.intx.setLevel(true);
    expect(bench.interrupts).toEqual([]);
  });
});

test('a reset is power-on: every byte of the space, decoding, pin, DMA', () => {
  const random = randomWords(77);
  const { pciFunction, bench } = make({
    msix: { vectors: 5, bar: 2 },
    msi: { vectors: 4 },
    capabilities: [{ id: 9, body: Uint8Array.of(8, 1, 2, 3, 4, 5), writable: new Uint8Array(6).fill(0xff) }],
  });
  const dump = () => Array.from({ length: 256 }, (_, offset) => pciFunction.readConfig(offset, 1));
  const before = dump();
  for (let n = 0; n < 5000; n++) {
    const lenBytes = [1, 2, 4][random() % 3] as MmioBytes;
    const offset = (random() % 0x110) & -lenBytes;
    pciFunction.writeConfig(offset, lenBytes, lenBytes === 4 ? random() : random() % 2 ** (8 * lenBytes));
    pciFunction.readConfig(offset, lenBytes);
    if (n % 8 === 0) pciFunction.intx.setLevel(random() % 2 === 0);
    pciFunction.msix!.notify(random() % 8);
    pciFunction.msi!.notify(random() % 8);
  }
  expect(dump()).not.toEqual(before);
  pciFunction.reset();
  expect(dump()).toEqual(before);
  expect(bench.map.all()).toEqual([]);
  expect(pciFunction.dma.enabled).toBe(false);
  expect(pciFunction.msix!.enabled || pciFunction.msi!.enabled).toBe(false);
  expect(bench.interrupts.filter((line) => line.endsWith('up')).length).toBe(
    bench.interrupts.filter((line) => line.endsWith('down')).length,
  );
});

test('a BAR can be reached from the device’s own side; what it does not have is zero', () => {
  const { pciFunction } = make();
  pciFunction.storeBar(4, 0x10, 4, 0x1234_5678);
  expect(pciFunction.loadBar(4, 0x12, 2)).toBe(0x1234);
  for (const [bar, offset] of [
    [3, 0],
    [4, 0x4000],
    [4, -4],
    [4, 0x12],
    [200, 0],
  ]) {
    pciFunction.storeBar(bar, offset, 4, 1);
    expect(pciFunction.loadBar(bar, offset, 4)).toBe(0);
  }
});

test('the space of QEMU 7.2’s virtio-rng-pci (modern only), byte for byte, as Linux 6.1 leaves it there', () => {
  // hexdump of /sys/bus/pci/devices/0000:00:00.0/config in a guest of qemu-system-ppc64 -M pseries.
  const measured = `
    f4 1a 44 10 00 00 10 00 01 00 ff 00 00 00 00 00 00 00 00 00 00 00 00 80 00 00 00 00 00 00 00 00
    0c 00 00 00 00 21 00 00 00 00 00 00 f4 1a 00 11 00 00 00 00 98 00 00 00 00 00 00 00 00 01 00 00
    09 00 10 01 04 00 00 00 00 00 00 00 00 10 00 00 09 40 10 03 04 00 00 00 00 10 00 00 00 10 00 00
    09 50 10 04 04 00 00 00 00 20 00 00 00 10 00 00 09 60 14 02 04 00 00 00 00 30 00 00 00 10 00 00
    04 00 00 00 09 70 14 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 11 84 01 00 01 00 00 00
    01 08 00 00`;
  const bytes = measured
    .trim()
    .split(/\s+/)
    .map((byte) => Number.parseInt(byte, 16));
  const expected = [...bytes, ...Array<number>(256 - bytes.length).fill(0)];
  // A capability: its bytes after ID and next pointer.
  const vendor = (at: number, lenBytes: number) => ({
    id: 9,
    at,
    body: Uint8Array.from(bytes.slice(at + 2, at + lenBytes)),
  });
  const { pciFunction } = make({
    vendorId: 0x1af4,
    deviceId: 0x1044,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x1100,
    classCode: 0x00ff00,
    revisionId: 1,
    bars: [{ index: 4, kind: 'mem64', sizeBytes: 0x4000, prefetchable: true, handler: new RamHandler(0x4000) }],
    msix: { vectors: 2, bar: 1, at: 0x98 },
    capabilities: [vendor(0x84, 20), vendor(0x70, 20), vendor(0x60, 16), vendor(0x50, 16), vendor(0x40, 16)],
  });
  pciFunction.writeConfig(0x14, 4, 0x8000_0000);
  pciFunction.writeConfig(0x20, 4, 0);
  pciFunction.writeConfig(0x24, 4, 0x2100);
  expect(Array.from({ length: 256 }, (_, offset) => pciFunction.readConfig(offset, 1))).toEqual(expected);
});
