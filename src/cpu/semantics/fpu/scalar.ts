// Scalar floating-point instructions as combinations of where operands come from, what is done, and where the result
// goes; the FPR and the VSX scalar instructions differ only in the first and the last (ISA 3.0B I 4.6, 7.6.3).

import { assert } from '../../../util/errors.ts';
import type { I32, I64 } from '../../../wasm/ir.ts';
import { stateOffset } from '../../state/layout.ts';
import { STATE_BASE } from '../../state/memory-map.ts';
import type { Emitter, Semantics } from '../emitter.ts';
import { get64, type RuntimeFunction, runtimeFunction, set64 } from '../runtime.ts';
import {
  type DeferredStatus,
  doubleLimits,
  narrowQuick,
  OWED_COMPARE,
  type Quick,
  type QuickOperation,
  quickAdd,
  quickDivide,
  quickMultiply,
  quickMultiplyAdd,
  quickSame,
  quickSquareRoot,
  quickSubtract,
  singleLimits,
} from './deferred.ts';
import {
  exactAdd,
  exactDivide,
  exactFromInteger,
  exactMultiply,
  exactMultiplyAdd,
  exactReciprocal,
  exactReciprocalSquareRoot,
  exactRound,
  exactSquareRoot,
  exactToInteger,
  exactToIntegral,
  TO_INTEGER,
} from './exact.ts';
import {
  finishDouble,
  isPlain,
  isQuiet,
  type NearestOperation,
  nearestAdd,
  nearestDivide,
  nearestMultiply,
  nearestMultiplyAdd,
  nearestSame,
  nearestSquareRoot,
  nearestSubtract,
  statusAfterConversion,
  statusAfterExact,
  toSingle,
} from './fast.ts';
import {
  classOfDouble,
  clearRaised,
  commitScalar,
  commitSticky,
  compareUnordered,
  FPSCR,
  getRaised,
  KEEP_FPRF,
  setRaised,
} from './fpscr.ts';
import { CONTROL } from './round.ts';

/** Reads an operand as binary64 bits. */
export type Read = (s: Emitter) => I64;
export type Write = (s: Emitter, bits: I64) => void;

export const fromFpr =
  (field: string): Read =>
  (s) =>
    s.fpr(field);
export const fromVsr =
  (field: string): Read =>
  (s) =>
    s.vsrDoubleword(field, 0);
export const toFpr: Write = (s, bits) => s.setFpr('frt', bits);
/** Doubleword 1 becomes 0, as POWER9 leaves it. */
export const toVsr: Write = (s, bits) => s.setVsrScalar('xt', bits);

/** An arithmetic operation: the short way, and the long one with what it is told. */
export interface Operation {
  readonly nearest?: NearestOperation;
  /** The result alone, for engines that put off its status. */
  readonly quick?: QuickOperation;
  readonly exact: RuntimeFunction;
  /** `CONTROL` bits. */
  readonly control: number;
  /** On the short way the double-precision result is a normal number. */
  readonly normal: boolean;
}

export const operations = {
  add: { nearest: nearestAdd, quick: quickAdd, exact: exactAdd, control: 0, normal: false },
  subtract: {
    nearest: nearestSubtract,
    quick: quickSubtract,
    exact: exactAdd,
    control: CONTROL.SUBTRACT,
    normal: false,
  },
  multiply: { nearest: nearestMultiply, quick: quickMultiply, exact: exactMultiply, control: 0, normal: true },
  divide: { nearest: nearestDivide, quick: quickDivide, exact: exactDivide, control: 0, normal: true },
  squareRoot: { nearest: nearestSquareRoot, quick: quickSquareRoot, exact: exactSquareRoot, control: 0, normal: true },
  /** Multiply-add operands are the two factors and the addend. */
  multiplyAdd: {
    nearest: nearestMultiplyAdd(false, false),
    quick: quickMultiplyAdd(false, false),
    exact: exactMultiplyAdd,
    control: 0,
    normal: true,
  },
  multiplySubtract: {
    nearest: nearestMultiplyAdd(true, false),
    quick: quickMultiplyAdd(true, false),
    exact: exactMultiplyAdd,
    control: CONTROL.SUBTRACT,
    normal: true,
  },
  negativeMultiplyAdd: {
    nearest: nearestMultiplyAdd(false, true),
    quick: quickMultiplyAdd(false, true),
    exact: exactMultiplyAdd,
    control: CONTROL.NEGATE,
    normal: true,
  },
  negativeMultiplySubtract: {
    nearest: nearestMultiplyAdd(true, true),
    quick: quickMultiplyAdd(true, true),
    exact: exactMultiplyAdd,
    control: CONTROL.SUBTRACT | CONTROL.NEGATE,
    normal: true,
  },
  round: { nearest: nearestSame, quick: quickSame, exact: exactRound, control: 0, normal: false },
  reciprocal: { exact: exactReciprocal, control: 0, normal: false },
  reciprocalSquareRoot: { exact: exactReciprocalSquareRoot, control: 0, normal: false },
} as const satisfies Record<string, Operation>;

/** CR1 := FPSCR[FX FEX VX OX] in record forms. */
export function recordStatus(s: Emitter): void {
  if (s.flag('rc')) s.setCrField(1, s.fpscrControls().shrU(28).wrap().and(15));
}

/** The bits of FPSCR that rounding depends on, with flags for the operation. */
export function controlWord(s: Emitter, fpscr: I64, flags: number): I32 {
  return fpscr.wrap().and(CONTROL.FPSCR_BITS).or(s.fn.i32(flags));
}

/** Takes the long way: runs `compute`, enters what it raised, and writes the target if that is allowed. */
export function carefully(s: Emitter, compute: () => I64, fprf: (bits: I64) => I32, write: (bits: I64) => void): void {
  const { fn } = s;
  clearRaised(fn);
  const bits = compute();
  fn.if(fn.call('i32', s.runtime(commitScalar), [fprf(bits)]), () => write(bits));
}

/** Ends an instruction that has a short way: `short` if `condition`, else `long`; then CR1 and the enabled interrupt. */
function either(s: Emitter, condition: I32, short: () => void, long: () => void): void {
  if (s.flag('rc')) {
    s.fn.if(condition, short, long, true);
    recordStatus(s);
    s.takeFpEnabled();
    return;
  }
  const rest = () => {
    long();
    s.takeFpEnabled();
  };
  s.fn.if(condition, short, rest, true);
}

/** Whether the last function of `whole` has a result to be written. */
const WRITTEN_OFFSET = stateOffset('scratch', 7) + 8;

/** All of an operation as a function of its operands: FPSCR in the register block follows it. */
interface Whole {
  readonly f: RuntimeFunction;
  readonly operands: number;
}
const wholes: Whole[] = [];
const kinds = new Map<string, number>();

/** Number of an operation with `quick` in double or single precision, as owed status names it; from 1. */
function kindOf(operation: Operation, single: boolean): number {
  const names = Object.keys(operations) as (keyof typeof operations)[];
  const name = names.find((candidate) => operations[candidate] === operation);
  assert(name, 'what has a quick way is in the table');
  const key = `${name}${single ? '.single' : ''}`;
  let kind = kinds.get(key);
  if (kind === undefined) {
    const operands = operandCount(name);
    kind = wholes.push({ f: wholeOf(`fpu.whole.${key}`, operation, single, operands), operands });
    kinds.set(key, kind);
  }
  return kind;
}
function operandCount(name: keyof typeof operations): number {
  switch (name) {
    case 'squareRoot':
    case 'round':
      return 1;
    case 'add':
    case 'subtract':
    case 'multiply':
    case 'divide':
      return 2;
    default:
      return 3;
  }
}

function wholeOf(name: string, operation: Operation, single: boolean, operands: number): RuntimeFunction {
  const flags = operation.control | (single ? CONTROL.SINGLE : 0);
  const { nearest, exact, normal } = operation;
  assert(nearest, 'what is quick has a short way');
  const params = Array.from({ length: operands }, () => 'i64' as const);
  const f = runtimeFunction(name, params, 'i64', (fn, runtime) => {
    const values = params.map((_, index) => fn.param64(index));
    const fpscr = get64(fn, 'fpscr');
    const result = nearest(fn, values, (inner) => runtime.ref(inner));
    const narrowed = single ? toSingle(result) : undefined;
    fn.if(isPlain(fpscr).and(narrowed ? narrowed.ok : result.ok), () => {
      const finished = narrowed ? narrowed.finish(fpscr) : finishDouble(result, fpscr, normal);
      set64(fn, 'fpscr', finished.fpscr);
      fn.store32(STATE_BASE, 1, WRITTEN_OFFSET);
      fn.return(finished.bits);
    });
    clearRaised(fn);
    const control = fpscr.wrap().and(CONTROL.FPSCR_BITS).or(flags);
    const bits = fn.call('i64', runtime.ref(exact), [...values, control]);
    const written = fn.call('i32', runtime.ref(commitScalar), [classOfDouble(bits, single)]);
    fn.store32(STATE_BASE, written, WRITTEN_OFFSET);
    fn.return(bits);
  });
  return { ...f, fpscr: 'replaces' };
}

/**
 * (kind and comparison, operands): brings FPSCR up to date with what `DeferredStatus` was told last. Leaves alone what an
 * instruction under way has noted.
 */
export const settleStatus = runtimeFunction('fpu.settle', ['i32', 'f64', 'f64', 'f64'], undefined, (fn, runtime) => {
  const owed = fn.param32(0);
  const raised = getRaised(fn);
  const values = [1, 2, 3].map((index) => fn.param('f64', index).reinterpretI64());
  fn.switch(
    owed.and(0xff).sub(1),
    wholes.map(({ f, operands }) => () => {
      fn.call('i64', runtime.ref(f), values.slice(0, operands));
    }),
    () => {},
  );
  fn.if(owed.and(OWED_COMPARE), () => {
    const rest = get64(fn, 'fpscr').and(~BigInt(FPSCR.FPCC));
    set64(fn, 'fpscr', rest.or(owed.shrU(8).and(15).extendU().shl(12)));
  });
  setRaised(fn, raised);
});

/** An instruction whose status is put off. */
function quickly(
  s: Emitter,
  status: DeferredStatus,
  quick: Quick,
  kind: number,
  operands: readonly I64[],
  write: Write,
): void {
  const { fn } = s;
  fn.block((done) => {
    fn.block((slow) => {
      const { unusual } = quick;
      const refuse = () => (unusual ? fn.brIf(slow, unusual().eqz()) : fn.br(slow));
      fn.if(quick.ok.eqz(), refuse, undefined, false);
      const guard = status.guard();
      fn.if(guard, () => {
        const doubtful = guard.ne(FPSCR.XX).or(quick.exact().eqz());
        fn.if(doubtful, () => fn.br(slow), undefined, false);
      });
      write(s, quick.result.reinterpretI64());
      status.owe(kind, operands);
      fn.br(done);
    });
    const bits = fn.call('i64', s.runtime(wholes[kind - 1].f), operands);
    status.changed();
    fn.if(fn.load32(STATE_BASE, WRITTEN_OFFSET), () => write(s, bits));
    s.takeFpEnabled();
  });
}

export function arithmetic(operation: Operation, single: boolean, reads: readonly Read[], write: Write): Semantics {
  const flags = operation.control | (single ? CONTROL.SINGLE : 0);
  const kind = operation.quick && kindOf(operation, single);
  return (s) => {
    const { fn, status } = s;
    const operands = reads.map((read) => read(s));
    if (status && kind && operation.quick && !s.flag('rc')) {
      const numbers = operands.map((bits) => bits.reinterpretF64());
      const quick = operation.quick(fn, numbers, single ? singleLimits : doubleLimits);
      quickly(s, status, single ? narrowQuick(quick) : quick, kind, operands, write);
      return;
    }
    const fpscr = s.state64('fpscr');
    const long = () =>
      carefully(
        s,
        () => fn.call('i64', s.runtime(operation.exact), [...operands, controlWord(s, fpscr, flags)]),
        (bits) => classOfDouble(bits, single),
        (bits) => write(s, bits),
      );
    if (!operation.nearest) {
      long();
      recordStatus(s);
      s.takeFpEnabled();
      return;
    }
    const result = operation.nearest(fn, operands, (f) => s.runtime(f));
    const narrowed = single ? toSingle(result) : undefined;
    const short = () => {
      const finished = narrowed ? narrowed.finish(fpscr) : finishDouble(result, fpscr, operation.normal);
      s.setState64('fpscr', finished.fpscr);
      write(s, finished.bits);
    };
    either(s, isPlain(fpscr).and(narrowed ? narrowed.ok : result.ok), short, long);
  };
}

/** A signed or unsigned 64-bit integer to floating point. */
export function convertFromInteger(signed: boolean, single: boolean, read: Read, write: Write): Semantics {
  const precision = single ? 24n : 53n;
  return (s) => {
    const { fn } = s;
    const value = read(s);
    const fpscr = s.state64('fpscr');
    // Integers of at most that many bits are exact.
    const fits = signed ? value.add(1n << precision).ltU(2n << precision) : value.ltU(1n << precision);
    const short = () => {
      const bits = value.convertToF64S().reinterpretI64();
      s.setState64('fpscr', statusAfterExact(fpscr, classOfDouble(bits, single).extendU()));
      write(s, bits);
    };
    const long = () => {
      const negative = signed ? value.ltS(0n) : fn.i32(0);
      const magnitude = fn.select(negative, value.neg(), value);
      const control = controlWord(s, fpscr, single ? CONTROL.SINGLE : 0);
      carefully(
        s,
        () => fn.call('i64', s.runtime(exactFromInteger), [magnitude, negative, control]),
        (bits) => classOfDouble(bits, single),
        (bits) => write(s, bits),
      );
    };
    either(s, isQuiet(fpscr).and(fits), short, long);
  };
}

export interface IntegerTarget {
  readonly signed: boolean;
  readonly bits: 32 | 64;
  /** Always toward zero, or else by FPSCR[RN]. */
  readonly truncate: boolean;
}

/** To an integer, saturating. A word goes to both halves of the target, as POWER9 does it. */
export function convertToInteger(target: IntegerTarget, read: Read, write: Write): Semantics {
  const { signed, bits: width, truncate } = target;
  const kind = (signed ? 0 : TO_INTEGER.UNSIGNED) | (width === 32 ? TO_INTEGER.WORD : 0);
  const limit = 2 ** (signed ? width - 1 : width);
  return (s) => {
    const { fn } = s;
    const b = read(s);
    const fpscr = s.state64('fpscr');
    const x = b.reinterpretF64();
    const rounded = truncate ? x.trunc() : x.nearest();
    const inRange = rounded.ge(fn.f64(signed ? -limit : 0)).and(rounded.lt(fn.f64(limit)));
    const place = (integer: I64) => (width === 64 ? integer : integer.low32().or(integer.shl(32)));
    const short = () => {
      const inexact = rounded.ne(x).extendU();
      const up = truncate ? fn.i64(0) : rounded.abs().gt(x.abs()).extendU();
      s.setState64('fpscr', statusAfterConversion(fpscr, inexact, up));
      write(s, place(signed ? rounded.truncSatToI64S() : rounded.truncSatToI64U()));
    };
    const long = () => {
      const mode = truncate ? fn.i32(1) : fpscr.wrap().and(FPSCR.RN);
      carefully(
        s,
        () => place(fn.call('i64', s.runtime(exactToInteger), [b, mode.or(kind)])),
        () => fn.i32(KEEP_FPRF),
        (bits) => write(s, bits),
      );
    };
    either(s, isPlain(fpscr).and(inRange), short, long);
  };
}

/** How a number becomes integral: toward nearest with ties away, zero, +infinity, -infinity, or by FPSCR[RN]. */
export type IntegralMode = 'away' | 'zero' | 'up' | 'down' | 'current';

/** To an integral value; only `current` reports that it changed the number. */
export function roundToIntegral(mode: IntegralMode, read: Read, write: Write): Semantics {
  return (s) => {
    const { fn } = s;
    const b = read(s);
    const fpscr = s.state64('fpscr');
    carefully(
      s,
      () => fn.call('i64', s.runtime(exactToIntegral), [b, integralControl(s, mode, fpscr)]),
      (bits) => classOfDouble(bits, false),
      (bits) => write(s, bits),
    );
    recordStatus(s);
    s.takeFpEnabled();
  };
}

/** The last argument of `exactToIntegral`. */
export function integralControl(s: Emitter, mode: IntegralMode, fpscr: I64): I32 {
  const { fn } = s;
  switch (mode) {
    case 'zero':
      return fn.i32(1);
    case 'up':
      return fn.i32(2);
    case 'down':
      return fn.i32(3);
    case 'away':
      return fn.i32(4);
    case 'current':
      return fpscr.wrap().and(FPSCR.RN).or(8);
  }
}

/** FPCC and a CR field := the order of two numbers. */
export function compare(ordered: boolean, readA: Read, readB: Read): Semantics {
  return (s) => {
    const { fn } = s;
    const [a, b] = [readA(s), readB(s)];
    const [x, y] = [a.reinterpretF64(), b.reinterpretF64()];
    const known = x.lt(y).shl(3).or(x.gt(y).shl(2)).or(x.eq(y).shl(1));
    const unordered = known.eqz();
    const field = known.or(unordered);
    fn.if(unordered, () => {
      clearRaised(fn);
      fn.callVoid(s.runtime(compareUnordered), [a, b, fn.i32(ordered ? 1 : 0)]);
      fn.callVoid(s.runtime(commitSticky), []);
      s.status?.changed();
    });
    if (s.status) {
      s.status.oweCompare(field);
      s.setCrField(s.field('bf'), field);
      fn.if(unordered.or(s.status.guard().and(FPSCR.FEX)), () => s.takeFpEnabled(), undefined, false);
      return;
    }
    const fpscr = s.state64('fpscr').and(~BigInt(FPSCR.FPCC)).or(field.extendU().shl(12));
    s.setState64('fpscr', fpscr);
    s.setCrField(s.field('bf'), field);
    s.takeFpEnabled();
  };
}

/** Target := f(operands) with no look at FPSCR: moves. */
export function move(reads: readonly Read[], write: Write, f: (operands: readonly I64[]) => I64): Semantics {
  return (s) => {
    const operands = reads.map((read) => read(s));
    write(s, f(operands));
    recordStatus(s);
  };
}
