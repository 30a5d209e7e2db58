// Arithmetic on binary64 bits for any operands, rounding mode and enable: the way taken when the short one
// (fast.ts) does not apply (ISA 3.0B I 4.3, 4.6.6, 7.3).
//
// Products, quotients and roots of significands are taken with WebAssembly's f64 operations, which round to nearest, and
// the sign of what that rounding dropped is found exactly in 64-bit integers: the remainder is known to be small, so its
// value modulo 2^64 is its value. Nearest result and sign of the remainder determine the result in every mode.
//
// All functions note exceptions with `raise`; the caller commits them. `control` is described in round.ts.

import type { FunctionBuilder, I32, I64, Variable } from '../../../wasm/ir.ts';
import { type Runtime, type RuntimeFunction, runtimeFunction } from '../runtime.ts';
import {
  BELOW_SINGLE,
  DEFAULT_NAN,
  FRACTION,
  IMPLICIT,
  INFINITY,
  isNaN64,
  isSignalling64,
  MAGNITUDE,
  ONE,
  QUIET,
  SIGN,
  shiftRightJam,
  unpackFinite,
} from './format.ts';
import { FPSCR, getRaised, raise, setRaised } from './fpscr.ts';
import { multiplySignificands, productHigh } from './product.ts';
import { CONTROL, roundHalf, roundPack, zeroSum } from './round.ts';

/**
 * The NaN that an operation with a NaN among its operands gives: the first of (a, b, c) that is one, made quiet. Raises
 * VXSNAN if any of them signals.
 */
export const propagateNaN = runtimeFunction('fpu.propagateNaN', ['i64', 'i64', 'i64', 'i32'], 'i64', (fn) => {
  const [a, b, c] = [fn.param64(0), fn.param64(1), fn.param64(2)];
  fn.if(isSignalling64(a).or(isSignalling64(b)).or(isSignalling64(c)), () => raise(fn, FPSCR.VXSNAN));
  const first = a.selectIf(isNaN64(a), b.selectIf(isNaN64(b), c)).or(QUIET);
  fn.return(fn.select(fn.param32(3).and(CONTROL.SINGLE), first.and(~BELOW_SINGLE), first));
});

function invalid(fn: FunctionBuilder, kind: number): void {
  raise(fn, kind);
  fn.return(fn.i64(DEFAULT_NAN));
}

function round(fn: FunctionBuilder, runtime: Runtime, sign: I32, exponent: I32, significand: I64, control: I32): I64 {
  return fn.call('i64', runtime.ref(roundPack), [sign, exponent, significand, control]);
}

function signOf(bits: I64): I32 {
  return bits.shrU(63).wrap();
}

/**
 * Significand for rounding from the nearest 53-bit one (leading one in bit 52) and the sign of the exact value minus it,
 * -1, 0 or 1. The exponent changes when the exact value lies below a power of two that it was rounded to.
 */
function jam(nearest: I64, remainder: I64): { significand: I64; lower: I32 } {
  const { fn } = nearest;
  const direction = remainder.shrS(63).or(remainder.ne(0n).extendU());
  const significand = nearest.shl(10).add(direction);
  const lower = significand.ltU(1n << 62n);
  return { significand: fn.select(lower, significand.shl(1).or(1), significand), lower };
}

/** (a, b, control): a + b, or a - b with `CONTROL.SUBTRACT`. */
export const exactAdd = runtimeFunction('fpu.add', ['i64', 'i64', 'i32'], 'i64', (fn, runtime) => {
  const control = fn.param32(2);
  const [p, q] = [fn.param64(0), fn.param64(1)];
  fn.if(isNaN64(p).or(isNaN64(q)), () =>
    fn.return(fn.call('i64', runtime.ref(propagateNaN), [p, q, fn.i64(0), control])),
  );
  const addend = q.xor(control.and(CONTROL.SUBTRACT).extendU().shl(54));
  const opposite = p.xor(addend).ltS(0);
  const infinite = p.and(MAGNITUDE).eq(INFINITY);
  fn.if(addend.and(MAGNITUDE).eq(INFINITY), () => {
    fn.if(infinite.and(opposite), () => invalid(fn, FPSCR.VXISI));
    fn.return(addend);
  });
  fn.if(infinite, () => fn.return(p));

  const ordered = p.and(MAGNITUDE).geU(addend.and(MAGNITUDE));
  const large = fn.select(ordered, p, addend);
  const small = fn.select(ordered, addend, p);
  fn.if(large.and(MAGNITUDE).eqz(), () => fn.return(fn.select(opposite, zeroSum(control), p)));
  const parts = (bits: I64) => {
    const field = bits.shrU(52).wrap().and(0x7ff);
    const significand = bits.and(FRACTION).or(field.ne(0).extendU().shl(52)).shl(9);
    return { field: fn.select(field, field, fn.i32(1)), significand };
  };
  const a = parts(large);
  const b = parts(small);
  const aligned = shiftRightJam(b.significand, a.field.sub(b.field));
  const sum = fn.select(opposite, a.significand.sub(aligned), a.significand.add(aligned));
  fn.if(sum.eqz(), () => fn.return(zeroSum(control)));
  const shift = sum.clz().sub(1);
  const exponent = a.field.sub(1022).sub(shift.wrap());
  fn.return(round(fn, runtime, signOf(large), exponent, sum.shl(shift), control));
});

/** (a, b, control): a * b. */
export const exactMultiply = runtimeFunction('fpu.multiply', ['i64', 'i64', 'i32'], 'i64', (fn, runtime) => {
  const control = fn.param32(2);
  const [a, b] = [fn.param64(0), fn.param64(1)];
  const [magnitudeA, magnitudeB] = [a.and(MAGNITUDE), b.and(MAGNITUDE)];
  fn.if(isNaN64(a).or(isNaN64(b)), () =>
    fn.return(fn.call('i64', runtime.ref(propagateNaN), [a, b, fn.i64(0), control])),
  );
  const signBit = a.xor(b).and(SIGN);
  const zero = magnitudeA.eqz().or(magnitudeB.eqz());
  fn.if(magnitudeA.eq(INFINITY).or(magnitudeB.eq(INFINITY)), () => {
    fn.if(zero, () => invalid(fn, FPSCR.VXIMZ));
    fn.return(signBit.or(INFINITY));
  });
  fn.if(zero, () => fn.return(signBit));
  const x = unpackFinite(fn, a);
  const y = unpackFinite(fn, b);
  const product = multiplySignificands(x.significand, y.significand);
  const { significand, lower } = jam(product.nearest, product.remainder);
  const exponent = x.exponent.add(y.exponent).add(product.carry.wrap()).sub(lower);
  fn.return(round(fn, runtime, signOf(signBit), exponent, significand, control));
});

/** (a, b, control): a / b. */
export const exactDivide = runtimeFunction('fpu.divide', ['i64', 'i64', 'i32'], 'i64', (fn, runtime) => {
  const control = fn.param32(2);
  const [a, b] = [fn.param64(0), fn.param64(1)];
  const [magnitudeA, magnitudeB] = [a.and(MAGNITUDE), b.and(MAGNITUDE)];
  fn.if(isNaN64(a).or(isNaN64(b)), () =>
    fn.return(fn.call('i64', runtime.ref(propagateNaN), [a, b, fn.i64(0), control])),
  );
  const signBit = a.xor(b).and(SIGN);
  fn.if(magnitudeA.eq(INFINITY), () => {
    fn.if(magnitudeB.eq(INFINITY), () => invalid(fn, FPSCR.VXIDI));
    fn.return(signBit.or(INFINITY));
  });
  fn.if(magnitudeB.eq(INFINITY), () => fn.return(signBit));
  fn.if(magnitudeB.eqz(), () => {
    fn.if(magnitudeA.eqz(), () => invalid(fn, FPSCR.VXZDZ));
    raise(fn, FPSCR.ZX);
    fn.return(signBit.or(INFINITY));
  });
  fn.if(magnitudeA.eqz(), () => fn.return(signBit));
  const x = unpackFinite(fn, a);
  const y = unpackFinite(fn, b);
  const asFraction = (s: I64) => s.and(FRACTION).or(ONE).reinterpretF64();
  const bits = asFraction(x.significand).div(asFraction(y.significand)).reinterpretI64();
  const nearest = bits.and(FRACTION).or(IMPLICIT);
  // A quotient below 1 has its leading one a place lower.
  const below = bits.ltU(ONE).extendU();
  const remainder = x.significand.shl(below.add(52)).sub(nearest.mul(y.significand));
  const { significand, lower } = jam(nearest, remainder);
  const exponent = x.exponent.sub(y.exponent).sub(below.wrap()).sub(lower);
  fn.return(round(fn, runtime, signOf(signBit), exponent, significand, control));
});

/** (b, control): the square root. */
export const exactSquareRoot = runtimeFunction('fpu.squareRoot', ['i64', 'i32'], 'i64', (fn, runtime) => {
  const b = fn.param64(0);
  const control = fn.param32(1);
  fn.if(isNaN64(b), () => fn.return(fn.call('i64', runtime.ref(propagateNaN), [b, fn.i64(0), fn.i64(0), control])));
  fn.if(b.and(MAGNITUDE).eqz().or(b.eq(INFINITY)), () => fn.return(b));
  fn.if(b.ltS(0), () => invalid(fn, FPSCR.VXSQRT));
  const x = unpackFinite(fn, b);
  const odd = x.exponent.and(1).extendU();
  const radicand = x.significand.and(FRACTION).or(ONE).add(odd.shl(52));
  const nearest = radicand.reinterpretF64().sqrt().reinterpretI64().and(FRACTION).or(IMPLICIT);
  const remainder = x.significand.shl(odd.add(52)).sub(nearest.mul(nearest));
  const { significand, lower } = jam(nearest, remainder);
  fn.return(round(fn, runtime, fn.i32(0), x.exponent.shrS(1).sub(lower), significand, control));
});

/** (a, c, b, control): a * c + b, fused; minus b with `SUBTRACT`, negated unless it is a NaN with `NEGATE`. */
export const exactMultiplyAdd = runtimeFunction(
  'fpu.multiplyAdd',
  ['i64', 'i64', 'i64', 'i32'],
  'i64',
  (fn, runtime) => {
    const control = fn.param32(3);
    const negate = control.and(CONTROL.NEGATE).extendU().shl(53);
    const [a, c, b] = [fn.param64(0), fn.param64(1), fn.param64(2)];
    const [magnitudeA, magnitudeC] = [a.and(MAGNITUDE), c.and(MAGNITUDE)];
    const ordinary = (bits: I64) => bits.shrU(52).and(0x7ff).sub(1).ltU(0x7fe);
    const addend = b.xor(control.and(CONTROL.SUBTRACT).extendU().shl(54));
    const productSign = a.xor(c).and(SIGN);
    fn.if(ordinary(a).and(ordinary(c)).and(ordinary(b)).eqz(), () => {
      const zero = magnitudeA.eqz().or(magnitudeC.eqz());
      const infinite = magnitudeA.eq(INFINITY).or(magnitudeC.eq(INFINITY));
      fn.if(zero.and(infinite), () => {
        raise(fn, FPSCR.VXIMZ);
        fn.if(isNaN64(b).eqz(), () => fn.return(fn.i64(DEFAULT_NAN)));
      });
      fn.if(isNaN64(a).or(isNaN64(b)).or(isNaN64(c)), () =>
        fn.return(fn.call('i64', runtime.ref(propagateNaN), [a, b, c, control])),
      );
      const addendInfinite = addend.and(MAGNITUDE).eq(INFINITY);
      fn.if(infinite, () => {
        fn.if(addendInfinite.and(addend.xor(productSign).ltS(0)), () => invalid(fn, FPSCR.VXISI));
        fn.return(productSign.or(INFINITY).xor(negate));
      });
      fn.if(addendInfinite, () => fn.return(addend.xor(negate)));
      fn.if(zero, () => {
        fn.if(addend.and(MAGNITUDE).eqz(), () =>
          fn.return(fn.select(addend.xor(productSign).ltS(0), zeroSum(control), addend).xor(negate)),
        );
        fn.return(roundNumber(fn, runtime, addend, control).xor(negate));
      });
    });
    const x = unpackFinite(fn, a);
    const y = unpackFinite(fn, c);
    const product = multiplySignificands(x.significand, y.significand);
    // 128-bit numbers; bit 124 (bit 60 of the upper half) has the exponent.
    const productExponent = x.exponent.add(y.exponent);
    const high = fn.variable('i64', productHigh(product).shl(20).or(product.low.shrU(44)));
    const low = fn.variable('i64', product.low.shl(20));
    const addHigh = fn.variable('i64', fn.i64(0));
    const addLow = fn.variable('i64', fn.i64(0));
    const exponent = fn.variable('i32', productExponent);
    fn.if(addend.and(MAGNITUDE).ne(0n), () => {
      const z = unpackFinite(fn, addend);
      addHigh.set(z.significand.shl(8));
      const distance = productExponent.sub(z.exponent);
      fn.if(
        distance.geS(0),
        () => fn.if(distance, () => shiftPairRightJam(fn, addHigh, addLow, distance)),
        () => {
          exponent.set(z.exponent);
          shiftPairRightJam(fn, high, low, distance.neg());
        },
      );
    });
    const sign = fn.variable('i32', signOf(productSign));
    fn.if(
      productSign.xor(addend).ltS(0).and(addend.and(MAGNITUDE).ne(0n)),
      () => {
        const [ph, pl, bh, bl] = [high.get(), low.get(), addHigh.get(), addLow.get()];
        const less = ph.ltU(bh).or(ph.eq(bh).and(pl.ltU(bl)));
        fn.if(
          less,
          () => {
            sign.set(signOf(addend));
            high.set(bh.sub(ph).sub(bl.ltU(pl).extendU()));
            low.set(bl.sub(pl));
          },
          () => {
            high.set(ph.sub(bh).sub(pl.ltU(bl).extendU()));
            low.set(pl.sub(bl));
          },
        );
        fn.if(high.get().or(low.get()).eqz(), () => fn.return(zeroSum(control).xor(negate)));
      },
      () => {
        const total = low.get().add(addLow.get());
        high.set(high.get().add(addHigh.get()).add(total.ltU(addLow.get()).extendU()));
        low.set(total);
      },
    );
    fn.if(high.get().eqz(), () => {
      high.set(low.get().shrU(1));
      low.set(low.get().shl(63));
      exponent.set(exponent.get().sub(63));
    });
    const [h, l] = [high.get(), low.get()];
    const shift = h.clz().sub(1);
    const top = h.shl(shift).or(l.shrU(1).shrU(fn.i64(63).sub(shift)));
    const significand = top.or(l.shl(shift).ne(0n).extendU());
    const at62 = exponent.get().add(2).sub(shift.wrap());
    fn.return(round(fn, runtime, sign.get(), at62, significand, control).xor(negate));
  },
);

/** Shifts a 128-bit number right by `count`, at least 1, or-ing what is lost into the last bit. */
function shiftPairRightJam(fn: FunctionBuilder, high: Variable<'i64'>, low: Variable<'i64'>, count: I32): void {
  const n = count.extendU();
  const [h, l] = [high.get(), low.get()];
  fn.if(
    count.ltU(64),
    () => {
      const up = fn.i64(64).sub(n);
      low.set(l.shrU(n).or(h.shl(up)).or(l.shl(up).ne(0n).extendU()));
      high.set(h.shrU(n));
    },
    () => {
      const rest = fn.select(count.ltU(127), count.sub(64), fn.i32(63));
      low.set(shiftRightJam(h, rest).or(l.ne(0n).extendU()));
      high.set(fn.i64(0));
    },
  );
}

/** A finite number other than zero, rounded by `control`. */
function roundNumber(fn: FunctionBuilder, runtime: Runtime, bits: I64, control: I32): I64 {
  const x = unpackFinite(fn, bits);
  return round(fn, runtime, signOf(bits), x.exponent, x.significand.shl(10), control);
}

/** (b, control): b rounded to the precision of `control`. */
export const exactRound = runtimeFunction('fpu.round', ['i64', 'i32'], 'i64', (fn, runtime) => {
  const b = fn.param64(0);
  const control = fn.param32(1);
  fn.if(isNaN64(b), () => fn.return(fn.call('i64', runtime.ref(propagateNaN), [b, fn.i64(0), fn.i64(0), control])));
  const magnitude = b.and(MAGNITUDE);
  fn.if(magnitude.eqz().or(magnitude.eq(INFINITY)), () => fn.return(b));
  fn.return(roundNumber(fn, runtime, b, control));
});

/** (b, control): b rounded to half precision, as binary16 bits. */
export const exactRoundHalf = runtimeFunction('fpu.roundToHalf', ['i64', 'i32'], 'i64', (fn, runtime) => {
  const b = fn.param64(0);
  const control = fn.param32(1);
  const sign = b.shrU(48).and(0x8000);
  const magnitude = b.and(MAGNITUDE);
  fn.if(isNaN64(b), () => {
    fn.if(isSignalling64(b), () => raise(fn, FPSCR.VXSNAN));
    fn.return(sign.or(0x7e00).or(b.shrU(42).and(0x3ff)));
  });
  fn.if(magnitude.eqz(), () => fn.return(sign));
  fn.if(magnitude.eq(INFINITY), () => fn.return(sign.or(0x7c00)));
  const x = unpackFinite(fn, b);
  fn.return(fn.call('i64', runtime.ref(roundHalf), [signOf(b), x.exponent, x.significand.shl(10), control]));
});

/** (b, unused): binary16 bits to binary64 bits; raises VXSNAN. */
export const exactFromHalf = runtimeFunction('fpu.fromHalf', ['i64', 'i32'], 'i64', (fn) => {
  const b = fn.param64(0);
  const sign = b.and(0x8000).shl(48);
  const field = b.and(0x7c00);
  const fraction = b.and(0x3ff);
  fn.if(field.eq(0x7c00n), () => {
    fn.if(fraction.eqz(), () => fn.return(sign.or(INFINITY)));
    fn.if(fraction.and(0x200).eqz(), () => raise(fn, FPSCR.VXSNAN));
    fn.return(sign.or(DEFAULT_NAN).or(fraction.shl(42)));
  });
  const denormal = fraction
    .convertToF64U()
    .mul(fn.f64(2 ** -24))
    .reinterpretI64();
  const normal = b
    .and(0x7fff)
    .shl(42)
    .add(1008n << 52n);
  fn.return(sign.or(denormal.selectIf(field.eqz(), normal)));
});

/** (magnitude, sign, control): an integer rounded to a floating-point number. */
export const exactFromInteger = runtimeFunction('fpu.fromInteger', ['i64', 'i32', 'i32'], 'i64', (fn, runtime) => {
  const magnitude = fn.param64(0);
  fn.if(magnitude.eqz(), () => fn.return(fn.i64(0)));
  fn.if(magnitude.ltS(0), () =>
    fn.return(round(fn, runtime, fn.param32(1), fn.i32(63), magnitude.shrU(1).or(magnitude.and(1)), fn.param32(2))),
  );
  const shift = magnitude.clz().sub(1);
  fn.return(round(fn, runtime, fn.param32(1), fn.i32(62).sub(shift.wrap()), magnitude.shl(shift), fn.param32(2)));
});

/** What a conversion to an integer is told: RN bits as in FPSCR, and these. */
export const TO_INTEGER = {
  UNSIGNED: 0x100,
  /** To 32 bits rather than 64. */
  WORD: 0x200,
} as const;

/**
 * (b, control): the integer nearest in the mode of `control`, saturated; words are sign- or zero-extended. Raises VXCVI
 * (VXSNAN too for a signalling NaN), or XX, FR and FI.
 */
export const exactToInteger = runtimeFunction('fpu.toInteger', ['i64', 'i32'], 'i64', (fn) => {
  const b = fn.param64(0);
  const control = fn.param32(1);
  const unsigned = control.and(TO_INTEGER.UNSIGNED);
  const word = control.and(TO_INTEGER.WORD);
  // Bounds of the magnitude on either side of zero.
  const signedTop = fn.select(word, fn.i64(0x7fff_ffffn), fn.i64(MAGNITUDE));
  const unsignedTop = fn.select(word, fn.i64(0xffff_ffffn), fn.i64(-1n));
  const top = fn.select(unsigned, unsignedTop, signedTop);
  const bottom = fn.select(unsigned, fn.i64(0), signedTop.add(1));
  fn.if(isNaN64(b), () => {
    raise(fn, fn.select(isSignalling64(b), fn.i32(FPSCR.VXCVI | FPSCR.VXSNAN), fn.i32(FPSCR.VXCVI)));
    fn.return(bottom.neg());
  });
  const sign = signOf(b);
  const field = b.shrU(52).wrap().and(0x7ff);
  const significand = b.and(FRACTION).or(IMPLICIT);
  const integer = fn.variable('i64', fn.i64(0));
  // What lies behind the binary point, as a fraction of 2^64, jammed.
  const fraction = fn.variable('i64', fn.i64(0));
  const tooLarge = fn.variable('i32', field.gtU(1023 + 63));
  fn.if(tooLarge.get().eqz(), () => {
    fn.if(
      field.geU(1023 + 52),
      () => integer.set(significand.shl(field.sub(1023 + 52).extendU())),
      () =>
        fn.if(
          field.geU(1022),
          () => {
            const places = fn.i64(1023 + 52).sub(field.extendU());
            integer.set(significand.shrU(places));
            fraction.set(significand.shl(fn.i64(64).sub(places)));
          },
          () => fraction.set(b.and(MAGNITUDE).ne(0n).extendU()),
        ),
    );
    const mode = control.and(FPSCR.RN);
    const [whole, rest] = [integer.get(), fraction.get()];
    const half = rest.eq(SIGN).and(whole.wrap()).or(rest.gtU(SIGN)).and(1);
    const away = mode.eq(sign.add(2)).and(rest.ne(0n));
    const up = fn.select(mode.eqz(), half, away);
    const rounded = whole.add(up.extendU());
    integer.set(rounded);
    tooLarge.set(rounded.gtU(fn.select(sign, bottom, top)));
    fn.if(tooLarge.get().eqz().and(rest.ne(0n)), () => raise(fn, fn.i32(FPSCR.XX | FPSCR.FI).or(up.shl(18))));
  });
  fn.if(tooLarge.get(), () => {
    raise(fn, FPSCR.VXCVI);
    fn.return(fn.select(sign, bottom.neg(), top));
  });
  fn.return(fn.select(sign, integer.get().neg(), integer.get()));
});

/**
 * (b, control): an integral value. Bits 0-2 of `control`: RN, or 4 for nearest with ties away from zero; 8: raise XX, FR
 * and FI when that changes the number.
 */
export const exactToIntegral = runtimeFunction('fpu.toIntegral', ['i64', 'i32'], 'i64', (fn, runtime) => {
  const b = fn.param64(0);
  const control = fn.param32(1);
  fn.if(isNaN64(b), () => fn.return(fn.call('i64', runtime.ref(propagateNaN), [b, fn.i64(0), fn.i64(0), fn.i32(0)])));
  const x = b.reinterpretF64();
  const result = fn.variable('f64', x);
  const away = () => {
    const whole = x.trunc();
    const one = fn.f64(1).copysign(x);
    result.set(fn.select(x.sub(whole).abs().ge(fn.f64(0.5)), whole.add(one), whole));
  };
  fn.switch(
    control.and(7),
    [
      () => result.set(x.nearest()),
      () => result.set(x.trunc()),
      () => result.set(x.ceil()),
      () => result.set(x.floor()),
    ],
    away,
  );
  const integral = result.get();
  fn.if(control.and(8).and(integral.ne(x).shl(3)), () =>
    raise(fn, fn.i32(FPSCR.XX | FPSCR.FI).or(integral.abs().gt(x.abs()).shl(18))),
  );
  fn.return(integral.reinterpretI64());
});

// The estimates are what a division and a square root give, each rounded in the current mode. That is well inside the
// errors the architecture allows (I 4.6.6.1: 2^-14 for 1/x, 2^-14 for 1/sqrt(x) on this processor). XX is not theirs to
// set, and FR and FI are undefined: 0 here.

const ESTIMATE_RAISES = ~(FPSCR.XX | FPSCR.FI | FPSCR.FR);

/** (b, control): 1 / b. */
export const exactReciprocal = runtimeFunction('fpu.reciprocal', ['i64', 'i32'], 'i64', (fn, runtime) => {
  const before = getRaised(fn);
  const bits = fn.call('i64', runtime.ref(exactDivide), [fn.i64(ONE), fn.param64(0), fn.param32(1)]);
  setRaised(fn, before.or(getRaised(fn).and(ESTIMATE_RAISES)));
  fn.return(bits);
});

function reciprocalSquareRoot(name: string, singleRoot: boolean): RuntimeFunction {
  return runtimeFunction(name, ['i64', 'i32'], 'i64', (fn, runtime) => {
    const before = getRaised(fn);
    const control = fn.param32(1);
    const rootControl = singleRoot ? control : control.and(~CONTROL.SINGLE);
    const root = fn.call('i64', runtime.ref(exactSquareRoot), [fn.param64(0), rootControl]);
    const bits = fn.call('i64', runtime.ref(exactDivide), [fn.i64(ONE), root, control]);
    setRaised(fn, before.or(getRaised(fn).and(ESTIMATE_RAISES)));
    fn.return(bits);
  });
}

/** (b, control): 1 / sqrt(b), with a root in double precision. */
export const exactReciprocalSquareRoot = reciprocalSquareRoot('fpu.reciprocalSquareRoot', false);
/** The same with a root in the precision of the result: the one of vectors of singles. */
export const exactReciprocalSquareRootOfSingle = reciprocalSquareRoot('fpu.reciprocalSquareRootOfSingle', true);
