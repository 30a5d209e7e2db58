// How the operands of each instruction are written, for the disassembler and the assembler alike. The order comes from the
// row (`asm`, or the fields from left to right with d, ds and dq taking their base along), the form from the field's name.

import { assert } from '../../util/errors.ts';
import type { Field, Instruction } from './table.ts';
import { instruction, instructions } from './table.ts';

/** `number`: decimal; `target`: a branch target; `bit`: a Condition Register bit; the others print letters and the number. */
export type OperandKind = 'number' | 'target' | 'bit' | 'r' | 'f' | 'v' | 'vs' | 'cr';

/** A constant that the assembler wants written, such as the -1 of `mfcr r3,-1`. */
export interface Constant {
  readonly kind: 'constant';
  readonly text: string;
}

export interface FieldOperand {
  readonly kind: OperandKind;
  readonly field: Field;
  /** What one step of the field counts, in bytes for displacements. */
  readonly scale: number;
  /** The base register of a displacement, written in parentheses behind it. */
  readonly base?: Field;
  /** A register field whose 0 is written as the number 0. */
  readonly zero: boolean;
  /** What a field value of 0 stands for, if not for 0: byte counts of 0 mean 32. */
  readonly valueOfZero: number;
  /** The field names the even register of a pair: the lowest bit is not looked at. */
  readonly pair: boolean;
}

export type Operand = FieldOperand | Constant;

// Register operands by the manual's field names; every field not listed is a number.
const kindOfName: ReadonlyMap<string, OperandKind> = new Map(
  Object.entries({
    r: ['rt', 'rs', 'ra', 'rb', 'rcr', 'rtp', 'rsp'],
    f: ['frt', 'frs', 'fra', 'frb', 'frc', 'frtp', 'frsp', 'frap', 'frbp'],
    v: ['vrt', 'vrs', 'vra', 'vrb', 'vrc'],
    vs: ['xt', 'xs', 'xa', 'xb', 'xc'],
    cr: ['bf', 'bfa'],
    bit: ['bi', 'ba', 'bb', 'bc', 'bt'],
    target: ['li', 'bd'],
  } as const).flatMap(([kind, names]) => names.map((name) => [name, kind as OperandKind] as const)),
);
const scaleOfName: ReadonlyMap<string, number> = new Map([
  ['li', 4],
  ['bd', 4],
  ['ds', 4],
  ['dq', 16],
]);
const flagNames: ReadonlySet<string> = new Set(['rc', 'oe', 'aa', 'lk']);
const displacementNames: ReadonlySet<string> = new Set(['d', 'ds', 'dq']);

function defaultOrder(row: Instruction): string {
  const names = [...row.fields.keys()].filter((name) => !flagNames.has(name));
  const displacement = names.find((name) => displacementNames.has(name));
  if (displacement === undefined || !names.includes('ra')) return names.join(',');
  return names
    .filter((name) => name !== 'ra')
    .map((name) => (name === displacement ? `${name}(ra)` : name))
    .join(',');
}

/** Reads an operand list in the notation of `asm`. */
export function readOperands(row: Instruction, order: string): readonly Operand[] {
  if (order === '') return [];
  return order.split(',').map((text): Operand => {
    if (/^-?\d+$/.test(text)) return { kind: 'constant', text };
    const [, name, base] = /^([a-z0-9]+)(?:\(([a-z]+)\))?$/.exec(text) ?? [];
    const field = row.fields.get(name);
    assert(field, `${row.op}: operand "${text}" names no field of the row`);
    // The FPSCR moves count FPSCR bits and fields, which have no names of their own.
    const plain = row.class === 'fpscr' && (name === 'bt' || (name === 'bf' && !row.fields.has('bfa')));
    return {
      kind: plain ? 'number' : (kindOfName.get(name) ?? 'number'),
      field,
      scale: scaleOfName.get(name) ?? 1,
      base: base === undefined ? undefined : row.fields.get(base),
      zero: row.zero === (base ?? name),
      valueOfZero: name === 'nb' ? 32 : 0,
      pair: name === 'frap' || name === 'frbp',
    };
  });
}

const operandsByIndex: readonly (readonly Operand[])[] = instructions.map((row) =>
  readOperands(row, row.asm ?? defaultOrder(row)),
);

/** The operands of an instruction in the order the assembler writes them. */
export function operandsOf(row: Instruction): readonly Operand[] {
  return operandsByIndex[row.index];
}

/** A word with a name of its own in the assembler beside the one of its row. */
export interface SpecialName {
  readonly name: string;
  readonly op: string;
  /** Bits of the instruction word that make it the special one. */
  readonly bits: number;
  readonly operands: readonly Operand[];
}

export const specialNames: readonly SpecialName[] = [
  { name: 'tendall.', op: 'tend.', bits: 0x0200_0000, operands: [] },
  // Clears a 128-byte block where dcbz may clear less; on POWER9 they are the same.
  { name: 'dcbzl', op: 'dcbz', bits: 0x0020_0000, operands: operandsOf(instruction('dcbz')) },
];
