// Vector integer arithmetic, compare, logic and counting (ISA 3.0B I 6.9, 6.13 to 6.17). Multiplication is in
// vmx-multiply.ts, rotates and shifts are in vmx-shift.ts.

import type { FunctionBuilder, I32, I64, V128 } from '../../wasm/ir.ts';
import type { Semantics, SemanticsMap } from './emitter.ts';
import {
  constantBytes,
  constantLanes,
  element32,
  element64,
  recordCompare,
  saturated,
  shape,
  vmxBinary,
  vmxTernary,
  vmxUnary,
  type Width,
} from './vector-elements.ts';

/** VRT := one WebAssembly instruction of VRA and VRB. */
function simple(op: string): Semantics {
  return vmxBinary((a, b) => a.bin(op, b));
}

/** A saturating operation of WebAssembly beside its modular twin; where they differ, it saturated. */
function saturating(op: string, modular: string): Semantics {
  return vmxBinary((a, b, s) => {
    const result = a.bin(op, b);
    saturated(s, result.xor(a.bin(modular, b)).test('v128.any_true'));
    return result;
  });
}

/** The most positive word where `overflow` has its sign bit and `sign` has not, the most negative where both; else `sum`. */
function clampWords(fn: FunctionBuilder, sum: V128, overflow: V128, sign: V128): { result: V128; any: I32 } {
  const limit = sign.shift('i32x4.shr_s', 31).xor(constantLanes(fn, 4, 0x7fff_ffff));
  const where = overflow.shift('i32x4.shr_s', 31);
  return { result: limit.bitselect(sum, where), any: where.test('v128.any_true') };
}

/** Signed words a + b, saturated; `any` tells whether one was. */
export function addSignedWords(fn: FunctionBuilder, a: V128, b: V128): { result: V128; any: I32 } {
  const sum = a.bin('i32x4.add', b);
  return clampWords(fn, sum, a.xor(sum).and(b.xor(sum)), a);
}
function subtractSignedWords(fn: FunctionBuilder, a: V128, b: V128): { result: V128; any: I32 } {
  const difference = a.bin('i32x4.sub', b);
  return clampWords(fn, difference, a.xor(b).and(a.xor(difference)), a);
}
/** Unsigned words a + b, saturated. */
export function addUnsignedWords(a: V128, b: V128): { result: V128; any: I32 } {
  const sum = a.bin('i32x4.add', b);
  const over = sum.bin('i32x4.lt_u', a);
  return { result: sum.or(over), any: over.test('v128.any_true') };
}
function subtractUnsignedWords(a: V128, b: V128): { result: V128; any: I32 } {
  const below = a.bin('i32x4.lt_u', b);
  return { result: a.bin('i32x4.sub', b).andnot(below), any: below.test('v128.any_true') };
}
function saturatingWords(f: (fn: FunctionBuilder, a: V128, b: V128) => { result: V128; any: I32 }): Semantics {
  return vmxBinary((a, b, s) => {
    const { result, any } = f(s.fn, a, b);
    saturated(s, any);
    return result;
  });
}

/** a + b + carry over 128 bits, and the carry out. */
export function addQuadword(
  fn: FunctionBuilder,
  a: V128,
  b: V128,
  carryIn: I64 | undefined,
): { sum: V128; carry: I64 } {
  const addWithCarry = (x: I64, y: I64, c: I64 | undefined): { sum: I64; carry: I64 } => {
    const first = x.add(y);
    const carry = first.ltU(x).extendU();
    if (!c) return { sum: first, carry };
    const sum = first.add(c);
    return { sum, carry: carry.or(sum.ltU(first).extendU()) };
  };
  const low = addWithCarry(element64(a, 1), element64(b, 1), carryIn);
  const high = addWithCarry(element64(a, 0), element64(b, 0), low.carry);
  return { sum: fn.v128From64(high.sum, low.sum), carry: high.carry };
}
/** Quadword addition; `minus` complements VRB, `extended` takes the carry from the last bit of VRC. */
function quadword(kind: 'sum' | 'carry', minus: boolean, extended: boolean): Semantics {
  return (s) => {
    const { fn } = s;
    const b = s.vr('vrb');
    const carryIn = extended ? element64(s.vr('vrc'), 1).and(1) : minus ? fn.i64(1) : undefined;
    const { sum, carry } = addQuadword(fn, s.vr('vra'), minus ? b.not() : b, carryIn);
    s.setVr('vrt', kind === 'sum' ? sum : fn.v128From64(fn.i64(0), carry));
  };
}

/** Doublewords a > b, unsigned. */
function greaterUnsigned64(fn: FunctionBuilder, a: V128, b: V128): V128 {
  const sign = constantLanes(fn, 8, 1n << 63n);
  return a.xor(sign).bin('i64x2.gt_s', b.xor(sign));
}
function greaterSigned64(_fn: FunctionBuilder, a: V128, b: V128): V128 {
  return a.bin('i64x2.gt_s', b);
}
function choose64(greater: typeof greaterSigned64, which: 'max' | 'min'): Semantics {
  return vmxBinary((a, b, s) => {
    const above = greater(s.fn, a, b);
    return which === 'max' ? a.bitselect(b, above) : b.bitselect(a, above);
  });
}

/** (a + b + 1) >> 1 = (a | b) - ((a ^ b) >> 1), with the shift of the signedness. */
function average(width: Width, sign: 's' | 'u'): Semantics {
  const lanes = shape[width];
  return vmxBinary((a, b) => a.or(b).bin(`${lanes}.sub`, a.xor(b).shift(`${lanes}.shr_${sign}`, 1)));
}
function absoluteDifference(width: Width): Semantics {
  const lanes = shape[width];
  return vmxBinary((a, b) => a.bin(`${lanes}.max_u`, b).bin(`${lanes}.sub`, a.bin(`${lanes}.min_u`, b)));
}

/** Sign-extends the low `bits` of each element. */
function extendSign(width: 4 | 8, bits: number): Semantics {
  const lanes = shape[width];
  const up = 8 * width - bits;
  return vmxUnary((b) => b.shift(`${lanes}.shl`, up).shift(`${lanes}.shr_s`, up));
}

/** Sums of the four bytes or two halfwords of each word. */
export function sumBytes(v: V128, sign: 's' | 'u'): V128 {
  return sumHalfwords(v.un(`i16x8.extadd_pairwise_i8x16_${sign}`), sign);
}
export function sumHalfwords(v: V128, sign: 's' | 'u'): V128 {
  return v.un(`i32x4.extadd_pairwise_i16x8_${sign}`);
}

/** The sum of the words `of` of VRA and word `to` of VRB, saturated, in word `to`. */
function sumAcross(groups: readonly { of: readonly number[]; to: number }[]): Semantics {
  return vmxBinary((a, b, s) => {
    const { fn } = s;
    let result = fn.v128(0n);
    for (const { of, to } of groups) {
      const sum = of.reduce((total, word) => total.add(element32(a, word).extendS()), element32(b, to).extendS());
      const high = sum.gtS(0x7fff_ffff);
      const low = sum.ltS(-0x8000_0000);
      saturated(s, high.or(low));
      const clamped = fn.i32(0x7fff_ffff).selectIf(high, fn.i32(-0x8000_0000).selectIf(low, sum.wrap()));
      result = result.replace32(3 - to, clamped);
    }
    return result;
  });
}

function compare(f: (a: V128, b: V128, fn: FunctionBuilder) => V128): Semantics {
  return (s) => {
    const result = f(s.vr('vra'), s.vr('vrb'), s.fn);
    s.setVr('vrt', result);
    if (s.flag('rc')) recordCompare(s, result);
  };
}
function compareOp(op: string): Semantics {
  return compare((a, b) => a.bin(op, b));
}
function compareNotEqualOrZero(width: 1 | 2 | 4): Semantics {
  const lanes = shape[width];
  return compare((a, b, fn) => {
    const zero = fn.v128(0n);
    return a
      .bin(`${lanes}.ne`, b)
      .or(a.bin(`${lanes}.eq`, zero))
      .or(b.bin(`${lanes}.eq`, zero));
  });
}

/** Sum of the byte-lane counts in each element. */
function sumCounts(fn: FunctionBuilder, bytes: V128, width: Width): V128 {
  if (width === 1) return bytes;
  if (width === 2) return bytes.un('i16x8.extadd_pairwise_i8x16_u');
  const words = sumBytes(bytes, 'u');
  if (width === 4) return words;
  return words.and(constantLanes(fn, 8, 0xffff_ffff)).bin('i64x2.add', words.shift('i64x2.shr_u', 32));
}
function populationCount(width: Width): Semantics {
  return vmxUnary((b, s) => sumCounts(s.fn, b.un('i8x16.popcnt'), width));
}
/** The ones below the lowest one: ~b & (b - 1). */
function countTrailingZeros(width: Width): Semantics {
  const lanes = shape[width];
  return vmxUnary((b, s) => {
    const below = b.bin(`${lanes}.sub`, constantLanes(s.fn, width, 1)).andnot(b);
    return sumCounts(s.fn, below.un('i8x16.popcnt'), width);
  });
}

const leadingZerosOf4Bits = [4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];

function leadingZeros8(fn: FunctionBuilder, v: V128): V128 {
  const table = constantBytes(fn, leadingZerosOf4Bits);
  const high = v.shift('i8x16.shr_u', 4);
  const low = v.and(constantLanes(fn, 1, 15));
  const highZero = high.bin('i8x16.eq', fn.v128(0n));
  return table.swizzle(high).bin('i8x16.add', table.swizzle(low).and(highZero));
}
function leadingZeros16(fn: FunctionBuilder, v: V128): V128 {
  const bytes = leadingZeros8(fn, v);
  const high = bytes.shift('i16x8.shr_u', 8);
  const low = bytes.and(constantLanes(fn, 2, 0xff));
  return high.bin('i16x8.add', low.and(high.bin('i16x8.eq', constantLanes(fn, 2, 8))));
}
function leadingZeros32(_fn: FunctionBuilder, v: V128): V128 {
  return [0, 1, 2, 3].reduce((all, lane) => all.replace32(lane, v.extract32(lane).clz()), v);
}
function leadingZeros64(fn: FunctionBuilder, v: V128): V128 {
  return fn.v128From64(element64(v, 0).clz(), element64(v, 1).clz());
}
function countLeadingZeros(f: typeof leadingZeros8): Semantics {
  return vmxUnary((b, s) => f(s.fn, b));
}

/** The least significant bits of the bytes of each element, added modulo 2. */
function parity(width: 4 | 8): Semantics {
  return vmxUnary((b, s) => {
    const bits = b.and(constantLanes(s.fn, 1, 1));
    return sumCounts(s.fn, bits, width).and(constantLanes(s.fn, width, 1));
  });
}

/** A bit for each byte lane: its least significant bit. */
function leastSignificantBits(v: V128): I32 {
  return v.shift('i8x16.shl', 7).test('i8x16.bitmask');
}

export const vmxInteger = {
  vaddubm: simple('i8x16.add'),
  vadduhm: simple('i16x8.add'),
  vadduwm: simple('i32x4.add'),
  vaddudm: simple('i64x2.add'),
  vsububm: simple('i8x16.sub'),
  vsubuhm: simple('i16x8.sub'),
  vsubuwm: simple('i32x4.sub'),
  vsubudm: simple('i64x2.sub'),
  vaddsbs: saturating('i8x16.add_sat_s', 'i8x16.add'),
  vaddubs: saturating('i8x16.add_sat_u', 'i8x16.add'),
  vaddshs: saturating('i16x8.add_sat_s', 'i16x8.add'),
  vadduhs: saturating('i16x8.add_sat_u', 'i16x8.add'),
  vaddsws: saturatingWords(addSignedWords),
  vadduws: saturatingWords((_fn, a, b) => addUnsignedWords(a, b)),
  vsubsbs: saturating('i8x16.sub_sat_s', 'i8x16.sub'),
  vsububs: saturating('i8x16.sub_sat_u', 'i8x16.sub'),
  vsubshs: saturating('i16x8.sub_sat_s', 'i16x8.sub'),
  vsubuhs: saturating('i16x8.sub_sat_u', 'i16x8.sub'),
  vsubsws: saturatingWords(subtractSignedWords),
  vsubuws: saturatingWords((_fn, a, b) => subtractUnsignedWords(a, b)),
  vaddcuw: vmxBinary((a, b) => a.bin('i32x4.add', b).bin('i32x4.lt_u', a).shift('i32x4.shr_u', 31)),
  vsubcuw: vmxBinary((a, b) => a.bin('i32x4.ge_u', b).shift('i32x4.shr_u', 31)),
  vadduqm: quadword('sum', false, false),
  vaddcuq: quadword('carry', false, false),
  vaddeuqm: quadword('sum', false, true),
  vaddecuq: quadword('carry', false, true),
  vsubuqm: quadword('sum', true, false),
  vsubcuq: quadword('carry', true, false),
  vsubeuqm: quadword('sum', true, true),
  vsubecuq: quadword('carry', true, true),

  vsum4ubs: vmxBinary((a, b, s) => {
    const { result, any } = addUnsignedWords(sumBytes(a, 'u'), b);
    saturated(s, any);
    return result;
  }),
  vsum4sbs: vmxBinary((a, b, s) => {
    const { result, any } = addSignedWords(s.fn, sumBytes(a, 's'), b);
    saturated(s, any);
    return result;
  }),
  vsum4shs: vmxBinary((a, b, s) => {
    const { result, any } = addSignedWords(s.fn, sumHalfwords(a, 's'), b);
    saturated(s, any);
    return result;
  }),
  vsum2sws: sumAcross([
    { of: [0, 1], to: 1 },
    { of: [2, 3], to: 3 },
  ]),
  vsumsws: sumAcross([{ of: [0, 1, 2, 3], to: 3 }]),

  vnegw: vmxUnary((b) => b.un('i32x4.neg')),
  vnegd: vmxUnary((b) => b.un('i64x2.neg')),
  vextsb2w: extendSign(4, 8),
  vextsh2w: extendSign(4, 16),
  vextsb2d: extendSign(8, 8),
  vextsh2d: extendSign(8, 16),
  vextsw2d: extendSign(8, 32),

  vavgsb: average(1, 's'),
  vavgsh: average(2, 's'),
  vavgsw: average(4, 's'),
  vavgub: simple('i8x16.avgr_u'),
  vavguh: simple('i16x8.avgr_u'),
  vavguw: average(4, 'u'),
  vabsdub: absoluteDifference(1),
  vabsduh: absoluteDifference(2),
  vabsduw: absoluteDifference(4),

  vmaxsb: simple('i8x16.max_s'),
  vmaxsh: simple('i16x8.max_s'),
  vmaxsw: simple('i32x4.max_s'),
  vmaxsd: choose64(greaterSigned64, 'max'),
  vmaxub: simple('i8x16.max_u'),
  vmaxuh: simple('i16x8.max_u'),
  vmaxuw: simple('i32x4.max_u'),
  vmaxud: choose64(greaterUnsigned64, 'max'),
  vminsb: simple('i8x16.min_s'),
  vminsh: simple('i16x8.min_s'),
  vminsw: simple('i32x4.min_s'),
  vminsd: choose64(greaterSigned64, 'min'),
  vminub: simple('i8x16.min_u'),
  vminuh: simple('i16x8.min_u'),
  vminuw: simple('i32x4.min_u'),
  vminud: choose64(greaterUnsigned64, 'min'),

  vcmpequb: compareOp('i8x16.eq'),
  vcmpequh: compareOp('i16x8.eq'),
  vcmpequw: compareOp('i32x4.eq'),
  vcmpequd: compareOp('i64x2.eq'),
  vcmpgtsb: compareOp('i8x16.gt_s'),
  vcmpgtsh: compareOp('i16x8.gt_s'),
  vcmpgtsw: compareOp('i32x4.gt_s'),
  vcmpgtsd: compareOp('i64x2.gt_s'),
  vcmpgtub: compareOp('i8x16.gt_u'),
  vcmpgtuh: compareOp('i16x8.gt_u'),
  vcmpgtuw: compareOp('i32x4.gt_u'),
  vcmpgtud: compare((a, b, fn) => greaterUnsigned64(fn, a, b)),
  vcmpneb: compareOp('i8x16.ne'),
  vcmpneh: compareOp('i16x8.ne'),
  vcmpnew: compareOp('i32x4.ne'),
  vcmpnezb: compareNotEqualOrZero(1),
  vcmpnezh: compareNotEqualOrZero(2),
  vcmpnezw: compareNotEqualOrZero(4),

  vand: vmxBinary((a, b) => a.and(b)),
  vandc: vmxBinary((a, b) => a.andnot(b)),
  veqv: vmxBinary((a, b) => a.xor(b).not()),
  vnand: vmxBinary((a, b) => a.and(b).not()),
  vnor: vmxBinary((a, b) => a.or(b).not()),
  vor: vmxBinary((a, b) => a.or(b)),
  vorc: vmxBinary((a, b) => a.or(b.not())),
  vxor: vmxBinary((a, b) => a.xor(b)),
  vsel: vmxTernary((a, b, c) => b.bitselect(a, c)),

  vclzb: countLeadingZeros(leadingZeros8),
  vclzh: countLeadingZeros(leadingZeros16),
  vclzw: countLeadingZeros(leadingZeros32),
  vclzd: countLeadingZeros(leadingZeros64),
  vctzb: countTrailingZeros(1),
  vctzh: countTrailingZeros(2),
  vctzw: countTrailingZeros(4),
  vctzd: countTrailingZeros(8),
  // The leading byte is lane 15, bit 15 of the mask; a bit behind the last one stops the count at 16.
  vclzlsbb: (s) => s.setGpr('rt', leastSignificantBits(s.vr('vrb')).shl(16).or(0x8000).clz().extendU()),
  vctzlsbb: (s) => s.setGpr('rt', leastSignificantBits(s.vr('vrb')).or(0x1_0000).ctz().extendU()),
  vprtybw: parity(4),
  vprtybd: parity(8),
  vprtybq: vmxUnary((b, s) => {
    const bits = element64(b, 0).xor(element64(b, 1)).and(0x0101_0101_0101_0101n);
    return s.fn.v128From64(s.fn.i64(0), bits.popcnt().and(1));
  }),
  vpopcntb: populationCount(1),
  vpopcnth: populationCount(2),
  vpopcntw: populationCount(4),
  vpopcntd: populationCount(8),
} satisfies SemanticsMap;
