// The lock-step harness itself: it must find a difference where there is one, and name the instruction.

import { describe, expect, it } from 'vitest';
import { assemble } from '../../src/cpu/isa/assemble.ts';
import type { SemanticsMap } from '../../src/cpu/semantics/emitter.ts';
import { semantics } from '../../src/cpu/semantics/index.ts';
import { LockstepDifference, lockstep } from './lockstep.ts';
import { bareSubject } from './subjects.ts';

/** Counts to 100,000; once, in the 77,777th round, r5 is multiplied by itself, and r6 goes to memory. */
const program = [
  'addi 3,0,0',
  'addis 4,0,1',
  'addi 4,4,0x2fd1', // 77777
  'addi 5,0,7',
  'addi 3,3,1',
  'xor 6,3,5',
  'std 6,256(12)',
  'cmp 0,1,3,4',
  'bc 4,2,.+8',
  'mulld 5,5,5',
  'addis 7,0,2',
  'addi 7,7,-31072', // 100000
  'cmp 0,1,3,7',
  'bc 12,0,.-36',
  'sc 1',
].map((line) => assemble(line));

async function differenceOf(tested: SemanticsMap): Promise<string> {
  const failure = await lockstep({
    start: async (engine) =>
      bareSubject({
        semantics: engine === 'tested' ? tested : semantics,
        words: program,
        compiled: engine === 'tested',
      }),
  }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(LockstepDifference);
  return (failure as LockstepDifference).message;
}

describe('lock-step harness', () => {
  it('is content with two equal engines', async () => {
    const result = await lockstep({ start: async () => bareSubject({ semantics, words: program, compiled: false }) });
    expect(result.instructions).toBeGreaterThan(900_000);
    expect(result.pieces).toBeGreaterThan(500);
  });

  it('names the instruction, and what it did, where they part', async () => {
    const message = await differenceOf({
      ...semantics,
      mulld: (s) => {
        semantics.mulld(s);
        s.setGpr('rt', s.gpr('rt').add(1));
      },
    });
    expect(message).toContain('mulld r5,r5,r5');
    expect(message).toMatch(/mulld .*\nfield/);
    expect(message).toContain('gpr5: 0000000000000031, 0000000000000032');
    expect(message).not.toContain('gpr6');
  });

  it('finds memory that differs', async () => {
    const message = await differenceOf({
      ...semantics,
      std: (s) => s.store(s.gprOr0('ra').add(s.field64('ds').shl(2)), 8, s.gpr('rs').add(1)),
    });
    expect(message).toMatch(/RAM differs/);
  });
});
