// Fused multiply-add of four singles or two doubles, exactly rounded to nearest, with SIMD operations on doubles.
//
// The product of two singles is exact in a double. Its sum with the addend is rounded to odd (what was lost shows in the
// last bit), which a second rounding, to single, cannot tell from the exact sum: 53 bits are more than 2 * 24 + 2.
//
// For doubles the product is a double and an exact error (Dekker's product with Veltkamp's splitting); the addend is added
// to the error, both sums exactly, and what is left below the upper part is rounded to odd before the last addition
// (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Transactions on Computers 57 (4), 2008).

import type { FunctionBuilder, V128 } from '../../../wasm/ir.ts';

const upperToLower = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
const lowerHalves = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];

/** x + y as the nearest double and the exact rest. */
function twoSum(x: V128, y: V128): { sum: V128; error: V128 } {
  const sum = x.bin('f64x2.add', y);
  const virtual = sum.bin('f64x2.sub', x);
  const error = x.bin('f64x2.sub', sum.bin('f64x2.sub', virtual)).bin('f64x2.add', y.bin('f64x2.sub', virtual));
  return { sum, error };
}

/** x + y rounded to odd. */
function sumToOdd(fn: FunctionBuilder, x: V128, y: V128): V128 {
  const { sum, error } = twoSum(x, y);
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
  const low = sumToOdd(fn, promote(a).bin('f64x2.mul', promote(c)), promote(b));
  const high = sumToOdd(fn, promote(upper(a)).bin('f64x2.mul', promote(upper(c))), promote(upper(b)));
  return { value: narrow(low, high), odd: [low, high] };
}
/** Four singles from the doubles of lanes 0 and 1 and those of lanes 2 and 3. */
export function narrow(low: V128, high: V128): V128 {
  return low.un('f32x4.demote_f64x2_zero').shuffle(high.un('f32x4.demote_f64x2_zero'), lowerHalves);
}

function both(fn: FunctionBuilder, value: number): V128 {
  return fn.pureV128('f64x2.splat', [fn.f64(value)]);
}
/** The upper 26 bits of a significand, and the rest. */
function split(fn: FunctionBuilder, x: V128): { upper: V128; lower: V128 } {
  const scaled = x.bin('f64x2.mul', both(fn, 2 ** 27 + 1));
  const upper = scaled.bin('f64x2.sub', scaled.bin('f64x2.sub', x));
  return { upper, lower: x.bin('f64x2.sub', upper) };
}

/** a * c + b; the elements whose operands and results are such that it holds; of these, the exact ones. */
export function fusedDoubles(fn: FunctionBuilder, a: V128, c: V128, b: V128): { value: V128; fine: V128; exact: V128 } {
  const product = a.bin('f64x2.mul', c);
  const [x, y] = [split(fn, a), split(fn, c)];
  const times = (p: V128, q: V128) => p.bin('f64x2.mul', q);
  const error = times(x.upper, y.upper)
    .bin('f64x2.sub', product)
    .bin('f64x2.add', times(x.upper, y.lower))
    .bin('f64x2.add', times(x.lower, y.upper))
    .bin('f64x2.add', times(x.lower, y.lower));
  const small = twoSum(b, error);
  const large = twoSum(product, small.sum);
  const sum = large.sum.bin('f64x2.add', sumToOdd(fn, small.error, large.error));
  const isZero = (v: V128) => v.bin('f64x2.eq', fn.v128(0n));
  const noFactor = isZero(a).or(isZero(c));
  // Splitting must not overflow, the error of the product not underflow, the result not be tiny unless it is exact.
  const below = (v: V128, limit: number) => v.un('f64x2.abs').bin('f64x2.lt', both(fn, limit));
  const above = (v: V128, limit: number) => v.un('f64x2.abs').bin('f64x2.ge', both(fn, limit));
  const inRange = below(a, 2 ** 990)
    .and(below(c, 2 ** 990))
    .and(below(b, 2 ** 1020))
    .and(below(sum, 2 ** 1020));
  const ordinary = above(product, 2 ** -960).and(above(sum, 2 ** -1020).or(isZero(sum)));
  return {
    // Signs of zeros are right in the plain sum.
    value: product.bin('f64x2.add', b).bitselect(sum, noFactor),
    fine: inRange.and(ordinary.or(noFactor)),
    exact: isZero(small.error).and(isZero(large.error)),
  };
}
