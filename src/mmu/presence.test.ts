import { describe, expect, it } from 'vitest';
import { CpuCore } from '../cpu/interpreter/core.ts';
import { encodeFields } from '../cpu/isa/decode.ts';
import { instruction } from '../cpu/isa/table.ts';
import { semantics } from '../cpu/semantics/index.ts';
import { presence } from '../cpu/state/memory-map.ts';
import { EXIT, MSR } from '../cpu/state/msr.ts';

const word = (op: string, fields: Record<string, number>) => encodeFields(instruction(op), fields);
const CODE = 0x1000;
const DATA = 0x20000;
const CALL = word('sc', { lev: 1 });

function coreWith(words: number[], at = CODE): CpuCore {
  const core = new CpuCore({ semantics, ramBytes: 1 << 20, cpus: 1 });
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

describe('an absent page', () => {
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

describe('a watched page', () => {
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
