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
  // Not a typed array: those cost ten times as much to make, and sets are made for each way out of each region.
  private readonly words: number[];

  constructor(words?: readonly number[]) {
    this.words = words ? words.slice() : new Array<number>((cells.length + 31) >> 5).fill(0);
  }

  has(id: number): boolean {
    return ((this.words[id >> 5] >>> (id & 31)) & 1) === 1;
  }
  add(id: number): void {
    this.words[id >> 5] |= 1 << (id & 31);
  }
  /** Takes in another set; says whether that made a difference. */
  addAll(other: CellSet): boolean {
    const { words } = this;
    let grown = false;
    for (let i = 0; i < words.length; i++) {
      const next = words[i] | other.words[i];
      if (next !== words[i]) grown = true;
      words[i] = next;
    }
    return grown;
  }
  copy(): CellSet {
    return new CellSet(this.words);
  }
  /** Its cells, lowest number first. */
  list(): Cell[] {
    const found: Cell[] = [];
    this.words.forEach((word, index) => {
      for (let rest = word; rest !== 0; rest &= rest - 1) found.push(cells[index * 32 + 31 - Math.clz32(rest & -rest)]);
    });
    return found;
  }
}
