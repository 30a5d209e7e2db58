// Calls by CTR whose target changes, in lock-step: regions take copies of the functions that a call has gone to. The
// functions are leaves, jump to each other, call each other, and return past the one that has called them.

import { describe, expect, it } from 'vitest';
import type { CpuCore } from '../../src/cpu/interpreter/core.ts';
import { assemble } from '../../src/cpu/isa/assemble.ts';
import {
  FIRST,
  leafFor,
  loadNumber,
  MAIN,
  programSubject,
  SECOND,
  WINDOW,
  WINDOW_ENTRY,
} from '../self-modifying/programs.ts';
import { lockstep } from './lockstep.ts';

const ROUNDS = 12_000;
const FUNCTION_WORDS = 16;

/** Calls function `index` by r12; LR is kept in r20. */
const callFrom = (index: number): string[] => [
  'mfspr 20,8',
  `addi 12,29,${index * FUNCTION_WORDS * 4}`,
  'mtspr 9,12',
  'bcctrl 20,0,0',
];

/** r31 sums up, r28 is a random number; `n` tells the page. */
const functions = (n: number): string[][] => [
  [`addi 31,31,${n}`, 'bclr 20,0,0'],
  ['andi. 6,28,8', 'bc 12,2,@skip1', `xori 31,31,${n}`, 'bclr 20,0,0', 'skip1:', 'addi 31,31,7', 'bclr 20,0,0'],
  ['addi 31,31,2', 'andi. 6,28,16', 'bclr 12,2,0', 'add 31,31,28', 'bclr 20,0,0'],
  ['loop3:', 'addi 31,31,1', 'andi. 6,31,3', 'bc 4,2,@loop3', 'bclr 20,0,0'],
  // Jumps to the first one.
  [`addi 31,31,${n + 1}`, 'b @function0'],
  // Calls the second one.
  [...callFrom(1), 'addi 31,31,5', 'mtspr 8,20', 'bclr 20,0,0'],
  // Calls the last one, which does not come back.
  [...callFrom(7), 'addi 31,31,1000', 'mtspr 8,20', 'bclr 20,0,0'],
  // Returns to where the one that has called it would return to.
  ['mtspr 8,20', 'addi 31,31,11', 'bclr 20,0,0'],
];

const page = (n: number): string[] =>
  functions(n).flatMap((lines, index) => {
    const words = lines.filter((line) => !line.endsWith(':')).length;
    return [`function${index}:`, ...lines, ...new Array<string>(FUNCTION_WORDS - words).fill('ori 0,0,0')];
  });

/** Calls one of the functions `choice` in each round; r29 is the address of the first function. */
function caller(choice: readonly number[], base: number, then: readonly string[] = []): string[] {
  const ways = choice.flatMap((index, way) => [
    `cmpi 0,1,5,${way}`,
    'bc 4,2,.+12',
    `addi 12,29,${index * FUNCTION_WORDS * 4}`,
    'b @call',
  ]);
  return [
    ...loadNumber(30, ROUNDS),
    ...loadNumber(29, base),
    ...loadNumber(28, 12345),
    ...loadNumber(27, 0x41c64e6d),
    ...loadNumber(26, choice.length),
    'addi 31,0,0',
    'round:',
    'mulld 28,28,27',
    'addi 28,28,12345',
    'rldicl 5,28,40,44',
    'divdu 6,5,26',
    'mulld 6,6,26',
    'subf 5,6,5',
    ...ways,
    'sc 1',
    'call:',
    'mtspr 9,12',
    'bcctrl 20,0,0',
    'addi 31,31,1',
    ...then,
    'addi 30,30,-1',
    'cmpi 0,1,30,0',
    'bc 4,2,@round',
    'sc 1',
  ];
}

interface Run {
  readonly code: Readonly<Record<number, readonly string[]>>;
  readonly change?: (core: CpuCore, time: number) => void;
}

/** What the engine that has regions has counted: entries of them, and calls out of them that did not come back to them. */
async function same({ code, change }: Run): Promise<{ entries: number; lost: number }> {
  let tested: CpuCore | undefined;
  const result = await lockstep({
    start: async (engine) => {
      const subject = programSubject(engine, { code, host: change && { every: 15_000, change } });
      if (engine === 'tested') tested = subject.core;
      return subject;
    },
    pieceInstructions: 700,
    memoryEvery: 50_000,
    maxInstructions: 4_000_000,
  });
  expect(result.instructions, 'the program must come to its end').toBeLessThan(4_000_000);
  expect(result.instructions).toBeGreaterThan(10 * ROUNDS);
  expect(result.share).toBeGreaterThan(0.5);
  return {
    entries: Number(tested?.shared('regionEntries')),
    lost: Number(tested?.shared('regionExitsCall')),
  };
}

const word = (line: string): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, assemble(line), true);
  return bytes;
};

describe('a call by CTR', () => {
  it('of one of four leaves stays within its region', async () => {
    const { entries } = await same({ code: { [MAIN]: caller([0, 1, 2, 3], FIRST), [FIRST]: page(3) } });
    expect(entries).toBeLessThan(ROUNDS / 2);
  });

  it('of a leaf and of a function that calls comes back to its region from both', async () => {
    const { lost } = await same({ code: { [MAIN]: caller([1, 5], FIRST), [FIRST]: page(3) } });
    expect(lost).toBeLessThan(ROUNDS / 20);
  });

  it('of more functions than are told apart', async () => {
    await same({ code: { [MAIN]: caller([0, 1, 2, 3, 4, 5], FIRST), [FIRST]: page(3) } });
  });

  it('of functions that jump, call, and return past their caller', async () => {
    await same({ code: { [MAIN]: caller([0, 4, 5, 6], FIRST), [FIRST]: page(3) } });
    await same({ code: { [MAIN]: caller([4, 6], FIRST), [FIRST]: page(3) } });
    await same({ code: { [MAIN]: caller([1, 5], FIRST), [FIRST]: page(3) } });
  });

  it('whose functions move and come back', async () => {
    // Now and then the base goes to the other page.
    const swap = ['andi. 6,28,32', 'bc 4,2,.+12', ...loadNumber(29, SECOND)];
    const back = ['andi. 6,28,64', 'bc 4,2,.+12', ...loadNumber(29, FIRST)];
    const code = { [MAIN]: caller([0, 1, 2, 3], FIRST, [...swap, ...back]), [FIRST]: page(3), [SECOND]: page(9) };
    await same({ code });
  });

  it('whose functions are overwritten', async () => {
    const change = (core: CpuCore, time: number) => {
      core.memory.write(FIRST + (time % 4) * FUNCTION_WORDS * 4, word(`addi 31,31,${40 + time}`));
    };
    await same({ code: { [MAIN]: caller([0, 1, 2], FIRST), [FIRST]: page(3) }, change });
  });

  it('whose functions are mapped to other code, and have their page taken away', async () => {
    const code = { [MAIN]: caller([0, 1, 2, 3], WINDOW), [FIRST]: page(3), [SECOND]: page(9) };
    await same({
      code,
      change: (core, time) => {
        core.memory.storeU64BE(WINDOW_ENTRY, leafFor(time % 2 ? SECOND : FIRST));
        core.flushTranslations();
      },
    });
  });

  it('whose caller is overwritten by what it calls', async () => {
    // Seven words come before the rounds' first; the one behind the call is found from the end.
    const lines = caller([0, 1], FIRST);
    const behind = MAIN + (lines.filter((line) => !line.endsWith(':')).length - 5) * 4;
    const patching = [
      'addi 31,31,3',
      'andi. 6,28,2032',
      'bclr 4,2,0',
      ...loadNumber(4, behind),
      'lwz 5,0(4)',
      'xori 5,5,6',
      'stw 5,0(4)',
      'bclr 20,0,0',
    ];
    const other = page(3).slice(FUNCTION_WORDS + 1);
    const first = ['function0:', ...patching, ...new Array<string>(FUNCTION_WORDS - patching.length).fill('ori 0,0,0')];
    await same({ code: { [MAIN]: lines, [FIRST]: [...first, ...other] } });
  });
});
