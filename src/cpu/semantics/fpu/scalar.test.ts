// Whole scalar instructions on the interpreter, with their short and long ways, against the BigInt model: results and
// all of FPSCR, in each rounding mode.

import { describe, expect, it } from 'vitest';
import { floatOperands } from '../../../../tests/support/float-operands.ts';
import { CpuCore } from '../../interpreter/core.ts';
import { encodeFields } from '../../isa/decode.ts';
import { instruction } from '../../isa/table.ts';
import { MSR } from '../../state/msr.ts';
import { semantics } from '../index.ts';
import * as big from './big-float.ts';
import { EXCEPTIONS, FPSCR, VX_ALL } from './fpscr.ts';

const rounds = Number(process.env.FPU_ROUNDS ?? 1000);
const core = new CpuCore({ semantics, ramBytes: 1 << 16, cpus: 1 });
const vcpu = core.vcpus[0];
const CODE = 0x1000;

/** Registers 1 to 3 as A, B and C; the result in 4. */
function load(op: string): void {
  const fields: Record<string, number> = { frt: 4 };
  for (const [name, register] of [
    ['fra', 1],
    ['frb', 2],
    ['frc', 3],
  ] as const) {
    if (instruction(op).fields.has(name)) fields[name] = register;
  }
  const code = new DataView(new ArrayBuffer(4));
  code.setUint32(0, encodeFields(instruction(op), fields), true);
  core.memory.write(CODE, new Uint8Array(code.buffer));
  vcpu.set64('msr', MSR.SF | MSR.LE | MSR.FP);
}
function run(operands: readonly bigint[], fpscr: number): { bits: bigint; fpscr: number } {
  operands.forEach((bits, index) => {
    vcpu.setVsr(1 + index, 0, bits);
  });
  vcpu.set64('fpscr', BigInt(fpscr >>> 0));
  vcpu.set64('nia', BigInt(CODE));
  core.run(0, 1, 0n);
  return { bits: vcpu.vsr(4, 0), fpscr: Number(vcpu.get64('fpscr')) };
}

type Model = (f: big.BinaryFormat, env: big.Environment, a: bigint, b: bigint, c: bigint) => bigint;
const fused =
  (subtract: boolean, negate: boolean): Model =>
  (f, env, a, b, c) =>
    big.multiplyAdd(f, env, a, c, b, subtract, negate);
const models: Readonly<Record<string, Model>> = {
  fadd: (f, env, a, b) => big.add(f, env, a, b),
  fsub: (f, env, a, b) => big.add(f, env, a, b, true),
  fmul: (f, env, a, _b, c) => big.multiply(f, env, a, c),
  fdiv: (f, env, a, b) => big.divide(f, env, a, b),
  fsqrt: (f, env, _a, b) => big.squareRoot(f, env, b),
  fmadd: fused(false, false),
  fmsub: fused(true, false),
  fnmadd: fused(false, true),
  fnmsub: fused(true, true),
};

/** FPSCR of an operation without enabled exceptions. */
function statusAfter(before: number, raised: number, fprf: number): number {
  let low = (before & ~(FPSCR.FR | FPSCR.FI | FPSCR.FPRF)) | raised | fprf;
  if (raised & ~before & EXCEPTIONS) low |= FPSCR.FX;
  if (low & VX_ALL) low |= FPSCR.VX;
  return low >>> 0;
}

const hex = (bits: bigint) => bits.toString(16).padStart(16, '0');
function check(op: string, operands: readonly bigint[], before: number, wanted: ReturnType<typeof run>): void {
  const got = run(operands, before);
  if (got.bits === wanted.bits && got.fpscr === wanted.fpscr) return;
  const text = ({ bits, fpscr }: ReturnType<typeof run>) => `${hex(bits)} ${fpscr.toString(16)}`;
  const given = `${operands.map(hex).join(', ')}; FPSCR ${(before >>> 0).toString(16)}`;
  expect.fail(`${op}(${given}): ${text(got)}, wanted ${text(wanted)}`);
}

describe('scalar instructions against the BigInt model', () => {
  for (const [op, model] of Object.entries(models)) {
    it(op, () => {
      load(op);
      const next = floatOperands(BigInt(op.length * 31 + op.charCodeAt(1)));
      for (let i = 0; i < rounds; i++) {
        const operands = [next(), next(), next()];
        for (let mode = 0; mode < 4; mode++) {
          const before = mode | (i & 1 ? 0x8200_0000 : 0) | (i & 2 ? 0x0006_5000 : 0);
          const env: big.Environment = { mode, overflowEnabled: false, underflowEnabled: false, raised: 0 };
          const bits = model(big.BINARY64, env, operands[0], operands[1], operands[2]);
          const wanted = { bits, fpscr: statusAfter(before, env.raised, big.classOf(big.BINARY64, bits)) };
          check(op, operands, before, wanted);
        }
      }
    });

    it(`${op}s of singles`, () => {
      load(`${op}s`);
      const next = floatOperands(BigInt(op.length * 37 + op.charCodeAt(1)));
      const nextSingle = () => {
        const env: big.Environment = { mode: 1, overflowEnabled: false, underflowEnabled: false, raised: 0 };
        return big.convert(big.BINARY64, big.BINARY32, env, next());
      };
      for (let i = 0; i < rounds; i++) {
        const operands = [nextSingle(), nextSingle(), nextSingle()];
        for (let mode = 0; mode < 4; mode++) {
          const before = mode | (i & 1 ? 0x8200_0000 : 0);
          const env: big.Environment = { mode, overflowEnabled: false, underflowEnabled: false, raised: 0 };
          const bits = model(big.BINARY32, env, operands[0], operands[1], operands[2]);
          const fpscr = statusAfter(before, env.raised, big.classOf(big.BINARY32, bits));
          const quiet = { ...env, raised: 0 };
          const wanted = { bits: big.convert(big.BINARY32, big.BINARY64, quiet, bits), fpscr };
          const widened = operands.map((x) => big.convert(big.BINARY32, big.BINARY64, quiet, x));
          check(`${op}s`, widened, before, wanted);
        }
      }
    });
  }

  it('suppresses the target of an enabled invalid operation and interrupts', () => {
    load('fdiv');
    vcpu.set64('msr', MSR.SF | MSR.LE | MSR.FP | MSR.FE0);
    vcpu.setVsr(4, 0, 77n);
    const { bits, fpscr } = run([0n, 0n], FPSCR.VE | 0x4000);
    expect(bits).toBe(77n);
    expect(fpscr).toBe((FPSCR.FX | FPSCR.FEX | FPSCR.VX | FPSCR.VXZDZ | FPSCR.VE | 0x4000) >>> 0);
    expect(vcpu.get64('nia')).toBe(0x700n);
    expect(vcpu.get64('srr0')).toBe(BigInt(CODE));
    expect(vcpu.get64('srr1') & 0x10_0000n).toBe(0x10_0000n);
  });

  it('does not lose FR where the error of a sum overflows on the way', () => {
    load('fsub');
    const { bits, fpscr } = run([0x7fdb_9376_5471_d413n, 0x7fef_ffff_ffff_ffffn], 0);
    expect(bits).toBe(0xffe2_3644_d5c7_15f6n);
    expect(fpscr).toBe((FPSCR.FX | FPSCR.XX | FPSCR.FR | FPSCR.FI | 0x8000) >>> 0);
  });

  it('interrupts on the short way too when an enabled exception waits', () => {
    load('fadd');
    vcpu.set64('msr', MSR.SF | MSR.LE | MSR.FP | MSR.FE0);
    run([1n << 62n, 1n << 62n], FPSCR.FEX | FPSCR.XX | FPSCR.XE);
    expect(vcpu.get64('nia')).toBe(0x700n);
  });
});
