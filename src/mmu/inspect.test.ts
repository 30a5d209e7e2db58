import { describe, expect, it } from 'vitest';
import { GuestMemory } from '../memory/guest-memory.ts';
import { inspect, type TranslationState } from './inspect.ts';

const RAM_BYTES = 2 ** 20;
const PROCESS_TABLE = 0x1000;
const ROOT = 0x10000;
const VALID = 1n << 63n;
const LEAF = 1n << 62n;

function machine() {
  const memory = new GuestMemory(new WebAssembly.Memory({ initial: 16 }), 0, RAM_BYTES, { ramWritten: () => {} });
  // Process 0 and 1: RTS 21 (52 bits), root of 2^13 entries.
  const root = (at: number) => (0x2n << 61n) | (5n << 5n) | BigInt(at) | 13n;
  memory.storeU64BE(PROCESS_TABLE, root(ROOT));
  memory.storeU64BE(PROCESS_TABLE + 16, root(ROOT + 0x10000));
  const state: TranslationState = {
    processTable: BigInt(PROCESS_TABLE),
    processTableBytes: 0x20n,
    pidr: 1n,
    relocation: true,
  };
  return { memory, state };
}

/** Enters a chain of tables for EA offset 0 below `root`, each with 9 bits, and the leaf with `lastBits`. */
function map(memory: GuestMemory, root: number, tables: number, leaf: bigint, lastBits = 9n) {
  let at = root;
  const chain = [tables, tables + 0x1000];
  memory.storeU64BE(at, VALID | BigInt(chain[0]) | 9n);
  at = chain[0];
  memory.storeU64BE(at, VALID | BigInt(chain[1]) | 9n);
  at = chain[1];
  memory.storeU64BE(at, VALID | BigInt(tables + 0x2000) | lastBits);
  memory.storeU64BE(tables + 0x2000, VALID | LEAF | leaf);
}

describe('inspect', () => {
  it('finds 64 KiB pages of the kernel and 4 KiB pages of the process', () => {
    const { memory, state } = machine();
    map(memory, ROOT, 0x40000, 0x80000n | 5n, 5n);
    map(memory, ROOT + 0x10000, 0x50000, 0x91000n | 6n);
    expect(inspect(memory, state, 0xc000_0000_0000_1234n)).toEqual({
      gra: 0x81234,
      leftBytes: 0x10000 - 0x1234,
      execute: true,
    });
    expect(inspect(memory, state, 0x234n)).toEqual({ gra: 0x91234, leftBytes: 0x1000 - 0x234, execute: false });
    expect(inspect(memory, { ...state, pidr: 0n }, 0x234n)).toMatchObject({ gra: 0x80234 });
  });

  it('takes addresses for real ones without relocation', () => {
    const { memory, state } = machine();
    const real = { ...state, relocation: false };
    expect(inspect(memory, real, 0xc000_0000_0000_1234n)).toMatchObject({ gra: 0x1234, execute: true });
    expect(inspect(memory, real, BigInt(RAM_BYTES))).toBeUndefined();
  });

  it('finds nothing where nothing is, whatever the tables say', () => {
    const { memory, state } = machine();
    map(memory, ROOT, 0x40000, 0x4000_0000n | 5n, 5n);
    const at = (ea: bigint, with_ = state) => inspect(memory, with_, ea);
    expect(at(0xc000_0000_0000_0000n)).toBeUndefined(); // leads out of RAM
    expect(at(0xc000_0000_0020_0000n)).toBeUndefined(); // not entered
    expect(at(0x8000_0000_0000_0000n)).toBeUndefined(); // quadrant 2
    expect(at(0xc010_0000_0000_0000n)).toBeUndefined();
    expect(at(0n, { ...state, pidr: 2n })).toBeUndefined();
    expect(at(0n, { ...state, processTableBytes: 0n })).toBeUndefined();
    memory.storeU64BE(ROOT, VALID | BigInt(ROOT) | 13n); // a table that contains itself
    expect(at(0xc000_0000_0000_0000n)).toBeUndefined();
    memory.storeU64BE(ROOT, VALID | 0x0fff_ffff_ffff_ff00n | 9n);
    expect(at(0xc000_0000_0000_0000n)).toBeUndefined();
  });
});
