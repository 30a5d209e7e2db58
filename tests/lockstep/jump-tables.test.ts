// Branches to CTR that go to many places: a switch, whose cases go on at one place, and an interpreter whose cases each go to
// the next one. In lock-step, over the end of a page, with cases that change.

import { describe, expect, it } from 'vitest';
import type { CpuCore } from '../../src/cpu/interpreter/core.ts';
import { assemble } from '../../src/cpu/isa/assemble.ts';
import { loadNumber, MAIN, programSubject } from '../self-modifying/programs.ts';
import { randomWords } from '../support/random.ts';
import { lockstep } from './lockstep.ts';

const ROUNDS = 20_000;
const CASES = 16;
const CASE_WORDS = 16;
/** Half of the cases lie in the page behind. */
const TABLE = MAIN + 0x1000 - (CASES / 2) * CASE_WORDS * 4;

const filled = (lines: readonly string[], count: number): string[] => {
  const words = lines.filter((line) => !line.endsWith(':')).length;
  return [...lines, ...new Array<string>(count - words).fill('ori 0,0,0')];
};

/** r28 makes numbers, r30 counts rounds, r31 sums up. */
const dispatch = [
  'mulld 28,28,27',
  'addi 28,28,12345',
  'rldicl 5,28,40,60',
  'rldicr 5,5,6,57',
  'add 5,5,29',
  'mtspr 9,5',
];

function program(seed: number, threaded: boolean): string[] {
  const random = randomWords(seed);
  const below = (n: number) => (random() >>> 0) % n;
  const head = [
    ...loadNumber(30, ROUNDS),
    ...loadNumber(29, TABLE),
    ...loadNumber(28, seed * 77 + 5),
    ...loadNumber(27, 0x41c64e6d),
    'addi 31,0,0',
    'dispatch:',
    ...dispatch,
    'bcctr 20,0,0',
    'next:',
    'addi 30,30,-1',
    'cmpi 0,1,30,0',
    'bc 4,2,@dispatch',
    'end:',
    'sc 1',
  ];
  const lines = filled(head, (TABLE - MAIN) / 4);
  for (let number = 0; number < CASES; number++) {
    const work = [`case${number}:`, `addi 31,31,${number + 1}`];
    if (below(2)) work.push(`xori 31,31,${below(256)}`);
    const later = number + 1 + below(CASES - number - 1);
    const jumps = number < CASES - 1 && below(4) === 0;
    const elsewhere = jumps ? [`andi. 6,31,${1 << below(5)}`, `bc 12,2,@case${later}`] : [];
    // Now and then only if a condition holds: behind it stands the way to the common place.
    const choice = below(4) === 0 ? ['andi. 6,31,3', 'bcctr 12,2,0', 'b @next'] : ['bcctr 20,0,0'];
    const on = threaded
      ? ['addi 30,30,-1', 'cmpi 0,1,30,0', 'bc 12,2,@end', ...dispatch.slice(1), ...choice]
      : [...elsewhere, 'b @next'];
    lines.push(...filled([...work, ...on], CASE_WORDS));
  }
  return lines;
}

async function same(lines: readonly string[], change?: (core: CpuCore, time: number) => void): Promise<number> {
  let tested: CpuCore | undefined;
  const host = change && { every: 30_000, change };
  const result = await lockstep({
    start: async (engine) => {
      const subject = programSubject(engine, { code: { [MAIN]: lines }, host });
      if (engine === 'tested') tested = subject.core;
      return subject;
    },
    pieceInstructions: 900,
    memoryEvery: 50_000,
    maxInstructions: 4_000_000,
  });
  expect(result.instructions, 'the program must come to its end').toBeLessThan(4_000_000);
  expect(result.instructions).toBeGreaterThan(5 * ROUNDS);
  return Number(tested?.shared('regionEntries'));
}

describe('a jump table', () => {
  it.each([1, 2, 3, 4])('of a switch, seed %d', async (seed) => {
    // Once there is a region of most cases, most rounds enter none.
    expect(await same(program(seed, false))).toBeLessThan(ROUNDS / 2);
  });

  it.each([1, 2, 3, 4])('of an interpreter, seed %d', async (seed) => {
    expect(await same(program(seed, true))).toBeLessThan(ROUNDS / 2);
  });

  it('whose cases change', async () => {
    const word = (line: string) => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, assemble(line), true);
      return bytes;
    };
    for (const threaded of [false, true]) {
      await same(program(5, threaded), (core, time) => {
        core.memory.write(TABLE + ((time * 7) % CASES) * CASE_WORDS * 4, word(`addi 31,31,${100 + time}`));
      });
    }
  });
});
