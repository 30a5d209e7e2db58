// The harness and the tables around it: what goes in comes out, the same twice, and nothing is excused that needs no excuse.

import { afterAll, describe, expect, test } from 'vitest';
import { instruction, instructions } from '../../src/cpu/isa/table.ts';
import { codeEa } from '../support/cpu-under-test.ts';
import { Expectation } from './expectation.ts';
import { maskDifferences, type RuleDifference, ruleDifferences } from './known-differences.ts';
import { missingTools, Oracle } from './oracle.ts';
import { Random } from './random.ts';
import { BlockRunner } from './runner.ts';
import { covered, exclusion } from './selection.ts';
import { outcomes, SlotState, StateHash, sameState, slot } from './state.ts';
import { applyVector, type Block, makeBlock, randomFpscr } from './vectors.ts';

describe('generated inputs', () => {
  test('are the same for the same seed, and others for another', () => {
    const random = new Random('powervisor');
    expect(Array.from({ length: 4 }, () => random.bits() >>> 0)).toEqual([
      120596298, 2512796171, 449412178, 3876396121,
    ]);
    const hashOf = (block: Block) => {
      const [hash, state] = [new StateHash(), new SlotState()];
      for (let v = 0; v < block.vectors; v++) {
        applyVector(block, v, state);
        hash.add(state);
      }
      return hash.text() + block.programs.map((words) => words.join()).join();
    };
    const add = instruction('add');
    expect(hashOf(makeBlock(add, 3))).toBe(hashOf(makeBlock(add, 3)));
    expect(hashOf(makeBlock(add, 3))).not.toBe(hashOf(makeBlock(add, 4)));
    expect(hashOf(makeBlock(add, 3))).not.toBe(hashOf(makeBlock(add, 3, 'another')));
  });

  test('every instruction is covered or says why not', () => {
    const left = instructions.filter((entry) => exclusion(entry) !== undefined);
    expect(left.length + covered.length).toBe(instructions.length);
    expect(
      left
        .filter((entry) => !entry.priv && entry.class !== 'tm')
        .map((entry) => entry.op)
        .sort(),
    ).toEqual(
      'clrbhrb copy cpabort darn lmw lswi lswx mfbhrbe mftb paste. rfebb sc scv stmw stswi stswx wait'.split(' '),
    );
  });

  test('no FPSCR to begin with is an enabled exception', () => {
    const random = new Random('fpscr');
    for (let i = 0; i < 5000; i++) {
      const value = randomFpscr(random);
      const pairs = [
        [0x2000_0000, 0x80],
        [0x1000_0000, 0x40],
        [0x0800_0000, 0x20],
        [0x0400_0000, 0x10],
        [0x0200_0000, 0x08],
      ];
      expect(pairs.some(([exception, enable]) => value & exception && value & enable)).toBe(false);
    }
  });

  test('every mask has instructions', () => {
    for (const { what, ops } of maskDifferences) expect([what, covered.some(ops)]).toEqual([what, true]);
  });
});

describe.skipIf(missingTools() !== undefined)('the harness', () => {
  const oracle = new Oracle();
  afterAll(() => oracle.close());

  test.each([
    ['a no-operation', 0x6000_0000, outcomes.ok, codeEa + 4],
    ['an illegal instruction', 0, outcomes.illegal, codeEa],
    ['a trap', 0x7fe0_0008, outcomes.trap, codeEa],
    ['a branch', 0x4800_0100, outcomes.ok, codeEa + 0x100],
  ] as const)('%s leaves every register as it was', async (_name, word, outcome, nia) => {
    for (const fixed of word === 0x4800_0100 ? [true] : [true, false]) {
      const block = makeBlock(instruction('xvadddp'), 7);
      const answers = await oracle.run({ ...block, fixed, programs: block.programs.map(() => Uint32Array.of(word)) });
      const [before, after] = [new SlotState(), new SlotState()];
      for (let v = 0; v < block.vectors; v++) {
        applyVector(block, v, before);
        // VX is a summary, which loading the register works out.
        if (before.words[2 * slot.fpscr] & 0x01f8_0700) before.words[2 * slot.fpscr] |= 0x2000_0000;
        after.copyFrom(before);
        answers.read(v, after);
        expect([after.outcome, Number(after.nia)]).toEqual([outcome, nia]);
        after.outcome = before.outcome;
        after.nia = before.nia;
        expect(sameState(before, after)).toBe(true);
      }
    }
  });

  test('gives the same answers twice, whatever ran between', async () => {
    for (const op of ['adde', 'fmadd', 'vmsumshs', 'stdux', 'bc', 'lvx', 'stwcx.']) {
      const runner = new BlockRunner(op);
      const block = makeBlock(instruction(op), 1);
      const first = runner.expectedHash(block, await oracle.run(block));
      await oracle.run(makeBlock(instruction('xsmaddqp'), 2));
      expect(runner.expectedHash(block, await oracle.run(block))).toBe(first);
    }
  });

  test('every rule about QEMU is needed', { timeout: 300_000 }, async () => {
    const needed = new Set<RuleDifference>();
    const [before, qemu, corrected] = [new SlotState(), new SlotState(), new SlotState()];
    for (const entry of covered) {
      const rules = ruleDifferences.filter((difference) => difference.ops(entry));
      if (rules.every((rule) => needed.has(rule))) continue;
      const expectation = new Expectation(entry.op);
      for (let index = 0; index < 40 && !rules.every((rule) => needed.has(rule)); index++) {
        const block = makeBlock(entry, index);
        const answers = await oracle.run(block);
        for (let v = 0; v < block.vectors; v++) {
          const words = block.programs[block.programOf[v]];
          applyVector(block, v, before);
          qemu.copyFrom(before);
          answers.read(v, qemu);
          for (const difference of rules) {
            corrected.copyFrom(qemu);
            expectation.prepare(words[words.length - 1], before);
            difference.rule(entry, words[words.length - 1], before, corrected);
            if (!sameState(corrected, qemu)) needed.add(difference);
          }
        }
      }
    }
    expect(ruleDifferences.filter((rule) => !needed.has(rule)).map(({ what }) => what)).toEqual([]);
  });
});
