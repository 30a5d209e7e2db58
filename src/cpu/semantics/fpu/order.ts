// Maximum, minimum and the exceptions of compares (ISA 3.0B I 7.6.3).

import type { I64 } from '../../../wasm/ir.ts';
import { type RuntimeFunction, runtimeFunction } from '../runtime.ts';
import { isNaN64, isSignalling64, QUIET } from './format.ts';
import { compareUnordered, FPSCR, raise } from './fpscr.ts';

/** What NaNs do: IEEE (a number wins), as the C expression `a > b ? a : b`, or Java (the first NaN wins). */
export type NaNRule = 'ieee' | 'c' | 'java';

/** (a, b, unused): the larger or the smaller, of equal ones the positive or the negative zero. Raises VXSNAN. */
function extreme(kind: 'maximum' | 'minimum', rule: NaNRule): RuntimeFunction {
  return runtimeFunction(`fpu.${kind}.${rule}`, ['i64', 'i64', 'i32'], 'i64', (fn) => {
    const [a, b] = [fn.param64(0), fn.param64(1)];
    const [signallingA, signallingB] = [isSignalling64(a), isSignalling64(b)];
    fn.if(signallingA.or(signallingB), () => raise(fn, FPSCR.VXSNAN));
    const [x, y] = [a.reinterpretF64(), b.reinterpretF64()];
    const first = kind === 'maximum' ? x.gt(y) : x.lt(y);
    if (rule === 'c') {
      fn.return(a.selectIf(first, b));
      return;
    }
    if (rule === 'java') {
      fn.if(isNaN64(a), () => fn.return(a));
      fn.if(isNaN64(b), () => fn.return(b));
    } else {
      fn.if(signallingA, () => fn.return(a.or(QUIET)));
      // A quiet NaN before a signalling one is the result.
      fn.if(isNaN64(a), () => fn.return(a.selectIf(isNaN64(b), b)));
      fn.if(isNaN64(b), () => fn.return(b.or(QUIET).selectIf(signallingB, a)));
    }
    const equal: I64 = kind === 'maximum' ? a.and(b) : a.or(b);
    fn.return(equal.selectIf(x.eq(y), a.selectIf(first, b)));
  });
}

export const exactMaximum = extreme('maximum', 'ieee');
export const exactMinimum = extreme('minimum', 'ieee');
export const exactMaximumC = extreme('maximum', 'c');
export const exactMinimumC = extreme('minimum', 'c');
export const exactMaximumJava = extreme('maximum', 'java');
export const exactMinimumJava = extreme('minimum', 'java');

/** (a, b, ordered): raises what a compare of any two numbers raises. */
export const compareRaises = runtimeFunction('fpu.compareRaises', ['i64', 'i64', 'i32'], undefined, (fn, runtime) => {
  const [a, b] = [fn.param64(0), fn.param64(1)];
  fn.if(isNaN64(a).or(isNaN64(b)), () => fn.callVoid(runtime.ref(compareUnordered), [a, b, fn.param32(2)]));
});
