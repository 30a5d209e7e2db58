// Decimal help for the fixed-point unit (ISA 3.0B I 3.3.18): addg6s, cdtbcd, cbcdtd.

import { bcdToDeclet, decletToBcd } from './decimal/declet.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { hostCall } from './hostcall.ts';
import { getVector, setVector } from './runtime.ts';

/** 6 in each digit that has no carry out in RA + RB: what a decimal addition adds too much. */
function addSixes(s: Emitter): void {
  const a = s.gpr('ra');
  const b = s.gpr('rb');
  const sum = a.add(b);
  // The carry into a bit shows as the difference of the sum from the sum without carries.
  const carryOut = a.xor(b).xor(sum).shrU(4).and(0x0111_1111_1111_1111n);
  const last = sum.ltU(a).extendU().shl(60);
  s.setGpr('rt', carryOut.or(last).xor(0x1111_1111_1111_1111n).mul(6));
}

/** Two groups of digits in each word; RA := f of each. */
function convertWords(name: string, from: number, to: number, f: (group: number) => number): Semantics {
  const convertWord = (word: number) => {
    const mask = (1 << from) - 1;
    return (f((word >>> from) & mask) << to) | f(word & mask);
  };
  const call = hostCall(name, (state) => {
    const value = state.scratch(0);
    const high = convertWord(Number((value >> 32n) & 0xffff_ffffn));
    const low = convertWord(Number(value & 0xffff_ffffn));
    state.setScratch(0, (BigInt(high) << 32n) | BigInt(low));
  });
  return (s) => {
    setVector(s.fn, 'scratch', s.fn.splat64(s.gpr('rs')), 0);
    s.hostCall(call);
    s.setGpr('ra', getVector(s.fn, 'scratch', 0).extract64(0));
  };
}

export const bcdAssist = {
  addg6s: addSixes,
  cdtbcd: convertWords('cdtbcd', 10, 12, decletToBcd),
  cbcdtd: convertWords('cbcdtd', 12, 10, bcdToDeclet),
} satisfies SemanticsMap;
