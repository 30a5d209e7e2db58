import { describe, expect, it } from 'vitest';
import { encodeFields } from '../isa/decode.ts';
import { instruction } from '../isa/table.ts';
import { semantics } from '../semantics/index.ts';
import { EXIT, MSR, VECTOR } from '../state/msr.ts';
import { CpuCore } from './core.ts';

const word = (op: string, fields: Record<string, number>) => encodeFields(instruction(op), fields);

function coreWith(words: number[], at = 0x1000): CpuCore {
  const core = new CpuCore({ semantics, ramBytes: 1 << 20, cpus: 1 });
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((w, i) => {
    view.setUint32(i * 4, w, true);
  });
  core.memory.write(at, bytes);
  const vcpu = core.vcpus[0];
  vcpu.set64('msr', MSR.SF | MSR.LE);
  vcpu.set64('nia', BigInt(at));
  return core;
}

describe('interpreter', () => {
  it('adds, branches, loads and stores', () => {
    const core = coreWith([
      word('addi', { rt: 3, ra: 0, si: 10 }), // count
      word('mtspr', { rs: 3, spr: 9 }),
      word('addi', { rt: 4, ra: 0, si: 0 }),
      word('addi', { rt: 4, ra: 4, si: 7 }),
      word('bc', { bo: 16, bi: 0, bd: -1 }),
      word('std', { rs: 4, ra: 0, ds: 0x2000 / 4 }),
      word('lwz', { rt: 5, ra: 0, d: 0x2000 }),
      word('sc', { lev: 1 }),
    ]);
    const { reason, executed } = core.run(0, 1000, 0n);
    expect(reason).toBe(EXIT.hcall);
    expect(core.vcpus[0].get64('gpr', 5)).toBe(70n);
    expect(executed).toBe(3 + 20 + 3);
    expect(core.vcpus[0].retired).toBe(26n);
    expect(core.vcpus[0].get64('nia')).toBe(0x1020n);
  });

  it('stops on its budget and goes on from there', () => {
    const core = coreWith([word('addi', { rt: 3, ra: 3, si: 1 }), word('b', { li: -1 })]);
    for (let i = 0; i < 5; i++) core.run(0, 101, 0n);
    expect(core.vcpus[0].get64('gpr', 3)).toBe(253n);
  });

  it('goes on from the end of a page when its budget ends there, on odd and even pages', () => {
    for (const page of [0x3000, 0x4000]) {
      const core = coreWith(
        [word('addi', { rt: 3, ra: 3, si: 1 }), word('addi', { rt: 3, ra: 3, si: 2 })],
        page + 0xffc,
      );
      core.run(0, 1, 0n);
      expect(core.vcpus[0].get64('nia')).toBe(BigInt(page + 0x1000));
      core.run(0, 1, 0n);
      expect(core.vcpus[0].get64('gpr', 3)).toBe(3n);
    }
  });

  it('takes a program interrupt for an illegal word, with its address and cause', () => {
    const core = coreWith([0]);
    core.run(0, 1, 0n);
    const vcpu = core.vcpus[0];
    expect(vcpu.get64('nia')).toBe(BigInt(VECTOR.program));
    expect(vcpu.get64('srr0')).toBe(0x1000n);
    expect(vcpu.get64('srr1') & 0x80000n).toBe(0x80000n);
  });

  it('takes a trace interrupt behind every instruction with MSR[SE] set', () => {
    const core = coreWith([
      word('addi', { rt: 3, ra: 3, si: 1 }),
      word('b', { li: 3 }),
      0,
      0,
      word('addi', { rt: 3, ra: 3, si: 2 }),
      0, // illegal: no trace interrupt, but its own
    ]);
    const vcpu = core.vcpus[0];
    const at = (address: bigint) => {
      vcpu.set64('nia', address);
      vcpu.set64('msr', MSR.SF | MSR.LE | MSR.SE);
      core.run(0, 1, 0n);
      return [vcpu.get64('nia'), vcpu.get64('srr0')];
    };
    expect(at(0x1000n)).toEqual([BigInt(VECTOR.trace), 0x1004n]);
    expect(at(0x1004n)).toEqual([BigInt(VECTOR.trace), 0x1010n]);
    expect(at(0x1010n)).toEqual([BigInt(VECTOR.trace), 0x1014n]);
    expect(at(0x1014n)).toEqual([BigInt(VECTOR.program), 0x1014n]);
    expect(vcpu.get64('gpr', 3)).toBe(3n);
    expect(vcpu.get64('srr1') & MSR.SE).toBe(MSR.SE);
  });

  it('sees stores to instructions it has decoded', () => {
    const patched = word('addi', { rt: 3, ra: 0, si: 2 });
    const core = coreWith([
      word('addis', { rt: 5, ra: 0, si: patched >>> 16 }),
      word('ori', { rs: 5, ra: 5, ui: patched & 0xffff }),
      word('addi', { rt: 3, ra: 0, si: 1 }), // 0x1008, to be patched
      word('cmpi', { bf: 0, l: 1, ra: 3, si: 2 }),
      word('bc', { bo: 12, bi: 2, bd: 3 }),
      word('stw', { rs: 5, ra: 0, d: 0x1008 }),
      word('b', { li: -4 }),
      word('sc', { lev: 1 }),
    ]);
    expect(core.run(0, 100, 0n).reason).toBe(EXIT.hcall);
    expect(core.vcpus[0].get64('gpr', 3)).toBe(2n);
  });
});
