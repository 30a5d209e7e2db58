// Random operand values rich in edge cases. Each generator returns its value in `lo`, `hi` (64 bits) or in four words
// `w0`..`w3` (128 bits, w0 the ISA's leftmost word), so that nothing is allocated per value.

import type { Random } from './random.ts';

export type ValueType =
  | 'f64'
  | 'f32in64'
  | 'f32'
  | 'f16'
  | 'f128'
  | 'i8'
  | 'i16'
  | 'i32'
  | 'i64'
  | 'i128'
  | 'bcd'
  | 'digits'
  | 'national'
  | 'zoned'
  | 'dfp'
  | 'dfpq'
  | 'small'
  | 'fpscr'
  | 'same-bits'
  | 'any';

const anyTypes: readonly ValueType[] = ['f64', 'f32', 'i8', 'i16', 'i32', 'i64', 'i128', 'f32in64', 'i8'];

/** Types whose operands may be equal, or differ by sign or last place, and still be operands. */
const repeatable: ReadonlySet<ValueType> = new Set([
  'f64',
  'f32in64',
  'f32',
  'f16',
  'f128',
  'i8',
  'i16',
  'i32',
  'i64',
  'i128',
  'any',
]);

const f32 = new Float32Array(1);
const f32bits = new Uint32Array(f32.buffer);
const f64 = new Float64Array(1);
const f64bits = new Uint32Array(f64.buffer);

export class Values {
  lo = 0;
  hi = 0;
  w0 = 0;
  w1 = 0;
  w2 = 0;
  w3 = 0;
  /** PS of a decimal instruction: it decides which zones a zoned decimal has. */
  preferredSign = false;
  private readonly random: Random;
  /** The operand generated before the current one: its float values attract the next ones (cancellation, halfway cases). */
  private readonly previous = new Int32Array(4);
  private previousType: ValueType | undefined;

  constructor(random: Random) {
    this.random = random;
  }

  /** Forget earlier operands: a new operand set begins. */
  startSet(): void {
    this.previousType = undefined;
  }

  /** A 64-bit integer in `lo`, `hi`. */
  int64(): void {
    const { random } = this;
    switch (random.below(14)) {
      case 0: {
        const small = random.between(-2, 2);
        this.lo = small;
        this.hi = small >> 31;
        break;
      }
      case 1: {
        const byte = random.between(-300, 300);
        this.lo = byte;
        this.hi = byte >> 31;
        break;
      }
      case 2:
      case 3: {
        // A power of two, less one, negated or not.
        const bit = random.below(64);
        this.lo = bit < 32 ? 1 << bit : 0;
        this.hi = bit < 32 ? 0 : 1 << (bit - 32);
        if (random.oneIn(2)) {
          this.hi = (this.hi - (this.lo === 0 ? 1 : 0)) | 0;
          this.lo = (this.lo - 1) | 0;
        }
        if (random.oneIn(3)) {
          this.lo = ~this.lo;
          this.hi = ~this.hi;
        }
        break;
      }
      case 4: {
        const edge = random.below(6);
        this.lo = [0, -1, 0x80000000, 0x7fffffff, 0x80000000, -1][edge] | 0;
        this.hi = [0x80000000, 0x7fffffff, -1, 0, 0, 0][edge] | 0;
        break;
      }
      case 5:
      case 6:
        this.lo = random.bits();
        this.hi = this.lo >> 31;
        break;
      case 7:
        this.lo = random.bits();
        this.hi = 0;
        break;
      case 8: {
        // A run of ones.
        const [from, to] = [random.below(64), random.below(64)];
        const mask =
          (((1n << BigInt(Math.abs(from - to) + 1)) - 1n) << BigInt(Math.min(from, to))) & 0xffff_ffff_ffff_ffffn;
        this.lo = Number(mask & 0xffff_ffffn) | 0;
        this.hi = Number(mask >> 32n) | 0;
        if (random.oneIn(2)) {
          this.lo = ~this.lo;
          this.hi = ~this.hi;
        }
        break;
      }
      case 9:
        this.lo = random.bits() & random.bits() & random.bits();
        this.hi = random.bits() & random.bits() & random.bits();
        break;
      default:
        this.lo = random.bits();
        this.hi = random.bits();
    }
  }

  /** An element of `bits` (8, 16 or 32) with many minima, maxima and neighbours of 0. */
  private element(bits: number): number {
    const { random } = this;
    const max = bits === 32 ? -1 : (1 << bits) - 1;
    switch (random.below(8)) {
      case 0:
        return 0;
      case 1:
        return max;
      case 2:
        return 1 << (bits - 1);
      case 3:
        return (max >>> 1) & max;
      case 4:
        return random.below(5) & max;
      case 5:
        return (max - random.below(5)) & max;
      default:
        return random.bits() & max;
    }
  }

  private elements(bits: number): number {
    if (bits === 32) return this.element(32);
    let word = 0;
    for (let at = 0; at < 32; at += bits) word |= this.element(bits) << at;
    return word;
  }

  /** Sign, exponent category and fraction of a float with `exponentBits` and `fractionWords` in all; returns the top word. */
  private floatTop(exponentBits: number, near: number): { exponent: number; kind: number } {
    const { random } = this;
    const max = (1 << exponentBits) - 1;
    const bias = max >> 1;
    const kind = random.below(20);
    let exponent: number;
    if (near >= 0 && random.below(5) < 2) exponent = near + random.between(-60, 60);
    else if (kind === 0 || kind === 1) exponent = 0;
    else if (kind === 2 || kind === 3) exponent = max;
    else if (kind === 4) exponent = random.between(1, 3);
    else if (kind === 5) exponent = max - random.between(1, 3);
    else if (kind === 6)
      exponent = bias + random.pick([31, 32, 33, 52, 53, 54, 62, 63, 64, 65, 15, 16, 112, 113, 127]) - random.below(2);
    else if (kind === 7)
      exponent = bias + random.pick([127, 128, 129, -126, -127, -148, -149, -150, -151, -22, -24, -25, -14]);
    else if (kind === 8) exponent = random.below(max + 1);
    else if (kind === 9) exponent = bias + random.between(-2, 2);
    else exponent = bias + random.between(-70, 70);
    return { exponent: Math.max(0, Math.min(max, exponent)), kind };
  }

  /** Fraction bits (up to 32 of them, right-aligned): sparse, full, near-rounding or random. */
  private fraction(bits: number, style: number): number {
    const { random } = this;
    const mask = bits === 32 ? -1 : (1 << bits) - 1;
    switch (style) {
      case 0:
        return 0;
      case 1:
        return mask;
      case 2:
        return (1 << random.below(bits)) & mask;
      case 3:
        return random.bits() & random.bits() & random.bits() & mask;
      case 4:
        return (random.bits() | random.bits() | random.bits()) & mask;
      case 5:
        return (-1 << random.below(bits)) & mask;
      default:
        return random.bits() & mask;
    }
  }

  /** A single's bits. */
  single(near: number): number {
    const { random } = this;
    const { exponent } = this.floatTop(8, near);
    let fraction = this.fraction(23, random.below(9));
    if (exponent === 255 && random.below(3) === 0) fraction = 0;
    return (random.bits() & 0x80000000) | (exponent << 23) | fraction | 0;
  }

  /** A double in `lo`, `hi`. */
  double(near: number): void {
    const { random } = this;
    const { exponent } = this.floatTop(11, near);
    const style = random.below(12);
    let high: number;
    let low: number;
    if (style === 9) {
      // A halfway case of rounding to single, or next to one: 23 fraction bits, then 1000... give or take one.
      high = this.fraction(20, random.below(8));
      low = (random.bits() & 0xe0000000) | random.pick([0x10000000, 0x0fffffff, 0x10000001, 0, 1, 0x1fffffff]);
    } else if (style === 10) {
      // A value of single precision.
      high = random.bits() & 0xfffff;
      low = random.bits() & 0xe0000000;
    } else {
      high = this.fraction(20, style);
      low = this.fraction(32, random.oneIn(2) ? style : random.below(9));
    }
    if (exponent === 2047 && random.below(3) === 0) high = low = 0;
    this.hi = (random.bits() & 0x80000000) | (exponent << 20) | high;
    this.lo = low;
  }

  /** A single's bits as a double in `lo`, `hi`; a signalling NaN stays one. */
  widen(bits: number): void {
    if ((bits & 0x7f800000) === 0x7f800000) {
      this.hi = (bits & 0x80000000) | 0x7ff00000 | ((bits & 0x7fffff) >>> 3);
      this.lo = (bits & 7) << 29;
      return;
    }
    f32bits[0] = bits;
    f64[0] = f32[0];
    this.lo = f64bits[0] | 0;
    this.hi = f64bits[1] | 0;
  }

  private half(): number {
    const { random } = this;
    const { exponent } = this.floatTop(5, -1);
    let fraction = this.fraction(10, random.below(9));
    if (exponent === 31 && random.below(3) === 0) fraction = 0;
    return (random.bits() & 0x8000) | (exponent << 10) | fraction;
  }

  private quad(near: number): void {
    const { random } = this;
    const { exponent, kind } = this.floatTop(15, near);
    let e = exponent;
    if (near < 0 && kind === 8) e = random.below(0x8000);
    else if (near < 0 && kind === 10)
      e = 0x3fff + random.pick([1023, 1024, 1025, -1021, -1022, -1023, -1074, -1075, -1076]);
    const style = random.below(9);
    this.w0 = (random.bits() & 0x80000000) | (e << 16) | this.fraction(16, style);
    this.w1 = this.fraction(32, style);
    this.w2 = this.fraction(32, random.oneIn(2) ? style : random.below(9));
    this.w3 = this.fraction(32, random.oneIn(2) ? style : random.below(9));
    // A halfway case of rounding to double, or next to one.
    if (random.oneIn(8)) {
      this.w2 = (this.w2 & 0xf0000000) | random.pick([0x08000000, 0x07ffffff, 0x08000000, 0]);
      this.w3 = random.pick([0, 1, -1]);
    }
    if (e === 0x7fff && random.below(3) === 0) {
      this.w0 &= 0xffff0000;
      this.w1 = this.w2 = this.w3 = 0;
    }
  }

  private bcd(signed: boolean): void {
    const { random } = this;
    const words = [0, 0, 0, 0];
    const digits = random.pick([0, 1, 3, 8, 15, 16, 30, 31, 31, 31]);
    const nines = random.oneIn(4);
    for (let digit = 1; digit <= digits; digit++) {
      const value = nines ? 9 : random.below(10);
      words[3 - (digit >> 3)] |= value << ((digit & 7) * 4);
    }
    // Sign codes: C and F (A and E) plus, D (B) minus.
    words[3] |= signed ? random.pick([0xc, 0xf, 0xd, 0xc, 0xf, 0xd, 0xa, 0xb, 0xe]) : random.below(10);
    this.w0 = words[0];
    this.w1 = words[1];
    this.w2 = words[2];
    this.w3 = words[3];
  }

  private national(): void {
    const { random } = this;
    const half = (sign: boolean) => (sign ? random.pick([0x2b, 0x2d]) : 0x30 + random.below(10));
    this.w0 = (half(false) << 16) | half(false);
    this.w1 = (half(false) << 16) | half(false);
    this.w2 = (half(false) << 16) | half(false);
    this.w3 = (half(false) << 16) | half(true);
  }

  private zoned(): void {
    const { random } = this;
    const zone = this.preferredSign ? 0xf0 : 0x30;
    const word = () => {
      let value = 0;
      for (let i = 0; i < 4; i++) value |= (zone | random.below(10)) << (8 * i);
      return value;
    };
    this.w0 = word();
    this.w1 = word();
    this.w2 = word();
    const sign = zone === 0x30 ? random.pick([0x30, 0x70]) : random.pick([0xc0, 0xd0, 0xf0, 0xa0, 0xb0, 0xe0]);
    this.w3 = (word() & ~0xf0) | sign;
  }

  /** Top word of a decimal float: combination field and exponent chosen, the rest random. */
  private decimalTop(exponentBits: number, bias: number): number {
    const { random } = this;
    if (random.oneIn(10)) return (random.bits() & 0x83ffffff) | (random.pick([0x1e, 0x1f, 0x1f]) << 26);
    const exponent = random.oneIn(2) ? bias + random.between(-20, 20) : random.below(3 << exponentBits);
    const digit = random.below(10);
    const leading = exponent >> exponentBits;
    const combination = digit < 8 ? (leading << 3) | digit : 0x18 | (leading << 1) | (digit & 1);
    const rest = 26 - exponentBits;
    return (
      (random.bits() & (0x80000000 | ((1 << rest) - 1))) |
      (combination << 26) |
      ((exponent & ((1 << exponentBits) - 1)) << rest)
    );
  }

  /** A register value of the given type in `w0`..`w3`. Types of 64 bits or less fill doubleword 0 and random bits beside. */
  register(type: ValueType): void {
    const { random, previous } = this;
    const attracted = this.previousType === type;
    // Equal operands, and operands that differ by sign or a few units in the last place, are worth having.
    if (attracted && repeatable.has(type) && random.oneIn(10)) {
      const flip = random.oneIn(2) ? 0x80000000 : 0;
      const doubles = type === 'f64' || type === 'f32in64' || type === 'f128';
      this.w0 = previous[0] ^ flip;
      this.w1 = previous[1] ^ (doubles ? 0 : flip);
      this.w2 = previous[2] ^ (type === 'f128' ? 0 : flip);
      this.w3 = previous[3] ^ (doubles ? 0 : flip);
      if (type === 'f64') this.w1 = (this.w1 + random.between(-2, 2)) | 0;
      else if (type !== 'f32in64') this.w3 = (this.w3 + random.between(-2, 2)) | 0;
      return;
    }
    this.fill(type, attracted);
    previous[0] = this.w0;
    previous[1] = this.w1;
    previous[2] = this.w2;
    previous[3] = this.w3;
    this.previousType = type;
  }

  private fill(type: ValueType, attracted: boolean): void {
    const { random, previous } = this;
    switch (type) {
      case 'f64': {
        this.double(attracted ? (previous[0] >>> 20) & 0x7ff : -1);
        this.w0 = this.hi;
        this.w1 = this.lo;
        this.double(attracted ? (previous[2] >>> 20) & 0x7ff : -1);
        this.w2 = this.hi;
        this.w3 = this.lo;
        break;
      }
      case 'f32in64': {
        if (random.oneIn(5)) {
          this.double(attracted ? (previous[0] >>> 20) & 0x7ff : -1);
        } else {
          const exponent = ((previous[0] >>> 20) & 0x7ff) - 896;
          this.widen(this.single(attracted && exponent > 0 && exponent < 255 ? exponent : -1));
        }
        this.w0 = this.hi;
        this.w1 = this.lo;
        this.w2 = random.bits();
        this.w3 = random.bits();
        break;
      }
      case 'f32':
        this.w0 = this.single(attracted ? (previous[0] >>> 23) & 0xff : -1);
        this.w1 = this.single(attracted ? (previous[1] >>> 23) & 0xff : -1);
        this.w2 = this.single(attracted ? (previous[2] >>> 23) & 0xff : -1);
        this.w3 = this.single(attracted ? (previous[3] >>> 23) & 0xff : -1);
        break;
      case 'f16':
        this.w0 = (this.half() << 16) | this.half();
        this.w1 = (this.half() << 16) | this.half();
        this.w2 = (this.half() << 16) | this.half();
        this.w3 = (this.half() << 16) | this.half();
        break;
      case 'f128':
        this.quad(attracted ? (previous[0] >>> 16) & 0x7fff : -1);
        break;
      case 'i8':
      case 'i16':
      case 'i32': {
        const bits = type === 'i8' ? 8 : type === 'i16' ? 16 : 32;
        this.w0 = this.elements(bits);
        this.w1 = this.elements(bits);
        this.w2 = this.elements(bits);
        this.w3 = this.elements(bits);
        break;
      }
      case 'i64':
        this.int64();
        this.w0 = this.hi;
        this.w1 = this.lo;
        this.int64();
        this.w2 = this.hi;
        this.w3 = this.lo;
        break;
      case 'i128': {
        this.int64();
        this.w2 = this.hi;
        this.w3 = this.lo;
        if (random.oneIn(2)) this.w0 = this.w1 = this.w2 >> 31;
        else {
          this.int64();
          this.w0 = this.hi;
          this.w1 = this.lo;
        }
        break;
      }
      case 'bcd':
        this.bcd(true);
        break;
      case 'digits':
        this.bcd(false);
        break;
      case 'national':
        this.national();
        break;
      case 'zoned':
        this.zoned();
        break;
      case 'dfp':
        this.w0 = this.decimalTop(8, 398);
        this.w1 = random.bits();
        if (random.oneIn(4)) this.w0 &= 0xfffc0000;
        if (random.oneIn(5)) this.w1 = random.below(16);
        this.w2 = random.bits();
        this.w3 = random.bits();
        break;
      case 'dfpq':
        this.w0 = this.decimalTop(12, 6176);
        this.w1 = random.bits();
        this.w2 = random.bits();
        this.w3 = random.bits();
        break;
      case 'small':
        this.w0 = random.oneIn(2) ? 0 : random.bits();
        this.w1 = random.oneIn(4) ? random.bits() : random.below(800);
        this.w2 = random.bits();
        this.w3 = random.bits();
        break;
      case 'fpscr':
        this.w0 = random.oneIn(4) ? random.bits() : random.below(8);
        this.w1 = random.oneIn(2) ? random.bits() : random.bits() & 0xff;
        this.w2 = random.bits();
        this.w3 = random.bits();
        break;
      case 'same-bits': {
        // Every byte with the same low three bits: what vsl and vsr want of their shift count.
        const shift = random.below(8) * 0x01010101;
        const word = () => (random.bits() & ~0x07070707) | shift;
        this.w0 = word();
        this.w1 = word();
        this.w2 = word();
        this.w3 = word();
        break;
      }
      case 'any':
        this.fill(random.pick(anyTypes), false);
        break;
    }
  }
}
