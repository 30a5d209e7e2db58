// Vector pack, unpack, merge, splat, permute, extract, insert and bit permute (ISA 3.0B I 6.8, 6.12, 6.17).

import type { FunctionBuilder, I32, V128 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import {
  byteWindow,
  constantBytes,
  constantLanes,
  element64,
  isaByteNumbers,
  isaShuffle,
  laneNumbers,
  lanesFrom,
  saturated,
  shape,
  splatElement,
  vmxBinary,
  vmxTernary,
  vmxUnary,
} from './vector-elements.ts';

/** The upper or lower (in value) halves of the elements of `a || b`, `width` bytes each before. */
function packModulo(a: V128, b: V128, width: 2 | 4 | 8): V128 {
  const half = width / 2;
  return isaShuffle(
    a,
    b,
    Array.from({ length: 16 }, (_, i) => Math.floor(i / half) * width + half + (i % half)),
  );
}

/** `v` with each element brought into the range; `width` bytes an element. */
function clamp(fn: FunctionBuilder, v: V128, width: 2 | 4 | 8, from: 's' | 'u', least: bigint, most: bigint): V128 {
  const lanes = shape[width];
  const high = constantLanes(fn, width, most);
  const low = constantLanes(fn, width, least);
  if (width !== 8) {
    return from === 'u' ? v.bin(`${lanes}.min_u`, high) : v.bin(`${lanes}.min_s`, high).bin(`${lanes}.max_s`, low);
  }
  if (from === 'u') {
    const above = v.shift('i64x2.shr_u', 32).bin('i64x2.ne', fn.v128(0n));
    return high.bitselect(v, above);
  }
  const bounded = high.bitselect(v, v.bin('i64x2.gt_s', high));
  return low.bitselect(bounded, bounded.bin('i64x2.lt_s', low));
}

function packSaturating(width: 2 | 4 | 8, from: 's' | 'u', to: 's' | 'u'): Semantics {
  const bits = BigInt(4 * width);
  const least = to === 's' ? -(1n << (bits - 1n)) : 0n;
  const most = (1n << (to === 's' ? bits - 1n : bits)) - 1n;
  return vmxBinary((a, b, s) => {
    const clampedA = clamp(s.fn, a, width, from, least, most);
    const clampedB = clamp(s.fn, b, width, from, least, most);
    saturated(s, clampedA.xor(a).or(clampedB.xor(b)).test('v128.any_true'));
    return packModulo(clampedA, clampedB, width);
  });
}

/** 8:8:8:8 pixels to 1:5:5:5: the last bit of the first byte, the upper five of the others. */
function packPixels(fn: FunctionBuilder, v: V128): V128 {
  const field = (shift: number, mask: number) => v.shift('i32x4.shr_u', shift).and(constantLanes(fn, 4, mask));
  return field(9, 0xfc00).or(field(6, 0x03e0)).or(field(3, 0x001f));
}
/** Four 1:5:5:5 pixels, sign-extended to words, to 8:8:8:8; the first bit fills its byte. */
function unpackPixels(fn: FunctionBuilder, words: V128): V128 {
  const field = (shift: number, mask: number) => words.shift('i32x4.shl', shift).and(constantLanes(fn, 4, mask));
  return field(0, 0xff00_001f).or(field(6, 0x001f_0000)).or(field(3, 0x0000_1f00));
}

function unpack(op: string): Semantics {
  return vmxUnary((b) => b.un(op));
}

/** Elements of `a` and `b` alternating, from the ISA bytes at `first`; `stride` bytes from one of `a` to the next. */
export function merge(a: V128, b: V128, width: 1 | 2 | 4, first: number, stride: number = width): V128 {
  return isaShuffle(
    a,
    b,
    Array.from({ length: 16 }, (_, i) => {
      const pair = Math.floor(i / (2 * width));
      const within = i % (2 * width);
      return first + pair * stride + (within % width) + (within < width ? 0 : 16);
    }),
  );
}

function splat(width: 1 | 2 | 4): Semantics {
  return (s) => s.setVr('vrt', splatElement(s.fn, s.vr('vrb'), width, s.field('uim')));
}

/** Byte i of the result is ISA byte `index[i]` of `a || b`; of each index the low five bits count. */
export function permute(fn: FunctionBuilder, a: V128, b: V128, index: V128, fromRight = false): V128 {
  // 0 to 15 choose from `a`: as a lane that is 15 - index. Swizzles give 0 for the lanes of the other vector.
  const five = index.and(constantLanes(fn, 1, 0x1f));
  const lanes = five.xor(constantLanes(fn, 1, fromRight ? 0x10 : 0x0f));
  return a.swizzle(lanes).or(b.swizzle(lanes.xor(constantLanes(fn, 1, 0x10))));
}

/** `bytes` ISA bytes from `first` on, at the right end of doubleword 0; zeros elsewhere. */
export function extractToDoubleword0(fn: FunctionBuilder, v: V128, bytes: number, first: I32): V128 {
  const start = fn.i32(16 - bytes).sub(first);
  const lanes = Array.from({ length: 16 }, (_, lane) => (lane >= 8 && lane < 8 + bytes ? lane - 8 : 0x80));
  return v.swizzle(constantBytes(fn, lanes).bin('i8x16.add', fn.splat8(start)));
}
/** `target` with ISA bytes from `first` on replaced by the last `bytes` bytes of doubleword 0 of `v`. */
export function insertFromDoubleword0(fn: FunctionBuilder, target: V128, v: V128, bytes: number, first: I32): V128 {
  const start = fn.i32(16 - bytes).sub(first);
  const within = laneNumbers(fn).bin('i8x16.sub', fn.splat8(start));
  const moved = v.swizzle(within.bin('i8x16.add', constantLanes(fn, 1, 8)));
  return moved.bitselect(target, within.bin('i8x16.lt_u', constantLanes(fn, 1, bytes)));
}

function extract(bytes: 1 | 2 | 4 | 8): Semantics {
  return (s) => s.setVr('vrt', extractToDoubleword0(s.fn, s.vr('vrb'), bytes, s.field('uim')));
}
function insert(bytes: 1 | 2 | 4 | 8): Semantics {
  return (s) => s.setVr('vrt', insertFromDoubleword0(s.fn, s.vr('vrt'), s.vr('vrb'), bytes, s.field('uim')));
}
/** `bytes` bytes of VRB at the index in RA[60:63], counted from the left or the right, to a GPR. */
function extractToGpr(bytes: 1 | 2 | 4, side: 'left' | 'right'): Semantics {
  return (s) => {
    const { fn } = s;
    const index = s.gpr('ra').wrap().and(15);
    const lane = side === 'left' ? fn.i32(16 - bytes).sub(index) : index;
    const value = element64(lanesFrom(fn, s.vr('vrb'), lane), 1);
    s.setGpr('rt', value.and((1n << BigInt(8 * bytes)) - 1n));
  };
}

/** For each byte lane, whether the bit of its byte in `bytes` that the low three bits of `index` name (0: leftmost) is 1. */
function bitsOfBytes(fn: FunctionBuilder, bytes: V128, index: V128): I32 {
  const single = constantBytes(fn, [0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]);
  const chosen = bytes.and(single.swizzle(index.and(constantLanes(fn, 1, 7))));
  return chosen.bin('i8x16.ne', fn.v128(0n)).test('i8x16.bitmask');
}

function bitPermuteQuadword(s: Emitter): void {
  const { fn } = s;
  const index = s.vr('vrb');
  // An index of 128 or more leads to a byte number of 16 or more, which swizzle answers with 0.
  const lanes = index.shift('i8x16.shr_u', 3).xor(constantLanes(fn, 1, 15));
  const bits = bitsOfBytes(fn, s.vr('vra').swizzle(lanes), index);
  s.setVr('vrt', fn.v128From64(bits.extendU(), fn.i64(0)));
}
function bitPermuteDoubleword(s: Emitter): void {
  const { fn } = s;
  const index = s.vr('vrb');
  const byte = index
    .shift('i8x16.shr_u', 3)
    .and(constantLanes(fn, 1, 7))
    .xor(constantLanes(fn, 1, 7));
  // Lanes 8 to 15 look into doubleword 0; an index of 64 or more sets a bit that makes the lane too large.
  const lanes = byte.or(index.and(constantLanes(fn, 1, 0xc0))).or(fn.v128(0x0808_0808_0808_0808n << 64n));
  const bits = bitsOfBytes(fn, s.vr('vra').swizzle(lanes), index);
  s.setVr('vrt', fn.v128From64(bits.shrU(8).extendU(), bits.and(0xff).extendU()));
}

/** Transposes the 8 by 8 bits of each doubleword, swapping blocks of 1, 2 and 4. */
function gatherBits(fn: FunctionBuilder, v: V128): V128 {
  const swapBlocks = (x: V128, distance: number, mask: bigint) => {
    const t = x.xor(x.shift('i64x2.shr_u', distance)).and(constantLanes(fn, 8, mask));
    return x.xor(t).xor(t.shift('i64x2.shl', distance));
  };
  const ones = swapBlocks(v, 7, 0x00aa_00aa_00aa_00aan);
  const twos = swapBlocks(ones, 14, 0x0000_cccc_0000_ccccn);
  return swapBlocks(twos, 28, 0x0000_0000_f0f0_f0f0n);
}

/** Bytes sh to sh+15 (lvsl) or 16-sh to 31-sh (lvsr), sh being the last four bits of the address. */
function alignmentControl(side: 'left' | 'right'): Semantics {
  return (s) => {
    const { fn } = s;
    const sh = s.gprOr0('ra').add(s.gpr('rb')).wrap().and(15);
    const first = side === 'left' ? sh : fn.i32(16).sub(sh);
    s.setVr('vrt', isaByteNumbers(fn).bin('i8x16.add', fn.splat8(first)));
  };
}

export const vmxPermute = {
  vpkuhum: vmxBinary((a, b) => packModulo(a, b, 2)),
  vpkuwum: vmxBinary((a, b) => packModulo(a, b, 4)),
  vpkudum: vmxBinary((a, b) => packModulo(a, b, 8)),
  vpkuhus: packSaturating(2, 'u', 'u'),
  vpkuwus: packSaturating(4, 'u', 'u'),
  vpkudus: packSaturating(8, 'u', 'u'),
  vpkshus: packSaturating(2, 's', 'u'),
  vpkswus: packSaturating(4, 's', 'u'),
  vpksdus: packSaturating(8, 's', 'u'),
  vpkshss: packSaturating(2, 's', 's'),
  vpkswss: packSaturating(4, 's', 's'),
  vpksdss: packSaturating(8, 's', 's'),
  vpkpx: vmxBinary((a, b, s) => packModulo(packPixels(s.fn, a), packPixels(s.fn, b), 4)),
  vupkhpx: vmxUnary((b, s) => unpackPixels(s.fn, b.un('i32x4.extend_high_i16x8_s'))),
  vupklpx: vmxUnary((b, s) => unpackPixels(s.fn, b.un('i32x4.extend_low_i16x8_s'))),
  vupkhsb: unpack('i16x8.extend_high_i8x16_s'),
  vupkhsh: unpack('i32x4.extend_high_i16x8_s'),
  vupkhsw: unpack('i64x2.extend_high_i32x4_s'),
  vupklsb: unpack('i16x8.extend_low_i8x16_s'),
  vupklsh: unpack('i32x4.extend_low_i16x8_s'),
  vupklsw: unpack('i64x2.extend_low_i32x4_s'),

  vmrghb: vmxBinary((a, b) => merge(a, b, 1, 0)),
  vmrghh: vmxBinary((a, b) => merge(a, b, 2, 0)),
  vmrghw: vmxBinary((a, b) => merge(a, b, 4, 0)),
  vmrglb: vmxBinary((a, b) => merge(a, b, 1, 8)),
  vmrglh: vmxBinary((a, b) => merge(a, b, 2, 8)),
  vmrglw: vmxBinary((a, b) => merge(a, b, 4, 8)),
  vmrgew: vmxBinary((a, b) => merge(a, b, 4, 0, 8)),
  vmrgow: vmxBinary((a, b) => merge(a, b, 4, 4, 8)),

  vspltb: splat(1),
  vsplth: splat(2),
  vspltw: splat(4),
  vspltisb: (s) => s.setVr('vrt', s.fn.splat8(s.field('sim'))),
  vspltish: (s) => s.setVr('vrt', s.fn.splat16(s.field('sim'))),
  vspltisw: (s) => s.setVr('vrt', s.fn.splat32(s.field('sim'))),

  vperm: vmxTernary((a, b, c, s) => permute(s.fn, a, b, c)),
  vpermr: vmxTernary((a, b, c, s) => permute(s.fn, a, b, c, true)),
  vpermxor: vmxTernary((a, b, c, s) => {
    const flip = constantLanes(s.fn, 1, 15);
    const high = a.swizzle(c.shift('i8x16.shr_u', 4).xor(flip));
    return high.xor(b.swizzle(c.and(flip).xor(flip)));
  }),
  vsldoi: (s) => s.setVr('vrt', byteWindow(s.fn, s.vr('vra'), s.vr('vrb'), s.field('shb'))),
  lvsl: alignmentControl('left'),
  lvsr: alignmentControl('right'),

  vextractub: extract(1),
  vextractuh: extract(2),
  vextractuw: extract(4),
  vextractd: extract(8),
  vextublx: extractToGpr(1, 'left'),
  vextuhlx: extractToGpr(2, 'left'),
  vextuwlx: extractToGpr(4, 'left'),
  vextubrx: extractToGpr(1, 'right'),
  vextuhrx: extractToGpr(2, 'right'),
  vextuwrx: extractToGpr(4, 'right'),
  vinsertb: insert(1),
  vinserth: insert(2),
  vinsertw: insert(4),
  vinsertd: insert(8),

  vbpermq: bitPermuteQuadword,
  vbpermd: bitPermuteDoubleword,
  vgbbd: vmxUnary((b, s) => gatherBits(s.fn, b)),
} satisfies SemanticsMap;
