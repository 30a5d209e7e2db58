// Fused multiply-add of four singles, exactly rounded to nearest, with SIMD operations on doubles.
//
// The product of two singles is exact in a double. Its sum with the addend is rounded to odd (what was lost shows in the
// last bit), which a second rounding, to single, cannot tell from the exact sum: 53 bits are more than 2 * 24 + 2.

import type { FunctionBuilder, V128 } from '../../../wasm/ir.ts';

const upperToLower = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
const lowerHalves = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];

/** a * c + b of two doubles that hold singles, rounded to odd. */
function fusedToOdd(fn: FunctionBuilder, a: V128, c: V128, b: V128): V128 {
  const product = a.bin('f64x2.mul', c);
  const sum = product.bin('f64x2.add', b);
  const virtual = sum.bin('f64x2.sub', product);
  const error = product.bin('f64x2.sub', sum.bin('f64x2.sub', virtual)).bin('f64x2.add', b.bin('f64x2.sub', virtual));
  // Not a NaN, which the error of an infinite sum is.
  const inexact = error.un('f64x2.abs').bin('f64x2.gt', fn.v128(0n));
  const tooLarge = error.xor(sum).shift('i64x2.shr_s', 63);
  const one = fn.v128((1n << 64n) | 1n);
  return sum.bin('i64x2.add', tooLarge.and(inexact)).or(inexact.and(one));
}

/** `value`: a * c + b. `odd`: the sums before the second rounding, of the lower and of the upper two lanes. */
export function fusedSingles(fn: FunctionBuilder, a: V128, c: V128, b: V128): { value: V128; odd: [V128, V128] } {
  const promote = (v: V128) => v.un('f64x2.promote_low_f32x4');
  const upper = (v: V128) => v.shuffle(v, upperToLower);
  const low = fusedToOdd(fn, promote(a), promote(c), promote(b));
  const high = fusedToOdd(fn, promote(upper(a)), promote(upper(c)), promote(upper(b)));
  const demote = (v: V128) => v.un('f32x4.demote_f64x2_zero');
  return { value: demote(low).shuffle(demote(high), lowerHalves), odd: [low, high] };
}
