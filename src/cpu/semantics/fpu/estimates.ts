// Power and logarithm to base 2 in doubles, for the estimates of VMX (ISA 3.0B I 6.10.5), by polynomials whose results
// are the same on every host.

import type { F64, FunctionBuilder } from '../../../wasm/ir.ts';
import { runtimeFunction } from '../runtime.ts';

/** c[0] + x * (c[1] + x * (c[2] + ...)). */
function polynomial(fn: FunctionBuilder, x: F64, coefficients: readonly number[]): F64 {
  return coefficients.reduceRight<F64 | undefined>(
    (sum, c) => (sum ? sum.mul(x).add(fn.f64(c)) : fn.f64(c)),
    undefined,
  )!;
}

const { LN2 } = Math;
/** Taylor series of 2^x: (ln 2)^n / n!. On -1/2 to 1/2 the first term left out is below 2^-50. */
const exponentialSeries = Array.from({ length: 13 }, (_, n) => {
  let term = 1;
  for (let i = 1; i <= n; i++) term *= LN2 / i;
  return term;
});

/** 2^x, for x a single; beyond the range of singles 0 or infinity (a large power) comes out. */
export const exponential2 = runtimeFunction('fpu.exponential2', ['f64'], 'f64', (fn) => {
  const x = fn.param('f64', 0);
  const limited = fn.select(x.gt(fn.f64(400)), fn.f64(400), fn.select(x.lt(fn.f64(-400)), fn.f64(-400), x));
  const whole = limited.nearest();
  const power = polynomial(fn, limited.sub(whole), exponentialSeries);
  const scale = whole.truncSatToI64S().add(1023).shl(52).reinterpretF64();
  fn.return(power.mul(scale));
});

/** 2 / (ln 2 * (2 n + 1)): log2((1 + t) / (1 - t)) is t times the series in t^2. |t| is at most 0.1716. */
const logarithmSeries = Array.from({ length: 11 }, (_, n) => 2 / (LN2 * (2 * n + 1)));

/** log2(x), for x a single: minus infinity for zeros, a NaN for negative numbers. */
export const logarithm2 = runtimeFunction('fpu.logarithm2', ['f64'], 'f64', (fn) => {
  const x = fn.param('f64', 0);
  fn.if(x.eq(fn.f64(0)), () => fn.return(fn.f64(-Infinity)));
  fn.if(x.lt(fn.f64(0)), () => fn.return(fn.f64(Number.NaN)));
  fn.if(x.lt(fn.f64(Infinity)).eqz(), () => fn.return(x));
  // x = 2^exponent * y with y from sqrt(1/2) to sqrt(2).
  const bits = x.reinterpretI64();
  const offset = bits.sub(0x3fe6_a09e_667f_3bcdn);
  const exponent = offset.shrS(52);
  const y = bits.sub(exponent.shl(52)).reinterpretF64();
  const one = fn.f64(1);
  const t = y.sub(one).div(y.add(one));
  const series = polynomial(fn, t.mul(t), logarithmSeries);
  fn.return(exponent.convertToF64S().add(t.mul(series)));
});
