// The Floating-Point Status and Control Register: its bits, what follows from them, and how one operation's exceptions
// enter it (ISA 3.0B I 4.2.2, 4.4, 7.2.2).
//
// An operation notes the exceptions it meets, and FR and FI, in a word of the register block ("raised"); committing adds
// them to FPSCR and says whether the target may be written. Vector operations note those of all their elements first.
//
// Runtime functions read and write FPSCR in the register block: an engine that keeps it elsewhere writes it back before
// calling one of those below, and reads it again behind.

import type { FunctionBuilder, I32, I64 } from '../../../wasm/ir.ts';
import { stateOffset } from '../../state/layout.ts';
import { STATE_BASE } from '../../state/memory-map.ts';
import { get64, type RuntimeFunction, runtimeFunction, set64 } from '../runtime.ts';
import { INFINITY, isSignalling64, MAGNITUDE } from './format.ts';

/** Bits of the low word as masks; FPSCR bit n of the book is `1 << (63 - n)`. */
export const FPSCR = {
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
  VXSOFT: 0x0000_0400,
  VXSQRT: 0x0000_0200,
  VXCVI: 0x0000_0100,
  VE: 0x80,
  OE: 0x40,
  UE: 0x20,
  ZE: 0x10,
  XE: 0x08,
  NI: 0x04,
  RN: 0x03,
} as const;

/** All invalid-operation bits, which VX sums up. */
export const VX_ALL = 0x01f8_0700;
/** The bits whose change from 0 to 1 sets FX. */
export const EXCEPTIONS = FPSCR.OX | FPSCR.UX | FPSCR.ZX | FPSCR.XX | VX_ALL;
export const ENABLES = 0xf8;
/** Decimal rounding mode, bits 29:31. */
export const DRN = 0x7_0000_0000n;
/** What FPSCR can hold: bits 0:28 and 52 are reserved. */
export const FPSCR_IMPLEMENTED = 0x7_ffff_f7ffn;

/** FPRF codes (ISA 3.0B I figure 47), in their place. */
export const FPRF = {
  quietNaN: 0x11000,
  negativeInfinity: 0x9000,
  negativeNormal: 0x8000,
  negativeDenormal: 0x18000,
  negativeZero: 0x12000,
  positiveZero: 0x2000,
  positiveDenormal: 0x14000,
  positiveNormal: 0x4000,
  positiveInfinity: 0x5000,
} as const;

function touching(fpscr: 'adds' | 'replaces', f: RuntimeFunction): RuntimeFunction {
  return { ...f, fpscr };
}

const RAISED_OFFSET = stateOffset('scratch', 7);

/** Starts noting exceptions. */
export function clearRaised(fn: FunctionBuilder): void {
  fn.store32(STATE_BASE, 0, RAISED_OFFSET);
}
export function getRaised(fn: FunctionBuilder): I32 {
  return fn.load32(STATE_BASE, RAISED_OFFSET);
}
export function setRaised(fn: FunctionBuilder, raised: I32): void {
  fn.store32(STATE_BASE, raised, RAISED_OFFSET);
}
/** Notes exceptions (and FR, FI). */
export function raise(fn: FunctionBuilder, bits: I32 | number): void {
  fn.store32(STATE_BASE, getRaised(fn).or(bits), RAISED_OFFSET);
}

/** 1 if an exception and its enable are both set in `low`, the low word of an FPSCR with VX up to date. */
function enabledException(low: I32): I32 {
  return low.shrU(22).and(low).and(ENABLES).ne(0);
}

/** Low word with VX and FEX recomputed. */
function summarized(low: I32): I32 {
  const plain = low.and(~(FPSCR.FEX | FPSCR.VX));
  const withVx = plain.or(plain.and(VX_ALL).ne(0).shl(29));
  return withVx.or(enabledException(withVx).shl(30));
}

/** FPSCR with VX and FEX recomputed from the rest. */
export function withSummary(fpscr: I64): I64 {
  return fpscr.and(DRN).or(summarized(fpscr.wrap()).extendU());
}

/** Low word after the exceptions `raised`, which may include FR and FI; the old FR, FI and FPRF stay. */
function withRaised(low: I32, raised: I32): I32 {
  const news = raised.and(low.not()).and(EXCEPTIONS).ne(0);
  return summarized(low.or(raised).or(news.shl(31)));
}

function setLow(fn: FunctionBuilder, fpscr: I64, low: I32): void {
  set64(fn, 'fpscr', fpscr.and(DRN).or(low.extendU()));
}

/** No FPRF: what a conversion to an integer passes for `fprf`. */
export const KEEP_FPRF = -1;

/**
 * Ends a scalar operation: FPSCR takes what was raised, FR, FI and `fprf` (a code in its place, or `KEEP_FPRF`). Returns
 * whether the target is written: not on an enabled invalid operation or zero divide, which leave FPRF alone too.
 */
export const commitScalar = touching(
  'replaces',
  runtimeFunction('fpu.commitScalar', ['i32'], 'i32', (fn) => {
    const fprf = fn.param32(0);
    const raised = getRaised(fn);
    const fpscr = get64(fn, 'fpscr');
    const low = fpscr.wrap();
    const suppressed = fn
      .select(raised.and(VX_ALL), low.and(FPSCR.VE), fn.i32(0))
      .or(fn.select(raised.and(FPSCR.ZX), low.and(FPSCR.ZE), fn.i32(0)));
    const keeps = suppressed.or(fprf.ltS(0));
    const kept = low.and(fn.select(keeps, fn.i32(~(FPSCR.FR | FPSCR.FI)), fn.i32(~(FPSCR.FR | FPSCR.FI | FPSCR.FPRF))));
    setLow(fn, fpscr, withRaised(kept.or(fn.select(keeps, fn.i32(0), fprf)), raised));
    fn.return(suppressed.eqz());
  }),
);

/**
 * Ends a vector operation, which leaves FR, FI and FPRF alone. Returns whether the target is written: no element is when
 * any of them met an enabled exception.
 */
export const commitVector = touching(
  'adds',
  runtimeFunction('fpu.commitVector', [], 'i32', (fn) => {
    const raised = getRaised(fn).and(EXCEPTIONS);
    const fpscr = get64(fn, 'fpscr');
    const low = fpscr.wrap();
    setLow(fn, fpscr, withRaised(low, raised));
    const kinds = raised.or(raised.and(VX_ALL).ne(0).shl(29));
    fn.return(kinds.shrU(22).and(low).and(ENABLES).eqz());
  }),
);

/** Adds what was raised to FPSCR; FR, FI and FPRF stay. For compares and the like, whose target is always written. */
export const commitSticky = touching(
  'adds',
  runtimeFunction('fpu.commitSticky', [], undefined, (fn) => {
    const fpscr = get64(fn, 'fpscr');
    setLow(fn, fpscr, withRaised(fpscr.wrap(), getRaised(fn).and(EXCEPTIONS)));
  }),
);

/**
 * (a, b, ordered): raises what a compare raises for operands of which one at least is a NaN. An ordered compare objects
 * to quiet NaNs, and to signalling ones too unless VE is set.
 */
export const compareUnordered = runtimeFunction('fpu.compareUnordered', ['i64', 'i64', 'i32'], undefined, (fn) => {
  const ordered = fn.param32(2);
  const signalling = isSignalling64(fn.param64(0)).or(isSignalling64(fn.param64(1)));
  const objects = ordered.and(signalling.eqz().or(get64(fn, 'fpscr').wrap().and(FPSCR.VE).eqz()));
  raise(fn, signalling.shl(24).or(objects.shl(19)));
});

/** FPRF code of a double in its place. `singleRange`: denormal means below 2^-126, as for single-precision results. */
export function classOfDouble(bits: I64, singleRange: boolean): I32 {
  const { fn } = bits;
  const magnitude = bits.and(MAGNITUDE);
  const sign = bits.shrU(63).wrap();
  const normal = fn.i32(FPRF.positiveNormal).shl(sign);
  const denormal = normal.or(0x10000);
  const zero = sign.shl(16).or(FPRF.positiveZero);
  const infinity = normal.or(0x1000);
  const smallestNormal = singleRange ? 0x381n << 52n : 1n << 52n;
  const finite = normal.selectIf(magnitude.geU(smallestNormal), zero.selectIf(magnitude.eqz(), denormal));
  return finite.selectIf(magnitude.ltU(INFINITY), infinity.selectIf(magnitude.eq(INFINITY), fn.i32(FPRF.quietNaN)));
}

/** FPRF code of binary16 bits in its place. */
export function classOfHalf(bits: I64): I32 {
  const { fn } = bits;
  const magnitude = bits.and(0x7fff);
  const sign = bits.shrU(15).and(1).wrap();
  const normal = fn.i32(FPRF.positiveNormal).shl(sign);
  const zero = sign.shl(16).or(FPRF.positiveZero);
  const finite = normal.selectIf(magnitude.geU(0x400n), zero.selectIf(magnitude.eqz(), normal.or(0x10000)));
  const special = normal.or(0x1000).selectIf(magnitude.eq(0x7c00n), fn.i32(FPRF.quietNaN));
  return finite.selectIf(magnitude.ltU(0x7c00n), special);
}
