// Decimal floating point: what QEMU's answer lacks of the ISA's. QEMU computes values with a library of its own; what it
// leaves out are interrupts, the clearing of FI, adjusted exponents, and the trailing significands of infinities and NaNs.

import { fieldValue } from '../../src/cpu/isa/decode.ts';
import type { Instruction } from '../../src/cpu/isa/table.ts';
import {
  type Decimal,
  type DecimalFormat,
  decode,
  defaultNaN,
  encode,
  extended,
  long,
  short,
} from '../../src/cpu/semantics/decimal/number.ts';
import { codeEa } from '../support/cpu-under-test.ts';
import { fpscrBit as bit } from './reference-instructions.ts';
import type { Rule } from './reference-rules.ts';
import { outcomes, type SlotState, slot } from './state.ts';

const VX_ALL = 0x01f8_0700;
const EXCEPTIONS = bit.OX | bit.UX | bit.ZX | bit.XX | VX_ALL;
const FPRF = 0x1_f000;
const QUIET_NAN = 0x1_1000;

const fpscrOf = (state: SlotState) => state.words[2 * slot.fpscr];
function setFpscr(state: SlotState, value: number): void {
  state.words[2 * slot.fpscr] = value;
}

const base = (entry: Instruction) => entry.op.replace(/q$/, '');
const isQuad = (entry: Instruction) => /q$/.test(entry.op);
/** Operations that say with FR and FI what their rounding did. */
const telling = new Set([
  'dadd',
  'dsub',
  'dmul',
  'ddiv',
  'dqua',
  'dquai',
  'drrnd',
  'drintx',
  'drsp',
  'drdp',
  'dcffix',
  'dctfix',
]);
/** Operations that clear FR and FI. */
const clearing = new Set(['drintn', 'dctqp', 'denbcd']);
/** Operations whose result can be too small. */
const underflowing = new Set(['dadd', 'dsub', 'dmul', 'ddiv', 'drsp', 'drdp']);

/** The slots of doubleword 0 of a register or pair, most significant first. */
function registerSlots(entry: Instruction, word: number, name: 'frt' | 'fra' | 'frb'): number[] {
  const pair = entry.fields.get(`${name}p`);
  const field = pair ?? entry.fields.get(name);
  if (!field) return [];
  const register = slot.vsr + 2 * fieldValue(word, field);
  return pair ? [register, register + 2] : [register];
}
function read(state: SlotState, slots: readonly number[]): bigint {
  return slots.reduce((all, at) => (all << 64n) | state.slots[at], 0n);
}
function write(state: SlotState, slots: readonly number[], value: bigint): void {
  slots.forEach((at, i) => {
    state.slots[at] = BigInt.asUintN(64, value >> BigInt(64 * (slots.length - 1 - i)));
  });
}
function digitsOf(d: Decimal): bigint {
  return d.kind === 'finite' ? d.coefficient : d.payload;
}

/** Declets of infinities and NaNs: kept, in canonical form, where an instruction only moves or shifts them. */
export const specialOperands: Rule = (entry, word, before, after) => {
  const format = isQuad(entry) ? extended : long;
  const target = registerSlots(entry, word, 'frt');
  const field = (name: string) => fieldValue(word, entry.fields.get(name)!);
  const operand = (name: 'fra' | 'frb', of: DecimalFormat = format) =>
    decode(of, read(before, registerSlots(entry, word, name)));
  const put = (d: Decimal) => write(after, target, encode(format, d));
  switch (base(entry)) {
    case 'ddedpd': {
      const b = operand('frb');
      if (b.kind !== 'infinity') return;
      const text = `${b.payload}${field('sp') & 2 ? (b.negative ? 'd' : field('sp') & 1 ? 'f' : 'c') : ''}`;
      write(after, target, BigInt(`0x${text.slice(-format.bits / 4)}`));
      return;
    }
    case 'diex': {
      const b = operand('frb');
      const result = decode(format, read(after, target));
      if (result.kind !== 'finite') put({ ...result, payload: digitsOf(b) % 10n ** BigInt(format.digits - 1) });
      else if (b.kind === 'infinity') put({ ...result, coefficient: b.payload });
      return;
    }
    case 'dscli':
    case 'dscri': {
      const a = operand('fra');
      if (a.kind === 'finite') return;
      const unit = 10n ** BigInt(field('sh'));
      const moved = entry.op.startsWith('dscli') ? a.payload * unit : a.payload / unit;
      put({ ...a, payload: moved % 10n ** BigInt(format.digits - 1) });
      return;
    }
    case 'drsp': {
      const b = operand('frb', long);
      if (b.kind === 'finite' || b.kind === 'infinity') return;
      write(after, target, encode(short, { ...b, payload: b.payload % 10n ** 6n }));
      setFpscr(after, (fpscrOf(after) & ~FPRF) | (b.kind === 'signalling' ? 0x1000 : QUIET_NAN));
      return;
    }
    case 'drdp': {
      const b = operand('frb', extended);
      const nan = b.kind === 'quiet' || b.kind === 'signalling';
      const result = nan ? encode(long, { ...b, kind: 'quiet', payload: b.payload % 10n ** 15n }) : read(after, target);
      // The even register gets the result.
      write(after, target, result << 64n);
      if (b.kind === 'signalling') setFpscr(after, fpscrOf(after) | bit.VXSNAN);
      return;
    }
    case 'denbcd': {
      // QEMU misses an invalid last digit of an unsigned operand.
      const packed = read(before, registerSlots(entry, word, 'frb'));
      if (field('s') === 0 && (packed & 15n) > 9n) {
        write(after, target, encode(format, defaultNaN));
        setFpscr(after, fpscrOf(after) | bit.VXCVI);
      }
      // An invalid operand is the only way to a NaN.
      if (decode(format, read(after, target)).kind === 'quiet') {
        setFpscr(after, (fpscrOf(after) & ~FPRF) | QUIET_NAN);
      }
    }
  }
};

/** FPSCR and interrupts (ISA 3.0B I 5.5.10). The generated states have no enabled exception before the instruction. */
export const decimalStatus: Rule = (entry, word, before, after) => {
  const old = fpscrOf(before);
  let value = fpscrOf(after);
  const op = base(entry);
  if (op === 'dcmpo' && value & ~old & bit.VXSNAN && old & bit.VE && !(old & bit.VXVC)) value &= ~bit.VXVC;
  const denormal = [0x1_4000, 0x1_8000].includes(value & FPRF);
  if (underflowing.has(op) && old & bit.UE && denormal) value |= bit.UX;
  const raised = value & ~old & EXCEPTIONS;
  if (clearing.has(op)) value &= ~bit.FI;
  if (telling.has(op))
    value = raised & bit.XX || (value & bit.FI && !(old & bit.FI)) ? value | bit.FI : value & ~bit.FI;
  if ((raised & VX_ALL && old & bit.VE) || (raised & bit.ZX && old & bit.ZE)) {
    const target = registerSlots(entry, word, 'frt');
    for (const at of target) {
      after.slots[at] = before.slots[at];
      after.slots[at + 1] = before.slots[at + 1];
    }
    if (target.length > 0) value = (value & ~FPRF) | (old & FPRF);
  }
  value = value & VX_ALL ? value | bit.VX : value & ~bit.VX;
  const enabled = (value >>> 22) & value & 0xf8;
  value = enabled ? value | bit.FEX : value & ~bit.FEX;
  setFpscr(after, value);
  if (enabled) {
    after.outcome = outcomes.floatingPoint;
    after.nia = BigInt(codeEa);
  }
};

/** An enabled overflow or underflow delivers an adjusted exponent, which QEMU does not know: value and inexactness. */
export function clearAdjusted(entry: Instruction, word: number, before: SlotState, state: SlotState): void {
  const raised = fpscrOf(state) & ~fpscrOf(before);
  const adjusted = (raised & bit.OX && fpscrOf(before) & bit.OE) || (raised & bit.UX && fpscrOf(before) & bit.UE);
  if (!adjusted) return;
  for (const at of registerSlots(entry, word, 'frt')) state.slots[at] = 0n;
  setFpscr(state, fpscrOf(state) & ~(FPRF | bit.XX | bit.FI | bit.FR));
}

/** QEMU only ever sets FI: where it was set before together with XX nothing tells whether this instruction set it. */
export function clearDoubtfulFi(_entry: Instruction, _word: number, before: SlotState, state: SlotState): void {
  const both = bit.XX | bit.FI;
  if ((fpscrOf(before) & both) === both) setFpscr(state, fpscrOf(state) & ~bit.FI);
}
