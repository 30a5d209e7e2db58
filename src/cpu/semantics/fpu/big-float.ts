// Exact arithmetic on IEEE binary formats of any width with BigInt, under the Power rules for NaNs, exceptions and
// rounding (ISA 3.0B I 7.3, 7.4): what quad precision runs on (quad.ts). Host code, not WebAssembly.
//
// A finite number is sign, significand and the exponent of the significand's last bit. Each operation makes an exact
// result, or an exact lower bound and a note that there is more ("sticky"), and rounds once.

import { FPRF, FPSCR } from './fpscr.ts';

export interface BinaryFormat {
  readonly exponentBits: number;
  readonly fractionBits: number;
}

export const BINARY128: BinaryFormat = { exponentBits: 15, fractionBits: 112 };
export const BINARY64: BinaryFormat = { exponentBits: 11, fractionBits: 52 };
export const BINARY32: BinaryFormat = { exponentBits: 8, fractionBits: 23 };
/** Double-extended precision held in binary128. */
export const EXTENDED_FRACTION_BITS = 63;

/** FPSCR[RN] codes, and round to odd, and nearest with ties away from zero. */
export const MODE = { nearest: 0, zero: 1, up: 2, down: 3, odd: 4, away: 5 } as const;

/** How results are rounded, and what was met. */
export interface Environment {
  /** A value of `MODE`. */
  readonly mode: number;
  readonly overflowEnabled: boolean;
  readonly underflowEnabled: boolean;
  /** Exceptions met, FR and FI, as FPSCR bits. */
  raised: number;
}

export interface Unpacked {
  readonly kind: 'zero' | 'finite' | 'infinity' | 'nan';
  readonly sign: boolean;
  /** Finite: value is `significand * 2 ** exponent`. */
  readonly significand: bigint;
  readonly exponent: number;
  readonly signalling: boolean;
}

const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;
const biasOf = (f: BinaryFormat): number => 2 ** (f.exponentBits - 1) - 1;
const widthOf = (f: BinaryFormat): number => 1 + f.exponentBits + f.fractionBits;
const signBit = (f: BinaryFormat, sign: boolean): bigint => (sign ? 1n << BigInt(widthOf(f) - 1) : 0n);

export function infinityOf(f: BinaryFormat, sign = false): bigint {
  return signBit(f, sign) | (ones(f.exponentBits) << BigInt(f.fractionBits));
}
export function defaultNaNOf(f: BinaryFormat): bigint {
  return infinityOf(f) | (1n << BigInt(f.fractionBits - 1));
}

export function unpack(f: BinaryFormat, bits: bigint): Unpacked {
  const fraction = bits & ones(f.fractionBits);
  const field = Number((bits >> BigInt(f.fractionBits)) & ones(f.exponentBits));
  const sign = (bits >> BigInt(widthOf(f) - 1)) % 2n === 1n;
  const base = { sign, significand: fraction, exponent: 0, signalling: false };
  if (field === 2 ** f.exponentBits - 1) {
    if (fraction === 0n) return { ...base, kind: 'infinity' };
    return { ...base, kind: 'nan', signalling: fraction >> BigInt(f.fractionBits - 1) === 0n };
  }
  const least = 1 - biasOf(f) - f.fractionBits;
  if (field === 0) return { ...base, kind: fraction === 0n ? 'zero' : 'finite', exponent: least };
  return {
    ...base,
    kind: 'finite',
    significand: fraction | (1n << BigInt(f.fractionBits)),
    exponent: least + field - 1,
  };
}

function bitLength(value: bigint): number {
  const digits = value.toString(16);
  return 4 * digits.length - Math.clz32(Number.parseInt(digits[0], 16)) + 28;
}

/** Keeps `value >> drop`, rounded; says whether anything was lost and whether the magnitude grew. */
function roundShift(value: bigint, drop: number, sticky: boolean, sign: boolean, mode: number) {
  if (drop <= 0) {
    if (!sticky) return { kept: value << BigInt(-drop), inexact: false, up: false };
    return roundShift(value << BigInt(2 - drop), 2, sticky, sign, mode);
  }
  const floor = value >> BigInt(drop);
  const rest = ((value & ones(drop)) << 1n) | (sticky ? 1n : 0n);
  const half = 1n << BigInt(drop);
  const odd = floor % 2n === 1n;
  let up = false;
  if (rest !== 0n) {
    if (mode === MODE.nearest) up = rest > half || (rest === half && odd);
    else if (mode === MODE.away) up = rest >= half;
    else if (mode === MODE.up) up = !sign;
    else if (mode === MODE.down) up = sign;
    else if (mode === MODE.odd) return { kept: odd ? floor : floor + 1n, inexact: true, up: !odd };
  }
  return { kept: up ? floor + 1n : floor, inexact: rest !== 0n, up };
}

/**
 * Rounds `significand * 2 ** exponent`, plus something smaller if `sticky`, to `fractionBits` (those of the format
 * unless given) and packs it. The significand is not zero.
 */
export function roundPack(
  f: BinaryFormat,
  env: Environment,
  sign: boolean,
  significand: bigint,
  exponent: number,
  sticky: boolean,
  fractionBits = f.fractionBits,
): bigint {
  const bias = biasOf(f);
  const adjust = 3 * 2 ** (f.exponentBits - 2);
  let top = exponent + bitLength(significand) - 1;
  let shifted = exponent;
  let denormal = false;
  if (top < 1 - bias) {
    if (env.underflowEnabled) {
      env.raised |= FPSCR.UX;
      top += adjust;
      shifted += adjust;
    } else denormal = true;
  }
  const last = (denormal ? 1 - bias : top) - fractionBits;
  const { kept, inexact, up } = roundShift(significand, last - shifted, sticky, sign, env.mode);
  if (inexact) env.raised |= FPSCR.XX | FPSCR.FI | (up ? FPSCR.FR : 0) | (denormal ? FPSCR.UX : 0);
  const wide = kept << BigInt(f.fractionBits - fractionBits);
  // The leading one, when there is one, adds 1 to the exponent field below.
  const field = denormal ? 0 : top + bias - 1;
  const packed = (BigInt(field) << BigInt(f.fractionBits)) + wide;
  // An adjusted exponent that is still out of range leaves an undefined result.
  const magnitudes = ones(widthOf(f) - 1);
  if (packed < infinityOf(f)) return signBit(f, sign) | (packed & magnitudes);
  if (env.overflowEnabled) {
    env.raised |= FPSCR.OX;
    return signBit(f, sign) | ((packed - (BigInt(adjust) << BigInt(f.fractionBits))) & magnitudes);
  }
  const infinite = env.mode === MODE.nearest || env.mode === MODE.away || env.mode === (sign ? MODE.down : MODE.up);
  env.raised = (env.raised & ~FPSCR.FR) | FPSCR.OX | FPSCR.XX | FPSCR.FI | (infinite ? FPSCR.FR : 0);
  if (infinite) return infinityOf(f, sign);
  return signBit(f, sign) | (infinityOf(f) - (1n << BigInt(f.fractionBits - fractionBits)));
}

/** The quieted first NaN among the operands, or undefined. Raises VXSNAN if any of them signals. */
function propagated(f: BinaryFormat, env: Environment, operands: readonly bigint[]): bigint | undefined {
  let first: bigint | undefined;
  for (const bits of operands) {
    const x = unpack(f, bits);
    if (x.kind !== 'nan') continue;
    if (x.signalling) env.raised |= FPSCR.VXSNAN;
    first ??= bits | (1n << BigInt(f.fractionBits - 1));
  }
  return first;
}

function invalid(f: BinaryFormat, env: Environment, kind: number): bigint {
  env.raised |= kind;
  return defaultNaNOf(f);
}

function exactZero(f: BinaryFormat, env: Environment): bigint {
  return signBit(f, env.mode === MODE.down);
}

interface Finite {
  readonly sign: boolean;
  readonly significand: bigint;
  readonly exponent: number;
}

/** What stands for `small` beside `large`: itself, or a 1 at a place that is just as negligible, to keep numbers short. */
function negligible(f: BinaryFormat, small: Finite, large: Finite): Finite {
  const place = large.exponent - 2 * f.fractionBits - 8;
  if (small.significand === 0n || small.exponent + bitLength(small.significand) >= place) return small;
  return { sign: small.sign, significand: 1n, exponent: place };
}

/** Sum of two exact numbers, either of which may be zero but not both. */
function roundSum(f: BinaryFormat, env: Environment, a: Finite, b: Finite): bigint {
  const x = b.significand === 0n ? a : negligible(f, a, b);
  const y = a.significand === 0n ? b : negligible(f, b, a);
  const exponent = Math.min(x.exponent, y.exponent);
  const scaled = (n: Finite) => (n.sign ? -1n : 1n) * (n.significand << BigInt(n.exponent - exponent));
  const sum = scaled(x) + scaled(y);
  if (sum === 0n) return exactZero(f, env);
  return roundPack(f, env, sum < 0n, sum < 0n ? -sum : sum, exponent, false);
}

export function add(f: BinaryFormat, env: Environment, a: bigint, b: bigint, subtract = false): bigint {
  const nan = propagated(f, env, [a, b]);
  if (nan !== undefined) return nan;
  const x = unpack(f, a);
  const operand = unpack(f, b);
  const y = { ...operand, sign: operand.sign !== subtract };
  if (x.kind === 'infinity' || y.kind === 'infinity') {
    if (x.kind === y.kind && x.sign !== y.sign) return invalid(f, env, FPSCR.VXISI);
    return infinityOf(f, x.kind === 'infinity' ? x.sign : y.sign);
  }
  if (x.kind === 'zero' && y.kind === 'zero') return x.sign === y.sign ? signBit(f, x.sign) : exactZero(f, env);
  return roundSum(f, env, x, y);
}

export function multiply(f: BinaryFormat, env: Environment, a: bigint, b: bigint): bigint {
  const nan = propagated(f, env, [a, b]);
  if (nan !== undefined) return nan;
  const [x, y] = [unpack(f, a), unpack(f, b)];
  const sign = x.sign !== y.sign;
  const zero = x.kind === 'zero' || y.kind === 'zero';
  if (x.kind === 'infinity' || y.kind === 'infinity') {
    return zero ? invalid(f, env, FPSCR.VXIMZ) : infinityOf(f, sign);
  }
  if (zero) return signBit(f, sign);
  return roundPack(f, env, sign, x.significand * y.significand, x.exponent + y.exponent, false);
}

/** a * c + b with one rounding; `subtract` takes b away, `negate` turns the sign of a result that is not a NaN. */
export function multiplyAdd(
  f: BinaryFormat,
  env: Environment,
  a: bigint,
  c: bigint,
  b: bigint,
  subtract = false,
  negate = false,
): bigint {
  const [x, y, operand] = [unpack(f, a), unpack(f, c), unpack(f, b)];
  const z = { ...operand, sign: operand.sign !== subtract };
  const infinite = x.kind === 'infinity' || y.kind === 'infinity';
  const zero = x.kind === 'zero' || y.kind === 'zero';
  if (infinite && zero) env.raised |= FPSCR.VXIMZ;
  const nan = propagated(f, env, [a, b, c]);
  if (nan !== undefined) return nan;
  if (infinite && zero) return defaultNaNOf(f);
  const sign = x.sign !== y.sign;
  if (infinite && z.kind === 'infinity' && sign !== z.sign) return invalid(f, env, FPSCR.VXISI);
  const turned = (bits: bigint) => (negate ? bits ^ signBit(f, true) : bits);
  if (infinite) return turned(infinityOf(f, sign));
  if (z.kind === 'infinity') return turned(infinityOf(f, z.sign));
  if (zero && z.kind === 'zero') return turned(sign === z.sign ? signBit(f, sign) : exactZero(f, env));
  const product = { sign, significand: x.significand * y.significand, exponent: x.exponent + y.exponent };
  return turned(roundSum(f, env, product, z));
}

export function divide(f: BinaryFormat, env: Environment, a: bigint, b: bigint): bigint {
  const nan = propagated(f, env, [a, b]);
  if (nan !== undefined) return nan;
  const [x, y] = [unpack(f, a), unpack(f, b)];
  const sign = x.sign !== y.sign;
  if (x.kind === 'infinity') return y.kind === 'infinity' ? invalid(f, env, FPSCR.VXIDI) : infinityOf(f, sign);
  if (y.kind === 'infinity') return signBit(f, sign);
  if (y.kind === 'zero') {
    if (x.kind === 'zero') return invalid(f, env, FPSCR.VXZDZ);
    env.raised |= FPSCR.ZX;
    return infinityOf(f, sign);
  }
  if (x.kind === 'zero') return signBit(f, sign);
  // Enough bits for the quotient whatever the operands: both significands have at most fractionBits + 1.
  const more = 2 * f.fractionBits + 8;
  const dividend = x.significand << BigInt(more);
  const quotient = dividend / y.significand;
  const exact = quotient * y.significand === dividend;
  return roundPack(f, env, sign, quotient, x.exponent - y.exponent - more, !exact);
}

/** The largest integer whose square is at most `value`. */
function integerSquareRoot(value: bigint): bigint {
  let root = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

export function squareRoot(f: BinaryFormat, env: Environment, b: bigint): bigint {
  const nan = propagated(f, env, [b]);
  if (nan !== undefined) return nan;
  const x = unpack(f, b);
  if (x.kind === 'zero') return b;
  if (x.sign) return invalid(f, env, FPSCR.VXSQRT);
  if (x.kind === 'infinity') return b;
  const more = 2 * f.fractionBits + 8 + (x.exponent & 1);
  const radicand = x.significand << BigInt(more);
  const root = integerSquareRoot(radicand);
  return roundPack(f, env, false, root, (x.exponent - more) / 2, root * root !== radicand);
}

/** From one format to another; NaNs keep the upper part of their payload and become quiet. */
export function convert(from: BinaryFormat, to: BinaryFormat, env: Environment, b: bigint): bigint {
  const nan = propagated(from, env, [b]);
  const x = unpack(from, b);
  if (nan !== undefined) {
    const shift = to.fractionBits - from.fractionBits;
    const payload = nan & ones(from.fractionBits);
    return infinityOf(to, x.sign) | (shift >= 0 ? payload << BigInt(shift) : payload >> BigInt(-shift));
  }
  if (x.kind === 'infinity') return infinityOf(to, x.sign);
  if (x.kind === 'zero') return signBit(to, x.sign);
  return roundPack(to, env, x.sign, x.significand, x.exponent, false);
}

/** `value` exactly or rounded. */
export function fromInteger(f: BinaryFormat, env: Environment, value: bigint): bigint {
  if (value === 0n) return 0n;
  return roundPack(f, env, value < 0n, value < 0n ? -value : value, 0, false);
}

/** To an integer between `least` and `greatest`; a NaN becomes `least` (ISA 3.0B I 7.4.2, VXCVI). */
export function toInteger(f: BinaryFormat, env: Environment, b: bigint, least: bigint, greatest: bigint): bigint {
  const x = unpack(f, b);
  if (x.kind === 'nan') {
    env.raised |= FPSCR.VXCVI | (x.signalling ? FPSCR.VXSNAN : 0);
    return least;
  }
  if (x.kind === 'zero') return 0n;
  const bound = x.sign ? least : greatest;
  const far = x.kind === 'infinity' || x.exponent + bitLength(x.significand) > 80;
  if (!far) {
    const { kept, inexact, up } = roundShift(x.significand, -x.exponent, false, x.sign, env.mode);
    const value = x.sign ? -kept : kept;
    if (value >= least && value <= greatest) {
      if (inexact) env.raised |= FPSCR.XX | FPSCR.FI | (up ? FPSCR.FR : 0);
      return value;
    }
  }
  env.raised |= FPSCR.VXCVI;
  return bound;
}

/** To an integral value in the same format. Raises XX, FR and FI when that changes the value. */
export function roundToIntegral(f: BinaryFormat, env: Environment, b: bigint): bigint {
  const nan = propagated(f, env, [b]);
  if (nan !== undefined) return nan;
  const x = unpack(f, b);
  if (x.kind !== 'finite' || x.exponent >= 0) return b;
  const { kept, inexact, up } = roundShift(x.significand, -x.exponent, false, x.sign, env.mode);
  if (inexact) env.raised |= FPSCR.XX | FPSCR.FI | (up ? FPSCR.FR : 0);
  if (kept === 0n) return signBit(f, x.sign);
  const exact = { ...env, mode: MODE.zero };
  return roundPack(f, exact, x.sign, kept, 0, false);
}

/**
 * To a shorter significand in the same format, by rounding, or truncation of a NaN. Denormals are the format's own, and
 * no underflow is reported.
 */
export function roundToPrecision(f: BinaryFormat, env: Environment, b: bigint, fractionBits: number): bigint {
  const nan = propagated(f, env, [b]);
  if (nan !== undefined) return nan & ~ones(f.fractionBits - fractionBits);
  const x = unpack(f, b);
  if (x.kind !== 'finite') return b;
  const quiet = { ...env, underflowEnabled: false };
  const value = roundPack(f, quiet, x.sign, x.significand, x.exponent, false, fractionBits);
  env.raised = quiet.raised & ~FPSCR.UX;
  return value;
}

/** FPRF code, in its place. */
export function classOf(f: BinaryFormat, bits: bigint): number {
  const { kind, sign, significand } = unpack(f, bits);
  if (kind === 'nan') return FPRF.quietNaN;
  if (kind === 'infinity') return sign ? FPRF.negativeInfinity : FPRF.positiveInfinity;
  if (kind === 'zero') return sign ? FPRF.negativeZero : FPRF.positiveZero;
  if (significand >> BigInt(f.fractionBits) === 0n) return sign ? FPRF.negativeDenormal : FPRF.positiveDenormal;
  return sign ? FPRF.negativeNormal : FPRF.positiveNormal;
}

/** Numeric order of two numbers that are not NaNs: below, equal to or above 0. */
export function order(f: BinaryFormat, a: bigint, b: bigint): number {
  const key = (bits: bigint) => {
    const magnitude = bits & ones(widthOf(f) - 1);
    return bits === magnitude ? magnitude : -magnitude;
  };
  const [x, y] = [key(a), key(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}
