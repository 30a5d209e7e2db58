// Moves between general purpose and vector-scalar registers (ISA 3.0B I 3.3.19) and of VSCR (I 6.3.2).

import type { I64 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';

/** XT := f(RA) in doubleword 0; doubleword 1, undefined in the ISA, is cleared. */
function toDoubleword0(f: (value: I64) => I64): Semantics {
  return (s) => s.setVsrScalar('xt', f(s.gpr('ra')));
}

const VSCR_NJ = 0x1_0000;
const VSCR_SAT = 1;

function moveFromVscr(s: Emitter): void {
  const nj = s.state32('vscrNj').ne(0).shl(16);
  const value = nj.or(s.state32('vscrSat').ne(0));
  s.setVr('vrt', s.fn.v128From64(s.fn.i64(0), value.extendU()));
}
function moveToVscr(s: Emitter): void {
  const word = s.vr('vrb').extract32(0);
  s.setState32('vscrNj', word.and(VSCR_NJ).ne(0));
  s.setState32('vscrSat', word.and(VSCR_SAT));
}

export const vsxMove = {
  mfvsrd: (s) => s.setGpr('ra', s.vsrDoubleword('xs', 0)),
  mfvsrld: (s) => s.setGpr('ra', s.vsrDoubleword('xs', 1)),
  mfvsrwz: (s) => s.setGpr('ra', s.vsrDoubleword('xs', 0).low32()),
  mtvsrd: toDoubleword0((value) => value),
  mtvsrwa: toDoubleword0((value) => value.extend32S()),
  mtvsrwz: toDoubleword0((value) => value.low32()),
  mtvsrdd: (s) => s.setVsr('xt', s.fn.v128From64(s.gprOr0('ra'), s.gpr('rb'))),
  mtvsrws: (s) => s.setVsr('xt', s.fn.splat32(s.gpr('ra').wrap())),
  mfvscr: moveFromVscr,
  mtvscr: moveToVscr,
} satisfies SemanticsMap;
