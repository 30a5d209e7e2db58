// All meanings there are, by mnemonic.

import { atomics } from './atomics.ts';
import { bcdAssist } from './bcd-assist.ts';
import { branch } from './branch.ts';
import { decimal } from './decimal.ts';
import type { SemanticsMap } from './emitter.ts';
import { fixedPoint } from './fixed-point.ts';
import { floatingPoint } from './floating-point.ts';
import { loadStore } from './load-store.ts';
import { quad } from './quad.ts';
import { spr } from './spr.ts';
import { system } from './system.ts';
import { vectorMemory } from './vector-memory.ts';
import { vmxCrypto } from './vmx-crypto.ts';
import { vmxDecimal } from './vmx-decimal.ts';
import { vmxFloat } from './vmx-float.ts';
import { vmxInteger } from './vmx-integer.ts';
import { vmxMultiply } from './vmx-multiply.ts';
import { vmxPermute } from './vmx-permute.ts';
import { vmxShift } from './vmx-shift.ts';
import { vsxMove } from './vsx-move.ts';
import { vsxPermute } from './vsx-permute.ts';
import { vsxScalarFloat } from './vsx-scalar-float.ts';
import { vsxVectorFloat } from './vsx-vector-float.ts';

export const semantics: SemanticsMap = {
  ...fixedPoint,
  ...branch,
  ...floatingPoint,
  ...loadStore,
  ...atomics,
  ...spr,
  ...system,
  ...vectorMemory,
  ...vmxInteger,
  ...vmxFloat,
  ...vmxShift,
  ...vmxPermute,
  ...vmxMultiply,
  ...vmxCrypto,
  ...vmxDecimal,
  ...bcdAssist,
  ...decimal,
  ...vsxPermute,
  ...vsxMove,
  ...vsxScalarFloat,
  ...vsxVectorFloat,
  ...quad,
};
