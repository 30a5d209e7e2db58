import { expect, test } from 'vitest';
import { DYNAMIC_WINDOW_BASE } from './bus-address.ts';
import { NOT_MAPPED, NOT_PERMITTED, TceTable } from './tce-table.ts';

test('an entry maps its page with its permissions', () => {
  const table = new TceTable({ liobn: 0x80000000, base: 0, pageShift: 12, entries: 256 });
  table.set(3, 0, 0x0012_3003);
  table.set(4, 0, 0x0045_6001);
  table.set(5, 0, 0x0078_9002);
  expect(table.translate(0x3abc, 'read')).toBe(0x0012_3abc);
  expect(table.translate(0x3abc, 'write')).toBe(0x0012_3abc);
  expect(table.translate(0x4000, 'read')).toBe(0x0045_6000);
  expect(table.translate(0x4000, 'write')).toBe(NOT_PERMITTED);
  expect(table.translate(0x5fff, 'write')).toBe(0x0078_9fff);
  expect(table.translate(0x5fff, 'read')).toBe(NOT_PERMITTED);
  expect(table.translate(0x6000, 'read')).toBe(NOT_MAPPED);
  table.clear();
  expect(table.translate(0x3abc, 'read')).toBe(NOT_MAPPED);
});

test.each([12, 16, 21, 24, 28])(
  'pages of 2^%i bytes, with stray low bits in the entry, in the high window',
  (pageShift) => {
    const table = new TceTable({ liobn: 1, base: DYNAMIC_WINDOW_BASE, pageShift, entries: 8 });
    const page = 2 ** pageShift;
    // Bits of the address below the page size mean nothing.
    table.set(7, 0x12, 0x3000_0ff3);
    const start = 0x12_3000_0000;
    expect(table.translate(DYNAMIC_WINDOW_BASE + 8 * page - 1, 'write')).toBe(start + page - 1);
    expect(table.sizeBytes).toBe(8 * page);
    expect(table.contains(DYNAMIC_WINDOW_BASE + 8 * page - 1)).toBe(true);
    expect(table.contains(DYNAMIC_WINDOW_BASE + 8 * page)).toBe(false);
    expect(table.contains(DYNAMIC_WINDOW_BASE - 1)).toBe(false);
    expect(table.indexOf(DYNAMIC_WINDOW_BASE + 7 * page + 5)).toBe(7);
    expect(table.indexOf(0)).toBe(-1);
    expect(table.indexOf(Number.NaN)).toBe(-1);
  },
);

test('an entry beyond all memory stays there', () => {
  const table = new TceTable({ liobn: 1, base: 0, pageShift: 16, entries: 1 });
  table.set(0, 0xffff_ffff, 0xffff_ffff);
  expect(table.translate(0x1234, 'write')).toBeGreaterThanOrEqual(2 ** 52);
  expect([table.high(0), table.low(0)]).toEqual([0xffff_ffff, 0xffff_ffff]);
});
