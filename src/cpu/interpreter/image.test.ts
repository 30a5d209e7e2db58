import { describe, expect, it } from 'vitest';
import { encodeFields } from '../isa/decode.ts';
import { instruction, instructions } from '../isa/table.ts';
import { semantics } from '../semantics/index.ts';
import { EXIT, MSR } from '../state/msr.ts';
import { CpuCore } from './core.ts';
import { generateInterpreter } from './generate.ts';
import { handlerSelector } from './handlers.ts';
import { type InterpreterImage, imageOf, interpreterOf } from './image.ts';
import { prebuiltInterpreter } from './prebuilt.ts';

const generated = generateInterpreter(semantics);
const made = imageOf(generated, semantics, (bytes) => Buffer.from(bytes).toString('base64'));
/** As a file holds it. */
const image = JSON.parse(JSON.stringify(made)) as InterpreterImage;

describe('interpreter image', () => {
  it('gives back what it was made of', () => {
    const again = interpreterOf(image, semantics);
    expect(again && Buffer.compare(again.bytes, generated.bytes)).toBe(0);
    expect(again?.handlers).toEqual(generated.handlers);
    expect(again?.yieldHandler).toBe(generated.yieldHandler);
    expect(again?.hostCalls.every((call, i) => call === generated.hostCalls[i])).toBe(true);
    expect(generated.hostCalls.length).toBeGreaterThan(50);
  });

  it('is refused by other tables and when a host call is missing', () => {
    const { add, ...fewer } = semantics;
    expect(add).toBeDefined();
    expect(interpreterOf(image, fewer)).toBeUndefined();
    expect(interpreterOf({ ...image, hostCalls: [...image.hostCalls, 'nobody'] }, semantics)).toBeUndefined();
  });

  it('is not there without a build', () => {
    expect(prebuiltInterpreter).toBeUndefined();
  });

  it('runs', () => {
    const core = new CpuCore({ semantics, image, ramBytes: 1 << 20, cpus: 1 });
    const words = [
      encodeFields(instruction('add'), { rt: 3, ra: 4, rb: 5 }),
      encodeFields(instruction('xsaddqp'), { vrt: 2, vra: 3, vrb: 4 }),
      encodeFields(instruction('sc'), { lev: 1 }),
    ];
    core.memory.write(0x1000, new Uint8Array(Uint32Array.from(words).buffer));
    const [vcpu] = core.vcpus;
    vcpu.set64('msr', MSR.SF | MSR.LE | MSR.VSX);
    vcpu.set64('nia', 0x1000n);
    vcpu.set64('gpr', 5n, 4);
    vcpu.set64('gpr', 7n, 5);
    // 1.0 in quad precision, twice: the sum is worked out by a host call.
    vcpu.setVsr(35, 0, 0x3fff_0000_0000_0000n);
    vcpu.setVsr(36, 0, 0x3fff_0000_0000_0000n);
    expect(core.run(0, 100, 0n)).toEqual({ reason: EXIT.hcall, executed: 3 });
    expect(vcpu.get64('gpr', 3)).toBe(12n);
    expect(vcpu.vsr(34, 0)).toBe(0x4000_0000_0000_0000n);
  });
});

describe('handlers of words', () => {
  const select = handlerSelector(generated.handlers);
  it('depend on static fields only', () => {
    const add = (fields: Record<string, number>) => select(encodeFields(instruction('add'), fields), 3);
    expect(add({ rt: 1 })).toBe(add({ rb: 31 }));
    expect(new Set([add({}), add({ rc: 1 }), add({ oe: 1 }), add({ oe: 1, rc: 1 })]).size).toBe(4);
  });

  it('are others than the illegal one for every instruction', () => {
    for (const row of instructions)
      expect(select(encodeFields(row, {}), 3), row.op).not.toBe(generated.handlers.illegal);
    expect(select(0, 3)).toBe(generated.handlers.illegal);
  });
});
