// Whether the WebAssembly engine multiplies and adds with one rounding. `relaxed_madd` may round once or twice, as the
// engine finds cheaper; V8 has it since version 11.4, and rounds once on processors that can (FMA3, all 64-bit ARM). Asked
// once, by computing a sum of which two roundings leave nothing.

import { FunctionBuilder } from './ir.ts';
import { ModuleBuilder } from './module.ts';

let answer: boolean | undefined;

/** True if `f64x2.relaxed_madd` and `f32x4.relaxed_madd` exist and round a * b + c once. */
export function fusesMultiplyAdd(): boolean {
  answer ??= probe('f64x2', 27) && probe('f32x4', 12);
  return answer;
}

/** For tests: what `fusesMultiplyAdd` says to code that is generated from now on; undefined: the truth. */
export function pretendFusing(fuses: boolean | undefined): void {
  answer = fuses;
}

/** (1 + e) * (1 + e) - (1 + 2e) is e * e, which the product alone has no room for. */
function probe(shape: 'f64x2' | 'f32x4', bits: number): boolean {
  const module = new ModuleBuilder();
  const ref = module.declare('probe', ['f64', 'f64'], 'f64');
  const fn = new FunctionBuilder('probe', { params: ['f64', 'f64'], result: 'f64' });
  const both = (index: number) => fn.pureV128('f64x2.splat', [fn.param('f64', index)]);
  const all = (index: number) => {
    const v = both(index);
    return shape === 'f64x2' ? v : v.un('f32x4.demote_f64x2_zero');
  };
  const sum = fn.pureV128(`${shape}.relaxed_madd`, [all(0), all(0), all(1)]);
  fn.return(shape === 'f64x2' ? sum.extractF64(0) : sum.extractF32(0).promote());
  module.defineBuilt(ref, fn);
  module.exportFunction('probe', ref);
  const bytes = module.encode();
  if (!WebAssembly.validate(bytes)) return false;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const small = 2 ** -bits;
  const once = (exports.probe as (factor: number, addend: number) => number)(1 + small, -(1 + 2 * small));
  return once === small * small;
}
