// The exact model of binary floating point against values known from IEEE 754, and against QEMU: every operand set of every
// instruction it has, where every difference but those of known-differences.ts is a failure.

import { describe, expect, test } from 'vitest';
import { instruction } from '../../src/cpu/isa/table.ts';
import { Expectation } from './expectation.ts';
import { type FloatDifference, floatDifferences } from './known-differences.ts';
import { missingTools, Oracle } from './oracle.ts';
import {
  decodeFloat,
  double,
  encodeFloat,
  half,
  quad,
  quotientOf,
  rootOf,
  round,
  rounding,
  roundToInteger,
  single,
  sumOf,
} from './reference-float.ts';
import { hasModel } from './reference-instructions.ts';
import { namedSlots } from './runner.ts';
import { covered } from './selection.ts';
import { diffText, SlotState, sameState } from './state.ts';
import { applyVector, makeBlock } from './vectors.ts';

const bitsOf = (value: number) => new BigUint64Array(new Float64Array([value]).buffer)[0];
const floatOf = (value: number) => decodeFloat(bitsOf(value), double);

describe('exact arithmetic', () => {
  const numbers = [1, 3, 0.1, 1 / 3, 1e300, 2 ** -1074, 1.5e-310, Math.PI, 123456789, 2 ** 53 - 1, 7e-200];

  test('agrees with the host on doubles rounded to nearest', () => {
    for (const a of numbers) {
      for (const b of numbers) {
        const sum = sumOf(floatOf(a), floatOf(b), rounding.nearest);
        const quotient = quotientOf(floatOf(a), floatOf(b));
        const nearest = (x: { negative: boolean; m: bigint; e: number; sticky: boolean }) =>
          encodeFloat(round(double, x.negative, x.m, x.e, x.sticky, rounding.nearest).value, double);
        expect(nearest(sum)).toBe(bitsOf(a + b));
        expect(nearest(quotient)).toBe(bitsOf(a / b));
      }
      const root = rootOf(floatOf(a));
      const rounded = round(double, false, root.m, root.e, root.sticky, rounding.nearest);
      expect(encodeFloat(rounded.value, double)).toBe(bitsOf(Math.sqrt(a)));
      expect(encodeFloat(round(single, false, floatOf(a).m, floatOf(a).e, false, 0).value, double)).toBe(
        bitsOf(Math.fround(a)),
      );
    }
  });

  test('rounds to odd, away and towards both infinities', () => {
    const tenth = floatOf(0.1);
    const to = (mode: number) => encodeFloat(round(half, false, tenth.m, tenth.e, false, mode).value, half);
    expect([rounding.nearest, rounding.zero, rounding.up, rounding.odd].map(to)).toEqual([
      0x2e66n,
      0x2e66n,
      0x2e67n,
      0x2e67n,
    ]);
    expect(roundToInteger(floatOf(2.5), rounding.away)).toEqual({ magnitude: 3n, inexact: true, increased: true });
    expect(roundToInteger(floatOf(2.5), rounding.nearest)).toEqual({ magnitude: 2n, inexact: true, increased: false });
  });

  test('every half, and quads of many kinds, survive decoding and encoding', () => {
    for (let bits = 0n; bits < 0x10000n; bits++) {
      const value = decodeFloat(bits, half);
      expect(encodeFloat(value, half)).toBe(value.kind === 'signalling' ? bits | 0x200n : bits);
    }
    for (const bits of [1n, 1n << 112n, (0x7ffen << 112n) | 5n, 0x7fffn << 112n, 1n << 127n])
      expect(encodeFloat(decodeFloat(bits, quad), quad)).toBe(bits);
  });

  test('an enabled overflow or underflow delivers the adjusted exponent', () => {
    const big = round(double, false, 1n, 1024, false, rounding.nearest, true);
    expect([big.overflow, encodeFloat(big.value, double)]).toEqual([true, bitsOf(2 ** (1024 - 1536))]);
    const small = round(single, true, 3n, -160, false, rounding.nearest, false, true);
    expect([small.tiny, small.inexact, encodeFloat(small.value, double)]).toEqual([
      true,
      false,
      bitsOf(-3 * 2 ** (-160 + 192)),
    ]);
  });
});

test.skipIf(missingTools() !== undefined)('the model and QEMU differ only as known', { timeout: 600_000 }, async () => {
  const oracle = new Oracle();
  const [before, qemu, model] = [new SlotState(), new SlotState(), new SlotState()];
  const failures: string[] = [];
  const needed = new Set<FloatDifference>();
  for (const op of covered.map((entry) => entry.op).filter(hasModel)) {
    const entry = instruction(op);
    const expectation = new Expectation(op);
    // A quarter of the blocks; the others meet the model in live.test.ts and when recording.
    const blocks = Array.from({ length: 10 }, (_, index) => makeBlock(entry, index));
    const answers = await Promise.all(blocks.map((block) => oracle.run(block)));
    search: for (const [index, block] of blocks.entries()) {
      for (let v = 0; v < block.vectors; v++) {
        const [word] = block.programs[block.programOf[v]];
        applyVector(block, v, before);
        qemu.copyFrom(before);
        answers[index].read(v, qemu);
        expectation.prepare(word, before);
        for (const difference of floatDifferences) {
          if (needed.has(difference)) {
            difference.reconcile(entry, word, before, qemu, expectation.model);
            continue;
          }
          model.copyFrom(qemu);
          difference.reconcile(entry, word, before, qemu, expectation.model);
          if (!sameState(model, qemu)) needed.add(difference);
        }
        model.copyFrom(expectation.model);
        expectation.mask(model);
        expectation.mask(qemu);
        if (sameState(model, qemu)) continue;
        failures.push(
          `${op}, block ${index}, vector ${v}; expected: the model, actual: QEMU\n${diffText(before, model, qemu, namedSlots(entry, word))}`,
        );
        break search;
      }
    }
  }
  oracle.close();
  expect(failures.join('\n\n')).toBe('');
  // An entry that excuses nothing any more is to be removed.
  expect(floatDifferences.filter((difference) => !needed.has(difference)).map(({ what }) => what)).toEqual([]);
});
