// The short way of arithmetic: when FPSCR asks for nothing unusual (round to nearest, UE, XE and FEX clear) and operands
// and result are ordinary, WebAssembly's f64 operations give the result, and the exact difference to it FI and FR.
// Everything else goes the way of exact.ts.

import type { F64, FunctionBuilder, FunctionRef, I32, I64 } from '../../../wasm/ir.ts';
import { stateOffset } from '../../state/layout.ts';
import { STATE_BASE } from '../../state/memory-map.ts';
import { type RuntimeFunction, runtimeFunction } from '../runtime.ts';
import { DEFAULT_NAN, FRACTION, IMPLICIT, INFINITY, MAGNITUDE, SIGN, shiftRightJam } from './format.ts';
import { FPRF, FPSCR } from './fpscr.ts';
import { multiplySignificands, productHigh } from './product.ts';

/**
 * FPSCR bits that must be 0 for the short way. Its results are finite and no NaNs, so that the other enables do not
 * matter: what they are about does not happen on it.
 */
export const CAREFUL = BigInt(FPSCR.FEX | FPSCR.UE | FPSCR.XE | FPSCR.RN);

/** 1 if FPSCR asks for nothing unusual. */
export function isPlain(fpscr: I64): I32 {
  return fpscr.and(CAREFUL).eqz();
}
/** 1 if no enabled exception waits: enough for operations that raise none. */
export function isQuiet(fpscr: I64): I32 {
  return fpscr.and(BigInt(FPSCR.FEX)).eqz();
}

/** A result rounded to nearest. */
export interface Nearest {
  readonly bits: I64;
  /** Zero, bit 0 (of the book) aside, if the result is exact; else bit 0 is 1 if its magnitude was rounded up. */
  readonly remainder: () => I64;
  /** 1 if operands and result are such that `bits` and `remainder` hold. */
  readonly ok: I32;
}
export type NearestOperation = (
  fn: FunctionBuilder,
  operands: readonly I64[],
  runtime: (f: RuntimeFunction) => FunctionRef,
) => Nearest;

const LARGEST = Number.MAX_VALUE;
const LEAST_NORMAL = 2 ** -1022;

function significand(bits: I64): I64 {
  return bits.and(FRACTION).or(IMPLICIT);
}
function exponentField(bits: I64): I64 {
  return bits.shrU(52).and(0x7ff);
}
function isNormal(x: F64): I32 {
  return x.abs().ge(x.fn.f64(LEAST_NORMAL));
}
/** A finite result that cannot be a denormal rounded up. */
function isOrdinary(result: F64): I32 {
  const { fn } = result;
  const magnitude = result.abs();
  return magnitude.le(fn.f64(LARGEST)).and(magnitude.ge(fn.f64(2 * LEAST_NORMAL)));
}

/**
 * Møller's and Knuth's TwoSum. A sum that underflows is exact; operands of which one is near the largest number can
 * overflow on the way even if their sum does not.
 */
function sum(x: F64, y: F64): Nearest {
  const { fn } = x;
  const s = x.add(y);
  const bits = s.reinterpretI64();
  return {
    bits,
    remainder: () => {
      const virtual = s.sub(x);
      const error = x.sub(s.sub(virtual)).add(y.sub(virtual));
      return error.reinterpretI64().xor(bits.and(SIGN));
    },
    ok: x
      .abs()
      .add(y.abs())
      .le(fn.f64(2 ** 1023)),
  };
}

export const nearestAdd: NearestOperation = (_fn, [a, b]) => sum(a.reinterpretF64(), b.reinterpretF64());
export const nearestSubtract: NearestOperation = (_fn, [a, b]) => sum(a.reinterpretF64(), b.reinterpretF64().neg());

// The remainders below are exact values of at most 54 bits, computed modulo 2^64.

export const nearestMultiply: NearestOperation = (_fn, [a, b]) => {
  const [x, y] = [a.reinterpretF64(), b.reinterpretF64()];
  const product = x.mul(y);
  const bits = product.reinterpretI64();
  return {
    bits,
    remainder: () => {
      const places = exponentField(bits).sub(exponentField(a)).sub(exponentField(b)).add(1075);
      return significand(a).mul(significand(b)).sub(significand(bits).shl(places));
    },
    ok: isOrdinary(product).and(isNormal(x)).and(isNormal(y)),
  };
};

export const nearestDivide: NearestOperation = (_fn, [a, b]) => {
  const [x, y] = [a.reinterpretF64(), b.reinterpretF64()];
  const quotient = x.div(y);
  const bits = quotient.reinterpretI64();
  return {
    bits,
    remainder: () => {
      const places = exponentField(a).sub(exponentField(b)).sub(exponentField(bits)).add(1075);
      return significand(a)
        .shl(places)
        .sub(significand(bits).mul(significand(b)));
    },
    // A quotient by infinity is 0.
    ok: isOrdinary(quotient).and(isNormal(x)).and(isNormal(y)),
  };
};

export const nearestSquareRoot: NearestOperation = (fn, [b]) => {
  const x = b.reinterpretF64();
  const root = x.sqrt();
  const bits = root.reinterpretI64();
  return {
    bits,
    remainder: () => {
      const places = exponentField(b).sub(exponentField(bits).shl(1)).add(1075);
      return significand(b)
        .shl(places)
        .sub(significand(bits).mul(significand(bits)));
    },
    ok: root.le(fn.f64(LARGEST)).and(x.ge(fn.f64(LEAST_NORMAL))),
  };
};

const REMAINDER_OFFSET = stateOffset('scratch', 6);
const NOT_SO_FAST = DEFAULT_NAN;

/**
 * (a, c, b): a * c + b rounded once to nearest; the exact value minus it, scaled, in scratch register 6. A NaN if one of
 * the operands or the result is not an ordinary number, or too much cancels.
 */
const fusedNearest = runtimeFunction('fpu.fusedNearest', ['i64', 'i64', 'i64'], 'i64', (fn) => {
  const [a, c, b] = [fn.param64(0), fn.param64(1), fn.param64(2)];
  const [fieldA, fieldC, fieldB] = [exponentField(a), exponentField(c), exponentField(b)];
  const ordinary = (field: I64) => field.sub(1).ltU(0x7fe);
  fn.if(ordinary(fieldA).and(ordinary(fieldC)).and(ordinary(fieldB)).eqz(), () => fn.return(fn.i64(NOT_SO_FAST)));
  const [x, y] = [significand(a), significand(c)];
  const product = multiplySignificands(x, y);
  // 128-bit numbers with the leading one at bit 124 or 125 of the product, 124 of the addend: bit 60 of the upper half.
  const upper = productHigh(product);
  const high = fn.variable('i64', upper.shl(20).or(product.low.shrU(44)));
  const low = fn.variable('i64', product.low.shl(20));
  const addHigh = fn.variable('i64', significand(b).shl(8));
  const addLow = fn.variable('i64', fn.i64(0));
  const exponentP = fieldA.add(fieldC).sub(1023);
  const distance = exponentP.sub(fieldB);
  const exponent = fn.variable('i64', exponentP);
  fn.if(
    distance.geS(0n),
    () => {
      const h = addHigh.get();
      fn.if(
        distance.leU(63n),
        () => {
          addLow.set(h.shl(1).shl(fn.i64(63).sub(distance)));
          addHigh.set(h.shrU(distance));
        },
        () => {
          addLow.set(shiftRightJam(h, distance.wrap().sub(64)));
          addHigh.set(fn.i64(0));
        },
      );
    },
    () => {
      const [h, l] = [high.get(), low.get()];
      const places = distance.neg();
      exponent.set(fieldB);
      fn.if(
        places.leU(63n),
        () => {
          const up = fn.i64(63).sub(places);
          const lost = l.shl(1).shl(up).ne(0n).extendU();
          low.set(l.shrU(places).or(h.shl(1).shl(up)).or(lost));
          high.set(h.shrU(places));
        },
        () => {
          low.set(shiftRightJam(h, places.wrap().sub(64)).or(l.ne(0n).extendU()));
          high.set(fn.i64(0));
        },
      );
    },
  );
  const productSign = a.xor(c).and(SIGN);
  const sign = fn.variable('i64', productSign);
  const [ph, pl, bh, bl] = [high.get(), low.get(), addHigh.get(), addLow.get()];
  fn.if(
    productSign.xor(b).ltS(0n),
    () => {
      const difference = ph.sub(bh).sub(pl.ltU(bl).extendU());
      const rest = pl.sub(bl);
      fn.if(
        difference.ltS(0n),
        () => {
          sign.set(productSign.xor(SIGN));
          high.set(difference.not().add(rest.eqz().extendU()));
          low.set(rest.neg());
        },
        () => {
          high.set(difference);
          low.set(rest);
        },
      );
    },
    () => {
      const total = pl.add(bl);
      high.set(ph.add(bh).add(total.ltU(bl).extendU()));
      low.set(total);
    },
  );
  const [h, l] = [high.get(), low.get()];
  const shift = h.clz().sub(1);
  const field = exponent.get().add(2).sub(shift);
  fn.if(h.eqz().or(field.sub(2).geU(2043n)), () => fn.return(fn.i64(NOT_SO_FAST)));
  const exact = h
    .shl(shift)
    .or(l.shrU(1).shrU(fn.i64(63).sub(shift)))
    .or(l.shl(shift).ne(0n).extendU());
  const rounded = exact.add(exact.shrU(10).and(1).add(0x1ff)).shrU(10);
  fn.store64(STATE_BASE, exact.sub(rounded.shl(10)), REMAINDER_OFFSET);
  fn.return(field.sub(1).shl(52).add(rounded).or(sign.get()));
});

/** Of the factors and the addend; `subtract` and `negate` as in exact.ts. */
export function nearestMultiplyAdd(subtract: boolean, negate: boolean): NearestOperation {
  return (fn, [a, c, b], runtime) => {
    const fused = fn.call('i64', runtime(fusedNearest), [a, c, subtract ? b.xor(SIGN) : b]);
    return {
      bits: negate ? fused.xor(SIGN) : fused,
      remainder: () => fn.load64(STATE_BASE, REMAINDER_OFFSET),
      ok: fused.and(INFINITY).ne(INFINITY),
    };
  };
}

/** The operand itself: what is left is rounding to single precision. */
export const nearestSame: NearestOperation = (fn, [b]) => ({
  bits: b,
  remainder: () => fn.i64(0),
  ok: b.reinterpretF64().abs().le(fn.f64(LARGEST)),
});

/** What the short way ends with. */
export interface Finished {
  readonly bits: I64;
  readonly fpscr: I64;
}

/** FPRF of a finite double, in its place; the double is normal if `normal`. */
function classOfFinite(bits: I64, normal: boolean): I64 {
  const { fn } = bits;
  const sign = bits.shrU(63);
  const ordinary = fn.i64(FPRF.positiveNormal).shl(sign);
  if (normal) return ordinary;
  const zero = sign.shl(16).or(FPRF.positiveZero);
  const magnitude = bits.and(MAGNITUDE);
  const small = zero.selectIf(magnitude.eqz(), ordinary.or(0x10000));
  return ordinary.selectIf(magnitude.geU(IMPLICIT), small);
}

const KEPT = ~BigInt(FPSCR.FR | FPSCR.FI | FPSCR.FPRF);

/** FPSCR after a result that is inexact or not (0 or 1), rounded up or not (0 or 1; 0 if exact). */
function statusAfter(fpscr: I64, inexact: I64, up: I64, fprf: I64): I64 {
  const xx = inexact.shl(25);
  const fx = xx.and(fpscr.not()).shl(6);
  return fpscr.and(KEPT).or(fprf).or(xx).or(fx).or(inexact.shl(17)).or(up.shl(18));
}

function isNot0(value: I64): I64 {
  return value.ne(0n).extendU();
}

/** Ends the short way in double precision. `normal`: the result is a normal number whenever `ok`. */
export function finishDouble(result: Nearest, fpscr: I64, normal: boolean): Finished {
  const remainder = result.remainder();
  const inexact = isNot0(remainder.shl(1));
  const up = remainder.shrU(63).and(inexact);
  return { bits: result.bits, fpscr: statusAfter(fpscr, inexact, up, classOfFinite(result.bits, normal)) };
}

/**
 * Brings a nearest double down to single precision, correctly from the exact value: the double is first made "odd"
 * (truncated, last bit set if inexact), which a second rounding to nearest cannot tell from the exact value.
 */
export function toSingle(result: Nearest): { readonly ok: I32; readonly finish: (fpscr: I64) => Finished } {
  const { bits } = result;
  const { fn } = bits;
  const remainder = result.remainder();
  const odd = bits.add(remainder.shrS(63).and(isNot0(remainder.shl(1)).neg())).or(isNot0(remainder.shl(1)));
  const exact = odd.reinterpretF64();
  const single = exact.demote();
  const rounded = single.promote();
  const inRange = exact
    .abs()
    .ge(fn.f64(2 ** -126))
    .or(odd.shl(1).eqz());
  return {
    ok: result.ok.and(inRange).and(rounded.abs().le(fn.f64(LARGEST))),
    finish: (fpscr) => {
      const out = rounded.reinterpretI64();
      const change = out.sub(odd);
      return {
        bits: out,
        fpscr: statusAfter(fpscr, isNot0(change), change.gtS(0n).extendU(), classOfFinite(out, false)),
      };
    },
  };
}

/** FPSCR after an exact result: FR and FI 0, FPRF as given (in its place). */
export function statusAfterExact(fpscr: I64, fprf: I64): I64 {
  return fpscr.and(KEPT).or(fprf);
}

/** FPSCR after a conversion to an integer, which keeps FPRF. */
export function statusAfterConversion(fpscr: I64, inexact: I64, up: I64): I64 {
  return statusAfter(fpscr, inexact, up, fpscr.and(BigInt(FPSCR.FPRF)));
}
