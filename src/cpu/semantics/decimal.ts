// Decimal floating point (ISA 3.0B I 5.6): operands and FPSCR come from the register block, arithmetic is done by the host.

import type { I32, V128 } from '../../wasm/ir.ts';
import {
  add,
  compare,
  compareExponents,
  compareSignificance,
  convert,
  dataClass,
  dataGroup,
  divide,
  extractExponent,
  fromBcd,
  fromInteger,
  insertExponent,
  multiply,
  type Outcome,
  quantize,
  reround,
  resultFlags,
  roundToInteger,
  shiftSignificand,
  subtract,
  toBcd,
  toInteger,
} from './decimal/arithmetic.ts';
import {
  type Decimal,
  type DecimalFormat,
  decode,
  encode,
  extended,
  finite,
  isNotANumber,
  long,
  short,
} from './decimal/number.ts';
import { ROUND, type Rounding } from './decimal/round.ts';
import { suppressesResult, withExceptions } from './decimal/status.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { FPSCR } from './fpu/fpscr.ts';
import { type HostCallState, hostCall } from './hostcall.ts';
import { getVector, setVector } from './runtime.ts';

const DRN_SHIFT = 32n;

/** The operands as bits, the immediate fields, and FPSCR. */
interface Operands {
  readonly a: bigint;
  readonly b: bigint;
  readonly fields: readonly number[];
  readonly fpscr: number;
  /** FPSCR[DRN]. */
  readonly mode: number;
}
/** What an operation leaves. */
interface Effect {
  /** Absent: the target is kept. */
  readonly result?: bigint | undefined;
  readonly fpscr: number;
  /** For the field BF of CR. */
  readonly condition?: number;
}
type Operation = (operands: Operands) => Effect;

function roundingOf(format: DecimalFormat, { fpscr }: Operands, mode: number): Rounding {
  const overflowEnabled = (fpscr & FPSCR.OE) !== 0;
  return { format, mode, overflowEnabled, underflowEnabled: (fpscr & FPSCR.UE) !== 0 };
}

/** The rounding mode that R and RMC name; `drn` where they refer to FPSCR. */
function immediateMode(r: number, rmc: number, drn: number): number {
  const modes = r
    ? [ROUND.towardPlus, ROUND.towardMinus, ROUND.awayFromZero, ROUND.nearestTowardZero]
    : [ROUND.nearestEven, ROUND.towardZero, ROUND.nearestAway, drn];
  return modes[rmc];
}

const INEXACT = FPSCR.FR | FPSCR.FI;

/** Exceptions, FR and FI, and unless the target is kept the result with its class in FPRF. */
function arithmetic(format: DecimalFormat, run: (operands: Operands) => Outcome): Operation {
  return (operands) => {
    const { value, raised } = run(operands);
    const fpscr = withExceptions(operands.fpscr & ~INEXACT, raised);
    if (suppressesResult(fpscr, raised)) return { fpscr };
    const flags = (raised & INEXACT) | resultFlags(format, value);
    return { result: encode(format, value), fpscr: (fpscr & ~FPSCR.FPRF) | flags };
  };
}
/** A result and nothing else. */
function plain(run: (operands: Operands) => bigint): Operation {
  return (operands) => ({ result: run(operands), fpscr: operands.fpscr });
}
/** A CR field, FPCC the same, and exceptions. */
function condition(run: (operands: Operands) => { code: number; raised?: number }): Operation {
  return (operands) => {
    const { code, raised = 0 } = run(operands);
    const fpscr = withExceptions(operands.fpscr, raised);
    return { fpscr: (fpscr & ~FPSCR.FPCC) | (code << 12), condition: code };
  };
}

function compareOperands(format: DecimalFormat, ordered: boolean): Operation {
  return condition(({ a, b, fpscr }) => {
    const [x, y] = [decode(format, a), decode(format, b)];
    let raised = 0;
    if (x.kind === 'signalling' || y.kind === 'signalling') {
      raised = FPSCR.VXSNAN | (ordered && !(fpscr & FPSCR.VE) ? FPSCR.VXVC : 0);
    } else if (ordered && (isNotANumber(x) || isNotANumber(y))) raised = FPSCR.VXVC;
    return { code: compare(x, y), raised };
  });
}
/** Sign and whether one of the bits chosen by the mask applies. */
function testCode(d: Decimal, matches: boolean): number {
  return (d.negative ? 8 : 0) | (matches ? 2 : 0);
}
function toFixed(format: DecimalFormat): Operation {
  return (operands) => {
    const { result, raised } = toInteger(operands.mode, decode(format, operands.b));
    const fpscr = withExceptions(operands.fpscr & ~INEXACT, raised);
    if (suppressesResult(fpscr, raised)) return { fpscr };
    return { result: BigInt.asUintN(64, result), fpscr: fpscr | (raised & INEXACT) };
  };
}

/** Operations that come in both formats, on operands of the format. */
function operationsOf(format: DecimalFormat) {
  const read = (bits: bigint) => decode(format, bits);
  const write = (d: Decimal) => encode(format, d);
  const byDrn = (operands: Operands) => roundingOf(format, operands, operands.mode);
  const binary = (f: typeof add) =>
    arithmetic(format, (operands) => f(byDrn(operands), read(operands.a), read(operands.b)));
  /** With a rounding mode from the fields: RMC is the last one, R the one before it if there is one. */
  const byFields = (operands: Operands, r: number, rmc: number) =>
    roundingOf(format, operands, immediateMode(r, rmc, operands.mode));
  const integral = (inexact: boolean) =>
    arithmetic(format, (operands) => {
      const [r, rmc] = operands.fields;
      const { value, raised } = roundToInteger(byFields(operands, r, rmc), read(operands.b));
      return { value, raised: inexact ? raised : raised & ~(FPSCR.XX | INEXACT) };
    });
  return {
    add: binary(add),
    subtract: binary(subtract),
    multiply: binary(multiply),
    divide: binary(divide),
    compareUnordered: compareOperands(format, false),
    compareOrdered: compareOperands(format, true),
    testClass: condition(({ a, fields }) => ({
      code: testCode(read(a), (dataClass(format, read(a)) & fields[0]) !== 0),
    })),
    testGroup: condition(({ a, fields }) => ({
      code: testCode(read(a), (dataGroup(format, read(a)) & fields[0]) !== 0),
    })),
    testExponent: condition(({ a, b }) => ({ code: compareExponents(read(a), read(b)) })),
    testSignificance: condition(({ a, b }) => ({ code: compareSignificance(Number(a & 63n), read(b)) })),
    testSignificanceImmediate: condition(({ b, fields }) => ({ code: compareSignificance(fields[0], read(b)) })),
    quantize: arithmetic(format, (operands) =>
      quantize(byFields(operands, 0, operands.fields[0]), read(operands.a), read(operands.b)),
    ),
    quantizeImmediate: arithmetic(format, (operands) => {
      const [te, rmc] = operands.fields;
      return quantize(byFields(operands, 0, rmc), finite(false, 1n, te), read(operands.b));
    }),
    reround: arithmetic(format, (operands) => {
      const digits = Number(operands.a & 63n);
      return reround(byFields(operands, 0, operands.fields[0]), digits, read(operands.b));
    }),
    roundInexact: integral(true),
    roundQuiet: integral(false),
    fromFixed: arithmetic(format, (operands) => fromInteger(byDrn(operands), BigInt.asIntN(64, operands.b))),
    toFixed: toFixed(format),
    decodeBcd: plain(({ b, fields: [sp] }) => toBcd(format, read(b), (sp & 2) !== 0, sp & 1 ? 0xf : 0xc)),
    encodeBcd: arithmetic(format, ({ b, fields: [s] }) => fromBcd(b, s === 1)),
    extractExponent: plain(({ b }) => BigInt.asUintN(64, extractExponent(format, read(b)))),
    insertExponent: plain(({ a, b }) => write(insertExponent(format, BigInt.asIntN(64, a), read(b)))),
    shiftLeft: plain(({ a, fields: [sh] }) => write(shiftSignificand(format, read(a), sh))),
    shiftRight: plain(({ a, fields: [sh] }) => write(shiftSignificand(format, read(a), -sh))),
  };
}
const long64 = operationsOf(long);
const long128 = operationsOf(extended);

/** Exact, and no arithmetic: a signalling NaN stays one, FR and FI stay as they are. */
const shortToLong: Operation = (operands) => {
  const short32 = decode(short, operands.b & 0xffff_ffffn);
  const { value } = convert(roundingOf(long, operands, operands.mode), short32, true);
  return { result: encode(long, value), fpscr: (operands.fpscr & ~FPSCR.FPRF) | resultFlags(long, value) };
};
const longToExtended = arithmetic(extended, (operands) =>
  convert(roundingOf(extended, operands, operands.mode), decode(long, operands.b), false),
);
const longToShort = arithmetic(short, (operands) =>
  convert(roundingOf(short, operands, operands.mode), decode(long, operands.b), true),
);
/** The result, of 64 bits, stands in the even register of the pair; the odd one is cleared. */
const extendedToLong: Operation = (operands) => {
  const narrow = arithmetic(long, () =>
    convert(roundingOf(long, operands, operands.mode), decode(extended, operands.b), false),
  );
  const { result, fpscr } = narrow(operands);
  return { result: result === undefined ? undefined : result << 64n, fpscr };
};

type Register = 'single' | 'pair' | 'none';

interface Shape {
  readonly a?: Register;
  readonly b?: Register;
  /** Absent: BF of CR. */
  readonly target?: Register;
  readonly fields?: readonly string[];
}

/** FPRs as a number: one in the low 64 bits, a pair in all 128. */
function readRegister(s: Emitter, name: 'fra' | 'frb', how: Register): V128 {
  const { fn } = s;
  if (how === 'none') return fn.v128(0n);
  if (how === 'single') return fn.v128From64(fn.i64(0), s.fpr(name));
  const even = evenOf(s, `${name}p`);
  return fn.v128From64(s.fprAt(even), s.fprAt(even.or(1)));
}
function evenOf(s: Emitter, field: string): I32 {
  return s.field(field).and(-2);
}
function writeTarget(s: Emitter, how: Register, value: V128): void {
  if (how === 'single') s.setFpr('frt', value.extract64(0));
  else if (how === 'pair') {
    const even = evenOf(s, 'frtp');
    s.setFprAt(even, value.extract64(1));
    s.setFprAt(even.or(1), value.extract64(0));
  }
}

// Places in the scratch registers: operands and fields before, result and whether to write it (with BF's value) after.
const A = 0;
const B = 1;
const FIELDS = 2;

function runOperation(state: HostCallState, operation: Operation): void {
  const fpscr = state.fpscr;
  const packed = state.scratch(FIELDS);
  const fields = [0n, 32n].map((at) => Number(BigInt.asIntN(32, packed >> at)));
  const operands = {
    a: state.scratch(A),
    b: state.scratch(B),
    fields,
    fpscr: Number(fpscr & 0xffff_ffffn),
    mode: Number((fpscr >> DRN_SHIFT) & 7n),
  };
  const effect = operation(operands);
  state.fpscr = ((fpscr >> 32n) << 32n) | BigInt(effect.fpscr >>> 0);
  state.setScratch(A, effect.result ?? 0n);
  state.setScratch(B, (BigInt(effect.condition ?? 0) << 32n) | (effect.result === undefined ? 0n : 1n));
}

function instruction(name: string, shape: Shape, operation: Operation): Semantics {
  const call = hostCall(name, (state) => runOperation(state, operation));
  const { a = 'none', b = 'none', target, fields = [] } = shape;
  return (s) => {
    const { fn } = s;
    setVector(fn, 'scratch', readRegister(s, 'fra', a), A);
    setVector(fn, 'scratch', readRegister(s, 'frb', b), B);
    const [first = fn.i32(0), second = fn.i32(0)] = fields.map((field) => s.field(field));
    setVector(fn, 'scratch', fn.splat32(first).replace32(1, second), FIELDS);
    s.hostCall(call);
    const outcome = getVector(fn, 'scratch', B);
    if (target) {
      fn.if(outcome.extract32(0), () => writeTarget(s, target, getVector(fn, 'scratch', A)));
      if (s.flag('rc')) s.setCrField(1, s.state64('fpscr').wrap().shrU(28));
    } else s.setCrField(s.field('bf'), outcome.extract32(1));
    s.takeFpEnabled();
  };
}

/** `name` on FPRs and `name`q on pairs of them; `alike` names the operands that are one FPR in both. */
function both(
  name: string,
  shape: Shape,
  operation: keyof typeof long64,
  alike: readonly ('a' | 'b' | 'target')[] = [],
): Record<string, Semantics> {
  const quad = { ...shape };
  for (const operand of ['a', 'b', 'target'] as const) {
    if (shape[operand] === 'single' && !alike.includes(operand)) quad[operand] = 'pair';
  }
  return {
    [name]: instruction(name, shape, long64[operation]),
    [`${name}q`]: instruction(`${name}q`, quad, long128[operation]),
  };
}
const ab = { a: 'single', b: 'single' } as const;
const fromA = { a: 'single', target: 'single' } as const;
const fromB = { b: 'single', target: 'single' } as const;
const fromAB = { a: 'single', b: 'single', target: 'single' } as const;

export const decimal = {
  ...both('dadd', fromAB, 'add'),
  ...both('dsub', fromAB, 'subtract'),
  ...both('dmul', fromAB, 'multiply'),
  ...both('ddiv', fromAB, 'divide'),
  ...both('dcmpu', ab, 'compareUnordered'),
  ...both('dcmpo', ab, 'compareOrdered'),
  ...both('dtstdc', { a: 'single', fields: ['dcm'] }, 'testClass'),
  ...both('dtstdg', { a: 'single', fields: ['dgm'] }, 'testGroup'),
  ...both('dtstex', ab, 'testExponent'),
  ...both('dtstsf', ab, 'testSignificance', ['a']),
  ...both('dtstsfi', { b: 'single', fields: ['uim'] }, 'testSignificanceImmediate'),
  ...both('dqua', { ...fromAB, fields: ['rmc'] }, 'quantize'),
  ...both('dquai', { ...fromB, fields: ['te', 'rmc'] }, 'quantizeImmediate'),
  ...both('drrnd', { ...fromAB, fields: ['rmc'] }, 'reround', ['a']),
  ...both('drintx', { ...fromB, fields: ['r', 'rmc'] }, 'roundInexact'),
  ...both('drintn', { ...fromB, fields: ['r', 'rmc'] }, 'roundQuiet'),
  dctdp: instruction('dctdp', fromB, shortToLong),
  dctqpq: instruction('dctqpq', { b: 'single', target: 'pair' }, longToExtended),
  drsp: instruction('drsp', fromB, longToShort),
  drdpq: instruction('drdpq', { b: 'pair', target: 'pair' }, extendedToLong),
  ...both('dcffix', fromB, 'fromFixed', ['b']),
  ...both('dctfix', fromB, 'toFixed', ['target']),
  ...both('ddedpd', { ...fromB, fields: ['sp'] }, 'decodeBcd'),
  ...both('denbcd', { ...fromB, fields: ['s'] }, 'encodeBcd'),
  ...both('dxex', fromB, 'extractExponent', ['target']),
  ...both('diex', fromAB, 'insertExponent', ['a']),
  ...both('dscli', { ...fromA, fields: ['sh'] }, 'shiftLeft'),
  ...both('dscri', { ...fromA, fields: ['sh'] }, 'shiftRight'),
} satisfies SemanticsMap;
