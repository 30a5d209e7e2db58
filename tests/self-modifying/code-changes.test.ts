// Code that changes under compiled code, in lock-step with the interpreter. POWER9 Linux issues one `icbi` for any range,
// so nothing here relies on where `icbi` points: stores, new mappings and writes by the host must be enough.

import { describe, expect, it } from 'vitest';
import type { CpuCore } from '../../src/cpu/interpreter/core.ts';
import { assemble } from '../../src/cpu/isa/assemble.ts';
import { lockstep } from '../lockstep/lockstep.ts';
import { randomWords } from '../support/random.ts';
import {
  DATA,
  FIRST,
  leafFor,
  loadNumber,
  MAIN,
  type Program,
  programSubject,
  SECOND,
  WINDOW,
  WINDOW_ENTRY,
} from './programs.ts';

async function same(program: Program): Promise<Awaited<ReturnType<typeof lockstep>>> {
  const result = await lockstep({
    start: async (engine) => programSubject(engine, program),
    pieceInstructions: 700,
    memoryEvery: 50_000,
    maxInstructions: 4_000_000,
  });
  expect(result.instructions, 'the program must come to its end').toBeLessThan(4_000_000);
  expect(result.instructions).toBeGreaterThan(50_000);
  // Much of it must have been compiled again and again, or the test shows nothing.
  expect(result.share).toBeGreaterThan(0.2);
  return result;
}

const word = (line: string) => assemble(line) | 0;
const barrier = ['sync 0', 'icbi 0,4', 'sync 0', 'isync'];

/**
 * How functions are called: by their address, or by their distance, and then regions take copies of them. By a pointer as
 * compilers do it, with the address in r12 as well, regions learn where a call goes and take copies.
 */
type Call = 'address' | 'distance' | 'pointer';

/** r30 rounds; each calls the window or another page `calls` times and then does `change`. r31 sums up. */
function roundsBy(call: Call, calls: number, target: number, change: readonly string[]): string[] {
  const distance = target - (MAIN + 8 * 4);
  return [
    ...loadNumber(30, 400),
    'addi 31,0,0',
    'round:',
    ...loadNumber(29, calls),
    ...loadNumber(call === 'pointer' ? 12 : 28, target),
    'again:',
    call === 'pointer' ? 'mtspr 9,12' : 'mtspr 9,28',
    call !== 'distance' ? 'bcctrl 20,0,0' : `bl .+${distance}`,
    'addi 29,29,-1',
    'cmpi 0,1,29,0',
    'bc 4,2,@again',
    ...change,
    'addi 30,30,-1',
    'cmpi 0,1,30,0',
    'bc 4,2,@round',
    'sc 1',
  ];
}

/** Adds what the immediate says, which tests change: +1 or +2 and so on. */
const adder = (n: number) => [`addi 31,31,${n}`, 'xori 31,31,1', 'bclr 20,0,0'];

describe.each<Call>(['address', 'distance', 'pointer'])('code that changes, called by its %s', (call) => {
  const rounds = (calls: number, target: number, change: readonly string[]) => roundsBy(call, calls, target, change);

  it('in another page, by stores', async () => {
    const patch = [
      ...loadNumber(4, FIRST),
      'lwz 5,0(4)',
      'xori 5,5,3', // addi 31,31,1 <-> addi 31,31,2
      'stw 5,0(4)',
      ...barrier,
    ];
    await same({ code: { [MAIN]: rounds(40, FIRST, patch), [FIRST]: adder(1) } });
  });

  it('in another page, by one byte', async () => {
    const patch = [...loadNumber(4, FIRST), 'lbz 5,0(4)', 'addi 5,5,1', 'stb 5,0(4)', ...barrier];
    await same({ code: { [MAIN]: rounds(40, FIRST, patch), [FIRST]: adder(1) } });
  });

  it('in the loop itself, in front of the store and behind it', async () => {
    const lines = [
      ...loadNumber(30, 30000),
      ...loadNumber(4, MAIN),
      'addi 31,0,0',
      'loop:',
      'addi 31,31,1', // MAIN + 20
      'andi. 6,30,1023',
      'bc 4,2,@skip',
      'lwz 5,20(4)',
      'xori 5,5,6',
      'stw 5,20(4)',
      'lwz 5,76(4)',
      'xori 5,5,9',
      'stw 5,76(4)',
      ...barrier,
      'skip:',
      'ori 0,0,0',
      'addi 31,31,2', // MAIN + 76
      'rldicl 31,31,0,0',
      'addi 30,30,-1',
      'cmpi 0,1,30,0',
      'bc 4,2,@loop',
      'sc 1',
    ];
    await same({ code: { [MAIN]: lines } });
  });

  it('through another mapping of the page', async () => {
    // The window leads to FIRST: stores go to the one address, calls to the other.
    const patch = [...loadNumber(4, WINDOW), 'lwz 5,0(4)', 'xori 5,5,3', 'stw 5,0(4)', ...barrier];
    await same({ code: { [MAIN]: rounds(40, FIRST, patch), [FIRST]: adder(1) } });
    const other = [...loadNumber(4, FIRST), 'lwz 5,0(4)', 'xori 5,5,3', 'stw 5,0(4)', ...barrier];
    await same({ code: { [MAIN]: rounds(40, WINDOW, other), [FIRST]: adder(1) } });
  });

  it('after stores to the page when it was no code yet, by the same way', async () => {
    for (const way of [FIRST, WINDOW]) {
      const call = [...loadNumber(28, FIRST), 'mtspr 9,28', 'bcctrl 20,0,0'];
      const lines = [
        'addi 31,0,0',
        ...loadNumber(4, way),
        'lwz 5,0(4)',
        'stw 5,0(4)',
        ...call,
        'xori 5,5,3',
        'stw 5,0(4)',
        ...call,
        'sc 1',
      ];
      for (const engine of ['reference', 'tested'] as const) {
        const { advance, result } = programSubject(engine, { code: { [MAIN]: lines, [FIRST]: adder(1) } });
        expect(await advance(1000)).toBe(false);
        // (0 + 1) ^ 1, then (0 + 2) ^ 1
        expect(result()).toMatchObject({ sum: '3' });
      }
    }
  });

  it('by data stores beside it that touch no instruction', async () => {
    const patch = [...loadNumber(4, FIRST + 0x800), 'std 30,0(4)', 'ld 5,0(4)', 'add 31,31,5'];
    await same({ code: { [MAIN]: rounds(40, FIRST, patch), [FIRST]: adder(1) } });
  });

  it('by vector stores, dcbz and stores across its end', async () => {
    const patch = [
      ...loadNumber(4, FIRST),
      ...loadNumber(5, DATA),
      // Saves the code, wipes it, puts it back.
      'ld 6,0(4)',
      'ld 7,8(4)',
      'dcbz 0,4',
      'std 6,0(5)',
      'std 7,0(4)',
      'std 6,0(4)',
      'std 7,8(4)',
      'addi 8,4,-4',
      'std 30,0(8)',
      'stw 6,0(4)',
      ...barrier,
    ];
    await same({ code: { [MAIN]: rounds(40, FIRST, patch), [FIRST]: adder(5) } });
  });

  it('by a new mapping and tlbie', async () => {
    // XOR of the two entries turns one into the other. Entries are big-endian: their low word comes last.
    const difference = Number((leafFor(FIRST) ^ leafFor(SECOND)) & 0xffff_ffffn);
    const remap = [
      ...loadNumber(4, WINDOW_ENTRY),
      ...loadNumber(6, difference),
      'addi 7,0,4',
      'lwbrx 5,4,7',
      'xor 5,5,6',
      'stwbrx 5,4,7',
      'sync 0',
      // The page of the window, 64 KiB, PID 1.
      ...loadNumber(8, WINDOW | (5 << 5)),
      'addi 9,0,1',
      'rldicr 9,9,32,31',
      'tlbie 8,9,0,1,1',
      'eieio',
      'tlbsync',
      'sync 0',
      'isync',
    ];
    await same({ code: { [MAIN]: rounds(40, WINDOW, remap), [FIRST]: adder(1), [SECOND]: adder(100) } });
  });

  it('by the host: a device writes to the page', async () => {
    const lines = rounds(200, FIRST, []);
    let value = 0;
    const change = (core: CpuCore, time: number) => {
      value = word(`addi 31,31,${1 + (time % 5)}`);
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, value, true);
      core.memory.write(FIRST, bytes);
    };
    await same({ code: { [MAIN]: lines, [FIRST]: adder(1) }, host: { every: 2500, change } });
  });

  it('by the host: the page table changes and translations are forgotten', async () => {
    const change = (core: CpuCore, time: number) => {
      core.memory.storeU64BE(WINDOW_ENTRY, leafFor(time % 2 ? SECOND : FIRST));
      core.flushTranslations();
    };
    await same({
      code: { [MAIN]: rounds(200, WINDOW, []), [FIRST]: adder(1), [SECOND]: adder(100) },
      host: { every: 2500, change },
    });
  });

  it('so often that it is left to the interpreter', async () => {
    const patch = [...loadNumber(4, FIRST), 'lwz 5,0(4)', 'xori 5,5,3', 'stw 5,0(4)', ...barrier];
    const program = { code: { [MAIN]: rounds(6, FIRST, patch), [FIRST]: adder(1) } };
    await lockstep({ start: async (engine) => programSubject(engine, program), maxInstructions: 4_000_000 });
  });
});

/** A loop of `count` rounds in r29 over `body`, which calls what r28 leads to. r31 sums up. */
const callingLoop = (count: number, target: number, body: readonly string[]): string[] => [
  ...loadNumber(29, count),
  ...loadNumber(28, target),
  ...loadNumber(1, DATA + 0x1000),
  'addi 31,0,0',
  'again:',
  'mtspr 9,28',
  'bcctrl 20,0,0',
  ...body,
  'addi 29,29,-1',
  'cmpi 0,1,29,0',
  'bc 4,2,@again',
  'sc 1',
];

describe('a region that waits for a call', () => {
  it('sees that the function has changed what stands behind the call', async () => {
    // Seven instructions come before the loop and two of the loop before the one that is changed.
    const changed = MAIN + 9 * 4;
    const patch = [
      'addi 31,31,3',
      'andi. 6,29,31',
      'bc 4,2,@out',
      ...loadNumber(4, changed),
      'lwz 5,0(4)',
      'xori 5,5,5',
      'stw 5,0(4)',
      ...barrier,
      'out:',
      'bclr 20,0,0',
    ];
    await same({ code: { [MAIN]: callingLoop(8000, FIRST, ['addi 31,31,1']), [FIRST]: patch } });
  });

  it('sees that the function has mapped other code to the page behind the call', async () => {
    const difference = Number((leafFor(FIRST) ^ leafFor(SECOND)) & 0xffff_ffffn);
    const remap = [
      'andi. 6,29,63',
      'bc 4,2,@out',
      ...loadNumber(4, WINDOW_ENTRY),
      ...loadNumber(6, difference),
      'addi 7,0,4',
      'lwbrx 5,4,7',
      'xor 5,5,6',
      'stwbrx 5,4,7',
      'sync 0',
      ...loadNumber(8, WINDOW | (5 << 5)),
      'addi 9,0,1',
      'rldicr 9,9,32,31',
      'tlbie 8,9,0,1,1',
      'eieio',
      'tlbsync',
      'sync 0',
      'isync',
      'out:',
      'bclr 20,0,0',
    ];
    const start = [...loadNumber(28, WINDOW), 'mtspr 9,28', 'bcctr 20,0,0'];
    const function_ = MAIN + 0x8000;
    await same({
      code: {
        [MAIN]: start,
        [function_]: remap,
        [FIRST]: callingLoop(8000, function_, ['addi 31,31,1']),
        [SECOND]: callingLoop(8000, function_, ['addi 31,31,7']),
      },
    });
  });

  it('is left by recursion that goes deep, and by returns to other places', async () => {
    // Calls itself as often as r3 says; each third return of the outermost goes past the instruction behind the call.
    const recursive = [
      'mfspr 0,8',
      'std 0,0(1)',
      'addi 1,1,16',
      'addi 31,31,1',
      'addi 3,3,-1',
      'cmpi 0,1,3,0',
      'bc 4,1,@back',
      'bl @start',
      'addi 31,31,2',
      'back:',
      'addi 1,1,-16',
      'ld 0,0(1)',
      'mtspr 8,0',
      'bclr 20,0,0',
    ];
    const outer = [
      'mfspr 12,8',
      'andi. 3,29,255',
      'bl @start',
      'addi 11,0,3',
      'divdu 10,29,11',
      'mulld 10,10,11',
      'subf. 10,10,29',
      'bc 4,2,@usual',
      'addi 12,12,4',
      'usual:',
      'mtspr 8,12',
      'bclr 20,0,0',
    ];
    const lines = [...outer, 'start:', ...recursive];
    await same({ code: { [MAIN]: callingLoop(1200, FIRST, ['addi 31,31,5', 'xori 31,31,9']), [FIRST]: lines } });
  });
});

describe('a loop over two pages', () => {
  /** A loop that begins eight instructions in front of a page's end and stores to `changed` every so often. */
  const spanning = (changed: number): string[] => [
    ...loadNumber(30, 30000),
    ...loadNumber(4, changed),
    'addi 31,0,0',
    ...new Array<string>(1024 - 8 - 5).fill('ori 0,0,0'),
    'loop:',
    'addi 31,31,1', // MAIN + 0xfe0
    'andi. 6,30,1023',
    'bc 4,2,@skip',
    'lwz 5,0(4)',
    'xori 5,5,6',
    'stw 5,0(4)',
    'addi 31,31,3',
    'skip:',
    'ori 0,0,0',
    'addi 31,31,2', // MAIN + 0x1000
    'andi. 6,30,2047',
    'bc 4,2,@next',
    'lwz 5,0(4)',
    'xori 5,5,12',
    'stw 5,0(4)',
    'addi 31,31,5', // MAIN + 0x1018
    'next:',
    'addi 30,30,-1',
    'cmpi 0,1,30,0',
    'bc 4,2,@loop',
    'sc 1',
  ];
  it.each([0xfe0, 0xff8, 0x1000, 0x1018])('sees what it stores to the instruction at %d', async (distance) => {
    await same({ code: { [MAIN]: spanning(MAIN + distance) } });
  });

  /** A loop of short pieces on both sides of the page's end, each of which goes on at one of two pieces further on. */
  const branching = (seed: number): string[] => {
    const random = randomWords(seed);
    const below = (limit: number) => (random() >>> 0) % limit;
    const pieces = 36;
    const lines: string[] = [];
    for (let piece = 0; piece < pieces; piece++) {
      const later = piece + 1 + below(pieces - piece);
      const way = below(2) ? 'bc 4,2' : 'bc 12,2';
      const other = piece + 1 + below(Math.min(4, pieces - piece));
      lines.push(`piece${piece}:`, `addi 31,31,${1 + piece}`, `andi. 6,31,${1 << below(6)}`, `${way},@piece${later}`);
      if (below(3) === 0) lines.push(`b @piece${other}`);
    }
    const before = below(100) + 8;
    const filler = new Array<string>(1024 - 3 - before).fill('ori 0,0,0');
    const loop = [...lines, `piece${pieces}:`, 'addi 30,30,-1', 'cmpi 0,1,30,0', 'bc 4,2,@piece0', 'sc 1'];
    return [...loadNumber(30, 4000), 'addi 31,0,0', ...filler, ...loop];
  };
  it('knows its address behind a branch that ends a page and leads to the next one', async () => {
    const lines = [
      ...loadNumber(30, 30000),
      'mfmsr 7',
      'addi 31,0,0',
      ...new Array<string>(1024 - 3 - 4).fill('ori 0,0,0'),
      'loop:',
      'addi 31,31,1',
      'andi. 6,30,1',
      'bc 4,2,@odd', // MAIN + 0xffc
      'addi 31,31,2',
      'mtmsrd 7,1', // The interpreter goes on behind it at an address of its own making.
      'addi 31,31,3',
      'b @join',
      'odd:',
      'addi 31,31,5',
      'join:',
      'addi 30,30,-1',
      'cmpi 0,1,30,0',
      'bc 4,2,@loop',
      'sc 1',
    ];
    await same({ code: { [MAIN]: lines } });
  });

  it('comes back from a call that ends a page', async () => {
    const call = MAIN + 0xffc;
    const lines = [
      ...loadNumber(30, 30000),
      'addi 31,0,0',
      ...new Array<string>(1024 - 3 - 4).fill('ori 0,0,0'),
      'loop:',
      'addi 31,31,1',
      'andi. 6,30,1',
      'bc 4,2,@behind',
      `bl .+${FIRST - call}`, // MAIN + 0xffc
      'behind:',
      'addi 31,31,2',
      'addi 30,30,-1',
      'cmpi 0,1,30,0',
      'bc 4,2,@loop',
      'sc 1',
    ];
    const tooLargeToCopy = [...new Array<string>(50).fill('addi 31,31,3'), 'bclr 20,0,0'];
    await same({ code: { [MAIN]: lines, [FIRST]: tooLargeToCopy } });
  });

  it('goes where branches from one page to the other lead', async () => {
    for (let seed = 1; seed <= 4; seed++) await same({ code: { [MAIN]: branching(seed) } });
  });
});
