// Vector floating-point instructions of VSX (ISA 3.0B I 7.6.3): each element on its own, sticky exception bits only, and
// no element written when one of them meets an enabled exception.
//
// The short way is one SIMD operation on all elements. It is open when FPSCR asks for nothing unusual, XX is set already
// (so that nobody has to know whether a result is exact) and all results are ordinary numbers.

import type { FunctionBuilder, I32, I64, V128 } from '../../../wasm/ir.ts';
import type { Emitter, Semantics } from '../emitter.ts';
import { type Runtime, type RuntimeFunction, runtimeFunction } from '../runtime.ts';
import { recordCompare } from '../vector-elements.ts';
import { exactReciprocalSquareRootOfSingle } from './exact.ts';
import { isPlain, isQuiet } from './fast.ts';
import { clearRaised, commitVector } from './fpscr.ts';
import { doublewords, type Lanes, singles } from './lanes.ts';
import { CONTROL } from './round.ts';
import { controlWord, type IntegralMode, integralControl, type Operation, operations } from './scalar.ts';
import { fusedDoubles, fusedSingles } from './simd-fused.ts';

/** Vector operands, then a word that the function understands. */
export function vectorFunction(
  name: string,
  operands: number,
  build: (fn: FunctionBuilder, runtime: Runtime, operands: readonly V128[], control: I32) => V128,
): RuntimeFunction {
  const params = [...Array.from({ length: operands }, () => 'v128' as const), 'i32' as const];
  return runtimeFunction(name, params, 'v128', (fn, runtime) => {
    const values = Array.from({ length: operands }, (_, index) => fn.param('v128', index));
    fn.return(build(fn, runtime, values, fn.param32(operands)));
  });
}

/** A function of elements as one of vectors. */
export function eachElement(
  name: string,
  operands: number,
  from: Lanes,
  to: Lanes,
  element: (fn: FunctionBuilder, runtime: Runtime, operands: readonly I64[], control: I32) => I64,
): RuntimeFunction {
  return vectorFunction(name, operands, (fn, runtime, vectors, control) => {
    const columns = vectors.map((v) => from.read(v));
    const results = columns[0].map((_, index) =>
      element(
        fn,
        runtime,
        columns.map((column) => column[index]),
        control,
      ),
    );
    return to.write(fn, results);
  });
}

/** Takes the long way: runs `compute`, enters what it raised, and writes the target if that is allowed. */
export function carefullyVector(s: Emitter, compute: () => V128, write: (value: V128) => void): void {
  const { fn } = s;
  clearRaised(fn);
  const value = compute();
  fn.if(fn.call('i32', s.runtime(commitVector), []), () => write(value));
  s.takeFpEnabled();
}

/** FPSCR asks for nothing unusual, and inexact results change nothing. */
export function isPlainAndInexact(fpscr: I64): I32 {
  return isPlain(fpscr).and(fpscr.shrU(25).wrap());
}

export type Precision = 'double' | 'single';
const simdShape = { double: 'f64x2', single: 'f32x4' } as const;
const lanesOf = { double: doublewords, single: singles } as const;
const integerShape = { double: 'i64x2', single: 'i32x4' } as const;

function constant(fn: FunctionBuilder, precision: Precision, double: bigint, single: bigint): V128 {
  if (precision === 'double') return fn.v128((double << 64n) | double);
  return fn.v128(single * 0x1_0000_0001_0000_0001_0000_0001n);
}
const largest = (fn: FunctionBuilder, p: Precision) => constant(fn, p, 0x7fef_ffff_ffff_ffffn, 0x7f7f_ffffn);
/** Twice the smallest normal number: rounding does not hide that a result is tiny. */
const safeLeast = (fn: FunctionBuilder, p: Precision) => constant(fn, p, 2n << 52n, 2n << 23n);
const zeros = (fn: FunctionBuilder) => fn.v128(0n);

/** A SIMD result, and whether it may stand. */
interface Simd {
  readonly value: V128;
  readonly ok: I32;
}
type SimdOperation = (s: Emitter, operands: readonly V128[]) => Simd;

function allTrue(mask: V128, precision: Precision): I32 {
  return mask.test(`${integerShape[precision]}.all_true`);
}

/** Elements that are finite; those that must not be tiny are that or come from a zero among `zero`. */
function ordinary(value: V128, precision: Precision, tiny: readonly V128[] | undefined): I32 {
  const { fn } = value;
  const shape = simdShape[precision];
  const magnitude = value.un(`${shape}.abs`);
  let mask = magnitude.bin(`${shape}.le`, largest(fn, precision));
  if (tiny) {
    let fine = magnitude.bin(`${shape}.ge`, safeLeast(fn, precision));
    for (const operand of tiny) fine = fine.or(operand.bin(`${shape}.eq`, zeros(fn)));
    mask = mask.and(fine);
  }
  return allTrue(mask, precision);
}

const simdAdd =
  (precision: Precision, op: 'add' | 'sub'): SimdOperation =>
  (_s, [a, b]) => {
    const value = a.bin(`${simdShape[precision]}.${op}`, b);
    return { value, ok: ordinary(value, precision, undefined) };
  };
const simdMultiply =
  (precision: Precision): SimdOperation =>
  (_s, [a, b]) => {
    const value = a.bin(`${simdShape[precision]}.mul`, b);
    return { value, ok: ordinary(value, precision, [a, b]) };
  };
const simdDivide =
  (precision: Precision): SimdOperation =>
  (_s, [a, b]) => {
    const value = a.bin(`${simdShape[precision]}.div`, b);
    return { value, ok: ordinary(value, precision, [a]) };
  };
const simdSquareRoot =
  (precision: Precision): SimdOperation =>
  (_s, [b]) => {
    const value = b.un(`${simdShape[precision]}.sqrt`);
    return { value, ok: ordinary(value, precision, undefined) };
  };

const simdFusedDouble =
  (operation: Operation): SimdOperation =>
  (s, [a, c, b]) => {
    const turned = operation.control & CONTROL.SUBTRACT ? b.un('f64x2.neg') : b;
    const { value, ok } = fusedDoubles(s.fn, a, c, turned);
    return { value: operation.control & CONTROL.NEGATE ? value.un('f64x2.neg') : value, ok };
  };

const simdFusedSingle =
  (operation: Operation): SimdOperation =>
  (s, [a, c, b]) => {
    const { fn } = s;
    const turned = operation.control & CONTROL.SUBTRACT ? b.un('f32x4.neg') : b;
    const { value, odd } = fusedSingles(fn, a, c, turned);
    const least = fn.splat64(fn.i64(0x381n << 52n));
    const fine = odd.map((v) =>
      v
        .un('f64x2.abs')
        .bin('f64x2.ge', least)
        .or(v.bin('f64x2.eq', zeros(fn))),
    );
    const finite = ordinary(value, 'single', undefined);
    return {
      value: operation.control & CONTROL.NEGATE ? value.un('f32x4.neg') : value,
      ok: finite.and(fine[0].and(fine[1]).test('i64x2.all_true')),
    };
  };

const simdOperations: Readonly<Record<Precision, Partial<Record<keyof typeof operations, SimdOperation>>>> = {
  double: simdOf('double'),
  single: simdOf('single'),
};
function simdOf(precision: Precision): Partial<Record<keyof typeof operations, SimdOperation>> {
  const fused = precision === 'double' ? simdFusedDouble : simdFusedSingle;
  return {
    add: simdAdd(precision, 'add'),
    subtract: simdAdd(precision, 'sub'),
    multiply: simdMultiply(precision),
    divide: simdDivide(precision),
    squareRoot: simdSquareRoot(precision),
    multiplyAdd: fused(operations.multiplyAdd),
    multiplySubtract: fused(operations.multiplySubtract),
    negativeMultiplyAdd: fused(operations.negativeMultiplyAdd),
    negativeMultiplySubtract: fused(operations.negativeMultiplySubtract),
  };
}

/** XT := operation(operands by field name), on each element. */
export function vectorArithmetic(
  kind: keyof typeof operations,
  precision: Precision,
  fields: readonly string[],
): Semantics {
  const operation: Operation = operations[kind];
  const flags = operation.control | (precision === 'single' ? CONTROL.SINGLE : 0);
  const long = longWay(kind, precision, fields.length);
  const simd = simdOperations[precision][kind];
  return (s) => {
    const { fn } = s;
    const operands = fields.map((field) => s.vsr(field));
    const fpscr = s.state64('fpscr');
    const careful = () =>
      carefullyVector(
        s,
        () => fn.call('v128', s.runtime(long), [...operands, controlWord(s, fpscr, flags)]),
        (value) => s.setVsr('xt', value),
      );
    if (!simd) return careful();
    const quick = simd(s, operands);
    fn.if(isPlainAndInexact(fpscr).and(quick.ok), () => s.setVsr('xt', quick.value), careful);
  };
}

const longWays = new Map<string, RuntimeFunction>();
/** One function for all instructions that differ only in control bits. */
function longWay(kind: keyof typeof operations, precision: Precision, operands: number): RuntimeFunction {
  const sameRoot = kind === 'reciprocalSquareRoot' && precision === 'single';
  const exact = sameRoot ? exactReciprocalSquareRootOfSingle : operations[kind].exact;
  const name = `${exact.name}.${precision}s`;
  let found = longWays.get(name);
  if (!found) {
    const lanes = lanesOf[precision];
    found = eachElement(name, operands, lanes, lanes, (fn, runtime, elements, control) =>
      fn.call('i64', runtime.ref(exact), [...elements, control]),
    );
    longWays.set(name, found);
  }
  return found;
}

/** XT := f(XB), converted with `control`; no short way. */
export function vectorConversion(f: RuntimeFunction, control: (s: Emitter, fpscr: I64) => I32): Semantics {
  return (s) =>
    carefullyVector(
      s,
      () => s.fn.call('v128', s.runtime(f), [s.vsr('xb'), control(s, s.state64('fpscr'))]),
      (value) => s.setVsr('xt', value),
    );
}

const roundShapes = { zero: 'trunc', up: 'ceil', down: 'floor', current: 'nearest' } as const;

/** Integral values by SIMD; of NaNs what comes is no matter. */
export function simdIntegral(v: V128, mode: IntegralMode, precision: Precision): V128 {
  const { fn } = v;
  const shape = simdShape[precision];
  if (mode !== 'away') return v.un(`${shape}.${roundShapes[mode]}`);
  const whole = v.un(`${shape}.trunc`);
  const rest = v.bin(`${shape}.sub`, whole).un(`${shape}.abs`);
  const half = constant(fn, precision, 0x3fen << 52n, 0x3f00_0000n);
  const one = constant(fn, precision, 0x3ffn << 52n, 0x3f80_0000n);
  const sign = constant(fn, precision, 1n << 63n, 1n << 31n);
  const further = whole.bin(`${shape}.add`, one.or(v.and(sign)));
  return further.bitselect(whole, rest.bin(`${shape}.ge`, half));
}

/** XT := XB rounded to integral values. */
export function vectorIntegral(mode: IntegralMode, precision: Precision, long: RuntimeFunction): Semantics {
  const shape = simdShape[precision];
  return (s) => {
    const { fn } = s;
    const b = s.vsr('xb');
    const fpscr = s.state64('fpscr');
    const numbers = allTrue(b.bin(`${shape}.eq`, b), precision);
    const plain = mode === 'current' ? isPlainAndInexact(fpscr) : isQuiet(fpscr);
    fn.if(
      plain.and(numbers),
      () => s.setVsr('xt', simdIntegral(b, mode, precision)),
      () =>
        carefullyVector(
          s,
          () => fn.call('v128', s.runtime(long), [b, integralControl(s, mode, fpscr)]),
          (value) => s.setVsr('xt', value),
        ),
    );
  };
}

/**
 * XT := XA compared with XB, ones where it holds; CR6 in record forms. `long` raises what NaNs raise; its results are
 * not used.
 */
export function vectorCompare(op: 'eq' | 'ge' | 'gt', precision: Precision, long: RuntimeFunction): Semantics {
  const shape = simdShape[precision];
  return (s) => {
    const { fn } = s;
    const [a, b] = [s.vsr('xa'), s.vsr('xb')];
    const value = a.bin(`${shape}.${op}`, b);
    const numbers = a.bin(`${shape}.eq`, a).and(b.bin(`${shape}.eq`, b));
    const record = () => {
      if (s.flag('rc')) recordCompare(s, value);
    };
    fn.if(
      allTrue(numbers, precision).and(isQuiet(s.state64('fpscr'))),
      () => {
        s.setVsr('xt', value);
        record();
      },
      () => {
        clearRaised(fn);
        fn.callVoid(s.runtime(long), [a, b]);
        fn.if(fn.call('i32', s.runtime(commitVector), []), () => {
          s.setVsr('xt', value);
          record();
        });
        s.takeFpEnabled();
      },
    );
  };
}
