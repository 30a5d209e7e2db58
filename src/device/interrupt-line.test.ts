import { expect, test } from 'vitest';
import { SharedInterruptLine } from './interrupt-line.ts';

test('the output is up while at least one input is, and told only of changes', () => {
  const levels: boolean[] = [];
  const line = new SharedInterruptLine({ setLevel: (asserted) => levels.push(asserted) });
  const a = line.input();
  const b = line.input();
  a.setLevel(false);
  expect(levels).toEqual([]);
  a.setLevel(true);
  a.setLevel(true);
  b.setLevel(true);
  a.setLevel(false);
  expect(levels).toEqual([true]);
  b.setLevel(false);
  b.setLevel(false);
  expect(levels).toEqual([true, false]);
  a.setLevel(true);
  expect(levels).toEqual([true, false, true]);
});
