// Conversions of floating-point loads and stores between single and double format as runtime functions.

import { runtimeFunction } from '../runtime.ts';
import { doubleOfSingle, singleOfDouble } from './format.ts';

/** DOUBLE(WORD): the bits of a single as those of the double of the same value. */
export const singleToDouble = runtimeFunction('singleToDouble', ['i32'], 'i64', (fn) =>
  fn.return(doubleOfSingle(fn.param32(0))),
);

/** SINGLE(DOUBLE): the bits of a double as those of a single, cut off where they do not fit. */
export const doubleToSingle = runtimeFunction('doubleToSingle', ['i64'], 'i32', (fn) =>
  fn.return(singleOfDouble(fn.param64(0))),
);
