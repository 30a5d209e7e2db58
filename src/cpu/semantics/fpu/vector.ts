// Vector floating-point instructions of VSX (ISA 3.0B I 7.6.3): each element on its own, sticky exception bits only, and
// no element written when one of them meets an enabled exception.
//
// The short way is one SIMD operation on all elements. It is open when FPSCR asks for nothing unusual, all results are
// ordinary numbers, and XX is set already (so that nobody has to know whether a result is exact) or all are exact.

import type { FunctionBuilder, I32, I64, V128 } from '../../../wasm/ir.ts';
import type { Emitter, Semantics } from '../emitter.ts';
import { get64, type Runtime, type RuntimeFunction, runtimeFunction } from '../runtime.ts';
import { recordCompare } from '../vector-elements.ts';
import { exactReciprocalSquareRootOfSingle } from './exact.ts';
import { isPlain, isQuiet } from './fast.ts';
import { clearRaised, commitVector } from './fpscr.ts';
import { doublewords, type Lanes, singles } from './lanes.ts';
import { CONTROL } from './round.ts';
import { controlWord, type IntegralMode, integralControl, type Operation, operations } from './scalar.ts';
import { fusedDoubles, fusedSingles, narrow } from './simd-fused.ts';

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
  element: ElementFunction,
): RuntimeFunction {
  return vectorFunction(name, operands, (fn, runtime, vectors, control) =>
    onElements(fn, runtime, vectors, control, from, to, element),
  );
}
type ElementFunction = (fn: FunctionBuilder, runtime: Runtime, operands: readonly I64[], control: I32) => I64;
function onElements(
  fn: FunctionBuilder,
  runtime: Runtime,
  vectors: readonly V128[],
  control: I32,
  from: Lanes,
  to: Lanes,
  element: ElementFunction,
): V128 {
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
}

/** Takes the long way: runs `compute`, enters what it raised, and writes the target if that is allowed. */
export function carefullyVector(s: Emitter, compute: () => V128, write: (value: V128) => void): void {
  const { fn } = s;
  clearRaised(fn);
  const value = compute();
  fn.if(fn.call('i32', s.runtime(commitVector), []), () => write(value));
  s.takeFpEnabled();
}

/** 1 if XX is set: then it is no matter whether a result is exact. */
function hasInexact(fpscr: I64): I32 {
  return fpscr.shrU(25).wrap().and(1);
}

/** A SIMD result, and whether it may stand when FPSCR is plain. */
export interface Quick {
  readonly value: V128;
  /** 1 if it may when XX is set. */
  readonly ok: I32;
  /** Asked where `ok` says no: 1 if it may all the same. */
  readonly unusual?: () => I32;
  /** 1 only if all elements are exact, asked where `ok` holds; absent: they always are. */
  readonly exact?: () => I32;
}

/** The short way where it is open, else the long one. */
export function quickly(s: Emitter, fpscr: I64, plain: I32, quick: Quick, write: (v: V128) => void, long: () => void) {
  const { fn } = s;
  const { value, ok, unusual, exact } = quick;
  fn.block((done) => {
    fn.block((doubtful) => {
      const refuse = () => (unusual ? fn.brIf(doubtful, plain.and(unusual()).eqz()) : fn.br(doubtful));
      fn.if(plain.and(ok).eqz(), refuse, undefined, false);
      if (exact) {
        fn.if(hasInexact(fpscr).eqz(), () => fn.brIf(doubtful, exact().eqz()), undefined, false);
      }
      write(value);
      fn.br(done);
    });
    long();
  });
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
const isZero = (v: V128, p: Precision) => v.bin(`${simdShape[p]}.eq`, zeros(v.fn));

export function allTrue(mask: V128, precision: Precision): I32 {
  return mask.test(`${integerShape[precision]}.all_true`);
}

/** 1 if no element is an infinity or a NaN. */
export function allFinite(value: V128, precision: Precision): I32 {
  const shape = simdShape[precision];
  const zeroOrNaN = value.bin(`${shape}.sub`, value);
  return zeroOrNaN.bin(`${shape}.ne`, zeroOrNaN).test('v128.any_true').eqz();
}
/** Elements that are finite and by no means tiny. */
function ordinary(value: V128, precision: Precision): V128 {
  const shape = simdShape[precision];
  const magnitude = value.un(`${shape}.abs`);
  const finite = magnitude.bin(`${shape}.le`, largest(value.fn, precision));
  return finite.and(magnitude.bin(`${shape}.ge`, safeLeast(value.fn, precision)));
}

type SimdOperation = (s: Emitter, operands: readonly V128[]) => Quick;

/** 1 if the sum of `a` and `b` is `value` exactly: of the larger operand it can be taken away without rounding. */
function isExactSum(value: V128, a: V128, b: V128, precision: Precision): V128 {
  const shape = simdShape[precision];
  return value
    .bin(`${shape}.sub`, a)
    .bin(`${shape}.eq`, b)
    .and(value.bin(`${shape}.sub`, b).bin(`${shape}.eq`, a));
}

const simdAdd =
  (precision: Precision, subtract: boolean): SimdOperation =>
  (_s, [a, b]) => {
    const shape = simdShape[precision];
    const value = a.bin(`${shape}.${subtract ? 'sub' : 'add'}`, b);
    return {
      value,
      // A sum that is tiny is exact.
      ok: allFinite(value, precision),
      exact: () => allTrue(isExactSum(value, a, subtract ? b.un(`${shape}.neg`) : b, precision), precision),
    };
  };

/** Elements of which a factor is zero. */
function noFactor(a: V128, b: V128, precision: Precision): V128 {
  return isZero(a, precision).or(isZero(b, precision));
}
/** Elements that are ordinary, or zero because a factor is or because a product of some size and the addend cancel. */
function ordinaryOrZero(value: V128, a: V128, c: V128, b: V128, precision: Precision): V128 {
  const shape = simdShape[precision];
  // What the product's last bits can be then is no less than the least denormal.
  const limit = constant(value.fn, precision, 100n << 52n, 60n << 23n);
  const cancelled = b.un(`${shape}.abs`).bin(`${shape}.ge`, limit);
  const exactZero = isZero(value, precision).and(noFactor(a, c, precision).or(cancelled));
  return ordinary(value, precision).or(exactZero);
}

/** Elements of which both factors have so few bits that the product is exact unless it underflows. */
function shortFactors(a: V128, c: V128): V128 {
  const { fn } = a;
  const low = fn.v128(0x7ff_ffffn * ((1n << 64n) + 1n));
  return a.or(c).and(low).bin('i64x2.eq', zeros(fn));
}

const simdMultiply =
  (precision: Precision): SimdOperation =>
  (_s, [a, b]) => {
    const value = a.bin(`${simdShape[precision]}.mul`, b);
    const fine = ordinary(value, precision);
    return {
      value,
      ok: allTrue(fine, precision),
      unusual: () => allTrue(fine.or(isZero(value, precision).and(noFactor(a, b, precision))), precision),
      exact: () => allTrue(precision === 'double' ? shortFactors(a, b) : isExactSingleProduct(value, a, b), 'double'),
    };
  };

const upperToLower = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
/** Lanes 0 and 1, and lanes 2 and 3, as doubles. */
function halves(v: V128): readonly [V128, V128] {
  return [v.un('f64x2.promote_low_f32x4'), v.shuffle(v, upperToLower).un('f64x2.promote_low_f32x4')];
}
function isExactSingleProduct(value: V128, a: V128, b: V128): V128 {
  const [x, y, z] = [halves(a), halves(b), halves(value)];
  const [low, high] = z.map((product, half) => x[half].bin('f64x2.mul', y[half]).bin('f64x2.eq', product));
  return low.and(high);
}

const simdDivide =
  (precision: Precision): SimdOperation =>
  (s, [a, b]) => {
    const value = a.bin(`${simdShape[precision]}.div`, b);
    const fine = ordinary(value, precision);
    return {
      value,
      ok: allTrue(fine, precision),
      unusual: () => allTrue(fine.or(isZero(value, precision).and(isZero(a, precision))), precision),
      exact: () => s.fn.i32(0),
    };
  };
const simdSquareRoot =
  (precision: Precision): SimdOperation =>
  (s, [b]) => {
    const value = b.un(`${simdShape[precision]}.sqrt`);
    return { value, ok: allFinite(value, precision), exact: () => s.fn.i32(0) };
  };

/** 1 / b or 1 / sqrt(b): estimates, which do not tell whether they are exact. */
const simdReciprocal =
  (precision: Precision, root: boolean): SimdOperation =>
  (s, [b]) => {
    const shape = simdShape[precision];
    const one = constant(s.fn, precision, 0x3ffn << 52n, 0x3f80_0000n);
    const value = one.bin(`${shape}.div`, root ? b.un(`${shape}.sqrt`) : b);
    return { value, ok: allTrue(ordinary(value, precision), precision) };
  };

const simdFusedDouble =
  (operation: Operation): SimdOperation =>
  (s, [a, c, b]) => {
    const { fn, fuses } = s;
    const turned = operation.control & CONTROL.SUBTRACT ? b.un('f64x2.neg') : b;
    const sum = fuses
      ? fn.pureV128('f64x2.relaxed_madd', [a, c, turned])
      : fn.call('v128', s.runtime(fusedOrNaNs), [a, c, turned]);
    return {
      value: operation.control & CONTROL.NEGATE ? sum.un('f64x2.neg') : sum,
      ok: fuses ? allTrue(ordinary(sum, 'double'), 'double') : allFinite(sum, 'double'),
      unusual: fuses ? () => allTrue(ordinaryOrZero(sum, a, c, b, 'double'), 'double') : undefined,
      exact: () => {
        const product = a.bin('f64x2.mul', c);
        const twice = product.bin('f64x2.add', turned);
        const same = twice.bin('f64x2.eq', sum).and(isExactSum(twice, product, turned, 'double'));
        const fine = ordinary(product, 'double').or(noFactor(a, c, 'double'));
        return allTrue(same.and(shortFactors(a, c)).and(fine), 'double');
      },
    };
  };
/** Fused multiply-add of doubles; NaNs where that would take more. */
const fusedOrNaNs = runtimeFunction('fpu.fusedOrNaNs', ['v128', 'v128', 'v128'], 'v128', (fn) => {
  const [a, c, b] = [0, 1, 2].map((index) => fn.param('v128', index));
  const { value, fine } = fusedDoubles(fn, a, c, b);
  fn.return(value.or(fine.not()));
});

const simdFusedSingle =
  (operation: Operation): SimdOperation =>
  (s, [a, c, b]) => {
    const { fn } = s;
    const turned = operation.control & CONTROL.SUBTRACT ? b.un('f32x4.neg') : b;
    const sums = () => {
      const [x, y, z] = [halves(a), halves(c), halves(turned)];
      return [0, 1].map((half) => {
        const product = x[half].bin('f64x2.mul', y[half]);
        return { product, addend: z[half], sum: product.bin('f64x2.add', z[half]) };
      });
    };
    const isExact = (value: V128, parts: ReturnType<typeof sums>) => {
      const narrowed = halves(value);
      const [low, high] = parts.map(({ product, addend, sum }, half) =>
        isExactSum(sum, product, addend, 'double').and(sum.bin('f64x2.eq', narrowed[half])),
      );
      return allTrue(low.and(high), 'double');
    };
    const turn = (value: V128) => (operation.control & CONTROL.NEGATE ? value.un('f32x4.neg') : value);
    if (s.fuses) {
      const value = fn.pureV128('f32x4.relaxed_madd', [a, c, turned]);
      return {
        value: turn(value),
        ok: allTrue(ordinary(value, 'single'), 'single'),
        unusual: () => allTrue(ordinaryOrZero(value, a, c, b, 'single'), 'single'),
        exact: () => isExact(value, sums()),
      };
    }
    // The sum is rounded twice: that goes wrong only where the double lies halfway between two singles.
    const parts = sums();
    const value = narrow(parts[0].sum, parts[1].sum);
    const below = fn.v128(0x1fff_ffffn * ((1n << 64n) + 1n));
    const half = fn.v128(0x1000_0000n * ((1n << 64n) + 1n));
    const least = fn.v128((0x382n << 52n) * ((1n << 64n) + 1n));
    const [low, high] = parts.map(({ sum }) =>
      sum
        .and(below)
        .bin('i64x2.eq', half)
        .or(
          sum
            .un('f64x2.abs')
            .bin('f64x2.lt', least)
            .and(sum.bin('f64x2.ne', zeros(fn))),
        ),
    );
    const unclear = low.or(high).test('v128.any_true');
    return {
      value: turn(value),
      ok: allFinite(value, 'single').and(unclear.eqz()),
      exact: () => isExact(value, parts),
    };
  };

const simdOperations: Readonly<Record<Precision, Partial<Record<keyof typeof operations, SimdOperation>>>> = {
  double: simdOf('double'),
  single: simdOf('single'),
};
function simdOf(precision: Precision): Partial<Record<keyof typeof operations, SimdOperation>> {
  const fused = precision === 'double' ? simdFusedDouble : simdFusedSingle;
  return {
    add: simdAdd(precision, false),
    subtract: simdAdd(precision, true),
    multiply: simdMultiply(precision),
    divide: simdDivide(precision),
    squareRoot: simdSquareRoot(precision),
    reciprocal: simdReciprocal(precision, false),
    reciprocalSquareRoot: simdReciprocal(precision, true),
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
    const fpscr = s.fpscrControls();
    const write = (value: V128) => s.setVsr('xt', value);
    const careful = () =>
      carefullyVector(s, () => fn.call('v128', s.runtime(long), [...operands, controlWord(s, fpscr, flags)]), write);
    if (!simd) return careful();
    quickly(s, fpscr, isPlain(fpscr), simd(s, operands), write, careful);
  };
}

/** What SIMD can still say about operands that the short way does not take, before all is done element by element. */
interface SecondChance {
  readonly value: V128;
  readonly ok: I32;
  readonly exact: I32;
}
type Chance = (fn: FunctionBuilder, operands: readonly V128[], control: I32) => SecondChance;

function signsIf(fn: FunctionBuilder, precision: Precision, control: I32, flag: number): V128 {
  const sign = constant(fn, precision, 1n << 63n, 1n << 31n);
  return sign.and(fn.splat32(control.and(flag).eqz().sub(1)));
}

const fusedDoublesChance: Chance = (fn, [a, c, b], control) => {
  const turned = b.xor(signsIf(fn, 'double', control, CONTROL.SUBTRACT));
  const { value, fine, exact } = fusedDoubles(fn, a, c, turned);
  return {
    value: value.xor(signsIf(fn, 'double', control, CONTROL.NEGATE)),
    ok: allTrue(fine, 'double'),
    exact: allTrue(exact, 'double'),
  };
};
const fusedSinglesChance: Chance = (fn, [a, c, b], control) => {
  const turned = b.xor(signsIf(fn, 'single', control, CONTROL.SUBTRACT));
  const { value, odd } = fusedSingles(fn, a, c, turned);
  const least = fn.splat64(fn.i64(0x381n << 52n));
  const fine = odd.map((v) => v.un('f64x2.abs').bin('f64x2.ge', least).or(isZero(v, 'double')));
  const same = halves(value).map((half, index) => half.bin('f64x2.eq', odd[index]));
  return {
    value: value.xor(signsIf(fn, 'single', control, CONTROL.NEGATE)),
    ok: allFinite(value, 'single').and(allTrue(fine[0].and(fine[1]), 'double')),
    // What was rounded to odd is no single.
    exact: allTrue(same[0].and(same[1]), 'double'),
  };
};

function chanceOf(kind: keyof typeof operations, precision: Precision): Chance | undefined {
  switch (kind) {
    case 'multiplyAdd':
    case 'multiplySubtract':
    case 'negativeMultiplyAdd':
    case 'negativeMultiplySubtract':
      return precision === 'double' ? fusedDoublesChance : fusedSinglesChance;
    default:
      return undefined;
  }
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
    const one: ElementFunction = (fn, runtime, elements, control) =>
      fn.call('i64', runtime.ref(exact), [...elements, control]);
    const chance = chanceOf(kind, precision);
    found = vectorFunction(name, operands, (fn, runtime, vectors, control) => {
      if (chance) {
        const fpscr = get64(fn, 'fpscr');
        const { value, ok, exact: isExact } = chance(fn, vectors, control);
        fn.if(isPlain(fpscr).and(ok).and(hasInexact(fpscr).or(isExact)), () => fn.return(value));
      }
      return onElements(fn, runtime, vectors, control, lanes, lanes, one);
    });
    longWays.set(name, found);
  }
  return found;
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
    const fpscr = s.fpscrControls();
    const write = (value: V128) => s.setVsr('xt', value);
    const value = simdIntegral(b, mode, precision);
    const quick: Quick = {
      value,
      ok: allTrue(b.bin(`${shape}.eq`, b), precision),
      exact: mode === 'current' ? () => allTrue(value.bin(`${shape}.eq`, b), precision) : undefined,
    };
    quickly(s, fpscr, mode === 'current' ? isPlain(fpscr) : isQuiet(fpscr), quick, write, () =>
      carefullyVector(s, () => fn.call('v128', s.runtime(long), [b, integralControl(s, mode, fpscr)]), write),
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
      allTrue(numbers, precision).and(isQuiet(s.fpscrControls())),
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
      true,
    );
  };
}
