// Instruction words as text, in the raw form of the GNU disassembler (`objdump -M power9,raw`): base mnemonics only, every operand
// written, so that one row has one spelling.

import { decode, fieldValue } from './decode.ts';
import { isInvalidForm, reservedBitsAccepted } from './forms.ts';
import type { FieldOperand, Operand } from './operands.ts';
import { operandsOf, specialNames } from './operands.ts';
import type { Instruction } from './table.ts';

export interface DisassembleOptions {
  /** Effective address of the word, for branch targets; without it a relative target is written `.+8`. */
  readonly address?: bigint;
}

export interface Disassembly {
  readonly mnemonic: string;
  /** Operands with commas and no blanks; empty if there are none. */
  readonly operands: string;
}

const bitNames = ['lt', 'gt', 'eq', 'so'];

/** The mnemonic with the suffixes its flag fields ask for: o and . (overflow, record), l and a (link, absolute). */
export function mnemonicOf(row: Instruction, word: number): string {
  const flag = (name: string, suffix: string): string => {
    const field = row.fields.get(name);
    return field !== undefined && fieldValue(word, field) === 1 ? suffix : '';
  };
  return row.op + flag('lk', 'l') + flag('aa', 'a') + flag('oe', 'o') + flag('rc', '.');
}

function targetText(row: Instruction, word: number, displacement: number, address: bigint | undefined): string {
  // As GNU does, the low half of an absolute target.
  if (fieldValue(word, row.fields.get('aa')!) === 1) return `0x${(displacement >>> 0).toString(16)}`;
  if (address === undefined) return displacement < 0 ? `.-${-displacement}` : `.+${displacement}`;
  return `0x${BigInt.asUintN(64, address + BigInt(displacement)).toString(16)}`;
}

function operandValue(operand: FieldOperand, word: number): number {
  const value = fieldValue(word, operand.field) * operand.scale;
  if (value === 0) return operand.valueOfZero;
  return operand.pair ? value & ~1 : value;
}

function operandText(row: Instruction, operand: Operand, word: number, address: bigint | undefined): string {
  if (operand.kind === 'constant') return operand.text;
  const value = operandValue(operand, word);
  switch (operand.kind) {
    case 'number': {
      if (operand.base === undefined) return `${value}`;
      const base = fieldValue(word, operand.base);
      return `${value}(${operand.zero && base === 0 ? '0' : `r${base}`})`;
    }
    case 'target':
      return targetText(row, word, value, address);
    case 'bit':
      return value < 4 ? bitNames[value] : `4*cr${value >> 2}+${bitNames[value & 3]}`;
    default:
      return operand.zero && value === 0 ? '0' : `${operand.kind}${value}`;
  }
}

/** The text of the 32-bit `word`; one that is no instruction gives `.long 0x...`. */
export function disassemble(word: number, options: DisassembleOptions = {}): Disassembly {
  const row = decode(word);
  if (row === undefined || !(reservedBitsAccepted(row, word) && !isInvalidForm(row, word))) {
    return { mnemonic: '.long', operands: `0x${(word >>> 0).toString(16)}` };
  }
  const special = specialNames.find((entry) => entry.op === row.op && (word & entry.bits) !== 0);
  const operands = special?.operands ?? operandsOf(row);
  return {
    mnemonic: special?.name ?? mnemonicOf(row, word),
    operands: operands.map((operand) => operandText(row, operand, word, options.address)).join(','),
  };
}
