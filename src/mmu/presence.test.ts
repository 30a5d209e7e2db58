import { beforeEach, describe, expect, it } from 'vitest';
import { eagerRegionOptions } from '../../tests/support/eager-regions.ts';
import { RegionCache } from '../cpu/compiler/cache.ts';
import { CpuCore } from '../cpu/interpreter/core.ts';
import type { RegionHost } from '../cpu/interpreter/region-service.ts';
import { encodeFields } from '../cpu/isa/decode.ts';
import { instruction } from '../cpu/isa/table.ts';
import { semantics } from '../cpu/semantics/index.ts';
import { presence } from '../cpu/state/memory-map.ts';
import { EXIT, MSR } from '../cpu/state/msr.ts';

const word = (op: string, fields: Record<string, number>) => encodeFields(instruction(op), fields);
const CODE = 0x1000;
const DATA = 0x20000;
const CALL = word('sc', { lev: 1 });

const engines = ['interpreter', 'compiler'] as const;
let engine: (typeof engines)[number];

function coreWith(words: number[], at = CODE): CpuCore {
  const regions = (host: RegionHost) =>
    new RegionCache(host, {
      ...eagerRegionOptions,
      patience: Number.POSITIVE_INFINITY,
    });
  const core = new CpuCore({ semantics, ramBytes: 1 << 20, cpus: 1, ...(engine === 'compiler' && { regions }) });
  const view = new DataView(new ArrayBuffer(words.length * 4));
  words.forEach((w, i) => {
    view.setUint32(i * 4, w, true);
  });
  core.memory.write(at, new Uint8Array(view.buffer));
  const vcpu = core.vcpus[0];
  vcpu.set64('msr', MSR.SF | MSR.LE | MSR.VSX);
  vcpu.set64('nia', BigInt(at));
  vcpu.set64('gpr', BigInt(DATA), 4);
  return core;
}
const addressAsked = (core: CpuCore) => Number(core.vcpus[0].get64('mmioAddress'));

describe.each(engines)('an absent page: %s', (name) => {
  beforeEach(() => {
    engine = name;
  });

  it('is asked for by a load, which then finds what was brought, and counts once', () => {
    const core = coreWith([word('ld', { rt: 5, ra: 4, ds: 2 }), CALL]);
    core.markPages(DATA, 0x10000, presence.absent);
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.absentPage, executed: 0 });
    expect(addressAsked(core)).toBe(DATA + 8);
    expect(core.vcpus[0].get64('nia')).toBe(BigInt(CODE));
    core.memory.storeU64BE(DATA + 8, 0x0807060504030201n);
    core.markPages(DATA, 0x10000, 0);
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.hcall, executed: 2 });
    expect(core.vcpus[0].get64('gpr', 5)).toBe(0x0102030405060708n);
  });

  it.each([
    ['std', { rs: 5, ra: 4, ds: 0 }],
    ['dcbz', { ra: 0, rb: 4 }],
    ['ldarx', { rt: 5, ra: 0, rb: 4 }],
    ['lxvd2x', { xt: 5, ra: 0, rb: 4 }],
    ['stxvd2x', { xs: 5, ra: 0, rb: 4 }],
  ])('is asked for by %s', (op, fields) => {
    const core = coreWith([word(op, fields as Record<string, number>), CALL]);
    core.markPages(DATA, 0x1000, presence.absent);
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.absentPage, executed: 0 });
    expect(addressAsked(core)).toBe(DATA);
    core.markPages(DATA, 0x1000, 0);
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.hcall, executed: 2 });
  });

  it('is asked for twice by an access that crosses into another', () => {
    const core = coreWith([word('ld', { rt: 5, ra: 4, ds: 0x3ff }), CALL]);
    core.markPages(DATA, 0x2000, presence.absent);
    core.vcpus[0].set64('gpr', BigInt(DATA + 2), 4);
    expect(core.run(0, 100, 0n).reason).toBe(EXIT.absentPage);
    expect(addressAsked(core)).toBe(DATA + 0xffe);
    core.markPages(DATA, 0x1000, 0);
    expect(core.run(0, 100, 0n).reason).toBe(EXIT.absentPage);
    expect(addressAsked(core)).toBe(DATA + 0x1000);
    core.markPages(DATA, 0x2000, 0);
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.hcall, executed: 2 });
  });

  it('is asked for when it is to be executed: at a branch, and behind the last word of a page', () => {
    const branch = coreWith([word('b', { li: 0x400 })]);
    branch.markPages(0x2000, 0x1000, presence.absent);
    expect(branch.run(0, 100, 0n)).toEqual({ reason: EXIT.absentPage, executed: 1 });
    expect(branch.vcpus[0].get64('nia')).toBe(0x2000n);
    expect(branch.run(0, 100, 0n)).toEqual({ reason: EXIT.absentPage, executed: 0 });

    const straight = coreWith([word('addi', { rt: 3, ra: 3, si: 1 }), CALL], 0x1ffc);
    straight.markPages(0x2000, 0x1000, presence.absent);
    expect(straight.run(0, 100, 0n)).toEqual({ reason: EXIT.absentPage, executed: 1 });
    expect(straight.vcpus[0].get64('nia')).toBe(0x2000n);
    straight.markPages(0x2000, 0x1000, 0);
    expect(straight.run(0, 100, 0n)).toEqual({ reason: EXIT.hcall, executed: 1 });
  });

  it('is asked for when a translation table is in it', () => {
    const core = coreWith([word('ld', { rt: 5, ra: 4, ds: 0 }), CALL]);
    core.setShared('processTable', 0x30000n);
    core.setShared('processTableBytes', 0x1000n);
    core.vcpus[0].set64('msr', MSR.SF | MSR.LE | MSR.DR);
    core.markPages(0x30000, 0x1000, presence.absent);
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.absentPage, executed: 0 });
    expect(addressAsked(core)).toBe(0x30000);
    core.vcpus[0].set64('msr', MSR.SF | MSR.LE | MSR.IR);
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.absentPage, executed: 0 });
    expect(addressAsked(core)).toBe(0x30000);
  });

  it('loses the translations that are in use, for data and for code', () => {
    const core = coreWith([word('ld', { rt: 5, ra: 4, ds: 0 }), word('std', { rs: 5, ra: 4, ds: 0 }), CALL]);
    expect(core.run(0, 100, 0n).reason).toBe(EXIT.hcall);
    for (const [gra, at, executed] of [
      [DATA, CODE, 0],
      [DATA, CODE + 4, 0],
      [CODE, CODE, 0],
    ]) {
      core.markPages(gra, 0x1000, presence.absent);
      core.forgetMarkedTranslations();
      core.vcpus[0].set64('nia', BigInt(at));
      expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.absentPage, executed });
      core.markPages(gra, 0x1000, 0);
      expect(core.run(0, 100, 0n).reason).toBe(EXIT.hcall);
    }
  });
});

describe.each(engines)('a loop over pages that come and go: %s', (name) => {
  // The loop straddles two pages of code; r4 goes round 16 pages of data, each word of which is counted up.
  const code = [
    word('addi', { rt: 9, ra: 0, si: 2000 }),
    word('mtspr', { rs: 9, spr: 9 }),
    word('ld', { rt: 5, ra: 4, ds: 0 }), // loop
    word('add', { rt: 6, ra: 6, rb: 5 }),
    word('addi', { rt: 5, ra: 5, si: 3 }), // first word of the second page
    word('std', { rs: 5, ra: 4, ds: 0 }),
    word('addi', { rt: 7, ra: 7, si: 0x1000 }),
    word('rldicl', { ra: 7, rs: 7, sh: 0, mb: 48 }),
    word('add', { rt: 4, ra: 8, rb: 7 }),
    word('bc', { bo: 16, bi: 0, bd: -7 }),
    CALL,
  ];
  const at = 0x2000 - 16;

  function runLoop(paging: boolean): { executed: number; registers: bigint[]; asked: number } {
    engine = name;
    const core = coreWith(code, at);
    core.vcpus[0].set64('gpr', BigInt(DATA), 8);
    const pages = [0x1000, 0x2000, ...Array.from({ length: 16 }, (_, n) => DATA + n * 0x1000)];
    // Contents of the pages that are out.
    const out = new Map<number, Uint8Array>();
    const remove = (page: number) => {
      out.set(page, core.memory.read(page, 0x1000));
      core.memory.fill(page, 0x1000, 0);
      core.markPages(page, 0x1000, presence.absent);
      core.forgetMarkedTranslations();
    };
    let executed = 0;
    let asked = 0;
    for (;;) {
      const { reason, executed: now } = core.run(0, 1000, 0n);
      executed += now;
      if (reason === EXIT.hcall) break;
      if (reason === EXIT.absentPage) {
        const page = addressAsked(core) & ~0xfff;
        asked++;
        core.markPages(page, 0x1000, 0);
        core.memory.write(page, out.get(page)!);
        out.delete(page);
      }
      // At most three are out, so that what an instruction needs is there in the end.
      const next = pages[(asked * 7 + executed) % pages.length];
      if (paging && out.size < 3 && !out.has(next)) remove(next);
    }
    const registers = [4, 5, 6, 7].map((n) => core.vcpus[0].get64('gpr', n));
    return { executed, registers, asked };
  }

  it('does and counts the same as one over pages that stay', () => {
    const plain = runLoop(false);
    const paged = runLoop(true);
    expect(plain.executed).toBe(2 + 2000 * 8 + 1);
    expect(paged.asked).toBeGreaterThan(100);
    expect({ ...paged, asked: 0 }).toEqual(plain);
  });
});

describe.each(engines)('a watched page: %s', (name) => {
  beforeEach(() => {
    engine = name;
  });

  it('loses its mark when it is used, and only then', () => {
    const core = coreWith([word('ld', { rt: 5, ra: 4, ds: 0 }), CALL]);
    core.run(0, 100, 0n);
    core.markPages(0, 1 << 20, presence.watched);
    core.forgetMarkedTranslations();
    core.vcpus[0].set64('nia', BigInt(CODE));
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.hcall, executed: 2 });
    expect(core.pagesMarked(DATA, 0x1000, 0)).toBe(true);
    expect(core.pagesMarked(CODE, 0x1000, 0)).toBe(true);
    expect(core.pagesMarked(DATA + 0x1000, 0xf000, presence.watched)).toBe(true);
    expect(core.pagesMarked(DATA, 0x10000, presence.watched)).toBe(false);
  });
});
