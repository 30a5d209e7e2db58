// Elements of vectors by the Power ISA's numbering, for the VMX and VSX semantics.
//
// A V128 is the register as a little-endian 128-bit number: the ISA's byte i is WebAssembly byte lane 15-i. "ISA byte"
// below means the ISA's number, "lane" WebAssembly's.

import type { FunctionBuilder, I32, I64, V128 } from '../../wasm/ir.ts';
import type { Emitter, Semantics } from './emitter.ts';

/** Element width in bytes. */
export type Width = 1 | 2 | 4 | 8;

/** WebAssembly's lane shape of elements of that width. */
export const shape = { 1: 'i8x16', 2: 'i16x8', 4: 'i32x4', 8: 'i64x2' } as const;

/** A constant with `value` (taken modulo the width) in each element of `width` bytes. */
export function constantLanes(fn: FunctionBuilder, width: Width, value: number | bigint): V128 {
  const bits = 8 * width;
  const element = BigInt.asUintN(bits, BigInt(value));
  let all = 0n;
  for (let at = 0; at < 128; at += bits) all |= element << BigInt(at);
  return fn.v128(all);
}

/** A constant from 16 bytes in lane order. */
export function constantBytes(fn: FunctionBuilder, bytes: readonly number[]): V128 {
  return fn.v128(bytes.reduceRight((all, byte) => (all << 8n) | BigInt(byte & 0xff), 0n));
}

const ascending = Array.from({ length: 16 }, (_, lane) => lane);

/** Byte lane j holds j. */
export function laneNumbers(fn: FunctionBuilder): V128 {
  return constantBytes(fn, ascending);
}

/** Byte lane j holds 15-j: each byte its ISA number. */
export function isaByteNumbers(fn: FunctionBuilder): V128 {
  return constantBytes(fn, ascending.toReversed());
}

/** ISA byte i of the result is byte `sources[i]` of `a || b`, numbered 0 to 31 as in the ISA. */
export function isaShuffle(a: V128, b: V128, sources: readonly number[]): V128 {
  return a.shuffle(
    b,
    ascending.map((lane) => {
      const source = sources[15 - lane];
      return source < 16 ? 15 - source : 16 + 31 - source;
    }),
  );
}

/** Element `index` of that width in the ISA's numbering, zero-extended. */
export function element8(v: V128, index: number): I32 {
  return v.extract8U(15 - index);
}
export function element16(v: V128, index: number): I32 {
  return v.extract16U(7 - index);
}
export function element32(v: V128, index: number): I32 {
  return v.extract32(3 - index);
}
export function element64(v: V128, index: number): I64 {
  return v.extract64(1 - index);
}

/** A vector from its words in the ISA's order. */
export function fromWords(fn: FunctionBuilder, words: readonly I32[]): V128 {
  return fn.splat32(words[3]).replace32(1, words[2]).replace32(2, words[1]).replace32(3, words[0]);
}

/** Lane j of the result is lane j+n of `v`, 0 where there is none; `n` is -16 to 16. */
export function lanesFrom(fn: FunctionBuilder, v: V128, n: I32): V128 {
  return v.swizzle(laneNumbers(fn).bin('i8x16.add', fn.splat8(n)));
}

/** ISA bytes n to n+15 of `a || b`; `n` is 0 to 15. */
export function byteWindow(fn: FunctionBuilder, a: V128, b: V128, n: I32): V128 {
  const known = n.known;
  if (known !== undefined)
    return isaShuffle(
      a,
      b,
      ascending.map((i) => i + known),
    );
  const lanes = laneNumbers(fn).bin('i8x16.sub', fn.splat8(n));
  return a.swizzle(lanes).or(b.swizzle(lanes.bin('i8x16.add', constantLanes(fn, 1, 16))));
}

/** Elements of `width` bytes in reverse order. */
export function reverseElements(v: V128, width: Width): V128 {
  return v.shuffle(
    v,
    ascending.map((lane) => (16 - width - (lane & -width)) | (lane & (width - 1))),
  );
}

/** Bytes of each element of `width` bytes in reverse order. */
export function reverseBytesOfElements(v: V128, width: 2 | 4 | 8 | 16): V128 {
  return v.shuffle(
    v,
    ascending.map((lane) => lane ^ (width - 1)),
  );
}

/** The element of that ISA number (0 to 16/width-1) in all elements. */
export function splatElement(fn: FunctionBuilder, v: V128, width: 1 | 2 | 4, index: I32): V128 {
  switch (width) {
    case 1:
      return v.swizzle(fn.splat8(index.xor(15)));
    case 2:
      return v.swizzle(fn.splat16(index.xor(7).mul(0x0202).add(0x0100)));
    case 4:
      return v.swizzle(fn.splat32(index.xor(3).mul(0x0404_0404).add(0x0302_0100)));
  }
}

/** Bit `bit` of the low byte of each element decides, all bits of it being ones where it is 1. */
export function bitMask(fn: FunctionBuilder, v: V128, width: Width, bit: number): V128 {
  const one = constantLanes(fn, width, 1n << BigInt(bit));
  return v.and(one).bin(`${shape[width]}.eq`, one);
}

/** Sets VSCR[SAT] if `condition` is not zero. */
export function saturated(s: Emitter, condition: I32): void {
  s.setState32('vscrSat', s.state32('vscrSat').or(condition));
}

/** CR6 of a vector compare: all true, 0, none true, 0. */
export function recordCompare(s: Emitter, result: V128): void {
  const all = result.test('i8x16.all_true').shl(3);
  const none = result.test('v128.any_true').eqz().shl(1);
  s.setCrField(6, all.or(none));
}

/** VRT := f(VRA, VRB). */
export function vmxBinary(f: (a: V128, b: V128, s: Emitter) => V128): Semantics {
  return (s) => s.setVr('vrt', f(s.vr('vra'), s.vr('vrb'), s));
}
/** VRT := f(VRB). */
export function vmxUnary(f: (b: V128, s: Emitter) => V128): Semantics {
  return (s) => s.setVr('vrt', f(s.vr('vrb'), s));
}
/** VRT := f(VRA, VRB, VRC). */
export function vmxTernary(f: (a: V128, b: V128, c: V128, s: Emitter) => V128): Semantics {
  return (s) => s.setVr('vrt', f(s.vr('vra'), s.vr('vrb'), s.vr('vrc'), s));
}
/** XT := f(XA, XB). */
export function vsxBinary(f: (a: V128, b: V128, s: Emitter) => V128): Semantics {
  return (s) => s.setVsr('xt', f(s.vsr('xa'), s.vsr('xb'), s));
}
