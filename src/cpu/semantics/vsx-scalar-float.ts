// Scalar floating point in vector-scalar registers (ISA 3.0B I 7.6.3): double and single precision, conversions.
//
// Results that the ISA leaves undefined are those of POWER9: a scalar result clears doubleword 1, a word that stands in
// word 0 stands in word 1 too, conversions to integers keep FPRF.

import type { I32, I64 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { exactFromHalf, exactRoundHalf } from './fpu/exact.ts';
import {
  BELOW_SINGLE,
  doubleOfSingle,
  INFINITY,
  isNaN64,
  MAGNITUDE,
  SIGN,
  SINGLE_MIN_FIELD,
  singleOfDouble,
} from './fpu/format.ts';
import { classOfDouble, classOfHalf, clearRaised, commitVector, FPSCR } from './fpu/fpscr.ts';
import { DOUBLE_TEST, significandOf, testDataClass, testDivide, testSquareRoot } from './fpu/operand-tests.ts';
import {
  compareRaises,
  exactMaximum,
  exactMaximumC,
  exactMaximumJava,
  exactMinimum,
  exactMinimumC,
  exactMinimumJava,
} from './fpu/order.ts';
import {
  arithmetic,
  carefully,
  compare,
  controlWord,
  convertFromInteger,
  convertToInteger,
  fromVsr,
  type IntegerTarget,
  type IntegralMode,
  type Operation,
  operations,
  type Read,
  roundToIntegral,
  toVsr,
} from './fpu/scalar.ts';
import type { RuntimeFunction } from './runtime.ts';

const [xa, xb, xt] = [fromVsr('xa'), fromVsr('xb'), fromVsr('xt')];

const dp = (operation: Operation, ...reads: Read[]) => arithmetic(operation, false, reads, toVsr);
const sp = (operation: Operation, ...reads: Read[]) => arithmetic(operation, true, reads, toVsr);

// Factors and addend: the a forms add the target, the m forms multiply by it.
const addsTarget = [xa, xb, xt] as const;
const multipliesTarget = [xa, xt, xb] as const;

/** XT := f(XB, XA), bits only. */
const move =
  (f: (b: I64, a: I64) => I64, readA: Read = xb): Semantics =>
  (s) =>
    toVsr(s, f(xb(s), readA(s)));

/** Word 0 as a double, and a single in words 0 and 1. */
const word0: Read = (s) => doubleOfSingle(xb(s).shrU(32).wrap());
const toWord0 = (s: Emitter, bits: I64) => {
  const word = singleOfDouble(bits).extendU();
  toVsr(s, word.or(word.shl(32)));
};

const toInteger = (signed: boolean, bits: IntegerTarget['bits']) =>
  convertToInteger({ signed, bits, truncate: true }, xb, toVsr);
const integral = (mode: IntegralMode) => roundToIntegral(mode, xb, toVsr);

/** A conversion without a short way. */
function conversion(f: RuntimeFunction, fprf: (bits: I64) => I32): Semantics {
  return (s) => {
    const b = xb(s);
    const control = controlWord(s, s.state64('fpscr'), 0);
    carefully(
      s,
      () => s.fn.call('i64', s.runtime(f), [b, control]),
      fprf,
      (bits) => toVsr(s, bits),
    );
    s.takeFpEnabled();
  };
}

/** Enters what was raised, FPRF, FR and FI aside; writes unless an enabled exception is among it. */
function enterThen(s: Emitter, write: () => void): void {
  s.fn.if(s.fn.call('i32', s.runtime(commitVector), []), write);
  s.takeFpEnabled();
}
function extreme(f: RuntimeFunction): Semantics {
  return (s) => {
    clearRaised(s.fn);
    const bits = s.fn.call('i64', s.runtime(f), [xa(s), xb(s), s.fn.i32(0)]);
    enterThen(s, () => toVsr(s, bits));
  };
}
/** All ones or all zeros. */
function compareToMask(op: 'eq' | 'ge' | 'gt'): Semantics {
  return (s) => {
    const { fn } = s;
    const [a, b] = [xa(s), xb(s)];
    const holds = a.reinterpretF64()[op](b.reinterpretF64());
    clearRaised(fn);
    fn.callVoid(s.runtime(compareRaises), [a, b, fn.i32(op === 'eq' ? 0 : 1)]);
    enterThen(s, () => toVsr(s, holds.extendU().neg()));
  };
}

/** CR field BF and FPCC. */
function setBfAndFpcc(s: Emitter, field: I32): void {
  const rest = s.state64('fpscr').and(~BigInt(FPSCR.FPCC));
  s.setState64('fpscr', rest.or(field.extendU().shl(12)));
  s.setCrField(s.field('bf'), field);
}

function compareExponents(s: Emitter): void {
  const [a, b] = [xa(s), xb(s)];
  const [x, y] = [a.and(INFINITY), b.and(INFINITY)];
  const order = x.ltU(y).shl(3).or(x.gtU(y).shl(2)).or(x.eq(y).shl(1));
  setBfAndFpcc(s, s.fn.i32(1).selectIf(isNaN64(a).or(isNaN64(b)), order));
}

/** Sign, match, and for singles whether the double is no single: 8, 2, 1. */
function testClass(single: boolean): Semantics {
  return (s) => {
    const b = xb(s);
    const sign = b.shrU(63).wrap().shl(3);
    const magnitude = b.and(MAGNITUDE);
    const tiny = magnitude.sub(1).ltU((BigInt(SINGLE_MIN_FIELD) << 52n) - 1n);
    // In the range of a single, what lies below 2^-126 is a denormal.
    const tested = single ? b.and(SIGN).or(1).selectIf(tiny, b) : b;
    const match = testDataClass(tested, s.field('dcmx'), DOUBLE_TEST).shl(1);
    const field = sign.or(match);
    if (!single) return setBfAndFpcc(s, field);
    const special = magnitude.geU(INFINITY).and(b.and(BELOW_SINGLE).eqz());
    const narrowed = doubleOfSingle(singleOfDouble(b))
      .eq(b)
      .and(magnitude.ltU(0x47f0n << 48n));
    return setBfAndFpcc(s, field.or(special.or(narrowed).eqz()));
  };
}

export const vsxScalarFloat = {
  xsabsdp: move((b) => b.reinterpretF64().abs().reinterpretI64()),
  xsnabsdp: move((b) => b.or(SIGN)),
  xsnegdp: move((b) => b.reinterpretF64().neg().reinterpretI64()),
  xscpsgndp: move((b, a) => a.and(SIGN).or(b.and(MAGNITUDE)), xa),

  xsadddp: dp(operations.add, xa, xb),
  xsaddsp: sp(operations.add, xa, xb),
  xssubdp: dp(operations.subtract, xa, xb),
  xssubsp: sp(operations.subtract, xa, xb),
  xsmuldp: dp(operations.multiply, xa, xb),
  xsmulsp: sp(operations.multiply, xa, xb),
  xsdivdp: dp(operations.divide, xa, xb),
  xsdivsp: sp(operations.divide, xa, xb),
  xssqrtdp: dp(operations.squareRoot, xb),
  xssqrtsp: sp(operations.squareRoot, xb),
  xsredp: dp(operations.reciprocal, xb),
  xsresp: sp(operations.reciprocal, xb),
  xsrsqrtedp: dp(operations.reciprocalSquareRoot, xb),
  xsrsqrtesp: sp(operations.reciprocalSquareRoot, xb),
  xsmaddadp: dp(operations.multiplyAdd, ...addsTarget),
  xsmaddmdp: dp(operations.multiplyAdd, ...multipliesTarget),
  xsmaddasp: sp(operations.multiplyAdd, ...addsTarget),
  xsmaddmsp: sp(operations.multiplyAdd, ...multipliesTarget),
  xsmsubadp: dp(operations.multiplySubtract, ...addsTarget),
  xsmsubmdp: dp(operations.multiplySubtract, ...multipliesTarget),
  xsmsubasp: sp(operations.multiplySubtract, ...addsTarget),
  xsmsubmsp: sp(operations.multiplySubtract, ...multipliesTarget),
  xsnmaddadp: dp(operations.negativeMultiplyAdd, ...addsTarget),
  xsnmaddmdp: dp(operations.negativeMultiplyAdd, ...multipliesTarget),
  xsnmaddasp: sp(operations.negativeMultiplyAdd, ...addsTarget),
  xsnmaddmsp: sp(operations.negativeMultiplyAdd, ...multipliesTarget),
  xsnmsubadp: dp(operations.negativeMultiplySubtract, ...addsTarget),
  xsnmsubmdp: dp(operations.negativeMultiplySubtract, ...multipliesTarget),
  xsnmsubasp: sp(operations.negativeMultiplySubtract, ...addsTarget),
  xsnmsubmsp: sp(operations.negativeMultiplySubtract, ...multipliesTarget),

  xsmaxdp: extreme(exactMaximum),
  xsmindp: extreme(exactMinimum),
  xsmaxcdp: extreme(exactMaximumC),
  xsmincdp: extreme(exactMinimumC),
  xsmaxjdp: extreme(exactMaximumJava),
  xsminjdp: extreme(exactMinimumJava),

  xscmpodp: compare(true, xa, xb),
  xscmpudp: compare(false, xa, xb),
  xscmpeqdp: compareToMask('eq'),
  xscmpgedp: compareToMask('ge'),
  xscmpgtdp: compareToMask('gt'),
  xscmpexpdp: compareExponents,
  xststdcdp: testClass(false),
  xststdcsp: testClass(true),
  xstdivdp: (s) => s.setCrField(s.field('bf'), testDivide(xa(s), xb(s))),
  xstsqrtdp: (s) => s.setCrField(s.field('bf'), testSquareRoot(xb(s))),

  xsrdpi: integral('away'),
  xsrdpic: integral('current'),
  xsrdpim: integral('down'),
  xsrdpip: integral('up'),
  xsrdpiz: integral('zero'),
  xsrsp: sp(operations.round, xb),

  xscvdpsp: arithmetic(operations.round, true, [xb], toWord0),
  xscvdpspn: (s) => toWord0(s, xb(s)),
  xscvspdp: arithmetic(operations.round, false, [word0], toVsr),
  xscvspdpn: (s) => toVsr(s, word0(s)),
  xscvdphp: conversion(exactRoundHalf, classOfHalf),
  xscvhpdp: conversion(exactFromHalf, (bits) => classOfDouble(bits, false)),
  xscvdpsxds: toInteger(true, 64),
  xscvdpsxws: toInteger(true, 32),
  xscvdpuxds: toInteger(false, 64),
  xscvdpuxws: toInteger(false, 32),
  xscvsxddp: convertFromInteger(true, false, xb, toVsr),
  xscvsxdsp: convertFromInteger(true, true, xb, toVsr),
  xscvuxddp: convertFromInteger(false, false, xb, toVsr),
  xscvuxdsp: convertFromInteger(false, true, xb, toVsr),

  xsiexpdp: (s) => toVsr(s, s.gpr('ra').and(~INFINITY).or(s.gpr('rb').and(0x7ff).shl(52))),
  xsxexpdp: (s) => s.setGpr('rt', xb(s).shrU(52).and(0x7ff)),
  xsxsigdp: (s) => s.setGpr('rt', significandOf(xb(s))),
} satisfies SemanticsMap;
