// The instruction table: the rows of every section, with match, mask and fields worked out from their pictures.

import { assert } from '../../util/errors.ts';
import { atomicRows } from './atomics.ts';
import { branchRows } from './branch.ts';
import { cacheSyncRows } from './cache-sync.ts';
import { decimalRows } from './decimal.ts';
import { fixedPointRows } from './fixed-point.ts';
import { floatingPointRows } from './floating-point.ts';
import { loadStoreRows } from './load-store.ts';
import { quadRows } from './quad.ts';
import type { InstructionRow } from './row.ts';
import { sprRows } from './spr.ts';
import { systemRows } from './system.ts';
import { tmRows } from './tm.ts';
import { vmxCryptoRows } from './vmx-crypto.ts';
import { vmxDecimalRows } from './vmx-decimal.ts';
import { vmxFloatRows } from './vmx-float.ts';
import { vmxIntegerRows } from './vmx-integer.ts';
import { vmxMemoryRows } from './vmx-memory.ts';
import { vmxPermuteRows } from './vmx-permute.ts';
import { vsxMemoryRows } from './vsx-memory.ts';
import { vsxPermuteRows } from './vsx-permute.ts';
import { vsxScalarRows } from './vsx-scalar.ts';
import { vsxVectorRows } from './vsx-vector.ts';

/** A run of bits of the instruction word, both ends included; bit 0 is the most significant. */
export interface FieldPiece {
  readonly first: number;
  readonly last: number;
}

/** A field of an instruction; `pieces` most significant first, `bits` their total length (1 to 24). */
export interface Field {
  readonly name: string;
  readonly pieces: readonly FieldPiece[];
  readonly bits: number;
  readonly signed: boolean;
}

/**
 * A row with what follows from its picture. A word `w` is this instruction if `((w & mask) >>> 0) === match`;
 * `reserved` are the bits that select nothing. All three are unsigned 32-bit. `index` is the row's place in `instructions`.
 * `fields` runs from left to right in the word, by the first piece met.
 */
export interface Instruction extends InstructionRow {
  readonly op: Op;
  readonly index: number;
  readonly match: number;
  readonly mask: number;
  readonly reserved: number;
  readonly fields: ReadonlyMap<string, Field>;
}

/** Every mnemonic of the table: a map keyed by it does not compile with a name missing or misspelt. */
export type Op =
  | (typeof branchRows)[number]['op']
  | (typeof loadStoreRows)[number]['op']
  | (typeof fixedPointRows)[number]['op']
  | (typeof sprRows)[number]['op']
  | (typeof systemRows)[number]['op']
  | (typeof cacheSyncRows)[number]['op']
  | (typeof atomicRows)[number]['op']
  | (typeof tmRows)[number]['op']
  | (typeof floatingPointRows)[number]['op']
  | (typeof decimalRows)[number]['op']
  | (typeof vmxMemoryRows)[number]['op']
  | (typeof vmxPermuteRows)[number]['op']
  | (typeof vmxIntegerRows)[number]['op']
  | (typeof vmxFloatRows)[number]['op']
  | (typeof vmxCryptoRows)[number]['op']
  | (typeof vmxDecimalRows)[number]['op']
  | (typeof vsxMemoryRows)[number]['op']
  | (typeof vsxScalarRows)[number]['op']
  | (typeof vsxVectorRows)[number]['op']
  | (typeof vsxPermuteRows)[number]['op']
  | (typeof quadRows)[number]['op'];

type Row = InstructionRow & { readonly op: Op };

const rows: readonly Row[] = [
  ...branchRows,
  ...loadStoreRows,
  ...fixedPointRows,
  ...sprRows,
  ...systemRows,
  ...cacheSyncRows,
  ...atomicRows,
  ...tmRows,
  ...floatingPointRows,
  ...decimalRows,
  ...vmxMemoryRows,
  ...vmxPermuteRows,
  ...vmxIntegerRows,
  ...vmxFloatRows,
  ...vmxCryptoRows,
  ...vmxDecimalRows,
  ...vsxMemoryRows,
  ...vsxScalarRows,
  ...vsxVectorRows,
  ...vsxPermuteRows,
  ...quadRows,
];

interface Picture {
  readonly match: number;
  readonly mask: number;
  readonly reserved: number;
  readonly fields: ReadonlyMap<string, Field>;
}

/** Reads a picture (row.ts describes the notation); asserts that it is 32 bits wide and well formed. */
export function readPicture(op: string, bits: string): Picture {
  const pieces = new Map<string, { part: number; first: number; last: number }[]>();
  const signedFields = new Set<string>();
  let match = 0;
  let mask = 0;
  let reserved = 0;
  let at = 0;
  for (const token of bits.split(' ')) {
    const field = /^([a-z][a-z0-9]*)(?:\/(\d))?:(s?)(\d+)$/.exec(token);
    if (field) {
      const [, name, part, sign, length] = field;
      const list = pieces.get(name) ?? [];
      list.push({ part: Number(part ?? 0), first: at, last: at + Number(length) - 1 });
      pieces.set(name, list);
      if (sign) signedFields.add(name);
      at += Number(length);
      continue;
    }
    assert(/^([01]+|\.+)$/.test(token), `${op}: "${token}" is not a piece of an instruction picture`);
    for (const char of token) {
      const bit = (1 << (31 - at)) >>> 0;
      if (char === '.') reserved += bit;
      else mask += bit;
      if (char === '1') match += bit;
      at++;
    }
  }
  assert(at === 32, `${op}: the picture is ${at} bits wide, not 32`);
  const fields = new Map<string, Field>();
  for (const [name, list] of pieces) {
    list.sort((a, b) => a.part - b.part);
    assert(
      list.every((piece, i) => piece.part === i),
      `${op}: the pieces of ${name} are not numbered from 0 without a gap`,
    );
    fields.set(name, {
      name,
      pieces: list.map(({ first, last }) => ({ first, last })),
      bits: list.reduce((sum, piece) => sum + piece.last - piece.first + 1, 0),
      signed: signedFields.has(name),
    });
  }
  return { match, mask, reserved, fields };
}

export const instructions: readonly Instruction[] = rows.map((row, index) => ({
  op: row.op,
  bits: row.bits,
  class: row.class,
  priv: row.priv,
  needs: row.needs,
  isa: row.isa,
  ends: row.ends,
  zero: row.zero,
  asm: row.asm,
  index,
  ...readPicture(row.op, row.bits),
}));

const byOp: ReadonlyMap<string, Instruction> = new Map(instructions.map((entry) => [entry.op, entry]));
assert(byOp.size === instructions.length, 'two rows of the instruction table share a mnemonic');

/** Whether `op` is a mnemonic of the table (without optional `o` and `.`). */
export function isOp(op: string): op is Op {
  return byOp.has(op);
}

/** The instruction of that mnemonic; an unknown one is a bug of the caller. */
export function instruction(op: string): Instruction {
  const found = byOp.get(op);
  assert(found, `no instruction is called "${op}"`);
  return found;
}
