import { expect, test } from 'vitest';
import { CONFIG_BYTES, ConfigSpace, headerOffset } from './config-space.ts';

test('the header registers are where PCI has them', () => {
  expect(headerOffset).toMatchObject({
    command: 0x04,
    status: 0x06,
    classCode: 0x09,
    headerType: 0x0e,
    bars: 0x10,
    subsystemVendorId: 0x2c,
    expansionRom: 0x30,
    capabilities: 0x34,
    interruptLine: 0x3c,
    interruptPin: 0x3d,
    maxLatency: 0x3f,
  });
});

test('software changes writable bits only, in accesses of any size', () => {
  const space = new ConfigSpace();
  for (let offset = 0; offset < CONFIG_BYTES; offset += 4) space.store(offset, 4, 0xffff_ffff);
  const changed = [...space.bytes].flatMap((byte, offset) => (byte ? [[offset, byte]] : []));
  expect(changed).toEqual([
    [0x04, 0x07],
    [0x05, 0x05],
    [0x0c, 0xff],
    [0x3c, 0xff],
  ]);
  space.store(0x05, 1, 0);
  expect(space.load(0x04, 2)).toBe(0x0007);
  space.set(0x02, 2, 0xabcd);
  expect(space.load(0x00, 4)).toBe(0xabcd_0000);
});

test('capabilities are chained in the order they were added, wherever they are', () => {
  const space = new ConfigSpace();
  expect(space.addCapability(0x11, 10, 0x98)).toBe(0x98);
  expect(space.addCapability(0x09, 14)).toBe(0x40);
  expect(space.addCapability(0x09, 18)).toBe(0x50);
  expect(space.addCapability(0x05, 22, 0x64)).toBe(0x64);
  const chain: number[] = [];
  for (let at = space.bytes[0x34]; at !== 0; at = space.bytes[at + 1]) chain.push(at);
  expect(chain).toEqual([0x98, 0x40, 0x50, 0x64]);
  expect(space.load(headerOffset.status, 2)).toBe(0x10);
  expect(() => space.addCapability(0x09, 2, 0x9c)).toThrow(/overlap at 0x9c/);
  expect(() => space.addCapability(0x09, 2, 0x3c)).toThrow(/cannot be at 0x3c/);
  expect(() => space.addCapability(0x09, 200)).toThrow(/no room/);
});
