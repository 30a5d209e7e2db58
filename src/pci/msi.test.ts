import { expect, test } from 'vitest';
import { ConfigSpace } from './config-space.ts';
import { MsiUnit } from './msi.ts';

function bench(vectors: number) {
  const space = new ConfigSpace();
  const sent: string[] = [];
  const unit = new MsiUnit(space, {
    vectors,
    at: 0x40,
    send: (high, low, data) => sent.push(`${high.toString(16)}:${low.toString(16)}=${data.toString(16)}`),
    changed: () => sent.push(unit.enabled ? 'on' : 'off'),
  });
  const write = (offset: number, lenBytes: number, value: number) => {
    space.store(offset, lenBytes, value);
    unit.configChanged(offset);
  };
  return { space, unit, sent, write };
}

test('the capability says 64 bits, masking and how many vectors', () => {
  expect([1, 2, 4, 8, 16, 32].map((vectors) => bench(vectors).space.load(0x42, 2))).toEqual([
    0x180, 0x182, 0x184, 0x186, 0x188, 0x18a,
  ]);
  expect(() => bench(3)).toThrow(/MSI with 3 vectors/);
});

test('the vector replaces the low bits of the data that the driver may use', () => {
  const { unit, sent, write } = bench(4);
  unit.program(0x400, 0, 0x1310);
  expect(unit.notify(0)).toBe(false);
  write(0x42, 2, 0x21);
  expect(unit.enabledVectors).toBe(4);
  unit.notify(3);
  expect(unit.notify(4)).toBe(false);
  write(0x42, 2, 0x11);
  unit.notify(3);
  // More than there are is as many as there are.
  write(0x42, 2, 0x71);
  expect(unit.enabledVectors).toBe(4);
  expect(sent).toEqual(['on', '400:0=1313', '400:0=1311']);
});

test('masked vectors stay pending and go out when unmasked', () => {
  const { unit, sent, write, space } = bench(2);
  unit.program(0x400, 0, 0x1400);
  write(0x42, 2, 0x11);
  write(0x50, 4, 0xffff_ffff);
  expect(space.load(0x50, 4)).toBe(3);
  unit.notify(1);
  unit.notify(1);
  expect(space.load(0x54, 4)).toBe(2);
  expect(sent).toEqual(['on']);
  write(0x50, 4, 1);
  expect(sent).toEqual(['on', '400:0=1401']);
  expect(space.load(0x54, 4)).toBe(0);
});

test('a reset switches it off and forgets address, data, masks and pending bits', () => {
  const { unit, sent, write, space } = bench(32);
  unit.program(0x400, 0x10, 0x1400);
  write(0x42, 2, 0x51);
  write(0x50, 4, 0x8000_0000);
  unit.notify(31);
  expect(space.load(0x54, 4)).toBe(0x8000_0000);
  unit.reset();
  expect(unit.enabled).toBe(false);
  expect([0x44, 0x48, 0x4c, 0x50, 0x54].map((offset) => space.load(offset, 4))).toEqual([0, 0, 0, 0, 0]);
  expect(space.load(0x42, 2)).toBe(0x18a);
  expect(sent).toEqual(['on']);
});
