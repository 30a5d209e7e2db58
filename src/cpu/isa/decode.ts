// From an instruction word to its row and field values, and back (ISA 3.0B I 1.6, instruction formats).
//
// Decoding is lenient: reserved bits are ignored, as the hardware does. A word that no row matches is illegal.

import { assert } from '../../util/errors.ts';
import type { Field, Instruction } from './table.ts';
import { instructions } from './table.ts';

/**
 * Rows by primary opcode (bits 0-5) and, below that, by the 11 bits 21-31 that hold every extended opcode. What fixed
 * bits elsewhere tell apart (sub-opcodes in bits 11-15, bits 6, 10 or 11) is left to the few candidates of one slot.
 */
interface OpcodeTable {
  readonly lowMask: number;
  readonly slots: (Instruction[] | undefined)[];
}

function buildTable(rows: readonly Instruction[]): OpcodeTable {
  const lowMask = rows.reduce((union, row) => union | (row.mask & 0x7ff), 0);
  const slots: (Instruction[] | undefined)[] = new Array(lowMask + 1).fill(undefined);
  for (const row of rows) {
    const free = lowMask & ~row.mask;
    // Walks every subset of the free bits, ending with the empty one.
    for (let bits = free; ; bits = (bits - 1) & free) {
      const slot = (row.match & lowMask) | bits;
      const list = slots[slot];
      if (list) list.push(row);
      else slots[slot] = [row];
      if (bits === 0) break;
    }
  }
  return { lowMask, slots };
}

const tables: readonly (OpcodeTable | undefined)[] = Array.from({ length: 64 }, (_, primary) => {
  const rows = instructions.filter((row) => row.match >>> 26 === primary);
  return rows.length === 0 ? undefined : buildTable(rows);
});

/** The instruction that the 32-bit `word` (signed or unsigned) is, or undefined if it is illegal. */
export function decode(word: number): Instruction | undefined {
  const table = tables[word >>> 26];
  if (table === undefined) return undefined;
  const candidates = table.slots[word & table.lowMask];
  if (candidates === undefined) return undefined;
  for (const row of candidates) if ((word & row.mask) >>> 0 === row.match) return row;
  return undefined;
}

/** The value of `field` in `word`, its pieces put together; sign-extended if the field is signed. */
export function fieldValue(word: number, field: Field): number {
  const { pieces } = field;
  let value = 0;
  for (let i = 0; i < pieces.length; i++) {
    const { first, last } = pieces[i];
    const length = last - first + 1;
    value = (value << length) | ((word >>> (31 - last)) & ((1 << length) - 1));
  }
  return field.signed ? (value << (32 - field.bits)) >> (32 - field.bits) : value;
}

/**
 * The unsigned instruction word with the given field values; fields left out and reserved bits are 0.
 * A value that its field cannot hold, or a name the row does not have, is a bug of the caller.
 */
export function encodeFields(row: Instruction, values: Readonly<Record<string, number>>): number {
  let word = row.match;
  for (const [name, value] of Object.entries(values)) {
    const field = row.fields.get(name);
    assert(field, `${row.op} has no field "${name}"`);
    const low = field.signed ? -(2 ** (field.bits - 1)) : 0;
    assert(
      Number.isInteger(value) && value >= low && value < low + 2 ** field.bits,
      `${row.op}: ${name} cannot be ${value}`,
    );
    let rest = value;
    for (let i = field.pieces.length - 1; i >= 0; i--) {
      const { first, last } = field.pieces[i];
      const length = last - first + 1;
      word |= (rest & ((1 << length) - 1)) << (31 - last);
      rest >>= length;
    }
  }
  return word >>> 0;
}
