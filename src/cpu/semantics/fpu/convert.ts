// Conversions of floating-point loads and stores between single and double format (ISA 3.0B I 4.6.2, 4.6.3). They move
// bits: no rounding, no FPSCR, a signalling NaN stays one.

import { runtimeFunction } from '../runtime.ts';

/** DOUBLE(WORD): the bits of a single as those of the double of the same value. */
export const singleToDouble = runtimeFunction('singleToDouble', ['i32'], 'i64', (fn) => {
  const word = fn.param32(0);
  const sign = word.and(-0x8000_0000).extendU().shl(32);
  const magnitude = word.and(0x7fff_ffff);
  // Exponent and fraction in place; what is missing is the difference of the biases, twice for infinities and NaNs.
  const placed = magnitude.extendU().shl(29);
  const bias = fn.i64(1792n << 52n).selectIf(magnitude.geU(0x7f80_0000), 896n << 52n);
  fn.if(magnitude.geU(0x80_0000), () => fn.return(sign.or(placed.add(bias))));
  fn.if(magnitude.eqz(), () => fn.return(sign));
  // A denormal: its leading one moves to the place of the hidden bit, 23.
  const up = magnitude.clz().sub(8).extendU();
  const exponent = fn.i64(896).sub(up).shl(52);
  fn.return(sign.or(placed.shl(up).add(exponent)));
});

/**
 * SINGLE(DOUBLE): the bits of a double as those of a single. Exponents that a single has no room for, which the ISA leaves
 * undefined, lose their upper bits (above) or give a signed zero (below).
 */
export const doubleToSingle = runtimeFunction('doubleToSingle', ['i64'], 'i32', (fn) => {
  const value = fn.param64(0);
  const exponent = value.shrU(52).and(0x7ff).wrap();
  const upper = value.shrU(32).wrap();
  fn.if(exponent.gtU(896), () => {
    fn.return(upper.and(-0x4000_0000).or(value.shrU(29).wrap().and(0x3fff_ffff)));
  });
  const sign = upper.and(-0x8000_0000);
  fn.if(exponent.ltU(874), () => fn.return(sign));
  const significand = value.and(0xf_ffff_ffff_ffffn).or(1n << 52n);
  fn.return(sign.or(significand.shrU(fn.i32(926).sub(exponent).extendU()).wrap()));
});
