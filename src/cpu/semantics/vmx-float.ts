// Vector single-precision floating point of VMX (ISA 3.0B I 6.6, 6.10): always rounded to nearest, without exceptions or
// FPSCR. With VSCR[NJ] denormal operands count as zeros, and results that are tiny before rounding become zeros.
//
// The estimates are more exact than required: a division, a root and a division, and power and logarithm by polynomials
// that miss the correctly rounded value by at most one unit in the last place.

import type { FunctionBuilder, I32, V128 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { exponential2, logarithm2 } from './fpu/estimates.ts';
import { fusedSingles } from './fpu/simd-fused.ts';
import { simdIntegral } from './fpu/vector.ts';
import { runtimeFunction } from './runtime.ts';
import { constantLanes, recordCompare, saturated } from './vector-elements.ts';

const words = (fn: FunctionBuilder, value: number) => constantLanes(fn, 4, value);
const SIGN = 0x8000_0000;
const QUIET = 0x0040_0000;
const DEFAULT_NAN = 0x7fc0_0000;
const LEAST_NORMAL = 0x0080_0000;

const nanLanes = (v: V128) => v.bin('f32x4.ne', v);
const magnitude = (v: V128) => v.andnot(words(v.fn, SIGN));

/** Denormals as zeros of their sign if `nj`. */
function flushed(v: V128, nj: I32): V128 {
  const { fn } = v;
  const tiny = magnitude(v).bin('i32x4.lt_u', words(fn, LEAST_NORMAL));
  const gone = tiny.and(fn.splat32(nj.neg())).andnot(words(fn, SIGN));
  return v.andnot(gone);
}

/** `result`, but where it is a NaN the first operand that is one, made quiet, or the default NaN. */
const withOperandNaNs2 = runtimeFunction('vmx.operandNaNs2', ['v128', 'v128', 'v128'], 'v128', (fn) => {
  const [result, a, b] = [0, 1, 2].map((index) => fn.param('v128', index));
  fn.return(operandNaNs(result, [a, b]));
});
const withOperandNaNs3 = runtimeFunction('vmx.operandNaNs3', ['v128', 'v128', 'v128', 'v128'], 'v128', (fn) => {
  const [result, a, b, c] = [0, 1, 2, 3].map((index) => fn.param('v128', index));
  fn.return(operandNaNs(result, [a, b, c]));
});
function operandNaNs(result: V128, operands: readonly V128[]): V128 {
  const { fn } = result;
  let nan = words(fn, DEFAULT_NAN);
  for (const operand of operands.toReversed()) {
    nan = operand.or(words(fn, QUIET)).bitselect(nan, nanLanes(operand));
  }
  return nan.bitselect(result, nanLanes(result));
}
/** VRT := result with the operands' NaNs, which are rare. */
function setNumbers(s: Emitter, result: V128, operands: readonly V128[]): void {
  const { fn } = s;
  const f = operands.length === 3 ? withOperandNaNs3 : withOperandNaNs2;
  const args = operands.length === 1 ? [...operands, ...operands] : operands;
  const value = fn.choose(
    nanLanes(result).test('v128.any_true'),
    () => fn.call('v128', s.runtime(f), [result, ...args]),
    () => result,
    false,
  );
  s.setVr('vrt', value);
}

function binary(op: string): Semantics {
  return (s) => {
    const nj = s.state32('vscrNj');
    const [a, b] = [flushed(s.vr('vra'), nj), flushed(s.vr('vrb'), nj)];
    // The sum of two singles is exact when it is tiny: rounding does not hide that.
    setNumbers(s, flushed(a.bin(op, b), nj), [a, b]);
  };
}

/** a * c + b; if `nj`, 0 of its sign where that is tiny before rounding. */
function fusedAndFlushed(fn: FunctionBuilder, a: V128, c: V128, b: V128, nj: I32): V128 {
  const { value, odd } = fusedSingles(fn, a, c, b);
  // Tiny before rounding: the sums say so, in the halves of the result.
  const least = fn.splat64(fn.i64(0x381n << 52n));
  const [low, high] = odd.map((v) => v.un('f64x2.abs').bin('f64x2.lt', least));
  const tiny = low.shuffle(high, [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]);
  return value.andnot(tiny.and(fn.splat32(nj.neg())).andnot(words(fn, SIGN)));
}
const fusedSlowly = runtimeFunction('vmx.fused', ['v128', 'v128', 'v128', 'i32'], 'v128', (fn) => {
  const [a, c, b] = [0, 1, 2].map((index) => fn.param('v128', index));
  fn.return(fusedAndFlushed(fn, a, c, b, fn.param32(3)));
});

/** A * C + B, or its negative with B taken away. */
function fused(negative: boolean): Semantics {
  return (s) => {
    const { fn } = s;
    const nj = s.state32('vscrNj');
    const [a, b, c] = ['vra', 'vrb', 'vrc'].map((field) => flushed(s.vr(field), nj));
    const addend = negative ? b.un('f32x4.neg') : b;
    const slowly = () => fn.call('v128', s.runtime(fusedSlowly), [a, c, addend, nj]);
    let sum: V128;
    if (s.fuses) {
      const once = fn.pureV128('f32x4.relaxed_madd', [a, c, addend]);
      // The smallest normal number may be a tiny one rounded up.
      const least = magnitude(once).bin('i32x4.eq', words(fn, LEAST_NORMAL)).test('v128.any_true');
      sum = fn.choose(least, slowly, () => flushed(once, nj), false);
    } else sum = slowly();
    setNumbers(s, negative ? sum.un('f32x4.neg') : sum, [a, b, c]);
  };
}

/** Of equal ones the positive or the negative zero; NaNs win. */
function extreme(larger: boolean): Semantics {
  return (s) => {
    const nj = s.state32('vscrNj');
    const [a, b] = [flushed(s.vr('vra'), nj), flushed(s.vr('vrb'), nj)];
    setNumbers(s, a.bin(larger ? 'f32x4.max' : 'f32x4.min', b), [a, b]);
  };
}

function integral(mode: 'zero' | 'up' | 'down' | 'current'): Semantics {
  return (s) => {
    const b = flushed(s.vr('vrb'), s.state32('vscrNj'));
    setNumbers(s, simdIntegral(b, mode, 'single'), [b]);
  };
}

/** 2 to the power of `exponent` (0 to 31, negated if `negative`) in all elements. */
function scale(fn: FunctionBuilder, exponent: I32, negative: boolean): V128 {
  const bias = fn.i32(127);
  return fn.splat32((negative ? bias.sub(exponent) : bias.add(exponent)).shl(23));
}

/** Times 2^UIM, toward zero, saturated; NaNs become 0. */
function toFixed(signed: boolean): Semantics {
  return (s) => {
    const { fn } = s;
    const b = flushed(s.vr('vrb'), s.state32('vscrNj'));
    // Denormals scaled up stay below 1; what overflows a single saturates as infinity does.
    const scaled = b.bin('f32x4.mul', scale(fn, s.field('uim'), false));
    const value = scaled.un(`i32x4.trunc_sat_f32x4_${signed ? 's' : 'u'}`);
    const above = scaled.bin('f32x4.ge', words(fn, signed ? 0x4f00_0000 : 0x4f80_0000));
    // Between 0 and -1 an unsigned result is 0 without saturating.
    const below = signed
      ? scaled.bin('f32x4.lt', words(fn, 0xcf00_0000))
      : scaled.bin('f32x4.le', words(fn, 0xbf80_0000));
    saturated(s, above.or(below).test('v128.any_true'));
    s.setVr('vrt', value);
  };
}

/** Rounded to a single, then divided by 2^UIM, which is exact. */
function fromFixed(signed: boolean): Semantics {
  return (s) => {
    const numbers = s.vr('vrb').un(`f32x4.convert_i32x4_${signed ? 's' : 'u'}`);
    s.setVr('vrt', numbers.bin('f32x4.mul', scale(s.fn, s.field('uim'), true)));
  };
}

function compare(op: 'eq' | 'ge' | 'gt'): Semantics {
  return (s) => {
    const nj = s.state32('vscrNj');
    const result = flushed(s.vr('vra'), nj).bin(`f32x4.${op}`, flushed(s.vr('vrb'), nj));
    s.setVr('vrt', result);
    if (s.flag('rc')) recordCompare(s, result);
  };
}

/** Bit 0: above B, bit 1: below -B. */
function compareBounds(s: Emitter): void {
  const { fn } = s;
  const nj = s.state32('vscrNj');
  const [a, b] = [flushed(s.vr('vra'), nj), flushed(s.vr('vrb'), nj)];
  const above = a.bin('f32x4.le', b).not().and(words(fn, SIGN));
  const below = a.bin('f32x4.ge', b.un('f32x4.neg')).not().and(words(fn, 0x4000_0000));
  const result = above.or(below);
  s.setVr('vrt', result);
  if (s.flag('rc')) s.setCrField(6, result.test('v128.any_true').eqz().shl(1));
}

function reciprocal(root: boolean): Semantics {
  return (s) => {
    const { fn } = s;
    const nj = s.state32('vscrNj');
    const b = flushed(s.vr('vrb'), nj);
    const one = words(fn, 0x3f80_0000);
    const value = one.bin('f32x4.div', root ? b.un('f32x4.sqrt') : b);
    setNumbers(s, flushed(value, nj), [b]);
  };
}

/** An estimate of each element by a function of doubles. */
function estimate(f: typeof exponential2): Semantics {
  return (s) => {
    const { fn } = s;
    const nj = s.state32('vscrNj');
    const b = flushed(s.vr('vrb'), nj);
    let result = b;
    for (let lane = 0; lane < 4; lane++) {
      const value = fn.call('f64', s.runtime(f), [b.extractF32(lane).promote()]);
      result = result.replace32(lane, value.demote().reinterpretI32());
    }
    setNumbers(s, flushed(result, nj), [b]);
  };
}

export const vmxFloat = {
  vaddfp: binary('f32x4.add'),
  vsubfp: binary('f32x4.sub'),
  vmaddfp: fused(false),
  vnmsubfp: fused(true),
  vmaxfp: extreme(true),
  vminfp: extreme(false),
  vctsxs: toFixed(true),
  vctuxs: toFixed(false),
  vcfsx: fromFixed(true),
  vcfux: fromFixed(false),
  vrfim: integral('down'),
  vrfin: integral('current'),
  vrfip: integral('up'),
  vrfiz: integral('zero'),
  vcmpbfp: compareBounds,
  vcmpeqfp: compare('eq'),
  vcmpgefp: compare('ge'),
  vcmpgtfp: compare('gt'),
  vexptefp: estimate(exponential2),
  vlogefp: estimate(logarithm2),
  vrefp: reciprocal(false),
  vrsqrtefp: reciprocal(true),
} satisfies SemanticsMap;
