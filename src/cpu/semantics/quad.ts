// Quad-precision floating point (ISA 3.0B I 7.6.3) on VRs, binary128. Arithmetic is done by the host with BigInt: glibc
// and libgcc use these instructions for _Float128, which nobody waits for.
//
// Operands travel in scratch registers 0 to 2, the result comes back in 3; control bits go in 4, FPRF comes back in 5 and
// what was raised where all operations leave it (fpscr.ts).

import type { I32, I64, V128 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import {
  add,
  BINARY64,
  BINARY128,
  type BinaryFormat,
  classOf,
  convert,
  divide,
  type Environment,
  EXTENDED_FRACTION_BITS,
  fromInteger,
  MODE,
  multiply,
  multiplyAdd,
  order,
  roundToIntegral,
  roundToPrecision,
  squareRoot,
  toInteger,
  unpack,
} from './fpu/big-float.ts';
import { clearRaised, commitScalar, commitSticky, FPSCR, KEEP_FPRF } from './fpu/fpscr.ts';
import { type HostCall, type HostCallState, hostCall } from './hostcall.ts';
import { getVector, setVector } from './runtime.ts';
import { element64 } from './vector-elements.ts';

const OPERANDS = ['vra', 'vrb', 'vrt'] as const;
const RESULT = 3;
const CONTROL = 4;
const STATUS = 5;
const RAISED = 7;

function environment(state: HostCallState, mode: number): Environment {
  const low = Number(state.fpscr & 0xffn);
  return {
    mode,
    overflowEnabled: (low & FPSCR.OE) !== 0,
    underflowEnabled: (low & FPSCR.UE) !== 0,
    raised: 0,
  };
}
const currentMode = (state: HostCallState): number => Number(state.fpscr & 3n);

function finish(state: HostCallState, env: Environment, result: bigint, fprf: number): void {
  state.setScratch(RESULT, result);
  state.setScratch(STATUS, BigInt.asUintN(32, BigInt(fprf)));
  state.setScratch(RAISED, BigInt(env.raised));
}

/** VRA, VRB and VRT to scratch registers, the host call, FPSCR. */
function run(s: Emitter, fields: readonly (typeof OPERANDS)[number][], call: HostCall): void {
  for (const field of fields) setVector(s.fn, 'scratch', s.vr(field), OPERANDS.indexOf(field));
  clearRaised(s.fn);
  s.hostCall(call);
}
function statusOf(s: Emitter): I32 {
  return getVector(s.fn, 'scratch', STATUS).extract32(0);
}
function runAndCommit(s: Emitter, fields: readonly (typeof OPERANDS)[number][], call: HostCall): void {
  const { fn } = s;
  run(s, fields, call);
  const written = fn.call('i32', s.runtime(commitScalar), [statusOf(s)]);
  fn.if(written, () => s.setVr('vrt', getVector(fn, 'scratch', RESULT)));
  s.takeFpEnabled();
}

type Arithmetic = (env: Environment, a: bigint, b: bigint, t: bigint) => bigint;

/** VRT := f(VRA, VRB, VRT); `odd` overrides FPSCR[RN]. */
function arithmetic(
  name: string,
  fields: readonly (typeof OPERANDS)[number][],
  odd: boolean,
  f: Arithmetic,
  result: BinaryFormat = BINARY128,
): Semantics {
  const call = hostCall(name, (state) => {
    const env = environment(state, odd ? MODE.odd : currentMode(state));
    const value = f(env, state.scratch(0), state.scratch(1), state.scratch(2));
    // A double result stands in doubleword 0.
    finish(state, env, result === BINARY64 ? value << 64n : value, classOf(result, value));
  });
  return (s) => runAndCommit(s, fields, call);
}
/** The form that rounds by FPSCR[RN] and the one that rounds to odd. */
function bothRoundings<Name extends string>(
  name: Name,
  fields: readonly (typeof OPERANDS)[number][],
  f: Arithmetic,
  result?: BinaryFormat,
) {
  return {
    [name]: arithmetic(name, fields, false, f, result),
    [`${name}o`]: arithmetic(`${name}o`, fields, true, f, result),
  } as Record<Name | `${Name}o`, Semantics>;
}

const AB = ['vra', 'vrb'] as const;
const ABT = ['vra', 'vrb', 'vrt'] as const;
const B = ['vrb'] as const;
const fused =
  (subtract: boolean, negate: boolean): Arithmetic =>
  (env, a, b, t) =>
    multiplyAdd(BINARY128, env, a, b, t, subtract, negate);

// R || RMC: nearest ties away, reserved, reserved, FPSCR[RN], then FPSCR's codes. Reserved ones act as FPSCR[RN].
function chosenMode(state: HostCallState): number {
  const choice = Number(state.scratch(CONTROL) & 7n);
  if (choice === 0) return MODE.away;
  return choice < 4 ? currentMode(state) : choice - 4;
}
function rounding(name: string, f: (env: Environment, b: bigint) => bigint): Semantics {
  const call = hostCall(name, (state) => {
    const env = environment(state, chosenMode(state));
    const value = f(env, state.scratch(1));
    finish(state, env, value, classOf(BINARY128, value));
  });
  return (s) => {
    const choice = s.field('r').shl(2).or(s.field('rmc'));
    setVector(s.fn, 'scratch', s.fn.splat32(choice), CONTROL);
    runAndCommit(s, B, call);
  };
}
/** To an integral value; only `reports` forms say that it changed the number. */
const integral = (name: string, reports: boolean) =>
  rounding(name, (env, b) => {
    const value = roundToIntegral(BINARY128, env, b);
    if (!reports) env.raised &= ~(FPSCR.XX | FPSCR.FI | FPSCR.FR);
    return value;
  });

/** Toward zero, saturated, extended to doubleword 0. */
function toIntegerSemantics(name: string, signed: boolean, bits: 32n | 64n): Semantics {
  const least = signed ? -(1n << (bits - 1n)) : 0n;
  const greatest = (1n << (signed ? bits - 1n : bits)) - 1n;
  const call = hostCall(name, (state) => {
    const env = environment(state, MODE.zero);
    const value = toInteger(BINARY128, env, state.scratch(1), least, greatest);
    finish(state, env, BigInt.asUintN(64, value) << 64n, KEEP_FPRF);
  });
  return (s) => runAndCommit(s, B, call);
}
function fromIntegerSemantics(name: string, signed: boolean): Semantics {
  const call = hostCall(name, (state) => {
    const env = environment(state, currentMode(state));
    const doubleword = state.scratch(1) >> 64n;
    const value = fromInteger(BINARY128, env, signed ? BigInt.asIntN(64, doubleword) : doubleword);
    finish(state, env, value, classOf(BINARY128, value));
  });
  return (s) => runAndCommit(s, B, call);
}

/** CR field BF and FPCC. */
function setBfAndFpcc(s: Emitter, field: I32): void {
  const rest = s.state64('fpscr').and(~BigInt(FPSCR.FPCC));
  s.setState64('fpscr', rest.or(field.extendU().shl(12)));
  s.setCrField(s.field('bf'), field);
}

function compare(name: string, ordered: boolean): Semantics {
  const call = hostCall(name, (state) => {
    const [a, b] = [state.scratch(0), state.scratch(1)];
    const nans = [unpack(BINARY128, a), unpack(BINARY128, b)].filter((x) => x.kind === 'nan');
    const env = environment(state, MODE.nearest);
    if (nans.length === 0) {
      const sign = order(BINARY128, a, b);
      return finish(state, env, 0n, sign < 0 ? 8 : sign > 0 ? 4 : 2);
    }
    const signalling = nans.some((x) => x.signalling);
    if (signalling) env.raised |= FPSCR.VXSNAN;
    const enabled = (Number(state.fpscr & 0xffn) & FPSCR.VE) !== 0;
    if (ordered && !(signalling && enabled)) env.raised |= FPSCR.VXVC;
    return finish(state, env, 0n, 1);
  });
  return (s) => {
    run(s, AB, call);
    s.fn.callVoid(s.runtime(commitSticky), []);
    setBfAndFpcc(s, statusOf(s));
    s.takeFpEnabled();
  };
}

// What needs no arithmetic stays in WebAssembly.

const SIGN = 1n << 127n;
const EXPONENT = 0x7fffn << 48n;
const high = (v: V128): I64 => element64(v, 0);

function parts(v: V128) {
  const [h, l] = [high(v), element64(v, 1)];
  const field = h.and(EXPONENT);
  const fraction = h.and((1n << 48n) - 1n).or(l);
  const special = field.eq(EXPONENT);
  return {
    high: h,
    field,
    nan: special.and(fraction.ne(0n)),
    infinity: special.and(fraction.eqz()),
    zero: field.or(fraction).eqz(),
    denormal: field.eqz().and(fraction.ne(0n)),
  };
}

function compareExponents(s: Emitter): void {
  const [a, b] = [parts(s.vr('vra')), parts(s.vr('vrb'))];
  const known = a.field.ltU(b.field).shl(3).or(a.field.gtU(b.field).shl(2)).or(a.field.eq(b.field).shl(1));
  setBfAndFpcc(s, s.fn.i32(1).selectIf(a.nan.or(b.nan), known));
}
function testClass(s: Emitter): void {
  const x = parts(s.vr('vrb'));
  const dcmx = s.field('dcmx');
  const negative = x.high.shrU(63).wrap();
  // NaN, +infinity, -infinity, +0, -0, +denormal, -denormal from 64 to 1.
  const bit = (place: I32 | number) => dcmx.shrU(place).and(1);
  const signed = (positive: number) => bit(s.fn.i32(positive).sub(negative));
  const match = x.nan
    .and(bit(6))
    .or(x.infinity.and(signed(5)))
    .or(x.zero.and(signed(3)))
    .or(x.denormal.and(signed(1)));
  setBfAndFpcc(s, negative.shl(3).or(match.shl(1)));
}
const unary =
  (f: (b: V128) => V128): Semantics =>
  (s) =>
    s.setVr('vrt', f(s.vr('vrb')));

export const quad = {
  xsabsqp: unary((b) => b.andnot(b.fn.v128(SIGN))),
  xsnabsqp: unary((b) => b.or(b.fn.v128(SIGN))),
  xsnegqp: unary((b) => b.xor(b.fn.v128(SIGN))),
  xscpsgnqp: (s) => s.setVr('vrt', s.vr('vra').bitselect(s.vr('vrb'), s.fn.v128(SIGN))),

  ...bothRoundings('xsaddqp', AB, (env, a, b) => add(BINARY128, env, a, b)),
  ...bothRoundings('xssubqp', AB, (env, a, b) => add(BINARY128, env, a, b, true)),
  ...bothRoundings('xsmulqp', AB, (env, a, b) => multiply(BINARY128, env, a, b)),
  ...bothRoundings('xsdivqp', AB, (env, a, b) => divide(BINARY128, env, a, b)),
  ...bothRoundings('xssqrtqp', B, (env, _a, b) => squareRoot(BINARY128, env, b)),
  ...bothRoundings('xsmaddqp', ABT, fused(false, false)),
  ...bothRoundings('xsmsubqp', ABT, fused(true, false)),
  ...bothRoundings('xsnmaddqp', ABT, fused(false, true)),
  ...bothRoundings('xsnmsubqp', ABT, fused(true, true)),

  xscmpoqp: compare('xscmpoqp', true),
  xscmpuqp: compare('xscmpuqp', false),
  xscmpexpqp: compareExponents,
  xststdcqp: testClass,

  xsrqpi: integral('xsrqpi', false),
  xsrqpix: integral('xsrqpix', true),
  xsrqpxp: rounding('xsrqpxp', (env, b) => roundToPrecision(BINARY128, env, b, EXTENDED_FRACTION_BITS)),
  xscvdpqp: arithmetic('xscvdpqp', B, false, (env, _a, b) => convert(BINARY64, BINARY128, env, b >> 64n)),
  ...bothRoundings('xscvqpdp', B, (env, _a, b) => convert(BINARY128, BINARY64, env, b), BINARY64),
  xscvqpsdz: toIntegerSemantics('xscvqpsdz', true, 64n),
  xscvqpswz: toIntegerSemantics('xscvqpswz', true, 32n),
  xscvqpudz: toIntegerSemantics('xscvqpudz', false, 64n),
  xscvqpuwz: toIntegerSemantics('xscvqpuwz', false, 32n),
  xscvsdqp: fromIntegerSemantics('xscvsdqp', true),
  xscvudqp: fromIntegerSemantics('xscvudqp', false),

  xsiexpqp: (s) => {
    const a = s.vr('vra');
    const exponent = high(s.vr('vrb')).and(0x7fff).shl(48);
    s.setVr('vrt', a.replace64(1, high(a).and(~EXPONENT).or(exponent)));
  },
  xsxexpqp: (s) => {
    const exponent = high(s.vr('vrb')).shrU(48).and(0x7fff);
    s.setVr('vrt', s.fn.v128From64(exponent, s.fn.i64(0)));
  },
  xsxsigqp: unary((b) => {
    const { high: h, field } = parts(b);
    const implicit = field.ne(0n).and(field.ne(EXPONENT)).extendU().shl(48);
    return b.replace64(1, h.and((1n << 48n) - 1n).or(implicit));
  }),
} satisfies SemanticsMap;
