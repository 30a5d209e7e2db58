// Loads and stores of compiled code beside the interpreter's: accesses that share a look-up of their page and those that
// cannot, over pages that may be read, written, executed, used by the kernel only or by nobody, that are registers of a
// device or are absent; in kernel mode, in problem state, and in both by turns.

import { describe, expect, it } from 'vitest';
import { RegionCache } from '../../src/cpu/compiler/cache.ts';
import { CpuCore } from '../../src/cpu/interpreter/core.ts';
import type { RegionHost } from '../../src/cpu/interpreter/region-service.ts';
import { semantics } from '../../src/cpu/semantics/index.ts';
import { presence } from '../../src/cpu/state/memory-map.ts';
import { EXIT, MSR } from '../../src/cpu/state/msr.ts';
import { assembleAt, loadNumber } from '../self-modifying/programs.ts';
import { eagerRegionOptions } from '../support/eager-regions.ts';
import { randomWords } from '../support/random.ts';
import { type Engine, lockstep, type Subject } from './lockstep.ts';

const RAM_BYTES = 0x80_0000;
const MAIN = 0x10_0000;
const TABLE = 0x30_0000;
/** 64 pages of 4 KiB, at other real addresses in another order. */
const DATA = 0x20_0000;
const DATA_GRA = 0x40_0000;
const PAGES = 64;
const ROUNDS = 300;

const VALID = 1n << 63n;
const LEAF = 1n << 62n;
const [READ, WRITE, EXECUTE, PRIVILEGED, CHANGED, REFERENCED] = [4n, 2n, 1n, 8n, 0x80n, 0x100n];

const graOf = (page: number) => DATA_GRA + ((page * 37) % PAGES) * 0x1000;
/** What a page is for; most can be used. */
function leaf(page: number): bigint {
  const at = VALID | LEAF | BigInt(graOf(page)) | REFERENCED;
  switch (page % 16) {
    case 2:
      return at | READ;
    case 5:
      return 0n;
    case 7:
      return VALID | LEAF | BigInt(RAM_BYTES + 0x10000) | REFERENCED | READ | WRITE;
    case 9:
      return at | PRIVILEGED | READ | WRITE | CHANGED;
    case 11: // clean: the first store has to mark it
      return at | READ | WRITE;
    case 13:
      return at | READ | WRITE | EXECUTE | CHANGED;
    default:
      return at | READ | WRITE | CHANGED;
  }
}
const FUNCTION = DATA + 13 * 0x1000 + 0x800;
const FUNCTION_GRA = graOf(13) + 0x800;

interface Case {
  readonly seed: number;
  readonly mode: 'kernel' | 'problem state' | 'both by turns';
}

/** Rounds of random accesses; r31 sums up what was loaded and what interrupts said. */
function program({ seed, mode }: Case): string[] {
  const random = randomWords(seed);
  const below = (n: number) => random() % n;
  const lines: string[] = [
    ...loadNumber(6, DATA),
    ...loadNumber(7, seed * 7919 + 1),
    ...loadNumber(30, ROUNDS),
    ...loadNumber(28, FUNCTION),
    'round:',
  ];
  const anywhere = (register: number) => [
    'mulli 7,7,8121',
    'addi 7,7,28411',
    'rldicl 8,7,56,46', // bits of the middle: 18 of them, 64 pages
    `add ${register},6,8`,
  ];
  const bases = [1, 2, 3];
  for (const base of bases) lines.push(...anywhere(base));
  let labels = 0;
  const forms = ['lbz', 'lhz', 'lha', 'lwz', 'stb', 'sth', 'stw', 'lfd', 'stfd', 'lfs', 'stfs'];
  const wide = ['ld', 'std', 'lwa'];
  const updates = ['lwzu', 'stwu', 'lbzu', 'sthu'];
  for (let i = 0; i < 90; i++) {
    const base = bases[below(3)];
    const near = below(8) === 0 ? below(4096) - 2048 : below(160) - 40;
    const rt = 10 + below(4);
    switch (below(12)) {
      case 0:
        lines.push(`addi ${base},${base},${near}`);
        break;
      case 1:
        lines.push(`${updates[below(updates.length)]} ${rt},${near}(${base})`);
        break;
      case 2:
        lines.push(below(3) === 0 ? anywhere(base).join('\n') : `or ${bases[below(3)]},${base},${base}`);
        break;
      case 3: {
        const label = `over${labels++}`;
        lines.push(`cmpi 0,0,${rt},${below(200)}`, `bc ${below(2) ? 4 : 12},${below(3)},@${label}`);
        lines.push(`ld 14,${near & -4}(${base})`, `std 10,${(near & -4) + 8}(${base})`, 'add 31,31,14', `${label}:`);
        break;
      }
      case 4:
        lines.push(`${below(2) ? 'lvx' : 'stvx'} ${below(4)},0,${base}`);
        break;
      case 5:
        lines.push(`${below(2) ? 'lxvd2x' : 'stxvd2x'} ${30 + below(4)},0,${base}`);
        break;
      case 6:
        lines.push(`${below(2) ? 'ldx' : 'stdx'} ${rt},${base},${base === 1 ? 9 : 16}`);
        break;
      case 7:
        lines.push(`${wide[below(3)]} ${rt},${near & -4}(${base})`, 'add 31,31,10');
        break;
      default:
        lines.push(`${forms[below(forms.length)]} ${rt},${near}(${base})`, `add 31,31,${rt}`);
    }
    if (below(30) === 0) lines.push(`ldarx 15,0,${base},0`, 'stdcx. 10,0,2');
    if (mode === 'kernel' && below(20) === 0) lines.push('rldicr 15,7,0,1', 'mtspr 29,15');
    if (below(40) === 0) lines.push('mtspr 9,28', 'bcctrl 20,0,0');
  }
  if (mode === 'both by turns') lines.push('andi. 15,30,15', 'bc 4,2,@stay', 'sc 0', 'stay:');
  if (mode === 'kernel') lines.push('addi 15,0,0', 'mtspr 29,15');
  lines.push('addi 30,30,-1', 'cmpi 0,1,30,0', 'bc 12,2,@end', 'b @round', 'end:');
  lines.push('addi 0,0,1', 'sc 0', 'b @end');
  return lines.flatMap((line) => line.split('\n'));
}

/** Notes what the interrupt says and goes on behind the instruction. */
const skip = [
  'mfspr 20,26',
  'addi 20,20,4',
  'mtspr 26,20',
  'mfspr 21,19',
  'mfspr 22,18',
  'mulli 31,31,31',
  'add 31,31,20',
  'add 31,31,21',
  'add 31,31,22',
  'rfid',
];
/** What the program calls, in a page that it stores to: made anew when that has made nonsense of it. */
const called = ['addi 31,31,3', 'bclr 20,0,0'];
const mend = [
  ...loadNumber(21, FUNCTION_GRA),
  ...assembleAt(called).flatMap((word, index) => [...loadNumber(22, word), `stw 22,${index * 4}(21)`]),
  'mfspr 20,8',
  'mtspr 26,20',
  'addi 31,31,7',
  'rfid',
];
/** Ends the program, or goes on in the other mode. */
const call = [
  'cmpi 0,1,0,1',
  'bc 4,2,@turn',
  'sc 1',
  'turn:',
  'mfspr 21,27',
  'xori 21,21,16384',
  'mtspr 27,21',
  'rfid',
];

function subject(engine: Engine, test: Case): Subject {
  const regions = (to: RegionHost) =>
    new RegionCache(to, {
      ...eagerRegionOptions,
      threshold: 2,
      patience: Number.POSITIVE_INFINITY,
    });
  const core = new CpuCore({
    semantics,
    ramBytes: RAM_BYTES,
    cpus: 1,
    regions: engine === 'tested' ? regions : undefined,
  });
  const { memory } = core;
  memory.storeU64BE(TABLE + 16, (2n << 61n) | (5n << 5n) | BigInt(TABLE + 0x10000) | 13n);
  memory.storeU64BE(TABLE + 0x10000, VALID | BigInt(TABLE + 0x1000) | 9n);
  memory.storeU64BE(TABLE + 0x1000, VALID | BigInt(TABLE + 0x2000) | 9n);
  // The first 2 MiB as they are, by 64 KiB; then the data, by 4 KiB.
  memory.storeU64BE(TABLE + 0x2000, VALID | BigInt(TABLE + 0x3000) | 5n);
  memory.storeU64BE(TABLE + 0x2008, VALID | BigInt(TABLE + 0x4000) | 9n);
  for (let page = 0; page < 32; page++) {
    const rights = REFERENCED | CHANGED | READ | WRITE | EXECUTE;
    memory.storeU64BE(TABLE + 0x3000 + page * 8, VALID | LEAF | BigInt(page * 0x10000) | rights);
  }
  for (let page = 0; page < PAGES; page++) memory.storeU64BE(TABLE + 0x4000 + page * 8, leaf(page));
  core.setShared('processTable', BigInt(TABLE));
  core.setShared('processTableBytes', 32n);
  const write = (at: number, lines: readonly string[]) => {
    const words = assembleAt(lines);
    const bytes = new Uint8Array(words.length * 4);
    const view = new DataView(bytes.buffer);
    words.forEach((word, index) => {
      view.setUint32(index * 4, word, true);
    });
    memory.write(at, bytes);
  };
  write(MAIN, program(test));
  for (const vector of [0x300, 0x380, 0x600]) write(vector, skip);
  for (const vector of [0x400, 0x480, 0x700]) write(vector, mend);
  for (const vector of [0x800, 0xf20, 0xf40, 0xf60]) write(vector, ['addi 0,0,2', 'sc 1']);
  write(0xc00, call);
  const random = randomWords(test.seed + 100);
  for (let at = DATA_GRA; at < DATA_GRA + PAGES * 0x1000; at += 8) memory.storeU64BE(at, BigInt(random()));
  write(FUNCTION_GRA, called);
  const vcpu = core.vcpus[0];
  const problem = test.mode === 'problem state' ? MSR.PR : 0n;
  vcpu.set32('interruptLittleEndian', 1);
  vcpu.set64('pidr', 1n);
  vcpu.set64('msr', MSR.SF | MSR.LE | MSR.IR | MSR.DR | MSR.FP | MSR.VEC | MSR.VSX | problem);
  vcpu.set64('nia', BigInt(MAIN));
  vcpu.set64('decExpiry', 1n << 62n);
  let timebase = 0n;
  let running = true;
  let answers = 0;
  let absences = 0;
  return {
    core,
    advance: async (instructions) => {
      const until = timebase + BigInt(instructions);
      while (running && timebase < until) {
        const due = 4000n - (timebase % 4000n);
        const budget = Number(until - timebase < due ? until - timebase : due);
        const { reason, executed } = core.run(0, budget, timebase);
        timebase += BigInt(executed);
        if (reason === EXIT.mmioRead || reason === EXIT.mmioWrite) {
          vcpu.answerMmio(vcpu.get64('mmioAddress') * 3n);
          answers++;
        } else if (reason === EXIT.absentPage) {
          core.markPages(Number(vcpu.get64('mmioAddress')) & -0x1000, 0x1000, 0);
          absences++;
        } else running = reason === EXIT.budget;
        if (timebase % 4000n === 0n && executed > 0) {
          core.markPages(graOf(Number((timebase / 4000n) % BigInt(PAGES))), 0x1000, presence.absent);
          core.forgetMarkedTranslations();
        }
      }
      return running;
    },
    result: () => ({
      instructions: timebase.toString(),
      ended: vcpu.get64('gpr', 0).toString(),
      sum: vcpu.get64('gpr', 31).toString(16),
      answers,
      absences,
    }),
    share: () => core.instructionsInRegions() / Number(vcpu.retired),
  };
}

describe.each(['kernel', 'problem state', 'both by turns'] as const)('random accesses, %s', (mode) => {
  it.each([1, 2])('program %d', { timeout: 120_000 }, async (seed) => {
    const seen: Subject[] = [];
    const result = await lockstep({
      start: async (engine) => {
        const made = subject(engine, { seed, mode });
        seen.push(made);
        return made;
      },
      pieceInstructions: 700,
      memoryEvery: 10_000,
      maxInstructions: 1_000_000,
    });
    const end = seen[0].result() as { ended: string; answers: number; absences: number };
    expect(end.ended, 'the program must come to its end').toBe('1');
    expect(end.answers).toBeGreaterThan(50);
    expect(end.absences).toBeGreaterThan(3);
    expect(result.share).toBeGreaterThan(0.1);
  });
});
