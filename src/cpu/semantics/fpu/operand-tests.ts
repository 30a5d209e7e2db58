// Operand tests: whether software division or square root needs care, and data classes (ISA 3.0B I 4.6.6.1, 7.6.3).

import type { I32, I64 } from '../../../wasm/ir.ts';
import { FRACTION, INFINITY } from './format.ts';

/** What the tests need to know of a format that is narrower than 64 bits. */
export interface TestFormat {
  readonly fractionBits: number;
  readonly exponentBits: number;
}
export const DOUBLE_TEST: TestFormat = { fractionBits: 52, exponentBits: 11 };
export const SINGLE_TEST: TestFormat = { fractionBits: 23, exponentBits: 8 };

function parts(bits: I64, format: TestFormat) {
  const width = format.fractionBits + format.exponentBits;
  const top = (1 << format.exponentBits) - 1;
  const magnitude = bits.and((1n << BigInt(width)) - 1n);
  const field = magnitude.shrU(format.fractionBits).wrap();
  const fraction = magnitude.and((1n << BigInt(format.fractionBits)) - 1n);
  return {
    negative: bits.shrU(width).and(1).wrap(),
    field,
    special: field.eq(top),
    nan: field.eq(top).and(fraction.ne(0n)),
    infinity: field.eq(top).and(fraction.eqz()),
    zero: magnitude.eqz(),
    denormal: field.eqz().and(fraction.ne(0n)),
  };
}

/** 1 || fg || fe || 0 (8 4 2 1) for a divided by b: fe when Newton-Raphson steps may go wrong. */
export function testDivide(a: I64, b: I64, format = DOUBLE_TEST): I32 {
  const [x, y] = [parts(a, format), parts(b, format)];
  const bias = (1 << (format.exponentBits - 1)) - 1;
  const minimum = 1 - bias;
  // Exponents here are biased: e is field - bias.
  const distance = x.field.sub(y.field);
  const risky = x.zero.eqz().and(
    distance
      .geS(bias)
      .or(distance.leS(minimum + 1))
      .or(x.field.sub(bias).leS(minimum + format.fractionBits)),
  );
  const fe = x.special
    .or(y.special)
    .or(y.zero)
    .or(y.field.sub(bias).leS(minimum))
    .or(y.field.sub(bias).geS(bias - 2))
    .or(risky);
  const fg = x.infinity.or(y.infinity).or(y.zero).or(y.denormal);
  return fe.shl(1).or(fg.shl(2)).or(8);
}

/** The same for the square root of b. */
export function testSquareRoot(b: I64, format = DOUBLE_TEST): I32 {
  const y = parts(b, format);
  const bias = (1 << (format.exponentBits - 1)) - 1;
  const minimum = 1 - bias;
  const fe = y.special
    .or(y.zero)
    .or(y.negative)
    .or(y.field.sub(bias).leS(minimum + format.fractionBits));
  const fg = y.infinity.or(y.zero).or(y.denormal);
  return fe.shl(1).or(fg.shl(2)).or(8);
}

/** 1 if the number is in one of the classes of `dcmx`: NaN, +inf, -inf, +0, -0, +denormal, -denormal from 64 to 1. */
export function testDataClass(bits: I64, dcmx: I32, format = DOUBLE_TEST): I32 {
  const x = parts(bits, format);
  const bit = (mask: number) => dcmx.and(mask).ne(0);
  const signed = (positive: number, negative: number) =>
    x.negative.and(bit(negative)).or(x.negative.eqz().and(bit(positive)));
  return x.nan
    .and(bit(64))
    .or(x.infinity.and(signed(32, 16)))
    .or(x.zero.and(signed(8, 4)))
    .or(x.denormal.and(signed(2, 1)));
}

/** Significand with the implicit bit, for extracting it: none for zeros, denormals, infinities and NaNs. */
export function significandOf(bits: I64): I64 {
  const field = bits.and(INFINITY);
  const implicit = field.ne(0n).and(field.ne(INFINITY)).extendU().shl(52);
  return bits.and(FRACTION).or(implicit);
}
