// Which handler an instruction word has: by its instruction, the values of its static fields and the fetch mode.

import { decode } from '../isa/decode.ts';
import { type Instruction, instructions } from '../isa/table.ts';
import type { StaticField } from '../semantics/emitter.ts';

export const STATIC_FIELDS: readonly StaticField[] = ['rc', 'oe', 'aa', 'lk'];
/** Combinations of static fields, the first of them in the lowest bit. */
const VARIANTS = 1 << STATIC_FIELDS.length;

/** Byte order and width for which a page is decoded: bit 0 little-endian, bit 1 64-bit. */
export const FETCH_MODE_USUAL = 3;

/** Numbers of handlers, in the order of `handlerVariants`. */
export interface HandlerNumbers {
  readonly usual: readonly number[];
  /** For all other fetch modes. */
  readonly anyMode: readonly number[];
  readonly illegal: number;
}

export type StaticFlags = Readonly<Partial<Record<StaticField, boolean>>>;

/** Every instruction with each combination of the static fields that it has. */
export function* handlerVariants(): Generator<{ instruction: Instruction; flags: StaticFlags }> {
  for (const instruction of instructions) {
    const names = STATIC_FIELDS.filter((name) => instruction.fields.has(name));
    for (let values = 0; values < 1 << names.length; values++) {
      yield { instruction, flags: Object.fromEntries(names.map((name, bit) => [name, ((values >> bit) & 1) === 1])) };
    }
  }
}

/** The handler number of an instruction word (signed or unsigned) for a fetch mode. */
export function handlerSelector(numbers: HandlerNumbers): (word: number, mode: number) => number {
  const usual = new Uint16Array(instructions.length * VARIANTS);
  const anyMode = new Uint16Array(instructions.length * VARIANTS);
  // How far to shift a word to have the static field in bit 31 of it; 32 for none.
  const shifts = new Uint8Array(instructions.length * STATIC_FIELDS.length).fill(NO_FIELD);
  let next = 0;
  for (const { instruction, flags } of handlerVariants()) {
    let variant = 0;
    STATIC_FIELDS.forEach((name, i) => {
      const field = instruction.fields.get(name);
      if (field) shifts[instruction.index * STATIC_FIELDS.length + i] = 31 - field.pieces[0].first;
      if (flags[name]) variant |= 1 << i;
    });
    usual[instruction.index * VARIANTS + variant] = numbers.usual[next];
    anyMode[instruction.index * VARIANTS + variant] = numbers.anyMode[next];
    next++;
  }
  return (word, mode) => {
    const instruction = decode(word);
    if (instruction === undefined) return numbers.illegal;
    const { index } = instruction;
    let variant = 0;
    for (let i = 0; i < STATIC_FIELDS.length; i++) {
      const shift = shifts[index * STATIC_FIELDS.length + i];
      if (shift !== NO_FIELD) variant |= ((word >>> shift) & 1) << i;
    }
    return (mode === FETCH_MODE_USUAL ? usual : anyMode)[index * VARIANTS + variant];
  };
}

const NO_FIELD = 32;
