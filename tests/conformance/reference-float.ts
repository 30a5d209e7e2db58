// Binary floating point computed exactly, on integers of any length: the reference that FPSCR[FR] and everything else of
// the floating-point instructions is checked against, independent of any engine and of QEMU (IEEE 754-2008; ISA 3.0B I 4.3
// and 7.3). Written to be read, not to be fast.

export interface Format {
  /** Bits of the significand, the leading one included. */
  readonly precision: number;
  readonly exponentBits: number;
  readonly bits: number;
  readonly maxExponent: number;
  readonly minExponent: number;
  /** By how much the exponent of an enabled overflow or underflow is adjusted. */
  readonly adjust: number;
}

function format(bits: number, exponentBits: number, adjust: number): Format {
  const bias = 2 ** (exponentBits - 1) - 1;
  return { precision: bits - exponentBits, exponentBits, bits, maxExponent: bias, minExponent: 1 - bias, adjust };
}

export const half = format(16, 5, 24);
export const single = format(32, 8, 192);
export const double = format(64, 11, 1536);
export const quad = format(128, 15, 24576);

/** A number `m * 2^e`, an infinity or a NaN whose fraction bits `m` belong to `format`. */
export interface Float {
  readonly kind: 'zero' | 'finite' | 'infinity' | 'quiet' | 'signalling';
  readonly negative: boolean;
  readonly m: bigint;
  readonly e: number;
  readonly format: Format;
}

export const zero = (negative: boolean): Float => ({ kind: 'zero', negative, m: 0n, e: 0, format: double });
export const infinity = (negative: boolean): Float => ({ kind: 'infinity', negative, m: 0n, e: 0, format: double });
/** The NaN that an invalid operation makes: positive, quiet, no payload. */
export const defaultNaN: Float = { kind: 'quiet', negative: false, m: 1n << 51n, e: 0, format: double };

export const isNan = (x: Float): boolean => x.kind === 'quiet' || x.kind === 'signalling';

export function decodeFloat(bits: bigint, f: Format): Float {
  const fractionBits = BigInt(f.precision - 1);
  const negative = ((bits >> BigInt(f.bits - 1)) & 1n) === 1n;
  const exponent = Number((bits >> fractionBits) & ((1n << BigInt(f.exponentBits)) - 1n));
  const fraction = bits & ((1n << fractionBits) - 1n);
  if (exponent === 2 ** f.exponentBits - 1) {
    if (fraction === 0n) return { kind: 'infinity', negative, m: 0n, e: 0, format: f };
    const quiet = ((fraction >> (fractionBits - 1n)) & 1n) === 1n;
    return { kind: quiet ? 'quiet' : 'signalling', negative, m: fraction, e: 0, format: f };
  }
  if (exponent === 0) {
    if (fraction === 0n) return { kind: 'zero', negative, m: 0n, e: 0, format: f };
    return { kind: 'finite', negative, m: fraction, e: f.minExponent - f.precision + 1, format: f };
  }
  const e = exponent - f.maxExponent - f.precision + 1;
  return { kind: 'finite', negative, m: fraction | (1n << fractionBits), e, format: f };
}

export function bitLength(m: bigint): number {
  if (m === 0n) return 0;
  const digits = m.toString(16);
  return 4 * digits.length - Math.clz32(Number.parseInt(digits[0], 16)) + 28;
}

/**
 * The bits of a value that `f` can hold exactly; a NaN is cut or extended at the right end of its payload, and quieted.
 * Undefined for a finite value outside the range of `f`.
 */
export function encodeFloat(x: Float, f: Format): bigint | undefined {
  const fractionBits = BigInt(f.precision - 1);
  const sign = x.negative ? 1n << BigInt(f.bits - 1) : 0n;
  const top = ((1n << BigInt(f.exponentBits)) - 1n) << fractionBits;
  if (x.kind === 'zero') return sign;
  if (x.kind === 'infinity') return sign | top;
  if (isNan(x)) {
    const shift = BigInt(f.precision - x.format.precision);
    const payload = shift >= 0n ? x.m << shift : x.m >> -shift;
    return sign | top | payload | (1n << (fractionBits - 1n));
  }
  let { m, e } = x;
  const exponent = e + bitLength(m) - 1;
  if (exponent > f.maxExponent) return undefined;
  const lowest = Math.max(exponent, f.minExponent) - f.precision + 1;
  if (e > lowest) m <<= BigInt(e - lowest);
  else if (e < lowest) {
    if ((m & ((1n << BigInt(lowest - e)) - 1n)) !== 0n) return undefined;
    m >>= BigInt(lowest - e);
  }
  e = lowest;
  if (m === 0n) return undefined;
  if (m < 1n << fractionBits) return sign | m;
  return sign | (BigInt(e + f.precision - 1 + f.maxExponent) << fractionBits) | (m & ((1n << fractionBits) - 1n));
}

/** Rounding: FPSCR[RN] codes 0 to 3, to odd, and to nearest with ties away from zero. */
export const rounding = { nearest: 0, zero: 1, up: 2, down: 3, odd: 4, away: 5 } as const;

export interface Rounded {
  readonly value: Float;
  readonly inexact: boolean;
  /** The magnitude was rounded up. */
  readonly increased: boolean;
  /** Nonzero and, before rounding, below the smallest normal number. */
  readonly tiny: boolean;
  readonly overflow: boolean;
}

function roundsUp(mode: number, negative: boolean, odd: boolean, rest: number): boolean {
  // `rest` compares what is cut off with half a unit: 0 nothing, 1 less, 2 half, 3 more.
  if (rest === 0) return false;
  switch (mode) {
    case rounding.nearest:
      return rest === 3 || (rest === 2 && odd);
    case rounding.away:
      return rest >= 2;
    case rounding.up:
      return !negative;
    case rounding.down:
      return negative;
    case rounding.odd:
      return !odd;
    default:
      return false;
  }
}

/** Cuts `m` (with `sticky`: a little more than m) after `shift` low bits, and rounds. */
function cut(
  m: bigint,
  shift: number,
  sticky: boolean,
  mode: number,
  negative: boolean,
): { q: bigint; rest: number; up: boolean } {
  if (shift <= 0) {
    // Only exact values are this short.
    return { q: m << BigInt(-shift), rest: 0, up: false };
  }
  const s = BigInt(shift);
  const low = m & ((1n << s) - 1n);
  const point = 1n << (s - 1n);
  let rest = 0;
  if (low === 0n) rest = sticky ? 1 : 0;
  else if (low < point) rest = 1;
  else if (low > point || sticky) rest = 3;
  else rest = 2;
  const q = m >> s;
  const up = roundsUp(mode, negative, (q & 1n) === 1n, rest);
  return { q: up ? q + 1n : q, rest, up };
}

/**
 * Rounds `m * 2^e` (m > 0; with `sticky` a little more, m then having more bits than `f` keeps) to `f`. With `trapOverflow`
 * or `trapUnderflow` the result that such an enabled exception delivers: exponent unlimited while rounding, then adjusted.
 */
export function round(
  f: Format,
  negative: boolean,
  m: bigint,
  e: number,
  sticky: boolean,
  mode: number,
  trapOverflow = false,
  trapUnderflow = false,
): Rounded {
  const exponent = e + bitLength(m) - 1;
  const tiny = exponent < f.minExponent;
  const unlimited = tiny && trapUnderflow;
  let lowest = (tiny && !unlimited ? f.minExponent : exponent) - f.precision + 1;
  const { q, rest, up } = cut(m, lowest - e, sticky, mode, negative);
  const inexact = rest !== 0;
  if (q === 0n) return { value: zero(negative), inexact, increased: false, tiny, overflow: false };
  const overflow = lowest + bitLength(q) - 1 > f.maxExponent;
  if (overflow && !trapOverflow) {
    const toInfinity =
      mode === rounding.nearest ||
      mode === rounding.away ||
      (mode === rounding.up && !negative) ||
      (mode === rounding.down && negative);
    const largest: Float = {
      kind: 'finite',
      negative,
      m: (1n << BigInt(f.precision)) - 1n,
      e: f.maxExponent - f.precision + 1,
      format: f,
    };
    return { value: toInfinity ? infinity(negative) : largest, inexact: true, increased: toInfinity, tiny, overflow };
  }
  if (overflow) lowest -= f.adjust;
  if (unlimited) lowest += f.adjust;
  return { value: { kind: 'finite', negative, m: q, e: lowest, format: f }, inexact, increased: up, tiny, overflow };
}

/** Rounds a finite value to an integer; `m` of the result is that integer's magnitude. */
export function roundToInteger(x: Float, mode: number): { magnitude: bigint; inexact: boolean; increased: boolean } {
  if (x.e >= 0) return { magnitude: x.m << BigInt(x.e), inexact: false, increased: false };
  const { q, rest, up } = cut(x.m, -x.e, false, mode, x.negative);
  return { magnitude: q, inexact: rest !== 0, increased: up };
}

/** An exact finite result before rounding; m = 0 stands for a zero whose sign is decided by the operation. */
export interface Exact {
  readonly negative: boolean;
  readonly m: bigint;
  readonly e: number;
  readonly sticky: boolean;
}

const asExact = (x: Float): Exact => ({ negative: x.negative, m: x.kind === 'zero' ? 0n : x.m, e: x.e, sticky: false });

/** a + b of finite or zero values; the sign of an exact zero follows the rounding mode. */
export function addExact(a: Exact, b: Exact, mode: number): Exact {
  if (a.m === 0n && b.m === 0n) {
    const negative = a.negative === b.negative ? a.negative : mode === rounding.down;
    return { negative, m: 0n, e: 0, sticky: false };
  }
  if (a.m === 0n) return b;
  if (b.m === 0n) return a;
  const e = Math.min(a.e, b.e);
  const left = (a.negative ? -1n : 1n) * (a.m << BigInt(a.e - e));
  const right = (b.negative ? -1n : 1n) * (b.m << BigInt(b.e - e));
  const sum = left + right;
  if (sum === 0n) return { negative: mode === rounding.down, m: 0n, e: 0, sticky: false };
  return { negative: sum < 0n, m: sum < 0n ? -sum : sum, e, sticky: false };
}

export function sumOf(a: Float, b: Float, mode: number): Exact {
  return addExact(asExact(a), asExact(b), mode);
}

export function productOf(a: Float, b: Float): Exact {
  const negative = a.negative !== b.negative;
  if (a.kind === 'zero' || b.kind === 'zero') return { negative, m: 0n, e: 0, sticky: false };
  return { negative, m: a.m * b.m, e: a.e + b.e, sticky: false };
}

export function fusedOf(a: Float, b: Float, addend: Float, mode: number): Exact {
  return addExact(productOf(a, b), asExact(addend), mode);
}

/** a / b for nonzero b, with more bits than any format keeps. */
export function quotientOf(a: Float, b: Float): Exact {
  const negative = a.negative !== b.negative;
  if (a.kind === 'zero') return { negative, m: 0n, e: 0, sticky: false };
  const shift = 240;
  const dividend = a.m << BigInt(shift);
  return { negative, m: dividend / b.m, e: a.e - b.e - shift, sticky: dividend % b.m !== 0n };
}

/** The square root of a positive value. */
export function rootOf(a: Float): Exact {
  const shift = 360 + (Math.abs(a.e) & 1);
  const n = a.m << BigInt(shift);
  let r = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (r + n / r) >> 1n;
    if (next >= r) break;
    r = next;
  }
  return { negative: false, m: r, e: (a.e - shift) / 2, sticky: r * r !== n };
}

/** -1, 0 or 1 as a is less than, equal to or greater than b; neither a NaN. */
export function compareFloats(a: Float, b: Float): number {
  if (a.kind === 'infinity' || b.kind === 'infinity') {
    const weight = (x: Float) => (x.kind === 'infinity' ? (x.negative ? -1 : 1) : 0);
    return Math.sign(weight(a) - weight(b));
  }
  const difference = sumOf(a, { ...b, negative: !b.negative }, rounding.nearest);
  if (difference.m === 0n) return 0;
  return difference.negative ? -1 : 1;
}
