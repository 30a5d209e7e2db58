import { expect, test } from 'vitest';
import {
  busAddress,
  busAddressAt,
  busAddressOf,
  busAddressText,
  busAddressWords,
  DYNAMIC_WINDOW_BASE,
  DYNAMIC_WINDOW_END,
  NO_BUS_ADDRESS,
} from './bus-address.ts';

test.each([
  [0n, 0],
  [0x8000_0000n, 2 ** 31],
  [2n ** 52n - 1n, 2 ** 52 - 1],
  [2n ** 59n, DYNAMIC_WINDOW_BASE],
  [2n ** 59n + 0x1_2345_6789n, DYNAMIC_WINDOW_BASE + 0x1_2345_6789],
  [2n ** 59n + 2n ** 51n - 1n, DYNAMIC_WINDOW_END - 1],
])('%x is an address, there and back', (value, address) => {
  expect(busAddressOf(value)).toBe(address);
  const { high, low } = busAddressWords(address);
  expect((BigInt(high) << 32n) | BigInt(low)).toBe(value);
  expect(busAddressText(address)).toBe(`0x${value.toString(16)}`);
});

test.each([2n ** 52n, 2n ** 53n, 2n ** 59n - 1n, 2n ** 59n + 2n ** 51n, 2n ** 63n, 2n ** 64n - 1n])(
  '%x leads nowhere',
  (value) => {
    const address = busAddressOf(value);
    expect(address).toBeNaN();
    expect(address >= 0 || address < 0).toBe(false);
    expect(busAddressText(address)).toMatch(/beyond all windows/);
    expect(busAddressWords(address)).toEqual({ high: 0xffff_ffff, low: 0xffff_ffff });
  },
);

test('offsets are added exactly, and no offset leads from one stretch into the other', () => {
  const base = busAddressOf(2n ** 59n + 0xffff_fff0n);
  expect(busAddressText(base + 0x20)).toBe(`0x${(2n ** 59n + 0x1_0000_0010n).toString(16)}`);
  expect(DYNAMIC_WINDOW_END - 1 + 2 ** 51 - 1).toBeLessThan(0);
  expect(NO_BUS_ADDRESS + 5).toBeNaN();
});

test('words are taken modulo 2^32, also from memory', () => {
  expect(busAddress(-1, 0)).toBeNaN();
  expect(busAddress(0, -1)).toBe(0xffff_ffff);
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(4, 0xf_3456_789a_bcden, true);
  expect(busAddressAt(view, 4)).toBe(0xf_3456_789a_bcde);
});
