// Runs blocks of vectors on an engine and compares with what is expected.

import { fieldValue } from '../../src/cpu/isa/decode.ts';
import type { Instruction } from '../../src/cpu/isa/table.ts';
import type { CpuOutcome, CpuUnderTest } from '../support/cpu-under-test.ts';
import { Expectation } from './expectation.ts';
import type { Answers } from './oracle.ts';
import { checkEstimate } from './reference-rules.ts';
import { diffText, encodeOutcome, SlotState, StateHash, sameState, slot } from './state.ts';
import { applyVector, type Block, vsrNumber } from './vectors.ts';

/** Slots of the registers that an instruction word names: shown in a report even if nothing changed them. */
export function namedSlots(entry: Instruction, word: number): ReadonlySet<number> {
  const slots = new Set<number>();
  for (const field of entry.fields.values()) {
    const value = fieldValue(word, field);
    const register = vsrNumber(field.name, value);
    if (register >= 0) slots.add(slot.vsr + 2 * register).add(slot.vsr + 2 * register + 1);
    else if (/^r[abst]p?$|^rcr$/.test(field.name)) slots.add(slot.gpr + value);
  }
  return slots;
}

export const hex32 = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

function describe(entry: Instruction, words: Uint32Array): string {
  const word = words[words.length - 1];
  const fields = [...entry.fields.values()].map((field) => `${field.name}=${fieldValue(word, field)}`);
  return `${entry.op} ${fields.join(' ')} [${[...words].map(hex32).join(' ')}]`;
}

/** Executes a program from `before` on the engine; the state behind it is put into `after`. */
export function executeOn(cpu: CpuUnderTest, words: Uint32Array, before: SlotState, after: SlotState): void {
  cpu.load(before);
  cpu.memory.set(before.window);
  let outcome: CpuOutcome;
  if (words.length === 1) outcome = cpu.step(words[0]);
  else outcome = cpu.run(words, words.length);
  cpu.store(after);
  after.words[2 * slot.tar + 2] = before.words[2 * slot.tar + 2];
  after.words[2 * slot.tar + 3] = before.words[2 * slot.tar + 3];
  after.window.set(cpu.memory);
  after.outcome = encodeOutcome(outcome);
}

export interface Mismatch {
  readonly vector: number;
  readonly text: string;
}

export class BlockRunner {
  private readonly before = new SlotState();
  private readonly expected = new SlotState();
  private readonly actual = new SlotState();
  readonly expectation: Expectation;
  readonly op: string;

  constructor(op: string) {
    this.op = op;
    this.expectation = new Expectation(op);
  }

  private report(words: Uint32Array, block: Block, v: number, note: string): Mismatch {
    const { entry } = this.expectation;
    const word = words[words.length - 1];
    const text = [
      `${describe(entry, words)}, block ${block.index}, vector ${v}${note}`,
      diffText(this.before, this.expected, this.actual, namedSlots(entry, word)),
      `replay: CONFORMANCE=${entry.op}:${block.index}:${v} npx vitest run tests/conformance/live.test.ts`,
    ].join('\n');
    return { vector: v, text };
  }

  /** The expected states of a block as one hash. */
  expectedHash(block: Block, answers: Answers): string {
    const hash = new StateHash();
    for (let v = 0; v < block.vectors; v++) {
      this.prepareExpected(block, v, answers);
      hash.add(this.expected);
    }
    return hash.text();
  }

  private prepareExpected(block: Block, v: number, answers: Answers): Uint32Array {
    const words = block.programs[block.programOf[v]];
    applyVector(block, v, this.before);
    this.expected.copyFrom(this.before);
    answers.read(v, this.expected);
    this.expectation.prepare(words[words.length - 1], this.before);
    this.expectation.correct(this.expected);
    this.expectation.mask(this.expected);
    return words;
  }

  /** Compares the engine with QEMU's corrected answers; `only` picks one vector. Returns at most `limit` differences. */
  compare(cpu: CpuUnderTest, block: Block, answers: Answers, limit: number, only?: number): Mismatch[] {
    const found: Mismatch[] = [];
    for (let v = 0; v < block.vectors && found.length < limit; v++) {
      if (only !== undefined && v !== only) continue;
      const words = this.prepareExpected(block, v, answers);
      executeOn(cpu, words, this.before, this.actual);
      const wrong = checkEstimate(this.expectation.entry, words[words.length - 1], this.before, this.actual);
      this.expectation.mask(this.actual);
      if (wrong !== undefined) found.push(this.report(words, block, v, `: ${wrong}`));
      else if (only !== undefined || !sameState(this.expected, this.actual))
        found.push(this.report(words, block, v, ''));
    }
    return found;
  }

  /** The engine's states of a block as one hash, and what is wrong with an estimate, if anything. */
  actualHash(cpu: CpuUnderTest, block: Block): { hash: string; wrong: string | undefined } {
    const hash = new StateHash();
    let wrong: string | undefined;
    for (let v = 0; v < block.vectors; v++) {
      const words = block.programs[block.programOf[v]];
      const word = words[words.length - 1];
      applyVector(block, v, this.before);
      executeOn(cpu, words, this.before, this.actual);
      wrong ??= checkEstimate(this.expectation.entry, word, this.before, this.actual);
      this.expectation.prepareMask(word, this.before, this.actual);
      this.expectation.mask(this.actual);
      hash.add(this.actual);
    }
    return { hash: hash.text(), wrong };
  }
}
