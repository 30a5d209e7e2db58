// Vector floating point in vector-scalar registers (ISA 3.0B I 7.6.3): arithmetic, compares, conversions.
//
// Results that the ISA leaves undefined are those of POWER9: a word in word 0 (2) of a conversion's result stands in
// word 1 (3) too.

import type { FunctionBuilder, I32, I64, V128 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import {
  exactFromHalf,
  exactFromInteger,
  exactRound,
  exactRoundHalf,
  exactToInteger,
  exactToIntegral,
  TO_INTEGER,
} from './fpu/exact.ts';
import { isPlain, isQuiet } from './fpu/fast.ts';
import {
  doublewords,
  evenSignedWords,
  evenSingles,
  evenUnsignedWords,
  halfwords,
  type Lanes,
  signedWords,
  singles,
  unsignedWords,
} from './fpu/lanes.ts';
import {
  DOUBLE_TEST,
  SINGLE_TEST,
  type TestFormat,
  testDataClass,
  testDivide,
  testSquareRoot,
} from './fpu/operand-tests.ts';
import { compareRaises, exactMaximum, exactMinimum } from './fpu/order.ts';
import { CONTROL } from './fpu/round.ts';
import { controlWord, type IntegralMode } from './fpu/scalar.ts';
import {
  allFinite,
  allTrue,
  carefullyVector,
  eachElement,
  type Precision,
  type Quick,
  quickly,
  vectorArithmetic,
  vectorCompare,
  vectorIntegral,
} from './fpu/vector.ts';
import { type RuntimeFunction, runtimeFunction } from './runtime.ts';
import { constantLanes, vsxBinary } from './vector-elements.ts';

const AB = ['xa', 'xb'] as const;
const B = ['xb'] as const;
// Factors and addend: the a forms add the target, the m forms multiply by it.
const ADDS_TARGET = ['xa', 'xb', 'xt'] as const;
const MULTIPLIES_TARGET = ['xa', 'xt', 'xb'] as const;

const lanesOf = { double: doublewords, single: singles } as const;
const floatShape = { double: 'f64x2', single: 'f32x4' } as const;
const width = { double: 8, single: 4 } as const;
const format = { double: DOUBLE_TEST, single: SINGLE_TEST } as const;
/** Elements as plain bits. */
const bitLanes = { double: doublewords, single: unsignedWords } as const;

/** A function of (operands, control) that works on doubles, for each element. */
function elements(f: RuntimeFunction, operands: number, from: Lanes, to: Lanes, name: string): RuntimeFunction {
  return eachElement(`${f.name}.${name}`, operands, from, to, (fn, runtime, values, control) =>
    fn.call('i64', runtime.ref(f), [...values, control]),
  );
}

function extreme(f: RuntimeFunction, op: 'max' | 'min', precision: Precision): Semantics {
  const lanes = lanesOf[precision];
  const all = elements(f, 2, lanes, lanes, `${precision}s`);
  return (s) => {
    const { fn } = s;
    const [a, b] = [s.vsr('xa'), s.vsr('xb')];
    const shape = floatShape[precision];
    const numbers = a.bin(`${shape}.eq`, a).and(b.bin(`${shape}.eq`, b));
    const write = (value: V128) => s.setVsr('xt', value);
    fn.if(
      isQuiet(s.fpscrControls()).and(allTrue(numbers, precision)),
      // Of zeros the positive is the larger in both books.
      () => write(a.bin(`${shape}.${op}`, b)),
      () => carefullyVector(s, () => fn.call('v128', s.runtime(all), [a, b, fn.i32(0)]), write),
      true,
    );
  };
}

const integralFunctions = {
  double: elements(exactToIntegral, 1, doublewords, doublewords, 'doubles'),
  single: elements(exactToIntegral, 1, singles, singles, 'singles'),
};
const integral = (mode: IntegralMode, precision: Precision) =>
  vectorIntegral(mode, precision, integralFunctions[precision]);

/** Raises what the compares of all elements raise. */
function compareFunction(precision: Precision, ordered: boolean): RuntimeFunction {
  const name = `fpu.compare${ordered ? 'Ordered' : ''}.${precision}s`;
  return runtimeFunction(name, ['v128', 'v128'], undefined, (fn, runtime) => {
    const [a, b] = [0, 1].map((index) => lanesOf[precision].read(fn.param('v128', index)));
    a.forEach((x, index) => {
      fn.callVoid(runtime.ref(compareRaises), [x, b[index], fn.i32(ordered ? 1 : 0)]);
    });
  });
}
const compareFunctions = {
  double: [compareFunction('double', false), compareFunction('double', true)],
  single: [compareFunction('single', false), compareFunction('single', true)],
};
const compare = (op: 'eq' | 'ge' | 'gt', precision: Precision) =>
  vectorCompare(op, precision, compareFunctions[precision][op === 'eq' ? 0 : 1]);

/** The OR of the tests of all elements. */
function operandTest(
  precision: Precision,
  fields: readonly string[],
  test: (operands: readonly I64[], f: TestFormat) => I32,
): Semantics {
  return (s) => {
    const columns = fields.map((field) => bitLanes[precision].read(s.vsr(field)));
    const results = columns[0].map((_, index) =>
      test(
        columns.map((column) => column[index]),
        format[precision],
      ),
    );
    s.setCrField(
      s.field('bf'),
      results.reduce((all, one) => all.or(one)),
    );
  };
}

function testClass(precision: Precision): Semantics {
  const lanes = bitLanes[precision];
  const f = eachElement(`fpu.testDataClass.${precision}s`, 1, lanes, lanes, (_fn, _runtime, [b], dcmx) =>
    testDataClass(b, dcmx, format[precision]).extendU().neg(),
  );
  return (s) => s.setVsr('xt', s.fn.call('v128', s.runtime(f), [s.vsr('xb'), s.field('dcmx')]));
}

// Conversions.

type Control = (s: Emitter, fpscr: I64) => I32;
const rounding =
  (flags: number): Control =>
  (s, fpscr) =>
    controlWord(s, fpscr, flags);
const fixed =
  (control: number): Control =>
  (s) =>
    s.fn.i32(control);

type QuickConversion = (fn: FunctionBuilder, b: V128) => Quick;

/** XT := f(XB); `quick` as the SIMD operations of vector.ts. */
function conversion(f: RuntimeFunction, control: Control, quick?: QuickConversion): Semantics {
  return (s) => {
    const { fn } = s;
    const b = s.vsr('xb');
    const fpscr = s.fpscrControls();
    const write = (value: V128) => s.setVsr('xt', value);
    const long = () => carefullyVector(s, () => fn.call('v128', s.runtime(f), [b, control(s, fpscr)]), write);
    if (!quick) return long();
    quickly(s, fpscr, isPlain(fpscr), quick(fn, b), write, long);
  };
}

/** The even words, which POWER9 copies to the odd ones, from lanes 0 and 1. */
const evenFromLow = (v: V128) => v.shuffle(v, [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7]);
/** Singles in words 0 and 2 as doubles. */
const evenToDoubles = (v: V128) =>
  v.shuffle(v, [4, 5, 6, 7, 12, 13, 14, 15, 4, 5, 6, 7, 12, 13, 14, 15]).un('f64x2.promote_low_f32x4');
const doubleConstant = (fn: FunctionBuilder, value: number) => fn.pureV128('f64x2.splat', [fn.f64(value)]);

const quickToSingles: QuickConversion = (fn, b) => {
  const singles = b.un('f32x4.demote_f64x2_zero');
  const back = singles.un('f64x2.promote_low_f32x4');
  const large = b.un('f64x2.abs').bin('f64x2.ge', doubleConstant(fn, 2 ** -125));
  const zero = b.bin('f64x2.eq', fn.v128(0n));
  return {
    value: evenFromLow(singles),
    ok: allFinite(back, 'double').and(allTrue(large.or(zero), 'double')),
    exact: () => allTrue(back.bin('f64x2.eq', b), 'double'),
  };
};
const quickToDoubles: QuickConversion = (_fn, b) => {
  const value = evenToDoubles(b);
  return { value, ok: allTrue(value.bin('f64x2.eq', value), 'double') };
};

const ROUND_TO_ZERO = 1;
const { UNSIGNED, WORD } = TO_INTEGER;
const toInteger = (from: Lanes, to: Lanes, kind: number, name: string, quick: QuickConversion) =>
  conversion(elements(exactToInteger, 1, from, to, name), fixed(ROUND_TO_ZERO | kind), quick);

/** Singles to words where all are in range. */
const quickToWords =
  (signed: boolean): QuickConversion =>
  (fn, b) => {
    const least = constantLanes(fn, 4, signed ? 0xcf00_0000 : 0);
    const limit = constantLanes(fn, 4, signed ? 0x4f00_0000 : 0x4f80_0000);
    const inRange = b.bin('f32x4.ge', least).and(b.bin('f32x4.lt', limit));
    return {
      value: b.un(`i32x4.trunc_sat_f32x4_${signed ? 's' : 'u'}`),
      ok: inRange.test('i32x4.all_true'),
      exact: () => allTrue(b.un('f32x4.trunc').bin('f32x4.eq', b), 'single'),
    };
  };
/** Doubles, or singles in the even words, to integers where all are in range. */
const quickToIntegers =
  (from: 'doubles' | 'evenSingles', bits: 32 | 64, signed: boolean): QuickConversion =>
  (fn, b) => {
    const doubles = from === 'doubles' ? b : evenToDoubles(b);
    const whole = doubles.un('f64x2.trunc');
    const limit = 2 ** (signed ? bits - 1 : bits);
    const inRange = whole
      .bin('f64x2.ge', doubleConstant(fn, signed ? -limit : 0))
      .and(whole.bin('f64x2.lt', doubleConstant(fn, limit)));
    const integer = (lane: number) => {
      const x = doubles.extractF64(lane);
      return signed ? x.truncSatToI64S() : x.truncSatToI64U();
    };
    const value =
      bits === 64
        ? fn.v128From64(integer(1), integer(0))
        : evenFromLow(doubles.un(`i32x4.trunc_sat_f64x2_${signed ? 's' : 'u'}_zero`));
    return {
      value,
      ok: allTrue(inRange, 'double'),
      exact: () => allTrue(whole.bin('f64x2.eq', doubles), 'double'),
    };
  };
const quickFromWords =
  (signed: boolean): QuickConversion =>
  (fn, b) => ({
    value: b.un(`f32x4.convert_i32x4_${signed ? 's' : 'u'}`),
    ok: fn.i32(1),
    exact: () =>
      (signed ? b.un('i32x4.abs') : b).bin('i32x4.le_u', constantLanes(fn, 4, 2 ** 24)).test('i32x4.all_true'),
  });
const quickFromDoublewords =
  (to: 'doubles' | 'evenSingles', signed: boolean): QuickConversion =>
  (fn, b) => {
    const [low, high] = [b.extract64(0), b.extract64(1)];
    const exactTo = 1n << (to === 'doubles' ? 53n : 24n);
    const fits = (x: I64) => (signed ? x.add(exactTo).leU(2n * exactTo) : x.leU(exactTo));
    const exact = () => fits(low).and(fits(high));
    if (to === 'doubles') {
      const [x, y] = [low, high].map((v) => (signed ? v.convertToF64S() : v.convertToF64U()));
      const value = fn.pureV128('f64x2.replace_lane', [fn.pureV128('f64x2.splat', [x]), y], 1);
      return { value, ok: fn.i32(1), exact };
    }
    const [x, y] = [low, high].map((v) => (signed ? v.convertToF32S() : v.convertToF32U()));
    const splat = fn.pureV128('f32x4.splat', [x]);
    const third = fn.pureV128('f32x4.replace_lane', [splat, y], 2);
    return { value: fn.pureV128('f32x4.replace_lane', [third, y], 3), ok: fn.i32(1), exact };
  };

function fromInteger(from: Lanes, to: Lanes, signed: boolean, name: string, quick: QuickConversion): Semantics {
  const f = eachElement(`${exactFromInteger.name}.${name}`, 1, from, to, (fn, runtime, [value], control) => {
    const negative = signed ? value.ltS(0n) : fn.i32(0);
    const magnitude = value.neg().selectIf(negative, value);
    return fn.call('i64', runtime.ref(exactFromInteger), [magnitude, negative, control]);
  });
  return conversion(f, rounding(to === doublewords ? 0 : CONTROL.SINGLE), quick);
}

/** Words 0 and 2 to doubles: exact, and no business of FPSCR. */
const wordsToDoubles =
  (signed: boolean): Semantics =>
  (s) => {
    const b = s.vsr('xb');
    const words = b.shuffle(b, [4, 5, 6, 7, 12, 13, 14, 15, 0, 1, 2, 3, 8, 9, 10, 11]);
    s.setVsr('xt', words.un(`f64x2.convert_low_i32x4_${signed ? 's' : 'u'}`));
  };

/** Bits of each element, as constants of the precision. */
function masks(fn: FunctionBuilder, precision: Precision) {
  const bits = 8 * width[precision];
  const { fractionBits } = format[precision];
  const sign = 1n << BigInt(bits - 1);
  const fraction = (1n << BigInt(fractionBits)) - 1n;
  const exponent = sign - 1n - fraction;
  const lanes = (value: bigint) => constantLanes(fn, width[precision], value);
  return { sign: lanes(sign), fraction: lanes(fraction), exponent: lanes(exponent), implicit: lanes(fraction + 1n) };
}
const shape = { double: 'i64x2', single: 'i32x4' } as const;

/** XT := f(XB) on bits. */
const bitwise =
  (f: (b: V128, fn: FunctionBuilder) => V128): Semantics =>
  (s) =>
    s.setVsr('xt', f(s.vsr('xb'), s.fn));
const absolute = (p: Precision) => bitwise((b, fn) => b.andnot(masks(fn, p).sign));
const negativeAbsolute = (p: Precision) => bitwise((b, fn) => b.or(masks(fn, p).sign));
const negated = (p: Precision) => bitwise((b, fn) => b.xor(masks(fn, p).sign));
const copySign = (p: Precision) => vsxBinary((a, b, s) => a.bitselect(b, masks(s.fn, p).sign));
const insertExponent = (p: Precision) =>
  vsxBinary((a, b, s) => b.shift(`${shape[p]}.shl`, format[p].fractionBits).bitselect(a, masks(s.fn, p).exponent));
const extractExponent = (p: Precision) =>
  bitwise((b, fn) => b.and(masks(fn, p).exponent).shift(`${shape[p]}.shr_u`, format[p].fractionBits));
const extractSignificand = (p: Precision) =>
  bitwise((b, fn) => {
    const { fraction, exponent, implicit } = masks(fn, p);
    const field = b.and(exponent);
    const none = field.bin(`${shape[p]}.eq`, fn.v128(0n)).or(field.bin(`${shape[p]}.eq`, exponent));
    return b.and(fraction).or(implicit.andnot(none));
  });

export const vsxVectorFloat = {
  xvabsdp: absolute('double'),
  xvabssp: absolute('single'),
  xvnabsdp: negativeAbsolute('double'),
  xvnabssp: negativeAbsolute('single'),
  xvnegdp: negated('double'),
  xvnegsp: negated('single'),
  xvcpsgndp: copySign('double'),
  xvcpsgnsp: copySign('single'),

  xvadddp: vectorArithmetic('add', 'double', AB),
  xvaddsp: vectorArithmetic('add', 'single', AB),
  xvsubdp: vectorArithmetic('subtract', 'double', AB),
  xvsubsp: vectorArithmetic('subtract', 'single', AB),
  xvmuldp: vectorArithmetic('multiply', 'double', AB),
  xvmulsp: vectorArithmetic('multiply', 'single', AB),
  xvdivdp: vectorArithmetic('divide', 'double', AB),
  xvdivsp: vectorArithmetic('divide', 'single', AB),
  xvsqrtdp: vectorArithmetic('squareRoot', 'double', B),
  xvsqrtsp: vectorArithmetic('squareRoot', 'single', B),
  xvredp: vectorArithmetic('reciprocal', 'double', B),
  xvresp: vectorArithmetic('reciprocal', 'single', B),
  xvrsqrtedp: vectorArithmetic('reciprocalSquareRoot', 'double', B),
  xvrsqrtesp: vectorArithmetic('reciprocalSquareRoot', 'single', B),
  xvmaddadp: vectorArithmetic('multiplyAdd', 'double', ADDS_TARGET),
  xvmaddmdp: vectorArithmetic('multiplyAdd', 'double', MULTIPLIES_TARGET),
  xvmaddasp: vectorArithmetic('multiplyAdd', 'single', ADDS_TARGET),
  xvmaddmsp: vectorArithmetic('multiplyAdd', 'single', MULTIPLIES_TARGET),
  xvmsubadp: vectorArithmetic('multiplySubtract', 'double', ADDS_TARGET),
  xvmsubmdp: vectorArithmetic('multiplySubtract', 'double', MULTIPLIES_TARGET),
  xvmsubasp: vectorArithmetic('multiplySubtract', 'single', ADDS_TARGET),
  xvmsubmsp: vectorArithmetic('multiplySubtract', 'single', MULTIPLIES_TARGET),
  xvnmaddadp: vectorArithmetic('negativeMultiplyAdd', 'double', ADDS_TARGET),
  xvnmaddmdp: vectorArithmetic('negativeMultiplyAdd', 'double', MULTIPLIES_TARGET),
  xvnmaddasp: vectorArithmetic('negativeMultiplyAdd', 'single', ADDS_TARGET),
  xvnmaddmsp: vectorArithmetic('negativeMultiplyAdd', 'single', MULTIPLIES_TARGET),
  xvnmsubadp: vectorArithmetic('negativeMultiplySubtract', 'double', ADDS_TARGET),
  xvnmsubmdp: vectorArithmetic('negativeMultiplySubtract', 'double', MULTIPLIES_TARGET),
  xvnmsubasp: vectorArithmetic('negativeMultiplySubtract', 'single', ADDS_TARGET),
  xvnmsubmsp: vectorArithmetic('negativeMultiplySubtract', 'single', MULTIPLIES_TARGET),

  xvmaxdp: extreme(exactMaximum, 'max', 'double'),
  xvmaxsp: extreme(exactMaximum, 'max', 'single'),
  xvmindp: extreme(exactMinimum, 'min', 'double'),
  xvminsp: extreme(exactMinimum, 'min', 'single'),

  xvcmpeqdp: compare('eq', 'double'),
  xvcmpeqsp: compare('eq', 'single'),
  xvcmpgedp: compare('ge', 'double'),
  xvcmpgesp: compare('ge', 'single'),
  xvcmpgtdp: compare('gt', 'double'),
  xvcmpgtsp: compare('gt', 'single'),
  xvtstdcdp: testClass('double'),
  xvtstdcsp: testClass('single'),
  xvtdivdp: operandTest('double', AB, ([a, b], f) => testDivide(a, b, f)),
  xvtdivsp: operandTest('single', AB, ([a, b], f) => testDivide(a, b, f)),
  xvtsqrtdp: operandTest('double', B, ([b], f) => testSquareRoot(b, f)),
  xvtsqrtsp: operandTest('single', B, ([b], f) => testSquareRoot(b, f)),

  xvrdpi: integral('away', 'double'),
  xvrdpic: integral('current', 'double'),
  xvrdpim: integral('down', 'double'),
  xvrdpip: integral('up', 'double'),
  xvrdpiz: integral('zero', 'double'),
  xvrspi: integral('away', 'single'),
  xvrspic: integral('current', 'single'),
  xvrspim: integral('down', 'single'),
  xvrspip: integral('up', 'single'),
  xvrspiz: integral('zero', 'single'),

  xvcvdpsp: conversion(
    elements(exactRound, 1, doublewords, evenSingles, 'toSingles'),
    rounding(CONTROL.SINGLE),
    quickToSingles,
  ),
  xvcvspdp: conversion(elements(exactRound, 1, evenSingles, doublewords, 'toDoubles'), rounding(0), quickToDoubles),
  xvcvhpsp: conversion(elements(exactFromHalf, 1, halfwords, singles, 'toSingles'), fixed(0)),
  xvcvsphp: conversion(elements(exactRoundHalf, 1, singles, halfwords, 'toHalves'), rounding(0)),
  xvcvdpsxds: toInteger(doublewords, doublewords, 0, 'dpsxds', quickToIntegers('doubles', 64, true)),
  xvcvdpuxds: toInteger(doublewords, doublewords, UNSIGNED, 'dpuxds', quickToIntegers('doubles', 64, false)),
  xvcvdpsxws: toInteger(doublewords, evenSignedWords, WORD, 'dpsxws', quickToIntegers('doubles', 32, true)),
  xvcvdpuxws: toInteger(
    doublewords,
    evenUnsignedWords,
    WORD | UNSIGNED,
    'dpuxws',
    quickToIntegers('doubles', 32, false),
  ),
  xvcvspsxds: toInteger(evenSingles, doublewords, 0, 'spsxds', quickToIntegers('evenSingles', 64, true)),
  xvcvspuxds: toInteger(evenSingles, doublewords, UNSIGNED, 'spuxds', quickToIntegers('evenSingles', 64, false)),
  xvcvspsxws: toInteger(singles, signedWords, WORD, 'spsxws', quickToWords(true)),
  xvcvspuxws: toInteger(singles, unsignedWords, WORD | UNSIGNED, 'spuxws', quickToWords(false)),
  xvcvsxddp: fromInteger(doublewords, doublewords, true, 'sxddp', quickFromDoublewords('doubles', true)),
  xvcvuxddp: fromInteger(doublewords, doublewords, false, 'uxddp', quickFromDoublewords('doubles', false)),
  xvcvsxdsp: fromInteger(doublewords, evenSingles, true, 'sxdsp', quickFromDoublewords('evenSingles', true)),
  xvcvuxdsp: fromInteger(doublewords, evenSingles, false, 'uxdsp', quickFromDoublewords('evenSingles', false)),
  xvcvsxwdp: wordsToDoubles(true),
  xvcvuxwdp: wordsToDoubles(false),
  xvcvsxwsp: fromInteger(signedWords, singles, true, 'sxwsp', quickFromWords(true)),
  xvcvuxwsp: fromInteger(unsignedWords, singles, false, 'uxwsp', quickFromWords(false)),

  xviexpdp: insertExponent('double'),
  xviexpsp: insertExponent('single'),
  xvxexpdp: extractExponent('double'),
  xvxexpsp: extractExponent('single'),
  xvxsigdp: extractSignificand('double'),
  xvxsigsp: extractSignificand('single'),
} satisfies SemanticsMap;
