// Rounding an exact value to a format, with the exceptions that follow (ISA 3.0B I 4.3.6, 4.4.3 to 4.4.5, 7.3.2.6).
//
// The value is sign, exponent and a 64-bit significand whose leading one is bit 62, the last bit standing for everything
// that is not zero below it ("jammed"). That is enough for one exact rounding to any format up to binary64.

import type { I32, I64 } from '../../../wasm/ir.ts';
import { type RuntimeFunction, runtimeFunction } from '../runtime.ts';
import { INFINITY, SINGLE_MAX, shiftRightJam } from './format.ts';
import { FPSCR, raise } from './fpscr.ts';

/**
 * What an operation is told besides its operands: FPSCR's RN, OE and UE bits in their places, and the flags below.
 * `RN` alone holds for operations that do not look at FPSCR.
 */
export const CONTROL = {
  FPSCR_BITS: FPSCR.RN | FPSCR.OE | FPSCR.UE,
  /** Round to single precision; the result is still in double format. */
  SINGLE: 0x100,
  /** Subtract the second addend. */
  SUBTRACT: 0x200,
  /** Negate a result that is not a NaN. */
  NEGATE: 0x400,
} as const;

interface Format {
  readonly precision: number;
  readonly minExponent: number;
  /** Added to or subtracted from the exponent when an enabled underflow or overflow happens. */
  readonly adjust: number;
  /** What stands in the exponent field for exponent 0, where the result is kept. */
  readonly bias: number;
  /** Bits of the significand below the leading one, where the result is kept. */
  readonly fractionBits: number;
  readonly signBit: number;
  /** First bit pattern (without sign) that is too large, infinity, and the largest finite number. */
  readonly limit: bigint;
  readonly infinity: bigint;
  readonly largest: bigint;
}

const double: Format = {
  precision: 53,
  minExponent: -1022,
  adjust: 1536,
  bias: 1023,
  fractionBits: 52,
  signBit: 63,
  limit: INFINITY,
  infinity: INFINITY,
  largest: INFINITY - 1n,
};
/** Kept in double format, so that only precision and range differ. */
const single: Format = {
  ...double,
  precision: 24,
  minExponent: -126,
  adjust: 192,
  limit: 0x47f0_0000_0000_0000n,
  largest: SINGLE_MAX,
};
const half: Format = {
  precision: 11,
  minExponent: -14,
  adjust: 24,
  bias: 15,
  fractionBits: 10,
  signBit: 15,
  limit: 0x7c00n,
  infinity: 0x7c00n,
  largest: 0x7bffn,
};

/**
 * (sign, exponent of bit 62, significand, control) to bits; raises OX, UX, XX, FR and FI. The significand is not zero,
 * and normalised. FR with an overflow that is not enabled says whether the result is an infinity.
 */
function rounding(name: string, format: Format): RuntimeFunction {
  return runtimeFunction(name, ['i32', 'i32', 'i64', 'i32'], 'i64', (fn) => {
    const sign = fn.param32(0);
    const control = fn.param32(3);
    const dropped = 63 - format.precision;
    const mask = (1n << BigInt(dropped)) - 1n;
    const down = 62 - format.fractionBits;

    const exponent = fn.variable('i32', fn.param32(1));
    const significand = fn.variable('i64', fn.param64(2));
    const denormal = fn.variable('i32', fn.i32(0));
    const flags = fn.variable('i32', fn.i32(0));
    fn.if(exponent.get().ltS(format.minExponent), () => {
      fn.if(
        control.and(FPSCR.UE),
        () => {
          exponent.set(exponent.get().add(format.adjust));
          flags.set(fn.i32(FPSCR.UX));
        },
        () => {
          significand.set(shiftRightJam(significand.get(), fn.i32(format.minExponent).sub(exponent.get())));
          denormal.set(fn.i32(1));
        },
      );
    });

    const exact = significand.get();
    const mode = control.and(FPSCR.RN);
    const away = mode.eq(sign.add(2));
    const nearest = exact
      .shrU(dropped)
      .and(1)
      .add(mask >> 1n);
    const directed = fn.select(away, fn.i64(mask), fn.i64(0));
    const rounded = exact.add(fn.select(mode.eqz(), nearest, directed)).and(~mask);
    fn.if(exact.and(mask).ne(0), () => {
      const up = rounded.gtU(exact);
      const tiny = fn.select(denormal.get(), fn.i32(FPSCR.UX), fn.i32(0));
      flags.set(
        flags
          .get()
          .or(tiny)
          .or(FPSCR.XX | FPSCR.FI)
          .or(up.shl(18)),
      );
    });

    const field = exponent
      .get()
      .add(format.bias - 1)
      .extendU();
    const bits = fn.variable('i64');
    fn.if(
      denormal.get(),
      () => bits.set(packDenormal(format, rounded)),
      () => {
        const packed = field.shl(format.fractionBits).add(rounded.shrU(down));
        bits.set(packed);
        // An adjusted exponent that is still too small leaves an undefined result, but is no overflow.
        const adjusted = flags.get().and(FPSCR.UX);
        fn.if(packed.geU(format.limit).and(adjusted.eqz()), () => {
          fn.if(
            control.and(FPSCR.OE),
            () => {
              flags.set(flags.get().or(FPSCR.OX));
              bits.set(packed.sub(BigInt(format.adjust) << BigInt(format.fractionBits)));
            },
            () => {
              const infinite = mode.eqz().or(away);
              flags.set(
                flags
                  .get()
                  .or(FPSCR.OX | FPSCR.XX | FPSCR.FI)
                  .and(~FPSCR.FR)
                  .or(infinite.shl(18)),
              );
              bits.set(fn.select(infinite, fn.i64(format.infinity), fn.i64(format.largest)));
            },
          );
        });
      },
    );
    fn.if(flags.get(), () => raise(fn, flags.get()));
    const below = (1n << BigInt(format.signBit)) - 1n;
    fn.return(bits.get().and(below).or(sign.extendU().shl(format.signBit)));
  });
}

/** A denormal significand of the format: scaled to its smallest exponent, or normalised where the container is wider. */
function packDenormal(format: Format, rounded: I64): I64 {
  const { fn } = rounded;
  const down = 62 - format.fractionBits;
  if (format.minExponent === 1 - format.bias) return rounded.shrU(down);
  const shift = rounded.clz().sub(1);
  const field = fn.i64(format.minExponent + format.bias - 1).sub(shift);
  return fn.select(rounded.eqz(), fn.i64(0), field.shl(format.fractionBits).add(rounded.shl(shift).shrU(down)));
}

const roundDouble = rounding('fpu.roundDouble', double);
const roundSingle = rounding('fpu.roundSingle', single);
export const roundHalf = rounding('fpu.roundHalf', half);

/** Rounds to double or, with `CONTROL.SINGLE`, to single precision in double format; see above for the arguments. */
export const roundPack = runtimeFunction('fpu.roundPack', ['i32', 'i32', 'i64', 'i32'], 'i64', (fn, runtime) => {
  const args = [fn.param32(0), fn.param32(1), fn.param64(2), fn.param32(3)];
  fn.if(fn.param32(3).and(CONTROL.SINGLE), () => fn.return(fn.call('i64', runtime.ref(roundSingle), args)));
  fn.return(fn.call('i64', runtime.ref(roundDouble), args));
});

/** Sign of an exact zero that two numbers of opposite signs add up to: minus when rounding toward minus infinity. */
export function zeroSum(control: I32): I64 {
  return control.and(FPSCR.RN).eq(3).extendU().shl(63);
}
