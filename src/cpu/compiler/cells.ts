// The registers that a region keeps in WebAssembly locals: which there are, where they live between regions, and sets of
// them.

import type { ValueType } from '../../wasm/opcodes.ts';
import { type StateField, stateLayout, stateOffset } from '../state/layout.ts';
import { STATE_BASE } from '../state/memory-map.ts';

/** A register with its place in the register block; `id` is its index in `cells`. */
export interface Cell {
  readonly id: number;
  readonly type: ValueType;
  /** Byte offset in memory. */
  readonly address: number;
}

const kept = ['gpr', 'cr', 'so', 'ov', 'ca', 'ov32', 'ca32', 'lr', 'ctr'] as const satisfies readonly StateField[];

const list: Cell[] = [];
const firstOf = new Map<StateField, number>();
for (const name of kept) {
  firstOf.set(name, list.length);
  const { type, count } = stateLayout[name];
  for (let index = 0; index < count; index++) {
    list.push({ id: list.length, type, address: STATE_BASE + stateOffset(name, index) });
  }
}

/**
 * VSR 0 to 31 are kept in one of two ways (vector-registers.ts): as FPR n, which is doubleword 0, and the other doubleword,
 * or as the whole register.
 */
const firstFpr = list.length;
for (let n = 0; n < 32; n++) {
  list.push({ id: list.length, type: 'f64', address: STATE_BASE + stateOffset('vsr', n) + 8 });
}
const firstLower = list.length;
for (let n = 0; n < 32; n++) {
  list.push({ id: list.length, type: 'i64', address: STATE_BASE + stateOffset('vsr', n) });
}
const firstVsr = list.length;
for (let n = 0; n < 64; n++) {
  list.push({ id: list.length, type: 'v128', address: STATE_BASE + stateOffset('vsr', n) });
}

export const cells: readonly Cell[] = list;

export function fprCell(n: number): Cell {
  return cells[firstFpr + n];
}
/** Doubleword 1 of VSR n. */
export function lowerCell(n: number): Cell {
  return cells[firstLower + n];
}
/** VR n, which is VSR 32 + n. */
export function vrCell(n: number): Cell {
  return cells[firstVsr + 32 + n];
}
/** VSR n as a whole. */
export function vsrCell(n: number): Cell {
  return cells[firstVsr + n];
}

/** The cell of a field of the register block; undefined for what stays in memory. */
export function cellOf(name: StateField, index = 0): Cell | undefined {
  const first = firstOf.get(name);
  return first === undefined ? undefined : cells[first + index];
}

/** A set of cells. */
export class CellSet {
  private readonly bits = new Uint32Array((cells.length + 31) >> 5);

  has(id: number): boolean {
    return ((this.bits[id >> 5] >>> (id & 31)) & 1) === 1;
  }
  add(id: number): void {
    this.bits[id >> 5] |= 1 << (id & 31);
  }
  /** Takes in another set; says whether that made a difference. */
  addAll(other: CellSet): boolean {
    let grown = false;
    for (let i = 0; i < this.bits.length; i++) {
      const next = (this.bits[i] | other.bits[i]) >>> 0;
      if (next !== this.bits[i]) grown = true;
      this.bits[i] = next;
    }
    return grown;
  }
  clear(): void {
    this.bits.fill(0);
  }
  copy(): CellSet {
    const result = new CellSet();
    result.bits.set(this.bits);
    return result;
  }
  *[Symbol.iterator](): Iterator<Cell> {
    for (const cell of cells) if (this.has(cell.id)) yield cell;
  }
}
