// Where QEMU 7.2 and the ISA part, and what the ISA leaves open: the one table of it. Nothing else in the suites excuses a
// difference. Binary floating point is checked against an exact model (reference-instructions.ts); there `reconcile` makes
// QEMU's answer the model's where the difference is the one described, so that anything else still shows.

import { fieldValue } from '../../src/cpu/isa/decode.ts';
import type { Instruction } from '../../src/cpu/isa/table.ts';
import { clearAdjusted, clearDoubtfulFi, decimalStatus, specialOperands } from './decimal-rules.ts';
import { fpscrBit as bit } from './reference-instructions.ts';
import {
  boundedAtomic,
  clearDoubleword1,
  estimatePrecision,
  exactFx,
  exactQuotient,
  highWordTwice,
  maskVscr,
  maskXer,
  moveFpscr,
  noOperation,
  packedCopySign,
  packedSum,
  type Rule,
  rotateDoublewordMaskInsert,
  signedAtomic,
  sourceFlags,
  storeReservedQuad,
  subnormalSingleClass,
} from './reference-rules.ts';
import { outcomes, type SlotState, slot } from './state.ts';

export interface RuleDifference {
  readonly what: string;
  readonly reference: string;
  readonly ops: (entry: Instruction) => boolean;
  readonly rule: Rule;
}

const oneOf = (...ops: string[]) => {
  const set = new Set(ops);
  return (entry: Instruction) => set.has(entry.op);
};

/** Repairs to QEMU's answers, in order. */
export const ruleDifferences: readonly RuleDifference[] = [
  {
    what: 'reserved no-ops, icbt, dcbf with L above 1, and stream touches with reserved bits are illegal in QEMU; they do nothing',
    reference: 'ISA 3.0B II 4.3, I 1.8.3; POWER9 ignores reserved bits',
    ops: oneOf('rnop', 'icbt', 'dcbf', 'dst', 'dstt', 'dstst', 'dststt'),
    rule: noOperation,
  },
  {
    what: 'RT[0:31] of mulhw and mulhwu is undefined; POWER9 repeats the high word, and CR0 is taken from all 64 bits',
    reference: 'ISA 3.0B I 3.3.9',
    ops: oneOf('mulhw', 'mulhwu'),
    rule: highWordTwice,
  },
  {
    what: 'a quotient or remainder that does not exist is undefined, POWER9 gives 0; so is the upper half of a word quotient, POWER9 gives 0; QEMU misses the overflow of some divde',
    reference: 'ISA 3.0B I 3.3.9',
    ops: (entry) => entry.class === 'fx-div',
    rule: exactQuotient,
  },
  {
    what: 'doubleword 1 of a move or load to doubleword 0 is undefined; POWER9 clears it, QEMU keeps it for these',
    reference: 'ISA 3.0B I 7.6.1, 7.6.2',
    ops: oneOf('mtvsrd', 'mtvsrwa', 'mtvsrwz', 'lxsdx', 'lxsibzx', 'lxsihzx', 'lxsiwax', 'lxsiwzx', 'lxsspx'),
    rule: clearDoubleword1,
  },
  {
    what: 'VSCR has NJ and SAT; QEMU keeps the reserved bits that mtvscr writes',
    reference: 'ISA 3.0B I 6.3.2',
    ops: oneOf('mtvscr'),
    rule: maskVscr,
  },
  {
    what: 'the conditional functions of lwat and ldat return the most negative number of their size, and a decrement looks at the element before; QEMU returns a sign-extended word and always looks behind',
    reference: 'ISA 3.0B II 4.5.1',
    ops: oneOf('lwat', 'ldat'),
    rule: boundedAtomic,
  },
  {
    what: 'the signed maximum and minimum of lwat and stwat; QEMU compares unsigned words',
    reference: 'ISA 3.0B II 4.5',
    ops: oneOf('lwat', 'ldat', 'stwat', 'stdat'),
    rule: signedAtomic,
  },
  {
    what: 'stqcx. behind its lqarx stores; QEMU in little-endian mode compares the halves the wrong way round and fails',
    reference: 'ISA 3.0B II 4.6.2.2',
    ops: oneOf('stqcx.'),
    rule: storeReservedQuad,
  },
  {
    what: 'xststdcsp of a double below the range of single: subnormal by its exponent; QEMU makes it a single first, which is +0',
    reference: 'ISA 3.0B I 7.6.3',
    ops: oneOf('xststdcsp'),
    rule: subnormalSingleClass,
  },
  {
    what: 'CR6 of decimal shifts, truncations and bcdctsq. compares the source with zero; QEMU compares the result',
    reference: 'ISA 3.0B I 6.17.3',
    ops: oneOf('bcds.', 'bcdus.', 'bcdsr.', 'bcdtrunc.', 'bcdutrunc.', 'bcdctsq.'),
    rule: sourceFlags,
  },
  {
    what: 'bcdcpsgn. with VRT=VRB: QEMU overwrites the sign before it copies it',
    reference: 'ISA 3.0B I 6.17.2',
    ops: oneOf('bcdcpsgn.'),
    rule: packedCopySign,
  },
  {
    what: 'bcdadd. and bcdsub. with a zero sum: it is positive and CR6 says equal; QEMU also says greater or less',
    reference: 'ISA 3.0B I 6.17.1',
    ops: oneOf('bcdadd.', 'bcdsub.'),
    rule: packedSum,
  },
  {
    what: 'XER bits 35 to 43 read as 0 whatever was written; QEMU keeps them',
    reference: 'ISA 3.0B I 3.2.2',
    ops: oneOf('mtspr'),
    rule: maskXer,
  },
  {
    what: 'vrldmi inserts under the mask; QEMU replaces the whole doubleword',
    reference: 'ISA 3.0B I 6.9.3',
    ops: oneOf('vrldmi'),
    rule: rotateDoublewordMaskInsert,
  },
  {
    what: 'moves to the FPSCR: computed by an exact rule, of which QEMU differs in FX and in what an interrupt leaves behind',
    reference: 'ISA 3.0B I 4.6.9',
    ops: (entry) => entry.class === 'fpscr',
    rule: moveFpscr,
  },
  {
    what: 'decimal: drdpq delivers to the even register of the pair; NaNs keep their payload and drsp their kind, ddedpd, diex, dscli and dscri the declets of infinities and NaNs, in canonical form; denbcd refuses any invalid digit; QEMU differs in each',
    reference: 'ISA 3.0B I 5.3, 5.6.5, 5.6.6',
    ops: (entry) => entry.class === 'dfp',
    rule: specialOperands,
  },
  {
    what: 'decimal: enabled exceptions interrupt, invalid ones and division by zero keep the target, FI is cleared, tiny exact results raise an enabled UX; QEMU does none of it',
    reference: 'ISA 3.0B I 5.5.10',
    ops: (entry) => entry.class === 'dfp',
    rule: decimalStatus,
  },
  {
    what: 'FX is set when an exception bit goes from 0 to 1; QEMU sets it whenever the exception occurs again',
    reference: 'ISA 3.0B I 4.2.2',
    ops: (entry) => entry.class === 'dfp',
    rule: exactFx,
  },
];

/** What is left out of every comparison because the ISA calls it undefined and nothing says what POWER9 does. */
export interface MaskDifference {
  readonly what: string;
  readonly reference: string;
  readonly ops: (entry: Instruction) => boolean;
  /** Clears it in `state`; `before` is the state the instruction began with. */
  readonly clear: (entry: Instruction, word: number, before: SlotState, state: SlotState) => void;
}

const fpscrOf = (state: SlotState) => state.words[2 * slot.fpscr];
function setFpscr(state: SlotState, value: number): void {
  state.words[2 * slot.fpscr] = value;
}
const field = (entry: Instruction, word: number, name: string) => fieldValue(word, entry.fields.get(name)!);

const elementBytes: Readonly<Record<string, number>> = { lvebx: 1, lvehx: 2, lvewx: 4 };

export const maskDifferences: readonly MaskDifference[] = [
  {
    what: 'estimates: any value within the required precision will do (checkEstimate looks at it)',
    reference: 'ISA 3.0B I 6.10.5',
    ops: oneOf('vrefp', 'vrsqrtefp', 'vexptefp', 'vlogefp'),
    clear: (entry, word, _before, state) => {
      const register = slot.vsr + 2 * (32 + field(entry, word, 'vrt'));
      state.slots[register] = 0n;
      state.slots[register + 1] = 0n;
    },
  },
  {
    what: 'decimal: QEMU never sets FR, and keeps FI and FR over an enabled invalid operation',
    reference: 'ISA 3.0B I 5.5.10',
    ops: (entry) => entry.class === 'dfp',
    clear: (_entry, _word, _before, state) =>
      setFpscr(state, fpscrOf(state) & ~(state.outcome === outcomes.ok ? bit.FR : bit.FR | bit.FI)),
  },
  {
    what: 'decimal: the adjusted result of an enabled overflow or underflow, of which QEMU gives the one for disabled exceptions',
    reference: 'ISA 3.0B I 5.5.10.3, 5.5.10.4',
    ops: (entry) => entry.class === 'dfp',
    clear: clearAdjusted,
  },
  {
    what: 'decimal: FI, where it and XX were set before: QEMU does not clear it',
    reference: 'ISA 3.0B I 4.2.2',
    ops: (entry) => entry.class === 'dfp',
    clear: clearDoubtfulFi,
  },
  {
    what: 'CR1 of a recording instruction that takes the floating-point interrupt: QEMU interrupts before setting it',
    reference: 'ISA 3.0B I 4.4 does not say',
    ops: (entry) => entry.fields.has('rc') && /^(fp|fpscr|dfp)/.test(entry.class),
    clear: (entry, word, _before, state) => {
      if (state.outcome === outcomes.floatingPoint && field(entry, word, 'rc'))
        state.cr = (state.cr & ~0x0f00_0000) >>> 0;
    },
  },
  {
    what: 'lvebx, lvehx and lvewx leave the other elements undefined',
    reference: 'ISA 3.0B I 6.7.2',
    ops: (entry) => elementBytes[entry.op] !== undefined,
    clear: (entry, word, before, state) => {
      const bytes = elementBytes[entry.op];
      const ra = field(entry, word, 'ra');
      const ea = (ra === 0 ? 0n : before.gpr[ra]) + before.gpr[field(entry, word, 'rb')];
      const from = Number(ea & 15n) & -bytes;
      const register = 8 * (slot.vsr + 2 * (32 + field(entry, word, 'vrt')));
      const view = new Uint8Array(state.slots.buffer);
      // Byte i in memory is byte i of the little-endian register, whose doubleword 0 is the upper half.
      for (let i = 0; i < 16; i++) if (i < from || i >= from + bytes) view[register + (i < 8 ? 8 + i : i - 8)] = 0;
    },
  },
];

/** A difference between QEMU's answer and the model of a binary floating-point instruction. */
export interface FloatDifference {
  readonly what: string;
  readonly reference: string;
  /** Makes `qemu` the model's answer in this one respect, if it applies. */
  readonly reconcile: (entry: Instruction, word: number, before: SlotState, qemu: SlotState, model: SlotState) => void;
}

function take(qemu: SlotState, model: SlotState, bits: number): void {
  setFpscr(qemu, (fpscrOf(qemu) & ~bits) | (fpscrOf(model) & bits));
}

const vectorFloat = (entry: Instruction) => entry.op.startsWith('xv');
const interrupts = (state: SlotState) => state.outcome === outcomes.floatingPoint;

function takeTarget(entry: Instruction, word: number, qemu: SlotState, model: SlotState): void {
  for (const [name, base] of [['frt', 0], ['xt', 0], ['vrt', 32]] as const) {
    if (!entry.fields.has(name)) continue;
    const register = slot.vsr + 2 * (base + field(entry, word, name));
    qemu.slots[register] = model.slots[register];
    qemu.slots[register + 1] = model.slots[register + 1];
  }
} // biome-ignore format: as it is

function takeOutcome(qemu: SlotState, model: SlotState): void {
  qemu.outcome = model.outcome;
  qemu.nia = model.nia;
}

export const floatDifferences: readonly FloatDifference[] = [
  {
    what: 'estimates: QEMU does not raise ZX for the reciprocal of zero, nor OX and UX of single-precision reciprocals as such; FPRF is of its own value',
    reference: 'ISA 3.0B I 4.6.6.1, 7.6.3',
    reconcile: (entry, word, _before, qemu, model) => {
      if (estimatePrecision(entry.op) === undefined) return;
      take(qemu, model, bit.ZX | bit.OX | bit.UX | bit.VXSQRT | bit.VXSNAN | bit.VX | bit.FEX);
      if (interrupts(model)) {
        take(qemu, model, bit.FPRF);
        takeTarget(entry, word, qemu, model);
        takeOutcome(qemu, model);
      }
      if (entry.fields.has('rc') && field(entry, word, 'rc')) qemu.cr = model.cr;
    },
  },
  {
    what: 'infinity times zero plus a signalling NaN raises VXSNAN besides VXIMZ; QEMU raises VXIMZ alone',
    reference: 'ISA 3.0B I 4.4.1',
    reconcile: (entry, _word, _before, qemu, model) => {
      if (/m(add|sub)/.test(entry.op) && fpscrOf(model) & bit.VXIMZ) take(qemu, model, bit.VXSNAN);
    },
  },
  {
    what: 'QEMU does not compute FR',
    reference: 'ISA 3.0B I 4.2.2',
    reconcile: (_entry, _word, _before, qemu, model) => take(qemu, model, bit.FR),
  },
  {
    what: 'FX is set when an exception bit goes from 0 to 1; QEMU sets it whenever the exception occurs again',
    reference: 'ISA 3.0B I 4.2.2',
    reconcile: (entry, word, before, qemu, model) => {
      if (fpscrOf(before) & bit.FX || !(fpscrOf(qemu) & bit.FX) || fpscrOf(model) & bit.FX) return;
      take(qemu, model, bit.FX);
      if (entry.fields.has('rc') && field(entry, word, 'rc') && !vectorFloat(entry))
        qemu.cr = (qemu.cr & ~0x0800_0000) >>> 0;
    },
  },
  {
    what: 'vector and compare instructions, max and min leave FI as it was; QEMU clears or sets it',
    reference: 'ISA 3.0B I 4.2.2, 7.2.2',
    reconcile: (entry, _word, _before, qemu, model) => {
      if (vectorFloat(entry) || /cmp|xsmax|xsmin/.test(entry.op)) take(qemu, model, bit.FI);
    },
  },
  {
    what: 'an enabled invalid operation or zero divide clears FI; QEMU keeps it',
    reference: 'ISA 3.0B I 4.4.1.2, 4.4.2.2',
    reconcile: (_entry, _word, _before, qemu, model) => {
      if (interrupts(model)) take(qemu, model, bit.FI);
    },
  },
  {
    what: 'an enabled overflow, underflow or inexact exception of a scalar instruction delivers the result and FPRF; QEMU does not',
    reference: 'ISA 3.0B I 4.4.3.1, 4.4.4.1, 4.4.5, 7.4.3 to 7.4.5',
    reconcile: (entry, word, before, qemu, model) => {
      if (vectorFloat(entry) || !interrupts(model) || !interrupts(qemu)) return;
      if (!(fpscrOf(before) & (bit.OE | bit.UE | bit.XE))) return;
      takeTarget(entry, word, qemu, model);
      take(qemu, model, bit.FPRF);
    },
  },
  {
    what: 'FPRF of a single-precision result is its class as a single: QEMU calls subnormal singles normal',
    reference: 'ISA 3.0B I 7.6.3 (xsaddsp: "as represented in single-precision format"), I 4.2.2',
    reconcile: (entry, _word, _before, qemu, model) => {
      if (vectorFloat(entry) || !/s$|sp$/.test(entry.op)) return;
      const [q, m] = [fpscrOf(qemu) & bit.FPRF, fpscrOf(model) & bit.FPRF];
      if ((q === 0x4000 && m === 0x14000) || (q === 0x8000 && m === 0x18000)) take(qemu, model, bit.FPRF);
    },
  },
  {
    what: 'fcfids, fcfidu and fcfidus set FPRF; QEMU does not',
    reference: 'ISA 3.0B I 4.6.7.3',
    reconcile: (entry, _word, _before, qemu, model) => {
      if (/^fcfid(s|u|us)$/.test(entry.op)) take(qemu, model, bit.FPRF);
    },
  },
  {
    what: 'negative multiply-add rounds, then negates: with rounding towards an infinity QEMU rounds the negated sum',
    reference: 'ISA 3.0B I 4.6.6.2',
    reconcile: (entry, word, before, qemu, model) => {
      if (!/nm(add|sub)/.test(entry.op) || (fpscrOf(before) & 3) < 2) return;
      takeTarget(entry, word, qemu, model);
      take(qemu, model, bit.FPRF | bit.FI | bit.OX | bit.XX | bit.FX);
      qemu.cr = model.cr;
    },
  },
  {
    what: 'the unused word beside a word result is undefined; POWER9 repeats the result (fctiw and its kin)',
    reference: 'ISA 3.0B I 4.6.7.2',
    reconcile: (entry, word, _before, qemu, model) => {
      if (!/^fctiw/.test(entry.op)) return;
      const register = 2 * (slot.vsr + 2 * field(entry, word, 'frt'));
      if (qemu.words[register] === model.words[register]) qemu.words[register + 1] = model.words[register + 1];
    },
  },
  {
    what: 'an invalid fcmpo or xscmpo changes only FPCC, and raises VXVC with VXSNAN only if VE=0; QEMU sets C, and VXVC always',
    reference: 'ISA 3.0B I 4.6.8, 7.6.3',
    reconcile: (entry, _word, _before, qemu, model) => {
      if (!/cmpo/.test(entry.op)) return;
      take(qemu, model, 0x10000);
      if (fpscrOf(model) & bit.VXSNAN && fpscrOf(model) & bit.VE) take(qemu, model, bit.VXVC);
    },
  },
  {
    what: 'overflow in one element and underflow in another of a vector: QEMU forgets the underflow, and its interrupt',
    reference: 'ISA 3.0B I 7.4.4',
    reconcile: (entry, word, before, qemu, model) => {
      if (!vectorFloat(entry)) return;
      const flags = bit.OX | bit.UX;
      if ((fpscrOf(model) & flags) !== flags || (fpscrOf(before) & flags) === flags) return;
      take(qemu, model, bit.UX);
      if (fpscrOf(before) & bit.UE && interrupts(model) && !interrupts(qemu)) {
        take(qemu, model, bit.FEX);
        takeTarget(entry, word, qemu, model);
        takeOutcome(qemu, model);
      }
    },
  },
  {
    what: 'an enabled exception in one element of a vector, be it overflow, underflow or inexact, keeps the whole target, and all elements raise their exceptions; QEMU writes it for those three, and stops at an element with one of the others',
    reference: 'ISA 3.0B I 7.4, and 7.6.3 (ex_flag)',
    reconcile: (entry, word, _before, qemu, model) => {
      if (!vectorFloat(entry) || !interrupts(qemu) || !interrupts(model)) return;
      take(qemu, model, 0x1ff8_0700 | bit.VX | bit.XX);
      takeTarget(entry, word, qemu, model);
    },
  },
  {
    what: 'xvcmpge and xvcmpgt: an enabled VXVC interrupts and keeps the target; QEMU does neither',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, before, qemu, model) => {
      if (!/^xvcmpg[te]/.test(entry.op) || !(fpscrOf(before) & bit.VE) || !interrupts(model) || interrupts(qemu))
        return;
      takeTarget(entry, word, qemu, model);
      takeOutcome(qemu, model);
    },
  },
  {
    what: 'xscmpeqdp, xscmpgedp, xscmpgtdp with an enabled invalid operation keep the target; QEMU writes it',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, _before, qemu, model) => {
      if (/^xscmp(eq|ge|gt)dp$/.test(entry.op) && interrupts(model)) takeTarget(entry, word, qemu, model);
    },
  },
  {
    what: 'max and min are no arithmetic: with UE=1 QEMU raises UX for subnormal operands and adjusts their exponents',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, before, qemu, model) => {
      if (!/^x[sv](max|min)/.test(entry.op) || !(fpscrOf(before) & bit.UE)) return;
      take(qemu, model, bit.UX | bit.FEX | bit.FX);
      takeTarget(entry, word, qemu, model);
      takeOutcome(qemu, model);
    },
  },
  {
    what: 'xsmaxjdp, xsminjdp with a quiet NaN in A and a signalling NaN in B: QEMU does not raise VXSNAN',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, _before, qemu, model) => {
      if (!/^xs(max|min)jdp$/.test(entry.op) || !(fpscrOf(model) & bit.VXSNAN) || fpscrOf(qemu) & bit.VXSNAN) return;
      take(qemu, model, -1);
      takeTarget(entry, word, qemu, model);
      takeOutcome(qemu, model);
    },
  },
  {
    what: 'vector conversions to integer: after one invalid element QEMU treats the later ones as invalid, too',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, _before, qemu, model) => {
      if (!/^xvcv[ds]p[su]x[dw]s$/.test(entry.op) || !(fpscrOf(model) & bit.VXCVI)) return;
      takeTarget(entry, word, qemu, model);
      take(qemu, model, bit.XX | bit.FX);
    },
  },
  {
    what: 'xsaddsp, xssubsp, xsmulsp, xsdivsp and xssqrtsp round once; QEMU rounds to double first',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, _before, qemu, model) => {
      if (!/^xs(add|sub|mul|div|sqrt)sp$/.test(entry.op) || !(fpscrOf(model) & bit.XX)) return;
      takeTarget(entry, word, qemu, model);
      take(qemu, model, bit.FPRF | bit.UX | bit.OX | bit.FI | bit.FX);
    },
  },
  {
    what: 'xsnmsubqpo rounds to odd; QEMU uses the rounding mode of the FPSCR',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, _before, qemu, model) => {
      if (entry.op !== 'xsnmsubqpo' || !(fpscrOf(model) & bit.XX)) return;
      takeTarget(entry, word, qemu, model);
      take(qemu, model, bit.FPRF);
    },
  },
  {
    what: 'xsrqpxp of a subnormal number raises XX if inexact and never UX; QEMU goes through another format',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, before, qemu, model) => {
      if (entry.op !== 'xsrqpxp') return;
      const high = before.words[2 * (slot.vsr + 2 * (32 + field(entry, word, 'vrb'))) + 1];
      if ((high & 0x7fff_0000) !== 0) return;
      take(qemu, model, bit.UX | bit.XX | bit.FI | bit.FEX | bit.FX | bit.FPRF);
      takeTarget(entry, word, qemu, model);
      takeOutcome(qemu, model);
    },
  },
  {
    what: 'xsmaxcdp of equal operands gives B, which matters for zeros of unlike signs; QEMU gives A',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, _before, qemu, model) => {
      if (entry.op !== 'xsmaxcdp' || interrupts(model)) return;
      const register = slot.vsr + 2 * field(entry, word, 'xt');
      if (((qemu.slots[register] | model.slots[register]) & ((1n << 63n) - 1n)) === 0n)
        takeTarget(entry, word, qemu, model);
    },
  },
  {
    what: 'xsrqpi, xsrqpix and xsrqpxp with R=0 RMC=3 round by FPSCR[RN]; QEMU mistakes its codes 1 and 3',
    reference: 'ISA 3.0B I 7.6.3',
    reconcile: (entry, word, before, qemu, model) => {
      if (!entry.op.startsWith('xsrqp') || field(entry, word, 'r') !== 0 || field(entry, word, 'rmc') !== 3) return;
      if (!(fpscrOf(before) & 1)) return;
      takeTarget(entry, word, qemu, model);
      take(qemu, model, bit.FPRF);
    },
  },
];
