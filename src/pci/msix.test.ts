import { expect, test } from 'vitest';
import { MsixUnit } from './msix.ts';

const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;

function bench(vectors = 3) {
  const sent: string[] = [];
  const unit = new MsixUnit(
    vectors,
    (high, low, data) => sent.push(`${high.toString(16)}:${low.toString(16)}=${data.toString(16)}`),
    () => sent.push('changed'),
  );
  for (let vector = 0; vector < vectors; vector++) unit.program(vector, 0x400, 0, 0x1300 + vector);
  const unmask = (vector: number) => unit.handler.store(16 * vector + 12, 4, 0);
  return { unit, sent, unmask };
}

test.each([
  [1, 0x1000, 0x800],
  [128, 0x1000, 0x800],
  [129, 0x2000, 0x1000],
  [2048, 0x10000, 0x8000],
])('%i vectors take a BAR of %x bytes, pending bits at %x', (vectors, barBytes, pendingOffset) => {
  const { unit } = bench(vectors);
  expect(unit).toMatchObject({ barBytes, pendingOffset });
  expect(unit.handler.load(barBytes - 4, 4)).toBe(0);
});

test('does nothing while it is off, and tells when it is switched', () => {
  const { unit, sent, unmask } = bench();
  unmask(1);
  expect(unit.notify(1)).toBe(false);
  unit.setControl(ENABLE | 2);
  expect(unit.enabled).toBe(true);
  expect(unit.notify(1)).toBe(true);
  expect(unit.notify(3)).toBe(false);
  expect(unit.notify(-1)).toBe(false);
  unit.setControl(2);
  expect(sent).toEqual(['changed', '400:0=1301', 'changed']);
});

test('masked vectors stay pending, visible in the pending bits, and go out once when unmasked', () => {
  const { unit, sent, unmask } = bench(40);
  unit.setControl(ENABLE | FUNCTION_MASK);
  sent.length = 0;
  unmask(0);
  unit.notify(0);
  unit.notify(39);
  unit.notify(39);
  expect(unit.handler.load(0x800, 4)).toBe(1);
  expect(unit.handler.load(0x804, 4)).toBe(0x80);
  expect(unit.handler.load(0x804, 1)).toBe(0x80);
  unit.setControl(ENABLE);
  expect(sent).toEqual(['400:0=1300']);
  unmask(39);
  expect(sent).toEqual(['400:0=1300', '400:0=1327']);
  expect(unit.handler.load(0x800, 4)).toBe(0);
  expect(unit.handler.load(0x804, 4)).toBe(0);
  unmask(39);
  expect(sent.length).toBe(2);
});

test('the table can be read and written; only the mask bit of the control word sticks', () => {
  const { unit } = bench();
  const { handler } = unit;
  expect([0, 4, 8, 12].map((offset) => handler.load(16 + offset, 4))).toEqual([0, 0x400, 0x1301, 1]);
  handler.store(16, 4, 0xffff_ffff);
  handler.store(20, 4, 0xffff_fff0);
  handler.store(24, 4, 0x8765_4321);
  handler.store(28, 4, 0xffff_fffe);
  expect([0, 4, 8, 12].map((offset) => handler.load(16 + offset, 4))).toEqual([
    0xffff_fffc, 0xffff_fff0, 0x8765_4321, 0,
  ]);
  handler.store(24, 1, 0xff);
  handler.store(26, 2, 0x1122);
  expect(handler.load(24, 4)).toBe(0x1122_43ff);
  expect(handler.load(27, 1)).toBe(0x11);
  // Pending bits are read-only.
  handler.store(0x800, 4, 7);
  expect(handler.load(0x800, 4)).toBe(0);
});

test('programming a vector keeps its mask bit; a reset masks all and forgets', () => {
  const { unit, sent, unmask } = bench();
  unmask(2);
  unit.setControl(ENABLE);
  unit.program(2, 0, 0xfee0_0000, 7);
  unit.notify(2);
  expect(sent.at(-1)).toBe('0:fee00000=7');
  unit.notify(1);
  unit.reset();
  unit.setControl(ENABLE);
  expect([0, 4, 8, 12].map((offset) => unit.handler.load(32 + offset, 4))).toEqual([0, 0, 0, 1]);
  expect(unit.handler.load(0x800, 4)).toBe(0);
  unit.notify(2);
  expect(sent.at(-1)).toBe('0:fee00000=7');
});
