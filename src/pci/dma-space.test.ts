import { describe, expect, test } from 'vitest';
import { testMemory } from '../../tests/support/hypervisor-fakes.ts';
import { randomWords } from '../../tests/support/random.ts';
import type { AccessOrigin, HostView } from '../memory/host-view.ts';
import { busAddressOf, DYNAMIC_WINDOW_BASE } from './bus-address.ts';
import { type DmaFault, type DmaMode, DmaSpace, deviceOrigin, dmaFaultText } from './dma-space.ts';
import { DmaWindowSet } from './dma-windows.ts';
import type { DmaAccess, TceTable } from './tce-table.ts';

const origin = deviceOrigin('disk', 2);

function bench(mode: DmaMode) {
  const view = testMemory();
  const windows = new DmaWindowSet({ liobn: 1, defaultBytes: 2 ** 20, memoryBytes: 2 ** 30 });
  const space = new DmaSpace({ view, windows, mode });
  space.enabled = true;
  return { view, windows, space };
}

const fault = (reason: string, access: string, address: number, mode: string) => ({ reason, access, address, mode });

describe('bypass', () => {
  test('an address is a guest real address', () => {
    const { space, view } = bench('bypass');
    expect(space.write(0x1234, Uint8Array.of(1, 2, 3), origin)).toBeUndefined();
    expect([...view.read(0x1234, 3)]).toEqual([1, 2, 3]);
    expect([...space.read(0x1235, 2, origin)!]).toEqual([2, 3]);
    const target = new Uint8Array(3);
    expect(space.readInto(0x1234, target, origin)).toBeUndefined();
    expect([...target]).toEqual([1, 2, 3]);
  });

  test.each([0x1f_fffe, 0x20_0000, 2 ** 52, DYNAMIC_WINDOW_BASE, Number.NaN])('%d is not RAM', (address) => {
    const { space } = bench('bypass');
    const expected = fault('outside-ram', 'write', address, 'bypass');
    expect(space.write(address, new Uint8Array(4), origin)).toEqual(expected);
    expect(space.read(address, 4, origin)).toBeUndefined();
    expect(space.lastFault).toEqual({ ...expected, access: 'read' });
    expect(space.loadU32LE(address, origin)).toBe(-1);
  });
});

describe('platform', () => {
  test('pages that follow each other on the bus need not in memory', () => {
    const { space, view, windows } = bench('platform');
    const [table] = windows.all();
    table.set(1, 0, 0x8003);
    table.set(2, 0, 0x5003);
    expect(space.write(0x1ffe, Uint8Array.of(1, 2, 3, 4), origin)).toBeUndefined();
    expect([...view.read(0x8ffe, 2)]).toEqual([1, 2]);
    expect([...view.read(0x5000, 2)]).toEqual([3, 4]);
    expect(space.loadU32LE(0x1ffe, origin)).toBe(0x0403_0201);
  });

  test('a miss tells where and why, and what lies before it has been transferred', () => {
    const { space, view, windows } = bench('platform');
    const [table] = windows.all();
    table.set(1, 0, 0x8003);
    expect(space.write(0x1fff, Uint8Array.of(9, 9), origin)).toEqual(fault('not-mapped', 'write', 0x2000, 'platform'));
    expect([...view.read(0x8fff, 1)]).toEqual([9]);
    table.set(2, 0, 0x5001);
    const refused = space.write(0x2000, Uint8Array.of(1), origin);
    expect(refused).toEqual(fault('not-permitted', 'write', 0x2000, 'platform'));
    expect(space.loadU8(0x2000, origin)).toBe(0);
    table.set(3, 0xff, 0x1003);
    expect(space.write(0x3000, Uint8Array.of(1), origin)).toEqual(fault('outside-ram', 'write', 0x3000, 'platform'));
    expect(space.write(2 ** 20, Uint8Array.of(1), origin)).toEqual(fault('no-window', 'write', 2 ** 20, 'platform'));
    expect(space.check(0x1ff0, 0x1010, 'read')).toBeUndefined();
    expect(space.check(0x1ff0, 0x1011, 'write')).toEqual(fault('not-permitted', 'write', 0x2000, 'platform'));
  });

  test('a page may reach beyond RAM: only its part in RAM can be used', () => {
    const { space, windows } = bench('platform');
    const window = windows.create(28, 28) as TceTable;
    window.set(0, 0, 3);
    expect(space.storeU8(window.base + 0x1f_ffff, 1, origin)).toBeUndefined();
    expect(space.storeU16LE(window.base + 0x1f_ffff, 1, origin)?.reason).toBe('outside-ram');
    expect(space.storeU32LE(window.base + 0x20_0000, 1, origin)?.reason).toBe('outside-ram');
  });

  test('agrees with a model in exact integers', () => {
    const random = randomWords(20260101);
    let transferred = 0;
    for (let round = 0; round < 40; round++) {
      const { space, view, windows } = bench('platform');
      const dynamic = windows.create([12, 16, 21, 24, 28][random() % 5], 29) as TceTable;
      const tables = [windows.all()[0], dynamic];
      for (const table of tables) {
        for (let n = 0; n < Math.min(table.entries, 64); n++) {
          table.set(n, random() % 16 === 0 ? random() : 0, (random() % 0x24_0000) | (random() & 3));
        }
      }
      for (let i = 0; i < view.sizeBytes; i += 4096) view.storeU32BE(i, random());
      for (let n = 0; n < 20; n++) {
        const start = random() % 2 ? 0n : 2n ** 59n;
        const address = start + BigInt(random() % 0x4_1000);
        const length = 1 + (random() % 0x3000);
        const access = random() % 2 ? 'read' : 'write';
        const expected = model(tables, address, length, access, view.sizeBytes);
        const buffer = new Uint8Array(length).fill(0xa5);
        const result =
          access === 'read'
            ? space.readInto(busAddressOf(address), buffer, origin)
            : space.write(busAddressOf(address), buffer, origin);
        const where = `round ${round}, ${access} of ${length} bytes at 0x${address.toString(16)}`;
        expect(result?.reason, where).toBe(expected.fault);
        if (!expected.fault) transferred++;
        if (access !== 'read' || expected.fault) continue;
        const bytes = expected.gras.map((gra) => view.loadU8(gra));
        expect(Buffer.compare(buffer, Buffer.from(bytes)), where).toBe(0);
      }
    }
    expect(transferred).toBeGreaterThan(100);
  });
});

/** What an access should do, byte by byte. */
function model(tables: TceTable[], start: bigint, length: number, access: DmaAccess, ramBytes: number) {
  const gras: number[] = [];
  for (let address = start; address < start + BigInt(length); address++) {
    const table = tables[address >= 2n ** 59n ? 1 : 0];
    const offset = address - (address >= 2n ** 59n ? 2n ** 59n : 0n);
    if (offset >= BigInt(table.sizeBytes)) return { gras, fault: 'no-window' };
    const index = Number(offset >> BigInt(table.pageShift));
    const entry = (BigInt(table.high(index)) << 32n) | BigInt(table.low(index));
    if ((entry & (access === 'read' ? 1n : 2n)) === 0n) {
      return { gras, fault: (entry & 3n) === 0n ? 'not-mapped' : 'not-permitted' };
    }
    const inPage = offset & ((1n << BigInt(table.pageShift)) - 1n);
    const gra = ((entry >> BigInt(table.pageShift)) << BigInt(table.pageShift)) + inPage;
    if (gra >= BigInt(ramBytes)) return { gras, fault: 'outside-ram' };
    gras.push(Number(gra));
  }
  return { gras, fault: undefined };
}

test('scalars may cross pages and fault once for it', () => {
  const { windows, view } = bench('platform');
  const faults: string[] = [];
  const events = { fault: ({ address }: DmaFault) => faults.push(address.toString(16)) };
  const space = new DmaSpace({ view, windows, mode: 'platform', events });
  space.enabled = true;
  windows.all()[0].set(1, 0, 0x8003);
  windows.all()[0].set(2, 0, 0x5003);
  expect(space.storeU32LE(0x1ffe, 0x1234_5678, origin)).toBeUndefined();
  expect(space.storeU16LE(0x1fff, 0xabcd, origin)).toBeUndefined();
  expect([...view.read(0x8ffe, 2), ...view.read(0x5000, 2)]).toEqual([0x78, 0xcd, 0xab, 0x12]);
  expect(space.loadU32LE(0x1ffe, origin)).toBe(0x12ab_cd78);
  expect(space.loadU16LE(0x1fff, origin)).toBe(0xabcd);
  expect(space.loadU8(0x3000, origin)).toBe(-1);
  expect(space.loadU16LE(0x2fff, origin)).toBe(-1);
  expect(space.loadU32LE(0x3000, origin)).toBe(-1);
  expect(space.storeU8(0x3000, 0, origin)?.address).toBe(0x3000);
  expect(space.storeU32LE(0x2fff, 0, origin)?.address).toBe(0x3000);
  expect(faults).toEqual(['3000', '3000', '3000', '3000', '3000']);
});

test('scalars are little-endian', () => {
  const { space, view } = bench('bypass');
  space.storeU16LE(0x100, 0x1234, origin);
  space.storeU32LE(0x102, 0x89ab_cdef, origin);
  space.storeU8(0x106, 0x77, origin);
  expect([...view.read(0x100, 7)]).toEqual([0x34, 0x12, 0xef, 0xcd, 0xab, 0x89, 0x77]);
  expect(space.loadU16LE(0x100, origin)).toBe(0x1234);
  expect(space.loadU32LE(0x102, origin)).toBe(0x89ab_cdef);
  expect(space.loadU8(0x106, origin)).toBe(0x77);
  view.write(0x200, Uint8Array.of(0x10, 0, 0, 0, 0, 0, 0, 8));
  expect(space.loadAddressLE(0x200, origin)).toBe(DYNAMIC_WINDOW_BASE + 0x10);
  expect(space.loadAddressLE(2 ** 40, origin)).toBeNaN();
});

test('the mode can be switched at any time', () => {
  const { space, view, windows } = bench('bypass');
  view.storeU8(0x1000, 1);
  view.storeU8(0x9000, 2);
  windows.all()[0].set(1, 0, 0x9003);
  expect(space.loadU8(0x1000, origin)).toBe(1);
  space.mode = 'platform';
  expect(space.loadU8(0x1000, origin)).toBe(2);
});

test('nothing is reached while the bus master bit is off', () => {
  const { space } = bench('bypass');
  space.enabled = false;
  expect(space.write(0x1000, Uint8Array.of(1), origin)?.reason).toBe('bus-master-off');
  expect(space.loadU8(0x1000, origin)).toBe(-1);
  expect(space.check(0x1000, 1, 'read')?.reason).toBe('bus-master-off');
});

test('every access of memory names its origin and the address the device used', () => {
  const seen: AccessOrigin[] = [];
  const record = (...args: unknown[]) => seen.push({ ...(args.at(-1) as AccessOrigin) });
  const view = {
    sizeBytes: 0x10000,
    contains: () => true,
    write: record,
    readInto: record,
    loadU16BE: record,
    storeU32BE: record,
  } as unknown as HostView;
  const windows = new DmaWindowSet({ liobn: 1, defaultBytes: 2 ** 20, memoryBytes: 2 ** 30 });
  const accesses: string[] = [];
  const faults: [DmaFault, string][] = [];
  const space = new DmaSpace({
    view,
    windows,
    mode: 'platform',
    events: {
      access: ({ access, gra, lenBytes }) => accesses.push(`${access} ${gra.toString(16)}/${lenBytes}`),
      fault: (what, who) => faults.push([what, who.name]),
    },
  });
  space.enabled = true;
  windows.all()[0].set(0, 0, 0x3003);
  windows.all()[0].set(1, 0, 0x7003);
  const queue = deviceOrigin('net', 1);
  queue.descriptor = 9;
  space.write(0xffe, new Uint8Array(6), queue);
  space.loadU16LE(0x1000, queue);
  space.storeU32LE(0xffc, 1, queue);
  const at = { kind: 'device', name: 'net', queue: 1, descriptor: 9, use: 'queue' };
  expect(seen).toEqual([0xffe, 0x1000, 0x1000, 0xffc].map((busAddress) => ({ ...at, busAddress })));
  expect(accesses).toEqual(['write 3ffe/2', 'write 7000/4', 'read 7000/2', 'write 3ffc/4']);
  space.loadU8(0x2000, queue);
  expect(faults).toEqual([[fault('not-mapped', 'read', 0x2000, 'platform'), 'net']]);
  expect(dmaFaultText(faults[0][0])).toBe('read of bus address 0x2000: no page is mapped there');
});

test('an empty transfer is none', () => {
  const { space } = bench('platform');
  expect(space.write(Number.NaN, new Uint8Array(0), origin)).toBeUndefined();
  expect(space.check(Number.NaN, 0, 'read')).toBeUndefined();
});
