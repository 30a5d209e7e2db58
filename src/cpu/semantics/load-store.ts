// Fixed-point loads and stores (ISA 3.0B I 3.3.1 to 3.3.7).

import type { I32, I64 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { byteSwap32, byteSwap64 } from './runtime.ts';

type Size = 1 | 2 | 4 | 8;
/** Where an access goes, and what its update form writes to RA. */
type Addressing = 'd' | 'ds' | 'x';

function displacement(s: Emitter, how: Addressing): I64 {
  if (how === 'x') return s.gpr('rb');
  return how === 'd' ? s.field64('d') : s.field64('ds').shl(2);
}

function load(bytes: Size, how: Addressing, convert: (value: I64) => I64 = (value) => value): Semantics {
  return (s) => s.setGpr('rt', convert(s.load(s.gprOr0('ra').add(displacement(s, how)), bytes)));
}
function loadUpdate(bytes: Size, how: Addressing, convert: (value: I64) => I64 = (value) => value): Semantics {
  return (s) => {
    const ea = s.ea(s.gpr('ra').add(displacement(s, how)));
    const value = convert(s.load(ea, bytes));
    s.setGpr('ra', ea);
    s.setGpr('rt', value);
  };
}
function store(bytes: Size, how: Addressing, convert: (value: I64) => I64 = (value) => value): Semantics {
  return (s) => s.store(s.gprOr0('ra').add(displacement(s, how)), bytes, convert(s.gpr('rs')));
}
function storeUpdate(bytes: Size, how: Addressing): Semantics {
  return (s) => {
    const ea = s.ea(s.gpr('ra').add(displacement(s, how)));
    s.store(ea, bytes, s.gpr('rs'));
    s.setGpr('ra', ea);
  };
}

const signed16 = (value: I64) => value.extend16S();
const signed32 = (value: I64) => value.extend32S();
const swap16 = (value: I64) => byteSwap32(value.wrap()).shrU(16).extendU();
const swap32 = (value: I64) => byteSwap32(value.wrap()).extendU();
const swap64 = byteSwap64;

/** Multiple and string accesses are big-endian only: in little-endian mode they interrupt (I 3.3.6, 3.3.7). */
function bigEndianOnly(s: Emitter, ea: I64): void {
  s.fn.if(s.littleEndian(), () => s.alignmentInterrupt(ea));
}

/** Words at consecutive addresses for registers `first` to 31. */
function multiple(s: Emitter, first: I32, ea: I64, move: (register: I32, at: I64) => void): void {
  bigEndianOnly(s, ea);
  const register = s.fn.variable('i32', first);
  const at = s.fn.variable('i64', ea);
  s.fn.loop((again) => {
    move(register.get(), at.get());
    at.set(at.get().add(4));
    const next = register.get().add(1);
    register.set(next);
    s.fn.brIf(again, next.ltU(32));
  });
}

/** Bytes of a string, four to a register from the left, registers wrapping from 31 to 0. */
function string(s: Emitter, first: I32, ea: I64, count: I32, move: (register: I32, place: I64, at: I64) => void): void {
  bigEndianOnly(s, ea);
  const done = s.fn.variable('i32', s.fn.i32(0));
  s.fn.block((finished) => {
    s.fn.brIf(finished, count.eqz());
    s.fn.loop((again) => {
      const i = done.get();
      const register = first.add(i.shrU(2)).and(31);
      move(register, s.fn.i32(3).sub(i.and(3)).shl(3).extendU(), ea.add(i.extendU()));
      done.set(i.add(1));
      s.fn.brIf(again, done.get().ltU(count));
    });
  });
}

function loadString(s: Emitter, ea: I64, count: I32): void {
  string(s, s.field('rt'), ea, count, (register, place, at) => {
    const byte = s.load(at, 1).shl(place);
    const kept = s.fn.i64(0n).selectIf(place.eq(24n), s.gprAt(register));
    s.setGprAt(register, kept.or(byte));
  });
}
function storeString(s: Emitter, ea: I64, count: I32): void {
  string(s, s.field('rs'), ea, count, (register, place, at) => s.store(at, 1, s.gprAt(register).shrU(place)));
}
/** NB = 0 stands for 32 bytes. */
const immediateCount = (s: Emitter) => s.field('nb').sub(1).and(31).add(1);
const xerCount = (s: Emitter) => s.state64('xerRest').wrap().and(0x7f);

export const loadStore = {
  lbz: load(1, 'd'),
  lbzx: load(1, 'x'),
  lbzu: loadUpdate(1, 'd'),
  lbzux: loadUpdate(1, 'x'),
  lhz: load(2, 'd'),
  lhzx: load(2, 'x'),
  lhzu: loadUpdate(2, 'd'),
  lhzux: loadUpdate(2, 'x'),
  lha: load(2, 'd', signed16),
  lhax: load(2, 'x', signed16),
  lhau: loadUpdate(2, 'd', signed16),
  lhaux: loadUpdate(2, 'x', signed16),
  lwz: load(4, 'd'),
  lwzx: load(4, 'x'),
  lwzu: loadUpdate(4, 'd'),
  lwzux: loadUpdate(4, 'x'),
  lwa: load(4, 'ds', signed32),
  lwax: load(4, 'x', signed32),
  lwaux: loadUpdate(4, 'x', signed32),
  ld: load(8, 'ds'),
  ldx: load(8, 'x'),
  ldu: loadUpdate(8, 'ds'),
  ldux: loadUpdate(8, 'x'),
  stb: store(1, 'd'),
  stbx: store(1, 'x'),
  stbu: storeUpdate(1, 'd'),
  stbux: storeUpdate(1, 'x'),
  sth: store(2, 'd'),
  sthx: store(2, 'x'),
  sthu: storeUpdate(2, 'd'),
  sthux: storeUpdate(2, 'x'),
  stw: store(4, 'd'),
  stwx: store(4, 'x'),
  stwu: storeUpdate(4, 'd'),
  stwux: storeUpdate(4, 'x'),
  std: store(8, 'ds'),
  stdx: store(8, 'x'),
  stdu: storeUpdate(8, 'ds'),
  stdux: storeUpdate(8, 'x'),
  lhbrx: load(2, 'x', swap16),
  lwbrx: load(4, 'x', swap32),
  ldbrx: load(8, 'x', swap64),
  sthbrx: store(2, 'x', swap16),
  stwbrx: store(4, 'x', swap32),
  stdbrx: store(8, 'x', swap64),

  lq: (s) => {
    // The even register holds the more significant half: at the higher address in little-endian mode.
    const host = s.hostAddress(s.gprOr0('ra').add(s.field64('dq').shl(4)), 16, 'load');
    const [first, second] = [s.fn.load64(host), s.fn.load64(host, 8)];
    const little = s.littleEndian();
    const register = s.field('rtp').and(-2);
    s.setGprAt(register, second.selectIf(little, byteSwap64(first)));
    s.setGprAt(register.add(1), first.selectIf(little, byteSwap64(second)));
  },
  stq: (s) => {
    const host = s.hostAddress(s.gprOr0('ra').add(s.field64('ds').shl(2)), 16, 'store');
    const register = s.field('rsp').and(-2);
    const [high, low] = [s.gprAt(register), s.gprAt(register.add(1))];
    const little = s.littleEndian();
    s.fn.store64(host, low.selectIf(little, byteSwap64(high)));
    s.fn.store64(host, high.selectIf(little, byteSwap64(low)), 8);
  },

  lmw: (s) => multiple(s, s.field('rt'), s.gprOr0('ra').add(s.field64('d')), (r, at) => s.setGprAt(r, s.load(at, 4))),
  stmw: (s) => multiple(s, s.field('rs'), s.gprOr0('ra').add(s.field64('d')), (r, at) => s.store(at, 4, s.gprAt(r))),
  lswi: (s) => loadString(s, s.gprOr0('ra'), immediateCount(s)),
  lswx: (s) => loadString(s, s.gprOr0('ra').add(s.gpr('rb')), xerCount(s)),
  stswi: (s) => storeString(s, s.gprOr0('ra'), immediateCount(s)),
  stswx: (s) => storeString(s, s.gprOr0('ra').add(s.gpr('rb')), xerCount(s)),

  // Hypervisor only: the privilege column refuses them before these run.
  lbzcix: load(1, 'x'),
  lhzcix: load(2, 'x'),
  lwzcix: load(4, 'x'),
  ldcix: load(8, 'x'),
  stbcix: store(1, 'x'),
  sthcix: store(2, 'x'),
  stwcix: store(4, 'x'),
  stdcix: store(8, 'x'),
} satisfies SemanticsMap;
