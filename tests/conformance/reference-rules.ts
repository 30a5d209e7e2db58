// Exact rules for the instructions, other than binary floating point, where QEMU's answer is not the ISA's or where the ISA
// leaves the result undefined and this project follows POWER9. Each rule puts the state after the instruction into `after`;
// those that only repair a part of QEMU's answer find that answer in `after`.

import { fieldValue } from '../../src/cpu/isa/decode.ts';
import type { Instruction } from '../../src/cpu/isa/table.ts';
import { codeEa, windowEa } from '../support/cpu-under-test.ts';
import { bitLength, decodeFloat, double, type Float, single } from './reference-float.ts';
import { fpscrBit as bit, resultClass } from './reference-instructions.ts';
import { outcomes, type SlotState, slot } from './state.ts';

export type Rule = (entry: Instruction, word: number, before: SlotState, after: SlotState) => void;

const at = (entry: Instruction, word: number, name: string): number => {
  const field = entry.fields.get(name);
  return field ? fieldValue(word, field) : 0;
};

const low32 = (value: bigint) => BigInt.asUintN(32, value);
const signed32 = (value: bigint) => BigInt.asIntN(32, value);
const signed64 = (value: bigint) => BigInt.asIntN(64, value);

/** CR0 of a 64-bit result and the summary overflow bit as it is now. */
function recordCr0(after: SlotState, result: bigint): void {
  const value = signed64(result);
  const code = (value < 0n ? 8 : value > 0n ? 4 : 2) | Number((after.xer >> 31n) & 1n);
  after.cr = ((after.cr & 0x0fff_ffff) | (code << 28)) >>> 0;
}

/** Nothing changes: hints, and encodings the architecture reserves as no-ops. */
export const noOperation: Rule = (_entry, _word, before, after) => {
  after.copyFrom(before);
  after.nia = BigInt(codeEa + 4);
  after.outcome = outcomes.ok;
};

/** The high word of the product in both halves. */
export const highWordTwice: Rule = (entry, word, _before, after) => {
  const rt = at(entry, word, 'rt');
  const high = low32(after.gpr[rt]);
  after.gpr[rt] = (high << 32n) | high;
  if (at(entry, word, 'rc')) recordCr0(after, after.gpr[rt]);
};

function undefinedQuotient(op: string, a: bigint, b: bigint): boolean {
  switch (op) {
    case 'divw':
    case 'modsw':
      return low32(b) === 0n || (low32(a) === 0x8000_0000n && signed32(b) === -1n);
    case 'divwu':
    case 'moduw':
      return low32(b) === 0n;
    case 'divd':
    case 'modsd':
      return b === 0n || (a === 1n << 63n && signed64(b) === -1n);
    case 'divdu':
    case 'modud':
      return b === 0n;
    case 'divweu':
      return low32(a) >= low32(b);
    case 'divdeu':
      return a >= b;
    case 'divwe': {
      if (low32(b) === 0n) return true;
      const quotient = (signed32(a) << 32n) / signed32(b);
      return quotient !== signed32(quotient);
    }
    case 'divde': {
      if (b === 0n) return true;
      const quotient = (signed64(a) << 64n) / signed64(b);
      return quotient !== signed64(quotient);
    }
    default:
      return false;
  }
}

/** A quotient or remainder that does not exist is 0, and an overflow; the upper half of a word quotient is 0. */
export const exactQuotient: Rule = (entry, word, before, after) => {
  const [a, b] = [before.gpr[at(entry, word, 'ra')], before.gpr[at(entry, word, 'rb')]];
  const rt = at(entry, word, 'rt');
  if (undefinedQuotient(entry.op, a, b)) {
    after.gpr[rt] = 0n;
    if (at(entry, word, 'oe')) after.xer |= 0xc008_0000n;
  } else if (entry.op.startsWith('divw')) after.gpr[rt] = low32(after.gpr[rt]);
  if (at(entry, word, 'rc')) recordCr0(after, after.gpr[rt]);
};

/** Doubleword 1 of the target of a move or load that fills only doubleword 0. */
export const clearDoubleword1: Rule = (entry, word, _before, after) => {
  after.slots[slot.vsr + 2 * at(entry, word, 'xt') + 1] = 0n;
};

/** Only NJ and SAT of the VSCR exist. */
export const maskVscr: Rule = (_entry, _word, _before, after) => {
  after.vscr &= 0x10001;
};

/** An aligned element of the window as an unsigned number. */
function windowElement(state: SlotState, ea: number, bytes: number): bigint {
  const offset = ea - windowEa;
  return BigInt.asUintN(8 * bytes, state.slots[slot.window + (offset >> 3)] >> BigInt(8 * (offset & 7)));
}

function setWindowElement(state: SlotState, ea: number, bytes: number, value: bigint): void {
  const offset = ea - windowEa;
  const shift = BigInt(8 * (offset & 7));
  const mask = ((1n << BigInt(8 * bytes)) - 1n) << shift;
  const index = slot.window + (offset >> 3);
  state.slots[index] = (state.slots[index] & ~mask) | ((BigInt.asUintN(8 * bytes, value) << shift) & mask);
}

/**
 * The conditional functions of lwat and ldat: increment if unequal to (24) or equal to (25) the element behind, decrement
 * if unequal to the element before (28); otherwise the result is the most negative number of the size.
 */
export const boundedAtomic: Rule = (entry, word, before, after) => {
  const code = at(entry, word, 'fc');
  if (code < 24) return;
  const bytes = entry.op === 'lwat' ? 4 : 8;
  const ea = Number(BigInt.asUintN(64, before.gpr[at(entry, word, 'ra')]));
  const old = windowElement(before, ea, bytes);
  const bound = windowElement(before, code === 28 ? ea - bytes : ea + bytes, bytes);
  const rt = at(entry, word, 'rt');
  after.window.set(before.window);
  if ((old === bound) === (code === 25)) {
    setWindowElement(after, ea, bytes, code === 28 ? old - 1n : old + 1n);
    after.gpr[rt] = old;
  } else after.gpr[rt] = 1n << BigInt(8 * bytes - 1);
};

/** stqcx. right behind the lqarx that reserved its address stores, and tells so. */
export const storeReservedQuad: Rule = (entry, word, before, after) => {
  if (after.nia !== BigInt(codeEa + 8)) return;
  const ra = at(entry, word, 'ra');
  const ea = (ra === 0 ? 0n : before.gpr[ra]) + before.gpr[at(entry, word, 'rb')];
  const offset = Number(BigInt.asUintN(64, ea)) - windowEa;
  const rs = at(entry, word, 'rsp');
  after.slots[slot.window + offset / 8] = before.gpr[rs + 1];
  after.slots[slot.window + offset / 8 + 1] = before.gpr[rs];
  after.cr = ((after.cr & 0x0fff_ffff) | ((2 | Number((after.xer >> 31n) & 1n)) << 28)) >>> 0;
};

function decimalValue(state: SlotState, register: number): bigint {
  const bits = (state.slots[register] << 64n) | state.slots[register + 1];
  const magnitude = BigInt((bits >> 4n).toString(16));
  return [0xbn, 0xdn].includes(bits & 15n) ? -magnitude : magnitude;
}

/** bcdadd. and bcdsub. of valid operands: sign and CR6 of the exact sum, a zero being positive. */
export const packedSum: Rule = (entry, word, before, after) => {
  const register = (name: string) => slot.vsr + 2 * (32 + at(entry, word, name));
  const [a, b] = [decimalValue(before, register('vra')), decimalValue(before, register('vrb'))];
  const sum = entry.op === 'bcdadd.' ? a + b : a - b;
  const magnitude = sum < 0n ? -sum : sum;
  const limit = 10n ** 31n;
  const sign = sum < 0n ? 0xdn : at(entry, word, 'ps') ? 0xfn : 0xcn;
  const bits = (BigInt(`0x${(magnitude % limit).toString()}`) << 4n) | sign;
  after.slots[register('vrt')] = bits >> 64n;
  after.slots[register('vrt') + 1] = bits & 0xffff_ffff_ffff_ffffn;
  const code = (sum < 0n ? 8 : sum > 0n ? 4 : 2) | (magnitude >= limit ? 1 : 0);
  after.cr = ((after.cr & ~0xf0) | (code << 4)) >>> 0;
};

/** Reserved bits 35 to 43 of the XER do not keep what is written. */
export const maskXer: Rule = (entry, word, _before, after) => {
  if (at(entry, word, 'spr') === 1) after.xer &= 0xe00f_ffffn;
};

/** Each doubleword: ROTL(A, n) inserted into the target under MASK(mb, me), which may wrap. */
export const rotateDoublewordMaskInsert: Rule = (entry, word, before, after) => {
  const register = (name: string) => slot.vsr + 2 * (32 + at(entry, word, name));
  for (let i = 0; i < 2; i++) {
    const a = before.slots[register('vra') + i];
    const b = before.slots[register('vrb') + i];
    const n = b & 63n;
    const mb = Number((b >> 16n) & 63n);
    const me = Number((b >> 8n) & 63n);
    const rotated = BigInt.asUintN(64, (a << n) | (a >> (64n - n)));
    const from = (1n << BigInt(64 - mb)) - 1n;
    const to = BigInt.asUintN(64, -1n << BigInt(63 - me));
    const mask = mb <= me ? from & to : from | to;
    after.slots[register('vrt') + i] = (rotated & mask) | (before.slots[register('vrt') + i] & ~mask);
  }
};

/** xststdcsp of a double below the normal range of single: it counts as subnormal, be it a single or not. */
export const subnormalSingleClass: Rule = (entry, word, before, after) => {
  const bits = before.slots[slot.vsr + 2 * at(entry, word, 'xb')];
  const exponent = Number((bits >> 52n) & 0x7ffn);
  if (exponent > 0x380 || BigInt.asUintN(63, bits) === 0n) return;
  const negative = Number(bits >> 63n);
  const match = (at(entry, word, 'dcmx') >> (1 - negative)) & 1;
  // The last place of single is 2^-149, of this double 2^(exponent-1075).
  const significand = BigInt.asUintN(52, bits) | (1n << 52n);
  const isSingle = exponent > 0 && BigInt.asUintN(Math.max(0, 926 - exponent), significand) === 0n;
  const code = (negative << 3) | (match << 1) | (isSingle ? 0 : 1);
  const shift = 28 - 4 * at(entry, word, 'bf');
  after.cr = ((after.cr & ~(15 << shift)) | (code << shift)) >>> 0;
  after.words[2 * slot.fpscr] = (after.words[2 * slot.fpscr] & ~bit.FPCC) | (code << 12);
};

/** CR6 of decimal shifts, truncations and bcdctsq.: less, greater or equal tells of the source operand. */
export const sourceFlags: Rule = (entry, word, before, after) => {
  const register = slot.vsr + 2 * (32 + at(entry, word, 'vrb'));
  const bits = (before.slots[register] << 64n) | before.slots[register + 1];
  const unsigned = entry.op === 'bcdus.' || entry.op === 'bcdutrunc.';
  const magnitude = unsigned ? bits : bits >> 4n;
  const negative = !unsigned && [0xbn, 0xdn].includes(bits & 15n);
  const code = magnitude === 0n ? 2 : negative ? 8 : 4;
  after.cr = ((after.cr & ~0xe0) | (code << 4)) >>> 0;
};

/** bcdcpsgn.: digits of A, sign code of B. */
export const packedCopySign: Rule = (entry, word, before, after) => {
  const register = (name: string) => slot.vsr + 2 * (32 + at(entry, word, name));
  const sign = before.slots[register('vrb') + 1] & 15n;
  const digits = [before.slots[register('vra')], before.slots[register('vra') + 1] & ~15n];
  after.slots[register('vrt')] = digits[0];
  after.slots[register('vrt') + 1] = digits[1] | sign;
  const code = digits[0] === 0n && digits[1] === 0n ? 2 : [0xbn, 0xdn].includes(sign) ? 8 : 4;
  after.cr = ((after.cr & ~0xf0) | (code << 4)) >>> 0;
};

/** lwat, ldat, stwat, stdat with the signed maximum and minimum. */
export const signedAtomic: Rule = (entry, word, before, after) => {
  const code = at(entry, word, 'fc');
  if (code !== 5 && code !== 7) return;
  const bytes = entry.op.includes('w') ? 4 : 8;
  const load = entry.fields.has('rt');
  const first = at(entry, word, load ? 'rt' : 'rs');
  const operand = BigInt.asIntN(8 * bytes, before.gpr[load ? (first + 1) & 31 : first]);
  const ea = Number(BigInt.asUintN(64, before.gpr[at(entry, word, 'ra')]));
  const old = BigInt.asIntN(8 * bytes, windowElement(before, ea, bytes));
  setWindowElement(after, ea, bytes, (code === 5) === operand > old ? operand : old);
};

const exceptionBits = 0x9ff8_0700 & ~bit.FX;

/** FX is set only when an exception bit goes from 0 to 1; CR1 repeats it. */
export const exactFx: Rule = (entry, word, before, after) => {
  const old = before.words[2 * slot.fpscr];
  let value = after.words[2 * slot.fpscr] & ~bit.FX;
  if (old & bit.FX || value & ~old & exceptionBits) value |= bit.FX;
  after.words[2 * slot.fpscr] = value;
  if (at(entry, word, 'rc')) after.cr = ((after.cr & ~0x0f00_0000) | (((value >>> 28) & 15) << 24)) >>> 0;
};

/** VX and FEX from the rest; an enabled exception interrupts. */
function summarise(after: SlotState, low: number, high: number): void {
  let value = low & ~(bit.VX | bit.FEX);
  if (value & 0x01f8_0700) value |= bit.VX;
  const fex =
    (value & bit.VX && value & bit.VE) ||
    (value & bit.OX && value & bit.OE) ||
    (value & bit.UX && value & bit.UE) ||
    (value & bit.ZX && value & bit.ZE) ||
    (value & bit.XX && value & bit.XE);
  if (fex) value |= bit.FEX;
  after.words[2 * slot.fpscr] = value;
  after.words[2 * slot.fpscr + 1] = high;
  if (fex) {
    after.outcome = outcomes.floatingPoint;
    after.nia = BigInt(codeEa);
  }
}

const reservedFpscr = 0x800;

/** Moves to and from the FPSCR (ISA 3.0B I 4.6.9). */
export const moveFpscr: Rule = (entry, word, before, after) => {
  noOperation(entry, word, before, after);
  const { op } = entry;
  const low = before.words[2 * slot.fpscr];
  const high = before.words[2 * slot.fpscr + 1];
  const field = (name: string) => at(entry, word, name);
  const setTarget = (lowMask: number, highMask: number) => {
    const to = 2 * (slot.vsr + 2 * field('frt'));
    after.words[to] = low & lowMask;
    after.words[to + 1] = high & highMask;
    after.words[to + 2] = after.words[to + 3] = 0;
  };
  const operand = (half: number) => before.words[2 * (slot.vsr + 2 * field('frb')) + half];
  switch (op) {
    case 'mffs':
      setTarget(-1, -1);
      break;
    case 'mffsce':
      setTarget(-1, -1);
      summarise(after, low & ~0xf8, high);
      break;
    case 'mffsl':
      setTarget(0x0007_f0ff, 7);
      break;
    case 'mffscrn':
    case 'mffscrni':
      setTarget(0xff, 7);
      summarise(after, (low & ~3) | (op === 'mffscrn' ? operand(0) & 3 : field('rm')), high);
      break;
    case 'mffscdrn':
    case 'mffscdrni':
      setTarget(0xff, 7);
      summarise(after, low, (high & ~7) | (op === 'mffscdrn' ? operand(1) & 7 : field('drm')));
      break;
    case 'mtfsb0':
    case 'mtfsb1': {
      const one = 0x8000_0000 >>> field('bt');
      if (one & (bit.FEX | bit.VX | reservedFpscr)) summarise(after, low, high);
      else if (op === 'mtfsb0') summarise(after, low & ~one, high);
      else summarise(after, low | one | (one & exceptionBits & ~low ? bit.FX : 0), high);
      break;
    }
    case 'mtfsfi': {
      const shift = 28 - 4 * field('bf');
      if (field('w')) summarise(after, low, shift === 0 ? field('u') & 7 : high);
      else summarise(after, ((low & ~(15 << shift)) | (field('u') << shift)) & ~reservedFpscr, high);
      break;
    }
    case 'mtfsf': {
      let mask = 0;
      for (let i = 0; i < 8; i++) if (field('flm') & (0x80 >> i)) mask |= 15 << (28 - 4 * i);
      const lowMask = field('l') ? -1 : field('w') ? 0 : mask;
      const highMask = field('l') ? -1 : field('w') ? mask : 0;
      const newLow = ((low & ~lowMask) | (operand(0) & lowMask)) & ~reservedFpscr;
      summarise(after, newLow, ((high & ~highMask) | (operand(1) & highMask)) & 7);
      break;
    }
    case 'mcrfs': {
      const shift = 28 - 4 * field('bfa');
      const code = (low >>> shift) & 15;
      const to = 28 - 4 * field('bf');
      after.cr = ((after.cr & ~(15 << to)) | (code << to)) >>> 0;
      summarise(after, low & ~((15 << shift) & (exceptionBits | bit.FX)), high);
      break;
    }
  }
  if (field('rc')) {
    const value = after.words[2 * slot.fpscr];
    after.cr = ((after.cr & ~0x0f00_0000) | ((value >>> 28) << 24)) >>> 0;
  }
};

const estimateBits: Readonly<Record<string, number>> = { vrefp: 12, vrsqrtefp: 12 };

/** Bits of precision that an estimate must have, or undefined if the instruction is none. */
export function estimatePrecision(op: string): number | undefined {
  if (estimateBits[op]) return estimateBits[op];
  if (/^x[sv]r(sqrt)?e[ds]p$/.test(op)) return 14;
  if (/^fres?$/.test(op)) return 8;
  return /^frsqrtes?$/.test(op) ? 5 : undefined;
}

/** |value| as a fraction numerator * 2^e. */
const magnitude = (x: Float) => ({ m: x.m, e: x.e });

function relativeErrorWithin(result: Float, a: Float, bits: number, root: boolean, f: typeof double): boolean {
  if (result.kind !== 'finite') return false;
  // result * a (or result^2 * a) against 1, with twice the tolerance for the square.
  const [r, x] = [magnitude(result), magnitude(a)];
  const m = root ? r.m * r.m * x.m : r.m * x.m;
  const e = root ? 2 * r.e + x.e : r.e + x.e;
  const exponent = result.e + bitLength(result.m) - 1;
  // A subnormal result cannot be as precise.
  const kept = Math.min(bits, f.precision - 2 - Math.max(0, f.minExponent - exponent));
  const tolerance = kept - (root ? 1 : 0);
  if (tolerance < 1) return true;
  // | m * 2^e - 1 | <= 2^-tolerance
  const scale = Math.max(0, -e);
  const one = 1n << BigInt(scale);
  const value = e > 0 ? m << BigInt(e) : m;
  const difference = value > one ? value - one : one - value;
  return difference << BigInt(tolerance) <= one;
}

/** What is wrong with the elements of an estimate of a reciprocal or reciprocal square root, or undefined. */
export function checkEstimate(
  entry: Instruction,
  word: number,
  before: SlotState,
  after: SlotState,
): string | undefined {
  const bits = estimatePrecision(entry.op);
  if (bits === undefined || after.outcome !== outcomes.ok) return undefined;
  const root = entry.op.includes('sqrt');
  const vector = /^(xv|v)/.test(entry.op);
  const vmx = entry.op.startsWith('vr');
  const singles = vector && entry.op.endsWith('sp') ? true : vmx;
  const base = vmx ? 32 : 0;
  const name = (letter: string) => ['fr', 'x', 'vr'].map((prefix) => prefix + letter).find((n) => entry.fields.has(n))!;
  const from = slot.vsr + 2 * (base + at(entry, word, name('b')));
  const to = slot.vsr + 2 * (base + at(entry, word, name('t')));
  const flush = vmx && (before.vscr & 0x10000) !== 0;
  for (let i = 0; i < (vector ? (singles ? 4 : 2) : 1); i++) {
    const read = (state: SlotState, register: number) =>
      singles
        ? decodeFloat((state.slots[register + (i >> 1)] >> (i & 1 ? 0n : 32n)) & 0xffff_ffffn, single)
        : decodeFloat(state.slots[register + i], double);
    const [a, result] = [read(before, from), read(after, to)];
    const narrow = singles || /es$|esp$|^fres$/.test(entry.op);
    const f = narrow ? single : double;
    if (!vector && (after.words[2 * slot.fpscr] & bit.FPRF) !== resultClass(result, f))
      return 'FPRF is not the class of the result';
    const kind = flush && a.kind === 'finite' && a.e + bitLength(a.m) - 1 < f.minExponent ? 'zero' : a.kind;
    const text = `element ${i}`;
    if (kind === 'quiet' || kind === 'signalling' || (root && a.negative && kind !== 'zero')) {
      if (result.kind !== 'quiet') return `${text}: expected a quiet NaN`;
    } else if (kind === 'zero') {
      if (result.kind !== 'infinity' || result.negative !== a.negative) return `${text}: expected an infinity`;
    } else if (kind === 'infinity') {
      if (result.kind !== 'zero' || result.negative !== a.negative) return `${text}: expected a zero`;
    } else {
      const exponent = a.e + bitLength(a.m) - 1;
      if (result.negative !== a.negative) return `${text}: wrong sign`;
      // Results out of range, or flushed, are as FPSCR and VSCR have it.
      if (!root && (exponent < -f.maxExponent || exponent > f.maxExponent - 3)) continue;
      if (root && (exponent < -2 * f.maxExponent || exponent > 2 * f.maxExponent - 6)) continue;
      if (!relativeErrorWithin(result, a, bits, root, f)) return `${text}: further off than 2^-${bits}`;
    }
  }
  return undefined;
}
