// Packed, national and zoned decimal integers in vectors (ISA 3.0B I 6.18): bcdadd. and its family, run by the host.
//
// A signed packed number has 31 digits and, in its last nibble, a sign: A, C, E, F plus, B, D minus. An unsigned one has
// 32 digits. Shifts and truncations compare what they were given with zero, not what they leave. Results the ISA leaves
// undefined: of an invalid operand all ones; of bcdcfsq. out of range VRT as it was.

import type { Semantics, SemanticsMap } from './emitter.ts';
import { hostCall } from './hostcall.ts';
import { getVector, setVector } from './runtime.ts';

const CR_LT = 8;
const CR_GT = 4;
const CR_EQ = 2;
const CR_SO = 1;

const DIGITS = 31;
const limit = 10n ** 31n;
const allOnes = (1n << 128n) - 1n;
const PLUS = [0xc, 0xf] as const;
const MINUS = 0xd;

/** What the meaning of one of these instructions sees; vectors are 128-bit numbers. */
interface Operands {
  readonly a: bigint;
  readonly b: bigint;
  readonly ps: 0 | 1;
  readonly oldTarget: bigint;
}
/** New VRT and CR6; undefined when an operand is invalid. */
type Outcome = { readonly result: bigint; readonly cr: number } | undefined;

interface Signed {
  readonly negative: boolean;
  readonly magnitude: bigint;
}

/** Nibble `index` counted from the right. */
function nibble(v: bigint, index: number): number {
  return Number((v >> BigInt(4 * index)) & 15n);
}
/** The number that the nibbles of `v` spell; undefined if one is no digit. */
function readDigits(v: bigint): bigint | undefined {
  const text = v.toString(16);
  return /^[0-9]+$/.test(text) ? BigInt(text) : undefined;
}
/** The digits of a number below 10^32 as nibbles. */
function writeDigits(value: bigint): bigint {
  return BigInt(`0x${value}`);
}
/** Whether a sign code means minus; undefined if it is none. */
function readSign(code: number): boolean | undefined {
  return code < 0xa ? undefined : code === 0xb || code === 0xd;
}
function readPacked(v: bigint): Signed | undefined {
  const magnitude = readDigits(v >> 4n);
  const negative = readSign(nibble(v, 0));
  return magnitude === undefined || negative === undefined ? undefined : { negative, magnitude };
}
/** The low 31 digits of the magnitude with the preferred sign code. */
function writePacked({ negative, magnitude }: Signed, ps: 0 | 1): bigint {
  return (writeDigits(magnitude % limit) << 4n) | BigInt(negative ? MINUS : PLUS[ps]);
}
function compareWithZero({ negative, magnitude }: Signed): number {
  return magnitude === 0n ? CR_EQ : negative ? CR_LT : CR_GT;
}
function overflowIf(condition: boolean): number {
  return condition ? CR_SO : 0;
}

/** A zero result is positive; otherwise the sign goes by the result without bounds. */
function add(a: Signed | undefined, b: Signed | undefined, ps: 0 | 1): Outcome {
  if (!a || !b) return undefined;
  const value = (a.negative ? -a.magnitude : a.magnitude) + (b.negative ? -b.magnitude : b.magnitude);
  const sum = { negative: value < 0n, magnitude: value < 0n ? -value : value };
  return { result: writePacked(sum, ps), cr: compareWithZero(sum) | overflowIf(sum.magnitude >= limit) };
}

// National: halfwords 0x30 to 0x39, the last one + or -. Zoned: bytes of zone and digit, the last zone a sign.
const NATIONAL_PLUS = 0x2b;
const NATIONAL_MINUS = 0x2d;

function fromNational({ b, ps }: Operands): Outcome {
  const sign = Number(b & 0xffffn);
  if (sign !== NATIONAL_PLUS && sign !== NATIONAL_MINUS) return undefined;
  let magnitude = 0n;
  for (let i = 7; i > 0; i--) {
    const digit = ((b >> BigInt(16 * i)) & 0xffffn) - 0x30n;
    if (digit < 0n || digit > 9n) return undefined;
    magnitude = magnitude * 10n + digit;
  }
  const value = { negative: sign === NATIONAL_MINUS, magnitude };
  return { result: writePacked(value, ps), cr: compareWithZero(value) };
}
function toNational({ b }: Operands): Outcome {
  const value = readPacked(b);
  if (!value) return undefined;
  let result = BigInt(value.negative ? NATIONAL_MINUS : NATIONAL_PLUS);
  for (let i = 1; i < 8; i++) result |= BigInt(0x30 + nibble(b, i)) << BigInt(16 * i);
  return { result, cr: compareWithZero(value) | overflowIf(value.magnitude >= 10n ** 7n) };
}
function fromZoned({ b, ps }: Operands): Outcome {
  const zone = ps ? 0xf : 0x3;
  const code = nibble(b, 1);
  const negative = ps ? readSign(code) : (code & 4) !== 0;
  if (negative === undefined) return undefined;
  let magnitude = 0n;
  for (let i = 15; i >= 0; i--) {
    const digit = nibble(b, 2 * i);
    if (digit > 9 || (i > 0 && nibble(b, 2 * i + 1) !== zone)) return undefined;
    magnitude = magnitude * 10n + BigInt(digit);
  }
  const value = { negative, magnitude };
  return { result: writePacked(value, 0), cr: compareWithZero(value) };
}
function toZoned({ b, ps }: Operands): Outcome {
  const value = readPacked(b);
  if (!value) return undefined;
  const zone = ps ? 0xf : 0x3;
  const sign = ps ? (value.negative ? 0xd : 0xc) : value.negative ? 0x7 : 0x3;
  let result = 0n;
  for (let i = 15; i >= 0; i--) result = (result << 8n) | BigInt(((i ? zone : sign) << 4) | nibble(b, i + 1));
  return { result, cr: compareWithZero(value) | overflowIf(value.magnitude >= 10n ** 16n) };
}

function fromSignedQuadword({ b, ps, oldTarget }: Operands): Outcome {
  const integer = BigInt.asIntN(128, b);
  const value = { negative: integer < 0n, magnitude: integer < 0n ? -integer : integer };
  const cr = compareWithZero(value);
  if (value.magnitude >= limit) return { result: oldTarget, cr: cr | CR_SO };
  return { result: writePacked(value, ps), cr };
}
function toSignedQuadword({ b }: Operands): Outcome {
  const value = readPacked(b);
  if (!value) return undefined;
  const { negative, magnitude } = value;
  return { result: BigInt.asUintN(128, negative ? -magnitude : magnitude), cr: compareWithZero(value) };
}

function copySign({ a, b }: Operands): Outcome {
  const digits = readPacked(a);
  const sign = readPacked(b);
  if (!digits || !sign) return undefined;
  const cr = compareWithZero({ negative: sign.negative, magnitude: digits.magnitude });
  return { result: (a & ~15n) | (b & 15n), cr };
}
function setSign({ b, ps }: Operands): Outcome {
  const value = readPacked(b);
  return value && { result: writePacked(value, ps), cr: compareWithZero(value) };
}

/** `magnitude` with its digits moved left, right if `count` is negative; what leaves a field of `width` digits is lost. */
function shiftDigits(
  magnitude: bigint,
  count: number,
  width: number,
  round: boolean,
): { value: bigint; lost: boolean } {
  if (count < 0) {
    const unit = 10n ** BigInt(-count);
    return { value: (magnitude + (round ? unit / 2n : 0n)) / unit, lost: false };
  }
  const moved = magnitude * 10n ** BigInt(count);
  const bound = 10n ** BigInt(width);
  return { value: moved % bound, lost: moved >= bound };
}
/** The shift count: byte 7 of VRA, signed; a shift by the whole width is the largest. */
function shiftCount(a: bigint, width: number): number {
  const count = Number(BigInt.asIntN(8, a >> 64n));
  return Math.max(-width, Math.min(width, count));
}
function shiftSigned({ a, b, ps }: Operands, round: boolean): Outcome {
  const source = readPacked(b);
  if (!source) return undefined;
  const { value: magnitude, lost } = shiftDigits(source.magnitude, shiftCount(a, DIGITS), DIGITS, round);
  const value = { negative: source.negative, magnitude };
  return { result: writePacked(value, ps), cr: compareWithZero(source) | overflowIf(lost) };
}
function shiftUnsigned({ a, b }: Operands): Outcome {
  const source = readDigits(b);
  if (source === undefined) return undefined;
  const { value, lost } = shiftDigits(source, shiftCount(a, 32), 32, false);
  return { result: writeDigits(value), cr: (source ? CR_GT : CR_EQ) | overflowIf(lost) };
}
/** How many digits stay: halfword 3 of VRA. */
function lengthOf(a: bigint): number {
  return Number((a >> 64n) & 0xffffn);
}
function truncateSigned({ a, b, ps }: Operands): Outcome {
  const source = readPacked(b);
  if (!source) return undefined;
  const magnitude = source.magnitude % 10n ** BigInt(Math.min(lengthOf(a), DIGITS));
  const value = { negative: source.negative, magnitude };
  return { result: writePacked(value, ps), cr: compareWithZero(source) | overflowIf(magnitude !== source.magnitude) };
}
function truncateUnsigned({ a, b }: Operands): Outcome {
  const source = readDigits(b);
  if (source === undefined) return undefined;
  const value = source % 10n ** BigInt(Math.min(lengthOf(a), 32));
  return { result: writeDigits(value), cr: (source ? CR_GT : CR_EQ) | overflowIf(value !== source) };
}

/** An instruction with the fields named; VRB always, VRT always. */
function decimal(name: string, fields: { a?: boolean; ps?: boolean }, run: (operands: Operands) => Outcome): Semantics {
  const call = hostCall(name, (state) => {
    const ps = state.scratch(2) ? 1 : 0;
    const outcome = run({ a: state.scratch(0), b: state.scratch(1), ps, oldTarget: state.scratch(3) });
    state.setScratch(0, outcome ? outcome.result : allOnes);
    state.setCrField(6, outcome ? outcome.cr : CR_SO);
  });
  return (s) => {
    const { fn } = s;
    if (fields.a) setVector(fn, 'scratch', s.vr('vra'), 0);
    setVector(fn, 'scratch', s.vr('vrb'), 1);
    setVector(fn, 'scratch', fields.ps ? fn.v128From64(fn.i64(0), s.field64('ps')) : fn.v128(0n), 2);
    setVector(fn, 'scratch', s.vr('vrt'), 3);
    s.hostCall(call);
    s.setVr('vrt', getVector(fn, 'scratch', 0));
  };
}

export const vmxDecimal = {
  'bcdadd.': decimal('bcdadd', { a: true, ps: true }, ({ a, b, ps }) => add(readPacked(a), readPacked(b), ps)),
  'bcdsub.': decimal('bcdsub', { a: true, ps: true }, ({ a, b, ps }) => {
    const subtrahend = readPacked(b);
    return add(readPacked(a), subtrahend && { ...subtrahend, negative: !subtrahend.negative }, ps);
  }),
  'bcdcfn.': decimal('bcdcfn', { ps: true }, fromNational),
  'bcdctn.': decimal('bcdctn', {}, toNational),
  'bcdcfz.': decimal('bcdcfz', { ps: true }, fromZoned),
  'bcdctz.': decimal('bcdctz', { ps: true }, toZoned),
  'bcdcfsq.': decimal('bcdcfsq', { ps: true }, fromSignedQuadword),
  'bcdctsq.': decimal('bcdctsq', {}, toSignedQuadword),
  'bcdcpsgn.': decimal('bcdcpsgn', { a: true }, copySign),
  'bcdsetsgn.': decimal('bcdsetsgn', { ps: true }, setSign),
  'bcds.': decimal('bcds', { a: true, ps: true }, (operands) => shiftSigned(operands, false)),
  'bcdsr.': decimal('bcdsr', { a: true, ps: true }, (operands) => shiftSigned(operands, true)),
  'bcdus.': decimal('bcdus', { a: true }, shiftUnsigned),
  'bcdtrunc.': decimal('bcdtrunc', { a: true, ps: true }, truncateSigned),
  'bcdutrunc.': decimal('bcdutrunc', { a: true }, truncateUnsigned),
} satisfies SemanticsMap;
