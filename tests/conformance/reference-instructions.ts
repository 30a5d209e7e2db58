// What the binary floating-point instructions do to a state, built on reference-float.ts: results, FPSCR with FR, FI and
// FPRF, CR, and whether the enabled exception interrupts (ISA 3.0B I 4.4, 4.6, 7.4, 7.6, and 3.1 of this project's facts on
// POWER9 for what the ISA leaves undefined). Estimates, moves, loads, VMX and decimal instructions have no model here.

import { fieldValue } from '../../src/cpu/isa/decode.ts';
import type { Instruction } from '../../src/cpu/isa/table.ts';
import { codeEa } from '../support/cpu-under-test.ts';
import type { Exact, Float, Format } from './reference-float.ts';
import {
  compareFloats,
  decodeFloat,
  defaultNaN,
  double,
  encodeFloat,
  fusedOf,
  half,
  infinity,
  isNan,
  productOf,
  quad,
  quotientOf,
  rootOf,
  round,
  rounding,
  roundToInteger,
  single,
  sumOf,
  zero,
} from './reference-float.ts';
import { outcomes, type SlotState, slot } from './state.ts';

export const fpscrBit = {
  FX: 0x8000_0000,
  FEX: 0x4000_0000,
  VX: 0x2000_0000,
  OX: 0x1000_0000,
  UX: 0x0800_0000,
  ZX: 0x0400_0000,
  XX: 0x0200_0000,
  VXSNAN: 0x0100_0000,
  VXISI: 0x0080_0000,
  VXIDI: 0x0040_0000,
  VXZDZ: 0x0020_0000,
  VXIMZ: 0x0010_0000,
  VXVC: 0x0008_0000,
  FR: 0x0004_0000,
  FI: 0x0002_0000,
  FPRF: 0x0001_f000,
  FPCC: 0x0000_f000,
  VXSOFT: 0x400,
  VXSQRT: 0x200,
  VXCVI: 0x100,
  VE: 0x80,
  OE: 0x40,
  UE: 0x20,
  ZE: 0x10,
  XE: 0x08,
} as const;
const bit = fpscrBit;
const anyVX = 0x01f8_0700;

/** Bits of the result that the ISA leaves undefined for these operands, as found while computing. */
export interface Undefined {
  /** FPSCR bits (low word). */
  fpscr: number;
  target: boolean;
  cr6: boolean;
  cr1: boolean;
}

interface Context {
  readonly before: SlotState;
  readonly after: SlotState;
  readonly word: number;
  readonly entry: Instruction;
  /** FPSCR low word before. */
  readonly fpscr: number;
  readonly mode: number;
  readonly undefined: Undefined;
  /** Exception bits raised. */
  flags: number;
}

const enabled = (cx: Context, mask: number) => (cx.fpscr & mask) !== 0;

function field(cx: Context, name: string): number {
  const found = cx.entry.fields.get(name);
  if (!found) throw new Error(`${cx.entry.op} has no ${name}`);
  return fieldValue(cx.word, found);
}

/** The VSR that the first of the given fields the instruction has means. */
function register(cx: Context, ...names: string[]): number {
  for (const name of names) {
    if (!cx.entry.fields.has(name)) continue;
    const value = field(cx, name);
    return name.startsWith('v') ? 32 + value : value;
  }
  throw new Error(`${cx.entry.op} has none of ${names.join(', ')}`);
}

const source = (cx: Context, letter: 'a' | 'b' | 'c') => register(cx, `fr${letter}`, `x${letter}`, `vr${letter}`);
const target = (cx: Context) => register(cx, 'frt', 'xt', 'vrt');

const doubleword = (state: SlotState, vsr: number, index: number) => state.slots[slot.vsr + 2 * vsr + index];
function setDoubleword(state: SlotState, vsr: number, index: number, value: bigint): void {
  state.slots[slot.vsr + 2 * vsr + index] = value;
}
function wordOf(state: SlotState, vsr: number, index: number): bigint {
  return (doubleword(state, vsr, index >> 1) >> (index & 1 ? 0n : 32n)) & 0xffff_ffffn;
}
const quadword = (state: SlotState, vsr: number) => (doubleword(state, vsr, 0) << 64n) | doubleword(state, vsr, 1);

/** Element `index` of a vector of floats of the format. */
function element(cx: Context, vsr: number, f: Format, index: number): Float {
  if (f === quad) return decodeFloat(quadword(cx.before, vsr), quad);
  if (f === double) return decodeFloat(doubleword(cx.before, vsr, index), double);
  if (f === single) return decodeFloat(wordOf(cx.before, vsr, index), single);
  const bits = (doubleword(cx.before, vsr, index >> 2) >> BigInt(48 - 16 * (index & 3))) & 0xffffn;
  return decodeFloat(bits, half);
}

/** One result: a float to round and deliver, or one that is exact already. */
interface Result {
  value: Float;
  inexact: boolean;
  increased: boolean;
}
const exactly = (value: Float): Result => ({ value, inexact: false, increased: false });

/** Rounds to `f` and raises OX, UX and XX as the enables have it. */
function rounded(cx: Context, exact: Exact, f: Format, mode: number, negate = false): Result {
  if (exact.m === 0n) return exactly(zero(exact.negative !== negate));
  const oe = enabled(cx, bit.OE);
  const ue = enabled(cx, bit.UE);
  const r = round(f, exact.negative, exact.m, exact.e, exact.sticky, mode, oe, ue);
  if (r.overflow) {
    cx.flags |= bit.OX;
    if (!oe) cx.undefined.fpscr |= bit.FR;
  }
  if (r.tiny && (ue || r.inexact)) cx.flags |= bit.UX;
  if (r.inexact) cx.flags |= bit.XX;
  const value = negate ? { ...r.value, negative: !r.value.negative } : r.value;
  return { value, inexact: r.inexact, increased: r.increased };
}

/** The first NaN in order of preference, quieted; raises VXSNAN for any signalling one. */
function nanAmong(cx: Context, ...operands: Float[]): Float | undefined {
  if (operands.some((x) => x.kind === 'signalling')) cx.flags |= bit.VXSNAN;
  return operands.find(isNan);
}

function invalid(cx: Context, flag: number): Result {
  cx.flags |= flag;
  return exactly(defaultNaN);
}

const minus = (x: Float): Float => ({ ...x, negative: !x.negative });

function add(cx: Context, a: Float, b: Float, subtract: boolean, f: Format, mode: number): Result {
  const nan = nanAmong(cx, a, b);
  if (nan) return exactly(nan);
  const right = subtract ? minus(b) : b;
  if (a.kind === 'infinity' || right.kind === 'infinity') {
    if (a.kind === right.kind && a.negative !== right.negative) return invalid(cx, bit.VXISI);
    return exactly(infinity(a.kind === 'infinity' ? a.negative : right.negative));
  }
  return rounded(cx, sumOf(a, right, mode), f, mode);
}

function multiply(cx: Context, a: Float, b: Float, f: Format, mode: number): Result {
  const nan = nanAmong(cx, a, b);
  if (nan) return exactly(nan);
  if (a.kind === 'infinity' || b.kind === 'infinity') {
    if (a.kind === 'zero' || b.kind === 'zero') return invalid(cx, bit.VXIMZ);
    return exactly(infinity(a.negative !== b.negative));
  }
  return rounded(cx, productOf(a, b), f, mode);
}

function divide(cx: Context, a: Float, b: Float, f: Format, mode: number): Result {
  const nan = nanAmong(cx, a, b);
  if (nan) return exactly(nan);
  const negative = a.negative !== b.negative;
  if (a.kind === 'infinity') return b.kind === 'infinity' ? invalid(cx, bit.VXIDI) : exactly(infinity(negative));
  if (b.kind === 'infinity') return exactly(zero(negative));
  if (b.kind === 'zero') {
    if (a.kind === 'zero') return invalid(cx, bit.VXZDZ);
    cx.flags |= bit.ZX;
    return exactly(infinity(negative));
  }
  return rounded(cx, quotientOf(a, b), f, mode);
}

function root(cx: Context, a: Float, f: Format, mode: number): Result {
  const nan = nanAmong(cx, a);
  if (nan) return exactly(nan);
  if (a.kind === 'zero') return exactly(a);
  if (a.negative) return invalid(cx, bit.VXSQRT);
  if (a.kind === 'infinity') return exactly(a);
  return rounded(cx, rootOf(a), f, mode);
}

/** a * b ± addend; a NaN is preferred from a, then the addend, then b, and never negated. */
function fused(
  cx: Context,
  a: Float,
  b: Float,
  addend: Float,
  subtract: boolean,
  negate: boolean,
  f: Format,
  mode: number,
): Result {
  if (!isNan(a) && !isNan(b)) {
    const product = [a.kind, b.kind];
    if (product.includes('infinity') && product.includes('zero')) cx.flags |= bit.VXIMZ;
  }
  const nan = nanAmong(cx, a, addend, b);
  if (nan) return exactly(nan);
  if (cx.flags & bit.VXIMZ && [a, b].some((x) => x.kind === 'infinity') && [a, b].some((x) => x.kind === 'zero'))
    return exactly(defaultNaN);
  const right = subtract ? minus(addend) : addend;
  const negative = a.negative !== b.negative;
  if (a.kind === 'infinity' || b.kind === 'infinity') {
    if (right.kind === 'infinity' && right.negative !== negative) return invalid(cx, bit.VXISI);
    return exactly(infinity(negative !== negate));
  }
  if (right.kind === 'infinity') return exactly(infinity(right.negative !== negate));
  return rounded(cx, fusedOf(a, b, right, mode), f, mode, negate);
}

/** Rounds a float of one format to another. */
function convert(cx: Context, a: Float, f: Format, mode: number): Result {
  const nan = nanAmong(cx, a);
  if (nan) return exactly(nan);
  if (a.kind !== 'finite') return exactly(a);
  return rounded(cx, { negative: a.negative, m: a.m, e: a.e, sticky: false }, f, mode);
}

/** As `convert`, without the effects of an enabled underflow. */
function extendedPrecision(cx: Context, a: Float, f: Format, mode: number): Result {
  return convert(
    {
      ...cx,
      fpscr: cx.fpscr & ~bit.UE,
      get flags() {
        return cx.flags;
      },
      set flags(value) {
        cx.flags = value;
      },
    },
    a,
    f,
    mode,
  );
}

/** Rounds to an integer in floating-point format; XX only if `inexactCounts`. */
function integral(cx: Context, a: Float, mode: number, inexactCounts: boolean): Result {
  const nan = nanAmong(cx, a);
  if (nan) return exactly(nan);
  if (a.kind !== 'finite') return exactly(a);
  const { magnitude, inexact, increased } = roundToInteger(a, mode);
  if (inexact && inexactCounts) cx.flags |= bit.XX;
  const value: Float =
    magnitude === 0n
      ? zero(a.negative)
      : { kind: 'finite', negative: a.negative, m: magnitude, e: 0, format: a.format };
  return inexactCounts ? { value, inexact, increased } : exactly(value);
}

/** Converts to an integer of `bits` bits, saturating; returns its two's complement. */
function toInteger(
  cx: Context,
  a: Float,
  bits: number,
  signed: boolean,
  mode: number,
): { bits: bigint; inexact: boolean; increased: boolean } {
  const low = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const high = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
  const none = { inexact: false, increased: false };
  const wrap = (value: bigint) => BigInt.asUintN(bits, value);
  if (isNan(a)) {
    cx.flags |= bit.VXCVI | (a.kind === 'signalling' ? bit.VXSNAN : 0);
    return { bits: wrap(low), ...none };
  }
  if (a.kind === 'zero') return { bits: 0n, ...none };
  if (a.kind === 'infinity') {
    cx.flags |= bit.VXCVI;
    return { bits: wrap(a.negative ? low : high), ...none };
  }
  const { magnitude, inexact, increased } = roundToInteger(a, mode);
  const value = a.negative ? -magnitude : magnitude;
  if (value < low || value > high) {
    cx.flags |= bit.VXCVI;
    return { bits: wrap(value < low ? low : high), ...none };
  }
  if (inexact) cx.flags |= bit.XX;
  return { bits: wrap(value), inexact, increased };
}

function fromInteger(cx: Context, bits: bigint, width: number, signed: boolean, f: Format, mode: number): Result {
  const value = signed ? BigInt.asIntN(width, bits) : bits;
  if (value === 0n) return exactly(zero(false));
  return rounded(cx, { negative: value < 0n, m: value < 0n ? -value : value, e: 0, sticky: false }, f, mode);
}

/** FPRF of a value as a number of format `f`, in place. */
export function resultClass(x: Float, f: Format): number {
  const sign = x.negative;
  if (isNan(x)) return 0x11000;
  if (x.kind === 'infinity') return sign ? 0x09000 : 0x05000;
  if (x.kind === 'zero') return sign ? 0x12000 : 0x02000;
  const exponent = x.e + x.m.toString(2).length - 1;
  if (exponent < f.minExponent) return sign ? 0x18000 : 0x14000;
  return sign ? 0x08000 : 0x04000;
}

/** Adds the raised exceptions to the FPSCR, with FX, VX and FEX; says whether an enabled exception interrupts. */
function settle(cx: Context, keep: number, set: number): boolean {
  let value = (cx.fpscr & keep) | set;
  if (cx.flags & ~cx.fpscr) value |= bit.FX;
  value |= cx.flags;
  value &= ~(bit.VX | bit.FEX);
  if (value & anyVX) value |= bit.VX;
  const fex =
    (value & bit.VX && value & bit.VE) ||
    (value & bit.OX && value & bit.OE) ||
    (value & bit.UX && value & bit.UE) ||
    (value & bit.ZX && value & bit.ZE) ||
    (value & bit.XX && value & bit.XE);
  if (fex) value |= bit.FEX;
  cx.after.words[2 * slot.fpscr] = value >>> 0;
  if (fex) {
    cx.after.outcome = outcomes.floatingPoint;
    cx.after.nia = BigInt(codeEa);
  }
  return Boolean(fex);
}

function recordCr1(cx: Context): void {
  if (!cx.entry.fields.has('rc') || field(cx, 'rc') === 0) return;
  if (cx.entry.op.startsWith('xv')) return;
  cx.after.cr = ((cx.after.cr & ~0x0f00_0000) | ((cx.after.words[2 * slot.fpscr] >>> 28) << 24)) >>> 0;
  if (cx.after.outcome !== outcomes.ok) cx.undefined.cr1 = true;
}

const suppressing = (cx: Context) =>
  (cx.flags & anyVX && enabled(cx, bit.VE)) || (cx.flags & bit.ZX && enabled(cx, bit.ZE));

/** Delivers a scalar float result: `f` what it was rounded to, `store` writes the register. */
function deliver(cx: Context, r: Result, f: Format, store: (value: Float) => boolean): void {
  if (suppressing(cx)) {
    settle(cx, ~(bit.FR | bit.FI), 0);
  } else {
    if (!store(r.value)) cx.undefined.target = true;
    const frfi = (r.increased ? bit.FR : 0) | (r.inexact ? bit.FI : 0);
    settle(cx, ~(bit.FR | bit.FI | bit.FPRF), frfi | resultClass(r.value, f));
    if (cx.undefined.target) cx.undefined.fpscr |= bit.FPRF;
  }
  recordCr1(cx);
}

/** To doubleword 0 of the target in double format, cut to single if `f` is; doubleword 1 becomes 0. */
function deliverDouble(cx: Context, r: Result, f: Format): void {
  deliver(cx, r, f, (value) => {
    let bits = encodeFloat(value, double);
    if (bits === undefined) bits = 0n;
    else if (f === single && isNan(value)) bits &= ~0x1fff_ffffn;
    setDoubleword(cx.after, target(cx), 0, bits);
    setDoubleword(cx.after, target(cx), 1, 0n);
    if (f === single && value.kind === 'finite') {
      // An adjusted result outside the range of single is nothing the ISA defines.
      const exponent = value.e + value.m.toString(2).length - 1;
      return exponent <= single.maxExponent && exponent >= -149;
    }
    return value.kind !== 'finite' || encodeFloat(value, double) !== undefined;
  });
}

function deliverQuad(cx: Context, r: Result): void {
  deliver(cx, r, quad, (value) => {
    const bits = encodeFloat(value, quad) ?? 0n;
    setDoubleword(cx.after, target(cx), 0, bits >> 64n);
    setDoubleword(cx.after, target(cx), 1, bits & 0xffff_ffff_ffff_ffffn);
    return value.kind !== 'finite' || encodeFloat(value, quad) !== undefined;
  });
}

/** Exceptions of a vector instruction: any enabled one keeps the whole target; FR, FI and FPRF stay. */
function deliverVector(cx: Context, doublewords: readonly bigint[]): boolean {
  const interrupts = settle(cx, -1, 0);
  if (!interrupts) {
    setDoubleword(cx.after, target(cx), 0, doublewords[0]);
    setDoubleword(cx.after, target(cx), 1, doublewords[1]);
  }
  return !interrupts;
}

const one: Float = { kind: 'finite', negative: false, m: 1n, e: 0, format: double };

/** Exceptions of an estimate, and the exact value it stands for, rounded; its own value may differ. */
function reciprocal(cx: Context, a: Float, squareRoot: boolean, f: Format): Result {
  const nan = nanAmong(cx, a);
  if (nan) return exactly(nan);
  if (a.kind === 'zero') {
    cx.flags |= bit.ZX;
    return exactly(infinity(a.negative));
  }
  if (squareRoot && a.negative) return invalid(cx, bit.VXSQRT);
  if (a.kind === 'infinity') return exactly(zero(a.negative));
  if (!squareRoot) return rounded(cx, quotientOf(one, a), f, cx.mode);
  // 1 / root: the root is exact to many more bits than are compared.
  const r = rootOf(a);
  return rounded(cx, quotientOf(one, { ...one, m: r.m, e: r.e }), f, cx.mode);
}

type Operation = (cx: Context, a: Float, b: Float, c: Float, f: Format, mode: number) => Result;

const operations: Readonly<Record<string, Operation>> = {
  add: (cx, a, b, _c, f, mode) => add(cx, a, b, false, f, mode),
  sub: (cx, a, b, _c, f, mode) => add(cx, a, b, true, f, mode),
  mul: (cx, a, b, _c, f, mode) => multiply(cx, a, b, f, mode),
  div: (cx, a, b, _c, f, mode) => divide(cx, a, b, f, mode),
  sqrt: (cx, _a, b, _c, f, mode) => root(cx, b, f, mode),
  // a * b ± c
  madd: (cx, a, b, c, f, mode) => fused(cx, a, b, c, false, false, f, mode),
  msub: (cx, a, b, c, f, mode) => fused(cx, a, b, c, true, false, f, mode),
  nmadd: (cx, a, b, c, f, mode) => fused(cx, a, b, c, false, true, f, mode),
  nmsub: (cx, a, b, c, f, mode) => fused(cx, a, b, c, true, true, f, mode),
};

const packWords = (words: readonly bigint[]) => [(words[0] << 32n) | words[1], (words[2] << 32n) | words[3]];

/** The registers of factors and addend or of operands: [a, b, c] with c the addend. */
function operandRegisters(cx: Context): [number, number, number] {
  const { op } = cx.entry;
  const has = (name: string) => cx.entry.fields.has(name);
  if (op.startsWith('f')) {
    // A form: A*C+B, A*C, A op B.
    const b = has('frb') ? source(cx, 'b') : 0;
    const a = has('fra') ? source(cx, 'a') : 0;
    if (!has('frc')) return [a, b, 0];
    return has('frb') ? [a, source(cx, 'c'), b] : [a, source(cx, 'c'), 0];
  }
  const b = source(cx, 'b');
  const a = has('xa') || has('vra') ? source(cx, 'a') : 0;
  if (/m(add|sub)m[ds]p$/.test(op)) return [a, target(cx), b];
  return [a, b, target(cx)];
}

function arithmetic(cx: Context, name: string, f: Format, vector: boolean, mode: number): void {
  const operation = operations[name];
  const [a, b, c] = operandRegisters(cx);
  if (!vector) {
    const from = f === quad ? quad : double;
    const r = operation(cx, element(cx, a, from, 0), element(cx, b, from, 0), element(cx, c, from, 0), f, mode);
    if (f === quad) deliverQuad(cx, r);
    else deliverDouble(cx, r, f);
    return;
  }
  const results: bigint[] = [];
  for (let i = 0; i < 128 / f.bits; i++) {
    const r = operation(cx, element(cx, a, f, i), element(cx, b, f, i), element(cx, c, f, i), f, mode);
    results.push(encodeFloat(r.value, f) ?? 0n);
  }
  cx.undefined.fpscr &= ~bit.FR;
  deliverVector(cx, f === double ? results : packWords(results));
}

/** CR field and FPCC of a comparison: unordered is SO. */
function compare(cx: Context, a: Float, b: Float, ordered: boolean): void {
  let code = 1;
  if (isNan(a) || isNan(b)) {
    const signalling = a.kind === 'signalling' || b.kind === 'signalling';
    if (signalling) cx.flags |= bit.VXSNAN;
    if (ordered && (!signalling || !enabled(cx, bit.VE))) cx.flags |= bit.VXVC;
  } else code = [8, 2, 4][compareFloats(a, b) + 1];
  const shift = 28 - 4 * field(cx, 'bf');
  cx.after.cr = ((cx.after.cr & ~(15 << shift)) | (code << shift)) >>> 0;
  settle(cx, ~bit.FPCC, code << 12);
}

/** Whether `a` is equal to, greater than, or greater than or equal to `b`, raising what a comparison for it raises. */
function relation(cx: Context, kind: string, a: Float, b: Float): boolean {
  if (isNan(a) || isNan(b)) {
    const signalling = a.kind === 'signalling' || b.kind === 'signalling';
    if (signalling) cx.flags |= bit.VXSNAN;
    if (kind !== 'eq' && (!signalling || !enabled(cx, bit.VE))) cx.flags |= bit.VXVC;
    return false;
  }
  const order = compareFloats(a, b);
  return kind === 'eq' ? order === 0 : kind === 'gt' ? order > 0 : order >= 0;
}

/** Maximum or minimum; a number wins over a quiet NaN, a signalling one is returned quieted, +0 is greater than -0. */
function extreme(cx: Context, a: Float, b: Float, maximum: boolean): Float {
  if (a.kind === 'signalling' || b.kind === 'signalling') {
    cx.flags |= bit.VXSNAN;
    // A quiet NaN in A comes before a signalling one in B.
    return isNan(a) ? a : b;
  }
  if (isNan(a)) return isNan(b) ? a : b;
  if (isNan(b)) return a;
  const order = compareFloats(a, b);
  if (order === 0 && a.kind === 'zero') return a.negative === maximum ? b : a;
  return (maximum ? order >= 0 : order <= 0) ? a : b;
}

type Model = (cx: Context) => void;

const always = 0xffff_ffff_ffff_ffffn;

function scalarToInteger(
  cx: Context,
  bits: number,
  signed: boolean,
  mode: number,
  place: (bits: bigint) => [bigint, bigint],
): void {
  const from = cx.entry.op.includes('qp') ? quad : double;
  const r = toInteger(cx, element(cx, source(cx, 'b'), from, 0), bits, signed, mode);
  cx.undefined.fpscr |= bit.FPRF;
  if (suppressing(cx)) settle(cx, ~(bit.FR | bit.FI), 0);
  else {
    const [high, low] = place(r.bits);
    setDoubleword(cx.after, target(cx), 0, high);
    setDoubleword(cx.after, target(cx), 1, low);
    settle(cx, ~(bit.FR | bit.FI), (r.increased ? bit.FR : 0) | (r.inexact ? bit.FI : 0));
  }
  recordCr1(cx);
}

const twice = (word: bigint): [bigint, bigint] => [(word << 32n) | word, 0n];
const alone = (value: bigint): [bigint, bigint] => [value, 0n];

/** The model of an instruction by its mnemonic, or undefined. */
function modelOf(op: string): Model | undefined {
  let match: RegExpMatchArray | null;
  const formats: Readonly<Record<string, Format>> = { dp: double, sp: single, qp: quad, hp: half };

  match = /^f(add|sub|mul|div|sqrt|n?madd|n?msub)(s?)$/.exec(op);
  if (match) {
    const [, name, s] = match;
    return (cx) => arithmetic(cx, name, s ? single : double, false, cx.mode);
  }
  match = /^x([sv])(add|sub|mul|div|sqrt)(dp|sp|qp)(o?)$/.exec(op);
  if (match) {
    const [, kind, name, f, odd] = match;
    return (cx) => arithmetic(cx, name, formats[f], kind === 'v', odd ? rounding.odd : cx.mode);
  }
  match = /^x([sv])(n?madd|n?msub)([am]?)(dp|sp|qp)(o?)$/.exec(op);
  if (match) {
    const [, kind, name, , f, odd] = match;
    return (cx) => arithmetic(cx, name, formats[f], kind === 'v', odd ? rounding.odd : cx.mode);
  }
  if (op === 'frsp' || op === 'xsrsp')
    return (cx) => deliverDouble(cx, convert(cx, element(cx, source(cx, 'b'), double, 0), single, cx.mode), single);
  if (op === 'xscvdpsp')
    return (cx) => {
      const r = convert(cx, element(cx, source(cx, 'b'), double, 0), single, cx.mode);
      deliver(cx, r, single, (value) => {
        const bits = encodeFloat(value, single);
        const [high, low] = twice(bits ?? 0n);
        setDoubleword(cx.after, target(cx), 0, high);
        setDoubleword(cx.after, target(cx), 1, low);
        return bits !== undefined;
      });
    };
  if (op === 'xscvdphp')
    return (cx) => {
      const r = convert(cx, element(cx, source(cx, 'b'), double, 0), half, cx.mode);
      deliver(cx, r, half, (value) => {
        const bits = encodeFloat(value, half);
        setDoubleword(cx.after, target(cx), 0, bits ?? 0n);
        setDoubleword(cx.after, target(cx), 1, 0n);
        // What an enabled overflow or underflow delivers here is not said.
        return (
          bits !== undefined &&
          !(cx.flags & bit.OX && enabled(cx, bit.OE)) &&
          !(cx.flags & bit.UX && enabled(cx, bit.UE))
        );
      });
    };
  if (op === 'xscvspdp')
    return (cx) => deliverDouble(cx, convert(cx, element(cx, source(cx, 'b'), single, 0), double, cx.mode), double);
  if (op === 'xscvhpdp')
    return (cx) => deliverDouble(cx, convert(cx, element(cx, source(cx, 'b'), half, 3), double, cx.mode), double);
  if (op === 'xscvdpqp')
    return (cx) => deliverQuad(cx, convert(cx, element(cx, source(cx, 'b'), double, 0), quad, cx.mode));
  match = /^xscvqpdp(o?)$/.exec(op);
  if (match) {
    const odd = match[1];
    return (cx) =>
      deliverDouble(
        cx,
        convert(cx, element(cx, source(cx, 'b'), quad, 0), double, odd ? rounding.odd : cx.mode),
        double,
      );
  }
  if (op === 'xscvsdqp' || op === 'xscvudqp')
    return (cx) =>
      deliverQuad(cx, fromInteger(cx, doubleword(cx.before, source(cx, 'b'), 0), 64, op === 'xscvsdqp', quad, cx.mode));
  match = /^xscvqp([su])([dw])z$/.exec(op);
  if (match) {
    const signed = match[1] === 's';
    const bits = match[2] === 'd' ? 64 : 32;
    return (cx) =>
      scalarToInteger(cx, bits, signed, rounding.zero, (value) =>
        alone(signed ? BigInt.asUintN(64, BigInt.asIntN(bits, value)) : value),
      );
  }
  match = /^fri([nzpm])$/.exec(op) ?? /^xsrdpi([zpmc]?)$/.exec(op);
  if (match) {
    const letter = match[1];
    return (cx) => {
      const mode =
        letter === 'c'
          ? cx.mode
          : { n: rounding.away, '': rounding.away, z: rounding.zero, p: rounding.up, m: rounding.down }[letter]!;
      deliverDouble(cx, integral(cx, element(cx, source(cx, 'b'), double, 0), mode, letter === 'c'), double);
    };
  }
  match = /^f(r(?:sqrt)?e)(s?)$/.exec(op) ?? /^xs(r(?:sqrt)?e)([ds]p)$/.exec(op);
  if (match) {
    const root = match[1].includes('sqrt');
    const f = match[2] === 's' || match[2] === 'sp' ? single : double;
    return (cx) => {
      const r = reciprocal(cx, element(cx, source(cx, 'b'), double, 0), root, f);
      deliverDouble(cx, r, f);
      cx.undefined.fpscr |= bit.FR | bit.FI | bit.XX;
      if (suppressing(cx)) return;
      cx.undefined.fpscr |= bit.FPRF;
      cx.undefined.target = true;
    };
  }
  match = /^xv(r(?:sqrt)?e)([ds]p)$/.exec(op);
  if (match) {
    const root = match[1].includes('sqrt');
    const f = formats[match[2]];
    return (cx) => {
      const results: bigint[] = [];
      for (let i = 0; i < 128 / f.bits; i++)
        results.push(encodeFloat(reciprocal(cx, element(cx, source(cx, 'b'), f, i), root, f).value, f) ?? 0n);
      cx.undefined.fpscr = bit.XX;
      if (deliverVector(cx, f === double ? results : packWords(results))) cx.undefined.target = true;
    };
  }
  match = /^xvr(dp|sp)i([zpmc]?)$/.exec(op);
  if (match) {
    const f = formats[match[1]];
    const letter = match[2];
    return (cx) => {
      const mode =
        letter === 'c' ? cx.mode : { '': rounding.away, z: rounding.zero, p: rounding.up, m: rounding.down }[letter]!;
      const results: bigint[] = [];
      for (let i = 0; i < 128 / f.bits; i++)
        results.push(encodeFloat(integral(cx, element(cx, source(cx, 'b'), f, i), mode, letter === 'c').value, f)!);
      deliverVector(cx, f === double ? results : packWords(results));
    };
  }
  match = /^xsrqp(i|ix|xp)$/.exec(op);
  if (match) {
    const extended: Format = { ...quad, precision: 64 };
    const kind = match[1];
    return (cx) => {
      const [r, rmc] = [field(cx, 'r'), field(cx, 'rmc')];
      const mode = r === 1 ? rmc : rmc === 3 ? cx.mode : rounding.away;
      const b = element(cx, source(cx, 'b'), quad, 0);
      if (kind !== 'xp') {
        deliverQuad(cx, integral(cx, b, mode, kind === 'ix'));
        return;
      }
      const raised = cx.flags;
      const out = extendedPrecision(cx, b, extended, mode);
      // Neither UX nor an adjusted result: rounding to 64 bits cannot make a number smaller than quad holds.
      cx.flags = raised | (cx.flags & ~bit.UX);
      // The smallest normal is that of quad; a NaN keeps the payload that fits 64 bits.
      if (isNan(out.value)) out.value = { ...out.value, m: out.value.m & ~((1n << 49n) - 1n) };
      deliverQuad(cx, out);
    };
  }
  match = /^fcmp([uo])$/.exec(op) ?? /^xscmp([uo])(?:dp|qp)$/.exec(op);
  if (match) {
    const ordered = match[1] === 'o';
    const f = op.endsWith('qp') ? quad : double;
    return (cx) => compare(cx, element(cx, source(cx, 'a'), f, 0), element(cx, source(cx, 'b'), f, 0), ordered);
  }
  match = /^xscmp(eq|gt|ge)dp$/.exec(op);
  if (match) {
    const kind = match[1];
    return (cx) => {
      const holds = relation(
        cx,
        kind,
        element(cx, source(cx, 'a'), double, 0),
        element(cx, source(cx, 'b'), double, 0),
      );
      if (!settle(cx, -1, 0)) {
        setDoubleword(cx.after, target(cx), 0, holds ? always : 0n);
        setDoubleword(cx.after, target(cx), 1, 0n);
      }
    };
  }
  match = /^xvcmp(eq|gt|ge)(dp|sp)$/.exec(op);
  if (match) {
    const kind = match[1];
    const f = formats[match[2]];
    return (cx) => {
      const results: bigint[] = [];
      const ones = (1n << BigInt(f.bits)) - 1n;
      for (let i = 0; i < 128 / f.bits; i++)
        results.push(
          relation(cx, kind, element(cx, source(cx, 'a'), f, i), element(cx, source(cx, 'b'), f, i)) ? ones : 0n,
        );
      const written = deliverVector(cx, f === double ? results : packWords(results));
      if (field(cx, 'rc')) {
        const code = (results.every((x) => x === ones) ? 8 : 0) | (results.every((x) => x === 0n) ? 2 : 0);
        cx.after.cr = ((cx.after.cr & ~0xf0) | (code << 4)) >>> 0;
        if (!written) cx.undefined.cr6 = true;
      }
    };
  }
  match = /^xs(max|min)([cj]?)dp$/.exec(op);
  if (match) {
    const maximum = match[1] === 'max';
    const type = match[2];
    return (cx) => {
      const [ra, rb] = [source(cx, 'a'), source(cx, 'b')];
      const [a, b] = [element(cx, ra, double, 0), element(cx, rb, double, 0)];
      let bits: bigint;
      if (type === '') bits = encodeFloat(extreme(cx, a, b, maximum), double)!;
      else {
        if (a.kind === 'signalling' || b.kind === 'signalling') cx.flags |= bit.VXSNAN;
        let first: boolean;
        if (type === 'j' && (isNan(a) || isNan(b))) first = isNan(a);
        else if (isNan(a) || isNan(b)) first = false;
        else {
          const order = compareFloats(a, b);
          first = maximum ? order > 0 : order < 0;
          if (type === 'j' && order === 0 && a.kind === 'zero') first = a.negative !== maximum;
        }
        bits = doubleword(cx.before, first ? ra : rb, 0);
      }
      if (!settle(cx, -1, 0)) {
        setDoubleword(cx.after, target(cx), 0, bits);
        setDoubleword(cx.after, target(cx), 1, 0n);
      }
    };
  }
  match = /^xv(max|min)(dp|sp)$/.exec(op);
  if (match) {
    const maximum = match[1] === 'max';
    const f = formats[match[2]];
    return (cx) => {
      const results: bigint[] = [];
      for (let i = 0; i < 128 / f.bits; i++)
        results.push(
          encodeFloat(extreme(cx, element(cx, source(cx, 'a'), f, i), element(cx, source(cx, 'b'), f, i), maximum), f)!,
        );
      deliverVector(cx, f === double ? results : packWords(results));
    };
  }
  match = /^fcti([dw])(u?)(z?)$/.exec(op);
  if (match) {
    const [, size, unsigned, z] = match;
    const bits = size === 'd' ? 64 : 32;
    return (cx) => scalarToInteger(cx, bits, !unsigned, z ? rounding.zero : cx.mode, bits === 32 ? twice : alone);
  }
  match = /^xscvdp([su])x([dw])s$/.exec(op);
  if (match) {
    const [, sign, size] = match;
    const bits = size === 'd' ? 64 : 32;
    return (cx) => scalarToInteger(cx, bits, sign === 's', rounding.zero, bits === 32 ? twice : alone);
  }
  match = /^xvcv(dp|sp)([su])x([dw])s$/.exec(op);
  if (match) {
    const f = formats[match[1]];
    const signed = match[2] === 's';
    const bits = match[3] === 'd' ? 64 : 32;
    return (cx) => {
      const b = source(cx, 'b');
      const at = (i: number) => toInteger(cx, element(cx, b, f, i), bits, signed, rounding.zero).bits;
      if (f === single && bits === 32) deliverVector(cx, packWords([at(0), at(1), at(2), at(3)]));
      else if (f === single) deliverVector(cx, [at(0), at(2)]);
      else if (bits === 64) deliverVector(cx, [at(0), at(1)]);
      else deliverVector(cx, [twice(at(0))[0], twice(at(1))[0]]);
    };
  }
  match = /^fcfid(u?)(s?)$/.exec(op) ?? /^xscv([su])xd(dp|sp)$/.exec(op);
  if (match) {
    const signed = match[1] !== 'u';
    const f = match[2] === 's' || match[2] === 'sp' ? single : double;
    return (cx) =>
      deliverDouble(cx, fromInteger(cx, doubleword(cx.before, source(cx, 'b'), 0), 64, signed, f, cx.mode), f);
  }
  match = /^xvcv([su])x([dw])(dp|sp)$/.exec(op);
  if (match) {
    const signed = match[1] === 's';
    const bits = match[2] === 'd' ? 64 : 32;
    const f = formats[match[3]];
    return (cx) => {
      const b = source(cx, 'b');
      const at = (i: number) => {
        const value = bits === 64 ? doubleword(cx.before, b, i) : wordOf(cx.before, b, i);
        return encodeFloat(fromInteger(cx, value, bits, signed, f, cx.mode).value, f)!;
      };
      if (f === double) deliverVector(cx, bits === 64 ? [at(0), at(1)] : [at(0), at(2)]);
      else if (bits === 64) deliverVector(cx, [twice(at(0))[0], twice(at(1))[0]]);
      else deliverVector(cx, packWords([at(0), at(1), at(2), at(3)]));
    };
  }
  if (op === 'xvcvdpsp' || op === 'xvcvspdp' || op === 'xvcvhpsp' || op === 'xvcvsphp') {
    return (cx) => {
      const b = source(cx, 'b');
      const at = (from: Format, to: Format, i: number) => {
        const value = convert(cx, element(cx, b, from, i), to, cx.mode).value;
        return encodeFloat(value, to) ?? 0n;
      };
      if (op === 'xvcvdpsp') deliverVector(cx, [twice(at(double, single, 0))[0], twice(at(double, single, 1))[0]]);
      else if (op === 'xvcvspdp') deliverVector(cx, [at(single, double, 0), at(single, double, 2)]);
      else if (op === 'xvcvhpsp')
        deliverVector(
          cx,
          packWords([at(half, single, 1), at(half, single, 3), at(half, single, 5), at(half, single, 7)]),
        );
      else
        deliverVector(
          cx,
          packWords([at(single, half, 0), at(single, half, 1), at(single, half, 2), at(single, half, 3)]),
        );
      cx.undefined.fpscr &= ~bit.FR;
    };
  }
  return undefined;
}

const models = new Map<string, Model | undefined>();

export function hasModel(op: string): boolean {
  if (!models.has(op)) models.set(op, modelOf(op));
  return models.get(op) !== undefined;
}

/** Puts into `after` the state that the instruction leaves of `before`; says what of it is undefined. */
export function execute(entry: Instruction, word: number, before: SlotState, after: SlotState): Undefined {
  after.copyFrom(before);
  after.nia = BigInt(codeEa + 4);
  after.outcome = outcomes.ok;
  const fpscr = before.words[2 * slot.fpscr];
  const undefinedBits: Undefined = { fpscr: 0, target: false, cr6: false, cr1: false };
  const cx: Context = { before, after, word, entry, fpscr, mode: fpscr & 3, undefined: undefinedBits, flags: 0 };
  if (!hasModel(entry.op)) throw new Error(`${entry.op} has no model`);
  models.get(entry.op)!(cx);
  return undefinedBits;
}
