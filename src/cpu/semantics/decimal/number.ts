// Decimal floating-point numbers and their three formats (ISA 3.0B I 5.3, 5.4): sign, a combination field that holds the
// leftmost digit and the top of the exponent, the rest of the exponent, and declets.

import { declets, decletValues } from './declet.ts';

export interface DecimalFormat {
  readonly name: 'short' | 'long' | 'extended';
  readonly bits: number;
  /** Digits of a significand. */
  readonly digits: number;
  /** Bits of the exponent behind the combination field. */
  readonly continuationBits: number;
  readonly bias: number;
  /** Exponents of the rightmost digit lie between these. */
  readonly minExponent: number;
  readonly maxExponent: number;
  /** Added to or subtracted from the exponent when an enabled underflow or overflow happens. */
  readonly adjustment: number;
}

function makeFormat(
  name: DecimalFormat['name'],
  bits: number,
  digits: number,
  continuationBits: number,
  bias: number,
  adjustment: number,
): DecimalFormat {
  const maxExponent = 3 * 2 ** continuationBits - 1 - bias;
  return { name, bits, digits, continuationBits, bias, minExponent: -bias, maxExponent, adjustment };
}
export const short = makeFormat('short', 32, 7, 6, 101, 192);
export const long = makeFormat('long', 64, 16, 8, 398, 576);
export const extended = makeFormat('extended', 128, 34, 12, 6176, 9216);

export interface Finite {
  readonly kind: 'finite';
  readonly negative: boolean;
  readonly coefficient: bigint;
  /** Of the rightmost digit. */
  readonly exponent: number;
}
/** Infinities and NaNs carry the number that their declets spell, too. */
export interface Special {
  readonly kind: 'infinity' | 'quiet' | 'signalling';
  readonly negative: boolean;
  readonly payload: bigint;
}
export type Decimal = Finite | Special;

export const defaultNaN: Special = { kind: 'quiet', negative: false, payload: 0n };
export function infinity(negative: boolean): Special {
  return { kind: 'infinity', negative, payload: 0n };
}
export function finite(negative: boolean, coefficient: bigint, exponent: number): Finite {
  return { kind: 'finite', negative, coefficient, exponent };
}
export function isNotANumber(d: Decimal): d is Special & { readonly kind: 'quiet' | 'signalling' } {
  return d.kind === 'quiet' || d.kind === 'signalling';
}

const powers: bigint[] = [1n];
/** 10 to the `n`, `n` at least 0. */
export function power10(n: number): bigint {
  if (n >= 128) return 10n ** BigInt(n);
  for (let i = powers.length; i <= n; i++) powers.push(powers[i - 1] * 10n);
  return powers[n];
}
/** Number of digits without leading zeros; 0 for zero. */
export function digitCount(value: bigint): number {
  return value === 0n ? 0 : value.toString().length;
}

const INFINITY_COMBINATION = 0b11110;
const NAN_COMBINATION = 0b11111;

/** The number that `bits` (format.bits of them) stand for; any pattern is one. */
export function decode(format: DecimalFormat, bits: bigint): Decimal {
  const decletCount = (format.digits - 1) / 3;
  let trailing = 0n;
  for (let i = decletCount - 1; i >= 0; i--) {
    trailing = trailing * 1000n + BigInt(decletValues[Number((bits >> BigInt(10 * i)) & 0x3ffn)]);
  }
  const negative = ((bits >> BigInt(format.bits - 1)) & 1n) === 1n;
  const combination = Number((bits >> BigInt(format.bits - 6)) & 31n);
  const continuationMask = (1n << BigInt(format.continuationBits)) - 1n;
  const continuation = Number((bits >> BigInt(10 * decletCount)) & continuationMask);
  if (combination === NAN_COMBINATION) {
    const signalling = continuation >> (format.continuationBits - 1);
    return { kind: signalling ? 'signalling' : 'quiet', negative, payload: trailing };
  }
  if (combination === INFINITY_COMBINATION) return { kind: 'infinity', negative, payload: trailing };
  const large = combination >> 3 === 3;
  const first = large ? 8 + (combination & 1) : combination & 7;
  const exponentTop = large ? (combination >> 1) & 3 : combination >> 3;
  const biased = exponentTop * 2 ** format.continuationBits + continuation;
  return finite(negative, BigInt(first) * power10(format.digits - 1) + trailing, biased - format.bias);
}

/** The canonical bits of a number that fits the format. Of a payload the rightmost digits are kept. */
export function encode(format: DecimalFormat, d: Decimal): bigint {
  const decletCount = (format.digits - 1) / 3;
  const significand = d.kind === 'finite' ? d.coefficient : d.payload;
  let bits = 0n;
  let rest = significand;
  for (let i = 0; i < decletCount; i++) {
    bits |= BigInt(declets[Number(rest % 1000n)]) << BigInt(10 * i);
    rest /= 1000n;
  }
  let combination: number;
  let continuation: number;
  if (d.kind === 'finite') {
    const first = Number(rest);
    const biased = d.exponent + format.bias;
    const exponentTop = Math.floor(biased / 2 ** format.continuationBits);
    continuation = biased % 2 ** format.continuationBits;
    combination = first < 8 ? (exponentTop << 3) | first : 0b11000 | (exponentTop << 1) | (first & 1);
  } else {
    combination = d.kind === 'infinity' ? INFINITY_COMBINATION : NAN_COMBINATION;
    continuation = d.kind === 'signalling' ? 1 << (format.continuationBits - 1) : 0;
  }
  bits |= BigInt(continuation) << BigInt(10 * decletCount);
  bits |= BigInt(combination) << BigInt(format.bits - 6);
  return d.negative ? bits | (1n << BigInt(format.bits - 1)) : bits;
}

/** Smaller than the smallest number whose leftmost digit may be other than 0; zero is not. */
export function isSubnormal(format: DecimalFormat, d: Finite): boolean {
  return d.coefficient !== 0n && digitCount(d.coefficient) + d.exponent < format.minExponent + format.digits;
}
