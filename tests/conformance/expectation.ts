// From QEMU's answer to what the architecture says, and what of a state is not compared.

import { fieldValue } from '../../src/cpu/isa/decode.ts';
import type { Instruction } from '../../src/cpu/isa/table.ts';
import { instruction } from '../../src/cpu/isa/table.ts';
import { type MaskDifference, maskDifferences, type RuleDifference, ruleDifferences } from './known-differences.ts';
import { execute, fpscrBit, hasModel, type Undefined } from './reference-instructions.ts';
import { estimatePrecision } from './reference-rules.ts';
import { SlotState, slot } from './state.ts';
import { vsrNumber } from './vectors.ts';

const nothing: Undefined = { fpscr: 0, target: false, cr6: false, cr1: false };

/** FPRF behind a conversion to integer is undefined whatever the operand. */
const toInteger = /^fcti|^xscvdp[su]x|^xscvqp[su][dw]z/;

/** The rules of one instruction. */
export class Expectation {
  readonly entry: Instruction;
  private readonly rules: readonly RuleDifference[];
  private readonly masks: readonly MaskDifference[];
  readonly modelled: boolean;
  /** The model's state of the latest vector prepared, if the instruction has a model. */
  readonly model = new SlotState();
  private undefinedBits = nothing;
  private before = new SlotState();
  private word = 0;

  constructor(op: string) {
    this.entry = instruction(op);
    this.rules = ruleDifferences.filter((difference) => difference.ops(this.entry));
    this.masks = maskDifferences.filter((difference) => difference.ops(this.entry));
    this.modelled = hasModel(op);
  }

  /** Begins a vector: its instruction word and the state before. */
  prepare(word: number, before: SlotState): void {
    this.word = word;
    this.before = before;
    if (this.modelled) this.undefinedBits = execute(this.entry, word, before, this.model);
  }

  /**
   * As `prepare`, for a state that an instruction has left: the model is asked only where what is undefined depends on the
   * operands, which an overflow, an interrupt or an estimate shows.
   */
  prepareMask(word: number, before: SlotState, after: SlotState): void {
    const overflow = (after.words[2 * slot.fpscr] & fpscrBit.OX) !== 0;
    if (!this.modelled || overflow || after.outcome !== 0 || estimatePrecision(this.entry.op) !== undefined) {
      this.prepare(word, before);
      return;
    }
    this.word = word;
    this.before = before;
    this.undefinedBits = toInteger.test(this.entry.op) ? { ...nothing, fpscr: fpscrBit.FPRF } : nothing;
  }

  /** Makes QEMU's answer in `state` what the architecture says. */
  correct(state: SlotState): void {
    if (this.modelled) state.copyFrom(this.model);
    for (const { rule } of this.rules) rule(this.entry, this.word, this.before, state);
  }

  /** Clears in `state` what the architecture leaves undefined. */
  mask(state: SlotState): void {
    for (const { clear } of this.masks) clear(this.entry, this.word, this.before, state);
    if (!this.modelled) return;
    const { fpscr, target, cr6, cr1 } = this.undefinedBits;
    state.words[2 * slot.fpscr] &= ~fpscr;
    if (cr6) state.cr = (state.cr & ~0xf0) >>> 0;
    if (cr1) state.cr = (state.cr & ~0x0f00_0000) >>> 0;
    if (!target) return;
    for (const field of this.entry.fields.values()) {
      if (!/t$/.test(field.name)) continue;
      const register = vsrNumber(field.name, fieldValue(this.word, field));
      if (register < 0) continue;
      state.slots[slot.vsr + 2 * register] = 0n;
      state.slots[slot.vsr + 2 * register + 1] = 0n;
    }
  }
}
