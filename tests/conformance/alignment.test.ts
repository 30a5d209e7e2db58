// What takes an alignment interrupt in little-endian mode, and changes nothing (ISA 3.0B I 3.3.5, 3.3.6, II 4.6, III 6.5.8; POWER9
// User Manual): qemu-user cannot be asked, it aborts.

import { describe, expect, test } from 'vitest';
import { decode, encodeFields } from '../../src/cpu/isa/decode.ts';
import { instruction } from '../../src/cpu/isa/table.ts';
import { codeEa, windowEa } from '../support/cpu-under-test.ts';
import { engines } from '../support/engines.ts';
import { Random } from './random.ts';
import { executeOn } from './runner.ts';
import { diffText, outcomes, SlotState, sameState, slot } from './state.ts';

interface Case {
  readonly op: string;
  readonly fields: Readonly<Record<string, number>>;
  /** Offsets from an aligned address that interrupt. */
  readonly offsets: readonly number[];
}

const misaligned = (bytes: number) => Array.from({ length: bytes - 1 }, (_, i) => i + 1);
const indexed = { ra: 3, rb: 4 };

const cases: readonly Case[] = [
  { op: 'lmw', fields: { rt: 20, ra: 3, d: 8 }, offsets: [0, 1, 4] },
  { op: 'stmw', fields: { rs: 25, ra: 3, d: -4 }, offsets: [0, 2] },
  { op: 'lswi', fields: { rt: 10, ra: 3, nb: 9 }, offsets: [0, 3] },
  { op: 'stswi', fields: { rs: 10, ra: 3, nb: 0 }, offsets: [0, 5] },
  { op: 'lswx', fields: { rt: 10, ...indexed }, offsets: [0, 7] },
  { op: 'stswx', fields: { rs: 10, ...indexed }, offsets: [0, 7] },
  ...(['lharx', 'lwarx', 'ldarx'] as const).map((op, i) => ({
    op,
    fields: { rt: 7, ...indexed },
    offsets: misaligned(2 << i),
  })),
  ...(['sthcx.', 'stwcx.', 'stdcx.'] as const).map((op, i) => ({
    op,
    fields: { rs: 7, ...indexed },
    offsets: misaligned(2 << i),
  })),
  { op: 'lqarx', fields: { rtp: 8, ...indexed }, offsets: misaligned(16) },
  { op: 'stqcx.', fields: { rsp: 8, ...indexed }, offsets: misaligned(16) },
  { op: 'lq', fields: { rtp: 8, ra: 3, dq: 0 }, offsets: misaligned(16) },
  { op: 'stq', fields: { rsp: 8, ra: 3, ds: 0 }, offsets: misaligned(16) },
  { op: 'lwat', fields: { rt: 8, ra: 3, fc: 0 }, offsets: misaligned(4) },
  { op: 'ldat', fields: { rt: 8, ra: 3, fc: 8 }, offsets: misaligned(8) },
  { op: 'stwat', fields: { rs: 8, ra: 3, fc: 1 }, offsets: misaligned(4) },
  { op: 'stdat', fields: { rs: 8, ra: 3, fc: 2 }, offsets: misaligned(8) },
];

describe.each(engines)('$name', (engine) => {
  const implemented = engine.implementedOps();

  test.each(cases.filter(({ op }) => implemented.has(op)))('$op', async ({ op, fields, offsets }) => {
    const cpu = await engine.createCpu();
    const random = new Random(op);
    const [before, expected, actual] = [new SlotState(), new SlotState(), new SlotState()];
    for (const offset of offsets) {
      for (let i = 0; i < slot.lr; i++)
        before.slots[i] = BigInt.asUintN(64, (BigInt(random.bits()) << 32n) ^ BigInt(random.bits()));
      before.window.forEach((_, i, window) => {
        window[i] = random.below(256);
      });
      // Above 0 bytes: with none, lswx and stswx do nothing but still interrupt.
      before.xer = BigInt(random.below(128));
      before.gpr[4] = 32n;
      before.gpr[3] = BigInt(windowEa + 256 + offset) - (fields.rb === undefined ? BigInt(fields.d ?? 0) & 0n : 32n);
      expected.copyFrom(before);
      expected.nia = BigInt(codeEa);
      expected.outcome = outcomes.alignment;
      executeOn(cpu, Uint32Array.of(encodeFields(instruction(op), fields)), before, actual);
      expect(sameState(expected, actual) ? '' : diffText(before, expected, actual, new Set())).toBe('');
    }
  });
});

/** The number of the SPR field does not matter here: problem state may execute none of these. */
describe.each(engines)('$name, privileged instructions', (engine) => {
  const privileged = [
    'mfmsr',
    'mtmsr',
    'mtmsrd',
    'rfid',
    'tlbie',
    'tlbiel',
    'tlbsync',
    'slbia',
    'slbie',
    'slbmte',
  ] as const;
  const implemented = engine.implementedOps();

  test.each(privileged.filter((op) => implemented.has(op)))('%s', async (op) => {
    const cpu = await engine.createCpu();
    const [before, actual] = [new SlotState(), new SlotState()];
    before.gpr.fill(0x1234n);
    executeOn(cpu, Uint32Array.of(encodeFields(instruction(op), {})), before, actual);
    expect(actual.outcome).toBe(outcomes.privileged);
    expect(actual.nia).toBe(BigInt(codeEa));
    expect([...actual.gpr]).toEqual([...before.gpr]);
  });

  test('words that are no instruction are illegal', async () => {
    const cpu = await engine.createCpu();
    const [before, actual] = [new SlotState(), new SlotState()];
    const random = new Random('illegal');
    const words = [0, 0x0000_0200, 0x0400_0000, 0xffff_ffff];
    while (words.length < 500) words.push(random.bits() >>> 0);
    for (const word of words.filter((candidate) => decode(candidate) === undefined)) {
      executeOn(cpu, Uint32Array.of(word), before, actual);
      expect([word.toString(16), actual.outcome]).toEqual([word.toString(16), outcomes.illegal]);
    }
  });
});
