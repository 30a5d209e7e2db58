// Decimal floating-point operations on numbers (ISA 3.0B I 5.6). What each raises is told in bits of FPSCR.

import { FPRF, FPSCR } from '../fpu/fpscr.ts';
import {
  type Decimal,
  type DecimalFormat,
  defaultNaN,
  digitCount,
  type Finite,
  finite,
  infinity,
  isNotANumber,
  isSubnormal,
  power10,
  type Special,
} from './number.ts';
import { dropDigits, ROUND, type Rounded, type Rounding, round } from './round.ts';

/** A result and the exceptions, FR and FI that come with it. */
export interface Outcome {
  readonly value: Decimal;
  readonly raised: number;
}

function invalid(cause: number): Outcome {
  return { value: defaultNaN, raised: cause };
}
function exactly(value: Decimal): Outcome {
  return { value, raised: 0 };
}
function quiet(nan: Special): Special {
  return { ...nan, kind: 'quiet' };
}
function outcomeOf({ value, inexact, incremented, overflow, underflow }: Rounded): Outcome {
  let raised = 0;
  if (inexact) raised |= FPSCR.XX | FPSCR.FI;
  if (incremented) raised |= FPSCR.FR;
  if (overflow) raised |= FPSCR.OX;
  if (underflow) raised |= FPSCR.UX;
  return { value, raised };
}

/** The NaN among the operands that becomes the result: a signalling one first, then the left one. */
export function propagated(operands: readonly Decimal[]): Outcome | undefined {
  const signalling = operands.find((d) => d.kind === 'signalling');
  if (signalling) return { value: quiet(signalling as Special), raised: FPSCR.VXSNAN };
  const first = operands.find(isNotANumber);
  return first && exactly(quiet(first));
}

/** Both as integers at the smaller exponent. */
function aligned(a: Finite, b: Finite): { x: bigint; y: bigint; exponent: number } {
  const exponent = Math.min(a.exponent, b.exponent);
  const integer = (d: Finite) => d.coefficient * power10(d.exponent - exponent);
  return { x: a.negative ? -integer(a) : integer(a), y: b.negative ? -integer(b) : integer(b), exponent };
}

export function add(rounding: Rounding, a: Decimal, b: Decimal): Outcome {
  const nan = propagated([a, b]);
  if (nan) return nan;
  if (a.kind !== 'finite') {
    if (b.kind === 'infinity' && a.negative !== b.negative) return invalid(FPSCR.VXISI);
    return exactly(infinity(a.negative));
  }
  if (b.kind !== 'finite') return exactly(infinity(b.negative));
  const { x, y, exponent } = aligned(a, b);
  const sum = x + y;
  const zeroNegative = a.negative === b.negative ? a.negative : rounding.mode === ROUND.towardMinus;
  const negative = sum === 0n ? zeroNegative : sum < 0n;
  const exact = { negative, coefficient: sum < 0n ? -sum : sum, exponent, more: false };
  return outcomeOf(round(rounding, exact, exponent));
}

export function subtract(rounding: Rounding, a: Decimal, b: Decimal): Outcome {
  return add(rounding, a, isNotANumber(b) ? b : { ...b, negative: !b.negative });
}

export function multiply(rounding: Rounding, a: Decimal, b: Decimal): Outcome {
  const nan = propagated([a, b]);
  if (nan) return nan;
  const negative = a.negative !== b.negative;
  const isZero = (d: Decimal) => d.kind === 'finite' && d.coefficient === 0n;
  if (a.kind !== 'finite' || b.kind !== 'finite')
    return isZero(a) || isZero(b) ? invalid(FPSCR.VXIMZ) : exactly(infinity(negative));
  const exponent = a.exponent + b.exponent;
  const exact = { negative, coefficient: a.coefficient * b.coefficient, exponent, more: false };
  return outcomeOf(round(rounding, exact, exponent));
}

export function divide(rounding: Rounding, a: Decimal, b: Decimal): Outcome {
  const nan = propagated([a, b]);
  if (nan) return nan;
  const negative = a.negative !== b.negative;
  if (a.kind !== 'finite') return b.kind === 'finite' ? exactly(infinity(negative)) : invalid(FPSCR.VXIDI);
  if (b.kind !== 'finite') return exactly(finite(negative, 0n, rounding.format.minExponent));
  if (b.coefficient === 0n) {
    if (a.coefficient === 0n) return invalid(FPSCR.VXZDZ);
    return { value: infinity(negative), raised: FPSCR.ZX };
  }
  const ideal = a.exponent - b.exponent;
  // Two digits more than the format has decide every rounding, with what remains.
  const wanted = rounding.format.digits + 2 + digitCount(b.coefficient) - digitCount(a.coefficient);
  const scale = Math.max(0, wanted);
  const dividend = a.coefficient * power10(scale);
  const exact = {
    negative,
    coefficient: dividend / b.coefficient,
    exponent: ideal - scale,
    more: dividend % b.coefficient !== 0n,
  };
  return outcomeOf(round(rounding, exact, ideal));
}

/** LT GT EQ UN as a CR field. */
export function compare(a: Decimal, b: Decimal): number {
  if (isNotANumber(a) || isNotANumber(b)) return 1;
  const rank = (d: Decimal) => (d.kind === 'finite' ? 0 : d.negative ? -1 : 1);
  if (a.kind !== 'finite' || b.kind !== 'finite') {
    const difference = rank(a) - rank(b);
    return difference < 0 ? 8 : difference > 0 ? 4 : 2;
  }
  const { x, y } = aligned(a, b);
  return x < y ? 8 : x > y ? 4 : 2;
}

/** `b` with the exponent `exponent`. */
export function quantizeTo(rounding: Rounding, b: Finite, exponent: number): Outcome {
  const { format, mode } = rounding;
  const up = b.exponent - exponent;
  if (up >= 0) {
    const tooLong = b.coefficient !== 0n && digitCount(b.coefficient) + up > format.digits;
    if (tooLong) return invalid(FPSCR.VXCVI);
    return exactly(finite(b.negative, b.coefficient * power10(up), exponent));
  }
  const { coefficient, inexact, incremented } = dropDigits(mode, { ...b, more: false }, -up);
  const value = finite(b.negative, coefficient, exponent);
  return outcomeOf({ value, inexact, incremented, overflow: false, underflow: false });
}
/** `b` with the exponent of `a`. */
export function quantize(rounding: Rounding, a: Decimal, b: Decimal): Outcome {
  const nan = propagated([a, b]);
  if (nan) return nan;
  if (a.kind === 'finite' && b.kind === 'finite') return quantizeTo(rounding, b, a.exponent);
  return a.kind === b.kind ? exactly(infinity(b.negative)) : invalid(FPSCR.VXCVI);
}

/** `b` with at most `digits` digits; 0 leaves it as it is. */
export function reround(rounding: Rounding, digits: number, b: Decimal): Outcome {
  const nan = propagated([b]);
  if (nan) return nan;
  if (b.kind !== 'finite') return exactly(infinity(b.negative));
  const surplus = digitCount(b.coefficient) - digits;
  if (digits === 0 || surplus <= 0) return exactly(b);
  const { inexact, incremented, ...kept } = dropDigits(rounding.mode, { ...b, more: false }, surplus);
  const carried = kept.coefficient === power10(digits);
  const coefficient = carried ? kept.coefficient / 10n : kept.coefficient;
  const exponent = b.exponent + surplus + (carried ? 1 : 0);
  if (exponent > rounding.format.maxExponent) return invalid(FPSCR.VXCVI);
  const value = finite(b.negative, coefficient, exponent);
  return outcomeOf({ value, inexact, incremented, overflow: false, underflow: false });
}

/** To an integer, its exponent 0 or what it was if that is larger. */
export function roundToInteger(rounding: Rounding, b: Decimal): Outcome {
  const nan = propagated([b]);
  if (nan) return nan;
  if (b.kind !== 'finite') return exactly(infinity(b.negative));
  return b.exponent >= 0 ? exactly(b) : quantizeTo(rounding, b, 0);
}

/** To the format of `rounding`. `storage` leaves signalling NaNs alone: the short format is one of storage only. */
export function convert(rounding: Rounding, b: Decimal, storage: boolean): Outcome {
  if (b.kind === 'finite') return outcomeOf(round(rounding, { ...b, more: false }, b.exponent));
  if (b.kind === 'infinity') return exactly(infinity(b.negative));
  const { digits } = rounding.format;
  const cut = { ...b, payload: b.payload % power10(digits - 1) };
  return storage ? exactly(cut) : propagated([cut])!;
}

export function fromInteger(rounding: Rounding, value: bigint): Outcome {
  const negative = value < 0n;
  const exact = { negative, coefficient: negative ? -value : value, exponent: 0, more: false };
  return outcomeOf(round(rounding, exact, 0));
}

/** To a signed 64-bit integer, saturated. */
export function toInteger(mode: number, b: Decimal): { result: bigint; raised: number } {
  const [least, most] = [-(1n << 63n), (1n << 63n) - 1n];
  if (isNotANumber(b)) {
    const signalling = b.kind === 'signalling' ? FPSCR.VXSNAN : 0;
    return { result: least, raised: FPSCR.VXCVI | signalling };
  }
  const edge = { result: b.negative ? least : most, raised: FPSCR.VXCVI };
  if (b.kind !== 'finite' || (b.coefficient !== 0n && digitCount(b.coefficient) + b.exponent > 19)) return edge;
  const exact = { ...b, more: false };
  const whole = { coefficient: b.coefficient * power10(Math.max(0, b.exponent)), inexact: false, incremented: false };
  const { coefficient, inexact, incremented } = b.exponent >= 0 ? whole : dropDigits(mode, exact, -b.exponent);
  const result = b.negative ? -coefficient : coefficient;
  if (result < least || result > most) return edge;
  return { result, raised: (inexact ? FPSCR.XX | FPSCR.FI : 0) | (incremented ? FPSCR.FR : 0) };
}

/** Six bits for the data classes: zero, subnormal, normal, infinity, quiet NaN, signalling NaN. */
export function dataClass(format: DecimalFormat, a: Decimal): number {
  if (a.kind !== 'finite') return { infinity: 4, quiet: 2, signalling: 1 }[a.kind];
  return a.coefficient === 0n ? 32 : isSubnormal(format, a) ? 16 : 8;
}
/**
 * Six bits for the data groups: zero with an ordinary or an extreme exponent; subnormal, or normal with an extreme
 * exponent; normal with a leftmost digit of 0 or another; special.
 */
export function dataGroup(format: DecimalFormat, a: Decimal): number {
  if (a.kind !== 'finite') return 1;
  const extreme = a.exponent === format.minExponent || a.exponent === format.maxExponent;
  if (a.coefficient === 0n) return extreme ? 16 : 32;
  if (extreme || isSubnormal(format, a)) return 8;
  return digitCount(a.coefficient) < format.digits ? 4 : 2;
}

/** Exponents compared; infinities are equal among themselves, and so are NaNs. */
export function compareExponents(a: Decimal, b: Decimal): number {
  if (a.kind === 'finite' && b.kind === 'finite') return a.exponent < b.exponent ? 8 : a.exponent > b.exponent ? 4 : 2;
  if (isNotANumber(a) && isNotANumber(b)) return 2;
  return a.kind === 'infinity' && b.kind === 'infinity' ? 2 : 1;
}
/** `digits` compared with the significant digits of `b`; 0 counts as more than any number. */
export function compareSignificance(digits: number, b: Decimal): number {
  if (b.kind !== 'finite') return 1;
  const count = digitCount(b.coefficient);
  if (digits === 0 || digits > count) return 4;
  return digits < count ? 8 : 2;
}

/** The digits of a number as they stand in it: those of the declets alone if it is no finite one. */
function digitsOf(d: Decimal): bigint {
  return d.kind === 'finite' ? d.coefficient : d.payload;
}

/** Digits moved by `count` places, to the left if positive; what leaves the significand is lost. */
export function shiftSignificand(format: DecimalFormat, a: Decimal, count: number): Decimal {
  const width = a.kind === 'finite' ? format.digits : format.digits - 1;
  const moved = count >= 0 ? digitsOf(a) * power10(count) : digitsOf(a) / power10(-count);
  const kept = moved % power10(width);
  return a.kind === 'finite' ? { ...a, coefficient: kept } : { ...a, payload: kept };
}

/** The digits as packed decimal in the bits of the format; `signed` gives the last nibble to a sign, `plus` if positive. */
export function toBcd(format: DecimalFormat, b: Decimal, signed: boolean, plus: 0xc | 0xf): bigint {
  const width = format.bits / 4;
  const digits = digitsOf(b) % power10(signed ? width - 1 : width);
  const packed = BigInt(`0x${digits}`);
  return signed ? (packed << 4n) | (b.negative ? 0xdn : BigInt(plus)) : packed;
}
/** Packed decimal to a number with exponent 0. */
export function fromBcd(packed: bigint, signed: boolean): Outcome {
  const text = (signed ? packed >> 4n : packed).toString(16);
  const sign = signed ? Number(packed & 15n) : 0xc;
  if (!/^[0-9]+$/.test(text) || sign < 0xa) return invalid(FPSCR.VXCVI);
  return exactly(finite(sign === 0xb || sign === 0xd, BigInt(text), 0));
}

/** The biased exponent; -1 for an infinity, -2 for a quiet, -3 for a signalling NaN. */
export function extractExponent(format: DecimalFormat, b: Decimal): bigint {
  if (b.kind === 'finite') return BigInt(b.exponent + format.bias);
  return { infinity: -1n, quiet: -2n, signalling: -3n }[b.kind];
}
/** `b` with another biased exponent, in the meaning of `extractExponent`; one that is none makes a quiet NaN. */
export function insertExponent(format: DecimalFormat, exponent: bigint, b: Decimal): Decimal {
  const digits = digitsOf(b);
  if (exponent >= 0n && exponent <= BigInt(format.maxExponent + format.bias))
    return finite(b.negative, digits, Number(exponent) - format.bias);
  const kind = exponent === -1n ? 'infinity' : exponent === -3n ? 'signalling' : 'quiet';
  return { kind, negative: b.negative, payload: digits % power10(format.digits - 1) };
}

/** Decimal arithmetic has a code of its own for a signalling NaN. */
const SIGNALLING_NAN = 0x1000;

/** FPRF of a result: its class and sign. */
export function resultFlags(format: DecimalFormat, d: Decimal): number {
  if (d.kind !== 'finite') {
    const infinite = d.negative ? FPRF.negativeInfinity : FPRF.positiveInfinity;
    return { infinity: infinite, quiet: FPRF.quietNaN, signalling: SIGNALLING_NAN }[d.kind];
  }
  if (d.coefficient === 0n) return d.negative ? FPRF.negativeZero : FPRF.positiveZero;
  if (isSubnormal(format, d)) return d.negative ? FPRF.negativeDenormal : FPRF.positiveDenormal;
  return d.negative ? FPRF.negativeNormal : FPRF.positiveNormal;
}
