import { describe, expect, it } from 'vitest';
import { randomWords } from '../../../tests/support/random.ts';
import { walkCode, walkRegion } from '../../../tests/support/region-walk.ts';
import { assemble } from '../isa/assemble.ts';
import { discoverRegion, type RegionLimits } from './discover.ts';
import { type Edge, successors } from './region.ts';

const limits: RegionLimits = { maxInstructions: 1000, maxInlined: 0, maxInlineDepth: 0 };
const inlining: RegionLimits = { maxInstructions: 1000, maxInlined: 40, maxInlineDepth: 3 };

const word = (line: string) => assemble(line);

/** Words from assembly; branches are written relative to themselves. */
function program(...lines: string[]): (offset: number) => number | undefined {
  const words = lines.map((line) => assemble(line));
  return (offset) => (offset % 4 === 0 ? words[offset / 4] : undefined);
}

describe('discovery', () => {
  it('cuts blocks at branches and at their targets', () => {
    const code = program('addi 3,3,1', 'cmpi 0,1,3,10', 'bc 12,0,.-8', 'bclr 20,0,0');
    const { blocks, entries } = discoverRegion([0], code, limits);
    expect(entries).toEqual([0]);
    expect(blocks.map(({ start, instructions }) => [start, instructions.length])).toEqual([
      [0, 3],
      [12, 1],
    ]);
    expect(blocks[0].terminator).toEqual({
      kind: 'conditional',
      condition: { bo: 12, bi: 0 },
      link: false,
      taken: { kind: 'block', block: 0 },
      notTaken: { kind: 'block', block: 1 },
    });
    expect(blocks[1].terminator).toEqual({ kind: 'return', condition: undefined, returns: [], notTaken: undefined });
  });

  it('leaves out what has not been executed, but for the entry', () => {
    const code = program('addi 3,3,1', 'bc 12,0,.+12', 'addi 3,3,2', 'b .-12', 'bc 4,0,.-16', 'bclr 20,0,0');
    const executed = (offset: number) => offset > 0 && offset < 16;
    const { blocks } = discoverRegion([0], code, { ...limits, executed });
    // The loop behind the branch is closed by way of the entry.
    expect(blocks.map(({ start, terminator }) => [start, successors(terminator)])).toEqual([
      [
        0,
        [
          { kind: 'exit', offset: 16 },
          { kind: 'block', block: 1 },
        ],
      ],
      [8, [{ kind: 'block', block: 0 }]],
    ]);
    expect(
      discoverRegion([0], code, limits)
        .blocks.map(({ start }) => start)
        .sort(),
    ).toEqual([0, 16, 20, 8]);
  });

  it('goes on behind calls of functions outside that it is to wait for', () => {
    const code = program('bl .+256', 'addi 3,3,1', 'bcctrl 20,0,0', 'addi 3,3,2', 'bl .+512', 'addi 3,3,3');
    const { blocks } = discoverRegion([0], code, { ...inlining, reached: (offset) => offset < 16 });
    expect(blocks.map(({ terminator }) => terminator)).toEqual([
      { kind: 'call', target: { kind: 'exit', offset: 256 }, returnTo: { kind: 'block', block: 1 } },
      {
        kind: 'indirect',
        register: 'ctr',
        link: true,
        condition: undefined,
        returnTo: { kind: 'block', block: 2 },
        targets: [],
        notTaken: undefined,
      },
      { kind: 'call', target: { kind: 'exit', offset: 16 + 512 }, returnTo: { kind: 'exit', offset: 20 } },
    ]);
    expect(blocks.map(({ terminator }) => successors(terminator))).toEqual([
      [{ kind: 'block', block: 1 }],
      [{ kind: 'block', block: 2 }],
      [{ kind: 'exit', offset: 16 + 512 }],
    ]);
  });

  it('has branches to CTR go where such branches arrive, as far as control comes back from there', () => {
    const code = program(
      'addi 3,3,1', // 0
      'bcctr 20,0,0',
      'sc 0',
      'addi 3,3,2', // 12: comes back
      'b .-16',
      'addi 3,3,3', // 20: goes on to what the register says
      'bcctr 20,0,0',
      'addi 3,3,4', // 28: does neither
      'bclr 20,0,0',
      'bcctrl 20,0,0', // 36: comes back by way of a call
      'b .-40',
    );
    const arrivals = () => [4, 12, 20, 28, 36].map((offset) => ({ offset, jumped: offset === 12 }));
    const { blocks, entries } = discoverRegion([0], code, { ...limits, arrivals, reached: () => true });
    expect(entries).toEqual([0]);
    const starts = (edges: readonly Edge[]) =>
      edges.map((way) => (way.kind === 'block' ? blocks[way.block].start : -1));
    const found = blocks.flatMap(({ start, terminator }) =>
      terminator.kind === 'indirect' ? [[start, terminator.link, starts(terminator.targets)]] : [],
    );
    expect(found).toEqual([
      [0, false, [12, 20, 36]],
      [20, false, [12, 20, 36]],
      [36, true, []],
    ]);
    const all = () => [0, 12].map((offset) => ({ offset, jumped: true }));
    const { terminator } = discoverRegion([0], code, { ...limits, arrivals: all }).blocks[0];
    expect(terminator.kind === 'indirect' && terminator.targets.length).toBe(2);
    const many = (offset: number) => (offset % 8 === 4 ? word('bcctr 20,0,0') : word('addi 3,3,1'));
    const each = (count: number) => () => Array.from({ length: count }, (_, i) => ({ offset: 8 * i, jumped: true }));
    const ways = (count: number) => {
      const graph = discoverRegion([0], many, { ...limits, arrivals: each(count) });
      const [first] = graph.blocks;
      return first.terminator.kind === 'indirect' ? first.terminator.targets.length : -1;
    };
    expect([ways(24), ways(25)]).toEqual([24, 0]);
    const alone = discoverRegion([0], code, limits);
    expect(alone.blocks.map(({ start }) => start)).toEqual([0]);
  });

  it('calls itself outside, for its returns come back then', () => {
    const code = program('addi 3,3,1', 'bl .-4', 'addi 3,3,2', 'bclr 20,0,0');
    const { blocks } = discoverRegion([0], code, { ...inlining, reached: () => true });
    expect(blocks[0].terminator).toEqual({
      kind: 'call',
      target: { kind: 'exit', offset: 0 },
      returnTo: { kind: 'block', block: 1 },
    });
  });

  it('does not wait for a call that ends a page, though it has the code behind it', () => {
    const words = new Map([
      [4092, 'bl .+256'],
      [4096, 'addi 3,3,1'],
      [4100, 'bc 12,0,.-8'],
    ]);
    const fetch = (offset: number) => (words.has(offset) ? assemble(words.get(offset)!) : undefined);
    const { blocks } = discoverRegion([4096], fetch, { ...inlining, reached: () => true });
    expect(blocks.find(({ start }) => start === 4092)?.terminator).toEqual({
      kind: 'call',
      target: { kind: 'exit', offset: 4092 + 256 },
      returnTo: { kind: 'exit', offset: 4096 },
    });
  });

  it('splits a block that a later branch leads into', () => {
    const code = program('addi 3,3,1', 'addi 3,3,2', 'addi 3,3,3', 'bc 12,0,.-4', 'sc 0');
    const { blocks } = discoverRegion([0], code, limits);
    expect(blocks.map(({ start }) => start).sort((a, b) => a - b)).toEqual([0, 8, 16]);
    expect(blocks[0].terminator).toEqual({ kind: 'fallthrough', next: { kind: 'block', block: 1 } });
  });

  it('leaves where nothing can be fetched, at the limit and in front of the page', () => {
    const straight = program('addi 3,3,1', 'addi 3,3,1', 'addi 3,3,1');
    expect(discoverRegion([4], straight, limits).blocks[0].terminator).toEqual({
      kind: 'fallthrough',
      next: { kind: 'exit', offset: 12 },
    });
    const short = discoverRegion([0], straight, { ...limits, maxInstructions: 2 });
    expect(short.blocks[0].terminator).toEqual({ kind: 'fallthrough', next: { kind: 'exit', offset: 8 } });
    const back = discoverRegion([0], program('b .-16'), limits);
    expect(back.blocks[0].terminator).toEqual({ kind: 'jump', target: { kind: 'exit', offset: -16 } });
  });

  it.each([['sc 0'], ['rfid'], ['mtmsrd 3,1'], ['mtspr 22,3'], ['mtspr 48,3'], ['tlbie 3,4,0,0,1']])(
    'lets the interpreter execute %s',
    (line) => {
      const { blocks } = discoverRegion([0], program(line, 'addi 3,3,1'), limits);
      expect(blocks).toHaveLength(1);
      expect(blocks[0].terminator).toEqual({ kind: 'leave', next: { kind: 'exit', offset: 4 } });
    },
  );

  it.each([['isync'], ['mtspr 8,3'], ['mtspr 1,3'], ['mfspr 3,22'], ['tw 4,3,4']])('goes on behind %s', (line) => {
    const { blocks } = discoverRegion([0], program(line, 'addi 3,3,1'), limits);
    expect(blocks[0].instructions).toHaveLength(2);
  });

  it('ends at words that the caller names, and at illegal ones', () => {
    const yields = program('or 31,31,31', 'addi 3,3,1');
    const named = discoverRegion([0], yields, { ...limits, leaves: (word) => word === 0x7ffffb78 });
    expect(named.blocks[0].instructions).toHaveLength(1);
    const { blocks } = discoverRegion([0], () => 0, limits);
    expect(blocks[0].terminator.kind).toBe('leave');
    expect(blocks[0].instructions[0].instruction).toBeUndefined();
  });

  it('leaves at a call of an unknown function and goes on behind one that it copies', () => {
    const caller = ['bl .+12', 'bl .+8', 'sc 0', 'addi 3,3,1', 'bclr 20,0,0'];
    expect(discoverRegion([0], program(...caller), limits).blocks[0].terminator).toEqual({
      kind: 'call',
      target: { kind: 'exit', offset: 12 },
      returnTo: { kind: 'exit', offset: 4 },
    });
    const { blocks } = discoverRegion([0], program(...caller), inlining);
    expect(blocks.map(({ start }) => start).sort((a, b) => a - b)).toEqual([0, 4, 8, 12, 12]);
    const copies = blocks.filter(({ start }) => start === 12).map(({ terminator }) => terminator);
    const returnPoints = copies.map((terminator) =>
      successors(terminator).map((way) => (way.kind === 'block' ? blocks[way.block].start : undefined)),
    );
    expect(returnPoints).toEqual([[4], [8]]);
  });

  it('takes no copy of what calls itself or is too large', () => {
    const recursive = program('bl .+8', 'sc 0', 'bl .+0', 'bclr 20,0,0');
    const { blocks } = discoverRegion([0], recursive, inlining);
    expect(blocks.map(({ start }) => start)).not.toContain(12);
    const large = program('bl .+8', 'sc 0', ...Array.from({ length: 50 }, () => 'addi 3,3,1'), 'bclr 20,0,0');
    expect(discoverRegion([0], large, inlining).blocks).toHaveLength(1);
  });

  it('takes in the common end of functions from afar, and no other code there', () => {
    const afar = 0x8000;
    const at = (...lines: string[]) => {
      const end = lines.map((line) => assemble(line));
      return (offset: number) => (offset === 0 ? word(`b .+${afar}`) : end[(offset - afar) / 4]);
    };
    const starts = (fetch: (offset: number) => number | undefined) =>
      discoverRegion([0], fetch, limits).blocks.map(({ start }) => start);
    const restore = ['ld 30,-16(1)', 'ld 31,-8(1)', 'mtspr 8,0'];
    expect(starts(at(...restore, 'bclr 20,0,0'))).toEqual([0, afar]);
    expect(starts(at(...restore, 'bclr 12,2,0', 'bclr 20,0,0'))).toEqual([0]);
    expect(starts(at(...restore, 'bc 12,2,.+8', 'bclr 20,0,0'))).toEqual([0]);
    expect(starts(at(...restore, 'bcctr 20,0,0'))).toEqual([0]);
    expect(starts(at(...restore))).toEqual([0]);
    expect(starts(at(...Array.from({ length: 32 }, () => 'addi 3,3,1'), 'bclr 20,0,0'))).toEqual([0]);
    expect(starts(at(...Array.from({ length: 31 }, () => 'addi 3,3,1'), 'bclr 20,0,0'))).toEqual([0, afar]);
  });

  it('copies leaves that a call by CTR is known to go to', () => {
    const lines = ['bcctrl 20,0,0', 'sc 0', 'addi 3,3,1', 'bclr 20,0,0', 'bl .+8', 'sc 0', 'b .-16', 'bclr 20,0,0'];
    const reached = () => true;
    const targets = (called: readonly number[], known: Partial<RegionLimits> = { reached }) => {
      const { blocks } = discoverRegion([0], program(...lines), { ...inlining, called: () => called, ...known });
      const { terminator } = blocks[0];
      return successors(terminator).map((way) => (way.kind === 'block' ? blocks[way.block].start : -1));
    };
    expect(targets([])).toEqual([4]);
    expect(targets([8])).toEqual([4, 8]);
    expect(targets([8, 12])).toEqual([4, 8, 12]);
    // One that calls, one that only jumps.
    expect(targets([16])).toEqual([4]);
    expect(targets([24])).toEqual([4, 24]);
    expect(targets([400])).toEqual([4]);
    // A region that cannot wait for other functions has no copies either.
    expect(targets([8], { reached: () => false })).toEqual([]);
  });

  it('goes on behind a branch that reads the program counter', () => {
    const { blocks } = discoverRegion([0], program('bcl 20,31,.+4', 'mfspr 3,8', 'bclr 20,0,0'), limits);
    expect(blocks).toHaveLength(2);
    expect(blocks[0].terminator).toEqual({
      kind: 'call',
      target: { kind: 'block', block: 1 },
      returnTo: { kind: 'block', block: 1 },
    });
  });

  it('has blocks for several entries', () => {
    const { blocks, entries } = discoverRegion([0, 8], program('sc 0', 'sc 0', 'sc 0'), limits);
    expect(entries.map((id) => blocks[id].start)).toEqual([0, 8]);
  });

  it('goes where the code goes, for random code', () => {
    let copies = 0;
    for (let seed = 1; seed <= 2000; seed++) {
      const words = randomCode(seed);
      const fetch = (offset: number) => words[offset / 4];
      const random = randomWords(seed);
      const entry = 4 * (random() % words.length);
      for (const bounds of [limits, inlining, { ...inlining, maxInstructions: 12 }]) {
        const graph = discoverRegion([entry], fetch, bounds);
        expect(graph.blocks.reduce((sum, { instructions }) => sum + instructions.length, 0)).toBeLessThanOrEqual(
          bounds.maxInstructions,
        );
        const starts = graph.blocks.map(({ start }) => start);
        copies += starts.length - new Set(starts).size;
        for (let walk = 0; walk < 3; walk++) {
          const choose = randomWords(seed * 7 + walk);
          const choices = Array.from({ length: 300 }, () => choose() % 2 === 0);
          const { trace, next } = walkRegion(graph, choices);
          const expected = walkCode(entry, fetch, choices, trace.length);
          expect(trace).toEqual(expected.trace);
          if (next !== undefined) expect(next).toBe(expected.next);
        }
      }
    }
    expect(copies).toBeGreaterThan(500);
  });
});

/** 40 words: one in three a branch within them. */
function randomCode(seed: number): number[] {
  const word = randomWords(seed);
  const far = () => {
    const distance = 4 * ((word() % 24) - 10);
    return distance < 0 ? `.${distance}` : `.+${distance}`;
  };
  const kinds: (() => string)[] = [
    () => `b ${far()}`,
    () => `bc ${word() % 2 === 0 ? '12,2' : '16,0'},${far()}`,
    () => `bc 12,2,${far()}`,
    () => `bl ${far()}`,
    () => `bl ${far()}`,
    () => 'bclr 20,0,0',
    () => 'bclr 12,2,0',
    () => (word() % 2 === 0 ? 'bcctr 20,0,0' : 'sc 0'),
  ];
  return Array.from({ length: 40 }, () => assemble(word() % 3 === 0 ? kinds[word() % kinds.length]() : 'addi 3,3,1'));
}
