// Compiled regions beside the interpreter: the same programs in slices of the same budgets, the same registers and RAM after each.

import { describe, expect, it } from 'vitest';
import { eagerRegionOptions } from '../../../tests/support/eager-regions.ts';
import { wordBytes } from '../../../tests/support/words.ts';
import { CpuCore } from '../interpreter/core.ts';
import { encodeFields } from '../isa/decode.ts';
import { instruction } from '../isa/table.ts';
import { semantics } from '../semantics/index.ts';
import { EXIT, type ExitReason, MSR, VECTOR } from '../state/msr.ts';
import { RegionCache, type RegionOptions } from './cache.ts';

const word = (op: string, fields: Record<string, number>) => encodeFields(instruction(op), fields);
const addi = (rt: number, ra: number, si: number) => word('addi', { rt, ra, si });
const bdnz = (bd: number) => word('bc', { bo: 16, bi: 0, bd });
const mtctr = (rs: number) => word('mtspr', { rs, spr: 9 });
const sc1 = word('sc', { lev: 1 });

const START = 0x1000;

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** The same program on a core that interprets and on one that compiles whatever a branch comes to. */
class Pair {
  readonly interpreter: CpuCore;
  readonly compiler: CpuCore;
  readonly regions: RegionCache;
  private timebase = 0n;

  constructor(words: readonly number[], options: Partial<RegionOptions> = {}, msr: bigint = MSR.SF | MSR.LE) {
    const machine = { semantics, ramBytes: 1 << 20, cpus: 1 };
    this.interpreter = new CpuCore(machine);
    let made: RegionCache | undefined;
    this.compiler = new CpuCore({
      ...machine,
      regions: (host) => {
        made = new RegionCache(host, {
          ...eagerRegionOptions,
          ...options,
        });
        return made;
      },
    });
    this.regions = made!;
    for (const core of this.cores) {
      core.memory.write(START, wordBytes(words));
      core.vcpus[0].set64('msr', msr);
      core.vcpus[0].set64('nia', BigInt(START));
      core.vcpus[0].set64('decExpiry', 1n << 62n);
    }
  }
  get cores(): readonly [CpuCore, CpuCore] {
    return [this.interpreter, this.compiler];
  }

  /** Runs both, compares all they can be told apart by, and gives the reason that both stopped for. */
  run(budget: number): ExitReason {
    const [wanted, found] = this.cores.map((core) => core.run(0, budget, this.timebase));
    this.timebase += BigInt(wanted.executed);
    expect(found).toEqual(wanted);
    const [before, after] = this.cores.map((core) => core.vcpus[0].block());
    expect(firstDifference(before, after)).toBe(-1);
    const [wantedRam, foundRam] = this.cores.map((core) => core.ramBytesView().subarray(0, 0x8000));
    expect(firstDifference(wantedRam, foundRam)).toBe(-1);
    return wanted.reason;
  }

  /** Time passes in which nothing is executed. */
  wait(ticks: bigint): void {
    this.timebase += ticks;
  }

  /** Runs in slices until something other than the budget ends one. */
  runInSlices(budget: number): ExitReason {
    for (let slices = 0; slices < 10_000; slices++) {
      const reason = this.run(budget);
      if (reason !== EXIT.budget) return reason;
    }
    throw new Error('the program does not end');
  }

  executed(): number {
    return this.compiler.instructionsInRegions();
  }
}

/** Two nested loops with loads and stores, a call, carries and record forms. */
const nested = [
  addi(3, 0, 6), // outer count
  addi(6, 0, 0x4000),
  addi(4, 0, 9), // 0x1008: outer loop
  mtctr(4),
  word('ldx', { rt: 7, ra: 0, rb: 6 }), // 0x1010: inner loop
  word('addic', { rt: 7, ra: 7, si: -3 }),
  word('adde', { rt: 8, ra: 8, rb: 7, rc: 1 }),
  word('stdux', { rs: 8, ra: 6, rb: 9 }),
  word('bc', { bo: 4, bi: 0, bd: 2 }), // bge over the next
  addi(10, 10, 1),
  bdnz(-6),
  word('b', { li: 6, lk: 1 }), // to 0x1044
  addi(3, 3, -1),
  word('cmpi', { bf: 5, l: 0, ra: 3, si: 0 }),
  word('bc', { bo: 12, bi: 21, bd: -12 }), // bgt cr5
  word('mftb', { rt: 11, tbr: 268 }),
  sc1,
  word('rlwinm', { rs: 8, ra: 12, sh: 7, mb: 3, me: 19, rc: 1 }), // 0x1044: the function
  word('subfic', { rt: 13, ra: 12, si: 77 }),
  word('bclr', { bo: 20, bi: 0 }),
];

/** 3,000 rounds that call a function of the next page, once by its distance and once by its address. */
const calling = [
  addi(3, 0, 3000),
  addi(4, 0, START + 0x1000),
  mtctr(4),
  word('b', { li: 0x3fd, lk: 1 }), // 0x100c: the loop
  addi(5, 5, 1),
  word('bcctr', { bo: 20, bi: 0, lk: 1 }),
  addi(5, 5, 2),
  addi(3, 3, -1),
  word('cmpi', { bf: 0, l: 1, ra: 3, si: 0 }),
  word('bc', { bo: 4, bi: 2, bd: -6 }),
  sc1,
  ...new Array<number>(0x400 - 11).fill(sc1),
  addi(6, 6, 3), // 0x2000: the function
  word('add', { rt: 7, ra: 7, rb: 6 }),
  word('xori', { rs: 7, ra: 7, ui: 5 }),
  word('bclr', { bo: 20, bi: 0 }),
];

/** 200 rounds of a loop with a condition that holds in none of them, though what it leads to has a loop of its own. */
const neverTaken = [
  addi(3, 0, 200),
  addi(4, 0, 0), // 0x1004: the loop
  word('mtocrf', { fxm: 0x80, rs: 4 }),
  word('bc', { bo: 12, bi: 2, bd: 5 }), // beq
  addi(3, 3, -1),
  word('cmpi', { bf: 0, l: 1, ra: 3, si: 0 }),
  word('bc', { bo: 4, bi: 2, bd: -5 }),
  sc1,
  addi(5, 5, 1), // 0x1020
  word('cmpi', { bf: 1, l: 1, ra: 5, si: 9 }),
  word('bc', { bo: 12, bi: 4, bd: -2 }),
  word('b', { li: -7 }),
];

/** 200 rounds of a loop that a page ends within. */
const spanning = [
  addi(3, 0, 200),
  word('b', { li: 0x3fc }), // to 0x1ff4
  ...new Array<number>(0x3fb).fill(sc1),
  addi(5, 5, 1), // 0x1ff4: the loop
  word('ldx', { rt: 7, ra: 0, rb: 5 }),
  word('add', { rt: 8, ra: 8, rb: 7 }),
  addi(6, 6, 3), // 0x2000
  addi(3, 3, -1),
  word('cmpi', { bf: 0, l: 1, ra: 3, si: 0 }),
  word('bc', { bo: 4, bi: 2, bd: -6 }),
  sc1,
];

describe('compiled regions', () => {
  it.each([1, 2, 3, 5, 7, 11, 13, 29, 50, 1000])('stop on the instruction that a budget of %d ends at', (budget) => {
    const pair = new Pair(nested);
    for (const core of pair.cores) core.vcpus[0].set64('gpr', 8n, 9);
    expect(pair.runInSlices(budget)).toBe(EXIT.hcall);
    if (budget >= 50) expect(pair.executed()).toBeGreaterThan(100);
  });

  it.each([97, 1000, 100_000])('go on behind calls of other pages, with a budget of %d', (budget) => {
    const pair = new Pair(calling);
    expect(pair.runInSlices(budget)).toBe(EXIT.hcall);
    // 3,000 rounds of two calls: the function is entered each time, the loop once a slice.
    const entries = Number(pair.compiler.shared('regionEntries'));
    if (budget >= 1000) expect(entries).toBeLessThan(6000 + 6 * (49_000 / budget + 10));
    if (budget >= 1000) expect(pair.executed()).toBeGreaterThan(40_000);
  });

  it.each([1, 3, 8, 50, 1000])('go over the end of a page and back, with a budget of %d', (budget) => {
    const pair = new Pair(spanning);
    expect(pair.runInSlices(budget)).toBe(EXIT.hcall);
    if (budget < 1000) return;
    expect(pair.executed()).toBeGreaterThan(1300);
    expect(Number(pair.compiler.shared('regionEntries'))).toBeLessThan(20);
  });

  it('leave for what had not been executed when they were made, and take it in when it is hot', () => {
    // 400 rounds, of which the last 200 go another way.
    const pair = new Pair(
      [
        addi(3, 0, 400),
        word('cmpi', { bf: 0, l: 1, ra: 3, si: 200 }), // the loop
        word('bc', { bo: 4, bi: 1, bd: 3 }), // 200 or less: to 0x1014
        addi(5, 5, 1),
        word('b', { li: 2 }),
        addi(6, 6, 1), // 0x1014
        addi(3, 3, -1),
        word('cmpi', { bf: 0, l: 1, ra: 3, si: 0 }),
        word('bc', { bo: 4, bi: 2, bd: -7 }),
        sc1,
      ],
      { threshold: 20, executedOnly: true },
    );
    pair.run(7 * 100);
    const early = pair.regions.statistics();
    expect([early.regions > 0, early.instructions]).toEqual([true, 7 * early.regions]);
    expect(pair.runInSlices(50)).toBe(EXIT.hcall);
    expect(pair.compiler.vcpus[0].get64('gpr', 6)).toBe(200n);
    expect(pair.regions.statistics().regions).toBeGreaterThan(early.regions);
    expect(pair.executed()).toBeGreaterThan(2000);
  });

  describe('for loops', () => {
    /** Distances at which the regions of a program begin, with how many instructions each has. */
    function regionsOf(words: readonly number[], sum: number): [start: number, instructions: number][] {
      const made: [number, number][] = [];
      const onRegion: RegionOptions['onRegion'] = ({ graph: { blocks, entries } }) => {
        expect(entries.length).toBe(1);
        made.push([blocks[entries[0]].start, blocks.reduce((count, block) => count + block.instructions.length, 0)]);
      };
      const pair = new Pair(words, { threshold: 100, onRegion });
      expect(pair.runInSlices(5000)).toBe(EXIT.hcall);
      expect(pair.compiler.vcpus[0].get64('gpr', 5)).toBe(BigInt(sum));
      return made;
    }
    /** The inner loop at 0xc turns as often as `first` makes of r4 at 0x4. */
    const twoLoops = (turns: number, first: number) => [
      addi(3, 0, turns),
      first,
      mtctr(4),
      addi(5, 5, 1),
      bdnz(-1),
      addi(3, 3, -1),
      word('cmpi', { bf: 0, l: 1, ra: 3, si: 0 }),
      word('bc', { bo: 4, bi: 2, bd: -6 }),
      sc1,
    ];

    it('begin with the outer one', () => {
      expect(regionsOf(twoLoops(400, addi(4, 0, 9)), 3600)).toEqual([[4, 8]]);
    });
    it('have an inner one alone that goes on turning', () => {
      // 60 turns in the first round, 1,200 in the second.
      const words = twoLoops(3, word('mulli', { rt: 4, ra: 4, si: 20 }));
      words.unshift(addi(4, 0, 3));
      expect(regionsOf(words, 60 + 1200 + 24_000)).toEqual([
        [8, 8],
        [0x10, 2],
      ]);
    });
    it('begin with the function that they are in', () => {
      const words = [
        addi(3, 0, 400),
        addi(3, 3, -1), // 0x4: the loop that calls it
        word('b', { li: 4, lk: 1 }),
        word('cmpi', { bf: 0, l: 1, ra: 3, si: 0 }),
        word('bc', { bo: 4, bi: 2, bd: -3 }),
        sc1,
        addi(4, 0, 9), // 0x18: the function
        mtctr(4),
        addi(5, 5, 1),
        bdnz(-1),
        word('bclr', { bo: 20, bi: 0 }),
      ];
      expect(regionsOf(words, 3600)[0]).toEqual([0x18, 5]);
    });
  });

  it('are without code that only a condition leads to which cannot hold', () => {
    const pair = new Pair(neverTaken);
    expect(pair.runInSlices(100)).toBe(EXIT.hcall);
    expect(pair.compiler.vcpus[0].get64('gpr', 5)).toBe(0n);
    expect(pair.executed()).toBeGreaterThan(1000);
  });

  it('see a store of theirs to an instruction that comes next', () => {
    for (const store of ['stw', 'stwu']) {
      const patched = addi(3, 3, 100);
      const pair = new Pair([
        word('addis', { rt: 5, ra: 0, si: patched >>> 16 }),
        word('ori', { rs: 5, ra: 5, ui: patched & 0xffff }),
        addi(6, 0, START),
        addi(4, 0, 20),
        mtctr(4),
        addi(7, 7, 1), // 0x1014: loop
        word('cmpi', { bf: 0, l: 1, ra: 7, si: 10 }),
        word('bc', { bo: 4, bi: 2, bd: 3 }), // bne over the store and what follows it
        word(store, { rs: 5, ra: 6, d: 0x24 }),
        addi(3, 3, 1), // 0x1024: patched
        addi(6, 0, START),
        bdnz(-6),
        sc1,
      ]);
      expect(pair.run(10_000)).toBe(EXIT.hcall);
      expect(pair.compiler.vcpus[0].get64('gpr', 3)).toBe(100n);
      expect(Number(pair.compiler.shared('regionDrops'))).toBeGreaterThan(0);
    }
  });

  it('are dropped when a device writes to their code', () => {
    const pair = new Pair([addi(3, 3, 1), word('b', { li: -1 })]);
    pair.run(1001);
    expect(pair.executed()).toBeGreaterThan(900);
    for (const core of pair.cores) core.memory.write(START, wordBytes([addi(3, 3, 2)]));
    pair.run(1000);
    expect(pair.compiler.vcpus[0].get64('gpr', 3)).toBe(501n + 1000n);
  });

  it('leave for MMIO before the access and go on with its answer', () => {
    const pair = new Pair([
      word('addis', { rt: 6, ra: 0, si: 0x20 }), // 2 MiB: beyond RAM
      addi(4, 0, 5),
      mtctr(4),
      addi(5, 5, 3), // 0x100c: loop
      word('lwz', { rt: 7, ra: 6, d: 8 }),
      word('add', { rt: 5, ra: 5, rb: 7 }),
      bdnz(-3),
      sc1,
    ]);
    for (let i = 0; i < 5; i++) {
      expect(pair.run(1000)).toBe(EXIT.mmioRead);
      expect(pair.compiler.vcpus[0].get64('nia')).toBe(0x1010n);
      for (const core of pair.cores) core.vcpus[0].answerMmio(BigInt(i));
    }
    expect(pair.run(1000)).toBe(EXIT.hcall);
    expect(pair.compiler.vcpus[0].get64('gpr', 5)).toBe(25n);
  });

  it('have what the host answered before an interrupt that came with it', () => {
    const pair = new Pair(
      [
        word('lwz', { rt: 7, ra: 6, d: 8 }),
        sc1, // not reached: the interrupt comes first
      ],
      {},
      MSR.SF | MSR.LE | MSR.EE,
    );
    for (const core of pair.cores) {
      core.memory.write(VECTOR.external, wordBytes([word('lwz', { rt: 8, ra: 6, d: 16 }), sc1]));
      core.vcpus[0].set32('interruptLittleEndian', 1);
      core.vcpus[0].set64('gpr', 0x20_0000n, 6);
    }
    const answer = (value: bigint) => {
      expect(pair.run(1000)).toBe(EXIT.mmioRead);
      for (const core of pair.cores) core.vcpus[0].answerMmio(value);
    };
    answer(5n);
    for (const core of pair.cores) core.vcpus[0].set32('externalLine', 1);
    answer(9n);
    expect(pair.run(1000)).toBe(EXIT.hcall);
    const [vcpu] = pair.compiler.vcpus;
    expect([vcpu.get64('gpr', 7), vcpu.get64('gpr', 8)]).toEqual([5n, 9n]);
    expect(vcpu.get64('srr0')).toBe(BigInt(START + 4));
  });

  it('lose what the host answered for an instruction that an interrupt of its own ends', () => {
    const pair = new Pair([word('lwz', { rt: 7, ra: 6, d: 8 }), sc1]);
    for (const core of pair.cores) {
      core.memory.write(VECTOR.program, wordBytes([word('lwz', { rt: 8, ra: 6, d: 16 }), sc1]));
      core.vcpus[0].set32('interruptLittleEndian', 1);
      core.vcpus[0].set64('gpr', 0x20_0000n, 6);
    }
    expect(pair.run(1000)).toBe(EXIT.mmioRead);
    for (const core of pair.cores) {
      core.vcpus[0].answerMmio(5n);
      // Another CPU replaces the instruction.
      core.memory.write(START, wordBytes([0]));
    }
    expect(pair.run(1000)).toBe(EXIT.mmioRead);
    expect(pair.compiler.vcpus[0].get64('mmioAddress')).toBe(0x20_0010n);
  });

  it('find vectors of registers of devices misaligned, for the host answers one access an instruction', () => {
    for (const op of ['lxv', 'stxv']) {
      const pair = new Pair(
        [word('addis', { rt: 6, ra: 0, si: 0x20 }), word(op, { [op === 'lxv' ? 'xt' : 'xs']: 3, ra: 6, dq: 1 }), sc1],
        {},
        MSR.SF | MSR.LE | MSR.VSX | MSR.VEC | MSR.FP,
      );
      for (const core of pair.cores) {
        core.memory.write(VECTOR.alignment, wordBytes([sc1]));
        core.vcpus[0].set32('interruptLittleEndian', 1);
      }
      expect(pair.run(1000)).toBe(EXIT.hcall);
      expect(pair.compiler.vcpus[0].get64('dar')).toBe(0x20_0010n);
      expect(pair.compiler.vcpus[0].get64('srr0')).toBe(BigInt(START + 4));
    }
  });

  it('take traps, and find floating point unavailable, at the instruction', () => {
    const loop = (body: number) => [addi(4, 0, 5), mtctr(4), addi(5, 5, 1), body, bdnz(-2), sc1];
    const trap = new Pair(loop(word('twi', { to: 4, ra: 5, si: 3 })));
    trap.run(7);
    trap.run(1);
    const float = new Pair(loop(word('fadd', { frt: 1, fra: 2, frb: 3 })));
    float.run(4);
    expect(float.compiler.vcpus[0].get64('nia')).toBe(BigInt(VECTOR.fpUnavailable));
    expect(float.compiler.vcpus[0].get64('srr0')).toBe(0x100cn);
  });

  it('compute in floating point and vectors as the interpreter does', () => {
    const pair = new Pair(
      [
        addi(4, 0, 40),
        mtctr(4),
        word('fadd', { frt: 1, fra: 1, frb: 2 }),
        word('fmadd', { frt: 3, fra: 1, frc: 2, frb: 3 }),
        word('fdiv', { frt: 4, fra: 1, frb: 3, rc: 1 }),
        word('xvadddp', { xt: 40, xa: 1, xb: 40 }),
        word('vadduwm', { vrt: 5, vra: 8, vrb: 5 }),
        word('xxlxor', { xt: 6, xa: 40, xb: 3 }),
        word('bcdadd.', { vrt: 9, vra: 5, vrb: 8, ps: 0 }),
        bdnz(-7),
        sc1,
      ],
      {},
      MSR.SF | MSR.LE | MSR.FP | MSR.VEC | MSR.VSX,
    );
    for (const core of pair.cores) {
      core.vcpus[0].setVsr(1, 0, 0x3ff0_0000_0000_0000n);
      core.vcpus[0].setVsr(2, 0, 0x3fb9_9999_9999_999an);
      core.vcpus[0].setVsr(2, 1, 0x4000_0000_0000_0000n);
    }
    expect(pair.runInSlices(23)).toBe(EXIT.hcall);
  });

  it('are not entered while MSR[SE] asks for steps', () => {
    const pair = new Pair([addi(3, 3, 1), word('b', { li: -1 })]);
    pair.run(500);
    for (const core of pair.cores) {
      core.vcpus[0].set64('nia', BigInt(START));
      core.vcpus[0].set64('msr', MSR.SF | MSR.LE | MSR.SE);
    }
    pair.run(1);
    expect(pair.compiler.vcpus[0].get64('nia')).toBe(BigInt(VECTOR.trace));
  });

  it('are not made of code that took a long time to become hot', () => {
    // An endless loop of two instructions.
    const pair = new Pair([addi(3, 3, 1), word('b', { li: -1 })], { threshold: 100 });
    const made = (arrivals: number) => {
      pair.run(2 * arrivals);
      return pair.regions.statistics().regions;
    };
    expect(made(60)).toBe(0);
    pair.wait(1n << 32n);
    // 101 by now, which count as 50.
    expect(made(41)).toBe(0);
    expect(made(45)).toBe(0);
    expect(made(10)).toBe(1);
  });

  it('are first made of code only that has become hot twice', () => {
    // Two endless loops; the first is left by hand.
    const words = [addi(3, 3, 1), word('b', { li: -1 }), addi(3, 3, 2), word('b', { li: -1 })];
    const pair = new Pair(words, { threshold: 100, reluctant: 1 });
    const made = (arrivals: number) => {
      pair.run(2 * arrivals);
      return pair.regions.statistics().regions;
    };
    expect(made(150)).toBe(0);
    expect(made(60)).toBe(1);
    for (const core of pair.cores) core.vcpus[0].set64('nia', BigInt(START + 8));
    expect(made(90)).toBe(1);
    expect(made(20)).toBe(2);
  });

  it('are all dropped when there is too much code, and made again', () => {
    const pair = new Pair(nested, { maxBytes: 3000 });
    expect(pair.runInSlices(400)).toBe(EXIT.hcall);
    for (let round = 0; round < 20; round++) {
      for (const core of pair.cores) core.vcpus[0].set64('nia', BigInt(START));
      expect(pair.runInSlices(400)).toBe(EXIT.hcall);
    }
    expect(pair.regions.statistics().flushes).toBeGreaterThan(0);
  });
});
