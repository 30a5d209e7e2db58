// One instruction from text to word, from the same rows as the disassembler: raw mnemonics with their suffixes (`o`, `.`,
// `l`, `a`), every operand written. No extended mnemonics, labels or directives except `.long`.

import { PowervisorError } from '../../util/errors.ts';
import { encodeFields } from './decode.ts';
import type { FieldOperand, Operand } from './operands.ts';
import { operandsOf, specialNames } from './operands.ts';
import type { Field, Instruction } from './table.ts';
import { instruction, instructions } from './table.ts';

export interface AssembleOptions {
  /** Effective address the word will have; needed by a relative branch to an absolute target (`b 0x1000`). */
  readonly address?: bigint;
}

interface Spelling {
  readonly row: Instruction;
  readonly flags: Readonly<Record<string, number>>;
  readonly operands: readonly Operand[];
  readonly bits: number;
}

/** Suffixes in the order they are written, each with the field it sets. */
const suffixes = [
  ['lk', 'l'],
  ['aa', 'a'],
  ['oe', 'o'],
  ['rc', '.'],
] as const;

/** Every mnemonic with its suffixes spelt out, for example add, addo, add. and addo. of one row. */
const spellings: ReadonlyMap<string, Spelling> = (() => {
  const all = new Map<string, Spelling>();
  for (const row of instructions) {
    let variants = [{ name: row.op as string, flags: {} as Record<string, number> }];
    for (const [field, suffix] of suffixes) {
      if (!row.fields.has(field)) continue;
      variants = variants.flatMap(({ name, flags }) => [
        { name, flags },
        { name: name + suffix, flags: { ...flags, [field]: 1 } },
      ]);
    }
    for (const { name, flags } of variants) all.set(name, { row, flags, operands: operandsOf(row), bits: 0 });
  }
  for (const { name, op, bits, operands } of specialNames) {
    all.set(name, { row: instruction(op), flags: {}, operands, bits });
  }
  return all;
})();

/** Every mnemonic the assembler takes. */
export const mnemonics: ReadonlySet<string> = new Set(spellings.keys());

function reject(text: string, why: string): never {
  throw new PowervisorError('assembly', `cannot assemble "${text}": ${why}`);
}

/** A decimal or 0x number, or undefined. */
function parseNumber(text: string): number | undefined {
  if (!/^-?(0x[0-9a-f]+|\d+)$/i.test(text)) return undefined;
  return text.startsWith('-') ? -Number(text.slice(1)) : Number(text);
}

const bitNames = ['lt', 'gt', 'eq', 'so'];

function parseBit(text: string): number | undefined {
  const [, field, bit] = /^(?:4\*cr([0-7])\+)?(lt|gt|eq|so)$/.exec(text) ?? [];
  return bit === undefined ? parseNumber(text) : 4 * Number(field ?? 0) + bitNames.indexOf(bit);
}

function parseRegister(text: string, letters: string): number | undefined {
  return text.startsWith(letters) && /^\d+$/.test(text.slice(letters.length))
    ? Number(text.slice(letters.length))
    : parseNumber(text);
}

/** Bytes from the instruction, or the absolute address, that a target text means. */
function parseTarget(text: string, absolute: boolean, address: bigint | undefined): number | undefined {
  const [, sign, distance] = /^\.([+-])(0x[0-9a-f]+|\d+)$/i.exec(text) ?? [];
  if (distance !== undefined && !absolute) return sign === '-' ? -Number(distance) : Number(distance);
  if (!/^-?(0x[0-9a-f]+|\d+)$/i.test(text)) return undefined;
  const target = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
  if (!absolute) return address === undefined ? undefined : Number(BigInt.asIntN(64, target - address));
  // The disassembler writes the low half of a negative absolute target.
  return Number(BigInt.asIntN(target <= 0xffff_ffffn ? 32 : 64, target));
}

/** The number that `text` says for the operand itself (without its base), in the unit of the text. */
function parseOwn(
  operand: FieldOperand,
  text: string,
  spelling: Spelling,
  options: AssembleOptions,
): number | undefined {
  switch (operand.kind) {
    case 'number':
      return parseNumber(text);
    case 'target':
      return parseTarget(text, spelling.flags.aa === 1, options.address);
    case 'bit':
      return parseBit(text);
    default:
      return parseRegister(text, operand.kind);
  }
}

function fits(field: Field, value: number): boolean {
  const low = field.signed ? -(2 ** (field.bits - 1)) : 0;
  return Number.isInteger(value) && value >= low && value < low + 2 ** field.bits;
}

/** Puts what `text` says into `values`; returns what is wrong with it, or undefined. */
function readOperand(
  operand: Operand,
  text: string,
  spelling: Spelling,
  options: AssembleOptions,
  values: Record<string, number>,
): string | undefined {
  if (operand.kind === 'constant')
    return text === operand.text ? undefined : `the operand "${text}" must be ${operand.text}`;
  const { field, base, scale, valueOfZero } = operand;
  let own = text;
  if (base !== undefined) {
    const [, displacement, register] = /^(.*)\(\s*([^()]*?)\s*\)$/.exec(text) ?? [];
    const number = register === undefined ? undefined : parseRegister(register, 'r');
    if (number === undefined || !fits(base, number)) return `"${text}" is not a displacement with a base register`;
    values[base.name] = number;
    own = displacement;
  }
  const value = parseOwn(operand, own, spelling, options);
  if (value === undefined) return `"${text}" cannot be read as the operand ${field.name}`;
  const held = value === valueOfZero ? 0 : value / scale;
  if (!fits(field, held)) {
    const unit = scale === 1 ? '' : `${scale} times `;
    return `${value} is not ${unit}a number that the ${field.bits}-bit ${field.signed ? 'signed ' : ''}field ${field.name} holds`;
  }
  values[field.name] = held;
  return undefined;
}

function assembleLong(text: string, written: readonly string[]): number {
  const value = written.length === 1 ? parseNumber(written[0]) : undefined;
  if (value === undefined || value < -0x8000_0000 || value > 0xffff_ffff) reject(text, '.long takes one 32-bit number');
  return value >>> 0;
}

/**
 * The unsigned 32-bit word of one instruction such as `addo. r3,r4,r5`, `ld r9,-8(r1)` or `bc 12,4*cr1+eq,.+8`. Registers may
 * also be plain numbers; blanks around operands do not matter. Throws `PowervisorError` (code `assembly`) with the reason.
 */
export function assemble(text: string, options: AssembleOptions = {}): number {
  const [, mnemonic, rest] = /^\s*(\S+)\s*(.*?)\s*$/.exec(text) ?? reject(text, 'there is no mnemonic');
  const written = rest === '' ? [] : rest.split(',').map((part) => part.trim());
  if (mnemonic === '.long') return assembleLong(text, written);
  const spelling = spellings.get(mnemonic) ?? reject(text, `no instruction is called "${mnemonic}"`);
  // Constants may be left out, as the manual leaves them out.
  const fields = spelling.operands.filter((operand) => operand.kind !== 'constant');
  const operands = written.length === fields.length ? fields : spelling.operands;
  if (written.length !== operands.length) {
    reject(text, `${mnemonic} takes ${fields.length} operands, ${written.length} given`);
  }
  const values: Record<string, number> = { ...spelling.flags };
  operands.forEach((operand, i) => {
    const problem = readOperand(operand, written[i], spelling, options, values);
    if (problem !== undefined) reject(text, problem);
  });
  return (encodeFields(spelling.row, values) | spelling.bits) >>> 0;
}
