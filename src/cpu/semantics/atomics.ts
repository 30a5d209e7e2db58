// Load and reserve, store conditional, atomic memory operations (ISA 3.0B II 4.5, 4.6.2).
//
// A reservation is the memory offset and length of the reserved bytes. vCPUs take turns, so no other can store between
// the two instructions of a pair unless the turn ends there, and that ends the reservation as well; devices that write
// memory end it too.

import type { I32, I64 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { byteSwap32, byteSwap64 } from './runtime.ts';

type Size = 1 | 2 | 4 | 8;
const loads = { 1: 'i64.load8_u', 2: 'i64.load16_u', 4: 'i64.load32_u', 8: 'i64.load' } as const;
const stores = { 1: 'i64.store8', 2: 'i64.store16', 4: 'i64.store32', 8: 'i64.store' } as const;

function ordered(s: Emitter, value: I64, bytes: Size): I64 {
  const swapped = {
    1: () => value,
    2: () => byteSwap32(value.wrap()).shrU(16).extendU(),
    4: () => byteSwap32(value.wrap()).extendU(),
    8: () => byteSwap64(value),
  };
  return value.selectIf(s.littleEndian(), swapped[bytes]());
}

const indexed = (s: Emitter) => s.gprOr0('ra').add(s.gpr('rb'));

function reserve(s: Emitter, host: I32, bytes: number): void {
  s.setState32('reserveAddress', host);
  s.setState32('reserveBytes', s.fn.i32(bytes));
}

function loadReserve(bytes: Size): Semantics {
  return (s) => {
    const host = s.hostAddress(indexed(s), bytes, 'load');
    reserve(s, host, bytes);
    s.setGpr('rt', ordered(s, s.fn.load('i64', loads[bytes], host), bytes));
  };
}

/** Stores if the same bytes are still reserved; CR0 tells, and the reservation is gone either way. */
function conditionally(s: Emitter, bytes: number, put: (host: I32) => void): void {
  const host = s.hostAddress(indexed(s), bytes, 'store');
  const held = s.state32('reserveAddress').eq(host).and(s.state32('reserveBytes').eq(bytes));
  s.fn.if(held, () => put(host));
  s.setState32('reserveAddress', s.fn.i32(0));
  s.setCrField(0, held.shl(1).or(s.state32('so')));
}

function storeConditional(bytes: Size): Semantics {
  return (s) => {
    const value = s.gpr('rs');
    conditionally(s, bytes, (host) => s.fn.store(stores[bytes], host, ordered(s, value, bytes)));
  };
}

/** Two doublewords as (even register, odd register) in the current byte order. */
function quadOrder(s: Emitter, first: I64, second: I64): [I64, I64] {
  const little = s.littleEndian();
  return [second.selectIf(little, byteSwap64(first)), first.selectIf(little, byteSwap64(second))];
}

/** Functions 0 to 7 of both forms (II 4.5.1, 4.5.2): new memory contents from old contents and operand. */
function combine(fc: number, bytes: 4 | 8, old: I64, operand: I64): I64 {
  const sized = (v: I64) => (bytes === 4 ? v.low32() : v);
  const sign = (v: I64) => (bytes === 4 ? v.extend32S() : v);
  const pick = (condition: I32) => operand.selectIf(condition, old);
  const table = [
    () => old.add(operand),
    () => old.xor(operand),
    () => old.or(operand),
    () => old.and(operand),
    () => pick(sized(operand).gtU(old)),
    () => pick(sign(operand).gtS(sign(old))),
    () => pick(sized(operand).ltU(old)),
    () => pick(sign(operand).ltS(sign(old))),
  ];
  return table[fc]();
}

/** What an atomic memory operation works on: one item of `bytes` bytes, and its neighbours. */
function atomicItem(s: Emitter, bytes: 4 | 8) {
  const ea = s.gprOr0('ra');
  const host = s.hostAddress(ea, bytes, 'store');
  const read = (at: I32) => ordered(s, s.fn.load('i64', loads[bytes], at), bytes);
  const write = (at: I32, value: I64) =>
    s.fn.store(stores[bytes], at, ordered(s, bytes === 4 ? value.low32() : value, bytes));
  /** The item `step` items away; both must be in one naturally aligned 32-byte block. */
  const neighbour = (step: 1 | -1): I32 => {
    const at = host.add(step * bytes);
    s.fn.if(at.xor(host).and(-32), () => s.alignmentInterrupt(ea));
    return at;
  };
  return { ea, host, read, write, neighbour };
}

const FC = {
  swap: 8,
  compareSwapNotEqual: 16,
  incrementBounded: 24,
  incrementEqual: 25,
  decrementBounded: 28,
  storeTwin: 24,
};

function atomicLoad(bytes: 4 | 8): Semantics {
  return (s) => {
    const { fn } = s;
    const item = atomicItem(s, bytes);
    const rt = s.field('rt');
    const old = item.read(item.host);
    const operand = s.gprAt(rt.add(1).and(31));
    const replacement = s.gprAt(rt.add(2).and(31));
    const none = bytes === 4 ? 0x8000_0000n : -(1n << 63n);
    const result = fn.variable('i64', old);
    const count = (step: 1 | -1, change: 1 | -1, goes: (other: I64) => I32) => () => {
      const condition = goes(item.read(item.neighbour(step)));
      fn.if(
        condition,
        () => item.write(item.host, old.add(change)),
        () => result.set(fn.i64(none)),
      );
    };
    const cases: (() => void)[] = [];
    for (let fc = 0; fc < 8; fc++) cases[fc] = () => item.write(item.host, combine(fc, bytes, old, operand));
    cases[FC.swap] = () => item.write(item.host, operand);
    cases[FC.compareSwapNotEqual] = () =>
      fn.if(old.ne(bytes === 4 ? operand.low32() : operand), () => item.write(item.host, replacement));
    cases[FC.incrementBounded] = count(1, 1, (other) => old.ne(other));
    cases[FC.incrementEqual] = count(1, 1, (other) => old.eq(other));
    cases[FC.decrementBounded] = count(-1, -1, (other) => old.ne(other));
    const refuse = () => s.alignmentInterrupt(item.ea);
    fn.switch(
      s.field('fc'),
      Array.from({ length: 29 }, (_, fc) => cases[fc] ?? refuse),
      refuse,
    );
    s.setGprAt(rt, result.get());
  };
}

function atomicStore(bytes: 4 | 8): Semantics {
  return (s) => {
    const { fn } = s;
    const item = atomicItem(s, bytes);
    const old = item.read(item.host);
    const operand = s.gpr('rs');
    const cases: (() => void)[] = [];
    for (let fc = 0; fc < 8; fc++) cases[fc] = () => item.write(item.host, combine(fc, bytes, old, operand));
    cases[FC.storeTwin] = () => {
      const twin = item.neighbour(1);
      fn.if(old.eq(item.read(twin)), () => {
        item.write(item.host, operand);
        item.write(twin, operand);
      });
    };
    const refuse = () => s.alignmentInterrupt(item.ea);
    fn.switch(
      s.field('fc'),
      Array.from({ length: 25 }, (_, fc) => cases[fc] ?? refuse),
      refuse,
    );
  };
}

export const atomics = {
  lbarx: loadReserve(1),
  lharx: loadReserve(2),
  lwarx: loadReserve(4),
  ldarx: loadReserve(8),
  'stbcx.': storeConditional(1),
  'sthcx.': storeConditional(2),
  'stwcx.': storeConditional(4),
  'stdcx.': storeConditional(8),
  lqarx: (s) => {
    const host = s.hostAddress(indexed(s), 16, 'load');
    reserve(s, host, 16);
    const [even, odd] = quadOrder(s, s.fn.load64(host), s.fn.load64(host, 8));
    const register = s.field('rtp').and(-2);
    s.setGprAt(register, even);
    s.setGprAt(register.add(1), odd);
  },
  'stqcx.': (s) => {
    const register = s.field('rsp').and(-2);
    const [first, second] = quadOrder(s, s.gprAt(register), s.gprAt(register.add(1)));
    conditionally(s, 16, (host) => {
      s.fn.store64(host, first);
      s.fn.store64(host, second, 8);
    });
  },
  lwat: atomicLoad(4),
  ldat: atomicLoad(8),
  stwat: atomicStore(4),
  stdat: atomicStore(8),
} satisfies SemanticsMap;
