// Scalar floating point whose status is put off, beside the interpreter, which computes it with each instruction: random
// loops in slices of all kinds, with whoever looks at FPSCR among them. All registers are compared after each slice.

import { afterEach, describe, expect, it } from 'vitest';
import { eagerRegionOptions } from '../../../tests/support/eager-regions.ts';
import { floatOperands } from '../../../tests/support/float-operands.ts';
import { randomWords } from '../../../tests/support/random.ts';
import { pretendFusing } from '../../wasm/fused.ts';
import { CpuCore } from '../interpreter/core.ts';
import { encodeFields } from '../isa/decode.ts';
import { instruction } from '../isa/table.ts';
import { FPSCR } from '../semantics/fpu/fpscr.ts';
import { semantics } from '../semantics/index.ts';
import { EXIT, MSR } from '../state/msr.ts';
import { RegionCache } from './cache.ts';

const word = (op: string, fields: Record<string, number>) => encodeFields(instruction(op), fields);
const START = 0x1000;
const TABLE = 0x8000;
const ROUNDS = 24;
/** FPRs that each round loads anew, 0 to this; the others are results. */
const LOADED = 6;

const two = ['fadd', 'fsub', 'fdiv', 'fadds', 'fsubs', 'fdivs'];
const product = ['fmul', 'fmuls'];
const three = ['fmadd', 'fmsub', 'fnmadd', 'fnmsub', 'fmadds', 'fmsubs', 'fnmadds', 'fnmsubs', 'fsel'];
const one = [
  'fsqrt',
  'fsqrts',
  'frsp',
  'fmr',
  'fneg',
  'fabs',
  'fctidz',
  'fctid',
  'fctiwz',
  'fcfid',
  'fcfids',
  'friz',
  'fre',
];
const vsx = [
  'xsadddp',
  'xssubsp',
  'xsmuldp',
  'xsdivdp',
  'xsmaddadp',
  'xsnmsubmsp',
  'xvadddp',
  'xvmaddadp',
  'xscpsgndp',
];
const vsxOne = ['xssqrtdp', 'xscvdpsxds', 'xscvsxddp', 'xsrsp', 'xscvdpsp', 'xscvspdp', 'xvcvdpsxds'];
const compares = ['fcmpu', 'fcmpo', 'xscmpudp', 'xscmpeqdp'];

type Choice = (from: readonly string[] | number) => number;

/** An instruction on FPRs 0 to 9. Few of them look at FPSCR, so that what is owed lives long. */
function someInstruction(pick: Choice, controls: boolean): number {
  const any = () => pick(10);
  const of = (ops: readonly string[], fields: Record<string, number>) => word(ops[pick(ops)], fields);
  const result = () => LOADED + 1 + pick(3);
  const kind = pick(controls ? 34 : 30);
  if (kind < 8) return of(two, { frt: result(), fra: any(), frb: any(), rc: Number(pick(8) === 0) });
  if (kind < 11) return of(product, { frt: result(), fra: any(), frc: any() });
  if (kind < 17) return of(three, { frt: result(), fra: any(), frb: any(), frc: any() });
  if (kind < 20) return of(one, { frt: result(), frb: any() });
  if (kind < 24) return of(vsx, { xt: result(), xa: any(), xb: any() });
  if (kind < 26) return of(vsxOne, { xt: result(), xb: any() });
  if (kind < 28) {
    const op = compares[pick(compares)];
    const fields: Record<string, number> = op.startsWith('x') ? { xa: any(), xb: any() } : { fra: any(), frb: any() };
    return word(op, op === 'xscmpeqdp' ? { ...fields, xt: result() } : { ...fields, bf: pick(8) });
  }
  if (kind === 28) return word('mffs', { frt: result() });
  if (kind === 29) return word('stfs', { frs: any(), ra: 0, d: 0x4000 + 4 * pick(8) });
  if (kind === 30) return word('mtfsb0', { bt: 6 });
  if (kind === 31) return word('mcrfs', { bf: pick(8), bfa: pick(6) });
  if (kind === 32) return word('mtfsfi', { bf: 7, u: pick(4) });
  return word(pick(2) ? 'mtfsb1' : 'mtfsb0', { bt: 24 + pick(5) });
}

function program(pick: Choice, controls: boolean): number[] {
  const body: number[] = [];
  for (let n = 0; n <= LOADED; n++)
    body.push(word(n === 3 ? 'lfsx' : 'lfdx', { frt: n, ra: 0, rb: 6 }), word('addi', { rt: 6, ra: 6, si: 8 }));
  for (let count = 3 + pick(12); count > 0; count--) body.push(someInstruction(pick, controls));
  return [
    word('addi', { rt: 4, ra: 0, si: ROUNDS }),
    word('mtspr', { rs: 4, spr: 9 }),
    ...body,
    word('bc', { bo: 16, bi: 0, bd: -body.length }),
    word('sc', { lev: 1 }),
  ];
}

type Operands = (index: number) => bigint;
const bitsOf = (value: number) => new BigUint64Array(new Float64Array([value]).buffer)[0];

/** Results that are exact, those that are not, and all there is. */
function operandKinds(seed: number): Operands[] {
  const next = randomWords(seed);
  const odd = floatOperands(BigInt(seed));
  const number = (value: number) => bitsOf(value);
  return [
    () => number(((next() & 0xfff) - 2048) / 64),
    () => number((next() & 3) === 0 ? 0 : 2 ** ((next() % 5) - 2)),
    () => number((next() / 2 ** 32 - 0.5) * 16 + next() / 2 ** 50),
    () => number((next() / 2 ** 32) * 2 ** ((next() % 2000) - 1000)),
    () => odd(),
    (index) => (index % 16 === 0 ? odd() : number(next() / 2 ** 28 - 8)),
  ];
}

class Pair {
  readonly cores: readonly CpuCore[];
  readonly regions: RegionCache;
  private timebase = 0n;

  constructor() {
    const machine = { semantics, ramBytes: 1 << 17, cpus: 1 };
    let made: RegionCache | undefined;
    const compiler = new CpuCore({
      ...machine,
      regions: (host) => {
        made = new RegionCache(host, {
          ...eagerRegionOptions,
          patience: 1e9,
        });
        return made;
      },
    });
    this.regions = made!;
    this.cores = [new CpuCore(machine), compiler];
  }

  /** Runs a program to its end in slices of `budget`; says what differs. */
  run(words: readonly number[], operands: Operands, fpscr: number, budget: number): string {
    const code = new Uint8Array(Uint32Array.from(words).buffer);
    const table = BigUint64Array.from({ length: ROUNDS * (LOADED + 1) }, (_, index) => operands(index));
    for (const core of this.cores) {
      core.memory.write(START, code);
      core.memory.write(TABLE, new Uint8Array(table.buffer));
      const vcpu = core.vcpus[0];
      vcpu.clear();
      vcpu.set64('msr', MSR.SF | MSR.LE | MSR.FP | MSR.VEC | MSR.VSX);
      vcpu.set64('decExpiry', 1n << 62n);
      vcpu.set64('nia', BigInt(START));
      vcpu.set64('gpr', BigInt(TABLE), 6);
      vcpu.set64('fpscr', BigInt(fpscr >>> 0));
      for (let n = 0; n < 10; n++) vcpu.setVsr(n, 0, table[n]);
    }
    for (let slice = 0; slice < 100_000; slice++) {
      const [wanted, found] = this.cores.map((core) => core.run(0, budget, this.timebase));
      this.timebase += BigInt(wanted.executed);
      if (wanted.reason !== found.reason || wanted.executed !== found.executed) return `slice ${slice}: ends elsewhere`;
      const [a, b] = this.cores.map((core) => core.vcpus[0]);
      if (a.get64('fpscr') !== b.get64('fpscr')) {
        return `slice ${slice}: FPSCR ${b.get64('fpscr').toString(16)}, wanted ${a.get64('fpscr').toString(16)}`;
      }
      const [before, after] = [a.block(), b.block()];
      const at = before.findIndex((byte, index) => byte !== after[index]);
      if (at >= 0) return `slice ${slice}: byte ${at} of the register block`;
      if (wanted.reason !== EXIT.budget) return '';
    }
    return 'has no end';
  }
}

const budgets = [1e6, 40, 7, 13];
const controls = [0, FPSCR.XX | FPSCR.FX, FPSCR.XX, 0, FPSCR.XX | 1, FPSCR.VE, FPSCR.UE | FPSCR.XX];

describe('scalar floating point in regions', () => {
  afterEach(() => pretendFusing(undefined));

  for (const fuses of [undefined, false]) {
    const name = fuses === false ? 'without' : 'with';
    it(`has the status that each instruction leaves, ${name} multiply-add of the engine`, { timeout: 300_000 }, () => {
      pretendFusing(fuses);
      const pair = new Pair();
      const programs = Number(process.env.FPU_ROUNDS ?? 12);
      for (let number = 0; number < programs; number++) {
        const next = randomWords(number * 7919 + 1);
        const pick: Choice = (from) => next() % (typeof from === 'number' ? from : from.length);
        const words = program(pick, number % 3 === 0);
        operandKinds(number + 1).forEach((operands, kind) => {
          const fpscr = controls[(number + kind) % controls.length];
          const budget = budgets[(number + kind) % budgets.length];
          const text = pair.run(words, operands, fpscr, budget);
          if (text) expect.fail(`program ${number}, operands ${kind}, FPSCR ${fpscr.toString(16)}: ${text}`);
        });
      }
      expect(pair.regions.statistics().regions).toBeGreaterThan(programs);
    });
  }

  it('keeps status through loops that nobody looks into, exact and inexact', () => {
    const pair = new Pair();
    const loop = (op: string, fields: Record<string, number>) => [
      word('addi', { rt: 4, ra: 0, si: ROUNDS }),
      word('mtspr', { rs: 4, spr: 9 }),
      word('lfdx', { frt: 1, ra: 0, rb: 6 }),
      word('addi', { rt: 6, ra: 6, si: 8 }),
      word(op, fields),
      word('bc', { bo: 16, bi: 0, bd: -3 }),
      word('sc', { lev: 1 }),
    ];
    const numbers: Operands[] = [
      (index) => bitsOf(index),
      (index) => bitsOf(1 / (index + 3)),
      () => bitsOf(1e300),
      () => 1n,
    ];
    for (const op of ['fadd', 'fmul', 'fmadd', 'fdiv', 'fadds', 'fmadds'].flatMap((each) => [each])) {
      const fields: Record<string, number> = { frt: 7, fra: 1 };
      if (instruction(op).fields.has('frb')) fields.frb = 7;
      if (instruction(op).fields.has('frc')) fields.frc = 8;
      for (const operands of numbers) {
        for (const fpscr of controls) {
          for (const budget of [1e6, 5, 11]) expect(pair.run(loop(op, fields), operands, fpscr, budget), op).toBe('');
        }
      }
    }
  });
});
