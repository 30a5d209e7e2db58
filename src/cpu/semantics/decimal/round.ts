// Rounding of decimal results: to the digits a format has, to the exponent it is nearest to, or to an exponent asked for;
// with overflow and underflow (ISA 3.0B I 5.5.2, 5.5.10).

import { type Decimal, type DecimalFormat, digitCount, type Finite, finite, infinity, power10 } from './number.ts';

/** Rounding modes by the numbers of FPSCR[DRN]. */
export const ROUND = {
  nearestEven: 0,
  towardZero: 1,
  towardPlus: 2,
  towardMinus: 3,
  nearestAway: 4,
  nearestTowardZero: 5,
  awayFromZero: 6,
  prepareShorter: 7,
} as const;

/** What rounding is done under. */
export interface Rounding {
  readonly format: DecimalFormat;
  /** A `ROUND`. */
  readonly mode: number;
  readonly overflowEnabled: boolean;
  readonly underflowEnabled: boolean;
}

/** An exact value; `more` tells that something below the rightmost digit, less than one of it, was left away. */
export interface Exact {
  readonly negative: boolean;
  readonly coefficient: bigint;
  readonly exponent: number;
  readonly more: boolean;
}

export interface Rounded {
  readonly value: Decimal;
  readonly inexact: boolean;
  /** The magnitude became larger. */
  readonly incremented: boolean;
  readonly overflow: boolean;
  readonly underflow: boolean;
}

/** Whether the magnitude goes up; `order` compares what is lost with one half, `last` is the last digit kept. */
function roundsUp(mode: number, negative: boolean, last: bigint, order: number): boolean {
  switch (mode) {
    case ROUND.nearestEven:
      return order > 0 || (order === 0 && last % 2n === 1n);
    case ROUND.towardZero:
      return false;
    case ROUND.towardPlus:
      return !negative;
    case ROUND.towardMinus:
      return negative;
    case ROUND.nearestAway:
      return order >= 0;
    case ROUND.nearestTowardZero:
      return order > 0;
    case ROUND.awayFromZero:
      return true;
    default:
      return last % 5n === 0n;
  }
}

/** Drops `drop` digits, at least 0. */
export function dropDigits(
  mode: number,
  exact: Exact,
  drop: number,
): { coefficient: bigint; inexact: boolean; incremented: boolean } {
  const unit = power10(drop);
  const kept = exact.coefficient / unit;
  const lost = exact.coefficient % unit;
  if (lost === 0n && !exact.more) return { coefficient: kept, inexact: false, incremented: false };
  const twice = 2n * lost;
  const order = twice > unit || (twice === unit && exact.more) ? 1 : twice === unit ? 0 : -1;
  const incremented = roundsUp(mode, exact.negative, kept % 10n, order);
  return { coefficient: incremented ? kept + 1n : kept, inexact: true, incremented };
}

/**
 * Rounds to the digits of the format and no exponent below `leastExponent`; among the forms of an exact result the one
 * whose exponent is nearest to `ideal`.
 */
function fitDigits({ format, mode }: Rounding, exact: Exact, ideal: number, leastExponent: number) {
  const surplus = digitCount(exact.coefficient) - format.digits;
  const drop = Math.max(0, surplus, leastExponent - exact.exponent);
  const { inexact, incremented, ...rest } = dropDigits(mode, exact, drop);
  let { coefficient } = rest;
  let exponent = exact.exponent + drop;
  if (coefficient === power10(format.digits)) {
    coefficient /= 10n;
    exponent++;
  }
  if (!inexact) {
    while (exponent < ideal && coefficient % 10n === 0n) {
      coefficient /= 10n;
      exponent++;
    }
    const room = Math.min(exponent - ideal, format.digits - digitCount(coefficient), exponent - leastExponent);
    if (room > 0) {
      coefficient *= power10(room);
      exponent -= room;
    }
  }
  return { coefficient, exponent, inexact, incremented };
}

function zero(format: DecimalFormat, negative: boolean, ideal: number): Finite {
  return finite(negative, 0n, Math.max(format.minExponent, Math.min(format.maxExponent, ideal)));
}

/** What stands for a number too large: an infinity, or the largest number where the mode rounds toward zero. */
function tooLarge({ format, mode }: Rounding, negative: boolean): Decimal {
  const finiteModes: readonly number[] = [
    ROUND.towardZero,
    ROUND.prepareShorter,
    negative ? ROUND.towardPlus : ROUND.towardMinus,
  ];
  if (!finiteModes.includes(mode)) return infinity(negative);
  return finite(negative, power10(format.digits) - 1n, format.maxExponent);
}

/** The result of an operation whose exact value is known, and the exceptions that arise from giving it the format. */
export function round(rounding: Rounding, exact: Exact, ideal: number): Rounded {
  const { format } = rounding;
  const plain = { inexact: false, incremented: false, overflow: false, underflow: false };
  if (exact.coefficient === 0n && !exact.more) return { ...plain, value: zero(format, exact.negative, ideal) };
  const tiny = digitCount(exact.coefficient) + exact.exponent < format.minExponent + format.digits;
  const { adjustment, maxExponent } = format;
  if (tiny && rounding.underflowEnabled) {
    const raised = { ...exact, exponent: exact.exponent + adjustment };
    return { ...deliver(rounding, raised, ideal + adjustment), underflow: true };
  }
  const result = fitDigits(rounding, exact, ideal, format.minExponent);
  const { coefficient, inexact, incremented } = result;
  const surplus = result.exponent - maxExponent;
  if (surplus <= 0) {
    const value = finite(exact.negative, coefficient, result.exponent);
    return { value, inexact, incremented, overflow: false, underflow: tiny && inexact };
  }
  if (digitCount(coefficient) + surplus <= format.digits) {
    const value = finite(exact.negative, coefficient * power10(surplus), maxExponent);
    return { value, inexact, incremented, overflow: false, underflow: false };
  }
  if (rounding.overflowEnabled) {
    const lowered = { ...exact, exponent: exact.exponent - adjustment };
    return { ...deliver(rounding, lowered, ideal - adjustment), overflow: true };
  }
  const value = tooLarge(rounding, exact.negative);
  return { value, inexact: true, incremented: value.kind === 'infinity', overflow: true, underflow: false };
}

/** A result whose exponent was adjusted. What even then is out of range, from a wider format, goes to the nearest edge. */
function deliver(rounding: Rounding, exact: Exact, ideal: number): Rounded {
  return round({ ...rounding, overflowEnabled: false, underflowEnabled: false }, exact, ideal);
}
