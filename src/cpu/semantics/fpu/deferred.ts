// Status put off: an engine may keep what the last arithmetic operation was, instead of computing its FPRF, FR and FI,
// which the next one overwrites (ISA 3.0B I 4.2.2). Who looks at FPSCR has it settled first.
//
// Only operations that raise nothing new may be owed: FPSCR is plain (fast.ts), and XX is set or the result exact. So
// the exception bits, enables and rounding mode in the register block hold at any time; what settling does is to do the
// operation again, with its status.

import { fusesMultiplyAdd } from '../../../wasm/fused.ts';
import type { F64, FunctionBuilder, I32, I64 } from '../../../wasm/ir.ts';
import { CAREFUL } from './fast.ts';
import { FPSCR } from './fpscr.ts';

/** What an engine that puts off status offers to semantics. */
export interface DeferredStatus {
  /** What `guardOf` said of FPSCR when it last changed. */
  guard(): I32;
  /** Operation `kind` (scalar.ts) has been done on the operands; its status is owed, that of earlier ones is not any more. */
  owe(kind: number, operands: readonly I64[]): void;
  /** FPCC is `field` now. */
  oweCompare(field: I32): void;
  /**
   * A function that changes FPSCR (`RuntimeFunction.fpscr`) has been called; if semantics do not say so after the last
   * one, the end of the instruction does.
   */
  changed(): void;
}

/** 0 if FPSCR is plain and XX is set; `FPSCR.XX` if it is plain and XX is clear. */
export function guardOf(fpscr: I64): I32 {
  return fpscr
    .wrap()
    .and(Number(CAREFUL) | FPSCR.XX)
    .xor(FPSCR.XX);
}

/** An owed comparison as it is kept beside the operation: this bit, and the field from bit 8. */
export const OWED_COMPARE = 0x8000;

/** A result in double precision, and whether it may stand in place of the long way's. */
export interface Quick {
  readonly result: F64;
  /** 1 if it may when FPSCR is plain and XX set. */
  readonly ok: I32;
  /** Asked where `ok` says no: 1 if it may all the same. */
  readonly unusual?: () => I32;
  /** 1 only if the double is exact, asked where it may stand. */
  readonly exact: () => I32;
}
/** Operands as in the long way. `limits` are those of the target precision. */
export type QuickOperation = (fn: FunctionBuilder, operands: readonly F64[], limits: Limits) => Quick;

/** Between them a result is finite and by no means tiny. */
export interface Limits {
  readonly least: number;
  readonly largest: number;
}
export const doubleLimits: Limits = { least: 2 ** -1021, largest: Number.MAX_VALUE };
export const singleLimits: Limits = { least: 2 ** -125, largest: (2 - 2 ** -23) * 2 ** 127 };

const LEAST_NORMAL = 2 ** -1022;
/** An addend of at least this much that cancels a product: the product did not underflow. */
const LEAST_CANCELLED = 2 ** -900;

const isZero = (x: F64) => x.eq(x.fn.f64(0));
function isOrdinary(x: F64, limits: Limits): I32 {
  const magnitude = x.abs();
  return magnitude.ge(x.fn.f64(limits.least)).and(magnitude.le(x.fn.f64(limits.largest)));
}
function isNormal(x: F64): I32 {
  return x.abs().ge(x.fn.f64(LEAST_NORMAL));
}
/** A product below this may have been rounded up to a normal number. */
function isAboveUnderflow(product: F64): I32 {
  return product.abs().ge(product.fn.f64(2 * LEAST_NORMAL));
}
/** Of the larger operand an exact sum can be taken away without rounding. */
function isExactSum(sum: F64, x: F64, y: F64): I32 {
  return sum.sub(x).eq(y).and(sum.sub(y).eq(x));
}
/** 1 if the significands are so short that their product has room, unless it underflows. */
function haveShortProduct(x: F64, y: F64): I32 {
  return x.reinterpretI64().ctz().add(y.reinterpretI64().ctz()).geU(53n);
}

const quickSum =
  (subtract: boolean): QuickOperation =>
  (fn, [x, b], limits) => {
    const y = subtract ? b.neg() : b;
    const result = subtract ? x.sub(b) : x.add(b);
    const exact = () => isExactSum(result, x, y);
    // A double that is tiny is an exact sum; a single is not by this.
    if (limits === doubleLimits) return { result, ok: result.abs().le(fn.f64(limits.largest)), exact };
    return { result, ok: isOrdinary(result, limits), unusual: () => isZero(result), exact };
  };
export const quickAdd = quickSum(false);
export const quickSubtract = quickSum(true);

export const quickMultiply: QuickOperation = (_fn, [x, y], limits) => {
  const result = x.mul(y);
  return {
    result,
    ok: isOrdinary(result, limits),
    unusual: () => isZero(result).and(isZero(x).or(isZero(y))),
    exact: () => haveShortProduct(x, y),
  };
};

export const quickDivide: QuickOperation = (fn, [x, y], limits) => {
  const result = x.div(y);
  return {
    result,
    ok: isOrdinary(result, limits),
    // 0 / 0 is no zero.
    unusual: () =>
      isZero(result)
        .and(isZero(x))
        .and(y.abs().le(fn.f64(Number.MAX_VALUE))),
    exact: () => isZero(x).or(haveShortProduct(result, y).and(result.mul(y).eq(x)).and(isNormal(x))),
  };
};

export const quickSquareRoot: QuickOperation = (fn, [x], limits) => {
  const result = x.sqrt();
  const exact = () => isZero(x).or(haveShortProduct(result, result).and(result.mul(result).eq(x)).and(isNormal(x)));
  if (limits === doubleLimits) return { result, ok: result.le(fn.f64(limits.largest)), exact };
  return { result, ok: isOrdinary(result, limits), unusual: () => isZero(x), exact };
};

/** The operand itself, to be narrowed. */
export const quickSame: QuickOperation = (fn, [x], limits) => ({
  result: x,
  ok: isOrdinary(x, limits),
  unusual: () => isZero(x),
  exact: () => fn.i32(1),
});

/**
 * Operands are the two factors and the addend. Where the engine does not multiply and add with one rounding, only factors
 * with a product that needs none are quick.
 */
export function quickMultiplyAdd(subtract: boolean, negate: boolean): QuickOperation {
  return (fn, [x, y, b], limits) => {
    const z = subtract ? b.neg() : b;
    const noFactor = () => isZero(x).or(isZero(y));
    const turn = (value: F64) => (negate ? value.neg() : value);
    if (fusesMultiplyAdd()) {
      const all = (value: F64) => fn.pureV128('f64x2.splat', [value]);
      const sum = fn.pureV128('f64x2.relaxed_madd', [all(x), all(y), all(z)]).extractF64(0);
      return {
        result: turn(sum),
        ok: isOrdinary(sum, limits),
        unusual: () =>
          isZero(sum).and(
            noFactor().or(
              z
                .abs()
                .ge(fn.f64(LEAST_CANCELLED))
                .and(z.abs().le(fn.f64(Number.MAX_VALUE))),
            ),
          ),
        exact: () => {
          const product = x.mul(y);
          const fine = isAboveUnderflow(product).or(noFactor());
          return haveShortProduct(x, y)
            .and(fine)
            .and(isExactSum(sum, product, z));
        },
      };
    }
    const product = x.mul(y);
    const sum = product.add(z);
    const exactProduct = () => haveShortProduct(x, y).and(isAboveUnderflow(product)).or(noFactor());
    const inRange = () =>
      limits === doubleLimits ? sum.abs().le(fn.f64(limits.largest)) : isOrdinary(sum, limits).or(isZero(sum));
    return {
      result: turn(sum),
      ok: isOrdinary(sum, limits).and(haveShortProduct(x, y)).and(isAboveUnderflow(product)),
      unusual: () => exactProduct().and(inRange()),
      exact: () => isExactSum(sum, product, z),
    };
  };
}

/** A double as a single in double format; correct unless the double lies halfway between two and is not exact. */
export function narrowQuick(quick: Quick): Quick {
  const { result } = quick;
  const narrowed = result.demote().promote();
  const below = result.reinterpretI64().and(0x1fff_ffffn);
  return {
    result: narrowed,
    ok: quick.ok.and(below.ne(0x1000_0000n)),
    // Only zeros are let through there.
    unusual: quick.unusual && (() => isZero(result).and(quick.unusual!())),
    exact: () => narrowed.eq(result).and(quick.exact()),
  };
}
