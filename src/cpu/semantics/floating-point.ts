// Binary floating point on the FPRs (ISA 3.0B I 4.6).
//
// Results that the ISA leaves undefined are those of POWER9: a scalar result clears doubleword 1 of its VSR, a 32-bit
// integer result stands in both halves of the FPR, conversions to integers keep FPRF.

import type { I64 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { doubleOfSingle, MAGNITUDE, SIGN, singleOfDouble } from './fpu/format.ts';
import { testDivide, testSquareRoot } from './fpu/operand-tests.ts';
import {
  arithmetic,
  compare,
  convertFromInteger,
  convertToInteger,
  fromFpr,
  type IntegerTarget,
  move,
  type Operation,
  operations,
  roundToIntegral,
  toFpr,
} from './fpu/scalar.ts';
import { statusInstructions } from './fpu/status-instructions.ts';
import { runtimeFunction } from './runtime.ts';

type Addressing = 'd' | 'ds' | 'x';

function displacement(s: Emitter, how: Addressing): I64 {
  if (how === 'x') return s.gpr('rb');
  return how === 'd' ? s.field64('d') : s.field64('ds').shl(2);
}

/** `DOUBLE(word)`: promoted, but for NaNs, of which WebAssembly does not say what becomes. */
const fromSingle = (value: I64) => {
  const { fn } = value;
  const number = value.wrap().reinterpretF32();
  return fn
    .choose(
      number.eq(number),
      () => number.promote(),
      () => doubleOfSingle(value.wrap()).reinterpretF64(),
      true,
    )
    .reinterpretI64();
};
const singleBits = runtimeFunction('fpu.singleOfDouble', ['i64'], 'i32', (fn) => {
  fn.return(singleOfDouble(fn.param64(0)));
});
/** `SINGLE(double)`: rounding does as well for what it does not change. */
const toSingleBits = (value: I64, s: Emitter) => {
  const { fn } = s;
  const number = value.reinterpretF64();
  const narrowed = number.demote();
  const bits = fn.choose(
    narrowed.promote().eq(number),
    () => narrowed.reinterpretI32(),
    () => fn.call('i32', s.runtime(singleBits), [value]),
    true,
  );
  return bits.extendU();
};
const same = (value: I64) => value;

function load(bytes: 4 | 8, how: Addressing, convert: (value: I64) => I64): Semantics {
  return (s) => s.setFpr('frt', convert(s.load(s.gprOr0('ra').add(displacement(s, how)), bytes)));
}
function loadUpdate(bytes: 4 | 8, how: Addressing, convert: (value: I64) => I64): Semantics {
  return (s) => {
    const ea = s.ea(s.gpr('ra').add(displacement(s, how)));
    const value = s.load(ea, bytes);
    s.setGpr('ra', ea);
    s.setFpr('frt', convert(value));
  };
}
function store(bytes: 4 | 8, how: Addressing, convert: (value: I64, s: Emitter) => I64): Semantics {
  return (s) => s.store(s.gprOr0('ra').add(displacement(s, how)), bytes, convert(s.fpr('frs'), s));
}
function storeUpdate(bytes: 4 | 8, how: Addressing, convert: (value: I64, s: Emitter) => I64): Semantics {
  return (s) => {
    const ea = s.ea(s.gpr('ra').add(displacement(s, how)));
    s.store(ea, bytes, convert(s.fpr('frs'), s));
    s.setGpr('ra', ea);
  };
}

/** A pair is one quadword: in little-endian mode its more significant half, the even register, is at EA + 8. */
function loadPair(how: Addressing): Semantics {
  return (s) => {
    const ea = s.ea(s.gprOr0('ra').add(displacement(s, how)));
    const first = s.load(ea, 8);
    const second = s.load(ea.add(8), 8);
    const little = s.littleEndian();
    const even = s.field('frtp').and(-2);
    s.setFprAt(even, second.selectIf(little, first));
    s.setFprAt(even.or(1), first.selectIf(little, second));
  };
}
function storePair(how: Addressing): Semantics {
  return (s) => {
    const ea = s.ea(s.gprOr0('ra').add(displacement(s, how)));
    const register = s.field('frsp').and(-2);
    const [even, odd] = [s.fprAt(register), s.fprAt(register.or(1))];
    const little = s.littleEndian();
    s.store(ea.add(8), 8, even.selectIf(little, odd));
    s.store(ea, 8, odd.selectIf(little, even));
  };
}

const [fra, frb, frc] = [fromFpr('fra'), fromFpr('frb'), fromFpr('frc')];

/** The double and the single form of an operation. */
const double = (operation: Operation, ...reads: Parameters<typeof arithmetic>[2]) =>
  arithmetic(operation, false, reads, toFpr);
const single = (operation: Operation, ...reads: Parameters<typeof arithmetic>[2]) =>
  arithmetic(operation, true, reads, toFpr);

const toInteger = (signed: boolean, bits: IntegerTarget['bits'], truncate: boolean) =>
  convertToInteger({ signed, bits, truncate }, frb, toFpr);

export const floatingPoint = {
  lfs: load(4, 'd', fromSingle),
  lfsx: load(4, 'x', fromSingle),
  lfsu: loadUpdate(4, 'd', fromSingle),
  lfsux: loadUpdate(4, 'x', fromSingle),
  lfd: load(8, 'd', same),
  lfdx: load(8, 'x', same),
  lfdu: loadUpdate(8, 'd', same),
  lfdux: loadUpdate(8, 'x', same),
  lfiwax: load(4, 'x', (value) => value.extend32S()),
  lfiwzx: load(4, 'x', same),
  lfdp: loadPair('ds'),
  lfdpx: loadPair('x'),
  stfs: store(4, 'd', toSingleBits),
  stfsx: store(4, 'x', toSingleBits),
  stfsu: storeUpdate(4, 'd', toSingleBits),
  stfsux: storeUpdate(4, 'x', toSingleBits),
  stfd: store(8, 'd', same),
  stfdx: store(8, 'x', same),
  stfdu: storeUpdate(8, 'd', same),
  stfdux: storeUpdate(8, 'x', same),
  stfiwx: store(4, 'x', same),
  stfdp: storePair('ds'),
  stfdpx: storePair('x'),

  fmr: move([frb], toFpr, ([b]) => b),
  fneg: move([frb], toFpr, ([b]) => b.reinterpretF64().neg().reinterpretI64()),
  fabs: move([frb], toFpr, ([b]) => b.reinterpretF64().abs().reinterpretI64()),
  fnabs: move([frb], toFpr, ([b]) => b.or(SIGN)),
  fcpsgn: move([fra, frb], toFpr, ([a, b]) => a.and(SIGN).or(b.and(MAGNITUDE))),
  fmrgew: move([fra, frb], toFpr, ([a, b]) => a.and(0xffff_ffff_0000_0000n).or(b.shrU(32))),
  fmrgow: move([fra, frb], toFpr, ([a, b]) => a.shl(32).or(b.low32())),
  fsel: move([fra, frb, frc], toFpr, ([a, b, c]) => {
    const { fn } = a;
    const chosen = fn.select(a.reinterpretF64().ge(fn.f64(0)), c.reinterpretF64(), b.reinterpretF64());
    return chosen.reinterpretI64();
  }),

  fadd: double(operations.add, fra, frb),
  fadds: single(operations.add, fra, frb),
  fsub: double(operations.subtract, fra, frb),
  fsubs: single(operations.subtract, fra, frb),
  fmul: double(operations.multiply, fra, frc),
  fmuls: single(operations.multiply, fra, frc),
  fdiv: double(operations.divide, fra, frb),
  fdivs: single(operations.divide, fra, frb),
  fsqrt: double(operations.squareRoot, frb),
  fsqrts: single(operations.squareRoot, frb),
  fre: double(operations.reciprocal, frb),
  fres: single(operations.reciprocal, frb),
  frsqrte: double(operations.reciprocalSquareRoot, frb),
  frsqrtes: single(operations.reciprocalSquareRoot, frb),
  fmadd: double(operations.multiplyAdd, fra, frc, frb),
  fmadds: single(operations.multiplyAdd, fra, frc, frb),
  fmsub: double(operations.multiplySubtract, fra, frc, frb),
  fmsubs: single(operations.multiplySubtract, fra, frc, frb),
  fnmadd: double(operations.negativeMultiplyAdd, fra, frc, frb),
  fnmadds: single(operations.negativeMultiplyAdd, fra, frc, frb),
  fnmsub: double(operations.negativeMultiplySubtract, fra, frc, frb),
  fnmsubs: single(operations.negativeMultiplySubtract, fra, frc, frb),
  frsp: single(operations.round, frb),

  fctid: toInteger(true, 64, false),
  fctidz: toInteger(true, 64, true),
  fctidu: toInteger(false, 64, false),
  fctiduz: toInteger(false, 64, true),
  fctiw: toInteger(true, 32, false),
  fctiwz: toInteger(true, 32, true),
  fctiwu: toInteger(false, 32, false),
  fctiwuz: toInteger(false, 32, true),
  fcfid: convertFromInteger(true, false, frb, toFpr),
  fcfidu: convertFromInteger(false, false, frb, toFpr),
  fcfids: convertFromInteger(true, true, frb, toFpr),
  fcfidus: convertFromInteger(false, true, frb, toFpr),
  frin: roundToIntegral('away', frb, toFpr),
  friz: roundToIntegral('zero', frb, toFpr),
  frip: roundToIntegral('up', frb, toFpr),
  frim: roundToIntegral('down', frb, toFpr),

  fcmpu: compare(false, fra, frb),
  fcmpo: compare(true, fra, frb),
  ftdiv: (s) => s.setCrField(s.field('bf'), testDivide(fra(s), frb(s))),
  ftsqrt: (s) => s.setCrField(s.field('bf'), testSquareRoot(frb(s))),

  ...statusInstructions,
} satisfies SemanticsMap;
