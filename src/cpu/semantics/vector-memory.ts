// Loads and stores of VMX and VSX registers (ISA 3.0B I 6.7, 7.6.3).
//
// `loadVector` and `storeVector` move 16 bytes as one number, which in little-endian mode puts the byte at the lowest
// address into lane 0. Instructions that move smaller elements from left to right then differ by the order of elements.

import type { FunctionBuilder, I32, I64, V128 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { doubleOfSingle, singleOfDouble } from './fpu/format.ts';
import { constantLanes, element64, laneNumbers, lanesFrom, reverseElements, type Width } from './vector-elements.ts';

/** (RA|0) + RB. */
function indexed(s: Emitter): I64 {
  return s.ea(s.gprOr0('ra').add(s.gpr('rb')));
}
/** (RA|0) + a displacement that the field counts in `unit` bytes. */
function displaced(s: Emitter, field: string, unit: number): I64 {
  return s.ea(s.gprOr0('ra').add(s.field64(field).mul(unit)));
}
type Address = (s: Emitter) => I64;
const displacedBy4: Address = (s) => displaced(s, 'ds', 4);
const displacedBy16: Address = (s) => displaced(s, 'dq', 16);
/** Accesses of VMX registers ignore the low bits of the address. */
function aligned(bytes: number): Address {
  return (s) => indexed(s).and(-bytes);
}

/** How the VSR is named: `xt`/`xs` by six bits, or `vrt`/`vrs` as one of VSR 32 to 63. */
interface Operand {
  get(s: Emitter): V128;
  set(s: Emitter, value: V128): void;
}
const vsrTarget: Operand = { get: (s) => s.vsr('xt'), set: (s, value) => s.setVsr('xt', value) };
const vsrSource: Operand = { get: (s) => s.vsr('xs'), set: (s, value) => s.setVsr('xs', value) };
const vrTarget: Operand = { get: (s) => s.vr('vrt'), set: (s, value) => s.setVr('vrt', value) };
const vrSource: Operand = { get: (s) => s.vr('vrs'), set: (s, value) => s.setVr('vrs', value) };

function loadQuadword(target: Operand, address: Address): Semantics {
  return (s) => target.set(s, s.loadVector(address(s)));
}
function storeQuadword(source: Operand, address: Address): Semantics {
  return (s) => s.storeVector(address(s), source.get(s));
}

/** Turns the quadword image into elements from left to right, or back. */
function elementOrder(s: Emitter, v: V128, width: Width): V128 {
  return s.fn.choose(
    s.littleEndian(),
    () => reverseElements(v, width),
    () => v,
  );
}
function loadElements(width: Width): Semantics {
  return (s) => s.setVsr('xt', elementOrder(s, s.loadVector(indexed(s)), width));
}
function storeElements(width: Width): Semantics {
  return (s) => s.storeVector(indexed(s), elementOrder(s, s.vsr('xs'), width));
}

/** Doubleword 0 := a converted element; doubleword 1 := 0. */
function loadScalar(target: Operand, address: Address, bytes: Width, convert: (s: Emitter, v: I64) => I64): Semantics {
  return (s) => {
    const value = convert(s, s.load(address(s), bytes));
    target.set(s, s.fn.v128From64(value, s.fn.i64(0)));
  };
}
function storeScalar(source: Operand, address: Address, bytes: Width, convert: (s: Emitter, v: I64) => I64): Semantics {
  return (s) => s.store(address(s), bytes, convert(s, element64(source.get(s), 0)));
}
const unchanged = (_s: Emitter, value: I64) => value;
const signExtended = (_s: Emitter, value: I64) => value.extend32S();
const toDouble = (_s: Emitter, value: I64) => doubleOfSingle(value.wrap());
const toSingle = (_s: Emitter, value: I64) => singleOfDouble(value).extendU();

/** The lane at which an element of `bytes` bytes at `ea` stands in the quadword that holds it. */
function laneOf(s: Emitter, ea: I64, bytes: number): I32 {
  const offset = ea.wrap().and(15);
  return s.fn.choose(
    s.littleEndian(),
    () => offset,
    () => s.fn.i32(16 - bytes).sub(offset),
  );
}
/** The ISA leaves the other elements undefined; they are kept. */
function loadElement(bytes: 1 | 2 | 4): Semantics {
  return (s) => {
    const { fn } = s;
    const ea = aligned(bytes)(s);
    const value = s.load(ea, bytes).wrap();
    const everywhere = bytes === 1 ? fn.splat8(value) : bytes === 2 ? fn.splat16(value) : fn.splat32(value);
    const within = laneNumbers(fn).bin('i8x16.sub', fn.splat8(laneOf(s, ea, bytes)));
    const here = within.bin('i8x16.lt_u', constantLanes(fn, 1, bytes));
    s.setVr('vrt', everywhere.bitselect(s.vr('vrt'), here));
  };
}
function storeElement(bytes: 1 | 2 | 4): Semantics {
  return (s) => {
    const ea = aligned(bytes)(s);
    s.store(ea, bytes, element64(lanesFrom(s.fn, s.vr('vrs'), laneOf(s, ea, bytes)), 1));
  };
}

/** Length of the accesses with length: bits 0:7 of RB; more than 16 count as 16. */
function lengthOf(s: Emitter): I32 {
  const length = s.gpr('rb').shrU(56).wrap();
  return s.fn.i32(16).selectIf(length.gtU(16), length);
}

/** Shift that brings `size` bytes at byte `at` of 8 to their place: counted from the right (LE) or the left (BE). */
function placeShift(s: Emitter, at: I32, size: number): I64 {
  const shift = s.fn.choose(
    s.littleEndian(),
    () => at.shl(3),
    () => s.fn.i32(64 - 8 * size).sub(at.shl(3)),
  );
  return shift.extendU();
}

/** Which accesses of 4, 2 and 1 bytes make up `length` bytes below 8, and where they stand. */
function tailParts(fn: FunctionBuilder, length: I32): { size: 4 | 2 | 1; present: I32; at: I32 }[] {
  return [
    { size: 4, present: length.and(4), at: fn.i32(0) },
    { size: 2, present: length.and(2), at: length.and(4) },
    { size: 1, present: length.and(1), at: length.and(6) },
  ];
}

/** The first `length` bytes at `ea` as the beginning of a quadword in the current byte order, zeros behind. */
function loadStart(s: Emitter, ea: I64, length: I32): V128 {
  const { fn } = s;
  const loadTail = (base: I64, tail: I32): I64 => {
    const value = fn.variable('i64', fn.i64(0));
    for (const { size, present, at } of tailParts(fn, tail)) {
      fn.if(present, () => {
        const part = s.load(s.ea(base.add(at.extendU())), size);
        value.set(value.get().or(part.shl(placeShift(s, at, size))));
      });
    }
    return value.get();
  };
  return fn.choose(
    length.eq(16),
    () => s.loadVector(ea),
    () => {
      const eight = length.and(8);
      const head = fn.choose(
        eight,
        () => s.load(ea, 8),
        () => fn.i64(0),
      );
      const tail = loadTail(s.ea(ea.add(eight.extendU())), length);
      const first = head.selectIf(eight, tail);
      const second = tail.selectIf(eight, fn.i64(0));
      return fn.choose(
        s.littleEndian(),
        () => fn.v128From64(second, first),
        () => fn.v128From64(first, second),
      );
    },
  );
}
/** Stores the first `length` bytes of the quadword. */
function storeStart(s: Emitter, ea: I64, length: I32, value: V128): void {
  const { fn } = s;
  fn.if(
    length.eq(16),
    () => s.storeVector(ea, value),
    () => {
      const eight = length.and(8);
      const little = s.littleEndian();
      const first = element64(value, 1).selectIf(little, element64(value, 0));
      const second = element64(value, 0).selectIf(little, element64(value, 1));
      fn.if(eight, () => s.store(ea, 8, first));
      const tail = second.selectIf(eight, first);
      const base = s.ea(ea.add(eight.extendU()));
      for (const { size, present, at } of tailParts(fn, length)) {
        fn.if(present, () => s.store(s.ea(base.add(at.extendU())), size, tail.shrU(placeShift(s, at, size))));
      }
    },
  );
}
function loadWithLength(leftJustified: boolean): Semantics {
  return (s) => {
    const value = loadStart(s, s.ea(s.gprOr0('ra')), lengthOf(s));
    s.setVsr('xt', leftJustified ? elementOrder(s, value, 1) : value);
  };
}
function storeWithLength(leftJustified: boolean): Semantics {
  return (s) => {
    const value = s.vsr('xs');
    storeStart(s, s.ea(s.gprOr0('ra')), lengthOf(s), leftJustified ? elementOrder(s, value, 1) : value);
  };
}

export const vectorMemory = {
  lvebx: loadElement(1),
  lvehx: loadElement(2),
  lvewx: loadElement(4),
  lvx: loadQuadword(vrTarget, aligned(16)),
  lvxl: loadQuadword(vrTarget, aligned(16)),
  stvebx: storeElement(1),
  stvehx: storeElement(2),
  stvewx: storeElement(4),
  stvx: storeQuadword(vrSource, aligned(16)),
  stvxl: storeQuadword(vrSource, aligned(16)),

  lxsd: loadScalar(vrTarget, displacedBy4, 8, unchanged),
  lxsdx: loadScalar(vsrTarget, indexed, 8, unchanged),
  lxsibzx: loadScalar(vsrTarget, indexed, 1, unchanged),
  lxsihzx: loadScalar(vsrTarget, indexed, 2, unchanged),
  lxsiwzx: loadScalar(vsrTarget, indexed, 4, unchanged),
  lxsiwax: loadScalar(vsrTarget, indexed, 4, signExtended),
  lxssp: loadScalar(vrTarget, displacedBy4, 4, toDouble),
  lxsspx: loadScalar(vsrTarget, indexed, 4, toDouble),
  stxsd: storeScalar(vrSource, displacedBy4, 8, unchanged),
  stxsdx: storeScalar(vsrSource, indexed, 8, unchanged),
  stxsibx: storeScalar(vsrSource, indexed, 1, unchanged),
  stxsihx: storeScalar(vsrSource, indexed, 2, unchanged),
  stxsiwx: storeScalar(vsrSource, indexed, 4, unchanged),
  stxssp: storeScalar(vrSource, displacedBy4, 4, toSingle),
  stxsspx: storeScalar(vsrSource, indexed, 4, toSingle),

  lxv: loadQuadword(vsrTarget, displacedBy16),
  lxvx: loadQuadword(vsrTarget, indexed),
  lxvd2x: loadElements(8),
  lxvw4x: loadElements(4),
  lxvh8x: loadElements(2),
  lxvb16x: loadElements(1),
  lxvdsx: (s) => s.setVsr('xt', s.fn.splat64(s.load(indexed(s), 8))),
  lxvwsx: (s) => s.setVsr('xt', s.fn.splat32(s.load(indexed(s), 4).wrap())),
  lxvl: loadWithLength(false),
  lxvll: loadWithLength(true),
  stxv: storeQuadword(vsrSource, displacedBy16),
  stxvx: storeQuadword(vsrSource, indexed),
  stxvd2x: storeElements(8),
  stxvw4x: storeElements(4),
  stxvh8x: storeElements(2),
  stxvb16x: storeElements(1),
  stxvl: storeWithLength(false),
  stxvll: storeWithLength(true),
} satisfies SemanticsMap;
