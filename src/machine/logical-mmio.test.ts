import { expect, test } from 'vitest';
import { RamHandler } from '../../tests/support/pci-bench.ts';
import { AddressMap } from '../device/address-map.ts';
import { logicalMmio } from './logical-mmio.ts';

const BASE = 0x2100_0000_0000;

function bench() {
  const map = new AddressMap();
  const handler = new RamHandler(0x100);
  map.add({ base: BASE, sizeBytes: 0x100, name: 'registers', handler, rank: 0 });
  return { handler, port: logicalMmio(map) };
}

test.each([
  [1, 0x11n, [0x11]],
  [2, 0x1122n, [0x11, 0x22]],
  [4, 0x1122_3344n, [0x11, 0x22, 0x33, 0x44]],
  [8, 0x1122_3344_5566_7788n, [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]],
])('%i bytes are as a big-endian access sees them', (sizeBytes, value, bytes) => {
  const { handler, port } = bench();
  expect(port.store(BASE + 0x10, sizeBytes, value)).toBe(true);
  expect([...handler.bytes.subarray(0x10, 0x10 + sizeBytes)]).toEqual(bytes);
  expect(port.load(BASE + 0x10, sizeBytes)).toBe(value);
});

test('where nothing is, it says so', () => {
  const { port } = bench();
  expect(port.load(BASE + 0x100, 4)).toBeUndefined();
  expect(port.store(BASE - 4, 4, 0n)).toBe(false);
});
