import { expect, test } from 'vitest';
import { busAddressOf, busAddressText } from './bus-address.ts';
import { DmaWindowSet } from './dma-windows.ts';
import { MAX_TCES, type TceTable } from './tce-table.ts';

const GIB = 2 ** 30;
const windows = (memoryBytes = GIB) => new DmaWindowSet({ liobn: 0x80000000, defaultBytes: GIB, memoryBytes });

test('the default window: 32-bit addresses, 4 KiB pages', () => {
  const set = windows();
  const [window] = set.all();
  expect(window).toMatchObject({ liobn: 0x80000000, base: 0, pageShift: 12, entries: 262144 });
  expect(set.windowAt(GIB - 1)).toBe(window);
  expect(set.windowAt(GIB)).toBeUndefined();
  expect(set.windowAt(busAddressOf(2n ** 59n))).toBeUndefined();
  expect(set.windowAt(Number.NaN)).toBeUndefined();
});

test.each([
  [GIB, 0x147],
  [3584 * 2 ** 20, 0x147],
  [300 * 2 ** 20, 0x103],
  [304 * 2 ** 20, 0x107],
  [65 * 2 ** 20, 0x003],
])('memory of %i bytes: page sizes that fill it, as mask %x', (memoryBytes, mask) => {
  expect(windows(memoryBytes).query()).toEqual({ windowsAvailable: 1, maxTces: MAX_TCES, pageSizeMask: mask });
});

test('a dynamic window starts at 2^59 and there is one beside the default window', () => {
  const set = windows();
  const window = set.create(24, 30) as TceTable;
  expect(window).toMatchObject({ liobn: 0x80000001, pageShift: 24, entries: 64 });
  expect(busAddressText(window.base)).toBe('0x800000000000000');
  expect(set.query().windowsAvailable).toBe(0);
  expect(set.create(24, 30)).toBe('full');
  expect(set.windowAt(busAddressOf(2n ** 59n + 2n ** 30n - 1n))).toBe(window);
  expect(set.remove(0x80000001)).toBe(true);
  expect(set.remove(0x80000001)).toBe(false);
  expect(set.windowAt(window.base)).toBeUndefined();
});

test('without the default window there may be two dynamic ones, apart; a reset restores the default one, empty', () => {
  const set = windows();
  set.all()[0].set(0, 0, 0x1003);
  expect(set.remove(0x80000000)).toBe(true);
  const first = set.create(16, 30) as TceTable;
  const second = set.create(28, 50) as TceTable;
  expect(set.windowAt(second.base + 2 ** 50 - 1)).toBe(second);
  expect(set.windowAt(second.base - 1)).toBeUndefined();
  expect(first.base).toBeLessThan(second.base);
  expect(set.create(16, 30)).toBe('full');
  // A number that became free is used again.
  set.remove(first.liobn);
  expect((set.create(12, 20) as TceTable).liobn).toBe(first.liobn);
  set.reset();
  expect(set.all().map(({ liobn }) => liobn)).toEqual([0x80000000]);
  expect(set.all()[0].low(0)).toBe(0);
});

test.each([
  [13, 30],
  [30, 30],
  [16, 0],
  [16, 15],
  [12, 12 + Math.log2(MAX_TCES) + 1],
  [0, 0],
  [16, 0xffff_ffff],
  [0xffff_ffff, 0xffff_ffff],
  [24, 63],
])('a window of pages 2^%i and size 2^%i is refused', (pageShift, windowShift) => {
  expect(windows().create(pageShift, windowShift)).toBe('parameter');
});
