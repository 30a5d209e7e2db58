// The exact product of two 53-bit significands, with one f64 and one i64 multiplication.

import type { I64 } from '../../../wasm/ir.ts';
import { FRACTION, IMPLICIT, ONE } from './format.ts';

export interface Product {
  /** 1 if the product is 2 or more, both factors taken as 1 to 2. */
  readonly carry: I64;
  /** The 53-bit nearest significand. */
  readonly nearest: I64;
  /** Low 64 bits of the 106-bit product. */
  readonly low: I64;
  /** The nearest significand brought to the product's scale: its low 64 bits. */
  readonly nearestLow: I64;
  /** Exact product minus nearest, in units of the product's last bit. */
  readonly remainder: I64;
}

/** Two 53-bit significands. */
export function multiplySignificands(x: I64, y: I64): Product {
  const asFraction = (s: I64) => s.and(FRACTION).or(ONE).reinterpretF64();
  const bits = asFraction(x).mul(asFraction(y)).reinterpretI64();
  const carry = bits.shrU(62);
  const nearest = bits.and(FRACTION).or(IMPLICIT);
  const low = x.mul(y);
  const nearestLow = nearest.shl(carry.add(52));
  return { carry, nearest, low, nearestLow, remainder: low.sub(nearestLow) };
}

/** Bits 64 and up of the 106-bit product. */
export function productHigh({ carry, nearest, low, nearestLow, remainder }: Product): I64 {
  const { fn } = carry;
  const borrow = remainder.shrS(63);
  return nearest.shrU(fn.i64(12).sub(carry)).add(borrow).add(low.ltU(nearestLow).extendU());
}
