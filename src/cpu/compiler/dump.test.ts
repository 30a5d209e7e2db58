import { expect, it } from 'vitest';
import { eagerRegionOptions } from '../../../tests/support/eager-regions.ts';
import { CpuCore } from '../interpreter/core.ts';
import { assemble } from '../isa/assemble.ts';
import { semantics } from '../semantics/index.ts';
import { MSR } from '../state/msr.ts';
import { RegionCache } from './cache.ts';
import { describeRegion, type MadeRegion } from './dump.ts';

const program = ['addi 3,3,1', 'lfd 1,0(4)', 'fadd 1,1,1', 'xxlxor 34,34,34', 'cmp 0,1,3,5', 'bc 12,0,.-20', 'sc 1'];

it('shows a region as guest code, structure and WebAssembly', () => {
  const made: MadeRegion[] = [];
  const core = new CpuCore({
    semantics,
    ramBytes: 0x100000,
    cpus: 1,
    regions: (host) =>
      new RegionCache(host, {
        ...eagerRegionOptions,
        threshold: 2,
        onRegion: (region) => made.push(region),
      }),
  });
  const code = new DataView(new ArrayBuffer(program.length * 4));
  program.forEach((line, index) => {
    code.setUint32(index * 4, assemble(line), true);
  });
  core.memory.write(0x10000, new Uint8Array(code.buffer));
  const [vcpu] = core.vcpus;
  vcpu.set64('msr', MSR.SF | MSR.LE | MSR.FP | MSR.VEC | MSR.VSX);
  vcpu.set64('nia', 0x10000n);
  vcpu.set64('decExpiry', 1n << 62n);
  vcpu.set64('gpr', 0x20000n, 4);
  vcpu.set64('gpr', 100n, 5);
  core.run(0, 1000, 0n);
  expect(vcpu.get64('gpr', 3)).toBe(100n);
  expect(made.length).toBeGreaterThan(0);
  const text = describeRegion(made[0]);
  expect(text).toContain('page at real address 0x10000, entered at 0x0');
  expect(text).toMatch(/0x0 {2}38630001 {2}addi r3,r3,1/);
  expect(text).toContain('bc 12,lt,0x0');
  expect(text).toMatch(/conditional to block 0, block 1/);
  expect(text).toMatch(/loop L\d/);
  expect(text).toMatch(/\(func ;; \d+ locals/);
  expect(text).toContain('i64.add');
  expect(text).toContain('f64.add');
  // Every byte was understood, and what was opened was closed.
  expect(text).not.toContain('unknown');
  const wasm = text.slice(text.indexOf('(func'));
  const opened = wasm.match(/^ *(block|loop|if)\b/gm)?.length ?? 0;
  expect(wasm.match(/^ *end$/gm)?.length ?? 0).toBe(opened);
});
