// Logic and permutation of vector-scalar registers (ISA 3.0B I 7.6.3).

import type { V128 } from '../../wasm/ir.ts';
import type { Semantics, SemanticsMap } from './emitter.ts';
import {
  byteWindow,
  element64,
  isaShuffle,
  reverseBytesOfElements,
  splatElement,
  vsxBinary,
} from './vector-elements.ts';
import { extractToDoubleword0, insertFromDoubleword0, merge, permute } from './vmx-permute.ts';

function reverseBytes(width: 2 | 4 | 8 | 16): Semantics {
  return (s) => s.setVsr('xt', reverseBytesOfElements(s.vsr('xb'), width));
}

/** Byte i is byte `XB[i]` of `XA || XT`. */
function permuteWithTarget(fromRight: boolean): Semantics {
  return (s) => s.setVsr('xt', permute(s.fn, s.vsr('xa'), s.vsr('xt'), s.vsr('xb'), fromRight));
}

/** Doubleword DM[0] of XA and doubleword DM[1] of XB. */
const permuteDoublewords: Semantics = (s) => {
  const a = s.vsr('xa');
  const b = s.vsr('xb');
  const dm = s.field('dm');
  const known = dm.known;
  let result: V128;
  if (known !== undefined) {
    const bytes = [0, 1, 2, 3, 4, 5, 6, 7];
    const sources = [...bytes.map((i) => i + (known & 2 ? 8 : 0)), ...bytes.map((i) => i + 16 + (known & 1 ? 8 : 0))];
    result = isaShuffle(a, b, sources);
  } else {
    const high = element64(a, 1).selectIf(dm.and(2), element64(a, 0));
    const low = element64(b, 1).selectIf(dm.and(1), element64(b, 0));
    result = s.fn.v128From64(high, low);
  }
  s.setVsr('xt', result);
};

export const vsxPermute = {
  xxland: vsxBinary((a, b) => a.and(b)),
  xxlandc: vsxBinary((a, b) => a.andnot(b)),
  xxleqv: vsxBinary((a, b) => a.xor(b).not()),
  xxlnand: vsxBinary((a, b) => a.and(b).not()),
  xxlorc: vsxBinary((a, b) => a.or(b.not())),
  xxlnor: vsxBinary((a, b) => a.or(b).not()),
  xxlor: vsxBinary((a, b) => a.or(b)),
  xxlxor: vsxBinary((a, b) => a.xor(b)),
  xxsel: (s) => s.setVsr('xt', s.vsr('xb').bitselect(s.vsr('xa'), s.vsr('xc'))),
  xxmrghw: vsxBinary((a, b) => merge(a, b, 4, 0)),
  xxmrglw: vsxBinary((a, b) => merge(a, b, 4, 8)),
  xxperm: permuteWithTarget(false),
  xxpermr: permuteWithTarget(true),
  xxpermdi: permuteDoublewords,
  xxsldwi: vsxBinary((a, b, s) => byteWindow(s.fn, a, b, s.field('dm').shl(2))),
  xxspltib: (s) => s.setVsr('xt', s.fn.splat8(s.field('imm8'))),
  xxspltw: (s) => s.setVsr('xt', splatElement(s.fn, s.vsr('xb'), 4, s.field('uim'))),
  xxextractuw: (s) => s.setVsr('xt', extractToDoubleword0(s.fn, s.vsr('xb'), 4, s.field('uim'))),
  xxinsertw: (s) => s.setVsr('xt', insertFromDoubleword0(s.fn, s.vsr('xt'), s.vsr('xb'), 4, s.field('uim'))),
  xxbrh: reverseBytes(2),
  xxbrw: reverseBytes(4),
  xxbrd: reverseBytes(8),
  xxbrq: reverseBytes(16),
} satisfies SemanticsMap;
