// A full user-visible state as 8-byte slots: registers and the memory window. The same order is in oracle/harness.c.

import type { CpuOutcome, CpuState } from '../support/cpu-under-test.ts';
import { codeEa, windowBytes, windowEa } from '../support/cpu-under-test.ts';

export const slot = {
  gpr: 0,
  vsr: 32,
  lr: 160,
  ctr: 161,
  xer: 162,
  fpscr: 163,
  cr: 164,
  vscr: 165,
  tar: 166,
  window: 168,
} as const;
export const windowSlots = windowBytes / 8;
export const slotCount = slot.window + windowSlots;

/** The slots of a state, also as 32-bit halves (low half first), and as the `CpuState` an engine takes. */
export class SlotState implements CpuState {
  readonly slots = new BigUint64Array(slotCount);
  readonly words = new Uint32Array(this.slots.buffer);
  readonly gpr = this.slots.subarray(slot.gpr, slot.gpr + 32);
  readonly vsr = this.slots.subarray(slot.vsr, slot.vsr + 128);
  readonly window = new Uint8Array(this.slots.buffer, 8 * slot.window, windowBytes);
  nia = 0n;
  /** 0, or interrupt vector and the cause bits of SRR1, as `encodeOutcome` packs them. */
  outcome = 0;

  get cr(): number {
    return this.words[2 * slot.cr];
  }
  set cr(value: number) {
    this.words[2 * slot.cr] = value;
    this.words[2 * slot.cr + 1] = 0;
  }
  get vscr(): number {
    return this.words[2 * slot.vscr];
  }
  set vscr(value: number) {
    this.words[2 * slot.vscr] = value;
    this.words[2 * slot.vscr + 1] = 0;
  }
  get xer(): bigint {
    return this.slots[slot.xer];
  }
  set xer(value: bigint) {
    this.slots[slot.xer] = value;
  }
  get lr(): bigint {
    return this.slots[slot.lr];
  }
  set lr(value: bigint) {
    this.slots[slot.lr] = value;
  }
  get ctr(): bigint {
    return this.slots[slot.ctr];
  }
  set ctr(value: bigint) {
    this.slots[slot.ctr] = value;
  }
  get fpscr(): bigint {
    return this.slots[slot.fpscr];
  }
  set fpscr(value: bigint) {
    this.slots[slot.fpscr] = value;
  }
  get tar(): bigint {
    return this.slots[slot.tar];
  }
  set tar(value: bigint) {
    this.slots[slot.tar] = value;
  }

  copyFrom(other: SlotState): void {
    this.slots.set(other.slots);
    this.nia = other.nia;
    this.outcome = other.outcome;
  }
}

const programCauses = 0x0030_0000 | 0x000f_0000;

/** Vector and, of a program interrupt, the cause bits of SRR1 (shifted down 16) in one number; 0 for 'ok'. */
export function encodeOutcome(outcome: CpuOutcome): number {
  if (outcome === 'ok') return 0;
  const cause = outcome.interrupt === 0x700 ? (Number(outcome.srr1 & 0xffff_ffffn) & programCauses) >>> 16 : 0;
  // An interrupt 0 is a program that did not end.
  return (((outcome.interrupt || 0xffff) << 8) | cause) >>> 0;
}

/** Outcomes as `encodeOutcome` packs them. */
export const outcomes = {
  ok: 0,
  illegal: (0x700 << 8) | 0x08,
  privileged: (0x700 << 8) | 0x04,
  trap: (0x700 << 8) | 0x02,
  floatingPoint: (0x700 << 8) | 0x10,
  dataStorage: 0x300 << 8,
  alignment: 0x600 << 8,
} as const;

export function outcomeText(outcome: number): string {
  for (const [name, value] of Object.entries(outcomes)) if (value === outcome) return name;
  return outcome === 0xffff00 ? 'did not end' : `interrupt 0x${(outcome >>> 8).toString(16)} cause ${outcome & 0xff}`;
}

/** A 64-bit hash, two multiplying lanes, of the outcomes, next instruction addresses and slots of any number of states. */
export class StateHash {
  private low = 0x2545f491;
  private high = 0x5bd1e995;

  add(state: SlotState): void {
    const { words } = state;
    // Locals: this is the inner loop of the recorded suites.
    let a = Math.imul(this.low ^ state.outcome, 0x9e3779b1);
    let b = Math.imul(this.high + state.outcome, 0x85ebca6b);
    const mix = (value: number) => {
      a = Math.imul(a ^ value, 0x9e3779b1);
      a = (a << 13) | (a >>> 19);
      b = Math.imul((b ^ (b >>> 15)) + value, 0x85ebca6b);
    };
    mix(Number(state.nia & 0xffff_ffffn));
    mix(Number(state.nia >> 32n));
    for (let i = 0; i < words.length; i++) {
      const value = words[i];
      a = Math.imul(a ^ value, 0x9e3779b1);
      a = (a << 13) | (a >>> 19);
      b = Math.imul((b ^ (b >>> 15)) + value, 0x85ebca6b);
    }
    this.low = a;
    this.high = b ^ a;
  }

  /** 16 hexadecimal digits. */
  text(): string {
    const half = (value: number) => {
      let h = value ^ (value >>> 16);
      h = Math.imul(h, 0x85ebca6b);
      h ^= h >>> 13;
      return (Math.imul(h, 0xc2b2ae35) >>> 0).toString(16).padStart(8, '0');
    };
    return half(this.high) + half(this.low);
  }
}

export function slotName(index: number): string {
  if (index < slot.vsr) return `r${index}`;
  if (index < slot.lr) {
    const vsr = (index - slot.vsr) >> 1;
    return `vs${vsr}${vsr >= 32 ? `(v${vsr - 32})` : ''}.dw${(index - slot.vsr) & 1}`;
  }
  if (index >= slot.window) return `[0x${(windowEa + 8 * (index - slot.window)).toString(16)}]`;
  for (const [name, at] of Object.entries(slot)) if (at === index) return name;
  return `slot${index}`;
}

const hex = (value: bigint) => value.toString(16).padStart(16, '0');

/** Lines that tell what `expected` and `actual` changed of `before` and where they differ. */
export function diffText(
  before: SlotState,
  expected: SlotState,
  actual: SlotState,
  relevant: ReadonlySet<number>,
): string {
  const lines = [`  ${'register'.padEnd(16)} ${'before'.padEnd(16)} ${'expected'.padEnd(16)} ${'actual'.padEnd(16)}`];
  for (let i = 0; i < slotCount; i++) {
    const [b, e, a] = [before.slots[i], expected.slots[i], actual.slots[i]];
    if (b === e && b === a && !relevant.has(i)) continue;
    lines.push(`${e === a ? ' ' : '>'} ${slotName(i).padEnd(16)} ${hex(b)} ${hex(e)} ${hex(a)}`);
  }
  if (expected.nia !== actual.nia || expected.nia !== BigInt(codeEa + 4))
    lines.push(
      `${expected.nia === actual.nia ? ' ' : '>'} ${'nia'.padEnd(33)} ${hex(expected.nia)} ${hex(actual.nia)}`,
    );
  if (expected.outcome !== actual.outcome || expected.outcome !== 0) {
    const [e, a] = [outcomeText(expected.outcome), outcomeText(actual.outcome)];
    lines.push(`${e === a ? ' ' : '>'} ${'outcome'.padEnd(33)} ${e.padEnd(16)} ${a}`);
  }
  return lines.join('\n');
}

/** Whether outcome, next instruction address and every slot agree. */
export function sameState(a: SlotState, b: SlotState): boolean {
  if (a.outcome !== b.outcome || a.nia !== b.nia) return false;
  for (let i = 0; i < a.words.length; i++) if (a.words[i] !== b.words[i]) return false;
  return true;
}
