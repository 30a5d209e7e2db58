// Bit formats: binary64, binary32 kept in binary64 registers, and how loads and stores convert between them
// (ISA 3.0B I 4.3, 4.6.2, 4.6.3).

import type { FunctionBuilder, I32, I64 } from '../../../wasm/ir.ts';

export const SIGN = 1n << 63n;
export const MAGNITUDE = SIGN - 1n;
export const INFINITY = 0x7ffn << 52n;
export const FRACTION = (1n << 52n) - 1n;
export const IMPLICIT = 1n << 52n;
export const QUIET = 1n << 51n;
export const DEFAULT_NAN = INFINITY | QUIET;
/** 1.0 */
export const ONE = 0x3ffn << 52n;
/** Fraction bits that a single-precision number in double format has as zeros. */
export const BELOW_SINGLE = (1n << 29n) - 1n;
/** Exponent field of 2^-126 in double format. */
export const SINGLE_MIN_FIELD = 897;
/** The largest single-precision number in double format. */
export const SINGLE_MAX = 0x47ef_ffff_e000_0000n;

export function isNaN64(bits: I64): I32 {
  return bits.and(MAGNITUDE).gtU(INFINITY);
}
/** 1 for a signalling NaN. */
export function isSignalling64(bits: I64): I32 {
  return isNaN64(bits).and(bits.and(QUIET).eqz());
}

/** `DOUBLE(word)`: 32 bits of binary32 to binary64 bits; exact, and a signalling NaN stays one. */
export function doubleOfSingle(word: I32): I64 {
  const { fn } = word;
  const magnitude = word.and(0x7fff_ffff);
  const promoted = word.reinterpretF32().promote().reinterpretI64();
  const nan = magnitude
    .extendU()
    .shl(29)
    .or(INFINITY)
    .or(
      word
        .and(0x8000_0000 | 0)
        .extendU()
        .shl(32),
    );
  return fn.select(magnitude.gtU(0x7f80_0000), nan, promoted);
}

/**
 * `SINGLE(double)`: binary64 bits to binary32 bits without rounding: what does not fit is cut off. Magnitudes below
 * 2^-149, which the architecture leaves undefined, become zeros.
 */
export function singleOfDouble(bits: I64): I32 {
  const { fn } = bits;
  // What registers hold when this is asked nearly always is a single.
  const x = bits.reinterpretF64();
  const single = x.demote();
  return fn.choose(
    single.promote().eq(x),
    () => single.reinterpretI32(),
    () => cutOff(bits),
    true,
  );
}
function cutOff(bits: I64): I32 {
  const { fn } = bits;
  const field = bits.shrU(52).wrap().and(0x7ff);
  const sign = bits
    .shrU(32)
    .wrap()
    .and(0x8000_0000 | 0);
  const plain = bits
    .shrU(32)
    .wrap()
    .and(0xc000_0000 | 0)
    .or(bits.shrU(29).wrap().and(0x3fff_ffff));
  const significand = bits.and(FRACTION).or(IMPLICIT).shrU(29).wrap();
  const shift = fn.i32(SINGLE_MIN_FIELD).sub(field);
  const denormal = fn.select(shift.ltU(24), significand.shrU(shift), fn.i32(0)).or(sign);
  const isPlain = field.geU(SINGLE_MIN_FIELD).or(bits.and(MAGNITUDE).eqz());
  return plain.selectIf(isPlain, denormal);
}

/** `value >> count` with the lost bits or-ed into the lowest; `value` below 2^63, `count` at least 0. */
export function shiftRightJam(value: I64, count: I32): I64 {
  const { fn } = value;
  const n = fn.select(count.ltU(63), count, fn.i32(63)).extendU();
  const lost = value.and(fn.i64(-1n).shl(n).not()).ne(0n);
  return value.shrU(n).or(lost.extendU());
}

/** A finite number other than zero as significand (bit 52 is the leading one) and exponent of that bit. */
export function unpackFinite(fn: FunctionBuilder, bits: I64): { significand: I64; exponent: I32 } {
  const magnitude = bits.and(MAGNITUDE);
  const field = magnitude.shrU(52).wrap();
  const significand = fn.variable('i64', magnitude.and(FRACTION).or(IMPLICIT));
  const exponent = fn.variable('i32', field.sub(1023));
  fn.if(field.eqz(), () => {
    const shift = magnitude.clz().sub(11);
    significand.set(magnitude.shl(shift));
    exponent.set(fn.i32(-1022).sub(shift.wrap()));
  });
  return { significand: significand.get(), exponent: exponent.get() };
}
