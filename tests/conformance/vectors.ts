// Blocks of test vectors, made from a seed: instruction words with random fields, and operand sets for each. A block has
// `vectorsPerBlock` operand sets over `programsPerBlock` instruction words; what a vector changes of the block's base
// state is a list of slots, so that neither side is sent whole states.
//
// Left out, because the ISA gives them no meaning (invalid forms, undefined results that no rule for POWER9 is known of):
//   - update forms with RA=0, or with RA=RT for loads; RA or RB in the target pair of lq and lqarx; odd register pairs;
//   - lwat, ldat with RA among RT, RT+1, RT+2; reserved function codes of the atomic memory operations;
//   - bc with reserved BO codes, bcctr that decrements CTR, branches to themselves;
//   - mtocrf and mfocrf with other than one mask bit; addex with CY other than 0; reserved rounding modes of xsrqpi, xsrqpix,
//     xsrqpxp; vector extracts and inserts that reach beyond the register;
//   - stfs and its kin of doubles below the range of single; vsl and vsr with unequal shift counts;
//   - packed decimals with invalid digits or signs.
// Left out, because the harness cannot run them: storage accesses outside the window (so no D form with RA=0), branches
// to negative addresses, an FPSCR that is an enabled exception from the start. qemu-user aborts at an alignment interrupt:
// what takes one is in alignment.test.ts.

import { encodeFields } from '../../src/cpu/isa/decode.ts';
import type { Instruction } from '../../src/cpu/isa/table.ts';
import { instruction } from '../../src/cpu/isa/table.ts';
import { codeEa, windowBytes, windowEa } from '../support/cpu-under-test.ts';
import { Random } from './random.ts';
import { estimatePrecision } from './reference-rules.ts';
import { SlotState, slot, slotCount, windowSlots } from './state.ts';
import type { ValueType } from './values.ts';
import { Values } from './values.ts';

export const seed = 'powervisor-1';
export const vectorsPerBlock = 50;
export const programsPerBlock = 25;
/** 2,000 operand sets an instruction. */
export const blocksPerInstruction = 40;

export interface Block {
  readonly op: string;
  readonly index: number;
  /** Stands at `codeEa` in the harness: what it does depends on its own address, or on TAR, which the harness uses. */
  readonly fixed: boolean;
  readonly base: SlotState;
  /** A word, or a few that belong together (a load with reservation before its conditional store). */
  readonly programs: readonly Uint32Array[];
  readonly vectors: number;
  /** Program of each vector. */
  readonly programOf: Uint16Array;
  /** Changes `changeStart[v]` to `changeStart[v+1]` (exclusive) are those of vector `v`, in order. */
  readonly changeStart: Uint32Array;
  readonly changeSlot: Uint16Array;
  /** Two words each, low half first. */
  readonly changeValue: Uint32Array;
}

/** Puts vector `v` of `block` into `state`: base and changes; the outcome is cleared. */
export function applyVector(block: Block, v: number, state: SlotState): void {
  state.slots.set(block.base.slots);
  const { words } = state;
  const { changeStart, changeSlot, changeValue } = block;
  for (let c = changeStart[v]; c < changeStart[v + 1]; c++) {
    const at = 2 * changeSlot[c];
    words[at] = changeValue[2 * c];
    words[at + 1] = changeValue[2 * c + 1];
  }
  state.nia = BigInt(codeEa);
  state.outcome = 0;
}

const gprFields = new Set(['rt', 'rs', 'ra', 'rb', 'rcr', 'rtp', 'rsp']);
const fprFields = new Set(['frt', 'frs', 'fra', 'frb', 'frc', 'frtp', 'frsp', 'frap', 'frbp']);
const vrFields = new Set(['vrt', 'vrs', 'vra', 'vrb', 'vrc']);
const vsrFields = new Set(['xt', 'xs', 'xa', 'xb', 'xc']);
const pairs = new Set(['rtp', 'rsp', 'frtp', 'frsp', 'frap', 'frbp']);

type Fields = Record<string, number>;

/** Number of the VSR that a field of this name and value means, or -1. */
export function vsrNumber(field: string, value: number): number {
  if (fprFields.has(field)) return value;
  if (vrFields.has(field)) return 32 + value;
  return vsrFields.has(field) ? value : -1;
}

const storageClasses = new Set<string>([
  'load', 'store', 'load-multi', 'store-multi', 'load-quad', 'store-quad', 'atomic', 'atomic-mem', 'cache',
  'fp-load', 'fp-store', 'vmx-load', 'vmx-store', 'vsx-load', 'vsx-store',
]); // biome-ignore format: one list

export function accessesStorage(entry: Instruction): boolean {
  return storageClasses.has(entry.class) && entry.fields.has('ra');
}

/** The effective address comes from RA alone. */
const raAlone = new Set(['lswi', 'stswi', 'lwat', 'ldat', 'stwat', 'stdat', 'lxvl', 'lxvll', 'stxvl', 'stxvll']);

/** Values of the fields that are vectors or floats; see `ValueType`. */
function registerType(entry: Instruction, field: string): ValueType {
  const { op } = entry;
  switch (entry.class) {
    case 'fp-arith':
    case 'fp-fma':
    case 'fp-est':
      return op.endsWith('s') ? 'f32in64' : 'f64';
    case 'fp-conv':
      return op.startsWith('fcfid') ? 'i64' : 'f64';
    case 'fp-cmp':
      return 'f64';
    case 'fp-move':
      return op.startsWith('fmrg') ? 'any' : 'f64';
    case 'fp-store':
      return op.startsWith('stfs') ? 'f32in64' : 'any';
    case 'fpscr':
      return 'fpscr';
    case 'dfp':
      if (op.startsWith('dcffix')) return 'i64';
      if (op.startsWith('denbcd')) return 'bcd';
      if (op.startsWith('dtstsf') && field === 'fra') return 'small';
      if (op.startsWith('diex') && field === 'fra') return 'small';
      if (op.startsWith('drrnd') && field === 'fra') return 'small';
      return 'dfp';
    case 'vmx-fp':
      return op === 'vcfux' || op === 'vcfsx' ? 'i32' : 'f32';
    case 'vmx-bcd':
      if (op.startsWith('vmul10')) return 'i128';
      if (op === 'bcdus.' || op === 'bcdutrunc.') return 'digits';
      if (op === 'bcdcfn.' && field === 'vrb') return 'national';
      if (op === 'bcdcfz.' && field === 'vrb') return 'zoned';
      if (op === 'bcdcfsq.' && field === 'vrb') return 'i128';
      return 'bcd';
    case 'vsx-sc-fp':
    case 'vsx-sc-fma':
      return op.endsWith('sp') && op !== 'xsrsp' ? 'f32in64' : 'f64';
    case 'vsx-vec-fp':
    case 'vsx-vec-fma':
      return op.includes('sp') ? 'f32' : 'f64';
    case 'vsx-cmp':
      return op.startsWith('xv') && op.includes('sp') ? 'f32' : 'f64';
    case 'vsx-conv':
      if (op === 'xscvdpspn') return 'f32in64';
      if (/cvdp/.test(op)) return 'f64';
      if (/cvsp/.test(op)) return 'f32';
      if (/cvhp/.test(op)) return 'f16';
      return /cv[su]xd/.test(op) ? 'i64' : 'i32';
    case 'vsx-qp':
      if (op === 'xscvsdqp' || op === 'xscvudqp') return 'i64';
      if (op === 'xscvdpqp') return 'f64';
      return op === 'xsiexpqp' && field === 'vrb' ? 'i64' : 'f128';
    case 'vsx-store':
      return op.startsWith('stxss') ? 'f32in64' : 'any';
    case 'vmx-cmp':
      return op.includes('fp') ? 'f32' : 'any';
    case 'vmx-shift':
      return (op === 'vsl' || op === 'vsr') && field === 'vrb' ? 'same-bits' : 'any';
    default:
      return 'any';
  }
}

/** BO codes that the ISA defines, hints left 0 or set where they mean something. */
const branchOptions = [0, 2, 4, 6, 7, 8, 10, 12, 14, 15, 16, 18, 20, 24, 25, 26, 27];
const atomicLoadFunctions = [0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 25, 28];
const atomicStoreFunctions = [0, 1, 2, 3, 4, 5, 6, 7, 24];
const userSprs = [1, 8, 9, 815];
const highestByte: Readonly<Record<string, number>> = {
  vextractub: 15, vextractuh: 14, vextractuw: 12, vextractd: 8, xxextractuw: 12,
  vinsertb: 15, vinserth: 14, vinsertw: 12, vinsertd: 8, xxinsertw: 12,
}; // biome-ignore format: one list

const isUpdate = (entry: Instruction) =>
  /^(l|st)(bz?|hz?|ha|wz?|wa|d|fs|fd)ux?$/.test(entry.op) &&
  (entry.class.includes('load') || entry.class.includes('store'));

/** Random fields of a valid form. */
function randomFields(entry: Instruction, random: Random): Fields {
  const { op } = entry;
  for (;;) {
    const fields: Fields = {};
    for (const field of entry.fields.values()) {
      let value = random.below(2 ** field.bits);
      if (field.signed && value >= 2 ** (field.bits - 1)) value -= 2 ** field.bits;
      if (pairs.has(field.name)) value &= ~1;
      fields[field.name] = value;
    }
    const names = [...entry.fields.keys()];
    // Operands that are the same register, more often than chance gives.
    if (random.oneIn(4)) {
      const registers = names.filter(
        (name) => gprFields.has(name) || vrFields.has(name) || vsrFields.has(name) || fprFields.has(name),
      );
      if (registers.length >= 2) {
        const from = random.pick(registers);
        const to = random.pick(registers);
        if (entry.fields.get(from)?.bits === entry.fields.get(to)?.bits && !pairs.has(to)) fields[to] = fields[from];
      }
    }
    if (fields.ra !== undefined && random.oneIn(8)) fields.ra = 0;
    if (accessesStorage(entry)) {
      const { ra, rb } = fields;
      if (ra === 0 && (rb === undefined || raAlone.has(op))) continue;
      if (rb !== undefined && ra === 0 && rb === 0 && !raAlone.has(op)) continue;
      if (isUpdate(entry) && (ra === 0 || ra === fields.rt)) continue;
      if (raAlone.has(op) && rb === ra) continue;
      if ((op === 'lq' || op === 'lqarx') && [fields.rtp, fields.rtp + 1].some((r) => r === ra || r === rb)) continue;
      if (entry.class === 'atomic-mem') {
        const first = fields.rt ?? fields.rs;
        if ([first, (first + 1) & 31, (first + 2) & 31].includes(ra)) continue;
        fields.fc = random.pick(fields.rt === undefined ? atomicStoreFunctions : atomicLoadFunctions);
      }
      if (op.startsWith('lswx') || op.startsWith('stswx')) {
        if (ra === fields.rt || rb === fields.rt) continue;
      }
    }
    switch (op) {
      case 'addex':
        fields.cy = 0;
        break;
      case 'bc':
        fields.bo = random.pick(branchOptions);
        if (fields.aa) fields.bd = random.below(1 << 13);
        if (fields.bd === 0) continue;
        break;
      case 'bclr':
      case 'bctar':
        fields.bo = random.pick(branchOptions);
        break;
      case 'bcctr':
        fields.bo = random.pick(branchOptions.filter((bo) => bo & 4));
        break;
      case 'b':
        // Not into the harness, which stands behind the code, and not below the first 64 KiB.
        if (fields.aa) fields.li = random.between(0x4000, 0x7f_0000);
        else fields.li = random.oneIn(2) ? random.between(-0x3f00, 0x3f00) : random.between(-0x7e_0000, -0x10_0000);
        if (fields.li === 0) continue;
        break;
      case 'mfspr':
      case 'mtspr':
        fields.spr = random.pick(userSprs);
        break;
      case 'mtocrf':
      case 'mfocrf':
        fields.fxm = 1 << random.below(8);
        break;
      case 'xsrqpi':
      case 'xsrqpix':
      case 'xsrqpxp':
        if (fields.r === 0 && (fields.rmc === 1 || fields.rmc === 2)) continue;
        break;
    }
    if (highestByte[op] !== undefined && fields.uim > highestByte[op]) continue;
    if (op === 'sync' && fields.l > 2) continue;
    return fields;
  }
}

function accessAlignment(op: string): number {
  if (/^(lq|stq|lqarx|stqcx)/.test(op)) return 16;
  if (/^(ldarx|stdcx|ldat|stdat)/.test(op)) return 8;
  if (/^(lwarx|stwcx|lwat|stwat)/.test(op)) return 4;
  return /^(lharx|sthcx)/.test(op) ? 2 : 1;
}

function storageBytes(entry: Instruction): number {
  if (entry.class === 'load-multi' || entry.class === 'store-multi') return 128;
  return entry.class === 'atomic-mem' ? 24 : 16;
}

const fpscrDefined = 0xffff_f7ff;
/** Exception bits whose enable is on: VX summary bits under VE, and so on. */
function clearEnabled(fpscr: number): number {
  let value = fpscr & ~0x6000_0000;
  if (value & 0x80) value &= ~0x01f8_0700;
  if (value & 0x40) value &= ~0x1000_0000;
  if (value & 0x20) value &= ~0x0800_0000;
  if (value & 0x10) value &= ~0x0400_0000;
  if (value & 0x08) value &= ~0x0200_0000;
  if (value & 0x01f8_0700) value |= 0x2000_0000;
  return value | 0;
}

/** Low word of an FPSCR without an enabled exception: all rounding modes; enables and sticky bits in a part of all. */
export function randomFpscr(random: Random): number {
  let value = random.below(4) | (random.bits() & 0x0007_f000);
  if (random.oneIn(2)) value |= random.bits() & random.bits() & 0x9ff8_0700;
  if (random.oneIn(4)) value |= random.oneIn(2) ? random.bits() & 0xf8 : 8 << random.below(5);
  return clearEnabled(value & fpscrDefined);
}

const specialClasses =
  /^(fp-arith|fp-fma|fp-cmp|fp-est|vsx-sc-fp|vsx-sc-fma|vsx-vec-fp|vsx-vec-fma|vsx-cmp|vsx-qp|vmx-fp)$/;
/** High words: zero, one, infinity, a quiet and a signalling NaN, the smallest and the largest normal number. */
const specialDoubles = [
  0, 0, 0x3ff0_0000, 0x7ff0_0000, 0x7ff0_0000, 0x7ff8_0000, 0x7ff4_0000, 0x0010_0000, 0x7fe0_0000,
];
const specialSingles = [
  0, 0, 0x3f80_0000, 0x7f80_0000, 0x7f80_0000, 0x7fc0_0000, 0x7fa0_0000, 0x0080_0000, 0x7f00_0000,
];
const specialQuads = [0, 0, 0x3fff_0000, 0x7fff_0000, 0x7fff_0000, 0x7fff_8000, 0x7fff_4000, 0x0001_0000, 0x7ffe_0000];

class BlockWriter {
  readonly slots: number[] = [];
  readonly values: number[] = [];
  readonly starts: number[] = [];
  readonly programOf: number[] = [];

  /** Sets a slot in the vector being written. */
  set(at: number, lo: number, hi: number): void {
    this.slots.push(at);
    this.values.push(lo, hi);
  }

  /** The latest value given to a slot in this vector, or -1 if none: the index of its change. */
  find(at: number): number {
    const from = this.starts[this.starts.length - 1];
    for (let i = this.slots.length - 1; i >= from; i--) if (this.slots[i] === at) return i;
    return -1;
  }
}

function randomBase(random: Random, values: Values): SlotState {
  const base = new SlotState();
  const { words } = base;
  for (let i = 0; i < slotCount; i++) {
    values.int64();
    words[2 * i] = values.lo;
    words[2 * i + 1] = values.hi;
  }
  for (let i = 0; i < 64; i++) {
    values.startSet();
    values.register('any');
    words[2 * (slot.vsr + 2 * i)] = values.w1;
    words[2 * (slot.vsr + 2 * i) + 1] = values.w0;
    words[2 * (slot.vsr + 2 * i) + 2] = values.w3;
    words[2 * (slot.vsr + 2 * i) + 3] = values.w2;
  }
  for (let i = 0; i < windowSlots; i += 2) {
    values.startSet();
    values.register('any');
    words[2 * (slot.window + i)] = values.w1;
    words[2 * (slot.window + i) + 1] = values.w0;
    words[2 * (slot.window + i) + 2] = values.w3;
    words[2 * (slot.window + i) + 3] = values.w2;
  }
  words[2 * slot.xer] = random.bits() & 0xe00f_ffff;
  words[2 * slot.xer + 1] = 0;
  words[2 * slot.fpscr] = random.below(4);
  words[2 * slot.fpscr + 1] = random.below(8);
  words[2 * slot.cr + 1] = 0;
  words[2 * slot.vscr] = random.below(2);
  words[2 * slot.vscr + 1] = 0;
  words[2 * (slot.tar + 1)] = 0;
  words[2 * (slot.tar + 1) + 1] = 0;
  return base;
}

const fpscrClasses =
  /^(fp-arith|fp-est|fp-fma|fp-conv|fp-cmp|fp-move|fpscr|dfp|vsx-sc-fp|vsx-sc-fma|vsx-vec-fp|vsx-vec-fma|vsx-cmp|vsx-conv|vsx-qp)$/;

class VectorMaker {
  private readonly random: Random;
  private readonly values: Values;
  private readonly out: BlockWriter;
  private readonly base: SlotState;

  constructor(random: Random, values: Values, out: BlockWriter, base: SlotState) {
    this.random = random;
    this.values = values;
    this.out = out;
    this.base = base;
  }

  private gpr(register: number, lo: number, hi: number): void {
    this.out.set(slot.gpr + register, lo, hi);
  }

  private randomGpr(register: number): void {
    this.values.int64();
    this.gpr(register, this.values.lo, this.values.hi);
  }

  /** Low and high half of a GPR as this vector has it so far. */
  private readGpr(register: number): [number, number] {
    const at = this.out.find(slot.gpr + register);
    if (at >= 0) return [this.out.values[2 * at] >>> 0, this.out.values[2 * at + 1] >>> 0];
    return [this.base.words[2 * register], this.base.words[2 * register + 1]];
  }

  private vsr(register: number, type: ValueType): void {
    const { values, out } = this;
    values.register(type);
    out.set(slot.vsr + 2 * register, values.w1, values.w0);
    out.set(slot.vsr + 2 * register + 1, values.w3, values.w2);
  }

  /** Address within the window for an access of up to `bytes`, often across the page boundary in its middle. */
  private address(bytes: number, alignment: number): number {
    const { random } = this;
    let offset: number;
    if (random.below(10) < 3) offset = windowBytes / 2 - random.below(bytes + 4) + random.below(3);
    else offset = random.below(windowBytes - bytes + 1);
    offset = Math.max(0, Math.min(windowBytes - bytes, offset));
    offset &= -alignment;
    return windowEa + offset;
  }

  private steer(entry: Instruction, fields: Fields): void {
    const { random } = this;
    const { op } = entry;
    const bytes = op === 'dcbz' ? 128 : storageBytes(entry);
    let ea = this.address(bytes, accessAlignment(op));
    if (entry.class === 'atomic-mem' && fields.fc >= 24) {
      // The neighbour that takes part lies in the same aligned 32 bytes.
      const size = accessAlignment(op);
      ea =
        Math.max(windowEa, Math.min(windowEa + windowBytes - 32, ea & ~31)) + size * random.between(1, 32 / size - 2);
    }
    // All of the 128 bytes that dcbz clears lie in the window, which begins at a multiple of 256.
    const { ra, rb } = fields;
    if (raAlone.has(op)) {
      this.gpr(ra, ea, 0);
      if (rb !== undefined) {
        const length = random.oneIn(4) ? random.below(256) : random.below(18);
        this.gpr(rb, random.bits(), (length << 24) | random.below(1 << 24));
      }
      return;
    }
    if (rb !== undefined) {
      if (ra === 0) this.gpr(rb, ea, 0);
      else if (ra === rb) {
        ea &= ~1;
        const top = random.oneIn(2) ? 0x80000000 : 0;
        this.gpr(ra, ea >>> 1, top);
      } else {
        let [low, high] = this.readGpr(rb);
        if (random.oneIn(3)) {
          [low, high] = [random.below(600), 0];
          this.gpr(rb, low, high);
        }
        this.gpr(ra, ea - low, (0 - high - (low > ea ? 1 : 0)) | 0);
      }
      return;
    }
    const displacement = fields.d ?? (fields.ds !== undefined ? fields.ds * 4 : fields.dq * 16);
    this.gpr(ra, ea - displacement, 0);
  }

  /** Trap and compare instructions want equal and near operands more often than chance gives. */
  private relate(fields: Fields): void {
    const { random } = this;
    const { ra, rb } = fields;
    if (ra === undefined || rb === undefined || ra === rb || !random.oneIn(6)) return;
    const [low, high] = this.readGpr(ra);
    const at = random.below(4);
    if (at === 0) this.gpr(rb, low, high);
    else if (at === 1) this.gpr(rb, low, random.bits());
    else if (at === 2) this.gpr(rb, (low + random.between(-1, 1)) | 0, high);
    else this.gpr(rb, ~low, ~high);
  }

  private branchState(): void {
    const { random, out } = this;
    const target = () =>
      (random.oneIn(2) ? codeEa + 4 * random.between(-0x3f00, 0x3f00) : random.between(0x10_0000, 0x1f0_0000)) |
      random.below(4);
    for (const at of [slot.lr, slot.ctr, slot.tar]) {
      let ea = target();
      // A branch to itself would not end.
      if ((ea & ~3) === codeEa) ea += 4;
      out.set(at, ea, 0);
    }
  }

  make(entry: Instruction, fields: Fields): void {
    const { random, values, out } = this;
    values.startSet();
    values.preferredSign = fields.ps === 1;
    for (const [name, value] of Object.entries(fields)) {
      if (gprFields.has(name)) {
        this.randomGpr(value);
        if (pairs.has(name)) this.randomGpr(value + 1);
        continue;
      }
      const register = vsrNumber(name, value);
      if (register < 0) continue;
      const type = registerType(entry, name);
      if (pairs.has(name)) {
        if (type === 'dfp') {
          values.register('dfpq');
          out.set(slot.vsr + 2 * register, values.w1, values.w0);
          out.set(slot.vsr + 2 * register + 2, values.w3, values.w2);
        } else if (type === 'bcd') {
          values.register('bcd');
          out.set(slot.vsr + 2 * register, values.w1, values.w0);
          out.set(slot.vsr + 2 * register + 2, values.w3, values.w2);
        } else {
          this.vsr(register, type);
          this.vsr(register + 1, type);
        }
      } else if (entry.class === 'dfp' && type === 'bcd') {
        // A 64-bit packed decimal: the low half of a 128-bit one.
        values.register('bcd');
        out.set(slot.vsr + 2 * register, values.w3, values.w2);
      } else this.vsr(register, type);
    }
    if (specialClasses.test(entry.class) && random.oneIn(20)) this.specialFloats(entry, fields);
    this.special(entry, fields);
    if (entry.class === 'atomic-mem') {
      const first = fields.rt ?? fields.rs;
      for (const register of [(first + 1) & 31, (first + 2) & 31]) this.randomGpr(register);
    }
    if (entry.class.startsWith('fx') || entry.class === 'trap') this.relate(fields);
    out.set(slot.cr, random.bits(), 0);
    out.set(slot.xer, random.bits() & 0xe00f_ffff, 0);
    if (fpscrClasses.test(entry.class)) {
      let fpscr = randomFpscr(random);
      // What an estimate does to XX is undefined: it is set already, and nothing depends on it.
      if (estimatePrecision(entry.op) !== undefined) fpscr = (fpscr & ~0x68) | 0x8200_0000;
      out.set(slot.fpscr, fpscr, random.below(8));
    }
    if (entry.class.startsWith('vmx')) out.set(slot.vscr, random.below(2) | (random.oneIn(3) ? 0x10000 : 0), 0);
    if (accessesStorage(entry)) {
      this.steer(entry, fields);
      this.storedValues(entry);
    }
    if (entry.class === 'branch') {
      this.branchState();
      if (entry.op !== 'bcctr' && entry.op !== 'b') {
        if (random.oneIn(2)) out.set(slot.ctr, random.between(0, 2), 0);
        else {
          values.int64();
          out.set(slot.ctr, values.lo, values.hi);
        }
      }
    }
  }

  /** Floating-point loads find floats in the window: the whole window, now and then. */
  private storedValues(entry: Instruction): void {
    const { random, values, out } = this;
    const type: ValueType | undefined = /^(lfs|lxssp|lxsspx)/.test(entry.op) ? 'f32' : undefined;
    if (type === undefined && !random.oneIn(4)) return;
    for (let i = 0; i < (type ? 6 : 2); i++) {
      const at = slot.window + random.below(windowSlots - 1);
      values.startSet();
      values.register(type ?? 'any');
      out.set(at, values.w1, values.w0);
      out.set(at + 1, values.w3, values.w2);
    }
    if (type) {
      // Around the boundary, where most accesses go.
      values.register(type);
      out.set(slot.window + windowSlots / 2 - 1, values.w1, values.w0);
      out.set(slot.window + windowSlots / 2, values.w3, values.w2);
    }
  }

  /** All operands from zeros, ones, infinities and NaNs: combinations that chance seldom gives. */
  private specialFloats(entry: Instruction, fields: Fields): void {
    const { random, out } = this;
    for (const [name, value] of Object.entries(fields)) {
      const register = vsrNumber(name, value);
      if (register < 0) continue;
      const sign = () => random.bits() & 0x8000_0000;
      const type = registerType(entry, name);
      const words =
        type === 'f32'
          ? Array.from({ length: 4 }, () => sign() | random.pick(specialSingles))
          : type === 'f128'
            ? [sign() | random.pick(specialQuads), 0, 0, random.below(2)]
            : [sign() | random.pick(specialDoubles), 0, sign() | random.pick(specialDoubles), 0];
      out.set(slot.vsr + 2 * register, words[1], words[0]);
      out.set(slot.vsr + 2 * register + 1, words[3], words[2]);
    }
  }

  /** Operands of a special kind. */
  private special(entry: Instruction, fields: Fields): void {
    const { random, out } = this;
    const { op } = entry;
    if (/^stfs|^stxss/.test(op)) {
      // Below the range of single the result is undefined: raise the exponent.
      const register = vsrNumber(
        'frs' in fields ? 'frs' : 'xs' in fields ? 'xs' : 'vrs',
        fields.frs ?? fields.xs ?? fields.vrs,
      );
      const at = out.find(slot.vsr + 2 * register);
      const high = out.values[2 * at + 1];
      const exponent = (high >>> 20) & 0x7ff;
      if (exponent < 874 && ((high & 0x7fffffff) !== 0 || out.values[2 * at] !== 0))
        out.values[2 * at + 1] = (high & ~0x7ff00000) | (random.between(874, 1200) << 20);
    }
    if (op === 'xscvdpspn') {
      const at = out.find(slot.vsr + 2 * fields.xb);
      const high = out.values[2 * at + 1];
      const exponent = (high >>> 20) & 0x7ff;
      if (exponent < 874 && ((high & 0x7fffffff) !== 0 || out.values[2 * at] !== 0))
        out.values[2 * at + 1] = (high & ~0x7ff00000) | (random.between(874, 1200) << 20);
    }
    if (/^vext?u?[bhw][lr]x$/.test(op) || /^vextu/.test(op)) {
      const last = op.includes('ub') ? 15 : op.includes('uh') ? 14 : 12;
      this.gpr(fields.ra, (random.bits() & ~15) | random.between(0, last), random.bits());
    }
    if (/^bcd(s|us|sr|trunc|utrunc)\.$/.test(op) && fields.vra !== fields.vrb) {
      // Shift count in byte 7, length in halfword 3.
      const count = random.oneIn(4) ? random.bits() & 0xffff : random.between(-34, 34) & 0xff;
      out.set(slot.vsr + 2 * (32 + fields.vra), (random.bits() & ~0xffff) | count, random.bits());
    }
    if (op === 'cbcdtd') {
      // Each half holds six decimal digits.
      const digits = () => {
        let value = 0;
        for (let i = 0; i < 6; i++) value |= random.below(10) << (4 * i);
        return value;
      };
      this.gpr(fields.rs, digits(), digits());
    }
  }
}

const reservePartner: Readonly<Record<string, string>> = {
  'stbcx.': 'lbarx',
  'sthcx.': 'lharx',
  'stwcx.': 'lwarx',
  'stdcx.': 'ldarx',
  'stqcx.': 'lqarx',
};

/** The words of one test: the instruction, and before a conditional store mostly the load that reserves. */
function program(entry: Instruction, fields: Fields, random: Random): Uint32Array {
  const word = encodeFields(entry, fields);
  const partner = reservePartner[entry.op];
  if (partner === undefined || random.oneIn(4)) return Uint32Array.of(word);
  const load = instruction(partner);
  // The load must not change what the store addresses by or stores: a register that neither uses.
  const used = [fields.ra, fields.rb, fields.rs ?? fields.rsp, (fields.rs ?? fields.rsp) + 1];
  let target = random.below(16) * 2;
  while (used.includes(target) || used.includes(target + 1)) target = random.below(16) * 2;
  const name = load.fields.has('rtp') ? 'rtp' : 'rt';
  return Uint32Array.of(encodeFields(load, { [name]: target, ra: fields.ra, rb: fields.rb }), word);
}

const fixedOps = new Set(['b', 'bc', 'bclr', 'bcctr', 'bctar', 'addpcis', 'mfspr', 'mtspr']);

/** Block number `index` of an instruction; always the same one for the same `op`, `index` and `seed`. */
export function makeBlock(entry: Instruction, index: number, blockSeed = seed): Block {
  const random = new Random(`${blockSeed}/${entry.op}/${index}`);
  const values = new Values(random);
  const base = randomBase(random, values);
  const out = new BlockWriter();
  const maker = new VectorMaker(random, values, out, base);
  const programs: Uint32Array[] = [];
  let fields: Fields = {};
  for (let v = 0; v < vectorsPerBlock; v++) {
    const at = Math.floor((v * programsPerBlock) / vectorsPerBlock);
    if (at === programs.length) {
      fields = randomFields(entry, random);
      programs.push(program(entry, fields, random));
    }
    out.starts.push(out.slots.length);
    out.programOf.push(at);
    maker.make(entry, fields);
  }
  out.starts.push(out.slots.length);
  return {
    op: entry.op,
    index,
    fixed: fixedOps.has(entry.op),
    base,
    programs,
    vectors: vectorsPerBlock,
    programOf: Uint16Array.from(out.programOf),
    changeStart: Uint32Array.from(out.starts),
    changeSlot: Uint16Array.from(out.slots),
    changeValue: Uint32Array.from(out.values),
  };
}
