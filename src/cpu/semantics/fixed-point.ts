// Fixed-point computation (ISA 3.0B I 3.3.8 to 3.3.14). Results that the architecture leaves undefined are POWER9's.

import type { I32, I64 } from '../../wasm/ir.ts';
import { PROGRAM } from '../state/msr.ts';
import type { Emitter, SemanticsMap } from './emitter.ts';
import { getShared64, runtimeFunction, setShared64 } from './runtime.ts';

/** High half of the unsigned 128-bit product. */
export const mulHighUnsigned = runtimeFunction('mulHighUnsigned', ['i64', 'i64'], 'i64', (fn) => {
  const a = fn.param64(0);
  const b = fn.param64(1);
  const [aLow, aHigh] = [a.low32(), a.shrU(32)];
  const [bLow, bHigh] = [b.low32(), b.shrU(32)];
  const cross = aHigh.mul(bLow).add(aLow.mul(bLow).shrU(32));
  const cross2 = aLow.mul(bHigh).add(cross.low32());
  fn.return(aHigh.mul(bHigh).add(cross.shrU(32)).add(cross2.shrU(32)));
});

function mulHigh(s: Emitter, a: I64, b: I64, signed: boolean): I64 {
  const high = s.fn.call('i64', s.runtime(mulHighUnsigned), [a, b]);
  if (!signed) return high;
  return high.sub(a.shrS(63).and(b)).sub(b.shrS(63).and(a));
}

/** Quotient of the 128-bit `high || 0` by `divisor`, for high < divisor, unsigned (Knuth's algorithm D, base 2^32). */
const divideExtended = runtimeFunction('divideExtended', ['i64', 'i64'], 'i64', (fn) => {
  const divisor = fn.param64(1);
  const shift = divisor.clz();
  const normal = divisor.shl(shift);
  const [top, bottom] = [normal.shrU(32), normal.low32()];
  // The low half of the dividend is zero, so normalising it only moves the high half.
  const remainder = fn.variable('i64', fn.param64(0).shl(shift));
  const quotient = fn.variable('i64', fn.i64(0n));
  const round = fn.variable('i32', fn.i32(2));
  fn.loop((again) => {
    const high = remainder.get();
    const guess = fn.variable('i64', high.divU(top));
    const left = fn.variable('i64', high.remU(top));
    fn.block((exact) => {
      fn.loop((correct) => {
        const q = guess.get();
        const r = left.get();
        const tooLarge = q.geU(1n << 32n).or(q.mul(bottom).gtU(r.shl(32)));
        fn.brIf(exact, tooLarge.eqz());
        guess.set(q.sub(1));
        const more = r.add(top);
        left.set(more);
        fn.brIf(correct, more.ltU(1n << 32n));
      });
    });
    const q = guess.get();
    remainder.set(high.shl(32).sub(q.mul(normal)));
    quotient.set(quotient.get().shl(32).or(q));
    const next = round.get().sub(1);
    round.set(next);
    fn.brIf(again, next);
  });
  fn.return(quotient.get());
});

function setCa(s: Emitter, ca: I32, ca32: I32): void {
  s.setState32('ca', ca);
  s.setState32('ca32', ca32);
}

function setOv(s: Emitter, ov: I32, ov32: I32 = ov): void {
  s.setState32('ov', ov);
  s.setState32('ov32', ov32);
  s.setState32('so', s.state32('so').or(ov));
}

const bit0 = (value: I64): I32 => value.shrU(63).wrap();
const bit32 = (value: I64): I32 => value.shrU(31).wrap().and(1);

/** RT := a + b + carry, with the flags that the row asks for. */
function addInto(
  s: Emitter,
  a: I64,
  b: I64,
  carry: I64 | undefined,
  writesCa: boolean,
  sum = carry ? a.add(b).add(carry) : a.add(b),
): void {
  s.setGpr('rt', sum);
  if (writesCa) {
    // Carry out of a bit: majority of the addends and the inverted sum there.
    const carries = a.and(b).or(a.or(b).and(sum.not()));
    // CA is the carry of the mode's width; CA32 always that of the low word.
    setCa(s, bit0(carries).selectIf(s.wide(), bit32(carries)), bit32(carries));
  }
  if (s.flag('oe')) {
    const overflow = a.xor(sum).and(b.xor(sum));
    setOv(s, bit0(overflow).selectIf(s.wide(), bit32(overflow)), bit32(overflow));
  }
  s.record(sum);
}

/** RT := b - (RA), without a carry. */
function subtractFrom(s: Emitter, b: I64): void {
  const a = s.gpr('ra');
  addInto(s, a.not(), b, undefined, false, b.sub(a));
}

const one = (s: Emitter) => s.fn.i64(1n);
const carryIn = (s: Emitter) => s.state32('ca').extendU();

/** RA := value, for the logical instructions. */
function setRa(s: Emitter, value: I64): void {
  s.setGpr('ra', value);
  s.record(value);
}

const logical = (combine: (rs: I64, rb: I64) => I64) => (s: Emitter) => setRa(s, combine(s.gpr('rs'), s.gpr('rb')));
const logicalImmediate = (combine: (rs: I64, ui: I64) => I64, shift: number) => (s: Emitter) =>
  setRa(s, combine(s.gpr('rs'), s.field64('ui').shl(shift)));
const unary = (f: (rs: I64) => I64) => (s: Emitter) => setRa(s, f(s.gpr('rs')));

/** CR field BF := LT, GT or EQ, and SO. */
function setCompare(s: Emitter, less: I32, greater: I32): void {
  const order = s.fn.i32(8).selectIf(less, s.fn.i32(4).selectIf(greater, 2));
  s.setCrField(s.field('bf'), order.or(s.state32('so')));
}

function compare(other: (s: Emitter) => I64, signed: boolean) {
  return (s: Emitter) => {
    const wide = s.field('l');
    if (wide.known === 0) {
      const a = s.gpr('ra').wrap();
      const b = other(s).wrap();
      if (signed) setCompare(s, a.ltS(b), a.gtS(b));
      else setCompare(s, a.ltU(b), a.gtU(b));
      return;
    }
    const sized = (value: I64) => value.selectIf(wide, signed ? value.extend32S() : value.low32());
    const a = sized(s.gpr('ra'));
    const b = sized(other(s));
    if (signed) setCompare(s, a.ltS(b), a.gtS(b));
    else setCompare(s, a.ltU(b), a.gtU(b));
  };
}

function trap(other: (s: Emitter) => I64, wide: boolean) {
  return (s: Emitter) => {
    const a = wide ? s.gpr('ra') : s.gpr('ra').extend32S();
    const b = wide ? other(s) : other(s).extend32S();
    // Sign extension keeps the unsigned order of 32-bit values.
    const to = s.field('to');
    const when = (place: number, condition: I32) => to.shrU(place).and(condition);
    const hit = when(4, a.ltS(b))
      .or(when(3, a.gtS(b)))
      .or(when(2, a.eq(b)))
      .or(when(1, a.ltU(b)))
      .or(when(0, a.gtU(b)));
    s.fn.if(hit.and(1), () => s.programInterrupt(PROGRAM.trap));
  };
}

/** MASK(mb, me): ones from bit mb to bit me, wrapping around. */
function mask(s: Emitter, mb: I64, me: I64): I64 {
  const fromMb = s.fn.i64(-1n).shrU(mb);
  const toMe = s.fn.i64(-1n).shl(s.fn.i64(63n).sub(me));
  return fromMb.and(toMe).selectIf(mb.leU(me), fromMb.or(toMe));
}

/** The low word of a value in both halves, rotated left. */
function rotateWord(value: I64, amount: I64): I64 {
  const low = value.low32();
  return low.or(low.shl(32)).rotl(amount.and(31));
}

/** Rotation of a word by SH, and AND with the mask from MB to ME: a shift where known operands say that it is one. */
function rotateAndMask(s: Emitter): I64 {
  const value = s.gpr('rs');
  const [sh, mb, me] = [s.field('sh').known, s.field('mb').known, s.field('me').known];
  // A mask that wraps around also has the ones of the upper word.
  if (sh === undefined || mb === undefined || me === undefined || mb > me) {
    return rotateWord(value, s.field64('sh')).and(wordMask(s));
  }
  const ones = ((-1 >>> mb) & (-1 << (31 - me))) >>> 0;
  if (sh === 0) return value.and(BigInt(ones));
  const low = value.wrap();
  const fromBelow = 2 ** sh - 1;
  const masked = (word: I32, all: number) => (ones === all ? word : word.and(ones)).extendU();
  if ((ones & fromBelow) === 0) return masked(low.shl(sh), (-1 << sh) >>> 0);
  if (ones <= fromBelow) return masked(low.shrU(32 - sh), fromBelow);
  return masked(low.rotl(sh), 0xffff_ffff);
}

/** Rotation of a doubleword by SH, and AND with the mask from bit `first` to bit `last`, as in `rotateAndMask`. */
function rotateAndMask64(s: Emitter, first: I64, last: I64, otherMask: () => I64): I64 {
  const value = s.gpr('rs');
  const [sh, mb, me] = [s.field('sh').known, first.known, last.known];
  if (sh === undefined || mb === undefined || me === undefined || mb > me) {
    return value.rotl(s.field64('sh')).and(otherMask());
  }
  const ones = BigInt.asUintN(64, (-1n << (63n - me)) & ((1n << (64n - mb)) - 1n));
  const fromBelow = (1n << BigInt(sh)) - 1n;
  if ((ones & fromBelow) === 0n) {
    // What stays is masked before it is shifted: low ones make short constants.
    const kept = ones >> BigInt(sh);
    if (mb === 0n) return kept === (1n << BigInt(64 - sh)) - 1n ? value.shl(sh) : value.rotl(sh).and(ones);
    return me === BigInt(63 - sh) ? value.and(kept).shl(sh) : value.shl(sh).and(ones);
  }
  if (ones === fromBelow) return value.shrU(64 - sh);
  return ones < fromBelow ? value.shrU(64 - sh).and(ones) : value.rotl(sh).and(ones);
}

const wordMask = (s: Emitter) => mask(s, s.field64('mb').add(32), s.field64('me').add(32));
const insert = (rotated: I64, old: I64, m: I64) => rotated.and(m).or(old.and(m.not()));

/** RA := value shifted right arithmetically, CA = negative and ones lost. */
function shiftArithmetic(s: Emitter, result: I64, lost: I64, source: I64): void {
  const ca = lost.ne(0n).and(source.ltS(0n));
  setCa(s, ca, ca);
  setRa(s, result);
}

/** RT := quotient or 0; `bad` tells when there is none. `compute` runs only for good operands. */
function divide(s: Emitter, bad: I32, compute: () => I64): void {
  const result = s.fn.choose(bad, () => s.fn.i64(0n), compute);
  s.setGpr('rt', result);
  if (s.flag('oe')) setOv(s, bad);
  s.record(result);
}

const MIN64 = -(1n << 63n);
const MIN32 = -(1n << 31n);

function signedWords(s: Emitter): [I64, I64] {
  return [s.gpr('ra').extend32S(), s.gpr('rb').extend32S()];
}
function unsignedWords(s: Emitter): [I64, I64] {
  return [s.gpr('ra').low32(), s.gpr('rb').low32()];
}

/** Signed `RA || 0` / RB for divde: sign and magnitude over the unsigned division. */
function divideExtendedSigned(s: Emitter): void {
  const { fn } = s;
  const [a, b] = [s.gpr('ra'), s.gpr('rb')];
  const magnitude = (v: I64) => v.xor(v.shrS(63)).sub(v.shrS(63));
  const [ma, mb] = [magnitude(a), magnitude(b)];
  const negative = a.xor(b).ltS(0n);
  const outOfRange = mb.eqz().or(ma.geU(mb));
  const quotient = fn.choose(
    outOfRange,
    () => fn.i64(0n),
    () => fn.call('i64', s.runtime(divideExtended), [ma, mb]),
  );
  // A magnitude of 2^63 is in range only with a minus sign.
  const tooLarge = quotient.gtU(fn.i64(MIN64).selectIf(negative, (1n << 63n) - 1n));
  const bad = outOfRange.or(tooLarge);
  const signed = quotient.neg().selectIf(negative, quotient);
  divide(s, bad, () => signed);
}

function perByte(f: (byte: I64) => I64) {
  return (a: I64): I64 => {
    let result: I64 | undefined;
    for (let i = 0; i < 8; i++) {
      const part = f(a.shrU(8 * i).and(0xff)).shl(8 * i);
      result = result ? result.or(part) : part;
    }
    return result!;
  };
}

/** One where a byte of `value` is zero, at the byte's top bit. */
function zeroBytes(value: I64): I64 {
  const low7 = 0x7f7f_7f7f_7f7f_7f7fn;
  return value.and(low7).add(low7).or(value).or(low7).not();
}

/** GT bit of CR field BF := condition. */
function setRangeResult(s: Emitter, inside: I32): void {
  s.setCrField(s.field('bf'), inside.ne(0).shl(2));
}

function inRange(value: I64, low: I64, high: I64): I32 {
  return value.geU(low).and(value.leU(high));
}

/** A random doubleword that is never all ones, which `darn` keeps for failure (ISA 3.0B I 3.3.9). */
const nextRandom = runtimeFunction('nextRandom', [], 'i64', (fn) => {
  // splitmix64 over a counter of its own, so that runs repeat.
  const state = getShared64(fn, 'randomState').add(0x9e37_79b9_7f4a_7c15n);
  setShared64(fn, 'randomState', state);
  const a = state.xor(state.shrU(30)).mul(0xbf58_476d_1ce4_e5b9n);
  const b = a.xor(a.shrU(27)).mul(0x94d0_49bb_1331_11ebn);
  const value = b.xor(b.shrU(31));
  fn.return(fn.i64(0n).selectIf(value.eq(-1n), value));
});

export const fixedPoint = {
  addi: (s) => s.setGpr('rt', s.gprOr0('ra').add(s.field64('si'))),
  addis: (s) => s.setGpr('rt', s.gprOr0('ra').add(s.field64('si').shl(16))),
  addpcis: (s) => s.setGpr('rt', s.nia().add(s.field64('d').shl(16))),
  add: (s) => addInto(s, s.gpr('ra'), s.gpr('rb'), undefined, false),
  subf: (s) => subtractFrom(s, s.gpr('rb')),
  addic: (s) => addInto(s, s.gpr('ra'), s.field64('si'), undefined, true),
  'addic.': (s) => addInto(s, s.gpr('ra'), s.field64('si'), undefined, true),
  subfic: (s) => addInto(s, s.gpr('ra').not(), s.field64('si'), one(s), true),
  addc: (s) => addInto(s, s.gpr('ra'), s.gpr('rb'), undefined, true),
  subfc: (s) => addInto(s, s.gpr('ra').not(), s.gpr('rb'), one(s), true),
  adde: (s) => addInto(s, s.gpr('ra'), s.gpr('rb'), carryIn(s), true),
  subfe: (s) => addInto(s, s.gpr('ra').not(), s.gpr('rb'), carryIn(s), true),
  addme: (s) => addInto(s, s.gpr('ra'), s.fn.i64(-1n), carryIn(s), true),
  subfme: (s) => addInto(s, s.gpr('ra').not(), s.fn.i64(-1n), carryIn(s), true),
  addze: (s) => addInto(s, s.gpr('ra'), s.fn.i64(0n), carryIn(s), true),
  subfze: (s) => addInto(s, s.gpr('ra').not(), s.fn.i64(0n), carryIn(s), true),
  neg: (s) => subtractFrom(s, s.fn.i64(0n)),
  addex: (s) => {
    // CY = 0: OV is the carry; the other values are reserved.
    const [a, b] = [s.gpr('ra'), s.gpr('rb')];
    const sum = a.add(b).add(s.state32('ov').extendU());
    s.setGpr('rt', sum);
    const carries = a.and(b).or(a.or(b).and(sum.not()));
    s.setState32('ov', bit0(carries));
    s.setState32('ov32', bit32(carries));
  },
  mulli: (s) => s.setGpr('rt', s.gpr('ra').mul(s.field64('si'))),
  mullw: (s) => {
    const [a, b] = signedWords(s);
    const product = a.mul(b);
    s.setGpr('rt', product);
    if (s.flag('oe')) setOv(s, product.ne(product.extend32S()));
    s.record(product);
  },
  mulhw: (s) => {
    const [a, b] = signedWords(s);
    const high = a.mul(b).shrS(32);
    const both = high.low32().or(high.shl(32));
    s.setGpr('rt', both);
    s.record(both);
  },
  mulhwu: (s) => {
    const [a, b] = unsignedWords(s);
    const high = a.mul(b).shrU(32);
    const both = high.or(high.shl(32));
    s.setGpr('rt', both);
    s.record(both);
  },
  mulld: (s) => {
    const [a, b] = [s.gpr('ra'), s.gpr('rb')];
    const product = a.mul(b);
    s.setGpr('rt', product);
    if (s.flag('oe')) setOv(s, mulHigh(s, a, b, true).ne(product.shrS(63)));
    s.record(product);
  },
  mulhd: (s) => {
    const high = mulHigh(s, s.gpr('ra'), s.gpr('rb'), true);
    s.setGpr('rt', high);
    s.record(high);
  },
  mulhdu: (s) => {
    const high = mulHigh(s, s.gpr('ra'), s.gpr('rb'), false);
    s.setGpr('rt', high);
    s.record(high);
  },
  maddhd: (s) => {
    const [a, b, c] = [s.gpr('ra'), s.gpr('rb'), s.gpr('rcr')];
    const low = a.mul(b);
    const carry = low.add(c).ltU(low).extendU();
    s.setGpr('rt', mulHigh(s, a, b, true).add(c.shrS(63)).add(carry));
  },
  maddhdu: (s) => {
    const [a, b, c] = [s.gpr('ra'), s.gpr('rb'), s.gpr('rcr')];
    const low = a.mul(b);
    s.setGpr('rt', mulHigh(s, a, b, false).add(low.add(c).ltU(low).extendU()));
  },
  maddld: (s) => s.setGpr('rt', s.gpr('ra').mul(s.gpr('rb')).add(s.gpr('rcr'))),
  divd: (s) => {
    const [a, b] = [s.gpr('ra'), s.gpr('rb')];
    divide(s, b.eqz().or(a.eq(MIN64).and(b.eq(-1n))), () => a.divS(b));
  },
  divdu: (s) => {
    const [a, b] = [s.gpr('ra'), s.gpr('rb')];
    divide(s, b.eqz(), () => a.divU(b));
  },
  divw: (s) => {
    const [a, b] = signedWords(s);
    divide(s, b.eqz().or(a.eq(MIN32).and(b.eq(-1n))), () => a.divS(b).low32());
  },
  divwu: (s) => {
    const [a, b] = unsignedWords(s);
    divide(s, b.eqz(), () => a.divU(b));
  },
  divde: divideExtendedSigned,
  divdeu: (s) => {
    const [a, b] = [s.gpr('ra'), s.gpr('rb')];
    divide(s, a.geU(b), () => s.fn.call('i64', s.runtime(divideExtended), [a, b]));
  },
  divwe: (s) => {
    const dividend = s.gpr('ra').shl(32);
    const divisor = s.gpr('rb').extend32S();
    const impossible = divisor.eqz().or(dividend.eq(MIN64).and(divisor.eq(-1n)));
    const quotient = s.fn.choose(
      impossible,
      () => s.fn.i64(0n),
      () => dividend.divS(divisor),
    );
    divide(s, impossible.or(quotient.ne(quotient.extend32S())), () => quotient.low32());
  },
  divweu: (s) => {
    const [a, b] = unsignedWords(s);
    divide(s, a.geU(b), () => a.shl(32).divU(b));
  },
  modsd: (s) => {
    const [a, b] = [s.gpr('ra'), s.gpr('rb')];
    divide(s, b.eqz().or(a.eq(MIN64).and(b.eq(-1n))), () => a.remS(b));
  },
  modud: (s) => {
    const [a, b] = [s.gpr('ra'), s.gpr('rb')];
    divide(s, b.eqz(), () => a.remU(b));
  },
  modsw: (s) => {
    const [a, b] = signedWords(s);
    divide(s, b.eqz().or(a.eq(MIN32).and(b.eq(-1n))), () => a.remS(b));
  },
  moduw: (s) => {
    const [a, b] = unsignedWords(s);
    divide(s, b.eqz(), () => a.remU(b));
  },
  darn: (s) => {
    const random = s.fn.call('i64', s.runtime(nextRandom), []);
    const l = s.field('l');
    // L = 3 is reserved and answers like a failure.
    s.setGpr('rt', s.fn.i64(-1n).selectIf(l.eq(3), random.low32().selectIf(l.eqz(), random)));
  },

  cmpi: compare((s) => s.field64('si'), true),
  cmp: compare((s) => s.gpr('rb'), true),
  cmpli: compare((s) => s.field64('ui'), false),
  cmpl: compare((s) => s.gpr('rb'), false),
  cmprb: (s) => {
    const byte = s.gpr('ra').and(0xff);
    const b = s.gpr('rb');
    const at = (place: number) => b.shrU(place).and(0xff);
    const first = inRange(byte, at(0), at(8));
    const second = inRange(byte, at(16), at(24));
    setRangeResult(s, first.or(second.and(s.field('l'))));
  },
  cmpeqb: (s) => {
    const copies = s.gpr('ra').and(0xff).mul(0x0101_0101_0101_0101n);
    setRangeResult(s, zeroBytes(copies.xor(s.gpr('rb'))).ne(0n));
  },
  twi: trap((s) => s.field64('si'), false),
  tw: trap((s) => s.gpr('rb'), false),
  tdi: trap((s) => s.field64('si'), true),
  td: trap((s) => s.gpr('rb'), true),
  isel: (s) => s.setGpr('rt', s.gprOr0('ra').selectIf(s.crBit(s.field('bc')), s.gpr('rb'))),
  setb: (s) => {
    const field = s.crField(s.field('bfa'));
    s.setGpr('rt', s.fn.i64(-1n).selectIf(field.and(8), field.shrU(2).and(1).extendU()));
  },

  'andi.': logicalImmediate((a, b) => a.and(b), 0),
  'andis.': logicalImmediate((a, b) => a.and(b), 16),
  ori: logicalImmediate((a, b) => a.or(b), 0),
  oris: logicalImmediate((a, b) => a.or(b), 16),
  xori: logicalImmediate((a, b) => a.xor(b), 0),
  xoris: logicalImmediate((a, b) => a.xor(b), 16),
  and: logical((a, b) => a.and(b)),
  or: logical((a, b) => a.or(b)),
  xor: logical((a, b) => a.xor(b)),
  nand: logical((a, b) => a.and(b).not()),
  nor: logical((a, b) => a.or(b).not()),
  eqv: logical((a, b) => a.xor(b).not()),
  andc: logical((a, b) => a.and(b.not())),
  orc: logical((a, b) => a.or(b.not())),
  extsb: unary((a) => a.extend8S()),
  extsh: unary((a) => a.extend16S()),
  extsw: unary((a) => a.extend32S()),
  cntlzw: unary((a) => a.wrap().clz().extendU()),
  cnttzw: unary((a) => a.wrap().ctz().extendU()),
  cntlzd: unary((a) => a.clz()),
  cnttzd: unary((a) => a.ctz()),
  popcntb: unary(perByte((byte) => byte.popcnt())),
  popcntw: unary((a) => a.shrU(32).popcnt().shl(32).or(a.low32().popcnt())),
  popcntd: unary((a) => a.popcnt()),
  prtyw: unary((a) => {
    const lowBits = a.and(0x0101_0101_0101_0101n);
    return lowBits.shrU(32).popcnt().and(1).shl(32).or(lowBits.low32().popcnt().and(1));
  }),
  prtyd: unary((a) => a.and(0x0101_0101_0101_0101n).popcnt().and(1)),
  cmpb: logical((a, b) => zeroBytes(a.xor(b)).shrU(7).mul(0xff)),
  bpermd: (s) => {
    const [indices, source] = [s.gpr('rs'), s.gpr('rb')];
    let result = s.fn.i64(0n);
    for (let i = 0; i < 8; i++) {
      const index = indices.shrU(8 * i).and(0xff);
      const bit = source.rotl(index.add(1)).and(1).selectIf(index.ltU(64n), 0n);
      result = result.or(bit.shl(i));
    }
    s.setGpr('ra', result);
  },

  rlwinm: (s) => setRa(s, rotateAndMask(s)),
  rlwnm: (s) => setRa(s, rotateWord(s.gpr('rs'), s.gpr('rb')).and(wordMask(s))),
  rlwimi: (s) => setRa(s, insert(rotateWord(s.gpr('rs'), s.field64('sh')), s.gpr('ra'), wordMask(s))),
  rldicl: (s) => {
    const mb = s.field64('mb');
    setRa(
      s,
      rotateAndMask64(s, mb, s.fn.i64(63n), () => s.fn.i64(-1n).shrU(mb)),
    );
  },
  rldicr: (s) => {
    const me = s.field64('me');
    setRa(
      s,
      rotateAndMask64(s, s.fn.i64(0n), me, () => s.fn.i64(MIN64).shrS(me)),
    );
  },
  rldic: (s) => {
    const [mb, me] = [s.field64('mb'), s.fn.i64(63n).sub(s.field64('sh'))];
    setRa(
      s,
      rotateAndMask64(s, mb, me, () => mask(s, mb, me)),
    );
  },
  rldcl: (s) =>
    setRa(
      s,
      s
        .gpr('rs')
        .rotl(s.gpr('rb'))
        .and(s.fn.i64(-1n).shrU(s.field64('mb'))),
    ),
  rldcr: (s) =>
    setRa(
      s,
      s
        .gpr('rs')
        .rotl(s.gpr('rb'))
        .and(s.fn.i64(MIN64).shrS(s.field64('me'))),
    ),
  rldimi: (s) => {
    const sh = s.field64('sh');
    setRa(s, insert(s.gpr('rs').rotl(sh), s.gpr('ra'), mask(s, s.field64('mb'), s.fn.i64(63n).sub(sh))));
  },
  slw: logical((a, b) => a.shl(b.and(31)).low32().selectIf(b.and(32).eqz(), 0n)),
  srw: logical((a, b) => a.low32().shrU(b.and(31)).selectIf(b.and(32).eqz(), 0n)),
  sld: logical((a, b) => a.shl(b).selectIf(b.and(64).eqz(), 0n)),
  srd: logical((a, b) => a.shrU(b).selectIf(b.and(64).eqz(), 0n)),
  srawi: (s) => {
    const source = s.gpr('rs').extend32S();
    const sh = s.field64('sh');
    shiftArithmetic(s, source.shrS(sh), source.and(s.fn.i64(1n).shl(sh).sub(1)), source);
  },
  sraw: (s) => {
    const source = s.gpr('rs').extend32S();
    const amount = s.gpr('rb').and(63);
    // 32 to 63 shift all of the word out; the sign bits of the extended source stand for it.
    shiftArithmetic(s, source.shrS(amount), source.and(s.fn.i64(1n).shl(amount).sub(1)), source);
  },
  sradi: (s) => {
    const source = s.gpr('rs');
    const sh = s.field64('sh');
    shiftArithmetic(s, source.shrS(sh), source.and(s.fn.i64(1n).shl(sh).sub(1)), source);
  },
  srad: (s) => {
    const source = s.gpr('rs');
    const amount = s.gpr('rb');
    const all = amount.and(64).ne(0n);
    const result = source.shrS(63).selectIf(all, source.shrS(amount));
    const lost = source.selectIf(all, source.and(s.fn.i64(1n).shl(amount).sub(1)));
    shiftArithmetic(s, result, lost, source);
  },
  extswsli: (s) => setRa(s, s.gpr('rs').extend32S().shl(s.field64('sh'))),
  // Encodings that the architecture keeps as no-ops.
  rnop: () => {},
} satisfies SemanticsMap;
