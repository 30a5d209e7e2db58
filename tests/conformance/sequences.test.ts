// Random programs of 50 to 500 instructions (sequences.ts): the state at their end against QEMU's, live and recorded.
//
//   CONFORMANCE=kind:number   one program, with the first instruction that makes a difference

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/cpu/isa/decode.ts';
import type { CpuUnderTest } from '../support/cpu-under-test.ts';
import { engines } from '../support/engines.ts';
import { missingTools, Oracle } from './oracle.ts';
import { readRecord } from './record-format.ts';
import { hex32, namedSlots } from './runner.ts';
import {
  makeSequence,
  maskSequence,
  type Sequence,
  sequenceAnswer,
  sequenceKinds,
  sequencesPerKind,
} from './sequences.ts';
import { diffText, encodeOutcome, SlotState, StateHash, sameState, slot } from './state.ts';

const record = readRecord(readFileSync(new URL('./data/recorded.json', import.meta.url), 'utf8'));

function execute(cpu: CpuUnderTest, sequence: Sequence): SlotState {
  const { block, maxInstructions } = sequence;
  const after = new SlotState();
  cpu.load(block.base);
  cpu.memory.set(block.base.window);
  const outcome = encodeOutcome(cpu.run(block.programs[0], maxInstructions));
  cpu.store(after);
  after.window.set(cpu.memory);
  after.outcome = outcome;
  // The program's end is where both stop; an engine has just taken the trap there.
  maskSequence(after);
  return after;
}

/** The program with everything from word `length` on made no-operations. */
function shortened(sequence: Sequence, length: number): Sequence {
  const words = sequence.block.programs[0].slice();
  words.fill(0x6000_0000, length);
  return { ...sequence, block: { ...sequence.block, programs: [words] } };
}

async function firstDifference(cpu: CpuUnderTest, oracle: Oracle, sequence: Sequence): Promise<string> {
  const words = sequence.block.programs[0];
  const differs = async (length: number) => {
    const part = shortened(sequence, length);
    return !sameState(await sequenceAnswer(oracle, part), execute(cpu, part));
  };
  let [good, bad] = [0, words.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (await differs(middle)) bad = middle;
    else good = middle;
  }
  const entry = decode(words[good]);
  const [before, expected, actual] = [
    await sequenceAnswer(oracle, shortened(sequence, good)),
    await sequenceAnswer(oracle, shortened(sequence, bad)),
    execute(cpu, shortened(sequence, bad)),
  ];
  const { op, index } = sequence.block;
  const kind = op.split(' ')[1];
  return [
    `${op} ${index}: instruction ${good} of ${words.length}, ${entry?.op} ${hex32(words[good])}`,
    diffText(before, expected, actual, entry ? namedSlots(entry, words[good]) : new Set()),
    `replay: CONFORMANCE=${kind}:${index} npx vitest run tests/conformance/sequences.test.ts`,
  ].join('\n');
}

const chosen = process.env.CONFORMANCE?.split(':');
const missing = missingTools();

/** The instructions of a program that an engine lacks. */
function absentOps(sequence: Sequence, implemented: ReadonlySet<string>): boolean {
  return [...sequence.block.programs[0]].some((word) => !implemented.has(decode(word)?.op ?? ''));
}

describe.skipIf(missing !== undefined)('against QEMU', () => {
  let oracle: Oracle | undefined;
  afterAll(() => oracle?.close());

  describe.each(engines)('$name', (engine) => {
    test.each(sequenceKinds.filter((kind) => !chosen || chosen[0] === kind))(
      '%s',
      { timeout: 300_000 },
      async (kind) => {
        oracle ??= new Oracle();
        const cpu = await engine.createCpu();
        const implemented = engine.implementedOps();
        const failures: string[] = [];
        let run = 0;
        for (let number = 0; number < sequencesPerKind && failures.length < 5; number++) {
          if (chosen?.[1] !== undefined && Number(chosen[1]) !== number) continue;
          const sequence = makeSequence(kind, number);
          if (absentOps(sequence, implemented)) continue;
          run++;
          const expected = await sequenceAnswer(oracle, sequence);
          if (!sameState(expected, execute(cpu, sequence))) failures.push(await firstDifference(cpu, oracle, sequence));
        }
        if (run < sequencesPerKind && !chosen)
          console.log(`${engine.name}, ${kind}: ${sequencesPerKind - run} programs have instructions it lacks`);
        expect(failures.join('\n\n')).toBe('');
      },
    );
  });
});

describe.each(engines)('$name, recorded', (engine) => {
  test.each(sequenceKinds)('%s', { timeout: 600_000 }, async (kind) => {
    const hashes = record.hashes.get(`sequence ${kind}`);
    expect(hashes?.length).toBe(sequencesPerKind);
    const cpu = await engine.createCpu();
    const implemented = engine.implementedOps();
    const wrong: string[] = [];
    for (let number = 0; number < sequencesPerKind; number++) {
      const sequence = makeSequence(kind, number);
      if (absentOps(sequence, implemented)) continue;
      const hash = new StateHash();
      hash.add(execute(cpu, sequence));
      if (hash.text() !== hashes?.[number])
        wrong.push(`CONFORMANCE=${kind}:${number} npx vitest run tests/conformance/sequences.test.ts`);
    }
    expect(wrong).toEqual([]);
  });
});

test('programs have what they are meant to have', () => {
  const lengths = Array.from({ length: 40 }, (_, number) => makeSequence('vectors', number).block.programs[0].length);
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(50);
  expect(Math.max(...lengths)).toBeGreaterThan(400);
  const words = [...makeSequence('vectors', 3).block.programs[0]];
  expect(words.every((word) => decode(word) !== undefined)).toBe(true);
  expect(slot.window).toBe(168);
});
